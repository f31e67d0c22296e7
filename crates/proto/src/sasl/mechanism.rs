//! The mechanisms and their order.

use super::{FastMechanism, Hash};

/// The mechanisms we know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mechanism {
    /// SCRAM-SHA-512-PLUS.
    ScramSha512Plus,
    /// SCRAM-SHA-256-PLUS (RFC 7677).
    ScramSha256Plus,
    /// SCRAM-SHA-1-PLUS (RFC 5802).
    ScramSha1Plus,
    /// SCRAM-SHA-512.
    ScramSha512,
    /// SCRAM-SHA-256 (RFC 7677).
    ScramSha256,
    /// SCRAM-SHA-1 (RFC 5802).
    ScramSha1,
    /// PLAIN (RFC 4616); over TLS only.
    Plain,
}

impl Mechanism {
    /// All mechanisms in the order in which they are offered: a bound channel counts more than
    /// the hash, because it defeats an attacker in the middle, and no known attack on SCRAM-SHA-1
    /// does.
    pub const ALL: [Self; 7] = [
        Self::ScramSha512Plus,
        Self::ScramSha256Plus,
        Self::ScramSha1Plus,
        Self::ScramSha512,
        Self::ScramSha256,
        Self::ScramSha1,
        Self::Plain,
    ];

    /// The name registered with IANA.
    pub fn name(self) -> &'static str {
        match self {
            Self::ScramSha512Plus => "SCRAM-SHA-512-PLUS",
            Self::ScramSha256Plus => "SCRAM-SHA-256-PLUS",
            Self::ScramSha1Plus => "SCRAM-SHA-1-PLUS",
            Self::ScramSha512 => "SCRAM-SHA-512",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha1 => "SCRAM-SHA-1",
            Self::Plain => "PLAIN",
        }
    }

    /// The mechanism of this name; names are case-sensitive (RFC 4422 § 3.1).
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|mechanism| mechanism.name() == name)
    }

    /// The hash whose verifier is needed. PLAIN checks against the one for SHA-256.
    pub fn hash(self) -> Hash {
        match self {
            Self::ScramSha512Plus | Self::ScramSha512 => Hash::Sha512,
            Self::ScramSha256Plus | Self::ScramSha256 | Self::Plain => Hash::Sha256,
            Self::ScramSha1Plus | Self::ScramSha1 => Hash::Sha1,
        }
    }

    /// Whether this binds to the channel.
    pub fn plus(self) -> bool {
        matches!(
            self,
            Self::ScramSha512Plus | Self::ScramSha256Plus | Self::ScramSha1Plus
        )
    }
}

/// How a client has authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// With its password.
    Password(Mechanism),
    /// With a token (XEP-0484).
    Token(FastMechanism),
}

impl Method {
    /// The mechanism's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Password(mechanism) => mechanism.name(),
            Self::Token(mechanism) => mechanism.name(),
        }
    }
}
