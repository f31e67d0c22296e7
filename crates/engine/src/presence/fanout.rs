//! Presence of one resource to many, and of many resources to one.
//!
//! The cost is linear in the contacts that see the account; a stanza's content is shared by all
//! recipients and the start tags of one broadcast share one buffer.

use super::{Own, Sealed};
use crate::{
    Engine,
    account::{Contact, View},
    outbox::Delivery,
    registry::{Resource, Resources},
    route::{presence::deliver, service::presence_away},
};
use waxwing_proto::{BareJid, Jid};

/// Reads the block lists of those whom [`broadcast`] will reach, so that it need not wait.
pub(super) async fn read_audience(engine: &Engine, view: &View) {
    for contact in audience(view) {
        let registry = engine.registry();
        if registry.resources(&contact.jid).is_empty() || registry.view(&contact.jid).is_ok() {
            continue;
        }
        // An account that cannot be read counts as one that blocks nobody.
        let _ = engine.view(&contact.jid).await;
    }
}

/// Sends a resource's presence to all contacts that see the account and to the account's other
/// available resources (§ 4.2.2, § 4.4.2, § 4.5.2).
pub(super) fn broadcast(
    engine: &Engine,
    account: &BareJid,
    view: &View,
    resource: &Resource,
    stanza: &Sealed,
) {
    let from = Jid::from(&resource.jid);
    let mut to: Vec<Jid> = Vec::new();
    let mut targets: Vec<Resources> = Vec::new();
    let mut own = engine.registry().resources(account);
    own.retain(|other| other.priority().is_some() && other.generation != resource.generation);
    if !own.is_empty() {
        to.push(account.into());
        targets.push(own);
    }
    for contact in audience(view) {
        if !engine.is_local(contact.jid.domain()) {
            let contact = Jid::from(&contact.jid);
            if !view.blocks(&contact) {
                to.push(contact);
                // Nobody here; it goes to another domain.
                targets.push(Resources::new());
            }
            continue;
        }
        let mut here = engine.registry().resources(&contact.jid);
        here.retain(|other| {
            other.priority().is_some()
                && (view.blocked().is_empty() || !view.blocks(&Jid::from(&other.jid)))
        });
        if !here.is_empty() && !has_blocked(engine, &contact.jid, &from) {
            to.push((&contact.jid).into());
            targets.push(here);
        }
    }
    let gone = resource.priority().is_none();
    for ((copy, targets), to) in stanza.fan_out(&to).zip(targets).zip(&to) {
        if targets.is_empty() {
            send(engine, &from, to, &copy);
        }
        for target in targets {
            if gone {
                target.forget_directed(&from);
            }
            if target.outbox.push(Delivery::Stanza(copy.clone())).is_ok() {
                engine.metrics().deliveries.inc();
            }
        }
    }
}

/// Ends a presence session: tells those who see the account, and those who were sent directed
/// presence, `stanza`, which is unavailable presence without `to`. True if the resource was
/// available. Of several calls at once, one tells.
pub(super) fn leave(
    engine: &Engine,
    account: &BareJid,
    view: &View,
    resource: &Resource,
    stanza: &Sealed,
) -> bool {
    let was_available = resource.set_presence(None).is_some();
    // Whoever was let in since `view` was read has been shown the presence that ends here.
    let newest = engine.registry().view(account);
    let view = newest.as_deref().unwrap_or(view);
    if was_available {
        broadcast(engine, account, view, resource, stanza);
    }
    let mut directed: Vec<Jid> = resource.take_directed().into_iter().collect();
    directed.retain(|to| !(was_available && hears_broadcasts(engine, view, to)));
    let from = Jid::from(&resource.jid);
    for (copy, to) in stanza.fan_out(&directed).zip(&directed) {
        send(engine, &from, to, &copy);
    }
    was_available
}

/// Whether a broadcast reaches `to`.
fn hears_broadcasts(engine: &Engine, view: &View, to: &Jid) -> bool {
    let contact = to.to_bare();
    let sees = view.contact(&contact).is_some_and(Contact::sees_user);
    sees && to.resource().is_none_or(|resource| {
        let found = engine.registry().resource(&contact, resource);
        found.is_some_and(|found| found.priority().is_some())
    })
}

/// [`leave`] for a resource that has vanished or is replaced without having said so.
pub(crate) fn went_away(
    engine: &Engine,
    account: &BareJid,
    view: &View,
    resource: &Resource,
) -> bool {
    let stanza = unavailable(resource);
    leave(engine, account, view, resource, &stanza)
}

/// Sends `to` the current presence of each available resource of the account.
pub(super) fn show(engine: &Engine, account: &BareJid, to: &Jid) {
    for resource in engine.registry().resources(account) {
        if let Some(stanza) = resource.presence() {
            send(engine, &(&resource.jid).into(), to, &stanza.with_to(to));
        }
    }
}

/// Sends `to` unavailable presence of each available resource of the account.
pub(super) fn hide(engine: &Engine, account: &BareJid, to: &Jid) {
    for resource in engine.registry().resources(account) {
        if resource.priority().is_some() {
            let stanza = unavailable(&resource).with_to(to);
            send(engine, &(&resource.jid).into(), to, &stanza);
        }
    }
}

/// Delivers presence to a local entity unless it has blocked the sender, or sends it to a service or
/// another domain if there is a way. Nobody is told if there is none.
pub(super) fn send(engine: &Engine, from: &Jid, to: &Jid, stanza: &Sealed) {
    if !engine.is_local(to.domain()) {
        presence_away(engine, from, to, stanza);
    } else if !has_blocked(engine, &to.to_bare(), from) {
        deliver(engine, to, stanza);
    }
}

/// Unavailable presence of a resource, without `to`.
pub(super) fn unavailable(resource: &Resource) -> Sealed {
    let own = Own {
        kind: Some("unavailable"),
        from: resource.jid.as_str(),
        ..Own::default()
    };
    own.seal()
}

fn audience(view: &View) -> impl Iterator<Item = &Contact> {
    view.contacts().iter().filter(|contact| contact.sees_user())
}

/// Whether a local account has blocked `from`, as far as that is in memory: it is for every
/// account that has a session, but for the moment after a change.
fn has_blocked(engine: &Engine, account: &BareJid, from: &Jid) -> bool {
    let view = engine.registry().view(account);
    view.is_ok_and(|view| from.bare_str() != account.as_str() && view.blocks(from))
}
