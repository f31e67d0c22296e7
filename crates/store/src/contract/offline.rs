use super::{
    DAY, archived, create, empty_queue, error, jid, message, session, submit, wait, waiting,
};
use crate::{SmSession, Store, Waiting};

pub(crate) async fn ids_rise_even_when_the_clock_does_not(store: &impl Store) {
    create(store, "alice@a.example").await;
    create(store, "bob@a.example").await;
    let mut ids = Vec::new();
    for at in [
        DAY,
        DAY,
        DAY - 3_600_000_000,
        DAY + 1_000,
        0,
        -5,
        DAY + 1_000,
    ] {
        for account in ["alice@a.example", "bob@a.example"] {
            ids.push(
                store
                    .submit(message(account, at, "<message/>"))
                    .await
                    .unwrap()
                    .id,
            );
        }
    }
    let start = u64::try_from(DAY).unwrap();
    assert_eq!(ids.first(), Some(&start), "an id is the time of its record");
    assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
    assert_eq!(ids.get(6), Some(&(start + 1_000)), "{ids:?}");
}

pub(crate) async fn one_refused_record_does_not_refuse_others(store: &impl Store) {
    create(store, "alice@a.example").await;
    let full = waiting(jid("alice@a.example"), DAY, "<message/>".into(), 0, 1_000);
    let tickets: Vec<_> = [
        message("alice@a.example", DAY, "one"),
        message("nobody@a.example", DAY, "two"),
        full,
        message("alice@a.example", DAY, "four"),
    ]
    .map(|record| store.submit(record))
    .into_iter()
    .collect();
    let mut outcomes = Vec::new();
    for ticket in tickets {
        outcomes.push(
            ticket
                .await
                .map(|outcome| outcome.id)
                .map_err(|error| error.to_string()),
        );
    }
    let [Ok(one), Err(two), Err(three), Ok(four)] = outcomes.as_slice() else {
        panic!("{outcomes:?}")
    };
    assert!(one < four);
    assert_eq!(
        [two.as_str(), three],
        [
            "no such account",
            "the quota offline_messages_max is reached"
        ]
    );
    let kept = store.offline(jid("alice@a.example"), 0, 10).await.unwrap();
    assert!(kept.iter().all(|message| !message.archived));
    let kept: Vec<_> = kept.iter().map(|message| &message.stanza[..]).collect();
    assert_eq!(kept, [&b"one"[..], b"four"]);
}

pub(crate) async fn waiting_messages_are_paged_and_removed(store: &impl Store) {
    let alice = create(store, "alice@a.example").await;
    create(store, "bob@a.example").await;
    let mut ids = Vec::new();
    for number in 0..5 {
        let at = DAY + number;
        ids.push(
            store
                .submit(message("alice@a.example", at, &format!("a{number}")))
                .await
                .unwrap()
                .id,
        );
        store
            .submit(message("bob@a.example", at, "b"))
            .await
            .unwrap();
    }
    let page = async |after, count| {
        let page = store
            .offline(jid("alice@a.example"), after, count)
            .await
            .unwrap();
        page.into_iter()
            .map(|message| {
                (
                    message.id,
                    message.at,
                    String::from_utf8(message.stanza.to_vec()).unwrap(),
                )
            })
            .collect::<Vec<_>>()
    };
    let all: Vec<_> = ids
        .iter()
        .zip(0..)
        .map(|(id, number)| (*id, DAY + number, format!("a{number}")))
        .collect();
    assert_eq!(page(0, 10).await, all);
    assert_eq!(page(0, 2).await, all[..2]);
    assert_eq!(page(ids[1], 2).await, all[2..4]);
    assert_eq!(page(ids[4], 2).await, []);
    assert_eq!(page(u64::MAX, 2).await, []);

    let remove = async |ids: &[u64]| {
        let removed = store.offline_remove(alice.clone(), ids.to_vec());
        removed.await.unwrap();
    };
    remove(&[ids[2], ids[0]]).await;
    let left = [all[1].clone(), all[3].clone(), all[4].clone()];
    assert_eq!(page(0, 10).await, left);
    remove(&[]).await;
    remove(&[ids[0], 1, u64::MAX]).await;
    assert_eq!(page(0, 10).await, left, "these do not wait");
    assert_eq!(store.offline_count(alice.clone()).await.unwrap(), 3);
    empty_queue(store, &alice).await;
    assert_eq!(store.offline_count(alice.clone()).await.unwrap(), 0);
    assert_eq!(
        store.offline_count(jid("bob@a.example")).await.unwrap(),
        5,
        "not Bob's"
    );
}

/// What is put into the queue in front of what somebody has read is not forgotten with that.
pub(crate) async fn what_came_before_those_read_is_not_removed(store: &impl Store) {
    create(store, "alice@a.example").await;
    let bob = create(store, "bob@a.example").await;
    let mut ids = Vec::new();
    for text in ["one", "two", "three"] {
        let sent = archived("alice@a.example", "bob@a.example", DAY, text);
        ids.push(submit(store, sent).await.unwrap().id);
    }
    wait(store, &bob, ids[2], 9, 99).await.unwrap();
    let read = store.offline(bob.clone(), 0, 10).await.unwrap();
    let read: Vec<u64> = read.iter().map(|message| message.id).collect();
    assert_eq!(read, ids[2..]);
    // A session of the same account ends, which had not acknowledged these.
    let other = SmSession {
        acknowledged: 0,
        ..session("s")
    };
    let other_key = other.key();
    store.session_put(bob.clone(), other, 9).await.unwrap();
    let place = Waiting {
        account: bob.clone(),
        messages_max: 9,
        bytes_max: 99,
    };
    let ended = store.session_end(bob.clone(), other_key, Some(ids[1]), Some(place));
    assert!(ended.await.unwrap());
    store.offline_remove(bob.clone(), read).await.unwrap();
    let left = store.offline(bob.clone(), 0, 10).await.unwrap();
    let left: Vec<u64> = left.iter().map(|message| message.id).collect();
    assert_eq!(left, ids[..2]);
}

pub(crate) async fn offline_quotas_count_what_waits(store: &impl Store) {
    let alice = create(store, "alice@a.example").await;
    let submit =
        |text: &'static str| store.submit(waiting(jid("alice@a.example"), DAY, text.into(), 3, 10));
    let first = submit("12345").await.unwrap().id;
    assert_eq!(
        error(submit("123456").await),
        "Quota(\"offline_bytes_max\")"
    );
    submit("12345").await.unwrap();
    submit("").await.unwrap();
    assert_eq!(error(submit("").await), "Quota(\"offline_messages_max\")");
    store
        .offline_remove(alice.clone(), vec![first])
        .await
        .unwrap();
    assert_eq!(
        error(submit("123456").await),
        "Quota(\"offline_bytes_max\")"
    );
    submit("1234").await.unwrap();
    assert_eq!(store.offline_count(alice).await.unwrap(), 3);
}
