//! One bookmark, as an item of its own (XEP-0402 § 3) and as an entry of a list (XEP-0048 § 2).

use bytes::Bytes;
use waxwing_proto::{
    Jid, ns,
    xml::{self, Element, Writer},
};

/// A bookmarked room without its address.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Bookmark {
    name: Option<String>,
    autojoin: bool,
    nick: Option<String>,
    password: Option<String>,
    /// Elements that this server knows nothing of, each declaring its namespace.
    extensions: Vec<Extension>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Extension {
    ns: String,
    name: String,
    xml: Bytes,
}

impl Bookmark {
    /// Reads `<conference/>` of either kind. What a list's entry has of foreign elements is in its
    /// midst, and here among the extensions.
    pub(super) fn read(conference: Element<'_>) -> Self {
        let own = conference.ns();
        let text = |name| {
            let child = conference.child(name, own);
            child.map(|child| child.text().into_owned())
        };
        let known = |child: &Element<'_>| {
            child.ns() == own && matches!(child.name(), "nick" | "password" | "extensions")
        };
        let wrapped = conference.child("extensions", ns::BOOKMARKS).into_iter();
        let wrapped = wrapped.flat_map(|wrapper| wrapper.children());
        let loose = conference
            .children()
            .filter(|child| !known(child) && !child.is("extensions", ns::BOOKMARKS));
        Self {
            name: conference.attr("name").map(std::borrow::Cow::into_owned),
            autojoin: conference
                .attr("autojoin")
                .is_some_and(|wish| xml::boolean(&wish) == Some(true)),
            nick: text("nick").filter(|nick| !nick.is_empty()),
            password: text("password").filter(|password| !password.is_empty()),
            extensions: wrapped.chain(loose).map(Extension::read).collect(),
        }
    }

    /// Adds the extensions of the bookmark that this one replaces, but for those that it has itself:
    /// who writes a list has often dropped what it did not know.
    pub(super) fn keep_extensions(&mut self, before: &Self) {
        for kept in &before.extensions {
            let same = |own: &Extension| own.ns == kept.ns && own.name == kept.name;
            if !self.extensions.iter().any(same) {
                self.extensions.push(kept.clone());
            }
        }
        // In the order that they had, so that nothing seems to have changed.
        let place = |one: &Extension| {
            let same = |kept: &Extension| one.ns == kept.ns && one.name == kept.name;
            before
                .extensions
                .iter()
                .position(same)
                .unwrap_or(usize::MAX)
        };
        self.extensions.sort_by_key(place);
    }

    /// As the payload of an item.
    pub(super) fn item(&self) -> Bytes {
        let mut xml = Writer::new("");
        xml.start_ns("conference", ns::BOOKMARKS);
        self.content(&mut xml);
        if !self.extensions.is_empty() {
            xml.start("extensions");
            self.write_extensions(&mut xml);
            xml.end();
        }
        xml.end();
        xml.finish()
    }

    /// As an entry of a list that is open.
    pub(super) fn entry(&self, jid: &str, xml: &mut Writer) {
        xml.start("conference").attr("jid", jid);
        self.content(xml);
        self.write_extensions(xml);
        xml.end();
    }

    fn content(&self, xml: &mut Writer) {
        xml.attr_opt("name", self.name.as_deref());
        if self.autojoin {
            xml.attr("autojoin", "true");
        }
        for (name, text) in [("nick", &self.nick), ("password", &self.password)] {
            if let Some(text) = text {
                xml.leaf(name, text);
            }
        }
    }

    fn write_extensions(&self, xml: &mut Writer) {
        for extension in &self.extensions {
            xml.raw(&extension.xml);
        }
    }
}

impl Extension {
    fn read(element: Element<'_>) -> Self {
        Self {
            ns: element.ns().to_owned(),
            name: element.name().to_owned(),
            xml: element.standalone(""),
        }
    }
}

/// A room's address as two of them are compared; what is none is compared as it is written.
pub(super) fn address(text: &str) -> String {
    Jid::parse(text).map_or_else(|_| text.to_owned(), |jid| jid.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use waxwing_proto::xml::{Limits, Tree};

    fn read(xml: &str) -> Bookmark {
        let tree = Tree::parse(Bytes::copy_from_slice(xml.as_bytes()), "", &Limits::C2S).unwrap();
        Bookmark::read(tree.root())
    }

    fn entry(bookmark: &Bookmark) -> String {
        let mut xml = Writer::new("");
        xml.start_ns("storage", ns::BOOKMARKS_LIST);
        bookmark.entry("a@b.example", &mut xml);
        xml.end();
        String::from_utf8(xml.finish().to_vec()).unwrap()
    }

    fn first(list: &str) -> Bookmark {
        let tree = Tree::parse(Bytes::copy_from_slice(list.as_bytes()), "", &Limits::C2S).unwrap();
        Bookmark::read(tree.root().children().next().unwrap())
    }

    /// Item, entry, and item again: the same bookmark, for everything that one can have.
    #[test]
    fn both_views_say_the_same() {
        for content in [
            "/>",
            " name='A &amp; B' autojoin='1'/>",
            "><nick>JC</nick><password>&lt;</password></conference>",
            "><nick>JC</nick><extensions><a xmlns='urn:a' b='1'><c/>text</a><pinned xmlns='urn:xmpp:bookmarks-pinning:0'/></extensions></conference>",
        ] {
            let bookmark = read(&format!(
                "<conference xmlns='urn:xmpp:bookmarks:1'{content}"
            ));
            assert_eq!(first(&entry(&bookmark)), bookmark, "{content}");
            let item = bookmark.item();
            assert_eq!(
                read(std::str::from_utf8(&item).unwrap()),
                bookmark,
                "{content}"
            );
        }
    }

    #[test]
    fn extensions_survive_those_who_do_not_know_them() {
        let native = |inner: &str| {
            read(&format!(
                "<conference xmlns='urn:xmpp:bookmarks:1'><extensions>{inner}</extensions></conference>"
            ))
        };
        let (a, b) = ("<a xmlns='urn:a'/>", "<b xmlns='urn:b'/>");
        let changed = "<a xmlns='urn:a' new='1'/>";
        for (before, written, after) in [
            (format!("{a}{b}"), String::new(), format!("{a}{b}")),
            (
                format!("{a}{b}"),
                changed.to_owned(),
                format!("{changed}{b}"),
            ),
            (a.to_owned(), b.to_owned(), format!("{a}{b}")),
            (String::new(), b.to_owned(), b.to_owned()),
        ] {
            let mut bookmark = native(&written);
            bookmark.keep_extensions(&native(&before));
            assert_eq!(bookmark, native(&after), "{before} {written}");
        }
    }
}
