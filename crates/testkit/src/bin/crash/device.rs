//! A client that lives through crashes: what it remembers, and how it comes back.

mod coming;
mod rooms;

pub(crate) use rooms::Stay;

use crate::{
    entry::{Channel, DeviceId, Digest, Entry, Key, Party},
    plan::{Deed, Dice, Plan},
    session::{self, Break, PATIENCE, Step, next, send},
    stanza::{self, Arrival},
    values::Values,
    world::World,
};
use std::{collections::VecDeque, rc::Rc, time::Duration};
use tokio::time::{Instant, sleep, sleep_until};
use waxwing_proto::ns;
use waxwing_testkit::{client::Client, xml::Element};

/// How a client makes up for what it has missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It resumes its session, or, if it cannot, asks the archive.
    Resuming,
    /// It asks the archive.
    CatchingUp,
    /// It takes what the server has kept for it. The only one of its account.
    Offline,
}

/// A client.
pub(crate) struct Device {
    pub(crate) id: DeviceId,
    pub(crate) kind: Kind,
    world: Rc<World>,
    /// Counts its connections.
    connection: u32,
    stream: u32,
    seq: u32,
    sm: Option<Management>,
    /// What it sent in streams that cannot be resumed and was not acknowledged.
    lost: VecDeque<Sent>,
    /// Of its account's archive.
    reading: Reading,
    stays: Vec<Stay>,
    pub(crate) values: Values,
    /// The session has sent its presence.
    appeared: bool,
    lazy: bool,
    dice: Dice,
    requests: u32,
    /// The server was killed since the last connection.
    pub(crate) after_crash: bool,
}

/// How much of an archive a client has seen.
#[derive(Debug, Default)]
struct Reading {
    /// Everything up to this.
    caught_up: Option<String>,
    /// The newest id seen while catching up, or since.
    newest: Option<String>,
    catching_up: bool,
    /// It has not yet asked for all that there is.
    behind: bool,
}

impl Reading {
    /// A connection begins.
    fn begin(&mut self) {
        self.catching_up = true;
        self.newest = None;
    }

    /// The archive is known up to a pushed message, unless older ones are still being asked for.
    fn saw(&mut self, id: Option<String>) {
        let Some(id) = id else { return };
        if self.catching_up {
            self.newest = Some(id);
        } else {
            self.caught_up = Some(id);
        }
    }

    /// Everything up to `last` has been asked for.
    fn end(&mut self, last: Option<String>) {
        self.caught_up = self.newest.take().or(last);
        self.catching_up = false;
        self.behind = false;
    }
}

/// Stream management of the session (XEP-0198).
#[derive(Debug, Default)]
struct Management {
    /// None if it cannot be resumed.
    id: Option<String>,
    received: u32,
    /// Stanzas sent that the server has acknowledged.
    acked: u32,
    unacked: VecDeque<Sent>,
}

/// A stanza sent; with a key, its recipient and its digest if it is a message of the test.
#[derive(Debug, Clone)]
struct Sent {
    message: Option<(Key, Party, Digest)>,
    wire: String,
}

impl Sent {
    fn other(wire: String) -> Self {
        let message = None;
        Self { message, wire }
    }
}

/// Why stanzas are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Occasion {
    First,
    /// They were sent in a stream that is lost.
    Again,
    /// They were sent in this stream, which was resumed without them.
    Resumed,
}

impl Device {
    pub(crate) fn new(
        id: DeviceId,
        kind: Kind,
        stays: Vec<Stay>,
        world: Rc<World>,
        dice: Dice,
    ) -> Self {
        Self {
            id,
            kind,
            world,
            connection: 0,
            stream: 0,
            seq: 0,
            sm: None,
            lost: VecDeque::new(),
            reading: Reading::default(),
            stays,
            values: Values::new(id.account),
            appeared: false,
            lazy: false,
            dice,
            requests: 0,
            after_crash: false,
        }
    }

    /// Carries a plan out until the connection ends for good: the server has died.
    pub(crate) async fn live(&mut self, plan: &Plan, start: Instant) {
        if plan.absent {
            return;
        }
        self.lazy = plan.lazy;
        let mut deeds = plan.deeds.iter();
        loop {
            let ended = self.live_once(plan, start, &mut deeds).await;
            self.world.journal.add(&Entry::Cut { device: self.id });
            match ended {
                Ok(pause) => sleep(pause).await,
                Err(Break::Cut) => break,
                Err(Break::Wrong(text)) => {
                    self.trouble(text);
                    break;
                }
            }
        }
        self.end_stream_if_lost();
    }

