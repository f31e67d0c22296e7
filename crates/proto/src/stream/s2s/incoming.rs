//! A stream that another server opened.

use super::dialback::{self, Content, Message, Step, Verdict};
use super::wire::{Header, Next, Wire, judge_header};
use super::{Certificate, Pair, Policy, S2sEffect, S2sEnd, S2sSettings, Verification, domain};
use crate::Jid;
use crate::ns;
use crate::sasl::{self, Failure};
use crate::sm::{Enabled, Nonza};
use crate::stanza::{Condition, Draft, Stanza};
use crate::stream::{Ids, StreamCondition, StreamError, TlsInfo, Transport, content, sasl1};
use crate::xml::{Element, Frame, Tree, Writer};
use bytes::{Bytes, BytesMut};
use std::sync::Arc;

/// Failed attempts of SASL EXTERNAL, after which a stream is closed (RFC 6120 § 6.4.5).
const AUTH_FAILURES_MAX: u32 = 3;

/// A stream that another server opened.
pub struct S2sInStream {
    settings: Arc<S2sSettings>,
    ids: Ids,
    wire: Wire,
    transport: Transport,
    /// The id in our latest header.
    id: String,
    /// Whom the latest header addresses, and whom it says it comes from.
    local: Option<String>,
    remote: Option<String>,
    /// Whether SASL EXTERNAL has succeeded; then the header's domains cannot change any more.
    external: bool,
    auth_failures: u32,
    bidi: bool,
    authorized: Vec<Pair>,
    pending: Vec<Pair>,
}

impl S2sInStream {
    /// A stream that waits for the other server's header.
    pub fn new(settings: Arc<S2sSettings>, transport: Transport, ids: Ids) -> Self {
        Self {
            wire: Wire::new(settings.limits_pre_auth),
            settings,
            ids,
            transport,
            id: String::new(),
            local: None,
            remote: None,
            external: false,
            auth_failures: 0,
            bidi: false,
            authorized: Vec::new(),
            pending: Vec::new(),
        }
    }

    /// The next effect of what is in `input`, or of earlier input; `None` when more bytes or TLS
    /// are needed, and forever after [`S2sEffect::Close`].
    pub fn next_effect(&mut self, input: &mut BytesMut) -> Option<S2sEffect> {
        loop {
            match self.wire.next(input) {
                Next::Effect(effect) => return Some(effect),
                Next::Nothing => return None,
                Next::Broken(error) => self.fail(error),
                Next::Frame(frame) => {
                    if let Some(effect) = self.frame(frame) {
                        return Some(effect);
                    }
                }
            }
        }
    }

    /// Answers [`S2sEffect::Verify`]. An answer that nobody waits for is ignored.
    pub fn verified(&mut self, pair: &Pair, verdict: Verdict) {
        let Some(at) = self.pending.iter().position(|pending| pending == pair) else {
            return;
        };
        let pair = self.pending.swap_remove(at);
        if self.wire.is_ended() {
            return;
        }
        let message = Message {
            step: Step::Result,
            from: pair.remote.clone(),
            to: pair.local.clone(),
            content: Content::Verdict(verdict),
        };
        self.wire.send(message.answer(verdict));
        match verdict {
            Verdict::Valid => self.authorize(pair),
            // XEP-0220 § 2.1.1: whoever is not who it says it is has no business here.
            Verdict::Invalid if self.authorized.is_empty() => {
                self.wire.say_goodbye(b"", S2sEnd::Local);
            }
            Verdict::Invalid | Verdict::Failed(_) => {}
        }
    }

    /// TLS is up after [`S2sEffect::StartTls`]; nothing that was read in clear may be in the input.
    pub fn tls_started(&mut self, info: TlsInfo) {
        if self.wire.tls_started() {
            self.transport = Transport::Tls(info);
        }
    }

    /// Ends the stream: the next effects send what is due and close.
    pub fn close(&mut self, error: Option<StreamError>) {
        match error {
            Some(error) => self.fail(error),
            None => self.wire.say_goodbye(b"", S2sEnd::Local),
        }
    }

