//! The index of one element: a flat list of its tags and attributes in document order.

use super::escape;
use super::scope::Scope;
use super::{Limits, XmlError};
use crate::ns;
use smallvec::SmallVec;

/// Namespace declarations in scope at once, those of ancestors included. Bounds the cost of
/// looking a prefix up.
const DECLARATIONS_MAX: usize = 256;
/// Bytes of a prefix: its length is kept in one byte.
const PREFIX_BYTES_MAX: usize = 255;
/// The namespace that only `xmlns` itself has (XML Namespaces § 3).
const XMLNS: &[u8] = b"http://www.w3.org/2000/xmlns/";

/// What an [`Entry`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Element,
    Attribute,
    /// `xmlns='…'` or `xmlns:…='…'`.
    Declaration,
}

/// One element or attribute. 24 bytes, and the shortest element has four, the shortest attribute
/// five: so an index is never larger than six times its bytes.
///
/// An element is followed by its attributes, these by its child elements. Character data has no
/// entry: it is what lies between the tags.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    /// Element: offset of `<`. Attribute: offset of its name.
    pub(super) start: u32,
    /// Element: offset after the start tag. Attribute: offset of the value.
    pub(super) body: u32,
    /// Element: offset after the end tag. Attribute: offset after the value.
    pub(super) end: u32,
    /// Element: position in the list after all that is inside it; while the element is open, the
    /// position of its parent.
    pub(super) next: u32,
    pub(super) ns: NsId,
    pub(super) local_len: u16,
    pub(super) prefix_len: u8,
    pub(super) kind: Kind,
}

/// Where the name of a namespace is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NsId(u32);

impl NsId {
    /// No namespace.
    pub(super) const NONE: Self = Self(u32::MAX);
    /// The namespace of the prefix `xml`.
    pub(super) const XML: Self = Self(u32::MAX - 1);
    /// From here on: bindings of the surrounding [`Scope`]. Below: the declaration at this
    /// position of the list.
    const SCOPE: u32 = 0x8000_0000;

    /// The declaration inside the tree.
    pub(super) fn declaration(self) -> Option<usize> {
        (self.0 < Self::SCOPE).then_some(self.0 as usize)
    }
    /// The binding outside the tree.
    pub(super) fn scope(self) -> Option<usize> {
        (self.0 >= Self::SCOPE && self.0 < Self::XML.0).then(|| (self.0 - Self::SCOPE) as usize)
    }
}

/// A name as scanned: offsets of its parts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Name {
    pub(super) start: usize,
    /// Bytes before the colon; 0 without one.
    pub(super) prefix_len: usize,
    pub(super) local_len: usize,
}

impl Entry {
    fn name_start(&self) -> usize {
        match self.kind {
            Kind::Element => self.start as usize + 1,
            Kind::Attribute | Kind::Declaration => self.start as usize,
        }
    }
    /// The name as written.
    pub(super) fn qname<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        let colon = usize::from(self.prefix_len > 0);
        let len = usize::from(self.prefix_len) + colon + usize::from(self.local_len);
        slice(bytes, self.name_start(), self.name_start() + len)
    }
    pub(super) fn prefix<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        slice(
            bytes,
            self.name_start(),
            self.name_start() + usize::from(self.prefix_len),
        )
    }
    pub(super) fn local<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        let colon = usize::from(self.prefix_len > 0);
        let start = self.name_start() + usize::from(self.prefix_len) + colon;
        slice(bytes, start, start + usize::from(self.local_len))
    }
    /// The prefix that a declaration binds, empty for the default namespace.
    pub(super) fn declared_prefix<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        if self.prefix_len > 0 {
            self.local(bytes)
        } else {
            b""
        }
    }
    /// An attribute's value as written.
    pub(super) fn value<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        slice(bytes, self.body as usize, self.end as usize)
    }
}

/// `bytes[start..end]`, empty when out of bounds, which offsets of one tree never are.
pub(super) fn slice(bytes: &[u8], start: usize, end: usize) -> &[u8] {
    bytes.get(start..end).unwrap_or_default()
}

