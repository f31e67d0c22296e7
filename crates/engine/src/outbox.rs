//! What waits for a session: a bounded queue that others push to without ever waiting.

mod asleep;

pub(crate) use asleep::{Asleep, Presence};

use crate::{
    registry::Resource,
    sync::{
        AtomicWaker, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};
use bytes::Bytes;
use std::{
    collections::VecDeque,
    sync::Arc,
    task::{Context, Poll},
};
use waxwing_proto::{stanza::Sealed, stream::StreamError};
use waxwing_store::Micros;

/// What others may give a session.
#[derive(Debug, Clone)]
pub enum Delivery {
    /// A stanza to send.
    Stanza(Sealed),
    /// A message to send.
    Message(Message),
    /// A copy of a message that the account's archive has under this id; for sessions that are
    /// here, and for those that come back (XEP-0280).
    Copy(Sealed, u64),
    /// A whole stanza made by the server for this session (roster push, block push).
    Own(Bytes),
    /// Messages were stored for the account meanwhile; read the offline queue again.
    OfflineWaiting,
    /// End the session with this stream error (replaced, removed, overloaded).
    End(StreamError),
}

/// A message that must not get lost.
#[derive(Debug, Clone)]
pub struct Message {
    /// The message.
    pub sealed: Sealed,
    /// Who else got it: whoever loses the last copy sees to it that it waits.
    pub copies: Copies,
    /// Its id in the account's archive, if it is there.
    pub archived: Option<u64>,
}

/// Stanzas of one queue that may share the read buffers they came in. A buffer can be much larger
/// than its stanza, so a queue that grows longer, because nobody reads it, holds copies.
pub(crate) const SHARED_MAX: usize = 32;

impl Delivery {
    /// The same in memory of its own.
    fn detached(self) -> Self {
        match self {
            Self::Stanza(stanza) => Self::Stanza(stanza.detached()),
            Self::Message(message) => Self::Message(Message {
                sealed: message.sealed.detached(),
                ..message
            }),
            Self::Copy(stanza, id) => Self::Copy(stanza.detached(), id),
            own => own,
        }
    }

    /// Whether the account's archive has it, where a session that is resumed finds it.
    fn is_archived(&self) -> bool {
        self.archived().is_some()
    }

    fn archived(&self) -> Option<u64> {
        match self {
            Self::Message(message) => message.archived,
            Self::Copy(_, id) => Some(*id),
            Self::Stanza(_) | Self::Own(_) | Self::OfflineWaiting | Self::End(_) => None,
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Stanza(stanza) | Self::Copy(stanza, _) => stanza.len(),
            Self::Message(message) => message.sealed.len(),
            Self::Own(stanza) => stanza.len(),
            Self::OfflineWaiting | Self::End(_) => 0,
        }
    }
}

/// How many outboxes have not lost a message. One that was written is never lost, so that a
/// message is kept for later exactly if no resource can have seen it.
#[derive(Debug, Clone)]
pub struct Copies(Option<Arc<AtomicUsize>>);

impl Copies {
    /// For a message that goes to `count` outboxes.
    pub fn new(count: usize) -> Self {
        Self((count > 1).then(|| Arc::new(AtomicUsize::new(count))))
    }

    /// An outbox refused its copy or ended without having sent it. True if that was the last one.
    pub fn lost(&self) -> bool {
        match &self.0 {
            None => true,
            Some(left) => left.fetch_sub(1, Ordering::AcqRel) == 1,
        }
    }
}

/// Why a push was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The session has ended.
    Closed,
    /// The queue is full; the session is being ended.
    Full,
}

/// The queue. Any number of producers, one consumer.
#[derive(Debug)]
pub struct Outbox {
    queue: Mutex<Queue>,
    waker: AtomicWaker,
    /// The consumer is asked to let go of the session: another stream resumes it.
    detached: AtomicBool,
    stanzas_max: usize,
    bytes_max: usize,
}

