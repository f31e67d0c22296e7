//! What changes about people and options, once it is certain, and who is told (XEP-0045 § 8 to § 10).

use super::{
    config::RoomConfig,
    entering::own_sessions,
    errors::Refusal,
    invite::own_draft,
    nick::Nick,
    people::{Change, PersonChange, RoleChanges},
    rights::{Affiliation, Role},
    room::{Effect, Occupant, Person, Phase, Room},
    tell::{Cause, News, status},
};
use waxwing_proto::{ns, stanza::Draft, xml::Writer};

/// Notices of affiliations that one change brings, at most; whoever changes more is not going through
/// a list by hand.
const NOTICES_MAX: usize = 50;

impl Room {
    /// Carries out changes of roles. Who has gone meanwhile is passed over.
    pub(super) fn change_roles(&mut self, changes: &RoleChanges, effects: &mut Vec<Effect>) {
        for (nick, role, reason) in &changes.roles {
            let cause = Cause {
                actor: changes.actor.clone(),
                reason: reason.clone(),
                step: None,
            };
            if *role == Role::None {
                self.throw_out(nick, &[status::KICKED], &cause, effects);
            } else {
                self.set_role(nick, *role, &cause, effects);
            }
        }
    }

    fn set_role(&mut self, nick: &Nick, role: Role, cause: &Cause, effects: &mut Vec<Effect>) {
        let Some(occupant) = self.occupants.get_mut(nick) else {
            return;
        };
        occupant.role = role;
        if let Some(occupant) = self.occupants.get(nick) {
            let own = own_sessions(occupant);
            if let Some(news) = News::of(self, occupant) {
                let news = News {
                    own: &own,
                    cause: Some(cause),
                    ..news
                };
                self.tell(&news, effects);
            }
        }
    }

    /// Removes an occupant with all its sessions.
    fn throw_out(&mut self, nick: &Nick, codes: &[u16], cause: &Cause, effects: &mut Vec<Effect>) {
        let Some(occupant) = self.occupants.remove(nick) else {
            return;
        };
        for session in &occupant.sessions {
            self.sessions.remove(&session.jid);
        }
        self.changed();
        let own = own_sessions(&occupant);
        let Some(last) = own.last() else { return };
        let goodbye = self.farewell(nick, &occupant.id, None);
        let news = News {
            presence: &goodbye,
            affiliation: self.affiliation(&occupant.account),
            role: Role::None,
            session: last,
            own: &own,
            codes,
            own_codes: &[],
            new_nick: None,
            cause: Some(cause),
            leaves: Some(nick),
        };
        self.tell(&news, effects);
    }

