//! Which messages are archived.

use crate::route::message::Type;
use waxwing_proto::{BareJid, Jid, ns, stanza::Stanza, xml::Element};
use waxwing_store::{ArchiveDefault, ArchivePreferences};

/// Whether a message of this type is one for archives: something in it is meant to last, and its
/// sender does not say otherwise (XEP-0313 § 6.1.1, XEP-0334 § 4).
///
/// Rooms keep what is said in them themselves; what is said in private there is kept here.
pub fn is_kept(message: &Stanza, kind: Type) -> bool {
    if !matches!(kind, Type::Normal | Type::Chat) {
        return false;
    }
    is_to_last(message)
}

/// Whether a message to all in a room is one for the room's archive.
pub fn is_kept_by_room(message: &Stanza) -> bool {
    is_to_last(message)
}

fn is_to_last(message: &Stanza) -> bool {
    let mut kept = false;
    for child in message.root().children() {
        match (child.ns(), child.name()) {
            (ns::HINTS, "no-store" | "no-permanent-store") => return false,
            _ => kept |= lasts(child),
        }
    }
    kept
}

/// Whether a message is encrypted, so that its body is only an explanation for those who cannot
/// read it.
pub fn is_encrypted(message: &Stanza) -> bool {
    const WAYS: [&str; 5] = [
        ns::OMEMO,
        ns::OMEMO_LEGACY,
        ns::OPENPGP,
        ns::OPENPGP_LEGACY,
        ns::ENCRYPTION,
    ];
    let mut children = message.root().children();
    children.any(|child| WAYS.contains(&child.ns()))
}

/// Whether this part of a message alone is a reason to archive it.
fn lasts(child: Element<'_>) -> bool {
    match child.ns() {
        ns::CLIENT | ns::SERVER => matches!(child.name(), "body" | "subject"),
        ns::HINTS => child.name() == "store",
        ns::RECEIPTS => child.name() == "received",
        // Who asks for markers says nothing yet.
        ns::CHAT_MARKERS => child.name() != "markable",
        ns::MUC_USER => child
            .children()
            .any(|part| matches!(part.name(), "invite" | "decline")),
        space => WHOLE.contains(&space),
    }
}

/// Extensions of which every element lasts.
const WHOLE: [&str; 13] = [
    ns::OMEMO,
    ns::OMEMO_LEGACY,
    ns::OPENPGP,
    ns::OPENPGP_LEGACY,
    ns::ENCRYPTION,
    ns::JINGLE_MESSAGE,
    ns::CALL_INVITES,
    ns::CONFERENCE,
    ns::CORRECTION,
    ns::REACTIONS,
    ns::RETRACTION,
    ns::FILE_SHARING,
    ns::OOB,
];

/// Whether someone with these preferences wants messages with `contact` archived (XEP-0441 § 2).
/// Without preferences everything is.
pub fn wanted(
    preferences: Option<&ArchivePreferences>,
    contact: &Jid,
    in_roster: impl FnOnce(&BareJid) -> bool,
) -> bool {
    let Some(preferences) = preferences else {
        return true;
    };
    if names(&preferences.never, contact) {
        return false;
    }
    if names(&preferences.always, contact) {
        return true;
    }
    match preferences.default {
        ArchiveDefault::Always => true,
        ArchiveDefault::Never => false,
        ArchiveDefault::Roster => in_roster(&contact.to_bare()),
    }
}

/// § 2.3.1: a bare address in the list stands for all resources.
fn names(list: &[Jid], contact: &Jid) -> bool {
    list.iter()
        .any(|entry| entry == contact || entry.as_str() == contact.bare_str())
}

#[cfg(test)]
mod tests {
    use super::{is_kept, wanted};
    use crate::{features::fixtures::draft, route::message::Type};
    use waxwing_proto::Jid;
    use waxwing_store::{ArchiveDefault, ArchivePreferences};

    fn kept(kind: &str, content: &str) -> bool {
        let draft = draft(&format!("<message {kind}>{content}</message>"));
        is_kept(draft.stanza(), Type::of(&draft))
    }

    const BODY: &str = "<body>Hi</body>";

    #[test]
    fn types() {
        for (kind, expected) in [
            ("", true),
            ("type='normal'", true),
            ("type='chat'", true),
            ("type='unheard-of'", true),
            ("type='groupchat'", false),
            ("type='headline'", false),
            ("type='error'", false),
        ] {
            assert_eq!(kept(kind, BODY), expected, "{kind}");
            let hint = format!("{BODY}<store xmlns='urn:xmpp:hints'/>");
            assert_eq!(kept(kind, &hint), expected, "{kind} store");
        }
    }

