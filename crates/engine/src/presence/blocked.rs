//! What a change of the block list shows and hides (XEP-0191 § 3.3, § 3.4).

use super::{
    Own,
    fanout::{send, show, unavailable},
    probe::{ask, may_see},
};
use crate::{
    Engine,
    account::{View, names},
    features::pubsub,
    route::presence::deliver,
};
use waxwing_proto::{BareJid, Jid};

/// Hides the user from `blocked`, which has just been put on the block list: the contacts it names
/// that see the user, and others who were sent directed presence, get unavailable presence of each
/// of the user's available resources. The user gets theirs, because what they send from now on is
/// dropped and would leave them available for ever. Called after the block is committed and
/// [`crate::registry::Registry::changed`] was called.
pub(crate) async fn hide_from(engine: &Engine, account: &BareJid, blocked: &Jid) {
    let Ok(view) = engine.view(account).await else {
        return;
    };
    let named = named(&view, blocked);
    for resource in engine.registry().resources(account) {
        let from = Jid::from(&resource.jid);
        let mut to: Vec<Jid> = Vec::new();
        if resource.priority().is_some() {
            let seeing = named.iter().filter(|(_, sees, _)| *sees);
            to.extend(seeing.map(|(jid, ..)| jid.clone()));
        }
        to.extend(resource.take_directed_to(|jid| names(blocked, jid)));
        to.dedup();
        let stanza = unavailable(&resource);
        for (copy, to) in stanza.fan_out(&to).zip(&to) {
            send(engine, &from, to, &copy);
        }
    }
    for (contact, _, seen) in &named {
        if *seen {
            reverse(engine, account, contact, false).await;
        }
    }
}

/// Shows the user again to `unblocked`, which has just been taken off the block list: the contacts
/// it names that see the user get the presence of each of the user's available resources, and the
/// user gets theirs. Called after the change is committed and
/// [`crate::registry::Registry::changed`] was called.
pub(crate) async fn show_to(engine: &Engine, account: &BareJid, unblocked: &Jid) {
    let Ok(view) = engine.view(account).await else {
        return;
    };
    for (contact, sees, seen) in named(&view, unblocked) {
        // Another entry may block it still.
        if view.blocks(&contact) {
            continue;
        }
        if sees {
            show(engine, account, &contact);
            pubsub::to_contact(engine, account, &contact.to_bare()).await;
        }
        if seen {
            reverse(engine, account, &contact, true).await;
        }
    }
}

/// Sends the user presence of the contact's resources that `contact` names, if the contact lets
/// the user see it: the current one, or unavailable presence.
async fn reverse(engine: &Engine, account: &BareJid, contact: &Jid, shown: bool) {
    let bare = contact.to_bare();
    let to = Jid::from(account);
    if !engine.is_local(bare.domain()) {
        return reverse_remote(engine, account, &bare, shown).await;
    }
    let visible = engine.view(&bare).await;
    if !visible.is_ok_and(|theirs| may_see(&theirs, account, &to)) {
        return;
    }
    for resource in engine.registry().resources(&bare) {
        let from = Jid::from(&resource.jid);
        if let Some(stanza) = resource.presence()
            && names(contact, &from)
        {
            let stanza = if shown {
                stanza
            } else {
                unavailable(&resource)
            };
            // Not by `send`: the block is what causes this.
            deliver(engine, &to, &stanza.with_to(&to));
        }
    }
}

/// [`reverse`] for a contact at another domain, whose resources are not known here: all of them are
/// gone (RFC 6121 § 4.5.4), or it is asked.
async fn reverse_remote(engine: &Engine, account: &BareJid, contact: &BareJid, shown: bool) {
    if !shown {
        let to = Jid::from(account);
        let gone = Own {
            kind: Some("unavailable"),
            from: contact.as_str(),
            to: Some(to.as_str()),
            ..Own::default()
        };
        return deliver(engine, &to, &gone.seal());
    }
    let Ok(view) = engine.view(account).await else {
        return;
    };
    let Some(contact) = view.contact(contact) else {
        return;
    };
    let here = engine.registry().resources(account);
    if here.iter().any(|resource| resource.priority().is_some()) {
        ask(engine, &view, contact, account);
    }
}

/// The contacts that an entry of the block list names, by the address that is blocked; whether the
/// contact sees the user, and whether the user sees the contact.
fn named(view: &View, entry: &Jid) -> Vec<(Jid, bool, bool)> {
    let same_account = |contact: &BareJid| {
        entry.domain() == contact.domain()
            && (entry.local().is_none() || entry.local() == contact.local())
    };
    view.contacts()
        .iter()
        .filter(|contact| same_account(&contact.jid))
        .filter_map(|contact| {
            let jid = match entry.resource() {
                Some(resource) => contact.jid.with_resource(resource).ok()?.into(),
                None => Jid::from(&contact.jid),
            };
            Some((jid, contact.sees_user(), contact.seen_by_user()))
        })
        .collect()
}
