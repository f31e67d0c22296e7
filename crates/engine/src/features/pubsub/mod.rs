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
//! - A node's archive (XEP-0442) is what is on it; see [`archive`](mod@archive).
//!
//! Not here: collections, digests; on accounts approval by form (§ 8.6; an owner approves
//! by § 8.8), subscriptions that end with presence, items that go with their publisher's presence.

mod advertised;
mod archive;
mod audience;
mod config;
mod demands;
mod discover;
mod errors;
mod event;
mod far;
mod hosted;
mod last;
mod list;
#[cfg(test)]
mod matrix;
mod node;
mod nodes;
mod options;
mod own;
mod owner;
mod purpose;
mod relations;
mod reply;
mod request;
mod rights;
mod service;
mod stored;
mod subscriber;
mod terms;
mod turns;

pub(super) use archive::{archive, archive_form};
pub(crate) use discover::{Item, items_of, node_info, nodes_of};
pub(crate) use far::{
    Far, on_answer as on_far_answer, on_presence as on_far_presence, on_probe as on_far_probe,
};
pub(crate) use last::{on_caps, to_contact};
pub(crate) use list::tell_of_list;
pub(crate) use own::{Readers, items, may_read, newest, publish, retract};
pub(crate) use turns::Turns;

use super::avatar;
use crate::{
    Engine,
    feature::{Coverage, Feature, IqCx, IqHandler, IqKind, IqRoute, Place, Reply, Who, Xep},
};
use errors::Refusal;
use request::{Publish, Request};
use service::Call;
use waxwing_proto::{
    BareJid, ns,
    stanza::{Condition, StanzaError},
};
use waxwing_store::BoxFuture;

/// Why some changes of several are refused, by those who may make them.
const NOT_CHANGED: Condition = Condition::NotAcceptable;

/// The feature.
pub const FEATURE: Feature = Feature {
    name: "pubsub",
    xeps: &[
        Xep {
            number: 60,
            version: "1.28.0",
            title: "Publish-Subscribe",
            coverage: Coverage::Partial(
                "No collections, digests or bodies for people. Subscriptions do not end with presence, nor items with that of \
                 their publisher. On accounts subscriptions are approved by § 8.8, not by form.",
            ),
        },
        Xep {
            number: 163,
            version: "1.2.2",
            title: "Personal Eventing Protocol",
            coverage: Coverage::Complete,
        },
        Xep {
            number: 413,
            version: "0.2.1",
            title: "Order-By",
            coverage: Coverage::Partial("of items, not of archives"),
        },
        Xep {
            number: 442,
            version: "0.2.0",
            title: "Pubsub Message Archive Management",
            coverage: Coverage::Complete,
        },
        Xep {
            number: 223,
            version: "1.1.1",
            title: "Persistent Storage of Private Data via PubSub",
            coverage: Coverage::Complete,
        },
    ],
    disco: advertised::DISCO,
    iq: &[
        route(Place::Account, IqKind::Get, ns::PUBSUB, get),
        route(Place::Account, IqKind::Set, ns::PUBSUB, set),
        route(Place::Account, IqKind::Get, ns::PUBSUB_OWNER, get),
        route(Place::Account, IqKind::Set, ns::PUBSUB_OWNER, set),
        route(hosted::PLACE, IqKind::Get, ns::PUBSUB, get),
        route(hosted::PLACE, IqKind::Set, ns::PUBSUB, set),
        route(hosted::PLACE, IqKind::Get, ns::PUBSUB_OWNER, get),
        route(hosted::PLACE, IqKind::Set, ns::PUBSUB_OWNER, set),
        archive_route(IqKind::Set, archive),
        archive_route(IqKind::Get, archive_form),
        hosted::COMMANDS,
        hosted::discovery(ns::DISCO_INFO, hosted::info),
        hosted::discovery(ns::DISCO_ITEMS, hosted::items),
    ],
    hosted: Some(hosted::HOSTED),
    ..Feature::NONE
};

const fn route(place: Place, kind: IqKind, ns: &'static str, handler: IqHandler) -> IqRoute {
    IqRoute {
        place,
        kind,
        name: "pubsub",
        ns,
        who: Who::AnyoneOrNotFound,
        handler,
    }
}

/// At an account it is the archive of messages that takes queries, and passes on those for nodes.
const fn archive_route(kind: IqKind, handler: IqHandler) -> IqRoute {
    IqRoute {
        place: hosted::PLACE,
        kind,
        name: "query",
        ns: ns::MAM,
        who: Who::Anyone,
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
    if request.node() == Some(ns::BOOKMARKS_LIST) && !node::is_service(cx.to) {
        let payload = list::answer(&call, &request).await?;
        return Ok(payload.map_or(Reply::Empty, Reply::Payload));
    }
    let payload = match call.answer(&request).await {
        Ok(payload) => payload,
        Err(error) => return call.refused(&request, error).await,
    };
    if let Some(node) = request.changes().filter(|_| !node::is_service(cx.to)) {
        changed(cx.engine, cx.to, node, &request).await;
    }
    Ok(payload.map_or(Reply::Empty, Reply::Payload))
}

impl Call<'_> {
    /// An error, with what stays as it is where several things were to be changed.
    async fn refused(&self, request: &Request, error: StanzaError) -> Result<Reply, StanzaError> {
        let node = request.node().filter(|_| error.condition == NOT_CHANGED);
        let known = match node {
            Some(node) => self.known(node).await?,
            None => None,
        };
        let unchanged = known.and_then(|known| reply::unchanged(request, &known, self.owner));
        match unchanged {
            Some(unchanged) => Ok(Reply::Refused(unchanged, error)),
            None => Err(error),
        }
    }
}

impl Request {
    /// The node that it may have changed.
    fn changes(&self) -> Option<&str> {
        match self {
            Self::Publish(Publish { node, .. })
            | Self::Retract { node, .. }
            | Self::Configure(node, Some(_))
            | Self::Delete { node, .. }
            | Self::Purge(node) => Some(node),
            _ => None,
        }
    }
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
