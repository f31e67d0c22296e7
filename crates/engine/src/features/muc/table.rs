//! The rooms that are in memory: those that somebody is in, and those that somebody has just asked
//! something of.
//!
//! A room is held by whoever does something with it, and leaves memory when nobody holds it and
//! nobody is in it. So there is never a second copy that does not know of a change.

use super::{
    errors::Refusal,
    kept,
    room::{Effect, Event, Room},
    speech::Spoken,
    storm::{DOMAIN_ACCOUNTS, Deed, Paces, Rate},
};
use crate::{
    Engine, error,
    features::{offline, push},
    outbox::Delivery,
};
use hashbrown::HashMap;
use parking_lot::Mutex;
use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::sync::{MutexGuard, Notify, OnceCell};
use waxwing_proto::{
    BareJid, Jid,
    stanza::{Draft, StanzaError},
};
use waxwing_store::{Micros, StoreError};

const SECOND: Micros = 1_000_000;
/// What may be said at once is what may be said in so many seconds.
const SPEECH_SECONDS: i64 = 10;

/// The table.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rooms(Arc<Mutex<HashMap<BareJid, Arc<Place>>>>);

/// A room's place in the table, from the moment in which somebody wants to read it.
type Place = OnceCell<Hosted>;

/// A room in memory.
#[derive(Debug)]
struct Hosted {
    state: Mutex<State>,
    /// Nobody is in it.
    idle: AtomicBool,
    /// Told when something was sent.
    sent: Notify,
    /// Those who change what is on disk take turns: what one has found possible must be so still
    /// when it is done.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct State {
    room: Room,
    /// What is to be sent, in order.
    effects: VecDeque<Effect>,
    /// How many there were before these.
    taken: u64,
    /// How many were sent.
    sent: u64,
    /// Somebody is sending.
    carrying: bool,
    paces: Paces,
}

/// A room that stays in memory as long as somebody has this.
pub(crate) struct Held {
    engine: Engine,
    jid: BareJid,
    place: Arc<Place>,
}

impl Rooms {
    /// The room of an address, read from disk if need be; one that does not exist is a room, too.
    pub(crate) async fn hold(engine: &Engine, jid: &BareJid) -> Result<Held, StanzaError> {
        let held = {
            let mut table = engine.rooms().0.lock();
            let place = table.entry(jid.clone()).or_default().clone();
            Held {
                engine: engine.clone(),
                jid: jid.clone(),
                place,
            }
        };
        let read = held.place.get_or_try_init(|| Hosted::read(engine, jid));
        read.await
            .map_err(|failure| error::from_store(engine, &failure))?;
        Ok(held)
    }

    /// The room, if it is in memory; nobody is in any other.
    pub(crate) fn find(engine: &Engine, jid: &BareJid) -> Option<Held> {
        let place = engine.rooms().0.lock().get(jid).cloned()?;
        let held = Held {
            engine: engine.clone(),
            jid: jid.clone(),
            place,
        };
        held.place.get().is_some().then_some(held)
    }

    /// Nobody holds it any more who has dropped it just now.
    fn release(&self, jid: &BareJid) {
        let mut table = self.0.lock();
        let unused = |place: &Arc<Place>| {
            // Whoever holds it got it under this lock.
            let idle = place
                .get()
                .is_none_or(|room| room.idle.load(Ordering::Acquire));
            Arc::strong_count(place) == 1 && idle
        };
        if table.get(jid).is_some_and(unused) {
            table.remove(jid);
        }
    }
}

impl Hosted {
    async fn read(engine: &Engine, jid: &BareJid) -> Result<Self, StoreError> {
        let room = kept::read(engine, jid).await?;
        Ok(Self {
            state: Mutex::new(State {
                room,
                effects: VecDeque::new(),
                taken: 0,
                sent: 0,
                carrying: false,
                paces: Paces::default(),
            }),
            sent: Notify::new(),
            idle: AtomicBool::new(true),
            turn: tokio::sync::Mutex::new(()),
        })
    }
}

