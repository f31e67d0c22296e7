//! What a shell serves: connections without their sockets, whoever is at the other end.

use crate::{
    ComponentConnection, ComponentEvent, Connection, Event, IncomingConnection, IncomingEvent,
    OutgoingConnection, OutgoingEvent, Status,
};
use bytes::{Bytes, BytesMut};
use std::{collections::VecDeque, future::Future};
use waxwing_proto::stream::{StreamCondition, StreamError, TlsInfo};

/// A connection as the shell sees it; see [`Connection`] for how one is served.
pub trait Served: Send {
    /// What happens inside the server.
    type Event: Send;

    /// Processes what is in `input`, as far as [`Served::wants_input`] holds.
    fn handle(&mut self, input: &mut BytesMut) -> impl Future<Output = ()> + Send;
    /// Whether the socket should be read.
    fn wants_input(&self) -> bool;
    /// Bytes to be written, in order.
    fn output(&mut self) -> &mut VecDeque<Bytes>;
    /// All output so far has been written to the transport.
    fn written(&mut self);
    /// What the transport has to do once the output is written.
    fn status(&self) -> Status;
    /// Whether the peer has said who it is, for bounds on connections that have not.
    fn is_authenticated(&self) -> bool;
    /// TLS is up after [`Status::StartTls`].
    fn tls_started(&mut self, info: TlsInfo);
    /// Ends the stream with an error, after what is already queued.
    fn shutdown(&mut self, condition: StreamCondition);
    /// What to say before the connection is cut off for this error, instead of what is queued.
    fn last_words(&mut self, error: &StreamError) -> VecDeque<Bytes> {
        VecDeque::from([error.element(), Bytes::from_static(b"</stream:stream>")])
    }
    /// Waits for the next event. Cancel-safe: nothing is taken that is not returned.
    fn event(&mut self) -> impl Future<Output = Self::Event> + Send;
    /// Carries out an event.
    fn on_event(&mut self, event: Self::Event) -> impl Future<Output = ()> + Send;
    /// The transport has gone, or has been closed after [`Status::Closing`].
    fn end(self) -> impl Future<Output = ()> + Send;
}

/// What every connection does by its method of the same name.
macro_rules! alike {
    ($event:ty) => {
        type Event = $event;

        fn handle(&mut self, input: &mut BytesMut) -> impl Future<Output = ()> + Send {
            Self::handle(self, input)
        }
        fn output(&mut self) -> &mut VecDeque<Bytes> {
            Self::output(self)
        }
        fn status(&self) -> Status {
            Self::status(self)
        }
        fn shutdown(&mut self, condition: StreamCondition) {
            Self::shutdown(self, condition);
        }
        fn event(&mut self) -> impl Future<Output = $event> + Send {
            Self::event(self)
        }
    };
}

impl Served for Connection {
    alike!(Event);

    fn wants_input(&self) -> bool {
        Self::wants_input(self)
    }
    fn written(&mut self) {
        Self::written(self);
    }
    fn is_authenticated(&self) -> bool {
        Self::is_authenticated(self)
    }
    fn tls_started(&mut self, info: TlsInfo) {
        Self::tls_started(self, info);
    }
    fn last_words(&mut self, error: &StreamError) -> VecDeque<Bytes> {
        Self::last_words(self, error)
    }
    fn on_event(&mut self, event: Event) -> impl Future<Output = ()> + Send {
        Self::on_event(self, event)
    }
    fn end(self) -> impl Future<Output = ()> + Send {
        Self::end(self)
    }
}

impl Served for ComponentConnection {
    alike!(ComponentEvent);

    /// Always: one stanza is handled after the other, and TCP slows down who is faster.
    fn wants_input(&self) -> bool {
        Self::status(self) == Status::Open
    }
    fn written(&mut self) {}
    fn is_authenticated(&self) -> bool {
        Self::is_authenticated(self)
    }
    /// Components' streams know no STARTTLS.
    fn tls_started(&mut self, _: TlsInfo) {}
    fn on_event(&mut self, event: ComponentEvent) -> impl Future<Output = ()> + Send {
        Self::on_event(self, event);
        std::future::ready(())
    }
    fn end(self) -> impl Future<Output = ()> + Send {
        Self::end(self)
    }
}

impl Served for IncomingConnection {
    alike!(IncomingEvent);

    /// Always: one stanza is handled after the other, and TCP slows down who is faster.
    fn wants_input(&self) -> bool {
        Self::status(self) == Status::Open
    }
    fn written(&mut self) {}
    fn is_authenticated(&self) -> bool {
        Self::is_authenticated(self)
    }
    fn tls_started(&mut self, info: TlsInfo) {
        Self::tls_started(self, info);
    }
    fn on_event(&mut self, event: IncomingEvent) -> impl Future<Output = ()> + Send {
        Self::on_event(self, event)
    }
    fn end(self) -> impl Future<Output = ()> + Send {
        drop(self);
        std::future::ready(())
    }
}

impl Served for OutgoingConnection {
    alike!(OutgoingEvent);

    /// Always: one stanza is handled after the other, and TCP slows down who is faster.
    fn wants_input(&self) -> bool {
        Self::status(self) == Status::Open
    }
    fn written(&mut self) {
        Self::written(self);
    }
    /// It has no place among those that have come to us.
    fn is_authenticated(&self) -> bool {
        true
    }
    fn tls_started(&mut self, info: TlsInfo) {
        Self::tls_started(self, info);
    }
    fn on_event(&mut self, event: OutgoingEvent) -> impl Future<Output = ()> + Send {
        Self::on_event(self, event)
    }
    fn end(self) -> impl Future<Output = ()> + Send {
        Self::end(self)
    }
}
