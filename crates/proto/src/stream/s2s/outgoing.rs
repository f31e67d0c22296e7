//! A stream that we open: to send stanzas, or to ask about a dialback key.

use super::dialback::{self, Content, Message, Step, Verdict};
use super::incoming::check;
use super::wire::{Header, Next, Wire, judge_header};
use super::{Certificate, Pair, Policy, S2sEffect, S2sEnd, S2sSettings, domain};
use crate::ns;
use crate::sasl;
use crate::sm::{Enable, Nonza};
use crate::stanza::Condition;
use crate::stream::{StreamCondition, StreamError, TlsInfo, Transport, content};
use crate::xml::{Element, Frame, Tree, Writer};
use bytes::{Bytes, BytesMut};
use std::sync::Arc;

/// Where a stream goes, and what for.
#[derive(Debug, Clone)]
pub struct Target {
    /// From which domain of ours to which other.
    pub pair: Pair,
    /// What for.
    pub purpose: Purpose,
}

/// What a stream that we open is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Purpose {
    /// To send stanzas.
    Send,
    /// To ask the authoritative server of `pair.remote` about a key that somebody showed to
    /// `pair.local` on the stream of this id (XEP-0220 § 2.1.2).
    Verify {
        /// The stream's id.
        id: String,
        /// The key.
        key: String,
    },
}

/// Why a stream came to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The other server offers no TLS.
    NoTls,
    /// It shows no certificate for its domain that we trust, and [`Policy::Certificate`] wants one.
    Certificate,
    /// It takes neither our certificate nor dialback.
    NoWay,
    /// It says that our dialback key is wrong: its DNS leads elsewhere than to us, or it is broken.
    Denied,
    /// It could not verify our dialback key.
    Unverified(Condition),
    /// What it said cannot be understood, or is not what was asked for.
    Protocol,
    /// It ended the stream.
    Closed(Option<StreamCondition>),
}

/// A stream that we open.
pub struct S2sOutStream {
    settings: Arc<S2sSettings>,
    target: Target,
    wire: Wire,
    transport: Transport,
    phase: Phase,
    /// The id in the other server's latest header.
    id: String,
    /// Whether SASL EXTERNAL was tried.
    tried: bool,
    external: bool,
    bidi: bool,
    failure: Option<Failure>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Header,
    Features,
    /// `<proceed/>`
    Proceed,
    /// `<success/>`
    Sasl,
    /// The answer to `<db:result/>` or `<db:verify/>`.
    Dialback,
    /// `<enabled/>`
    Enable,
    Ready,
}

impl S2sOutStream {
    /// A stream on a connection to the other server that was just made.
    pub fn new(settings: Arc<S2sSettings>, target: Target, transport: Transport) -> Self {
        let mut stream = Self {
            wire: Wire::new(settings.limits_pre_auth),
            settings,
            target,
            transport,
            phase: Phase::Header,
            id: String::new(),
            tried: false,
            external: false,
            bidi: false,
            failure: None,
        };
        stream.open();
        stream
    }

    /// The next effect of what is in `input`, or of earlier input; `None` when more bytes or TLS
    /// are needed, and forever after [`S2sEffect::Close`].
    pub fn next_effect(&mut self, input: &mut BytesMut) -> Option<S2sEffect> {
        loop {
            match self.wire.next(input) {
                Next::Effect(effect) => return Some(effect),
                Next::Nothing => return None,
                Next::Broken(error) => self.give_up(Failure::Protocol, error),
                Next::Frame(Frame::Element(tree)) => {
                    if let Some(effect) = self.element(tree) {
                        return Some(effect);
                    }
                }
                Next::Frame(Frame::Open(tree)) => match self.header(&tree) {
                    Ok(()) => {}
                    Err(error) => self.give_up(Failure::Protocol, error),
                },
                Next::Frame(Frame::Close) => self.closed(None),
            }
        }
    }

    /// TLS is up after [`S2sEffect::StartTls`]; nothing that was read in clear may be in the input.
    pub fn tls_started(&mut self, info: TlsInfo) {
        if self.wire.tls_started() {
            self.transport = Transport::Tls(info);
            self.open();
        }
    }

    /// Ends the stream: the next effects send what is due and close.
    pub fn close(&mut self, error: Option<StreamError>) {
        match error {
            Some(error) => self.wire.fail(error),
            None => self.wire.say_goodbye(b"", S2sEnd::Local),
        }
    }

    /// Whether stanzas may be sent.
    pub fn is_ready(&self) -> bool {
        self.phase == Phase::Ready && !self.wire.is_ended()
    }

    /// Why it came to nothing, if it has.
    pub fn failure(&self) -> Option<Failure> {
        self.failure
    }

    /// Where it goes.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// How the stream ended, if it has.
    pub fn end(&self) -> Option<S2sEnd> {
        self.wire.end
    }

