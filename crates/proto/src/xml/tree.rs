//! A flat index over one element's bytes.

use super::escape::{unescape_text, unescape_value};
use super::index::{Entry, Kind, NsId, Table, slice};
use super::render;
use super::scan::Scanner;
use super::scope::Scope;
use super::{Limits, XmlError};
use crate::ns;
use bytes::Bytes;
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// One element: its bytes and an index of its nodes. Cheap to clone (shared).
#[derive(Clone)]
pub struct Tree(Arc<Shared>);

struct Shared {
    bytes: Bytes,
    table: Table,
    scope: Arc<Scope>,
}

/// A child node.
#[derive(Debug, Clone, Copy)]
pub enum Node<'a> {
    /// An element.
    Element(Element<'a>),
    /// Character data as on the wire, not yet unescaped; see [`Element::text`] and
    /// [`super::unescape_text`].
    Text(&'a str),
}

/// One attribute, namespace declarations excluded.
#[derive(Debug, Clone)]
pub struct Attribute<'a> {
    /// Namespace name, empty for none.
    pub ns: &'a str,
    /// Local name.
    pub name: &'a str,
    /// Normalised, unescaped value.
    pub value: Cow<'a, str>,
}

/// A borrowed element of a [`Tree`]. Equal elements are one element of one tree, not two that
/// look alike.
#[derive(Clone, Copy)]
pub struct Element<'a> {
    tree: &'a Shared,
    entry: &'a Entry,
    at: usize,
}

impl Tree {
    /// Parses exactly one element that stands alone, `default_ns` being in scope. Nothing may
    /// stand before or after it, not even white space.
    pub fn parse(bytes: Bytes, default_ns: &str, limits: &Limits) -> Result<Self, XmlError> {
        let scope = Scope::default_ns(default_ns);
        if bytes.len() <= limits.bytes_max && simdutf8::basic::from_utf8(&bytes).is_err() {
            return Err(XmlError::NotWellFormed("not UTF-8"));
        }
        let mut scanner = Scanner::element(*limits);
        match scanner.run(&bytes, &scope)? {
            Some(len) if len == bytes.len() => Ok(Self::new(bytes, scanner.finish(), scope)),
            Some(_) => Err(XmlError::NotWellFormed("bytes after the element")),
            None => Err(XmlError::NotWellFormed("the element has no end")),
        }
    }

    /// `table` must be the index of `bytes`, with one entry at least.
    pub(super) fn new(bytes: Bytes, table: Table, scope: Arc<Scope>) -> Self {
        Self(Arc::new(Shared {
            bytes,
            table,
            scope,
        }))
    }

    /// The top-level element.
    pub fn root(&self) -> Element<'_> {
        let shared = &*self.0;
        let entry = shared.table.entries.first().unwrap_or(&NOTHING);
        Element {
            tree: shared,
            entry,
            at: 0,
        }
    }

    /// The element's bytes as received.
    pub fn bytes(&self) -> &Bytes {
        &self.0.bytes
    }

    /// The default namespace that the top-level element itself declares.
    pub fn declared_default_ns(&self) -> Option<&str> {
        declarations(self).find_map(|(prefix, ns)| prefix.is_empty().then_some(ns))
    }

    /// Whether no prefix of the stream's header is used, so that the bytes mean the same wherever
    /// the default namespace is the same.
    pub fn is_self_contained(&self) -> bool {
        !self.0.table.uses_outer_prefix
    }

    /// Whether an element of a content namespace (`jabber:client` or `jabber:server`) has it from
    /// another declaration than its parent, which has one, too, or from the root's, which its
    /// parent does not have. Copied to a stream of the other kind, the bytes would not mean the
    /// same.
    pub fn has_mixed_content(&self) -> bool {
        self.0.table.mixed_content
    }

    /// Bytes of memory that the index takes, beside the element's own bytes.
    pub fn index_bytes(&self) -> usize {
        size_of::<Shared>() + self.0.table.entries.capacity() * size_of::<Entry>()
    }
}

/// Stands for the root of a tree without entries, which does not exist.
static NOTHING: Entry = Entry {
    start: 0,
    body: 0,
    end: 0,
    next: 0,
    ns: NsId::NONE,
    local_len: 0,
    prefix_len: 0,
    kind: Kind::Element,
};

impl fmt::Debug for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tree").field(&self.0.bytes).finish()
    }
}

