use super::{DAY, create, error, jid};
use crate::{
    Affiliation, ArchiveFilter, Item, ItemsFrom, ItemsOrder, ItemsRequest, NewNode, NodeChange,
    NodeKey, NodeQuota, NodeSubscription, PageFrom, PageRequest, Publication, Published, Result,
    Store, Target,
};
use bytes::Bytes;
use waxwing_proto::{BareJid, Jid};

const QUOTA: NodeQuota = NodeQuota {
    nodes_max: 3,
    bytes_max: 1000,
    people_max: 2,
};

fn new(name: &str) -> NewNode {
    NewNode {
        name: name.into(),
        config: Bytes::from_static(b"config"),
        lifetime: None,
        affiliations: vec![(jid("o@a.example"), Affiliation::Owner)],
        at: DAY,
    }
}

pub(crate) fn publication(target: Target, ids: &[&str], at: i64) -> Publication {
    Publication {
        target,
        items: ids
            .iter()
            .map(|id| ((*id).to_owned(), Bytes::from(format!("<{id}/>"))))
            .collect(),
        publisher: Jid::parse("alice@a.example/phone").unwrap(),
        at: DAY + at,
        items_max: 3,
        reject_when_full: false,
        since: None,
    }
}

async fn publish(
    store: &impl Store,
    owner: &BareJid,
    key: &NodeKey,
    ids: &[&str],
    at: i64,
) -> Result<Published> {
    let publication = publication(Target::Node(key.clone()), ids, at);
    store.publish(owner.clone(), publication, QUOTA).await
}

/// The ids of all items, oldest first.
async fn ids(store: &impl Store, owner: &BareJid, node: &str) -> String {
    let request = ItemsRequest {
        from: ItemsFrom::First,
        count: 100,
        order: ItemsOrder::default(),
        since: None,
    };
    let page = store.items(owner.clone(), node.into(), request).await;
    let items = page.unwrap().items.into_iter();
    items.map(|item| item.id).collect::<Vec<_>>().join(" ")
}

pub(crate) async fn nodes_are_made_and_changed(store: &impl Store) {
    let alice = create(store, "alice@a.example").await;
    let make = |name: &str| store.node_create(alice.clone(), new(name), QUOTA);
    let key = make("n").await.unwrap();
    assert_eq!(key.name, "n");
    assert_eq!(error(make("n").await), "Exists");
    let found = store
        .node(alice.clone(), "n".into())
        .await
        .unwrap()
        .unwrap();
    assert_eq!((&found.key, &found.config[..]), (&key, &b"config"[..]));
    assert_eq!(found.affiliations, new("").affiliations);
    assert!(found.subscriptions.is_empty());

    let told = NodeSubscription {
        jid: Jid::parse("b@b.example/x").unwrap(),
        pending: true,
        options: Bytes::from_static(b"options"),
    };
    let change = NodeChange {
        at: DAY,
        config: Some(Bytes::from_static(b"other")),
        affiliations: vec![
            (jid("o@a.example"), None),
            (jid("b@b.example"), Some(Affiliation::Outcast)),
            (jid("a@b.example"), Some(Affiliation::Member)),
        ],
        subscribe: vec![told.clone()],
        ..NodeChange::default()
    };
    let change =
        |key: &NodeKey| store.node_change(alice.clone(), key.clone(), change.clone(), QUOTA);
    let changed = change(&key).await.unwrap();
    assert!(changed.version > key.version);
    assert_eq!(error(change(&key).await), "Conflict", "it has changed");
    let found = store
        .node(alice.clone(), "n".into())
        .await
        .unwrap()
        .unwrap();
    assert_eq!((&found.key, &found.config[..]), (&changed, &b"other"[..]));
    let people = [
        (jid("a@b.example"), Affiliation::Member),
        (jid("b@b.example"), Affiliation::Outcast),
    ];
    assert_eq!(found.affiliations, people);
    assert_eq!(found.subscriptions, std::slice::from_ref(&told));
    let end = NodeChange {
        unsubscribe: vec![told.jid],
        ..NodeChange::default()
    };
    let ended = store.node_change(alice.clone(), changed, end, QUOTA);
    let ended = ended.await.unwrap();

    make("a").await.unwrap();
    let all = store.nodes(alice.clone()).await.unwrap();
    let names: Vec<_> = all.iter().map(|node| node.key.name.as_str()).collect();
    assert_eq!(names, ["a", "n"]);
    assert!(all[1].subscriptions.is_empty());
    store
        .node_delete(alice.clone(), ended.clone())
        .await
        .unwrap();
    assert_eq!(
        error(store.node_delete(alice.clone(), ended.clone()).await),
        "Conflict"
    );
    let again = make("n").await.unwrap();
    assert!(again.version > ended.version, "not the same node");
    let one = store.node(alice, "n".into()).await.unwrap().unwrap();
    assert_eq!(&one.config[..], b"config", "nothing is left of the old one");
}

