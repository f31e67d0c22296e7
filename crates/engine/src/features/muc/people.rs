//! Roles and affiliations: who may change those of whom, and the lists of them (XEP-0045 § 8, § 9,
//! § 10.3 to § 10.8). [`super::changes`] carries it out.

use super::{
    config::RoomConfig,
    errors::Refusal,
    nick::Nick,
    rights::{Action, Affiliation, Role, may_kick, may_silence, to_change},
    room::{Occupant, Phase, Room},
    tell::Cause,
};
use bytes::Bytes;
use waxwing_proto::{
    BareJid, Jid, ns,
    xml::{Element, Writer},
};

/// Items of one request.
const ITEMS_MAX: usize = 500;
/// Bytes of a reason.
const REASON_BYTES_MAX: usize = 1024;
/// People with an affiliation or a nick in one room.
const PEOPLE_MAX: usize = 10_000;

/// What changes for good.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Change {
    /// The options from now on.
    pub(crate) config: Option<RoomConfig>,
    /// The room is configured for the first time.
    pub(crate) opens: bool,
    pub(crate) people: Vec<PersonChange>,
    pub(crate) cause: Cause,
}

/// What changes about an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PersonChange {
    pub(crate) jid: BareJid,
    pub(crate) affiliation: Affiliation,
    /// The nick of its own.
    pub(crate) nick: Option<Nick>,
    pub(crate) reason: Option<String>,
}

/// What changes for as long as people are here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct RoleChanges {
    pub(crate) roles: Vec<(Nick, Role, Option<String>)>,
    pub(crate) actor: Option<Nick>,
}

/// What a request of `muc#admin` asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Admin {
    Roles(RoleChanges),
    Affiliations(Change),
}

impl Room {
    /// The list of those with a role or an affiliation (§ 8.5, § 9.2, § 9.5, § 9.8, § 10.5, § 10.8).
    pub(crate) fn list(&self, from: &Jid, query: Element<'_>) -> Result<Bytes, Refusal> {
        self.known_to(from)?;
        let item = query
            .child("item", ns::MUC_ADMIN)
            .ok_or(Refusal::BadRequest)?;
        let affiliation = item.attr("affiliation");
        let role = item.attr("role");
        let mut xml = Writer::new(ns::CLIENT);
        xml.start_ns("query", ns::MUC_ADMIN);
        match (affiliation, role) {
            (Some(name), None) => {
                let affiliation = Affiliation::named(&name).ok_or(Refusal::BadRequest)?;
                self.list_affiliation(from, affiliation, &mut xml)?;
            }
            (None, Some(name)) => {
                let role = Role::named(&name).ok_or(Refusal::BadRequest)?;
                self.list_role(from, role, &mut xml)?;
            }
            _ => return Err(Refusal::BadRequest),
        }
        xml.end();
        Ok(xml.finish())
    }

    fn list_affiliation(
        &self,
        from: &Jid,
        affiliation: Affiliation,
        xml: &mut Writer,
    ) -> Result<(), Refusal> {
        match affiliation {
            Affiliation::Outcast => self.demand(Action::Ban, from)?,
            // Whoever has no affiliation is in no list.
            Affiliation::None => return Err(Refusal::BadRequest),
            _ => self.demand(Action::ReadMembers, from)?,
        }
        for (jid, person) in &self.people {
            if person.affiliation == affiliation {
                let nick = person.nick.as_ref().map(Nick::as_str);
                xml.start("item")
                    .attr("affiliation", affiliation.name())
                    .attr("jid", jid.as_str())
                    .attr_opt("nick", nick)
                    .end();
            }
        }
        Ok(())
    }

    fn list_role(&self, from: &Jid, role: Role, xml: &mut Writer) -> Result<(), Refusal> {
        match role {
            Role::None => return Err(Refusal::BadRequest),
            Role::Moderator => self.demand(Action::AppointModerators, from)?,
            Role::Visitor | Role::Participant => self.demand(Action::Moderate, from)?,
        }
        for (nick, occupant) in &self.occupants {
            if occupant.role == role {
                let jid = occupant.sessions.last().map(|session| session.jid.as_str());
                xml.start("item")
                    .attr("affiliation", self.affiliation(&occupant.account).name())
                    .attr("role", role.name())
                    .attr("nick", nick.as_str())
                    .attr_opt("jid", jid)
                    .end();
            }
        }
        Ok(())
    }

