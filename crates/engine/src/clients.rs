//! The clients that have access to an account: installations of programs, which tell themselves
//! apart by `<user-agent id='…'/>` when they log in (XEP-0388 § 2.3).
//!
//! What a client calls itself is for the account's owner only. Nobody is shown its id, and the
//! store does not get it either: what is kept, shown to the owner (XEP-0494) and put into a
//! resource (XEP-0386 § 3.3) are made from it with a secret of the installation.

mod tokens;

pub(crate) use tokens::{Presented, TokenLogin};

use crate::{Engine, features::push, registry::Resource};
use std::{fmt::Write as _, sync::Arc};
use waxwing_proto::{
    BareJid,
    sasl::Hash,
    stream::{StreamCondition, StreamError, UserAgent},
};
use waxwing_store::{Client, ClientSeen, Micros, StoreError};

/// A client of an account, as it is known within that account.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(Arc<str>);

impl ClientId {
    /// The id as it is kept and shown to the account's owner: sixteen hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for ClientId {
    fn from(id: String) -> Self {
        Self(id.into())
    }
}

/// The secret that everything about clients is made with.
pub(crate) struct Secret([u8; 32]);

impl Secret {
    pub(crate) fn new(secret: [u8; 32]) -> Self {
        Self(secret)
    }

    /// 32 octets for a purpose and what they are about. No part but the last has a zero octet, so
    /// no two lists give the same.
    fn derive(&self, purpose: &str, parts: &[&[u8]]) -> Vec<u8> {
        let mut pieces = vec![purpose.as_bytes()];
        for part in parts {
            pieces.push(&[0]);
            pieces.push(part);
        }
        Hash::Sha256.hmac(&self.0, &pieces)
    }
}

/// A client, as the account's owner sees it.
#[derive(Debug, Clone)]
pub struct Access {
    /// Tells it apart from the others of the account.
    pub id: ClientId,
    /// The software's name; empty if it has told none.
    pub software: String,
    /// The device's name; empty if it has told none.
    pub device: String,
    /// When it was first seen, to the hour; `None` for a session of a client that says nothing
    /// about itself.
    pub first_seen: Option<Micros>,
    /// When it was last seen, to the hour.
    pub last_seen: Option<Micros>,
    /// It has tokens that are valid now (XEP-0484).
    pub has_tokens: bool,
    /// It has a session, or one that it can resume.
    pub is_connected: bool,
}

impl Engine {
    /// The client of an account that calls itself so; `None` if it does not say which one it is.
    pub(crate) fn client_id(&self, account: &BareJid, agent: Option<&str>) -> Option<ClientId> {
        let parts = [account.as_str().as_bytes(), agent?.as_bytes()];
        let bytes = self.client_secret().derive("client", &parts);
        Some(ClientId(hexadecimal(bytes.iter().take(8)).into()))
    }

    /// The resource of a client that binds one by XEP-0386 § 3.3: the tag that it wishes for, then
    /// a part that is the same for the same client, so that it replaces its own old session, and
    /// that nobody can guess.
    pub(crate) fn resource_for(
        &self,
        account: &BareJid,
        client: Option<&ClientId>,
        tag: Option<&str>,
    ) -> String {
        let own = match client {
            None => self.env().token(),
            Some(client) => {
                let parts = [account.as_str().as_bytes(), client.as_str().as_bytes()];
                let bytes = self.client_secret().derive("resource", &parts);
                hexadecimal(bytes.iter().take(10))
            }
        };
        let tagged = tag.map(|tag| format!("{tag}/{own}"));
        // A tag that no resource can have is left out: the login matters more.
        tagged
            .filter(|resource| account.with_resource(resource).is_ok())
            .unwrap_or(own)
    }

