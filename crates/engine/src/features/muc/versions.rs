//! Versions of the lists of people
//! ([XEP-0463](https://xmpp.org/extensions/xep-0463.html), 0.2.0): who comes back is told what has
//! changed since, in one message instead of four lists.
//!
//! Each affiliation has the number of the change that it came with, on disk beside it; those that were
//! taken away keep theirs, up to a bound. So what has changed since a version is what has a higher
//! number. Numbers are shown encrypted: nobody can name a version that they were not told, and thereby
//! ask for what was before their time (§ 6).

use super::{
    people::PersonChange,
    rights::{Action, Affiliation, Role},
    room::{Effect, Person, Room},
};
use crate::features::stanza_id::{Shown, StanzaIds};
use sha2::{Digest, Sha256};
use std::{collections::BTreeMap, sync::Arc};
use waxwing_proto::{
    BareJid, Jid, ns,
    stanza::{Condition, Draft, Kind, Sealed, StanzaError},
    xml::Writer,
};

/// Accounts without an affiliation that had one, in one room.
const DEPARTED_MAX: usize = 1000;
/// About how many bytes of items one message has; a change is never split.
const ITEMS_BYTES_MAX: usize = 64 * 1024;
/// Bytes of an item beside address and nick.
const ITEM_BYTES: usize = 64;

/// The versions of a room's lists.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Versions {
    /// The change that each account's affiliation came with, or went with.
    of: BTreeMap<BareJid, u64>,
    /// What was before this one is not known any more.
    since: u64,
    /// The newest.
    latest: u64,
}

/// What a change makes of them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// For each account that is named, in the order of the change.
    pub(super) versions: Vec<u64>,
    /// What is forgotten from then on.
    pub(super) since: Option<u64>,
}

/// A change as it is told: from which version to which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    since: Box<str>,
    until: Box<str>,
}

/// What a newcomer asked for (§ 5.1).
#[derive(Debug)]
pub(super) struct Asked {
    since: Option<String>,
    /// Of the presence, for an error.
    id: Option<String>,
}

impl Versions {
    /// As they were kept.
    pub(super) fn kept(of: BTreeMap<BareJid, u64>, since: u64) -> Self {
        let latest = of.values().copied().max().unwrap_or(0).max(since);
        Self { of, since, latest }
    }

    /// The version that an account's affiliation came with.
    pub(super) fn version(&self, jid: &BareJid) -> u64 {
        self.of.get(jid).copied().unwrap_or(0)
    }

    /// Those who have none any more.
    pub(super) fn departed<'a>(
        &'a self,
        people: &'a BTreeMap<BareJid, Person>,
    ) -> impl Iterator<Item = (&'a BareJid, u64)> {
        let gone = |jid: &BareJid| affiliation(people, jid) == Affiliation::None;
        let all = self.of.iter().filter(move |(jid, _)| gone(jid));
        all.map(|(jid, version)| (jid, *version))
    }

    /// What a change will make of them; it names nobody twice.
    pub(super) fn plan(
        &self,
        people: &BTreeMap<BareJid, Person>,
        changes: &[PersonChange],
    ) -> Plan {
        let mut latest = self.latest;
        let versions = changes.iter().map(|change| {
            if affiliation(people, &change.jid) == change.affiliation {
                return self.version(&change.jid);
            }
            latest += 1;
            latest
        });
        let versions: Vec<u64> = versions.collect();
        let mut since = None;
        // As many as are named may leave.
        if self.of.len() + changes.len() > people.len() + DEPARTED_MAX {
            let mut departed: Vec<u64> = self.departed(people).map(|(_, at)| at).collect();
            departed.sort_unstable();
            let too_many = departed.len().saturating_sub(DEPARTED_MAX / 2);
            since = departed
                .get(too_many.wrapping_sub(1))
                .copied()
                .filter(|_| departed.len() + changes.len() > DEPARTED_MAX);
        }
        Plan { versions, since }
    }

    /// An account's affiliation has changed; gives the version before and the new one.
    fn advance(&mut self, jid: &BareJid, version: u64) -> Option<(u64, u64)> {
        if version <= self.latest {
            return None;
        }
        let before = std::mem::replace(&mut self.latest, version);
        self.of.insert(jid.clone(), version);
        Some((before, version))
    }
}

