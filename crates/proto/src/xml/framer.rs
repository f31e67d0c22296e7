//! Bytes in, one frame at a time out.

use super::{Limits, Tree, XmlError};
use bytes::BytesMut;

/// One complete part of a stream.
#[derive(Debug, Clone)]
pub enum Frame {
    /// The stream's start tag: a tree of one element without children.
    Open(Tree),
    /// One top-level element.
    Element(Tree),
    /// The stream's end tag.
    Close,
}

/// Cuts a stream's bytes into frames. Resumable: incomplete input stays in the buffer and is not
/// scanned twice.
#[derive(Debug)]
pub struct Framer {
    limits: Limits,
}

impl Framer {
    /// A framer that waits for a stream's start.
    pub fn new(limits: Limits) -> Self {
        Self { limits }
    }
    /// Changes the bounds, from the next frame on.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }
    /// Forgets the stream and waits for a new start (stream restart, RFC 6120 § 4.3.3).
    pub fn restart(&mut self) {
        todo!()
    }
    /// Takes the next frame off the buffer; `None` when more bytes are needed. Whitespace between
    /// elements is consumed. After an error the framer is dead.
    pub fn next(&mut self, _buffer: &mut BytesMut) -> Result<Option<Frame>, XmlError> {
        let _ = self.limits;
        todo!()
    }
}
