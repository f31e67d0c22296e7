//! The reference implementation, also the simulator's: everything in ordered maps behind one lock,
//! commits done at once and in order. The model-based tests hold the SQL back ends to its answers.
//!
//! Tests can keep commits from happening ([`MemoryStore::hold`]) or make them fail
//! ([`MemoryStore::fail_next`]), to prove "commit, then deliver, then acknowledge".

mod access;
mod archive;
mod items;
mod outgoing;
mod pubsub;
mod rooms;
mod sessions;
mod state;
mod uploads;

use crate::sync::Mutex;
use crate::{
    Account, Accounts, Blocking, BoxFuture, Commits, Credentials, Documents, Micros, Offline,
    OfflineMessage, Outcome, Record, Result, Roster, RosterChange, RosterItem, Rosters, StoreError,
    Ticket,
};
use bytes::Bytes;
use state::State;
use std::collections::VecDeque;
use tokio::sync::oneshot;
use waxwing_proto::{
    BareJid, Jid,
    sasl::{Hash, Verifier},
};

/// All in memory.
#[derive(Default)]
pub struct MemoryStore {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    state: State,
    held: bool,
    waiting: VecDeque<Commit>,
    failures: VecDeque<StoreError>,
}

/// One commit: gets the state, or the error that it must report instead of touching it.
type Commit = Box<dyn FnOnce(std::result::Result<&mut State, StoreError>) + Send>;

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps records and all other writes waiting, as a slow disk does; reads see the state
    /// before them.
    pub fn hold(&self) {
        self.inner.lock().held = true;
    }

    /// Does what waits, in order, and ends [`MemoryStore::hold`].
    pub fn release(&self) {
        let mut inner = self.inner.lock();
        inner.held = false;
        while let Some(commit) = inner.waiting.pop_front() {
            inner.run(commit);
        }
    }

    /// Does the oldest `count` waiting writes and goes on holding; gives how many there were.
    pub fn release_some(&self, count: usize) -> usize {
        let mut inner = self.inner.lock();
        let count = count.min(inner.waiting.len());
        for _ in 0..count {
            if let Some(commit) = inner.waiting.pop_front() {
                inner.run(commit);
            }
        }
        count
    }

    /// How many writes wait for [`MemoryStore::release`].
    pub fn held(&self) -> usize {
        self.inner.lock().waiting.len()
    }

    /// Lets the next write that is done fail with `error`, leaving no trace; several calls queue.
    pub fn fail_next(&self, error: StoreError) {
        self.inner.lock().failures.push_back(error);
    }

    /// Does the work as one commit, now or when released; `reply` hears of it in order.
    fn enqueue<T: Send + 'static>(
        &self,
        reply: oneshot::Sender<Result<T>>,
        work: impl FnOnce(&mut State) -> Result<T> + Send + 'static,
    ) {
        let commit: Commit = Box::new(move |state| {
            // Nobody waits for it: the write counts all the same.
            let _ = reply.send(state.and_then(work));
        });
        let mut inner = self.inner.lock();
        if inner.held {
            inner.waiting.push_back(commit);
        } else {
            inner.run(commit);
        }
    }

    fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut State) -> Result<T> + Send + 'static,
    ) -> BoxFuture<'_, Result<T>> {
        let (reply, answer) = oneshot::channel();
        self.enqueue(reply, work);
        Box::pin(async move {
            answer.await.unwrap_or_else(|_| {
                Err(StoreError::Backend(
                    "the store was dropped while holding".into(),
                ))
            })
        })
    }

    /// A read that may be refused.
    fn look<T: Send + 'static>(
        &self,
        read: impl FnOnce(&State) -> Result<T> + Send + 'static,
    ) -> BoxFuture<'_, Result<T>> {
        Box::pin(async move { read(&self.inner.lock().state) })
    }

    fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&State) -> T + Send + 'static,
    ) -> BoxFuture<'_, Result<T>> {
        // Read when polled, not when called: what was written meanwhile must be seen.
        Box::pin(async move { Ok(read(&self.inner.lock().state)) })
    }
}

impl Inner {
    fn run(&mut self, commit: Commit) {
        match self.failures.pop_front() {
            Some(error) => commit(Err(error)),
            None => commit(Ok(&mut self.state)),
        }
    }
}

impl std::fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MemoryStore(..)")
    }
}

impl Accounts for MemoryStore {
    fn account_create(
        &self,
        account: BareJid,
        credentials: Credentials,
        now: Micros,
    ) -> BoxFuture<'_, Result<()>> {
        self.write(move |state| state.account_create(account, credentials, now))
    }

    fn account(&self, account: BareJid) -> BoxFuture<'_, Result<Option<Account>>> {
        self.read(move |state| state.account(&account))
    }

    fn account_set_credentials(
        &self,
        account: BareJid,
        credentials: Credentials,
    ) -> BoxFuture<'_, Result<()>> {
        self.write(move |state| state.account_set_credentials(&account, credentials))
    }

    fn account_add_verifier(
        &self,
        account: BareJid,
        hash: Hash,
        verifier: Verifier,
    ) -> BoxFuture<'_, Result<bool>> {
        self.write(move |state| state.account_add_verifier(&account, hash, verifier))
    }

    fn account_delete(&self, account: BareJid) -> BoxFuture<'_, Result<bool>> {
        self.write(move |state| Ok(state.account_delete(&account)))
    }

    fn accounts(
        &self,
        domain: String,
        after: Option<BareJid>,
        count: u32,
    ) -> BoxFuture<'_, Result<Vec<BareJid>>> {
        self.read(move |state| state.accounts(&domain, after.as_ref(), count))
    }

    fn last_set(&self, account: BareJid, at: Micros, status: String) -> BoxFuture<'_, Result<()>> {
        self.write(move |state| state.last_set(&account, at, status))
    }

    fn last(&self, account: BareJid) -> BoxFuture<'_, Result<Option<(Micros, String)>>> {
        self.read(move |state| state.last(&account))
    }

    fn secret(&self, name: &'static str, candidate: [u8; 32]) -> BoxFuture<'_, Result<[u8; 32]>> {
        self.write(move |state| Ok(state.secret(name, candidate)))
    }
}

