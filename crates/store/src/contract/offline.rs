use super::{DAY, create, error, jid, message, waiting};
use crate::Store;

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

    store.offline_remove(alice.clone(), ids[2]).await.unwrap();
    assert_eq!(page(0, 10).await, all[3..]);
    assert_eq!(store.offline_count(alice.clone()).await.unwrap(), 2);
    store.offline_remove(alice.clone(), u64::MAX).await.unwrap();
    assert_eq!(store.offline_count(alice).await.unwrap(), 0);
    assert_eq!(
        store.offline_count(jid("bob@a.example")).await.unwrap(),
        5,
        "not Bob's"
    );
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
    store.offline_remove(alice.clone(), first).await.unwrap();
    assert_eq!(
        error(submit("123456").await),
        "Quota(\"offline_bytes_max\")"
    );
    submit("1234").await.unwrap();
    assert_eq!(store.offline_count(alice).await.unwrap(), 3);
}
