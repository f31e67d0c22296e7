//! A connection to another server, without its socket.

use super::{
    Dial,
    dial::Ends,
    inbound,
    link::{Departing, Link, Next},
};
use crate::{Engine, Status, error};
use bytes::{Bytes, BytesMut};
use std::{
    collections::VecDeque,
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::{Instant, Sleep};
use waxwing_proto::{
    sm::{Nonza, Outbound, Pace},
    stanza::{Condition, Kind, Sealed, StanzaError},
    stream::{
        StreamCondition, StreamError, TlsInfo, Transport,
        s2s::{Failure, Pair, S2sEffect, S2sOutStream, dialback::Verdict},
    },
};
use waxwing_store::Route;

/// Messages read from the disk at a time.
const PAGE: u32 = 32;
/// After this time without anything to send a connection is ended.
const IDLE: Duration = Duration::from_mins(10);
/// How long the other server may leave stanzas without an acknowledgement, where it acknowledges.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_mins(1);

/// What happened inside the server.
#[derive(Debug)]
pub enum OutgoingEvent {
    /// There is something to send.
    #[expect(private_interfaces, reason = "only to be given back")]
    Next(Next),
    /// Messages on disk are to be read on.
    Read,
    /// A deadline has passed.
    Deadline,
}

/// What was sent and not acknowledged.
#[derive(Debug)]
enum Sent {
    /// A message that is on disk.
    Message(u64),
    /// A request, whose sender waits for an answer.
    Request(Sealed),
    /// What nobody waits for.
    Other,
}

/// A connection that we have made to another server.
pub struct OutgoingConnection {
    engine: Engine,
    dial: Dial,
    stream: S2sOutStream,
    /// Since stanzas may be sent.
    link: Option<Arc<Link>>,
    output: VecDeque<Bytes>,
    status: Status,
    deadline: Pin<Box<Sleep>>,
    /// What is not acknowledged, where the other server acknowledges.
    sent: Option<Outbound<Sent>>,
    /// The newest message sent, and the newest of which that is known to have left us.
    newest: u64,
    unwritten: bool,
    /// Messages on disk are to be read before anything else is sent.
    reading: bool,
}

impl OutgoingConnection {
    /// A connection that was just made for `dial`.
    pub fn new(engine: &Engine, dial: Dial, transport: Transport) -> Self {
        let streams = engine.federation().streams();
        let timeout = engine.settings().limits.login_timeout;
        engine.metrics().s2s_outgoing.inc();
        let mut connection = Self {
            stream: S2sOutStream::new(streams, dial.target.clone(), transport),
            engine: engine.clone(),
            dial,
            link: None,
            output: VecDeque::new(),
            status: Status::Open,
            deadline: Box::pin(tokio::time::sleep(timeout)),
            sent: None,
            newest: 0,
            unwritten: false,
            reading: false,
        };
        connection.begin();
        connection
    }

    /// Says the first word: the other server waits for it, so there is nothing to read before.
    fn begin(&mut self) {
        let mut nothing = BytesMut::new();
        while let Some(S2sEffect::Send(bytes)) = self.stream.next_effect(&mut nothing) {
            self.output.push_back(bytes);
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

    /// All output so far has been written to the transport.
    pub fn written(&mut self) {
        if std::mem::take(&mut self.unwritten) && self.sent.is_none() {
            self.forget(self.newest);
        }
    }

    /// What the transport has to do once the output is written.
    pub fn status(&self) -> Status {
        self.status
    }

    /// TLS is up after [`Status::StartTls`].
    pub fn tls_started(&mut self, info: TlsInfo) {
        if self.status == Status::StartTls {
            self.status = Status::Open;
            self.stream.tls_started(info);
            self.begin();
        }
    }

    /// Ends the stream with an error, after what is already queued.
    pub fn shutdown(&mut self, condition: StreamCondition) {
        self.close(Some(StreamError::new(condition)));
    }

    /// Waits for the next event. Cancel-safe: nothing is taken that is not returned.
    pub async fn event(&mut self) -> OutgoingEvent {
        poll_fn(|cx| self.poll_event(cx)).await
    }

    /// Carries out an event.
    pub async fn on_event(&mut self, event: OutgoingEvent) {
        match event {
            OutgoingEvent::Deadline => self.deadline_passed(),
            OutgoingEvent::Read => self.read().await,
            OutgoingEvent::Next(Next::Behind) => self.reading = true,
            OutgoingEvent::Next(Next::Item(item)) => self.send(item),
        }
    }

    /// The transport has gone, or has been closed after [`Status::Closing`]. What was not taken is
    /// tried again or goes back.
    pub async fn end(mut self) {
        if let Some(link) = self.leave() {
            let error = StanzaError::from(link.condition());
            for sent in self
                .sent
                .take()
                .into_iter()
                .flat_map(Outbound::into_unacknowledged)
            {
                if let Sent::Request(stanza) = sent {
                    inbound::bounce(&self.engine, &stanza, &error).await;
                }
            }
            return;
        }
        let failure = self.stream.failure();
        let Pair { local, remote } = &self.dial.target.pair;
        tracing::info!(%local, %remote, ?failure, "no way to another server");
        let condition = match failure {
            Some(Failure::Unverified(_) | Failure::Closed(_) | Failure::Protocol) | None => {
                Condition::RemoteServerTimeout
            }
            Some(_) => Condition::RemoteServerNotFound,
        };
        let engine = self.engine.clone();
        engine.metrics().s2s_dials_failed.inc();
        self.dial.give_up(&engine, condition).await;
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<OutgoingEvent> {
        if self.deadline.as_mut().poll(cx).is_ready() {
            return Poll::Ready(OutgoingEvent::Deadline);
        }
        let full = self.sent.as_ref().is_some_and(Outbound::is_full);
        match &self.link {
            Some(link) if self.status == Status::Open && !full => {
                if self.reading {
                    return Poll::Ready(OutgoingEvent::Read);
                }
                link.poll_next(cx).map(OutgoingEvent::Next)
            }
            _ => Poll::Pending,
        }
    }

    async fn perform(&mut self, effect: S2sEffect) {
        match effect {
            S2sEffect::Send(bytes) => self.output.push_back(bytes),
            S2sEffect::StartTls => self.status = Status::StartTls,
            S2sEffect::Ready { managed } => self.ready(managed),
            S2sEffect::Verified(verdict) => self.answer(verdict),
            S2sEffect::Ack(h) => self.acknowledged(h),
            S2sEffect::Close => self.status = Status::Closing,
            S2sEffect::Stanza(draft) => super::incoming::take(&self.engine, draft).await,
            S2sEffect::Malformed(stanza, error) => {
                let pair = &self.dial.target.pair;
                super::incoming::refuse(&self.engine, &pair.local, &stanza, &error);
            }
            S2sEffect::Verify(_) | S2sEffect::Authorized(_) => {}
        }
    }

    /// Stanzas may be sent: what is on disk first.
    fn ready(&mut self, managed: bool) {
        let Ends::Link(link) = &self.dial.ends else {
            return self.close(None);
        };
        if !link.attach() {
            return self.close(None);
        }
        let Pair { local, remote } = &link.pair;
        tracing::info!(%local, %remote, managed, "connected to another server");
        self.reading = link.take_behind();
        self.link = Some(Arc::clone(link));
        self.dial.ends = Ends::Nobody;
        self.sent = managed.then(|| Outbound::new(Pace::default()));
        self.set_deadline(IDLE);
    }

    fn answer(&mut self, verdict: Verdict) {
        if let Ends::Asker(answer) = std::mem::replace(&mut self.dial.ends, Ends::Nobody) {
            // The asker may have gone.
            let _ = answer.send((self.dial.target.pair.clone(), verdict));
        }
    }

    /// Reads on what waits on disk.
    async fn read(&mut self) {
        let Some(link) = self.link.clone() else {
            return;
        };
        let route = route(&link.pair);
        let page = self.engine.store().outgoing(route, self.newest, PAGE).await;
        match page {
            Ok(page) => {
                self.reading = !page.is_empty();
                for message in page {
                    let sealed = Sealed::from_bytes(Kind::Message, message.stanza);
                    self.send_one(Departing::Message(sealed, message.id));
                }
                self.request();
            }
            Err(failure) => {
                error::from_store(&self.engine, &failure);
                self.close(Some(StreamCondition::InternalServerError.into()));
            }
        }
    }

    /// Sends something.
    fn send(&mut self, first: Departing) {
        self.send_one(first);
        self.request();
    }

    fn send_one(&mut self, item: Departing) {
        let (stanza, sent) = match item {
            // It was read from the disk already.
            Departing::Message(_, id) if id <= self.newest => return,
            Departing::Message(stanza, id) => {
                self.newest = id;
                self.unwritten = true;
                (stanza, Sent::Message(id))
            }
            Departing::Stanza(stanza) if stanza.kind() == Kind::Iq => {
                (stanza.clone(), Sent::Request(stanza))
            }
            Departing::Stanza(stanza) => (stanza, Sent::Other),
        };
        self.engine.metrics().s2s_stanzas_out.inc();
        let chunks = stanza.chunks().filter(|chunk| !chunk.is_empty());
        self.output.extend(chunks.cloned());
        if let Some(outbound) = &mut self.sent {
            outbound.push(sent);
        }
        if !self.awaits_answer() {
            self.set_deadline(IDLE);
        }
    }

    /// Asks for an acknowledgement where that is due.
    fn request(&mut self) {
        let waited = self.awaits_answer();
        if self.sent.as_mut().is_some_and(Outbound::request) {
            self.output.push_back(Nonza::Request.to_bytes());
            if !waited {
                self.set_deadline(ACKNOWLEDGED_WITHIN);
            }
        }
    }

    fn awaits_answer(&self) -> bool {
        self.sent.as_ref().is_some_and(Outbound::awaits_answer)
    }

    fn acknowledged(&mut self, h: u32) {
        let Some(outbound) = &mut self.sent else {
            return;
        };
        let released = outbound.acknowledge(h).map(|released| {
            let messages = released.filter_map(|sent| match sent {
                Sent::Message(id) => Some(id),
                Sent::Request(_) | Sent::Other => None,
            });
            messages.last()
        });
        let last = match released {
            Ok(last) => last,
            Err(too_high) => return self.close(Some(too_high.into())),
        };
        if let Some(last) = last {
            self.forget(last);
        }
        self.set_deadline(IDLE);
        self.request();
    }

    /// The other server has all messages up to this one.
    fn forget(&mut self, last: u64) {
        if last > 0
            && let Some(link) = &self.link
        {
            // Queued by the call; should it fail, the messages are sent again.
            drop(self.engine.store().outgoing_remove(route(&link.pair), last));
        }
    }

    fn deadline_passed(&mut self) {
        if self.link.is_none() || self.awaits_answer() {
            let error = StreamError::new(StreamCondition::ConnectionTimeout);
            return self.close(Some(error));
        }
        self.close(None);
    }

    fn set_deadline(&mut self, after: Duration) {
        self.deadline.as_mut().reset(Instant::now() + after);
    }

    fn close(&mut self, error: Option<StreamError>) {
        if self.status == Status::Closing {
            return;
        }
        self.stream.close(error);
        let mut nothing = BytesMut::new();
        while let Some(effect) = self.stream.next_effect(&mut nothing) {
            if let S2sEffect::Send(bytes) = effect {
                self.output.push_back(bytes);
            }
        }
        self.status = Status::Closing;
    }

    /// Ceases to be the way; once.
    fn leave(&mut self) -> Option<Arc<Link>> {
        let link = self.link.take()?;
        let Pair { local, remote } = &link.pair;
        tracing::info!(%local, %remote, "the connection to another server has ended");
        let unacknowledged = self.sent.as_ref().is_some_and(|sent| {
            let mut sent = sent.unacknowledged();
            sent.any(|sent| matches!(sent, Sent::Message(_)))
        });
        let unwritten = self.unwritten && self.sent.is_none();
        link.detach(
            unacknowledged || unwritten || self.reading,
            self.engine.jitter(),
        );
        Some(link)
    }
}

/// The queue on disk of a pair of domains.
pub(super) fn route(pair: &Pair) -> Route {
    Route {
        local: pair.local.clone(),
        remote: pair.remote.clone(),
    }
}

impl Drop for OutgoingConnection {
    /// After [`OutgoingConnection::end`] there is little left to do; after a panic this is the
    /// clean-up.
    fn drop(&mut self) {
        self.leave();
        self.engine.metrics().s2s_outgoing.dec();
    }
}

impl std::fmt::Debug for OutgoingConnection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OutgoingConnection")
            .field("pair", &self.dial.target.pair)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}
