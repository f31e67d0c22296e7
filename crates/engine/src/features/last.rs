//! Last activity ([XEP-0012](https://xmpp.org/extensions/xep-0012.html), 2.0).
//!
//! An account's answer goes to the account itself and to those who may see its presence; others
//! get `forbidden` whether the account exists or not (§ 4, § 9).

use crate::{
    error,
    feature::{Coverage, Disco, Feature, IqCx, IqKind, IqRoute, Place, Reply, Who, Xep},
};
use bytes::Bytes;
use waxwing_proto::{
    ns,
    stanza::{Condition, StanzaError},
    xml::Writer,
};
use waxwing_store::{BoxFuture, Micros};

/// The feature.
pub const FEATURE: Feature = Feature {
    name: "last",
    xeps: &[Xep {
        number: 12,
        version: "2.0",
        title: "Last Activity",
        coverage: Coverage::Complete,
    }],
    disco: &[Disco {
        place: Place::Domain,
        var: ns::LAST,
    }],
    iq: &[
        route(Place::Domain, Who::Anyone, uptime),
        route(Place::Account, Who::SubscriberOrForbidden, account),
    ],
    ..Feature::NONE
};

const fn route(place: Place, who: Who, handler: crate::feature::IqHandler) -> IqRoute {
    IqRoute {
        place,
        kind: IqKind::Get,
        name: "query",
        ns: ns::LAST,
        who,
        handler,
    }
}

/// § 6: how long the server has been running.
fn uptime(cx: IqCx<'_>) -> BoxFuture<'_, Result<Reply, StanzaError>> {
    Box::pin(async move {
        let seconds = elapsed(cx.engine.started(), cx.engine.env().now());
        Ok(Reply::Payload(answer(seconds, "")))
    })
}

/// § 3 and § 4: when the account was last here; zero while it is.
fn account(cx: IqCx<'_>) -> BoxFuture<'_, Result<Reply, StanzaError>> {
    Box::pin(async move {
        let here = cx.engine.registry().resources(cx.to);
        if here.iter().any(|resource| resource.priority().is_some()) {
            return Ok(Reply::Payload(answer(0, "")));
        }
        let last = cx.engine.store().last(cx.to.clone()).await;
        match last.map_err(|failure| error::from_store(cx.engine, &failure))? {
            Some((at, status)) => Ok(Reply::Payload(answer(
                elapsed(at, cx.engine.env().now()),
                &status,
            ))),
            // Never logged in.
            None => Err(Condition::ItemNotFound.into()),
        }
    })
}

/// Whole seconds between two times; none if the clock was set back.
fn elapsed(from: Micros, to: Micros) -> i64 {
    to.saturating_sub(from).max(0) / 1_000_000
}

fn answer(seconds: i64, status: &str) -> Bytes {
    let mut xml = Writer::new(ns::CLIENT);
    xml.start_ns("query", ns::LAST)
        .attr("seconds", &seconds.to_string());
    if !status.is_empty() {
        xml.text(status);
    }
    xml.end();
    xml.finish()
}

#[cfg(test)]
mod tests {
    use super::{answer, elapsed};

    #[test]
    fn time_is_told_in_whole_seconds_and_never_runs_backwards() {
        for (from, to, seconds) in [
            (0, 0, 0),
            (0, 999_999, 0),
            (0, 1_000_000, 1),
            (1_000_000, 904_500_000, 903),
            (5_000_000, 4_000_000, 0),
            (i64::MIN, i64::MAX, i64::MAX / 1_000_000),
            (i64::MAX, i64::MIN, 0),
        ] {
            assert_eq!(elapsed(from, to), seconds, "{from} to {to}");
        }
    }

    #[test]
    fn a_farewell_is_text() {
        assert_eq!(answer(1, ""), "<query xmlns='jabber:iq:last' seconds='1'/>");
        assert_eq!(
            answer(903, "Heading <home>"),
            "<query xmlns='jabber:iq:last' seconds='903'>Heading &lt;home&gt;</query>"
        );
    }
}
