//! Random operations: a back end must answer as [`MemoryStore`] does.

use super::model_archive::{Query, Sent, query, sent, sessions};
use super::model_pubsub::{self, NodeCall, node_calls};
use super::{DAY, credentials, item, jid, request, waiting};
use crate::{Archive as _, MemoryStore, RosterItem, Store, Subscription};
use bytes::Bytes;
use proptest::prelude::*;
use std::fmt::Write as _;
use waxwing_proto::{BareJid, Jid};

/// One call; the numbers choose among a few accounts, contacts and so on.
#[derive(Debug, Clone)]
pub(crate) enum Call {
    Create(u8),
    SetCredentials(u8, u8),
    Delete(u8),
    LastSet(u8, i64),
    /// Account, how far the version is off, the item, the bound.
    Put(u8, u64, RosterItem, u32),
    Remove(u8, u64, u8),
    /// Account, time, size, bound.
    Submit(Vec<(u8, i64, u16, u32)>),
    /// Whose, a bit for each of the first that wait, and whether one that does not, too.
    OfflineRemove(u8, u8, bool),
    Block(u8, Vec<u8>, u32),
    Unblock(u8, Option<Vec<u8>>),
    Document(u8, u8, Option<u16>),
    /// Messages at once: they may share a commit.
    Messages(Vec<Sent>),
    /// Whose archive, which entry, the page.
    Page(u8, Query),
    Retract(u8, usize),
    /// Whose archive, up to which entry, how many.
    Purge(u8, Option<usize>, u32),
    Forget(i64, u32),
    SessionPut(u8, u8, Option<i64>),
    SessionTake(u8, u8, u64),
    SessionUpdate(u8, u8, u64, u32),
    SessionRemove(u8, u8, u64),
    SessionKeep(u8, u8, u64, Vec<u16>),
    SessionForget(u8, u8, u64, usize),
    /// Whose session, at which generation, up to which entry, the bound of the queue.
    SessionEnd((u8, u8, u64), Option<usize>, Option<u32>),
    Release(i64),
    /// Whose archive, which entries, at once, the bound of the queue.
    Wait(u8, Vec<usize>, u32),
    /// Owner, node, time, how far the key is off.
    Node(u8, u8, i64, u64, NodeCall),
    Look(u8, u64),
}

pub(crate) fn calls() -> impl Strategy<Value = Vec<Call>> {
    proptest::collection::vec(call(), 1..60)
}

fn call() -> impl Strategy<Value = Call> {
    let record = (0..4_u8, -50..50_i64, 0..40_u16, 0..5_u32);
    prop_oneof![
        3 => (0..3_u8).prop_map(Call::Create),
        1 => (0..3_u8, any::<u8>()).prop_map(|(who, seed)| Call::SetCredentials(who, seed)),
        1 => (0..3_u8).prop_map(Call::Delete),
        1 => (0..3_u8, any::<i64>()).prop_map(|(who, at)| Call::LastSet(who, at)),
        8 => (0..3_u8, 0..9_u64, roster_item(), 0..4_u32)
            .prop_map(|(who, off, item, max)| Call::Put(who, off.saturating_sub(7), item, max)),
        4 => (0..3_u8, 0..9_u64, 0..4_u8)
            .prop_map(|(who, off, contact)| Call::Remove(who, off.saturating_sub(7), contact)),
        5 => proptest::collection::vec(record, 1..6).prop_map(Call::Submit),
        2 => (0..3_u8, any::<u8>(), any::<bool>())
            .prop_map(|(who, which, wrong)| Call::OfflineRemove(who, which, wrong)),
        2 => (0..3_u8, proptest::collection::vec(0..5_u8, 0..4), 0..5_u32)
            .prop_map(|(who, jids, max)| Call::Block(who, jids, max)),
        1 => (0..3_u8, proptest::option::of(proptest::collection::vec(0..5_u8, 0..4)))
            .prop_map(|(who, jids)| Call::Unblock(who, jids)),
        3 => (0..3_u8, 0..3_u8, proptest::option::of(0..60_u16))
            .prop_map(|(who, key, size)| Call::Document(who, key, size)),
        9 => proptest::collection::vec(sent(), 1..6).prop_map(Call::Messages),
        6 => (0..3_u8, query()).prop_map(|(who, query)| Call::Page(who, query)),
        2 => (0..3_u8, 0..9_usize).prop_map(|(who, nth)| Call::Retract(who, nth)),
        2 => (0..3_u8, proptest::option::of(0..9_usize), 0..4_u32)
            .prop_map(|(who, nth, count)| Call::Purge(who, nth, count)),
        1 => (-60..60_i64, 0..3_u32).prop_map(|(before, count)| Call::Forget(before, count)),
        3 => (0..4_u8, proptest::collection::vec(0..9_usize, 1..4), 0..5_u32)
            .prop_map(|(who, nths, bound)| Call::Wait(who, nths, bound)),
        8 => sessions(),
        12 => node_calls(),
        4 => (0..4_u8, 0..12_u64).prop_map(|(who, since)| Call::Look(who, since)),
    ]
}

