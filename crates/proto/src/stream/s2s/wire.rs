//! What both directions have in common: frames in, effects out, how a stream ends.

use super::{S2sEffect, S2sEnd};
use crate::ns;
use crate::stream::header::{END_TAG, attribute};
use crate::stream::{StreamCondition, StreamError};
use crate::xml::{Element, Frame, Framer, Limits, Tree};
use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;

/// The wire of one stream.
pub(super) struct Wire {
    framer: Framer,
    state: State,
    /// Effects that are due before any more input is looked at.
    due: VecDeque<S2sEffect>,
    /// Whether our header has been sent since the last restart.
    pub(super) is_open: bool,
    pub(super) end: Option<S2sEnd>,
    /// Stanzas of the peer handled, modulo 2^32, once it has asked for that (XEP-0198).
    handled: Option<u32>,
    /// Whether the last effect was a stanza, which is handled when the next one is asked for.
    in_hand: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// An empty input to give [`S2sEffect::StartTls`] (`false`), then TLS (`true`).
    Tls(bool),
    Ended,
}

/// What comes next.
pub(super) enum Next {
    Effect(S2sEffect),
    Frame(Frame),
    /// What was read is no stream of XMPP.
    Broken(StreamError),
    Nothing,
}

/// What our header says.
pub(super) struct Header<'a> {
    pub(super) id: Option<&'a str>,
    pub(super) from: Option<&'a str>,
    pub(super) to: Option<&'a str>,
}

impl Wire {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            framer: Framer::new(limits).with_content_ns(ns::SERVER),
            state: State::Open,
            due: VecDeque::new(),
            is_open: false,
            end: None,
            handled: None,
            in_hand: false,
        }
    }

    /// The next effect that is due, or else the next frame.
    pub(super) fn next(&mut self, input: &mut BytesMut) -> Next {
        if std::mem::take(&mut self.in_hand)
            && let Some(handled) = &mut self.handled
        {
            *handled = handled.wrapping_add(1);
        }
        loop {
            if let Some(effect) = self.due.pop_front() {
                return Next::Effect(effect);
            }
            match self.state {
                State::Ended => {
                    input.clear();
                    return Next::Nothing;
                }
                // Bytes in clear behind `<starttls/>` or `<proceed/>` would be taken for encrypted
                // ones (CVE-2011-0411).
                State::Tls(_) if !input.is_empty() => self.finish(S2sEnd::TlsFailure),
                State::Tls(false) => {
                    self.state = State::Tls(true);
                    return Next::Effect(S2sEffect::StartTls);
                }
                State::Tls(true) => return Next::Nothing,
                State::Open => match self.framer.next(input) {
                    Ok(None) => return Next::Nothing,
                    Ok(Some(frame)) => return Next::Frame(frame),
                    Err(error) => return Next::Broken(error.into()),
                },
            }
        }
    }

    pub(super) fn push(&mut self, effect: S2sEffect) {
        self.due.push_back(effect);
    }

    pub(super) fn send(&mut self, bytes: Bytes) {
        self.push(S2sEffect::Send(bytes));
    }

    /// Our header; the peer's of the other direction must be understood already, if there is one.
    pub(super) fn write_header(out: &mut Vec<u8>, header: &Header<'_>) {
        out.extend_from_slice(b"<?xml version='1.0'?><stream:stream xmlns='");
        out.extend_from_slice(ns::SERVER.as_bytes());
        out.extend_from_slice(b"' xmlns:stream='");
        out.extend_from_slice(ns::STREAM.as_bytes());
        out.extend_from_slice(b"' xmlns:db='");
        out.extend_from_slice(ns::DIALBACK.as_bytes());
        out.extend_from_slice(b"'");
        attribute(out, "id", header.id);
        attribute(out, "from", header.from);
        attribute(out, "to", header.to);
        attribute(out, "version", Some("1.0"));
        attribute(out, "xml:lang", Some("en"));
        out.extend_from_slice(b">");
    }

    /// Waits for TLS, once the input is empty and what is due was sent.
    pub(super) fn start_tls(&mut self) {
        self.state = State::Tls(false);
    }

    /// TLS is up; false if nobody waits for it.
    pub(super) fn tls_started(&mut self) -> bool {
        let waits = matches!(self.state, State::Tls(_));
        if waits {
            self.state = State::Open;
            self.restart();
        }
        waits
    }

    /// Waits for a new header on the same connection (RFC 6120 § 4.3.3).
    pub(super) fn restart(&mut self) {
        self.framer.restart();
        self.is_open = false;
    }

    pub(super) fn set_limits(&mut self, limits: Limits) {
        self.framer.set_limits(limits);
    }

    /// Begins to count the peer's stanzas.
    pub(super) fn manage(&mut self) {
        self.handled.get_or_insert(0);
    }

    /// How many stanzas of the peer are handled, if it wants to know.
    pub(super) fn handled(&self) -> Option<u32> {
        self.handled
    }

    /// A stanza is given to the owner.
    pub(super) fn hand_out(&mut self, effect: S2sEffect) -> S2sEffect {
        self.in_hand = true;
        effect
    }

    pub(super) fn is_ended(&self) -> bool {
        self.state == State::Ended
    }

    pub(super) fn is_between(&self) -> bool {
        matches!(self.state, State::Tls(_))
    }

    /// Ends the stream with an error. Only where our header was sent can anything be said; whoever
    /// answers a header sends its own first.
    pub(super) fn fail(&mut self, error: StreamError) {
        self.say_goodbye(&error.element(), S2sEnd::Error(error));
    }

    pub(super) fn say_goodbye(&mut self, last: &[u8], end: S2sEnd) {
        if self.is_ended() {
            return;
        }
        if !self.is_between() {
            let mut out = Vec::with_capacity(512);
            if !self.is_open {
                let nobody = Header {
                    id: None,
                    from: None,
                    to: None,
                };
                Self::write_header(&mut out, &nobody);
            }
            out.extend_from_slice(last);
            out.extend_from_slice(END_TAG);
            self.send(out.into());
        }
        self.finish(end);
    }

    /// Closes without a word.
    pub(super) fn finish(&mut self, end: S2sEnd) {
        self.state = State::Ended;
        self.end = Some(end);
        self.push(S2sEffect::Close);
    }
}

/// What every header between servers must be (RFC 6120 § 4.7, 4.8).
pub(super) fn judge_header(tree: &Tree) -> Result<Element<'_>, StreamError> {
    let root = tree.root();
    if root.ns() != ns::STREAM || tree.declared_default_ns() != Some(ns::SERVER) {
        return Err(StreamCondition::InvalidNamespace.into());
    }
    if root.name() != "stream" {
        return Err(StreamError::new(StreamCondition::BadFormat).text("the root must be a stream"));
    }
    let version = root.attr("version");
    let major = version.as_deref().and_then(|v| v.split_once('.'));
    // Servers before 1.0 know no features, and so no TLS.
    if !major.is_some_and(|(major, _)| major.parse::<u16>().is_ok_and(|major| major >= 1)) {
        return Err(StreamCondition::UnsupportedVersion.into());
    }
    Ok(root)
}
