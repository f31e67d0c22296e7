//! Messages (RFC 6121 § 5 and § 8).

use super::{Handover, Routed, Rule, copy, depart, guard_recipient, service};
use crate::{
    Engine,
    account::View,
    error,
    feature::{RecordCx, Side, StampCx},
    features::{offline, push},
    outbox::{Copies, Delivery, Message},
    registry::{Resource, Resources},
};
use std::sync::Arc;
use waxwing_proto::{
    BareJid,
    stanza::{Condition, Draft, Stanza, StanzaError},
};
use waxwing_store::Record;

/// Message types (RFC 6121 § 5.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Type {
    /// Outside of a conversation; also what an unknown type counts as.
    Normal,
    /// In a conversation between two.
    Chat,
    /// In a room.
    Groupchat,
    /// Needs no answer and is never stored.
    Headline,
    /// Reports an error about an earlier message.
    Error,
}

impl Type {
    /// The type of a message (RFC 6121 § 5.2.2: missing or unknown is `normal`).
    pub fn of(draft: &Draft) -> Self {
        Self::of_stanza(draft.stanza())
    }

    /// [`Type::of`] for a message as it was received.
    pub fn of_stanza(stanza: &Stanza) -> Self {
        match stanza.type_attr().as_deref() {
            Some("chat") => Self::Chat,
            Some("groupchat") => Self::Groupchat,
            Some("headline") => Self::Headline,
            Some("error") => Self::Error,
            _ => Self::Normal,
        }
    }
}

/// Takes a message whose `from` is stamped and whose `to` is set.
pub async fn route(
    engine: &Engine,
    sender: Option<(&BareJid, &View)>,
    mut draft: Draft,
) -> Result<Routed, StanzaError> {
    let kind = Type::of(&draft);
    let Some((from, to)) = depart(engine, &draft, sender)? else {
        return Ok(Routed::Done);
    };
    if let Some(found) = engine.service(to.domain()) {
        return service::arrive(engine, found.kind, draft, (from, to), sender).await;
    }
    if !engine.is_local(to.domain()) {
        engine.check_away(to.domain())?;
        let mut handover = Handover::new(draft, from, to, Rule::Remote);
        let parties = Parties {
            sender,
            recipient: None,
            absent: false,
        };
        let record = record(engine, &handover, parties);
        if let Some(record) = &record {
            handover.expect(record);
        }
        return Ok(Routed::Handover(handover, record));
    }
    if to.local().is_none() {
        return to_server(kind);
    }
    let account = to.to_bare();
    let view = engine.view(&account).await?;
    if !view.exists {
        return nobody(kind);
    }
    let stamp = StampCx {
        sender: sender.map(|(account, _)| account),
        recipient: &account,
    };
    engine.features().stamp(&mut draft, &stamp);
    if !guard_recipient(engine, &draft, &account, &view, &from)? {
        return Ok(Routed::Done);
    }
    let resources = engine.registry().resources(&account);
    let choice = choose(kind, to.resource(), &resources);
    if matches!(choice, Choice::Refuse) {
        return Err(Condition::ServiceUnavailable.into());
    }
    let mut handover = Handover::new(draft, from, to, Rule::Message(kind));
    let parties = Parties {
        sender,
        recipient: Some((&account, &view)),
        absent: matches!(choice, Choice::Store),
    };
    let record = record(engine, &handover, parties);
    if let Some(record) = &record {
        handover.expect(record);
    }
    Ok(Routed::Handover(handover, record))
}

/// Whose archives and queues a message may have to be put into.
#[derive(Clone, Copy)]
struct Parties<'a> {
    sender: Option<(&'a BareJid, &'a View)>,
    recipient: Option<(&'a BareJid, &'a View)>,
    absent: bool,
}

/// What the message must leave on disk; nothing for one that nobody keeps.
fn record(
    engine: &Engine,
    handover: &Handover,
    parties: Parties<'_>,
) -> Option<Box<waxwing_store::Message>> {
    let Parties {
        sender,
        recipient,
        absent,
    } = parties;
    let cx = RecordCx {
        engine,
        sender,
        recipient,
        from: &handover.from,
        to: &handover.to,
        absent,
    };
    let mut message = waxwing_store::Message::new(engine.env().now(), bytes::Bytes::new());
    engine
        .features()
        .record(&handover.stanza, &cx, &mut message);
    let (local, remote) = (handover.from.domain(), handover.to.domain());
    if matches!(handover.rule, Rule::Remote)
        && !engine.remote().is_component(remote)
        && offline::worth_keeping(&handover.stanza)
    {
        message.outgoing = engine.departure(local, remote);
    }
    let kept = message.sender.is_some()
        || message.recipient.is_some()
        || message.waiting.is_some()
        || message.outgoing.is_some();
    kept.then(|| {
        message.stanza = handover.sealed.to_bytes();
        Box::new(message)
    })
}

/// Delivers to those who are here now (RFC 6121 § 8.5.2, § 8.5.3). A message that is being stored
/// is copied when it is handed over again, one that is refused is not.
pub(super) fn hand_over(
    engine: &Engine,
    handover: &mut Handover,
    kind: Type,
) -> Result<Option<Record>, StanzaError> {
    let account = handover.to.to_bare();
    let resources = engine.registry().resources(&account);
    let archived = handover.archived(Side::Recipient);
    let targets = match choose(kind, handover.to.resource(), &resources) {
        Choice::Deliver(targets) => targets,
        Choice::Store => Resources::new(),
        // What an archive has was accepted.
        Choice::Refuse if archived.is_some() => Resources::new(),
        Choice::Refuse => return Err(Condition::ServiceUnavailable.into()),
        Choice::Drop => {
            copy::copy(engine, handover, &resources, &[]);
            return Ok(None);
        }
    };
    let copies = Copies::new(targets.len());
    let mut lost = targets.is_empty();
    let sealed = handover.seen_by(engine, Side::Recipient, &account);
    for target in &targets {
        let delivery = Delivery::Message(Message {
            sealed: sealed.clone(),
            copies: copies.clone(),
            archived,
        });
        if target.outbox.push(delivery).is_ok() {
            engine.metrics().deliveries.inc();
        } else {
            lost = copies.lost();
        }
    }
    if lost && let Some(record) = found_nobody(engine, handover, (&account, &targets), kind) {
        return Ok(Some(record));
    }
    push::wake(engine, &account, handover);
    copy::copy(engine, handover, &resources, &targets);
    Ok(None)
}

