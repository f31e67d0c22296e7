//! One bound resource: what its client sends goes in, what others send it comes out.
//!
//! The session is owned by its connection's task. Others reach it only through its outbox.

mod egress;
mod pending;
pub(crate) mod replay;
mod resumable;
mod take_over;

use pending::Pending;
use replay::Replay;
use resumable::Resumable;

use crate::{
    Engine,
    account::View,
    feature::{IqKind, Place, Reply, Way},
    features::{caps, mds, offline, pubsub, push},
    hibernation,
    outbox::Delivery,
    output::{self, Output},
    presence,
    registry::Resource,
    route::{guard_sender, iq, message, service},
};
use bytes::Bytes;
use std::{collections::VecDeque, sync::Arc};
use waxwing_proto::{
    BareJid, FullJid, Jid,
    csi::Csi,
    ns,
    sm::Inbound,
    stanza::{Draft, Kind, Stanza, StanzaError},
    stream::{StreamCondition, StreamError},
    xml::Writer,
};
use waxwing_store::Ticket;

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
    /// Stanzas for this session alone that a handler wants sent before its reply.
    pub before_reply: Vec<Bytes>,
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
    /// What an inactive client is spared for now (XEP-0352); nothing is kept for an active one.
    csi: Option<Box<Csi<Delivery>>>,
    /// What is on disk of a session that can be resumed.
    resumable: Option<Box<Resumable>>,
    /// What it has still to be given after a resumption; what is newer waits meanwhile.
    replay: Option<Box<Replay>>,
    /// Up to here, the archive has been read for it; what others bring of that is nothing new.
    replayed: u64,
    /// Nothing is left to be done at its end.
    ended: bool,
}

