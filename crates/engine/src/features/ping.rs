//! Ping ([XEP-0199](https://xmpp.org/extensions/xep-0199.html), 2.0.1).
//!
//! The server answers for itself and for the asking account (§ 4.2: client to server). It does not
//! answer for other accounts, whose clients answer for themselves.

use crate::feature::{
    Coverage, Disco, Feature, IqCx, IqKind, IqRoute, Place, Reply, Service, Who, Xep,
};
use waxwing_proto::{ns, stanza::StanzaError};
use waxwing_store::BoxFuture;

/// The feature.
pub const FEATURE: Feature = Feature {
    name: "ping",
    xeps: &[Xep {
        number: 199,
        version: "2.0.1",
        title: "XMPP Ping",
        coverage: Coverage::Complete,
    }],
    disco: &[
        Disco {
            place: Place::Domain,
            var: ns::PING,
        },
        Disco {
            place: Place::Service(Service::PubSub),
            var: ns::PING,
        },
        Disco {
            place: Place::Service(Service::Rooms),
            var: ns::PING,
        },
    ],
    iq: &[
        route(Place::Domain, Who::Anyone),
        route(Place::Account, Who::Owner),
        route(Place::Service(Service::PubSub), Who::Anyone),
        route(Place::Service(Service::Rooms), Who::Anyone),
    ],
    ..Feature::NONE
};

const fn route(place: Place, who: Who) -> IqRoute {
    IqRoute {
        place,
        kind: IqKind::Get,
        name: "ping",
        ns: ns::PING,
        who,
        handler: ping,
    }
}

fn ping(_: IqCx<'_>) -> BoxFuture<'_, Result<Reply, StanzaError>> {
    Box::pin(async { Ok(Reply::Empty) })
}
