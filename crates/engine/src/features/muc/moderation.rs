//! Moderators take back what somebody said
//! ([XEP-0425](https://xmpp.org/extensions/xep-0425.html), 0.3.0): everybody is told, a tombstone takes
//! the place of the words in the archive, and newcomers are not told of them any more.

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
    xml::Writer,
};
use waxwing_store::{
    ArchiveFilter, Archived, BoxFuture, Entry, Message, Micros, PageFrom, PageRequest,
};

/// Bytes of a reason.
const REASON_BYTES_MAX: usize = 1024;

/// Who moderates, and why.
struct Moderation {
    by: Jid,
    occupant_id: Box<str>,
    reason: Option<String>,
}

/// § 3
pub(super) fn moderate(cx: IqCx<'_>) -> BoxFuture<'_, Result<Reply, StanzaError>> {
    Box::pin(async move {
        let engine = cx.engine;
        let room = Rooms::hold(engine, cx.to).await?;
        let moderation = room.ask(|room| room.moderator(&cx))?;
        if cx.payload.child("retract", ns::RETRACTION).is_none() {
            return Err(Refusal::Unsupported.into());
        }
        let shown = cx.payload.attr("id").ok_or(Condition::BadRequest)?;
        let entry = find(engine, cx.to, &shown).await?;
        let tombstone = moderation.tombstone(&entry, engine.env().now());
        let tombstone = tombstone.ok_or(Condition::ItemNotFound)?;
        announce(
            engine,
            &room,
            cx.to,
            moderation.message(cx.to, &shown, &engine.env().token()),
        )
        .await?;
        let store = engine.store();
        let retracted = store
            .archive_retract(cx.to.clone(), entry.id, tombstone)
            .await;
        retracted.map_err(|failure| error::from_store(engine, &failure))?;
        engine.metrics().tombstones.inc();
        let at = Micros::try_from(entry.id).unwrap_or(Micros::MAX);
        room.apply(Event::Forgotten(at))?;
        Ok(Reply::Empty)
    })
}

impl Room {
    fn moderator(&self, cx: &IqCx<'_>) -> Result<Moderation, Refusal> {
        self.known_to(cx.from)?;
        self.demand(Action::Moderate, cx.from)?;
        let (nick, occupant) = self.occupant(cx.from).ok_or(Refusal::Forbidden)?;
        let reason = cx.payload.child("reason", ns::MODERATION);
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
async fn find(engine: &Engine, room: &BareJid, shown: &str) -> Result<Archived, StanzaError> {
    let id = engine.stanza_ids().read(room, shown);
    let id = id.ok_or(Condition::ItemNotFound)?;
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
    let page = page
        .await
        .map_err(|failure| error::from_store(engine, &failure))?;
    let entry = page.entries.into_iter().next();
    // What was retracted is not there any more.
    entry
        .filter(|entry| !entry.retracted)
        .ok_or_else(|| Condition::ItemNotFound.into())
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
    /// § 3, example 5.
    fn message(&self, room: &BareJid, shown: &str, id: &str) -> Bytes {
        let mut xml = Writer::new(ns::CLIENT);
        xml.start("message")
            .attr("from", room.as_str())
            .attr("type", "groupchat")
            .attr("id", id)
            .start_ns("retract", ns::RETRACTION)
            .attr("id", shown);
        self.write(&mut xml);
        xml.finish()
    }

    /// § 4; nothing for what is no message of an occupant.
    fn tombstone(&self, entry: &Archived, now: Micros) -> Option<Bytes> {
        let stanza: Stanza = offline::read(entry.stanza.clone())?;
        let message = stanza.root();
        message.attr("from").filter(|from| from.contains('/'))?;
        let mut xml = Writer::new(ns::CLIENT);
        xml.start("message");
        for name in ["to", "from", "type", "id"] {
            xml.attr_opt(name, message.attr(name).as_deref());
        }
        if let Some(author) = message.child("occupant-id", ns::OCCUPANT_ID) {
            xml.raw(&occupant_id(&author.attr("id").unwrap_or_default()));
        }
        xml.start_ns("retracted", ns::RETRACTION)
            .attr("stamp", &time::format_datetime(now));
        self.write(&mut xml);
        Some(xml.finish())
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
}
