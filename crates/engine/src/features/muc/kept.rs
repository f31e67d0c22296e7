//! What of a room is on disk, and how it comes from there and goes there.

use super::{
    config::{HISTORY_MAX, RoomConfig},
    hats,
    nick::Nick,
    people::{Change, PersonChange},
    rights::Affiliation,
    room::{Event, Person, Phase, Room},
    speech::{Subject, brings_time, late},
    table::{Held, Rooms},
    vcard,
    versions::Versions,
};
use crate::{Engine, error, features::offline};
use bytes::Bytes;
use std::collections::BTreeMap;
use waxwing_proto::{
    BareJid, Jid, ns,
    stanza::{Draft, Kind, Sealed, StanzaError},
    xml::Writer,
};
use waxwing_store::{
    ArchiveFilter, Micros, NewRoom, PageFrom, PageRequest, RoomAffiliation, RoomChange, RoomList,
    RoomOptions, RoomPerson, StoreError,
};

/// For how long the name of a destroyed room cannot be had by others.
const DESTROYED_FOR: Micros = 30 * 24 * 3_600_000_000;
/// Bytes of the past that are read for newcomers.
const HISTORY_BYTES_MAX: usize = 512 * 1024;
/// Rooms that are read at a time.
const ROOMS_PAGE: u32 = 100;

/// Reads a room, with what newcomers are shown.
pub(super) async fn read(engine: &Engine, jid: &BareJid) -> Result<Room, StoreError> {
    let mut room = Room::absent(jid.clone());
    let Some(kept) = engine.store().room(jid.clone()).await? else {
        let destroyed = engine.store().room_destroyed(jid.clone()).await?;
        let now = engine.env().now();
        if let Some((by, _)) = destroyed.filter(|(_, at)| *at + DESTROYED_FOR > now) {
            room.phase = Phase::Destroyed(by);
        }
        return Ok(room);
    };
    room.phase = Phase::Open;
    room.secret = kept.secret;
    room.config = RoomConfig::decode(&kept.config)
        .ok_or_else(|| StoreError::Backend("the options of a room are damaged".into()))?;
    room.subject = kept
        .subject
        .as_ref()
        .map(Subject::decode)
        .unwrap_or_default();
    let mut versions = BTreeMap::new();
    for person in kept.people {
        if person.version > 0 {
            versions.insert(person.jid.clone(), person.version);
        }
        let known = Person {
            affiliation: person.affiliation.map_or(Affiliation::None, from_kept),
            nick: person.nick.as_deref().and_then(Nick::new),
        };
        if known != Person::default() {
            room.people.insert(person.jid, known);
        }
    }
    room.versions = Versions::kept(versions, kept.people_since);
    room.picture = vcard::read(engine, jid).await?;
    room.hats = hats::read(engine, jid).await?;
    read_past(engine, &mut room).await?;
    Ok(room)
}

async fn read_past(engine: &Engine, room: &mut Room) -> Result<(), StoreError> {
    let jid = room.jid.clone();
    let request = PageRequest {
        max: room.config.history.min(HISTORY_MAX),
        bytes_max: HISTORY_BYTES_MAX,
        from: PageFrom::Last,
        flip: false,
        count: false,
    };
    if request.max == 0 {
        return Ok(());
    }
    let filter = ArchiveFilter::default();
    let page = engine.store().archive_page(jid.clone(), filter, request);
    for entry in page.await?.entries {
        let Some(stanza) = offline::read(entry.stanza.clone()) else {
            continue;
        };
        let says = stanza.content("body").is_some() || stanza.content("subject").is_none();
        let at = Micros::try_from(entry.id).unwrap_or(Micros::MAX);
        if !entry.retracted && says {
            let sealed = Sealed::from_bytes(Kind::Message, entry.stanza)
                .with_child(engine.stanza_ids().element(&jid, entry.id));
            if brings_time(&stanza, jid.as_str()) {
                room.remember(at, &sealed);
            } else {
                room.remember(at, &sealed.with_child(late(&jid, at)));
            }
        }
    }
    Ok(())
}