impl Room {
    /// § 5.1: a newcomer's session, which may have asked.
    pub(super) fn sees_versions(
        &mut self,
        from: &Jid,
        asked: Option<&Asked>,
        effects: &mut Vec<Effect>,
    ) {
        if let Some(asked) = asked {
            self.wants_versions(from, true);
            self.tell_affiliations(from, asked, effects);
        }
    }

    /// Whether a session of somebody here is told versions.
    pub(super) fn wants_versions(&mut self, from: &Jid, wants: bool) {
        let occupant = self.sessions.get(from);
        let occupant = occupant.and_then(|nick| self.occupants.get_mut(nick));
        let sessions = occupant.into_iter().flat_map(|own| &mut own.sessions);
        for session in sessions.filter(|session| session.jid == *from) {
            session.versions = wants;
        }
    }

    /// Takes in the version that a person's change has; gives what is told of it.
    pub(super) fn step(&mut self, jid: &BareJid, version: u64) -> Option<Step> {
        let (since, until) = self.versions.advance(jid, version)?;
        let shown = self.shown_versions();
        let show = |version| shown.show(&self.jid, version).as_str().into();
        Some(Step {
            since: show(since),
            until: show(until),
        })
    }

    /// Forgets who went before a version.
    pub(super) fn forget_departed(&mut self, since: Option<u64>) {
        let Some(since) = since else { return };
        let people = &self.people;
        self.versions.since = since;
        self.versions.of.retain(|jid, version| {
            *version > since || affiliation(people, jid) != Affiliation::None
        });
    }

    /// § 5.2.2: somebody who is not here is something else to the room now. Those who see addresses
    /// are told.
    pub(super) fn tell_absent(
        &self,
        jid: &BareJid,
        now: Affiliation,
        step: &Step,
        effects: &mut Vec<Effect>,
    ) {
        let seeing = self.occupants.values();
        let seeing = seeing.filter(|occupant| self.sees_addresses(occupant));
        let to: Arc<[Jid]> = seeing
            .flat_map(|occupant| &occupant.sessions)
            .map(|session| session.jid.clone())
            .collect();
        if to.is_empty() {
            return;
        }
        let mut xml = Writer::new(ns::CLIENT);
        xml.start("message")
            .attr("from", self.jid.as_str())
            .start_ns("x", ns::MUC_USER);
        step.write(&mut xml);
        xml.start("item")
            .attr("affiliation", now.name())
            .attr("jid", jid.as_str())
            .attr("role", Role::None.name())
            .end();
        let stanza = Sealed::from_bytes(Kind::Message, xml.finish());
        effects.push(Effect::new(stanza, to));
    }

    /// § 5.2.1: what a newcomer asked for, before any presence.
    fn tell_affiliations(&self, from: &Jid, asked: &Asked, effects: &mut Vec<Effect>) {
        let to: Arc<[Jid]> = Arc::from([from.clone()]);
        if !self.allows(Action::ReadMembers, from) {
            effects.push(Effect::new(self.not_told(asked), to));
            return;
        }
        let shown = self.shown_versions();
        let since = asked.since.as_deref();
        let since = since.and_then(|since| shown.read(&self.jid, since));
        let since =
            since.filter(|since| (self.versions.since..=self.versions.latest).contains(since));
        if since == Some(self.versions.latest) {
            return;
        }
        let mut changed = self.changed_since(since, self.allows(Action::Ban, from));
        changed.sort_by_key(|(_, _, version)| *version);
        let mut rest = changed.as_slice();
        let mut since = since;
        loop {
            let (items, more) = rest.split_at(first_part(self, rest));
            let until = items.last().filter(|_| !more.is_empty());
            let until = until.map_or(self.versions.latest, |(_, _, version)| *version);
            effects.push(Effect::new(self.part(items, since, until), to.clone()));
            since = Some(until);
            rest = more;
            if rest.is_empty() {
                return;
            }
        }
    }

    /// Who has changed: who is what, and since which version. Who may not read who is banned is told
    /// that these are nothing.
    fn changed_since(
        &self,
        since: Option<u64>,
        sees_banned: bool,
    ) -> Vec<(&BareJid, Affiliation, u64)> {
        let people = self.people.iter().filter_map(|(jid, person)| {
            let version = self.versions.version(jid);
            match person.affiliation {
                // It may have one that went.
                Affiliation::None => None,
                Affiliation::Outcast if !sees_banned => {
                    since.map(|_| (jid, Affiliation::None, version))
                }
                affiliation => Some((jid, affiliation, version)),
            }
        });
        let departed = self.versions.departed(&self.people);
        let departed = departed
            .filter(|_| since.is_some())
            .map(|(jid, version)| (jid, Affiliation::None, version));
        let all = people.chain(departed);
        all.filter(|(_, _, version)| since.is_none_or(|since| *version > since))
            .collect()
    }

