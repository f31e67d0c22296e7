//! What goes through the commit queue.

use crate::{Departure, Micros, Result, SessionKey, SessionUpdate};
use bytes::Bytes;
use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::sync::oneshot;
use waxwing_proto::{BareJid, Jid};

/// What one stanza must leave on disk before anybody sees it; committed as a whole or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// A message for archives, perhaps for the offline queue, and what else its commit must cover.
    Message(Box<Message>),
    /// A message that is in an archive already, for the offline queue.
    Wait(Box<Wait>),
    /// A change of a session of stream management, as [`crate::Hibernation::session_update`] does
    /// it. Its outcome has no id.
    Session(Box<SessionChange>),
}

/// A message and everything that is committed with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// When it was received.
    pub at: Micros,
    /// The stanza, `jabber:client` in scope; kept once for all that refer to it.
    pub stanza: Bytes,
    /// What [`crate::Archive::archive_find`] finds it by: the id that its sender gave it.
    pub origin: Option<String>,
    /// What it says, for [`crate::ArchiveFilter::text`]; only with
    /// [`crate::Archive::archive_index`].
    pub text: Option<String>,
    /// The entry in the sender's archive.
    pub sender: Option<Entry>,
    /// The entry in the recipient's archive; not made if the sender's is of the same account.
    pub recipient: Option<Entry>,
    /// Whose offline queue it joins (XEP-0160).
    pub waiting: Option<Waiting>,
    /// Which queue towards another domain it joins.
    pub outgoing: Option<Departure>,
    /// The subject, from now on, of the room that has the recipient's entry.
    pub subject: Option<Bytes>,
    /// By what a resend of it is recognised.
    pub resend: Option<Resend>,
    /// The count of the session that it came from. The record fails with
    /// [`crate::StoreError::Conflict`], and leaves nothing, if the session has another owner or
    /// has gone: a stream that was replaced must not accept anything any more.
    pub handled: Option<Handled>,
}

/// An entry in one archive (XEP-0313).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Whose archive; the record fails with [`crate::StoreError::NoAccount`] if it has gone.
    pub account: BareJid,
    /// The other party, as [`crate::ArchiveFilter::with`] matches it.
    pub with: Jid,
    /// Whether the account sent it.
    pub outgoing: bool,
    /// Marks of the engine, for [`crate::ArchiveFilter::flags_all`] and `flags_none`.
    pub flags: u32,
}

/// A place in an offline queue.
///
/// Past the bounds, a message that is in the account's archive stays out of the queue, and one that
/// is not fails with [`crate::StoreError::Quota`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Whose queue; the record fails with [`crate::StoreError::NoAccount`] if it has gone.
    pub account: BareJid,
    /// How many may wait.
    pub messages_max: u32,
    /// How many bytes may wait.
    pub bytes_max: u64,
}

/// A message in an archive that nobody has received after all and that is to wait.
///
/// Its outcome has the id of the entry. It says whether the message waits now: as before if it did
/// already, not when it is past the bounds, nor when the account's archive has no such entry or a
/// tombstone in its place.
///
/// Its place in the queue is that of its id, which may be before messages that wait already, and
/// before those that somebody has read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wait {
    /// The entry's id.
    pub id: u64,
    /// Whose archive and whose queue.
    pub waiting: Waiting,
}

/// What makes a message the same as an earlier one: within [`RESEND_WINDOW`] the record of a resend
/// gives the id of the first and, but for the count of its session, writes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resend {
    /// The sender; the record fails with [`crate::StoreError::NoAccount`] if it has gone.
    pub account: BareJid,
    /// A hash of the sender's id for the message and of its recipient, or of the whole message;
    /// cryptographic, so that nobody else can make two messages the same.
    pub key: [u8; 16],
}

/// A change of a session; only its owner can make it. The record fails with
/// [`crate::StoreError::Conflict`] if there is another owner, with [`crate::StoreError::NoItem`] if
/// the session has gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionChange {
    /// Whose session.
    pub account: BareJid,
    /// The session, at the generation of its owner.
    pub key: SessionKey,
    /// What changes.
    pub update: SessionUpdate,
}

/// How long a resend is recognised, counted in ids: 24 hours.
pub const RESEND_WINDOW: Micros = 24 * 3_600_000_000;

/// The count of a session of stream management (XEP-0198).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handled {
    /// Whose session.
    pub account: BareJid,
    /// The session, at the generation of the stream that received the message.
    pub session: SessionKey,
    /// Stanzas handled with this one, modulo 2^32.
    pub count: u32,
}

/// What a commit gave.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The id given to the record, in each archive and queue; rises in commit order. Of a resend,
    /// the id of the first.
    pub id: u64,
    /// It is a resend: nothing was written, and nothing is to be delivered.
    pub duplicate: bool,
    /// It was put into an offline queue.
    pub waiting: bool,
}

impl Record {
    /// About how many bytes it holds, for the bound on waiting writes.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Message(message) => {
                let origin = message.origin.as_ref().map_or(0, String::len);
                let text = message.text.as_ref().map_or(0, String::len);
                message.stanza.len() + origin + text
            }
            Self::Wait(_) => 0,
            Self::Session(change) => change.update.state.as_ref().map_or(0, bytes::Bytes::len),
        }
    }
}

impl From<Message> for Record {
    fn from(message: Message) -> Self {
        Self::Message(Box::new(message))
    }
}

impl Message {
    /// A message that nothing keeps yet.
    pub fn new(at: Micros, stanza: Bytes) -> Self {
        Self {
            at,
            stanza,
            origin: None,
            text: None,
            sender: None,
            recipient: None,
            waiting: None,
            outgoing: None,
            subject: None,
            resend: None,
            handled: None,
        }
    }

    /// The entries to make: at most one for each archive.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry> {
        let sender = self.sender.as_ref();
        let recipient = self
            .recipient
            .as_ref()
            .filter(|recipient| sender.is_none_or(|sender| sender.account != recipient.account));
        sender.into_iter().chain(recipient)
    }

    /// Whether an account has it in its archive.
    pub(crate) fn is_archived_for(&self, account: &BareJid) -> bool {
        self.entries().any(|entry| entry.account == *account)
    }
}

/// A promise of a commit's outcome.
#[derive(Debug)]
pub struct Ticket(oneshot::Receiver<Result<Outcome>>);

impl Ticket {
    /// A ticket and the end that completes it.
    pub fn new() -> (oneshot::Sender<Result<Outcome>>, Self) {
        let (sender, receiver) = oneshot::channel();
        (sender, Self(receiver))
    }
}

impl Future for Ticket {
    type Output = Result<Outcome>;
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0)
            .poll(cx)
            .map(|received| received.unwrap_or_else(|_| Err(writer_ended())))
    }
}

/// The outcome of a write that nobody will do any more.
pub(crate) fn writer_ended() -> crate::StoreError {
    crate::StoreError::Backend("the store is closed".into())
}
