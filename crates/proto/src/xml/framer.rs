//! Bytes in, one frame at a time out.

use super::scan::Scanner;
use super::scope::Scope;
use super::tree::declarations;
use super::{Limits, Tree, XmlError, chars, declaration};
use crate::ns;
use bytes::{Buf, BytesMut};
use std::borrow::Cow;
use std::sync::Arc;

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
/// scanned twice. Between two calls the buffer may only grow at its end.
///
/// Bytes after a complete frame are left alone until the next call, whatever they are: after a
/// `<starttls/>` they belong to nobody (RFC 6120 § 5.3.3), and the caller can see them.
#[derive(Debug)]
pub struct Framer {
    limits: Limits,
    /// The stream's content namespace, where that is not `jabber:client`.
    content_ns: Option<&'static str>,
    phase: Phase,
    /// The element in progress, in the phases that have one.
    scanner: Option<Scanner>,
    scope: Arc<Scope>,
    /// The name that the stream's end tag must have.
    stream_name: Cow<'static, str>,
    /// How many bytes of the buffer are known to be UTF-8.
    checked: usize,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    /// Nothing of the stream has been read: an XML declaration may come.
    Prolog,
    /// White space before the stream's start tag.
    BeforeHeader,
    Header,
    /// Between top-level elements.
    Idle,
    Element,
    /// In the stream's end tag, of which so many bytes have been read.
    EndTag(usize),
    /// The header was an empty element, so the stream is over.
    Closing,
    Closed,
    Dead(XmlError),
}

enum Step {
    Again,
    More,
    Frame(Frame),
}

