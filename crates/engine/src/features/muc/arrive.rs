//! Stanzas that come for rooms and their occupants, and are no requests to a room.

use super::{
    errors::Refusal,
    kept, relay,
    room::{Effect, Event, Room, SECRET_BYTES},
    speech::{Heard, Said, Speech, Spoken, Subject},
    storm::Deed,
    table::{Held, Rooms, reread},
    tokens,
};
use crate::{
    Engine,
    feature::{RecordCx, Service},
    features::{mam::rules, push},
    outbox::{Copies, Delivery, Message},
    route::{Arrival, Handover, Hosted, Routed, copy_sent, guard_recipient, service},
};
use bytes::Bytes;
use std::sync::Arc;
use waxwing_proto::{
    BareJid, Jid, ns,
    stanza::{Draft, Kind, Sealed, StanzaError},
    xml::Writer,
};
use waxwing_store::{BoxFuture, Entry};

/// What rooms do with stanzas.
pub(super) const HOSTED: Hosted = Hosted {
    kind: Service::Rooms,
    arrive,
    hand_over,
    presence,
    settled: Some(settled),
};

/// What a message to a room needs after its commit.
#[derive(Debug)]
pub(crate) enum Carried {
    /// It goes to all who are here then.
    Speech {
        room: Held,
        subject: Option<Subject>,
        /// Newcomers are told of it.
        kept: bool,
        /// It says itself when it was said.
        dated: bool,
        /// What wakes those who sleep.
        spoken: Option<Arc<Spoken>>,
    },
    /// It goes to these sessions of an account.
    Whisper {
        account: BareJid,
        to: Vec<Jid>,
        /// The address that it is from, here.
        from: Jid,
        /// As it was sent, for the sender's other clients under this nick (XEP-0280 § 6.1).
        sent: Option<Sent>,
    },
}

/// A private message for those who share its sender's nick.
#[derive(Debug)]
pub(crate) struct Sent {
    message: Box<Handover>,
    sharing: Vec<Jid>,
}

