//! How a client's stream is cut into elements.

use super::websocket::{Incoming, News};
use crate::xml::{Framer, Limits, XmlError};
use bytes::BytesMut;

/// One of the two forms of a client's stream.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all are the large one, which needs no allocation of its own so"
)]
pub(super) enum Wire {
    /// One document (RFC 6120 § 4).
    Document(Framer),
    /// Messages of a WebSocket (RFC 7395).
    WebSocket(Box<Incoming>),
}

impl Wire {
    /// The next part of what is in `input`; `None` when more bytes are needed.
    pub(super) fn next(&mut self, input: &mut BytesMut) -> Result<Option<News>, XmlError> {
        match self {
            Self::Document(framer) => framer.next(input).map(|frame| frame.map(News::Frame)),
            Self::WebSocket(incoming) => incoming.next(input),
        }
    }

    /// Changes the bounds, from the next element on.
    pub(super) fn set_limits(&mut self, limits: Limits) {
        match self {
            Self::Document(framer) => framer.set_limits(limits),
            Self::WebSocket(incoming) => incoming.set_limits(limits),
        }
    }

    /// Waits for a new header.
    pub(super) fn restart(&mut self) {
        match self {
            Self::Document(framer) => framer.restart(),
            Self::WebSocket(incoming) => incoming.restart(),
        }
    }

    /// Whether it is a WebSocket.
    pub(super) fn is_websocket(&self) -> bool {
        matches!(self, Self::WebSocket(_))
    }
}