impl Held {
    /// The same for somebody else.
    pub(crate) fn again(&self) -> Self {
        Self {
            engine: self.engine.clone(),
            jid: self.jid.clone(),
            place: Arc::clone(&self.place),
        }
    }

    /// Asks the room something that changes nothing.
    pub(crate) fn ask<T>(&self, question: impl FnOnce(&Room) -> T) -> T {
        question(&self.hosted().state.lock().room)
    }

    /// Whether somebody may do something now, as fast as they are.
    pub(super) fn pace(&self, who: &Jid, deed: Deed) -> Result<(), Refusal> {
        let engine = &self.engine;
        let limits = &engine.settings().limits;
        let rate = match deed {
            Deed::Speak => Rate {
                every: SECOND / i64::from(limits.room_messages_per_second_max.max(1)),
                burst: i64::from(limits.room_messages_per_second_max.max(1)) * SPEECH_SECONDS,
            },
            Deed::Move => Rate {
                every: 60 * SECOND / i64::from(limits.room_presences_per_minute_max.max(1)),
                burst: i64::from(limits.room_presences_per_minute_max.max(1)),
            },
        };
        let (account, now) = (who.to_bare(), engine.env().now());
        let paces = &mut self.hosted().state.lock().paces;
        let far = !engine.is_local(account.domain());
        let wide = rate.times(DOMAIN_ACCOUNTS);
        // Whoever is too fast takes nothing from the others of the same domain.
        let may = paces.take(&account, deed, rate, now)
            && (!far || paces.take(&account.to_domain(), deed, wide, now));
        if may {
            return Ok(());
        }
        engine.metrics().room_stanzas_too_fast.inc();
        Err(Refusal::Flood)
    }

    /// Tells the room what has happened, and sends what follows from it.
    pub(crate) fn apply(&self, event: Event) -> Result<(), Refusal> {
        self.apply_behind(None, event)
    }

    /// The same, but whoever has asked for it has this answer before all that follows from it.
    pub(crate) fn apply_asked(&self, event: Event, answer: Effect) -> Result<(), Refusal> {
        self.apply_behind(Some(answer), event)
    }

    fn apply_behind(&self, answer: Option<Effect>, event: Event) -> Result<(), Refusal> {
        let hosted = self.hosted();
        let applied = {
            let mut state = hosted.state.lock();
            let before = state.room.occupants();
            let applied = state.room.apply(event);
            let over = state.room.is_over();
            if over {
                state.room = Room::absent(self.jid.clone());
            }
            let after = state.room.occupants();
            hosted.idle.store(state.room.is_empty(), Ordering::Release);
            self.count(before, after);
            if over {
                // Queued by the call, and so before whatever is written for a room made anew.
                drop(self.engine.store().room_delete(self.jid.clone(), None));
            }
            applied.map(|effects| {
                state.effects.extend(answer);
                state.effects.extend(effects);
            })
        };
        self.carry_out();
        applied
    }

    /// Sends something of the room's that changes nothing about it.
    pub(crate) fn send(&self, effect: Effect) {
        self.hosted().state.lock().effects.push_back(effect);
        self.carry_out();
    }

    /// Waits until all that the room has said so far was sent.
    pub(crate) async fn settled(&self) {
        let hosted = self.hosted();
        let last = {
            let state = hosted.state.lock();
            state.taken + state.effects.len() as u64
        };
        loop {
            let sent = hosted.sent.notified();
            // After that, or one who is done in between would not be heard.
            if hosted.state.lock().sent >= last {
                return;
            }
            sent.await;
        }
    }

