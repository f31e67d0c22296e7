use super::{create, error, item, jid, request};
use crate::{
    ROSTER_REMOVALS_MAX, ROSTER_REQUEST_BYTES_MAX, ROSTER_REQUESTS_MAX, RosterChange, RosterItem,
    Store,
};
use waxwing_proto::BareJid;

/// Changes as short text: `+` for an item, `-` for a removal, with the version.
async fn changes(store: &impl Store, account: &BareJid, since: u64) -> Option<String> {
    let changes = store
        .roster_changes(account.clone(), since)
        .await
        .unwrap()?;
    let lines = changes.iter().map(|change| {
        let sign = if change.item.is_some() { '+' } else { '-' };
        format!("{}{sign}{}", change.version, change.jid.local().unwrap())
    });
    Some(lines.collect::<Vec<_>>().join(" "))
}

/// Writes an item that must be admitted; gives the new version.
async fn put(store: &impl Store, account: &BareJid, expected: u64, item: RosterItem) -> u64 {
    let put = store.roster_put(account.clone(), expected, item, 10).await;
    put.unwrap()
}

async fn remove(store: &impl Store, account: &BareJid, expected: u64, contact: &str) -> u64 {
    let removed = store
        .roster_remove(account.clone(), expected, jid(contact))
        .await;
    removed.unwrap()
}

pub(crate) async fn rosters_are_read_as_written(store: &impl Store) {
    let alice = create(store, "alice@a.example").await;
    let bob = RosterItem {
        name: "Böb".into(),
        ask: true,
        ..item("bob@b.example")
    };
    let carol = RosterItem {
        groups: vec![],
        request: request("c@b.example").request,
        ..item("carol@b.example")
    };
    assert_eq!(put(store, &alice, 0, carol.clone()).await, 1);
    assert_eq!(put(store, &alice, 1, bob.clone()).await, 2);
    let roster = store.roster(alice.clone()).await.unwrap();
    let wanted = (2, vec![bob.clone(), carol]);
    assert_eq!((roster.version, roster.items), wanted, "in address order");

    let changed = store.roster_changes(alice, 1).await.unwrap().unwrap();
    let wanted = RosterChange {
        version: 2,
        jid: bob.jid.clone(),
        item: Some(bob),
    };
    assert_eq!(changed, [wanted]);
}

pub(crate) async fn roster_changes_follow_versions(store: &impl Store) {
    let alice = create(store, "alice@a.example").await;
    assert_eq!(put(store, &alice, 0, item("bob@b.example")).await, 1);
    assert_eq!(put(store, &alice, 1, item("carol@b.example")).await, 2);
    assert_eq!(put(store, &alice, 2, item("bob@b.example")).await, 3);
    assert_eq!(remove(store, &alice, 3, "carol@b.example").await, 4);
    for (since, wanted) in [
        (0, Some("3+bob 4-carol")),
        (2, Some("3+bob 4-carol")),
        (3, Some("4-carol")),
        (4, Some("")),
        (5, None),
        (u64::MAX, None),
    ] {
        let found = changes(store, &alice, since).await;
        assert_eq!(found.as_deref(), wanted, "since {since}");
    }
    assert_eq!(put(store, &alice, 4, item("carol@b.example")).await, 5);
    let found = changes(store, &alice, 3).await;
    assert_eq!(found.as_deref(), Some("5+carol"), "back again");
    assert_eq!(remove(store, &alice, 5, "no@b.example").await, 5, "no item");
}

pub(crate) async fn a_changed_roster_is_a_conflict(store: &impl Store) {
    let alice = create(store, "alice@a.example").await;
    store
        .roster_put(alice.clone(), 0, item("bob@b.example"), 10)
        .await
        .unwrap();
    for expected in [0, 2, u64::MAX] {
        let put = store
            .roster_put(alice.clone(), expected, item("x@b.example"), 10)
            .await;
        assert_eq!(error(put), "Conflict");
        for contact in ["bob@b.example", "x@b.example"] {
            let removed = store
                .roster_remove(alice.clone(), expected, jid(contact))
                .await;
            assert_eq!(error(removed), "Conflict");
        }
    }
    let roster = store.roster(alice).await.unwrap();
    assert_eq!((roster.version, roster.items.len()), (1, 1));
}

