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

/// Whose nodes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Service,
    Account,
}

use Place::{Account, Service};

const SERVICE: &str = "pubsub.a.example";
const ACCOUNT: &str = "account@a.example";
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

fn request(action: &str, asker: &Jid) -> Request {
    let node = "n".to_owned();
    match action {
        "subscribe" => Request::Subscribe {
            node,
            jid: asker.to_bare().into(),
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

/// The node, which whoever asks may have a subscription to.
fn node(access: Access, publish: PublishModel, (from, pending): (&Jid, Option<bool>)) -> Known {
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
    Known {
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
    }
}

/// What the machine says, as whoever asks is told it.
fn cell(
    place: Place,
    who: (&str, Option<Affiliation>),
    (access, publish): (Access, PublishModel),
    action: &str,
) -> String {
    let (name, affiliation) = who;
    // An account is the owner of its nodes.
    let own = place == Account && affiliation == Some(Affiliation::Owner);
    let asker = if own { ACCOUNT } else { ASKER };
    let from = Jid::parse(&format!("{asker}/r")).unwrap();
    let pending = match name {
        "none, asked" => Some(true),
        "none, subscribed" => Some(false),
        _ => None,
    };
    let known = node(access, publish, (&from, pending));
    let publisher = match action {
        "remove own item" => asker,
        _ => "other@a.example",
    };
    let item = Item {
        id: "i".into(),
        publisher: Jid::parse(publisher).unwrap(),
        at: 0,
        payload: Bytes::new(),
    };
    let asker = Asker {
        affiliation,
        sees_owner: own || name == "none, sees presence",
        in_group: name == "none, in group",
        pending,
    };
    let whose = match place {
        Service => SERVICE,
        Account => ACCOUNT,
    };
    let given = Given {
        owner: &BareJid::parse(whose).unwrap(),
        from: &from,
        creates: false,
        asker,
        known: Some(&known),
        found: &[item],
        now: 0,
        token: "t",
    };
    match plan(&given, &request(action, &from)) {
        Ok(plan) if matches!(plan.answer, Answer::Subscription(_, Subscribed::Pending, _)) => {
            "waits".into()
        }
        Ok(_) => "yes".into(),
        Err(_) if place == Account && asker.is_kept_out(Some(&known.config)) => {
            condition(Refusal::NotFound)
        }
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

/// All tables, as the machine has them.
fn tables() -> String {
    let mut ran = String::new();
    for (whose, place) in [("At a service", Service), ("On an account", Account)] {
        for (name, access) in [
            ("open", Access::Open),
            ("presence", Access::Presence),
            ("roster", Access::Roster),
            ("whitelist", Access::Whitelist),
            ("authorize", Access::Authorize),
        ] {
            let head = format!("{whose}: access model {name}");
            ran += &table(&head, &ACTIONS, |who, action| {
                cell(place, who, (access, PublishModel::Publishers), action)
            });
        }
    }
    ran + &table(
        "Publish models",
        &["publishers", "subscribers", "open"],
        |who, model| {
            let model = match model {
                "publishers" => PublishModel::Publishers,
                "subscribers" => PublishModel::Subscribers,
                _ => PublishModel::Open,
            };
            let says = |place, action| cell(place, who, (Access::Open, model), action);
            let publish = says(Service, "publish");
            assert_eq!(publish, says(Service, "remove own item"));
            publish
        },
    )
}

#[test]
fn every_cell_is_as_it_is_written() {
    let ran = tables();
    // Who is 10, by 10 actions and 5 access models at 2 places; and 3 publish models.
    let rows = |line: &&str| !line.starts_with("| who") && !line.starts_with("| ---");
    let cells = ran.lines().filter(rows);
    let cells = cells.filter_map(|line| line.strip_prefix("| "));
    let cells: usize = cells.map(|line| line.matches(" | ").count()).sum();
    assert_eq!(cells, 10 * (10 * 5 * 2 + 3));
    let written = WRITTEN.find("\n## ").map_or("", |start| &WRITTEN[start..]);
    for (written, ran) in written.lines().zip(ran.lines()) {
        assert_eq!(written, ran);
    }
    assert_eq!(written, ran);
}