    fn part(
        &self,
        items: &[(&BareJid, Affiliation, u64)],
        since: Option<u64>,
        until: u64,
    ) -> Sealed {
        let shown = self.shown_versions();
        let since = since.map(|since| shown.show(&self.jid, since));
        let mut xml = Writer::new(ns::CLIENT);
        xml.start("message")
            .attr("from", self.jid.as_str())
            .start_ns("x", ns::MUC_USER)
            .start_ns("mav", ns::MUC_AFFILIATIONS)
            .attr_opt("since", since.as_ref().map(Shown::as_str))
            .attr("until", shown.show(&self.jid, until).as_str())
            .end();
        for (jid, affiliation, _) in items {
            let person = self.people.get(*jid);
            let nick = person.and_then(|person| person.nick.as_ref());
            xml.start("item")
                .attr("affiliation", affiliation.name())
                .attr("jid", jid.as_str())
                .attr_opt("nick", nick.map(super::nick::Nick::as_str))
                .end();
        }
        Sealed::from_bytes(Kind::Message, xml.finish())
    }

    /// § 5.2.3
    fn not_told(&self, asked: &Asked) -> Sealed {
        let mut xml = Writer::new(ns::CLIENT);
        xml.start("message")
            .attr("from", self.jid.as_str())
            .attr_opt("id", asked.id.as_deref())
            .attr("type", "error");
        StanzaError::from(Condition::Forbidden).write(&mut xml);
        Sealed::from_bytes(Kind::Message, xml.finish())
    }

    /// What an occupant's own presence says (§ 5.2.1), if one of its clients has asked.
    pub(super) fn version_now(&self, session: &Jid) -> Option<Box<str>> {
        let (_, occupant) = self.occupant(session)?;
        let asked = occupant.sessions.iter().any(|session| session.versions);
        let told = asked && self.allows(Action::ReadMembers, session);
        let shown = self.shown_versions();
        told.then(|| shown.show(&self.jid, self.versions.latest).as_str().into())
    }

    /// How versions are shown. A room that is made anew has others.
    fn shown_versions(&self) -> StanzaIds {
        let mut hash = Sha256::new();
        hash.update(self.secret);
        // No address begins so: what occupants are called by is never made of this.
        hash.update(b"\0affiliations");
        StanzaIds::new(&hash.finalize().into())
    }
}

/// How many items the next message has; at least one, if there is one.
fn first_part(room: &Room, items: &[(&BareJid, Affiliation, u64)]) -> usize {
    let mut bytes = 0;
    let mut before = None;
    for (at, (jid, _, version)) in items.iter().enumerate() {
        let nick = room
            .people
            .get(*jid)
            .and_then(|person| person.nick.as_ref());
        bytes += ITEM_BYTES + jid.as_str().len() + nick.map_or(0, |nick| nick.as_str().len());
        // Those of one version are one change.
        if bytes > ITEMS_BYTES_MAX && before.is_some_and(|before| before != *version) {
            return at;
        }
        before = Some(*version);
    }
    items.len()
}

fn affiliation(people: &BTreeMap<BareJid, Person>, jid: &BareJid) -> Affiliation {
    let person = people.get(jid);
    person.map_or(Affiliation::None, |person| person.affiliation)
}

impl Step {
    /// Writes `<mav/>`.
    pub(super) fn write(&self, xml: &mut Writer) {
        xml.start_ns("mav", ns::MUC_AFFILIATIONS)
            .attr("since", &self.since)
            .attr("until", &self.until)
            .end();
    }
}

impl Asked {
    /// Reads what newcomers say.
    pub(super) fn read(draft: &Draft) -> Option<Self> {
        let x = draft.root().child("x", ns::MUC)?;
        let asked = x.child("mav", ns::MUC_AFFILIATIONS)?;
        Some(Self {
            since: asked.attr("since").map(String::from),
            id: draft.stanza().id().map(String::from),
        })
    }
}
