//! IQ stanzas (RFC 6120 § 8.2.3, RFC 6121 § 8).

use super::{Handover, Routed, Rule, depart, guard_recipient, service};
use crate::{
    Engine,
    account::{Contact, View},
    feature::{IqCx, IqKind, Place, Reply, Way, Who},
    outbox::Delivery,
};
use waxwing_proto::{
    BareJid, Jid, ns,
    stanza::{Condition, Draft, Stanza, StanzaError},
};

/// What an IQ is (RFC 6120 § 8.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// A query.
    Get,
    /// A change.
    Set,
    /// A successful answer.
    Result,
    /// A failed answer.
    Error,
}

/// Checks the shape that RFC 6120 § 8.2.3 demands: a known type, an id, and exactly one payload in
/// a request.
pub fn check(stanza: &Stanza) -> Result<Type, StanzaError> {
    let kind = match stanza.type_attr().as_deref() {
        Some("get") => Type::Get,
        Some("set") => Type::Set,
        Some("result") => Type::Result,
        Some("error") => Type::Error,
        _ => return Err(Condition::BadRequest.into()),
    };
    if stanza.id().is_none() {
        return Err(Condition::BadRequest.into());
    }
    let children = stanza.root().children().take(2).count();
    let shaped = match kind {
        Type::Get | Type::Set => children == 1,
        Type::Result => children <= 1,
        Type::Error => children >= 1,
    };
    if shaped {
        Ok(kind)
    } else {
        Err(Condition::BadRequest.into())
    }
}

/// Where an IQ is to be handled.
#[derive(Debug)]
pub enum Destination {
    /// By us, on behalf of an account (its bare JID), as a domain or as a service.
    Here(Place, BareJid),
    /// By somebody else.
    There,
}

/// Decides who handles an IQ of a type to `to`. What answers a service is for it to match with what it
/// asked.
pub fn destination(engine: &Engine, to: &Jid, kind: Type) -> Destination {
    if let Some(service) = engine.service(to.domain()) {
        let is_request = matches!(kind, Type::Get | Type::Set);
        return match (to.is_full(), to.local()) {
            (false, None) if is_request => {
                Destination::Here(Place::Service(service.kind), to.to_bare())
            }
            (false, Some(_)) if is_request => {
                Destination::Here(Place::Within(service.kind), to.to_bare())
            }
            _ => Destination::There,
        };
    }
    if !engine.is_local(to.domain()) || to.is_full() {
        return Destination::There;
    }
    let place = if to.local().is_some() {
        Place::Account
    } else {
        Place::Domain
    };
    Destination::Here(place, to.to_bare())
}

/// Answers a request on behalf of an account, a domain or a service.
pub(crate) async fn answer(
    engine: &Engine,
    draft: &Draft,
    kind: IqKind,
    (place, to): (Place, &BareJid),
    from: &Jid,
    way: Way<'_>,
) -> Result<Reply, StanzaError> {
    let Some(payload) = draft.root().children().next() else {
        return Err(Condition::BadRequest.into());
    };
    let owner = from.bare_str() == to.as_str();
    let route = engine
        .features()
        .iq(place, kind, payload.name(), payload.ns());
    let who = route.map(|route| route.who.asks(payload));
    if !owner {
        // Said without looking at the account, so that it tells nothing about it.
        match who {
            Some(Who::OwnerOrForbidden) => return Err(Condition::Forbidden.into()),
            Some(Who::OwnerOrNotAllowed) => return Err(Condition::NotAllowed.into()),
            _ => {}
        }
    }
    if place == Place::Account && !owner {
        admit(engine, draft, to, from, who).await?;
    }
    let (Some(route), Some(who)) = (route, who) else {
        // RFC 6120 § 8.4
        return Err(Condition::ServiceUnavailable.into());
    };
    let allowed = match (who, place) {
        // Who has come this far with the latter may see the account.
        (Who::Anyone | Who::AnyoneOrNotFound | Who::SubscriberOrForbidden, _) => true,
        (Who::OwnerOrForbidden | Who::OwnerOrNotAllowed | Who::OwnerOrReaders, _)
        | (Who::Owner, Place::Account) => owner,
        (Who::Owner, Place::Domain | Place::Service(_) | Place::Within(_)) => {
            engine.is_local(from.domain())
        }
    };
    if !allowed {
        return Err(Condition::ServiceUnavailable.into());
    }
    let (session, before) = match way {
        Way::Session(session) => (Some(session), None),
        Way::Remote(before) => (None, Some(before)),
    };
    let cx = IqCx {
        engine,
        from,
        to,
        request: draft.stanza(),
        payload,
        session,
        before,
    };
    (route.handler)(cx).await
}