pub(crate) async fn items_are_published_in_order(store: &impl Store) {
    let alice = create(store, "alice@a.example").await;
    let key = store
        .node_create(alice.clone(), new("n"), QUOTA)
        .await
        .unwrap();
    let put = async |ids: &[&str], at| publish(store, &alice, &key, ids, at).await.unwrap();
    assert!(put(&["a", "b"], 0).await.evicted.is_empty());
    put(&["c"], -5).await;
    assert_eq!(ids(store, &alice, "n").await, "a b c", "not by time");
    assert!(put(&["a"], 7).await.evicted.is_empty());
    assert_eq!(ids(store, &alice, "n").await, "b c a", "the newest again");
    assert_eq!(put(&["d", "e"], 8).await.evicted, ["b", "c"]);
    assert_eq!(ids(store, &alice, "n").await, "a d e");
    let found = store.items_by_id(alice.clone(), "n".into(), vec!["x".into(), "a".into()]);
    let item = Item {
        id: "a".into(),
        publisher: Jid::parse("alice@a.example/phone").unwrap(),
        at: DAY + 7,
        payload: Bytes::from_static(b"<a/>"),
    };
    assert_eq!(found.await.unwrap(), [item]);

    let full = Publication {
        reject_when_full: true,
        ..publication(Target::Node(key.clone()), &["f"], 9)
    };
    let full = store.publish(alice.clone(), full, QUOTA).await;
    assert_eq!(error(full), "Quota(\"pubsub_items_max\")");
    let old = Publication {
        since: Some(DAY + 8),
        reject_when_full: true,
        ..publication(Target::Node(key.clone()), &["e", "f"], 9)
    };
    let old = store.publish(alice.clone(), old, QUOTA).await.unwrap();
    assert!(old.evicted.is_empty(), "age is not told");
    assert_eq!(ids(store, &alice, "n").await, "d e f");
    let fewer = NodeChange {
        items_max: Some(1),
        ..NodeChange::default()
    };
    let changed = store.node_change(alice.clone(), key.clone(), fewer, QUOTA);
    let changed = changed.await.unwrap();
    assert_eq!(ids(store, &alice, "n").await, "f");
    let stale = publish(store, &alice, &key, &["g"], 1).await;
    assert_eq!(error(stale), "Conflict", "decided about the node as it was");
    publish(store, &alice, &changed, &["g"], 1).await.unwrap();
}

pub(crate) async fn a_publication_can_make_its_node(store: &impl Store) {
    let service = jid("pubsub.a.example");
    let auto = |ids: &[&str]| publication(Target::New(new("n")), ids, 0);
    let made = store
        .publish(service.clone(), auto(&["a"]), QUOTA)
        .await
        .unwrap();
    assert_eq!(made.key.name, "n");
    let again = store.publish(service.clone(), auto(&["b"]), QUOTA).await;
    assert_eq!(error(again), "Conflict", "somebody else made it");
    assert_eq!(ids(store, &service, "n").await, "a");
    publish(store, &service, &made.key, &["b"], 0)
        .await
        .unwrap();
    store.node_delete(service.clone(), made.key).await.unwrap();
    assert_eq!(
        ids(store, &service, "n").await,
        "",
        "items go with their node"
    );
    let empty = store
        .publish(service.clone(), auto(&[]), QUOTA)
        .await
        .unwrap();
    let found = store.node(service, "n".into()).await.unwrap().unwrap();
    assert_eq!(found.key, empty.key);
}

