//! A client's connection over WebSocket (RFC 7395).

use super::Connection;
use crate::{Engine, output::Output};
use bytes::Bytes;
use std::{collections::VecDeque, net::IpAddr};
use waxwing_proto::stream::{C2sStream, StreamError, Transport};

impl Connection {
    /// The connection of a client whose WebSocket handshake (RFC 7395 § 3.1) is done: what is read and
    /// written are the frames that follow.
    pub fn over_websocket(engine: &Engine, peer: IpAddr, transport: Transport) -> Self {
        let stream = |settings, ids| C2sStream::over_websocket(settings, transport, ids);
        Self::with(engine, peer, stream, Output::over_websocket())
    }

    /// What to say before the connection is cut off for this error, and nothing else of it.
    pub fn last_words(&mut self, error: &StreamError) -> VecDeque<Bytes> {
        self.output.bytes().clear();
        self.output.raw(error.element());
        self.output.raw(Bytes::from_static(b"</stream:stream>"));
        std::mem::take(self.output.bytes())
    }
}
