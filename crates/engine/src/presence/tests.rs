//! What scenarios cannot show: sharing of bytes, races, and a store that loses one.

use super::{fanout, is_current};
use crate::{
    Engine, Env, Settings,
    env::{Clock, Random},
    outbox::{Delivery, Outbox},
    registry::Resource,
    roster::{self, Edit},
};
use bytes::Bytes;
use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};
use waxwing_proto::{
    BareJid, FullJid, Jid, ns,
    stanza::{Draft, Kind, Sealed, Stanza},
    xml::{Limits, Tree},
};
use waxwing_store::{Credentials, MemoryStore, RosterItem, Rosters, Subscription};

struct Still;

impl Clock for Still {
    fn now(&self) -> i64 {
        0
    }
}

/// Every call gives other bytes.
#[derive(Default)]
struct Counting(AtomicU8);

impl Random for Counting {
    fn fill(&self, buffer: &mut [u8]) {
        buffer.fill(self.0.fetch_add(1, Ordering::Relaxed));
    }
}

async fn engine(store: &Arc<MemoryStore>, accounts: &[&str]) -> Engine {
    let env = Env::new(Still, Counting::default());
    let settings = Settings::for_domain("localhost");
    let engine = Engine::new(env, store.clone(), settings).await.unwrap();
    for account in accounts {
        let credentials = Credentials::derive("secret", &[0; 16], 1).unwrap();
        engine
            .account_create(&bare(account), credentials)
            .await
            .unwrap();
    }
    engine
}

fn bare(text: &str) -> BareJid {
    BareJid::parse(text).unwrap()
}

async fn contact(store: &MemoryStore, account: &str, contact: &str, subscription: Subscription) {
    let version = store.roster(bare(account)).await.unwrap().version;
    let item = RosterItem {
        subscription,
        listed: true,
        ..roster::blank(&bare(contact))
    };
    let put = store.roster_put(bare(account), version, item, 100);
    put.await.unwrap();
}

/// A resource that is here, available if it has a priority.
fn resource(engine: &Engine, jid: &str, priority: Option<i8>) -> Arc<Resource> {
    let jid = FullJid::parse(jid).unwrap();
    let account = jid.to_bare();
    let outbox = Outbox::new(100, 100_000);
    let generation = engine.registry().next_generation();
    let resource = Arc::new(Resource::new(jid, generation, 0, outbox));
    engine
        .registry()
        .add(&account, resource.clone(), 10)
        .unwrap();
    resource.set_presence(priority.map(|priority| (presence("<presence/>"), priority)));
    resource
}

fn presence(xml: &'static str) -> Sealed {
    let tree = Tree::parse(Bytes::from_static(xml.as_bytes()), ns::CLIENT, &Limits::C2S).unwrap();
    let mut draft = Draft::new(Stanza::new(tree, ns::CLIENT).unwrap()).unwrap();
    draft.set_from(Jid::parse("alice@localhost/phone").unwrap());
    draft.seal()
}

fn stanzas(resource: &Resource) -> Vec<Sealed> {
    let mut found = Vec::new();
    while let Some(delivery) = resource.outbox.take() {
        if let Delivery::Stanza(stanza) = delivery {
            assert_eq!(stanza.kind(), Kind::Presence);
            found.push(stanza);
        }
    }
    found
}

