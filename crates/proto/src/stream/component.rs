//! An external component's stream as the server sees it
//! ([XEP-0114](https://xmpp.org/extensions/xep-0114.html), 1.6, `jabber:component:accept`).
//!
//! Pulled like [`super::C2sStream`], but it asks nothing: a header, a `<handshake/>` that proves the
//! secret, then stanzas. Behind it stanzas are in `jabber:client`, as all others; what is sent on a
//! component's stream are the same bytes as on a client's, which inherit their namespace.

use super::content;
use super::effect::End;
use super::header::{END_TAG, attribute};
use super::{Ids, StreamCondition, StreamError, hex};
use crate::stanza::Stanza;
use crate::xml::{Element, Frame, Framer, Limits, Tree};
use crate::{BareJid, ns};
use bytes::{Bytes, BytesMut};
use sha1::{Digest as _, Sha1};
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use subtle::ConstantTimeEq as _;

/// What all components' streams share.
#[derive(Debug, Clone)]
pub struct ComponentSettings {
    /// The secret of each component, by prepared domainpart.
    pub secrets: HashMap<String, Secret>,
    /// Bounds on an element before authentication.
    pub limits_pre_auth: Limits,
    /// Bounds on an element after authentication.
    pub limits: Limits,
}

impl Default for ComponentSettings {
    /// No component.
    fn default() -> Self {
        Self {
            secrets: HashMap::new(),
            limits_pre_auth: Limits::PRE_AUTH,
            limits: Limits::S2S,
        }
    }
}

/// What a component shares with the server. Not to be seen in logs.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// A secret of any length.
    pub fn new(secret: String) -> Self {
        Self(secret)
    }

    /// Whether `handshake` proves the secret for the stream `id` (§ 3), compared in constant time.
    fn is_proven(&self, id: &str, handshake: &str) -> bool {
        let mut hash = Sha1::new();
        hash.update(id.as_bytes());
        hash.update(self.0.as_bytes());
        let expected = hex(&hash.finalize());
        expected
            .as_bytes()
            .ct_eq(handshake.trim_ascii().as_bytes())
            .into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// What the owner of a component's stream must do, in order.
#[derive(Clone)]
pub enum ComponentEffect {
    /// Send these bytes.
    Send(Bytes),
    /// The component has proven the secret of this domain; `<handshake/>` is the next thing sent.
    Authenticated {
        /// The domain, and who it says it is from now on.
        domain: String,
    },
    /// The secret was wrong; the stream error is the next thing sent.
    AuthFailed {
        /// The component that it is not.
        domain: String,
    },
    /// A stanza of `jabber:client`. Addresses and attributes are unchecked: that `from` is of the
    /// component's domain is for the owner to see to (§ 3).
    Stanza(Stanza),
    /// All is sent, stream error and end tag included: flush and close the transport. Last.
    Close,
}

impl fmt::Debug for ComponentEffect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Send(bytes) => write!(f, "Send({} bytes)", bytes.len()),
            Self::Authenticated { domain } => write!(f, "Authenticated({domain})"),
            Self::AuthFailed { domain } => write!(f, "AuthFailed({domain})"),
            Self::Stanza(stanza) => write!(f, "Stanza({:?}, ..)", stanza.kind()),
            Self::Close => f.write_str("Close"),
        }
    }
}

/// One stream of a component.
pub struct ComponentStream {
    settings: Arc<ComponentSettings>,
    ids: Ids,
    framer: Framer,
    phase: Phase,
    /// Effects that are due before any more input is looked at.
    due: VecDeque<ComponentEffect>,
    header_sent: bool,
    /// The domain that the header names, one of ours.
    domain: Option<String>,
    end: Option<End>,
}

/// What the stream waits for.
enum Phase {
    /// The component's header.
    Header,
    /// `<handshake/>`, for the stream of this id.
    Handshake(String),
    /// Stanzas.
    Open,
    /// Nothing: the stream is at its end.
    Ended,
}

impl ComponentStream {
    /// A stream that waits for the component's header.
    pub fn new(settings: Arc<ComponentSettings>, ids: Ids) -> Self {
        Self {
            framer: Framer::new(settings.limits_pre_auth).with_content_ns(ns::COMPONENT),
            settings,
            ids,
            phase: Phase::Header,
            due: VecDeque::new(),
            header_sent: false,
            domain: None,
            end: None,
        }
    }

    /// The next effect of what is in `input`, or of earlier input; `None` when more bytes are
    /// needed, and forever after [`ComponentEffect::Close`].
    pub fn next_effect(&mut self, input: &mut BytesMut) -> Option<ComponentEffect> {
        loop {
            if let Some(effect) = self.due.pop_front() {
                return Some(effect);
            }
            if matches!(self.phase, Phase::Ended) {
                input.clear();
                return None;
            }
            match self.framer.next(input) {
                Ok(None) => return None,
                Ok(Some(frame)) => {
                    if let Some(effect) = self.frame(frame) {
                        return Some(effect);
                    }
                }
                Err(error) => self.fail(error.into()),
            }
        }
    }

    /// Ends the stream: the next effects send what is due and close.
    pub fn close(&mut self, error: Option<StreamError>) {
        match (&self.phase, error) {
            (Phase::Ended, _) => {}
            (_, Some(error)) => self.fail(error),
            (_, None) => self.say_goodbye(b"", End::Local),
        }
    }

