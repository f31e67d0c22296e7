//! The machine.

use super::allocation::Allocation;
use super::attribute::{self, method};
use super::message::{Class, Message, Writer};
use super::requests::{FULL, allocated, error};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

/// One client as the network knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Client {
    /// Where it comes from.
    pub address: SocketAddr,
    /// To which of the owner's sockets.
    pub way: usize,
}

/// A kind of address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The kind of an address.
    pub fn of(address: IpAddr) -> Self {
        if address.is_ipv4() {
            Self::V4
        } else {
            Self::V6
        }
    }
}

/// What the owner has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Send these bytes to a client.
    Send(Client, Vec<u8>),
    /// Open an address with an even port for a client, and tell [`Turn::opened`].
    Open(Client, Family),
    /// Send these bytes from an address that was opened to a peer.
    Relay {
        /// The address, as peers see it.
        from: SocketAddr,
        /// The peer.
        to: SocketAddr,
        /// The bytes.
        data: Vec<u8>,
    },
    /// Close an address.
    Close(SocketAddr),
}

/// Bounds.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Allocations of one account.
    pub account_allocations_max: usize,
    /// Allocations altogether.
    pub allocations_max: usize,
    /// Bytes that one account's allocations relay in a second, both ways together.
    pub account_bytes_per_second_max: u64,
}

/// What the owner decides.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What passwords are for; short, as it is in answers to strangers.
    pub realm: String,
    /// What names and passwords are made with.
    pub secret: [u8; 32],
    /// The kinds of address that can be opened.
    pub families: Vec<Family>,
    /// The owner's own addresses: only other allocations can be reached there.
    pub own: Vec<IpAddr>,
    /// Whether addresses that are not of the public Internet can be relayed to.
    pub private_peers: bool,
    /// Bounds.
    pub limits: Limits,
}

/// The relay.
#[derive(Debug)]
pub struct Turn {
    pub(super) settings: Settings,
    pub(super) allocations: HashMap<Client, Allocation>,
    relays: HashMap<SocketAddr, Client>,
    pub(super) opening: HashMap<Client, Opening>,
    /// What accounts may still relay, and when that was true.
    budgets: HashMap<String, (u64, i64)>,
    pub(super) effects: Vec<Effect>,
}

/// An allocation whose address is being opened.
#[derive(Debug)]
pub(super) struct Opening {
    pub(super) transaction: [u8; 12],
    pub(super) has_checksum: bool,
    pub(super) key: [u8; 16],
    pub(super) username: String,
    pub(super) account: String,
    pub(super) lifetime: u32,
}

