//! What a room says of its occupants: presence with `<x xmlns='…muc#user'/>` (XEP-0045 § 7.2.2).

use super::{
    nick::Nick,
    rights::{Action, Affiliation, Role, may},
    room::{Effect, Occupant, Room},
    versions::Step,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use waxwing_proto::{
    BareJid, Jid, ns,
    stanza::{Draft, Kind, Sealed},
    xml::Writer,
};

/// Bytes of an occupant's id before it is written as text.
const OCCUPANT_ID_BYTES: usize = 18;

/// Status codes (§ 15.6).
pub(super) mod status {
    /// Everybody here sees everybody's address.
    pub(crate) const NON_ANONYMOUS: u16 = 100;
    /// An affiliation has changed while its owner was away.
    pub(crate) const CHANGED_OUTSIDE: u16 = 101;
    /// The options have changed.
    pub(crate) const CONFIGURED: u16 = 104;
    /// This presence is the recipient's own.
    pub(crate) const OWN: u16 = 110;
    /// What is said is kept where everybody can read it.
    pub(crate) const LOGGED: u16 = 170;
    /// It is not any more.
    pub(crate) const NOT_LOGGED: u16 = 171;
    /// From now on everybody sees everybody's address.
    pub(crate) const NOW_NON_ANONYMOUS: u16 = 172;
    /// From now on only moderators do.
    pub(crate) const NOW_SEMI_ANONYMOUS: u16 = 173;
    /// The room is new.
    pub(crate) const CREATED: u16 = 201;
    /// The nick is not the one asked for.
    pub(crate) const NICK_CHANGED_BY_ROOM: u16 = 210;
    /// Banned.
    pub(crate) const BANNED: u16 = 301;
    /// A new nick.
    pub(crate) const NEW_NICK: u16 = 303;
    /// Kicked.
    pub(crate) const KICKED: u16 = 307;
    /// Removed because an affiliation has changed.
    pub(crate) const NO_MEMBER_ANY_MORE: u16 = 321;
    /// Removed because the room is for members now.
    pub(crate) const MEMBERS_ONLY_NOW: u16 = 322;
    /// A technical problem.
    pub(crate) const TECHNICAL: u16 = 333;
}

/// Who has done something to an occupant, and why.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Cause {
    /// The nick of whoever did it, if there is one.
    pub(crate) actor: Option<Nick>,
    pub(crate) reason: Option<String>,
    /// What it does to the versions of who is what.
    pub(crate) step: Option<Step>,
}

/// News of an occupant.
#[derive(Debug)]
pub(super) struct News<'a> {
    /// Its presence as others get it, without what the room adds.
    pub(super) presence: &'a Sealed,
    pub(super) affiliation: Affiliation,
    pub(super) role: Role,
    /// The session that it is about.
    pub(super) session: &'a Jid,
    /// Whose own presence it is.
    pub(super) own: &'a [Jid],
    /// Status codes for everybody.
    pub(super) codes: &'a [u16],
    /// Status codes for those whose own it is; that it is theirs is added.
    pub(super) own_codes: &'a [u16],
    /// The nick that it has from now on.
    pub(super) new_nick: Option<&'a Nick>,
    pub(super) cause: Option<&'a Cause>,
    /// The nick that those whose own it is have no longer.
    pub(super) leaves: Option<&'a Nick>,
}

impl<'a> News<'a> {
    /// The presence of an occupant as it is.
    pub(super) fn of(room: &Room, occupant: &'a Occupant) -> Option<Self> {
        let shown = occupant.sessions.last()?;
        Some(Self {
            presence: &shown.presence,
            affiliation: room.affiliation(&occupant.account),
            role: occupant.role,
            session: &shown.jid,
            own: &[],
            codes: &[],
            own_codes: &[],
            new_nick: None,
            cause: None,
            leaves: None,
        })
    }

    /// With everything that the room adds.
    fn stanza(&self, room: &Room, address: bool, own: bool) -> Sealed {
        let mut xml = Writer::new(ns::CLIENT);
        xml.start_ns("x", ns::MUC_USER);
        self.write_version(room, address, own, &mut xml);
        xml.start("item")
            .attr("affiliation", self.affiliation.name())
            .attr("role", self.role.name())
            .attr_opt("jid", address.then(|| self.session.as_str()))
            .attr_opt("nick", self.new_nick.map(Nick::as_str));
        if let Some(cause) = self.cause {
            if let Some(actor) = &cause.actor {
                xml.start("actor").attr("nick", actor.as_str()).end();
            }
            if let Some(reason) = &cause.reason {
                xml.leaf("reason", reason);
            }
        }
        xml.end();
        if own {
            status(&mut xml, status::OWN);
            for code in self.own_codes {
                status(&mut xml, *code);
            }
        }
        for code in self.codes {
            status(&mut xml, *code);
        }
        xml.end();
        let hats = room.hats_of(&self.session.to_bare());
        match hats.filter(|_| self.leaves.is_none()) {
            Some(hats) => self.presence.with_child(xml.finish()).with_child(hats),
            None => self.presence.with_child(xml.finish()),
        }
    }