/// Writes a change; afterwards it may be told.
pub(super) async fn write(
    engine: &Engine,
    held: &Held,
    room: &BareJid,
    change: &Change,
) -> Result<(), StanzaError> {
    let store = engine.store();
    let options = change.config.as_ref().map(options);
    // Changes take turns: it is the same when this one is applied.
    let plan = held.ask(|room| room.versions.plan(&room.people, &change.people));
    let changed = change.people.iter().zip(plan.versions);
    let changed: Vec<RoomPerson> = changed
        .map(|(person, version)| changed_person(person, version))
        .collect();
    let written = if change.opens {
        let (secret, before) = held.ask(|room| {
            let people = room.people.iter();
            let people = people.map(|(jid, person)| kept(room, jid, person));
            (room.secret, people.collect::<Vec<RoomPerson>>())
        });
        let stays = |jid: &BareJid| !change.people.iter().any(|person| person.jid == *jid);
        let mut people: Vec<RoomPerson> = before
            .into_iter()
            .filter(|person| stays(&person.jid))
            .collect();
        people.extend(changed);
        let new = NewRoom {
            at: engine.env().now(),
            secret,
            options: options.unwrap_or_else(|| self::options(&RoomConfig::default())),
            people,
        };
        store.room_create(room.clone(), new).await
    } else {
        let change = RoomChange {
            options,
            people: changed,
            people_since: plan.since,
        };
        store.room_change(room.clone(), change).await
    };
    written.map_err(|failure| error::from_store(engine, &failure))
}

fn options(config: &RoomConfig) -> RoomOptions {
    RoomOptions {
        config: config.encode(),
        listed: config.public.then(|| config.name.clone()),
        temporary: !config.persistent,
    }
}

fn kept(room: &Room, jid: &BareJid, person: &Person) -> RoomPerson {
    RoomPerson {
        jid: jid.clone(),
        affiliation: to_kept(person.affiliation),
        nick: person.nick.as_ref().map(|nick| nick.as_str().to_owned()),
        version: room.versions.version(jid),
    }
}

fn changed_person(change: &PersonChange, version: u64) -> RoomPerson {
    RoomPerson {
        jid: change.jid.clone(),
        affiliation: to_kept(change.affiliation),
        nick: change.nick.as_ref().map(|nick| nick.as_str().to_owned()),
        version,
    }
}

fn to_kept(affiliation: Affiliation) -> Option<RoomAffiliation> {
    match affiliation {
        Affiliation::None => None,
        Affiliation::Outcast => Some(RoomAffiliation::Outcast),
        Affiliation::Member => Some(RoomAffiliation::Member),
        Affiliation::Admin => Some(RoomAffiliation::Admin),
        Affiliation::Owner => Some(RoomAffiliation::Owner),
    }
}

fn from_kept(affiliation: RoomAffiliation) -> Affiliation {
    match affiliation {
        RoomAffiliation::Outcast => Affiliation::Outcast,
        RoomAffiliation::Member => Affiliation::Member,
        RoomAffiliation::Admin => Affiliation::Admin,
        RoomAffiliation::Owner => Affiliation::Owner,
    }
}

/// Puts a session where it was. What it had said of itself in the room is not kept; what it says to
/// its contacts stands for it.
pub(super) fn find_again(engine: &Engine, held: &Held, session: Jid, occupant: &Jid) {
    let resource = session
        .resource()
        .and_then(|resource| engine.registry().resource(&session.to_bare(), resource));
    let said = resource.and_then(|resource| resource.presence());
    let said = said.map_or_else(|| empty_presence(&session), |presence| presence.to_bytes());
    let presence = offline::read(said).and_then(|stanza| Draft::new(stanza).ok());
    let nick = occupant.resource().and_then(Nick::new);
    if let (Some(presence), Some(nick)) = (presence, nick) {
        let event = Event::Found {
            session,
            nick,
            presence,
        };
        // It is refused nothing: it is there again or not.
        let _ = held.apply(event);
    }
}

fn empty_presence(from: &Jid) -> Bytes {
    let mut xml = Writer::new(ns::CLIENT);
    xml.start("presence").attr("from", from.as_str());
    xml.finish()
}

/// Removes the temporary rooms that nobody is in any more.
pub(super) async fn forget_temporary(engine: &Engine, service: &str) -> Result<(), StoreError> {
    let mut after = None;
    loop {
        let store = engine.store();
        let rooms = store.rooms(service.to_owned(), RoomList::Temporary, after, ROOMS_PAGE);
        let rooms = rooms.await?;
        let Some((last, _)) = rooms.last() else {
            return Ok(());
        };
        after = Some(last.clone());
        for (room, _) in rooms {
            if Rooms::find(engine, &room).is_none() {
                store.room_delete(room, None).await?;
            }
        }
    }
}
