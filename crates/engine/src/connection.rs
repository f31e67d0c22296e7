//! A client's connection without its socket: stream machine, login, then a session.
//!
//! The shell owns the bytes. It calls [`Connection::handle`] with what it has read, writes what
//! [`Connection::output`] holds and says so with [`Connection::written`], and waits for
//! [`Connection::event`] beside its socket. After each [`Connection::on_event`] it calls
//! [`Connection::handle`] again if input is left, because a connection that did not want input
//! before may want it now.

mod login;
mod websocket;

use crate::{
    Engine,
    deliverer::Delivered,
    features::register,
    outbox::Delivery,
    output::Output,
    session::{Ending, Session, replay},
};
use bytes::{Bytes, BytesMut};
use login::LoggingIn;
use std::{
    collections::VecDeque,
    future::{Future, poll_fn},
    net::IpAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tokio::time::{Instant, Sleep};
use waxwing_proto::{
    sm,
    stanza::{Condition, StanzaError},
    stream::{
        C2sSettings, C2sStream, Effect, Ids, Reply, StreamCondition, StreamError, TlsInfo,
        Transport,
    },
};

/// How many deliveries one event takes from the outbox, so that one write carries them.
const BATCH: usize = 64;

/// What the transport has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Read and write.
    Open,
    /// Write the output, then start TLS and call [`Connection::tls_started`]. Bytes already read
    /// must be dropped and end the connection (RFC 6120 § 5.4.3.3).
    StartTls,
    /// Write the output, then close.
    Closing,
}

/// What happened inside the server.
#[derive(Debug)]
pub enum Event {
    /// Somebody has something for the client.
    Delivery(Delivery),
    /// Another stream resumes the session (XEP-0198 § 5).
    Detached,
    /// The oldest pending stanza is on disk and was handed over, or was refused.
    Delivered(Delivered),
    /// The offline queue is to be read on.
    Offline,
    /// The client is to be given more of what it missed before it resumed.
    Replay,
    /// A deadline has passed.
    Deadline,
}

/// How stanzas to the client are counted (XEP-0198).
#[derive(Debug, Clone, Copy)]
struct Counting {
    /// How many it has received before.
    from: u32,
    /// Whether the session can be resumed.
    resumable: bool,
}

/// A client's connection.
pub struct Connection {
    engine: Engine,
    /// When it was made, as a number that rises.
    made: u64,
    peer: IpAddr,
    stream: C2sStream,
    session: Option<Box<Session>>,
    output: Output,
    status: Status,
    timer: Option<Pin<Box<Sleep>>>,
    /// When the client must have logged in.
    login_deadline: Instant,
    /// A failed login is answered when this has passed (back-off).
    held_until: Option<Instant>,
    /// The next thing sent says that acknowledgements are enabled (XEP-0198 § 3).
    enabling: Option<Counting>,
    /// The session ends with the stream.
    over: bool,
    logging_in: LoggingIn,
}

impl Connection {
    /// A connection that has just been accepted from `peer`.
    pub fn new(engine: &Engine, peer: IpAddr, transport: Transport) -> Self {
        let stream = |settings, ids| C2sStream::new(settings, transport, ids);
        Self::with(engine, peer, stream, Output::default())
    }

    fn with(
        engine: &Engine,
        peer: IpAddr,
        stream: impl FnOnce(Arc<C2sSettings>, Ids) -> C2sStream,
        output: Output,
    ) -> Self {
        engine.metrics().connections.inc();
        let env = engine.env().clone();
        let ids: Ids = Arc::new(move || env.token());
        let login_deadline = Instant::now() + engine.settings().limits.login_timeout;
        Self {
            stream: stream(engine.streams().clone(), ids),
            engine: engine.clone(),
            made: engine.registry().next_generation(),
            peer,
            session: None,
            output,
            enabling: None,
            over: false,
            logging_in: LoggingIn::default(),
            status: Status::Open,
            timer: Some(Box::pin(tokio::time::sleep_until(login_deadline))),
            login_deadline,
            held_until: None,
        }
    }

    /// Processes what is in `input`, as far as [`Connection::wants_input`] holds. What is left
    /// stays in the buffer.
    pub async fn handle(&mut self, input: &mut BytesMut) {
        while self.wants_input() {
            let Some(effect) = self.stream.next_effect(input) else {
                break;
            };
            self.perform(effect).await;
        }
        self.output.request();
    }

    /// Whether the socket should be read: back-pressure on a client that sends faster than its
    /// messages can be committed, and on one whose failed login is being delayed.
    pub fn wants_input(&self) -> bool {
        self.status == Status::Open
            && self.held_until.is_none()
            && !self.output.is_long()
            && self
                .session
                .as_ref()
                .is_none_or(|session| session.wants_input())
    }

    /// Bytes to be written, in order.
    pub fn output(&mut self) -> &mut VecDeque<Bytes> {
        self.output.bytes()
    }