    /// Carries out what is on disk.
    pub(super) fn change(
        &mut self,
        change: Change,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Refusal> {
        // Meanwhile the last occupant may have gone, and the room with it.
        let stands = match self.phase {
            Phase::Locked => change.opens,
            Phase::Open => !change.opens,
            Phase::Absent | Phase::Destroyed(_) => false,
        };
        if !stands {
            return Err(Refusal::NotFound);
        }
        self.phase = Phase::Open;
        let before = self.config.clone();
        if let Some(config) = change.config {
            self.config = config;
        }
        let plan = self.versions.plan(&self.people, &change.people);
        for (person, version) in change.people.into_iter().zip(plan.versions) {
            let cause = Cause {
                actor: change.cause.actor.clone(),
                reason: person.reason.clone(),
                step: self.step(&person.jid, version),
            };
            self.change_person(person, cause, effects);
        }
        self.forget_departed(plan.since);
        self.after_options(&before, change.opens, effects);
        Ok(())
    }

    /// Whether somebody's affiliation changes and they are not here to see it.
    fn changes_outside(&self, change: &PersonChange) -> bool {
        let mut here = self.occupants.values();
        self.affiliation(&change.jid) != change.affiliation
            && !here.any(|occupant| occupant.account == change.jid)
    }

    /// § 18.1.1: what those are told whose affiliation a change makes another while they are away.
    pub(super) fn notices(&self, change: &Change) -> Vec<Draft> {
        let away = change.people.iter();
        let away =
            away.filter(|person| person.jid.local().is_some() && self.changes_outside(person));
        let notice = |person: &PersonChange| {
            let mut xml = Writer::new(ns::CLIENT);
            xml.start("message")
                .attr("from", self.jid.as_str())
                .attr("to", person.jid.as_str())
                .start_ns("x", ns::MUC_USER)
                .start("item")
                .attr("affiliation", person.affiliation.name())
                .attr("role", Role::None.name())
                .end()
                .start("status")
                .attr("code", &status::CHANGED_OUTSIDE.to_string());
            own_draft(xml.finish())
        };
        away.take(NOTICES_MAX).filter_map(notice).collect()
    }

    fn change_person(&mut self, change: PersonChange, mut cause: Cause, effects: &mut Vec<Effect>) {
        let before = self.affiliation(&change.jid);
        let person = Person {
            affiliation: change.affiliation,
            nick: change.nick,
        };
        if person == Person::default() {
            self.people.remove(&change.jid);
        } else {
            self.people.insert(change.jid.clone(), person);
        }
        let concerned = |occupant: &Occupant| {
            occupant.account == change.jid
                || change.jid.local().is_none() && occupant.account.domain() == change.jid.domain()
        };
        let nicks: Vec<Nick> = self
            .occupants
            .iter()
            .filter(|(_, occupant)| concerned(occupant))
            .map(|(nick, _)| nick.clone())
            .collect();
        // Presence says what the occupants are, which is something else if a domain is banned.
        let domain = change.jid.local().is_none();
        let apart = domain || self.affiliation(&change.jid) != change.affiliation;
        if let Some(step) = cause.step.take_if(|_| nicks.is_empty() || apart) {
            self.tell_absent(&change.jid, change.affiliation, &step, effects);
        }
        let cause = &cause;
        for nick in nicks {
            let Some(occupant) = self.occupants.get(&nick) else {
                continue;
            };
            let (role, now) = (occupant.role, self.affiliation(&occupant.account));
            match self.admits(&occupant.account) {
                Err(Refusal::Banned) => {
                    self.throw_out(&nick, &[status::BANNED], cause, effects);
                }
                Err(_) => self.throw_out(&nick, &[status::NO_MEMBER_ANY_MORE], cause, effects),
                Ok(()) => {
                    let role = role_after(role, before, now, self.config.moderated);
                    if before != now {
                        self.set_role(&nick, role, cause, effects);
                    }
                }
            }
        }
    }

    /// What follows from other options (§ 10.2, § 10.2.1).
    fn after_options(&mut self, before: &RoomConfig, opens: bool, effects: &mut Vec<Effect>) {
        if *before == self.config {
            return;
        }
        let outside: Vec<Nick> = self
            .occupants
            .iter()
            .filter(|(_, occupant)| self.admits(&occupant.account).is_err())
            .map(|(nick, _)| nick.clone())
            .collect();
        for nick in outside {
            self.throw_out(
                &nick,
                &[status::MEMBERS_ONLY_NOW],
                &Cause::default(),
                effects,
            );
        }
        if before.moderated && !self.config.moderated {
            // Nobody would give them voice any more.
            let mute = self.occupants.iter();
            let mute = mute.filter(|(_, occupant)| occupant.role == Role::Visitor);
            let mute: Vec<Nick> = mute.map(|(nick, _)| nick.clone()).collect();
            for nick in mute {
                self.set_role(&nick, Role::Participant, &Cause::default(), effects);
            }
        }
        let most = usize::try_from(self.config.history).unwrap_or(usize::MAX);
        while self.history.len() > most {
            self.history.pop_front();
        }
        if opens {
            // Whoever is here has done it.
            return;
        }
        self.announce(&codes(before, &self.config), effects);
    }
}

/// § 10.2.1: what concerns people's privacy has codes of its own.
fn codes(before: &RoomConfig, now: &RoomConfig) -> Vec<u16> {
    let mut codes = Vec::new();
    let change = |before: bool, now: bool, (on, off): (u16, u16)| {
        (before != now).then_some(if now { on } else { off })
    };
    let anonymous = (status::NOW_SEMI_ANONYMOUS, status::NOW_NON_ANONYMOUS);
    let logged = (status::LOGGED, status::NOT_LOGGED);
    codes.extend(change(before.semi_anonymous, now.semi_anonymous, anonymous));
    codes.extend(change(before.is_logged(), now.is_logged(), logged));
    let others = RoomConfig {
        semi_anonymous: now.semi_anonymous,
        archived: now.archived,
        ..before.clone()
    };
    if others != *now || codes.is_empty() {
        codes.push(status::CONFIGURED);
    }
    codes
}

/// § 5.1.3: what is gained comes at once; who loses something has what is left.
fn role_after(role: Role, before: Affiliation, now: Affiliation, moderated: bool) -> Role {
    let usual = now.role(moderated);
    if now > before { role.max(usual) } else { usual }
}
