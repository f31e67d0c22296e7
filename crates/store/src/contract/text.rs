//! Searching archives (XEP-0431).

use super::{archived, create, jid, last_page, submit};
use crate::{ArchiveFilter, Message, PageFrom, PageRequest, Store};

const ALICE: &str = "alice@a.example";

async fn say(store: &impl Store, with: &str, at: i64, text: Option<&str>) -> u64 {
    let message = Message {
        text: text.map(String::from),
        ..archived(ALICE, with, at, text.unwrap_or("nothing said"))
    };
    submit(store, message).await.unwrap().id
}

async fn search(store: &impl Store, text: &str, filter: ArchiveFilter) -> Vec<u64> {
    let request = PageRequest {
        max: 100,
        bytes_max: usize::MAX,
        from: PageFrom::First,
        flip: false,
        count: true,
    };
    let filter = ArchiveFilter {
        text: Some(text.to_owned()),
        ..filter
    };
    let page = store.archive_page(jid(ALICE), filter, request).await;
    let page = page.unwrap();
    assert_eq!(page.count, u32::try_from(page.entries.len()).ok());
    page.entries.iter().map(|entry| entry.id).collect()
}

pub(crate) async fn messages_are_found_by_what_they_say(store: &impl Store) {
    assert!(store.archive_index(true).await.unwrap());
    create(store, ALICE).await;
    for name in ["bob@a.example", "carol@a.example"] {
        create(store, name).await;
    }
    let dinner = say(store, "bob@a.example/pc", 1, Some("Dinner at eight?")).await;
    let lunch = say(
        store,
        "bob@a.example/tv",
        2,
        Some("No, lunch \u{2014} at EIGHT"),
    )
    .await;
    let other = say(store, "carol@a.example", 3, Some("eighty-eight dinners")).await;
    say(store, "bob@a.example", 4, None).await;
    let all = ArchiveFilter::default;
    for (text, found) in [
        ("dinner", vec![dinner, other]),
        ("DIN", vec![dinner, other]),
        ("inner", vec![]),
        ("eight at", vec![dinner, lunch]),
        ("eighty", vec![other]),
        ("\"dinner\" OR lunch*", vec![]),
        ("dinner -eight", vec![dinner, other]),
        ("nothing", vec![]),
        ("", vec![]),
        ("?! \"", vec![]),
    ] {
        assert_eq!(search(store, text, all()).await, found, "{text}");
    }
    for (filter, found) in [
        (with("bob@a.example"), vec![dinner, lunch]),
        (with("bob@a.example/tv"), vec![lunch]),
        (with("dave@a.example"), vec![]),
        (
            ArchiveFilter {
                after_id: Some(dinner),
                ..all()
            },
            vec![lunch, other],
        ),
        (
            ArchiveFilter {
                ids: Some(vec![dinner, other]),
                ..with("carol@a.example")
            },
            vec![other],
        ),
    ] {
        assert_eq!(search(store, "eight", filter).await, found);
    }
}

fn with(address: &str) -> ArchiveFilter {
    ArchiveFilter {
        with: Some(address.parse().unwrap()),
        ..ArchiveFilter::default()
    }
}

pub(crate) async fn what_has_gone_is_not_found(store: &impl Store) {
    assert!(store.archive_index(true).await.unwrap());
    create(store, ALICE).await;
    create(store, "bob@a.example").await;
    let mut ids = Vec::new();
    for at in 0..4 {
        ids.push(say(store, "bob@a.example", at, Some("word")).await);
    }
    let retracted = store.archive_retract(jid(ALICE), ids[3], "<gone/>".into());
    assert!(retracted.await.unwrap());
    let found = async || search(store, "word", ArchiveFilter::default()).await;
    assert_eq!(found().await, ids[..3]);
    store.archive_purge(jid(ALICE), None, 1).await.unwrap();
    assert_eq!(found().await, ids[1..3]);
    assert!(store.archive_index(false).await.unwrap());
    assert!(store.archive_index(true).await.unwrap());
    assert_eq!(found().await, [0; 0], "the index was removed");
    assert_eq!(last_page(store, &jid(ALICE)).await.len(), 3);
    let again = say(store, "bob@a.example", 9, Some("word")).await;
    assert_eq!(found().await, [again]);
    store.account_delete(jid(ALICE)).await.unwrap();
    create(store, ALICE).await;
    assert_eq!(found().await, [0; 0]);
}
