//! What only an account's own server may say to its clients, taken out of messages of others.
//!
//! Clients believe a carbon ([XEP-0280](https://xmpp.org/extensions/xep-0280.html) § 11), an
//! archived message ([XEP-0313](https://xmpp.org/extensions/xep-0313.html) § 8) and an id of their
//! archive ([XEP-0359](https://xmpp.org/extensions/xep-0359.html) § 3.1) because their server
//! vouches for them; many have been found to believe anybody. The server makes carbons after this
//! step, sends archived messages by themselves, and adds its own ids when they are known, so whatever
//! looks like one of them here is forged. What is left goes into the archives of both sides, so ids
//! in the sender's name are taken out as well.
//!
//! One thing is not: a room at another domain that a client has asked for its archive answers from its
//! bare JID to that client's full JID. Whether it has asked the client knows (XEP-0313 § 8), and what comes
//! in the name of a room says nothing about the archive of the account.

use crate::feature::{Feature, StampCx};
use waxwing_proto::{BareJid, Jid, ns, stanza::Draft, xml::Element};

/// The feature.
pub const FEATURE: Feature = Feature {
    name: "forgery",
    stamp: Some(stamp),
    ..Feature::NONE
};

fn stamp(draft: &mut Draft, cx: &StampCx<'_>) {
    let own = draft
        .from()
        .is_some_and(|from| from.bare_str() == cx.recipient.as_str());
    let answers = draft.from().is_some_and(|from| !from.is_full())
        && draft.to().is_some_and(Jid::is_full)
        && cx.sender.is_none();
    draft.hide_all(|child| {
        is_carbon(child) && !own
            || is_archived(child) && !own && !answers
            || is_id_of_ours(child, cx.recipient)
            || cx.sender.is_some_and(|sender| is_id_of_ours(child, sender))
    });
}

fn is_carbon(child: Element<'_>) -> bool {
    child.ns() == ns::CARBONS && matches!(child.name(), "sent" | "received")
}

fn is_archived(child: Element<'_>) -> bool {
    child.ns() == ns::MAM && matches!(child.name(), "result" | "fin")
}

/// An id that the account or its server is said to have given.
fn is_id_of_ours(child: Element<'_>, account: &BareJid) -> bool {
    child.is("stanza-id", ns::STANZA_ID)
        && child.attr("by").is_some_and(|by| {
            // Compared as addresses: `Alice@Example.org` is ours as well.
            Jid::parse(&by).is_ok_and(|by| {
                by.bare_str() == account.as_str() || by.bare_str() == account.domain()
            })
        })
}

#[cfg(test)]
mod tests {
    use super::stamp;
    use crate::{feature::StampCx, features::fixtures};
    use waxwing_proto::{BareJid, Jid};

    /// What is left of a message's content on its way from `from` to alice.
    fn left(from: &str, content: &str) -> String {
        left_of(from, "alice@localhost", content)
    }

    fn left_of(from: &str, to: &str, content: &str) -> String {
        let xml = format!("<message to='{to}'>{content}</message>");
        let mut draft = fixtures::draft(&xml);
        draft.set_from(Jid::parse(from).unwrap());
        let sender = Jid::parse(from).unwrap().to_bare();
        let is_local = sender.domain() == "localhost";
        let recipient = BareJid::parse("alice@localhost").unwrap();
        stamp(
            &mut draft,
            &StampCx {
                sender: is_local.then_some(&sender),
                recipient: &recipient,
            },
        );
        let sealed = String::from_utf8(draft.seal().to_bytes().to_vec()).unwrap();
        match sealed.split_once('>') {
            Some((_, rest)) => rest.trim_end_matches("</message>").to_owned(),
            None => sealed,
        }
    }

    #[test]
    fn a_room_elsewhere_answers_the_device_that_has_asked() {
        let result = "<result xmlns='urn:xmpp:mam:2' id='1'/>";
        let carbon = "<sent xmlns='urn:xmpp:carbons:2'/>";
        for (from, to, content, kept) in [
            ("room@remote.example", "alice@localhost/x", result, true),
            ("room@remote.example", "alice@localhost/x", carbon, false),
            ("room@remote.example", "alice@localhost", result, false),
            ("room@remote.example/a", "alice@localhost/x", result, false),
            ("room@localhost", "alice@localhost/x", result, false),
        ] {
            let left = left_of(from, to, content);
            assert_eq!(!left.is_empty(), kept, "{from} {to} {content}: {left}");
        }
    }

    #[test]
    fn only_what_the_server_alone_may_say_is_taken_out() {
        let stranger = "mallory@localhost/x";
        let own = "alice@localhost/other";
        let kept = "<body>Hi</body>";
        for (from, forged, gone) in [
            (
                stranger,
                "<received xmlns='urn:xmpp:carbons:2'><x/></received>",
                true,
            ),
            (stranger, "<sent xmlns='urn:xmpp:carbons:2'/>", true),
            (stranger, "<private xmlns='urn:xmpp:carbons:2'/>", false),
            (stranger, "<result xmlns='urn:xmpp:mam:2' id='1'/>", true),
            (stranger, "<fin xmlns='urn:xmpp:mam:2'/>", true),
            (stranger, "<received xmlns='urn:xmpp:receipts'/>", false),
            (
                stranger,
                "<stanza-id xmlns='urn:xmpp:sid:0' by='alice@localhost' id='1'/>",
                true,
            ),
            (
                stranger,
                "<stanza-id xmlns='urn:xmpp:sid:0' by='ALICE@localhost' id='1'/>",
                true,
            ),
            (
                stranger,
                "<stanza-id xmlns='urn:xmpp:sid:0' by='alice@localhost/x' id='1'/>",
                true,
            ),
            (
                stranger,
                "<stanza-id xmlns='urn:xmpp:sid:0' by='localhost' id='1'/>",
                true,
            ),
            (
                stranger,
                "<stanza-id xmlns='urn:xmpp:sid:0' by='localhost/x' id='1'/>",
                true,
            ),
            (
                stranger,
                "<stanza-id xmlns='urn:xmpp:sid:0' by='mallory@localhost' id='1'/>",
                true,
            ),
            (
                "mallory@remote.example/x",
                "<stanza-id xmlns='urn:xmpp:sid:0' by='mallory@remote.example' id='1'/>",
                false,
            ),
            (
                "mallory@remote.example/x",
                "<stanza-id xmlns='urn:xmpp:sid:0' by='alice@localhost' id='1'/>",
                true,
            ),
            (
                stranger,
                "<origin-id xmlns='urn:xmpp:sid:0' id='1'/>",
                false,
            ),
            (
                stranger,
                "<stanza-id xmlns='urn:xmpp:sid:0' by='room@muc.example' id='1'/>",
                false,
            ),
            (own, "<sent xmlns='urn:xmpp:carbons:2'/>", false),
            (
                own,
                "<stanza-id xmlns='urn:xmpp:sid:0' by='alice@localhost' id='1'/>",
                true,
            ),
        ] {
            let expected = if gone {
                kept.to_owned()
            } else {
                format!("{forged}{kept}")
            };
            assert_eq!(left(from, &format!("{forged}{kept}")), expected, "{from}");
        }
        let two = "<stanza-id xmlns='urn:xmpp:sid:0' by='localhost' id='1'/>".repeat(2);
        assert_eq!(left(stranger, &format!("{two}{kept}{two}")), kept);
    }
}
