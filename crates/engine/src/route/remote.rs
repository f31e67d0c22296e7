//! Other domains. Federation is not built yet; until then each is unreachable.

use waxwing_proto::stanza::{Condition, StanzaError};

/// The way to other domains.
#[derive(Debug, Default)]
pub struct Remote(());

impl Remote {
    /// The error for a stanza to another domain (RFC 6120 § 10.4).
    pub fn unreachable(&self) -> StanzaError {
        StanzaError::new(Condition::RemoteServerNotFound)
    }
}