/// How a stream ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The session has ended with it.
    Over,
    /// The client may come back to its session.
    Lost,
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
        let resource = hibernation::resource(engine, jid, view.created);
        let sessions_max = engine.settings().limits.sessions_per_account_max;
        let add = || {
            engine
                .registry()
                .add(account, resource.clone(), sessions_max)
        };
        let mut added = add();
        if added.is_err() && hibernation::make_room(engine, account).await {
            added = add();
        }
        match added {
            Ok(Some(old)) => {
                old.end(engine, StreamError::new(StreamCondition::Conflict))
                    .await;
                presence::went_away(engine, account, &view, &old);
                // What it leaves must be in its place before anything newer comes to this one.
                drop(hibernation::right(old).await);
            }
            Ok(None) => {}
            Err(_) => {
                engine.metrics().session_refusals.inc();
                return Err(Condition::ResourceConstraint.into());
            }
        }
        Ok(Self::new(engine, account, resource))
    }

    fn new(engine: &Engine, account: &BareJid, resource: Arc<Resource>) -> Self {
        engine.metrics().sessions.inc();
        Self {
            engine: engine.clone(),
            state: SessionState {
                resource,
                account: account.clone(),
                caps_asked: None,
                offline: offline::Reader::default(),
                before_reply: Vec::new(),
                after_reply: Vec::new(),
            },
            pending: VecDeque::new(),
            inbound: None,
            counted: false,
            csi: None,
            resumable: None,
            replay: None,
            replayed: 0,
            ended: false,
        }
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
        self.save();
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
            Kind::Message => self.message(stanza, draft, out).await?,
            Kind::Iq => self.iq(stanza, draft, out).await?,
            Kind::Presence => {
                self.engine.metrics().presences_in.inc();
                let news = draft.to().is_none() && stanza.type_attr().is_none();
                presence::from_client(self, stanza.clone(), draft, out).await?;
                if news {
                    caps::on_presence(&self.engine, &mut self.state, &stanza, out);
                    pubsub::on_caps(&self.engine, &self.state.account, &self.state.resource).await;
                }
            }
        }
        Ok(())
    }

    /// Ends the stream: finishes what is pending, and then either leaves the session for the client
    /// to come back to, or ends it as well: tells those who saw it, keeps what the client did not
    /// take. `output` is what was on its way to it.
    pub async fn end(mut self, mut output: Output, ending: Ending) {
        self.settle(&mut output).await;
        if ending == Ending::Lost && self.is_resumable() {
            return self.hibernate(output).await;
        }
        let engine = self.engine.clone();
        let account = self.state.account.clone();
        let kept = self.keep_unread(&mut output);
        let has_unread = !kept.is_empty();
        hibernation::leave(&engine, &account, &self.state.resource).await;
        if has_unread {
            push::left_behind(&engine, &account, &self.state.resource);
        }
        offline::kept(&engine, &account, kept).await;
        self.finish().await;
        self.state.resource.put_to_sleep.notify_one();
    }

    /// What a resumed session has still to be given.
    pub(crate) fn replay(&self) -> Option<&Replay> {
        self.replay.as_deref()
    }

    /// All output so far has been written to the transport.
    pub(crate) fn written(&mut self) {
        if let Some(replay) = &mut self.replay {
            replay.written();
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

    async fn message(
        &mut self,
        stanza: Stanza,
        mut draft: Draft,
        out: &mut Output,
    ) -> Result<(), StreamError> {
        self.engine.metrics().messages_in.inc();
        // RFC 6120 § 10.3.1: without `to` it is for the sender's own account.
        let to = draft.to().cloned().unwrap_or_else(|| {
            let own = Jid::from(self.state.account.clone());
            draft.set_to(own.clone());
            own
        });
        mds::assist(&self.engine, &self.jid().into(), &mut draft).await;
        if self.is_undecided(&to) {
            // What must be stored of it is found out before anything is stored of this one.
            self.settle(out).await;
        }
        let routed = match self.view().await {
            Ok(view) => {
                let sender = Some((&self.state.account, &*view));
                message::route(&self.engine, sender, draft).await
            }
            Err(error) => Err(error),
        };
        match routed {
            Ok(routed) => self.take(routed, out),
            Err(error) => {
                self.catch_up(Some(&to), out).await?;
                self.refuse(&stanza, Some(&to), &error, out);
            }
        }
        Ok(())
    }

    async fn iq(
        &mut self,
        stanza: Stanza,
        draft: Draft,
        out: &mut Output,
    ) -> Result<(), StreamError> {
        self.engine.metrics().iqs_in.inc();
        let given = draft.to().cloned();
        let result = self.iq_routed(draft, out).await;
        self.catch_up(given.as_ref(), out).await?;
        for stanza in self.state.before_reply.drain(..) {
            out.stanza(stanza);
        }
        match result {
            Ok(Some(Reply::Sent) | None) => {}
            Ok(Some(reply)) => self.reply(&stanza, given.as_ref(), &reply, out),
            Err(error) => self.refuse(&stanza, given.as_ref(), &error, out),
        }
        for stanza in self.state.after_reply.drain(..) {
            out.stanza(stanza);
        }
        Ok(())
    }

    /// An answer of a service that has an order in what it says, such as a room (XEP-0045 § 7.2.2),
    /// comes behind what the service has said to the client before.
    pub(crate) async fn catch_up(
        &mut self,
        to: Option<&Jid>,
        out: &mut Output,
    ) -> Result<(), StreamError> {
        let Some(to) = to.filter(|to| self.engine.service(to.domain()).is_some()) else {
            return Ok(());
        };
        let engine = self.engine.clone();
        if !service::settled(&engine, to).await {
            return Ok(());
        }
        // Messages of the client's that wait for their commits come before what it sent after them.
        self.settle(out).await;
        // What is older than the outbox comes first, and who acknowledges nothing gets no more.
        while self.replay.is_none()
            && !self.state.offline.is_reading()
            && !out.is_full()
            && let Some(delivery) = self.state.resource.outbox.take()
        {
            self.egress(delivery, out)?;
        }
        Ok(())
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
        let (place, target) = match iq::destination(&self.engine, &to, kind) {
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
                pubsub::on_caps(&self.engine, &self.state.account, &self.state.resource).await;
                return Ok(None);
            }
        };
        if place != Place::Domain && target != self.state.account {
            // We answer for the other entity, but whom the user has blocked is not asked.
            let view = self.view().await?;
            let sender = Some((&self.state.account, &*view));
            if !guard_sender(&self.engine, &draft, sender, &to)? {
                return Ok(None);
            }
        }
        self.settle(out).await;
        let from = Jid::from(self.jid().clone());
        let engine = self.engine.clone();
        let way = Way::Session(&mut self.state);
        iq::answer(&engine, &draft, kind, (place, &target), &from, way)
            .await
            .map(Some)
    }

    /// RFC 6120 § 8.1.2.1: a request without `to` is answered without `from`.
    fn reply(&self, stanza: &Stanza, from: Option<&Jid>, reply: &Reply, out: &mut Output) {
        let mut xml = Writer::new(ns::CLIENT);
        xml.start("iq")
            .attr("type", reply.type_name())
            .attr_opt("id", stanza.id().as_deref())
            .attr_opt("from", from.map(Jid::as_str))
            .attr("to", self.jid().as_str());
        reply.write(&mut xml);
        xml.end();
        out.stanza(xml.finish());
    }

    /// Takes nothing more, and stores the messages that were not taken by the client. At once,
    /// so that they come before what is refused from now on and stored by its senders.
    fn keep_unread(&mut self, output: &mut Output) -> Vec<Ticket> {
        let (_, sent) = output.take_unacknowledged();
        let mut left = output::messages(sent);
        if let Some(mut csi) = self.csi.take() {
            csi.flush(&mut left);
        }
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
        self.engine.metrics().sessions.dec();
        if self.state.resource.outbox.overflowed() {
            self.engine.metrics().outbox_overflows.inc();
        }
        if self.ended {
            return;
        }
        drop(self.keep_unread(&mut Output::default()));
        if let Ok(view) = self.engine.registry().view(&self.state.account) {
            self.unavailable(&view);
        }
        let (account, generation) = (&self.state.account, self.state.resource.generation);
        self.engine.registry().remove(account, generation);
    }
}
