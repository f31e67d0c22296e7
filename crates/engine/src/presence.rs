//! Presence (RFC 6121 § 3 and § 4): what a client's presence stanza does.
//!
//! Whether somebody may see an account is decided by that account's own roster and block list,
//! never by the viewer's.

mod avatar;
mod blocked;
mod fanout;
mod probe;
mod remote;
mod subscribe;
#[cfg(test)]
mod tests;

pub(crate) use avatar::show_avatar;
pub(crate) use blocked::{hide_from, show_to};
pub(crate) use fanout::went_away;
pub(crate) use probe::as_it_is;
pub(crate) use remote::from_remote;
pub(crate) use subscribe::{account_gone, end_subscriptions};

use crate::{
    Engine,
    account::View,
    output::Output,
    registry::Resource,
    route::{self, Routed},
    session::Session,
    subscription,
};
use bytes::Bytes;
use waxwing_proto::{
    BareJid, Jid, ns,
    stanza::{Condition, Draft, Kind, Sealed, Stanza, StanzaError},
    stream::StreamError,
    xml::{Element, Writer},
};

/// Bytes of the text of unavailable presence that are kept (XEP-0012).
const FAREWELL_BYTES_MAX: usize = 1023;

/// What a presence stanza is (RFC 6121 § 4.7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    Available,
    Unavailable,
    Subscription(subscription::Type),
    Probe,
    Error,
}

impl Type {
    fn of(draft: &Draft) -> Result<Self, StanzaError> {
        let name = draft.stanza().type_attr();
        match name.as_deref() {
            None => Ok(Self::Available),
            Some("unavailable") => Ok(Self::Unavailable),
            Some("probe") => Ok(Self::Probe),
            Some("error") => Ok(Self::Error),
            Some(other) => subscription::Type::parse(other)
                .map(Self::Subscription)
                .ok_or_else(|| Condition::BadRequest.into()),
        }
    }
}

/// Takes a presence stanza from the client.
pub(crate) async fn from_client(
    session: &mut Session,
    stanza: Stanza,
    draft: Draft,
    out: &mut Output,
) -> Result<(), StreamError> {
    // Messages before it come before it (RFC 6120 § 10.1).
    session.settle(out).await;
    let to = draft.to().cloned();
    if let Err(error) = take(session, draft, out).await {
        session.catch_up(to.as_ref(), out).await?;
        session.refuse(&stanza, to.as_ref(), &error, out);
    }
    Ok(())
}

async fn take(session: &mut Session, draft: Draft, out: &mut Output) -> Result<(), StanzaError> {
    let view = session.view().await?;
    let engine = session.engine().clone();
    let account = session.state.account.clone();
    match (Type::of(&draft)?, draft.to().is_some()) {
        (Type::Available, false) => available(session, &view, draft, out).await,
        (Type::Unavailable, false) => unavailable(session, &view, draft, out).await,
        (Type::Available | Type::Unavailable | Type::Error, true) => {
            directed(session, &view, draft, out).await
        }
        (Type::Subscription(kind), true) => {
            subscribe::outbound(&engine, &account, &view, draft, kind).await
        }
        (Type::Subscription(_), false) => Err(Condition::BadRequest.into()),
        (Type::Probe, _) => probe::from_client(&engine, &account, &view, draft).await,
        (Type::Error, false) => Ok(()),
    }
}

/// Initial presence and what follows it (§ 4.2, § 4.4).
async fn available(
    session: &mut Session,
    view: &View,
    mut draft: Draft,
    out: &mut Output,
) -> Result<(), StanzaError> {
    let priority = priority(draft.root())?;
    let engine = session.engine().clone();
    let account = session.state.account.clone();
    let resource = session.state.resource.clone();
    let before = resource.priority();
    resource.set_faceless(avatar::is_refused(&draft));
    avatar::stamp(&mut draft, avatar::hash(view, true));
    // It stays as long as the session does.
    let stanza = draft.seal().detached();
    if priority >= 0 {
        session.put_cursor().await;
    }
    // First, so that whoever becomes available meanwhile either finds it or is found.
    resource.set_presence(Some((stanza.clone(), priority)));
    if !is_current(&engine, &account, &resource) {
        // The address belongs to another session now; this one is ending.
        resource.set_presence(None);
        return Ok(());
    }
    // Read after that for the same reason: whoever is let in meanwhile is shown what was set.
    let view = session.view().await?;
    fanout::read_audience(&engine, &view).await;
    fanout::broadcast(&engine, &account, &view, &resource, &stanza);
    out.sealed(&stanza.with_to(&account.clone().into()));
    if before.is_none() {
        for stanza in probe::presence_of_contacts(&engine, &account, &view, &resource).await {
            out.sealed(&stanza);
        }
        subscribe::ask_again(&engine, &account, &view);
        // Requests that cannot be read now come with the next initial presence.
        let requests = subscribe::requests(&engine, &account, &view).await;
        for request in requests.unwrap_or_default() {
            out.stanza(request);
        }
    }
    if priority >= 0 && before.is_none_or(|before| before < 0) {
        session.state.offline.want();
    }
    Ok(())
}

/// The end of a presence session (§ 4.5).
async fn unavailable(
    session: &mut Session,
    view: &View,
    draft: Draft,
    out: &mut Output,
) -> Result<(), StanzaError> {
    let engine = session.engine().clone();
    let account = session.state.account.clone();
    let resource = session.state.resource.clone();
    resource.set_farewell(farewell(draft.root()));
    let stanza = draft.seal();
    remember_last(&engine, &account, &resource).await;
    if fanout::leave(&engine, &account, view, &resource, &stanza) {
        out.sealed(&stanza.with_to(&account.clone().into()));
    }
    Ok(())
}

