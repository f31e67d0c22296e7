//! Accounts and salted verifiers; never a password.

use crate::Micros;

/// SCRAM verifiers, one for each hash, so that any mechanism works.
pub use waxwing_proto::sasl::Verifiers as Credentials;

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
