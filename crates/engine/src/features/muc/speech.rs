//! What is said in a room, to all or to one (XEP-0045 § 7.4, § 7.5, § 8.1), and what newcomers are
//! told of it (§ 7.2.13 to § 7.2.15).

use super::{
    config::HISTORY_MAX,
    entering::{is_lasting, own_sessions},
    errors::Refusal,
    nick::Nick,
    people::Change,
    rights::{Action, Affiliation},
    room::{Effect, Phase, Room},
    tell::occupant_id,
};
use bytes::Bytes;
use std::{collections::BTreeSet, sync::Arc};
use waxwing_proto::{
    BareJid, Jid, ns,
    stanza::{Draft, Kind, Sealed, Stanza},
    time,
    xml::{Element, Limits, Tree, Writer},
};
use waxwing_store::Micros;

/// Bytes of what a room shows to newcomers, at most; a message is always shown.
const HISTORY_BYTES_MAX: usize = 512 * 1024;
/// Bytes of a subject.
const SUBJECT_BYTES_MAX: usize = 4096;

/// What a message to a room turned out to be.
#[derive(Debug)]
pub(crate) enum Heard {
    /// Something for everybody.
    Speech(Box<Speech>),
    /// Something for the sessions of one occupant.
    Whisper(Draft, Vec<Jid>),
    /// People become members, as this says, and those who are invited hear of it then.
    Members(Option<Change>, Vec<Draft>),
    /// Something for moderators, or for whoever has invited.
    Letter(Effect),
    /// The same for somebody who is not here.
    Mail(Draft),
    /// A moderator has answered a request for voice.
    Voice(super::people::RoleChanges),
    /// Its sender will not be reached again.
    Gone,
    /// Nothing to do.
    Nothing,
}

/// A message to all, in its final form but for its id.
#[derive(Debug)]
pub(crate) struct Speech {
    pub(crate) draft: Draft,
    /// The address it is from, here.
    pub(crate) occupant: Jid,
    /// The subject from now on.
    pub(crate) subject: Option<Subject>,
    /// What the archive has beside it: who has said it, where everybody may know that.
    pub(crate) author: Option<Bytes>,
    /// The room has an archive.
    pub(crate) archived: bool,
    /// It says itself when it was said (§ 7.9).
    pub(crate) dated: bool,
    /// Its author has to wait before the next.
    pub(crate) paced: bool,
}

/// A message that was said.
#[derive(Debug)]
pub(crate) struct Said {
    /// With its id in the archive, if it has one.
    pub(crate) sealed: Sealed,
    pub(crate) at: Micros,
    pub(crate) subject: Option<Subject>,
    /// Newcomers are told of it.
    pub(crate) kept: bool,
    /// It says itself when it was said (§ 7.9).
    pub(crate) dated: bool,
    /// What is needed to wake those who sleep, if it is worth that.
    pub(crate) spoken: Option<Arc<Spoken>>,
}

/// A message as it came, and from whom it seems to be here.
#[derive(Debug)]
pub(crate) struct Spoken {
    pub(crate) stanza: Stanza,
    pub(crate) from: Jid,
    /// Who has really said it.
    pub(crate) author: BareJid,
}

/// A message of the past.
#[derive(Debug)]
pub(crate) struct Past {
    pub(super) at: Micros,
    /// Marked as late (XEP-0203).
    pub(super) stanza: Sealed,
}

/// What the room is about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Subject {
    /// Empty if there is none.
    pub(super) text: String,
    /// Who has set it, by the address in the room, and when; nobody yet.
    pub(super) by: Option<(Jid, Micros)>,
}

