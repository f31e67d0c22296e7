//! An external component's connection without its socket
//! ([XEP-0114](https://xmpp.org/extensions/xep-0114.html), 1.6).
//!
//! Once it has proven its secret it is the way to its domain ([`crate::route::Remote`]), and its
//! stanzas are taken as from another domain. It is served like a client's [`crate::Connection`].

use crate::{
    Engine, Status,
    feature::{Coverage, Feature, Xep},
    outbox::{Delivery, Outbox},
    route::{Route, inbound},
};
use bytes::{Bytes, BytesMut};
use std::{
    collections::VecDeque,
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tokio::time::Sleep;
use waxwing_proto::{
    stanza::{Draft, Sealed, Stanza},
    stream::{
        Ids, StreamCondition, StreamError,
        component::{ComponentEffect, ComponentStream},
    },
};

/// The feature.
pub(crate) const FEATURE: Feature = Feature {
    name: "component",
    xeps: &[Xep {
        number: 114,
        version: "1.6",
        title: "Jabber Component Protocol",
        coverage: Coverage::Partial("The server accepts connections and makes none itself."),
    }],
    ..Feature::NONE
};

/// How many stanzas one event takes from the outbox, so that one write carries them.
const BATCH: usize = 64;

/// What happened inside the server.
#[derive(Debug)]
pub enum ComponentEvent {
    /// Somebody has something for the component.
    Delivery(Delivery),
    /// It has not authenticated in time.
    Deadline,
}

/// A component's connection.
pub struct ComponentConnection {
    engine: Engine,
    stream: ComponentStream,
    /// Since it has authenticated.
    route: Option<Arc<Route>>,
    output: VecDeque<Bytes>,
    status: Status,
    timer: Option<Pin<Box<Sleep>>>,
}

impl ComponentConnection {
    /// A connection that has just been accepted.
    pub fn new(engine: &Engine) -> Self {
        let env = engine.env().clone();
        let ids: Ids = Arc::new(move || env.token());
        let timeout = engine.settings().limits.login_timeout;
        Self {
            stream: ComponentStream::new(Arc::clone(engine.component_streams()), ids),
            engine: engine.clone(),
            route: None,
            output: VecDeque::new(),
            status: Status::Open,
            timer: Some(Box::pin(tokio::time::sleep(timeout))),
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

    /// Whether the component has proven its secret.
    pub fn is_authenticated(&self) -> bool {
        self.route.is_some()
    }

    /// Ends the stream with an error, after what is already queued.
    pub fn shutdown(&mut self, condition: StreamCondition) {
        self.close(StreamError::new(condition));
    }

    /// Waits for the next event. Cancel-safe: nothing is taken that is not returned.
    pub async fn event(&mut self) -> ComponentEvent {
        poll_fn(|cx| self.poll_event(cx)).await
    }

    /// Carries out an event.
    pub fn on_event(&mut self, event: ComponentEvent) {
        let mut next = match event {
            ComponentEvent::Delivery(delivery) => Some(delivery),
            ComponentEvent::Deadline if self.route.is_none() => {
                return self.close(
                    StreamError::new(StreamCondition::ConnectionTimeout)
                        .text("Authenticate sooner after connecting."),
                );
            }
            ComponentEvent::Deadline => None,
        };
        let mut left = BATCH;
        while let Some(delivery) = next {
            self.deliver(delivery);
            left -= 1;
            let route = self.route.as_ref().filter(|_| left > 0);
            next = route.and_then(|route| route.outbox.take());
        }
    }

    /// The transport has gone, or has been closed after [`Status::Closing`]. Who sent what the
    /// component has not taken is told.
    pub async fn end(mut self) {
        let Some(route) = self.leave() else { return };
        let error = self.engine.remote().unreachable(&route.domain);
        for delivery in route.outbox.close() {
            if let Delivery::Stanza(stanza) = delivery {
                inbound::bounce(&self.engine, &stanza, &error).await;
            }
        }
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<ComponentEvent> {
        if let Some(timer) = &mut self.timer
            && timer.as_mut().poll(cx).is_ready()
        {
            self.timer = None;
            return Poll::Ready(ComponentEvent::Deadline);
        }
        match &self.route {
            Some(route) if self.status == Status::Open => {
                route.outbox.poll_next(cx).map(ComponentEvent::Delivery)
            }
            _ => Poll::Pending,
        }
    }

    fn deliver(&mut self, delivery: Delivery) {
        match delivery {
            Delivery::Stanza(stanza) => self.write(&stanza),
            Delivery::End(error) => self.close(error),
            // For sessions.
            _ => {}
        }
    }

    fn write(&mut self, stanza: &Sealed) {
        let chunks = stanza.chunks().filter(|chunk| !chunk.is_empty());
        self.output.extend(chunks.cloned());
    }

    async fn perform(&mut self, effect: ComponentEffect) {
        match effect {
            ComponentEffect::Send(bytes) => self.output.push_back(bytes),
            ComponentEffect::Authenticated { domain } => self.enter(domain),
            ComponentEffect::AuthFailed { domain } => {
                self.engine.metrics().component_failures.inc();
                tracing::warn!(%domain, "a component has not proven its secret");
            }
            ComponentEffect::Stanza(stanza) => {
                if let Err(error) = self.take(stanza).await {
                    self.close(error);
                }
            }
            ComponentEffect::Close => self.status = Status::Closing,
        }
    }

    /// Becomes the way to the domain. A connection that was it before is ended: the new one has
    /// proven the secret, and the old one may be broken without anybody having noticed.
    fn enter(&mut self, domain: String) {
        tracing::info!(%domain, "component connected");
        let limits = &self.engine.settings().limits;
        let route = Arc::new(Route {
            domain: domain.into(),
            outbox: Outbox::new(limits.outbox_stanzas_max, limits.outbox_bytes_max),
        });
        if let Some(old) = self.engine.remote().open(&route) {
            old.outbox.end(StreamError::new(StreamCondition::Conflict));
        }
        self.engine.metrics().components.inc();
        self.timer = None;
        self.route = Some(route);
    }

    /// Ceases to be the way to the domain; once.
    fn leave(&mut self) -> Option<Arc<Route>> {
        let route = self.route.take()?;
        tracing::info!(domain = %route.domain, "component disconnected");
        self.engine.remote().close(&route);
        self.engine.metrics().components.dec();
        Some(route)
    }

    /// Takes a stanza from the component. An error ends the stream.
    async fn take(&mut self, stanza: Stanza) -> Result<(), StreamError> {
        self.engine.metrics().component_stanzas.inc();
        let domain = self.stream.domain().unwrap_or_default();
        let draft = match Draft::new(stanza.clone()) {
            Ok(draft) => draft,
            Err(error) => {
                self.output.extend(error.answer(&stanza, None, None));
                return Ok(());
            }
        };
        // § 3: both "MUST" be there, and `from` is the component's. RFC 6120 § 4.9.3.6, § 4.9.3.9.
        let (Some(from), Some(_)) = (draft.from(), draft.to()) else {
            return Err(StreamCondition::ImproperAddressing.into());
        };
        if from.domain() != domain {
            return Err(StreamCondition::InvalidFrom.into());
        }
        let back = Box::pin(inbound::arrive(&self.engine, draft)).await;
        self.output.extend(back.before);
        self.output.extend(back.answer);
        Ok(())
    }

    fn close(&mut self, error: StreamError) {
        if self.status == Status::Closing {
            return;
        }
        self.engine.metrics().stream_errors.inc();
        self.stream.close(Some(error));
        let mut nothing = BytesMut::new();
        while let Some(effect) = self.stream.next_effect(&mut nothing) {
            if let ComponentEffect::Send(bytes) = effect {
                self.output.push_back(bytes);
            }
        }
        self.status = Status::Closing;
    }
}

impl Drop for ComponentConnection {
    /// After [`ComponentConnection::end`] there is nothing left to do; after a panic this is the
    /// clean-up.
    fn drop(&mut self) {
        if let Some(route) = self.leave() {
            drop(route.outbox.close());
        }
    }
}

impl std::fmt::Debug for ComponentConnection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ComponentConnection")
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}
