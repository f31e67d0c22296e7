//! What a login rests on, and whether that still stands when the login is complete.
//!
//! Between the reading of a verifier and the making of a session, or of a token, the password may
//! be changed or the client signed out. Whoever does that ends the sessions and tokens there are,
//! so one that is made a moment later must find out by itself.

use crate::{Engine, clients::ClientId};
use bytes::Bytes;
use std::sync::atomic::{AtomicU64, Ordering};
use waxwing_proto::{BareJid, sasl::Hash};

/// Counts what takes logins back: changes of passwords, removals, sign-outs. They are rare, so one
/// count for all accounts does: whoever sees it move looks closer.
#[derive(Debug, Default)]
pub(crate) struct Revocations {
    begun: AtomicU64,
    ended: AtomicU64,
}

/// A revocation under way; it ends when this is dropped.
#[must_use]
pub(crate) struct Revoking<'a>(&'a Revocations);

impl Revocations {
    /// To be called before the commit that takes logins back, and held until after it.
    pub(crate) fn begin(&self) -> Revoking<'_> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        Revoking(self)
    }

    /// The count, if nothing is under way.
    fn quiet(&self) -> Option<u64> {
        let ended = self.ended.load(Ordering::SeqCst);
        (self.begun.load(Ordering::SeqCst) == ended).then_some(ended)
    }
}

impl Drop for Revoking<'_> {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Ordering::SeqCst);
    }
}

/// What a login rests on.
#[derive(Debug)]
pub(crate) struct Proof {
    /// The count before the evidence was read.
    quiet: Option<u64>,
    evidence: Evidence,
}

#[derive(Debug, Default)]
enum Evidence {
    /// None that could stand.
    #[default]
    Nothing,
    /// The verifier for this hash, as it was.
    Password(Hash, Vec<u8>),
    /// The token with this verifier, which the client uses.
    Token(Bytes),
}

impl Proof {
    /// To be called before any evidence is read.
    pub(crate) fn begin(engine: &Engine) -> Self {
        Self {
            quiet: engine.revocations().quiet(),
            evidence: Evidence::Nothing,
        }
    }

    /// It rests on a password.
    pub(crate) fn password(&mut self, hash: Hash, stored_key: &[u8]) {
        self.evidence = Evidence::Password(hash, stored_key.to_owned());
    }

    /// It rests on a token.
    pub(crate) fn token(&mut self, verifier: Bytes) {
        self.evidence = Evidence::Token(verifier);
    }

    /// Whether it stands. To be called when all that a revocation would end has been made: then one
    /// that begins later ends it.
    pub(crate) async fn stands(
        &self,
        engine: &Engine,
        account: &BareJid,
        client: Option<&ClientId>,
    ) -> bool {
        if self.quiet.is_some() && self.quiet == engine.revocations().quiet() {
            return true;
        }
        let store = engine.store();
        let stands = match (&self.evidence, client) {
            (Evidence::Password(hash, stored_key), _) => {
                let kept = store.account(account.clone()).await;
                kept.map(|kept| {
                    let credentials = kept.map(|kept| kept.credentials);
                    let verifier = credentials.as_ref().and_then(|kept| kept.get(*hash));
                    verifier.is_some_and(|verifier| verifier.stored_key == *stored_key)
                })
            }
            (Evidence::Token(verifier), Some(id)) => {
                let kept = store.client(account.clone(), id.as_str().to_owned()).await;
                kept.map(|kept| {
                    let current = kept.and_then(|client| client.current);
                    current.is_some_and(|token| token.verifier == *verifier)
                })
            }
            (Evidence::Nothing | Evidence::Token(_), _) => Ok(false),
        };
        stands.unwrap_or_else(|error| {
            engine.metrics().store_failures.inc();
            tracing::error!(%error, "a login could not be confirmed");
            false
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Revocations;

    #[test]
    fn a_revocation_is_seen_while_it_lasts_and_after() {
        let revocations = Revocations::default();
        let before = revocations.quiet();
        assert!(before.is_some());
        let one = revocations.begin();
        let other = revocations.begin();
        assert_eq!(revocations.quiet(), None);
        drop(one);
        assert_eq!(revocations.quiet(), None, "the other lasts");
        drop(other);
        assert!(revocations.quiet().is_some());
        assert_ne!(revocations.quiet(), before);
    }
}
