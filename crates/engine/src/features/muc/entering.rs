//! Coming in, being there, going (XEP-0045 § 7.2, § 7.6, § 7.7, § 7.14).

use super::{
    config::RoomConfig,
    errors::Refusal,
    nick::Nick,
    owner::Destruction,
    rights::{Affiliation, Role},
    room::{Effect, Occupant, Person, Phase, Room, SECRET_BYTES, Session},
    speech::Wish,
    tell::{News, status},
    versions::Asked,
};
use crate::settings::RoomTemplate;
use std::sync::Arc;
use waxwing_proto::{
    BareJid, Jid, ns,
    stanza::{Condition, Draft, Kind, Sealed},
    xml::{Element, Writer},
};
use waxwing_store::Micros;

/// What a new room is made with: the secret of its ids, and the template of its options.
type New = ([u8; SECRET_BYTES], RoomTemplate);

/// Sessions of one occupant.
const SESSIONS_PER_NICK_MAX: usize = 20;
/// Occupants beyond the room's own bound, for those who look after it (§ 7.2.9).
const OCCUPANTS_EXTRA: usize = 20;

impl Room {
    /// Takes presence. `makes`: the sender may make a room, of this.
    pub(super) fn presence(
        &mut self,
        draft: Draft,
        now: Micros,
        makes: Option<New>,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Refusal> {
        let (Some(from), Some(to)) = (draft.from().cloned(), draft.to().cloned()) else {
            return Err(Refusal::BadRequest);
        };
        match draft.stanza().type_attr().as_deref() {
            None => {
                // § 7.2.1
                let wish = to.resource().ok_or(Refusal::NoNick)?;
                match draft.root().child("x", ns::MUC) {
                    Some(_) => self.enter(&from, wish, draft, now, makes, effects),
                    None => self.update(&from, wish, draft, effects),
                }
            }
            Some("unavailable") => {
                self.leave(&from, Some(&draft), effects);
                Ok(())
            }
            Some("error") => {
                if is_lasting(&draft) {
                    self.gone(&from, effects);
                }
                Ok(())
            }
            // § 17.3: probes and subscriptions are no reason to come or to go.
            Some(_) => Ok(()),
        }
    }

    /// § 7.2, and again for who is here already (§ 7.2.1: everything is sent anew).
    fn enter(
        &mut self,
        from: &Jid,
        wish: &str,
        draft: Draft,
        now: Micros,
        makes: Option<New>,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Refusal> {
        let account = from.to_bare();
        let x = draft.root().child("x", ns::MUC);
        let history = Wish::read(x.and_then(|x| x.child("history", ns::MUC)), now);
        let asked = Asked::read(&draft);
        let created = !self.exists();
        if created {
            self.may_be_made(&account, makes)?;
        }
        self.may_enter(&account, x)?;
        let nick = Nick::new(wish).ok_or(Refusal::BadNick)?;
        self.is_free(&nick, &account)?;
        if let Some(new) = makes.filter(|_| created) {
            self.make(&account, new);
        }
        if self
            .sessions
            .get(from)
            .is_some_and(|before| *before != nick)
        {
            self.sees_versions(from, asked.as_ref(), effects);
            self.tell_of_others(from, &nick, effects);
            self.rename(from, &nick, draft, wish, effects);
        } else {
            self.has_room(&account, &nick)?;
            self.put(from, &account, &nick, draft);
            self.sees_versions(from, asked.as_ref(), effects);
            self.tell_of_others(from, &nick, effects);
            self.tell_arrival(&nick, created, nick.as_str() != wish, effects);
        }
        self.tell_picture([from.clone()].into(), effects);
        self.tell_past(from, &history, effects);
        Ok(())
    }

    /// Whether there may be a room here.
    fn may_be_made(&self, account: &BareJid, makes: Option<New>) -> Result<(), Refusal> {
        match &self.phase {
            Phase::Destroyed(by) if by != account => return Err(Refusal::Destroyed),
            _ => {}
        }
        // § 10.1.1
        makes.map(drop).ok_or(Refusal::NotAllowed)
    }

    fn make(&mut self, account: &BareJid, (secret, template): New) {
        *self = Self::absent(self.jid.clone());
        self.phase = Phase::Locked;
        self.secret = secret;
        self.config = RoomConfig::of(template);
        let owner = Person {
            affiliation: Affiliation::Owner,
            nick: None,
        };
        self.people.insert(account.clone(), owner);
        self.step(account, 1);
    }

    fn may_enter(&self, account: &BareJid, x: Option<Element<'_>>) -> Result<(), Refusal> {
        if !self.exists() {
            return Ok(());
        }
        if self.phase == Phase::Locked && self.affiliation(account) != Affiliation::Owner {
            // § 7.2.10
            return Err(Refusal::NotFound);
        }
        self.admits(account)?;
        let password = x.and_then(|x| x.child("password", ns::MUC));
        let given = password.as_ref().map(Element::text);
        if self.config.protected && given.as_deref() != Some(self.config.password.as_str()) {
            return Err(Refusal::Password);
        }
        Ok(())
    }

    /// § 7.2.8: nobody else has the nick, or one that looks like it.
    pub(super) fn is_free(&self, nick: &Nick, account: &BareJid) -> Result<(), Refusal> {
        let look = nick.look();
        let here = self
            .occupants
            .values()
            .any(|other| other.look == look && other.account != *account);
        let reserved = self.people.iter().any(|(owner, person)| {
            owner != account && person.nick.as_ref().is_some_and(|nick| nick.look() == look)
        });
        if here || reserved {
            Err(Refusal::NickTaken)
        } else {
            Ok(())
        }
    }

    /// § 7.2.9
    fn has_room(&self, account: &BareJid, nick: &Nick) -> Result<(), Refusal> {
        if let Some(occupant) = self.occupants.get(nick) {
            let full = occupant.sessions.len() >= SESSIONS_PER_NICK_MAX;
            return if full { Err(Refusal::Full) } else { Ok(()) };
        }
        let own = usize::try_from(self.config.occupants_max).unwrap_or(usize::MAX);
        let extra = match self.affiliation(account) {
            Affiliation::Owner | Affiliation::Admin => OCCUPANTS_EXTRA,
            _ => 0,
        };
        if self.occupants.len() >= own.saturating_add(extra) {
            return Err(Refusal::Full);
        }
        Ok(())
    }

    /// Puts a session where it belongs; the room is for it.
    fn put(&mut self, from: &Jid, account: &BareJid, nick: &Nick, draft: Draft) {
        let role = self.affiliation(account).role(self.config.moderated);
        let id = match self.occupants.get(nick) {
            Some(occupant) => occupant.id.clone(),
            None => self.occupant_id(account),
        };
        let presence = self.shown(nick, &id, draft);
        let occupant = self
            .occupants
            .entry(nick.clone())
            .or_insert_with(|| Occupant {
                account: account.clone(),
                role,
                id,
                look: nick.look(),
                sessions: Vec::new(),
            });
        let before = occupant
            .sessions
            .iter()
            .position(|other| other.jid == *from);
        let before = before.map(|at| occupant.sessions.remove(at));
        occupant.sessions.push(Session {
            jid: from.clone(),
            presence,
            versions: before.is_some_and(|before| before.versions),
        });
        self.sessions.insert(from.clone(), nick.clone());
        self.changed();
    }

    /// § 7.2.2: who is here, before its own presence.
    fn tell_of_others(&self, from: &Jid, nick: &Nick, effects: &mut Vec<Effect>) {
        let own = self.occupant(from);
        let sees = own.is_some_and(|(_, occupant)| self.sees_addresses(occupant));
        for (other_nick, other) in &self.occupants {
            let is_own = other_nick == nick || self.sessions.get(from) == Some(other_nick);
            if !is_own && let Some(news) = News::of(self, other) {
                self.tell_one(&news, from, sees, effects);
            }
        }
    }

    /// § 7.2.2: somebody is here; its own sessions are told last.
    fn tell_arrival(&self, nick: &Nick, created: bool, renamed: bool, effects: &mut Vec<Effect>) {
        let Some(occupant) = self.occupants.get(nick) else {
            return;
        };
        let mut codes = Vec::new();
        for (is, code) in [
            (!self.config.semi_anonymous, status::NON_ANONYMOUS),
            (self.is_open() && self.config.is_logged(), status::LOGGED),
            (created, status::CREATED),
            (renamed, status::NICK_CHANGED_BY_ROOM),
        ] {
            codes.extend(is.then_some(code));
        }
        let own = own_sessions(occupant);
        if let Some(news) = News::of(self, occupant) {
            let news = News {
                own: &own,
                own_codes: &codes,
                ..news
            };
            self.tell(&news, effects);
        }
    }

    /// Presence without a wish to come in: news of somebody who is here, or a new nick (§ 7.6).
    /// Whoever believes to be here and is not is told so (§ 7.2.16).
    fn update(
        &mut self,
        from: &Jid,
        wish: &str,
        draft: Draft,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Refusal> {
        let Some(before) = self.sessions.get(from) else {
            effects.push(self.not_here(from, wish));
            return Ok(());
        };
        let nick = Nick::new(wish).ok_or(Refusal::BadNick)?;
        let account = from.to_bare();
        if *before != nick {
            self.is_free(&nick, &account)?;
            self.has_room(&account, &nick).or_else(|refusal| {
                // It leaves its own place.
                let taken = self.occupants.contains_key(&nick);
                if taken { Err(refusal) } else { Ok(()) }
            })?;
            self.rename(from, &nick, draft, wish, effects);
            return Ok(());
        }
        self.put(from, &account, &nick, draft);
        self.tell_as_it_is(&nick, effects);
        Ok(())
    }

    /// Tells everybody of an occupant, if there is one of that nick.
    pub(super) fn tell_as_it_is(&self, nick: &Nick, effects: &mut Vec<Effect>) {
        if let Some(occupant) = self.occupants.get(nick)
            && let Some(news) = News::of(self, occupant)
        {
            let own = own_sessions(occupant);
            let news = News { own: &own, ..news };
            self.tell(&news, effects);
        }
    }

    /// § 7.6: the old nick goes, and says which is the new one; then that one is there.
    fn rename(
        &mut self,
        from: &Jid,
        nick: &Nick,
        draft: Draft,
        wish: &str,
        effects: &mut Vec<Effect>,
    ) {
        let role = self.role(from);
        let Some((before, left)) = self.take_out(from) else {
            return;
        };
        let goodbye = self.farewell(&before, &left.id, None);
        let own = [from.clone()];
        let account = from.to_bare();
        let news = News {
            presence: &goodbye,
            affiliation: self.affiliation(&account),
            role,
            session: from,
            own: &own,
            codes: &[status::NEW_NICK],
            own_codes: &[],
            new_nick: Some(nick),
            cause: None,
            leaves: Some(&before),
        };
        match self.occupants.get(&before) {
            // Its other sessions stay who they were.
            Some(_) => self.tell_one(&news, from, true, effects),
            None => self.tell(&news, effects),
        }
        let joins = self.occupants.contains_key(nick);
        self.put(from, &account, nick, draft);
        self.wants_versions(from, left.versions);
        self.tell_as_it_is(&before, effects);
        if let Some(occupant) = self.occupants.get_mut(nick)
            && !joins
        {
            occupant.role = role;
        }
        let modified: &[u16] = if nick.as_str() == wish {
            &[]
        } else {
            &[status::NICK_CHANGED_BY_ROOM]
        };
        if let Some(occupant) = self.occupants.get(nick)
            && let Some(news) = News::of(self, occupant)
        {
            let own = own_sessions(occupant);
            let news = News {
                own: &own,
                own_codes: modified,
                ..news
            };
            self.tell(&news, effects);
        }
    }

    /// § 7.14. Of somebody who is not here, nothing is said (§ 17.3).
    fn leave(&mut self, from: &Jid, said: Option<&Draft>, effects: &mut Vec<Effect>) {
        self.remove(from, said, &[], effects);
    }

    /// Somebody cannot be reached any more (§ 11.1).
    pub(super) fn gone(&mut self, from: &Jid, effects: &mut Vec<Effect>) {
        self.remove(from, None, &[status::TECHNICAL], effects);
    }

    fn remove(
        &mut self,
        from: &Jid,
        said: Option<&Draft>,
        codes: &[u16],
        effects: &mut Vec<Effect>,
    ) {
        if self.phase == Phase::Locked && self.is_alone(from) {
            // § 10.1.3: nobody has configured it.
            self.destroy(&Destruction::of_nothing(from.to_bare()), effects);
            return;
        }
        let Some((nick, left)) = self.take_out(from) else {
            return;
        };
        let goodbye = self.farewell(&nick, &left.id, said);
        let own = [from.clone()];
        let news = News {
            presence: &goodbye,
            affiliation: self.affiliation(&from.to_bare()),
            role: Role::None,
            session: from,
            own: &own,
            codes,
            own_codes: &[],
            new_nick: None,
            cause: None,
            leaves: Some(&nick),
        };
        match self.occupants.get(&nick) {
            Some(_) => {
                self.tell_one(&news, from, true, effects);
                if left.was_shown {
                    self.tell_as_it_is(&nick, effects);
                }
            }
            None => self.tell(&news, effects),
        }
    }

    /// Whether a session is here and no other is.
    fn is_alone(&self, session: &Jid) -> bool {
        self.sessions.len() == 1 && self.sessions.contains_key(session)
    }

    /// Takes a session out of the lists.
    pub(super) fn take_out(&mut self, from: &Jid) -> Option<(Nick, Left)> {
        let nick = self.sessions.remove(from)?;
        let occupant = self.occupants.get_mut(&nick)?;
        let shown = occupant.sessions.last();
        let left = Left {
            id: occupant.id.clone(),
            was_shown: shown.is_some_and(|session| session.jid == *from),
            versions: occupant
                .sessions
                .iter()
                .any(|session| session.jid == *from && session.versions),
        };
        occupant.sessions.retain(|session| session.jid != *from);
        if occupant.sessions.is_empty() {
            self.occupants.remove(&nick);
        }
        self.changed();
        Some((nick, left))
    }

    /// § 7.2.16: presence of somebody who is not in the room.
    fn not_here(&self, from: &Jid, wish: &str) -> Effect {
        let to = self.jid.with_resource(wish);
        let address = to.as_ref().map_or(self.jid.as_str(), |jid| jid.as_str());
        let mut xml = Writer::new(ns::CLIENT);
        xml.start("presence")
            .attr("from", address)
            .attr("type", "unavailable")
            .start_ns("x", ns::MUC_USER)
            .start("item")
            .attr("affiliation", "none")
            .attr("role", "none")
            .leaf("reason", "You are not in the room.")
            .end();
        for code in [status::OWN, status::KICKED, status::TECHNICAL] {
            xml.start("status").attr("code", &code.to_string()).end();
        }
        let stanza = Sealed::from_bytes(Kind::Presence, xml.finish());
        Effect {
            ends: to.ok().map(Jid::from),
            ..Effect::new(stanza, Arc::from([from.clone()]))
        }
    }

    /// A session that was here before the server was started, as far as it may still be here.
    pub(super) fn find_again(&mut self, session: Jid, nick: Nick, presence: Draft) {
        let account = session.to_bare();
        let may = self.is_open()
            && self.admits(&account).is_ok()
            && !self.sessions.contains_key(&session)
            && self.is_free(&nick, &account).is_ok();
        if may {
            self.put(&session, &account, &nick, presence);
        }
    }
}

/// What a session left behind.
#[derive(Debug)]
pub(super) struct Left {
    pub(super) id: Box<str>,
    /// Its presence was what others saw.
    was_shown: bool,
    /// It wants to know versions.
    versions: bool,
}

pub(super) fn own_sessions(occupant: &Occupant) -> Vec<Jid> {
    let sessions = occupant.sessions.iter();
    sessions.map(|session| session.jid.clone()).collect()
}

/// Whether an error says that its sender will not be reached again (§ 11.1).
pub(super) fn is_lasting(draft: &Draft) -> bool {
    let condition = draft.stanza().content("error").and_then(Condition::of);
    matches!(
        condition,
        Some(
            Condition::Gone
                | Condition::ItemNotFound
                | Condition::JidMalformed
                | Condition::RecipientUnavailable
                | Condition::Redirect
                | Condition::RemoteServerNotFound
                | Condition::RemoteServerTimeout
                | Condition::ServiceUnavailable
        )
    )
}
