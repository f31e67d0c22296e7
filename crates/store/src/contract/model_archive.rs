//! The part of the random operations that is about archives and sessions.

use super::{
    DAY, archived, last_page,
    model::{Call, account, contact_jid, debug},
    session, submit, wait,
};
use crate::{
    ArchiveFilter, Handled, Message, PageFrom, PageRequest, Resend, SessionKey, SessionUpdate,
    SmSession, Stanzas, Store, Ticket, Waiting,
};
use proptest::prelude::*;
use std::fmt::Write as _;
use waxwing_proto::{BareJid, Jid};

/// A message: what it is about, by numbers as above.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    from: u8,
    to: u8,
    at: i64,
    size: u8,
    /// Whether the sender archives it, the recipient does.
    archives: [bool; 2],
    flags: u32,
    waiting: Option<u32>,
    resend: Option<u8>,
    /// A session and its generation.
    handled: Option<(u8, u64)>,
    text: Option<&'static str>,
}

/// What messages say.
const TEXTS: [&str; 4] = [
    "Red fish",
    "blue fish",
    "One redder Fisher: red!",
    "\u{c9}clair",
];
/// What is searched for.
const SOUGHT: [&str; 5] = ["fish", "red", "FISH red", "\u{e9}c", ""];

/// A query of an archive; entries by their place in it, some too far.
#[derive(Debug, Clone)]
pub(crate) struct Query {
    with: Option<u8>,
    span: [Option<i64>; 2],
    /// After, before, only these.
    ids: (Option<usize>, Option<usize>, Option<Vec<usize>>),
    text: Option<&'static str>,
    flags: [u32; 2],
    max: u32,
    bytes_max: usize,
    /// Its kind and the entry it is about.
    from: (u8, usize),
    flip: bool,
}

/// Does a call of this part.
pub(super) async fn answer(store: &impl Store, call: Call) -> String {
    match call {
        Call::Messages(messages) => {
            let tickets: Vec<_> = messages.iter().map(|sent| send(store, sent)).collect();
            let mut answers = String::new();
            for ticket in tickets {
                write!(answers, "{:?} ", ticket.await).unwrap();
            }
            answers
        }
        Call::Page(who, query) => page(store, account(who), query).await,
        Call::Retract(who, nth) => {
            let id = nth_id(store, &account(who), nth).await;
            debug(store.archive_retract(account(who), id, "gone".into()).await)
        }
        Call::Purge(who, nth, count) => {
            let mut before = None;
            if let Some(nth) = nth {
                let id = nth_id(store, &account(who), nth).await;
                before = Some(i64::try_from(id).unwrap());
            }
            debug(store.archive_purge(account(who), before, count).await)
        }
        Call::Wait(who, nths, bound) => {
            let mut tickets = Vec::new();
            for nth in nths {
                let id = nth_id(store, &account(who), nth).await;
                tickets.push(wait(
                    store,
                    &account(who),
                    id,
                    bound + 1,
                    u64::from(bound) * 30,
                ));
            }
            let mut answers = String::new();
            for ticket in tickets {
                write!(answers, "{:?} ", ticket.await).unwrap();
            }
            answers
        }
        Call::Forget(before, count) => debug(store.resends_forget(DAY + before, count).await),
        other => answer_session(store, other).await,
    }
}

