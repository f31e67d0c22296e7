//! Connections that somebody has to make.

use super::{Link, inbound};
use crate::Engine;
use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use std::{
    collections::VecDeque,
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll},
};
use tokio::sync::mpsc;
use waxwing_proto::{
    stanza::{Condition, StanzaError},
    stream::s2s::{Pair, Purpose, Target, Verification, dialback::Verdict},
};

/// A connection that is to be made to another server. Whoever takes it makes the connection and gives
/// it to [`super::OutgoingConnection::new`], or says that there is none by [`Dial::failed`].
#[derive(Debug)]
pub struct Dial {
    pub(super) target: Target,
    pub(super) ends: Ends,
}

/// Who waits for it.
#[derive(Debug)]
pub(super) enum Ends {
    /// Stanzas.
    Link(Arc<Link>),
    /// A stream that was given a dialback key.
    Asker(mpsc::UnboundedSender<Answer>),
    /// Nobody any more.
    Nobody,
}

/// The answer to a dialback key.
pub(super) type Answer = (Pair, Verdict);

/// Why no connection could be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DialFailure {
    /// The domain does not exist, or says that it has no XMPP server.
    NotFound,
    /// Nobody could be reached there.
    Unreachable,
}

impl DialFailure {
    fn condition(self) -> Condition {
        match self {
            Self::NotFound => Condition::RemoteServerNotFound,
            Self::Unreachable => Condition::RemoteServerTimeout,
        }
    }
}

impl Dial {
    pub(super) fn send(link: Arc<Link>) -> Self {
        Self {
            target: Target {
                pair: link.pair.clone(),
                purpose: Purpose::Send,
            },
            ends: Ends::Link(link),
        }
    }

    pub(super) fn verify(asked: Verification, answer: mpsc::UnboundedSender<Answer>) -> Self {
        let Verification { pair, id, key } = asked;
        Self {
            target: Target {
                pair,
                purpose: Purpose::Verify { id, key },
            },
            ends: Ends::Asker(answer),
        }
    }

    /// From which domain to which other.
    pub fn pair(&self) -> &Pair {
        &self.target.pair
    }

    /// No connection could be made. Whoever waits for it is told.
    pub async fn failed(mut self, engine: &Engine, failure: DialFailure) {
        engine.metrics().s2s_dials_failed.inc();
        self.give_up(engine, failure.condition()).await;
    }

    /// It came to nothing.
    pub(super) async fn give_up(&mut self, engine: &Engine, condition: Condition) {
        match std::mem::replace(&mut self.ends, Ends::Nobody) {
            Ends::Link(link) => {
                let error = StanzaError::new(condition);
                for stanza in link.failed(condition, engine.jitter()) {
                    inbound::bounce(engine, &stanza, &error).await;
                }
            }
            Ends::Asker(answer) => {
                // The asker may have gone.
                let _ = answer.send((self.target.pair.clone(), Verdict::Failed(condition)));
            }
            Ends::Nobody => {}
        }
    }
}

impl Drop for Dial {
    /// Whoever was to make it has died: what waits is tried again.
    fn drop(&mut self) {
        if let Ends::Link(link) = &self.ends {
            drop(link.failed(Condition::RemoteServerTimeout, 0));
        }
    }
}

/// Connections that nobody has taken yet. At most one for each link and each dialback key, so their
/// bounds are the bound.
#[derive(Debug, Default)]
pub(crate) struct Dials {
    queue: Mutex<VecDeque<Dial>>,
    waker: AtomicWaker,
}

impl Dials {
    pub(super) fn push(&self, dial: Dial) {
        self.queue.lock().push_back(dial);
        self.waker.wake();
    }

    fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Dial> {
        let take = || self.queue.lock().pop_front();
        if let Some(dial) = take() {
            return Poll::Ready(dial);
        }
        self.waker.register(cx.waker());
        // One that came between the look and the registration would be missed otherwise.
        take().map_or(Poll::Pending, Poll::Ready)
    }
}

impl Engine {
    /// The next connection that is to be made to another server; there must be one task that asks.
    pub async fn next_dial(&self) -> Dial {
        poll_fn(|cx| self.federation().dials.poll_next(cx)).await
    }
}
