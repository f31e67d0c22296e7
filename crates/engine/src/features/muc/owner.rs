//! What owners decide: the options of a room, and its end (XEP-0045 § 10.1, § 10.2, § 10.9).

use super::{
    config::FORM_TYPE,
    errors::Refusal,
    people::{Change, PersonChange},
    rights::{Action, Affiliation, Role},
    room::{Effect, Phase, Room},
    tell::Cause,
    templates,
};
use bytes::Bytes;
use std::sync::Arc;
use waxwing_proto::{
    BareJid, Jid,
    form::{FieldKind, Form, FormKind, FormWriter, NewField},
    ns,
    stanza::{Kind, Sealed},
    xml::{Element, Writer},
};

const ADMINS: &str = "muc#roomconfig_roomadmins";
const OWNERS: &str = "muc#roomconfig_roomowners";
/// Bytes of what is said about the end of a room.
const REASON_BYTES_MAX: usize = 1024;

/// What a request of `muc#owner` asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    Change(Change),
    /// The first configuration was given up (§ 10.1.3): there was no such room.
    GiveUp(Destruction),
    Destroy(Destruction),
    Nothing,
}

/// The end of a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Destruction {
    /// Who wants it; nobody else can make a room of that name for a while.
    pub(crate) by: BareJid,
    /// Where to go instead.
    pub(crate) alternate: Option<Jid>,
    /// The password there.
    password: Option<String>,
    reason: Option<String>,
}

impl Destruction {
    /// The end of a room that never was one (§ 10.1.3).
    pub(super) fn of_nothing(by: BareJid) -> Self {
        Self {
            by,
            alternate: None,
            password: None,
            reason: None,
        }
    }
}

impl Room {
    /// The form of the options (§ 10.1.3, § 10.2).
    pub(crate) fn form(&self, from: &Jid) -> Result<Bytes, Refusal> {
        self.known_to(from)?;
        self.demand(Action::Configure, from)?;
        let mut xml = Writer::new(ns::CLIENT);
        xml.start_ns("query", ns::MUC_OWNER);
        let mut form = FormWriter::start(&mut xml, FormKind::Form, FORM_TYPE);
        if self.phase == Phase::Locked {
            templates::offer(&mut form);
        }
        self.config.write(&mut form);
        for (var, label, affiliation) in [
            (ADMINS, "Admins", Affiliation::Admin),
            (OWNERS, "Owners", Affiliation::Owner),
        ] {
            let people = self.people.iter();
            let people = people.filter(|(_, person)| person.affiliation == affiliation);
            let people: Vec<&str> = people.map(|(jid, _)| jid.as_str()).collect();
            form.field(&NewField {
                var,
                kind: FieldKind::JidMulti,
                label: Some(label),
                values: &people,
                ..NewField::default()
            });
        }
        form.end();
        xml.end();
        Ok(xml.finish())
    }

    /// What an owner's request asks for.
    pub(crate) fn decide(&self, from: &Jid, query: Element<'_>) -> Result<Owner, Refusal> {
        self.known_to(from)?;
        if let Some(destroy) = query.child("destroy", ns::MUC_OWNER) {
            self.demand(Action::Destroy, from)?;
            return Ok(Owner::Destroy(destruction(from, destroy)?));
        }
        self.demand(Action::Configure, from)?;
        let form = Form::find(query).map_err(|_| Refusal::BadRequest)?;
        let form = form.ok_or(Refusal::BadRequest)?;
        let opens = self.phase == Phase::Locked;
        match form.kind {
            FormKind::Cancel if opens => Ok(Owner::GiveUp(Destruction::of_nothing(from.to_bare()))),
            FormKind::Cancel => Ok(Owner::Nothing),
            FormKind::Submit => self.configure(from, &form, opens).map(Owner::Change),
            FormKind::Form | FormKind::Result => Err(Refusal::BadRequest),
        }
    }

    fn configure(&self, from: &Jid, form: &Form, opens: bool) -> Result<Change, Refusal> {
        let wrong = form.form_type().is_some_and(|given| given != FORM_TYPE);
        if wrong {
            return Err(Refusal::BadRequest);
        }
        let config = if opens {
            self.config.first(form)
        } else {
            let mut config = self.config.clone();
            config.apply(form).map(|()| config)
        };
        let config = config.map_err(|_| Refusal::NotAcceptable)?;
        let mut people: Vec<PersonChange> = Vec::new();
        for (var, affiliation) in [(OWNERS, Affiliation::Owner), (ADMINS, Affiliation::Admin)] {
            if let Some(values) = form.values(var) {
                self.put_list(values, affiliation, &mut people)?;
            }
        }
        let change = Change {
            config: Some(config),
            opens,
            people,
            cause: Cause {
                actor: self.occupant(from).map(|(nick, _)| nick.clone()),
                ..Cause::default()
            },
        };
        self.is_possible(&change)?;
        Ok(change)
    }

