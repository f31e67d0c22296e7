//! What an account keeps besides messages: values that one client writes, and reads after each
//! crash.

use crate::{entry::Entry, plan::Dice, rooms};
use waxwing_proto::ns;
use waxwing_testkit::xml::Element;

/// Nothing is there.
const NOTHING: &str = "-";
const CONTACT: &str = "friend@elsewhere.example";
const BLOCKED_DOMAIN: &str = "blocked.example";
const ROOM_NAME: &str = "muc#roomconfig_roomname";
const ROOM: &str = "room@elsewhere.example";
const DOCUMENT: &str = "urn:waxwing:crash-test";

/// The values of one account, as its writer knows them.
#[derive(Debug)]
pub(crate) struct Values {
    account: u32,
    count: u32,
    /// What was read or written last; none where the server does not keep such things.
    known: [Option<String>; Values::COUNT],
}

impl Values {
    /// How many there are.
    pub(crate) const COUNT: usize = 8;
    const NAMES: [&str; Self::COUNT] = [
        "roster", "block", "private", "vcard", "node", "bookmark", "members", "roomname",
    ];

    pub(crate) fn new(account: u32) -> Self {
        Self {
            account,
            count: 0,
            known: [const { None }; Self::COUNT],
        }
    }

    /// Who is asked, if it is not the account.
    pub(crate) fn to(what: usize) -> Option<String> {
        let of_room = matches!(Self::name(what), "members" | "roomname");
        of_room.then(|| rooms::address(rooms::WRITTEN))
    }

    /// Whether this account's client writes it; a room's values have one writer, too.
    pub(crate) fn has(&self, what: usize) -> bool {
        Self::to(what).is_none() || self.account == rooms::OWNER
    }

    /// The request that reads one.
    pub(crate) fn get(what: usize) -> String {
        match Self::name(what) {
            "roster" => format!("<query xmlns='{}'/>", ns::ROSTER),
            "block" => format!("<blocklist xmlns='{}'/>", ns::BLOCKING),
            "private" => format!(
                "<query xmlns='{}'><v xmlns='{DOCUMENT}'/></query>",
                ns::PRIVATE
            ),
            "node" => format!(
                "<pubsub xmlns='{}'><items node='{DOCUMENT}'/></pubsub>",
                ns::PUBSUB
            ),
            "bookmark" => bookmarks(""),
            "members" => members("<item affiliation='member'/>"),
            "roomname" => format!("<query xmlns='{}'/>", ns::MUC_OWNER),
            _ => format!("<vCard xmlns='{}'/>", ns::VCARD),
        }
    }

    /// Takes the answer to [`Values::get`]; none if the server does not keep such things.
    pub(crate) fn was_read(&mut self, what: usize, answer: &Element) -> Option<Entry> {
        let value = match answer.attr("type") {
            Some("result") => Some(value(Self::name(what), answer)),
            // There is no vCard yet, or no node.
            _ if matches!(Self::name(what), "vcard" | "node")
                && format!("{answer}").contains("item-not-found") =>
            {
                Some(NOTHING.into())
            }
            _ => None,
        };
        if let Some(slot) = self.known.get_mut(what) {
            slot.clone_from(&value);
        }
        Some(Entry::Read {
            account: self.account,
            what: Self::name(what).into(),
            value: value?,
        })
    }

