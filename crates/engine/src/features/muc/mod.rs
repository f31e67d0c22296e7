//! Rooms ([XEP-0045](https://xmpp.org/extensions/xep-0045.html), 1.35.5).
//!
//! [`room`] is the machine: what has happened goes in, what is to be sent comes out. [`rights`] is
//! the table it asks, [`config`] the options of rooms. [`entering`], [`speech`], [`people`],
//! [`owner`], [`invite`] and [`registration`] are what can happen, by who makes it happen. [`table`]
//! has the rooms that are in memory, [`kept`] reads and writes them, [`arrive`], [`requests`] and
//! [`discover`] are what comes for them. ADR 8 says why it is so.
//!
//! Decisions on what XEP-0045 leaves open:
//! - Nicks are compared by their look, whatever their case. Two accounts cannot have nicks that look
//!   alike, one account can be here with several sessions under one nick or under several.
//! - A new room is locked until its owner has configured it, and gone if the owner goes before.
//!   Unless the owner says otherwise it is open, hidden, semi-anonymous, archived and temporary.
//! - A destroyed room's name can be had again only by whoever destroyed it.
//! - In non-anonymous rooms members may read the lists of members, admins and owners; the archive
//!   says who was who (clients need both for end-to-end encryption).
//! - Owners can be removed by owners, as long as one is left.
//! - A moderator of no higher affiliation cannot remove another moderator.
//! - Whoever is invited to a room for members becomes one; nobody is invited by being made one, because
//!   clients invite as well and there would be two invitations.
//! - Who registers with a room for members asks its admins, unless an owner has said that nobody can.
//! - A room is logged (170) if people who are not in it can read its archive.
//! - Presence is told to all, whatever the role (`presencebroadcast` is not offered).

mod activity;
mod arrive;
mod changes;
mod config;
mod discover;
mod entering;
mod errors;
mod hat_commands;
mod hats;
mod invite;
mod kept;
mod moderation;
mod nick;
mod owner;
mod pace;
mod people;
mod registration;
mod relay;
mod requests;
mod rights;
mod room;
mod search;
mod speech;
mod storm;
mod table;
mod tell;
mod templates;
#[cfg(test)]
mod tests;
mod tokens;
mod vcard;
mod versions;

pub(crate) use arrive::Carried;
pub(crate) use moderation::retract;
pub(crate) use table::{Rooms, recover};

use crate::feature::{
    Coverage, Disco, Feature, IqHandler, IqKind, IqRoute, Place, Service, Who, Xep,
};
use waxwing_proto::ns;

