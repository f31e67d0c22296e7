//! All that comes out of a stream machine, and the answers that go in.

use super::StreamError;
use crate::sasl::{Failure, Hash, Mechanism, Verifier};
use crate::stanza::{Stanza, StanzaError};
use crate::{BareJid, FullJid};
use bytes::Bytes;
use std::fmt;

/// What the owner of a stream must do, in order. Its `Debug` leaves out what is on the wire:
/// messages, and the passwords of registration.
#[derive(Clone)]
pub enum Effect {
    /// Send these bytes.
    Send(Bytes),
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

impl fmt::Debug for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Send(bytes) => write!(f, "Send({} bytes)", bytes.len()),
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
            Self::Authenticated { jid, mechanism } => f
                .debug_struct("Authenticated")
                .field("jid", jid)
                .field("mechanism", mechanism)
                .finish(),
            Self::AuthFailed { username, failure } => f
                .debug_struct("AuthFailed")
                .field("username", username)
                .field("failure", failure)
                .finish(),
            Self::Bind { resource } => f.debug_struct("Bind").field("resource", resource).finish(),
            Self::Register(_) => f.write_str("Register(..)"),
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
