//! What waits for a session: a bounded queue that others push to without ever waiting.

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};
use waxwing_proto::{stanza::Sealed, stream::StreamError};

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
    stanzas_max: usize,
    bytes_max: usize,
}

#[derive(Debug, Default)]
struct Queue {
    items: VecDeque<Delivery>,
    bytes: usize,
    closed: bool,
    overflowed: bool,
}

impl Outbox {
    /// An empty queue with its two bounds.
    pub fn new(stanzas_max: usize, bytes_max: usize) -> Self {
        Self {
            queue: Mutex::default(),
            waker: AtomicWaker::new(),
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
            if queue.closed {
                return Err(Refused::Closed);
            }
            if queue.items.len() >= self.stanzas_max || queue.bytes + bytes > self.bytes_max {
                queue.closed = true;
                queue.overflowed = true;
                queue.items.push_back(Delivery::End(StreamError::new(
                    waxwing_proto::stream::StreamCondition::ResourceConstraint,
                )));
                drop(queue);
                self.waker.wake();
                return Err(Refused::Full);
            }
            queue.bytes += bytes;
            let slow = queue.items.len() >= SHARED_MAX;
            let delivery = if slow { delivery.detached() } else { delivery };
            queue.items.push_back(delivery);
        }
        self.waker.wake();
        Ok(())
    }

    /// Ends the session with an error. What is queued is still sent first.
    pub fn end(&self, error: StreamError) {
        {
            let mut queue = self.queue.lock();
            if queue.closed {
                return;
            }
            queue.closed = true;
            queue.items.push_back(Delivery::End(error));
        }
        self.waker.wake();
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
        std::mem::replace(&mut queue.items, VecDeque::from([end])).into()
    }

    /// Whether the session has no stream for now.
    pub fn is_asleep(&self) -> bool {
        false
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
