//! The client's stanzas in their order: those that wait for a commit, and those behind them
//! (RFC 6120 § 10.1); and the count of what is handled (XEP-0198).

use super::Session;
use crate::{
    deliverer::{Delivered, Failure},
    output::Output,
    route::{Handover, Routed},
};
use std::{
    future::{Future, poll_fn},
    pin::Pin,
    task::{Context, Poll},
};
use tokio::sync::oneshot;
use waxwing_proto::{
    Jid,
    sm::{Inbound, Nonza},
    stanza::{Condition, Stanza},
    stream::{StreamCondition, StreamError},
};
use waxwing_store::{Handled, KillPoint, Record, StoreError, Ticket, kill_point};

#[derive(Debug)]
pub(super) struct Pending {
    step: Step,
    /// How many of the client's stanzas are handled with this one: itself, and those behind it
    /// that waited for nothing of their own.
    stanzas: u32,
    /// The client has asked, behind those, how many are handled.
    asked: bool,
    /// The count that is written with it.
    count: Option<u32>,
}

impl Pending {
    /// Waits for this step, and so many stanzas with it, and perhaps a question behind them.
    fn behind(step: Step, (stanzas, asked): (u32, bool)) -> Self {
        Self {
            step,
            stanzas,
            asked,
            count: None,
        }
    }
}

/// What a stanza waits for.
#[derive(Debug)]
enum Step {
    /// Only for those before it.
    Ready(Box<Handover>),
    /// For its commit and its hand-over; what else is known of it is for an error answer.
    Submitted(Box<(Stanza, Jid)>, oneshot::Receiver<Delivered>),
    /// For the commit of the count; the number of stanzas is that of those that wait behind it.
    Counting(Ticket),
}

impl Session {
    /// Waits for the oldest pending stanza to be handed over.
    pub fn poll_delivered(&mut self, cx: &mut Context<'_>) -> Poll<Delivered> {
        let Some(pending) = self.pending.front_mut() else {
            return Poll::Pending;
        };
        match &mut pending.step {
            Step::Ready(_) => Poll::Pending,
            Step::Submitted(_, delivered) => Pin::new(delivered)
                .poll(cx)
                .map(|done| done.unwrap_or(Err(refused(Condition::InternalServerError)))),
            Step::Counting(ticket) => Pin::new(ticket).poll(cx).map(|counted| match counted {
                Ok(_) => Ok(()),
                Err(StoreError::Conflict | StoreError::NoItem) => Err(Failure::Replaced),
                Err(_) => Err(refused(Condition::InternalServerError)),
            }),
        }
    }

    /// Goes on behind the oldest pending stanza, and hands over those behind it that wait for
    /// nothing else.
    pub fn release(&mut self, delivered: Delivered, out: &mut Output) {
        let Some(pending) = self.pending.pop_front() else {
            return;
        };
        match delivered {
            Ok(()) => {
                if let Some(count) = pending.count {
                    self.counted(count);
                }
                self.handled(pending.stanzas, pending.asked, out);
            }
            Err(Failure::Replaced) => {
                // Somebody else has the session; this stream has nothing more to say.
                self.lose();
                let resource = &self.state.resource;
                resource
                    .outbox
                    .end(StreamError::new(StreamCondition::Conflict));
            }
            Err(Failure::Refused(error)) => match &pending.step {
                Step::Submitted(sent, _) => {
                    let (stanza, to) = &**sent;
                    self.refuse(stanza, Some(to), &error, out);
                    self.handled(pending.stanzas, pending.asked, out);
                }
                // Better no answer than a count that would not survive.
                Step::Ready(_) | Step::Counting(_) => self.handled(pending.stanzas, false, out),
            },
        }
        while let Some(Pending {
            step: Step::Ready(_),
            ..
        }) = self.pending.front()
            && let Some(pending) = self.pending.pop_front()
            && let Step::Ready(handover) = pending.step
        {
            let behind = (pending.stanzas, pending.asked);
            if let Some(step) = self.hand_over(*handover, behind, out) {
                self.pending.push_front(Pending::behind(step, behind));
            }
        }
    }

    /// Waits until nothing is pending, so that what follows cannot overtake.
    pub async fn settle(&mut self, out: &mut Output) {
        while !self.pending.is_empty() {
            let delivered = poll_fn(|cx| self.poll_delivered(cx)).await;
            self.release(delivered, out);
        }
    }

