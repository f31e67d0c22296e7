//! Push notifications ([XEP-0357](https://xmpp.org/extensions/xep-0357.html), 0.4.1): devices whose
//! connection is gone are woken by the app server of their software.
//!
//! A registration belongs to the client that made it and ends with it. The app server gets the node,
//! which is its own, and by default nothing else: not who is written to, by whom, how much or what;
//! the server asks in its own name. Chats that a person has silenced
//! ([XEP-0492](https://xmpp.org/extensions/xep-0492.html), in bookmarks of XEP-0402) wake nobody.

mod publish;
mod pusher;
mod settings;
mod state;
mod worth;

pub(crate) use pusher::Wakes;

use crate::{
    Engine, error,
    feature::{Coverage, Disco, Feature, IqCx, IqHandler, IqKind, IqRoute, Place, Reply, Who, Xep},
    features::mam::rules,
    registry::Resource,
    route::Handover,
};
use bytes::Bytes;
use pusher::{News, Wake};
use waxwing_proto::{
    BareJid, Jid, ns,
    stanza::{Condition, Stanza, StanzaError},
    xml::Element,
};
use waxwing_store::{BoxFuture, Push};
use worth::Worth;

/// The feature.
pub const FEATURE: Feature = Feature {
    name: "push",
    xeps: &[
        Xep {
            number: 357,
            version: "0.4.1",
            title: "Push Notifications",
            coverage: Coverage::Complete,
        },
        Xep {
            number: 492,
            version: "0.2.0",
            title: "Chat Notification Settings",
            coverage: Coverage::Complete,
        },
    ],
    disco: &[Disco {
        place: Place::Account,
        var: ns::PUSH,
    }],
    iq: &[route("enable", enable), route("disable", disable)],
    ..Feature::NONE
};

/// Registrations of one account: as many as it has devices, and some that were forgotten.
const REGISTRATIONS_MAX: u32 = 40;
/// Bytes of the form that a client gives for the app server.
const OPTIONS_BYTES_MAX: usize = 4096;
/// Bytes of a node's name.
const NODE_BYTES_MAX: usize = 1024;

const fn route(name: &'static str, handler: IqHandler) -> IqRoute {
    IqRoute {
        place: Place::Account,
        kind: IqKind::Set,
        name,
        ns: ns::PUSH,
        who: Who::Owner,
        handler,
    }
}