    /// Replaces the list of those with an affiliation: who is in it has it, who is not any more is a
    /// member.
    fn put_list(
        &self,
        values: &[String],
        affiliation: Affiliation,
        people: &mut Vec<PersonChange>,
    ) -> Result<(), Refusal> {
        let mut named = Vec::new();
        for value in values.iter().filter(|value| !value.is_empty()) {
            let jid = Jid::parse(value).map_err(|_| Refusal::NotAcceptable)?;
            let jid = jid.to_bare();
            match people.iter_mut().find(|change| change.jid == jid) {
                // No longer in the list above, and in this one.
                Some(change) if change.affiliation == Affiliation::Member => {
                    change.affiliation = affiliation;
                }
                Some(_) => {}
                None if named.contains(&jid) => {}
                None => named.push(jid),
            }
        }
        let before = self.people.iter();
        let before = before.filter(|(_, person)| person.affiliation == affiliation);
        let mut changed: Vec<(BareJid, Affiliation)> = Vec::new();
        for (jid, _) in before {
            let elsewhere = people.iter().any(|change| change.jid == *jid);
            if !named.contains(jid) && !elsewhere {
                changed.push((jid.clone(), Affiliation::Member));
            }
        }
        for jid in named {
            if self.affiliation(&jid) != affiliation {
                changed.push((jid, affiliation));
            }
        }
        people.extend(changed.into_iter().map(|(jid, affiliation)| {
            let nick = self.people.get(&jid).and_then(|person| person.nick.clone());
            PersonChange {
                jid,
                affiliation,
                nick,
                reason: None,
            }
        }));
        Ok(())
    }

    /// § 10.9: it is no more, and everybody is told once.
    pub(super) fn destroy(&mut self, destruction: &Destruction, effects: &mut Vec<Effect>) {
        let mut xml = Writer::new(ns::CLIENT);
        xml.start_ns("x", ns::MUC_USER);
        xml.start("item")
            .attr("affiliation", Affiliation::None.name())
            .attr("role", Role::None.name())
            .end();
        xml.start("destroy")
            .attr_opt("jid", destruction.alternate.as_ref().map(Jid::as_str));
        if let Some(password) = &destruction.password {
            xml.leaf("password", password);
        }
        if let Some(reason) = &destruction.reason {
            xml.leaf("reason", reason);
        }
        xml.end();
        xml.start("status").attr("code", "110").end();
        let told = xml.finish();
        for (nick, occupant) in &self.occupants {
            let mut xml = Writer::new(ns::CLIENT);
            xml.start("presence")
                .attr("from", self.occupant_jid(nick).as_str())
                .attr("type", "unavailable")
                .raw(&told);
            let stanza = Sealed::from_bytes(Kind::Presence, xml.finish());
            let to = occupant.sessions.iter();
            let to: Arc<[Jid]> = to.map(|session| session.jid.clone()).collect();
            effects.push(Effect {
                ends: Some(self.occupant_jid(nick)),
                ..Effect::new(stanza, to)
            });
        }
        let was_open = self.is_open();
        *self = Self::absent(self.jid.clone());
        if was_open {
            self.phase = Phase::Destroyed(destruction.by.clone());
        }
    }
}

fn destruction(from: &Jid, destroy: Element<'_>) -> Result<Destruction, Refusal> {
    let text = |name| {
        let child = destroy.child(name, ns::MUC_OWNER);
        let text = child.map(|child| child.text().into_owned());
        match text.filter(|text| !text.is_empty()) {
            Some(text) if text.len() > REASON_BYTES_MAX => Err(Refusal::NotAcceptable),
            text => Ok(text),
        }
    };
    let alternate = destroy.attr("jid");
    let alternate = alternate
        .map(|jid| Jid::parse(&jid).map_err(|_| Refusal::NotAcceptable))
        .transpose()?;
    Ok(Destruction {
        by: from.to_bare(),
        alternate,
        password: text("password")?,
        reason: text("reason")?,
    })
}
