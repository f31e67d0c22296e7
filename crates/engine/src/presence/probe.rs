//! Asking for presence (RFC 6121 § 4.3).

use super::{Own, Sealed, fanout::send, subscribe};
use crate::{
    Engine,
    account::{Contact, View},
    error,
    registry::Resource,
    route::{guard_recipient, guard_sender},
};
use bytes::Bytes;
use std::sync::Arc;
use waxwing_proto::{
    BareJid, Jid, ns,
    stanza::{Draft, StanzaError},
    time,
    xml::Writer,
};

/// What a new available resource must learn: the presence of the account's other resources and of
/// every contact that lets the account see it. This is what a probe would bring, without a probe
/// (§ 4.3.1). Contacts at other domains are sent one; their answers come as presence.
pub(super) async fn presence_of_contacts(
    engine: &Engine,
    account: &BareJid,
    view: &View,
    resource: &Resource,
) -> Vec<Sealed> {
    let to = Jid::from(&resource.jid);
    let mut found = Vec::new();
    for other in engine.registry().resources(account) {
        if other.generation != resource.generation {
            found.extend(other.presence().map(|stanza| stanza.with_to(&to)));
        }
    }
    for contact in view.contacts().iter().filter(|one| one.seen_by_user()) {
        if !engine.is_local(contact.jid.domain()) {
            ask(engine, view, contact, account);
            continue;
        }
        found.extend(presence_of(engine, (account, view), contact, &to).await);
    }
    found
}

/// [`presence_of_contacts`] for a resource that knows an older state: those who are not here are
/// said to be gone.
pub(crate) async fn as_it_is(
    engine: &Engine,
    account: &BareJid,
    view: &View,
    resource: &Resource,
) -> Vec<Sealed> {
    let to = Jid::from(&resource.jid);
    let mut found = presence_of_contacts(engine, account, view, resource).await;
    for contact in view.contacts().iter().filter(|one| one.seen_by_user()) {
        if !engine.is_local(contact.jid.domain()) {
            continue;
        }
        let theirs = presence_of(engine, (account, view), contact, &to).await;
        if theirs.is_empty() {
            let gone = Own {
                kind: Some("unavailable"),
                from: contact.jid.as_str(),
                to: Some(to.as_str()),
                ..Own::default()
            };
            found.push(gone.seal());
        }
    }
    found
}

/// The presence of each resource of a local contact, as far as the contact shows it.
async fn presence_of(
    engine: &Engine,
    (account, view): (&BareJid, &View),
    contact: &Contact,
    to: &Jid,
) -> Vec<Sealed> {
    let here = engine.registry().resources(&contact.jid);
    if here.iter().all(|other| other.priority().is_none()) {
        return Vec::new();
    }
    let Ok(theirs) = engine.view(&contact.jid).await else {
        return Vec::new();
    };
    if !may_see(&theirs, account, to) {
        return Vec::new();
    }
    let shown = here
        .iter()
        .filter(|other| !view.blocks(&Jid::from(&other.jid)));
    shown
        .filter_map(|other| Some(other.presence()?.with_to(to)))
        .collect()
}

/// Asks a contact at another domain, from bare JID to bare JID, as subscriptions are (§ 4.3.1).
pub(super) fn ask(engine: &Engine, view: &View, contact: &Contact, account: &BareJid) {
    let (from, to) = (Jid::from(account), Jid::from(&contact.jid));
    if view.blocks(&to) {
        return;
    }
    let probe = Own {
        kind: Some("probe"),
        from: from.as_str(),
        to: Some(to.as_str()),
        ..Own::default()
    };
    send(engine, &from, &to, &probe.seal());
}

/// Whether the account with this view shows itself to `viewer`, who uses the address `jid`.
pub(super) fn may_see(view: &View, viewer: &BareJid, jid: &Jid) -> bool {
    view.contact(viewer).is_some_and(Contact::sees_user) && !view.blocks(jid)
}