impl Rosters for MemoryStore {
    fn roster(&self, account: BareJid) -> BoxFuture<'_, Result<Roster>> {
        self.read(move |state| state.roster(&account))
    }

    fn roster_changes(
        &self,
        account: BareJid,
        since: u64,
    ) -> BoxFuture<'_, Result<Option<Vec<RosterChange>>>> {
        self.read(move |state| state.roster_changes(&account, since))
    }

    fn roster_put(
        &self,
        account: BareJid,
        expected: u64,
        item: RosterItem,
        items_max: u32,
    ) -> BoxFuture<'_, Result<u64>> {
        self.write(move |state| state.roster_put(&account, expected, item, items_max))
    }

    fn roster_remove(
        &self,
        account: BareJid,
        expected: u64,
        contact: BareJid,
    ) -> BoxFuture<'_, Result<u64>> {
        self.write(move |state| state.roster_remove(&account, expected, &contact))
    }
}

impl Commits for MemoryStore {
    fn submit(&self, record: Record) -> Ticket {
        let (reply, ticket) = Ticket::new();
        self.enqueue::<Outcome>(reply, move |state| state.record(record));
        ticket
    }
}

impl Offline for MemoryStore {
    fn offline(
        &self,
        account: BareJid,
        after: u64,
        count: u32,
    ) -> BoxFuture<'_, Result<Vec<OfflineMessage>>> {
        self.read(move |state| state.offline(&account, after, count))
    }

    fn offline_remove(&self, account: BareJid, ids: Vec<u64>) -> BoxFuture<'_, Result<()>> {
        self.write(move |state| state.offline_remove(&account, &ids))
    }

    fn offline_count(&self, account: BareJid) -> BoxFuture<'_, Result<u64>> {
        self.read(move |state| state.offline_count(&account))
    }
}

impl Blocking for MemoryStore {
    fn blocked(&self, account: BareJid) -> BoxFuture<'_, Result<Vec<Jid>>> {
        self.read(move |state| state.blocked(&account))
    }

    fn block(&self, account: BareJid, jids: Vec<Jid>, items_max: u32) -> BoxFuture<'_, Result<()>> {
        self.write(move |state| state.block(&account, jids, items_max))
    }

    fn unblock(&self, account: BareJid, jids: Option<Vec<Jid>>) -> BoxFuture<'_, Result<()>> {
        self.write(move |state| state.unblock(&account, jids))
    }
}

impl Documents for MemoryStore {
    fn document(&self, account: BareJid, key: String) -> BoxFuture<'_, Result<Option<Bytes>>> {
        self.read(move |state| state.document(&account, &key))
    }

    fn document_set(
        &self,
        account: BareJid,
        key: String,
        xml: Option<Bytes>,
        bytes_max: u64,
    ) -> BoxFuture<'_, Result<()>> {
        self.write(move |state| state.document_set(&account, key, xml, bytes_max))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{self, DAY, create, jid, message};

    mod contract_of_memory {
        crate::contract::contract_tests! { (crate::MemoryStore::new(), ()) }
    }

    #[tokio::test]
    async fn held_writes_are_neither_seen_nor_told() {
        let store = MemoryStore::new();
        create(&store, "alice@a.example").await;
        store.hold();
        let mut ticket = store.submit(message("alice@a.example", DAY, "one"));
        let mut put = store.roster_put(jid("alice@a.example"), 0, contract::item("b@b.example"), 9);
        assert_eq!(store.held(), 2, "queued by the call, not by the first poll");
        assert!(futures_poll(&mut ticket).is_pending());
        assert!(futures_poll(&mut put).is_pending());
        assert_eq!(
            store.offline_count(jid("alice@a.example")).await.unwrap(),
            0
        );

        assert_eq!(store.release_some(1), 1);
        assert!(futures_poll(&mut ticket).is_ready());
        assert!(futures_poll(&mut put).is_pending());
        store.release();
        assert_eq!(put.await.unwrap(), 1);
        assert_eq!(
            store.offline_count(jid("alice@a.example")).await.unwrap(),
            1
        );
    }

    #[tokio::test]
    async fn a_failed_write_leaves_no_trace() {
        let store = MemoryStore::new();
        create(&store, "alice@a.example").await;
        store.fail_next(StoreError::Full);
        let failed = store.submit(message("alice@a.example", DAY, "one")).await;
        assert!(matches!(failed, Err(StoreError::Full)), "{failed:?}");
        assert_eq!(
            store.offline_count(jid("alice@a.example")).await.unwrap(),
            0
        );
        store
            .submit(message("alice@a.example", DAY, "two"))
            .await
            .unwrap();
    }

    proptest::proptest! {
        #[test]
        fn only_the_owner_of_a_session_is_heard(steps in contract::ownership_steps()) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let store = MemoryStore::new();
            let hold = |held| if held { store.hold() } else { store.release() };
            runtime.block_on(contract::only_the_owner_is_heard(&store, &steps, hold));
        }
    }

    fn futures_poll<F: Future + Unpin>(future: &mut F) -> std::task::Poll<F::Output> {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        std::pin::Pin::new(future).poll(&mut context)
    }
}
