//! Tokens that clients log in with instead of a password (XEP-0484).
//!
//! A token is made from a secret of the installation and a random number; the store keeps the
//! number and never the token. So nobody who reads only the table of clients, or a query's log, can
//! log in. Whoever has the whole database has the secret too, and with it every token: the
//! mechanisms need the token itself to check its use, no hash of it would do.

use super::{ClientId, micros};
use crate::Engine;
use base64::Engine as _;
use bytes::Bytes;
use std::net::IpAddr;
use waxwing_proto::{
    BareJid,
    sasl::{FAST_CANDIDATES_MAX, Failure, FastCandidate, FastMechanism, Token},
    stream::{NewToken, TokenUsed},
};
use waxwing_store::{Micros, StoreError, TokenUse};

/// What to do with a login by a token.
pub(crate) enum TokenLogin {
    /// Compare with these.
    Compare(Vec<FastCandidate>, Presented),
    /// Fail at once.
    Refuse(Failure),
}

/// The tokens that a client may have presented, in the order of the candidates.
#[derive(Debug, Clone, Default)]
pub(crate) struct Presented {
    tokens: Vec<waxwing_store::Token>,
}

/// A token that a client has logged in with.
#[derive(Clone)]
pub(crate) struct Spent {
    /// What is kept of it.
    pub(crate) verifier: Bytes,
    mechanism: FastMechanism,
    expires: Micros,
    /// The client wants no more of it.
    invalidated: bool,
}

/// What `RFC 8959` gives as a prefix for what must not get into a log or a repository.
const PREFIX: &str = "secret-token:fast-";

impl Engine {
    /// The tokens of a client for a mechanism, the newest first (XEP-0484 § 5.1). An account that
    /// does not exist, or has no such client, has none.
    pub(crate) async fn token_login(
        &self,
        peer: IpAddr,
        (username, host): (&str, &str),
        agent: Option<&str>,
        mechanism: FastMechanism,
    ) -> TokenLogin {
        let account = BareJid::from_parts(Some(username), host).ok();
        let now = self.env().now();
        if !self.gate().admits(now, peer, account.as_ref()) {
            self.metrics().login_refusals.inc();
            return TokenLogin::Refuse(Failure::TemporaryAuthFailure);
        }
        let known = account.and_then(|account| {
            let id = self.client_id(&account, agent)?;
            Some((account, id))
        });
        let Some((account, id)) = known else {
            return TokenLogin::Compare(Vec::new(), Presented::default());
        };
        let kept = self.store().client(account.clone(), id.as_str().to_owned());
        let client = match kept.await {
            Ok(client) => client,
            Err(error) => {
                self.metrics().store_failures.inc();
                tracing::error!(%error, "a client's tokens could not be read");
                return TokenLogin::Refuse(Failure::TemporaryAuthFailure);
            }
        };
        let slots = client.map(|client| [client.fresh, client.current]);
        let mut tokens: Vec<_> = slots.into_iter().flatten().flatten().collect();
        tokens.retain(|token| token.mechanism == mechanism.name());
        // The same work whatever is kept.
        let mut candidates: Vec<FastCandidate> = (0..FAST_CANDIDATES_MAX)
            .map(|place| {
                let kept = tokens.get(place);
                let seed = kept.map_or(&NO_SEED[..], |kept| &kept.verifier);
                FastCandidate {
                    token: self.token(&account, &id, mechanism, seed),
                    count: kept.and_then(|kept| count(kept.counter)),
                    expired: kept.is_none_or(|kept| kept.expires <= now),
                }
            })
            .collect();
        candidates.truncate(tokens.len());
        TokenLogin::Compare(candidates, Presented { tokens })
    }

