//! Sessions of stream management (XEP-0198) that outlive their streams and the server.
//!
//! A session on disk is a cursor into the archive, the count of stanzas handled, a state that only
//! the engine reads, and the stanzas for it that no archive holds. Its generation makes sure that
//! it has one owner: who takes it over raises the generation, and from then on everything the
//! former owner tries on it fails with [`crate::StoreError::Conflict`].

use crate::{BoxFuture, Micros, Result, Waiting};
use bytes::Bytes;
use waxwing_proto::BareJid;

/// Hibernated sessions.
pub trait Hibernation {
    /// Puts a new session; its generation is 1 whatever is given. [`crate::StoreError::Exists`] if
    /// the account has one of that id, [`crate::StoreError::Quota`] if it would have more than
    /// `sessions_max`.
    fn session_put(
        &self,
        account: BareJid,
        session: SmSession,
        sessions_max: u32,
    ) -> BoxFuture<'_, Result<()>>;
    /// One session.
    fn session(&self, account: BareJid, id: String) -> BoxFuture<'_, Result<Option<SmSession>>>;
    /// All sessions of the account, in the order of their ids.
    fn sessions(&self, account: BareJid) -> BoxFuture<'_, Result<Vec<SmSession>>>;
    /// Makes the caller the owner of a session that was read with this generation: raises the
    /// generation by one, takes the expiry away, and gives the session as it is now.
    /// [`crate::StoreError::Conflict`] if somebody was quicker, [`crate::StoreError::NoItem`] if it
    /// has gone.
    fn session_take(&self, account: BareJid, key: SessionKey) -> BoxFuture<'_, Result<SmSession>>;
    /// Changes a session; only its owner can. Errors as for [`Hibernation::session_take`].
    fn session_update(
        &self,
        account: BareJid,
        key: SessionKey,
        update: SessionUpdate,
    ) -> BoxFuture<'_, Result<()>>;
    /// Ends a session and forgets the stanzas kept for it; only its owner can, so that what was
    /// kept meanwhile is not lost unseen. Errors as for [`Hibernation::session_take`].
    fn session_remove(&self, account: BareJid, key: SessionKey) -> BoxFuture<'_, Result<()>>;
    /// Ends a session as [`Hibernation::session_remove`] does, and in the same commit, if `waiting`
    /// is given, puts the messages that it may have missed into the account's offline queue:
    /// those in the archive that others sent, after what the session has acknowledged, up to and
    /// including `until` if that is given. The oldest come first; where the bounds are reached, the
    /// rest stays out. Gives whether any was put there. The queue is always that of `account`.
    /// Errors as for [`Hibernation::session_take`].
    ///
    /// For the place of such messages in the queue see [`crate::Wait`].
    fn session_end(
        &self,
        account: BareJid,
        key: SessionKey,
        until: Option<u64>,
        waiting: Option<Waiting>,
    ) -> BoxFuture<'_, Result<bool>>;
    /// Keeps stanzas for a session that no archive holds, all or none, in order; gives the id of
    /// the last, or 0 for none. Ids are of the same row as those of archives, so that both kinds
    /// can be put in order. [`crate::StoreError::Quota`] past the bounds; other errors as for
    /// [`Hibernation::session_take`].
    fn session_keep(
        &self,
        account: BareJid,
        key: SessionKey,
        keep: Stanzas,
    ) -> BoxFuture<'_, Result<u64>>;
    /// Stanzas kept for a session, oldest first, after an id (0 for the start), at most `count`.
    fn session_kept(
        &self,
        account: BareJid,
        id: String,
        after: u64,
        count: u32,
    ) -> BoxFuture<'_, Result<Vec<KeptStanza>>>;
    /// Forgets the stanzas kept for a session up to and including `last`. Errors as for
    /// [`Hibernation::session_take`].
    fn session_forget(
        &self,
        account: BareJid,
        key: SessionKey,
        last: u64,
    ) -> BoxFuture<'_, Result<()>>;
    /// Sessions of all accounts that expired before `now`, the longest expired first, at most
    /// `count`: the caller takes each, sees to what it did not get, and removes it.
    fn sessions_expired(
        &self,
        now: Micros,
        count: u32,
    ) -> BoxFuture<'_, Result<Vec<(BareJid, SessionKey)>>>;
    /// Gives this expiry to every session that has none; gives how many there were. For the start
    /// of a server: such a session had a stream when the one before it ended. Only one process may
    /// serve the sessions of a database.
    fn sessions_release(&self, expires: Micros) -> BoxFuture<'_, Result<u64>>;
}

/// One session as kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SmSession {
    /// Its id within the account.
    pub id: String,
    /// How often its owner has changed, from 1.
    pub generation: u64,
    /// The resource it is bound to.
    pub resource: String,
    /// Stanzas of the client that were handled, `h` of XEP-0198 § 4, modulo 2^32.
    pub handled: u32,
    /// The newest id of its archive that the client has acknowledged.
    pub acknowledged: u64,
    /// When it ends; never while it has a stream.
    pub expires: Option<Micros>,
    /// What else the engine needs to go on.
    pub state: Bytes,
}

/// A session and the generation its caller believes it to have.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SessionKey {
    /// The session's id within the account.
    pub id: String,
    /// The generation.
    pub generation: u64,
}

/// What changes in a session; `None` stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionUpdate {
    /// Stanzas of the client that were handled; ignored if more are known to be, by the distance
    /// modulo 2^32.
    pub handled: Option<u32>,
    /// The newest id of its archive that the client has acknowledged.
    pub acknowledged: Option<u64>,
    /// When it ends, or that it does not.
    pub expires: Option<Option<Micros>>,
    /// What else the engine needs to go on.
    pub state: Option<Bytes>,
}

/// Stanzas to keep for a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stanzas {
    /// The time, from which ids are made.
    pub at: Micros,
    /// The stanzas.
    pub stanzas: Vec<Bytes>,
    /// How many may be kept for the session.
    pub stanzas_max: u32,
    /// How many bytes may be kept for it.
    pub bytes_max: u64,
}

/// A stanza kept for a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptStanza {
    /// Its place among those of the session and the entries of archives.
    pub id: u64,
    /// The stanza.
    pub stanza: Bytes,
}

impl SmSession {
    /// Its key at this generation.
    pub fn key(&self) -> SessionKey {
        SessionKey {
            id: self.id.clone(),
            generation: self.generation,
        }
    }
}