    /// What a request asks for, if all of it may be done; nothing of it is done otherwise.
    pub(crate) fn administer(&self, from: &Jid, query: Element<'_>) -> Result<Admin, Refusal> {
        self.known_to(from)?;
        let items: Vec<Element<'_>> = query
            .children()
            .filter(|child| child.is("item", ns::MUC_ADMIN))
            .take(ITEMS_MAX + 1)
            .collect();
        if items.len() > ITEMS_MAX {
            return Err(Refusal::TooMuch);
        }
        let role = |item: &Element<'_>| item.attr("role").is_some();
        let affiliation = |item: &Element<'_>| item.attr("affiliation").is_some();
        // § 17.4
        if items.is_empty() || items.iter().any(|item| role(item) == affiliation(item)) {
            return Err(Refusal::BadRequest);
        }
        let actor = self.occupant(from).map(|(nick, _)| nick.clone());
        if items.iter().all(role) {
            let roles = items
                .into_iter()
                .map(|item| self.change_of_role(from, item));
            let roles = roles.collect::<Result<_, _>>()?;
            return Ok(Admin::Roles(RoleChanges { roles, actor }));
        }
        if !items.iter().all(affiliation) {
            return Err(Refusal::BadRequest);
        }
        let people = items
            .into_iter()
            .map(|item| self.change_of_person(from, item));
        let people = people.collect::<Result<Vec<_>, _>>()?;
        let change = Change {
            people,
            cause: Cause {
                actor,
                ..Cause::default()
            },
            ..Change::default()
        };
        self.is_possible(&change)?;
        Ok(Admin::Affiliations(change))
    }

    /// § 8.2 to § 8.5, § 9.6 to § 9.8
    fn change_of_role(
        &self,
        from: &Jid,
        item: Element<'_>,
    ) -> Result<(Nick, Role, Option<String>), Refusal> {
        let role = item.attr("role").and_then(|role| Role::named(&role));
        let role = role.ok_or(Refusal::BadRequest)?;
        let nick = item.attr("nick").ok_or(Refusal::BadRequest)?;
        let found = Nick::new(&nick).and_then(|nick| {
            let found = self.occupants.get_key_value(&nick);
            found.map(|(nick, occupant)| (nick.clone(), occupant))
        });
        self.demand_role_change(from, role, found.as_ref().map(|(_, occupant)| *occupant))?;
        let (nick, _) = found.ok_or(Refusal::NotFound)?;
        Ok((nick, role, reason(item)?))
    }

    fn demand_role_change(
        &self,
        from: &Jid,
        role: Role,
        occupant: Option<&Occupant>,
    ) -> Result<(), Refusal> {
        let before = occupant.map_or(Role::None, |occupant| occupant.role);
        let other = occupant.map(|occupant| self.affiliation(&occupant.account));
        let other = other.unwrap_or_default();
        let actor = self.affiliation(&from.to_bare());
        if role == Role::None {
            self.demand(Action::Moderate, from)?;
            // § 5.1.3: moderators are removed by admins and owners only.
            let peer = before == Role::Moderator && !self.allows(Action::AppointModerators, from);
            let own = occupant.is_some_and(|occupant| occupant.account == from.to_bare());
            return if may_kick(actor, other) && (!peer || own) {
                Ok(())
            } else {
                Err(Refusal::NotAllowed)
            };
        }
        if role == Role::Moderator || before == Role::Moderator {
            self.demand(Action::AppointModerators, from)?;
        } else {
            self.demand(Action::Moderate, from)?;
        }
        if role < before && !may_silence(actor, other) {
            return Err(Refusal::NotAllowed);
        }
        Ok(())
    }