    /// XEP-0463 § 5.2: which version a change makes, and which one is the newest.
    fn write_version(&self, room: &Room, address: bool, own: bool, xml: &mut Writer) {
        let step = self.cause.and_then(|cause| cause.step.as_ref());
        if let Some(step) = step.filter(|_| address) {
            step.write(xml);
        } else if own
            && self.leaves.is_none()
            && let Some(now) = room.version_now(self.session)
        {
            xml.start_ns("mav", ns::MUC_AFFILIATIONS)
                .attr("until", &now)
                .end();
        }
    }
}

impl Room {
    /// Tells everybody in the room, and those whose own it is, even if they have left.
    pub(super) fn tell(&self, news: &News<'_>, effects: &mut Vec<Effect>) {
        let (mut seeing, mut others) = (Vec::new(), Vec::new());
        for occupant in self.occupants.values() {
            let sees = self.sees_addresses(occupant);
            for session in &occupant.sessions {
                if news.own.contains(&session.jid) {
                    continue;
                }
                let list = if sees { &mut seeing } else { &mut others };
                list.push(session.jid.clone());
            }
        }
        let own = news.own.to_vec();
        for (to, address, own) in [
            (seeing, true, false),
            (others, false, false),
            (own, true, true),
        ] {
            if !to.is_empty() {
                let ends = news.leaves.filter(|_| own);
                effects.push(Effect {
                    ends: ends.map(|nick| self.occupant_jid(nick)),
                    ..Effect::new(news.stanza(self, address, own), to.into())
                });
            }
        }
    }

    /// Tells one session of an occupant.
    pub(super) fn tell_one(
        &self,
        news: &News<'_>,
        to: &Jid,
        address: bool,
        effects: &mut Vec<Effect>,
    ) {
        let own = news.own.contains(to);
        let ends = news.leaves.filter(|_| own);
        effects.push(Effect {
            ends: ends.map(|nick| self.occupant_jid(nick)),
            ..Effect::new(
                news.stanza(self, address || own, own),
                Arc::from([to.clone()]),
            )
        });
    }

    /// Whether an occupant sees who the others are (§ 7.2.3, § 7.2.4).
    pub(super) fn sees_addresses(&self, occupant: &Occupant) -> bool {
        let affiliation = self.affiliation(&occupant.account);
        let may = may(
            Action::SeeAddresses,
            affiliation,
            occupant.role,
            &self.config,
        );
        may || !self.config.semi_anonymous
    }

    /// An occupant's presence as others get it: from its address here, without what only the room
    /// may say (§ 17.3).
    pub(super) fn shown(&self, nick: &Nick, id: &str, mut draft: Draft) -> Sealed {
        draft.hide_all(|child| {
            matches!(
                child.ns(),
                ns::MUC | ns::MUC_USER | ns::OCCUPANT_ID | ns::STANZA_ID | ns::HATS
            )
        });
        draft.set_from(self.occupant_jid(nick));
        draft.add(occupant_id(id));
        draft.seal().detached()
    }

    /// The presence of an occupant that goes, with what it says about that.
    pub(super) fn farewell(&self, nick: &Nick, id: &str, said: Option<&Draft>) -> Sealed {
        let mut xml = Writer::new(ns::CLIENT);
        xml.start("presence")
            .attr("from", self.occupant_jid(nick).as_str())
            .attr("type", "unavailable");
        let status = said.and_then(|said| said.root().child("status", said.root().ns()));
        if let Some(status) = status {
            xml.leaf("status", &status.text());
        }
        xml.raw(&occupant_id(id));
        xml.end();
        Sealed::from_bytes(Kind::Presence, xml.finish())
    }

    /// A message of the room itself to all, with status codes.
    pub(super) fn announce(&mut self, codes: &[u16], effects: &mut Vec<Effect>) {
        let to = self.everyone();
        if to.is_empty() {
            return;
        }
        let mut xml = Writer::new(ns::CLIENT);
        xml.start("message")
            .attr("from", self.jid.as_str())
            .attr("type", "groupchat")
            .start_ns("x", ns::MUC_USER);
        for code in codes {
            status(&mut xml, *code);
        }
        let stanza = Sealed::from_bytes(Kind::Message, xml.finish());
        effects.push(Effect::new(stanza, to));
    }

    /// XEP-0421 § 3: the same for an account in this room for ever, another one in every other room.
    pub(super) fn occupant_id(&self, account: &BareJid) -> Box<str> {
        // The secret has a fixed length and is never told, and the result is cut: nothing can be
        // appended to it.
        let mut hash = Sha256::new();
        hash.update(self.secret);
        hash.update(account.as_str().as_bytes());
        let hash = hash.finalize();
        let cut = hash.get(..OCCUPANT_ID_BYTES).unwrap_or(&hash);
        URL_SAFE_NO_PAD.encode(cut).into()
    }
}

/// `<occupant-id/>` (XEP-0421), for `jabber:client`.
pub(super) fn occupant_id(id: &str) -> Bytes {
    let mut xml = Writer::with_capacity(ns::CLIENT, 96);
    xml.start_ns("occupant-id", ns::OCCUPANT_ID)
        .attr("id", id)
        .end();
    xml.finish()
}

fn status(xml: &mut Writer, code: u16) {
    xml.start("status").attr("code", &code.to_string()).end();
}