impl<'a> Element<'a> {
    /// Local name.
    pub fn name(&self) -> &'a str {
        text(self.entry.local(&self.tree.bytes))
    }
    /// Namespace name, empty for none.
    pub fn ns(&self) -> &'a str {
        text(self.ns_bytes(self.entry.ns))
    }
    /// Whether this is the element `{ns}name`.
    pub fn is(&self, name: &str, ns: &str) -> bool {
        self.entry.local(&self.tree.bytes) == name.as_bytes()
            && self.ns_bytes(self.entry.ns) == ns.as_bytes()
    }
    /// Whether this is its tree's top-level element.
    pub fn is_root(&self) -> bool {
        self.at == 0
    }
    /// The name as written, with its prefix.
    pub(crate) fn qname(&self) -> &'a str {
        text(self.entry.qname(&self.tree.bytes))
    }
    /// Whether the name was written with a prefix.
    pub fn has_prefix(&self) -> bool {
        self.entry.prefix_len > 0
    }
    /// Value of the attribute without namespace.
    pub fn attr(&self, name: &str) -> Option<Cow<'a, str>> {
        let bytes = &self.tree.bytes;
        let wanted = |entry: &&Entry| {
            entry.kind == Kind::Attribute
                && entry.prefix_len == 0
                && entry.local(bytes) == name.as_bytes()
        };
        let entry = self.attribute_entries().iter().find(wanted)?;
        Some(unescape_value(text(entry.value(bytes))))
    }
    /// Value of the attribute `{ns}name`.
    pub fn attr_ns(&self, name: &str, ns: &str) -> Option<Cow<'a, str>> {
        let bytes = &self.tree.bytes;
        let wanted = |entry: &&Entry| {
            entry.kind == Kind::Attribute
                && entry.local(bytes) == name.as_bytes()
                && self.ns_bytes(entry.ns) == ns.as_bytes()
        };
        let entry = self.attribute_entries().iter().find(wanted)?;
        Some(unescape_value(text(entry.value(bytes))))
    }
    /// The `xml:lang` attribute of this very element.
    pub fn lang(&self) -> Option<Cow<'a, str>> {
        self.attr_ns("lang", ns::XML)
    }
    /// All attributes, namespace declarations excluded.
    pub fn attrs(&self) -> impl Iterator<Item = Attribute<'a>> + 'a + use<'a> {
        let element = *self;
        let attributes = self.attribute_entries().iter();
        attributes
            .filter(|entry| entry.kind == Kind::Attribute)
            .map(move |entry| Attribute {
                ns: text(element.ns_bytes(entry.ns)),
                name: text(entry.local(&element.tree.bytes)),
                value: unescape_value(text(entry.value(&element.tree.bytes))),
            })
    }
    /// Child elements.
    pub fn children(&self) -> impl Iterator<Item = Element<'a>> + 'a + use<'a> {
        let tree = self.tree;
        let mut at = self.first_child();
        let end = self.entry.next as usize;
        std::iter::from_fn(move || {
            let entry = tree.table.entries.get(at).filter(|_| at < end)?;
            let child = Element { tree, entry, at };
            at = entry.next as usize;
            Some(child)
        })
    }
    /// Child nodes: elements and text. Character data between two tags is one node, whatever it
    /// is written with; there are no empty ones.
    pub fn nodes(&self) -> impl Iterator<Item = Node<'a>> + 'a + use<'a> {
        let tree = self.tree;
        let (mut position, end) = self.content();
        let mut children = self.children().peekable();
        std::iter::from_fn(move || {
            let stop = children
                .peek()
                .map_or(end, |child| child.entry.start as usize);
            if position < stop {
                let run = text(slice(&tree.bytes, position, stop));
                position = stop;
                return Some(Node::Text(run));
            }
            let child = children.next()?;
            position = child.entry.end as usize;
            Some(Node::Element(child))
        })
    }
    /// First child element `{ns}name`.
    pub fn child(&self, name: &str, ns: &str) -> Option<Element<'a>> {
        self.children().find(|child| child.is(name, ns))
    }
    /// All character data directly inside, unescaped.
    pub fn text(&self) -> Cow<'a, str> {
        let mut runs = self.nodes().filter_map(|node| match node {
            Node::Text(raw) => Some(unescape_text(raw)),
            Node::Element(_) => None,
        });
        let first = runs.next().unwrap_or_default();
        runs.fold(first, |all, run| all + run)
    }
    /// The element rewritten so that it means the same where `default_ns` is in scope and no
    /// prefix is: the received bytes when they already do, else a new rendering.
    pub fn standalone(&self, default_ns: &str) -> Bytes {
        let span = self.span();
        if self.stands_alone(default_ns) {
            self.tree.bytes.slice(span)
        } else {
            render::element(*self, default_ns)
        }
    }
    /// What is inside the element, rewritten as by [`Self::standalone`].
    pub fn inner(&self, default_ns: &str) -> Bytes {
        let (start, end) = self.content();
        if self.children().all(|child| child.stands_alone(default_ns)) {
            self.tree.bytes.slice(start..end)
        } else {
            render::content(*self, default_ns)
        }
    }
    /// Where the element stands in its tree's bytes.
    pub fn span(&self) -> std::ops::Range<usize> {
        self.entry.start as usize..self.entry.end as usize
    }

    /// Where its content stands: from the end of the start tag to the start of the end tag.
    pub fn content(&self) -> (usize, usize) {
        let (body, end) = (self.entry.body as usize, self.entry.end as usize);
        // The last `<` of an element is that of its end tag; an empty element has none left.
        let inside = slice(&self.tree.bytes, body, end);
        (body, body + memchr::memrchr(b'<', inside).unwrap_or(0))
    }

    /// Attributes as written, for copying: unprefixed name or `None`, and `name='value'`.
    /// The default namespace's declaration is left out, those of prefixes are not.
    pub(crate) fn raw_attributes(
        &self,
    ) -> impl Iterator<Item = (Option<&'a [u8]>, &'a [u8])> + 'a + use<'a> {
        let bytes = &self.tree.bytes;
        let kept = |entry: &&Entry| entry.kind == Kind::Attribute || entry.prefix_len > 0;
        self.attribute_entries()
            .iter()
            .filter(kept)
            .map(move |entry| {
                let name = (entry.prefix_len == 0).then(|| entry.local(bytes));
                // the closing quote is one byte
                (
                    name,
                    slice(bytes, entry.start as usize, entry.end as usize + 1),
                )
            })
    }

    /// Whether the bytes mean the same where `default_ns` is in scope and no prefix is.
    fn stands_alone(&self, default_ns: &str) -> bool {
        let inside = self.at..self.entry.next as usize;
        let entries = self
            .tree
            .table
            .entries
            .get(inside.clone())
            .unwrap_or_default();
        entries.iter().all(|entry| {
            let own = entry
                .ns
                .declaration()
                .is_some_and(|at| inside.contains(&at));
            match entry.kind {
                Kind::Declaration => true,
                Kind::Attribute => own || entry.ns == NsId::NONE || entry.ns == NsId::XML,
                Kind::Element if entry.prefix_len > 0 => own || entry.ns == NsId::XML,
                Kind::Element => own || self.ns_bytes(entry.ns) == default_ns.as_bytes(),
            }
        })
    }

    fn ns_bytes(&self, id: NsId) -> &'a [u8] {
        self.tree.table.ns(&self.tree.bytes, &self.tree.scope, id)
    }

    fn attribute_entries(&self) -> &'a [Entry] {
        let first = self.at + 1;
        self.tree
            .table
            .entries
            .get(first..self.first_child())
            .unwrap_or_default()
    }

    fn first_child(&self) -> usize {
        let inside = self
            .tree
            .table
            .entries
            .get(self.at + 1..self.entry.next as usize);
        let attributes = inside.unwrap_or_default().iter();
        self.at
            + 1
            + attributes
                .take_while(|entry| entry.kind != Kind::Element)
                .count()
    }
}

/// Prefixes and namespaces that the element declares, for the scope of a stream.
pub(super) fn declarations(tree: &Tree) -> impl Iterator<Item = (&str, &str)> {
    let root = tree.root();
    let declarations = root.attribute_entries().iter();
    declarations
        .filter(|entry| entry.kind == Kind::Declaration)
        .map(move |entry| {
            let bytes = &root.tree.bytes;
            (
                text(entry.declared_prefix(bytes)),
                text(root.tree.table.declared(bytes, entry)),
            )
        })
}

impl PartialEq for Element<'_> {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.tree, other.tree) && self.at == other.at
    }
}

impl Eq for Element<'_> {}

impl fmt::Debug for Element<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tree, entry, .. } = self;
        f.write_str(text(slice(
            &tree.bytes,
            entry.start as usize,
            entry.end as usize,
        )))
    }
}

/// The bytes of a tree are valid UTF-8 and its offsets are at characters' starts; checking it
/// again costs less than a dependency that may not.
fn text(bytes: &[u8]) -> &str {
    simdutf8::basic::from_utf8(bytes).unwrap_or_default()
}
