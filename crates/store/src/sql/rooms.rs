//! Rooms, and the domain trait of them for every SQL back end.

use super::{Executor, Param, accounts, address, bound, damaged, store::Backend};
use crate::{
    BoxFuture, Micros, NewRoom, Result, Room, RoomAffiliation, RoomChange, RoomList, RoomOptions,
    RoomPerson, Rooms, StoreError,
};
use waxwing_proto::BareJid;

const NUMBER: &str = "SELECT a.number FROM account a JOIN room r ON r.number = a.number \
     WHERE a.jid = ?1";
const ROOM: &str = "SELECT a.number, r.secret, r.config, r.subject, r.people_since FROM account a \
     JOIN room r ON r.number = a.number WHERE a.jid = ?1";
const PEOPLE: &str = "SELECT jid, affiliation, nick, version FROM room_person \
     WHERE room = ?1 ORDER BY jid";
const ADD: &str = "INSERT INTO room (number, secret, config, listed, temporary) \
     VALUES (?1, ?2, ?3, ?4, ?5)";
const SET_OPTIONS: &str =
    "UPDATE room SET config = ?2, listed = ?3, temporary = ?4 WHERE number = ?1";
const SET_SUBJECT: &str = "UPDATE room SET subject = ?2 WHERE number = ?1";
const PUT_PERSON: &str = "INSERT INTO room_person (room, jid, affiliation, nick, version) \
     VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (room, jid) \
     DO UPDATE SET affiliation = excluded.affiliation, nick = excluded.nick, \
     version = excluded.version";
const SET_SINCE: &str = "UPDATE room SET people_since = ?2 WHERE number = ?1";
const FORGET_DEPARTED: &str = "DELETE FROM room_person \
     WHERE room = ?1 AND affiliation = 0 AND nick IS NULL AND version <= ?2";
const REMOVE_PERSON: &str = "DELETE FROM room_person WHERE room = ?1 AND jid = ?2";
const LISTED: &str = "SELECT a.jid, r.listed FROM account a JOIN room r ON r.number = a.number \
     WHERE a.domain = ?1 AND a.jid > ?2 AND r.listed IS NOT NULL ORDER BY a.jid LIMIT ?3";
const TEMPORARY: &str = "SELECT a.jid, '' FROM account a JOIN room r ON r.number = a.number \
     WHERE a.domain = ?1 AND a.jid > ?2 AND r.temporary = 1 ORDER BY a.jid LIMIT ?3";
const DESTROYED: &str = "SELECT destroyed_by, destroyed_at FROM room_destroyed WHERE jid = ?1";
const PUT_DESTROYED: &str = "INSERT INTO room_destroyed (jid, destroyed_by, destroyed_at) \
     VALUES (?1, ?2, ?3) ON CONFLICT (jid) DO UPDATE SET destroyed_by = excluded.destroyed_by, \
     destroyed_at = excluded.destroyed_at";
const REMOVE_DESTROYED: &str = "DELETE FROM room_destroyed WHERE jid = ?1";
const FORGET: &str = "DELETE FROM room_destroyed WHERE destroyed_at < ?1";

/// What must never read a whole table.
#[cfg(test)]
pub(crate) const QUERIES: &[&str] = &[NUMBER, ROOM, PEOPLE, LISTED, TEMPORARY, DESTROYED];

impl<B: Backend> Rooms for B {
    fn room(&self, room: BareJid) -> BoxFuture<'_, Result<Option<Room>>> {
        self.read(move |db| read(db, &room))
    }

    fn room_destroyed(&self, room: BareJid) -> BoxFuture<'_, Result<Option<(BareJid, Micros)>>> {
        self.read(move |db| {
            let row = db.query_first(DESTROYED, &[room.as_str().into()])?;
            row.map(|mut row| Ok((address(&row.text()?)?, row.int()?)))
                .transpose()
        })
    }

    fn room_create(&self, room: BareJid, new: NewRoom) -> BoxFuture<'_, Result<()>> {
        self.write(new.bytes(), move |db| create(db, &room, &new))
    }

    fn room_change(&self, room: BareJid, change: RoomChange) -> BoxFuture<'_, Result<()>> {
        self.write(change.bytes(), move |db| change_room(db, &room, &change))
    }

    fn room_delete(
        &self,
        room: BareJid,
        destroyed: Option<(BareJid, Micros)>,
    ) -> BoxFuture<'_, Result<bool>> {
        self.write(0, move |db| delete(db, &room, destroyed.as_ref()))
    }

    fn rooms(
        &self,
        service: String,
        which: RoomList,
        after: Option<BareJid>,
        count: u32,
    ) -> BoxFuture<'_, Result<Vec<(BareJid, String)>>> {
        self.read(move |db| list(db, &service, which, after.as_ref(), count))
    }

    fn rooms_forget(&self, before: Micros) -> BoxFuture<'_, Result<u64>> {
        self.write(0, move |db| db.execute(FORGET, &[before.into()]))
    }
}

