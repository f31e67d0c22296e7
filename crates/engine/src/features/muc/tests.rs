//! The machine as people see it: who does what, and who is told.

mod admin;
mod occupants;
mod random;
mod versions;

use super::{
    errors::Refusal,
    owner::Owner,
    people::Admin,
    room::{Effect, Event, Room},
    speech::{Heard, Said},
};
use crate::{features::fixtures::draft, settings::RoomTemplate};
use bytes::Bytes;
use std::sync::Arc;
use waxwing_proto::{
    BareJid, Jid, ns,
    stanza::{Draft, Sealed},
    xml::{Limits, Tree},
};
use waxwing_store::Micros;

const ROOM: &str = "room@groups.example";
/// 2026-11-22T00:00:00Z
const START: Micros = 1_795_305_600_000_000;

/// A room and what has come out of it.
pub(super) struct Stage {
    pub(super) room: Room,
    pub(super) now: Micros,
    effects: Vec<Effect>,
    mail: Vec<Draft>,
}

impl Stage {
    pub(super) fn new() -> Self {
        Self {
            room: Room::absent(BareJid::parse(ROOM).unwrap()),
            now: START,
            effects: Vec::new(),
            mail: Vec::new(),
        }
    }

    /// A room that is open, with alice as its owner, configured so.
    pub(super) fn open(options: &[(&str, &str)]) -> Self {
        let mut stage = Self::new();
        stage.enter("alice@a/1", "alice");
        stage.configure("alice@a/1", options).unwrap();
        stage.quiet();
        stage
    }

    pub(super) fn apply(&mut self, event: Event) -> Result<(), Refusal> {
        let effects = self.room.apply(event)?;
        self.effects.extend(effects);
        Ok(())
    }

    pub(super) fn presence(&mut self, from: &str, nick: &str, rest: &str) -> Result<(), Refusal> {
        let to = format!("{ROOM}/{nick}");
        let to = to.trim_end_matches('/');
        let draft = draft(&format!(
            "<presence from='{from}' to='{to}'{rest}</presence>"
        ));
        self.apply(Event::Presence {
            draft,
            now: self.now,
            may_create: true,
            secret: [7; 32],
            template: RoomTemplate::default(),
        })
    }

    pub(super) fn try_enter(&mut self, from: &str, nick: &str, x: &str) -> Result<(), Refusal> {
        self.presence(from, nick, &format!("><x xmlns='{}'>{x}</x>", ns::MUC))
    }

    pub(super) fn enter(&mut self, from: &str, nick: &str) {
        self.try_enter(from, nick, "").unwrap();
    }

    pub(super) fn leave(&mut self, from: &str, nick: &str) {
        self.presence(from, nick, " type='unavailable'>").unwrap();
    }

    pub(super) fn configure(
        &mut self,
        from: &str,
        options: &[(&str, &str)],
    ) -> Result<(), Refusal> {
        let field = |(var, value): &(&str, &str)| {
            let values = value.replace(' ', "</value><value>");
            format!("<field var='muc#roomconfig_{var}'><value>{values}</value></field>")
        };
        let fields: String = options.iter().map(field).collect();
        self.own(
            from,
            &format!("<x xmlns='jabber:x:data' type='submit'>{fields}</x>"),
        )
    }

    /// A request of `muc#owner`.
    pub(super) fn own(&mut self, from: &str, content: &str) -> Result<(), Refusal> {
        let tree = parse(&format!(
            "<query xmlns='{}'>{content}</query>",
            ns::MUC_OWNER
        ));
        let from = Jid::parse(from).unwrap();
        match self.room.decide(&from, tree.root())? {
            Owner::Change(change) => self.apply(Event::Changed(change)),
            Owner::GiveUp(end) | Owner::Destroy(end) => self.apply(Event::Destroyed(end)),
            Owner::Nothing => Ok(()),
        }
    }

    /// A request of `muc#admin`.
    pub(super) fn administer(&mut self, from: &str, items: &str) -> Result<(), Refusal> {
        let tree = parse(&format!("<query xmlns='{}'>{items}</query>", ns::MUC_ADMIN));
        let from = Jid::parse(from).unwrap();
        match self.room.administer(&from, tree.root())? {
            Admin::Roles(changes) => self.apply(Event::Roles(changes)),
            Admin::Affiliations(change) => self.apply(Event::Changed(change)),
        }
    }

