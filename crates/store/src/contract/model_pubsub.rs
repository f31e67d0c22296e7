//! The part of the random operations that is about nodes.

use super::{
    DAY, jid,
    model::{Call, account, contact_jid, debug},
};
use crate::{
    Affiliation, ArchiveFilter, ItemsFrom, ItemsOrder, ItemsRequest, NewNode, NodeChange, NodeKey,
    NodeQuota, NodeSubscription, PageFrom, PageRequest, Publication, Store, Target,
};
use bytes::Bytes;
use proptest::prelude::*;
use waxwing_proto::BareJid;

/// One call about a node; the numbers choose among a few of everything.
#[derive(Debug, Clone)]
pub(crate) enum NodeCall {
    Create(u8, u8),
    /// Whether the node is to be new, the items and their sizes, the bound, what is too old.
    Publish(bool, Vec<(u8, u8)>, u32, bool, Option<i64>),
    Change(
        Option<u8>,
        Option<u32>,
        Vec<(u8, Option<u8>)>,
        Vec<(u8, Option<bool>)>,
    ),
    Delete,
    Retract(Vec<u8>),
    Purge,
    Page(u8, u8, u32, bool, Option<i64>),
    /// As an archive: what kind of page, from which item, how long, by whom, what is too old.
    Archive(u8, u8, u32, bool, Option<i64>),
}

pub(super) fn node_calls() -> impl Strategy<Value = Call> {
    let items = proptest::collection::vec((0..4_u8, 0..30_u8), 0..4);
    let ids = proptest::collection::vec(0..5_u8, 0..3);
    let age = || proptest::option::of(-50..50_i64);
    let people = proptest::collection::vec((0..4_u8, proptest::option::of(1..6_u8)), 0..3);
    let told = proptest::collection::vec((0..4_u8, proptest::option::of(any::<bool>())), 0..3);
    let size = proptest::option::of(0..30_u8);
    let call = prop_oneof![
        2 => (0..30_u8, 0..3_u8).prop_map(|(size, person)| NodeCall::Create(size, person)),
        6 => (any::<bool>(), items, 0..4_u32, any::<bool>(), age())
            .prop_map(|(new, items, max, reject, since)| {
                NodeCall::Publish(new, items, max, reject, since)
            }),
        3 => (size, proptest::option::of(0..3_u32), people, told)
            .prop_map(|(config, max, people, told)| NodeCall::Change(config, max, people, told)),
        1 => Just(NodeCall::Delete),
        2 => ids.prop_map(NodeCall::Retract),
        1 => Just(NodeCall::Purge),
        4 => (0..5_u8, 0..5_u8, 0..4_u32, any::<bool>(), age())
            .prop_map(|(kind, id, count, flip, since)| {
                NodeCall::Page(kind, id, count, flip, since)
            }),
        3 => (0..6_u8, 0..5_u8, 0..4_u32, any::<bool>(), age())
            .prop_map(|(kind, id, count, own, since)| {
                NodeCall::Archive(kind, id, count, own, since)
            }),
    ];
    // Owner, node, how far the clock and the key are off.
    (0..4_u8, 0..3_u8, -50..50_i64, 0..8_u64, call).prop_map(|(who, node, at, off, call)| {
        Call::Node(who, node, at, off.saturating_sub(6), call)
    })
}

/// An account, or a service.
pub(super) fn owner(who: u8) -> BareJid {
    if who < 3 {
        account(who)
    } else {
        jid("pubsub.a.example")
    }
}

const QUOTA: NodeQuota = NodeQuota {
    nodes_max: 2,
    bytes_max: 200,
    people_max: 2,
};