fn read(db: &mut dyn Executor, room: &BareJid) -> Result<Option<Room>> {
    let Some(mut row) = db.query_first(ROOM, &[room.as_str().into()])? else {
        return Ok(None);
    };
    let number = row.int()?;
    let secret = row.bytes()?;
    let secret = <[u8; 32]>::try_from(secret).map_err(|_| damaged("a room's secret"))?;
    let config = row.bytes()?.into();
    let subject = row.bytes_or_null()?;
    let people_since = version(row.int()?)?;
    let rows = db.query(PEOPLE, &[number.into()])?;
    let people = rows.into_iter().map(|mut row| {
        Ok(RoomPerson {
            jid: address(&row.text()?)?,
            affiliation: affiliation(row.int()?)?,
            nick: row.text_or_null()?,
            version: version(row.int()?)?,
        })
    });
    Ok(Some(Room {
        secret,
        config,
        subject,
        people: people.collect::<Result<_>>()?,
        people_since,
    }))
}

fn create(db: &mut dyn Executor, room: &BareJid, new: &NewRoom) -> Result<()> {
    accounts::add(db, room, new.at)?;
    let number = accounts::number(db, room)?;
    let options = &new.options;
    let params = [
        number.into(),
        Param::Bytes(&new.secret),
        Param::Bytes(&options.config),
        options.listed.as_deref().into(),
        i64::from(options.temporary).into(),
    ];
    db.execute(ADD, &params)?;
    put_people(db, number, &new.people)?;
    db.execute(REMOVE_DESTROYED, &[room.as_str().into()])?;
    Ok(())
}

fn change_room(db: &mut dyn Executor, room: &BareJid, change: &RoomChange) -> Result<()> {
    let number = number(db, room)?.ok_or(StoreError::NoAccount)?;
    if let Some(RoomOptions {
        config,
        listed,
        temporary,
    }) = &change.options
    {
        let params = [
            number.into(),
            Param::Bytes(config),
            listed.as_deref().into(),
            i64::from(*temporary).into(),
        ];
        db.execute(SET_OPTIONS, &params)?;
    }
    put_people(db, number, &change.people)?;
    if let Some(since) = change.people_since {
        let params = [number.into(), bound(since).into()];
        db.execute(SET_SINCE, &params)?;
        db.execute(FORGET_DEPARTED, &params)?;
    }
    Ok(())
}

fn put_people(db: &mut dyn Executor, number: i64, people: &[RoomPerson]) -> Result<()> {
    for person in people {
        let jid = person.jid.as_str();
        if person.is_nothing() {
            db.execute(REMOVE_PERSON, &[number.into(), jid.into()])?;
            continue;
        }
        let affiliation = match person.affiliation {
            None => 0_i64,
            Some(RoomAffiliation::Owner) => 1,
            Some(RoomAffiliation::Admin) => 2,
            Some(RoomAffiliation::Member) => 3,
            Some(RoomAffiliation::Outcast) => 4,
        };
        let nick = person.nick.as_deref();
        let params = [
            number.into(),
            jid.into(),
            affiliation.into(),
            nick.into(),
            bound(person.version).into(),
        ];
        db.execute(PUT_PERSON, &params)?;
    }
    Ok(())
}

fn affiliation(stored: i64) -> Result<Option<RoomAffiliation>> {
    match stored {
        0 => Ok(None),
        1 => Ok(Some(RoomAffiliation::Owner)),
        2 => Ok(Some(RoomAffiliation::Admin)),
        3 => Ok(Some(RoomAffiliation::Member)),
        4 => Ok(Some(RoomAffiliation::Outcast)),
        _ => Err(damaged("an affiliation with a room")),
    }
}

fn version(stored: i64) -> Result<u64> {
    u64::try_from(stored).map_err(|_| damaged("a version of a room's people"))
}

fn delete(
    db: &mut dyn Executor,
    room: &BareJid,
    destroyed: Option<&(BareJid, Micros)>,
) -> Result<bool> {
    if number(db, room)?.is_none() {
        return Ok(false);
    }
    if let Some((by, at)) = destroyed {
        let params = [room.as_str().into(), by.as_str().into(), (*at).into()];
        db.execute(PUT_DESTROYED, &params)?;
    }
    accounts::delete(db, room)
}

fn list(
    db: &mut dyn Executor,
    service: &str,
    which: RoomList,
    after: Option<&BareJid>,
    count: u32,
) -> Result<Vec<(BareJid, String)>> {
    let query = match which {
        RoomList::Listed => LISTED,
        RoomList::Temporary => TEMPORARY,
    };
    // Every address sorts after the empty text.
    let after = after.map_or("", BareJid::as_str);
    let rows = db.query(query, &[service.into(), after.into(), bound(count).into()])?;
    rows.into_iter()
        .map(|mut row| Ok((address(&row.text()?)?, row.text()?)))
        .collect()
}

fn number(db: &mut dyn Executor, room: &BareJid) -> Result<Option<i64>> {
    let row = db.query_first(NUMBER, &[room.as_str().into()])?;
    row.map(|mut row| row.int()).transpose()
}

/// A message has set the subject of the room whose archive it is in.
pub(super) fn set_subject(db: &mut dyn Executor, room: &BareJid, subject: &[u8]) -> Result<()> {
    let number = number(db, room)?.ok_or(StoreError::NoAccount)?;
    let params = [number.into(), subject.into()];
    db.execute(SET_SUBJECT, &params).map(drop)
}
