//! Session establishment (RFC 3921 § 3), which RFC 6121 made a no-op. Old clients still ask.

use crate::feature::{Feature, IqCx, IqKind, IqRoute, Place, Reply, Who};
use waxwing_proto::{ns, stanza::StanzaError};
use waxwing_store::BoxFuture;

/// The feature.
pub const FEATURE: Feature = Feature {
    name: "session",
    iq: &[route(Place::Account), route(Place::Domain)],
    ..Feature::NONE
};

const fn route(place: Place) -> IqRoute {
    IqRoute {
        place,
        kind: IqKind::Set,
        name: "session",
        ns: ns::SESSION,
        who: Who::Owner,
        handler: establish,
    }
}

fn establish(_: IqCx<'_>) -> BoxFuture<'_, Result<Reply, StanzaError>> {
    Box::pin(async { Ok(Reply::Empty) })
}