    /// The pairs of domains that are authorised, oldest first.
    pub fn authorized(&self) -> &[Pair] {
        &self.authorized
    }

    /// Whether stanzas may be sent on it, too (XEP-0288).
    pub fn is_bidirectional(&self) -> bool {
        self.bidi
    }

    /// Who the other server says it is, for logs.
    pub fn remote(&self) -> Option<&str> {
        self.remote.as_deref()
    }

    /// How the stream ended, if it has.
    pub fn end(&self) -> Option<S2sEnd> {
        self.wire.end
    }

    /// Takes one frame; gives a stanza directly, everything else by way of what is due.
    fn frame(&mut self, frame: Frame) -> Option<S2sEffect> {
        let tree = match frame {
            Frame::Open(tree) => {
                if let Err(error) = self.header(&tree) {
                    self.fail(error);
                }
                return None;
            }
            Frame::Close => {
                self.wire.say_goodbye(b"", S2sEnd::Peer);
                return None;
            }
            Frame::Element(tree) => tree,
        };
        let root = tree.root();
        let encrypted = matches!(self.transport, Transport::Tls(_));
        match (root.ns(), root.name()) {
            (ns::STREAM, "error") => self.wire.say_goodbye(b"", S2sEnd::Peer),
            (ns::TLS, "starttls") if !encrypted => {
                let proceed = b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
                self.wire.send(Bytes::from_static(proceed));
                self.wire.start_tls();
            }
            _ if !encrypted => {
                let error = StreamError::new(StreamCondition::NotAuthorized);
                self.fail(error.text("TLS comes first"));
            }
            (ns::SASL, "auth") => self.auth(root),
            (ns::DIALBACK, _) => self.dialback(root),
            // XEP-0288 § 2.2: before authentication, or it is too late.
            (ns::BIDI, "bidi") => self.bidi |= self.settings.bidi && self.pending_or_none(),
            (ns::SM, _) => self.manage(root),
            _ => return self.stanza(tree),
        }
        None
    }

    fn pending_or_none(&self) -> bool {
        self.authorized.is_empty() && self.pending.is_empty()
    }

    /// Answers a header with ours and the features (RFC 6120 § 4.3.2).
    fn header(&mut self, tree: &Tree) -> Result<(), StreamError> {
        let root = judge_header(tree)?;
        let improper = StreamError::new(StreamCondition::ImproperAddressing);
        let to = root
            .attr("to")
            .ok_or(improper.text("the header needs a 'to' that names the domain"))?;
        let local = domain(&to).ok_or(improper)?;
        if !self.settings.hosts.contains(&local) {
            return Err(StreamCondition::HostUnknown.into());
        }
        let remote = match root.attr("from") {
            None => None,
            Some(from) => Some(domain(&from).ok_or(improper)?),
        };
        let changed = self.local.as_ref() != Some(&local) || self.remote != remote;
        if self.external && changed {
            return Err(StreamError::new(StreamCondition::PolicyViolation)
                .text("a stream cannot change its domains"));
        }
        self.local = Some(local);
        self.remote = remote;
        self.open();
        if let Some(remote) = &self.remote {
            if self.settings.hosts.contains(remote) {
                return Err(StreamCondition::InvalidFrom.into());
            }
            if self.settings.policies.of(remote) == Policy::Block {
                return Err(StreamError::new(StreamCondition::PolicyViolation)
                    .text("this server does not talk to that domain"));
            }
        }
        self.wire.send(self.features());
        Ok(())
    }

    /// Sends our header.
    fn open(&mut self) {
        self.id = (self.ids)();
        let mut out = Vec::with_capacity(512);
        let any = || self.settings.hosts.iter().min().map(String::as_str);
        let header = Header {
            id: Some(&self.id),
            from: self.local.as_deref().or_else(any),
            to: self.remote.as_deref(),
        };
        Wire::write_header(&mut out, &header);
        self.wire.send(out.into());
        self.wire.is_open = true;
    }