#[expect(
    clippy::struct_excessive_bools,
    reason = "each comes true at a moment of its own, and stays so"
)]
#[derive(Debug, Default)]
struct Queue {
    items: VecDeque<Delivery>,
    bytes: usize,
    closed: bool,
    overflowed: bool,
    /// Who has taken the session over: whoever found this queue just before means that one.
    successor: Option<Arc<Resource>>,
    /// The session can be resumed: whatever happens to it, it finds again what is archived.
    resumable: bool,
    /// The first and the last message of the archive that came here, whatever became of them.
    span: Option<(u64, u64)>,
    /// What the session has missed has been seen to: whatever comes now is somebody else's to keep.
    settled: bool,
    asleep: Option<Box<Asleep>>,
}

impl Outbox {
    /// An empty queue with its two bounds.
    pub fn new(stanzas_max: usize, bytes_max: usize) -> Self {
        Self {
            queue: Mutex::default(),
            waker: AtomicWaker::new(),
            detached: AtomicBool::new(false),
            stanzas_max,
            bytes_max,
        }
    }

    /// Queues a delivery, never waiting. At the bound the queue closes for good: what was refused
    /// is the caller's to keep elsewhere, and the session ends with `resource-constraint`
    /// (RFC 6120 § 4.9.3.17), as a client that does not read must not cost memory without bound.
    pub fn push(&self, delivery: Delivery) -> Result<(), Refused> {
        let bytes = delivery.bytes();
        {
            let mut queue = self.queue.lock();
            if let Some(successor) = queue.successor.clone() {
                drop(queue);
                return successor.outbox.push(delivery);
            }
            if queue.settled {
                return Err(Refused::Closed);
            }
            if let Some(id) = delivery.archived() {
                let (first, _) = queue.span.unwrap_or((id, id));
                queue.span = Some((first, id));
            }
            if let Some(asleep) = &mut queue.asleep {
                return asleep.take(delivery);
            }
            if queue.closed {
                let safe = queue.resumable && delivery.is_archived();
                return if safe { Ok(()) } else { Err(Refused::Closed) };
            }
            if queue.items.len() >= self.stanzas_max || queue.bytes + bytes > self.bytes_max {
                queue.closed = true;
                queue.overflowed = true;
                queue.items.push_back(Delivery::End(StreamError::new(
                    waxwing_proto::stream::StreamCondition::ResourceConstraint,
                )));
                let safe = queue.resumable && delivery.is_archived();
                drop(queue);
                self.waker.wake();
                return if safe { Ok(()) } else { Err(Refused::Full) };
            }
            queue.bytes += bytes;
            let slow = queue.items.len() >= SHARED_MAX;
            let delivery = if slow { delivery.detached() } else { delivery };
            queue.items.push_back(delivery);
        }
        self.waker.wake();
        Ok(())
    }

    /// Ends the session with an error. What is queued is still sent first. A session that has no
    /// stream is given back, for the caller to end it.
    pub(crate) fn end(&self, error: StreamError) -> Option<Box<Asleep>> {
        {
            let mut queue = self.queue.lock();
            if let Some(asleep) = queue.asleep.take() {
                queue.closed = true;
                return Some(asleep);
            }
            if queue.closed {
                return None;
            }
            queue.closed = true;
            queue.items.push_back(Delivery::End(error));
        }
        self.waker.wake();
        None
    }

    /// The session can be resumed from now on (XEP-0198 § 5).
    pub(crate) fn set_resumable(&self) {
        self.queue.lock().resumable = true;
    }

    /// The session has no stream for now. Gives what it was not sent yet, in order and without
    /// presence.
    pub(crate) fn sleep(&self, mut asleep: Asleep) -> Vec<Delivery> {
        let mut queue = self.queue.lock();
        queue.bytes = 0;
        let mut left = Vec::new();
        for delivery in std::mem::take(&mut queue.items) {
            match delivery {
                Delivery::Stanza(stanza) => {
                    left.extend(asleep.presence.take(stanza).map(Delivery::Stanza));
                }
                other => left.push(other),
            }
        }
        // Somebody else may have it already.
        if queue.successor.is_none() {
            queue.asleep = Some(Box::new(asleep));
        }
        left
    }

    /// Somebody is about to take the session over: what its row would refuse from then on is held
    /// for whoever succeeds.
    pub(crate) fn hold(&self) {
        if let Some(asleep) = &mut self.queue.lock().asleep {
            asleep.hold();
        }
    }

