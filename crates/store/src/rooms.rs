//! Rooms (XEP-0045).
//!
//! A room has an archive like an account ([`crate::Archive`] and [`crate::Record::Message`] take its
//! address), and nobody can log in to it: [`crate::Accounts`] does not know it. What it may be, and
//! who may do what, is not decided here.

use crate::{BoxFuture, Micros, Result};
use bytes::Bytes;
use waxwing_proto::BareJid;

/// Rooms that are configured.
pub trait Rooms {
    /// A room, if there is one.
    fn room(&self, room: BareJid) -> BoxFuture<'_, Result<Option<Room>>>;
    /// Who destroyed a room of this name, and when, if nobody has made it anew.
    fn room_destroyed(&self, room: BareJid) -> BoxFuture<'_, Result<Option<(BareJid, Micros)>>>;
    /// Makes a room; [`crate::StoreError::Exists`] if there is one or an account of that name. That
    /// one of that name was destroyed is forgotten.
    fn room_create(&self, room: BareJid, new: NewRoom) -> BoxFuture<'_, Result<()>>;
    /// Changes a room; [`crate::StoreError::NoAccount`] if there is none.
    fn room_change(&self, room: BareJid, change: RoomChange) -> BoxFuture<'_, Result<()>>;
    /// Removes a room with its archive, remembering who has done it and when if that is given;
    /// false if there was none.
    fn room_delete(
        &self,
        room: BareJid,
        destroyed: Option<(BareJid, Micros)>,
    ) -> BoxFuture<'_, Result<bool>>;
    /// Rooms of a service with the names that they are listed by, in the order of addresses, after
    /// `after`, at most `count`.
    fn rooms(
        &self,
        service: String,
        which: RoomList,
        after: Option<BareJid>,
        count: u32,
    ) -> BoxFuture<'_, Result<Vec<(BareJid, String)>>>;
    /// Forgets rooms that were destroyed before a time; gives how many there were.
    fn rooms_forget(&self, before: Micros) -> BoxFuture<'_, Result<u64>>;
}

/// A room as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    /// What the ids of its occupants are made with.
    pub secret: [u8; 32],
    /// Its options, as the engine wrote them.
    pub config: Bytes,
    /// Its subject, as the engine wrote it, if it was ever set.
    pub subject: Option<Bytes>,
    /// Who has an affiliation, a nick or a version, in address order.
    pub people: Vec<RoomPerson>,
    /// Those whose affiliation went with this version or before are forgotten.
    pub people_since: u64,
}

/// What a room knows of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomPerson {
    /// Whose; a domain is all of its accounts.
    pub jid: BareJid,
    /// The affiliation, if there is one.
    pub affiliation: Option<RoomAffiliation>,
    /// The nick that nobody else may have.
    pub nick: Option<String>,
    /// The version of the list of people that its affiliation came or went with; 0 if there is none.
    pub version: u64,
}

/// What an account is to a room (XEP-0045 § 5.2). Who is nothing has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RoomAffiliation {
    /// Decides about it.
    Owner,
    /// Looks after it.
    Admin,
    /// Belongs to it.
    Member,
    /// Banned.
    Outcast,
}

/// The options of a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomOptions {
    /// As the engine reads them.
    pub config: Bytes,
    /// The name by which it is in the list of rooms.
    pub listed: Option<String>,
    /// It goes with its last occupant.
    pub temporary: bool,
}

/// A room to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRoom {
    /// When.
    pub at: Micros,
    /// What the ids of its occupants are made with.
    pub secret: [u8; 32],
    /// Its options.
    pub options: RoomOptions,
    /// Who has an affiliation or a nick from the beginning.
    pub people: Vec<RoomPerson>,
}

/// What changes about a room.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RoomChange {
    /// Its options.
    pub options: Option<RoomOptions>,
    /// Accounts as they are from now on; one with neither affiliation, nick nor version is forgotten.
    pub people: Vec<RoomPerson>,
    /// Those with neither affiliation nor nick, and this version or an older one, are forgotten.
    pub people_since: Option<u64>,
}

/// Which rooms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoomList {
    /// Those that are in the list of rooms.
    Listed,
    /// Those that go with their last occupant; whatever their names.
    Temporary,
}

impl RoomPerson {
    pub(crate) fn is_nothing(&self) -> bool {
        self.is_departed() && self.version == 0
    }

    pub(crate) fn is_departed(&self) -> bool {
        self.affiliation.is_none() && self.nick.is_none()
    }

    fn bytes(&self) -> usize {
        self.jid.as_str().len() + self.nick.as_ref().map_or(0, String::len)
    }
}

impl RoomOptions {
    fn bytes(&self) -> usize {
        self.config.len() + self.listed.as_ref().map_or(0, String::len)
    }
}

impl NewRoom {
    /// About how many bytes it holds.
    pub(crate) fn bytes(&self) -> usize {
        self.options.bytes() + self.people.iter().map(RoomPerson::bytes).sum::<usize>()
    }
}

impl RoomChange {
    /// About how many bytes it holds.
    pub(crate) fn bytes(&self) -> usize {
        self.options.as_ref().map_or(0, RoomOptions::bytes)
            + self.people.iter().map(RoomPerson::bytes).sum::<usize>()
    }
}