    #[test]
    fn content() {
        for (content, expected) in [
            ("", false),
            (BODY, true),
            ("<body/>", true),
            ("<body xmlns='urn:x'>Hi</body>", false),
            ("<subject>S</subject>", true),
            ("<thread>t</thread>", false),
            ("<x xmlns='urn:x'/>", false),
            (
                "<active xmlns='http://jabber.org/protocol/chatstates'/><thread>t</thread>",
                false,
            ),
            ("<origin-id xmlns='urn:xmpp:sid:0' id='1'/>", false),
            ("<received xmlns='urn:xmpp:receipts' id='1'/>", true),
            ("<request xmlns='urn:xmpp:receipts'/>", false),
            ("<displayed xmlns='urn:xmpp:chat-markers:0' id='1'/>", true),
            ("<markable xmlns='urn:xmpp:chat-markers:0'/>", false),
            ("<reactions xmlns='urn:xmpp:reactions:0' id='1'/>", true),
            ("<retract xmlns='urn:xmpp:message-retract:1' id='1'/>", true),
            ("<replace xmlns='urn:xmpp:message-correct:0' id='1'/>", true),
            ("<encrypted xmlns='eu.siacs.conversations.axolotl'/>", true),
            ("<encrypted xmlns='urn:xmpp:omemo:2'/>", true),
            ("<openpgp xmlns='urn:xmpp:openpgp:0'/>", true),
            ("<x xmlns='jabber:x:encrypted'/>", true),
            (
                "<encryption xmlns='urn:xmpp:eme:0' namespace='urn:x'/>",
                true,
            ),
            ("<propose xmlns='urn:xmpp:jingle-message:0' id='1'/>", true),
            ("<ringing xmlns='urn:xmpp:jingle-message:0' id='1'/>", true),
            ("<finish xmlns='urn:xmpp:jingle-message:0' id='1'/>", true),
            ("<invite xmlns='urn:xmpp:call-invites:0'/>", true),
            ("<file-sharing xmlns='urn:xmpp:sfs:0'/>", true),
            ("<x xmlns='jabber:x:oob'><url>u</url></x>", true),
            ("<x xmlns='jabber:x:conference' jid='r@c'/>", true),
            (
                "<x xmlns='http://jabber.org/protocol/muc#user'><invite/></x>",
                true,
            ),
            (
                "<x xmlns='http://jabber.org/protocol/muc#user'><decline/></x>",
                true,
            ),
            (
                "<x xmlns='http://jabber.org/protocol/muc#user'><status code='104'/></x>",
                false,
            ),
            (
                "<event xmlns='http://jabber.org/protocol/pubsub#event'/>",
                false,
            ),
        ] {
            for kind in ["", "type='chat'"] {
                assert_eq!(kept(kind, content), expected, "{kind} {content}");
            }
        }
        // Said in private in a room.
        let private = format!("{BODY}<x xmlns='http://jabber.org/protocol/muc#user'/>");
        assert!(kept("type='chat'", &private));
    }

    #[test]
    fn hints() {
        let hint = |name: &str| format!("<{name} xmlns='urn:xmpp:hints'/>");
        for (content, expected) in [
            (hint("store"), true),
            (hint("store") + "<x xmlns='urn:x'/>", true),
            (hint("no-copy"), false),
            (hint("no-copy") + BODY, true),
            (hint("no-store") + BODY, false),
            (BODY.to_owned() + &hint("no-store"), false),
            (BODY.to_owned() + &hint("no-permanent-store"), false),
            (hint("store") + &hint("no-store") + BODY, false),
            (BODY.to_owned() + "<no-store xmlns='urn:x'/>", true),
        ] {
            assert_eq!(kept("type='chat'", &content), expected, "{content}");
        }
    }

    #[test]
    fn preferences() {
        let jid = |text: &str| Jid::parse(text).unwrap();
        let contact = |text: &str| text.starts_with("friend@");
        let ask = |preferences: Option<&ArchivePreferences>, text: &str| {
            wanted(preferences, &jid(text), |bare| contact(bare.as_str()))
        };
        assert!(ask(None, "anybody@example.org/x"));
        for (default, friend, stranger) in [
            (ArchiveDefault::Always, true, true),
            (ArchiveDefault::Never, false, false),
            (ArchiveDefault::Roster, true, false),
        ] {
            let preferences = ArchivePreferences {
                default,
                always: vec![jid("always@example.org"), jid("either@example.org/yes")],
                never: vec![jid("either@example.org/no"), jid("never@example.org")],
                ..ArchivePreferences::default()
            };
            for (text, expected) in [
                ("friend@example.org/x", friend),
                ("friend@example.org", friend),
                ("stranger@example.org/x", stranger),
                ("always@example.org/x", true),
                ("always@example.org", true),
                ("never@example.org", false),
                ("never@example.org/x", false),
                ("either@example.org/yes", true),
                ("either@example.org/no", false),
                ("either@example.org", stranger),
                ("either@example.org/other", stranger),
            ] {
                let judged = ask(Some(&preferences), text);
                assert_eq!(judged, expected, "{default:?} {text}");
            }
        }
    }
}