    /// The next value: what to note, and the request that writes it. None where the server does not
    /// keep such things.
    pub(crate) fn write(&mut self, what: usize, dice: &mut Dice) -> Option<(Entry, String)> {
        let slot = self.known.get_mut(what)?;
        let before = slot.clone()?;
        let there = before != NOTHING;
        self.count += 1;
        let fresh = format!("v{}", self.count);
        let (value, payload) = match Self::name(what) {
            "roster" if there && dice.chance(40) => {
                (NOTHING.to_owned(), roster_item("subscription='remove'"))
            }
            "roster" => (fresh.clone(), roster_item(&format!("name='{fresh}'"))),
            "block" if there => (
                NOTHING.to_owned(),
                format!("<unblock xmlns='{}'/>", ns::BLOCKING),
            ),
            "block" => (
                fresh.clone(),
                format!(
                    "<block xmlns='{}'><item jid='{fresh}@{BLOCKED_DOMAIN}'/></block>",
                    ns::BLOCKING
                ),
            ),
            "private" => (
                fresh.clone(),
                format!(
                    "<query xmlns='{}'><v xmlns='{DOCUMENT}'>{fresh}</v></query>",
                    ns::PRIVATE
                ),
            ),
            "node" if there && dice.chance(25) => (
                NOTHING.to_owned(),
                format!(
                    "<pubsub xmlns='{}'><delete node='{DOCUMENT}'/></pubsub>",
                    ns::PUBSUB_OWNER
                ),
            ),
            "node" => (
                fresh.clone(),
                format!(
                    "<pubsub xmlns='{}'><publish node='{DOCUMENT}'><item id='current'>\
                     <v xmlns='{DOCUMENT}'>{fresh}</v></item></publish></pubsub>",
                    ns::PUBSUB
                ),
            ),
            "bookmark" => (
                fresh.clone(),
                bookmarks(&format!("<conference jid='{ROOM}' name='{fresh}'/>")),
            ),
            "members" => {
                let into = Some(&fresh).filter(|_| !there || dice.chance(60));
                let value = into.map_or(NOTHING, String::as_str);
                (value.to_owned(), exchange(&before, into))
            }
            "roomname" => (fresh.clone(), rooms::configuration(&[(ROOM_NAME, &fresh)])),
            _ => (
                fresh.clone(),
                format!(
                    "<vCard xmlns='{}'><NICKNAME>{fresh}</NICKNAME></vCard>",
                    ns::VCARD
                ),
            ),
        };
        *slot = Some(value.clone());
        let entry = Entry::Write {
            account: self.account,
            what: Self::name(what).into(),
            value,
        };
        Some((entry, payload))
    }

    /// What to note of the answer to a write.
    pub(crate) fn was_written(&self, what: usize, done: bool) -> Entry {
        Entry::Written {
            account: self.account,
            what: Self::name(what).into(),
            done,
        }
    }

    fn name(what: usize) -> &'static str {
        Self::NAMES.get(what).copied().unwrap_or_default()
    }
}

fn roster_item(rest: &str) -> String {
    format!(
        "<query xmlns='{}'><item jid='{CONTACT}' {rest}/></query>",
        ns::ROSTER
    )
}

/// A request about those who belong to a room.
fn members(items: &str) -> String {
    format!("<query xmlns='{}'>{items}</query>", ns::MUC_ADMIN)
}

/// One request that puts one out of the room, if there is one, and takes another one in.
fn exchange(out: &str, into: Option<&String>) -> String {
    let out = Some(out).filter(|name| *name != NOTHING);
    let out = out.map(|name| item_of_room(name, "none"));
    let into = into.map(|name| item_of_room(name, "member"));
    members(&[out, into].map(Option::unwrap_or_default).concat())
}

fn item_of_room(name: &str, affiliation: &str) -> String {
    format!("<item jid='{name}@{BLOCKED_DOMAIN}' affiliation='{affiliation}'/>")
}

/// A request about bookmarks in private storage, which our server keeps on a node.
fn bookmarks(list: &str) -> String {
    format!(
        "<query xmlns='{}'><storage xmlns='{}'>{list}</storage></query>",
        ns::PRIVATE,
        ns::BOOKMARKS_LIST
    )
}

