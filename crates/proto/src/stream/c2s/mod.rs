//! A client's stream as the server sees it (RFC 6120 § 4–7).

mod binding;
mod negotiation;
mod sasl2;

use super::auth::{Auth, Outcome};
use super::effect::{Effect, End, Reply};
use super::settings::{C2sSettings, HostSettings, Ids, TlsInfo, Transport};
use super::websocket::{Incoming, News};
use super::wire::Wire;
use super::{StreamCondition, StreamError, bind, features, header};
use crate::stanza::Stanza;
use crate::xml::{Frame, Framer, Tree};
use crate::{BareJid, FullJid, ns};
use bytes::{Bytes, BytesMut};
use sasl2::{Asked, Finished, Upgrade};
use std::collections::VecDeque;
use std::sync::Arc;

/// One stream of a client, across its restarts. See the [module](super) for how it is driven.
pub struct C2sStream {
    settings: Arc<C2sSettings>,
    ids: Ids,
    transport: Transport,
    wire: Wire,
    phase: Phase,
    /// Effects that are due before any more input is looked at.
    due: VecDeque<Effect>,
    /// Whether our header of this stream (since the last restart) is sent.
    header_sent: bool,
    host: Option<String>,
    lang: Option<String>,
    /// Who the client's header says it is, until it has authenticated.
    from: Option<BareJid>,
    auth: Option<Box<Auth>>,
    account: Option<BareJid>,
    bound: Option<FullJid>,
    /// Whether stream management is enabled.
    managed: bool,
    bind_failures: u32,
    end: Option<End>,
}

/// Bind requests that may fail on one stream (RFC 6120 § 7.7.3: 5 to 10).
const BIND_FAILURES_MAX: u32 = 5;

/// What the stream waits for.
enum Phase {
    /// The client's header, for the first time or after a restart.
    Header,
    /// STARTTLS, SASL or registration.
    Negotiation,
    /// [`Reply::Credentials`].
    Credentials,
    /// [`Reply::FastTokens`].
    Tokens,
    /// [`Reply::Upgrade`], for this hash.
    Salt(Box<Finished>, crate::sasl::Hash),
    /// What the client has to do for an upgrade.
    Task(Box<Upgrade>),
    /// [`Reply::LoggedIn`].
    Login(Box<Asked>),
    /// [`Reply::Iq`].
    Registration,
    /// An empty input to give [`Effect::StartTls`] (`false`), then `tls_started` (`true`).
    Tls { asked: bool },
    /// A bind request.
    Binding,
    /// [`Reply::Bound`] for this request.
    Bind(Box<Stanza>),
    /// [`Reply::Resumed`] for the session of this id.
    Resume(String),
    /// [`Reply::Enabled`].
    Enable,
    /// Stanzas.
    Bound,
    /// Nothing: the stream is at its end.
    Ended,
}

impl C2sStream {
    /// A stream that waits for the client's header.
    pub fn new(settings: Arc<C2sSettings>, transport: Transport, ids: Ids) -> Self {
        Self {
            wire: Wire::Document(Framer::new(settings.limits_pre_auth)),
            settings,
            ids,
            transport,
            phase: Phase::Header,
            due: VecDeque::new(),
            header_sent: false,
            host: None,
            lang: None,
            from: None,
            auth: None,
            account: None,
            bound: None,
            managed: false,
            bind_failures: 0,
            end: None,
        }
    }

    /// The same, whose bytes are those of a WebSocket connection after its handshake. What it sends
    /// is the same as on any stream, and for [`super::websocket::Outgoing`] to put into messages.
    pub fn over_websocket(settings: Arc<C2sSettings>, transport: Transport, ids: Ids) -> Self {
        let wire = Wire::WebSocket(Box::new(Incoming::new(settings.limits_pre_auth)));
        Self {
            wire,
            ..Self::new(settings, transport, ids)
        }
    }