/// The feature.
pub(crate) const FEATURE: Feature = Feature {
    name: "muc",
    xeps: &[
        Xep {
            number: 45,
            version: "1.35.5",
            title: "Multi-User Chat",
            coverage: Coverage::Partial(
                "roles are not kept for the next visit of a moderated room; presence is told of \
                 all roles",
            ),
        },
        Xep {
            number: 410,
            version: "1.1.0",
            title: "MUC Self-Ping (Schrödinger's Chat)",
            coverage: Coverage::Complete,
        },
        Xep {
            number: 421,
            version: "1.0.1",
            title: "Occupant identifiers for semi-anonymous MUCs",
            coverage: Coverage::Complete,
        },
        Xep {
            number: 425,
            version: "0.3.0",
            title: "Moderated Message Retraction",
            coverage: Coverage::Complete,
        },
        Xep {
            number: 486,
            version: "0.1.0",
            title: "MUC Avatars",
            coverage: Coverage::Complete,
        },
        Xep {
            number: 488,
            version: "0.1.0",
            title: "MUC Token Invite",
            coverage: Coverage::Complete,
        },
        Xep {
            number: 500,
            version: "0.1.1",
            title: "MUC Slow Mode",
            coverage: Coverage::Partial("who is too fast is not told how long to wait"),
        },
        Xep {
            number: 502,
            version: "0.1.0",
            title: "MUC Activity Indicator",
            coverage: Coverage::Complete,
        },
        Xep {
            number: 317,
            version: "0.3.1",
            title: "Hats",
            coverage: Coverage::Partial("nodes of commands have no disco#info"),
        },
        Xep {
            number: 433,
            version: "0.1.0",
            title: "Extended Channel Search",
            coverage: Coverage::Partial("of the first 500 rooms that are listed"),
        },
        Xep {
            number: 463,
            version: "0.2.0",
            title: "MUC Affiliations Versioning",
            coverage: Coverage::Complete,
        },
    ],
    disco: &[
        room(ns::MODERATION),
        room(ns::MODERATION_OLD),
        room(ns::RETRACTION),
        room(ns::TOMBSTONES),
        room(ns::MUC_AFFILIATIONS),
        room(ns::HATS),
        room(ns::COMMANDS),
        room(ns::TOKENS),
        service(ns::DISCO_INFO),
        service(ns::DISCO_ITEMS),
        service(ns::MUC),
        service(STABLE_ID),
        service(ns::VCARD),
        service(ns::CHANNEL_SEARCH),
        room(ns::DISCO_INFO),
        room(ns::DISCO_ITEMS),
        room(ns::MUC),
        room(STABLE_ID),
        room("http://jabber.org/protocol/muc#self-ping-optimization"),
        room(ns::MAM),
        room("urn:xmpp:mam:2#extended"),
        room(ns::STANZA_ID),
        room(ns::OCCUPANT_ID),
        room(ns::REGISTER),
        room(ns::VCARD),
    ],
    iq: &[
        to_service(ns::DISCO_INFO, discover::service_info),
        to_service(ns::DISCO_ITEMS, discover::service_items),
        IqRoute {
            name: "search",
            ..to_service(ns::CHANNEL_SEARCH, search::search)
        },
        to_room(IqKind::Get, "query", ns::DISCO_INFO, discover::room_info),
        to_room(IqKind::Get, "vCard", ns::VCARD, vcard::get),
        to_room(IqKind::Set, "vCard", ns::VCARD, vcard::set),
        to_room(IqKind::Get, "query", ns::DISCO_ITEMS, discover::room_items),
        to_room(IqKind::Get, "query", ns::MUC_ADMIN, requests::list),
        to_room(IqKind::Set, "query", ns::MUC_ADMIN, requests::administer),
        to_room(IqKind::Get, "query", ns::MUC_OWNER, requests::form),
        to_room(IqKind::Set, "query", ns::MUC_OWNER, requests::decide),
        to_room(IqKind::Get, "query", ns::REGISTER, requests::registration),
        to_room(IqKind::Set, "query", ns::REGISTER, requests::register),
        to_room(IqKind::Set, "query", ns::MAM, requests::archive),
        to_room(IqKind::Get, "query", ns::MAM, requests::archive_form),
        to_room(IqKind::Get, "metadata", ns::MAM, requests::archive_ends),
        to_room(IqKind::Set, "command", ns::COMMANDS, hat_commands::command),
        to_room(IqKind::Set, "request", ns::TOKENS, tokens::request),
        to_room(IqKind::Get, "tokens", ns::TOKENS, tokens::list),
        to_room(IqKind::Set, "revoke", ns::TOKENS, tokens::revoke),
        to_room(
            IqKind::Set,
            "moderate",
            ns::MODERATION,
            moderation::moderate,
        ),
        to_room(
            IqKind::Set,
            "apply-to",
            ns::FASTENING,
            moderation::moderate_old,
        ),
    ],
    hosted: Some(arrive::HOSTED),
    ..Feature::NONE
};

/// § 7.4: ids of messages are reflected.
const STABLE_ID: &str = "http://jabber.org/protocol/muc#stable_id";

const fn service(var: &'static str) -> Disco {
    Disco {
        place: Place::Service(Service::Rooms),
        var,
    }
}

const fn room(var: &'static str) -> Disco {
    Disco {
        place: Place::Within(Service::Rooms),
        var,
    }
}

const fn to_service(ns: &'static str, handler: IqHandler) -> IqRoute {
    IqRoute {
        place: Place::Service(Service::Rooms),
        kind: IqKind::Get,
        name: "query",
        ns,
        who: Who::Anyone,
        handler,
    }
}

const fn to_room(
    kind: IqKind,
    name: &'static str,
    ns: &'static str,
    handler: IqHandler,
) -> IqRoute {
    IqRoute {
        place: Place::Within(Service::Rooms),
        kind,
        name,
        ns,
        // The room decides.
        who: Who::Anyone,
        handler,
    }
}