/// The value in a result.
fn value(name: &str, answer: &Element) -> String {
    let payload = answer.children().next();
    let mut inside = payload.into_iter().flat_map(Element::children);
    let found = match name {
        "roster" => inside
            .find(|item| item.attr("jid") == Some(CONTACT))
            .map(|item| item.attr("name").unwrap_or_default().to_owned()),
        "block" | "members" => {
            let suffix = format!("@{BLOCKED_DOMAIN}");
            let names = inside.filter_map(|item| item.attr("jid")?.strip_suffix(&suffix));
            Some(names.collect::<Vec<_>>().join("+"))
        }
        "roomname" => {
            let mut fields = inside.flat_map(Element::children);
            let field = fields.find(|field| field.attr("var") == Some(ROOM_NAME));
            let value =
                field.and_then(|field| field.children().find(|child| child.name.1 == "value"));
            value.map(Element::text)
        }
        "node" => {
            let item = inside.next().and_then(|items| items.children().next());
            let value = item.and_then(|item| item.children().next());
            value.map(Element::text)
        }
        "bookmark" => {
            let room = inside.next().and_then(|list| list.children().next());
            room.and_then(|room| room.attr("name")).map(str::to_owned)
        }
        _ => inside.next().map(Element::text),
    };
    found
        .filter(|text| !text.is_empty())
        .unwrap_or_else(|| NOTHING.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use waxwing_testkit::xml::parse_fragment;

    fn read(what: usize, payload: &str) -> String {
        let answer = format!("<iq type='result'>{payload}</iq>");
        let answer = &parse_fragment(&answer, &[]).unwrap()[0];
        Values::new(0).was_read(what, answer).unwrap().to_string()
    }

    #[test]
    fn values_are_read_from_results() {
        for (what, payload, want) in [
            (0, "<query xmlns='jabber:iq:roster'/>", "roster -"),
            (
                0,
                "<query xmlns='jabber:iq:roster'><item jid='x@y'/>\
                 <item jid='friend@elsewhere.example' name='v3'/></query>",
                "roster v3",
            ),
            (1, "<blocklist xmlns='urn:xmpp:blocking'/>", "block -"),
            (
                1,
                "<blocklist xmlns='urn:xmpp:blocking'><item jid='v3@blocked.example'/>\
                 <item jid='v4@blocked.example'/></blocklist>",
                "block v3+v4",
            ),
            (
                2,
                "<query xmlns='jabber:iq:private'><v xmlns='urn:waxwing:crash-test'>v3</v></query>",
                "private v3",
            ),
            (
                3,
                "<vCard xmlns='vcard-temp'><NICKNAME>v3</NICKNAME></vCard>",
                "vcard v3",
            ),
            (3, "<vCard xmlns='vcard-temp'/>", "vcard -"),
            (
                4,
                "<pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:waxwing:crash-test'>\
                 <item id='current'><v xmlns='urn:waxwing:crash-test'>v3</v></item></items></pubsub>",
                "node v3",
            ),
            (
                5,
                "<query xmlns='jabber:iq:private'><storage xmlns='storage:bookmarks'>\
                 <conference jid='room@elsewhere.example' name='v3'/></storage></query>",
                "bookmark v3",
            ),
            (
                5,
                "<query xmlns='jabber:iq:private'><storage xmlns='storage:bookmarks'/></query>",
                "bookmark -",
            ),
            (
                6,
                "<query xmlns='http://jabber.org/protocol/muc#admin'>\
                 <item jid='a1@localhost' affiliation='member'/>\
                 <item jid='v3@blocked.example' affiliation='member'/></query>",
                "members v3",
            ),
            (
                7,
                "<query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data'>\
                 <field var='muc#roomconfig_roomdesc'><value>d</value></field>\
                 <field var='muc#roomconfig_roomname' label='l'><value>v3</value></field></x></query>",
                "roomname v3",
            ),
        ] {
            assert_eq!(read(what, payload), format!("read 0 {want}"));
        }
    }

    #[test]
    fn what_the_server_does_not_keep_is_not_written() {
        let mut values = Values::new(0);
        let error = "<iq type='error'><error type='cancel'>\
            <service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>";
        let error = &parse_fragment(error, &[]).unwrap()[0];
        assert_eq!(values.was_read(2, error), None);
        assert!(values.write(2, &mut Dice::new(1, &[])).is_none());
    }
}
