use super::{create, error};
use crate::Store;
use bytes::Bytes;
use waxwing_proto::Jid;

pub(crate) async fn block_lists_are_sets_with_a_bound(store: &impl Store) {
    let alice = create(store, "alice@a.example").await;
    let jids = |texts: &[&str]| {
        texts
            .iter()
            .map(|text| Jid::parse(text).unwrap())
            .collect::<Vec<_>>()
    };
    let list = async || store.blocked(alice.clone()).await.unwrap();
    let two = jids(&["spam.example", "bob@b.example/phone"]);
    store.block(alice.clone(), two.clone(), 3).await.unwrap();
    store
        .block(alice.clone(), two, 1)
        .await
        .expect("nothing new");
    let more = jids(&["a@b.example", "c@b.example"]);
    assert_eq!(
        error(store.block(alice.clone(), more, 3).await),
        "Quota(\"blocked_items_max\")"
    );
    assert_eq!(
        list().await,
        jids(&["bob@b.example/phone", "spam.example"]),
        "all or none"
    );
    store
        .block(alice.clone(), jids(&["a@b.example"]), 3)
        .await
        .unwrap();

    store
        .unblock(alice.clone(), Some(jids(&["spam.example", "no.example"])))
        .await
        .unwrap();
    assert_eq!(list().await, jids(&["a@b.example", "bob@b.example/phone"]));
    store.unblock(alice.clone(), None).await.unwrap();
    assert!(list().await.is_empty());
}

pub(crate) async fn documents_have_a_bound_together(store: &impl Store) {
    let alice = create(store, "alice@a.example").await;
    let set = async |key: &str, xml: Option<&'static str>| {
        let xml = xml.map(Bytes::from);
        store.document_set(alice.clone(), key.into(), xml, 20).await
    };
    let document = async |key: &str| store.document(alice.clone(), key.into()).await.unwrap();
    set("a", Some("123456789")).await.unwrap();
    set("b", Some("123456789")).await.unwrap();
    assert_eq!(
        error(set("c", Some("")).await),
        "Quota(\"documents_bytes_max\")"
    );
    assert_eq!(
        error(set("a", Some("1234567890")).await),
        "Quota(\"documents_bytes_max\")"
    );
    assert_eq!(document("a").await.as_deref(), Some(&b"123456789"[..]));
    set("a", Some("x")).await.unwrap();
    set("é", Some("123456")).await.unwrap();
    assert_eq!(
        error(set("é", Some("1234567")).await),
        "Quota(\"documents_bytes_max\")",
        "bytes"
    );
    set("b", None).await.unwrap();
    set("b", None)
        .await
        .expect("no document is removed, either");
    assert_eq!(document("b").await, None);
    assert_eq!(document("é").await.as_deref(), Some(&b"123456"[..]));
}
