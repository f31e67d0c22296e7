//! Clients, their tokens and push registrations.

use super::{
    MemoryStore,
    state::{State, size, size64},
};
use crate::{
    BoxFuture, Client, ClientSeen, Micros, Push, Pushes, Result, StoreError, Token, TokenUse,
    Tokens, credentials::coarse, quota,
};
use std::collections::BTreeMap;
use waxwing_proto::{BareJid, Jid};

/// The clients and registrations of one account.
#[derive(Default)]
pub(super) struct AccessState {
    clients: BTreeMap<String, Client>,
    /// By service and node.
    pushes: BTreeMap<(String, String), Push>,
}

impl AccessState {
    /// Ends the tokens of one client or of all.
    pub(super) fn revoke(&mut self, id: Option<&str>) -> u64 {
        let clients = self.clients.values_mut();
        let chosen = clients.filter(|client| id.is_none_or(|id| client.id == id));
        let tokens = chosen.flat_map(|client| [client.current.take(), client.fresh.take()]);
        size64(tokens.flatten().count())
    }

    fn seen(&mut self, seen: ClientSeen, clients_max: u32) -> Result<()> {
        let count = self.clients.len();
        if let Some(client) = self.clients.get_mut(&seen.id) {
            client.software = seen.software;
            client.device = seen.device;
            client.last_seen = coarse(seen.at);
            return Ok(());
        }
        if count >= size(clients_max) {
            return Err(StoreError::Quota(quota::CLIENTS));
        }
        let client = Client {
            id: seen.id.clone(),
            software: seen.software,
            device: seen.device,
            first_seen: coarse(seen.at),
            last_seen: coarse(seen.at),
            current: None,
            fresh: None,
        };
        self.clients.insert(seen.id, client);
        Ok(())
    }

    fn remove(&mut self, id: &str) -> bool {
        self.pushes.retain(|_, push| push.client != id);
        self.clients.remove(id).is_some()
    }

    fn used(&mut self, id: &str, used: &TokenUse) -> Result<()> {
        let client = self.clients.get_mut(id).ok_or(StoreError::NoItem)?;
        let has = |token: &Option<Token>| {
            let token = token.as_ref();
            token.is_some_and(|token| token.verifier == used.verifier)
        };
        let is_fresh = has(&client.fresh);
        let token = if is_fresh {
            client.fresh.as_mut()
        } else if has(&client.current) {
            client.current.as_mut()
        } else {
            None
        };
        let token = token.ok_or(StoreError::Conflict)?;
        if let Some(counter) = used.counter {
            if counter <= token.counter {
                return Err(StoreError::Conflict);
            }
            token.counter = counter;
        }
        if is_fresh {
            client.current = client.fresh.take();
        }
        client.last_seen = coarse(used.at);
        Ok(())
    }

    fn register(&mut self, push: Push, pushes_max: u32) -> Result<()> {
        let key = (push.service.as_str().to_owned(), push.node.clone());
        if !self.pushes.contains_key(&key) && self.pushes.len() >= size(pushes_max) {
            return Err(StoreError::Quota(quota::PUSHES));
        }
        let push = Push {
            failures: 0,
            retry: None,
            ..push
        };
        self.pushes.insert(key, push);
        Ok(())
    }

    fn unregister(&mut self, is_meant: impl Fn(&Push) -> bool) -> u64 {
        let before = self.pushes.len();
        self.pushes.retain(|_, push| !is_meant(push));
        size64(before - self.pushes.len())
    }
}

impl State {
    fn tokens_expire(&mut self, before: Micros, count: u32) -> u64 {
        let clients = self.accounts.values_mut();
        let clients = clients.flat_map(|entry| entry.access.clients.values_mut());
        let mut expired: Vec<_> = clients
            .flat_map(|client| [&mut client.current, &mut client.fresh])
            .filter(|token| token.as_ref().is_some_and(|token| token.expires < before))
            .collect();
        expired.sort_by_key(|token| token.as_ref().map(|token| token.expires));
        let mut ended = 0;
        for token in expired.into_iter().take(size(count)) {
            *token = None;
            ended += 1;
        }
        ended
    }
}