    /// One connection; ends well if the plan says to detach.
    async fn live_once(
        &mut self,
        plan: &Plan,
        start: Instant,
        deeds: &mut std::slice::Iter<'_, (Duration, Deed)>,
    ) -> Step<Duration> {
        let mut client = self.connect(plan.resends).await?;
        for (at, deed) in deeds.by_ref() {
            self.pump(&mut client, start + *at).await?;
            if let Deed::Detach { pause } = deed {
                return Ok(*pause);
            }
            self.act(&mut client, deed).await?;
        }
        // The kill comes before this.
        self.pump(&mut client, Instant::now() + PATIENCE).await?;
        Err(Break::Wrong("the server was not killed".into()))
    }

    /// Comes back, catches up, sends again, and knows what the server has taken.
    pub(crate) async fn come_back(&mut self) -> Step<Client> {
        self.lazy = false;
        let mut client = self.connect(true).await?;
        self.barrier(&mut client).await?;
        Ok(client)
    }

    /// Takes what comes until nothing has for `silence`; what was got is acknowledged.
    pub(crate) async fn settle(&mut self, client: &mut Client, silence: Duration) -> Step {
        while let Some(element) = next(client, silence).await? {
            self.world.note_arrival();
            self.take(client, &element).await?;
        }
        self.world.journal.sync().await;
        self.acknowledge(client).await
    }

    pub(crate) fn trouble(&self, text: String) {
        let device = self.id;
        self.world.journal.add(&Entry::Trouble { device, text });
    }

    async fn act(&mut self, client: &mut Client, deed: &Deed) -> Step {
        match deed {
            Deed::Burst { count, to, bytes } => self.burst(client, *count, to, *bytes).await,
            Deed::Noise { to } => {
                let noise = Sent::other(stanza::noise(*to));
                self.write(client, &[noise], Occasion::First).await
            }
            Deed::Write { what } => self.write_value(client, *what).await,
            Deed::Detach { .. } => Ok(()),
        }
    }

    async fn burst(&mut self, client: &mut Client, count: u32, to: &[Party], bytes: usize) -> Step {
        let mut messages = Vec::new();
        for (_, to) in (0..count).zip(to.iter().cycle()) {
            self.seq += 1;
            let key = Key {
                sender: self.id,
                stream: self.stream,
                seq: self.seq,
            };
            let (wire, digest) = stanza::message(key, *to, bytes);
            let message = Some((key, *to, digest));
            messages.push(Sent { message, wire });
        }
        self.write(client, &messages, Occasion::First).await
    }

    /// Journal first, then the wire; messages are followed by a question for an acknowledgement.
    async fn write(&mut self, client: &mut Client, stanzas: &[Sent], occasion: Occasion) -> Step {
        let mut wire = String::new();
        let mut messages = false;
        for sent in stanzas {
            wire.push_str(&sent.wire);
            if let Some((key, to, digest)) = sent.message {
                messages = true;
                self.world.journal.add(&Entry::Sent {
                    key,
                    to,
                    digest,
                    again: occasion != Occasion::First,
                });
            }
        }
        if let Some(sm) = self.sm.as_mut().filter(|_| occasion != Occasion::Resumed) {
            sm.unacked.extend(stanzas.iter().cloned());
        }
        if messages {
            self.world.journal.sync().await;
            if self.sm.is_some() {
                wire.push_str(&question());
            }
        }
        send(client, &wire).await
    }

    /// Waits until the server has acknowledged everything.
    async fn barrier(&mut self, client: &mut Client) -> Step {
        if self.sm.is_none() {
            return Ok(());
        }
        send(client, &question()).await?;
        let deadline = Instant::now() + PATIENCE;
        while self.sm.as_ref().is_some_and(|sm| !sm.unacked.is_empty()) {
            let patience = deadline.saturating_duration_since(Instant::now());
            match next(client, patience).await? {
                Some(element) => self.take(client, &element).await?,
                None => return Err(Break::Wrong("no acknowledgement".into())),
            }
        }
        Ok(())
    }

    async fn write_value(&mut self, client: &mut Client, what: usize) -> Step {
        let Some((entry, payload)) = self.values.write(what, &mut self.dice) else {
            return Ok(());
        };
        self.world.journal.add(&entry);
        self.world.journal.sync().await;
        let to = Values::to(what);
        let answer = self.request(client, "set", to.as_deref(), &payload).await?;
        let done = answer.attr("type") == Some("result");
        self.world.journal.add(&self.values.was_written(what, done));
        Ok(())
    }