    /// Whether the component has proven its secret.
    pub fn is_authenticated(&self) -> bool {
        matches!(self.phase, Phase::Open)
    }

    /// The domain that the component serves, once its header was accepted.
    pub fn domain(&self) -> Option<&str> {
        self.domain.as_deref()
    }

    /// How the stream ended, if it has.
    pub fn end(&self) -> Option<End> {
        self.end
    }

    /// Takes one frame; gives a stanza directly, everything else by way of `due`.
    fn frame(&mut self, frame: Frame) -> Option<ComponentEffect> {
        match (frame, &self.phase) {
            (Frame::Open(tree), _) => self.header(&tree),
            (Frame::Close, _) => self.say_goodbye(b"", End::Peer),
            (Frame::Element(tree), _) if tree.root().is("error", ns::STREAM) => {
                self.say_goodbye(b"", End::Peer);
            }
            (Frame::Element(tree), Phase::Open) => match content::stanza(tree, ns::COMPONENT) {
                Ok(stanza) => return Some(ComponentEffect::Stanza(stanza)),
                Err(condition) => self.fail(condition.into()),
            },
            (Frame::Element(tree), _) => self.handshake(tree.root()),
        }
        None
    }

    /// Answers the component's header with ours (§ 3).
    fn header(&mut self, tree: &Tree) {
        let domain = match domain(tree, &self.settings) {
            Ok(domain) => domain,
            Err(error) => return self.fail(error),
        };
        let id = (self.ids)();
        let mut out = Vec::with_capacity(256);
        write_header(&mut out, &id, Some(&domain));
        self.header_sent = true;
        self.domain = Some(domain);
        self.phase = Phase::Handshake(id);
        self.due.push_back(ComponentEffect::Send(out.into()));
    }

    /// What comes before authentication can only be the handshake.
    fn handshake(&mut self, root: Element<'_>) {
        let (Phase::Handshake(id), Some(domain)) = (&self.phase, &self.domain) else {
            return self.fail(StreamCondition::NotAuthorized.into());
        };
        let is_handshake =
            root.name() == "handshake" && matches!(root.ns(), ns::CLIENT | ns::COMPONENT);
        if !is_handshake {
            return self.fail(StreamCondition::NotAuthorized.into());
        }
        let secret = self.settings.secrets.get(domain);
        let proven = secret.is_some_and(|secret| secret.is_proven(id, &root.text()));
        let domain = domain.clone();
        if !proven {
            self.due.push_back(ComponentEffect::AuthFailed { domain });
            return self.fail(StreamCondition::NotAuthorized.into());
        }
        self.framer.set_limits(self.settings.limits);
        self.phase = Phase::Open;
        let answer = Bytes::from_static(b"<handshake/>");
        self.due.extend([
            ComponentEffect::Authenticated { domain },
            ComponentEffect::Send(answer),
        ]);
    }

    fn fail(&mut self, error: StreamError) {
        self.say_goodbye(&error.element(), End::Error(error));
    }

    /// Sends a header if none was sent, some last words and the end tag, and closes.
    fn say_goodbye(&mut self, last: &[u8], end: End) {
        let mut out = Vec::with_capacity(256);
        if !self.header_sent {
            write_header(&mut out, &(self.ids)(), None);
        }
        out.extend_from_slice(last);
        out.extend_from_slice(END_TAG);
        self.phase = Phase::Ended;
        self.end = Some(end);
        self.due
            .extend([ComponentEffect::Send(out.into()), ComponentEffect::Close]);
    }
}

/// The component that a header names (§ 3: by `to`), one of ours.
fn domain(tree: &Tree, settings: &ComponentSettings) -> Result<String, StreamError> {
    let root = tree.root();
    if root.ns() != ns::STREAM || tree.declared_default_ns() != Some(ns::COMPONENT) {
        return Err(StreamCondition::InvalidNamespace.into());
    }
    if root.name() != "stream" {
        return Err(StreamError::new(StreamCondition::BadFormat).text("the root must be a stream"));
    }
    let improper = StreamError::new(StreamCondition::ImproperAddressing);
    let to = root
        .attr("to")
        .ok_or(improper.text("the header needs a 'to' that names the component"))?;
    let to = BareJid::parse(&to).map_err(|_| improper)?;
    if to.local().is_some() || !settings.secrets.contains_key(to.domain()) {
        return Err(StreamCondition::HostUnknown.into());
    }
    Ok(to.domain().to_owned())
}

/// Appends our header. It has no version: the protocol is older than that attribute.
fn write_header(out: &mut Vec<u8>, id: &str, from: Option<&str>) {
    out.extend_from_slice(b"<?xml version='1.0'?><stream:stream xmlns='");
    out.extend_from_slice(ns::COMPONENT.as_bytes());
    out.extend_from_slice(b"' xmlns:stream='");
    out.extend_from_slice(ns::STREAM.as_bytes());
    out.extend_from_slice(b"'");
    attribute(out, "id", Some(id));
    attribute(out, "from", from);
    out.extend_from_slice(b">");
}

#[cfg(test)]
mod tests;
