//! What the peer has not acknowledged.

use crate::ns;
use crate::stream::{StreamCondition, StreamError};
use std::collections::VecDeque;
use std::collections::vec_deque::{Drain, Iter};
use std::fmt;

/// How often an acknowledgement is asked for, and how much may wait for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Stanzas after which another `<r/>` is sent although one is unanswered.
    pub request_every: u32,
    /// Stanzas that may wait for acknowledgement; the owner asks [`Outbound::is_full`] before it
    /// takes another from its queue.
    pub unacknowledged_max: u32,
}

impl Default for Pace {
    /// A request every 16 stanzas, 4096 stanzas unacknowledged.
    fn default() -> Self {
        Self {
            request_every: 16,
            unacknowledged_max: 4096,
        }
    }
}

/// The stanzas sent to a peer and not acknowledged, oldest first (§ 4). What is kept of each is
/// the owner's choice: its bytes, or where to find them.
#[derive(Debug, Clone)]
pub struct Outbound<T> {
    pace: Pace,
    /// Stanzas acknowledged, modulo 2^32.
    acknowledged: u32,
    queue: VecDeque<T>,
    /// Stanzas at the end of the queue that no `<r/>` has followed.
    unrequested: u32,
    /// Whether an `<r/>` has not been answered.
    asked: bool,
}

/// The peer acknowledged what was not sent to it, or took an acknowledgement back (§ 6): the
/// count is not among those that it can have reached. Nothing has been released.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooHigh {
    /// The count that the peer gave.
    pub h: u32,
    /// Stanzas sent to it, modulo 2^32.
    pub send_count: u32,
}

impl<T> Outbound<T> {
    /// Nothing sent; counts from the `<enabled/>` on.
    pub fn new(pace: Pace) -> Self {
        Self::restore(pace, 0, VecDeque::new())
    }

    /// Goes on where a session stopped that had this count acknowledged and these stanzas not.
    pub fn restore(pace: Pace, acknowledged: u32, unacknowledged: impl Into<VecDeque<T>>) -> Self {
        Self {
            pace,
            acknowledged,
            queue: unacknowledged.into(),
            unrequested: 0,
            asked: false,
        }
    }

    /// A stanza is being sent. Gives its number, which is what `h` will be when the peer has
    /// handled it and nothing later.
    pub fn push(&mut self, stanza: T) -> u32 {
        self.queue.push_back(stanza);
        self.unrequested = self.unrequested.saturating_add(1);
        self.send_count()
    }

    /// Whether to send an `<r/>` now, which counts as sent if so; asked once at the end of each
    /// batch of stanzas.
    ///
    /// The first stanzas after a silence are followed by a request, so that a slow conversation
    /// never leaves one unacknowledged for long; under load a request goes out each time that an
    /// answer has come, and every [`Pace::request_every`] stanzas if none comes. A request never
    /// goes out without a stanza before it: it would wake a phone for nothing.
    pub fn request(&mut self) -> bool {
        let due = self.unrequested > 0
            && (!self.asked || self.unrequested >= self.pace.request_every.max(1));
        if due {
            self.unrequested = 0;
            self.asked = true;
        }
        due
    }

    /// Whether an `<r/>` is unanswered. How long it may be is for the owner's clock.
    pub fn awaits_answer(&self) -> bool {
        self.asked
    }

    /// The peer has handled all stanzas up to this count; gives the ones that are newly released,
    /// oldest first. They are released even if the iterator is not used up.
    pub fn acknowledge(&mut self, h: u32) -> Result<Drain<'_, T>, TooHigh> {
        let released = self.released(h)?;
        self.acknowledged = h;
        self.asked = false;
        Ok(self.queue.drain(..released))
    }

    /// The peer resumes and has handled all up to this count (§ 5): as
    /// [`acknowledge`](Self::acknowledge); what stays in the queue
    /// ([`unacknowledged`](Self::unacknowledged)) is to be sent again, after `<resumed/>`, in order
    /// and under the same numbers, so it is not pushed again.
    ///
    /// A count out of range means that the two sides do not speak of the same session; `<failed/>`
    /// with `item-not-found` lets the client go on with a new one.
    pub fn resume(&mut self, h: u32) -> Result<Drain<'_, T>, TooHigh> {
        self.released(h)?;
        self.unrequested = self.send_count().wrapping_sub(h);
        self.acknowledge(h)
    }

    /// Stanzas sent and not acknowledged, oldest first.
    pub fn unacknowledged(&self) -> Iter<'_, T> {
        self.queue.iter()
    }

    /// How many stanzas are not acknowledged.
    pub fn unacknowledged_len(&self) -> u32 {
        u32::try_from(self.queue.len()).unwrap_or(u32::MAX)
    }

    /// Whether as many stanzas wait for acknowledgement as may.
    pub fn is_full(&self) -> bool {
        self.unacknowledged_len() >= self.unacknowledged_max()
    }

    /// Stanzas that may wait for acknowledgement, never more than 2^31.
    pub fn unacknowledged_max(&self) -> u32 {
        self.pace.unacknowledged_max.min(1 << 31)
    }

    /// Stanzas acknowledged, modulo 2^32.
    pub fn acknowledged(&self) -> u32 {
        self.acknowledged
    }

    /// Stanzas sent, modulo 2^32.
    pub fn send_count(&self) -> u32 {
        self.acknowledged.wrapping_add(self.unacknowledged_len())
    }

    /// The session is over: what nobody acknowledged, oldest first.
    pub fn into_unacknowledged(self) -> VecDeque<T> {
        self.queue
    }

    /// How many stanzas a count releases.
    fn released(&self, h: u32) -> Result<usize, TooHigh> {
        usize::try_from(h.wrapping_sub(self.acknowledged))
            .ok()
            .filter(|released| *released <= self.queue.len())
            .ok_or(TooHigh {
                h,
                send_count: self.send_count(),
            })
    }
}

impl fmt::Display for TooHigh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { h, send_count } = self;
        write!(f, "{h} stanzas acknowledged, {send_count} sent")
    }
}

impl std::error::Error for TooHigh {}

impl From<TooHigh> for StreamError {
    /// The stream error that § 6 asks for.
    fn from(error: TooHigh) -> Self {
        Self::new(StreamCondition::UndefinedCondition)
            .text("the count acknowledged is none that can have been reached")
            .app("handled-count-too-high", ns::SM)
            .counts(error.h, error.send_count)
    }
}