    /// Asks its account, or `to`, and waits for the answer; what comes in between is taken.
    async fn request(
        &mut self,
        client: &mut Client,
        kind: &str,
        to: Option<&str>,
        payload: &str,
    ) -> Step<Element> {
        self.requests += 1;
        let id = format!("q{}", self.requests);
        let to = to.map_or_else(String::new, |to| format!(" to='{to}'"));
        let iq = Sent::other(format!("<iq type='{kind}' id='{id}'{to}>{payload}</iq>"));
        self.write(client, &[iq], Occasion::First).await?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let patience = deadline.saturating_duration_since(Instant::now());
            let Some(element) = next(client, patience).await? else {
                return Err(Break::Wrong(format!("no answer to {payload}")));
            };
            self.take(client, &element).await?;
            if session::is_answer(&element, &id) {
                return Ok(element);
            }
        }
    }

    async fn pump(&mut self, client: &mut Client, until: Instant) -> Step {
        while Instant::now() < until {
            let patience = until.saturating_duration_since(Instant::now());
            match next(client, patience).await? {
                Some(element) => self.take(client, &element).await?,
                None => sleep_until(until).await,
            }
        }
        Ok(())
    }

    /// Notes an element that came; an answer that is owed for it is sent.
    async fn take(&mut self, client: &mut Client, element: &Element) -> Step {
        if element.name.0 == ns::SM {
            match element.name.1.as_str() {
                "r" if !self.lazy => {
                    self.world.journal.sync().await;
                    self.acknowledge(client).await?;
                }
                "a" => {
                    if let Some(h) = element.attr("h").and_then(|h| h.parse().ok()) {
                        self.acked(h);
                    }
                }
                _ => {}
            }
            return Ok(());
        }
        if let Some(sm) = &mut self.sm {
            sm.received = sm.received.wrapping_add(1);
        }
        match stanza::arrival(element, self.id.account) {
            Some(Arrival::Refused { key, condition }) => {
                self.world.journal.add(&Entry::Refused { key, condition });
            }
            Some(Arrival::Copy {
                channel,
                of,
                id,
                key,
                digest,
            }) => {
                if let Some(reading) = self.reading(of).filter(|_| channel != Channel::Archive) {
                    reading.saw(id.clone());
                }
                self.world.journal.add(&Entry::Received {
                    device: self.id,
                    connection: self.connection,
                    channel,
                    id: id.unwrap_or_default(),
                    key,
                    digest,
                });
            }
            None => {
                self.notice(element);
                self.answer(client, element).await?;
            }
        }
        Ok(())
    }

    fn reading(&mut self, of: Party) -> Option<&mut Reading> {
        match of {
            Party::Account(_) => Some(&mut self.reading),
            Party::Room(room) => self.stay(room).map(|stay| &mut stay.reading),
        }
    }

    fn readings(&mut self) -> impl Iterator<Item = &mut Reading> {
        let stays = self.stays.iter_mut().map(|stay| &mut stay.reading);
        std::iter::once(&mut self.reading).chain(stays)
    }

    /// Servers ping their clients, and push roster changes.
    async fn answer(&mut self, client: &mut Client, element: &Element) -> Step {
        let asks =
            element.is("iq", ns::CLIENT) && matches!(element.attr("type"), Some("get" | "set"));
        if let Some(id) = element.attr("id").filter(|_| asks) {
            let to = element.attr("from").map(|from| format!(" to='{from}'"));
            let to = to.unwrap_or_default();
            let result = Sent::other(format!("<iq type='result' id='{id}'{to}/>"));
            self.write(client, &[result], Occasion::First).await?;
        }
        Ok(())
    }

    async fn acknowledge(&mut self, client: &mut Client) -> Step {
        match &self.sm {
            Some(sm) => {
                send(
                    client,
                    &format!("<a xmlns='{}' h='{}'/>", ns::SM, sm.received),
                )
                .await
            }
            None => Ok(()),
        }
    }

    /// The server has handled so many of our stanzas.
    fn acked(&mut self, h: u32) {
        let Some(sm) = &mut self.sm else { return };
        let count = usize::try_from(h.wrapping_sub(sm.acked)).unwrap_or(usize::MAX);
        if count > sm.unacked.len() {
            self.trouble(format!("{h} acknowledged, which is more than was sent"));
            return;
        }
        sm.acked = h;
        for sent in sm.unacked.drain(..count) {
            if let Some((key, ..)) = sent.message {
                self.world.journal.add(&Entry::Acked { key });
            }
        }
    }
}

/// Asks how much is handled (XEP-0198 § 4).
fn question() -> String {
    format!("<r xmlns='{}'/>", ns::SM)
}
