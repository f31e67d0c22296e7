//! The machine.

use super::allocation::Allocation;
use super::attribute::{self, method};
use super::message::{Class, Message, Writer};
use super::{credentials, peers};
use crate::sasl::{self, Hash};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use subtle::ConstantTimeEq as _;

/// How long a nonce is good, in seconds.
const NONCE_SECONDS: u64 = 3600;
/// The lifetime of an allocation whose client does not say one, and the longest (RFC 8656 § 7.2).
const LIFETIME: u32 = 600;
const LIFETIME_MAX: u32 = 3600;
/// What UDP is called (§ 7.2).
const UDP: u8 = 17;

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
    /// Open an address for a client, and tell [`Turn::opened`].
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
    settings: Settings,
    allocations: HashMap<Client, Allocation>,
    relays: HashMap<SocketAddr, Client>,
    opening: HashMap<Client, Opening>,
    /// What accounts may still relay, and when that was true.
    budgets: HashMap<String, (u64, i64)>,
    effects: Vec<Effect>,
}

/// An allocation whose address is being opened.
#[derive(Debug)]
struct Opening {
    transaction: [u8; 12],
    has_checksum: bool,
    key: [u8; 16],
    username: String,
    account: String,
    lifetime: u32,
}

/// A request that is signed.
struct Signed<'a> {
    client: Client,
    message: Message<'a>,
    key: [u8; 16],
    username: String,
    account: String,
    now: i64,
}

/// Why a request is refused (RFC 8489 § 14.8, RFC 8656 § 19).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Refused(u16);

const BAD_REQUEST: Refused = Refused(400);
const UNAUTHORIZED: Refused = Refused(401);
const FORBIDDEN: Refused = Refused(403);
const UNKNOWN: Refused = Refused(420);
const MISMATCH: Refused = Refused(437);
const STALE: Refused = Refused(438);
const WRONG_FAMILY: Refused = Refused(440);
const WRONG_NAME: Refused = Refused(441);
const WRONG_TRANSPORT: Refused = Refused(442);
const PEER_FAMILY: Refused = Refused(443);
const QUOTA: Refused = Refused(486);
const FULL: Refused = Refused(508);

