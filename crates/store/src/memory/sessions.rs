//! Sessions of stream management.

use super::{
    MemoryStore,
    state::{State, size, size64},
};
use crate::{
    BoxFuture, Hibernation, KeptStanza, Micros, Result, SessionKey, SessionUpdate, SmSession,
    Stanzas, StoreError, Waiting, quota,
};
use bytes::Bytes;
use std::{collections::BTreeMap, ops::Bound};
use waxwing_proto::BareJid;

/// One session and what is kept for it.
pub(super) struct SessionState {
    pub(super) session: SmSession,
    kept: BTreeMap<u64, Bytes>,
}

impl State {
    /// The session, if the key has its generation.
    pub(super) fn session_owned(
        &mut self,
        account: &BareJid,
        key: &SessionKey,
    ) -> Result<&mut SessionState> {
        let sessions = &mut self.entry(account)?.sessions;
        let session = sessions.get_mut(&key.id).ok_or(StoreError::NoItem)?;
        #[cfg(shuttle)]
        if crate::sync::is_broken() {
            return Ok(session);
        }
        if session.session.generation != key.generation {
            return Err(StoreError::Conflict);
        }
        Ok(session)
    }

    fn session_put(
        &mut self,
        account: &BareJid,
        session: SmSession,
        sessions_max: u32,
    ) -> Result<()> {
        let sessions = &mut self.entry(account)?.sessions;
        if sessions.contains_key(&session.id) {
            return Err(StoreError::Exists);
        }
        if sessions.len() >= size(sessions_max) {
            return Err(StoreError::Quota(quota::SESSIONS));
        }
        let state = SessionState {
            session: SmSession {
                generation: 1,
                ..session
            },
            kept: BTreeMap::new(),
        };
        sessions.insert(state.session.id.clone(), state);
        Ok(())
    }

    fn session_take(&mut self, account: &BareJid, key: &SessionKey) -> Result<SmSession> {
        let session = &mut self.session_owned(account, key)?.session;
        session.generation += 1;
        session.expires = None;
        Ok(session.clone())
    }

    pub(super) fn session_update(
        &mut self,
        account: &BareJid,
        key: &SessionKey,
        update: SessionUpdate,
    ) -> Result<()> {
        let session = &mut self.session_owned(account, key)?.session;
        if let Some(handled) = update.handled
            && handled.wrapping_sub(session.handled) <= u32::MAX / 2
        {
            session.handled = handled;
        }
        session.acknowledged = update.acknowledged.unwrap_or(session.acknowledged);
        session.expires = update.expires.unwrap_or(session.expires);
        if let Some(state) = update.state {
            session.state = state;
        }
        Ok(())
    }

    fn session_keep(&mut self, account: &BareJid, key: &SessionKey, keep: Stanzas) -> Result<u64> {
        let mut id_last = self.id_last;
        let kept = &mut self.session_owned(account, key)?.kept;
        if kept.len() + keep.stanzas.len() > size(keep.stanzas_max) {
            return Err(StoreError::Quota(quota::SESSION_STANZAS));
        }
        let bytes: usize = kept.values().chain(&keep.stanzas).map(Bytes::len).sum();
        if size64(bytes) > keep.bytes_max {
            return Err(StoreError::Quota(quota::SESSION_BYTES));
        }
        let mut last = 0;
        for stanza in keep.stanzas {
            id_last = (id_last + 1).max(u64::try_from(keep.at).unwrap_or(0));
            kept.insert(id_last, stanza);
            last = id_last;
        }
        self.id_last = id_last;
        Ok(last)
    }

    fn session_kept(
        &self,
        account: &BareJid,
        id: &str,
        after: u64,
        count: u32,
    ) -> Option<Vec<KeptStanza>> {
        let kept = &self.accounts.get(account)?.sessions.get(id)?.kept;
        let newer = kept.range((Bound::Excluded(after), Bound::Unbounded));
        let newer = newer.map(|(id, stanza)| KeptStanza {
            id: *id,
            stanza: stanza.clone(),
        });
        Some(newer.take(size(count)).collect())
    }