pub(crate) async fn items_are_retracted_and_purged(store: &impl Store) {
    let alice = create(store, "alice@a.example").await;
    let key = store
        .node_create(alice.clone(), new("n"), QUOTA)
        .await
        .unwrap();
    publish(store, &alice, &key, &["a", "b", "c"], 0)
        .await
        .unwrap();
    let retract = |ids: &[&str]| {
        let ids = ids.iter().map(|id| (*id).to_owned()).collect();
        store.items_retract(alice.clone(), key.clone(), ids)
    };
    assert_eq!(retract(&["c", "x", "a"]).await.unwrap(), ["c", "a"]);
    assert!(retract(&["a"]).await.unwrap().is_empty());
    assert_eq!(ids(store, &alice, "n").await, "b");
    let purge = || store.items_purge(alice.clone(), key.clone());
    assert_eq!(purge().await.unwrap(), 1);
    assert_eq!(purge().await.unwrap(), 0);
    let stale = NodeKey {
        version: key.version + 1,
        ..key.clone()
    };
    let errors = [
        error(store.items_purge(alice.clone(), stale.clone()).await),
        error(store.items_retract(alice.clone(), stale, Vec::new()).await),
    ];
    assert_eq!(errors, ["Conflict"; 2]);
}

pub(crate) async fn items_are_paged(store: &impl Store) {
    let alice = create(store, "alice@a.example").await;
    let key = store
        .node_create(alice.clone(), new("n"), QUOTA)
        .await
        .unwrap();
    for (id, at) in [("a", 0), ("b", 1), ("c", 2), ("d", 3), ("e", 4)] {
        let publication = Publication {
            items_max: 9,
            ..publication(Target::Node(key.clone()), &[id], at)
        };
        store
            .publish(alice.clone(), publication, QUOTA)
            .await
            .unwrap();
    }
    let id = |id: &str| id.to_owned();
    for (from, count, newest_first, since, wanted) in [
        (ItemsFrom::First, 2, false, None, "ab 0/5"),
        (ItemsFrom::After(id("b")), 2, false, None, "cd 2/5"),
        (ItemsFrom::After(id("e")), 2, false, None, " 0/5"),
        (ItemsFrom::Last, 2, false, None, "de 3/5"),
        (ItemsFrom::Before(id("d")), 2, false, None, "bc 1/5"),
        (ItemsFrom::Before(id("b")), 2, false, None, "a 0/5"),
        (ItemsFrom::Index(3), 9, false, None, "de 3/5"),
        (ItemsFrom::First, 2, true, None, "ed 0/5"),
        (ItemsFrom::After(id("d")), 2, true, None, "cb 2/5"),
        (ItemsFrom::Last, 2, true, None, "ba 3/5"),
        (ItemsFrom::Before(id("b")), 2, true, None, "dc 1/5"),
        (ItemsFrom::Index(4), 2, true, None, "a 4/5"),
        (ItemsFrom::First, 0, false, None, " 0/5"),
        (ItemsFrom::First, 2, false, Some(3), "de 0/2"),
        (ItemsFrom::Last, 2, true, Some(2), "dc 1/3"),
    ] {
        let request = ItemsRequest {
            from,
            count,
            order: ItemsOrder {
                newest_first,
                ..ItemsOrder::default()
            },
            since: since.map(|since| DAY + since),
        };
        let page = store.items(alice.clone(), "n".into(), request.clone());
        let page = page.await.unwrap();
        let ids: String = page.items.into_iter().map(|item| item.id).collect();
        let found = format!("{ids} {}/{}", page.index, page.total);
        assert_eq!(found, wanted, "{request:?}");
    }
    let from = |from, since| ItemsRequest {
        from,
        count: 9,
        order: ItemsOrder::default(),
        since,
    };
    for request in [
        from(ItemsFrom::After(id("x")), None),
        from(ItemsFrom::Before(id("x")), None),
        from(ItemsFrom::After(id("a")), Some(DAY + 1)),
    ] {
        let page = store.items(alice.clone(), "n".into(), request).await;
        assert_eq!(error(page), "NoItem");
    }
    let none = store.items(alice, "x".into(), from(ItemsFrom::After(id("x")), None));
    assert_eq!(none.await.unwrap().total, 0, "no node has nothing");
}

