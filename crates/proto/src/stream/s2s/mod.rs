//! Streams between servers (RFC 6120), without any input or output.
//!
//! [`S2sInStream`] is a stream that another server opened, [`S2sOutStream`] one that we open. A
//! stream carries stanzas in one direction, from the server that opened it; with XEP-0288 in both.
//! What may be sent on it is a set of [`Pair`]s: each was authorised by a certificate (SASL
//! EXTERNAL, XEP-0178) or by dialback (XEP-0220), and each stanza is checked against it.
//!
//! Both are pulled like [`super::C2sStream`]. Nothing in them waits: the one question,
//! [`S2sEffect::Verify`], is answered whenever the answer is there.

mod certificate;
pub mod dialback;
mod incoming;
mod outgoing;
mod policy;
mod wire;

pub use certificate::{Certificate, ascii_domain};
pub use incoming::S2sInStream;
pub use outgoing::{Failure, Purpose, S2sOutStream, Target};
pub use policy::{Policies, Policy};

use super::StreamError;
use crate::BareJid;
use crate::stanza::{Draft, Stanza, StanzaError};
use crate::xml::Limits;
use bytes::Bytes;
use dialback::{Secret, Verdict};
use std::collections::HashSet;
use std::fmt;

/// What all streams between servers share.
#[derive(Debug, Clone)]
pub struct S2sSettings {
    /// The domains served here, prepared.
    pub hosts: HashSet<String>,
    /// What is demanded of which domain.
    pub policies: Policies,
    /// What our dialback keys are made of.
    pub secret: Secret,
    /// Bounds on an element before any pair of domains is authorised.
    pub limits_pre_auth: Limits,
    /// Bounds on an element afterwards.
    pub limits: Limits,
    /// Whether stanzas may go both ways on one stream (XEP-0288).
    pub bidi: bool,
    /// Pairs of domains on one stream, authorised or about to be.
    pub pairs_max: usize,
}

impl S2sSettings {
    /// No host, the defaults of everything else.
    pub fn new(secret: Secret) -> Self {
        Self {
            hosts: HashSet::new(),
            policies: Policies::default(),
            secret,
            limits_pre_auth: Limits::PRE_AUTH,
            limits: Limits::S2S,
            bidi: true,
            pairs_max: 64,
        }
    }
}

/// A domain of ours and one of the other server's, prepared.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Pair {
    /// Ours.
    pub local: String,
    /// Theirs.
    pub remote: String,
}

/// What the owner of a stream between servers must do, in order.
#[derive(Clone)]
pub enum S2sEffect {
    /// Send these bytes.
    Send(Bytes),
    /// Flush, read no more in clear, start TLS on the transport, then call `tls_started`.
    StartTls,
    /// A question: ask the server that is authoritative for `pair.remote` whether it made this key
    /// (XEP-0220 § 2.1.2), on a stream of [`Purpose::Verify`]. Answered by
    /// [`S2sInStream::verified`]; everything else goes on meanwhile.
    Verify(Verification),
    /// Stanzas between these domains may come from now on; and be sent, if the stream is
    /// [bidirectional](S2sInStream::is_bidirectional).
    Authorized(Pair),
    /// We may send stanzas from now on. `managed`: they are counted and acknowledged (XEP-0198).
    Ready {
        /// Whether stream management is on.
        managed: bool,
    },
    /// The answer that a stream of [`Purpose::Verify`] is for.
    Verified(Verdict),
    /// A stanza between authorised domains. It is handled when the next effect is asked for.
    Stanza(Draft),
    /// A stanza of an authorised domain with an address that nobody can have: to be answered with
    /// the error, if it may be answered.
    Malformed(Stanza, StanzaError),
    /// The peer has handled stanzas up to this count (XEP-0198).
    Ack(u32),
    /// All is sent, stream error and end tag included: flush and close the transport. Last.
    Close,
}

/// A dialback key to be verified.
#[derive(Clone, PartialEq, Eq)]
pub struct Verification {
    /// Who wants to send, and to whom.
    pub pair: Pair,
    /// The id of the stream on which it came.
    pub id: String,
    /// The key.
    pub key: String,
}

impl fmt::Debug for Verification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Verification({:?}, ..)", self.pair)
    }
}

impl fmt::Debug for S2sEffect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Send(bytes) => write!(f, "Send({} bytes)", bytes.len()),
            Self::StartTls => f.write_str("StartTls"),
            Self::Verify(asked) => {
                write!(f, "Verify({} to {})", asked.pair.remote, asked.pair.local)
            }
            Self::Authorized(pair) => write!(f, "Authorized({} to {})", pair.remote, pair.local),
            Self::Ready { managed } => write!(f, "Ready(managed: {managed})"),
            Self::Verified(verdict) => write!(f, "Verified({verdict:?})"),
            Self::Stanza(draft) => write!(f, "Stanza({:?}, ..)", draft.kind()),
            Self::Malformed(stanza, _) => write!(f, "Malformed({:?}, ..)", stanza.kind()),
            Self::Ack(h) => write!(f, "Ack({h})"),
            Self::Close => f.write_str("Close"),
        }
    }
}

/// How a stream between servers ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum S2sEnd {
    /// The peer sent its end tag, or a stream error.
    Peer,
    /// We ended it without an error.
    Local,
    /// We ended it with this error.
    Error(StreamError),
    /// STARTTLS failed.
    TlsFailure,
}

/// A prepared domain, if the text is a JID of nothing else.
fn domain(text: &str) -> Option<String> {
    let jid = BareJid::parse(text).ok()?;
    jid.local().is_none().then(|| jid.domain().to_owned())
}

#[cfg(test)]
mod tests;
