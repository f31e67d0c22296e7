//! A client's stream as the server sees it (RFC 6120 § 4–7).

use super::StreamError;
use crate::sasl::{ChannelBindings, Failure, Hash, Mechanism, Verifier};
use crate::stanza::{Stanza, StanzaError};
use crate::xml::Limits;
use crate::{BareJid, FullJid};
use bytes::{Bytes, BytesMut};
use std::collections::HashMap;
use std::sync::Arc;

/// Gives a fresh unpredictable text (at least 128 bits, printable ASCII without `,` `"` `&` `<`)
/// for each call: stream ids and SCRAM nonces. One source serves all streams.
pub type Ids = Arc<dyn Fn() -> String + Send + Sync>;

/// What all client streams of a listener share.
#[derive(Debug, Clone)]
pub struct C2sSettings {
    /// The domains served, by prepared domainpart.
    pub hosts: HashMap<String, HostSettings>,
    /// Bounds on an element before authentication.
    pub limits_pre_auth: Limits,
    /// Bounds on an element after authentication.
    pub limits: Limits,
    /// Whether STARTTLS is offered on [`Transport::Plain`]: a certificate is configured.
    pub starttls: bool,
    /// Whether a client may authenticate on [`Transport::Plain`]. For listeners on loopback only.
    pub plaintext_allowed: bool,
    /// Failed authentications after which a stream is closed (RFC 6120 § 6.4.5).
    pub auth_failures_max: u32,
    /// Seconds of silence after which a stream counts as idle, advertised by XEP-0478.
    pub idle_seconds: Option<u32>,
}

impl Default for C2sSettings {
    /// No host, STARTTLS, no plaintext, three tries.
    fn default() -> Self {
        Self {
            hosts: HashMap::new(),
            limits_pre_auth: Limits::PRE_AUTH,
            limits: Limits::C2S,
            starttls: true,
            plaintext_allowed: false,
            auth_failures_max: 3,
            idle_seconds: None,
        }
    }
}

/// What client streams to one domain offer.
#[derive(Debug, Clone, Default)]
pub struct HostSettings {
    /// Entity capabilities of the domain, shown in stream features (XEP-0115 § 6.3).
    pub caps: Option<Caps>,
    /// Whether accounts may be made in-band before authentication (XEP-0077).
    pub registration: bool,
    /// SASL mechanisms, best first. `-PLUS` ones are offered only where channel binding works.
    pub mechanisms: Vec<Mechanism>,
}

/// A verification string made with SHA-1 (XEP-0115 § 5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caps {
    /// The software's URI.
    pub node: String,
    /// The verification string.
    pub ver: String,
}

/// What carries the stream.
#[derive(Debug, Clone)]
pub enum Transport {
    /// TCP without TLS.
    Plain,
    /// TLS from the first byte (XEP-0368), or any transport that is as good: tests in memory.
    Tls(TlsInfo),
}

/// What the stream needs to know of its TLS connection.
#[derive(Debug, Clone, Default)]
pub struct TlsInfo {
    /// Data for the channel bindings that the connection has.
    pub bindings: ChannelBindings,
}

/// What the owner of a stream must do, in order.
#[derive(Debug, Clone)]
pub enum Effect {
    /// Send these bytes.
    Send(Bytes),
    /// `<proceed/>` was sent: flush, start TLS on the transport, then call
    /// [`C2sStream::tls_started`].
    StartTls,
    /// A stream header was accepted (again after each restart).
    Opened {
        /// The domain that the client talks to.
        host: String,
    },
    /// A question: the verifier of an account of [`C2sStream::host`]; answered by
    /// [`Reply::Credentials`] or [`Reply::Refused`].
    Credentials {
        /// The localpart, prepared if it can be one; otherwise no account can have it.
        username: String,
        /// For which hash.
        hash: Hash,
        /// Which mechanism asks.
        mechanism: Mechanism,
    },
    /// SASL succeeded; `<success/>` is the next thing sent.
    Authenticated {
        /// Who the client is.
        jid: BareJid,
        /// How.
        mechanism: Mechanism,
    },
    /// SASL failed; the failure is the next thing sent. For back-off and metrics.
    AuthFailed {
        /// Who the client claimed to be, if it came so far.
        username: Option<String>,
        /// Why.
        failure: Failure,
    },
    /// A question: bind this resource, or one of the server's choice; answered by
    /// [`Reply::Bound`].
    Bind {
        /// The resourcepart wished for, as received.
        resource: Option<String>,
    },
    /// A question: an IQ `get` or `set` of `jabber:iq:register` before authentication; answered by
    /// [`Reply::Iq`].
    Register(Stanza),
    /// A stanza of the bound client. Addresses and attributes are unchecked.
    Stanza(Stanza),
    /// All is sent, stream error and end tag included: flush and close the transport. Last.
    Close,
}

