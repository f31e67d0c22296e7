//! Message carbons ([XEP-0280](https://xmpp.org/extensions/xep-0280.html), 1.0.1), forwarded as
//! [XEP-0297](https://xmpp.org/extensions/xep-0297.html) says.
//!
//! Every resource that asks for it sees both sides of the account's conversations: what the other
//! resources send and what only they are given. Which messages that are is § 6.1, in
//! [`should_copy`]. Copies are made when the message is handed over, so a message that this server
//! refuses is not copied, and neither is the refusal: it is a matter between the server and the one
//! resource. Copies are for those who are here, available or not, and are never stored.
//!
//! Deviation: errors are to be copied if their message was (§ 6.1). The server remembers no messages,
//! so it copies an error unless what is repeated in it is no instant messaging. One too many does
//! no harm, as clients find no message for it; one too few would show as sent what was not.
//!
//! Deviation: `<no-copy/>` (XEP-0334 § 4.3) has the effect of `<private/>`, with or without it.

use crate::{
    feature::{
        CopyCx, Coverage, Disco, Fanout, Feature, IqCx, IqHandler, IqKind, IqRoute, Place, Reply,
        Side, Who, Xep,
    },
    registry::Setting,
    route::{Handover, message::Type},
};
use bytes::Bytes;
use waxwing_proto::{
    BareJid, Jid, ns,
    stanza::{Condition, Sealed, Stanza, StanzaError},
    xml::Element,
};
use waxwing_store::BoxFuture;

/// The feature.
pub const FEATURE: Feature = Feature {
    name: "carbons",
    xeps: &[
        Xep {
            number: 280,
            version: "1.0.1",
            title: "Message Carbons",
            coverage: Coverage::Partial(
                "no message is remembered: an error is copied unless what it repeats is no instant messaging",
            ),
        },
        Xep {
            number: 297,
            version: "1.0",
            title: "Stanza Forwarding",
            coverage: Coverage::Complete,
        },
    ],
    disco: &[
        Disco {
            place: Place::Domain,
            var: ns::CARBONS,
        },
        Disco {
            place: Place::Domain,
            var: RULES,
        },
    ],
    iq: &[route("enable", enable), route("disable", disable)],
    copy: Some(copy),
    ..Feature::NONE
};

/// § 6.2: the rules of § 6.1 are followed.
const RULES: &str = "urn:xmpp:carbons:rules:0";

const RECEIVED: &[u8] =
    b"<received xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'>";
const RECEIVED_END: &[u8] = b"</forwarded></received>";
const SENT: &[u8] = b"<sent xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'>";
const SENT_END: &[u8] = b"</forwarded></sent>";

const fn route(name: &'static str, handler: IqHandler) -> IqRoute {
    IqRoute {
        place: Place::Account,
        kind: IqKind::Set,
        name,
        ns: ns::CARBONS,
        who: Who::OwnerOrNotAllowed,
        handler,
    }
}