pub(crate) async fn items_are_an_archive(store: &impl Store) {
    let alice = create(store, "alice@a.example").await;
    let key = store
        .node_create(alice.clone(), new("n"), QUOTA)
        .await
        .unwrap();
    // The last one again: a later entry of the same item.
    for (id, at) in [("a", 0), ("b", 1), ("c", 2), ("d", 3), ("a", 4)] {
        let publication = Publication {
            items_max: 9,
            ..publication(Target::Node(key.clone()), &[id], at)
        };
        store
            .publish(alice.clone(), publication, QUOTA)
            .await
            .unwrap();
    }
    let page = async |since: Option<i64>, filter: ArchiveFilter, request: PageRequest| {
        let since = since.map(|since| DAY + since);
        let page = store.node_archive(alice.clone(), "n".into(), since, filter, request);
        page.await
    };
    let request = |from, max| PageRequest {
        max,
        bytes_max: 1000,
        from,
        flip: false,
        count: true,
    };
    let all = ArchiveFilter::default;
    let whole = page(None, all(), request(PageFrom::First, 9))
        .await
        .unwrap();
    let ids: Vec<u64> = whole.entries.iter().map(|entry| entry.id).collect();
    assert!(ids.is_sorted() && ids.iter().all(|id| *id >= 1), "{ids:?}");
    let [b, c, .., a] = ids[..] else {
        panic!("{ids:?}")
    };
    let publisher = |text| ArchiveFilter {
        with: Some(Jid::parse(text).unwrap()),
        ..all()
    };
    let named = ArchiveFilter {
        ids: Some(vec![a, c]),
        ..all()
    };
    let late = ArchiveFilter {
        start: Some(i64::try_from(c).unwrap() + 1),
        ..all()
    };
    for (since, filter, request, wanted) in [
        (None, all(), request(PageFrom::First, 2), "bc 0/4"),
        (None, all(), request(PageFrom::After(c), 2), "da 2/4 all"),
        (None, all(), request(PageFrom::Last, 1), "a 3/4"),
        (None, all(), request(PageFrom::Before(c), 2), "b 0/4 all"),
        (None, named, request(PageFrom::First, 9), "ca 0/2 all"),
        (None, late, request(PageFrom::First, 9), "da 0/2 all"),
        (Some(2), all(), request(PageFrom::First, 9), "cda 0/3 all"),
        (
            None,
            publisher("alice@a.example"),
            request(PageFrom::First, 1),
            "b 0/4",
        ),
        (
            None,
            publisher("bob@a.example"),
            request(PageFrom::First, 9),
            " -/0 all",
        ),
    ] {
        let page = page(since, filter, request).await.unwrap();
        let ids: String = page
            .entries
            .iter()
            .map(|one| one.item.id.as_str())
            .collect();
        let index = page.index.map_or("-".to_owned(), |index| index.to_string());
        let all = if page.complete { " all" } else { "" };
        let found = format!("{ids} {index}/{}{all}", page.count.unwrap());
        assert_eq!(found, wanted, "{request:?}");
    }
    let item = &whole.entries[0].item;
    assert_eq!((&item.payload[..], item.at), (&b"<b/>"[..], DAY + 1));
    for (since, from) in [(None, PageFrom::After(7)), (Some(2), PageFrom::Before(b))] {
        assert_eq!(error(page(since, all(), request(from, 9)).await), "NoItem");
    }
    let many = ArchiveFilter {
        ids: Some(vec![a; 257]),
        ..all()
    };
    let refused = error(page(None, many, request(PageFrom::First, 9)).await);
    assert!(refused.starts_with("Quota"), "{refused}");
}

pub(crate) async fn heads_are_the_newest_items(store: &impl Store) {
    let alice = create(store, "alice@a.example").await;
    let bob = create(store, "bob@a.example").await;
    for (owner, node, ids) in [
        (&alice, "n", &["a", "b"][..]),
        (&alice, "m", &[]),
        (&bob, "n", &["c"]),
    ] {
        let publication = publication(Target::New(new(node)), ids, 0);
        store
            .publish(owner.clone(), publication, QUOTA)
            .await
            .unwrap();
    }
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let wanted = vec![
        (bob.clone(), names(&["m", "n"])),
        (jid("x@a.example"), names(&["n"])),
        (alice.clone(), names(&["n", "m"])),
    ];
    let heads = store.node_heads(wanted).await.unwrap();
    let heads: Vec<_> = heads
        .into_iter()
        .map(|head| {
            let item = head.item.map_or(String::new(), |item| item.id);
            format!("{} {} {item}", head.owner, head.node.key.name)
        })
        .collect();
    assert_eq!(
        heads,
        [
            "bob@a.example n c",
            "alice@a.example n b",
            "alice@a.example m "
        ]
    );
}