type Answer = Result<Writer, Refused>;

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
            Some(0x40..=0x4F) => self.channel_data(client, bytes, now),
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

    fn end(&mut self, client: Client) {
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

    fn request(&mut self, client: Client, message: Message<'_>, now: i64) {
        let sum = message.has_checksum;
        let (method, transaction) = (message.method, message.transaction);
        let signed = match self.signed(client, message, now) {
            Ok(signed) => signed,
            Err(refused) => {
                let mut answer = error(refused, method, transaction);
                if refused != BAD_REQUEST {
                    answer = answer
                        .attribute(attribute::REALM, self.settings.realm.as_bytes())
                        .attribute(attribute::NONCE, self.nonce(client, now).as_bytes());
                }
                self.effects
                    .push(Effect::Send(client, answer.finish(None, sum)));
                return;
            }
        };
        let answer = match understood(&signed.message) {
            Err(answer) => Ok(answer),
            Ok(()) => match method {
                method::ALLOCATE => match self.allocate(&signed) {
                    Ok(Some(answer)) => Ok(answer),
                    Ok(None) => return,
                    Err(refused) => Err(refused),
                },
                method::REFRESH => self.refresh(&signed),
                method::CREATE_PERMISSION => self.create_permission(&signed),
                method::CHANNEL_BIND => self.channel_bind(&signed),
                _ => Err(BAD_REQUEST),
            },
        };
        let answer = answer.unwrap_or_else(|refused| error(refused, method, transaction));
        let bytes = answer.finish(Some(&signed.key), sum);
        self.effects.push(Effect::Send(client, bytes));
    }

    /// Who has signed a request (RFC 8489 § 9.2.4).
    fn signed<'a>(
        &self,
        client: Client,
        message: Message<'a>,
        now: i64,
    ) -> Result<Signed<'a>, Refused> {
        if !message.has_code() {
            return Err(UNAUTHORIZED);
        }
        let text = |kind| message.attribute(kind).map(std::str::from_utf8);
        let (Some(Ok(username)), Some(Ok(realm)), Some(Ok(nonce))) = (
            text(attribute::USERNAME),
            text(attribute::REALM),
            text(attribute::NONCE),
        ) else {
            return Err(BAD_REQUEST);
        };
        if !self.is_fresh(client, nonce, now) {
            return Err(STALE);
        }
        let Settings {
            secret, realm: own, ..
        } = &self.settings;
        let found = credentials::key(secret, own, username, seconds(now));
        let (key, account) = found.ok_or(UNAUTHORIZED)?;
        if realm != own || !message.is_by(&key) {
            return Err(UNAUTHORIZED);
        }
        Ok(Signed {
            client,
            message,
            key,
            username: username.to_owned(),
            account,
            now,
        })
    }

    /// Something that only this server can make, for this client and some time: when it was made, and
    /// a code. Short, so that an answer is not much longer than what asked for it.
    fn nonce(&self, client: Client, now: i64) -> String {
        self.nonce_of(client, seconds(now))
    }

    fn nonce_of(&self, client: Client, at: u64) -> String {
        let at = at.to_be_bytes();
        let address = client.address.to_string();
        let code = Hash::Sha256.hmac(
            &self.settings.secret,
            &[b"nonce\0", &at, address.as_bytes()],
        );
        let mut nonce = at.get(3..).unwrap_or_default().to_vec();
        nonce.extend(code.iter().take(7));
        sasl::encode(&nonce)
    }

    fn is_fresh(&self, client: Client, nonce: &str, now: i64) -> bool {
        let Ok(bytes) = sasl::decode(nonce) else {
            return false;
        };
        let Some((at, _)) = bytes.split_first_chunk::<5>() else {
            return false;
        };
        let at = at.iter().fold(0, |at, byte| (at << 8) | u64::from(*byte));
        let is_recent = at <= seconds(now) && seconds(now) - at < NONCE_SECONDS;
        let want = self.nonce_of(client, at);
        is_recent && bool::from(want.as_bytes().ct_eq(nonce.as_bytes()))
    }

    /// RFC 8656 § 7.2. No answer while the address is being opened.
    fn allocate(&mut self, signed: &Signed<'_>) -> Result<Option<Writer>, Refused> {
        let message = &signed.message;
        if let Some(there) = self.allocations.get(&signed.client) {
            // The same request again: the answer was lost.
            let is_same = there.transaction == message.transaction;
            return if is_same {
                Ok(Some(allocated(there, signed.client)))
            } else {
                Err(MISMATCH)
            };
        }
        if self.opening.contains_key(&signed.client) {
            return Ok(None);
        }
        match message.attribute(attribute::TRANSPORT) {
            Some([UDP, ..]) => {}
            Some(_) => return Err(WRONG_TRANSPORT),
            None => return Err(BAD_REQUEST),
        }
        let family = match message.attribute(attribute::FAMILY) {
            None | Some([1, ..]) => Family::V4,
            Some([2, ..]) => Family::V6,
            Some(_) => return Err(WRONG_FAMILY),
        };
        if !self.settings.families.contains(&family) {
            return Err(WRONG_FAMILY);
        }
        let limits = &self.settings.limits;
        if self.allocations.len() + self.opening.len() >= limits.allocations_max {
            return Err(FULL);
        }
        let there = self.allocations.values().map(|one| &one.account);
        let all = there.chain(self.opening.values().map(|one| &one.account));
        let own = all.filter(|account| **account == signed.account).count();
        if own >= limits.account_allocations_max {
            return Err(QUOTA);
        }
        let opening = Opening {
            transaction: message.transaction,
            has_checksum: message.has_checksum,
            key: signed.key,
            username: signed.username.clone(),
            account: signed.account.clone(),
            lifetime: lifetime(message)
                .unwrap_or(LIFETIME)
                .clamp(LIFETIME, LIFETIME_MAX),
        };
        self.opening.insert(signed.client, opening);
        self.effects.push(Effect::Open(signed.client, family));
        Ok(None)
    }

    /// The allocation of the client, if it was made with the same name (§ 7.3, § 5).
    fn own(&mut self, signed: &Signed<'_>) -> Result<&mut Allocation, Refused> {
        let allocation = self.allocations.get_mut(&signed.client).ok_or(MISMATCH)?;
        // A client that has got a new name in the meantime is still the same account.
        if allocation.account != signed.account {
            return Err(WRONG_NAME);
        }
        Ok(allocation)
    }

    /// § 8.2.
    fn refresh(&mut self, signed: &Signed<'_>) -> Answer {
        let message = &signed.message;
        let wanted = lifetime(message).unwrap_or(LIFETIME);
        let allocation = self.own(signed)?;
        if let Some([family, ..]) = message.attribute(attribute::FAMILY) {
            let is_v4 = allocation.relay.is_ipv4();
            if *family != if is_v4 { 1 } else { 2 } {
                return Err(PEER_FAMILY);
            }
        }
        let given = match wanted {
            0 => 0,
            wanted => wanted.clamp(LIFETIME, LIFETIME_MAX),
        };
        allocation.ends = signed.now + i64::from(given) * 1_000_000;
        allocation.username.clone_from(&signed.username);
        if given == 0 {
            self.end(signed.client);
        }
        Ok(success(signed).attribute(attribute::LIFETIME, &given.to_be_bytes()))
    }

    /// § 10.2.
    fn create_permission(&mut self, signed: &Signed<'_>) -> Answer {
        let message = &signed.message;
        let mut peers = Vec::new();
        let relay = self.own(signed)?.relay;
        for (kind, value) in message.attributes() {
            if kind == attribute::PEER_ADDRESS {
                let peer = message.address(value).ok_or(BAD_REQUEST)?;
                self.judge(relay, peer.ip())?;
                peers.push(peer.ip());
            }
        }
        if peers.is_empty() {
            return Err(BAD_REQUEST);
        }
        if !self.own(signed)?.permit(&peers, signed.now) {
            return Err(FULL);
        }
        Ok(success(signed))
    }

    /// § 12.2.
    fn channel_bind(&mut self, signed: &Signed<'_>) -> Answer {
        let message = &signed.message;
        let number = match message.attribute(attribute::CHANNEL_NUMBER) {
            Some([high @ 0x40..=0x4F, low, ..]) => u16::from_be_bytes([*high, *low]),
            _ => return Err(BAD_REQUEST),
        };
        let peer = message.attribute(attribute::PEER_ADDRESS);
        let peer = peer.and_then(|peer| message.address(peer));
        let peer = peer.ok_or(BAD_REQUEST)?;
        let relay = self.own(signed)?.relay;
        self.judge(relay, peer.ip())?;
        if !self.own(signed)?.bind(number, peer, signed.now) {
            return Err(BAD_REQUEST);
        }
        Ok(success(signed))
    }

    /// Whether anything may be sent to an address.
    fn judge(&self, relay: SocketAddr, peer: IpAddr) -> Result<(), Refused> {
        if Family::of(relay.ip()) != Family::of(peer) {
            return Err(PEER_FAMILY);
        }
        // Other allocations are at our own addresses; of what is there nothing else is reached.
        let is_own = self.settings.own.contains(&peer);
        if is_own || self.settings.private_peers || peers::is_public(peer) {
            Ok(())
        } else {
            Err(FORBIDDEN)
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

fn seconds(now: i64) -> u64 {
    u64::try_from(now / 1_000_000).unwrap_or(0)
}

fn lifetime(message: &Message<'_>) -> Option<u32> {
    let value = message.attribute(attribute::LIFETIME)?;
    Some(u32::from_be_bytes(value.try_into().ok()?))
}

fn success(signed: &Signed<'_>) -> Writer {
    let message = &signed.message;
    Writer::new(Class::Success, message.method, message.transaction)
}

fn allocated(allocation: &Allocation, client: Client) -> Writer {
    Writer::new(Class::Success, method::ALLOCATE, allocation.transaction)
        .address(attribute::RELAYED_ADDRESS, allocation.relay)
        .attribute(attribute::LIFETIME, &allocation.lifetime.to_be_bytes())
        .address(attribute::MAPPED_ADDRESS, client.address)
}

/// An answer that says a number and no reason: reasons are for people, and lengthen it.
fn error(Refused(code): Refused, method: u16, transaction: [u8; 12]) -> Writer {
    let number = |number: u16| u8::try_from(number).unwrap_or(0);
    let value = [0, 0, number(code / 100), number(code % 100)];
    Writer::new(Class::Error, method, transaction).attribute(attribute::ERROR_CODE, &value)
}

/// Whether all is known that a client wants to be understood (RFC 8489 § 14); the answer if it is
/// not.
fn understood(message: &Message<'_>) -> Result<(), Writer> {
    let is_known = |kind: u16| {
        use attribute::{
            CHANNEL_NUMBER, DATA, FAMILY, LIFETIME, NONCE, PEER_ADDRESS, REALM, TRANSPORT, USERNAME,
        };
        kind >= 0x8000
            || [
                CHANNEL_NUMBER,
                DATA,
                FAMILY,
                LIFETIME,
                NONCE,
                PEER_ADDRESS,
                REALM,
                TRANSPORT,
                USERNAME,
            ]
            .contains(&kind)
    };
    let unknown = message.attributes().filter(|(kind, _)| !is_known(*kind));
    let unknown: Vec<u8> = unknown.flat_map(|(kind, _)| kind.to_be_bytes()).collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let answer = error(UNKNOWN, message.method, message.transaction);
    Err(answer.attribute(attribute::UNKNOWN, &unknown))
}

#[cfg(test)]
mod tests;
