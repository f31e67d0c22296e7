//! Subscription stanzas (RFC 6121 § 3): the table of [`crate::subscription`] carried out.
//!
//! Each side's roster is committed before anything about it is sent. What one client receives is
//! in the order of § 3: the stanza before the push, presence of a new contact after both, unavailable
//! presence before a cancellation. The user's own push goes out as soon as it is committed, without
//! waiting for the contact's commit, so that pushes keep the order of versions.

use super::{Own, Sealed, fanout};
use crate::{
    Engine,
    account::{Contact, View},
    error,
    features::pubsub,
    outbox::Delivery,
    registry::Setting,
    roster::{self, Edit, Update},
    route::{guard_recipient, guard_sender},
    subscription::{self, Change, Show, State, Type},
};
use bytes::Bytes;
use waxwing_proto::{
    BareJid, Jid,
    stanza::{Condition, Draft, StanzaError},
};
use waxwing_store::{ROSTER_REQUEST_BYTES_MAX, ROSTER_REQUESTS_MAX, RosterItem};

/// A subscription stanza of a local user (§ 3.1.2, § 3.1.5, § 3.2.2, § 3.3.2, § 3.4.2).
pub(super) async fn outbound(
    engine: &Engine,
    account: &BareJid,
    view: &View,
    mut draft: Draft,
    kind: Type,
) -> Result<(), StanzaError> {
    let Some(contact) = draft.to().map(Jid::to_bare) else {
        return Err(Condition::BadRequest.into());
    };
    if contact == *account {
        // Everyone sees oneself (§ 4.2.2).
        return Ok(());
    }
    let to = Jid::from(&contact);
    draft.set_from(account.into());
    draft.set_to(to.clone());
    if !guard_sender(engine, &draft, Some((account, view)), &to)? {
        return Ok(());
    }
    let state = view.contact(&contact).map(State::from).unwrap_or_default();
    let here = engine.is_local(contact.domain());
    if subscription::outbound(state, kind).pass {
        if here && contact.local().is_none() {
            return Err(Condition::ServiceUnavailable.into());
        }
        if engine.service(contact.domain()).is_some() && kind == Type::Subscribe {
            return Err(Condition::ServiceUnavailable.into());
        }
        if !here && kind == Type::Subscribe {
            // Only then: whoever cannot be reached can still be left.
            engine.check_away(contact.domain())?;
        }
    }
    let decide = |state| subscription::outbound(state, kind);
    let (change, update) = commit(engine, account, &contact, state, decide, None).await?;
    roster::push(engine, account, update.as_ref());
    if change.show == Show::Unavailable {
        fanout::hide(engine, account, &to);
    }
    let answer = match change.pass {
        true if here => inbound(engine, &draft, account, &contact, kind).await?,
        true => {
            fanout::send(engine, &account.into(), &to, &draft.seal());
            None
        }
        false => None,
    };
    if change.show == Show::Available {
        fanout::show(engine, account, &to);
        pubsub::to_contact(engine, account, &to.to_bare()).await;
    }
    match answer {
        Some(answer) => answer.give(engine).await,
        None => Ok(()),
    }
}

/// What a local account owes to whoever has sent it a subscription stanza.
#[derive(Debug)]
#[must_use]
pub(crate) struct Answer {
    account: BareJid,
    contact: BareJid,
    reply: Option<Type>,
    show: Show,
    id: Option<String>,
}

/// Takes a subscription stanza for a local account (§ 3.1.3, § 3.1.6, § 3.2.3, § 3.3.3). What it
/// returns is to be given to the sender.
pub(crate) async fn inbound(
    engine: &Engine,
    draft: &Draft,
    from: &BareJid,
    account: &BareJid,
    kind: Type,
) -> Result<Option<Answer>, StanzaError> {
    let view = engine.view(account).await?;
    // § 8.5.1: nothing is said about an account that does not exist.
    if !view.exists || !guard_recipient(engine, draft, account, &view, &from.into())? {
        return Ok(None);
    }
    let id = draft.stanza().id().map(std::borrow::Cow::into_owned);
    let stanza = draft.clone().seal();
    accept(engine, &view, (from, account), kind, &stanza, id).await
}