/// § 4; again and again if the client likes (§ 10.1).
fn enable(cx: IqCx<'_>) -> BoxFuture<'_, Result<Reply, StanzaError>> {
    Box::pin(async move { switch(&cx, true) })
}

/// § 5
fn disable(cx: IqCx<'_>) -> BoxFuture<'_, Result<Reply, StanzaError>> {
    Box::pin(async move { switch(&cx, false) })
}

fn switch(cx: &IqCx<'_>, wanted: bool) -> Result<Reply, StanzaError> {
    let session = cx.session.as_ref().ok_or(Condition::NotAllowed)?;
    session.resource.set(Setting::Carbons, wanted);
    Ok(Reply::Empty)
}

/// § 7 and § 8
fn copy(message: &Handover, cx: &CopyCx<'_>, fanout: &mut Fanout) {
    let wanting = || cx.others.iter().filter(|other| other.has(Setting::Carbons));
    if wanting().next().is_none()
        || should_copy(&message.stanza, cx.side, &message.from, &message.to).is_err()
    {
        return;
    }
    let seen = message.seen_by(cx.engine, cx.side, cx.account);
    let kind = message.stanza.type_attr();
    let carbon = wrap(&seen, cx.side, cx.account, kind.as_deref(), None);
    let to: Vec<Jid> = wanting().map(|other| Jid::from(&other.jid)).collect();
    fanout.extend(wanting().cloned().zip(carbon.fan_out(&to)));
}

/// A message within a carbon, without `to` (§ 7, § 8). `kind` is its type; a `delay` tells when it
/// came (XEP-0297 § 2).
pub(crate) fn wrap(
    message: &Sealed,
    side: Side,
    account: &BareJid,
    kind: Option<&str>,
    delay: Option<Bytes>,
) -> Sealed {
    let (before, after) = match side {
        Side::Sender => (SENT, SENT_END),
        Side::Recipient => (RECEIVED, RECEIVED_END),
    };
    let before = match delay {
        Some(delay) => [before, &delay].concat().into(),
        None => Bytes::from_static(before),
    };
    message.enclosed(&account.into(), kind, before, Bytes::from_static(after))
}

/// Why a message is not copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skip {
    /// Its sender says that it is for its addressee alone (§ 9).
    Private,
    /// It is a carbon, or claims to be one: no copies of copies.
    Carbon,
    /// Rooms tell all resources that have joined (§ 6.1).
    Groupchat,
    /// Received privately from somebody in a room, which tells all resources itself (§ 6.1).
    RoomPrivate,
    /// An error that is not about a conversation of this account's clients (§ 6.1, § 10.3).
    Error,
    /// Nothing in it is instant messaging (§ 6.1).
    NotMessaging,
}

/// § 6.1: whether the other resources on this side are to see the message.
pub fn should_copy(message: &Stanza, side: Side, from: &Jid, to: &Jid) -> Result<(), Skip> {
    let content = Content::of(message);
    if content.private {
        return Err(Skip::Private);
    }
    if content.carbon {
        return Err(Skip::Carbon);
    }
    let kind = Type::of_stanza(message);
    if kind == Type::Error {
        return copy_error(&content, to);
    }
    if kind == Type::Groupchat {
        return Err(Skip::Groupchat);
    }
    if content.invitation {
        return Ok(());
    }
    if content.room && side == Side::Recipient && from.is_full() {
        return Err(Skip::RoomPrivate);
    }
    let to_occupant = content.room && side == Side::Sender && to.is_full();
    let eligible = match kind {
        Type::Chat => true,
        _ if content.messaging || to_occupant => true,
        Type::Normal => content.body,
        Type::Groupchat | Type::Headline | Type::Error => false,
    };
    if eligible {
        Ok(())
    } else {
        Err(Skip::NotMessaging)
    }
}

/// Clients send from full JIDs, so an error to a bare one answers what the server sent in the
/// account's name, such as a carbon; that goes nowhere, whatever it repeats (§ 10.3).
fn copy_error(content: &Content, to: &Jid) -> Result<(), Skip> {
    let messaging = content.body || content.messaging || content.invitation;
    if to.is_full() && (messaging || !content.other) {
        Ok(())
    } else {
        Err(Skip::Error)
    }
}

/// What counts in a message, besides its type.
#[derive(Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a rule of § 6.1, and they are independent"
)]
struct Content {
    private: bool,
    carbon: bool,
    body: bool,
    /// A payload of instant messaging.
    messaging: bool,
    invitation: bool,
    /// Something about a room.
    room: bool,
    /// Something else than an error.
    other: bool,
}

