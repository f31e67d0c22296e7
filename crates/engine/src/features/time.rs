//! Entity time ([XEP-0202](https://xmpp.org/extensions/xep-0202.html), 2.0), in the profile of
//! [XEP-0082](https://xmpp.org/extensions/xep-0082.html).
//!
//! The server's own zone is nobody's business, so it answers in UTC.

use crate::feature::{Coverage, Disco, Feature, IqCx, IqKind, IqRoute, Place, Reply, Who, Xep};
use waxwing_proto::{ns, stanza::StanzaError, time, xml::Writer};
use waxwing_store::BoxFuture;

/// The feature.
pub const FEATURE: Feature = Feature {
    name: "time",
    xeps: &[
        Xep {
            number: 202,
            version: "2.0",
            title: "Entity Time",
            coverage: Coverage::Complete,
        },
        Xep {
            number: 82,
            version: "1.1.1",
            title: "XMPP Date and Time Profiles",
            coverage: Coverage::Complete,
        },
    ],
    disco: &[Disco {
        place: Place::Domain,
        var: ns::TIME,
    }],
    iq: &[IqRoute {
        place: Place::Domain,
        kind: IqKind::Get,
        name: "time",
        ns: ns::TIME,
        who: Who::Anyone,
        handler: now,
    }],
    ..Feature::NONE
};

fn now(cx: IqCx<'_>) -> BoxFuture<'_, Result<Reply, StanzaError>> {
    Box::pin(async move {
        // Whole seconds, as in the examples of § 3.
        let now = cx
            .engine
            .env()
            .now()
            .div_euclid(1_000_000)
            .saturating_mul(1_000_000);
        let mut xml = Writer::new(ns::CLIENT);
        xml.start_ns("time", ns::TIME)
            .leaf("tzo", "+00:00")
            .leaf("utc", &time::format_datetime(now))
            .end();
        Ok(Reply::Payload(xml.finish()))
    })
}
