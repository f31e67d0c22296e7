//! Client access management ([XEP-0494](https://xmpp.org/extensions/xep-0494.html), 0.1.0): people
//! see what has access to their account, and end it.
//!
//! All clients have shown the password, the first token is given for nothing else. So to revoke one
//! ends what can be ended without a new password, its tokens and sessions, and is answered by the
//! error that says what is left to do (§ 3.2): a device that has kept the password can come back
//! until it is changed.
//!
//! A session of a client that says nothing about itself is listed too, by its resource.

use crate::{
    clients::Access,
    error,
    feature::{Coverage, Disco, Feature, IqCx, IqHandler, IqKind, IqRoute, Place, Reply, Who, Xep},
};
use waxwing_proto::{
    ns,
    stanza::{Condition, StanzaError},
    time::format_datetime,
    xml::Writer,
};
use waxwing_store::BoxFuture;

/// The feature.
pub const FEATURE: Feature = Feature {
    name: "cam",
    xeps: &[Xep {
        number: 494,
        version: "0.1.0",
        title: "Client Access Management",
        coverage: Coverage::Complete,
    }],
    disco: &[Disco {
        place: Place::Account,
        var: ns::CAM,
    }],
    iq: &[
        route(IqKind::Get, "list", list),
        route(IqKind::Set, "revoke", revoke),
    ],
    ..Feature::NONE
};

const fn route(kind: IqKind, name: &'static str, handler: IqHandler) -> IqRoute {
    IqRoute {
        place: Place::Account,
        kind,
        name,
        ns: ns::CAM,
        who: Who::Owner,
        handler,
    }
}

/// § 3.1
fn list(cx: IqCx<'_>) -> BoxFuture<'_, Result<Reply, StanzaError>> {
    Box::pin(async move {
        let clients = cx.engine.clients(cx.to).await;
        let clients = clients.map_err(|failure| error::from_store(cx.engine, &failure))?;
        let mut xml = Writer::new(ns::CLIENT);
        xml.start_ns("clients", ns::CAM);
        for client in &clients {
            write(&mut xml, client);
        }
        xml.end();
        Ok(Reply::Payload(xml.finish()))
    })
}

/// § 3.2
fn revoke(cx: IqCx<'_>) -> BoxFuture<'_, Result<Reply, StanzaError>> {
    Box::pin(async move {
        let id = cx.payload.attr("id").ok_or(Condition::BadRequest)?;
        let was_there = cx.engine.sign_out(cx.to, &id).await;
        let was_there = was_there.map_err(|failure| error::from_store(cx.engine, &failure))?;
        if !was_there {
            return Err(Condition::ItemNotFound.into());
        }
        Err(StanzaError::new(Condition::ServiceUnavailable)
            .text("It is signed out. If it has kept your password, change that.")
            .app("password-reset-required", ns::CAM))
    })
}

fn write(xml: &mut Writer, client: &Access) {
    let connected = if client.is_connected { "true" } else { "false" };
    xml.start("client")
        .attr("connected", connected)
        .attr("id", client.id.as_str())
        .attr("type", "session");
    for (name, at) in [
        ("first-seen", client.first_seen),
        ("last-seen", client.last_seen),
    ] {
        if let Some(at) = at {
            xml.leaf(name, &format_datetime(at));
        }
    }
    xml.start("auth").start("password").end();
    if client.has_tokens {
        xml.start("fast").end();
    }
    xml.end();
    xml.start("permission").attr("status", "unrestricted").end();
    xml.start("user-agent");
    for (name, text) in [("software", &client.software), ("device", &client.device)] {
        if !text.is_empty() {
            xml.leaf(name, text);
        }
    }
    xml.end().end();
}
