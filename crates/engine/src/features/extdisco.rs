//! The relay for calls, as clients find it ([XEP-0215](https://xmpp.org/extensions/xep-0215.html),
//! 1.0.0): where it is, and a name and a password for a while.
//!
//! People of this server are told, nobody else. What is told does not change while a client is here,
//! so nothing is pushed (§ 3.3).

use crate::{
    RelaySettings,
    feature::{Coverage, Disco, Feature, IqCx, IqHandler, IqKind, IqRoute, Place, Reply, Who, Xep},
};
use waxwing_proto::{
    ns,
    stanza::{Condition, StanzaError},
    time,
    turn::Credentials,
    xml::Writer,
};
use waxwing_store::BoxFuture;

/// The feature.
pub const FEATURE: Feature = Feature {
    name: "extdisco",
    xeps: &[Xep {
        number: 215,
        version: "1.0.0",
        title: "External Service Discovery",
        coverage: Coverage::Complete,
    }],
    offered: |settings| settings.relay.is_some(),
    disco: &[Disco {
        place: Place::Domain,
        var: ns::EXTDISCO,
    }],
    iq: &[
        route("services", services),
        route("credentials", credentials),
    ],
    ..Feature::NONE
};

const fn route(name: &'static str, handler: IqHandler) -> IqRoute {
    IqRoute {
        place: Place::Domain,
        kind: IqKind::Get,
        name,
        ns: ns::EXTDISCO,
        who: Who::Owner,
        handler,
    }
}

/// The kinds of service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Stun,
    Turn,
}

impl Kind {
    const ALL: [Self; 2] = [Self::Stun, Self::Turn];

    fn name(self) -> &'static str {
        match self {
            Self::Stun => "stun",
            Self::Turn => "turn",
        }
    }
}

/// § 3.1, § 3.2.
fn services(cx: IqCx<'_>) -> BoxFuture<'_, Result<Reply, StanzaError>> {
    Box::pin(async move {
        let relay = relay(&cx)?;
        let wanted = cx.payload.attr("type");
        let mut xml = Writer::new(ns::CLIENT);
        xml.start_ns("services", ns::EXTDISCO)
            .attr_opt("type", wanted.as_deref());
        for kind in Kind::ALL {
            if wanted.as_deref().is_none_or(|wanted| wanted == kind.name()) {
                write(&cx, relay, kind, &mut xml);
            }
        }
        xml.end();
        Ok(Reply::Payload(xml.finish()))
    })
}

/// § 3.4.
fn credentials(cx: IqCx<'_>) -> BoxFuture<'_, Result<Reply, StanzaError>> {
    Box::pin(async move {
        let relay = relay(&cx)?;
        let service = cx.payload.child("service", ns::EXTDISCO);
        let service = service.ok_or(Condition::BadRequest)?;
        let is_here = service.attr("host").as_deref() == Some(host(&cx, relay))
            && service.attr("type").as_deref() == Some(Kind::Turn.name())
            && service
                .attr("port")
                .is_none_or(|port| port.parse() == Ok(relay.port));
        if !is_here {
            return Err(Condition::ItemNotFound.into());
        }
        let mut xml = Writer::new(ns::CLIENT);
        xml.start_ns("credentials", ns::EXTDISCO);
        write(&cx, relay, Kind::Turn, &mut xml);
        xml.end();
        Ok(Reply::Payload(xml.finish()))
    })
}

fn relay<'a>(cx: &IqCx<'a>) -> Result<&'a RelaySettings, StanzaError> {
    let relay = cx.engine.settings().relay.as_ref();
    relay.ok_or_else(|| Condition::ServiceUnavailable.into())
}

fn host<'a>(cx: &IqCx<'a>, relay: &'a RelaySettings) -> &'a str {
    relay.host.as_deref().unwrap_or_else(|| cx.to.domain())
}

fn write(cx: &IqCx<'_>, relay: &RelaySettings, kind: Kind, xml: &mut Writer) {
    let port = relay.port.to_string();
    xml.start("service")
        .attr("host", host(cx, relay))
        .attr("port", &port)
        .attr("transport", "udp")
        .attr("type", kind.name());
    if kind == Kind::Turn {
        let now = u64::try_from(cx.engine.env().now() / 1_000_000).unwrap_or(0);
        let expires = now.saturating_add(relay.credential_lifetime.as_secs());
        let account = cx.from.bare_str();
        let made = Credentials::new(cx.engine.relay_secret(), account, expires);
        let until = i64::try_from(expires).unwrap_or(i64::MAX);
        let until = time::format_datetime(until.saturating_mul(1_000_000));
        xml.attr("username", &made.username)
            .attr("password", &made.password)
            .attr("expires", &until)
            .attr("restricted", "true");
    }
    xml.end();
}
