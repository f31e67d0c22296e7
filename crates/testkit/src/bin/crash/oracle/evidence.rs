//! The journal and the archives, sorted for the checks.

use crate::{
    archive::{Abilities, Listing},
    device::Kind,
    entry::{Channel, DeviceId, Digest, Entry, Key, Party},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// A message that a client sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sending {
    pub(crate) to: Party,
    pub(crate) digest: Digest,
    pub(crate) again: bool,
}

/// A copy that a device got.
#[derive(Debug, Clone)]
pub(crate) struct Receipt {
    pub(crate) connection: u32,
    pub(crate) channel: Channel,
    pub(crate) id: Option<String>,
    pub(crate) key: Key,
    pub(crate) digest: Digest,
}

/// Everything that is known after an epoch.
#[derive(Debug, Clone, Default)]
pub(crate) struct Evidence {
    pub(crate) abilities: Abilities,
    pub(crate) sent: BTreeMap<Key, Sending>,
    pub(crate) acked: BTreeSet<Key>,
    pub(crate) refused: BTreeMap<Key, String>,
    /// Copies in the order in which each device got them.
    pub(crate) received: BTreeMap<DeviceId, Vec<Receipt>>,
    pub(crate) kinds: BTreeMap<DeviceId, Kind>,
    /// All ways of reading each archive; empty where the server has none.
    pub(crate) listings: BTreeMap<Party, Vec<Listing>>,
    /// The devices that are in each room.
    pub(crate) occupants: BTreeMap<u32, BTreeSet<DeviceId>>,
    /// What devices that were in a room heard of that after they had resumed their session, and
    /// whether they were there; and those that a room removed.
    pub(crate) asked: Vec<(DeviceId, u32, bool)>,
    pub(crate) removed: Vec<(DeviceId, u32)>,
    /// Writes, answers and reads of values, in order.
    pub(crate) values: Vec<Entry>,
    /// Ids that the archive did not know.
    pub(crate) vanished: Vec<(DeviceId, String)>,
    pub(crate) troubles: Vec<(DeviceId, String)>,
    /// Milliseconds from start to listening, and to the first login.
    pub(crate) opened: Vec<u64>,
    pub(crate) logins: Vec<u64>,
    /// What those may be at most; none where they are only reported.
    pub(crate) bounds: Option<(Duration, Duration)>,
}

impl Evidence {
    /// Sorts the entries of a journal.
    pub(crate) fn sort(&mut self, entries: Vec<Entry>) {
        for entry in entries {
            match entry {
                Entry::Sent {
                    key,
                    to,
                    digest,
                    again,
                } => {
                    let sending = Sending { to, digest, again };
                    self.sent.entry(key).or_insert(sending).again |= again;
                }
                Entry::Acked { key } => {
                    self.acked.insert(key);
                }
                Entry::Refused { key, condition } => {
                    self.refused.insert(key, condition);
                }
                Entry::Received {
                    device,
                    connection,
                    channel,
                    id,
                    key,
                    digest,
                } => {
                    let id = Some(id).filter(|id| id != "-");
                    self.received.entry(device).or_default().push(Receipt {
                        connection,
                        channel,
                        id,
                        key,
                        digest,
                    });
                }
                Entry::Vanished { device, id } => self.vanished.push((device, id)),
                Entry::Trouble { device, text } => self.troubles.push((device, text)),
                Entry::Open { millis } => self.opened.push(millis),
                Entry::FirstLogin { millis } => self.logins.push(millis),
                value @ (Entry::Write { .. } | Entry::Written { .. } | Entry::Read { .. }) => {
                    self.values.push(value);
                }
                Entry::Asked {
                    device,
                    room,
                    there,
                } => self.asked.push((device, room, there)),
                Entry::Removed { device, room } => self.removed.push((device, room)),
                Entry::Connected { .. }
                | Entry::Cut { .. }
                | Entry::Entered { .. }
                | Entry::Killed { .. } => {}
            }
        }
    }

    /// What the server has taken responsibility for: what it acknowledged and did not answer with an
    /// error, and what anybody has seen with an archive id.
    pub(crate) fn accepted(&self) -> BTreeSet<Key> {
        let seen = self.received.values().flatten();
        let seen = seen.filter(|receipt| receipt.id.is_some());
        let acked = self.acked.iter().copied();
        let accepted = acked.filter(|key| !self.refused.contains_key(key));
        accepted.chain(seen.map(|receipt| receipt.key)).collect()
    }

    /// The copies that were sent to a device without its asking.
    pub(crate) fn pushes(&self, device: DeviceId) -> impl Iterator<Item = &Receipt> {
        let receipts = self.received.get(&device).into_iter().flatten();
        receipts.filter(|receipt| receipt.channel != Channel::Archive)
    }

    /// An archive, oldest first: the largest pages forward.
    pub(crate) fn archive(&self, of: Party) -> Option<&Listing> {
        let listings = self.listings.get(&of)?.iter();
        listings
            .filter(|listing| !listing.backward)
            .max_by_key(|listing| listing.size)
    }

    /// The places of messages in an archive.
    pub(crate) fn places(&self, of: Party) -> BTreeMap<Key, usize> {
        let items = self.archive(of).map(|listing| &listing.items);
        let keys = items.into_iter().flatten().map(|item| item.key);
        keys.zip(0..).collect()
    }

    /// The first copies of messages that a device got, as far as they were sent without its asking.
    pub(crate) fn first_pushes(&self, device: DeviceId) -> Vec<&Receipt> {
        let mut seen = BTreeSet::new();
        let receipts = self.received.get(&device).into_iter().flatten();
        let first = receipts.filter(|receipt| seen.insert(receipt.key));
        first
            .filter(|receipt| receipt.channel != Channel::Archive)
            .collect()
    }

    /// Whose archives hold a message: the sender's and the recipient's, or the room's alone.
    pub(crate) fn parties(&self, key: Key) -> Vec<Party> {
        let to = self.sent.get(&key).map(|sending| sending.to);
        let sender = Party::Account(key.sender.account);
        let sender = Some(sender).filter(|_| !matches!(to, Some(Party::Room(_))));
        sender.into_iter().chain(to).collect()
    }

    /// The archive that the ids of a device's copies of a message are of.
    pub(crate) fn archive_for(&self, device: DeviceId, key: Key) -> Party {
        match self.sent.get(&key).map(|sending| sending.to) {
            Some(Party::Room(room)) => Party::Room(room),
            _ => Party::Account(device.account),
        }
    }

    /// The archives that a device is given messages of: its account's and those of its rooms.
    pub(crate) fn archives_for(&self, device: DeviceId) -> impl Iterator<Item = Party> {
        let rooms = self.occupants.iter();
        let rooms = rooms.filter(move |(_, occupants)| occupants.contains(&device));
        let rooms = rooms.map(|(room, _)| Party::Room(*room));
        std::iter::once(Party::Account(device.account)).chain(rooms)
    }

    /// Whether messages to somebody are for a device.
    pub(crate) fn is_for(&self, device: DeviceId, to: Party) -> bool {
        match to {
            Party::Account(account) => account == device.account,
            Party::Room(room) => {
                let occupants = self.occupants.get(&room);
                occupants.is_some_and(|occupants| occupants.contains(&device))
            }
        }
    }
}