    fn sessions_expired(&self, now: Micros, count: u32) -> Vec<(BareJid, SessionKey)> {
        let mut expired: Vec<_> = self
            .accounts
            .iter()
            .flat_map(|(account, entry)| {
                let sessions = entry.sessions.values().map(|state| &state.session);
                sessions.filter_map(move |session| {
                    let expires = session.expires.filter(|expires| *expires < now)?;
                    Some((expires, account, session))
                })
            })
            .collect();
        // Accounts and ids are in order already.
        expired.sort_by_key(|(expires, ..)| *expires);
        let expired = expired.into_iter().take(size(count));
        expired
            .map(|(_, account, session)| (account.clone(), session.key()))
            .collect()
    }
}

impl Hibernation for MemoryStore {
    fn session_put(
        &self,
        account: BareJid,
        session: SmSession,
        sessions_max: u32,
    ) -> BoxFuture<'_, Result<()>> {
        self.write(move |state| state.session_put(&account, session, sessions_max))
    }

    fn session(&self, account: BareJid, id: String) -> BoxFuture<'_, Result<Option<SmSession>>> {
        self.read(move |state| {
            let sessions = &state.accounts.get(&account)?.sessions;
            sessions.get(&id).map(|state| state.session.clone())
        })
    }

    fn sessions(&self, account: BareJid) -> BoxFuture<'_, Result<Vec<SmSession>>> {
        self.read(move |state| {
            let sessions = state.accounts.get(&account).map(|entry| &entry.sessions);
            let sessions = sessions.into_iter().flat_map(BTreeMap::values);
            sessions.map(|state| state.session.clone()).collect()
        })
    }

    fn session_take(&self, account: BareJid, key: SessionKey) -> BoxFuture<'_, Result<SmSession>> {
        self.write(move |state| state.session_take(&account, &key))
    }

    fn session_update(
        &self,
        account: BareJid,
        key: SessionKey,
        update: SessionUpdate,
    ) -> BoxFuture<'_, Result<()>> {
        self.write(move |state| state.session_update(&account, &key, update))
    }

    fn session_remove(&self, account: BareJid, key: SessionKey) -> BoxFuture<'_, Result<()>> {
        self.write(move |state| {
            state.session_owned(&account, &key)?;
            state.entry(&account)?.sessions.remove(&key.id);
            Ok(())
        })
    }

    fn session_end(
        &self,
        account: BareJid,
        key: SessionKey,
        until: Option<u64>,
        waiting: Option<Waiting>,
    ) -> BoxFuture<'_, Result<bool>> {
        self.write(move |state| {
            let session = &state.session_owned(&account, &key)?.session;
            let span = (session.acknowledged, until.unwrap_or(u64::MAX));
            let entry = state.entry(&account)?;
            entry.sessions.remove(&key.id);
            Ok(waiting.is_some_and(|waiting| entry.wait_within(span, &waiting)))
        })
    }

    fn session_keep(
        &self,
        account: BareJid,
        key: SessionKey,
        keep: Stanzas,
    ) -> BoxFuture<'_, Result<u64>> {
        self.write(move |state| state.session_keep(&account, &key, keep))
    }

    fn session_kept(
        &self,
        account: BareJid,
        id: String,
        after: u64,
        count: u32,
    ) -> BoxFuture<'_, Result<Vec<KeptStanza>>> {
        self.read(move |state| {
            let kept = state.session_kept(&account, &id, after, count);
            kept.unwrap_or_default()
        })
    }

    fn session_forget(
        &self,
        account: BareJid,
        key: SessionKey,
        last: u64,
    ) -> BoxFuture<'_, Result<()>> {
        self.write(move |state| {
            let session = state.session_owned(&account, &key)?;
            session.kept.retain(|id, _| *id > last);
            Ok(())
        })
    }

    fn sessions_expired(
        &self,
        now: Micros,
        count: u32,
    ) -> BoxFuture<'_, Result<Vec<(BareJid, SessionKey)>>> {
        self.read(move |state| state.sessions_expired(now, count))
    }

    fn sessions_release(&self, expires: Micros) -> BoxFuture<'_, Result<u64>> {
        self.write(move |state| {
            let accounts = state.accounts.values_mut();
            let sessions = accounts.flat_map(|entry| entry.sessions.values_mut());
            let awake = sessions.filter(|state| state.session.expires.is_none());
            let released = awake.map(|state| state.session.expires = Some(expires));
            Ok(size64(released.count()))
        })
    }
}