    /// Nobody has taken the session over.
    pub(crate) fn release(&self) {
        if let Some(asleep) = &mut self.queue.lock().asleep {
            asleep.release();
        }
    }

    /// The session has ended, or somebody has taken it over; gives what it has missed, if it had no
    /// stream.
    pub(crate) fn succeeded(&self, successor: Option<Arc<Resource>>) -> Option<Box<Asleep>> {
        let mut queue = self.queue.lock();
        queue.closed = true;
        queue.resumable = true;
        queue.successor = successor;
        queue.asleep.take()
    }

    /// The session cannot be resumed; unless somebody has taken it over, whom its pushes are for.
    pub(crate) fn gone(&self) -> Option<Box<Asleep>> {
        let mut queue = self.queue.lock();
        queue.closed = true;
        queue.asleep.take()
    }

    /// Asks the consumer to let go of the session; before all that is queued, because it may take
    /// nothing of that any more.
    pub(crate) fn detach(&self) {
        self.detached.store(true, Ordering::Release);
        self.waker.wake();
    }

    /// Whether [`Outbox::detach`] was called (the consumer only).
    pub(crate) fn poll_detached(&self, cx: &mut Context<'_>) -> Poll<()> {
        // In this order, or a call in between would be missed.
        self.waker.register(cx.waker());
        if self.detached.load(Ordering::Acquire) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    /// Since when the session has had no stream; nothing if it has one.
    pub(crate) fn asleep_since(&self) -> Option<Micros> {
        self.queue.lock().asleep.as_ref().map(|asleep| asleep.since)
    }

    /// Refuses everything from now on and gives what was not taken by the consumer.
    pub fn close(&self) -> Vec<Delivery> {
        let mut queue = self.queue.lock();
        queue.closed = true;
        queue.bytes = 0;
        std::mem::take(&mut queue.items).into()
    }

    /// Gives what the consumer had not taken of a queue that one of its bounds closed. Whoever then
    /// keeps a newer message elsewhere must keep these before it: the consumer may hang in a write
    /// for long.
    pub fn evict(&self) -> Vec<Delivery> {
        let mut queue = self.queue.lock();
        if !queue.overflowed {
            return Vec::new();
        }
        let Some(end) = queue.items.pop_back() else {
            return Vec::new();
        };
        queue.bytes = 0;
        let items = std::mem::replace(&mut queue.items, VecDeque::from([end]));
        let resumable = queue.resumable;
        let lost = items
            .into_iter()
            .filter(|delivery| !(resumable && delivery.is_archived()));
        lost.collect()
    }

    /// The first message of the archive that came here: what is older came before the session.
    pub(crate) fn first(&self) -> Option<u64> {
        let span = self.queue.lock().span;
        span.map(|(first, _)| first)
    }

    /// Refuses everything from now on, also what the archive has, and gives the last message of the
    /// archive that came before: those up to it are seen to by whoever calls.
    pub(crate) fn settle(&self) -> Option<u64> {
        let mut queue = self.queue.lock();
        queue.settled = true;
        queue.span.map(|(_, last)| last)
    }

    /// Whether the session has no stream for now.
    pub fn is_asleep(&self) -> bool {
        self.queue.lock().asleep.is_some()
    }

    /// Whether one of its bounds closed it.
    pub fn overflowed(&self) -> bool {
        self.queue.lock().overflowed
    }

    /// Takes the next delivery (the consumer only).
    pub fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Delivery> {
        if let Some(delivery) = self.take() {
            return Poll::Ready(delivery);
        }
        self.waker.register(cx.waker());
        // A push between the look and the registration would be missed otherwise.
        self.take().map_or(Poll::Pending, Poll::Ready)
    }

    /// Takes the next delivery if there is one (the consumer only).
    pub fn take(&self) -> Option<Delivery> {
        let mut queue = self.queue.lock();
        let delivery = queue.items.pop_front()?;
        queue.bytes -= delivery.bytes().min(queue.bytes);
        if queue.items.is_empty() {
            // An idle session keeps no queue memory.
            queue.items = VecDeque::new();
        }
        Some(delivery)
    }
}
