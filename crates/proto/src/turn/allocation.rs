//! An address that a client has for its peers, and what may come and go there.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

/// How long a permission lives, in microseconds (RFC 8656 § 9).
const PERMISSION: i64 = 300 * 1_000_000;
/// How long a channel lives (§ 12).
const CHANNEL: i64 = 600 * 1_000_000;
/// Peers of one allocation. A call has a handful of candidates; a group of twenty has more.
const PERMISSIONS_MAX: usize = 256;

/// One allocation.
#[derive(Debug)]
pub(super) struct Allocation {
    /// The address that peers see.
    pub(super) relay: SocketAddr,
    /// The name it was made with.
    pub(super) username: String,
    /// Whose it is.
    pub(super) account: String,
    /// The request that made it, for its repetitions.
    pub(super) transaction: [u8; 12],
    /// How long it was to live at first, in seconds.
    pub(super) lifetime: u32,
    /// When it ends.
    pub(super) ends: i64,
    permissions: HashMap<IpAddr, i64>,
    channels: HashMap<u16, (SocketAddr, i64)>,
}

impl Allocation {
    pub(super) fn new(
        relay: SocketAddr,
        (username, account): (String, String),
        transaction: [u8; 12],
        lifetime: u32,
        now: i64,
    ) -> Self {
        Self {
            relay,
            username,
            account,
            transaction,
            lifetime,
            ends: now + i64::from(lifetime) * 1_000_000,
            permissions: HashMap::new(),
            channels: HashMap::new(),
        }
    }

    /// Lets peers at these addresses send; false if there are too many.
    pub(super) fn permit(&mut self, peers: &[IpAddr], now: i64) -> bool {
        self.permissions.retain(|_, ends| *ends > now);
        if self.permissions.len() + peers.len() > PERMISSIONS_MAX {
            return false;
        }
        let until = now + PERMISSION;
        self.permissions
            .extend(peers.iter().map(|peer| (*peer, until)));
        true
    }

    /// Whether peers at an address may send and be sent to.
    pub(super) fn permits(&self, peer: IpAddr, now: i64) -> bool {
        self.permissions.get(&peer).is_some_and(|ends| *ends > now)
    }

    /// Gives a channel to a peer, which may send then; false if one of the two has another already, or
    /// there are too many.
    pub(super) fn bind(&mut self, number: u16, peer: SocketAddr, now: i64) -> bool {
        self.channels.retain(|_, (_, ends)| *ends > now);
        let clashes = |(other, (bound, _)): (&u16, &(SocketAddr, i64))| {
            (*other == number) != (*bound == peer)
        };
        if self.channels.iter().any(clashes)
            || self.channels.len() >= PERMISSIONS_MAX
            || !self.permit(&[peer.ip()], now)
        {
            return false;
        }
        self.channels.insert(number, (peer, now + CHANNEL));
        true
    }

    /// The peer of a channel.
    pub(super) fn peer(&self, number: u16, now: i64) -> Option<SocketAddr> {
        let (peer, ends) = self.channels.get(&number)?;
        (*ends > now).then_some(*peer)
    }

    /// The channel of a peer.
    pub(super) fn channel(&self, peer: SocketAddr, now: i64) -> Option<u16> {
        let mut channels = self.channels.iter();
        channels
            .find_map(|(number, (bound, ends))| (*bound == peer && *ends > now).then_some(*number))
    }
}