pub(crate) async fn requests_are_kept_but_not_seen(store: &impl Store) {
    let alice = create(store, "alice@a.example").await;
    store
        .roster_put(alice.clone(), 0, request("bob@b.example"), 0)
        .await
        .unwrap();
    assert_eq!(
        store.roster(alice.clone()).await.unwrap().items,
        [request("bob@b.example")]
    );
    assert_eq!(changes(store, &alice, 0).await.as_deref(), Some(""));
    store
        .roster_put(alice.clone(), 1, item("bob@b.example"), 1)
        .await
        .unwrap();
    assert_eq!(changes(store, &alice, 0).await.as_deref(), Some("2+bob"));
    store
        .roster_put(alice.clone(), 2, request("carol@b.example"), 1)
        .await
        .unwrap();
    store
        .roster_remove(alice.clone(), 3, jid("carol@b.example"))
        .await
        .unwrap();
    assert_eq!(
        changes(store, &alice, 2).await.as_deref(),
        Some(""),
        "never seen, not removed"
    );
}

pub(crate) async fn an_item_that_is_unlisted_is_a_removal(store: &impl Store) {
    let alice = create(store, "alice@a.example").await;
    store
        .roster_put(alice.clone(), 0, item("bob@b.example"), 10)
        .await
        .unwrap();
    store
        .roster_put(alice.clone(), 1, request("bob@b.example"), 10)
        .await
        .unwrap();
    assert_eq!(changes(store, &alice, 1).await.as_deref(), Some("2-bob"));
    store
        .roster_put(alice.clone(), 2, request("bob@b.example"), 10)
        .await
        .unwrap();
    store
        .roster_remove(alice.clone(), 3, jid("bob@b.example"))
        .await
        .unwrap();
    assert_eq!(
        changes(store, &alice, 1).await.as_deref(),
        Some("2-bob"),
        "still to be told"
    );
    assert_eq!(changes(store, &alice, 2).await.as_deref(), Some(""));
}

pub(crate) async fn rosters_have_bounds(store: &impl Store) {
    let alice = create(store, "alice@a.example").await;
    store
        .roster_put(alice.clone(), 0, item("a@b.example"), 2)
        .await
        .unwrap();
    store
        .roster_put(alice.clone(), 1, item("b@b.example"), 2)
        .await
        .unwrap();
    let third = store
        .roster_put(alice.clone(), 2, item("c@b.example"), 2)
        .await;
    assert_eq!(error(third), "Quota(\"roster_items_max\")");
    store
        .roster_put(alice.clone(), 2, item("b@b.example"), 1)
        .await
        .expect("an edit is no item");

    let mut version = 3;
    for number in 0..ROSTER_REQUESTS_MAX {
        let request = request(&format!("r{number}@b.example"));
        version = store
            .roster_put(alice.clone(), version, request, 2)
            .await
            .unwrap();
    }
    let one_more = store
        .roster_put(alice.clone(), version, request("s@b.example"), 2)
        .await;
    assert_eq!(error(one_more), "Quota(\"roster_requests_max\")");
    let listed = store
        .roster_put(alice.clone(), version, item("r0@b.example"), 2)
        .await;
    assert_eq!(error(listed), "Quota(\"roster_items_max\")");
    let long = Some(vec![b' '; ROSTER_REQUEST_BYTES_MAX + 1].into());
    let long = RosterItem {
        request: long,
        ..item("a@b.example")
    };
    let long = store.roster_put(alice.clone(), version, long, 2).await;
    assert_eq!(error(long), "Quota(\"roster_request_bytes_max\")");
    assert_eq!(
        store.roster(alice).await.unwrap().version,
        version,
        "nothing of it was kept"
    );
}

pub(crate) async fn only_so_many_removals_are_remembered(store: &impl Store) {
    let alice = create(store, "alice@a.example").await;
    let mut version = 0;
    for number in 0..=ROSTER_REMOVALS_MAX {
        let contact = format!("c{number}@b.example");
        version = store
            .roster_put(alice.clone(), version, item(&contact), 10)
            .await
            .unwrap();
        version = store
            .roster_remove(alice.clone(), version, jid(&contact))
            .await
            .unwrap();
    }
    // The oldest removal was version 2; who knows it needs no telling.
    assert_eq!(changes(store, &alice, 1).await, None);
    let known = store
        .roster_changes(alice.clone(), 2)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(known.len(), usize::try_from(ROSTER_REMOVALS_MAX).unwrap());
    assert_eq!(changes(store, &alice, 0).await, None);
}