async fn answer_session(store: &impl Store, call: Call) -> String {
    let key = |id: u8, generation| SessionKey {
        id: id.to_string(),
        generation,
    };
    match call {
        Call::SessionPut(who, id, expires) => {
            let session = SmSession {
                expires,
                ..session(&id.to_string())
            };
            debug(store.session_put(account(who), session, 1).await)
        }
        Call::SessionTake(who, id, generation) => {
            debug(store.session_take(account(who), key(id, generation)).await)
        }
        Call::SessionUpdate(who, id, generation, count) => {
            let update = SessionUpdate {
                handled: (count % 3 > 0).then_some(count),
                acknowledged: (count % 3 > 1).then_some(count.into()),
                expires: (count % 5 > 0).then_some((count % 5 > 1).then_some(5)),
                state: (count % 2 > 0).then(|| count.to_string().into()),
            };
            let update = store.session_update(account(who), key(id, generation), update);
            debug(update.await)
        }
        Call::SessionRemove(who, id, generation) => debug(
            store
                .session_remove(account(who), key(id, generation))
                .await,
        ),
        Call::SessionKeep(who, id, generation, sizes) => {
            let keep = Stanzas {
                at: DAY,
                stanzas: sizes
                    .iter()
                    .map(|size| "k".repeat((*size).into()).into())
                    .collect(),
                stanzas_max: 5,
                bytes_max: 60,
            };
            debug(
                store
                    .session_keep(account(who), key(id, generation), keep)
                    .await,
            )
        }
        Call::SessionForget(who, id, generation, nth) => {
            let kept = store.session_kept(account(who), id.to_string(), 0, 99);
            let kept = kept.await.unwrap();
            let last = kept.get(nth).map_or(0, |kept| kept.id);
            debug(
                store
                    .session_forget(account(who), key(id, generation), last)
                    .await,
            )
        }
        Call::SessionEnd((who, id, generation), nth, bound) => {
            let until = match nth {
                Some(nth) => Some(nth_id(store, &account(who), nth).await),
                None => None,
            };
            let waiting = bound.map(|bound| Waiting {
                account: account(who),
                messages_max: bound + 1,
                bytes_max: u64::from(bound) * 30,
            });
            let end = store.session_end(account(who), key(id, generation), until, waiting);
            debug(end.await)
        }
        Call::Release(expires) => debug(store.sessions_release(expires).await),
        other => panic!("{other:?} is of the other part"),
    }
}

fn send(store: &impl Store, sent: &Sent) -> Ticket {
    // User 3 never exists.
    let (from, to) = (account(sent.from), account(sent.to));
    let text = "m".repeat(sent.size.into());
    let mut message = Message {
        text: sent.text.map(String::from),
        origin: (sent.size > 5).then(|| (sent.size % 2).to_string()),
        waiting: sent.waiting.map(|bound| Waiting {
            account: to.clone(),
            messages_max: bound + 1,
            bytes_max: u64::from(bound) * 30,
        }),
        resend: sent.resend.map(|key| Resend {
            account: from.clone(),
            key: [key; 16],
        }),
        handled: sent.handled.map(|(id, generation)| Handled {
            account: from.clone(),
            session: SessionKey {
                id: id.to_string(),
                generation,
            },
            count: sent.size.into(),
        }),
        ..archived(
            &format!("{from}/r{}", sent.size % 2),
            to.as_str(),
            DAY + sent.at,
            &text,
        )
    };
    let [sender, recipient] = sent.archives;
    message.sender = message.sender.filter(|_| sender);
    message.recipient = message.recipient.filter(|_| recipient);
    for entry in message.sender.iter_mut().chain(&mut message.recipient) {
        entry.flags = sent.flags;
    }
    submit(store, message)
}

/// The id at a place in an archive, or one that is in no archive.
async fn nth_id(store: &impl Store, account: &BareJid, nth: usize) -> u64 {
    let page = last_page(store, account).await;
    page.get(nth).map_or(1, |entry| entry.id)
}

async fn page(store: &impl Store, account: BareJid, query: Query) -> String {
    let all = last_page(store, &account).await;
    let id = |nth: usize| all.get(nth).map_or(1, |entry| entry.id);
    let (after, before, ids) = query.ids;
    let [start, end] = query.span;
    let [flags_all, flags_none] = query.flags;
    let filter = ArchiveFilter {
        with: query.with.map(partner),
        start: start.map(|at| DAY + at),
        end: end.map(|at| DAY + at),
        after_id: after.map(id),
        before_id: before.map(id),
        ids: ids.map(|ids| ids.into_iter().map(id).collect()),
        text: query.text.map(String::from),
        flags_all,
        flags_none,
    };
    let request = PageRequest {
        max: query.max,
        bytes_max: query.bytes_max,
        from: match query.from {
            (0, _) => PageFrom::First,
            (1, nth) => PageFrom::After(id(nth)),
            (2, nth) => PageFrom::Before(id(nth)),
            _ => PageFrom::Last,
        },
        flip: query.flip,
        count: true,
    };
    debug(store.archive_page(account, filter, request).await)
}

