//! Moderators take back what somebody said
//! ([XEP-0425](https://xmpp.org/extensions/xep-0425.html), 0.3.0): everybody is told, a tombstone takes
//! the place of the words in the archive, and newcomers are not told of them any more. Requests and
//! answers are understood and given in both versions of the XEP, 0.3.0 and 0.2.1. What people take back
//! themselves (XEP-0424) is treated the same.

use super::{
    arrive::Carried,
    errors::Refusal,
    rights::Action,
    room::{Event, Room},
    table::{Held, Rooms},
    tell::occupant_id,
};
use crate::{
    Engine, error,
    feature::{IqCx, Reply, Service},
    features::offline,
    route::{Arrival, Routed, inbound},
};
use bytes::Bytes;
use waxwing_proto::{
    BareJid, Jid, ns,
    stanza::{Condition, Draft, Stanza, StanzaError},
    time,
    xml::{Element, Writer},
};
use waxwing_store::{
    ArchiveFilter, Archived, BoxFuture, Entry, Message, Micros, PageFrom, PageRequest, StoreError,
};

/// Bytes of a reason.
const REASON_BYTES_MAX: usize = 1024;

/// What is asked for, whatever the version.
struct Asked<'a> {
    shown: Option<String>,
    retracts: bool,
    reason: Option<Element<'a>>,
}

/// Who moderates, and why.
struct Moderation {
    by: Jid,
    occupant_id: Box<str>,
    reason: Option<String>,
}