    fn features(&self) -> Bytes {
        let mut xml = Writer::new(ns::CLIENT);
        if matches!(self.transport, Transport::Plain) {
            xml.start_ns("starttls", ns::TLS).start("required").end();
            xml.end();
        } else {
            if !self.external && self.proven_domain().is_some() {
                xml.start_ns("mechanisms", ns::SASL);
                xml.leaf("mechanism", "EXTERNAL").end();
            }
            xml.start_ns("dialback", ns::DIALBACK_FEATURE);
            xml.start("errors").end().end();
            if self.settings.bidi && self.authorized.is_empty() {
                xml.empty("bidi", ns::BIDI_FEATURE);
            }
            if self.external {
                xml.empty("sm", ns::SM);
            }
        }
        xml.start_ns("limits", ns::STREAM_LIMITS);
        xml.leaf("max-bytes", &self.settings.limits.bytes_max.to_string());
        xml.end();
        let children = xml.finish();
        [b"<stream:features>", &*children, b"</stream:features>"]
            .concat()
            .into()
    }

    /// The domain that the header names, if the certificate is one for it; asked again at each use.
    fn proven_domain(&self) -> Option<&str> {
        let remote = self.remote.as_deref()?;
        self.certificate()?.proves(remote).then_some(remote)
    }

    fn certificate(&self) -> Option<&Certificate> {
        match &self.transport {
            Transport::Plain => None,
            Transport::Tls(info) => Some(&info.peer),
        }
    }

    /// SASL EXTERNAL (XEP-0178 § 3), the only mechanism.
    fn auth(&mut self, root: Element<'_>) {
        match self.external(root) {
            Ok(pair) => {
                self.external = true;
                self.wire.send(sasl1::success(None));
                self.authorize(pair);
                self.wire.restart();
            }
            Err(failure) => {
                self.wire.send(sasl1::failure(failure));
                self.auth_failures += 1;
                if self.auth_failures >= AUTH_FAILURES_MAX {
                    let error = StreamError::new(StreamCondition::PolicyViolation);
                    self.fail(error.text("too many failed attempts to authenticate"));
                }
            }
        }
    }

    fn external(&self, root: Element<'_>) -> Result<Pair, Failure> {
        let mechanism = root.attr("mechanism");
        if self.external || mechanism.as_deref() != Some("EXTERNAL") {
            return Err(Failure::InvalidMechanism);
        }
        let proven = self.proven_domain().ok_or(Failure::NotAuthorized)?;
        // Without an initial response the authorisation identity is empty: nobody asks for it.
        let identity = sasl::decode_initial(&root.text())?.unwrap_or_default();
        let identity = std::str::from_utf8(&identity).map_err(|_| Failure::MalformedRequest)?;
        if !identity.is_empty() && domain(identity).as_deref() != Some(proven) {
            return Err(Failure::InvalidAuthzid);
        }
        let local = self.local.clone().ok_or(Failure::NotAuthorized)?;
        Ok(Pair {
            local,
            remote: proven.to_owned(),
        })
    }

    /// Dialback (XEP-0220), as the receiving and as the authoritative server.
    fn dialback(&mut self, root: Element<'_>) {
        let Some(message) = Message::read(root) else {
            return self.fail(StreamCondition::BadFormat.into());
        };
        let Content::Key(key) = &message.content else {
            // § 2.1: whoever takes an answer to no question can be made to believe anything.
            let error = StreamError::new(StreamCondition::PolicyViolation);
            return self.fail(error.text("an answer that nobody asked for"));
        };
        if !self.settings.hosts.contains(&message.to) {
            let failed = Verdict::Failed(Condition::ItemNotFound);
            return self.wire.send(message.answer(failed));
        }
        if let Step::Verify(id) = &message.step {
            let secret = &self.settings.secret;
            let verdict = dialback::judge(secret, &message.from, &message.to, id, key);
            return self.wire.send(message.answer(verdict));
        }
        let pair = Pair {
            local: message.to.clone(),
            remote: message.from.clone(),
        };
        if let Some(condition) = self.refusal(&pair) {
            return self.wire.send(message.answer(Verdict::Failed(condition)));
        }
        let verification = Verification {
            pair: pair.clone(),
            id: self.id.clone(),
            key: key.trim_ascii().to_owned(),
        };
        self.pending.push(pair);
        self.wire.push(S2sEffect::Verify(verification));
    }