/// A bare address that messages are from or to, or one with a resource.
fn partner(which: u8) -> Jid {
    match which {
        0..3 => account(which).into(),
        3 => contact_jid(0).into(),
        _ => Jid::parse(&format!("user0@a.example/r{}", which - 4)).unwrap(),
    }
}

/// All that can be read about an account in this part.
pub(super) async fn look(store: &impl Store, account: BareJid) -> String {
    let mut kept = Vec::new();
    for id in ["0", "1"] {
        let page = store.session_kept(account.clone(), id.into(), 0, 9);
        kept.push(page.await.unwrap());
    }
    let found = store.archive_find(account.clone(), super::jid("user1@a.example"), "1".into());
    let read = (
        last_page(store, &account).await,
        store.archive_ends(account.clone()).await.unwrap(),
        found.await.unwrap(),
        store.sessions(account.clone()).await.unwrap(),
        store.sessions_expired(7, 3).await.unwrap(),
        kept,
    );
    debug(read)
}

pub(super) fn sessions() -> impl Strategy<Value = Call> {
    let key = || (0..3_u8, 0..2_u8, 1..4_u64);
    prop_oneof![
        4 => (0..3_u8, 0..2_u8, proptest::option::of(0..9_i64))
            .prop_map(|(who, id, expires)| Call::SessionPut(who, id, expires)),
        2 => key().prop_map(|(who, id, generation)| Call::SessionTake(who, id, generation)),
        2 => (key(), any::<u32>())
            .prop_map(|((who, id, generation), count)| Call::SessionUpdate(who, id, generation, count)),
        1 => key().prop_map(|(who, id, generation)| Call::SessionRemove(who, id, generation)),
        4 => (key(), proptest::collection::vec(0..30_u16, 0..4))
            .prop_map(|((who, id, generation), sizes)| Call::SessionKeep(who, id, generation, sizes)),
        2 => (key(), 0..4_usize)
            .prop_map(|((who, id, generation), nth)| Call::SessionForget(who, id, generation, nth)),
        2 => (
            key(),
            proptest::option::of(0..9_usize),
            proptest::option::weighted(0.8, 0..5_u32),
        )
            .prop_map(|(key, until, bound)| Call::SessionEnd(key, until, bound)),
        1 => (0..9_i64).prop_map(Call::Release),
    ]
}

pub(super) fn sent() -> impl Strategy<Value = Sent> {
    let people = (0..3_u8, 0..4_u8);
    let marks = (
        proptest::option::of(0..5_u32),
        proptest::option::of(0..3_u8),
        proptest::option::weighted(0.2, (0..2_u8, 1..3_u64)),
        proptest::option::of(proptest::sample::select(&TEXTS)),
    );
    (
        people,
        -50..50_i64,
        0..40_u8,
        any::<[bool; 2]>(),
        0..4_u32,
        marks,
    )
        .prop_map(
            |((from, to), at, size, archives, flags, (waiting, resend, handled, text))| Sent {
                from,
                to,
                at,
                size,
                archives,
                flags,
                waiting,
                resend,
                handled,
                text,
            },
        )
}

pub(super) fn query() -> impl Strategy<Value = Query> {
    let nth = || proptest::option::weighted(0.3, 0..9_usize);
    let some = proptest::option::weighted(0.3, proptest::collection::vec(0..8_usize, 0..4));
    let time = || proptest::option::weighted(0.3, -60..60_i64);
    let with = proptest::option::of(0..6_u8);
    let text = proptest::option::weighted(0.3, proptest::sample::select(&SOUGHT));
    (
        (with, time(), time(), nth(), nth(), some),
        (
            0..2_u32,
            0..2_u32,
            (0..5_u32, prop_oneof![Just(usize::MAX), 0..100_usize]),
            0..4_u8,
            0..9_usize,
            any::<bool>(),
        ),
        text,
    )
        .prop_map(|((with, start, end, after, before, ids), page, text)| {
            let (all, none, (max, bytes_max), kind, nth, flip) = page;
            Query {
                with,
                span: [start, end],
                ids: (after, before, ids),
                text,
                flags: [all, none],
                max,
                bytes_max,
                from: (kind, nth),
                flip,
            }
        })
}