/// [`inbound`] after the guards, also for stanzas that the server sends on a user's behalf.
async fn accept(
    engine: &Engine,
    view: &View,
    (from, account): (&BareJid, &BareJid),
    kind: Type,
    stanza: &Sealed,
    id: Option<String>,
) -> Result<Option<Answer>, StanzaError> {
    let state = view.contact(from).map(State::from).unwrap_or_default();
    if kind == Type::Subscribe && view.contact(from).is_none() && has_too_many_requests(view) {
        engine.metrics().quota_refusals.inc();
        return Ok(None);
    }
    let request = (kind == Type::Subscribe).then(|| request(stanza, from, account));
    let decide = |state| subscription::inbound(state, kind);
    let (change, update) = commit(engine, account, from, state, decide, request).await?;
    if change.pass {
        deliver(engine, account, kind, stanza);
    }
    if change.push {
        roster::push(engine, account, update.as_ref());
    }
    Ok(Some(Answer {
        account: account.clone(),
        contact: from.clone(),
        reply: change.reply,
        show: change.show,
        id,
    }))
}

impl Answer {
    /// Sends the automatic reply and the presence that goes with it.
    pub(crate) async fn give(self, engine: &Engine) -> Result<(), StanzaError> {
        let to = Jid::from(&self.contact);
        if self.show == Show::Unavailable {
            fanout::hide(engine, &self.account, &to);
        }
        if let Some(kind) = self.reply {
            let id = self.id.as_deref();
            send(engine, &self.account, &self.contact, kind, id).await?;
        }
        if self.show == Show::Available {
            fanout::show(engine, &self.account, &to);
            pubsub::to_contact(engine, &self.account, &self.contact).await;
        }
        Ok(())
    }
}

/// Sends a subscription stanza on a local account's behalf. What the recipient's server owes in
/// return is not given: these are answers, or come after the account's own roster has changed.
async fn send(
    engine: &Engine,
    account: &BareJid,
    contact: &BareJid,
    kind: Type,
    id: Option<&str>,
) -> Result<Option<Answer>, StanzaError> {
    let stanza = Own {
        kind: Some(kind.as_str()),
        from: account.as_str(),
        to: Some(contact.as_str()),
        id,
        ..Own::default()
    };
    let stanza = stanza.seal();
    if !engine.is_local(contact.domain()) {
        fanout::send(engine, &account.into(), &contact.into(), &stanza);
        return Ok(None);
    }
    if contact.local().is_none() {
        return Ok(None);
    }
    let view = engine.view(contact).await?;
    if !view.exists || view.blocks(&account.into()) {
        return Ok(None);
    }
    accept(engine, &view, (account, contact), kind, &stanza, None).await
}

/// Ends the subscriptions that a removed roster item stood for (§ 2.5.2): the contact is sent
/// unavailable presence, `unsubscribe` and `unsubscribed`, as far as `before` calls for them.
pub(crate) async fn end_subscriptions(
    engine: &Engine,
    account: &BareJid,
    contact: &BareJid,
    before: State,
) {
    if withdraw(engine, account, contact, before).await {
        fanout::hide(engine, contact, &account.into());
    }
}

/// Tells an account's contacts that it is being removed, and ends their subscriptions, as if each
/// had been removed from the roster.
pub(crate) async fn account_gone(engine: &Engine, account: &BareJid, view: &View) {
    for contact in view.contacts() {
        // The account's sessions are about to end: they need not learn who went out of sight.
        withdraw(engine, account, &contact.jid, State::from(contact)).await;
    }
}

/// True if the contact showed itself to the account until now.
async fn withdraw(engine: &Engine, account: &BareJid, contact: &BareJid, before: State) -> bool {
    let mut shown = false;
    // What fails is logged where it fails. The account's own roster is what decides whether the
    // contact sees it, so that nothing is shown against its will.
    if before.seen_by_user() || before.ask {
        let sent = send(engine, account, contact, Type::Unsubscribe, None).await;
        let answer = sent.ok().flatten();
        shown = answer.is_some_and(|answer| answer.show == Show::Unavailable);
    }
    if before.sees_user() {
        fanout::hide(engine, account, &contact.into());
    }
    if before.sees_user() || before.request {
        let _ = send(engine, account, contact, Type::Unsubscribed, None).await;
    }
    shown
}

/// Answers a probe by `from`, who may not see `account`, whether that exists or not (§ 4.3.2,
/// case 1). A local account that believes to see it learns better; a request of its own that has
/// no answer yet stays.
pub(super) async fn refuse_probe(
    engine: &Engine,
    account: &BareJid,
    from: &Jid,
    id: Option<&str>,
) -> Result<(), StanzaError> {
    let viewer = from.to_bare();
    if engine.is_local(viewer.domain()) {
        let view = engine.view(&viewer).await?;
        if view.contact(account).is_some_and(Contact::seen_by_user) {
            return send(engine, account, &viewer, Type::Unsubscribed, id)
                .await
                .map(|_| ());
        }
    }
    let stanza = Own {
        kind: Some(Type::Unsubscribed.as_str()),
        from: account.as_str(),
        to: Some(from.as_str()),
        id,
        ..Own::default()
    };
    fanout::send(engine, &account.into(), from, &stanza.seal());
    Ok(())
}