/// The message is on disk for when the recipient returns.
pub(super) fn hand_over_stored(engine: &Engine, handover: &Handover) {
    let account = handover.to.to_bare();
    let reader = nudge(engine, &account);
    let resources = engine.registry().resources(&account);
    push::wake(engine, &account, handover);
    // Who is not available yet reads the queue when it is, and must not get a copy besides.
    let coming = resources.iter().filter(|found| found.priority().is_none());
    let readers: Resources = coming.cloned().chain(reader).collect();
    copy::copy(engine, handover, &resources, &readers);
}

/// Tells the best resource that messages were stored although somebody is here: the recipient came
/// while the commit was under way, after having read the queue. Gives who that is.
pub(crate) fn nudge(engine: &Engine, account: &BareJid) -> Option<Arc<Resource>> {
    let best = engine
        .registry()
        .resources(account)
        .into_iter()
        .filter(|resource| resource.takes_messages() && !resource.is_asleep())
        .max_by_key(|resource| (resource.priority(), resource.generation))?;
    // A closed outbox means that the session is ending; the next one reads the queue anyway.
    let _ = best.outbox.push(Delivery::OfflineWaiting);
    Some(best)
}

/// What RFC 6121 § 8.5 says to do with a message to an account that exists.
#[derive(Debug)]
enum Choice {
    Deliver(Resources),
    Store,
    Refuse,
    Drop,
}

fn choose(kind: Type, resource: Option<&str>, resources: &[Arc<Resource>]) -> Choice {
    if let Some(resource) = resource {
        // § 8.5.3.1: a connected resource that matches gets it, whatever its priority.
        let matched = resources
            .iter()
            .find(|found| found.jid.resource() == resource);
        if let Some(found) = matched {
            return Choice::Deliver(Resources::from_iter([found.clone()]));
        }
        // § 8.5.3.2.1: only chat messages are treated as if sent to the bare JID.
        match kind {
            Type::Chat => {}
            Type::Error | Type::Headline => return Choice::Drop,
            Type::Normal | Type::Groupchat => return Choice::Refuse,
        }
    }
    match kind {
        // § 8.5.2.1.1 and § 8.5.2.2.1
        Type::Error => return Choice::Drop,
        Type::Groupchat => return Choice::Refuse,
        Type::Normal | Type::Chat | Type::Headline => {}
    }
    let targets: Resources = resources
        .iter()
        .filter(|found| found.takes_messages())
        .cloned()
        .collect();
    match kind {
        _ if !targets.is_empty() => Choice::Deliver(targets),
        Type::Headline => Choice::Drop,
        _ => Choice::Store,
    }
}

/// All who were here when the message came have gone or are overloaded: it shall wait, behind what
/// the overloaded ones did not take. Nothing for what is not worth that (a chat state, a hint),
/// which is dropped, as XEP-0160 § 3 says.
fn found_nobody(
    engine: &Engine,
    handover: &mut Handover,
    (account, refusing): (&BareJid, &Resources),
    kind: Type,
) -> Option<Record> {
    if matches!(kind, Type::Headline | Type::Error) {
        return None;
    }
    let archived = handover.archived(Side::Recipient);
    let record = offline::record_of(engine, account, &handover.stanza, archived, || {
        handover.sealed.to_bytes()
    })?;
    handover.rule = Rule::Stored;
    for resource in refusing {
        // Nobody waits for these tickets: the record above is completed after them.
        drop(offline::keep(engine, account, resource.outbox.evict()));
    }
    Some(record)
}

/// A message to the server itself: it has no mailbox.
fn to_server(kind: Type) -> Result<Routed, StanzaError> {
    match kind {
        Type::Error | Type::Headline => Ok(Routed::Done),
        Type::Normal | Type::Chat | Type::Groupchat => Err(Condition::ServiceUnavailable.into()),
    }
}

/// No such account (RFC 6121 § 8.5.1). An error rather than silence: nothing that was not accepted
/// goes unanswered.
fn nobody(kind: Type) -> Result<Routed, StanzaError> {
    match kind {
        Type::Error => Ok(Routed::Done),
        _ => Err(Condition::ServiceUnavailable.into()),
    }
}

/// The error for a message whose commit failed. XEP-0160 § 2: a full queue is
/// `service-unavailable`.
pub(crate) fn commit_error(engine: &Engine, failure: &waxwing_store::StoreError) -> StanzaError {
    match failure {
        waxwing_store::StoreError::Quota(
            waxwing_store::quota::OUTGOING_MESSAGES | waxwing_store::quota::OUTGOING_BYTES,
        ) => StanzaError::new(Condition::ResourceConstraint)
            .text("Too many messages wait for the other server."),
        waxwing_store::StoreError::Quota(_) | waxwing_store::StoreError::NoAccount => {
            engine.metrics().offline_refused.inc();
            Condition::ServiceUnavailable.into()
        }
        other => error::from_store(engine, other),
    }
}