    /// Whether a pending stanza to the same account may yet have to be stored: its recipient was
    /// here when it came, and may have gone. What comes after it must not be stored first.
    pub(super) fn is_undecided(&self, to: &Jid) -> bool {
        let before = |pending: &Pending| match &pending.step {
            Step::Ready(earlier) => {
                earlier.to.local() == to.local() && earlier.to.domain() == to.domain()
            }
            Step::Submitted(..) | Step::Counting(_) => false,
        };
        self.pending.iter().any(before)
    }

    /// Queues a routed stanza behind what is pending, or hands it over at once.
    pub fn take(&mut self, routed: Routed, out: &mut Output) {
        let Routed::Handover(handover, record) = routed else {
            return;
        };
        self.counted = true;
        let mut count = None;
        let step = match record {
            Some(mut record) => {
                record.handled = self.count();
                count = record.handled.as_ref().map(|handled| handled.count);
                self.submit(Record::Message(record), handover)
            }
            None if self.pending.is_empty() => {
                if let Some(step) = self.hand_over(handover, (1, false), out) {
                    self.pending.push_back(Pending::behind(step, (1, false)));
                }
                return;
            }
            None => Step::Ready(Box::new(handover)),
        };
        self.pending.push_back(Pending {
            count,
            ..Pending::behind(step, (1, false))
        });
    }

    /// Counts the client's stanzas from now on (XEP-0198 § 3).
    pub(crate) fn enable_acknowledgements(&mut self) {
        self.inbound = Some(Inbound::new());
        for pending in &mut self.pending {
            pending.stanzas = 0;
        }
    }

    /// Answers how many stanzas are handled, once those before the question are (XEP-0198 § 4).
    pub fn acknowledge(&mut self, out: &mut Output) {
        match self.pending.back_mut() {
            Some(last) => last.asked = true,
            None => self.handled(0, true, out),
        }
    }

    fn submit(&self, record: Record, handover: Handover) -> Step {
        let sent = Box::new((handover.stanza.clone(), handover.to.clone()));
        let engine = &self.engine;
        Step::Submitted(sent, engine.deliverer().submit(engine, record, handover))
    }

    /// Hands a stanza over that waits for no record. Gives what it has to wait for after all; it
    /// stays where it was in the order.
    fn hand_over(
        &mut self,
        mut handover: Handover,
        (stanzas, asked): (u32, bool),
        out: &mut Output,
    ) -> Option<Step> {
        match handover.run(&self.engine) {
            Ok(None) => {}
            Ok(Some(record)) => return Some(self.submit(record, handover)),
            Err(error) => {
                let Handover { stanza, to, .. } = &handover;
                self.refuse(stanza, Some(to), &error, out);
            }
        }
        self.handled(stanzas, asked, out);
        None
    }

    /// The stanza at hand waits for nothing but those before it.
    pub(super) fn count_behind(&mut self, out: &mut Output) {
        match self.pending.back_mut() {
            Some(last) => last.stanzas += 1,
            None => self.handled(1, false, out),
        }
    }

    /// We have taken responsibility for so many stanzas more: what they had to leave on disk is
    /// there (XEP-0198 § 4, "handled"). What the client is told must survive a crash, so a count
    /// that no record carried is written first.
    fn handled(&mut self, stanzas: u32, asked: bool, out: &mut Output) {
        let Some(inbound) = &mut self.inbound else {
            return;
        };
        inbound.handled(stanzas);
        let h = inbound.h();
        if !asked {
            return;
        }
        kill_point(KillPoint::BeforeAcknowledgement);
        match self.write_count(h) {
            Some(ticket) => self.pending.push_front(Pending {
                count: Some(h),
                ..Pending::behind(Step::Counting(ticket), (0, true))
            }),
            None => out.raw(Nonza::Answer(h).to_bytes()),
        }
    }

    /// The count with the stanza at hand, for the record that it leaves.
    fn count(&self) -> Option<Handled> {
        let inbound = self.inbound.as_ref()?;
        let count = inbound.h().wrapping_add(inbound.pending());
        self.counts(count)
    }
}

fn refused(condition: Condition) -> Failure {
    Failure::Refused(condition.into())
}
