//! What people ask of a room by message: to invite somebody, to decline, to be allowed to speak
//! (XEP-0045 § 7.8.2, § 7.13, § 8.6).

use super::{
    errors::Refusal,
    nick::Nick,
    people::{Change, PersonChange, RoleChanges},
    registration,
    rights::{Action, Affiliation, Role},
    room::{Effect, Room},
    speech::Heard,
    tell::Cause,
};
use bytes::Bytes;
use std::sync::Arc;
use waxwing_proto::{
    BareJid, Jid,
    form::{FieldKind, Form, FormKind, FormWriter, NewField},
    ns,
    stanza::{Draft, Kind, Sealed, Stanza},
    xml::{Element, Limits, Tree, Writer},
};

/// Invitations of one message: a message must not become a flood.
const INVITATIONS_MAX: usize = 10;
/// Bytes of the text of an invitation.
const REASON_BYTES_MAX: usize = 1024;
/// `FORM_TYPE` of a request for voice.
const VOICE: &str = "http://jabber.org/protocol/muc#request";

impl Room {
    /// A message to the room that is not for all.
    pub(super) fn hear_request(&self, draft: &Draft, from: &Jid) -> Result<Heard, Refusal> {
        let root = draft.root();
        if let Some(x) = root.child("x", ns::MUC_USER) {
            if let Some(decline) = x.child("decline", ns::MUC_USER) {
                return self.decline(from, decline);
            }
            let invites: Vec<_> = x
                .children()
                .filter(|child| child.is("invite", ns::MUC_USER))
                .collect();
            if !invites.is_empty() {
                return self.invite(from, &invites);
            }
        }
        let form = Form::find(root).map_err(|_| Refusal::BadRequest)?;
        if let Some(form) = &form
            && form.form_type() == Some(registration::FORM_TYPE)
            && form.kind == FormKind::Submit
        {
            let change = self.approve(from, form)?;
            return Ok(change.map_or(Heard::Nothing, |change| {
                Heard::Members(Some(change), Vec::new())
            }));
        }
        if let Some(form) = form.filter(|form| form.form_type() == Some(VOICE)) {
            return self.voice(from, &form);
        }
        if self.occupant(from).is_none() {
            return Err(Refusal::NotOccupant);
        }
        // § 7.4
        Err(Refusal::BadRequest)
    }

