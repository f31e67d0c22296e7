//! Nodes of an account and what is on them, for service discovery (XEP-0060 § 5.2 to § 5.5). Only
//! what the asker may read is shown.

use super::{
    node::{Known, is_service},
    relations::Relations,
    service::Call,
};
use crate::{error, feature::IqCx};
use waxwing_proto::{
    BareJid,
    caps::{DiscoInfo, Identity, InfoForm},
    ns,
    stanza::{Condition, StanzaError},
};
use waxwing_store::{Affiliation, ItemsFrom, ItemsOrder, ItemsRequest};

/// Items named in one answer.
const ITEMS_MAX: u32 = 1000;

/// An item of a disco#items result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Item {
    /// A node.
    pub(crate) node: Option<String>,
    /// A name: of a node for people, of an item its id.
    pub(crate) name: Option<String>,
}

/// What a node is (§ 5.3, § 5.4).
pub(crate) async fn node_info(cx: &IqCx<'_>, name: &str) -> Result<DiscoInfo, StanzaError> {
    let known = readable(cx, name).await?;
    let config = &known.config;
    let one = |text: &String| vec![text.clone()];
    let fields = [
        ("pubsub#title", one(&config.title)),
        ("pubsub#description", one(&config.description)),
        ("pubsub#type", one(&config.kind)),
        ("pubsub#language", one(&config.language)),
        ("pubsub#owner", owners(cx.to, &known)),
        ("pubsub#contact", config.contact.clone()),
        ("pubsub#access_model", vec![config.access_name()]),
        (
            "pubsub#num_subscribers",
            vec![known.node.subscriptions.len().to_string()],
        ),
    ];
    let given = |(_, values): &(&str, Vec<String>)| values.iter().any(|value| !value.is_empty());
    let fields = fields.into_iter().filter(given);
    let archive = config.persist.then_some(ns::MAM);
    let features = [Some(ns::PUBSUB), archive].into_iter();
    Ok(DiscoInfo {
        identities: vec![Identity {
            category: "pubsub".to_owned(),
            kind: "leaf".to_owned(),
            name: config.title.clone(),
            ..Identity::default()
        }],
        features: features.flatten().map(str::to_owned).collect(),
        forms: vec![InfoForm {
            form_type: ns::PUBSUB_META.to_owned(),
            fields: fields
                .map(|(name, values)| (name.to_owned(), values))
                .collect(),
        }],
    })
}

/// The nodes that the asker may read (XEP-0163 § 6.2).
pub(crate) async fn nodes_of(cx: &IqCx<'_>) -> Result<Vec<Item>, StanzaError> {
    let all = call(cx).all().await?;
    let by_group = |known: &&Known| known.config.access == super::config::Access::Roster;
    let who = cx.from.to_bare();
    let mut relations = Relations::read(cx.engine, cx.to, all.iter().find(by_group)).await?;
    let mut readable = Vec::new();
    for known in all {
        if is_service(cx.to) {
            relations = Relations::read(cx.engine, cx.to, Some(&known)).await?;
        }
        if relations.may_read(&who, &known) {
            readable.push(known);
        }
    }
    Ok(readable
        .into_iter()
        .map(|known| Item {
            node: Some(known.node.key.name),
            name: Some(known.config.title).filter(|title| !title.is_empty()),
        })
        .collect())
}

/// The ids of a node's items (§ 5.5).
pub(crate) async fn items_of(cx: &IqCx<'_>, name: &str) -> Result<Vec<Item>, StanzaError> {
    let known = readable(cx, name).await?;
    let request = ItemsRequest {
        from: ItemsFrom::First,
        count: ITEMS_MAX,
        order: ItemsOrder::default(),
        since: known.config.since(cx.engine.env().now()),
    };
    let page = cx
        .engine
        .store()
        .items(cx.to.clone(), name.to_owned(), request);
    let page = page.await;
    let page = page.map_err(|failure| error::from_store(cx.engine, &failure))?;
    let items = page.items.into_iter();
    Ok(items
        .map(|item| Item {
            node: None,
            name: Some(item.id),
        })
        .collect())
}

/// Whose node it is.
fn owners(service: &BareJid, known: &Known) -> Vec<String> {
    if !is_service(service) {
        return vec![service.to_string()];
    }
    let affiliations = known.node.affiliations.iter();
    let owners = affiliations.filter(|(_, one)| *one == Affiliation::Owner);
    owners.map(|(jid, _)| jid.to_string()).collect()
}

/// A node that the asker may read. To those who do not see the account at all, there is none, as if
/// there was no account.
async fn readable(cx: &IqCx<'_>, name: &str) -> Result<Known, StanzaError> {
    let known = call(cx).known(name).await?;
    let relations = Relations::read(cx.engine, cx.to, known.as_ref()).await?;
    let who = cx.from.to_bare();
    match known {
        Some(known) if relations.may_read(&who, &known) => Ok(known),
        Some(_) if is_service(cx.to) => Err(Condition::Forbidden.into()),
        _ if is_service(cx.to) || relations.sees_owner(&who) => Err(Condition::ItemNotFound.into()),
        _ => Err(Condition::ServiceUnavailable.into()),
    }
}

fn call<'a>(cx: &'a IqCx<'_>) -> Call<'a> {
    Call {
        engine: cx.engine,
        owner: cx.to,
        from: cx.from,
    }
}