/// The answer to a question.
pub enum Reply {
    /// To [`Effect::Credentials`].
    Credentials {
        /// The account's verifier; for an unknown account one made up from its name, so that
        /// nothing tells the two apart.
        verifier: Verifier,
        /// Whether the account exists; authentication fails at its end if not.
        known: bool,
    },
    /// To [`Effect::Credentials`]: the exchange fails at once (back-off:
    /// `temporary-auth-failure`).
    Refused(Failure),
    /// To [`Effect::Bind`]: the address, or why not (RFC 6120 § 7.6.2, 7.7.2).
    Bound(Result<FullJid, StanzaError>),
    /// To [`Effect::Register`]: the whole IQ that answers, for `jabber:client`.
    Iq(Bytes),
}

/// How a stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The peer sent its end tag, or a stream error.
    Peer,
    /// We ended it without an error.
    Local,
    /// We ended it with this error.
    Error(StreamError),
    /// STARTTLS failed (RFC 6120 § 5.4.2.2).
    TlsFailure,
}

/// One stream of a client, across its restarts. See the [module](super) for how it is driven.
pub struct C2sStream {
    settings: Arc<C2sSettings>,
    ids: Ids,
    transport: Transport,
}

impl C2sStream {
    /// A stream that waits for the client's header.
    pub fn new(settings: Arc<C2sSettings>, transport: Transport, ids: Ids) -> Self {
        Self {
            settings,
            ids,
            transport,
        }
    }

    /// The next effect of what is in `input`, or of earlier input; `None` when more bytes, an
    /// answer or TLS are needed, and forever after [`Effect::Close`].
    pub fn next_effect(&mut self, _input: &mut BytesMut) -> Option<Effect> {
        todo!()
    }

    /// Answers the question asked last. An answer to no question is ignored, so that one which
    /// comes after the stream has ended does no harm.
    pub fn answer(&mut self, _reply: Reply) {
        todo!()
    }

    /// TLS is up after [`Effect::StartTls`]; nothing that was read in clear may be in the input.
    pub fn tls_started(&mut self, _info: TlsInfo) {
        todo!()
    }

    /// Ends the stream: the next effects send what is due (a header first if none was sent,
    /// RFC 6120 § 4.9.1.2) and close.
    pub fn close(&mut self, _error: Option<StreamError>) {
        todo!()
    }

    /// Whether a question is unanswered: input is held, so there is no point in reading more.
    pub fn awaits_answer(&self) -> bool {
        todo!()
    }

    /// Whether SASL has succeeded.
    pub fn is_authenticated(&self) -> bool {
        todo!()
    }

    /// Whether a resource is bound.
    pub fn is_bound(&self) -> bool {
        todo!()
    }

    /// Whether the transport is TLS.
    pub fn is_encrypted(&self) -> bool {
        matches!(self.transport, Transport::Tls(_))
    }

    /// How the stream ended, if it has.
    pub fn end(&self) -> Option<End> {
        todo!()
    }

    /// The domain that the client talks to, from its first accepted header on.
    pub fn host(&self) -> Option<&str> {
        todo!()
    }

    /// `xml:lang` of the client's latest header, the default for its stanzas (RFC 6120 § 4.7.4).
    pub fn lang(&self) -> Option<&str> {
        todo!()
    }

    /// The authenticated account.
    pub fn jid(&self) -> Option<&BareJid> {
        todo!()
    }

    /// The bound address.
    pub fn full_jid(&self) -> Option<&FullJid> {
        todo!()
    }
}
