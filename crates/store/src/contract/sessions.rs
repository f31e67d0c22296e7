use super::{
    DAY, archived, create, empty_queue, error, jid, session, submit, texts as texts_of_archive,
    wait,
};
use crate::{Record, SessionChange, SessionKey, SessionUpdate, SmSession, Stanzas, Store, Waiting};
use waxwing_proto::BareJid;

fn key(id: &str, generation: u64) -> SessionKey {
    SessionKey {
        id: id.into(),
        generation,
    }
}

fn stanzas(texts: &[&'static str], stanzas_max: u32, bytes_max: u64) -> Stanzas {
    Stanzas {
        at: DAY,
        stanzas: texts.iter().map(|text| (*text).into()).collect(),
        stanzas_max,
        bytes_max,
    }
}

async fn kept(store: &impl Store, account: &BareJid, id: &str) -> Vec<(u64, String)> {
    let kept = store.session_kept(account.clone(), id.into(), 0, 100);
    let kept = kept.await.unwrap().into_iter();
    kept.map(|kept| (kept.id, String::from_utf8(kept.stanza.to_vec()).unwrap()))
        .collect()
}

pub(crate) async fn sessions_are_kept_and_bounded(store: &impl Store) {
    let alice = create(store, "alice@a.example").await;
    let put = |id: &str, max| store.session_put(alice.clone(), session(id), max);
    put("b", 2).await.unwrap();
    assert_eq!(error(put("b", 2).await), "Exists");
    put("a", 2).await.unwrap();
    assert_eq!(error(put("c", 2).await), "Quota(\"sm_sessions_max\")");
    let all = store.sessions(alice.clone()).await.unwrap();
    assert_eq!(all, [session("a"), session("b")], "in the order of ids");

    let update = SessionUpdate {
        handled: Some(5),
        acknowledged: Some(7),
        expires: Some(Some(DAY)),
        state: Some("other".into()),
    };
    let wanted = SmSession {
        handled: 5,
        acknowledged: 7,
        expires: Some(DAY),
        state: "other".into(),
        ..session("a")
    };
    let read = async || {
        let found = store.session(alice.clone(), "a".into()).await.unwrap();
        found.unwrap()
    };
    let change = |update| store.session_update(alice.clone(), key("a", 1), update);
    change(update).await.unwrap();
    assert_eq!(read().await, wanted);
    change(SessionUpdate::default()).await.unwrap();
    assert_eq!(read().await, wanted, "nothing given, nothing changed");
    for (given, handled) in [
        (4, 5),
        (1 << 31, 1 << 31),
        (5, 1 << 31),
        (u32::MAX, u32::MAX),
    ] {
        let update = SessionUpdate {
            handled: Some(given),
            ..SessionUpdate::default()
        };
        let record = |generation| {
            store.submit(Record::Session(Box::new(SessionChange {
                account: alice.clone(),
                key: key("a", generation),
                update: update.clone(),
            })))
        };
        assert_eq!(error(record(2).await), "Conflict");
        record(1).await.unwrap();
        assert_eq!(read().await.handled, handled, "{given}: only forwards");
    }
    let lives = SessionUpdate {
        expires: Some(None),
        ..SessionUpdate::default()
    };
    change(lives).await.unwrap();
    assert_eq!(read().await.expires, None);

    store
        .session_remove(alice.clone(), key("a", 1))
        .await
        .unwrap();
    assert_eq!(
        store.session(alice.clone(), "a".into()).await.unwrap(),
        None
    );
    assert_eq!(store.sessions(alice).await.unwrap(), [session("b")]);
    assert!(store.sessions(jid("x@a.example")).await.unwrap().is_empty());
    let nobodys = store.session(jid("x@a.example"), "b".into()).await.unwrap();
    assert_eq!(nobodys, None);
}

pub(crate) async fn only_one_can_take_a_session(store: &impl Store) {
    let alice = create(store, "alice@a.example").await;
    let asleep = SmSession {
        generation: 9,
        expires: Some(DAY),
        ..session("s")
    };
    store.session_put(alice.clone(), asleep, 9).await.unwrap();
    // Both queued before either is done.
    let takes = [(); 2].map(|()| store.session_take(alice.clone(), key("s", 1)));
    let mut results = Vec::new();
    for take in takes {
        results.push(take.await.map_err(|error| format!("{error:?}")));
    }
    let wanted = SmSession {
        generation: 2,
        ..session("s")
    };
    assert_eq!(results, [Ok(wanted), Err("Conflict".into())]);

    // What the former owner tries, and what is tried on no session.
    for (id, generation, wanted) in [
        ("s", 1, "Conflict"),
        ("s", 3, "Conflict"),
        ("t", 1, "NoItem"),
    ] {
        let key = || key(id, generation);
        let keep = stanzas(&["x"], 9, 99);
        let errors = [
            error(store.session_take(alice.clone(), key()).await),
            error(
                store
                    .session_update(alice.clone(), key(), SessionUpdate::default())
                    .await,
            ),
            error(store.session_keep(alice.clone(), key(), keep).await),
            error(store.session_forget(alice.clone(), key(), 1).await),
            error(store.session_remove(alice.clone(), key()).await),
        ];
        assert_eq!(errors, [wanted; 5], "{id} {generation}");
    }
    store
        .session_remove(alice.clone(), key("s", 2))
        .await
        .unwrap();
    store
        .session_put(alice.clone(), session("s"), 9)
        .await
        .unwrap();
    store
        .session_take(alice, key("s", 1))
        .await
        .expect("a new one begins at 1");
}

pub(crate) async fn stanzas_are_kept_for_sessions_in_order(store: &impl Store) {
    let alice = create(store, "alice@a.example").await;
    for id in ["s", "t"] {
        store
            .session_put(alice.clone(), session(id), 9)
            .await
            .unwrap();
    }
    let keep = |id: &str, texts: &[&'static str]| {
        store.session_keep(alice.clone(), key(id, 1), stanzas(texts, 3, 6))
    };
    let first = keep("s", &["1", "22"]).await.unwrap();
    let mut message = archived("alice@a.example", "x@b.example", DAY, "m");
    message.recipient = None;
    let archived = submit(store, message).await.unwrap().id;
    let other = keep("t", &["other"]).await.unwrap();
    assert_eq!(keep("s", &[]).await.unwrap(), 0, "none");
    assert_eq!(
        error(keep("s", &["3", "4"]).await),
        "Quota(\"sm_session_stanzas_max\")"
    );
    assert_eq!(
        error(keep("s", &["4444"]).await),
        "Quota(\"sm_session_bytes_max\")"
    );
    let second = keep("s", &["333"]).await.unwrap();
    let day = u64::try_from(DAY).unwrap();
    assert_eq!(
        [first, archived, other, second],
        [day + 1, day + 2, day + 3, day + 4],
        "one order for all"
    );
    let all = [(day, "1"), (first, "22"), (second, "333")].map(|(id, text)| (id, text.to_owned()));
    assert_eq!(kept(store, &alice, "s").await, all);
    let page = store.session_kept(alice.clone(), "s".into(), day, 1);
    assert_eq!(page.await.unwrap()[0].id, first);

    let forget = |last| store.session_forget(alice.clone(), key("s", 1), last);
    forget(first).await.unwrap();
    assert_eq!(kept(store, &alice, "s").await, all[2..]);
    assert_eq!(
        error(keep("s", &["4444"]).await),
        "Quota(\"sm_session_bytes_max\")"
    );
    keep("s", &["55", "6"])
        .await
        .expect("room again, to the byte");
    store
        .session_remove(alice.clone(), key("s", 1))
        .await
        .unwrap();
    store
        .session_put(alice.clone(), session("s"), 9)
        .await
        .unwrap();
    assert!(
        kept(store, &alice, "s").await.is_empty(),
        "went with its session"
    );
    assert_eq!(kept(store, &alice, "t").await.len(), 1);
    assert!(kept(store, &jid("x@a.example"), "t").await.is_empty());
}

pub(crate) async fn sessions_expire(store: &impl Store) {
    for (name, id, expires) in [
        ("bob", "b1", Some(3)),
        ("alice", "a2", Some(3)),
        ("alice", "a1", Some(1)),
        ("alice", "a3", None),
        ("bob", "b2", Some(5)),
    ] {
        let account = format!("{name}@a.example");
        let asleep = SmSession {
            expires,
            ..session(id)
        };
        if store.account(jid(&account)).await.unwrap().is_none() {
            create(store, &account).await;
        }
        store.session_put(jid(&account), asleep, 9).await.unwrap();
    }
    let expired = async |now, count| {
        let expired = store.sessions_expired(now, count).await.unwrap();
        let expired = expired.into_iter();
        expired
            .map(|(account, key)| {
                format!("{} {} {}", account.local().unwrap(), key.id, key.generation)
            })
            .collect::<Vec<_>>()
    };
    assert!(expired(1, 9).await.is_empty());
    assert_eq!(expired(2, 9).await, ["alice a1 1"]);
    assert_eq!(
        expired(5, 9).await,
        ["alice a1 1", "alice a2 1", "bob b1 1"]
    );
    assert_eq!(expired(5, 2).await, ["alice a1 1", "alice a2 1"]);
    store
        .session_take(jid("alice@a.example"), key("a1", 1))
        .await
        .unwrap();
    assert_eq!(
        expired(9, 9).await,
        ["alice a2 1", "bob b1 1", "bob b2 1"],
        "taken ones live"
    );
}

pub(crate) async fn what_a_session_missed_waits_when_it_ends(store: &impl Store) {
    let alice = create(store, "alice@a.example").await;
    let mut ids = Vec::new();
    for (from, to, text) in [
        ("x@b.example", "alice@a.example", "acknowledged"),
        ("x@b.example", "alice@a.example", "one"),
        ("alice@a.example", "x@b.example", "sent"),
        ("x@b.example", "alice@a.example", "retracted"),
        ("x@b.example", "alice@a.example", "waits"),
        ("x@b.example", "alice@a.example", "two"),
        ("x@b.example", "alice@a.example", "longest"),
        ("x@b.example", "alice@a.example", "3"),
    ] {
        let mut message = archived(from, to, DAY, text);
        message.sender = message.sender.filter(|entry| entry.account == alice);
        message.recipient = message.recipient.filter(|entry| entry.account == alice);
        ids.push(submit(store, message).await.unwrap().id);
    }
    let retract = store.archive_retract(alice.clone(), ids[3], "gone".into());
    retract.await.unwrap();
    wait(store, &alice, ids[4], 9, 99).await.unwrap();
    let end = async |(acknowledged, until), bounds: Option<(u32, u64)>| {
        let asleep = SmSession {
            acknowledged,
            ..session("s")
        };
        let put = store.session_put(alice.clone(), asleep, 9);
        put.await.expect("the former is gone");
        let keep = stanzas(&["kept"], 9, 99);
        let keep = store.session_keep(alice.clone(), key("s", 1), keep);
        keep.await.unwrap();
        let waiting = bounds.map(|(messages_max, bytes_max)| Waiting {
            account: alice.clone(),
            messages_max,
            bytes_max,
        });
        let late = store.session_end(alice.clone(), key("s", 2), until, waiting.clone());
        assert_eq!(error(late.await), "Conflict");
        let end = store.session_end(alice.clone(), key("s", 1), until, waiting);
        let put = end.await.unwrap();
        assert!(kept(store, &alice, "s").await.is_empty());
        let again = store.session_end(alice.clone(), key("s", 1), until, None);
        assert_eq!(error(again.await), "NoItem");
        let waiting = store.offline(alice.clone(), 0, 10).await.unwrap();
        let waiting = waiting.iter();
        let texts: Vec<_> = waiting.map(|w| w.stanza.clone()).collect();
        (put, texts)
    };
    assert_eq!(
        end((ids[0], None), None).await,
        (false, vec!["waits".into()])
    );
    let (put, texts) = end((ids[0], None), Some((0, 0))).await;
    assert_eq!((put, texts.len()), (false, 1), "no room");
    let (put, texts) = end((ids[7], None), Some((9, 99))).await;
    assert_eq!((put, texts.len()), (false, 1), "nothing after that one");
    let (put, texts) = end((ids[1], Some(ids[0])), Some((9, 99))).await;
    assert_eq!((put, texts.len()), (false, 1), "nothing in between");
    // Once the longest does not fit, the shorter one after it stays out as well.
    assert_eq!(
        end((ids[0], Some(ids[1])), Some((9, 99))).await,
        (true, vec!["one".into(), "waits".into()])
    );
    assert_eq!(
        end((ids[0], None), Some((9, 14))).await,
        (true, vec!["one".into(), "waits".into(), "two".into()])
    );
    assert_eq!(
        end((ids[6], None), Some((4, 99))).await.1.last().unwrap(),
        "3"
    );
    let (put, texts) = end((0, None), Some((9, 99))).await;
    assert_eq!(
        (put, texts.len()),
        (true, 6),
        "and no tombstone, and nothing sent"
    );
    let (put, texts) = end((0, None), Some((9, 99))).await;
    assert_eq!((put, texts.len()), (false, 6), "all of it waits already");
    empty_queue(store, &alice).await;
    assert_eq!(store.offline_count(alice.clone()).await.unwrap(), 0);
    let left = texts_of_archive(store, &alice).await;
    assert_eq!(left.len(), 8, "the archive keeps what waited");
}

pub(crate) async fn sessions_of_a_server_that_ended_are_released(store: &impl Store) {
    for (name, expires) in [("alice", None), ("bob", Some(3))] {
        let account = create(store, &format!("{name}@a.example")).await;
        for id in ["a", "b"] {
            let session = SmSession {
                expires: expires.filter(|_| id == "a"),
                ..session(id)
            };
            store
                .session_put(account.clone(), session, 9)
                .await
                .unwrap();
        }
    }
    assert_eq!(store.sessions_release(DAY).await.unwrap(), 3);
    assert_eq!(store.sessions_release(9).await.unwrap(), 0);
    for (name, expires) in [("alice", [DAY, DAY]), ("bob", [3, DAY])] {
        let account = jid(&format!("{name}@a.example"));
        let sessions = store.sessions(account.clone()).await.unwrap();
        let all: Vec<_> = sessions.iter().map(|session| session.expires).collect();
        assert_eq!(all, expires.map(Some), "{name}");
        // Their owners are not changed by it.
        store.session_take(account, key("a", 1)).await.unwrap();
    }
}

pub(crate) async fn session_writes_need_no_polling(store: &impl Store) {
    let alice = create(store, "alice@a.example").await;
    drop(store.session_put(alice.clone(), session("s"), 9));
    drop(store.session_take(alice.clone(), key("s", 1)));
    let update = SessionUpdate {
        acknowledged: Some(7),
        ..SessionUpdate::default()
    };
    drop(store.session_update(alice.clone(), key("s", 2), update.clone()));
    drop(store.session_update(
        alice.clone(),
        key("s", 1),
        SessionUpdate {
            acknowledged: Some(8),
            ..update
        },
    ));
    drop(store.session_keep(alice.clone(), key("s", 2), stanzas(&["one", "two"], 9, 99)));
    drop(store.session_forget(alice.clone(), key("s", 2), 1));
    drop(store.sessions_release(DAY));
    // Done in the order of the calls: this one comes last.
    create(store, "bob@a.example").await;
    let wanted = SmSession {
        generation: 2,
        acknowledged: 7,
        expires: Some(DAY),
        ..session("s")
    };
    let read = store.session(alice.clone(), "s".into()).await.unwrap();
    assert_eq!(read, Some(wanted));
    assert_eq!(kept(store, &alice, "s").await.len(), 2);
    drop(store.session_end(alice.clone(), key("s", 2), None, None));
    create(store, "carol@a.example").await;
    assert!(store.sessions(alice).await.unwrap().is_empty());
}

pub(crate) async fn session_writes_need_the_account(store: &impl Store) {
    let nobody = || jid("nobody@a.example");
    let errors = [
        error(store.session_put(nobody(), session("s"), 9).await),
        error(store.session_take(nobody(), key("s", 1)).await),
        error(
            store
                .session_update(nobody(), key("s", 1), SessionUpdate::default())
                .await,
        ),
        error(
            store
                .session_keep(nobody(), key("s", 1), stanzas(&[], 9, 9))
                .await,
        ),
        error(store.session_forget(nobody(), key("s", 1), 1).await),
        error(store.session_remove(nobody(), key("s", 1)).await),
        error(store.session_end(nobody(), key("s", 1), None, None).await),
    ];
    assert_eq!(errors, ["NoAccount"; 7]);
}