    /// Sends our header.
    fn open(&mut self) {
        let mut out = Vec::with_capacity(256);
        let pair = &self.target.pair;
        let header = Header {
            id: None,
            from: Some(&pair.local),
            to: Some(&pair.remote),
        };
        Wire::write_header(&mut out, &header);
        self.wire.send(out.into());
        self.wire.is_open = true;
        self.phase = Phase::Header;
    }

    fn header(&mut self, tree: &Tree) -> Result<(), StreamError> {
        let root = judge_header(tree)?;
        let bad = StreamError::new(StreamCondition::BadFormat);
        let id = root.attr("id").filter(|id| !id.is_empty());
        self.id = id.ok_or(bad.text("the header needs an id"))?.into_owned();
        if let Some(from) = root.attr("from")
            && domain(&from).as_ref() != Some(&self.target.pair.remote)
        {
            return Err(StreamCondition::InvalidFrom.into());
        }
        self.phase = Phase::Features;
        Ok(())
    }

    /// Takes one element; gives a stanza directly, everything else by way of what is due.
    fn element(&mut self, tree: Tree) -> Option<S2sEffect> {
        let root = tree.root();
        if root.is("error", ns::STREAM) {
            self.closed(condition_of(root));
            return None;
        }
        match (self.phase, root.ns(), root.name()) {
            (Phase::Features, ns::STREAM, "features") => self.features(root),
            (Phase::Proceed, ns::TLS, "proceed") => self.wire.start_tls(),
            (Phase::Proceed, ns::TLS, _) => self.refuse(Failure::NoTls),
            (Phase::Sasl, ns::SASL, "success") => {
                self.external = true;
                self.wire.restart();
                self.open();
            }
            // RFC 6120 § 6.4.5: another way may be tried on the same stream.
            (Phase::Sasl, ns::SASL, "failure") => self.claim(),
            (Phase::Dialback, ns::DIALBACK, _) => self.dialback(root),
            (Phase::Enable | Phase::Ready, ns::SM, _) => self.managed(root),
            (Phase::Enable | Phase::Ready, ns::CLIENT | ns::SERVER, _) if self.bidi => {
                return self.stanza(tree);
            }
            _ => {
                let error = StreamError::new(StreamCondition::PolicyViolation);
                self.give_up(Failure::Protocol, error.text("nobody asked for this"));
            }
        }
        None
    }

    /// Decides what to do next by what is offered.
    fn features(&mut self, features: Element<'_>) {
        let Some(certificate) = self.certificate() else {
            if features.child("starttls", ns::TLS).is_none() {
                return self.refuse(Failure::NoTls);
            }
            self.phase = Phase::Proceed;
            let starttls = b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
            return self.wire.send(Bytes::from_static(starttls));
        };
        let remote = &self.target.pair.remote;
        let trusted = match self.settings.policies.of(remote) {
            Policy::Block => false,
            Policy::Certificate => certificate.proves(remote),
            Policy::Dialback => true,
        };
        if !trusted {
            return self.refuse(Failure::Certificate);
        }
        if self.external {
            return self.authenticated(features);
        }
        if let Purpose::Verify { id, key } = &self.target.purpose {
            let question = Message {
                step: Step::Verify(id.clone()),
                from: self.target.pair.local.clone(),
                to: remote.clone(),
                content: Content::Key(key.clone()),
            };
            self.wire.send(question.element());
            self.phase = Phase::Dialback;
            return;
        }
        if self.settings.bidi && features.child("bidi", ns::BIDI_FEATURE).is_some() {
            self.bidi = true;
            let mut xml = Writer::new(ns::CLIENT);
            xml.empty("bidi", ns::BIDI);
            self.wire.send(xml.finish());
        }
        let mechanisms = features.child("mechanisms", ns::SASL);
        let external = mechanisms.is_some_and(|mechanisms| {
            let mut offered = mechanisms.children();
            offered.any(|child| child.name() == "mechanism" && child.text().trim() == "EXTERNAL")
        });
        if external && !self.tried {
            self.tried = true;
            self.authenticate();
        } else {
            // What old servers do not list they may have all the same (XEP-0220 § 2.3).
            self.claim();
        }
    }

    fn certificate(&self) -> Option<&Certificate> {
        match &self.transport {
            Transport::Plain => None,
            Transport::Tls(info) => Some(&info.peer),
        }
    }

    /// SASL EXTERNAL (XEP-0178 § 3).
    fn authenticate(&mut self) {
        let mut xml = Writer::new(ns::CLIENT);
        xml.start_ns("auth", ns::SASL);
        xml.attr("mechanism", "EXTERNAL");
        xml.text(&sasl::encode(self.target.pair.local.as_bytes()));
        self.wire.send(xml.finish());
        self.phase = Phase::Sasl;
    }