fn roster_item() -> impl Strategy<Value = RosterItem> {
    let groups = proptest::collection::vec("[a\\\\\n]{0,3}", 0..3);
    (0..4_u8, groups, 0..4_u8, any::<[bool; 4]>()).prop_map(|(contact, groups, state, flags)| {
        let [ask, approved, asked, listed] = flags;
        RosterItem {
            groups,
            subscription: match state {
                0 => Subscription::None,
                1 => Subscription::To,
                2 => Subscription::From,
                _ => Subscription::Both,
            },
            ask,
            approved,
            request: asked.then(|| request("x@b.example").request).flatten(),
            listed,
            ..item(contact_jid(contact).as_str())
        }
    })
}

/// Runs the calls on `store` and on memory, and compares all they say.
pub(crate) async fn agrees_with_memory(store: &impl Store, calls: Vec<Call>) {
    let memory = MemoryStore::new();
    for index in [memory.archive_index(true), store.archive_index(true)] {
        assert!(index.await.unwrap());
    }
    for call in calls {
        let wanted = answer(&memory, call.clone()).await;
        assert_eq!(answer(store, call.clone()).await, wanted, "after {call:?}");
    }
    for who in 0..4 {
        let wanted = answer(&memory, Call::Look(who, 0)).await;
        assert_eq!(
            answer(store, Call::Look(who, 0)).await,
            wanted,
            "at the end, of {who}"
        );
    }
}

async fn answer(store: &impl Store, call: Call) -> String {
    match call {
        Call::Create(who) => debug(
            store
                .account_create(account(who), credentials(who), DAY)
                .await,
        ),
        Call::SetCredentials(who, seed) => debug(
            store
                .account_set_credentials(account(who), credentials(seed))
                .await,
        ),
        Call::Delete(who) => debug(store.account_delete(account(who)).await),
        Call::LastSet(who, at) => debug(store.last_set(account(who), at, "s".into()).await),
        Call::Put(who, off, item, max) => {
            let version = store.roster(account(who)).await.unwrap().version + off;
            debug(store.roster_put(account(who), version, item, max).await)
        }
        Call::Remove(who, off, contact) => {
            let version = store.roster(account(who)).await.unwrap().version + off;
            debug(
                store
                    .roster_remove(account(who), version, contact_jid(contact))
                    .await,
            )
        }
        Call::Submit(records) => submit(store, records).await,
        Call::OfflineRemove(who, which, wrong) => {
            let waiting = store.offline(account(who), 0, 100).await.unwrap();
            let bits = (0..u8::BITS).map(|bit| which >> bit & 1 == 1);
            let chosen = waiting.iter().zip(bits).filter(|(_, chosen)| *chosen);
            let ids = chosen.map(|(message, _)| message.id);
            let ids = ids.chain(wrong.then_some(1)).collect();
            debug(store.offline_remove(account(who), ids).await)
        }
        Call::Block(who, jids, max) => {
            let jids = jids.into_iter().map(blocked).collect();
            debug(store.block(account(who), jids, max).await)
        }
        Call::Unblock(who, jids) => {
            let jids = jids.map(|jids| jids.into_iter().map(blocked).collect());
            debug(store.unblock(account(who), jids).await)
        }
        Call::Document(who, key, size) => {
            let xml = size.map(|size| Bytes::from(vec![b'x'; size.into()]));
            debug(
                store
                    .document_set(account(who), format!("k{key}"), xml, 100)
                    .await,
            )
        }
        Call::Node(who, node, at, off, call) => {
            model_pubsub::answer(store, (who, node, at, off), call).await
        }
        Call::Look(who, since) => look(store, who, since).await,
        archive => super::model_archive::answer(store, archive).await,
    }
}

/// Several records at once: they may share a commit.
async fn submit(store: &impl Store, records: Vec<(u8, i64, u16, u32)>) -> String {
    let tickets: Vec<_> = records
        .into_iter()
        .map(|(who, at, size, bound)| {
            let stanza = "m".repeat(size.into()).into();
            let bytes_max = u64::from(bound) * 30;
            store.submit(waiting(
                account(who),
                DAY + at,
                stanza,
                bound + 1,
                bytes_max,
            ))
        })
        .collect();
    let mut answers = String::new();
    for ticket in tickets {
        write!(answers, "{:?} ", ticket.await).unwrap();
    }
    answers
}

/// All that can be read about an account.
async fn look(store: &impl Store, who: u8, since: u64) -> String {
    let account = account(who);
    let read = (
        store
            .account(account.clone())
            .await
            .unwrap()
            .map(|account| account.created),
        store
            .accounts("a.example".into(), Some(account.clone()), 2)
            .await
            .unwrap(),
        store.last(account.clone()).await.unwrap(),
        store.roster(account.clone()).await.unwrap(),
        store.roster_changes(account.clone(), since).await.unwrap(),
        store.offline(account.clone(), since, 3).await.unwrap(),
        store.offline_count(account.clone()).await.unwrap(),
        store.blocked(account.clone()).await.unwrap(),
        store.document(account.clone(), "k1".into()).await.unwrap(),
    );
    let archive = super::model_archive::look(store, account).await;
    debug((read, archive, model_pubsub::look(store, who).await))
}

pub(super) fn debug(value: impl std::fmt::Debug) -> String {
    format!("{value:?}")
}

pub(super) fn account(who: u8) -> BareJid {
    jid(&format!("user{who}@a.example"))
}

pub(super) fn contact_jid(contact: u8) -> BareJid {
    jid(&format!("contact{contact}@b.example"))
}

fn blocked(which: u8) -> Jid {
    contact_jid(which).into()
}
