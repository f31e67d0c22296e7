//! The machine of a room: something that has happened goes in, what is to be sent comes out. It
//! waits for nothing, asks for no time, and reads and sends nothing itself.
//!
//! What must be on disk before anybody sees it is asked of the room first, by methods that change
//! nothing (in [`super::people`], [`super::owner`], [`super::speech`]), and becomes an event when it
//! is there.

use super::{
    activity::Activity,
    config::RoomConfig,
    errors::Refusal,
    hats::Hats,
    nick::{Look, Nick},
    pace::Pace,
    people::Change,
    rights::{Action, Affiliation, Role, may},
    speech::{Past, Said, Spoken, Subject},
    versions::Versions,
};
use crate::settings::RoomTemplate;
use hashbrown::HashMap;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};
use waxwing_proto::{
    BareJid, Jid,
    stanza::{Draft, Sealed},
};
use waxwing_store::Micros;

/// Bytes of the secret that the ids of occupants are made with.
pub(crate) const SECRET_BYTES: usize = 32;

/// A room.
#[derive(Debug)]
pub(crate) struct Room {
    pub(super) jid: BareJid,
    pub(super) phase: Phase,
    pub(super) config: RoomConfig,
    /// What the ids of occupants (XEP-0421) are made with.
    pub(super) secret: [u8; SECRET_BYTES],
    /// Who has an affiliation or a nick of their own, in the order of addresses.
    pub(super) people: BTreeMap<BareJid, Person>,
    /// The versions of who is what.
    pub(super) versions: Versions,
    /// Who is in the room.
    pub(super) occupants: BTreeMap<Nick, Occupant>,
    /// The same by the address of each session.
    pub(super) sessions: HashMap<Jid, Nick>,
    /// All of those addresses, for what everybody gets; made when it is needed.
    everyone: Option<Arc<[Jid]>>,
    pub(super) subject: Subject,
    /// Who has to wait before saying something again.
    pub(super) pace: Pace,
    /// How much is said.
    pub(super) activity: Activity,
    /// The hashes of its picture, in each format that it has.
    pub(super) picture: Vec<String>,
    /// Titles of its own.
    pub(super) hats: Hats,
    /// What newcomers are shown, oldest first.
    pub(super) history: VecDeque<Past>,
}

/// Where a room is in its life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Phase {
    /// There is none; whoever enters makes it.
    Absent,
    /// Its maker is to configure it (§ 10.1); it is nowhere but in memory.
    Locked,
    /// People can enter.
    Open,
    /// It was destroyed; only this account can make it anew.
    Destroyed(BareJid),
}

/// What a room knows of an account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Person {
    pub(super) affiliation: Affiliation,
    /// The nick that nobody else may have (§ 7.10).
    pub(super) nick: Option<Nick>,
}

/// Somebody in the room.
#[derive(Debug)]
pub(super) struct Occupant {
    pub(super) account: BareJid,
    pub(super) role: Role,
    /// XEP-0421
    pub(super) id: Box<str>,
    pub(super) look: Look,
    /// Its sessions, at least one. What the last one has said last is what others see.
    pub(super) sessions: Vec<Session>,
}

/// One client of an occupant.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) jid: Jid,
    /// As others get it, but for what the room says about it.
    pub(super) presence: Sealed,
    /// It wants to know versions of who is what (XEP-0463).
    pub(super) versions: bool,
}

/// Something that has happened.
#[derive(Debug)]
pub(crate) enum Event {
    /// Presence has come, with sender and recipient. `may_create`: the sender may make rooms.
    /// `secret` and `template`: for a room that is made.
    Presence {
        draft: Draft,
        now: Micros,
        may_create: bool,
        secret: [u8; SECRET_BYTES],
        template: RoomTemplate,
    },
    /// A session has vanished without a word.
    Gone(Jid),
    /// A session is in the room, since before the server was started; nobody need be told.
    Found {
        session: Jid,
        nick: Nick,
        presence: Draft,
    },
    /// Somebody has said something, and it is on disk.
    Said(Said),
    /// Options or people have changed, and that is on disk.
    Changed(Change),
    /// Roles have changed, by whom and why.
    Roles(super::people::RoleChanges),
    /// An account is about to say something that it may have to wait for.
    Speaks(BareJid, Micros),
    /// There are other hats, or other people wear them, and that is on disk.
    Hats(Hats),
    /// Its picture has changed, and that is on disk; the hashes of it.
    Redecorated(Vec<String>),
    /// What was said at this time is not told to newcomers any more.
    Forgotten(Micros),
    /// The room is no more, and that is on disk.
    Destroyed(super::owner::Destruction),
}

