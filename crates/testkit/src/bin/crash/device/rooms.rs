//! A client in rooms: how it enters, stays, and makes up for what it has missed there.

use super::{Device, Occasion, Reading, Sent};
use crate::{
    entry::{Beginning, Entry, Party},
    rooms,
    session::{Break, PATIENCE, Step, next},
};
use tokio::time::Instant;
use waxwing_proto::ns;
use waxwing_testkit::{client::Client, xml::Element};

/// A room that a client is in, or will be when it has a session.
pub(crate) struct Stay {
    pub(crate) room: u32,
    /// The room has told this session that it is there.
    pub(super) inside: bool,
    pub(super) reading: Reading,
}

impl Stay {
    pub(crate) fn new(room: u32) -> Self {
        Self {
            room,
            inside: false,
            reading: Reading::default(),
        }
    }
}

impl Device {
    /// Whoever has a new session enters; whoever has resumed one is still there, and only asks.
    pub(super) async fn be_in_rooms(&mut self, client: &mut Client, beginning: Beginning) -> Step {
        for room in self.rooms() {
            if beginning == Beginning::Resumed && self.is_inside(room) {
                self.ask_room(client, room).await?;
            }
            if !self.is_inside(room) {
                self.enter(client, room).await?;
            }
            self.catch_up(client, Party::Room(room)).await?;
        }
        Ok(())
    }

    /// The rooms that it is in, or will be.
    pub(crate) fn rooms(&self) -> Vec<u32> {
        self.stays.iter().map(|stay| stay.room).collect()
    }

    async fn enter(&mut self, client: &mut Client, room: u32) -> Step {
        let entrance = Sent::other(rooms::entrance(self.id, room));
        self.write(client, &[entrance], Occasion::First).await?;
        let deadline = Instant::now() + PATIENCE;
        while !self.is_inside(room) {
            let patience = deadline.saturating_duration_since(Instant::now());
            match next(client, patience).await? {
                Some(element) if is_refusal(&element, room) => {
                    return Err(Break::Wrong(format!("may not enter: {element}")));
                }
                Some(element) => self.take(client, &element).await?,
                None => return Err(Break::Wrong(format!("nothing comes from room {room}"))),
            }
        }
        Ok(())
    }

    /// XEP-0410: a ping to the own address in the room.
    async fn ask_room(&mut self, client: &mut Client, room: u32) -> Step {
        let ping = format!("<ping xmlns='{}'/>", ns::PING);
        let to = rooms::occupant(self.id, room);
        let answer = self.request(client, "get", Some(&to), &ping).await?;
        let there = answer.attr("type") == Some("result");
        let device = self.id;
        let asked = Entry::Asked {
            device,
            room,
            there,
        };
        self.world.journal.add(&asked);
        if let Some(stay) = self.stay(room).filter(|_| !there) {
            stay.inside = false;
            stay.reading.behind = true;
        }
        Ok(())
    }

    /// Takes what a room says of this session itself.
    pub(super) fn notice(&mut self, element: &Element) {
        let Some((room, inside)) = rooms::own_presence(element) else {
            return;
        };
        let device = self.id;
        let Some(stay) = self.stay(room) else { return };
        let before = std::mem::replace(&mut stay.inside, inside);
        match (before, inside) {
            (false, true) => self.world.journal.add(&Entry::Entered { device, room }),
            (true, false) => self.world.journal.add(&Entry::Removed { device, room }),
            // News of the past, or once more.
            _ => {}
        }
    }

    fn is_inside(&self, room: u32) -> bool {
        let mut stays = self.stays.iter();
        stays.any(|stay| stay.room == room && stay.inside)
    }

    pub(super) fn stay(&mut self, room: u32) -> Option<&mut Stay> {
        self.stays.iter_mut().find(|stay| stay.room == room)
    }
}

fn is_refusal(element: &Element, room: u32) -> bool {
    element.is("presence", ns::CLIENT)
        && element.attr("type") == Some("error")
        && element.attr("from").and_then(rooms::number) == Some(room)
}
