//! The node `storage:bookmarks` (XEP-0048 § 3), which is not kept but made of the items that bookmarks
//! are ([`super::super::bookmarks`]): what can be asked of it, and who is told of it.

use super::{
    audience::{Audience, wants},
    config::{Access, Bound, NodeConfig, SendLast},
    errors::Refusal,
    event::Source,
    node::{Answer, Known},
    relations::Relations,
    reply,
    request::{Publish, Request},
    service::{Call, Done},
};
use crate::{
    Engine,
    features::{bookmarks, caps::Features},
    outbox::Delivery,
    registry::Resource,
};
use bytes::Bytes;
use waxwing_proto::{
    BareJid, Jid, ns,
    stanza::StanzaError,
    xml::{Limits, Tree},
};
use waxwing_store::{Item, Node, NodeKey};

/// The one item.
const ITEM: &str = "current";

/// Answers a request about the node.
pub(super) async fn answer(
    call: &Call<'_>,
    request: &Request,
) -> Result<Option<Bytes>, StanzaError> {
    if call.from.bare_str() != call.owner.as_str() {
        return Err(call.hide(Refusal::ClosedNode, None).await);
    }
    let mut done = Done::default();
    let answer = match request {
        Request::Items(_) => {
            let list = bookmarks::list(call.engine, call.owner).await?;
            done.page.items = list
                .map(|list| item(call.owner, list))
                .into_iter()
                .collect();
            Answer::Items
        }
        Request::Publish(publish) => {
            write(call, publish).await?;
            Answer::Published(Some(ITEM.to_owned()))
        }
        Request::Options(_) => Answer::Options,
        Request::Subscribers(_) => Answer::Subscribers,
        Request::Affiliates(_) => Answer::Affiliates,
        // It is as it is wanted already.
        Request::Configure(..) => Answer::Empty,
        Request::Create { .. } => return Err(Refusal::Conflict.into()),
        Request::Retract { .. } => return Err(Refusal::Unsupported("delete-items").into()),
        Request::Purge(_) => return Err(Refusal::Unsupported("purge-nodes").into()),
        Request::Delete { .. } => return Err(Refusal::Unsupported("delete-nodes").into()),
        _ => return Err(Refusal::Unsupported("subscribe").into()),
    };
    let node = Some(ns::BOOKMARKS_LIST);
    Ok(reply::about(&answer, node, Some(&known()), &done))
}

/// The bookmarks of an account have changed: tells its clients that are interested in the list.
pub(crate) async fn tell_of_list(engine: &Engine, owner: &BareJid) {
    let known = known();
    // Behind whoever tells of a change before this one; what is read then is no older than either.
    let (turn, ()) = engine.pubsub().take(owner, || ());
    turn.come().await;
    let Ok(relations) = Relations::read(engine, owner, None).await else {
        return;
    };
    let all = Audience::of(engine, &relations, &known).await;
    if all.is_empty() {
        return;
    }
    // Whoever is not told reads the list when it comes back.
    let Ok(list) = bookmarks::list(engine, owner).await else {
        return;
    };
    let list = list.unwrap_or_else(empty);
    let id = engine.env().token();
    let source = Source {
        owner,
        known: &known,
        id: &id,
    };
    all.tell(engine, owner, &source.item(Some((ITEM, &list)), owner));
}

/// A client has said that it is interested and was not before: sends it the list (XEP-0411 § 3).
pub(super) async fn send(
    engine: &Engine,
    owner: &BareJid,
    resource: &Resource,
    (now, before): (&Features, Option<&Features>),
) {
    let wish = "storage:bookmarks+notify";
    if !wants(Some(now), wish) || wants(before, wish) {
        return;
    }
    let Ok(Some(list)) = bookmarks::list(engine, owner).await else {
        return;
    };
    let (known, id) = (known(), engine.env().token());
    let source = Source {
        owner,
        known: &known,
        id: &id,
    };
    let stanza = source.item(Some((ITEM, &list)), owner);
    let stanza = stanza.with_to(&Jid::from(&resource.jid));
    if resource.outbox.push(Delivery::Stanza(stanza)).is_ok() {
        engine.metrics().deliveries.inc();
        engine.metrics().pubsub_notifications.inc();
    }
}

async fn write(call: &Call<'_>, publish: &Publish) -> Result<(), StanzaError> {
    if let Some(options) = &publish.options {
        let mut config = known().config;
        let applied = config.apply_all(options);
        // Who else may read it matters (XEP-0402 § 9); how the list is kept does not.
        if applied.is_err() || config.access != Access::Whitelist {
            return Err(Refusal::PreconditionNotMet.into());
        }
    }
    let payload = publish.item.as_ref().and_then(|item| item.payload.clone());
    let payload = payload.ok_or(StanzaError::from(Refusal::PayloadRequired))?;
    let tree = Tree::parse(payload, "", &Limits::C2S);
    let tree = tree.map_err(|_| StanzaError::from(Refusal::InvalidPayload))?;
    if !tree.root().is("storage", ns::BOOKMARKS_LIST) {
        return Err(Refusal::InvalidPayload.into());
    }
    bookmarks::replace(call.engine, call.from, tree.root()).await
}

fn known() -> Known {
    Known {
        ended: Vec::new(),
        node: Node {
            key: NodeKey {
                name: ns::BOOKMARKS_LIST.to_owned(),
                version: 0,
            },
            config: Bytes::new(),
            affiliations: Vec::new(),
            subscriptions: Vec::new(),
        },
        config: NodeConfig {
            items_max: Bound::Number(1),
            send_last: SendLast::OnSubAndPresence,
            ..NodeConfig::private()
        },
    }
}

fn item(owner: &BareJid, payload: Bytes) -> Item {
    Item {
        id: ITEM.to_owned(),
        publisher: owner.into(),
        at: 0,
        payload,
    }
}

fn empty() -> Bytes {
    Bytes::from_static(b"<storage xmlns='storage:bookmarks'/>")
}