/// What is to be sent: a stanza to sessions, as far as they are there still.
#[derive(Debug)]
pub(crate) struct Effect {
    pub(crate) stanza: Sealed,
    pub(crate) to: Arc<[Jid]>,
    /// The recipients are not this occupant any more.
    pub(crate) ends: Option<Jid>,
    /// Something that was said: those who sleep are woken.
    pub(crate) said: Option<Arc<Spoken>>,
}

impl Effect {
    pub(super) fn new(stanza: Sealed, to: Arc<[Jid]>) -> Self {
        Self {
            stanza,
            to,
            ends: None,
            said: None,
        }
    }
}

impl Room {
    /// A room that does not exist.
    pub(crate) fn absent(jid: BareJid) -> Self {
        Self {
            jid,
            phase: Phase::Absent,
            config: RoomConfig::default(),
            secret: [0; SECRET_BYTES],
            people: BTreeMap::new(),
            versions: Versions::default(),
            occupants: BTreeMap::new(),
            sessions: HashMap::new(),
            everyone: None,
            subject: Subject::default(),
            pace: Pace::default(),
            activity: Activity::default(),
            picture: Vec::new(),
            hats: Hats::default(),
            history: VecDeque::new(),
        }
    }

    /// Takes in what has happened. A refusal is for whoever did it, and nothing has changed then.
    pub(crate) fn apply(&mut self, event: Event) -> Result<Vec<Effect>, Refusal> {
        let mut effects = Vec::new();
        let applied = match event {
            Event::Presence {
                draft,
                now,
                may_create,
                secret,
                template,
            } => {
                let makes = may_create.then_some((secret, template));
                self.presence(draft, now, makes, &mut effects)
            }
            Event::Gone(jid) => {
                self.gone(&jid, &mut effects);
                Ok(())
            }
            Event::Found {
                session,
                nick,
                presence,
            } => {
                self.find_again(session, nick, presence);
                Ok(())
            }
            Event::Said(said) => {
                self.said(said, &mut effects);
                Ok(())
            }
            Event::Changed(change) => self.change(change, &mut effects),
            Event::Roles(changes) => {
                self.change_roles(&changes, &mut effects);
                Ok(())
            }
            Event::Speaks(account, now) => self.speaks(&account, now),
            Event::Hats(hats) => {
                self.rehat(hats, &mut effects);
                Ok(())
            }
            Event::Redecorated(picture) => {
                self.redecorate(picture, &mut effects);
                Ok(())
            }
            Event::Forgotten(at) => {
                self.history.retain(|past| past.at != at);
                Ok(())
            }
            Event::Destroyed(destruction) => {
                self.destroy(&destruction, &mut effects);
                Ok(())
            }
        };
        debug_assert!(self.is_sound(), "{self:?}");
        applied.map(|()| effects)
    }

    /// Whether there is such a room, configured or not.
    pub(crate) fn exists(&self) -> bool {
        matches!(self.phase, Phase::Locked | Phase::Open)
    }