/// Directed presence (§ 4.6), and errors about the presence of others.
async fn directed(
    session: &mut Session,
    view: &View,
    mut draft: Draft,
    out: &mut Output,
) -> Result<(), StanzaError> {
    let kind = Type::of(&draft)?;
    let Some(to) = draft.to().cloned() else {
        return Ok(());
    };
    if kind == Type::Error && !to.is_full() {
        return Ok(());
    }
    let engine = session.engine().clone();
    let resource = session.state.resource.clone();
    let sender = Some((&session.state.account, view));
    if kind == Type::Available {
        let sees = avatar::sees(&session.state.account, view, &to);
        avatar::stamp(&mut draft, avatar::hash(view, sees));
    }
    if engine.service(to.domain()).is_some() && kind == Type::Available {
        return directed_to_service(session, view, draft, to, out).await;
    }
    let routed = route::presence::route(&engine, sender, draft).await?;
    match (&routed, kind) {
        (_, Type::Unavailable) => resource.forget_directed(&to),
        (Routed::Handover(..), Type::Available) if !is_told_anyway(session, view, &to) => {
            let directed_max = engine.settings().limits.directed_presence_max;
            if !resource.remember_directed(&to, directed_max) {
                return Err(too_many_directed(&engine));
            }
        }
        _ => {}
    }
    session.take(routed, out);
    Ok(())
}

/// A service may have acted on the presence when it returns, so it is remembered before.
async fn directed_to_service(
    session: &mut Session,
    view: &View,
    draft: Draft,
    to: Jid,
    out: &mut Output,
) -> Result<(), StanzaError> {
    let engine = session.engine().clone();
    let resource = session.state.resource.clone();
    let is_new = !resource.has_directed(&to);
    let directed_max = engine.settings().limits.directed_presence_max;
    if !resource.remember_directed(&to, directed_max) {
        return Err(too_many_directed(&engine));
    }
    let sender = Some((&session.state.account, view));
    match route::presence::route(&engine, sender, draft).await {
        Ok(routed) => {
            session.take(routed, out);
            Ok(())
        }
        Err(error) => {
            if is_new {
                resource.forget_directed(&to);
            }
            Err(error)
        }
    }
}

/// Sent but not remembered it would leave a ghost behind.
fn too_many_directed(engine: &Engine) -> StanzaError {
    engine.metrics().directed_presence_refusals.inc();
    StanzaError::new(Condition::ResourceConstraint)
        .text("You have sent presence to too many others.")
}

/// Whether `to` learns that the session has gone without being remembered (§ 4.6.3).
fn is_told_anyway(session: &Session, view: &View, to: &Jid) -> bool {
    let account = to.to_bare();
    account == session.state.account
        || session.state.resource.priority().is_some()
            && !to.is_full()
            && view
                .contact(&account)
                .is_some_and(crate::account::Contact::sees_user)
}

/// Keeps when a resource that was seen goes away, and what it said (XEP-0012); the last one to go is
/// the last one kept. Before anybody is told, because who sees them go may ask at once.
pub(crate) async fn remember_last(engine: &Engine, account: &BareJid, resource: &Resource) {
    if resource.priority().is_none() {
        return;
    }
    let at = engine.env().now();
    let kept = engine
        .store()
        .last_set(account.clone(), at, resource.farewell());
    if let Err(failure) = kept.await {
        engine.metrics().store_failures.inc();
        tracing::warn!(error = %failure, "the time of a last activity could not be stored");
    }
}

/// Whether the resource is the one that others reach by its address.
fn is_current(engine: &Engine, account: &BareJid, resource: &Resource) -> bool {
    engine
        .registry()
        .resource(account, resource.jid.resource())
        .is_some_and(|found| found.generation == resource.generation)
}

/// § 4.7.2.3
pub(crate) fn priority(presence: Element<'_>) -> Result<i8, StanzaError> {
    let mut given = presence
        .children()
        .filter(|child| child.is("priority", ns::CLIENT));
    match (given.next(), given.next()) {
        (None, _) => Ok(0),
        (Some(priority), None) => priority
            .text()
            .trim()
            .parse()
            .map_err(|_| Condition::BadRequest.into()),
        (Some(_), Some(_)) => Err(Condition::BadRequest.into()),
    }
}

/// The text of unavailable presence, cut to what is kept.
fn farewell(presence: Element<'_>) -> String {
    let Some(status) = presence.child("status", ns::CLIENT) else {
        return String::new();
    };
    let text = status.text();
    let mut end = text.len().min(FAREWELL_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().to_owned()
}

/// A presence stanza of our own making.
#[derive(Debug, Clone, Copy, Default)]
struct Own<'a> {
    kind: Option<&'static str>,
    from: &'a str,
    to: Option<&'a str>,
    id: Option<&'a str>,
    /// Content, for `jabber:client`.
    content: Option<&'a Bytes>,
}

impl Own<'_> {
    fn seal(self) -> Sealed {
        let mut xml = Writer::new(ns::CLIENT);
        xml.start("presence")
            .attr_opt("to", self.to)
            .attr("from", self.from)
            .attr_opt("id", self.id)
            .attr_opt("type", self.kind);
        if let Some(content) = self.content {
            xml.raw(content);
        }
        xml.end();
        Sealed::from_bytes(Kind::Presence, xml.finish())
    }
}
