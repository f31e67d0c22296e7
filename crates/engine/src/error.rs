//! The only map from our failures to what a peer sees (RFC 6120 § 8.3).

use crate::Engine;
use waxwing_proto::stanza::{Condition, StanzaError};
use waxwing_store::StoreError;

/// The stanza error for a failed store call. A failure of the back end is logged in full and told
/// as `internal-server-error` only.
pub fn from_store(engine: &Engine, error: &StoreError) -> StanzaError {
    match error {
        StoreError::Full | StoreError::Overloaded(_) => {
            StanzaError::new(Condition::ResourceConstraint)
                .text("The server cannot store more at the moment.")
        }
        StoreError::Quota(_) => {
            engine.metrics().quota_refusals.inc();
            StanzaError::new(Condition::ResourceConstraint)
                .text("You have reached the limit for this.")
        }
        StoreError::Exists => StanzaError::new(Condition::Conflict),
        StoreError::NoAccount | StoreError::NoItem => StanzaError::new(Condition::ItemNotFound),
        StoreError::Conflict | StoreError::Backend(_) | _ => {
            engine.metrics().store_failures.inc();
            tracing::error!(%error, "a store call failed");
            StanzaError::new(Condition::InternalServerError)
        }
    }
}