/// § 5
fn enable(cx: IqCx<'_>) -> BoxFuture<'_, Result<Reply, StanzaError>> {
    Box::pin(async move {
        let Some(session) = cx.session else {
            return Err(Condition::ServiceUnavailable.into());
        };
        let service = service(cx.payload)?;
        if cx.engine.is_local(service.domain()) {
            // Nothing here takes notifications, and accounts must not be asked in the server's name.
            return Err(Condition::NotAllowed.into());
        }
        let node = node(cx.payload)?.unwrap_or_default();
        let push = Push {
            service: service.clone(),
            node: node.clone(),
            client: owner(&session.resource),
            options: options(cx.payload)?,
            failures: 0,
            retry: None,
        };
        let store = cx.engine.store();
        let kept = store.push_put(cx.to.clone(), push, REGISTRATIONS_MAX).await;
        kept.map_err(|failure| error::from_store(cx.engine, &failure))?;
        cx.engine.registry().changed(cx.to);
        cx.engine.wakes().push(Wake {
            account: cx.to.clone(),
            news: News::Renewed { service, node },
        });
        Ok(Reply::Empty)
    })
}

/// § 6
fn disable(cx: IqCx<'_>) -> BoxFuture<'_, Result<Reply, StanzaError>> {
    Box::pin(async move {
        let (service, node) = (service(cx.payload)?, node(cx.payload)?);
        let store = cx.engine.store();
        let removed = store.push_remove(cx.to.clone(), service, node).await;
        removed.map_err(|failure| error::from_store(cx.engine, &failure))?;
        cx.engine.registry().changed(cx.to);
        Ok(Reply::Empty)
    })
}

fn service(payload: Element<'_>) -> Result<Jid, StanzaError> {
    let jid = payload.attr("jid").ok_or(Condition::BadRequest)?;
    Jid::parse(&jid).map_err(|_| Condition::JidMalformed.into())
}

fn node(payload: Element<'_>) -> Result<Option<String>, StanzaError> {
    let node = payload.attr("node");
    if node
        .as_ref()
        .is_some_and(|node| node.len() > NODE_BYTES_MAX)
    {
        return Err(Condition::NotAcceptable.into());
    }
    Ok(node.map(std::borrow::Cow::into_owned))
}

/// The form for the app server, as it is to be sent.
fn options(payload: Element<'_>) -> Result<Bytes, StanzaError> {
    let Some(form) = payload.child("x", ns::DATA_FORMS) else {
        return Ok(Bytes::new());
    };
    let form = form.standalone(ns::CLIENT);
    if form.len() > OPTIONS_BYTES_MAX {
        return Err(StanzaError::new(Condition::NotAcceptable).text("The form is too long."));
    }
    // It stays, and the request's buffer shall not.
    Ok(Bytes::copy_from_slice(&form))
}

/// The client that a session's registrations belong to: the one it says it is, or its resource.
fn owner(resource: &Resource) -> String {
    match resource.client() {
        Some(client) => client.as_str().to_owned(),
        None => nameless(resource.jid.resource()),
    }
}

/// The owner of registrations of clients that do not say which one they are. No client's id looks so.
pub(crate) fn nameless(resource: &str) -> String {
    format!("/{resource}")
}

/// A message to `account` was handed over, or is kept for it: wakes those of its clients that are
/// away. Costs next to nothing for who has registered none.
pub(crate) fn wake(engine: &Engine, account: &BareJid, message: &Handover) {
    let said = (&message.stanza, &message.from);
    wake_for(engine, account, said, false, || false);
}

/// The same for something that was said in a room, by the address that it is from there. `named`:
/// whether it speaks of the account by its nick.
pub(crate) fn wake_in_room(
    engine: &Engine,
    account: &BareJid,
    (said, from): (&Stanza, &Jid),
    named: impl FnOnce() -> bool,
) {
    wake_for(engine, account, (said, from), false, named);
}

/// The same for a member of the room who is not in it (ADR 8).
pub(crate) fn wake_absent(
    engine: &Engine,
    account: &BareJid,
    (said, from): (&Stanza, &Jid),
    named: impl FnOnce() -> bool,
) {
    wake_for(engine, account, (said, from), true, named);
}

fn wake_for(
    engine: &Engine,
    account: &BareJid,
    (stanza, from): (&Stanza, &Jid),
    absent: bool,
    named: impl FnOnce() -> bool,
) {
    let concerns = |push: &Push| !is_here(engine, account, &push.client);
    if !is_worth_a_note(engine, account, concerns) || from.bare_str() == account.as_str() {
        return;
    }
    let worth = worth::worth(stanza);
    if worth == Worth::Nothing {
        return;
    }
    let may_tell = engine.settings().push.body && !rules::is_encrypted(stanza);
    let body = stanza.content("body").filter(|_| may_tell);
    engine.wakes().push(Wake {
        account: account.clone(),
        news: News::Message {
            worth,
            from: from.clone(),
            body: body.map(|body| body.text().into()),
            mentioned: settings::mentions(stanza, account) || named(),
            absent,
        },
    });
}

/// A client has a session again: its next absence begins anew.
pub(crate) fn is_back(engine: &Engine, account: &BareJid, resource: &Resource) {
    about(engine, account, resource, |owner| News::Back { owner });
}

/// A session has ended without having taken all its messages, and its client may not know: the
/// network had swallowed it before anybody noticed. Called when the session has left the table, or
/// has fallen asleep.
pub(crate) fn left_behind(engine: &Engine, account: &BareJid, resource: &Resource) {
    about(engine, account, resource, |owner| News::Unread { owner });
}

/// Whether the client of a session wants to be woken when it is away.
pub(crate) fn is_wanted(engine: &Engine, account: &BareJid, resource: &Resource) -> bool {
    let owner = owner(resource);
    let view = engine.registry().view(account);
    view.is_ok_and(|view| view.pushes.iter().any(|push| push.client == owner))
}

fn about(
    engine: &Engine,
    account: &BareJid,
    resource: &Resource,
    news: impl FnOnce(String) -> News,
) {
    let owner = owner(resource);
    if is_worth_a_note(engine, account, |push| push.client == owner) {
        engine.wakes().push(Wake {
            account: account.clone(),
            news: news(owner),
        });
    }
}

/// Whether a registration of the account is concerned. If its snapshot is not in memory, because
/// something of it has just changed, the task that takes the note will see.
fn is_worth_a_note(engine: &Engine, account: &BareJid, concerns: impl Fn(&Push) -> bool) -> bool {
    match engine.registry().view(account) {
        Ok(view) => view.pushes.iter().any(concerns),
        Err(_) => true,
    }
}

/// Whether a client has a session whose connection is there.
fn is_here(engine: &Engine, account: &BareJid, client: &str) -> bool {
    let resources = engine.registry().resources(account);
    resources
        .iter()
        .filter(|resource| !resource.is_asleep())
        .any(|resource| match client.strip_prefix('/') {
            Some(nameless) => resource.client().is_none() && resource.jid.resource() == nameless,
            None => resource
                .client()
                .is_some_and(|known| known.as_str() == client),
        })
}
