//! The domain traits of archives, sessions and clients for every SQL back end.

use super::{access, accounts, archive, preferences, resends, sessions, store::Backend, text};
use crate::{
    Archive, ArchiveFilter, ArchivePage, ArchivePreferences, Archived, BoxFuture, Client,
    ClientSeen, Hibernation, KeptStanza, Micros, PageRequest, Push, Pushes, Result, Retention,
    SessionKey, SessionUpdate, SmSession, Stanzas, Token, TokenUse, Tokens, Waiting,
};
use bytes::Bytes;
use waxwing_proto::{BareJid, Jid};

impl<B: Backend> Archive for B {
    fn archive_page(
        &self,
        account: BareJid,
        filter: ArchiveFilter,
        request: PageRequest,
    ) -> BoxFuture<'_, Result<ArchivePage>> {
        self.read(move |db| archive::page(db, &account, &filter, request))
    }

    fn archive_ends(&self, account: BareJid) -> BoxFuture<'_, Result<Option<(u64, u64)>>> {
        self.read(move |db| archive::ends(db, &account))
    }

    fn archive_find(
        &self,
        account: BareJid,
        with: BareJid,
        origin: String,
    ) -> BoxFuture<'_, Result<Vec<Archived>>> {
        self.read(move |db| archive::find(db, &account, &with, &origin))
    }

    fn archive_retract(
        &self,
        account: BareJid,
        id: u64,
        tombstone: Bytes,
    ) -> BoxFuture<'_, Result<bool>> {
        self.write(tombstone.len(), move |db| {
            archive::retract(db, &account, id, &tombstone)
        })
    }

    fn archive_purge(
        &self,
        account: BareJid,
        before: Option<Micros>,
        count: u32,
    ) -> BoxFuture<'_, Result<u64>> {
        self.write(0, move |db| archive::purge(db, &account, before, count))
    }

    fn archive_index(&self, kept: bool) -> BoxFuture<'_, Result<bool>> {
        self.write(0, move |db| text::index(db, kept).map(|()| true))
    }

    fn archive_due(
        &self,
        retention: Retention,
        after: Option<BareJid>,
        count: u32,
    ) -> BoxFuture<'_, Result<Vec<(BareJid, Micros)>>> {
        self.read(move |db| preferences::due(db, retention, after.as_ref(), count))
    }

    fn archive_preferences(
        &self,
        account: BareJid,
    ) -> BoxFuture<'_, Result<Option<ArchivePreferences>>> {
        self.read(move |db| preferences::preferences(db, &account))
    }

    fn archive_set_preferences(
        &self,
        account: BareJid,
        mut preferences: ArchivePreferences,
        rules_max: u32,
    ) -> BoxFuture<'_, Result<()>> {
        preferences.normalize();
        let jids = preferences.always.iter().chain(&preferences.never);
        let bytes = jids.map(|jid| jid.as_str().len()).sum();
        self.write(bytes, move |db| {
            preferences::set(db, &account, &preferences, rules_max)
        })
    }

    fn resends_forget(&self, before: Micros, count: u32) -> BoxFuture<'_, Result<u64>> {
        self.write(0, move |db| resends::forget(db, before, count))
    }
}

