//! A connection that another server has made, without its socket.

use super::{Dial, dial::Answer, inbound};
use crate::{Engine, Status};
use bytes::{Bytes, BytesMut};
use std::{
    collections::VecDeque,
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tokio::{sync::mpsc, time::Sleep};
use waxwing_proto::{
    Jid,
    stanza::{Condition, Draft, Kind, Sealed, Stanza, StanzaError},
    stream::{
        Ids, StreamCondition, StreamError, TlsInfo, Transport,
        s2s::{Pair, S2sEffect, S2sInStream},
    },
};

/// What happened inside the server.
#[derive(Debug)]
pub enum IncomingEvent {
    /// A dialback key was verified, or could not be.
    Answer(Answer),
    /// Nobody was authorised in time.
    Deadline,
}

/// A connection that another server has made.
pub struct IncomingConnection {
    engine: Engine,
    stream: S2sInStream,
    output: VecDeque<Bytes>,
    status: Status,
    /// Until a pair of domains is authorised.
    deadline: Option<Pin<Box<Sleep>>>,
    /// Where answers to dialback keys come: the stream has no more than 64 questions open
    /// (`pairs_max` of its settings).
    answers: (
        mpsc::UnboundedSender<Answer>,
        mpsc::UnboundedReceiver<Answer>,
    ),
}

impl IncomingConnection {
    /// A connection that has just been accepted.
    pub fn new(engine: &Engine, transport: Transport) -> Self {
        let env = engine.env().clone();
        let ids: Ids = Arc::new(move || env.token());
        let timeout = engine.settings().limits.login_timeout;
        engine.metrics().s2s_incoming.inc();
        Self {
            stream: S2sInStream::new(engine.federation().streams(), transport, ids),
            engine: engine.clone(),
            output: VecDeque::new(),
            status: Status::Open,
            deadline: Some(Box::pin(tokio::time::sleep(timeout))),
            answers: mpsc::unbounded_channel(),
        }
    }

    /// Processes what is in `input`.
    pub async fn handle(&mut self, input: &mut BytesMut) {
        while self.status == Status::Open {
            let Some(effect) = self.stream.next_effect(input) else {
                break;
            };
            self.perform(effect).await;
        }
    }

    /// Bytes to be written, in order.
    pub fn output(&mut self) -> &mut VecDeque<Bytes> {
        &mut self.output
    }

    /// What the transport has to do once the output is written.
    pub fn status(&self) -> Status {
        self.status
    }

    /// Whether any pair of domains is authorised.
    pub fn is_authenticated(&self) -> bool {
        !self.stream.authorized().is_empty()
    }

    /// TLS is up after [`Status::StartTls`].
    pub fn tls_started(&mut self, info: TlsInfo) {
        if self.status == Status::StartTls {
            self.status = Status::Open;
            self.stream.tls_started(info);
        }
    }

    /// Ends the stream with an error, after what is already queued.
    pub fn shutdown(&mut self, condition: StreamCondition) {
        self.close(StreamError::new(condition));
    }

    /// Waits for the next event. Cancel-safe: nothing is taken that is not returned.
    pub async fn event(&mut self) -> IncomingEvent {
        poll_fn(|cx| self.poll_event(cx)).await
    }

    /// Carries out an event.
    pub async fn on_event(&mut self, event: IncomingEvent) {
        match event {
            IncomingEvent::Answer((pair, verdict)) => {
                self.stream.verified(&pair, verdict);
                self.handle(&mut BytesMut::new()).await;
            }
            IncomingEvent::Deadline if self.is_authenticated() => {}
            IncomingEvent::Deadline => {
                self.close(StreamError::new(StreamCondition::ConnectionTimeout));
            }
        }
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<IncomingEvent> {
        if let Some(deadline) = &mut self.deadline
            && deadline.as_mut().poll(cx).is_ready()
        {
            self.deadline = None;
            return Poll::Ready(IncomingEvent::Deadline);
        }
        if self.status != Status::Open {
            return Poll::Pending;
        }
        match self.answers.1.poll_recv(cx) {
            Poll::Ready(Some(answer)) => Poll::Ready(IncomingEvent::Answer(answer)),
            _ => Poll::Pending,
        }
    }

    async fn perform(&mut self, effect: S2sEffect) {
        match effect {
            S2sEffect::Send(bytes) => self.output.push_back(bytes),
            S2sEffect::StartTls => self.status = Status::StartTls,
            S2sEffect::Verify(asked) => {
                let dial = Dial::verify(asked, self.answers.0.clone());
                self.engine.federation().dials.push(dial);
            }
            S2sEffect::Authorized(pair) => self.authorized(&pair),
            S2sEffect::Stanza(draft) => take(&self.engine, draft).await,
            S2sEffect::Malformed(stanza, error) => {
                let local = self.stream.authorized().first();
                let local = local.map(|pair| pair.local.clone()).unwrap_or_default();
                refuse(&self.engine, &local, &stanza, &error);
            }
            S2sEffect::Close => self.status = Status::Closing,
            S2sEffect::Ready { .. } | S2sEffect::Verified(_) | S2sEffect::Ack(_) => {}
        }
    }

    fn authorized(&mut self, pair: &Pair) {
        let Pair { local, remote } = pair;
        tracing::info!(%local, %remote, "another server has connected");
        self.deadline = None;
        // It is there: what waits for it need not wait any longer.
        if let Some(link) = self.engine.federation().link(pair) {
            link.hurry();
        }
    }

    fn close(&mut self, error: StreamError) {
        if self.status == Status::Closing {
            return;
        }
        self.engine.metrics().stream_errors.inc();
        self.stream.close(Some(error));
        let mut nothing = BytesMut::new();
        while let Some(effect) = self.stream.next_effect(&mut nothing) {
            if let S2sEffect::Send(bytes) = effect {
                self.output.push_back(bytes);
            }
        }
        self.status = Status::Closing;
    }
}

/// Takes a stanza of another server, whose domains are authorised. When this returns, it is handled:
/// what it had to leave on disk is there. The answer goes the other way.
pub(super) async fn take(engine: &Engine, draft: Draft) {
    engine.metrics().s2s_stanzas_in.inc();
    let (Some(from), Some(to)) = (draft.from().cloned(), draft.to().cloned()) else {
        return;
    };
    let (kind, stanza) = (draft.kind(), draft.stanza().clone());
    let back = Box::pin(inbound::arrive(engine, draft)).await;
    let before = back.before.into_iter().map(|one| (Kind::Message, one));
    let answer = back.answer.map(|answer| (kind, answer));
    let all: Vec<(Kind, Bytes)> = before.chain(answer).collect();
    let bytes = all.iter().map(|(_, bytes)| bytes.len()).sum();
    if bytes == 0 {
        return;
    }
    if !may_answer(engine, (to.domain(), from.domain()), &stanza, bytes) {
        if kind == Kind::Iq {
            let error = StanzaError::new(Condition::ResourceConstraint)
                .text("Your server has been given too much in this minute.");
            refuse(engine, to.domain(), &stanza, &error);
        }
        return;
    }
    for (kind, bytes) in all {
        let stanza = Sealed::from_bytes(kind, bytes);
        // Who cannot be reached does not get answers either, and who has not got all of the messages
        // before must not be told that this was all.
        if engine
            .depart(to.domain(), from.domain(), stanza, None)
            .is_err()
        {
            return;
        }
    }
}

/// Whether the answers to a stanza may go to its server (`answer_bytes_per_minute_max`).
fn may_answer(
    engine: &Engine,
    (local, remote): (&str, &str),
    stanza: &Stanza,
    bytes: usize,
) -> bool {
    let bytes_max = engine.settings().limits.answer_bytes_per_minute_max;
    let Some(link) = engine.link(local, remote) else {
        return false;
    };
    let may = link.may_answer(stanza.tree().bytes().len(), bytes, bytes_max);
    if !may {
        engine.metrics().s2s_answers_refused.inc();
    }
    may
}

/// Answers a stanza with an error, in the name of whom it was for, or of our domain where that is
/// nobody's address.
pub(super) fn refuse(engine: &Engine, local: &str, stanza: &Stanza, error: &StanzaError) {
    let from = stanza.root().attr("from");
    let Some(from) = from.and_then(|from| Jid::parse(&from).ok()) else {
        return;
    };
    let to = stanza.root().attr("to");
    let own = to.and_then(|to| Jid::parse(&to).ok());
    let own = own.or_else(|| Jid::parse(local).ok());
    if let Some(answer) = error.answer(stanza, own.as_ref(), Some(&from)) {
        engine.metrics().stanza_errors.inc();
        let answer = Sealed::from_bytes(stanza.kind(), answer);
        let _ = engine.depart(local, from.domain(), answer, None);
    }
}

impl Drop for IncomingConnection {
    fn drop(&mut self) {
        self.engine.metrics().s2s_incoming.dec();
    }
}

impl std::fmt::Debug for IncomingConnection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IncomingConnection")
            .field("remote", &self.stream.remote())
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}