    /// § 9.1 to § 9.5, § 10.3 to § 10.8
    fn change_of_person(&self, from: &Jid, item: Element<'_>) -> Result<PersonChange, Refusal> {
        let to = item.attr("affiliation");
        let to = to.and_then(|name| Affiliation::named(&name));
        let to = to.ok_or(Refusal::BadRequest)?;
        let jid = item.attr("jid").ok_or(Refusal::BadRequest)?;
        // § 10.3: of a full address, the bare one counts.
        let jid = Jid::parse(&jid).map_err(|_| Refusal::BadRequest)?.to_bare();
        let account = from.to_bare();
        let actor = self.affiliation(&account);
        let person = self.people.get(&jid).cloned().unwrap_or_default();
        if actor < Affiliation::Admin {
            return Err(Refusal::Forbidden);
        }
        if to == Affiliation::Outcast && jid == account {
            // § 9.1
            return Err(Refusal::Conflict);
        }
        if !self.allows(to_change(person.affiliation, to), from) {
            // Those above cannot be touched; lists of those above are not an admin's to edit.
            return Err(if person.affiliation > actor {
                Refusal::NotAllowed
            } else {
                Refusal::Forbidden
            });
        }
        let nick = match item.attr("nick").as_deref() {
            _ if to == Affiliation::Outcast => None,
            None => person.nick,
            Some("") => None,
            Some(wish) => {
                let nick = Nick::new(wish).ok_or(Refusal::BadNick)?;
                self.is_free(&nick, &jid)?;
                Some(nick)
            }
        };
        Ok(PersonChange {
            jid,
            affiliation: to,
            nick,
            reason: reason(item)?,
        })
    }

    /// Whether a room is left that can be: with an owner (§ 10.5), not with too many people, nobody
    /// named twice, no nick given to two.
    pub(super) fn is_possible(&self, change: &Change) -> Result<(), Refusal> {
        let changes = &change.people;
        for (at, one) in changes.iter().enumerate() {
            let twice = changes.iter().skip(at + 1).any(|other| {
                let same = |nick: &Nick| other.nick.as_ref().map(Nick::look) == Some(nick.look());
                other.jid == one.jid || one.nick.as_ref().is_some_and(same)
            });
            if twice {
                return Err(Refusal::BadRequest);
            }
        }
        let owners = |people: &mut dyn Iterator<Item = Affiliation>| {
            people.filter(|one| *one == Affiliation::Owner).count()
        };
        let named = |jid: &BareJid| changes.iter().any(|change| change.jid == *jid);
        let left = self.people.iter().filter(|(jid, _)| !named(jid));
        let new = owners(&mut changes.iter().map(|change| change.affiliation));
        if owners(&mut left.map(|(_, person)| person.affiliation)) + new == 0 {
            return Err(Refusal::Conflict);
        }
        let added = changes
            .iter()
            .filter(|change| !self.people.contains_key(&change.jid));
        let added = added.count();
        if added > 0 && self.people.len() + added > PEOPLE_MAX {
            return Err(Refusal::TooMuch);
        }
        Ok(())
    }

    /// Whether somebody may know that there is a room to administer.
    pub(super) fn known_to(&self, from: &Jid) -> Result<(), Refusal> {
        match self.phase {
            Phase::Open => Ok(()),
            Phase::Locked if self.affiliation(&from.to_bare()) == Affiliation::Owner => Ok(()),
            Phase::Absent | Phase::Locked => Err(Refusal::NotFound),
            Phase::Destroyed(_) => Err(Refusal::Destroyed),
        }
    }
}

/// Why somebody does something, as they say.
fn reason(item: Element<'_>) -> Result<Option<String>, Refusal> {
    let Some(reason) = item.child("reason", ns::MUC_ADMIN) else {
        return Ok(None);
    };
    let reason = reason.text();
    if reason.len() > REASON_BYTES_MAX {
        return Err(Refusal::NotAcceptable);
    }
    Ok(Some(reason.into_owned()).filter(|reason| !reason.is_empty()))
}