/// An offset as kept; [`Limits::representable`] sees to it that it fits.
fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// The entries, with what is needed to read the names of their namespaces.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) entries: Vec<Entry>,
    /// Namespace names that were written with references or line ends. A declaration's `ns` is a
    /// position here, or [`NsId::NONE`] if its bytes are the name.
    rewritten: Vec<Box<str>>,
    /// Whether a prefix of the surrounding scope is used somewhere.
    pub(super) uses_outer_prefix: bool,
    /// Whether an element of a content namespace (`jabber:client` or `jabber:server`) has it from
    /// another declaration than its parent, which has one, too, or from the root's, which its
    /// parent does not have.
    pub(super) mixed_content: bool,
}

impl Table {
    /// The name of a namespace.
    pub(super) fn ns<'a>(&'a self, bytes: &'a [u8], scope: &'a Scope, id: NsId) -> &'a [u8] {
        if id == NsId::NONE {
            b""
        } else if id == NsId::XML {
            ns::XML.as_bytes()
        } else if let Some(at) = id.scope() {
            scope.name(at).as_bytes()
        } else {
            let declaration = id.declaration().and_then(|at| self.entries.get(at));
            declaration.map_or(b"", |declaration| self.declared(bytes, declaration))
        }
    }

    /// The namespace that a declaration names.
    pub(super) fn declared<'a>(&'a self, bytes: &'a [u8], declaration: &Entry) -> &'a [u8] {
        let rewritten = declaration
            .ns
            .declaration()
            .and_then(|at| self.rewritten.get(at));
        match rewritten {
            Some(name) => name.as_bytes(),
            None => declaration.value(bytes),
        }
    }
}

/// Builds the index tag by tag; checks all that depends on more than one token.
#[derive(Debug)]
pub(super) struct Builder {
    limits: Limits,
    table: Table,
    /// The innermost open element, or the one whose start tag is being read.
    open: Option<usize>,
    depth: usize,
    nodes: usize,
    /// Declarations in scope, innermost last.
    declarations: SmallVec<[u32; 8]>,
    /// The default namespace, while no declaration has come or gone since it was looked up.
    default_ns: Option<NsId>,
    /// Whether an attribute of the start tag being read has a prefix that needs looking up.
    prefixed: bool,
}