impl<B: Backend> Hibernation for B {
    fn session_put(
        &self,
        account: BareJid,
        session: SmSession,
        sessions_max: u32,
    ) -> BoxFuture<'_, Result<()>> {
        self.write(session.state.len(), move |db| {
            sessions::put(db, &account, &session, sessions_max)
        })
    }

    fn session(&self, account: BareJid, id: String) -> BoxFuture<'_, Result<Option<SmSession>>> {
        self.read(move |db| sessions::session(db, &account, &id))
    }

    fn sessions(&self, account: BareJid) -> BoxFuture<'_, Result<Vec<SmSession>>> {
        self.read(move |db| sessions::sessions(db, &account))
    }

    fn session_take(&self, account: BareJid, key: SessionKey) -> BoxFuture<'_, Result<SmSession>> {
        self.write(0, move |db| sessions::take(db, &account, &key))
    }

    fn session_update(
        &self,
        account: BareJid,
        key: SessionKey,
        update: SessionUpdate,
    ) -> BoxFuture<'_, Result<()>> {
        let bytes = update.state.as_ref().map_or(0, Bytes::len);
        self.write(bytes, move |db| {
            sessions::update(db, &account, &key, &update)
        })
    }

    fn session_remove(&self, account: BareJid, key: SessionKey) -> BoxFuture<'_, Result<()>> {
        self.write(0, move |db| sessions::remove(db, &account, &key))
    }

    fn session_end(
        &self,
        account: BareJid,
        key: SessionKey,
        until: Option<u64>,
        waiting: Option<Waiting>,
    ) -> BoxFuture<'_, Result<bool>> {
        self.write(0, move |db| {
            sessions::end(db, &account, &key, until, waiting.as_ref())
        })
    }

    fn session_keep(
        &self,
        account: BareJid,
        key: SessionKey,
        keep: Stanzas,
    ) -> BoxFuture<'_, Result<u64>> {
        let bytes = keep.stanzas.iter().map(Bytes::len).sum();
        self.write_with_ids(bytes, move |db, ids| {
            sessions::keep(db, ids, &account, &key, &keep)
        })
    }

    fn session_kept(
        &self,
        account: BareJid,
        id: String,
        after: u64,
        count: u32,
    ) -> BoxFuture<'_, Result<Vec<KeptStanza>>> {
        self.read(move |db| sessions::kept(db, &account, &id, after, count))
    }

    fn session_forget(
        &self,
        account: BareJid,
        key: SessionKey,
        last: u64,
    ) -> BoxFuture<'_, Result<()>> {
        self.write(0, move |db| sessions::forget(db, &account, &key, last))
    }

    fn sessions_expired(
        &self,
        now: Micros,
        count: u32,
    ) -> BoxFuture<'_, Result<Vec<(BareJid, SessionKey)>>> {
        self.read(move |db| sessions::expired(db, now, count))
    }

    fn sessions_release(&self, expires: Micros) -> BoxFuture<'_, Result<u64>> {
        self.write(0, move |db| sessions::release(db, expires))
    }
}

impl<B: Backend> Tokens for B {
    fn client_seen(
        &self,
        account: BareJid,
        client: ClientSeen,
        clients_max: u32,
    ) -> BoxFuture<'_, Result<()>> {
        let bytes = client.id.len() + client.software.len() + client.device.len();
        self.write(bytes, move |db| {
            access::seen(db, &account, &client, clients_max)
        })
    }

    fn clients(&self, account: BareJid) -> BoxFuture<'_, Result<Vec<Client>>> {
        self.read(move |db| access::clients(db, &account))
    }

    fn client(&self, account: BareJid, id: String) -> BoxFuture<'_, Result<Option<Client>>> {
        self.read(move |db| access::client(db, &account, &id))
    }

    fn client_remove(&self, account: BareJid, id: String) -> BoxFuture<'_, Result<bool>> {
        self.write(0, move |db| access::remove(db, &account, &id))
    }

    fn token_put(&self, account: BareJid, id: String, token: Token) -> BoxFuture<'_, Result<()>> {
        self.write(token.verifier.len(), move |db| {
            access::put_token(db, &account, &id, &token)
        })
    }

    fn token_used(
        &self,
        account: BareJid,
        id: String,
        token: TokenUse,
    ) -> BoxFuture<'_, Result<()>> {
        self.write(0, move |db| access::used(db, &account, &id, &token))
    }

    fn tokens_revoke(&self, account: BareJid, id: Option<String>) -> BoxFuture<'_, Result<u64>> {
        self.write(0, move |db| {
            let number = accounts::number(db, &account)?;
            access::revoke(db, number, id.as_deref())
        })
    }

    fn tokens_expire(&self, before: Micros, count: u32) -> BoxFuture<'_, Result<u64>> {
        self.write(0, move |db| access::expire(db, before, count))
    }
}

impl<B: Backend> Pushes for B {
    fn push_put(&self, account: BareJid, push: Push, pushes_max: u32) -> BoxFuture<'_, Result<()>> {
        self.write(push.options.len(), move |db| {
            access::put_push(db, &account, &push, pushes_max)
        })
    }

    fn push_remove(
        &self,
        account: BareJid,
        service: Jid,
        node: Option<String>,
    ) -> BoxFuture<'_, Result<u64>> {
        self.write(0, move |db| {
            access::remove_push(db, &account, &service, node.as_deref())
        })
    }

    fn push_remove_client(&self, account: BareJid, client: String) -> BoxFuture<'_, Result<u64>> {
        self.write(0, move |db| {
            let number = accounts::number(db, &account)?;
            access::remove_pushes_of(db, number, &client)
        })
    }

    fn pushes(&self, account: BareJid) -> BoxFuture<'_, Result<Vec<Push>>> {
        self.read(move |db| access::pushes(db, &account))
    }

    fn push_failed(
        &self,
        account: BareJid,
        service: Jid,
        node: String,
        failures: u32,
        retry: Option<Micros>,
    ) -> BoxFuture<'_, Result<()>> {
        self.write(0, move |db| {
            access::push_failed(db, &account, &service, &node, failures, retry)
        })
    }
}
