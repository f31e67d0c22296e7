//! One bound resource: what its client sends goes in, what others send it comes out.
//!
//! The session is owned by its connection's task. Others reach it only through its outbox.

use crate::{
    Engine,
    account::View,
    feature::{IqKind, Place, Reply},
    features::{caps, offline},
    outbox::{Delivery, Outbox},
    output::Output,
    presence,
    registry::Resource,
    route::{Handover, Routed, guard_sender, iq, message},
};
use bytes::Bytes;
use std::{
    collections::VecDeque,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use waxwing_proto::{
    BareJid, FullJid, Jid, ns,
    sm::{Inbound, Nonza},
    stanza::{Draft, Kind, Stanza, StanzaError},
    stream::{StreamCondition, StreamError},
    xml::Writer,
};
use waxwing_store::{Outcome, StoreError, Ticket};

/// What features and handlers may see and change of a session.
#[derive(Debug)]
pub struct SessionState {
    /// The part that others see.
    pub resource: Arc<Resource>,
    /// The account.
    pub account: BareJid,
    /// Capabilities that the client was asked about, and the request's id.
    pub caps_asked: Option<(String, caps::Named)>,
    /// Where the session is in reading the offline queue.
    pub offline: offline::Reader,
    /// Stanzas for this session alone that a handler wants sent after its reply.
    pub after_reply: Vec<Bytes>,
}

/// A bound resource.
#[derive(Debug)]
pub struct Session {
    engine: Engine,
    /// What handlers see.
    pub state: SessionState,
    /// Stanzas that wait for a commit, and those behind them: order within a stream is kept
    /// (RFC 6120 § 10.1). Bounded by `pending_stanzas_max`: past it the socket is not read.
    pending: VecDeque<Pending>,
    /// What the client has sent since it enabled acknowledgements (XEP-0198).
    inbound: Option<Inbound>,
    /// The stanza at hand was handed over or is pending, and is counted with that.
    counted: bool,
}

#[derive(Debug)]
struct Pending {
    handover: Handover,
    ticket: Option<Ticket>,
    /// How many of the client's stanzas are handled with this one: itself, and those behind it
    /// that waited for nothing of their own.
    stanzas: u32,
    /// The client has asked, behind those, how many are handled.
    asked: bool,
}

impl Session {
    /// Binds a resource (RFC 6120 § 7): the one asked for, or one of our making. A session that
    /// has the address is replaced (§ 7.7.2.2), so that a client whose connection broke unnoticed
    /// gets its own address back.
    pub async fn bind(
        engine: &Engine,
        account: &BareJid,
        resource: Option<&str>,
    ) -> Result<Self, StanzaError> {
        use waxwing_proto::stanza::Condition;
        let jid = match resource.filter(|resource| !resource.is_empty()) {
            Some(wish) => account.with_resource(wish),
            None => account.with_resource(&engine.env().token()),
        };
        let jid = jid.map_err(|_| StanzaError::new(Condition::BadRequest))?;
        let view = engine.view(account).await?;
        if !view.exists {
            // Removed between authentication and now.
            return Err(Condition::NotAllowed.into());
        }
        let limits = &engine.settings().limits;
        let outbox = Outbox::new(limits.outbox_stanzas_max, limits.outbox_bytes_max);
        let generation = engine.registry().next_generation();
        let resource = Arc::new(Resource::new(jid, generation, view.created, outbox));
        match engine
            .registry()
            .add(account, resource.clone(), limits.sessions_per_account_max)
        {
            Ok(Some(old)) => {
                presence::went_away(engine, account, &view, &old);
                old.outbox.end(StreamError::new(StreamCondition::Conflict));
            }
            Ok(None) => {}
            Err(_) => {
                engine.metrics().session_refusals.inc();
                return Err(Condition::ResourceConstraint.into());
            }
        }
        engine.metrics().sessions.inc();
        Ok(Self {
            engine: engine.clone(),
            state: SessionState {
                resource,
                account: account.clone(),
                caps_asked: None,
                offline: offline::Reader::default(),
                after_reply: Vec::new(),
            },
            pending: VecDeque::new(),
            inbound: None,
            counted: false,
        })
    }

    /// The address.
    pub fn jid(&self) -> &FullJid {
        &self.state.resource.jid
    }

    /// The server.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Whether more of the client's stanzas may be taken.
    pub fn wants_input(&self) -> bool {
        self.pending.len() < self.engine.settings().limits.pending_stanzas_max
    }

    /// Takes a stanza from the client. `lang` is the stream's default language. An error ends the
    /// stream.
    pub async fn ingress(
        &mut self,
        stanza: Stanza,
        lang: Option<&str>,
        out: &mut Output,
    ) -> Result<(), StreamError> {
        self.counted = false;
        if let Some(inbound) = &mut self.inbound {
            inbound.received();
        }
        let taken = self.ingress_counted(stanza, lang, out).await;
        if !self.counted {
            self.count_behind(out);
        }
        taken
    }

    async fn ingress_counted(
        &mut self,
        stanza: Stanza,
        lang: Option<&str>,
        out: &mut Output,
    ) -> Result<(), StreamError> {
        let mut draft = match Draft::new(stanza.clone()) {
            Ok(draft) => draft,
            Err(error) => {
                self.refuse(&stanza, None, &error, out);
                return Ok(());
            }
        };
        self.stamp(&mut draft)?;
        if let Some(lang) = lang {
            draft.default_lang(lang);
        }
        match draft.kind() {
            Kind::Message => self.message(stanza, draft, out).await,
            Kind::Iq => self.iq(stanza, draft, out).await,
            Kind::Presence => {
                self.engine.metrics().presences_in.inc();
                let news = draft.to().is_none() && stanza.type_attr().is_none();
                presence::from_client(self, stanza.clone(), draft, out).await;
                if news {
                    caps::on_presence(&self.engine, &mut self.state, &stanza, out);
                }
            }
        }
        Ok(())
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

    /// Takes what somebody else has for the client. An error ends the stream.
    pub fn egress(&mut self, delivery: Delivery, out: &mut Output) -> Result<(), StreamError> {
        match delivery {
            Delivery::Stanza(sealed) => out.sealed(&sealed),
            Delivery::Message(sealed, copies) => out.message(sealed, copies),
            Delivery::Own(stanza) => out.stanza(stanza),
            Delivery::OfflineWaiting => self.state.offline.want(),
            Delivery::End(error) => return Err(error),
        }
        Ok(())
    }

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

    /// Ends the session: finishes what is pending, tells those who saw it, keeps what the client
    /// did not take. `output` is what was on its way to it.
    pub async fn end(mut self, mut output: Output) {
        self.settle(&mut output).await;
        let engine = self.engine.clone();
        let account = self.state.account.clone();
        let kept = self.keep_unread(output.take_unacknowledged());
        if let Ok(view) = engine.view(&account).await {
            if view.exists {
                presence::remember_last(&engine, &account, &self.state.resource).await;
            }
            self.unavailable(&view);
        }
        offline::kept(&engine, &account, kept).await;
    }

    /// Whether a pending stanza to the same account may yet have to be stored: its recipient was
    /// here when it came, and may have gone. What comes after it must not be stored first.
    fn is_undecided(&self, to: &Jid) -> bool {
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

    /// Answers a stanza of the client with an error, if an answer is due.
    pub fn refuse(&self, stanza: &Stanza, to: Option<&Jid>, error: &StanzaError, out: &mut Output) {
        let full = Jid::from(self.jid().clone());
        if let Some(answer) = error.answer(stanza, to, Some(&full)) {
            self.engine.metrics().stanza_errors.inc();
            out.stanza(answer);
        }
    }

    /// The account's snapshot.
    pub async fn view(&self) -> Result<Arc<View>, StanzaError> {
        self.engine.view(&self.state.account).await
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
    fn count_behind(&mut self, out: &mut Output) {
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

    /// The sender is this session and nobody else (RFC 6120 § 8.1.2.1, § 4.9.3.9).
    fn stamp(&self, draft: &mut Draft) -> Result<(), StreamError> {
        let full = self.jid();
        let own = draft
            .from()
            .is_none_or(|from| from.as_str() == full.as_str() || from.as_str() == full.bare_str());
        if !own {
            return Err(StreamError::new(StreamCondition::InvalidFrom));
        }
        draft.set_from(full.clone().into());
        Ok(())
    }

    async fn message(&mut self, stanza: Stanza, mut draft: Draft, out: &mut Output) {
        self.engine.metrics().messages_in.inc();
        // RFC 6120 § 10.3.1: without `to` it is for the sender's own account.
        let to = draft.to().cloned().unwrap_or_else(|| {
            let own = Jid::from(self.state.account.clone());
            draft.set_to(own.clone());
            own
        });
        let routed = match self.view().await {
            Ok(view) => {
                let sender = Some((&self.state.account, &*view));
                let undecided = self.is_undecided(&to);
                message::route(&self.engine, sender, draft, undecided).await
            }
            Err(error) => Err(error),
        };
        match routed {
            Ok(routed) => self.take(routed, out),
            Err(error) => self.refuse(&stanza, Some(&to), &error, out),
        }
    }

    async fn iq(&mut self, stanza: Stanza, draft: Draft, out: &mut Output) {
        self.engine.metrics().iqs_in.inc();
        let given = draft.to().cloned();
        let result = self.iq_routed(draft, out).await;
        match result {
            Ok(Some(reply)) => self.reply(&stanza, given.as_ref(), &reply, out),
            Ok(None) => {}
            Err(error) => self.refuse(&stanza, given.as_ref(), &error, out),
        }
        for stanza in self.state.after_reply.drain(..) {
            out.stanza(stanza);
        }
    }

    async fn iq_routed(
        &mut self,
        draft: Draft,
        out: &mut Output,
    ) -> Result<Option<Reply>, StanzaError> {
        let kind = iq::check(draft.stanza())?;
        let to = draft
            .to()
            .cloned()
            .unwrap_or_else(|| self.state.account.clone().into());
        let (place, target) = match iq::destination(&self.engine, &to) {
            iq::Destination::Here(place, target) => (place, target),
            iq::Destination::There => {
                let view = self.view().await?;
                let sender = Some((&self.state.account, &*view));
                let routed = iq::route(&self.engine, sender, draft, kind).await?;
                self.take(routed, out);
                return Ok(None);
            }
        };
        let kind = match kind {
            iq::Type::Get => IqKind::Get,
            iq::Type::Set => IqKind::Set,
            iq::Type::Result | iq::Type::Error => {
                caps::on_answer(&self.engine, &mut self.state, draft.stanza());
                return Ok(None);
            }
        };
        if place == Place::Account && target != self.state.account {
            // We answer for the other account, but whom the user has blocked is not asked.
            let view = self.view().await?;
            let sender = Some((&self.state.account, &*view));
            if !guard_sender(&self.engine, &draft, sender, &to)? {
                return Ok(None);
            }
        }
        self.settle(out).await;
        let from = Jid::from(self.jid().clone());
        let engine = self.engine.clone();
        let session = Some(&mut self.state);
        iq::answer(&engine, &draft, kind, (place, &target), &from, session)
            .await
            .map(Some)
    }

    /// RFC 6120 § 8.1.2.1: a request without `to` is answered without `from`.
    fn reply(&self, stanza: &Stanza, from: Option<&Jid>, reply: &Reply, out: &mut Output) {
        let mut xml = Writer::new(ns::CLIENT);
        xml.start("iq")
            .attr("type", "result")
            .attr_opt("id", stanza.id().as_deref())
            .attr_opt("from", from.map(Jid::as_str))
            .attr("to", self.jid().as_str());
        if let Reply::Payload(payload) = reply {
            xml.raw(payload);
        }
        xml.end();
        out.stanza(xml.finish());
    }

    /// Takes nothing more, and stores the messages that were not taken by the client. At once,
    /// so that they come before what is refused from now on and stored by its senders.
    fn keep_unread(&self, mut left: Vec<Delivery>) -> Vec<Ticket> {
        left.extend(self.state.resource.outbox.close());
        offline::keep(&self.engine, &self.state.account, left)
    }

    /// Leaves the table and tells those who saw the session; once.
    fn unavailable(&mut self, view: &View) {
        let resource = &self.state.resource;
        presence::went_away(&self.engine, &self.state.account, view, resource);
        self.engine
            .registry()
            .remove(&self.state.account, resource.generation);
    }
}

impl Drop for Session {
    /// After [`Session::end`] there is nothing left to do; after a panic this is the clean-up. The
    /// records are written although nobody waits for them.
    fn drop(&mut self) {
        drop(self.keep_unread(Vec::new()));
        if self.state.resource.outbox.overflowed() {
            self.engine.metrics().outbox_overflows.inc();
        }
        if let Ok(view) = self.engine.registry().view(&self.state.account) {
            self.unavailable(&view);
        }
        let generation = self.state.resource.generation;
        self.engine
            .registry()
            .remove(&self.state.account, generation);
        self.engine.metrics().sessions.dec();
    }
}