/// Lets a request to an account pass that is not its own. The same answer whether the account is
/// missing, silent or has blocked the sender.
async fn admit(
    engine: &Engine,
    draft: &Draft,
    to: &BareJid,
    from: &Jid,
    who: Option<Who>,
) -> Result<(), StanzaError> {
    let view = engine.view(to).await?;
    let for_subscribers = who == Some(Who::SubscriberOrForbidden);
    let or_not_found = who == Some(Who::AnyoneOrNotFound);
    let passes = match guard_recipient(engine, draft, to, &view, from) {
        Ok(passes) => passes && view.exists,
        Err(_) if for_subscribers || or_not_found => false,
        Err(error) => return Err(error),
    };
    let contact = || view.contact(&from.to_bare());
    if for_subscribers && !(passes && contact().is_some_and(Contact::sees_user)) {
        return Err(Condition::Forbidden.into());
    }
    match (passes, or_not_found) {
        (true, _) => Ok(()),
        (false, true) => Err(Condition::ItemNotFound.into()),
        (false, false) => Err(Condition::ServiceUnavailable.into()),
    }
}

/// Takes an IQ for a full JID, another domain, or what asked.
pub async fn route(
    engine: &Engine,
    sender: Option<(&BareJid, &View)>,
    draft: Draft,
    kind: Type,
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
    let account = to.to_bare();
    if forged_push(&draft, kind, &from, &account) {
        return Err(Condition::ServiceUnavailable.into());
    }
    if to.local().is_some() {
        let view = engine.view(&account).await?;
        if view.exists && !guard_recipient(engine, &draft, &account, &view, &from)? {
            return Ok(Routed::Done);
        }
        let request = matches!(kind, Type::Get | Type::Set);
        if request && !may_ask(engine, &view, &from, &to) {
            return Err(Condition::ServiceUnavailable.into());
        }
    }
    Ok(Routed::Handover(
        Handover::new(draft, from, to, Rule::Iq),
        None,
    ))
}

/// Whether the sender of a request to a full JID knows already that it may be there: by a
/// subscription or by directed presence. Others are answered as if nobody were (RFC 6121
/// § 8.5.3.1). The server of somebody who sees the account has been sent its presence as well: ejabberd
/// asks in its own name what clients can do (XEP-0115).
fn may_ask(engine: &Engine, view: &View, from: &Jid, to: &Jid) -> bool {
    let (asker, account) = (from.to_bare(), to.to_bare());
    if asker == account || view.contact(&asker).is_some_and(Contact::sees_user) {
        return true;
    }
    if asker.local().is_none() {
        let mut seeing = view.contacts().iter().filter(|one| one.sees_user());
        if seeing.any(|contact| contact.jid.domain() == asker.domain()) {
            return true;
        }
    }
    let resource = to
        .resource()
        .and_then(|resource| engine.registry().resource(&account, resource));
    resource.is_some_and(|resource| {
        resource.has_directed(from) || resource.has_directed(&(&asker).into())
    })
}

/// Roster and block list pushes are the server's alone; clients are known to believe others
/// (RFC 6121 § 2.1.6).
fn forged_push(draft: &Draft, kind: Type, from: &Jid, account: &BareJid) -> bool {
    kind == Type::Set
        && from.bare_str() != account.as_str()
        && draft
            .root()
            .children()
            .any(|payload| matches!(payload.ns(), ns::ROSTER | ns::BLOCKING))
}

/// Delivers to the resource named (RFC 6121 § 8.5.3).
pub(super) fn hand_over(engine: &Engine, handover: &Handover) -> Result<(), StanzaError> {
    let found = handover
        .to
        .resource()
        .and_then(|resource| engine.registry().resource(&handover.to.to_bare(), resource));
    let taken = found.is_some_and(|resource| {
        resource
            .outbox
            .push(Delivery::Stanza(handover.sealed.clone()))
            .is_ok()
    });
    if taken {
        engine.metrics().deliveries.inc();
        Ok(())
    } else {
        Err(Condition::ServiceUnavailable.into())
    }
}