impl Content {
    fn of(message: &Stanza) -> Self {
        let mut content = Self {
            body: message.content("body").is_some(),
            ..Self::default()
        };
        for child in message.root().children() {
            match (child.ns(), child.name()) {
                (ns::CARBONS, "private") | (ns::HINTS, "no-copy") => content.private = true,
                (ns::CARBONS, "sent" | "received") => content.carbon = true,
                (ns::MUC_USER, "x") => {
                    content.room = true;
                    content.invitation |= invites(child);
                }
                (ns::CONFERENCE, "x") => content.invitation = true,
                (ns::CLIENT | ns::SERVER, "error") => {}
                (ns, _) => {
                    content.messaging |= MESSAGING.contains(&ns);
                    content.other = true;
                }
            }
        }
        content
    }
}

/// A mediated invitation (XEP-0045 § 7.8.2).
fn invites(x: Element<'_>) -> bool {
    x.child("invite", ns::MUC_USER).is_some()
}

/// "Payload elements typically used in IM" (§ 6.1): the three named there, calls, and what is
/// encrypted, of which only the clients know what it is.
const MESSAGING: [&str; 8] = [
    ns::CHAT_STATES,
    ns::RECEIPTS,
    ns::CHAT_MARKERS,
    ns::JINGLE_MESSAGE,
    ns::ENCRYPTION,
    ns::OMEMO,
    ns::OMEMO_LEGACY,
    ns::OPENPGP,
];

#[cfg(test)]
mod tests {
    use super::{RECEIVED, SENT, Skip, should_copy};
    use crate::{feature::Side, features::fixtures::draft};
    use waxwing_proto::{Jid, ns};

    const BODY: &str = "<body>Hi</body>";
    const ROOM: &str = "<x xmlns='http://jabber.org/protocol/muc#user'/>";
    const INVITE: &str =
        "<x xmlns='http://jabber.org/protocol/muc#user'><invite to='a@localhost'/></x>";

    fn judge(side: Side, from: &str, to: &str, kind: &str, content: &str) -> Result<(), Skip> {
        let draft = draft(&format!("<message {kind}>{content}</message>"));
        let (from, to) = (Jid::parse(from).unwrap(), Jid::parse(to).unwrap());
        should_copy(draft.stanza(), side, &from, &to)
    }

    /// Rules that are the same for the sender's side and the recipient's.
    #[test]
    fn what_is_instant_messaging() {
        let private = "<private xmlns='urn:xmpp:carbons:2'/>";
        let no_copy = "<no-copy xmlns='urn:xmpp:hints'/>";
        let no_store = "<no-store xmlns='urn:xmpp:hints'/>";
        let sent = "<sent xmlns='urn:xmpp:carbons:2'/>";
        let state = "<active xmlns='http://jabber.org/protocol/chatstates'/>";
        let receipt = "<received xmlns='urn:xmpp:receipts' id='1'/>";
        let marker = "<displayed xmlns='urn:xmpp:chat-markers:0' id='1'/>";
        let call = "<propose xmlns='urn:xmpp:jingle-message:0' id='1'/>";
        let omemo = "<encrypted xmlns='eu.siacs.conversations.axolotl'/>";
        let direct = "<x xmlns='jabber:x:conference' jid='room@muc.localhost'/>";
        let event = "<event xmlns='http://jabber.org/protocol/pubsub#event'/>";
        let (chat, normal, headline) = ("type='chat'", "", "type='headline'");
        let (groupchat, error) = ("type='groupchat'", "type='error'");
        for (kind, content, expected) in [
            (chat, vec![BODY], Ok(())),
            (chat, vec![], Ok(())),
            (chat, vec![BODY, private], Err(Skip::Private)),
            (chat, vec![BODY, no_copy], Err(Skip::Private)),
            (chat, vec![BODY, private, no_copy], Err(Skip::Private)),
            (chat, vec![BODY, no_store], Ok(())),
            (chat, vec![BODY, sent], Err(Skip::Carbon)),
            (chat, vec![state], Ok(())),
            (normal, vec![BODY], Ok(())),
            ("type='normal'", vec![BODY], Ok(())),
            ("type='unheard-of'", vec![BODY], Ok(())),
            (normal, vec![], Err(Skip::NotMessaging)),
            (
                normal,
                vec!["<subject>S</subject>"],
                Err(Skip::NotMessaging),
            ),
            (
                normal,
                vec!["<body xmlns='urn:x'/>"],
                Err(Skip::NotMessaging),
            ),
            (normal, vec![event], Err(Skip::NotMessaging)),
            (normal, vec![state], Ok(())),
            (normal, vec![receipt], Ok(())),
            (normal, vec![marker], Ok(())),
            (normal, vec![marker, private], Err(Skip::Private)),
            (normal, vec![call], Ok(())),
            (normal, vec![omemo], Ok(())),
            (normal, vec![direct], Ok(())),
            (normal, vec![INVITE], Ok(())),
            (normal, vec![INVITE, private], Err(Skip::Private)),
            (headline, vec![BODY], Err(Skip::NotMessaging)),
            (headline, vec![event], Err(Skip::NotMessaging)),
            (headline, vec![marker], Ok(())),
            (groupchat, vec![BODY], Err(Skip::Groupchat)),
            (groupchat, vec![marker], Err(Skip::Groupchat)),
            (groupchat, vec![INVITE], Err(Skip::Groupchat)),
            (error, vec!["<error type='cancel'/>"], Ok(())),
            (error, vec![BODY, "<error type='cancel'/>"], Ok(())),
            (error, vec![marker, "<error type='cancel'/>"], Ok(())),
            (
                error,
                vec![event, "<error type='cancel'/>"],
                Err(Skip::Error),
            ),
            (
                error,
                vec![sent, "<error type='cancel'/>"],
                Err(Skip::Carbon),
            ),
        ] {
            let content = content.concat();
            for side in [Side::Sender, Side::Recipient] {
                let judged = judge(side, "a@localhost/x", "b@localhost/y", kind, &content);
                assert_eq!(judged, expected, "{side:?} {kind} {content}");
            }
        }
    }

