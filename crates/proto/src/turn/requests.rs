//! Requests of clients: who has signed them, and what they are answered.

use super::allocation::Allocation;
use super::attribute::{self, method};
use super::message::{Class, Message, Writer};
use super::server::{Client, Effect, Family, Opening, Settings, Turn, seconds};
use super::{credentials, peers};
use crate::sasl::{self, Hash};
use std::net::{IpAddr, SocketAddr};
use subtle::ConstantTimeEq as _;

/// How long a nonce is good, in seconds.
const NONCE_SECONDS: u64 = 3600;
/// The lifetime of an allocation whose client does not say one, and the longest (RFC 8656 § 7.2).
const LIFETIME: u32 = 600;
const LIFETIME_MAX: u32 = 3600;
/// What UDP is called (§ 7.2).
const UDP: u8 = 17;

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
pub(super) struct Refused(u16);

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
pub(super) const FULL: Refused = Refused(508);

type Answer = Result<Writer, Refused>;

impl Turn {
    pub(super) fn request(&mut self, client: Client, message: Message<'_>, now: i64) {
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
        // Ports are even; two of them are for nobody who multiplexes (RFC 8656 § 7.2).
        if matches!(
            message.attribute(attribute::EVEN_PORT),
            Some([0x80..=0xFF, ..])
        ) {
            return Err(FULL);
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
            Some([high @ 0x40..=0x7F, low, ..]) => u16::from_be_bytes([*high, *low]),
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
    pub(super) fn judge(&self, relay: SocketAddr, peer: IpAddr) -> Result<(), Refused> {
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
}

fn lifetime(message: &Message<'_>) -> Option<u32> {
    let value = message.attribute(attribute::LIFETIME)?;
    Some(u32::from_be_bytes(value.try_into().ok()?))
}

fn success(signed: &Signed<'_>) -> Writer {
    let message = &signed.message;
    Writer::new(Class::Success, message.method, message.transaction)
}

pub(super) fn allocated(allocation: &Allocation, client: Client) -> Writer {
    Writer::new(Class::Success, method::ALLOCATE, allocation.transaction)
        .address(attribute::RELAYED_ADDRESS, allocation.relay)
        .attribute(attribute::LIFETIME, &allocation.lifetime.to_be_bytes())
        .address(attribute::MAPPED_ADDRESS, client.address)
}

/// An answer that says a number and no reason: reasons are for people, and lengthen it.
pub(super) fn error(Refused(code): Refused, method: u16, transaction: [u8; 12]) -> Writer {
    let number = |number: u16| u8::try_from(number).unwrap_or(0);
    let value = [0, 0, number(code / 100), number(code % 100)];
    Writer::new(Class::Error, method, transaction).attribute(attribute::ERROR_CODE, &value)
}

/// Whether all is known that a client wants to be understood (RFC 8489 § 14); the answer if it is
/// not.
fn understood(message: &Message<'_>) -> Result<(), Writer> {
    let is_known = |kind: u16| {
        use attribute::{
            CHANNEL_NUMBER, DATA, EVEN_PORT, FAMILY, LIFETIME, NONCE, PEER_ADDRESS, REALM,
            TRANSPORT, USERNAME,
        };
        kind >= 0x8000
            || [
                CHANNEL_NUMBER,
                DATA,
                EVEN_PORT,
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