/// The requests that wait for the account's answer, for each resource that becomes available
/// (§ 3.1.3).
pub(super) async fn requests(
    engine: &Engine,
    account: &BareJid,
    view: &View,
) -> Result<Vec<Bytes>, StanzaError> {
    if !view.contacts().iter().any(|contact| contact.request) {
        return Ok(Vec::new());
    }
    let roster = engine.store().roster(account.clone()).await;
    let roster = roster.map_err(|failure| error::from_store(engine, &failure))?;
    let waiting = roster.items.into_iter();
    Ok(waiting
        .filter(|item| !view.blocks(&(&item.jid).into()))
        .filter_map(|item| item.request)
        .collect())
}

/// Sends requests to contacts at other domains again that nobody has answered, whenever a resource
/// becomes available (§ 3.1.2): they may have been lost on the way.
pub(super) fn ask_again(engine: &Engine, account: &BareJid, view: &View) {
    for contact in view.contacts().iter().filter(|contact| contact.ask) {
        let to = Jid::from(&contact.jid);
        if engine.is_local(to.domain()) || view.blocks(&to) {
            continue;
        }
        let request = Own {
            kind: Some(Type::Subscribe.as_str()),
            from: account.as_str(),
            to: Some(to.as_str()),
            ..Own::default()
        };
        fanout::send(engine, &account.into(), &to, &request.seal());
    }
}

/// Writes what the table decides, deciding again on what is on disk. `state` is what the account's
/// view shows; when that already is the state afterwards, nothing is read or written.
async fn commit(
    engine: &Engine,
    account: &BareJid,
    contact: &BareJid,
    state: State,
    decide: impl Fn(State) -> Change,
    request: Option<Bytes>,
) -> Result<(Change, Option<Update>), StanzaError> {
    let change = decide(state);
    if change.state == state {
        return Ok((change, None));
    }
    roster::update_item(engine, account, contact, |before| {
        let change = decide(before.map(State::from).unwrap_or_default());
        let edit = edit(before, contact, change.state, request.as_ref());
        Ok((change, edit))
    })
    .await
}

fn edit(
    before: Option<&RosterItem>,
    contact: &BareJid,
    state: State,
    request: Option<&Bytes>,
) -> Edit {
    let item = before.cloned().unwrap_or_else(|| roster::blank(contact));
    let waiting = item.request.or_else(|| request.cloned());
    let after = RosterItem {
        subscription: state.subscription,
        ask: state.ask,
        approved: state.approved,
        request: waiting.filter(|_| state.request),
        listed: item.listed || state.listed(),
        ..item
    };
    match before {
        Some(before) if *before == after => Edit::Keep,
        None if !after.listed && after.request.is_none() => Edit::Keep,
        Some(_) if !after.listed && after.request.is_none() => Edit::Remove,
        _ => Edit::Put(after),
    }
}

/// The whole request, to be kept (§ 3.1.3); without its content if that is too much to keep, which
/// the security warning there allows.
fn request(stanza: &Sealed, from: &BareJid, account: &BareJid) -> Bytes {
    if stanza.len() <= ROSTER_REQUEST_BYTES_MAX {
        return stanza.to_bytes();
    }
    let plain = Own {
        kind: Some(Type::Subscribe.as_str()),
        from: from.as_str(),
        to: Some(account.as_str()),
        ..Own::default()
    };
    plain.seal().to_bytes()
}

/// A stranger who asks is told nothing, so that a full list does not tell that the account exists.
fn has_too_many_requests(view: &View) -> bool {
    let waiting = view.contacts().iter().filter(|contact| !contact.listed);
    waiting.count() >= usize::try_from(ROSTER_REQUESTS_MAX).unwrap_or(usize::MAX)
}

/// Requests go to available resources, what concerns the roster to interested ones (§ 3.1.1).
fn deliver(engine: &Engine, account: &BareJid, kind: Type, stanza: &Sealed) {
    for resource in engine.registry().resources(account) {
        let wanted = if kind == Type::Subscribe {
            resource.priority().is_some()
        } else {
            resource.has(Setting::Interested)
        };
        let delivery = Delivery::Stanza(stanza.clone());
        if wanted && resource.outbox.push(delivery).is_ok() {
            engine.metrics().deliveries.inc();
        }
    }
}