    #[test]
    fn rooms_and_errors_depend_on_the_side() {
        let (chat, normal, error) = ("type='chat'", "", "type='error'");
        let (room, occupant) = ("room@muc.localhost", "room@muc.localhost/nick");
        let (bare, full) = ("a@localhost", "a@localhost/x");
        let (other, peer) = ("b@localhost", "b@localhost/y");
        let (ours, theirs) = (Side::Sender, Side::Recipient);
        let (none, in_room) = (Err(Skip::NotMessaging), Err(Skip::RoomPrivate));
        let not_ours = Err(Skip::Error);
        for (side, from, to, kind, content, expected) in [
            (ours, full, occupant, chat, ROOM, Ok(())),
            (ours, full, occupant, normal, ROOM, Ok(())),
            (ours, full, room, normal, ROOM, none),
            (ours, full, room, normal, INVITE, Ok(())),
            (theirs, occupant, full, chat, ROOM, in_room),
            (theirs, occupant, full, chat, BODY, Ok(())),
            (theirs, room, bare, normal, INVITE, Ok(())),
            (theirs, room, full, normal, ROOM, none),
            (theirs, occupant, full, error, BODY, Ok(())),
            (theirs, other, full, error, "", Ok(())),
            (theirs, peer, full, error, "", Ok(())),
            (theirs, peer, bare, error, "", not_ours),
            (ours, full, peer, error, "", Ok(())),
            (ours, full, bare, error, BODY, not_ours),
        ] {
            let judged = judge(side, from, to, kind, content);
            assert_eq!(judged, expected, "{side:?} {from} {to} {kind} {content}");
        }
    }

    #[test]
    fn wrappers_are_in_the_namespaces_of_the_specifications() {
        for wrapper in [RECEIVED, SENT] {
            let text = std::str::from_utf8(wrapper).unwrap();
            assert!(text.contains(&format!("xmlns='{}'", ns::CARBONS)));
            assert!(text.contains(&format!("<forwarded xmlns='{}'>", ns::FORWARD)));
        }
    }
}