fn arrive(arrival: Arrival<'_>) -> BoxFuture<'_, Result<Routed, StanzaError>> {
    Box::pin(async move {
        if arrival.to.local().is_none() {
            return service::not_for_us(&arrival.draft);
        }
        match arrival.draft.kind() {
            Kind::Presence => presence_arrives(arrival).await,
            Kind::Message => message_arrives(arrival).await,
            Kind::Iq => relay::arrive(arrival).await,
        }
    })
}

async fn presence_arrives(arrival: Arrival<'_>) -> Result<Routed, StanzaError> {
    let engine = arrival.engine;
    let room = Rooms::hold(engine, &arrival.to.to_bare()).await?;
    let joins = arrival.draft.root().child("x", ns::MUC).is_some();
    if joins {
        let room_jid = arrival.to.to_bare();
        tokens::redeem(engine, &room, &room_jid, &arrival.draft, &arrival.from).await?;
    }
    let id = arrival.draft.stanza().id().map(String::from);
    let kind = arrival.draft.stanza().type_attr().map(String::from);
    let event = Event::Presence {
        draft: arrival.draft,
        now: engine.env().now(),
        // § 10.1.1: rooms are for the accounts of this server to make.
        may_create: arrival.sender.is_some(),
        secret: engine.env().secret(),
        template: engine.settings().room_template,
    };
    let moves = match kind.as_deref() {
        None => room.pace(&arrival.from, Deed::Move),
        // To go is always possible.
        Some(_) => Ok(()),
    };
    match moves.and_then(|()| room.apply(event)) {
        Err(refusal) if joins => {
            let refused = not_admitted(refusal, (&arrival.from, &arrival.to), id.as_deref());
            let knows = room.ask(|room| room.knows(&arrival.from, &arrival.to));
            engine.metrics().stanza_errors.inc();
            room.send(Effect {
                // Who is here already stays.
                ends: (knows != Ok(true)).then(|| arrival.to.clone()),
                ..Effect::new(refused, [arrival.from].into())
            });
        }
        applied => applied?,
    }
    Ok(Routed::Done)
}

/// § 7.2: an error that says what it answers. COMPAT(slixmpp, 1.17.0): it takes no other for an answer
/// to its wish to come in.
fn not_admitted(refusal: Refusal, (to, from): (&Jid, &Jid), id: Option<&str>) -> Sealed {
    let mut xml = Writer::new(ns::CLIENT);
    xml.start("presence")
        .attr("to", to.as_str())
        .attr("from", from.as_str())
        .attr_opt("id", id)
        .attr("type", "error");
    xml.empty("x", ns::MUC);
    StanzaError::from(refusal).write(&mut xml);
    Sealed::from_bytes(Kind::Presence, xml.finish())
}

async fn message_arrives(arrival: Arrival<'_>) -> Result<Routed, StanzaError> {
    let engine = arrival.engine;
    let jid = arrival.to.to_bare();
    let room = Rooms::hold(engine, &jid).await?;
    let now = engine.env().now();
    let draft = arrival.draft.clone();
    let heard = room.ask(|room| room.hear(draft, now))?;
    if !matches!(heard, Heard::Gone | Heard::Nothing) {
        room.pace(&arrival.from, Deed::Speak)?;
    }
    match heard {
        Heard::Speech(speech) => {
            if speech.paced {
                room.apply(Event::Speaks(arrival.from.to_bare(), now))?;
            }
            Ok(say(&arrival, &jid, room, *speech))
        }
        Heard::Whisper(draft, to) => {
            let sharing = match arrival.sender {
                Some(_) => room.ask(|room| room.sharing(&arrival.from)),
                None => Vec::new(),
            };
            whisper(&arrival, draft, to, sharing).await
        }
        Heard::Members(_, _) => {
            // Asked again in turn: somebody may just be changing who may do that.
            let _turn = room.turn().await;
            let draft = arrival.draft.clone();
            if let Heard::Members(change, letters) = room.ask(|room| room.hear(draft, now))? {
                if let Some(change) = change {
                    kept::write(engine, &room, &jid, &change).await?;
                    room.apply(Event::Changed(change))?;
                }
                for letter in letters {
                    mail(engine, letter).await?;
                }
            }
            Ok(Routed::Done)
        }
        Heard::Letter(effect) => {
            room.send(effect);
            Ok(Routed::Done)
        }
        Heard::Mail(draft) => mail(engine, draft).await.map(|()| Routed::Done),
        Heard::Voice(changes) => {
            room.apply(Event::Roles(changes))?;
            Ok(Routed::Done)
        }
        Heard::Gone => {
            room.apply(Event::Gone(arrival.from.clone()))?;
            Ok(Routed::Done)
        }
        Heard::Nothing => Ok(Routed::Done),
    }
}

async fn mail(engine: &Engine, draft: Draft) -> Result<(), StanzaError> {
    service::send(engine, &draft.seal()).await
}

/// A message to all: a record in the room's archive, if it is to be kept there.
fn say(arrival: &Arrival<'_>, room: &BareJid, held: Held, speech: Speech) -> Routed {
    let engine = arrival.engine;
    let received = arrival.draft.stanza();
    // A subject lasts in any case.
    let kept = speech.subject.is_some() || speech.archived && rules::is_kept_by_room(received);
    let lasts = rules::is_kept_by_room(received);
    let spoken = Spoken {
        stanza: received.clone(),
        from: speech.occupant.clone(),
        author: arrival.from.to_bare(),
    };
    let mut handover = arrival.handover(Service::Rooms, speech.draft);
    let record = kept.then(|| {
        let sealed = match &speech.author {
            Some(author) => handover.sealed.with_child(author.clone()),
            None => handover.sealed.clone(),
        };
        let mut message = waxwing_store::Message::new(engine.env().now(), sealed.to_bytes());
        message.origin = received.id().map(String::from);
        message.recipient = Some(Entry {
            account: room.clone(),
            with: speech.occupant.clone(),
            outgoing: false,
            flags: 0,
        });
        message.subject = speech.subject.as_ref().map(Subject::encode);
        message.resend = arrival.sender.and_then(|(account, _)| {
            crate::features::archive::resend(account, received, &arrival.to)
        });
        Box::new(message)
    });
    handover.room = Some(Box::new(Carried::Speech {
        room: held,
        subject: speech.subject,
        kept: lasts,
        dated: speech.dated,
        spoken: lasts.then(|| Arc::new(spoken)),
    }));
    Routed::Handover(handover, record)
}

/// A message to one occupant: in the archive of its account, like any message.
async fn whisper(
    arrival: &Arrival<'_>,
    draft: Draft,
    to: Vec<Jid>,
    sharing: Vec<Jid>,
) -> Result<Routed, StanzaError> {
    let engine = arrival.engine;
    let Some(first) = to.first() else {
        return Err(Refusal::NotFound.into());
    };
    let account = first.to_bare();
    let Some(from) = draft.from().cloned() else {
        return Err(Refusal::BadRequest.into());
    };
    let mut record = None;
    if engine.is_local(account.domain()) {
        let view = engine.view(&account).await?;
        if !guard_recipient(engine, &draft, &account, &view, &from)? {
            return Ok(Routed::Done);
        }
        let cx = RecordCx {
            engine,
            sender: None,
            recipient: Some((&account, &view)),
            from: &from,
            to: first,
            absent: false,
        };
        let mut message = waxwing_store::Message::new(engine.env().now(), Bytes::new());
        engine.features().record(draft.stanza(), &cx, &mut message);
        record = message.recipient.is_some().then(|| Box::new(message));
    }
    let mut handover = arrival.handover(Service::Rooms, draft);
    if let Some(record) = &mut record {
        record.stanza = handover.sealed.with_to(first).to_bytes();
    }
    let sent = (!sharing.is_empty()).then(|| Sent {
        message: Box::new(arrival.handover(Service::Rooms, arrival.draft.clone())),
        sharing,
    });
    let carried = Carried::Whisper {
        account,
        to,
        from,
        sent,
    };
    handover.room = Some(Box::new(carried));
    Ok(Routed::Handover(handover, record))
}

fn settled<'a>(engine: &'a Engine, room: &'a BareJid) -> BoxFuture<'a, ()> {
    Box::pin(async move {
        // Of what is not in memory nothing is on its way.
        if let Some(room) = Rooms::find(engine, room) {
            room.settled().await;
        }
    })
}

fn hand_over(engine: &Engine, handover: &mut Handover) -> Result<(), StanzaError> {
    let Some(carried) = handover.room.take() else {
        return Ok(());
    };
    let id = handover.id();
    match *carried {
        Carried::Speech {
            room,
            subject,
            kept,
            dated,
            spoken,
        } => {
            let jid = handover.to.to_bare();
            let sealed = match id {
                Some(id) => handover
                    .sealed
                    .with_child(engine.stanza_ids().element(&jid, id)),
                None => handover.sealed.clone(),
            };
            let at = id.and_then(|id| i64::try_from(id).ok());
            engine.metrics().room_messages.inc();
            room.apply(Event::Said(Said {
                sealed,
                at: at.unwrap_or_else(|| engine.env().now()),
                subject,
                kept,
                dated,
                spoken: spoken.clone(),
            }))?;
            if let Some(spoken) = spoken {
                for account in room.ask(Room::away) {
                    room.wake(&account, &spoken, true);
                }
            }
        }
        Carried::Whisper {
            account,
            to,
            from,
            sent,
        } => {
            let sealed = match id {
                Some(id) => handover
                    .sealed
                    .with_child(engine.stanza_ids().element(&account, id)),
                None => handover.sealed.clone(),
            };
            let domain = handover.to.domain();
            push::wake_in_room(engine, &account, (&handover.stanza, &from), || true);
            hand_over_whisper(engine, &sealed, (domain, &to), id);
            if let Some(Sent { message, sharing }) = sent {
                copy_sent(engine, &message, |resource| {
                    sharing
                        .iter()
                        .any(|jid| jid.as_str() == resource.jid.as_str())
                });
            }
        }
    }
    Ok(())
}

fn hand_over_whisper(
    engine: &Engine,
    sealed: &Sealed,
    (service, to): (&str, &[Jid]),
    archived: Option<u64>,
) {
    let copies = Copies::new(to.len());
    for (copy, to) in sealed.fan_out(to).zip(to) {
        if !engine.is_local(to.domain()) {
            let _ = engine.send_away(service, to.domain(), copy);
            continue;
        }
        let found = to
            .resource()
            .and_then(|resource| engine.registry().resource(&to.to_bare(), resource));
        let delivery = Delivery::Message(Message {
            sealed: copy,
            copies: copies.clone(),
            archived,
        });
        // Whoever has gone has it in the archive.
        if found.is_some_and(|found| found.outbox.push(delivery).is_ok()) {
            engine.metrics().deliveries.inc();
        }
    }
}

/// Presence that a session did not send to the room by itself: it has gone.
fn presence(engine: &Engine, from: &Jid, to: &Jid, stanza: &Sealed) {
    let Some(room) = Rooms::find(engine, &to.to_bare()) else {
        return;
    };
    let Some(mut draft) = reread(stanza) else {
        return;
    };
    if draft.stanza().type_attr().as_deref() == Some("unavailable") {
        draft.set_from(from.clone());
        draft.set_to(to.clone());
        // Nobody is refused to leave.
        let _ = room.apply(Event::Presence {
            draft,
            now: engine.env().now(),
            may_create: false,
            secret: [0; SECRET_BYTES],
            template: engine.settings().room_template,
        });
    }
}