    /// All output so far has been written to the transport.
    pub fn written(&mut self) {
        self.output.written();
        if let Some(session) = &mut self.session {
            let acknowledges = self.output.is_acknowledged();
            session.state.offline.written(acknowledges);
            session.written();
            if !acknowledges {
                session.received(self.output.seen());
            }
        }
    }

    /// What the transport has to do once the output is written.
    pub fn status(&self) -> Status {
        self.status
    }

    /// Whether the client has logged in, for bounds on connections that have not.
    pub fn is_authenticated(&self) -> bool {
        self.stream.is_authenticated()
    }

    /// The bound session, if any.
    pub fn session(&self) -> Option<&Session> {
        self.session.as_deref()
    }

    /// TLS is up after [`Status::StartTls`].
    pub fn tls_started(&mut self, info: TlsInfo) {
        self.stream.tls_started(info);
        if self.status == Status::StartTls {
            self.status = Status::Open;
        }
    }

    /// Ends the stream with an error, after what is already queued.
    pub fn shutdown(&mut self, condition: StreamCondition) {
        self.close(StreamError::new(condition));
    }

    /// Waits for the next event. Cancel-safe: nothing is taken that is not returned.
    pub async fn event(&mut self) -> Event {
        poll_fn(|cx| self.poll_event(cx)).await
    }

    /// Carries out an event.
    pub async fn on_event(&mut self, event: Event) {
        match event {
            Event::Deadline => self.deadline(),
            Event::Delivery(delivery) => self.deliver(delivery),
            Event::Detached => {
                self.close(StreamError::new(StreamCondition::Conflict));
                self.over = false;
            }
            Event::Delivered(delivered) => {
                if let Some(session) = &mut self.session {
                    session.release(delivered, &mut self.output);
                }
            }
            Event::Replay => {
                if let Some(session) = &mut self.session
                    && let Err(error) = replay::replay_on(session, &mut self.output).await
                {
                    self.close(error);
                }
            }
            Event::Offline => {
                if let Some(session) = &mut self.session {
                    crate::features::offline::read_on(session, &mut self.output).await;
                }
            }
        }
        self.output.request();
    }

    /// The transport has gone, or has been closed after [`Status::Closing`].
    pub async fn end(mut self) {
        if let Some(session) = self.session.take() {
            let resource = session.state.resource.clone();
            let account = session.state.account.clone();
            let ending = if self.over {
                Ending::Over
            } else {
                Ending::Lost
            };
            let output = std::mem::take(&mut self.output);
            session.end(output, ending).await;
            if let Some(client) = resource.client() {
                self.engine.client_left(&account, client).await;
            }
        }
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        if let Some(timer) = &mut self.timer
            && timer.as_mut().poll(cx).is_ready()
        {
            self.timer = None;
            return Poll::Ready(Event::Deadline);
        }
        if self.status != Status::Open {
            return Poll::Pending;
        }
        let Some(session) = &mut self.session else {
            return Poll::Pending;
        };
        if session.state.resource.outbox.poll_detached(cx).is_ready() {
            // Not behind what this client may never take.
            return Poll::Ready(Event::Detached);
        }
        if let Poll::Ready(delivered) = session.poll_delivered(cx) {
            return Poll::Ready(Event::Delivered(delivered));
        }
        if let Some(replay) = session.replay() {
            return if replay.is_due() && !self.output.is_full() {
                Poll::Ready(Event::Replay)
            } else {
                Poll::Pending
            };
        }
        if session.state.offline.is_due() {
            return Poll::Ready(Event::Offline);
        }
        if session.state.offline.is_reading() || self.output.is_full() {
            // What is older comes first; who acknowledges nothing gets nothing more.
            return Poll::Pending;
        }
        session
            .state
            .resource
            .outbox
            .poll_next(cx)
            .map(Event::Delivery)
    }

    fn deliver(&mut self, first: Delivery) {
        let Some(session) = &mut self.session else {
            return;
        };
        let mut next = Some(first);
        let mut left = BATCH;
        while let Some(delivery) = next {
            if let Err(error) = session.egress(delivery, &mut self.output) {
                self.close(error);
                return;
            }
            if session.state.offline.is_reading() {
                return;
            }
            left -= 1;
            next = (left > 0)
                .then(|| session.state.resource.outbox.take())
                .flatten();
        }
    }