pub(crate) async fn nodes_have_bounds(store: &impl Store) {
    let alice = create(store, "alice@a.example").await;
    let make = |name: &str| store.node_create(alice.clone(), new(name), QUOTA);
    let key = make("a").await.unwrap();
    make("b").await.unwrap();
    let third = make("c").await.unwrap();
    assert_eq!(error(make("d").await), "Quota(\"pubsub_nodes_max\")");
    store.node_delete(alice.clone(), third).await.unwrap();
    make("d").await.unwrap();

    // Three nodes of 7 bytes each, and an item of 23 bytes without its payload.
    let put = |bytes: usize| {
        let mut publication = publication(Target::Node(key.clone()), &["i"], 0);
        publication.items[0].1 = "x".repeat(bytes).into();
        store.publish(alice.clone(), publication, QUOTA)
    };
    let largest = 1000 - 3 * 7 - 22;
    put(largest).await.unwrap();
    assert_eq!(error(put(largest + 1).await), "Quota(\"pubsub_bytes_max\")");
    put(largest).await.expect("in the place of the other one");
    let other = publication(Target::New(new("e")), &["i"], 0);
    let other = store.publish(alice.clone(), other, QUOTA).await;
    assert_eq!(error(other), "Quota(\"pubsub_nodes_max\")");
    let config = NodeChange {
        config: Some(Bytes::from_static(b"config+")),
        ..NodeChange::default()
    };
    let config = store
        .node_change(alice.clone(), key.clone(), config, QUOTA)
        .await;
    assert_eq!(error(config), "Quota(\"pubsub_bytes_max\")");
    assert_eq!(
        store.items_purge(alice.clone(), key.clone()).await.unwrap(),
        1
    );
    put(largest).await.unwrap();

    let people = NodeChange {
        affiliations: vec![
            (jid("a@a.example"), Some(Affiliation::Member)),
            (jid("b@a.example"), Some(Affiliation::Member)),
        ],
        ..NodeChange::default()
    };
    let people = store
        .node_change(alice.clone(), key.clone(), people, QUOTA)
        .await;
    assert_eq!(error(people), "Quota(\"pubsub_affiliations_max\")");
    let told = |name: &str| NodeSubscription {
        jid: Jid::parse(name).unwrap(),
        pending: false,
        options: Bytes::new(),
    };
    let told = NodeChange {
        subscribe: vec![told("a.example"), told("b.example"), told("c.example")],
        ..NodeChange::default()
    };
    let told = store
        .node_change(alice.clone(), key.clone(), told, QUOTA)
        .await;
    assert_eq!(error(told), "Quota(\"pubsub_subscriptions_max\")");
    let found = store.node(alice, "a".into()).await.unwrap().unwrap();
    assert_eq!(found.key, key, "what was refused left nothing");
}

pub(crate) async fn node_writes_need_the_account(store: &impl Store) {
    let nobody = || jid("nobody@a.example");
    let key = || NodeKey {
        name: "n".into(),
        version: 1,
    };
    let put = |target| store.publish(nobody(), publication(target, &["a"], 0), QUOTA);
    let errors = [
        error(store.node_create(nobody(), new("n"), QUOTA).await),
        error(
            store
                .node_change(nobody(), key(), NodeChange::default(), QUOTA)
                .await,
        ),
        error(store.node_delete(nobody(), key()).await),
        error(put(Target::New(new("n"))).await),
        error(put(Target::Node(key())).await),
        error(store.items_retract(nobody(), key(), Vec::new()).await),
        error(store.items_purge(nobody(), key()).await),
    ];
    assert_eq!(errors, ["NoAccount"; 7]);
    let alice = create(store, "alice@a.example").await;
    store
        .node_create(alice.clone(), new("n"), QUOTA)
        .await
        .unwrap();
    assert!(store.account_delete(alice.clone()).await.unwrap());
    create(store, "alice@a.example").await;
    assert!(store.nodes(alice.clone()).await.unwrap().is_empty());
    for name in ["a", "b", "c"] {
        let made = store.node_create(alice.clone(), new(name), QUOTA);
        made.await.expect("the quota begins anew");
    }
}

/// Puts something into every table of nodes.
pub(crate) async fn fill_nodes(store: &impl Store, account: &BareJid, text: &str) {
    let mut node = new(text);
    node.affiliations = vec![(jid(&format!("{text}@b.example")), Affiliation::Member)];
    let mut publication = publication(Target::New(node), &["a"], 0);
    publication.items[0].1 = Bytes::from(text.to_owned());
    let published = store.publish(account.clone(), publication, QUOTA).await;
    let told = NodeSubscription {
        jid: Jid::parse(&format!("{text}@c.example")).unwrap(),
        pending: false,
        options: Bytes::new(),
    };
    let change = NodeChange {
        subscribe: vec![told],
        ..NodeChange::default()
    };
    let change = store.node_change(account.clone(), published.unwrap().key, change, QUOTA);
    change.await.unwrap();
}

