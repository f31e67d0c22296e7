//! All that comes out of a stream machine, and the answers that go in.

use super::StreamError;
use super::login::{LoggedIn, Login, Resumed};
use crate::sasl::{Failure, FastCandidate, FastMechanism, Hash, Mechanism, Method, Verifier};
use crate::stanza::{Condition, Stanza, StanzaError};
use crate::{BareJid, FullJid, csi, sm};
use bytes::Bytes;
use std::fmt;

/// What the owner of a stream must do, in order. Its `Debug` leaves out what is on the wire:
/// messages, and the passwords of registration.
#[derive(Clone)]
pub enum Effect {
    /// Send these bytes.
    Send(Bytes),
    /// Send these bytes as they are: a control frame of a WebSocket.
    Control(Bytes),
    /// The peer has closed the WebSocket, or broken its rules, without ending the stream: flush and
    /// close the transport. The session can be resumed. Last.
    Lost,
    /// `<proceed/>` was sent: flush, read no more in clear, start TLS on the transport, then call
    /// [`C2sStream::tls_started`](super::C2sStream::tls_started).
    StartTls,
    /// A stream header was accepted (again after each restart).
    Opened {
        /// The domain that the client talks to.
        host: String,
    },
    /// A question: the verifier of an account of [`C2sStream::host`](super::C2sStream::host); answered by
    /// [`Reply::Credentials`] or [`Reply::Refused`].
    Credentials {
        /// The localpart, prepared if it can be one; otherwise no account can have it.
        username: String,
        /// For which hash.
        hash: Hash,
        /// Which mechanism asks.
        mechanism: Mechanism,
    },
    /// A question: the tokens that this client of the account has been given for this mechanism
    /// and that are still kept, the newest first; none if there is no such account or client.
    /// Answered by [`Reply::FastTokens`] or [`Reply::Refused`].
    FastTokens {
        /// The localpart, as in [`Effect::Credentials`].
        username: String,
        /// The installation, as in [`UserAgent::id`](super::UserAgent::id).
        client: Option<String>,
        /// A token for another mechanism must not be used with this one (XEP-0484 § 3.4).
        mechanism: FastMechanism,
    },
    /// A question: whether an authenticated client shall make the verifier for this hash
    /// (XEP-0480); answered by [`Reply::Upgrade`] or [`Reply::Refused`].
    Upgrade {
        /// Whose.
        jid: BareJid,
        /// For which hash.
        hash: Hash,
    },
    /// The verifier that was asked for, to be kept before the next effect is taken.
    Upgraded {
        /// Whose.
        jid: BareJid,
        /// For which hash.
        hash: Hash,
        /// The verifier.
        verifier: Verifier,
    },
    /// SASL succeeded; `<success/>` is the next thing sent, or [`Effect::Login`] the next effect.
    Authenticated {
        /// Who the client is.
        jid: BareJid,
        /// How.
        method: Method,
    },
    /// A question: what a client that has authenticated by SASL2 gets of what it asks for; answered
    /// by [`Reply::LoggedIn`]. `<success/>` is sent only then, so nothing of the session may be
    /// sent before the effects that follow the answer.
    Login(Box<Login>),
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
    /// A question: resume this session (XEP-0198 § 5); answered by [`Reply::Resumed`].
    Resume(sm::Resume),
    /// A question: enable stream management for the bound client (XEP-0198 § 3); answered by
    /// [`Reply::Enabled`]. Asked once, until it is granted.
    EnableSm(sm::Enable),
    /// `<r/>`: the client wants to know how many stanzas are handled.
    AckRequest,
    /// `<a/>`: the client has handled stanzas up to this count.
    Ack(u32),
    /// The client is active or inactive (XEP-0352).
    ClientState(csi::State),
    /// A stanza of the bound client. Addresses and attributes are unchecked.
    Stanza(Stanza),
    /// All is sent, stream error and end tag included: flush and close the transport. Last.
    Close,
}

impl fmt::Debug for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Send(bytes) => write!(f, "Send({} bytes)", bytes.len()),
            Self::Control(bytes) => write!(f, "Control({} bytes)", bytes.len()),
            Self::Lost => f.write_str("Lost"),
            Self::StartTls => f.write_str("StartTls"),
            Self::Opened { host } => f.debug_struct("Opened").field("host", host).finish(),
            Self::Credentials {
                username,
                hash,
                mechanism,
            } => f
                .debug_struct("Credentials")
                .field("username", username)
                .field("hash", hash)
                .field("mechanism", mechanism)
                .finish(),
            Self::FastTokens {
                username,
                client,
                mechanism,
            } => f
                .debug_struct("FastTokens")
                .field("username", username)
                .field("client", client)
                .field("mechanism", mechanism)
                .finish(),
            Self::Upgrade { jid, hash } => write!(f, "Upgrade({jid}, {hash:?})"),
            Self::Upgraded { jid, hash, .. } => write!(f, "Upgraded({jid}, {hash:?}, ..)"),
            Self::Authenticated { jid, method } => f
                .debug_struct("Authenticated")
                .field("jid", jid)
                .field("method", method)
                .finish(),
            Self::Login(login) => f.debug_tuple("Login").field(login).finish(),
            Self::AuthFailed { username, failure } => f
                .debug_struct("AuthFailed")
                .field("username", username)
                .field("failure", failure)
                .finish(),
            Self::Bind { resource } => f.debug_struct("Bind").field("resource", resource).finish(),
            Self::Register(_) => f.write_str("Register(..)"),
            Self::Resume(resume) => f.debug_tuple("Resume").field(resume).finish(),
            Self::EnableSm(enable) => f.debug_tuple("EnableSm").field(enable).finish(),
            Self::AckRequest => f.write_str("AckRequest"),
            Self::Ack(h) => write!(f, "Ack({h})"),
            Self::ClientState(state) => write!(f, "ClientState({state:?})"),
            Self::Stanza(stanza) => write!(f, "Stanza({:?}, ..)", stanza.kind()),
            Self::Close => f.write_str("Close"),
        }
    }
}

/// The answer to a question.
pub enum Reply {
    /// To [`Effect::Credentials`]. For PLAIN, taking it costs the PBKDF2 iterations of the verifier
    /// (some 20 ms): answer where that disturbs nobody.
    Credentials {
        /// The account's verifier; for an unknown account one made up from its name, so that
        /// nothing tells the two apart.
        verifier: Verifier,
        /// Whether the account exists; authentication fails at its end if not.
        known: bool,
    },
    /// To [`Effect::Credentials`], [`Effect::FastTokens`] or [`Effect::Upgrade`]: the exchange fails
    /// at once (back-off: `temporary-auth-failure`).
    Refused(Failure),
    /// To [`Effect::FastTokens`].
    FastTokens(Vec<FastCandidate>),
    /// To [`Effect::Upgrade`]: with which salt and how many PBKDF2 iterations; `None` if the account
    /// has this verifier.
    Upgrade(Option<(Vec<u8>, u32)>),
    /// To [`Effect::Login`].
    LoggedIn(Box<LoggedIn>),
    /// To [`Effect::Resume`]: the session, or why not; the client can bind a resource then.
    Resumed(Result<Resumed, sm::Failed>),
    /// To [`Effect::EnableSm`]. Counting begins now.
    Enabled(Result<sm::Enabled, Condition>),
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
    /// The peer closed the WebSocket without ending the stream, or broke its rules.
    Gone,
    /// We ended it without an error.
    Local,
    /// We ended it with this error.
    Error(StreamError),
    /// STARTTLS failed (RFC 6120 § 5.4.2.2).
    TlsFailure,
}