    /// Dialback (XEP-0220 § 2.1.1).
    fn claim(&mut self) {
        let claim = dialback::claim(&self.settings.secret, &self.target.pair, &self.id);
        self.wire.send(claim);
        self.phase = Phase::Dialback;
    }

    /// The other server knows who we are by our certificate.
    fn authenticated(&mut self, features: Element<'_>) {
        self.wire.set_limits(self.settings.limits);
        if features.child("sm", ns::SM).is_some() {
            self.wire.send(Nonza::Enable(Enable::default()).to_bytes());
            self.phase = Phase::Enable;
        } else {
            self.ready(false);
        }
    }

    fn ready(&mut self, managed: bool) {
        self.wire.set_limits(self.settings.limits);
        self.phase = Phase::Ready;
        self.wire.push(S2sEffect::Ready { managed });
        if self.bidi {
            let pair = self.target.pair.clone();
            self.wire.push(S2sEffect::Authorized(pair));
        }
    }

    /// The answer to what we asked; only to that, and only from whom we asked.
    fn dialback(&mut self, root: Element<'_>) {
        let message = Message::read(root);
        let pair = &self.target.pair;
        let answer = message.and_then(|message| {
            let asked = match (&self.target.purpose, &message.step) {
                (Purpose::Send, Step::Result) => true,
                (Purpose::Verify { id, .. }, Step::Verify(about)) => id == about,
                _ => false,
            };
            let ours = message.from == pair.remote && message.to == pair.local;
            match message.content {
                Content::Verdict(verdict) if asked && ours => Some(verdict),
                _ => None,
            }
        });
        let Some(verdict) = answer else {
            let error = StreamError::new(StreamCondition::PolicyViolation);
            return self.give_up(Failure::Protocol, error.text("an answer to no question"));
        };
        match (&self.target.purpose, verdict) {
            (Purpose::Verify { .. }, verdict) => {
                self.wire.push(S2sEffect::Verified(verdict));
                self.wire.say_goodbye(b"", S2sEnd::Local);
            }
            (Purpose::Send, Verdict::Valid) => self.ready(false),
            (Purpose::Send, Verdict::Invalid) => self.refuse(Failure::Denied),
            (Purpose::Send, Verdict::Failed(why)) => self.refuse(Failure::Unverified(why)),
        }
    }

    /// Stream management (XEP-0198): what we send, and with XEP-0288 what we receive.
    fn managed(&mut self, root: Element<'_>) {
        match (self.phase, Nonza::read(root)) {
            (Phase::Enable, Ok(Nonza::Enabled(_))) => {
                self.wire.manage();
                self.ready(true);
            }
            (Phase::Enable, Ok(Nonza::Failed(_))) => self.ready(false),
            (Phase::Ready, Ok(Nonza::Answer(h))) => self.wire.push(S2sEffect::Ack(h)),
            (Phase::Ready, Ok(Nonza::Request)) => {
                if let Some(handled) = self.wire.handled() {
                    self.wire.send(Nonza::Answer(handled).to_bytes());
                }
            }
            _ => {
                let error = StreamError::new(StreamCondition::BadFormat);
                self.give_up(Failure::Protocol, error);
            }
        }
    }

    fn stanza(&mut self, tree: Tree) -> Option<S2sEffect> {
        let Pair { local, remote } = &self.target.pair;
        let checked = content::stanza(tree, ns::SERVER).and_then(|stanza| {
            let ours = |to: Option<&str>| to.is_none_or(|to| to == local);
            check(stanza, |to, from| ours(to) && from == remote)
        });
        match checked {
            Ok(effect) => Some(self.wire.hand_out(effect)),
            Err(condition) => {
                self.give_up(Failure::Protocol, condition.into());
                None
            }
        }
    }

    /// The other server has ended the stream.
    fn closed(&mut self, condition: Option<StreamCondition>) {
        self.failure.get_or_insert(Failure::Closed(condition));
        self.wire.say_goodbye(b"", S2sEnd::Peer);
    }

    /// There is no way on; no error of the stream.
    fn refuse(&mut self, failure: Failure) {
        self.failure.get_or_insert(failure);
        self.wire.say_goodbye(b"", S2sEnd::Local);
    }

    fn give_up(&mut self, failure: Failure, error: StreamError) {
        self.failure.get_or_insert(failure);
        self.wire.fail(error);
    }
}

/// The condition of a `<stream:error/>` (RFC 6120 § 4.9.2).
fn condition_of(error: Element<'_>) -> Option<StreamCondition> {
    let named = |child: Element<'_>| {
        StreamCondition::ALL
            .iter()
            .copied()
            .find(|condition| child.is(condition.name(), ns::STREAMS))
    };
    error.children().find_map(named)
}
