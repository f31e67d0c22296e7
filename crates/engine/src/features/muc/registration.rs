//! Members and nicks of their own (XEP-0045 § 7.10, § 7.12, § 9.9).
//!
//! Where only members may enter, admins approve of new ones. Nothing waits here meanwhile: what they
//! are sent has all that there is to know, and their approval is what makes the member.

use super::{
    errors::Refusal,
    nick::Nick,
    people::{Change, PersonChange},
    rights::{Action, Affiliation},
    room::{Effect, Room},
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

pub(super) const FORM_TYPE: &str = "http://jabber.org/protocol/muc#register";
const NICK: &str = "muc#register_roomnick";
const ALLOW: &str = "muc#register_allow";
/// Who asks; XEP-0045 has no name for it.
const JID: &str = "x-register_jid";
/// Admins who are asked at a time while none of them is in the room.
const APPROVERS_MAX: usize = 20;

/// What a registration comes to.
#[derive(Debug)]
pub(crate) enum Wish {
    /// It can be done.
    Done(Change),
    /// Admins are asked.
    Asks(Approval),
}

/// What admins are asked about somebody who wants to be a member.
#[derive(Debug)]
pub(crate) struct Approval {
    form: Bytes,
    here: Arc<[Jid]>,
    away: Vec<Jid>,
}

impl Approval {
    /// For those who are in the room, if there are any.
    pub(crate) fn effect(&self) -> Option<Effect> {
        let stanza = Sealed::from_bytes(Kind::Message, self.form.clone());
        (!self.here.is_empty()).then(|| Effect::new(stanza, self.here.clone()))
    }

    /// For the others.
    pub(crate) fn letters(&self) -> Vec<Sealed> {
        let stanza = Sealed::from_bytes(Kind::Message, self.form.clone());
        self.away.iter().map(|to| stanza.with_to(to)).collect()
    }
}

impl Room {
    /// What is needed to register, or with which nick somebody has.
    pub(crate) fn registration(&self, from: &Jid) -> Result<Bytes, Refusal> {
        self.may_register(from)?;
        let mut xml = Writer::new(ns::CLIENT);
        xml.start_ns("query", ns::REGISTER);
        if let Some(nick) = self.registered_nick(from) {
            xml.start("registered").end();
            xml.leaf("username", nick.as_str());
        } else {
            let mut form = FormWriter::start(&mut xml, FormKind::Form, FORM_TYPE);
            form.field(&NewField {
                var: NICK,
                kind: FieldKind::TextSingle,
                label: Some("Your name in this room"),
                required: true,
                ..NewField::default()
            });
            form.end();
        }
        xml.end();
        Ok(xml.finish())
    }

    /// What a registration changes, or the end of one (XEP-0077 § 3.2).
    pub(crate) fn register(&self, from: &Jid, query: Element<'_>) -> Result<Wish, Refusal> {
        let before = self.may_register(from)?;
        let removes = query.child("remove", ns::REGISTER).is_some();
        let nick = if removes {
            None
        } else {
            let form = Form::find(query).map_err(|_| Refusal::BadRequest)?;
            let form = form.filter(|form| form.kind == FormKind::Submit);
            let form = form.ok_or(Refusal::BadRequest)?;
            Some(self.wished_nick(&form, &from.to_bare())?)
        };
        let affiliation = match before {
            Affiliation::None if !removes => Affiliation::Member,
            Affiliation::Member if removes && !self.config.members_only => Affiliation::None,
            before => before,
        };
        if let (Affiliation::None, true, Some(nick)) = (before, self.config.members_only, &nick) {
            return Ok(Wish::Asks(self.approval_form(from, nick)));
        }
        self.registered(from.to_bare(), affiliation, nick)
            .map(Wish::Done)
    }

    fn wished_nick(&self, form: &Form, account: &BareJid) -> Result<Nick, Refusal> {
        let wish = form.value(NICK).map_err(|_| Refusal::BadRequest)?;
        let wish = wish.filter(|wish| !wish.is_empty());
        let wish = self.jid.with_resource(wish.ok_or(Refusal::BadRequest)?);
        let wish = wish.map_err(|_| Refusal::BadNick)?;
        let nick = Nick::new(wish.resource()).ok_or(Refusal::BadNick)?;
        self.is_free(&nick, account)?;
        Ok(nick)
    }

    fn registered(
        &self,
        jid: BareJid,
        affiliation: Affiliation,
        nick: Option<Nick>,
    ) -> Result<Change, Refusal> {
        let change = Change {
            people: vec![PersonChange {
                jid,
                affiliation,
                nick,
                reason: None,
            }],
            ..Change::default()
        };
        self.is_possible(&change)?;
        Ok(change)
    }

    /// § 9.9: what admins are asked; those who are here, or else all of them.
    fn approval_form(&self, from: &Jid, nick: &Nick) -> Approval {
        let mut xml = Writer::new(ns::CLIENT);
        xml.start("message").attr("from", self.jid.as_str());
        let mut form = FormWriter::start_titled(
            &mut xml,
            FormKind::Form,
            FORM_TYPE,
            "Request for membership",
            "Somebody asks to become a member of this room.",
        );
        for (var, kind, label, value) in [
            (JID, FieldKind::JidSingle, "Who", from.bare_str()),
            (
                NICK,
                FieldKind::TextSingle,
                "Name in this room",
                nick.as_str(),
            ),
            (ALLOW, FieldKind::Boolean, "Shall they be a member?", "0"),
        ] {
            form.field(&NewField {
                var,
                kind,
                label: Some(label),
                values: &[value],
                ..NewField::default()
            });
        }
        form.end();
        let form = xml.finish();
        let here: Arc<[Jid]> = self
            .occupants
            .values()
            .filter(|occupant| self.affiliation(&occupant.account) >= Affiliation::Admin)
            .flat_map(|occupant| &occupant.sessions)
            .map(|session| session.jid.clone())
            .collect();
        let away = self.people.iter();
        let away = away.filter(|(jid, person)| {
            here.is_empty() && person.affiliation >= Affiliation::Admin && jid.local().is_some()
        });
        let away = away.map(|(jid, _)| Jid::from(jid.clone()));
        let away = away.take(APPROVERS_MAX).collect();
        Approval { form, here, away }
    }

    /// An admin has answered.
    pub(super) fn approve(&self, from: &Jid, form: &Form) -> Result<Option<Change>, Refusal> {
        self.demand(Action::EditMembers, from)?;
        let value = |var| form.value(var).map_err(|_| Refusal::BadRequest);
        let allowed = form.boolean(ALLOW).map_err(|_| Refusal::BadRequest)?;
        let jid = value(JID)?.ok_or(Refusal::BadRequest)?;
        let jid = Jid::parse(jid).map_err(|_| Refusal::BadRequest)?.to_bare();
        if allowed != Some(true) || self.affiliation(&jid) != Affiliation::None {
            // Refused, or somebody else was faster.
            return Ok(None);
        }
        let nick = self.wished_nick(form, &jid)?;
        self.registered(jid, Affiliation::Member, Some(nick))
            .map(Some)
    }

    /// The nick that nobody else may have.
    pub(crate) fn registered_nick(&self, from: &Jid) -> Option<&Nick> {
        self.people.get(&from.to_bare())?.nick.as_ref()
    }

    /// Whoever is a member has the right to a nick; others become members by it, if the room takes
    /// new ones.
    fn may_register(&self, from: &Jid) -> Result<Affiliation, Refusal> {
        self.known_to(from)?;
        let affiliation = self.affiliation(&from.to_bare());
        let open = self.config.registration && self.allows(Action::Register, from);
        if open || affiliation >= Affiliation::Member {
            Ok(affiliation)
        } else {
            Err(Refusal::RegistrationClosed)
        }
    }
}
