//! Hand-over in the order of commits.
//!
//! Who sends a message does not hand it over: the one task of [`Engine::deliver`] does, message
//! after message as their commits end. So every account sees its messages in the order of their
//! ids, an id that a client has seen never has a lower one behind it, and a sender whose socket
//! is stuck holds up nobody.

use crate::{
    Engine,
    route::{Handover, message},
    sync::{
        AtomicWaker, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};
use std::{
    collections::VecDeque,
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    task::{Context, Poll},
};
use tokio::sync::oneshot;
use waxwing_proto::stanza::{Condition, StanzaError};
use waxwing_store::{KillPoint, Outcome, Record, StoreError, Ticket, kill_point};

/// What became of a message: handed over, or why not.
pub type Delivered = Result<(), Failure>;

/// Why a message was not handed over.
#[derive(Debug)]
pub enum Failure {
    /// The answer for its sender.
    Refused(StanzaError),
    /// The session that it came from has another owner; there is nobody to answer.
    Replaced,
}

/// The messages that wait for their commits, in the order in which these end. Bounded by what
/// each session may have pending.
#[derive(Debug, Default)]
pub(crate) struct Deliverer {
    queue: Mutex<VecDeque<Entry>>,
    waker: AtomicWaker,
    /// The newest message that was handed over.
    handed: AtomicU64,
}

#[derive(Debug)]
struct Entry {
    ticket: Ticket,
    handover: Handover,
    done: oneshot::Sender<Delivered>,
}

impl Deliverer {
    /// Submits a record, and hands its message over after the commit.
    pub(crate) fn submit(
        &self,
        engine: &Engine,
        record: Record,
        handover: Handover,
    ) -> oneshot::Receiver<Delivered> {
        let (done, delivered) = oneshot::channel();
        {
            let mut queue = self.queue.lock();
            // Under the lock, so that both queues have the same order.
            let ticket = engine.store().submit(record);
            queue.push_back(Entry {
                ticket,
                handover,
                done,
            });
        }
        self.waker.wake();
        delivered
    }

    /// The id of the newest message that was handed over, 0 for none.
    pub(crate) fn handed(&self) -> u64 {
        self.handed.load(Ordering::Acquire)
    }

    fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Entry> {
        let take = || self.queue.lock().pop_front();
        if let Some(entry) = take() {
            return Poll::Ready(entry);
        }
        self.waker.register(cx.waker());
        // One that came between the look and the registration would be missed otherwise.
        take().map_or(Poll::Pending, Poll::Ready)
    }
}

impl Engine {
    /// Hands messages over when they are on disk, for as long as the server runs.
    pub(crate) async fn deliver(self) {
        loop {
            let mut next = Some(poll_fn(|cx| self.deliverer().poll_next(cx)).await);
            while let Some(mut entry) = next {
                let outcome = (&mut entry.ticket).await;
                next = self.hand_over(entry, outcome);
            }
        }
    }

    /// Gives the message back with another record if that must be on disk first. Nothing is handed
    /// over before it: what is newer would come to a recipient who has just returned, and what is
    /// older would follow.
    fn hand_over(&self, entry: Entry, outcome: Result<Outcome, StoreError>) -> Option<Entry> {
        let Entry {
            mut handover, done, ..
        } = entry;
        let delivered = match outcome {
            Ok(outcome) if outcome.duplicate => {
                self.metrics().resends.inc();
                Ok(())
            }
            Ok(outcome) => {
                self.metrics().messages_committed.inc();
                if outcome.waiting {
                    self.metrics().offline_stored.inc();
                }
                handover.stored(&outcome);
                // A fault in one hand-over must not stop all others.
                kill_point(KillPoint::BeforeDelivery);
                let run = catch_unwind(AssertUnwindSafe(|| handover.run(self)));
                let handed = &self.deliverer().handed;
                handed.fetch_max(outcome.id, Ordering::AcqRel);
                kill_point(KillPoint::AfterDelivery);
                match run {
                    Ok(Ok(None)) => {
                        self.notice_retraction(&handover);
                        Ok(())
                    }
                    Ok(Ok(Some(record))) => {
                        return Some(Entry {
                            ticket: self.store().submit(record),
                            handover,
                            done,
                        });
                    }
                    Ok(Err(error)) => Err(Failure::Refused(error)),
                    Err(_) => {
                        self.metrics().hand_over_panics.inc();
                        Err(Failure::Refused(Condition::InternalServerError.into()))
                    }
                }
            }
            Err(StoreError::Conflict) => Err(Failure::Replaced),
            Err(failure) => Err(Failure::Refused(message::commit_error(self, &failure))),
        };
        // The sender may have gone meanwhile.
        drop(done.send(delivered));
        None
    }
}