/// A probe sent by a client: needless, but no fault (§ 4.3).
pub(super) async fn from_client(
    engine: &Engine,
    account: &BareJid,
    view: &View,
    mut draft: Draft,
) -> Result<(), StanzaError> {
    if draft.to().is_none() {
        draft.set_to(account.into());
    }
    let Some(to) = draft.to().cloned() else {
        return Ok(());
    };
    let passed = guard_sender(engine, &draft, Some((account, view)), &to);
    if !passed.unwrap_or(false) {
        return Ok(());
    }
    if engine.service(to.domain()).is_some() {
        // Services show no presence but what they send.
        return Ok(());
    }
    if !engine.is_local(to.domain()) {
        let domain = account.domain();
        return engine.send_away(domain, to.domain(), draft.seal());
    }
    probe(engine, &draft).await
}

/// Answers a probe whose `from` is stamped and whose `to` is set, if it is for an account here
/// (§ 4.3.2, § 4.6.6). Who may not see the account gets the same answer as if there were none.
pub(crate) async fn probe(engine: &Engine, draft: &Draft) -> Result<(), StanzaError> {
    let (Some(from), Some(to)) = (draft.from(), draft.to()) else {
        return Ok(());
    };
    if !engine.is_local(to.domain()) || to.local().is_none() {
        return Ok(());
    }
    let account = to.to_bare();
    let view = engine.view(&account).await?;
    if view.exists && !guard_recipient(engine, draft, &account, &view, from)? {
        return Ok(());
    }
    let id = draft.stanza().id();
    let answer = Own {
        to: Some(from.as_str()),
        id: id.as_deref(),
        ..Own::default()
    };
    let viewer = from.to_bare();
    if viewer == account || view.exists && may_see(&view, &viewer, from) {
        return match to.resource() {
            Some(resource) => {
                one(engine, &account, resource, from, to, answer);
                Ok(())
            }
            None => all(engine, &account, from, answer).await,
        };
    }
    let resource = to
        .resource()
        .and_then(|resource| engine.registry().resource(&account, resource));
    if resource.is_some_and(|resource| resource.has_directed(from)) {
        let from_address = to.as_str();
        let stanza = Own {
            from: from_address,
            ..answer
        };
        send(engine, to, from, &stanza.seal());
        return Ok(());
    }
    subscribe::refuse_probe(engine, &account, from, id.as_deref()).await
}

/// § 4.3.2: of a full JID only whether it is available.
fn one(engine: &Engine, account: &BareJid, resource: &str, from: &Jid, to: &Jid, answer: Own<'_>) {
    let found = engine.registry().resource(account, resource);
    let available = found.is_some_and(|resource: Arc<Resource>| resource.priority().is_some());
    let stanza = Own {
        kind: (!available).then_some("unavailable"),
        from: to.as_str(),
        ..answer
    };
    send(engine, to, from, &stanza.seal());
}

/// The last presence of each available resource, whole and with its own id; or since when there is
/// none (§ 4.3.2, § 4.3.2.1).
async fn all(
    engine: &Engine,
    account: &BareJid,
    from: &Jid,
    answer: Own<'_>,
) -> Result<(), StanzaError> {
    let mut available = false;
    for resource in engine.registry().resources(account) {
        if let Some(stanza) = resource.presence() {
            available = true;
            send(engine, &(&resource.jid).into(), from, &stanza.with_to(from));
        }
    }
    if available {
        return Ok(());
    }
    let last = engine.store().last(account.clone()).await;
    let last = last.map_err(|failure| error::from_store(engine, &failure))?;
    let delay = last.map(|(at, _)| delay(at));
    let stanza = Own {
        kind: Some("unavailable"),
        from: account.as_str(),
        content: delay.as_ref(),
        ..answer
    };
    send(engine, &account.into(), from, &stanza.seal());
    Ok(())
}

fn delay(at: waxwing_store::Micros) -> Bytes {
    let mut xml = Writer::new(ns::CLIENT);
    xml.start_ns("delay", ns::DELAY)
        .attr("stamp", &time::format_datetime(at))
        .end();
    xml.finish()
}
