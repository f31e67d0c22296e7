//! A nick of one's own (XEP-0045 § 7.10, § 7.12).

use super::{
    errors::Refusal,
    nick::Nick,
    people::{Change, PersonChange},
    rights::{Action, Affiliation},
    room::Room,
};
use bytes::Bytes;
use waxwing_proto::{
    Jid,
    form::{FieldKind, Form, FormKind, FormWriter, NewField},
    ns,
    xml::{Element, Writer},
};

const FORM_TYPE: &str = "http://jabber.org/protocol/muc#register";
const NICK: &str = "muc#register_roomnick";

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
    pub(crate) fn register(&self, from: &Jid, query: Element<'_>) -> Result<Change, Refusal> {
        let before = self.may_register(from)?;
        let removes = query.child("remove", ns::REGISTER).is_some();
        let nick = if removes {
            None
        } else {
            let form = Form::find(query).map_err(|_| Refusal::BadRequest)?;
            let form = form.filter(|form| form.kind == FormKind::Submit);
            let form = form.ok_or(Refusal::BadRequest)?;
            let wish = form.value(NICK).map_err(|_| Refusal::BadRequest)?;
            let wish = wish.filter(|wish| !wish.is_empty());
            let wish = self.jid.with_resource(wish.ok_or(Refusal::BadRequest)?);
            let wish = wish.map_err(|_| Refusal::BadNick)?;
            let nick = Nick::new(wish.resource()).ok_or(Refusal::BadNick)?;
            self.is_free(&nick, &from.to_bare())?;
            Some(nick)
        };
        let affiliation = match before {
            Affiliation::None if !removes => Affiliation::Member,
            Affiliation::Member if removes && !self.config.members_only => Affiliation::None,
            before => before,
        };
        let change = Change {
            people: vec![PersonChange {
                jid: from.to_bare(),
                affiliation,
                nick,
                reason: None,
            }],
            ..Change::default()
        };
        self.is_possible(&change)?;
        Ok(change)
    }

    /// The nick that nobody else may have.
    pub(crate) fn registered_nick(&self, from: &Jid) -> Option<&Nick> {
        self.people.get(&from.to_bare())?.nick.as_ref()
    }

    /// Whoever is a member has the right to a nick; others become members by it where the room is
    /// open.
    fn may_register(&self, from: &Jid) -> Result<Affiliation, Refusal> {
        self.known_to(from)?;
        let affiliation = self.affiliation(&from.to_bare());
        let open = !self.config.members_only && self.allows(Action::Register, from);
        if open || affiliation >= Affiliation::Member {
            Ok(affiliation)
        } else {
            Err(Refusal::RegistrationClosed)
        }
    }
}
