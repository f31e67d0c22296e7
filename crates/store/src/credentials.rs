//! Accounts and salted verifiers; never a password.

use crate::Micros;

/// SCRAM verifiers (RFC 5802 § 3), one for each hash, so that any mechanism works.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// For SCRAM-SHA-1.
    pub sha1: waxwing_proto::sasl::Verifier,
    /// For SCRAM-SHA-256.
    pub sha256: waxwing_proto::sasl::Verifier,
    /// For SCRAM-SHA-512.
    pub sha512: waxwing_proto::sasl::Verifier,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials(..)")
    }
}

/// An account as kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its verifiers.
    pub credentials: Credentials,
    /// When it was made.
    pub created: Micros,
}

/// The start of the hour of `at`: as exactly as the time of last activity is kept.
pub(crate) fn coarse(at: Micros) -> Micros {
    const HOUR: Micros = 3_600_000_000;
    at.saturating_sub(at.rem_euclid(HOUR))
}
