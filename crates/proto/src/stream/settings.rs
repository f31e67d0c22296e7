//! What a stream is told at its start.

use super::s2s::Certificate;
use crate::sasl::{ChannelBindings, FastMechanism, Hash, Mechanism};
use crate::xml::Limits;
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
#[expect(
    clippy::struct_excessive_bools,
    reason = "each switches one stream feature, whatever the others are"
)]
pub struct HostSettings {
    /// Entity capabilities of the domain, shown in stream features (XEP-0115 § 6.3).
    pub caps: Option<Caps>,
    /// Whether accounts may be made in-band before authentication (XEP-0077).
    pub registration: bool,
    /// SASL mechanisms, best first. `-PLUS` ones are offered only where channel binding works.
    pub mechanisms: Vec<Mechanism>,
    /// Whether SCRAM tells the client what was advertised (XEP-0474).
    pub downgrade_protection: bool,
    /// The extensible SASL profile (XEP-0388), beside the one of RFC 6120.
    pub sasl2: Option<Sasl2Settings>,
    /// Stream management (XEP-0198), also inline where there is SASL2.
    pub sm: bool,
    /// Client state indication (XEP-0352).
    pub csi: bool,
}

/// What is offered by the extensible SASL profile, beside mechanisms.
#[derive(Debug, Clone, Default)]
pub struct Sasl2Settings {
    /// Whether a resource can be bound at once (XEP-0386).
    pub bind: bool,
    /// The features that can be switched on when binding, beside stream management and client
    /// state, which are listed if the domain has them: `urn:xmpp:carbons:2`.
    pub bind_features: Vec<String>,
    /// Mechanisms for tokens (XEP-0484), best first; bound ones are offered only where channel
    /// binding works. Empty means that there are no tokens.
    pub fast: Vec<FastMechanism>,
    /// For which hashes a client may give the server a verifier (XEP-0480). For accounts that come
    /// from a server that did not have them.
    pub upgrades: Vec<Hash>,
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

impl Transport {
    /// The channel bindings of the TLS connection, if it is one.
    pub(super) fn bindings(&self) -> Option<&ChannelBindings> {
        match self {
            Self::Plain => None,
            Self::Tls(tls) => Some(&tls.bindings),
        }
    }
}

/// What the stream needs to know of its TLS connection.
#[derive(Debug, Clone, Default)]
pub struct TlsInfo {
    /// Data for the channel bindings that the connection has.
    pub bindings: ChannelBindings,
    /// Who the other side is by its certificate; for streams of servers.
    pub peer: Certificate,
}