    /// Notes that a client has logged in. `None` if it cannot be kept, which is no reason not to
    /// let it in: it gets no token then.
    pub(crate) async fn client_seen(
        &self,
        account: &BareJid,
        id: &ClientId,
        agent: &UserAgent,
    ) -> Option<ClientId> {
        let names = self.settings().clients.names_kept;
        let name = |name: &Option<String>| name.clone().filter(|_| names).unwrap_or_default();
        let seen = ClientSeen {
            id: id.as_str().to_owned(),
            software: name(&agent.software),
            device: name(&agent.device),
            at: self.env().now(),
        };
        match self.keep_client(account, seen).await {
            Ok(()) => Some(id.clone()),
            // The account has gone meanwhile; binding will say so.
            Err(StoreError::NoAccount) => None,
            Err(error) => {
                self.metrics().store_failures.inc();
                tracing::error!(%error, "a client could not be noted");
                None
            }
        }
    }

    /// Notes that a client was here until now.
    pub(crate) async fn client_left(&self, account: &BareJid, id: &ClientId) {
        let known = self.store().client(account.clone(), id.as_str().to_owned());
        // Not one that was signed out.
        let Ok(Some(known)) = known.await else { return };
        let seen = ClientSeen {
            id: known.id,
            software: known.software,
            device: known.device,
            at: self.env().now(),
        };
        if let Err(error) = self.keep_client(account, seen).await {
            tracing::debug!(%error, "when a client left could not be noted");
        }
    }

    async fn keep_client(&self, account: &BareJid, seen: ClientSeen) -> Result<(), StoreError> {
        let known = self
            .store()
            .client(account.clone(), seen.id.clone())
            .await?
            .is_some_and(|known| {
                known.software == seen.software
                    && known.device == seen.device
                    && seen.at - known.last_seen < HOUR
            });
        if known {
            // No commit for a client that comes back all the time.
            return Ok(());
        }
        self.forget_clients(account, Some(&seen.id)).await?;
        let clients_max = self.settings().clients.per_account_max;
        let store = self.store();
        store.client_seen(account.clone(), seen, clients_max).await
    }

    /// Forgets clients that were not seen for long; and, where there is one `coming` that would be
    /// too many, the one that was not seen for the longest time.
    async fn forget_clients(
        &self,
        account: &BareJid,
        coming: Option<&str>,
    ) -> Result<(), StoreError> {
        let mut clients = self.store().clients(account.clone()).await?;
        let connected = self.connected(account);
        let settings = &self.settings().clients;
        let is_new = coming.is_some_and(|id| clients.iter().all(|client| client.id != id));
        let count_max = usize::try_from(settings.per_account_max).unwrap_or(usize::MAX);
        let spare = clients.len().saturating_add(usize::from(is_new));
        let mut too_many = spare.saturating_sub(count_max);
        let oldest = self.env().now() - micros(settings.forgotten_after);
        clients.sort_by_key(|client| client.last_seen);
        for client in clients {
            let is_here = connected.iter().any(|(id, _)| id.as_str() == client.id);
            let is_coming = coming == Some(client.id.as_str());
            let is_old = client.last_seen < oldest;
            if is_here || is_coming || !(is_old || too_many > 0) {
                continue;
            }
            too_many = too_many.saturating_sub(1);
            self.store()
                .client_remove(account.clone(), client.id)
                .await?;
        }
        Ok(())
    }

    /// Everything that has access to the account, the clients that are known first (XEP-0494 § 3.1).
    pub async fn clients(&self, account: &BareJid) -> Result<Vec<Access>, StoreError> {
        self.forget_clients(account, None).await?;
        let now = self.env().now();
        let resources = self.registry().resources(account);
        let known = self.store().clients(account.clone()).await?;
        let mut all: Vec<Access> = known
            .into_iter()
            .map(|client| access(client, now, &resources))
            .collect();
        let is_known = |resource: &Resource| {
            let id = resource.client();
            id.is_some_and(|id| all.iter().any(|access| access.id == *id))
        };
        let nameless: Vec<Access> = resources
            .iter()
            .filter(|resource| !is_known(resource))
            .map(|resource| self.nameless(account, resource))
            .collect();
        all.extend(nameless);
        Ok(all)
    }

