//! Publish-subscribe ([XEP-0060](https://xmpp.org/extensions/xep-0060.html), 1.28.0) on every
//! account ([XEP-0163](https://xmpp.org/extensions/xep-0163.html), 1.2.2).
//!
//! [`node`] is the machine that decides; [`rights`] is the table it asks, [`config`] the options of
//! nodes, [`purpose`] what their names say. [`service`] reads and writes for it; [`audience`] knows who is told, [`event`] what.
//!
//! Decisions on what XEP-0060 leaves open:
//! - To those who have nothing to do with an account, a node that they may not read does not exist,
//!   as if the account did not exist. Nodes that are open are open to everybody.
//! - Options that are demanded with a publication (§ 7.1.5) are compared for what they mean.
//! - Items are in the order of their publication, oldest first, in answers and pages.
//! - Whoever publishes without an id on a node that keeps one item replaces that item.
//! - Publishers remove their own items only.
//! - The address for replies (XEP-0163 § 4.3.1) is told where a node's options want it.
//!
//! - An item that has expired is not given any more; it is removed with the next publication.
//!
//! Not here: subscription options and ids, collections, approval by form (§ 8.6; an owner approves
//! by § 8.8), subscriptions that end with presence, items that go with their publisher's presence.

mod audience;
mod config;
mod demands;
mod discover;
mod errors;
mod event;
mod hosted;
mod last;
mod list;
mod node;
mod options;
mod own;
mod owner;
mod purpose;
mod reply;
mod request;
mod rights;
mod service;
mod stored;
mod turns;

pub(crate) use discover::{Item, items_of, node_info, nodes_of};
pub(crate) use last::{on_caps, to_contact};
pub(crate) use list::tell_of_list;
pub(crate) use own::{Readers, items, may_read, newest, publish, retract};
pub(crate) use turns::Turns;

use super::avatar;
use crate::{
    Engine,
    feature::{Coverage, Disco, Feature, IqCx, IqHandler, IqKind, IqRoute, Place, Reply, Who, Xep},
};
use errors::Refusal;
use request::Request;
use service::Call;
use waxwing_proto::{BareJid, ns, stanza::StanzaError};
use waxwing_store::BoxFuture;