impl Tokens for MemoryStore {
    fn client_seen(
        &self,
        account: BareJid,
        client: ClientSeen,
        clients_max: u32,
    ) -> BoxFuture<'_, Result<()>> {
        self.write(move |state| state.entry(&account)?.access.seen(client, clients_max))
    }

    fn clients(&self, account: BareJid) -> BoxFuture<'_, Result<Vec<Client>>> {
        self.read(move |state| {
            let entry = state.accounts.get(&account);
            let clients = entry
                .into_iter()
                .flat_map(|entry| entry.access.clients.values());
            clients.cloned().collect()
        })
    }

    fn client(&self, account: BareJid, id: String) -> BoxFuture<'_, Result<Option<Client>>> {
        self.read(move |state| {
            state
                .accounts
                .get(&account)?
                .access
                .clients
                .get(&id)
                .cloned()
        })
    }

    fn client_remove(&self, account: BareJid, id: String) -> BoxFuture<'_, Result<bool>> {
        self.write(move |state| Ok(state.entry(&account)?.access.remove(&id)))
    }

    fn token_put(&self, account: BareJid, id: String, token: Token) -> BoxFuture<'_, Result<()>> {
        self.write(move |state| {
            let clients = &mut state.entry(&account)?.access.clients;
            clients.get_mut(&id).ok_or(StoreError::NoItem)?.fresh = Some(token);
            Ok(())
        })
    }

    fn token_used(
        &self,
        account: BareJid,
        id: String,
        token: TokenUse,
    ) -> BoxFuture<'_, Result<()>> {
        self.write(move |state| state.entry(&account)?.access.used(&id, &token))
    }

    fn tokens_revoke(&self, account: BareJid, id: Option<String>) -> BoxFuture<'_, Result<u64>> {
        self.write(move |state| Ok(state.entry(&account)?.access.revoke(id.as_deref())))
    }

    fn tokens_expire(&self, before: Micros, count: u32) -> BoxFuture<'_, Result<u64>> {
        self.write(move |state| Ok(state.tokens_expire(before, count)))
    }
}

impl Pushes for MemoryStore {
    fn push_put(&self, account: BareJid, push: Push, pushes_max: u32) -> BoxFuture<'_, Result<()>> {
        self.write(move |state| state.entry(&account)?.access.register(push, pushes_max))
    }

    fn push_remove(
        &self,
        account: BareJid,
        service: Jid,
        node: Option<String>,
    ) -> BoxFuture<'_, Result<u64>> {
        self.write(move |state| {
            let access = &mut state.entry(&account)?.access;
            Ok(access.unregister(|push| {
                push.service == service && node.as_ref().is_none_or(|node| push.node == *node)
            }))
        })
    }

    fn push_remove_client(&self, account: BareJid, client: String) -> BoxFuture<'_, Result<u64>> {
        self.write(move |state| {
            let access = &mut state.entry(&account)?.access;
            Ok(access.unregister(|push| push.client == client))
        })
    }

    fn pushes(&self, account: BareJid) -> BoxFuture<'_, Result<Vec<Push>>> {
        self.read(move |state| {
            let entry = state.accounts.get(&account);
            let pushes = entry
                .into_iter()
                .flat_map(|entry| entry.access.pushes.values());
            pushes.cloned().collect()
        })
    }

    fn push_failed(
        &self,
        account: BareJid,
        service: Jid,
        node: String,
        failures: u32,
        retry: Option<Micros>,
    ) -> BoxFuture<'_, Result<()>> {
        self.write(move |state| {
            let pushes = &mut state.entry(&account)?.access.pushes;
            if let Some(push) = pushes.get_mut(&(service.as_str().to_owned(), node)) {
                push.failures = failures;
                push.retry = retry;
            }
            Ok(())
        })
    }
}