    /// A session of a client that says nothing about itself: it goes by its resource.
    fn nameless(&self, account: &BareJid, resource: &Resource) -> Access {
        Access {
            id: self.nameless_id(account, resource),
            software: String::new(),
            device: resource.jid.resource().to_owned(),
            first_seen: None,
            last_seen: None,
            has_tokens: false,
            is_connected: true,
        }
    }

    fn nameless_id(&self, account: &BareJid, resource: &Resource) -> ClientId {
        let generation = resource.generation.to_be_bytes();
        let parts = [account.as_str().as_bytes(), &generation];
        let bytes = self.client_secret().derive("nameless", &parts);
        ClientId(hexadecimal(bytes.iter().take(8)).into())
    }

    /// Ends the access of a client that rests on tokens (XEP-0494 § 3.2): its tokens, its push
    /// registrations, its sessions. False if there is no such client. Whoever knows the password
    /// can come back.
    pub async fn sign_out(&self, account: &BareJid, id: &str) -> Result<bool, StoreError> {
        let removed = {
            let _revoking = self.revocations().begin();
            let store = self.store();
            store.client_remove(account.clone(), id.to_owned()).await?
        };
        let mut ended = false;
        for resource in self.registry().resources(account) {
            let is_it = match resource.client() {
                Some(client) => client.as_str() == id,
                None => self.nameless_id(account, &resource).as_str() == id,
            };
            if is_it {
                ended = true;
                if resource.client().is_none() {
                    let owner = push::nameless(resource.jid.resource());
                    let store = self.store();
                    store.push_remove_client(account.clone(), owner).await?;
                }
                resource
                    .end(self, StreamError::new(StreamCondition::Reset))
                    .await;
            }
        }
        if removed || ended {
            // What its push registrations were is in the account's snapshot.
            self.registry().changed(account);
            self.metrics().clients_signed_out.inc();
        }
        Ok(removed || ended)
    }

    /// Signs out all clients of an account; gives how many there were.
    pub async fn sign_out_all(&self, account: &BareJid) -> Result<usize, StoreError> {
        let mut count = 0;
        for client in self.clients(account).await? {
            if self.sign_out(account, client.id.as_str()).await? {
                count += 1;
            }
        }
        Ok(count)
    }

    /// Ends the sessions of a client but the one of this generation (XEP-0386 § 3.2): it has a new
    /// one.
    pub(crate) async fn end_older(&self, account: &BareJid, client: &ClientId, generation: u64) {
        for (found, resource) in self.connected(account) {
            if found == *client && resource.generation != generation {
                resource
                    .end(self, StreamError::new(StreamCondition::Conflict))
                    .await;
            }
        }
    }

    fn connected(&self, account: &BareJid) -> Vec<(ClientId, Arc<Resource>)> {
        let resources = self.registry().resources(account);
        resources
            .into_iter()
            .filter_map(|resource| Some((resource.client()?.clone(), resource)))
            .collect()
    }
}

const HOUR: Micros = 3600 * 1_000_000;

fn access(client: Client, now: Micros, resources: &[Arc<Resource>]) -> Access {
    let has_session = |resource: &Arc<Resource>| {
        let id = resource.client();
        id.is_some_and(|id| id.as_str() == client.id)
    };
    let tokens = [&client.current, &client.fresh];
    let is_connected = resources.iter().any(has_session);
    let seen = if is_connected {
        now - now.rem_euclid(HOUR)
    } else {
        client.last_seen
    };
    Access {
        is_connected,
        has_tokens: tokens
            .into_iter()
            .flatten()
            .any(|token| token.expires > now),
        id: ClientId::from(client.id),
        software: client.software,
        device: client.device,
        first_seen: Some(client.first_seen),
        last_seen: Some(seen),
    }
}

/// A duration of the settings; none is longer than a century.
fn micros(duration: std::time::Duration) -> Micros {
    const CENTURY: Micros = 100 * 365 * 24 * HOUR;
    Micros::try_from(duration.as_micros()).map_or(CENTURY, |micros| micros.min(CENTURY))
}

fn hexadecimal<'a>(bytes: impl Iterator<Item = &'a u8>) -> String {
    let mut text = String::new();
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}