impl Builder {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits: limits.representable(),
            table: Table::default(),
            open: None,
            depth: 0,
            nodes: 0,
            declarations: SmallVec::new(),
            default_ns: None,
            prefixed: false,
        }
    }

    /// Makes room for the index of about this many bytes.
    pub(super) fn reserve_for(&mut self, bytes: usize) {
        self.table.entries.reserve((bytes / 16).clamp(4, 64));
    }

    pub(super) fn finish(mut self) -> Table {
        let entries = &mut self.table.entries;
        if entries.capacity() > entries.len() + entries.len() / 8 + 8 {
            entries.shrink_to_fit();
        }
        self.table
    }

    /// A run of character data begins.
    pub(super) fn text(&mut self) -> Result<(), XmlError> {
        self.node()
    }

    /// The name of a start tag is complete.
    pub(super) fn open(&mut self, bytes: &[u8], name: Name) -> Result<(), XmlError> {
        self.node()?;
        self.depth += 1;
        if self.depth > self.limits.depth_max {
            return Err(XmlError::Limit("nesting depth"));
        }
        let parent = self.open.map_or(u32::MAX, offset);
        let entry = Entry {
            start: offset(name.start.saturating_sub(1)),
            next: parent,
            ..named(name, Kind::Element)?
        };
        if entry.prefix(bytes) == b"xmlns" {
            return Err(XmlError::NotWellFormed("element with the prefix xmlns"));
        }
        self.open = Some(self.table.entries.len());
        self.prefixed = false;
        self.table.entries.push(entry);
        Ok(())
    }

    /// An attribute of the start tag being read is complete.
    pub(super) fn attribute(
        &mut self,
        bytes: &[u8],
        name: Name,
        value: std::ops::Range<usize>,
    ) -> Result<(), XmlError> {
        let mut entry = Entry {
            start: offset(name.start),
            body: offset(value.start),
            end: offset(value.end),
            ..named(name, Kind::Attribute)?
        };
        let siblings = self.attributes();
        if siblings.len() >= self.limits.attributes_max {
            return Err(XmlError::Limit("attributes of one element"));
        }
        let qname = entry.qname(bytes);
        if siblings.iter().any(|other| other.qname(bytes) == qname) {
            return Err(XmlError::NotWellFormed("attribute repeated"));
        }
        if qname == b"xmlns" || entry.prefix(bytes) == b"xmlns" {
            entry.kind = Kind::Declaration;
            self.declare(bytes, &mut entry)?;
        } else {
            self.prefixed |= entry.prefix_len > 0;
        }
        self.table.entries.push(entry);
        Ok(())
    }

    /// The start tag being read is complete and ends before `end`.
    pub(super) fn opened(
        &mut self,
        bytes: &[u8],
        scope: &Scope,
        end: usize,
    ) -> Result<(), XmlError> {
        let Some(at) = self.open else { return Ok(()) };
        let last = if self.prefixed {
            self.table.entries.len()
        } else {
            at + 1
        };
        for index in at..last {
            let Some(entry) = self.table.entries.get(index).copied() else {
                continue;
            };
            let resolved = match entry.kind {
                Kind::Element if entry.prefix_len == 0 => self.default_ns(bytes, scope),
                Kind::Attribute if entry.prefix_len == 0 => continue,
                Kind::Element | Kind::Attribute => {
                    self.resolve(bytes, scope, entry.prefix(bytes))?
                }
                Kind::Declaration => continue,
            };
            if let Some(entry) = self.table.entries.get_mut(index) {
                entry.ns = resolved;
            }
        }
        if self.prefixed {
            self.refuse_equal_names(bytes, scope)?;
        }
        if let Some(entry) = self.table.entries.get_mut(at) {
            entry.body = offset(end);
        }
        self.note_mixed_content(bytes, scope, at);
        Ok(())
    }

    /// The name that the next end tag must have.
    pub(super) fn expected<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        self.open_entry().map_or(b"", |entry| entry.qname(bytes))
    }

    /// The innermost element ends before `end`. Says whether it was the outermost.
    pub(super) fn close(&mut self, end: usize) -> bool {
        let next = offset(self.table.entries.len());
        let Some(at) = self.open else { return true };
        let Some(entry) = self.table.entries.get_mut(at) else {
            return true;
        };
        let parent = entry.next;
        entry.next = next;
        entry.end = offset(end);
        self.open = (parent != u32::MAX).then_some(parent as usize);
        self.depth = self.depth.saturating_sub(1);
        while self
            .declarations
            .last()
            .is_some_and(|&declaration| declaration as usize > at)
        {
            self.declarations.pop();
            self.default_ns = None;
        }
        self.open.is_none()
    }

    fn open_entry(&self) -> Option<&Entry> {
        self.table.entries.get(self.open?)
    }

    /// The attributes of the start tag being read, so far.
    fn attributes(&self) -> &[Entry] {
        let first = self.open.map_or(usize::MAX, |at| at + 1);
        self.table.entries.get(first..).unwrap_or_default()
    }

    fn node(&mut self) -> Result<(), XmlError> {
        self.nodes += 1;
        if self.nodes > self.limits.nodes_max {
            return Err(XmlError::Limit("elements and runs of text"));
        }
        Ok(())
    }

    /// Checks a declaration (XML Namespaces § 3, § 5) and puts it into scope. `entry` is about to
    /// be pushed.
    fn declare(&mut self, bytes: &[u8], entry: &mut Entry) -> Result<(), XmlError> {
        let written = entry.value(bytes);
        if written
            .iter()
            .any(|byte| matches!(byte, b'&' | b'\t' | b'\n' | b'\r'))
        {
            let text = std::str::from_utf8(written).unwrap_or_default();
            entry.ns = NsId(offset(self.table.rewritten.len()));
            self.table
                .rewritten
                .push(escape::unescape_value(text).into());
        }
        let prefix = entry.declared_prefix(bytes);
        let name = self.table.declared(bytes, entry);
        if prefix == b"xmlns" || name == XMLNS {
            return Err(XmlError::NotWellFormed("declaration of the prefix xmlns"));
        }
        if (prefix == b"xml") != (name == ns::XML.as_bytes()) {
            return Err(XmlError::NotWellFormed(
                "false declaration of the prefix xml",
            ));
        }
        if name.is_empty() && !prefix.is_empty() {
            return Err(XmlError::NotWellFormed("prefix declared for no namespace"));
        }
        if self.declarations.len() >= DECLARATIONS_MAX {
            return Err(XmlError::Limit("namespace declarations in scope"));
        }
        self.declarations.push(offset(self.table.entries.len()));
        self.default_ns = None;
        Ok(())
    }

    fn default_ns(&mut self, bytes: &[u8], scope: &Scope) -> NsId {
        if let Some(known) = self.default_ns {
            return known;
        }
        let found = self.find(bytes, scope, b"").unwrap_or(NsId::NONE);
        self.default_ns = Some(found);
        found
    }

    fn resolve(&mut self, bytes: &[u8], scope: &Scope, prefix: &[u8]) -> Result<NsId, XmlError> {
        if prefix == b"xml" {
            return Ok(NsId::XML);
        }
        let found = self.find(bytes, scope, prefix);
        let found = found.ok_or(XmlError::NotWellFormed("prefix without a declaration"))?;
        self.table.uses_outer_prefix |= found.scope().is_some();
        Ok(found)
    }

    /// The innermost declaration of a prefix, empty for the default namespace.
    fn find(&self, bytes: &[u8], scope: &Scope, prefix: &[u8]) -> Option<NsId> {
        let declares = |&&at: &&u32| {
            let entry = self.table.entries.get(at as usize);
            entry.is_some_and(|entry| entry.declared_prefix(bytes) == prefix)
        };
        let inside = self.declarations.iter().rev().find(declares).copied();
        inside
            .or_else(|| Some(NsId::SCOPE + offset(scope.find(prefix)?)))
            .map(NsId)
    }

    /// No two attributes may have one expanded name (XML Namespaces § 6.3). At most
    /// `attributes_max` squared comparisons, of which nearly all end at the length.
    fn refuse_equal_names(&self, bytes: &[u8], scope: &Scope) -> Result<(), XmlError> {
        let attributes = self.attributes();
        let name = |entry: &Entry| self.table.ns(bytes, scope, entry.ns);
        for (at, one) in attributes.iter().enumerate() {
            if one.prefix_len == 0 || one.kind != Kind::Attribute {
                continue;
            }
            let equal = |other: &&Entry| {
                other.kind == Kind::Attribute
                    && other.prefix_len > 0
                    && other.local_len == one.local_len
                    && other.local(bytes) == one.local(bytes)
                    && name(other) == name(one)
            };
            if attributes.iter().take(at).any(|other| equal(&other)) {
                return Err(XmlError::NotWellFormed(
                    "two attributes with one expanded name",
                ));
            }
        }
        Ok(())
    }

    /// Sees whether the element at `at` is of a content namespace that it would not have if the
    /// bytes inside the root were copied below another start tag in another stream.
    fn note_mixed_content(&mut self, bytes: &[u8], scope: &Scope, at: usize) {
        let entries = &self.table.entries;
        let (Some(root), Some(child)) = (entries.first(), entries.get(at)) else {
            return;
        };
        let Some(parent) = entries.get(child.next as usize) else {
            return;
        };
        if child.ns == parent.ns {
            return;
        }
        let is_content = |entry: &Entry| {
            let name = self.table.ns(bytes, scope, entry.ns);
            name == ns::CLIENT.as_bytes() || name == ns::SERVER.as_bytes()
        };
        if is_content(child) && (child.ns == root.ns || is_content(parent)) {
            self.table.mixed_content = true;
        }
    }
}

fn named(name: Name, kind: Kind) -> Result<Entry, XmlError> {
    if name.prefix_len > PREFIX_BYTES_MAX {
        return Err(XmlError::Limit("bytes of a prefix"));
    }
    let too_long = XmlError::Limit("bytes of a name");
    Ok(Entry {
        start: 0,
        body: 0,
        end: 0,
        next: 0,
        ns: NsId::NONE,
        local_len: u16::try_from(name.local_len).map_err(|_| too_long)?,
        prefix_len: u8::try_from(name.prefix_len).map_err(|_| too_long)?,
        kind,
    })
}
