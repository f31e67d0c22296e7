//! The messages of the test: how they are written, and recognised wherever they turn up.

use crate::{
    entry::{Channel, Digest, Key, Party, Word as _, account_name},
    rooms,
};
use waxwing_proto::ns;
use waxwing_testkit::{
    subject::DOMAIN,
    xml::{Element, Node},
};

/// Stands at the beginning of each body, before the key.
const MARK: &str = "crash-test";
/// Characters of a body that are of the odd kind; long ones only need to be long.
const ODD_MAX: usize = 300;
/// Put on archived messages by ejabberd, beside the stanza-id.
const ARCHIVED: &str = "urn:xmpp:mam:tmp";

/// The bare JID of an account.
pub(crate) fn bare(account: u32) -> String {
    format!("{}@{DOMAIN}", account_name(account))
}

/// The bare JID of an account or a room.
pub(crate) fn address(party: Party) -> String {
    match party {
        Party::Account(account) => bare(account),
        Party::Room(room) => rooms::address(room),
    }
}

/// A message: its wire form, and the digest by which it is known.
pub(crate) fn message(key: Key, to: Party, bytes: usize) -> (String, Digest) {
    let (name, to_jid) = (key.to_string(), address(to));
    let kind = match to {
        Party::Account(_) => "chat",
        Party::Room(_) => "groupchat",
    };
    // Every character that must be escaped, and some that need more than one byte.
    let odd = "a <b> & 'c' \"d\" äöü 🐦 "
        .chars()
        .cycle()
        .take(bytes.min(ODD_MAX));
    let filler: String = odd
        .chain("x".repeat(bytes.saturating_sub(ODD_MAX)).chars())
        .collect();
    let body = format!("{MARK} {name} {to} {filler}.");
    let body = waxwing_testkit::xml::Escaped(&body);
    let wire = format!(
        "<message to='{to_jid}' type='{kind}' id='{name}'><body>{body}</body>\
         <origin-id xmlns='{}' id='{name}'/></message>",
        ns::STANZA_ID
    );
    let parsed = waxwing_testkit::xml::parse_fragment(&wire, &[]).unwrap_or_default();
    let digest = parsed.first().map_or(Digest(0), digest);
    (wire, digest)
}

/// A stanza that need not be kept (XEP-0334 § 4.2), and is not looked at.
pub(crate) fn noise(to: u32) -> String {
    format!(
        "<message to='{}' type='chat'><composing xmlns='{}'/><no-store xmlns='{}'/></message>",
        bare(to),
        ns::CHAT_STATES,
        ns::HINTS
    )
}

/// What a stanza tells about the messages of the test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// A copy of one.
    Copy {
        channel: Channel,
        /// Whose archive has it.
        of: Party,
        /// Archive id, if the copy bears one of ours.
        id: Option<String>,
        key: Key,
        digest: Digest,
    },
    /// An error in answer to one.
    Refused { key: Key, condition: String },
}

/// Reads a stanza that came to a client of `account`.
pub(crate) fn arrival(stanza: &Element, account: u32) -> Option<Arrival> {
    if !stanza.is("message", ns::CLIENT) {
        return None;
    }
    if stanza.attr("type") == Some("error") {
        let error = stanza.child("error", ns::CLIENT);
        let condition = error.and_then(|error| error.children().next());
        return Some(Arrival::Refused {
            key: Key::read(stanza.attr("id")?)?,
            condition: condition.map_or_else(String::new, |found| found.name.1.clone()),
        });
    }
    let (channel, inner, archive_id) = unwrap(stanza)?;
    let body = inner.child("body", ns::CLIENT)?.text();
    let mut words = body.split(' ');
    if words.next() != Some(MARK) {
        return None;
    }
    let of = match inner.attr("type") {
        Some("groupchat") => Party::Room(rooms::number(inner.attr("from")?)?),
        _ => Party::Account(account),
    };
    let by = address(of);
    let stamped = inner
        .children()
        .find(|child| child.is("stanza-id", ns::STANZA_ID) && child.attr("by") == Some(&by))
        .and_then(|child| child.attr("id"));
    Some(Arrival::Copy {
        channel,
        of,
        id: archive_id.or(stamped).map(str::to_owned),
        key: Key::read(words.next()?)?,
        digest: digest(inner),
    })
}

/// The message itself, out of what it is wrapped in; and the id that an archive gives it.
fn unwrap(stanza: &Element) -> Option<(Channel, &Element, Option<&str>)> {
    if let Some(result) = stanza.child("result", ns::MAM) {
        let inner = result
            .child("forwarded", ns::FORWARD)?
            .child("message", ns::CLIENT)?;
        return Some((Channel::Archive, inner, result.attr("id")));
    }
    for (name, channel) in [
        ("received", Channel::CarbonReceived),
        ("sent", Channel::CarbonSent),
    ] {
        if let Some(carbon) = stanza.child(name, ns::CARBONS) {
            let inner = carbon
                .child("forwarded", ns::FORWARD)?
                .child("message", ns::CLIENT)?;
            return Some((channel, inner, None));
        }
    }
    let waited = stanza.child("delay", ns::DELAY).is_some();
    let channel = if waited { Channel::Late } else { Channel::Live };
    Some((channel, stanza, None))
}