    /// The next effect of what is in `input`, or of earlier input; `None` when more bytes, an
    /// answer or TLS are needed, and forever after [`Effect::Close`].
    pub fn next_effect(&mut self, input: &mut BytesMut) -> Option<Effect> {
        loop {
            if let Some(effect) = self.due.pop_front() {
                return Some(effect);
            }
            match self.phase {
                Phase::Ended => {
                    input.clear();
                    return None;
                }
                // Bytes in clear behind `<starttls/>` would be taken for encrypted ones
                // (CVE-2011-0411): there is no way to say so, `<proceed/>` being sent.
                Phase::Tls { .. } if !input.is_empty() => self.finish(End::TlsFailure),
                Phase::Tls { asked: false } => {
                    self.phase = Phase::Tls { asked: true };
                    return Some(Effect::StartTls);
                }
                _ if self.awaits_answer() => return None,
                Phase::Tls { asked: true } => return None,
                _ => match self.wire.next(input) {
                    Ok(None) => return None,
                    Ok(Some(News::Frame(frame))) => {
                        if let Some(effect) = self.frame(frame, input) {
                            return Some(effect);
                        }
                    }
                    Ok(Some(News::Answer(bytes))) => return Some(Effect::Control(bytes)),
                    Ok(Some(News::Gone(bytes))) => {
                        self.phase = Phase::Ended;
                        self.end = Some(End::Gone);
                        self.due.push_back(Effect::Lost);
                        return Some(Effect::Control(bytes));
                    }
                    Err(error) => self.fail(error.into()),
                },
            }
        }
    }

    /// Answers the question asked last. An answer to no question is ignored, so that one which
    /// comes after the stream has ended does no harm.
    pub fn answer(&mut self, reply: Reply) {
        match (std::mem::replace(&mut self.phase, Phase::Ended), reply) {
            (Phase::Credentials, Reply::Credentials { verifier, known }) => {
                self.phase = Phase::Negotiation;
                let host = self.host.as_deref().unwrap_or_default();
                let auth = self.auth.get_or_insert_default();
                let outcome = auth.verifier(verifier, known, host);
                self.sasl(outcome);
            }
            (Phase::Credentials | Phase::Tokens | Phase::Salt(..), Reply::Refused(failure)) => {
                self.phase = Phase::Negotiation;
                self.sasl(Outcome::Failure(failure));
            }
            (Phase::Tokens, Reply::FastTokens(candidates)) => {
                self.phase = Phase::Negotiation;
                let outcome = self.auth.get_or_insert_default().tokens(&candidates);
                self.sasl(outcome);
            }
            (Phase::Salt(finished, hash), Reply::Upgrade(salt)) => {
                self.begin_upgrade(finished, hash, salt);
            }
            (Phase::Login(asked), Reply::LoggedIn(login)) => self.logged_in(*asked, *login),
            (Phase::Resume(previd), Reply::Resumed(result)) => self.resumed(previd, result),
            (Phase::Enable, Reply::Enabled(result)) => self.enabled(result),
            (Phase::Registration, Reply::Iq(iq)) => {
                self.phase = Phase::Negotiation;
                self.due.push_back(Effect::Send(iq));
            }
            (Phase::Bind(request), Reply::Bound(Ok(jid))) => {
                self.phase = Phase::Bound;
                self.due
                    .push_back(Effect::Send(bind::bound(&request, &jid)));
                self.bound = Some(jid);
            }
            (Phase::Bind(request), Reply::Bound(Err(error))) => {
                self.phase = Phase::Binding;
                self.send(bind::refusal(&request, &error));
                self.bind_failures = self.bind_failures.saturating_add(1);
                if self.bind_failures >= BIND_FAILURES_MAX {
                    let error = StreamError::new(StreamCondition::PolicyViolation);
                    self.fail(error.text("too many failed bind requests"));
                }
            }
            (phase, _) => self.phase = phase,
        }
    }

    /// TLS is up after [`Effect::StartTls`]; nothing that was read in clear may be in the input.
    pub fn tls_started(&mut self, info: TlsInfo) {
        if matches!(self.phase, Phase::Tls { .. }) {
            self.transport = Transport::Tls(info);
            self.restart();
        }
    }

    /// Ends the stream: the next effects send what is due (a header first if none was sent,
    /// RFC 6120 § 4.9.1.2) and close.
    pub fn close(&mut self, error: Option<StreamError>) {
        match (&self.phase, error) {
            (Phase::Ended, _) => {}
            // Between `<proceed/>` and TLS nothing can be said.
            (Phase::Tls { .. }, Some(error)) => self.finish(End::Error(error)),
            (Phase::Tls { .. }, None) => self.finish(End::Local),
            (_, Some(error)) => self.fail(error),
            (_, None) => self.say_goodbye(b"", End::Local),
        }
    }

    /// Whether a question is unanswered: input is held, so there is no point in reading more.
    pub fn awaits_answer(&self) -> bool {
        matches!(
            self.phase,
            Phase::Credentials
                | Phase::Tokens
                | Phase::Salt(..)
                | Phase::Login(_)
                | Phase::Registration
                | Phase::Bind(_)
                | Phase::Resume(_)
                | Phase::Enable
        )
    }