    async fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Send(bytes) => {
                self.output.raw(bytes);
                if let Some(counting) = self.enabling.take() {
                    let Counting { from, resumable } = counting;
                    self.output.enable(from, resumable);
                }
            }
            Effect::EnableSm(enable) => {
                let enabled = self.enable(enable).await;
                self.stream.answer(Reply::Enabled(enabled));
            }
            Effect::AckRequest => {
                if let Some(session) = &mut self.session {
                    session.acknowledge(&mut self.output);
                }
            }
            Effect::Ack(h) => self.acknowledged(h),
            Effect::ClientState(state) => {
                if let Some(session) = &mut self.session {
                    session.client_state(state, &mut self.output);
                }
            }
            Effect::StartTls => self.status = Status::StartTls,
            Effect::Credentials {
                username,
                mechanism,
                ..
            } => self.credentials(&username, mechanism).await,
            Effect::FastTokens {
                username,
                client,
                mechanism,
            } => self.tokens(&username, client.as_deref(), mechanism).await,
            Effect::Authenticated { jid, method } => self.authenticated(&jid, method),
            Effect::Upgrade { jid, hash } => self.upgrade(jid, hash).await,
            Effect::Upgraded {
                jid,
                hash,
                verifier,
            } => self.engine.verifier_add(jid, hash, verifier).await,
            Effect::Login(login) => self.log_in(*login).await,
            Effect::Resume(resume) => self.resume(resume).await,
            Effect::AuthFailed { username, .. } => self.auth_failed(username.as_deref()),
            Effect::Bind { resource } => self.bind(resource.as_deref()).await,
            Effect::Register(stanza) => {
                let host = self.stream.host().unwrap_or_default();
                let answer = register::before_login(&self.engine, self.peer, host, &stanza).await;
                self.stream.answer(Reply::Iq(answer));
            }
            Effect::Stanza(stanza) => {
                if let Some(session) = &mut self.session {
                    let lang = self.stream.lang();
                    if let Err(error) = session.ingress(stanza, lang, &mut self.output).await {
                        self.close(error);
                    }
                }
            }
            Effect::Control(bytes) => self.output.control(bytes),
            Effect::Lost => self.status = Status::Closing,
            Effect::Close => {
                self.over = true;
                self.status = Status::Closing;
            }
            // A new header changes nothing here.
            Effect::Opened { .. } => {}
        }
    }

    async fn bind(&mut self, resource: Option<&str>) {
        let bound = match self.stream.jid().cloned() {
            Some(account) => self.bind_session(&account, resource).await,
            None => Err(StanzaError::new(Condition::NotAllowed)),
        };
        self.stream.answer(Reply::Bound(bound));
    }

    async fn resume(&mut self, resume: sm::Resume) {
        let resumed = match self.stream.jid().cloned() {
            Some(account) => self.resumed(&account, resume).await,
            None => Err(sm::Failed {
                h: None,
                condition: Some(Condition::UnexpectedRequest),
            }),
        };
        self.stream.answer(Reply::Resumed(resumed));
    }

    fn acknowledged(&mut self, h: u32) {
        match self.output.acknowledge(h) {
            Ok(covered) => {
                let Some(session) = &mut self.session else {
                    return;
                };
                session.state.offline.acknowledged(covered.waiting);
                if let Some(last) = covered.archived {
                    session.state.offline.acknowledged_archived(last);
                    session.received(last);
                }
            }
            Err(too_high) => self.close(too_high.into()),
        }
    }

    fn deadline(&mut self) {
        let now = Instant::now();
        if self.held_until.take().is_some() {
            self.timer = Some(Box::pin(tokio::time::sleep_until(
                self.login_deadline.max(now),
            )));
            return;
        }
        if self.session.is_none() && self.status != Status::Closing {
            self.engine.metrics().login_timeouts.inc();
            self.close(
                StreamError::new(StreamCondition::ConnectionTimeout)
                    .text("Log in sooner after connecting."),
            );
        }
    }

    fn close(&mut self, error: StreamError) {
        if self.status == Status::Closing {
            return;
        }
        self.engine.metrics().stream_errors.inc();
        self.over = !keeps_session(&error);
        self.stream.close(Some(error));
        let mut nothing = BytesMut::new();
        while let Some(effect) = self.stream.next_effect(&mut nothing) {
            match effect {
                Effect::Send(bytes) => self.output.raw(bytes),
                Effect::Close => break,
                _ => {}
            }
        }
        self.status = Status::Closing;
    }
}

/// Whether the client may come back to its session after this error: it was nobody's decision
/// about the session.
fn keeps_session(error: &StreamError) -> bool {
    matches!(
        error.condition,
        StreamCondition::SystemShutdown
            | StreamCondition::ConnectionTimeout
            | StreamCondition::ResourceConstraint
            | StreamCondition::InternalServerError
    )
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.engine.metrics().connections.dec();
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::Connection;

    /// The shell runs connections on any thread.
    #[test]
    fn futures_are_send() {
        fn send<T: Send>(_: impl FnOnce(&'static mut Connection) -> T) {}
        send(Connection::event);
        send(|connection| async move {
            let event = connection.event().await;
            connection.on_event(event).await;
            connection.handle(&mut bytes::BytesMut::new()).await;
        });
    }
}
