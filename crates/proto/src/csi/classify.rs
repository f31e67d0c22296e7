//! Which stanzas may wait.

use crate::xml::Element;
use crate::{BareJid, Jid, ns};

/// How long a stanza may wait while the client is inactive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Class {
    /// Not at all.
    Urgent,
    /// Until something urgent comes or the client is active.
    Later,
    /// So, too, and a newer one with the same key makes it void.
    Latest(Key),
}

/// Of which stanzas only the newest matters: presence of one full JID, chat states of one sender.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    kind: Kind,
    from: Box<str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Presence,
    ChatState,
}

/// Judges a stanza for a client of the account `own`, as it goes out: `from` and `type` are those
/// on the wire.
///
/// Only what is known to be able to wait does: presence, chat states, receipts and markers of
/// others, and what pub-sub nodes of others announce. Everything else is urgent: messages with a
/// body or encrypted content (key transport of OMEMO among it), calls (XEP-0353), errors,
/// invitations, subjects, IQs, subscription requests, and all that other devices of the account
/// say, so that what has been read there stops ringing here.
pub fn classify(stanza: Element<'_>, own: &BareJid) -> Class {
    match stanza.name() {
        "presence" => presence(stanza),
        "message" => message(stanza, own),
        _ => Class::Urgent,
    }
}

fn presence(presence: Element<'_>) -> Class {
    if !matches!(presence.attr("type").as_deref(), None | Some("unavailable")) {
        return Class::Urgent;
    }
    for user in presence.children().filter(|x| x.is("x", ns::MUC_USER)) {
        let says = |code| {
            let mut status = user.children().filter(|child| child.name() == "status");
            status.any(|status| status.attr("code").as_deref() == Some(code))
        };
        // Our own place in a room: a client waits for it when it joins, and wants to know when it
        // is thrown out (XEP-0045 § 15.6.2), also because the room is no more (§ 10.9).
        if says("110") || user.child("destroy", ns::MUC_USER).is_some() {
            return Class::Urgent;
        }
        // A new nickname: the next occupant of the old one must not hide it.
        if says("303") {
            return Class::Later;
        }
    }
    latest(Kind::Presence, presence)
}

fn message(message: Element<'_>, own: &BareJid) -> Class {
    let from = message.attr("from");
    let is_own = match from.as_deref() {
        None => true,
        Some(from) => Jid::parse(from).is_ok_and(|from| from.bare_str() == own.as_str()),
    };
    // A carbon copy is what it carries; only the account itself makes them (XEP-0280 § 11).
    if is_own {
        let carbon = message.children().find(|child| child.ns() == ns::CARBONS);
        let forwarded = carbon.and_then(|carbon| carbon.child("forwarded", ns::FORWARD));
        let inner = forwarded.and_then(|forwarded| {
            let mut inside = forwarded.children();
            inside.find(|child| child.name() == "message")
        });
        return match (carbon, inner) {
            (Some(carbon), Some(inner)) => content(inner, carbon.name() == "sent"),
            _ => content(message, true),
        };
    }
    content(message, false)
}

/// The class that a message's payloads have together.
fn content(message: Element<'_>, is_own: bool) -> Class {
    match message.attr("type").as_deref() {
        Some("error") => return Class::Urgent,
        Some("headline") if !is_own && message.child("event", ns::PUBSUB_EVENT).is_some() => {
            return Class::Later;
        }
        _ => {}
    }
    let (mut states, mut notices) = (false, false);
    for payload in message.children() {
        match (payload.ns(), payload.name()) {
            (ns::CHAT_STATES, _) => states = true,
            (ns::RECEIPTS, "received")
            | (ns::CHAT_MARKERS, "received" | "displayed" | "acknowledged") => notices = true,
            // These say nothing by themselves.
            (ns::HINTS | ns::STANZA_ID | ns::OCCUPANT_ID | ns::DELAY, _) => {}
            (ns, "thread") if ns == message.ns() => {}
            _ => return Class::Urgent,
        }
    }
    match (states, notices) {
        (_, true) if !is_own => Class::Later,
        (true, false) => latest(Kind::ChatState, message),
        _ => Class::Urgent,
    }
}

fn latest(kind: Kind, stanza: Element<'_>) -> Class {
    match stanza.attr("from") {
        Some(from) => Class::Latest(Key {
            kind,
            from: from.into(),
        }),
        None => Class::Later,
    }
}