    /// Why a pair is not even looked at.
    fn refusal(&self, pair: &Pair) -> Option<Condition> {
        let blocked = self.settings.policies.of(&pair.remote) == Policy::Block;
        if blocked || self.settings.hosts.contains(&pair.remote) {
            return Some(Condition::PolicyViolation);
        }
        let pairs = self.pending.len() + self.authorized.len();
        if pairs >= self.settings.pairs_max || self.pending.contains(pair) {
            return Some(Condition::ResourceConstraint);
        }
        None
    }

    fn authorize(&mut self, pair: Pair) {
        if !self.authorized.contains(&pair) {
            self.authorized.push(pair.clone());
        }
        self.wire.set_limits(self.settings.limits);
        self.wire.push(S2sEffect::Authorized(pair));
    }

    /// Stream management of what the other server sends (XEP-0198), without resumption.
    fn manage(&mut self, root: Element<'_>) {
        match Nonza::read(root) {
            _ if self.authorized.is_empty() => {
                self.wire
                    .send(Nonza::failed(Condition::UnexpectedRequest).to_bytes());
            }
            Ok(Nonza::Enable(_)) if self.wire.handled().is_none() => {
                self.wire.manage();
                self.wire
                    .send(Nonza::Enabled(Enabled::default()).to_bytes());
            }
            Ok(Nonza::Enable(_) | Nonza::Resume(_)) => {
                self.wire
                    .send(Nonza::failed(Condition::UnexpectedRequest).to_bytes());
            }
            Ok(Nonza::Request) => {
                if let Some(handled) = self.wire.handled() {
                    self.wire.send(Nonza::Answer(handled).to_bytes());
                }
            }
            Ok(Nonza::Answer(h)) if self.bidi => self.wire.push(S2sEffect::Ack(h)),
            _ => self.fail(StreamCondition::BadFormat.into()),
        }
    }

    /// Checks a stanza against what is authorised (RFC 6120 § 4.9.3.6, § 4.9.3.9).
    fn stanza(&mut self, tree: Tree) -> Option<S2sEffect> {
        if self.authorized.is_empty() {
            self.fail(StreamCondition::NotAuthorized.into());
            return None;
        }
        let authorized = |local: Option<&str>, remote: &str| {
            self.authorized
                .iter()
                .any(|pair| pair.remote == remote && local.is_none_or(|local| pair.local == local))
        };
        let checked = content::stanza(tree, ns::SERVER);
        let checked = checked.and_then(|stanza| check(stanza, authorized));
        match checked {
            Ok(effect) => Some(self.wire.hand_out(effect)),
            Err(condition) => {
                self.fail(condition.into());
                None
            }
        }
    }

    fn fail(&mut self, error: StreamError) {
        if !self.wire.is_open && !self.wire.is_between() && !self.wire.is_ended() {
            self.open();
        }
        self.wire.fail(error);
    }
}

/// A stanza whose domains are authorised; the condition that ends the stream otherwise. A `None` in
/// place of our domain stands for any of them.
pub(super) fn check(
    stanza: Stanza,
    is_authorized: impl Fn(Option<&str>, &str) -> bool,
) -> Result<S2sEffect, StreamCondition> {
    let draft = match Draft::new(stanza.clone()) {
        Ok(draft) => draft,
        Err(error) => {
            // The sender may be a person who mistyped; its server is at fault only if the stanza
            // is not of its domain.
            let from = stanza.root().attr("from");
            let from = from.and_then(|from| Jid::parse(&from).ok());
            return match from {
                Some(from) if is_authorized(None, from.domain()) => {
                    Ok(S2sEffect::Malformed(stanza, error))
                }
                Some(_) => Err(StreamCondition::InvalidFrom),
                None => Err(StreamCondition::ImproperAddressing),
            };
        }
    };
    let (Some(from), Some(to)) = (draft.from(), draft.to()) else {
        return Err(StreamCondition::ImproperAddressing);
    };
    if is_authorized(Some(to.domain()), from.domain()) {
        Ok(S2sEffect::Stanza(draft))
    } else {
        Err(StreamCondition::InvalidFrom)
    }
}
