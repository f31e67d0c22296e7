//! What Waxwing keeps.
//!
//! The trait speaks the domain, never rows or keys. What must be on disk before it is shown goes
//! through one ordered commit queue ([`Commits::submit`]): the writer takes all records that wait,
//! commits once, and completes them in order. This crate knows no XMPP rules.

mod access;
mod archive;
#[cfg(test)]
mod contract;
mod credentials;
mod hibernation;
mod kill_point;
mod memory;
mod outgoing;
mod pubsub;
mod record;
mod rooms;
mod roster;
mod sql;
mod sqlite;
pub mod sync;
mod uploads;

pub use access::{Client, ClientSeen, Push, Pushes, Token, TokenUse, Tokens};
pub use archive::{
    ARCHIVE_COUNT_MAX, ARCHIVE_COUNTED_MAX, ARCHIVE_FIND_MAX, ARCHIVE_IDS_MAX, Archive,
    ArchiveDefault, ArchiveFilter, ArchivePage, ArchivePreferences, Archived, Keep, PageFrom,
    PageRequest, Retention,
};
pub use credentials::{Account, Credentials};
pub use hibernation::{Hibernation, KeptStanza, SessionKey, SessionUpdate, SmSession, Stanzas};
pub use kill_point::{KILL_POINT_VARIABLE, KillPoint, kill_point};
pub use memory::MemoryStore;
pub use outgoing::{Departure, Outgoing, OutgoingMessage, Route};
pub use pubsub::{
    Affiliation, ArchivedItem, Item, ItemsFrom, ItemsOrder, ItemsPage, ItemsRequest, NewNode, Node,
    NodeChange, NodeHead, NodeKey, NodeQuota, NodeSubscription, PubSub, Publication, Published,
    Target,
};
pub use record::{
    Entry, Handled, Message, Outcome, RESEND_WINDOW, Record, Resend, SessionChange, Ticket, Wait,
    Waiting,
};
pub use rooms::{
    NewRoom, Room, RoomAffiliation, RoomChange, RoomList, RoomOptions, RoomPerson, Rooms,
};
pub use roster::{
    ROSTER_REMOVALS_MAX, ROSTER_REQUEST_BYTES_MAX, ROSTER_REQUESTS_MAX, Roster, RosterChange,
    RosterItem, Subscription,
};
pub use sqlite::{READS_WAITING_MAX, SqliteStore, WRITES_WAITING_BYTES_MAX, WRITES_WAITING_MAX};
pub use uploads::{ContentHash, Lifetime, Upload, UploadQuota, UploadUse, Uploads};

use bytes::Bytes;
use std::{future::Future, pin::Pin, sync::Arc};
use waxwing_proto::{
    BareJid, Jid,
    sasl::{Hash, Verifier},
};

/// A boxed future: a handful of store calls per stanza at most, far below the cost of a query.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
/// What a store call gives.
pub type Result<T> = std::result::Result<T, StoreError>;

/// Microseconds since 1970-01-01T00:00:00Z.
pub type Micros = i64;

