//! Rooms.

use super::{
    MemoryStore,
    state::{State, size, size64},
};
use crate::{
    BoxFuture, Credentials, Micros, NewRoom, Result, Room, RoomChange, RoomList, RoomOptions,
    RoomPerson, Rooms, StoreError,
};
use waxwing_proto::BareJid;

/// Who destroyed a room, and when.
pub(super) type Destroyed = (BareJid, Micros);

impl State {
    pub(super) fn room_entry(&mut self, room: &BareJid) -> Result<&mut (Room, RoomOptions)> {
        self.entry(room)?.room.as_mut().ok_or(StoreError::NoAccount)
    }

    fn room_create(&mut self, room: &BareJid, new: NewRoom) -> Result<()> {
        self.account_create(room.clone(), Credentials::default(), new.at)?;
        let mut kept = Room {
            secret: new.secret,
            config: new.options.config.clone(),
            subject: None,
            people: Vec::new(),
            people_since: 0,
        };
        put_people(&mut kept, new.people);
        self.entry(room)?.room = Some((kept, new.options));
        self.rooms_destroyed.remove(room);
        Ok(())
    }

    fn room_change(&mut self, room: &BareJid, change: RoomChange) -> Result<()> {
        let (kept, kept_options) = self.room_entry(room)?;
        if let Some(options) = change.options {
            kept.config = options.config.clone();
            *kept_options = options;
        }
        put_people(kept, change.people);
        if let Some(since) = change.people_since {
            kept.people_since = since;
            kept.people
                .retain(|person| !person.is_departed() || person.version > since);
        }
        Ok(())
    }
}

fn put_people(room: &mut Room, people: Vec<RoomPerson>) {
    for person in people {
        room.people.retain(|other| other.jid != person.jid);
        if !person.is_nothing() {
            let at = room.people.partition_point(|other| other.jid < person.jid);
            room.people.insert(at, person);
        }
    }
}

impl Rooms for MemoryStore {
    fn room(&self, room: BareJid) -> BoxFuture<'_, Result<Option<Room>>> {
        self.read(move |state| {
            let entry = state.accounts.get(&room)?;
            entry.room.as_ref().map(|(room, _)| room.clone())
        })
    }

    fn room_destroyed(&self, room: BareJid) -> BoxFuture<'_, Result<Option<(BareJid, Micros)>>> {
        self.read(move |state| state.rooms_destroyed.get(&room).cloned())
    }

    fn room_create(&self, room: BareJid, new: NewRoom) -> BoxFuture<'_, Result<()>> {
        self.write(move |state| state.room_create(&room, new))
    }

    fn room_change(&self, room: BareJid, change: RoomChange) -> BoxFuture<'_, Result<()>> {
        self.write(move |state| state.room_change(&room, change))
    }

    fn room_delete(
        &self,
        room: BareJid,
        destroyed: Option<(BareJid, Micros)>,
    ) -> BoxFuture<'_, Result<bool>> {
        self.write(move |state| {
            if state.room_entry(&room).is_err() {
                return Ok(false);
            }
            if let Some(destroyed) = destroyed {
                state.rooms_destroyed.insert(room.clone(), destroyed);
            }
            Ok(state.account_delete(&room))
        })
    }

    fn rooms(
        &self,
        service: String,
        which: RoomList,
        after: Option<BareJid>,
        count: u32,
    ) -> BoxFuture<'_, Result<Vec<(BareJid, String)>>> {
        self.read(move |state| {
            let rooms = state.accounts.iter().filter(|(jid, _)| {
                jid.domain() == service && after.as_ref().is_none_or(|after| *jid > after)
            });
            let found = rooms.filter_map(|(jid, entry)| {
                let (_, options) = entry.room.as_ref()?;
                let name = match which {
                    RoomList::Listed => options.listed.clone()?,
                    RoomList::Temporary => options.temporary.then(String::new)?,
                };
                Some((jid.clone(), name))
            });
            found.take(size(count)).collect()
        })
    }

    fn rooms_forget(&self, before: Micros) -> BoxFuture<'_, Result<u64>> {
        self.write(move |state| {
            let all = state.rooms_destroyed.len();
            state.rooms_destroyed.retain(|_, (_, at)| *at >= before);
            Ok(size64(all - state.rooms_destroyed.len()))
        })
    }
}
