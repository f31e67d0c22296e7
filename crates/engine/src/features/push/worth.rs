//! Which messages are worth waking a device for.

use waxwing_proto::{ns, stanza::Stanza, xml::Element};

/// What a message is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Worth {
    /// Nothing: receipts, markers, chat states, errors, and all that nobody reads.
    Nothing,
    /// Something to read.
    Message,
    /// Somebody calls: it is of use now or never.
    Call,
}

/// Judges a message for its recipient.
pub(super) fn worth(message: &Stanza) -> Worth {
    if matches!(message.type_attr().as_deref(), Some("error" | "headline")) {
        return Worth::Nothing;
    }
    let mut worth = Worth::Nothing;
    for payload in message.root().children() {
        worth = worth.max(worth_of(payload, message.root().ns()));
    }
    worth
}

fn worth_of(payload: Element<'_>, content_ns: &str) -> Worth {
    let is_worth = match (payload.ns(), payload.name()) {
        // XEP-0353 § 3: what else there is of a call is for devices that ring already.
        (ns::JINGLE_MESSAGE, "propose") => return Worth::Call,
        (ns, "body") if ns == content_ns => !payload.text().trim().is_empty(),
        // Without a payload it transports keys only (XEP-0384 § 5.6).
        (ns::OMEMO | ns::OMEMO_LEGACY, "encrypted") => {
            payload.child("payload", payload.ns()).is_some()
        }
        (ns::OPENPGP, "openpgp") | (ns::CONFERENCE, "x") => true,
        // XEP-0045 § 7.8.2
        (ns::MUC_USER, "x") => payload.child("invite", ns::MUC_USER).is_some(),
        _ => false,
    };
    if is_worth {
        Worth::Message
    } else {
        Worth::Nothing
    }
}

#[cfg(test)]
mod tests {
    use super::{Worth, worth};
    use crate::features::fixtures::draft;

    #[test]
    fn some_are_worth_it_and_some_are_not() {
        for (content, wanted) in [
            ("<body>Hi</body>", Worth::Message),
            ("<body> </body>", Worth::Nothing),
            ("<body/>", Worth::Nothing),
            ("", Worth::Nothing),
            ("<subject>A</subject>", Worth::Nothing),
            (
                "<active xmlns='http://jabber.org/protocol/chatstates'/>",
                Worth::Nothing,
            ),
            (
                "<body>Hi</body><active xmlns='http://jabber.org/protocol/chatstates'/>",
                Worth::Message,
            ),
            (
                "<received xmlns='urn:xmpp:receipts' id='1'/>",
                Worth::Nothing,
            ),
            (
                "<displayed xmlns='urn:xmpp:chat-markers:0' id='1'/>",
                Worth::Nothing,
            ),
            (
                "<encrypted xmlns='eu.siacs.conversations.axolotl'><header/></encrypted>",
                Worth::Nothing,
            ),
            (
                "<encrypted xmlns='eu.siacs.conversations.axolotl'><header/><payload>x</payload>\
                 </encrypted>",
                Worth::Message,
            ),
            (
                "<encrypted xmlns='urn:xmpp:omemo:2'><header/><payload>x</payload></encrypted>",
                Worth::Message,
            ),
            (
                "<openpgp xmlns='urn:xmpp:openpgp:0'>x</openpgp>",
                Worth::Message,
            ),
            ("<x xmlns='jabber:x:conference' jid='r@c'/>", Worth::Message),
            (
                "<x xmlns='http://jabber.org/protocol/muc#user'><invite from='a@b'/></x>",
                Worth::Message,
            ),
            (
                "<x xmlns='http://jabber.org/protocol/muc#user'/>",
                Worth::Nothing,
            ),
            (
                "<propose xmlns='urn:xmpp:jingle-message:0' id='1'/>",
                Worth::Call,
            ),
            (
                "<propose xmlns='urn:xmpp:jingle-message:0' id='1'/><body>Call</body>",
                Worth::Call,
            ),
            (
                "<retract xmlns='urn:xmpp:jingle-message:0' id='1'/>",
                Worth::Nothing,
            ),
        ] {
            for (kind, wanted) in [
                ("chat", wanted),
                ("normal", wanted),
                ("groupchat", wanted),
                ("error", Worth::Nothing),
                ("headline", Worth::Nothing),
            ] {
                let message = format!("<message type='{kind}' to='a@b'>{content}</message>");
                let stanza = draft(&message);
                assert_eq!(worth(stanza.stanza()), wanted, "{message}");
            }
        }
    }
}
