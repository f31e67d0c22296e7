//! The table of `docs/pubsub-rights.md`, cell by cell, by running the machine.

use super::{
    config::{Access, NodeConfig, PublishModel},
    demands::fixtures::form,
    errors::Refusal,
    node::{Answer, Given, Known, plan},
    request::{Items, NewItem, Publish, Request, Subscribed},
    rights::Asker,
};
use bytes::Bytes;
use std::fmt::Write as _;
use waxwing_proto::{BareJid, Jid, stanza::StanzaError};
use waxwing_store::{Affiliation, Item, ItemsOrder, Node, NodeKey, NodeSubscription};

const WRITTEN: &str = include_str!("../../../../../docs/pubsub-rights.md");

const ASKER: &str = "asker@a.example";

/// What the asker is: a name and an affiliation; for others what there is between them and the node.
const WHO: [(&str, Option<Affiliation>); 10] = [
    ("owner", Some(Affiliation::Owner)),
    ("publisher", Some(Affiliation::Publisher)),
    ("publish-only", Some(Affiliation::PublishOnly)),
    ("member", Some(Affiliation::Member)),
    ("outcast", Some(Affiliation::Outcast)),
    ("none", None),
    ("none, sees presence", None),
    ("none, in group", None),
    ("none, asked", None),
    ("none, subscribed", None),
];

const ACTIONS: [&str; 10] = [
    "subscribe",
    "read items",
    "publish",
    "remove own item",
    "remove any item",
    "purge",
    "configure",
    "affiliations",
    "subscriptions",
    "delete",
];

fn request(action: &str) -> Request {
    let node = "n".to_owned();
    match action {
        "subscribe" => Request::Subscribe {
            node,
            jid: Jid::parse(ASKER).unwrap(),
            options: None,
        },
        "read items" => Request::Items(Items {
            node,
            ids: Vec::new(),
            newest: None,
            page: None,
            order: ItemsOrder::default(),
            subscription: None,
        }),
        "publish" => Request::Publish(Publish {
            node,
            item: Some(NewItem {
                id: None,
                payload: Some(Bytes::from_static(b"<x xmlns='urn:x'/>")),
            }),
            options: None,
        }),
        "remove own item" | "remove any item" => Request::Retract {
            node,
            ids: vec!["i".into()],
            notify: false,
        },
        "purge" => Request::Purge(node),
        "configure" => Request::Configure(node, Some(form(&[("pubsub#title", &["t"])]))),
        "affiliations" => Request::SetAffiliates(node, Vec::new()),
        "subscriptions" => Request::SetSubscribers(node, Vec::new()),
        _ => Request::Delete {
            node,
            redirect: None,
        },
    }
}

/// What the machine says.
fn cell(
    who: (&str, Option<Affiliation>),
    access: Access,
    publish: PublishModel,
    action: &str,
) -> String {
    let (name, affiliation) = who;
    let from = Jid::parse(&format!("{ASKER}/r")).unwrap();
    let pending = match name {
        "none, asked" => Some(true),
        "none, subscribed" => Some(false),
        _ => None,
    };
    let config = NodeConfig {
        access,
        publish,
        ..NodeConfig::of_service()
    };
    let subscription = pending.map(|pending| NodeSubscription {
        jid: from.to_bare().into(),
        pending,
        options: Bytes::new(),
    });
    let other = (BareJid::parse("o@a.example").unwrap(), Affiliation::Owner);
    let known = Known {
        node: Node {
            key: NodeKey {
                name: "n".into(),
                version: 1,
            },
            config: config.encode().into(),
            affiliations: vec![other],
            subscriptions: subscription.into_iter().collect(),
        },
        config,
        ended: Vec::new(),
    };
    let own = action == "remove own item";
    let item = Item {
        id: "i".into(),
        publisher: Jid::parse(if own { ASKER } else { "other@a.example" }).unwrap(),
        at: 0,
        payload: Bytes::new(),
    };
    let given = Given {
        owner: &BareJid::parse("pubsub.a.example").unwrap(),
        from: &from,
        creates: false,
        asker: Asker {
            affiliation,
            sees_owner: name == "none, sees presence",
            in_group: name == "none, in group",
            pending,
        },
        known: Some(&known),
        found: &[item],
        now: 0,
        token: "t",
    };
    match plan(&given, &request(action)) {
        Ok(plan) if matches!(plan.answer, Answer::Subscription(_, Subscribed::Pending, _)) => {
            "waits".into()
        }
        Ok(_) => "yes".into(),
        Err(refusal) => condition(refusal),
    }
}

/// The name of an error, the particular one if there is one.
fn condition(refusal: Refusal) -> String {
    let error = StanzaError::from(refusal);
    error
        .app
        .map_or(error.condition.name(), |(name, _)| name)
        .to_owned()
}

fn table(
    head: &str,
    columns: &[&str],
    cell: impl Fn((&str, Option<Affiliation>), &str) -> String,
) -> String {
    let mut out = format!("\n## {head}\n\n| who | {} |\n", columns.join(" | "));
    let _ = writeln!(out, "|{}", " --- |".repeat(columns.len() + 1));
    for who in WHO {
        let cells: Vec<String> = columns.iter().map(|column| cell(who, column)).collect();
        let _ = writeln!(out, "| {} | {} |", who.0, cells.join(" | "));
    }
    out
}

#[test]
fn every_cell_is_as_it_is_written() {
    let mut ran = String::new();
    for (name, access) in [
        ("open", Access::Open),
        ("presence", Access::Presence),
        ("roster", Access::Roster),
        ("whitelist", Access::Whitelist),
        ("authorize", Access::Authorize),
    ] {
        let head = format!("Access model {name}");
        ran += &table(&head, &ACTIONS, |who, action| {
            cell(who, access, PublishModel::Publishers, action)
        });
    }
    ran += &table(
        "Publish models",
        &["publishers", "subscribers", "open"],
        |who, model| {
            let model = match model {
                "publishers" => PublishModel::Publishers,
                "subscribers" => PublishModel::Subscribers,
                _ => PublishModel::Open,
            };
            let publish = cell(who, Access::Open, model, "publish");
            assert_eq!(publish, cell(who, Access::Open, model, "remove own item"));
            publish
        },
    );
    let written = WRITTEN.find("\n## ").map_or("", |start| &WRITTEN[start..]);
    for (written, ran) in written.lines().zip(ran.lines()) {
        assert_eq!(written, ran);
    }
    assert_eq!(written, ran);
}