#[tokio::test]
async fn a_broadcast_shares_the_content_and_one_buffer_of_start_tags() {
    let store = Arc::new(MemoryStore::new());
    let names: Vec<String> = (10..30).map(|n| format!("c{n}@localhost")).collect();
    let mut accounts: Vec<&str> = names.iter().map(String::as_str).collect();
    accounts.push("alice@localhost");
    let engine = engine(&store, &accounts).await;
    let mut watchers = Vec::new();
    for name in &names {
        contact(&store, "alice@localhost", name, Subscription::From).await;
        watchers.push(resource(&engine, &format!("{name}/a"), Some(0)));
        watchers.push(resource(&engine, &format!("{name}/b"), Some(-1)));
    }
    let alice = bare("alice@localhost");
    let phone = resource(&engine, "alice@localhost/phone", Some(0));
    let view = engine.view(&alice).await.unwrap();
    let stanza = presence("<presence><status>At the sea</status></presence>");
    fanout::broadcast(&engine, &alice, &view, &phone, &stanza);

    let content = stanza.chunks().nth(1).map(|chunk| chunk.as_ptr());
    let mut heads = Vec::new();
    for watcher in &watchers {
        let got = stanzas(watcher);
        assert_eq!(got.len(), 1, "{}", watcher.jid);
        let chunks: Vec<&Bytes> = got[0].chunks().collect();
        assert_eq!(chunks.get(1).map(|chunk| chunk.as_ptr()), content);
        heads.push(chunks[0].clone());
    }
    // Both resources of a contact have one start tag, and all start tags lie one after another.
    for (pair, next) in heads.chunks(2).zip(heads.chunks(2).skip(1)) {
        assert_eq!(pair[0].as_ptr(), pair[1].as_ptr());
        assert_eq!(pair[0].as_ptr_range().end, next[0].as_ptr());
    }
    assert!(stanzas(&phone).is_empty(), "the sender's echo is its own");
}

#[tokio::test]
async fn a_resource_goes_once_and_tells_whom_it_told_directly() {
    let store = Arc::new(MemoryStore::new());
    let engine = engine(
        &store,
        &["alice@localhost", "bob@localhost", "eve@localhost"],
    )
    .await;
    contact(
        &store,
        "alice@localhost",
        "bob@localhost",
        Subscription::From,
    )
    .await;
    let alice = bare("alice@localhost");
    let phone = resource(&engine, "alice@localhost/phone", Some(0));
    let bob = resource(&engine, "bob@localhost/desk", Some(0));
    let eve = resource(&engine, "eve@localhost/desk", None);
    assert!(phone.remember_directed(&(&eve.jid).into(), 2));
    assert!(phone.remember_directed(&bare("bob@localhost").into(), 2));
    assert!(!phone.remember_directed(&bare("carol@localhost").into(), 2));
    let view = engine.view(&alice).await.unwrap();

    assert!(fanout::went_away(&engine, &alice, &view, &phone));
    assert!(!fanout::went_away(&engine, &alice, &view, &phone));
    for watcher in [&bob, &eve] {
        assert_eq!(stanzas(watcher).len(), 1, "{}", watcher.jid);
    }
}

#[tokio::test]
async fn a_replaced_resource_is_not_current() {
    let store = Arc::new(MemoryStore::new());
    let engine = engine(&store, &["alice@localhost"]).await;
    let alice = bare("alice@localhost");
    let old = resource(&engine, "alice@localhost/phone", Some(0));
    assert!(is_current(&engine, &alice, &old));
    let new = resource(&engine, "alice@localhost/phone", None);
    assert!(!is_current(&engine, &alice, &old));
    assert!(is_current(&engine, &alice, &new));
}

#[tokio::test]
async fn two_changes_of_one_roster_at_once_are_both_kept() {
    let store = Arc::new(MemoryStore::new());
    let engine = engine(&store, &["alice@localhost"]).await;
    let alice = bare("alice@localhost");
    let (bob, carol) = (bare("bob@localhost"), bare("carol@localhost"));
    let listed = |contact: &BareJid| RosterItem {
        listed: true,
        ..roster::blank(contact)
    };
    // Both have read version 0 before either is written.
    store.hold();
    let (first, second, ()) = tokio::join!(
        roster::update_item(&engine, &alice, &bob, |_| Ok(((), Edit::Put(listed(&bob))))),
        roster::update_item(&engine, &alice, &carol, |_| Ok((
            (),
            Edit::Put(listed(&carol))
        ))),
        async {
            assert_eq!(store.held(), 2);
            store.release();
        }
    );
    let version = |update: Option<roster::Update>| update.map(|update| update.version);
    assert_eq!(version(first.unwrap().1), Some(1));
    assert_eq!(version(second.unwrap().1), Some(2));
    let view = engine.view(&alice).await.unwrap();
    assert_eq!(view.roster_version, 2);
    assert!(view.contact(&bob).is_some() && view.contact(&carol).is_some());
}