    /// Takes note of a token's use, which ends all older ones (§ 3.5). An error if the token, or
    /// this use of it, has become void since it was compared.
    pub(crate) async fn token_spend(
        &self,
        account: &BareJid,
        id: &ClientId,
        presented: &Presented,
        used: TokenUsed,
    ) -> Result<Spent, StoreError> {
        let token = presented.tokens.get(used.candidate);
        let token = token.ok_or(StoreError::NoItem)?;
        let mechanism = FastMechanism::from_name(&token.mechanism).ok_or(StoreError::NoItem)?;
        let id = id.as_str().to_owned();
        let store = self.store();
        let noted = TokenUse {
            verifier: token.verifier.clone(),
            counter: used.count.map(|count| u64::from(count) + 1),
            at: self.env().now(),
        };
        store.token_used(account.clone(), id.clone(), noted).await?;
        if used.invalidate {
            store.tokens_revoke(account.clone(), Some(id)).await?;
        }
        Ok(Spent {
            verifier: token.verifier.clone(),
            mechanism,
            expires: token.expires,
            invalidated: used.invalidate,
        })
    }

    /// A new token for a client that wants one, or whose token is to be replaced (§ 3.3, 3.5).
    pub(crate) async fn token_give(
        &self,
        account: &BareJid,
        id: &ClientId,
        wanted: Option<FastMechanism>,
        spent: Option<&Spent>,
    ) -> Option<NewToken> {
        let settings = &self.settings().clients;
        let now = self.env().now();
        let rotated = spent
            .filter(|spent| {
                let left = spent.expires - now;
                let young = micros(settings.token_lifetime) - micros(settings.token_rotated_after);
                !spent.invalidated && left <= young
            })
            .map(|spent| spent.mechanism);
        let mechanism = wanted.or(rotated)?;
        let seed = self.env().secret();
        let kept = waxwing_store::Token {
            verifier: Bytes::copy_from_slice(&seed),
            mechanism: mechanism.name().to_owned(),
            expires: now + micros(settings.token_lifetime),
            counter: 0,
        };
        let expiry_micros = kept.expires;
        let put = self
            .store()
            .token_put(account.clone(), id.as_str().to_owned(), kept);
        match put.await {
            Ok(()) => {
                self.metrics().tokens_given.inc();
                Some(NewToken {
                    token: self.token(account, id, mechanism, &seed),
                    expiry_micros,
                })
            }
            // Signed out, or removed, meanwhile.
            Err(StoreError::NoItem | StoreError::NoAccount) => None,
            Err(error) => {
                self.metrics().store_failures.inc();
                tracing::error!(%error, "a token could not be kept");
                None
            }
        }
    }

    /// Ends what was given to a client whose login did not stand.
    pub(crate) async fn token_take_back(&self, account: &BareJid, id: &ClientId) {
        let id = Some(id.as_str().to_owned());
        if let Err(error) = self.store().tokens_revoke(account.clone(), id).await {
            self.metrics().store_failures.inc();
            tracing::error!(%error, "a token could not be taken back");
        }
    }

    /// Forgets tokens that have expired; gives how many there were. To be called now and then.
    pub async fn tokens_expire(&self) -> Result<u64, StoreError> {
        /// At a time, so that nobody waits long for the database.
        const BATCH: u32 = 1000;
        // A holder is told that it has expired, for as long again.
        let before = self.env().now() - micros(self.settings().clients.token_lifetime);
        let mut ended = 0;
        loop {
            let batch = self.store().tokens_expire(before, BATCH).await?;
            ended += batch;
            if batch < u64::from(BATCH) {
                return Ok(ended);
            }
        }
    }

    fn token(
        &self,
        account: &BareJid,
        id: &ClientId,
        mechanism: FastMechanism,
        seed: &[u8],
    ) -> Token {
        let parts = [
            account.as_str().as_bytes(),
            id.as_str().as_bytes(),
            mechanism.name().as_bytes(),
            seed,
        ];
        let bytes = self.client_secret().derive("token", &parts);
        let text = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes);
        Token::new(format!("{PREFIX}{text}"))
    }
}

/// What stands in for a token that is not kept; nobody is told the token made from it.
const NO_SEED: [u8; 32] = [0; 32];

/// The highest count that a token was used with; the store has one more, and zero for none.
fn count(counter: u64) -> Option<u32> {
    u32::try_from(counter.checked_sub(1)?).ok()
}