impl Framer {
    /// A framer that waits for a stream's start.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            content_ns: None,
            phase: Phase::Prolog,
            scanner: None,
            scope: Scope::empty(),
            stream_name: Cow::Borrowed(""),
            checked: 0,
        }
    }
    /// A framer for streams whose content namespace is another than `jabber:client`: what elements
    /// inherit from such a header is `jabber:client` to whoever reads them. Stanzas mean the same on
    /// every kind of stream, their bytes are the same, and only one name is needed behind the wire.
    #[must_use]
    pub fn with_content_ns(self, content_ns: &'static str) -> Self {
        Self {
            content_ns: Some(content_ns),
            ..self
        }
    }
    /// Changes the bounds, from the next frame on.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }
    /// Forgets the stream and waits for a new start (stream restart, RFC 6120 § 4.3.3). The
    /// buffer may have been changed in any way.
    pub fn restart(&mut self) {
        *self = Self {
            content_ns: self.content_ns,
            ..Self::new(self.limits)
        };
    }
    /// Takes the next frame off the buffer; `None` when more bytes are needed. Whitespace between
    /// elements is consumed. After an error the framer is dead: it repeats the error.
    pub fn next(&mut self, buffer: &mut BytesMut) -> Result<Option<Frame>, XmlError> {
        let result = self.advance(buffer);
        if let Err(error) = result {
            self.phase = Phase::Dead(error);
            self.scanner = None;
        }
        result
    }

    fn advance(&mut self, buffer: &mut BytesMut) -> Result<Option<Frame>, XmlError> {
        let invalid = self.check_utf8(buffer);
        loop {
            match self.step(buffer)? {
                Step::Again => {}
                Step::Frame(frame) => return Ok(Some(frame)),
                Step::More if invalid => return Err(XmlError::NotWellFormed("not UTF-8")),
                Step::More => return Ok(None),
            }
        }
    }

    /// Extends `checked` over the new bytes; whether what follows it can never be UTF-8.
    fn check_utf8(&mut self, buffer: &BytesMut) -> bool {
        let new = buffer.get(self.checked..).unwrap_or_default();
        match simdutf8::compat::from_utf8(new) {
            Ok(_) => {
                self.checked = buffer.len();
                false
            }
            Err(error) => {
                self.checked += error.valid_up_to();
                error.error_len().is_some()
            }
        }
    }

    fn step(&mut self, buffer: &mut BytesMut) -> Result<Step, XmlError> {
        match self.phase {
            Phase::Prolog => {
                let Some(len) = declaration::read(self.valid(buffer))? else {
                    return Ok(Step::More);
                };
                self.consume(buffer, len);
                self.phase = Phase::BeforeHeader;
            }
            Phase::BeforeHeader => {
                if !self.skip_space(buffer) {
                    return Ok(Step::More);
                }
                self.scanner = Some(Scanner::header(self.limits));
                self.phase = Phase::Header;
            }
            Phase::Header => return Ok(self.header(buffer)?.map_or(Step::More, Step::Frame)),
            Phase::Idle => return self.idle(buffer),
            Phase::Element => {
                let Some((tree, _)) = self.scan(buffer)? else {
                    return Ok(Step::More);
                };
                self.phase = Phase::Idle;
                return Ok(Step::Frame(Frame::Element(tree)));
            }
            Phase::EndTag(read) => return self.end_tag(buffer, read),
            Phase::Closing => {
                self.phase = Phase::Closed;
                return Ok(Step::Frame(Frame::Close));
            }
            Phase::Closed => {
                if self.skip_space(buffer) {
                    return Err(XmlError::NotWellFormed("bytes after the end of the stream"));
                }
                return Ok(Step::More);
            }
            Phase::Dead(error) => return Err(error),
        }
        Ok(Step::Again)
    }

    fn header(&mut self, buffer: &mut BytesMut) -> Result<Option<Frame>, XmlError> {
        let Some((tree, closed)) = self.scan(buffer)? else {
            return Ok(None);
        };
        let mut bindings: Vec<_> = declarations(&tree).collect();
        for (prefix, name) in &mut bindings {
            if prefix.is_empty() && Some(*name) == self.content_ns {
                *name = ns::CLIENT;
            }
        }
        self.scope = Scope::new(&bindings);
        self.stream_name = match tree.root().qname() {
            "stream:stream" => Cow::Borrowed("stream:stream"),
            other => Cow::Owned(other.to_owned()),
        };
        self.phase = if closed { Phase::Closing } else { Phase::Idle };
        Ok(Some(Frame::Open(tree)))
    }

    fn idle(&mut self, buffer: &mut BytesMut) -> Result<Step, XmlError> {
        if !self.skip_space(buffer) {
            return Ok(Step::More);
        }
        match *self.valid(buffer) {
            [b'<'] => return Ok(Step::More),
            [b'<', b'/', ..] => self.phase = Phase::EndTag(2),
            [b'<', ..] => {
                self.scanner = Some(Scanner::element(self.limits));
                self.phase = Phase::Element;
            }
            _ => return Err(XmlError::BadFormat("text between elements")),
        }
        Ok(Step::Again)
    }

    /// Goes on with the element in progress; gives its tree and whether it was a closed header.
    fn scan(&mut self, buffer: &mut BytesMut) -> Result<Option<(Tree, bool)>, XmlError> {
        let bytes = buffer.get(..self.checked).unwrap_or_default();
        let Some(mut scanner) = self.scanner.take() else {
            return Ok(None);
        };
        let Some(len) = scanner.run(bytes, &self.scope)? else {
            self.scanner = Some(scanner);
            return Ok(None);
        };
        self.checked = self.checked.saturating_sub(len);
        let closed = scanner.closed();
        let bytes = buffer.split_to(len).freeze();
        let tree = Tree::new(bytes, scanner.finish(), Arc::clone(&self.scope));
        Ok(Some((tree, closed)))
    }

    fn end_tag(&mut self, buffer: &mut BytesMut, read: usize) -> Result<Step, XmlError> {
        const OTHER: XmlError = XmlError::NotWellFormed("end tag of another element");
        let name = self.stream_name.as_bytes();
        let mut at = read;
        for byte in self.valid(buffer).get(read..).unwrap_or_default() {
            match name.get(at - 2) {
                Some(expected) if expected == byte => {}
                None if *byte == b'>' => {
                    self.consume(buffer, at + 1);
                    self.phase = Phase::Closed;
                    return Ok(Step::Frame(Frame::Close));
                }
                None if chars::is_space(*byte) => {}
                _ => return Err(OTHER),
            }
            at += 1;
            if at > self.limits.bytes_max {
                return Err(XmlError::Limit("bytes of one element"));
            }
        }
        self.phase = Phase::EndTag(at);
        Ok(Step::More)
    }

    /// Drops white space; whether another byte follows.
    fn skip_space(&mut self, buffer: &mut BytesMut) -> bool {
        let space = chars::space_run(self.valid(buffer));
        self.consume(buffer, space);
        self.checked > 0
    }

    fn valid<'a>(&self, buffer: &'a BytesMut) -> &'a [u8] {
        buffer.get(..self.checked).unwrap_or_default()
    }

    fn consume(&mut self, buffer: &mut BytesMut, len: usize) {
        buffer.advance(len.min(buffer.len()));
        self.checked = self.checked.saturating_sub(len);
    }
}