    /// Waits until nobody else changes what is on disk.
    pub(crate) async fn turn(&self) -> MutexGuard<'_, ()> {
        self.hosted().turn.lock().await
    }

    /// Sends what is to be sent, unless somebody does so already: all see one order, and nothing is
    /// delivered under the room's lock.
    fn carry_out(&self) {
        let hosted = self.hosted();
        loop {
            let effects = {
                let mut state = hosted.state.lock();
                if state.carrying || state.effects.is_empty() {
                    return;
                }
                state.carrying = true;
                let effects = std::mem::take(&mut state.effects);
                state.taken += effects.len() as u64;
                effects
            };
            let _carrying = Carrying(hosted);
            for effect in &effects {
                self.deliver(effect);
            }
        }
    }

    /// Gives a stanza to each recipient's outbox or the way to its domain. Whoever has gone learns
    /// nothing, and the room will hear of that.
    fn deliver(&self, effect: &Effect) {
        let engine = &self.engine;
        for (copy, to) in effect.stanza.fan_out(&effect.to).zip(effect.to.iter()) {
            if !engine.is_local(to.domain()) {
                let _ = engine.send_away(self.jid.domain(), to.domain(), copy);
                continue;
            }
            let account = to.to_bare();
            let found = to.resource();
            let found = found.and_then(|name| engine.registry().resource(&account, name));
            let Some(found) = found else {
                continue;
            };
            if let Some(occupant) = &effect.ends {
                found.forget_directed(occupant);
            }
            if let Some(spoken) = effect.said.as_ref().filter(|_| found.is_asleep()) {
                self.wake(&account, spoken, false);
            }
            if found.outbox.push(Delivery::Stanza(copy)).is_ok() {
                engine.metrics().room_deliveries.inc();
            }
        }
    }

    /// Wakes the devices of an account that are away, if it wants to hear of what was said. `absent`: it
    /// has no session in the room.
    pub(super) fn wake(&self, account: &BareJid, spoken: &Spoken, absent: bool) {
        if *account != spoken.author && self.engine.is_local(account.domain()) {
            let said = (&spoken.stanza, &spoken.from);
            let named = || self.ask(|room| room.names(&spoken.stanza, account));
            if absent {
                push::wake_absent(&self.engine, account, said, named);
            } else {
                push::wake_in_room(&self.engine, account, said, named);
            }
        }
    }

    fn count(&self, before: usize, after: usize) {
        let gauge = &self.engine.metrics().room_occupants;
        for _ in before..after {
            gauge.inc();
        }
        for _ in after..before {
            gauge.dec();
        }
    }

    fn hosted(&self) -> &Hosted {
        #[expect(
            clippy::expect_used,
            reason = "a place is given out only after the room was read"
        )]
        self.place.get().expect("INVARIANT: the room was read")
    }
}

/// Somebody sends; ends with the sending, even by a panic.
struct Carrying<'a>(&'a Hosted);

impl Drop for Carrying<'_> {
    fn drop(&mut self) {
        {
            let mut state = self.0.state.lock();
            state.carrying = false;
            state.sent = state.taken;
        }
        self.0.sent.notify_waiters();
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // Only what is in the table is left, if nobody else holds the room.
        self.place = Arc::new(OnceCell::new());
        self.engine.rooms().release(&self.jid);
    }
}

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Held")
            .field("jid", &self.jid)
            .finish_non_exhaustive()
    }
}

/// Presence that was sealed already.
pub(super) fn reread(stanza: &waxwing_proto::stanza::Sealed) -> Option<Draft> {
    Draft::new(offline::read(stanza.to_bytes())?).ok()
}

/// The sessions that were in rooms when the server ended, and are there still.
pub(crate) async fn recover(engine: &Engine) -> Result<(), StoreError> {
    let services: Vec<String> = engine
        .settings()
        .services
        .iter()
        .filter(|service| service.kind == crate::feature::Service::Rooms)
        .map(|service| service.name.clone())
        .collect();
    let mut found: Vec<(Jid, Jid)> = Vec::new();
    for resource in engine.registry().every_resource() {
        let directed = resource.directed().into_iter();
        let rooms = directed
            .filter(|to| to.is_full() && services.iter().any(|service| *service == to.domain()));
        let session = Jid::from(&resource.jid);
        found.extend(rooms.map(|to| (session.clone(), to)));
    }
    for (session, occupant) in found {
        let Ok(held) = Rooms::hold(engine, &occupant.to_bare()).await else {
            continue;
        };
        kept::find_again(engine, &held, session, &occupant);
    }
    for service in services {
        kept::forget_temporary(engine, &service).await?;
    }
    Ok(())
}