    /// Whether SASL has succeeded.
    pub fn is_authenticated(&self) -> bool {
        self.account.is_some()
    }

    /// Whether a resource is bound.
    pub fn is_bound(&self) -> bool {
        self.bound.is_some()
    }

    /// Whether the transport is TLS.
    pub fn is_encrypted(&self) -> bool {
        matches!(self.transport, Transport::Tls(_))
    }

    /// How the stream ended, if it has.
    pub fn end(&self) -> Option<End> {
        self.end
    }

    /// The domain that the client talks to, from its first accepted header on.
    pub fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }

    /// `xml:lang` of the client's latest header, the default for its stanzas (RFC 6120 § 4.7.4).
    pub fn lang(&self) -> Option<&str> {
        self.lang.as_deref()
    }

    /// The authenticated account.
    pub fn jid(&self) -> Option<&BareJid> {
        self.account.as_ref()
    }

    /// The bound address.
    pub fn full_jid(&self) -> Option<&FullJid> {
        self.bound.as_ref()
    }

    /// Takes one frame; gives a stanza directly, everything else by way of `due`.
    fn frame(&mut self, frame: Frame, input: &BytesMut) -> Option<Effect> {
        match frame {
            Frame::Open(tree) => self.header(&tree),
            Frame::Close => self.say_goodbye(b"", End::Peer),
            Frame::Element(tree) if tree.root().is("error", ns::STREAM) => {
                self.say_goodbye(b"", End::Peer);
            }
            Frame::Element(tree) => match self.phase {
                Phase::Bound => return self.stanza(tree),
                Phase::Binding => self.binding(tree),
                Phase::Task(_) => self.task(&tree),
                _ => self.negotiation(tree, input),
            },
        }
        None
    }

    /// The form of the client's header.
    fn form(&self) -> header::Form {
        if self.wire.is_websocket() {
            header::Form::Open
        } else {
            header::Form::Stream
        }
    }

    /// Answers the client's header with ours and the features (RFC 6120 § 4.3.2).
    fn header(&mut self, tree: &Tree) {
        let header = match header::judge(tree, self.host.as_deref(), &self.settings, self.form()) {
            Ok(header) => header,
            Err(error) => return self.fail(error),
        };
        let Some(offers) = self.settings.hosts.get(&header.host) else {
            return self.fail(StreamCondition::HostUnknown.into());
        };
        let mut out = Vec::with_capacity(1024);
        let to = self.account.as_ref().or(header.from.as_ref());
        header::write(
            &mut out,
            &(self.ids)(),
            Some(&header.host),
            to.map(BareJid::as_str),
        );
        if self.account.is_some() {
            features::write_after_auth(&mut out, &self.settings, offers, false);
            self.phase = Phase::Binding;
        } else {
            features::write_before_auth(&mut out, &self.settings, offers, &self.transport);
            self.phase = Phase::Negotiation;
        }
        self.header_sent = true;
        if self.account.is_none() {
            self.from = header.from;
        }
        self.lang = header.lang;
        self.host = Some(header.host.clone());
        self.due.push_back(Effect::Opened { host: header.host });
        self.due.push_back(Effect::Send(out.into()));
    }

    /// Waits for a new header on the same connection (RFC 6120 § 4.3.3).
    fn restart(&mut self) {
        self.wire.restart();
        self.header_sent = false;
        self.phase = Phase::Header;
    }

    fn offers(&self) -> Option<&HostSettings> {
        self.settings.hosts.get(self.host.as_deref()?)
    }

    fn send(&mut self, bytes: Option<Bytes>) {
        self.due.extend(bytes.map(Effect::Send));
    }

    /// Ends the stream with an error.
    fn fail(&mut self, error: StreamError) {
        self.say_goodbye(&error.element(), End::Error(error));
    }

    /// Sends a header if none was sent, some last words and the end tag, and closes.
    fn say_goodbye(&mut self, last: &[u8], end: End) {
        let mut out = Vec::with_capacity(512);
        if !self.header_sent {
            let any = || self.settings.hosts.keys().min().map(String::as_str);
            let from = self.host.as_deref().or_else(any);
            let to = self.account.as_ref().map(BareJid::as_str);
            header::write(&mut out, &(self.ids)(), from, to);
        }
        out.extend_from_slice(last);
        out.extend_from_slice(header::END_TAG);
        self.due.push_back(Effect::Send(out.into()));
        self.finish(end);
    }

    /// Closes without a word.
    fn finish(&mut self, end: End) {
        self.phase = Phase::Ended;
        self.end = Some(end);
        self.auth = None;
        self.due.push_back(Effect::Close);
    }
}