/// FNV-1a over each child without those that servers add. Sums, because some servers write the
/// children in another order.
fn digest(message: &Element) -> Digest {
    let added = |child: &&Element| {
        child.is("stanza-id", ns::STANZA_ID)
            || child.is("delay", ns::DELAY)
            || child.is("occupant-id", ns::OCCUPANT_ID)
            || child.is("x", ns::MUC_USER)
            || child.is("archived", ARCHIVED)
    };
    let children = message.children().filter(|child| !added(child));
    let digests = children.map(|child| of_element(child, FNV_OFFSET));
    Digest(digests.fold(0, u64::wrapping_add))
}

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;

fn of_element(element: &Element, start: u64) -> u64 {
    let of_text = |hash: u64, text: &str| {
        let hash = text.bytes().fold(hash, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        // Where it ends is part of it.
        (hash ^ 0xff).wrapping_mul(0x0100_0000_01b3)
    };
    let (ns, name) = &element.name;
    let mut hash = of_text(of_text(start, ns), name);
    for ((ns, name), value) in &element.attrs {
        hash = [ns, name, value]
            .into_iter()
            .fold(hash, |hash, text| of_text(hash, text));
    }
    for node in &element.nodes {
        hash = match node {
            Node::Element(child) => of_element(child, hash),
            Node::Text(text) => of_text(hash, text),
        };
    }
    of_text(hash, "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::DeviceId;
    use waxwing_testkit::xml::parse_fragment;

    const KEY: Key = Key {
        sender: DeviceId {
            account: 1,
            index: 0,
        },
        stream: 2,
        seq: 3,
    };

    fn copy(channel: Channel, id: Option<&str>, digest: Digest) -> Arrival {
        Arrival::Copy {
            channel,
            of: Party::Account(0),
            id: id.map(str::to_owned),
            key: KEY,
            digest,
        }
    }

    fn read(wire: &str) -> Option<Arrival> {
        arrival(&parse_fragment(wire, &[]).unwrap()[0], 0)
    }

    #[test]
    fn a_message_is_known_on_every_channel() {
        let (wire, digest) = message(KEY, Party::Account(0), 50);
        let stamp = "<stanza-id xmlns='urn:xmpp:sid:0' by='a0@localhost' id='7'/>\
                     <stanza-id xmlns='urn:xmpp:sid:0' by='a1@localhost' id='8'/></message>";
        let stamped = wire.replace("</message>", stamp);
        let forwarded = format!("<forwarded xmlns='urn:xmpp:forward:0'>{stamped}</forwarded>")
            .replace("<message ", "<message xmlns='jabber:client' ");
        let carbon = |name: &str| {
            format!("<message><{name} xmlns='urn:xmpp:carbons:2'>{forwarded}</{name}></message>")
        };
        assert_eq!(read(&wire), Some(copy(Channel::Live, None, digest)));
        assert_eq!(read(&stamped), Some(copy(Channel::Live, Some("7"), digest)));
        let late = stamped.replace(
            "</message>",
            "<delay xmlns='urn:xmpp:delay' stamp='2026-01-01T00:00:00Z'/></message>",
        );
        assert_eq!(read(&late), Some(copy(Channel::Late, Some("7"), digest)));
        assert_eq!(
            read(&carbon("received")),
            Some(copy(Channel::CarbonReceived, Some("7"), digest))
        );
        assert_eq!(
            read(&carbon("sent")),
            Some(copy(Channel::CarbonSent, Some("7"), digest))
        );
        let result = format!(
            "<message><result xmlns='urn:xmpp:mam:2' id='9'>{forwarded}</result></message>"
        );
        assert_eq!(
            read(&result),
            Some(copy(Channel::Archive, Some("9"), digest))
        );
    }

    #[test]
    fn what_a_room_adds_is_not_content() {
        let (wire, digest) = message(KEY, Party::Room(1), 50);
        let from = format!("<message from='{}/a1.d0' ", rooms::address(1));
        let stamp = format!(
            "<occupant-id xmlns='urn:xmpp:occupant-id:0' id='x'/><stanza-id \
             xmlns='urn:xmpp:sid:0' by='{}' id='7'/></message>",
            rooms::address(1)
        );
        let reflected = wire
            .replace("<message ", &from)
            .replace("</message>", &stamp);
        let copy = Arrival::Copy {
            channel: Channel::Live,
            of: Party::Room(1),
            id: Some("7".into()),
            key: KEY,
            digest,
        };
        assert_eq!(read(&reflected), Some(copy));
        // Of a room that is none of ours nothing is said.
        assert_eq!(
            read(&reflected.replace("from='r1@", "from='elsewhere@")),
            None
        );
    }

    #[test]
    fn other_content_is_another_digest() {
        let (wire, digest) = message(KEY, Party::Account(0), 50);
        let changed = wire.replace(".</body>", "</body>");
        assert_ne!(changed, wire);
        assert_ne!(read(&changed), Some(copy(Channel::Live, None, digest)));
    }

    #[test]
    fn errors_are_told_from_messages_and_noise_from_both() {
        let error = "<message type='error' id='a1.d0/2/3'><error type='wait'>\
            <resource-constraint xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>";
        let condition = "resource-constraint".to_owned();
        assert_eq!(
            read(error),
            Some(Arrival::Refused {
                key: KEY,
                condition
            })
        );
        assert_eq!(read(&noise(0)), None);
        assert_eq!(read("<presence/>"), None);
    }
}