/// Why a store call failed.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum StoreError {
    /// The disk is full (or a quota of the file system is): nothing was stored; later calls may work.
    Full,
    /// What was compared has changed meanwhile; read again and retry.
    Conflict,
    /// The thing to create exists.
    Exists,
    /// The account does not exist.
    NoAccount,
    /// Something named in the call does not exist: an id of an archive, a session, a client, an item.
    NoItem,
    /// A named bound on what one account may keep was reached; the names are in [`quota`].
    Quota(&'static str),
    /// A named bound on what may wait for the disk was reached: nothing was stored; later calls
    /// may work.
    Overloaded(&'static str),
    /// A failure of the back end, for the log only.
    Backend(Arc<str>),
}

impl std::fmt::Display for StoreError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Full => f.write_str("the disk is full"),
            Self::Conflict => f.write_str("changed meanwhile"),
            Self::Exists => f.write_str("exists already"),
            Self::NoAccount => f.write_str("no such account"),
            Self::NoItem => f.write_str("no such item"),
            Self::Quota(name) => write!(f, "the quota {name} is reached"),
            Self::Overloaded(name) => write!(f, "the bound {name} on waiting writes is reached"),
            Self::Backend(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for StoreError {}

/// The names of the bounds that [`StoreError::Quota`] carries.
pub mod quota {
    /// Items of a roster as clients see it (RFC 6121 § 2).
    pub const ROSTER_ITEMS: &str = "roster_items_max";
    /// Unanswered subscription requests of contacts that are not in the roster.
    pub const ROSTER_REQUESTS: &str = "roster_requests_max";
    /// Bytes of one unanswered subscription request.
    pub const ROSTER_REQUEST_BYTES: &str = "roster_request_bytes_max";
    /// Messages that wait for an account.
    pub const OFFLINE_MESSAGES: &str = "offline_messages_max";
    /// Bytes of the messages that wait for an account.
    pub const OFFLINE_BYTES: &str = "offline_bytes_max";
    /// Messages that wait for one other domain.
    pub const OUTGOING_MESSAGES: &str = "outgoing_messages_max";
    /// Bytes of the messages that wait for one other domain.
    pub const OUTGOING_BYTES: &str = "outgoing_bytes_max";
    /// Addresses in a block list.
    pub const BLOCKED_ITEMS: &str = "blocked_items_max";
    /// Bytes of an account's documents and their keys.
    pub const DOCUMENTS_BYTES: &str = "documents_bytes_max";
    /// Ids in one query of an archive.
    pub const ARCHIVE_IDS: &str = "archive_ids_max";
    /// Rules for addresses in archiving preferences.
    pub const ARCHIVE_RULES: &str = "archive_rules_max";
    /// Sessions of stream management kept for an account.
    pub const SESSIONS: &str = "sm_sessions_max";
    /// Stanzas kept for one session.
    pub const SESSION_STANZAS: &str = "sm_session_stanzas_max";
    /// Bytes of the stanzas kept for one session.
    pub const SESSION_BYTES: &str = "sm_session_bytes_max";
    /// Clients that an account remembers.
    pub const CLIENTS: &str = "clients_max";
    /// Push registrations of an account.
    pub const PUSHES: &str = "push_registrations_max";
    /// Nodes of one owner.
    pub const NODES: &str = "pubsub_nodes_max";
    /// Bytes of one owner's nodes and items.
    pub const NODES_BYTES: &str = "pubsub_bytes_max";
    /// Affiliations of one node.
    pub const NODE_AFFILIATIONS: &str = "pubsub_affiliations_max";
    /// Subscriptions of one node.
    pub const NODE_SUBSCRIPTIONS: &str = "pubsub_subscriptions_max";
    /// Items of one node that lets none go.
    pub const NODE_ITEMS: &str = "pubsub_items_max";
    /// Uploads of an account.
    pub const UPLOAD_FILES: &str = "upload_files_max";
    /// Bytes of an account's uploads.
    pub const UPLOAD_BYTES: &str = "upload_bytes_max";
}

/// Everything a back end does; used as `Arc<dyn Store>`.
///
/// A write is queued by the call itself, not by the first poll, and its future completes after
/// its commit is on disk; dropping the future does not undo the write. Writes complete in the
/// order of the calls, and a read started after a write completed sees it. Every write about an
/// account that does not exist fails with [`StoreError::NoAccount`], every such read finds
/// nothing.
pub trait Store:
    Accounts
    + Rosters
    + Commits
    + Offline
    + Blocking
    + Documents
    + Archive
    + Hibernation
    + Tokens
    + Pushes
    + PubSub
    + Rooms
    + Outgoing
    + Uploads
    + Send
    + Sync
    + 'static
{
}
impl<T> Store for T where
    T: Accounts
        + Rosters
        + Commits
        + Offline
        + Blocking
        + Documents
        + Archive
        + Hibernation
        + Tokens
        + Pushes
        + PubSub
        + Rooms
        + Outgoing
        + Uploads
        + Send
        + Sync
        + 'static
{
}

/// The trait stays usable as an object: the back end is chosen at run time.
const _: fn(Arc<MemoryStore>) -> Arc<dyn Store> = |store| store;
const _: fn(Arc<SqliteStore>) -> Arc<dyn Store> = |store| store;

/// Accounts and their verifiers. `account` is always a bare JID with a localpart.
pub trait Accounts {
    /// Creates an account; [`StoreError::Exists`] if there is one.
    fn account_create(
        &self,
        account: BareJid,
        credentials: Credentials,
        now: Micros,
    ) -> BoxFuture<'_, Result<()>>;
    /// The account, if it exists.
    fn account(&self, account: BareJid) -> BoxFuture<'_, Result<Option<Account>>>;
    /// Replaces the verifiers and ends all tokens of the account ([`Tokens`]);
    /// [`StoreError::NoAccount`] if there is no account.
    fn account_set_credentials(
        &self,
        account: BareJid,
        credentials: Credentials,
    ) -> BoxFuture<'_, Result<()>>;
    /// Adds a verifier of the same password for a hash that has none; false if there is one, which
    /// stays.
    fn account_add_verifier(
        &self,
        account: BareJid,
        hash: Hash,
        verifier: Verifier,
    ) -> BoxFuture<'_, Result<bool>>;
    /// Removes the account and everything kept for it; false if there was none.
    fn account_delete(&self, account: BareJid) -> BoxFuture<'_, Result<bool>>;
    /// Accounts of a domain in address order, after `after`, at most `count`.
    fn accounts(
        &self,
        domain: String,
        after: Option<BareJid>,
        count: u32,
    ) -> BoxFuture<'_, Result<Vec<BareJid>>>;
    /// Remembers when the last resource of the account went away and the status it left
    /// (XEP-0012). Only the hour is kept: what is at rest need not tell a person's day exactly.
    fn last_set(&self, account: BareJid, at: Micros, status: String) -> BoxFuture<'_, Result<()>>;
    /// What [`Accounts::last_set`] kept: the start of that hour, and the status.
    fn last(&self, account: BareJid) -> BoxFuture<'_, Result<Option<(Micros, String)>>>;
    /// A named random secret of this installation, made from `candidate` at first use and the same
    /// ever after.
    fn secret(&self, name: &'static str, candidate: [u8; 32]) -> BoxFuture<'_, Result<[u8; 32]>>;
}

/// Rosters (RFC 6121 § 2). Versions are per account, start at 0 (empty) and rise by one with each
/// change, removals and requests included.
pub trait Rosters {
    /// The whole roster.
    fn roster(&self, account: BareJid) -> BoxFuture<'_, Result<Roster>>;
    /// Changes after `since` of the roster as clients see it, oldest first, one per contact (the
    /// newest); `None` if `since` is unknown or older than the oldest of the
    /// [`ROSTER_REMOVALS_MAX`] removals kept. An item that ceased to be `listed` is a removal.
    fn roster_changes(
        &self,
        account: BareJid,
        since: u64,
    ) -> BoxFuture<'_, Result<Option<Vec<RosterChange>>>>;
    /// Writes one item if the roster's version is still `expected` ([`StoreError::Conflict`]
    /// otherwise), and gives the new version. [`StoreError::Quota`] when the listed items would
    /// pass `items_max`, the others [`ROSTER_REQUESTS_MAX`], or the request is longer than
    /// [`ROSTER_REQUEST_BYTES_MAX`].
    fn roster_put(
        &self,
        account: BareJid,
        expected: u64,
        item: RosterItem,
        items_max: u32,
    ) -> BoxFuture<'_, Result<u64>>;
    /// Removes one item under the same condition; the version rises and a removal is remembered.
    /// Without such an item nothing changes, and the version given is `expected`.
    fn roster_remove(
        &self,
        account: BareJid,
        expected: u64,
        contact: BareJid,
    ) -> BoxFuture<'_, Result<u64>>;
}

/// The ordered commit queue of `architecture` § "Life of a 1:1 message".
pub trait Commits {
    /// Queues a record. Never blocks and never waits; records complete in submission order, each
    /// after its commit is on disk.
    fn submit(&self, record: Record) -> Ticket;
}

/// Messages that wait for an account without an available resource (XEP-0160): a view of those that
/// archives hold, and of those that only wait.
pub trait Offline {
    /// Waiting messages in order, `after` the id given (0 for the start), at most `count`.
    fn offline(
        &self,
        account: BareJid,
        after: u64,
        count: u32,
    ) -> BoxFuture<'_, Result<Vec<OfflineMessage>>>;
    /// Forgets the messages with these ids, and no other: one with an id in between may have been
    /// put there since they were read ([`Wait`]). Ids that do not wait are passed over.
    fn offline_remove(&self, account: BareJid, ids: Vec<u64>) -> BoxFuture<'_, Result<()>>;
    /// How many wait.
    fn offline_count(&self, account: BareJid) -> BoxFuture<'_, Result<u64>>;
}

/// One waiting message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfflineMessage {
    /// Its place in the queue; rises in commit order.
    pub id: u64,
    /// When it was received.
    pub at: Micros,
    /// The stanza, `jabber:client` in scope.
    pub stanza: Bytes,
    /// Whether the account's archive has it, too, under the same id.
    pub archived: bool,
}

/// Block lists (XEP-0191).
pub trait Blocking {
    /// The list, in address order.
    fn blocked(&self, account: BareJid) -> BoxFuture<'_, Result<Vec<Jid>>>;
    /// Adds addresses, all or none; [`StoreError::Quota`] if the list would pass `items_max`.
    fn block(&self, account: BareJid, jids: Vec<Jid>, items_max: u32) -> BoxFuture<'_, Result<()>>;
    /// Removes addresses; `None` removes all.
    fn unblock(&self, account: BareJid, jids: Option<Vec<Jid>>) -> BoxFuture<'_, Result<()>>;
}

/// Small XML documents of an account: vCards (XEP-0054) and private storage (XEP-0049).
pub trait Documents {
    /// The document under a key such as `vcard` or `private {ns}name`.
    fn document(&self, account: BareJid, key: String) -> BoxFuture<'_, Result<Option<Bytes>>>;
    /// Writes it; `None` removes it. [`StoreError::Quota`] if the account's documents and their
    /// keys would pass `bytes_max` together.
    fn document_set(
        &self,
        account: BareJid,
        key: String,
        xml: Option<Bytes>,
        bytes_max: u64,
    ) -> BoxFuture<'_, Result<()>>;
}