    /// Whether it is on disk.
    pub(crate) fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    /// Whether nobody is in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.occupants.is_empty()
    }

    /// Whether it is to go when the last occupant has gone.
    pub(crate) fn is_over(&self) -> bool {
        self.is_open() && self.is_empty() && !self.config.persistent
    }

    /// How many are in it.
    pub(crate) fn occupants(&self) -> usize {
        self.occupants.len()
    }

    pub(super) fn affiliation(&self, account: &BareJid) -> Affiliation {
        let of = |jid: &BareJid| self.people.get(jid).map(|person| person.affiliation);
        let own = of(account).unwrap_or_default();
        if own != Affiliation::None {
            return own;
        }
        // § 9.2: a domain can be banned as a whole.
        of(&account.to_domain())
            .filter(|domain| *domain == Affiliation::Outcast)
            .unwrap_or_default()
    }

    /// The occupant that a session is.
    pub(super) fn occupant(&self, session: &Jid) -> Option<(&Nick, &Occupant)> {
        let nick = self.sessions.get(session)?;
        self.occupants.get_key_value(nick)
    }

    /// The role of a session.
    pub(super) fn role(&self, session: &Jid) -> Role {
        let occupant = self.occupant(session);
        occupant.map_or(Role::None, |(_, occupant)| occupant.role)
    }

    /// Whether somebody may do something here.
    pub(super) fn allows(&self, action: Action, from: &Jid) -> bool {
        let affiliation = self.affiliation(&from.to_bare());
        may(action, affiliation, self.role(from), &self.config)
    }

    /// [`Self::allows`], as a refusal.
    pub(super) fn demand(&self, action: Action, from: &Jid) -> Result<(), Refusal> {
        if self.allows(action, from) {
            Ok(())
        } else {
            Err(Refusal::Forbidden)
        }
    }

    /// Whether an account may come in, apart from passwords and nicks (§ 7.2.6, § 7.2.7).
    pub(super) fn admits(&self, account: &BareJid) -> Result<(), Refusal> {
        let affiliation = self.affiliation(account);
        let may = |action| may(action, affiliation, Role::None, &self.config);
        if !may(Action::Enter) {
            return Err(Refusal::Banned);
        }
        if self.config.members_only && !may(Action::EnterMembersOnly) {
            return Err(Refusal::NotMember);
        }
        Ok(())
    }

    /// Whether an account may read what was said here: whoever could have come in to hear it. Whoever
    /// is in the room has given the password.
    pub(crate) fn admits_reader(&self, from: &Jid) -> bool {
        let account = from.to_bare();
        let known = self.affiliation(&account) >= Affiliation::Member;
        let present = self
            .occupants
            .values()
            .any(|occupant| occupant.account == account);
        let open = !self.config.protected || known || present;
        open && self.admits(&account).is_ok() && self.allows(Action::ReadArchive, from)
    }

    /// Whether somebody is the occupant of that address, as far as it is for them to know.
    pub(crate) fn knows(&self, from: &Jid, occupant: &Jid) -> Result<bool, Refusal> {
        if !self.exists() {
            return Err(Refusal::NotFound);
        }
        // § 6.6
        let own = self.sessions.get(from).ok_or(Refusal::NotOccupant)?;
        let asked = occupant.resource().and_then(Nick::new);
        Ok(asked.as_ref() == Some(own))
    }

    /// An occupant's address.
    pub(super) fn occupant_jid(&self, nick: &Nick) -> Jid {
        match self.jid.with_resource(nick.as_str()) {
            Ok(jid) => jid.into(),
            // INVARIANT: a nick is made from a resource, and is no longer than it.
            Err(_) => self.jid.clone().into(),
        }
    }

    /// All sessions of all occupants.
    pub(super) fn everyone(&mut self) -> Arc<[Jid]> {
        let occupants = &self.occupants;
        let everyone = self.everyone.get_or_insert_with(|| {
            let sessions = occupants.values().flat_map(|occupant| &occupant.sessions);
            sessions.map(|session| session.jid.clone()).collect()
        });
        everyone.clone()
    }

    /// Who is in the room has changed.
    pub(super) fn changed(&mut self) {
        self.everyone = None;
    }

    /// What is always so.
    fn is_sound(&self) -> bool {
        let sessions: usize = self
            .occupants
            .values()
            .map(|occupant| occupant.sessions.len())
            .sum();
        let owned = self
            .people
            .values()
            .any(|person| person.affiliation == Affiliation::Owner);
        let here = self.occupants.iter().all(|(nick, occupant)| {
            !occupant.sessions.is_empty()
                && occupant.role > Role::None
                && occupant.sessions.iter().all(|session| {
                    self.sessions.get(&session.jid) == Some(nick)
                        && session.jid.bare_str() == occupant.account.as_str()
                })
                && self.admits(&occupant.account).is_ok()
        });
        let kept = self
            .people
            .values()
            .all(|person| person.affiliation != Affiliation::None || person.nick.is_some());
        here && kept
            && sessions == self.sessions.len()
            && (owned || !self.exists())
            && (self.exists() || self.occupants.is_empty())
    }
}