impl Room {
    /// What a message is, and whether its sender may say it.
    pub(crate) fn hear(&self, draft: Draft, now: Micros) -> Result<Heard, Refusal> {
        let (Some(from), Some(to)) = (draft.from().cloned(), draft.to().cloned()) else {
            return Err(Refusal::BadRequest);
        };
        let kind = draft.stanza().type_attr().map(String::from);
        if kind.as_deref() == Some("error") {
            let lasting = is_lasting(&draft) && self.sessions.contains_key(&from);
            return Ok(if lasting { Heard::Gone } else { Heard::Nothing });
        }
        match self.phase {
            Phase::Open => {}
            // § 17.2
            Phase::Absent | Phase::Locked => return Err(Refusal::NotFound),
            Phase::Destroyed(_) => return Err(Refusal::Destroyed),
        }
        match (kind.as_deref(), to.resource()) {
            (Some("groupchat"), None) => {
                let speech = self.hear_speech(draft, &from, now)?;
                Ok(Heard::Speech(Box::new(speech)))
            }
            // § 7.5
            (Some("groupchat"), Some(_)) => Err(Refusal::BadRequest),
            (_, Some(nick)) => self.hear_whisper(draft, &from, nick),
            (_, None) => self.hear_request(&draft, &from),
        }
    }

    fn hear_speech(&self, mut draft: Draft, from: &Jid, now: Micros) -> Result<Speech, Refusal> {
        let (nick, occupant) = self.occupant(from).ok_or(Refusal::NotOccupant)?;
        let address = self.occupant_jid(nick);
        let subject = subject(&draft).map(|text| Subject {
            text: text.into_owned(),
            by: Some((address.clone(), now)),
        });
        if let Some(subject) = &subject {
            self.demand(Action::SetSubject, from)?;
            if subject.text.len() > SUBJECT_BYTES_MAX {
                return Err(Refusal::NotAcceptable);
            }
        } else {
            self.demand(Action::Speak, from)?;
        }
        let author = (!self.config.semi_anonymous).then(|| {
            let mut xml = Writer::new(ns::CLIENT);
            xml.start_ns("x", ns::MUC_USER)
                .start("item")
                .attr("jid", from.bare_str())
                .attr("affiliation", self.affiliation(&occupant.account).name())
                .attr("role", occupant.role.name())
                .end();
            xml.finish()
        });
        let paced = self.is_paced(&occupant.account, draft.stanza());
        purify(&mut draft);
        let own = self.affiliation(&occupant.account) == Affiliation::Owner;
        let room = self.jid.as_str();
        draft.hide_all(|child| {
            let late = child.is("delay", ns::DELAY);
            // § 7.9: owners may bring what was said elsewhere, with its times.
            let forged = late && (!own || child.attr("from").is_some_and(|from| from == room));
            forged || child.ns() == ns::MUC_USER
        });
        let dated = own && brings_time(draft.stanza(), room);
        draft.set_from(address.clone());
        draft.add(occupant_id(&occupant.id));
        Ok(Speech {
            draft,
            occupant: address,
            subject,
            author,
            archived: self.config.archived,
            dated,
            paced,
        })
    }

    /// § 7.5: every session of the recipient gets it, from the sender's address here.
    fn hear_whisper(&self, mut draft: Draft, from: &Jid, nick: &str) -> Result<Heard, Refusal> {
        let (sender, occupant) = self.occupant(from).ok_or(Refusal::NotOccupant)?;
        let nick = Nick::new(nick).ok_or(Refusal::NotFound)?;
        let recipient = self.occupants.get(&nick).ok_or(Refusal::NotFound)?;
        self.demand(Action::Whisper, from)?;
        let to = own_sessions(recipient);
        purify(&mut draft);
        // It may have an empty element there, and nothing that only the room may say.
        draft.hide_all(|child| child.ns() == ns::MUC_USER);
        let mut xml = Writer::new(ns::CLIENT);
        xml.empty("x", ns::MUC_USER);
        draft.add(xml.finish());
        draft.add(occupant_id(&occupant.id));
        draft.set_from(self.occupant_jid(sender));
        if let Some(first) = to.last() {
            draft.set_to(first.clone());
        }
        Ok(Heard::Whisper(draft, to))
    }

    /// The other clients that are here under the nick of one.
    pub(crate) fn sharing(&self, session: &Jid) -> Vec<Jid> {
        let occupant = self.occupant(session);
        let own = occupant.map_or_else(Vec::new, |(_, occupant)| own_sessions(occupant));
        own.into_iter().filter(|jid| jid != session).collect()
    }

