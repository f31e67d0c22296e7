//! Software version ([XEP-0092](https://xmpp.org/extensions/xep-0092.html), 1.1).
//!
//! The operating system is not told: § 5 leaves it out where it could help an attacker.

use crate::feature::{Coverage, Disco, Feature, IqCx, IqKind, IqRoute, Place, Reply, Who, Xep};
use waxwing_proto::{ns, stanza::StanzaError, xml::Writer};
use waxwing_store::BoxFuture;

/// The feature.
pub const FEATURE: Feature = Feature {
    name: "version",
    xeps: &[Xep {
        number: 92,
        version: "1.1",
        title: "Software Version",
        coverage: Coverage::Complete,
    }],
    disco: &[Disco {
        place: Place::Domain,
        var: ns::VERSION,
    }],
    iq: &[IqRoute {
        place: Place::Domain,
        kind: IqKind::Get,
        name: "query",
        ns: ns::VERSION,
        who: Who::Anyone,
        handler: version,
    }],
    ..Feature::NONE
};

fn version(cx: IqCx<'_>) -> BoxFuture<'_, Result<Reply, StanzaError>> {
    Box::pin(async move {
        let mut xml = Writer::new(ns::CLIENT);
        xml.start_ns("query", ns::VERSION)
            .leaf("name", "Waxwing")
            .leaf("version", &cx.engine.settings().version)
            .end();
        Ok(Reply::Payload(xml.finish()))
    })
}