/// § 3
pub(super) fn moderate(cx: IqCx<'_>) -> BoxFuture<'_, Result<Reply, StanzaError>> {
    Box::pin(async move {
        let asked = Asked {
            shown: cx.payload.attr("id").map(String::from),
            retracts: cx.payload.child("retract", ns::RETRACTION).is_some(),
            reason: cx.payload.child("reason", ns::MODERATION),
        };
        carry_out(&cx, asked).await
    })
}

/// § 3 of version 0.2.1. COMPAT(Gajim, 1.8): clients of before 2023 speak no other.
pub(super) fn moderate_old(cx: IqCx<'_>) -> BoxFuture<'_, Result<Reply, StanzaError>> {
    Box::pin(async move {
        let moderate = cx.payload.child("moderate", ns::MODERATION_OLD);
        let moderate = moderate.ok_or(Refusal::Unsupported)?;
        let asked = Asked {
            shown: cx.payload.attr("id").map(String::from),
            retracts: moderate.child("retract", ns::RETRACTION_OLD).is_some(),
            reason: moderate.child("reason", ns::MODERATION_OLD),
        };
        carry_out(&cx, asked).await
    })
}

async fn carry_out(cx: &IqCx<'_>, asked: Asked<'_>) -> Result<Reply, StanzaError> {
    let engine = cx.engine;
    let room = Rooms::hold(engine, cx.to).await?;
    let moderation = room.ask(|room| room.moderator(cx.from, asked.reason))?;
    if !asked.retracts {
        return Err(Refusal::Unsupported.into());
    }
    let shown = asked.shown.ok_or(Condition::BadRequest)?;
    let entry = find(engine, cx.to, &shown).await;
    let entry = entry.map_err(|failure| error::from_store(engine, &failure))?;
    let entry = entry.ok_or(Condition::ItemNotFound)?;
    let said = occupants_message(&entry).ok_or(Condition::ItemNotFound)?;
    let tombstone = moderation.tombstone(&said, engine.env().now());
    announce(
        engine,
        &room,
        cx.to,
        moderation.message(cx.to, &shown, &engine.env().token()),
    )
    .await?;
    let buried = bury(engine, &room, cx.to, entry.id, tombstone).await;
    buried.map_err(|failure| error::from_store(engine, &failure))?;
    Ok(Reply::Empty)
}

/// Somebody takes back what they said to all ([XEP-0424](https://xmpp.org/extensions/xep-0424.html)
/// § 4, § 5): `target` is its id in the archive, `id` that of the message that does it, which was
/// handed over.
pub(crate) async fn retract(
    engine: &Engine,
    room: &BareJid,
    by: &BareJid,
    (target, id): (&str, &str),
    at: Micros,
) -> Result<(), StoreError> {
    let Some(entry) = find(engine, room, target).await? else {
        return Ok(());
    };
    let Ok(held) = Rooms::hold(engine, room).await else {
        return Ok(());
    };
    let author = held.ask(|room| room.occupant_id(by));
    let Some(said) = occupants_message(&entry).filter(|said| is_of(said, &author)) else {
        return Ok(());
    };
    let mut xml = start_tombstone(&said);
    xml.start_ns("retracted", ns::RETRACTION)
        .attr("id", id)
        .attr("stamp", &time::format_datetime(at))
        .end();
    bury(engine, &held, room, entry.id, xml.finish()).await
}

/// Whether an account said it; and a retraction stays (XEP-0424 § 5).
fn is_of(said: &Stanza, author: &str) -> bool {
    let by = said.root().child("occupant-id", ns::OCCUPANT_ID);
    let by = by.and_then(|by| by.attr("id"));
    by.as_deref() == Some(author) && said.root().child("retract", ns::RETRACTION).is_none()
}

async fn bury(
    engine: &Engine,
    held: &Held,
    room: &BareJid,
    id: u64,
    tombstone: Bytes,
) -> Result<(), StoreError> {
    let store = engine.store();
    if store.archive_retract(room.clone(), id, tombstone).await? {
        engine.metrics().tombstones.inc();
    }
    let at = Micros::try_from(id).unwrap_or(Micros::MAX);
    // It refuses nobody to forget.
    let _ = held.apply(Event::Forgotten(at));
    Ok(())
}

impl Room {
    fn moderator(&self, from: &Jid, reason: Option<Element<'_>>) -> Result<Moderation, Refusal> {
        self.known_to(from)?;
        self.demand(Action::Moderate, from)?;
        let (nick, occupant) = self.occupant(from).ok_or(Refusal::Forbidden)?;
        let reason = reason.map(|reason| reason.text().into_owned());
        if reason
            .as_ref()
            .is_some_and(|reason| reason.len() > REASON_BYTES_MAX)
        {
            return Err(Refusal::NotAcceptable);
        }
        Ok(Moderation {
            by: self.occupant_jid(nick),
            occupant_id: occupant.id.clone(),
            reason,
        })
    }
}

/// The message of the room's archive that is shown by this id.
async fn find(
    engine: &Engine,
    room: &BareJid,
    shown: &str,
) -> Result<Option<Archived>, StoreError> {
    let Some(id) = engine.stanza_ids().read(room, shown) else {
        return Ok(None);
    };
    let filter = ArchiveFilter {
        ids: Some(vec![id]),
        ..ArchiveFilter::default()
    };
    let request = PageRequest {
        max: 1,
        bytes_max: usize::MAX,
        from: PageFrom::First,
        flip: false,
        count: false,
    };
    let page = engine.store().archive_page(room.clone(), filter, request);
    let entry = page.await?.entries.into_iter().next();
    // What was retracted is not there any more.
    Ok(entry.filter(|entry| !entry.retracted))
}

/// What an occupant has said; nothing for what the room itself has.
fn occupants_message(entry: &Archived) -> Option<Stanza> {
    let stanza = offline::read(entry.stanza.clone())?;
    let from = stanza.root().attr("from")?;
    from.contains('/').then_some(stanza)
}

/// What stays of a message (XEP-0424 § 4).
fn start_tombstone(said: &Stanza) -> Writer {
    let message = said.root();
    let mut xml = Writer::new(ns::CLIENT);
    xml.start("message");
    for name in ["to", "from", "type", "id"] {
        xml.attr_opt(name, message.attr(name).as_deref());
    }
    if let Some(author) = message.child("occupant-id", ns::OCCUPANT_ID) {
        xml.raw(&occupant_id(&author.attr("id").unwrap_or_default()));
    }
    xml
}

/// Says something in the room's name to all, when it is in the archive.
async fn announce(
    engine: &Engine,
    held: &Held,
    room: &BareJid,
    stanza: Bytes,
) -> Result<(), StanzaError> {
    let draft = offline::read(stanza.clone()).and_then(|stanza| Draft::new(stanza).ok());
    let draft = draft.ok_or(Condition::InternalServerError)?;
    let jid = Jid::from(room.clone());
    let arrival = Arrival {
        engine,
        draft: draft.clone(),
        from: jid.clone(),
        to: jid.clone(),
        sender: None,
    };
    let mut handover = arrival.handover(Service::Rooms, draft);
    handover.room = Some(Box::new(Carried::Speech {
        room: held.again(),
        subject: None,
        kept: false,
        dated: false,
        spoken: None,
    }));
    let mut message = Message::new(engine.env().now(), stanza);
    message.recipient = Some(Entry {
        account: room.clone(),
        with: jid,
        outgoing: false,
        flags: 0,
    });
    inbound::hand_over(engine, Routed::Handover(handover, Some(Box::new(message)))).await
}

impl Moderation {
    /// § 3, example 5; and as version 0.2.1 has it.
    fn message(&self, room: &BareJid, shown: &str, id: &str) -> Bytes {
        let mut xml = Writer::new(ns::CLIENT);
        xml.start("message")
            .attr("from", room.as_str())
            .attr("type", "groupchat")
            .attr("id", id)
            .start_ns("retract", ns::RETRACTION)
            .attr("id", shown);
        self.write(&mut xml);
        xml.end();
        xml.start_ns("apply-to", ns::FASTENING).attr("id", shown);
        self.start_old(&mut xml);
        xml.empty("retract", ns::RETRACTION_OLD);
        self.end_old(&mut xml);
        xml.finish()
    }

    /// § 4; and as version 0.2.1 has it.
    fn tombstone(&self, said: &Stanza, now: Micros) -> Bytes {
        let stamp = time::format_datetime(now);
        let mut xml = start_tombstone(said);
        xml.start_ns("retracted", ns::RETRACTION)
            .attr("stamp", &stamp);
        self.write(&mut xml);
        xml.end();
        self.start_old(&mut xml);
        xml.start_ns("retracted", ns::RETRACTION_OLD)
            .attr("stamp", &stamp)
            .end();
        self.end_old(&mut xml);
        xml.finish()
    }

    fn write(&self, xml: &mut Writer) {
        xml.start_ns("moderated", ns::MODERATION)
            .attr("by", self.by.as_str())
            .start_ns("occupant-id", ns::OCCUPANT_ID)
            .attr("id", &self.occupant_id)
            .end()
            .end();
        if let Some(reason) = &self.reason {
            xml.leaf("reason", reason);
        }
    }

    fn start_old(&self, xml: &mut Writer) {
        xml.start_ns("moderated", ns::MODERATION_OLD)
            .attr("by", self.by.as_str())
            .start_ns("occupant-id", ns::OCCUPANT_ID)
            .attr("id", &self.occupant_id)
            .end();
    }

    fn end_old(&self, xml: &mut Writer) {
        if let Some(reason) = &self.reason {
            xml.leaf("reason", reason);
        }
        xml.end();
    }
}