    /// § 7.8.2
    fn invite(&self, from: &Jid, invites: &[Element<'_>]) -> Result<Heard, Refusal> {
        let (actor, _) = self.occupant(from).ok_or(Refusal::NotOccupant)?;
        if invites.len() > INVITATIONS_MAX {
            return Err(Refusal::TooMuch);
        }
        let members_only = self.config.members_only;
        self.demand(Action::Invite, from).or_else(|refusal| {
            // Who may edit the list of members may say so to the new ones.
            if members_only && self.allows(Action::EditMembers, from) {
                Ok(())
            } else {
                Err(refusal)
            }
        })?;
        let (mut members, mut letters) = (Vec::new(), Vec::new());
        for invite in invites {
            let to = invite.attr("to").ok_or(Refusal::BadRequest)?;
            let to = Jid::parse(&to).map_err(|_| Refusal::BadRequest)?;
            let account = to.to_bare();
            match self.affiliation(&account) {
                Affiliation::Outcast => return Err(Refusal::Forbidden),
                Affiliation::None if members_only => {
                    self.demand(Action::InviteMember, from)?;
                    members.push(member(account, self));
                }
                _ => {}
            }
            letters.extend(self.invitation(from, &to, *invite)?);
        }
        let change = (!members.is_empty()).then(|| Change {
            people: members,
            cause: Cause {
                actor: Some(actor.clone()),
                ..Cause::default()
            },
            ..Change::default()
        });
        if let Some(change) = &change {
            self.is_possible(change)?;
        }
        Ok(Heard::Members(change, letters))
    }

    /// From the room, and from the inviter as the room lets others see it.
    fn invitation(
        &self,
        from: &Jid,
        to: &Jid,
        invite: Element<'_>,
    ) -> Result<Option<Draft>, Refusal> {
        let address = self.occupant(from).map(|(nick, _)| self.occupant_jid(nick));
        let shown = if self.config.semi_anonymous {
            address.as_ref().map_or(from.bare_str(), Jid::as_str)
        } else {
            from.bare_str()
        };
        let mut xml = Writer::new(ns::CLIENT);
        xml.start("message")
            .attr("from", self.jid.as_str())
            .attr("to", to.as_str());
        xml.start_ns("x", ns::MUC_USER)
            .start("invite")
            .attr("from", shown);
        copy_text(&mut xml, "reason", invite)?;
        if let Some(continues) = invite.child("continue", ns::MUC_USER) {
            xml.start("continue")
                .attr_opt("thread", continues.attr("thread").as_deref())
                .end();
        }
        xml.end();
        if self.config.protected {
            xml.leaf("password", &self.config.password);
        }
        xml.end();
        Ok(own_draft(xml.finish()))
    }

    /// § 7.8.2: whoever declines need not be here, and says it to somebody who is or was.
    fn decline(&self, from: &Jid, decline: Element<'_>) -> Result<Heard, Refusal> {
        let to = decline.attr("to").ok_or(Refusal::BadRequest)?;
        let to = Jid::parse(&to).map_err(|_| Refusal::BadRequest)?;
        // It is a way to write to somebody through the room: to those of the room only.
        let here: Arc<[Jid]> = self
            .occupants
            .iter()
            .filter(|(nick, occupant)| {
                to == self.occupant_jid(nick) || occupant.account == to.to_bare()
            })
            .flat_map(|(_, occupant)| &occupant.sessions)
            .map(|session| session.jid.clone())
            .collect();
        let member = self.affiliation(&to.to_bare()) >= Affiliation::Member;
        if here.is_empty() && !member {
            return Err(Refusal::NotFound);
        }
        let mut xml = Writer::new(ns::CLIENT);
        xml.start("message").attr("from", self.jid.as_str());
        if here.is_empty() {
            xml.attr("to", to.bare_str());
        }
        xml.start_ns("x", ns::MUC_USER)
            .start("decline")
            .attr("from", from.bare_str());
        copy_text(&mut xml, "reason", decline)?;
        let message = xml.finish();
        if here.is_empty() {
            return Ok(own_draft(message).map_or(Heard::Nothing, Heard::Mail));
        }
        let sealed = Sealed::from_bytes(Kind::Message, message);
        Ok(Heard::Letter(Effect::new(sealed, here)))
    }

    /// § 7.13 and § 8.6: a request goes to the moderators, and an answer of theirs comes back.
    fn voice(&self, from: &Jid, form: &Form) -> Result<Heard, Refusal> {
        let (nick, occupant) = self.occupant(from).ok_or(Refusal::NotOccupant)?;
        if form.kind != FormKind::Submit {
            return Ok(Heard::Nothing);
        }
        let value = |var| form.value(var).map_err(|_| Refusal::BadRequest);
        let Some(asker) = value("muc#roomnick")? else {
            self.demand(Action::RequestVoice, from)?;
            if value("muc#role")? != Some(Role::Participant.name()) {
                return Err(Refusal::BadRequest);
            }
            let Some(session) = occupant.sessions.last() else {
                return Ok(Heard::Nothing);
            };
            return Ok(Heard::Letter(self.voice_form(nick, &session.jid)));
        };
        self.demand(Action::Moderate, from)?;
        let granted = form.boolean("muc#request_allow");
        let granted = granted.map_err(|_| Refusal::BadRequest)?;
        let asker = Nick::new(asker).ok_or(Refusal::NotFound)?;
        let mute = self.occupants.get(&asker).map(|other| other.role) == Some(Role::Visitor);
        if granted != Some(true) || !mute {
            // Not granted, granted by somebody else, or gone.
            return Ok(Heard::Nothing);
        }
        Ok(Heard::Voice(RoleChanges {
            roles: vec![(asker, Role::Participant, None)],
            actor: Some(nick.clone()),
        }))
    }

    fn voice_form(&self, nick: &Nick, asker: &Jid) -> Effect {
        let mut xml = Writer::new(ns::CLIENT);
        xml.start("message").attr("from", self.jid.as_str());
        let mut form = FormWriter::start_titled(
            &mut xml,
            FormKind::Form,
            VOICE,
            "Request for voice",
            "Somebody asks to be allowed to speak.",
        );
        for (var, kind, value) in [
            ("muc#role", FieldKind::ListSingle, Role::Participant.name()),
            ("muc#jid", FieldKind::JidSingle, asker.as_str()),
            ("muc#roomnick", FieldKind::TextSingle, nick.as_str()),
            ("muc#request_allow", FieldKind::Boolean, "false"),
        ] {
            form.field(&NewField {
                var,
                kind,
                values: &[value],
                ..NewField::default()
            });
        }
        form.end();
        let moderators = self.occupants.values();
        let moderators = moderators.filter(|occupant| occupant.role == Role::Moderator);
        let to: Arc<[Jid]> = moderators
            .flat_map(|occupant| &occupant.sessions)
            .map(|session| session.jid.clone())
            .collect();
        Effect::new(Sealed::from_bytes(Kind::Message, xml.finish()), to)
    }
}

fn member(jid: BareJid, room: &Room) -> PersonChange {
    let nick = room.people.get(&jid).and_then(|person| person.nick.clone());
    PersonChange {
        jid,
        affiliation: Affiliation::Member,
        nick,
        reason: None,
    }
}

fn copy_text(xml: &mut Writer, name: &'static str, from: Element<'_>) -> Result<(), Refusal> {
    let Some(text) = from.child(name, ns::MUC_USER) else {
        return Ok(());
    };
    let text = text.text();
    if text.len() > REASON_BYTES_MAX {
        return Err(Refusal::NotAcceptable);
    }
    xml.leaf(name, &text);
    Ok(())
}

/// A stanza of our own writing, ready to be routed.
pub(super) fn own_draft(xml: Bytes) -> Option<Draft> {
    let tree = Tree::parse(xml, ns::CLIENT, &Limits::S2S).ok()?;
    Draft::new(Stanza::new(tree, ns::CLIENT).ok()?).ok()
}