impl Turn {
    /// A relay without allocations.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            allocations: HashMap::new(),
            relays: HashMap::new(),
            opening: HashMap::new(),
            budgets: HashMap::new(),
            effects: Vec::new(),
        }
    }

    /// How many allocations there are.
    pub fn allocations(&self) -> usize {
        self.allocations.len()
    }

    /// What is to be done now, in order.
    #[must_use]
    pub fn effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// A datagram of a client. `now` is in microseconds since 1970.
    pub fn received(&mut self, client: Client, bytes: &[u8], now: i64) {
        match bytes.first() {
            // COMPAT(libwebrtc, coturn): RFC 8656 § 12 ends at 0x4F; RFC 5766 had four times as many.
            Some(0x40..=0x7F) => self.channel_data(client, bytes, now),
            Some(0x00..=0x3F) => {
                if let Some(message) = Message::read(bytes) {
                    self.message(client, message, now);
                }
            }
            _ => {}
        }
    }

    /// A datagram of a peer to an address that was opened.
    pub fn from_peer(&mut self, relay: SocketAddr, peer: SocketAddr, data: &[u8], now: i64) {
        let Some(client) = self.relays.get(&relay).copied() else {
            return;
        };
        let Some(allocation) = self.allocations.get(&client) else {
            return;
        };
        if !allocation.permits(peer.ip(), now) {
            return;
        }
        let channel = allocation.channel(peer, now);
        let account = allocation.account.clone();
        if !self.spend(&account, data.len(), now) {
            return;
        }
        let bytes = match (channel, u16::try_from(data.len())) {
            (Some(number), Ok(length)) => {
                let mut bytes = Vec::with_capacity(4 + data.len());
                bytes.extend(number.to_be_bytes());
                bytes.extend(length.to_be_bytes());
                bytes.extend_from_slice(data);
                bytes
            }
            _ => Writer::new(Class::Indication, method::DATA, indication(now))
                .address(attribute::PEER_ADDRESS, peer)
                .attribute(attribute::DATA, data)
                .finish(None, false),
        };
        self.effects.push(Effect::Send(client, bytes));
    }

    /// The address that was opened for a client, as peers see it; `None` if there is none.
    pub fn opened(&mut self, client: Client, relay: Option<SocketAddr>, now: i64) {
        let Some(opening) = self.opening.remove(&client) else {
            self.effects.extend(relay.map(Effect::Close));
            return;
        };
        let (transaction, key) = (opening.transaction, opening.key);
        let answer = match relay {
            None => error(FULL, method::ALLOCATE, transaction),
            Some(relay) => {
                let name = (opening.username, opening.account);
                let allocation = Allocation::new(relay, name, transaction, opening.lifetime, now);
                let answer = allocated(&allocation, client);
                self.relays.insert(relay, client);
                self.allocations.insert(client, allocation);
                answer
            }
        };
        let bytes = answer.finish(Some(&key), opening.has_checksum);
        self.effects.push(Effect::Send(client, bytes));
    }

    /// Ends what has ended; once a second is enough.
    pub fn tick(&mut self, now: i64) {
        let ended = self.allocations.iter().filter(|(_, one)| one.ends <= now);
        let ended: Vec<Client> = ended.map(|(client, _)| *client).collect();
        for client in ended {
            self.end(client);
        }
        // Whose second is over may relay all that there is.
        self.budgets.retain(|_, (_, at)| now - *at < 1_000_000);
    }

    pub(super) fn end(&mut self, client: Client) {
        if let Some(allocation) = self.allocations.remove(&client) {
            self.relays.remove(&allocation.relay);
            self.effects.push(Effect::Close(allocation.relay));
        }
    }

    fn message(&mut self, client: Client, message: Message<'_>, now: i64) {
        match (message.class, message.method) {
            (Class::Request, method::BINDING) => {
                let bytes = Writer::new(Class::Success, method::BINDING, message.transaction)
                    .address(attribute::MAPPED_ADDRESS, client.address)
                    .finish(None, message.has_checksum);
                self.effects.push(Effect::Send(client, bytes));
            }
            (Class::Request, _) => self.request(client, message, now),
            (Class::Indication, method::SEND) => self.send(client, &message, now),
            _ => {}
        }
    }

    /// § 11.2.
    fn send(&mut self, client: Client, message: &Message<'_>, now: i64) {
        let peer = message.attribute(attribute::PEER_ADDRESS);
        let peer = peer.and_then(|peer| message.address(peer));
        let (Some(peer), Some(data)) = (peer, message.attribute(attribute::DATA)) else {
            return;
        };
        self.relay(client, peer, data, now);
    }

    /// § 12.6.
    fn channel_data(&mut self, client: Client, bytes: &[u8], now: i64) {
        let Some(([n0, n1, l0, l1], rest)) = bytes.split_first_chunk::<4>() else {
            return;
        };
        let number = u16::from_be_bytes([*n0, *n1]);
        let length = usize::from(u16::from_be_bytes([*l0, *l1]));
        let allocation = self.allocations.get(&client);
        let peer = allocation.and_then(|allocation| allocation.peer(number, now));
        if let (Some(peer), Some(data)) = (peer, rest.get(..length)) {
            self.relay(client, peer, data, now);
        }
    }

    /// Data of a client for a peer.
    fn relay(&mut self, client: Client, peer: SocketAddr, data: &[u8], now: i64) {
        let Some(allocation) = self.allocations.get(&client) else {
            return;
        };
        let from = allocation.relay;
        let is_allowed = allocation.permits(peer.ip(), now) && self.judge(from, peer.ip()).is_ok();
        let account = allocation.account.clone();
        if !is_allowed || !self.spend(&account, data.len(), now) {
            return;
        }
        if self.relays.contains_key(&peer) {
            // Both of them are here.
            self.from_peer(peer, from, data, now);
        } else if !self.settings.own.contains(&peer.ip()) {
            self.effects.push(Effect::Relay {
                from,
                to: peer,
                data: data.to_vec(),
            });
        }
    }

    /// Whether an account may relay so many bytes more.
    fn spend(&mut self, account: &str, bytes: usize, now: i64) -> bool {
        let rate = self.settings.limits.account_bytes_per_second_max;
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let Some((left, at)) = self.budgets.get_mut(account) else {
            self.budgets
                .insert(account.to_owned(), (rate.saturating_sub(bytes), now));
            return bytes <= rate;
        };
        let elapsed = u64::try_from(now - *at).unwrap_or(0).min(1_000_000);
        let earned = rate.saturating_mul(elapsed) / 1_000_000;
        if earned > 0 {
            (*left, *at) = (left.saturating_add(earned).min(rate), now);
        }
        let is_enough = bytes <= *left;
        if is_enough {
            *left -= bytes;
        }
        is_enough
    }
}

/// The transaction of an indication, which nobody answers.
fn indication(now: i64) -> [u8; 12] {
    let mut transaction = [0; 12];
    let (_, place) = transaction.split_at_mut(4);
    place.copy_from_slice(&now.to_be_bytes());
    transaction
}

pub(super) fn seconds(now: i64) -> u64 {
    u64::try_from(now / 1_000_000).unwrap_or(0)
}

#[cfg(test)]
mod tests;