/// XEP-0413: an item that is published again keeps its place in the order of creation, unless it had
/// gone meanwhile.
pub(crate) async fn items_have_two_orders(store: &impl Store) {
    let owner = jid("pubsub.a.example");
    let key = store.node_create(owner.clone(), new("n"), QUOTA).await;
    let key = key.unwrap();
    for (at, id) in ["a", "b", "c", "a"].into_iter().enumerate() {
        let at = i64::try_from(at).unwrap();
        publish(store, &owner, &key, &[id], at).await.unwrap();
    }
    let page = async |by_creation, newest_first, from: ItemsFrom| {
        let request = ItemsRequest {
            from,
            count: 2,
            order: ItemsOrder {
                by_creation,
                newest_first,
            },
            since: None,
        };
        let page = store.items(owner.clone(), "n".into(), request).await;
        let page = page.unwrap();
        let ids: String = page.items.into_iter().map(|item| item.id).collect();
        format!("{ids} {}", page.index)
    };
    assert_eq!(page(true, false, ItemsFrom::First).await, "ab 0");
    assert_eq!(page(true, false, ItemsFrom::After("b".into())).await, "c 2");
    assert_eq!(page(true, true, ItemsFrom::First).await, "cb 0");
    assert_eq!(page(true, true, ItemsFrom::Last).await, "ba 1");
    assert_eq!(page(false, false, ItemsFrom::First).await, "bc 0");
    assert_eq!(page(false, true, ItemsFrom::First).await, "ac 0");
    store
        .items_retract(owner.clone(), key.clone(), vec!["b".into()])
        .await
        .unwrap();
    publish(store, &owner, &key, &["b"], 5).await.unwrap();
    assert_eq!(page(true, false, ItemsFrom::First).await, "ac 0");
}

pub(crate) async fn items_expire(store: &impl Store) {
    let owner = jid("pubsub.a.example");
    let mortal = NewNode {
        lifetime: Some(10),
        ..new("m")
    };
    let mortal = store.node_create(owner.clone(), mortal, QUOTA).await;
    let mortal = mortal.unwrap();
    let other = store.node_create(owner.clone(), new("n"), QUOTA).await;
    let other = other.unwrap();
    for (key, id, at) in [(&mortal, "a", 0), (&mortal, "b", 1), (&other, "c", 0)] {
        publish(store, &owner, key, &[id], at).await.unwrap();
    }
    assert_eq!(store.items_expire(DAY + 10).await.unwrap(), 0);
    assert_eq!(store.items_expire(DAY + 11).await.unwrap(), 1);
    assert_eq!(ids(store, &owner, "m").await, "b");
    assert_eq!(ids(store, &owner, "n").await, "c");
    let change = NodeChange {
        at: DAY,
        config: Some(Bytes::from_static(b"config")),
        ..NodeChange::default()
    };
    store
        .node_change(owner.clone(), mortal, change, QUOTA)
        .await
        .unwrap();
    assert_eq!(store.items_expire(DAY + 99).await.unwrap(), 0);
}

pub(crate) async fn nodes_of_somebody_are_found(store: &impl Store) {
    let owner = jid("pubsub.a.example");
    let told = |jid: &str| NodeChange {
        at: DAY,
        subscribe: vec![NodeSubscription {
            jid: Jid::parse(jid).unwrap(),
            pending: false,
            options: Bytes::new(),
        }],
        ..NodeChange::default()
    };
    for (name, jid) in [
        ("1", "x@x.example"),
        ("2", "x@x.example/r"),
        ("3", "y@x.example"),
    ] {
        let key = store.node_create(owner.clone(), new(name), QUOTA).await;
        let changed = store.node_change(owner.clone(), key.unwrap(), told(jid), QUOTA);
        changed.await.unwrap();
    }
    let found = async |who: &str| {
        let nodes = store.nodes_with(owner.clone(), jid(who)).await.unwrap();
        let nodes = nodes.into_iter().map(|node| {
            let (name, a, s) = (node.key.name, node.affiliations, node.subscriptions);
            format!("{name}{}{} ", a.len(), s.len())
        });
        nodes.collect::<String>()
    };
    assert_eq!(found("x@x.example").await, "101 201 ");
    assert_eq!(found("y@x.example").await, "301 ");
    assert_eq!(found("o@a.example").await, "110 210 310 ");
    assert_eq!(found("z@x.example").await, "");
}
