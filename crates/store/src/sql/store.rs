//! The domain traits for every SQL back end.

use super::{Executor, Ids, accounts, blocking, documents, message, offline, roster};
use crate::{
    Account, Accounts, Blocking, BoxFuture, Commits, Credentials, Documents, Micros, Offline,
    OfflineMessage, Record, Result, Roster, RosterChange, RosterItem, Rosters, Ticket,
};
use bytes::Bytes;
use tokio::sync::oneshot;
use waxwing_proto::{
    BareJid, Jid,
    sasl::{Hash, Verifier},
};

/// What one database must offer for the domain traits to work on it.
pub(crate) trait Backend: Send + Sync + 'static {
    /// Queues a write of about `bytes` bytes, without waiting; `reply` hears its result after its
    /// commit is on disk, and all replies come in the order of the calls. When `work` fails,
    /// nothing of it is kept; it may be done several times, of which the last counts.
    fn commit<T: Send + 'static>(
        &self,
        bytes: usize,
        reply: oneshot::Sender<Result<T>>,
        work: impl FnMut(&mut dyn Executor, &mut Ids) -> Result<T> + Send + 'static,
    );

    /// Reads from one state of the database, which has every completed write.
    fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut dyn Executor) -> Result<T> + Send + 'static,
    ) -> BoxFuture<'_, Result<T>>;

    /// Queues a write by the call itself; the future is its result.
    fn write<T: Send + 'static>(
        &self,
        bytes: usize,
        mut work: impl FnMut(&mut dyn Executor) -> Result<T> + Send + 'static,
    ) -> BoxFuture<'_, Result<T>> {
        self.write_with_ids(bytes, move |db, _| work(db))
    }

    /// The same for a write that needs ids.
    fn write_with_ids<T: Send + 'static>(
        &self,
        bytes: usize,
        work: impl FnMut(&mut dyn Executor, &mut Ids) -> Result<T> + Send + 'static,
    ) -> BoxFuture<'_, Result<T>> {
        let (reply, answer) = oneshot::channel();
        self.commit(bytes, reply, work);
        Box::pin(async move {
            answer
                .await
                .unwrap_or_else(|_| Err(crate::record::writer_ended()))
        })
    }
}

impl<B: Backend> Accounts for B {
    fn account_create(
        &self,
        account: BareJid,
        credentials: Credentials,
        now: Micros,
    ) -> BoxFuture<'_, Result<()>> {
        self.write(0, move |db| {
            accounts::create(db, &account, &credentials, now)
        })
    }

    fn account(&self, account: BareJid) -> BoxFuture<'_, Result<Option<Account>>> {
        self.read(move |db| accounts::account(db, &account))
    }

    fn account_set_credentials(
        &self,
        account: BareJid,
        credentials: Credentials,
    ) -> BoxFuture<'_, Result<()>> {
        self.write(0, move |db| {
            accounts::set_credentials(db, &account, &credentials)
        })
    }

    fn account_add_verifier(
        &self,
        account: BareJid,
        hash: Hash,
        verifier: Verifier,
    ) -> BoxFuture<'_, Result<bool>> {
        self.write(0, move |db| {
            accounts::add_verifier(db, &account, hash, &verifier)
        })
    }

    fn account_delete(&self, account: BareJid) -> BoxFuture<'_, Result<bool>> {
        self.write(0, move |db| accounts::delete(db, &account))
    }

    fn accounts(
        &self,
        domain: String,
        after: Option<BareJid>,
        count: u32,
    ) -> BoxFuture<'_, Result<Vec<BareJid>>> {
        self.read(move |db| accounts::of_domain(db, &domain, after.as_ref(), count))
    }

    fn last_set(&self, account: BareJid, at: Micros, status: String) -> BoxFuture<'_, Result<()>> {
        self.write(status.len(), move |db| {
            accounts::set_last(db, &account, at, &status)
        })
    }

    fn last(&self, account: BareJid) -> BoxFuture<'_, Result<Option<(Micros, String)>>> {
        self.read(move |db| accounts::last(db, &account))
    }

    fn secret(&self, name: &'static str, candidate: [u8; 32]) -> BoxFuture<'_, Result<[u8; 32]>> {
        self.write(0, move |db| accounts::secret(db, name, &candidate))
    }
}