/// The feature.
pub const FEATURE: Feature = Feature {
    name: "pubsub",
    xeps: &[
        Xep {
            number: 60,
            version: "1.28.0",
            title: "Publish-Subscribe",
            coverage: Coverage::Partial("on accounts; no service of its own yet"),
        },
        Xep {
            number: 163,
            version: "1.2.2",
            title: "Personal Eventing Protocol",
            coverage: Coverage::Complete,
        },
        Xep {
            number: 223,
            version: "1.1.1",
            title: "Persistent Storage of Private Data via PubSub",
            coverage: Coverage::Complete,
        },
    ],
    disco: &[
        hosted(ns::DISCO_INFO),
        hosted(ns::DISCO_ITEMS),
        hosted(ns::PUBSUB),
        account("http://jabber.org/protocol/pubsub"),
        account("http://jabber.org/protocol/pubsub#access-authorize"),
        account("http://jabber.org/protocol/pubsub#access-open"),
        account("http://jabber.org/protocol/pubsub#access-presence"),
        account("http://jabber.org/protocol/pubsub#access-roster"),
        account("http://jabber.org/protocol/pubsub#access-whitelist"),
        account("http://jabber.org/protocol/pubsub#auto-create"),
        account("http://jabber.org/protocol/pubsub#auto-subscribe"),
        account("http://jabber.org/protocol/pubsub#config-node"),
        account("http://jabber.org/protocol/pubsub#config-node-max"),
        account("http://jabber.org/protocol/pubsub#create-and-configure"),
        account("http://jabber.org/protocol/pubsub#create-nodes"),
        account("http://jabber.org/protocol/pubsub#delete-items"),
        account("http://jabber.org/protocol/pubsub#delete-nodes"),
        account("http://jabber.org/protocol/pubsub#filtered-notifications"),
        account("http://jabber.org/protocol/pubsub#item-ids"),
        account("http://jabber.org/protocol/pubsub#last-published"),
        account("http://jabber.org/protocol/pubsub#manage-subscriptions"),
        account("http://jabber.org/protocol/pubsub#member-affiliation"),
        account("http://jabber.org/protocol/pubsub#meta-data"),
        account("http://jabber.org/protocol/pubsub#modify-affiliations"),
        account("http://jabber.org/protocol/pubsub#multi-items"),
        account("http://jabber.org/protocol/pubsub#outcast-affiliation"),
        account("http://jabber.org/protocol/pubsub#persistent-items"),
        account("http://jabber.org/protocol/pubsub#presence-notifications"),
        account("http://jabber.org/protocol/pubsub#presence-subscribe"),
        account("http://jabber.org/protocol/pubsub#publish"),
        account("http://jabber.org/protocol/pubsub#publish-only-affiliation"),
        account("http://jabber.org/protocol/pubsub#publish-options"),
        account("http://jabber.org/protocol/pubsub#publisher-affiliation"),
        account("http://jabber.org/protocol/pubsub#purge-nodes"),
        account("http://jabber.org/protocol/pubsub#retract-items"),
        account("http://jabber.org/protocol/pubsub#retrieve-affiliations"),
        account("http://jabber.org/protocol/pubsub#retrieve-default"),
        account("http://jabber.org/protocol/pubsub#retrieve-items"),
        account("http://jabber.org/protocol/pubsub#retrieve-subscriptions"),
        account("http://jabber.org/protocol/pubsub#rsm"),
        account("http://jabber.org/protocol/pubsub#subscribe"),
    ],
    iq: &[
        route(IqKind::Get, ns::PUBSUB, get),
        route(IqKind::Set, ns::PUBSUB, set),
        route(IqKind::Get, ns::PUBSUB_OWNER, get),
        route(IqKind::Set, ns::PUBSUB_OWNER, set),
        hosted::discovery(ns::DISCO_INFO, hosted::info),
        hosted::discovery(ns::DISCO_ITEMS, hosted::items),
    ],
    hosted: Some(hosted::HOSTED),
    ..Feature::NONE
};

const fn account(var: &'static str) -> Disco {
    Disco {
        place: Place::Account,
        var,
    }
}

const fn hosted(var: &'static str) -> Disco {
    Disco {
        place: hosted::PLACE,
        var,
    }
}

const fn route(kind: IqKind, ns: &'static str, handler: IqHandler) -> IqRoute {
    IqRoute {
        place: Place::Account,
        kind,
        name: "pubsub",
        ns,
        who: Who::AnyoneOrNotFound,
        handler,
    }
}

fn get(cx: IqCx<'_>) -> BoxFuture<'_, Result<Reply, StanzaError>> {
    Box::pin(async move {
        let request = Request::get(cx.payload);
        answer(&cx, request).await
    })
}

fn set(cx: IqCx<'_>) -> BoxFuture<'_, Result<Reply, StanzaError>> {
    Box::pin(async move {
        let request = Request::set(cx.payload);
        answer(&cx, request).await
    })
}

async fn answer(cx: &IqCx<'_>, request: Result<Request, Refusal>) -> Result<Reply, StanzaError> {
    let call = Call {
        engine: cx.engine,
        owner: cx.to,
        from: cx.from,
    };
    let request = match request {
        Ok(request) => request,
        Err(refusal) => return Err(call.hide(refusal, None).await),
    };
    if request.node() == Some(ns::BOOKMARKS_LIST) {
        let payload = list::answer(&call, &request).await?;
        return Ok(payload.map_or(Reply::Empty, Reply::Payload));
    }
    let payload = call.answer(&request).await?;
    if let Some(node) = request.changes() {
        changed(cx.engine, cx.to, node, &request).await;
    }
    Ok(payload.map_or(Reply::Empty, Reply::Payload))
}

/// What else an account shows is made from some nodes.
async fn changed(engine: &Engine, owner: &BareJid, node: &str, request: &Request) {
    match (node, request) {
        (ns::AVATAR_METADATA, _) => avatar::changed(engine, owner).await,
        (ns::BOOKMARKS, Request::Configure(..)) => {}
        (ns::BOOKMARKS, _) => tell_of_list(engine, owner).await,
        _ => {}
    }
}