    /// It has been said; everybody hears it now, and newcomers later.
    pub(super) fn said(&mut self, said: Said, effects: &mut Vec<Effect>) {
        let to = self.everyone();
        if let Some(spoken) = &said.spoken {
            self.activity.count(&spoken.stanza, said.at);
        }
        if said.kept && said.subject.is_none() {
            if said.dated {
                self.remember(said.at, &said.sealed);
            } else {
                let late = late(&self.jid, said.at);
                self.remember(said.at, &said.sealed.with_child(late));
            }
        }
        if let Some(subject) = said.subject {
            self.subject = subject;
        }
        if !to.is_empty() {
            effects.push(Effect {
                said: said.spoken,
                ..Effect::new(said.sealed, to)
            });
        }
    }

    /// Members of a room for members who are not in it (ADR 8).
    pub(crate) fn away(&self) -> Vec<BareJid> {
        if !self.config.members_only {
            return Vec::new();
        }
        let here: BTreeSet<&BareJid> = self
            .occupants
            .values()
            .map(|occupant| &occupant.account)
            .collect();
        let people = self.people.iter();
        let away = people.filter(|(jid, person)| {
            person.affiliation >= Affiliation::Member && !here.contains(jid)
        });
        away.map(|(jid, _)| jid.clone()).collect()
    }

    /// Whether a message speaks of an account by a nick that it has here.
    pub(crate) fn names(&self, said: &Stanza, account: &BareJid) -> bool {
        let Some(body) = said.content("body") else {
            return false;
        };
        let body = body.text().to_lowercase();
        let own = self
            .people
            .get(account)
            .and_then(|person| person.nick.as_ref());
        let here = self.occupants.iter();
        let here = here.filter(|(_, occupant)| occupant.account == *account);
        let mut nicks = own.into_iter().chain(here.map(|(nick, _)| nick));
        nicks.any(|nick| is_named(&body, &nick.as_str().to_lowercase()))
    }

    /// Adds to what newcomers are shown; `stanza` is marked as late.
    pub(crate) fn remember(&mut self, at: Micros, stanza: &Sealed) {
        let stanza = stanza.detached();
        self.history.push_back(Past { at, stanza });
        let most = self.config.history.min(HISTORY_MAX);
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        while self.history.len() > most {
            self.history.pop_front();
        }
        let mut bytes: usize = self.history.iter().map(|past| past.stanza.len()).sum();
        while bytes > HISTORY_BYTES_MAX && self.history.len() > 1 {
            let gone = self.history.pop_front();
            bytes -= gone.map_or(0, |past| past.stanza.len());
        }
    }

    /// § 7.2.13, § 7.2.15: what was said, as far as is wished, and the subject.
    pub(super) fn tell_past(&self, to: &Jid, wish: &Wish, effects: &mut Vec<Effect>) {
        let to: Arc<[Jid]> = Arc::from([to.clone()]);
        let shown = wish.count(&self.history);
        for past in self.history.range(self.history.len() - shown..) {
            effects.push(Effect::new(past.stanza.clone(), to.clone()));
        }
        effects.push(Effect::new(self.subject.stanza(self), to));
    }
}

/// Whether a text has a name as a word.
fn is_named(text: &str, name: &str) -> bool {
    text.match_indices(name).any(|(at, _)| {
        let before = text.get(..at).and_then(|before| before.chars().next_back());
        let after = text.get(at + name.len()..);
        let after = after.and_then(|after| after.chars().next());
        let apart = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric());
        apart(before) && apart(after)
    })
}

/// Whether a message of an owner says when it was said, as it was kept or is on its way (§ 7.9).
pub(super) fn brings_time(stanza: &Stanza, room: &str) -> bool {
    stanza.root().children().any(|child| {
        child.is("delay", ns::DELAY) && child.attr("from").is_none_or(|from| from != room)
    })
}

