//! Presence on its way to somebody (RFC 6121 § 8.5).

use super::{Handover, Routed, Rule, depart, guard_recipient, service};
use crate::{Engine, account::View, outbox::Delivery, registry::Resources};
use waxwing_proto::{
    BareJid, Jid,
    stanza::{Draft, Sealed, StanzaError},
};

/// Takes directed presence, or an error about presence, whose `from` is stamped and whose `to` is
/// set.
pub async fn route(
    engine: &Engine,
    sender: Option<(&BareJid, &View)>,
    draft: Draft,
) -> Result<Routed, StanzaError> {
    let Some((from, to)) = depart(engine, &draft, sender)? else {
        return Ok(Routed::Done);
    };
    if let Some(found) = engine.service(to.domain()) {
        return service::arrive(engine, found.kind, draft, (from, to), sender).await;
    }
    if !engine.is_local(to.domain()) {
        let handover = Handover::new(draft, from, to, Rule::Remote);
        return Ok(Routed::Handover(handover, None));
    }
    if to.local().is_none() {
        // The server has no use for anybody's presence.
        return Ok(Routed::Done);
    }
    let account = to.to_bare();
    let view = engine.view(&account).await?;
    // § 8.5.1: nothing is said about an account that does not exist.
    if !view.exists || !guard_recipient(engine, &draft, &account, &view, &from)? {
        return Ok(Routed::Done);
    }
    let handover = Handover::new(draft, from, to, Rule::Presence);
    Ok(Routed::Handover(handover, None))
}

/// Delivers to whom § 8.5.2.1.2 and § 8.5.3 name.
pub(super) fn hand_over(engine: &Engine, handover: &Handover) {
    let Handover { from, to, .. } = handover;
    if handover.stanza.type_attr().as_deref() == Some("unavailable") {
        // § 4.6.1: who goes need not be told any more when the recipient goes.
        for resource in targets(engine, to) {
            resource.forget_directed(from);
        }
    }
    deliver(engine, to, &handover.sealed);
}

/// Gives presence to a local recipient: to all available resources of a bare JID, to the one of a
/// full JID, to nobody without a word if there is none.
pub(crate) fn deliver(engine: &Engine, to: &Jid, stanza: &Sealed) {
    for resource in targets(engine, to) {
        let delivery = Delivery::Stanza(stanza.clone());
        // Whoever is ending asks for presence anew when it returns.
        if resource.outbox.push(delivery).is_ok() {
            engine.metrics().deliveries.inc();
        }
    }
}

fn targets(engine: &Engine, to: &Jid) -> Resources {
    let account = to.to_bare();
    if let Some(resource) = to.resource() {
        let found = engine.registry().resource(&account, resource);
        return found.into_iter().collect();
    }
    let mut all = engine.registry().resources(&account);
    all.retain(|resource| resource.priority().is_some());
    all
}
