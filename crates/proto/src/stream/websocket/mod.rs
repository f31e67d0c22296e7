//! XMPP over WebSocket (RFC 7395): each message is one element that stands alone, and `<open/>` and
//! `<close/>` are in the place of a stream's tags.
//!
//! What comes in is read here, by [`super::C2sStream`]. What goes out is made as for any stream and
//! put into messages by [`Outgoing`]: stanzas without a copy or a second look, and the few elements of
//! negotiation by reading them again, so that the stream machine needs to know of one form only.

mod frame;

pub use frame::accept;

use crate::ns;
use crate::xml::{Frame, Framer, Limits, Tree, Writer, XmlError};
use bytes::{Bytes, BytesMut};
use frame::{CloseCode, Decoder, Received};
use std::collections::VecDeque;

/// What a stanza lacks that stands alone.
const STANZA_NS: &[u8] = b" xmlns='jabber:client'";
/// What an element of the stream lacks.
const STREAM_NS: &[u8] = b" xmlns:stream='http://etherx.jabber.org/streams'";

/// A client's side of a connection.
#[derive(Debug)]
pub(super) struct Incoming {
    decoder: Decoder,
    limits: Limits,
    /// Whether the next element must be an `<open/>`.
    opens: bool,
}

/// What a client has sent.
#[derive(Debug)]
pub(super) enum News {
    /// A part of the stream.
    Frame(Frame),
    /// To be sent as it is.
    Answer(Bytes),
    /// To be sent as it is; then the connection is over, but not the session.
    Gone(Bytes),
}

impl Incoming {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            decoder: Decoder::default(),
            limits,
            opens: true,
        }
    }

    pub(super) fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Waits for a new `<open/>` (RFC 7395 § 3.7).
    pub(super) fn restart(&mut self) {
        self.opens = true;
    }

    /// The next of what is in `input`; `None` when more bytes are needed.
    pub(super) fn next(&mut self, input: &mut BytesMut) -> Result<Option<News>, XmlError> {
        loop {
            let news = match self.decoder.next(input, self.limits.bytes_max) {
                Ok(None) => return Ok(None),
                Ok(Some(Received::Pong)) => continue,
                // No message, but some clients keep connections alive with it.
                Ok(Some(Received::Text(text))) if text.trim_ascii().is_empty() => continue,
                Ok(Some(Received::Text(text))) => News::Frame(self.element(text)?),
                Ok(Some(Received::Ping(content))) => News::Answer(frame::pong(&content)),
                Ok(Some(Received::Close)) => News::Gone(frame::close(CloseCode::Normal)),
                Err(code) => News::Gone(frame::close(code)),
            };
            return Ok(Some(news));
        }
    }

    /// One message is one element, with all its declarations (§ 3.3.3).
    fn element(&mut self, text: Bytes) -> Result<Frame, XmlError> {
        let tree = Tree::parse(text, "", &self.limits)?;
        if std::mem::take(&mut self.opens) {
            return Ok(Frame::Open(tree));
        }
        Ok(if tree.root().is("close", ns::FRAMING) {
            Frame::Close
        } else {
            Frame::Element(tree)
        })
    }
}

/// Puts what a stream sends into messages.
#[derive(Debug)]
pub struct Outgoing {
    framer: Framer,
}

impl Default for Outgoing {
    fn default() -> Self {
        Self {
            framer: Framer::new(OWN),
        }
    }
}

/// Our own elements are as large as they are.
const OWN: Limits = Limits {
    bytes_max: usize::MAX,
    ..Limits::S2S
};

impl Outgoing {
    /// Headers, negotiation, acknowledgements and the end of the stream.
    pub fn elements(&mut self, bytes: &[u8], out: &mut VecDeque<Bytes>) {
        if bytes.starts_with(b"<?xml") {
            self.framer.restart();
        }
        let mut bytes = BytesMut::from(bytes);
        loop {
            match self.framer.next(&mut bytes) {
                Ok(Some(Frame::Open(header))) => message(out, [&open(&header)]),
                Ok(Some(Frame::Element(element))) => {
                    let declared = if element.root().has_prefix() {
                        STREAM_NS
                    } else if element.declared_default_ns().is_none() {
                        STANZA_NS
                    } else {
                        b""
                    };
                    declaring(out, declared, [element.bytes()]);
                }
                Ok(Some(Frame::Close)) => {
                    let mut close = Writer::new("");
                    close.empty("close", ns::FRAMING);
                    message(out, [&close.finish()]);
                    out.push_back(frame::close(CloseCode::Normal));
                }
                Ok(None) => return,
                Err(error) => {
                    debug_assert!(false, "{error} in what we send");
                    return;
                }
            }
        }
    }

    /// A stanza, as it would be on any stream: its slices in order, the first with its name.
    pub fn stanza<'a>(
        slices: impl IntoIterator<Item = &'a Bytes, IntoIter: Clone>,
        out: &mut VecDeque<Bytes>,
    ) {
        declaring(out, STANZA_NS, slices);
    }
}

/// Appends a message, with a declaration behind the name of its element.
fn declaring<'a>(
    out: &mut VecDeque<Bytes>,
    declaration: &'static [u8],
    slices: impl IntoIterator<Item = &'a Bytes, IntoIter: Clone>,
) {
    let mut slices = slices.into_iter().filter(|slice| !slice.is_empty());
    let Some(first) = slices.next() else { return };
    let len = first.len() + slices.clone().map(Bytes::len).sum::<usize>() + declaration.len();
    let is_end = |byte: &u8| matches!(byte, b' ' | b'/' | b'>');
    let name = first.iter().position(is_end).unwrap_or(first.len());
    out.push_back(frame::text_head(len));
    out.push_back(first.slice(..name));
    if !declaration.is_empty() {
        out.push_back(Bytes::from_static(declaration));
    }
    out.push_back(first.slice(name..));
    out.extend(slices.cloned());
}

fn message<'a>(
    out: &mut VecDeque<Bytes>,
    slices: impl IntoIterator<Item = &'a Bytes, IntoIter: Clone>,
) {
    let slices = slices.into_iter();
    out.push_back(frame::text_head(slices.clone().map(Bytes::len).sum()));
    out.extend(slices.cloned());
}

/// `<open/>` with what our header says (§ 3.4).
fn open(header: &Tree) -> Bytes {
    let root = header.root();
    let mut open = Writer::new("");
    open.start_ns("open", ns::FRAMING);
    for name in ["id", "from", "to", "version"] {
        open.attr_opt(name, root.attr(name).as_deref());
    }
    open.attr_opt("xml:lang", root.lang().as_deref());
    open.end();
    open.finish()
}

#[cfg(test)]
mod tests;
