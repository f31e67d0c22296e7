//! The client's stanzas in their order: those that wait for a commit, and those behind them
//! (RFC 6120 § 10.1); and the count of what is handled (XEP-0198).

use super::Session;
use crate::{
    output::Output,
    route::{Handover, Routed, message},
};
use std::{
    pin::Pin,
    task::{Context, Poll},
};
use waxwing_proto::{
    Jid,
    sm::{Inbound, Nonza},
};
use waxwing_store::{Outcome, StoreError, Ticket};

#[derive(Debug)]
pub(super) struct Pending {
    handover: Handover,
    ticket: Option<Ticket>,
    /// How many of the client's stanzas are handled with this one: itself, and those behind it
    /// that waited for nothing of their own.
    stanzas: u32,
    /// The client has asked, behind those, how many are handled.
    asked: bool,
}

impl Session {
    /// Waits for the commit of the oldest pending stanza.
    pub fn poll_commit(&mut self, cx: &mut Context<'_>) -> Poll<Result<Outcome, StoreError>> {
        match self
            .pending
            .front_mut()
            .and_then(|pending| pending.ticket.as_mut())
        {
            Some(ticket) => Pin::new(ticket).poll(cx),
            None => Poll::Pending,
        }
    }

    /// Hands over the stanza whose commit has ended, and those behind it that wait for none.
    pub fn release(&mut self, outcome: Result<Outcome, StoreError>, out: &mut Output) {
        let Some(mut pending) = self.pending.pop_front() else {
            return;
        };
        pending.ticket = None;
        match outcome {
            Ok(_) => {
                self.engine.metrics().offline_stored.inc();
                self.hand_over(pending, out, true);
            }
            Err(failure) => {
                let error = message::commit_error(&self.engine, &failure);
                let Handover { stanza, to, .. } = &pending.handover;
                self.refuse(stanza, Some(to), &error, out);
                self.handled(pending.stanzas, pending.asked, out);
            }
        }
        while self
            .pending
            .front()
            .is_some_and(|pending| pending.ticket.is_none())
        {
            let Some(pending) = self.pending.pop_front() else {
                return;
            };
            self.hand_over(pending, out, true);
        }
    }

    /// Waits until nothing is pending, so that what follows cannot overtake.
    pub async fn settle(&mut self, out: &mut Output) {
        while let Some(pending) = self.pending.front_mut() {
            let outcome = match pending.ticket.as_mut() {
                Some(ticket) => ticket.await,
                None => return,
            };
            self.release(outcome, out);
        }
    }

    /// Whether a pending stanza to the same account may yet have to be stored: its recipient was
    /// here when it came, and may have gone. What comes after it must not be stored first.
    pub(super) fn is_undecided(&self, to: &Jid) -> bool {
        let before = |pending: &Pending| {
            let earlier = &pending.handover.to;
            pending.ticket.is_none()
                && earlier.local() == to.local()
                && earlier.domain() == to.domain()
        };
        self.pending.iter().any(before)
    }

    /// Queues a routed stanza behind what is pending, or hands it over at once.
    pub fn take(&mut self, routed: Routed, out: &mut Output) {
        let Routed::Handover(handover, ticket) = routed else {
            return;
        };
        let pending = Pending {
            handover,
            ticket,
            stanzas: 1,
            asked: false,
        };
        self.counted = true;
        if self.pending.is_empty() && pending.ticket.is_none() {
            self.hand_over(pending, out, false);
        } else {
            self.pending.push_back(pending);
        }
    }

    /// Counts the client's stanzas from now on (XEP-0198 § 3).
    pub fn enable_acknowledgements(&mut self) {
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

    fn hand_over(&mut self, mut pending: Pending, out: &mut Output, ahead: bool) {
        match pending.handover.run(&self.engine) {
            Ok(None) => self.handled(pending.stanzas, pending.asked, out),
            Ok(ticket) => {
                pending.ticket = ticket;
                // It stays where it was in the order.
                if ahead {
                    self.pending.push_front(pending);
                } else {
                    self.pending.push_back(pending);
                }
            }
            Err(error) => {
                let Handover { stanza, to, .. } = &pending.handover;
                self.refuse(stanza, Some(to), &error, out);
                self.handled(pending.stanzas, pending.asked, out);
            }
        }
    }

    /// The stanza at hand waits for nothing but those before it.
    pub(super) fn count_behind(&mut self, out: &mut Output) {
        match self.pending.back_mut() {
            Some(last) => last.stanzas += 1,
            None => self.handled(1, false, out),
        }
    }

    /// We have taken responsibility for so many stanzas more: what they had to leave on disk is
    /// there (XEP-0198 § 4, "handled").
    fn handled(&mut self, stanzas: u32, asked: bool, out: &mut Output) {
        let Some(inbound) = &mut self.inbound else {
            return;
        };
        inbound.handled(stanzas);
        if asked {
            out.raw(Nonza::Answer(inbound.h()).to_bytes());
        }
    }
}