    /// A list of `muc#admin`: who is in it.
    pub(super) fn list(&self, from: &str, item: &str) -> Result<Vec<String>, Refusal> {
        let query = format!("<query xmlns='{}'><item {item}/></query>", ns::MUC_ADMIN);
        let tree = parse(&query);
        let list = self.room.list(&Jid::parse(from).unwrap(), tree.root())?;
        let tree = parse(std::str::from_utf8(&list).unwrap());
        let items = tree.root().children();
        let name = |item: waxwing_proto::xml::Element<'_>| {
            let name = item.attr("nick").or_else(|| item.attr("jid"));
            name.unwrap().into_owned()
        };
        Ok(items.map(name).collect())
    }

    pub(super) fn hear(&mut self, message: &str) -> Result<Heard, Refusal> {
        self.room.hear(draft(message), self.now)
    }

    /// Says something to all.
    pub(super) fn say(&mut self, from: &str, content: &str) -> Result<(), Refusal> {
        let message =
            format!("<message from='{from}' to='{ROOM}' type='groupchat'>{content}</message>");
        let Heard::Speech(speech) = self.hear(&message)? else {
            panic!("{message} is for all");
        };
        self.now += 1_000_000;
        self.apply(Event::Said(Said {
            sealed: speech.draft.seal(),
            at: self.now,
            subject: speech.subject,
            dated: speech.dated,
            kept: true,
            spoken: None,
        }))
    }

    /// A message to the room or an occupant that is not for all.
    pub(super) fn ask(&mut self, from: &str, to: &str, rest: &str) -> Result<(), Refusal> {
        let message = format!("<message from='{from}' to='{to}'{rest}</message>");
        match self.hear(&message)? {
            Heard::Whisper(draft, to) => {
                self.effects.push(Effect::new(draft.seal(), to.into()));
            }
            Heard::Members(change, letters) => {
                if let Some(change) = change {
                    self.apply(Event::Changed(change))?;
                }
                self.mail.extend(letters);
            }
            Heard::Letter(effect) => self.effects.push(effect),
            Heard::Mail(draft) => self.mail.push(draft),
            Heard::Voice(changes) => self.apply(Event::Roles(changes))?,
            Heard::Gone => self.apply(Event::Gone(Jid::parse(from).unwrap()))?,
            Heard::Nothing => {}
            Heard::Speech(_) => panic!("{message} is not for all"),
        }
        Ok(())
    }

    /// Forgets what was told so far.
    pub(super) fn quiet(&mut self) {
        self.effects.clear();
        self.mail.clear();
    }

    /// What was told since, a line each: to whom, and what about whom.
    pub(super) fn told(&mut self) -> String {
        let effects = std::mem::take(&mut self.effects);
        let lines = effects
            .into_iter()
            .map(|effect| format!("{}: {}", names(&effect.to), short(&effect.stanza)));
        let mails = std::mem::take(&mut self.mail).into_iter().map(mail);
        lines.chain(mails).collect::<Vec<_>>().join("\n")
    }

    /// The effects since.
    pub(super) fn effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }
}

pub(super) fn parse(xml: &str) -> Tree {
    Tree::parse(
        Bytes::copy_from_slice(xml.as_bytes()),
        ns::CLIENT,
        &Limits::C2S,
    )
    .unwrap()
}

pub(super) fn tree(stanza: &Sealed) -> Tree {
    Tree::parse(stanza.to_bytes(), ns::CLIENT, &Limits::S2S).unwrap()
}

fn names(to: &Arc<[Jid]>) -> String {
    let names: Vec<&str> = to.iter().map(Jid::as_str).collect();
    names.join(" ")
}

fn mail(draft: Draft) -> String {
    let to = draft.to().unwrap().to_string();
    format!("{to} by mail: {}", short(&draft.seal()))
}

/// Nick, type, affiliation and role, address, codes, and what else there is.
fn short(stanza: &Sealed) -> String {
    let tree = tree(stanza);
    let root = tree.root();
    let from = root.attr("from").unwrap();
    let mut out = from
        .rsplit_once('/')
        .map_or("room", |(_, nick)| nick)
        .to_owned();
    let mut add = |text: &str| {
        out.push(' ');
        out.push_str(text);
    };
    if let Some(kind) = root.attr("type") {
        add(&kind);
    }
    for child in root.children() {
        match (child.name(), child.ns()) {
            ("occupant-id", _) => {}
            ("x", ns::MUC_USER) => {
                for part in child.children() {
                    match part.name() {
                        "item" => {
                            for name in ["affiliation", "role", "jid", "nick"] {
                                if let Some(value) = part.attr(name) {
                                    add(&value);
                                }
                            }
                            if let Some(actor) = part.child("actor", ns::MUC_USER) {
                                add(&format!("by {}", actor.attr("nick").unwrap()));
                            }
                            if let Some(reason) = part.child("reason", ns::MUC_USER) {
                                add(&format!("because {}", reason.text()));
                            }
                        }
                        // `versions` looks at these.
                        "mav" => {}
                        "status" => add(&part.attr("code").unwrap()),
                        other => add(&format!("<{other}>{}", part.text())),
                    }
                }
            }
            ("delay", _) => add("late"),
            (name, _) => add(&format!("<{name}>{}", child.text())),
        }
    }
    out
}