/// Does a call of this part.
pub(super) async fn answer(
    store: &impl Store,
    (who, node, at, off): (u8, u8, i64, u64),
    call: NodeCall,
) -> String {
    let (owner, name, at) = (owner(who), node.to_string(), DAY + at);
    let found = store.node(owner.clone(), name.clone()).await.unwrap();
    let mut key = found.map_or_else(
        || NodeKey {
            name: name.clone(),
            version: 1,
        },
        |node| node.key,
    );
    key.version += off;
    let new = |size: u8, affiliations| NewNode {
        name: name.clone(),
        config: filled(size),
        lifetime: None,
        affiliations,
        at,
    };
    match call {
        NodeCall::Create(size, person) => {
            let people = vec![(contact_jid(person), Affiliation::Owner)];
            debug(store.node_create(owner, new(size, people), QUOTA).await)
        }
        NodeCall::Publish(is_new, items, items_max, reject_when_full, since) => {
            let publication = Publication {
                target: if is_new {
                    Target::New(new(5, Vec::new()))
                } else {
                    Target::Node(key)
                },
                items: items
                    .into_iter()
                    .map(|(id, size)| (id.to_string(), filled(size)))
                    .collect(),
                publisher: contact_jid(1).into(),
                at,
                items_max,
                reject_when_full,
                since: since.map(|since| DAY + since),
            };
            debug(store.publish(owner, publication, QUOTA).await)
        }
        NodeCall::Change(config, items_max, people, told) => {
            let change = changes(at, config, items_max, people, told);
            debug(store.node_change(owner, key, change, QUOTA).await)
        }
        NodeCall::Delete => debug(store.node_delete(owner, key).await),
        NodeCall::Retract(ids) => {
            let ids = ids.into_iter().map(|id| id.to_string()).collect();
            debug(store.items_retract(owner, key, ids).await)
        }
        NodeCall::Purge => debug(store.items_purge(owner, key).await),
        NodeCall::Page(kind, id, count, newest_first, since) => {
            let request = ItemsRequest {
                from: match kind {
                    0 => ItemsFrom::First,
                    1 => ItemsFrom::After(id.to_string()),
                    2 => ItemsFrom::Last,
                    3 => ItemsFrom::Before(id.to_string()),
                    _ => ItemsFrom::Index(id.into()),
                },
                count,
                order: ItemsOrder {
                    newest_first,
                    by_creation: count % 2 == 1,
                },
                since: since.map(|since| DAY + since),
            };
            debug(store.items(owner, name, request).await)
        }
        NodeCall::Archive(kind, nth, max, own, since) => {
            let since = since.map(|since| DAY + since);
            let whole = archive_request(PageFrom::First, 9);
            let filter = ArchiveFilter::default();
            let all = store.node_archive(owner.clone(), name.clone(), None, filter, whole);
            let all = all.await.unwrap().entries;
            // One that there is, as far as there are so many.
            let id = all.get(usize::from(nth)).map_or(7, |entry| entry.id);
            let filter = ArchiveFilter {
                with: Some(contact_jid(u8::from(own)).into()),
                ids: (kind == 4).then(|| vec![id, id]),
                after_id: (kind == 5).then_some(id),
                ..ArchiveFilter::default()
            };
            let from = match kind {
                0 => PageFrom::After(id),
                1 => PageFrom::Before(id),
                2 => PageFrom::Last,
                _ => PageFrom::First,
            };
            let request = archive_request(from, max);
            debug(
                store
                    .node_archive(owner, name, since, filter, request)
                    .await,
            )
        }
    }
}

fn archive_request(from: PageFrom, max: u32) -> PageRequest {
    PageRequest {
        max,
        bytes_max: 40,
        from,
        flip: max == 3,
        count: true,
    }
}

fn changes(
    at: i64,
    config: Option<u8>,
    items_max: Option<u32>,
    people: Vec<(u8, Option<u8>)>,
    told: Vec<(u8, Option<bool>)>,
) -> NodeChange {
    let people = people.into_iter().map(|(who, number)| {
        let affiliation = number.map(|number| match number {
            1 => Affiliation::Owner,
            2 => Affiliation::Publisher,
            3 => Affiliation::PublishOnly,
            4 => Affiliation::Member,
            _ => Affiliation::Outcast,
        });
        (contact_jid(who), affiliation)
    });
    let mut change = NodeChange {
        at,
        config: config.map(filled),
        items_max,
        affiliations: people.collect(),
        ..NodeChange::default()
    };
    for (who, pending) in told {
        match pending {
            Some(pending) => change.subscribe.push(NodeSubscription {
                jid: contact_jid(who).into(),
                pending,
                options: filled(who),
            }),
            None => change.unsubscribe.push(contact_jid(who).into()),
        }
    }
    change
}

/// All that can be read about an owner's nodes.
pub(super) async fn look(store: &impl Store, who: u8) -> String {
    let owner = owner(who);
    let names: Vec<String> = (0..3).map(|node: u8| node.to_string()).collect();
    let ids = vec!["3".into(), "0".into(), "1".into()];
    debug((
        store.nodes(owner.clone()).await.unwrap(),
        store
            .node_heads(vec![(owner.clone(), names)])
            .await
            .unwrap(),
        store.items_by_id(owner, "1".into(), ids).await.unwrap(),
    ))
}

fn filled(size: u8) -> Bytes {
    "x".repeat(size.into()).into()
}
