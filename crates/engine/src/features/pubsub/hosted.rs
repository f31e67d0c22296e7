//! The service with a domain of its own, `pubsub.example.org`: what it says of itself, and stanzas to
//! it that are no requests.

use super::{items_of, node_info, nodes_of};
use crate::{
    feature::{IqCx, IqHandler, IqKind, IqRoute, Place, Reply, Service, Who},
    features::disco,
    route::{Hosted, service::not_for_us},
};
use waxwing_proto::stanza::StanzaError;
use waxwing_store::BoxFuture;

/// Where its requests come.
pub(super) const PLACE: Place = Place::Service(Service::PubSub);

/// What it does with other stanzas.
pub(super) const HOSTED: Hosted = Hosted {
    kind: Service::PubSub,
    arrive: |arrival| Box::pin(async move { not_for_us(&arrival.draft) }),
    hand_over: |_, _| Ok(()),
    presence: |_, _, _, _| {},
};

/// Its answer to `ns`, a namespace of service discovery.
pub(super) const fn discovery(ns: &'static str, handler: IqHandler) -> IqRoute {
    IqRoute {
        place: PLACE,
        kind: IqKind::Get,
        name: "query",
        ns,
        who: Who::Anyone,
        handler,
    }
}

/// § 5.1, § 5.3
pub(super) fn info(cx: IqCx<'_>) -> BoxFuture<'_, Result<Reply, StanzaError>> {
    Box::pin(async move {
        let Some(node) = cx.payload.attr("node") else {
            let identity = ("pubsub", "service", "Publish-subscribe");
            return Ok(disco::service_info(
                cx.engine.settings(),
                Service::PubSub,
                identity,
                Vec::new(),
            ));
        };
        Ok(disco::answer(&node_info(&cx, &node).await?, Some(&node)))
    })
}

/// § 5.2, § 5.5
pub(super) fn items(cx: IqCx<'_>) -> BoxFuture<'_, Result<Reply, StanzaError>> {
    Box::pin(async move {
        let node = cx.payload.attr("node");
        let items = match &node {
            Some(node) => items_of(&cx, node).await?,
            None => nodes_of(&cx).await?,
        };
        Ok(disco::listed(cx.to, node.as_deref(), items))
    })
}
