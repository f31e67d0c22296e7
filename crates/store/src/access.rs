//! The clients that have access to an account (XEP-0494), their tokens (XEP-0484), and where they
//! want to be woken (XEP-0357).

use crate::{BoxFuture, Micros, Result};
use bytes::Bytes;
use waxwing_proto::{BareJid, Jid};

/// Clients and their tokens. All tokens of an account end with its verifiers
/// ([`crate::Accounts::account_set_credentials`]), in the same commit.
pub trait Tokens {
    /// Makes a client known, or changes its description and when it was last seen, to the hour.
    /// [`crate::StoreError::Quota`] if the account would have more than `clients_max`.
    fn client_seen(
        &self,
        account: BareJid,
        client: ClientSeen,
        clients_max: u32,
    ) -> BoxFuture<'_, Result<()>>;
    /// All clients of the account in the order of their ids.
    fn clients(&self, account: BareJid) -> BoxFuture<'_, Result<Vec<Client>>>;
    /// One client: what a login with a token needs.
    fn client(&self, account: BareJid, id: String) -> BoxFuture<'_, Result<Option<Client>>>;
    /// Forgets a client with its tokens and push registrations; false if there was none.
    fn client_remove(&self, account: BareJid, id: String) -> BoxFuture<'_, Result<bool>>;
    /// Gives a client a token, in the place of one that it has not used yet (XEP-0484 § 3.5).
    /// [`crate::StoreError::NoItem`] if there is no such client.
    fn token_put(&self, account: BareJid, id: String, token: Token) -> BoxFuture<'_, Result<()>>;
    /// A token was used: it is the client's only one from now on unless a newer one was given, and
    /// the client was seen. With `counter`, it must be more than that of the last use
    /// (XEP-0484 § 3.4), or the use is refused with [`crate::StoreError::Conflict`], as it is when
    /// the client has no token with that verifier.
    fn token_used(
        &self,
        account: BareJid,
        id: String,
        token: TokenUse,
    ) -> BoxFuture<'_, Result<()>>;
    /// Ends the tokens of a client, or of all clients; gives how many there were.
    fn tokens_revoke(&self, account: BareJid, id: Option<String>) -> BoxFuture<'_, Result<u64>>;
    /// Forgets tokens that expired before a time, at most `count`; gives how many there were.
    fn tokens_expire(&self, before: Micros, count: u32) -> BoxFuture<'_, Result<u64>>;
}

/// Push registrations.
pub trait Pushes {
    /// Registers, or replaces the registration of the same service and node and forgets its
    /// failures. [`crate::StoreError::Quota`] if the account would have more than `pushes_max`.
    fn push_put(&self, account: BareJid, push: Push, pushes_max: u32) -> BoxFuture<'_, Result<()>>;
    /// Removes the registration of a service and node, or all of a service; gives how many there
    /// were.
    fn push_remove(
        &self,
        account: BareJid,
        service: Jid,
        node: Option<String>,
    ) -> BoxFuture<'_, Result<u64>>;
    /// Removes those of a client; gives how many there were.
    fn push_remove_client(&self, account: BareJid, client: String) -> BoxFuture<'_, Result<u64>>;
    /// All of the account, in the order of service and node.
    fn pushes(&self, account: BareJid) -> BoxFuture<'_, Result<Vec<Push>>>;
    /// Notes failures, or their end; nothing happens if the registration has gone.
    fn push_failed(
        &self,
        account: BareJid,
        service: Jid,
        node: String,
        failures: u32,
        retry: Option<Micros>,
    ) -> BoxFuture<'_, Result<()>>;
}

/// A client that shows itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientSeen {
    /// Its id within the account.
    pub id: String,
    /// The software's name; empty for none.
    pub software: String,
    /// The device's name; empty for none.
    pub device: String,
    /// When; the hour is kept.
    pub at: Micros,
}

/// A client as kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// Its id within the account.
    pub id: String,
    /// The software's name; empty for none.
    pub software: String,
    /// The device's name; empty for none.
    pub device: String,
    /// When it was first seen, to the hour.
    pub first_seen: Micros,
    /// When it was last seen, to the hour.
    pub last_seen: Micros,
    /// The token it uses.
    pub current: Option<Token>,
    /// The token it was given and has not used.
    pub fresh: Option<Token>,
}

/// A token as kept.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// What a login is checked with; never the token itself.
    pub verifier: Bytes,
    /// The one mechanism it is for.
    pub mechanism: String,
    /// When it ends.
    pub expires: Micros,
    /// The counter of its last use; 0 before.
    pub counter: u64,
}

/// The use of a token.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenUse {
    /// The verifier of the token used, as read.
    pub verifier: Bytes,
    /// The counter that came with it.
    pub counter: Option<u64>,
    /// When; the hour is kept.
    pub at: Micros,
}

/// A push registration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Push {
    /// The app server.
    pub service: Jid,
    /// Its node; empty for none.
    pub node: String,
    /// The client it belongs to.
    pub client: String,
    /// Publish options and whatever else the engine needs.
    pub options: Bytes,
    /// Failures in a row.
    pub failures: u32,
    /// When to try again after a failure.
    pub retry: Option<Micros>,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Token")
            .field("mechanism", &self.mechanism)
            .field("expires", &self.expires)
            .field("counter", &self.counter)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for TokenUse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenUse")
            .field("counter", &self.counter)
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}