impl<B: Backend> Rosters for B {
    fn roster(&self, account: BareJid) -> BoxFuture<'_, Result<Roster>> {
        self.read(move |db| roster::roster(db, &account))
    }

    fn roster_changes(
        &self,
        account: BareJid,
        since: u64,
    ) -> BoxFuture<'_, Result<Option<Vec<RosterChange>>>> {
        self.read(move |db| roster::changes(db, &account, since))
    }

    fn roster_put(
        &self,
        account: BareJid,
        expected: u64,
        item: RosterItem,
        items_max: u32,
    ) -> BoxFuture<'_, Result<u64>> {
        let groups: usize = item.groups.iter().map(String::len).sum();
        let bytes = groups + item.name.len() + item.request.as_ref().map_or(0, Bytes::len);
        self.write(bytes, move |db| {
            roster::put(db, &account, expected, &item, items_max)
        })
    }

    fn roster_remove(
        &self,
        account: BareJid,
        expected: u64,
        contact: BareJid,
    ) -> BoxFuture<'_, Result<u64>> {
        self.write(0, move |db| {
            roster::remove(db, &account, expected, &contact)
        })
    }
}

impl<B: Backend> Commits for B {
    fn submit(&self, record: Record) -> Ticket {
        let (reply, ticket) = Ticket::new();
        self.commit(record.bytes(), reply, move |db, ids| {
            message::record(db, ids, &record)
        });
        ticket
    }
}

impl<B: Backend> Offline for B {
    fn offline(
        &self,
        account: BareJid,
        after: u64,
        count: u32,
    ) -> BoxFuture<'_, Result<Vec<OfflineMessage>>> {
        self.read(move |db| offline::waiting(db, &account, after, count))
    }

    fn offline_remove(&self, account: BareJid, ids: Vec<u64>) -> BoxFuture<'_, Result<()>> {
        let bytes = ids.len() * size_of::<u64>();
        self.write(bytes, move |db| offline::remove(db, &account, &ids))
    }

    fn offline_count(&self, account: BareJid) -> BoxFuture<'_, Result<u64>> {
        self.read(move |db| offline::count(db, &account))
    }
}

impl<B: Backend> Blocking for B {
    fn blocked(&self, account: BareJid) -> BoxFuture<'_, Result<Vec<Jid>>> {
        self.read(move |db| blocking::list(db, &account))
    }

    fn block(&self, account: BareJid, jids: Vec<Jid>, items_max: u32) -> BoxFuture<'_, Result<()>> {
        let bytes = jids.iter().map(|jid| jid.as_str().len()).sum();
        self.write(bytes, move |db| {
            blocking::add(db, &account, &jids, items_max)
        })
    }

    fn unblock(&self, account: BareJid, jids: Option<Vec<Jid>>) -> BoxFuture<'_, Result<()>> {
        let bytes = jids.iter().flatten().map(|jid| jid.as_str().len()).sum();
        self.write(bytes, move |db| {
            blocking::remove(db, &account, jids.as_deref())
        })
    }
}

impl<B: Backend> Documents for B {
    fn document(&self, account: BareJid, key: String) -> BoxFuture<'_, Result<Option<Bytes>>> {
        self.read(move |db| documents::document(db, &account, &key))
    }

    fn document_set(
        &self,
        account: BareJid,
        key: String,
        xml: Option<Bytes>,
        bytes_max: u64,
    ) -> BoxFuture<'_, Result<()>> {
        let bytes = key.len() + xml.as_ref().map_or(0, Bytes::len);
        self.write(bytes, move |db| {
            documents::set(db, &account, &key, xml.as_deref(), bytes_max)
        })
    }
}