/// Takes out what only the room may say (XEP-0359 § 6, XEP-0421 § 4.1).
fn purify(draft: &mut Draft) {
    draft.hide_all(|child| {
        child.is("stanza-id", ns::STANZA_ID) || child.is("occupant-id", ns::OCCUPANT_ID)
    });
}

/// The subject that a message sets: it has one, and neither a body nor a thread (§ 8.1).
fn subject(draft: &Draft) -> Option<std::borrow::Cow<'_, str>> {
    let stanza = draft.stanza();
    if stanza.content("body").is_some() || stanza.content("thread").is_some() {
        return None;
    }
    stanza.content("subject").map(|subject| subject.text())
}

/// `<delay/>` of a room (XEP-0203), for `jabber:client`.
pub(crate) fn late(room: &BareJid, at: Micros) -> Bytes {
    let mut xml = Writer::new(ns::CLIENT);
    xml.start_ns("delay", ns::DELAY)
        .attr("from", room.as_str())
        .attr("stamp", &time::format_datetime(at))
        .end();
    xml.finish()
}

impl Subject {
    /// § 7.2.15: there is always one, if only an empty one.
    fn stanza(&self, room: &Room) -> Sealed {
        let by = self.by.as_ref();
        let from = by.map_or(room.jid.as_str(), |(jid, _)| jid.as_str());
        let mut xml = Writer::new(ns::CLIENT);
        xml.start("message")
            .attr("from", from)
            .attr("type", "groupchat")
            .leaf("subject", &self.text);
        if let Some((_, at)) = by {
            xml.raw(&late(&room.jid, *at));
        }
        Sealed::from_bytes(Kind::Message, xml.finish())
    }

    /// What the store keeps.
    pub(crate) fn encode(&self) -> Bytes {
        let mut xml = Writer::new(ns::CLIENT);
        xml.start("subject");
        if let Some((by, at)) = &self.by {
            xml.attr("by", by.as_str()).attr("at", &at.to_string());
        }
        xml.text(&self.text);
        xml.finish()
    }

    /// What the store kept; no subject if it is damaged.
    pub(crate) fn decode(stored: &Bytes) -> Self {
        let Ok(tree) = Tree::parse(stored.clone(), ns::CLIENT, &Limits::S2S) else {
            return Self::default();
        };
        let root = tree.root();
        let by = root.attr("by").and_then(|by| Jid::parse(&by).ok());
        let at = root.attr("at").and_then(|at| at.parse().ok());
        Self {
            text: root.text().into_owned(),
            by: by.zip(at),
        }
    }
}

/// How much of the past somebody wants to be told (§ 7.2.14).
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Wish {
    chars_max: Option<usize>,
    stanzas_max: Option<usize>,
    since: Option<Micros>,
}

impl Wish {
    /// Reads `<history/>`; what cannot be read is no wish.
    pub(super) fn read(history: Option<Element<'_>>, now: Micros) -> Self {
        let Some(history) = history else {
            return Self::default();
        };
        let number = |name| history.attr(name)?.parse::<u32>().ok();
        let size = |name| usize::try_from(number(name)?).ok();
        let seconds = number("seconds").map(i64::from);
        let span = seconds.map(|seconds| now.saturating_sub(seconds.saturating_mul(1_000_000)));
        let since = history.attr("since");
        let since = since.and_then(|since| time::parse_datetime(&since));
        Self {
            chars_max: size("maxchars"),
            stanzas_max: size("maxstanzas"),
            // The later one lets less through.
            since: span.max(since),
        }
    }

    /// How many of the newest messages satisfy it. A stanza counts as many characters as it has
    /// bytes, which are never fewer.
    fn count(&self, history: &std::collections::VecDeque<Past>) -> usize {
        let mut chars = 0_usize;
        let fits = |past: &&Past| {
            chars = chars.saturating_add(past.stanza.len());
            self.chars_max.is_none_or(|max| chars <= max)
                && self.since.is_none_or(|since| past.at >= since)
        };
        let most = self.stanzas_max.unwrap_or(usize::MAX);
        history.iter().rev().take(most).take_while(fits).count()
    }
}
