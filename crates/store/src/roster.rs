//! Roster items (RFC 6121 § 2.1).

use bytes::Bytes;
use waxwing_proto::BareJid;

/// How many removals of one roster are remembered for versioning (RFC 6121 § 2.6); a client that
/// has been away for longer gets the whole roster.
pub const ROSTER_REMOVALS_MAX: u32 = 200;

/// How many unanswered subscription requests from contacts outside the roster one account keeps.
pub const ROSTER_REQUESTS_MAX: u32 = 200;

/// How long one kept subscription request may be, in bytes: enough for a nickname and a message.
pub const ROSTER_REQUEST_BYTES_MAX: usize = 16 * 1024;

/// A roster as read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Roster {
    /// Its version.
    pub version: u64,
    /// Its items in address order.
    pub items: Vec<RosterItem>,
}

/// Subscription states (RFC 6121 § 2.1.2.5).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Subscription {
    /// Neither side sees the other.
    #[default]
    None = 0,
    /// The user sees the contact.
    To = 1,
    /// The contact sees the user.
    From = 2,
    /// Both.
    Both = 3,
}

/// One contact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RosterItem {
    /// The contact.
    pub jid: BareJid,
    /// Name given by the user; empty for none.
    pub name: String,
    /// Groups, sorted, without repeats.
    pub groups: Vec<String>,
    /// Subscription state.
    pub subscription: Subscription,
    /// The user has asked to subscribe ("pending out", `ask='subscribe'`).
    pub ask: bool,
    /// The user has approved in advance (RFC 6121 § 3.4).
    pub approved: bool,
    /// The whole `subscribe` stanza of a request that the user has not answered ("pending in").
    /// An item that is only that (`listed` false) is not part of the roster as clients see it.
    pub request: Option<Bytes>,
    /// Whether the item is part of the roster as clients see it.
    pub listed: bool,
}

/// One change since a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RosterChange {
    /// The version the change made.
    pub version: u64,
    /// The contact.
    pub jid: BareJid,
    /// The item now; `None` if it was removed.
    pub item: Option<RosterItem>,
}
