use super::{DAY, create, error, jid};
use crate::{Departure, Entry, Message, Record, Route, Store};
use bytes::Bytes;

fn route(local: &str, remote: &str) -> Route {
    Route {
        local: local.to_owned(),
        remote: remote.to_owned(),
    }
}

fn departing(local: &str, remote: &str, stanza: &str) -> Message {
    Message {
        outgoing: Some(Departure {
            route: route(local, remote),
            messages_max: 3,
            bytes_max: 10,
        }),
        ..Message::new(DAY, Bytes::copy_from_slice(stanza.as_bytes()))
    }
}

async fn waiting(store: &impl Store, remote: &str, after: u64) -> Vec<String> {
    let messages = store.outgoing(route("a.example", remote), after, 10);
    let messages = messages.await.unwrap();
    assert!(messages.is_sorted_by(|a, b| a.id < b.id));
    let text = |stanza: Bytes| String::from_utf8(stanza.to_vec()).unwrap();
    messages
        .into_iter()
        .map(|message| text(message.stanza))
        .collect()
}

pub(crate) async fn messages_wait_for_other_domains_in_order(store: &impl Store) {
    create(store, "alice@a.example").await;
    let archived = Message {
        origin: Some("two".to_owned()),
        sender: Some(Entry {
            account: jid("alice@a.example"),
            with: "bob@b.example".parse().unwrap(),
            outgoing: true,
            flags: 0,
        }),
        ..departing("a.example", "b.example", "two")
    };
    let mut ids = Vec::new();
    for message in [
        departing("a.example", "b.example", "one"),
        archived,
        departing("a.example", "c.example", "c"),
        departing("d.example", "b.example", "d"),
        departing("a.example", "b.example", "three"),
    ] {
        ids.push(
            store
                .submit(Record::from(message))
                .await
                .map(|outcome| outcome.id),
        );
    }
    let last = ids.pop().unwrap();
    assert_eq!(error(last), r#"Quota("outgoing_bytes_max")"#);
    let ids: Vec<u64> = ids.into_iter().map(Result::unwrap).collect();
    assert_eq!(waiting(store, "b.example", 0).await, ["one", "two"]);
    assert_eq!(waiting(store, "b.example", ids[0]).await, ["two"]);

    let routes = store.outgoing_routes(None, 2).await.unwrap();
    assert_eq!(
        routes,
        [
            route("a.example", "b.example"),
            route("a.example", "c.example")
        ]
    );
    let more = store
        .outgoing_routes(routes.last().cloned(), 2)
        .await
        .unwrap();
    assert_eq!(more, [route("d.example", "b.example")]);

    // What was sent is forgotten; what an archive has stays there.
    let taken = route("a.example", "b.example");
    store.outgoing_remove(taken.clone(), ids[1]).await.unwrap();
    assert!(waiting(store, "b.example", 0).await.is_empty());
    let (alice, bob) = (jid("alice@a.example"), jid("bob@b.example"));
    let found = store.archive_find(alice, bob, "two".to_owned()).await;
    assert_eq!(found.unwrap()[0].stanza, "two");
    let routes = store.outgoing_routes(None, 9).await.unwrap();
    assert_eq!(
        routes,
        [
            route("a.example", "c.example"),
            route("d.example", "b.example")
        ]
    );
    store.outgoing_remove(taken, u64::MAX >> 1).await.unwrap();
}

pub(crate) async fn queues_towards_other_domains_have_bounds(store: &impl Store) {
    for stanza in ["1", "2", "3"] {
        let record = Record::from(departing("a.example", "b.example", stanza));
        store.submit(record).await.unwrap();
    }
    let full = store.submit(Record::from(departing("a.example", "b.example", "4")));
    assert_eq!(error(full.await), r#"Quota("outgoing_messages_max")"#);
    let other = store.submit(Record::from(departing("a.example", "c.example", "5")));
    let id = other.await.unwrap().id;
    let oldest = store
        .outgoing(route("a.example", "b.example"), 0, 1)
        .await
        .unwrap();
    store
        .outgoing_remove(route("a.example", "b.example"), oldest[0].id)
        .await
        .unwrap();
    let room = store.submit(Record::from(departing("a.example", "b.example", "6")));
    assert!(room.await.unwrap().id > id);
    assert_eq!(waiting(store, "b.example", 0).await, ["2", "3", "6"]);
}
