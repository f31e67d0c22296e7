//! Writes well-formed XML; every value is escaped.

use super::{push_text, push_value};
use bytes::Bytes;
use smallvec::SmallVec;
use std::borrow::Cow;
use std::ops::Range;

/// Builds one element (or several) as bytes. Names and namespaces are ours and trusted; values and
/// text are escaped; characters that XML 1.0 forbids are replaced by U+FFFD.
///
/// The output is a function of the calls alone: attributes in single quotes, in the order given.
#[derive(Debug)]
pub struct Writer {
    out: Vec<u8>,
    default_ns: Cow<'static, str>,
    /// Where the names of the open elements stand in the output.
    open: SmallVec<[Range<usize>; 4]>,
    /// The default namespaces that open elements declare, each with the number of elements that
    /// are open while it is the innermost.
    scopes: SmallVec<[(usize, Ns); 2]>,
    /// Whether the last start tag still takes attributes.
    in_tag: bool,
}

/// A namespace that has been written.
#[derive(Debug)]
enum Ns {
    /// Stands in the output.
    Written(Range<usize>),
    /// Had to be escaped there.
    Escaped(Box<str>),
}

impl Default for Writer {
    fn default() -> Self {
        Self::new("")
    }
}

impl Writer {
    /// An empty writer, `default_ns` being in scope where its output will stand.
    pub fn new(default_ns: &'static str) -> Self {
        Self::with_capacity(default_ns, 256)
    }
    /// The same, for about this many bytes.
    pub fn with_capacity(default_ns: &'static str, bytes: usize) -> Self {
        Self {
            out: Vec::with_capacity(bytes),
            default_ns: Cow::Borrowed(default_ns),
            open: SmallVec::new(),
            scopes: SmallVec::new(),
            in_tag: false,
        }
    }
    /// The same, in a scope that is not known when compiling.
    pub(super) fn in_scope(default_ns: &str) -> Self {
        Self {
            default_ns: Cow::Owned(default_ns.to_owned()),
            ..Self::new("")
        }
    }
    /// Opens an element in its parent's namespace.
    pub fn start(&mut self, name: &'static str) -> &mut Self {
        self.open_tag(name);
        self
    }
    /// Opens an element in a namespace; `xmlns` is written only where it changes.
    pub fn start_ns(&mut self, name: &str, ns: &str) -> &mut Self {
        let changes = self.scope() != ns;
        self.open_tag(name);
        if changes {
            self.out.extend_from_slice(b" xmlns='");
            let start = self.out.len();
            push_value(&mut self.out, ns);
            let written = start..self.out.len();
            self.out.push(b'\'');
            let as_is = self.out.get(written.clone()) == Some(ns.as_bytes());
            let ns = if as_is {
                Ns::Written(written)
            } else {
                Ns::Escaped(ns.into())
            };
            self.scopes.push((self.open.len(), ns));
        }
        self
    }
    /// Adds an attribute to the element just opened. Ignored after content has been written.
    pub fn attr(&mut self, name: &str, value: &str) -> &mut Self {
        debug_assert!(self.in_tag, "attribute {name} outside a start tag");
        if self.in_tag {
            self.out.push(b' ');
            self.out.extend_from_slice(name.as_bytes());
            self.out.extend_from_slice(b"='");
            push_value(&mut self.out, value);
            self.out.push(b'\'');
        }
        self
    }
    /// Adds the attribute if there is a value.
    pub fn attr_opt(&mut self, name: &str, value: Option<&str>) -> &mut Self {
        if let Some(value) = value {
            self.attr(name, value)
        } else {
            self
        }
    }
    /// Writes character data.
    pub fn text(&mut self, text: &str) -> &mut Self {
        if !text.is_empty() {
            self.end_tag_start();
            push_text(&mut self.out, text);
        }
        self
    }
    /// Writes bytes that are well-formed content for the namespace in scope
    /// (from [`super::Element::standalone`] or another writer).
    pub fn raw(&mut self, xml: &[u8]) -> &mut Self {
        if !xml.is_empty() {
            self.end_tag_start();
            self.out.extend_from_slice(xml);
        }
        self
    }
    /// The namespace in scope where the next child would stand.
    pub fn scope(&self) -> &str {
        match self.scopes.last().map(|(_, ns)| ns) {
            None => &self.default_ns,
            Some(Ns::Escaped(ns)) => ns,
            Some(Ns::Written(range)) => {
                let bytes = self.out.get(range.clone()).unwrap_or_default();
                std::str::from_utf8(bytes).unwrap_or_default()
            }
        }
    }
    /// Closes the innermost open element (`<a/>` when it is empty).
    pub fn end(&mut self) -> &mut Self {
        let depth = self.open.len();
        let Some(name) = self.open.pop() else {
            return self;
        };
        if self
            .scopes
            .last()
            .is_some_and(|(declared_at, _)| *declared_at == depth)
        {
            self.scopes.pop();
        }
        if self.in_tag {
            self.in_tag = false;
            self.out.extend_from_slice(b"/>");
        } else {
            self.out.extend_from_slice(b"</");
            self.out.extend_from_within(name);
            self.out.push(b'>');
        }
        self
    }
    /// `start_ns`, `end`.
    pub fn empty(&mut self, name: &str, ns: &str) -> &mut Self {
        self.start_ns(name, ns).end()
    }
    /// `start`, `text`, `end`.
    pub fn leaf(&mut self, name: &'static str, text: &str) -> &mut Self {
        self.start(name).text(text).end()
    }
    /// Bytes written so far.
    pub fn len(&self) -> usize {
        self.out.len()
    }
    /// Whether nothing has been written.
    pub fn is_empty(&self) -> bool {
        self.out.is_empty()
    }
    /// Closes what is open and gives the bytes.
    pub fn finish(mut self) -> Bytes {
        while !self.open.is_empty() {
            self.end();
        }
        Bytes::from(self.out)
    }

    fn open_tag(&mut self, name: &str) {
        self.end_tag_start();
        self.out.push(b'<');
        let start = self.out.len();
        self.out.extend_from_slice(name.as_bytes());
        self.open.push(start..self.out.len());
        self.in_tag = true;
    }

    /// Ends the start tag that still takes attributes.
    fn end_tag_start(&mut self) {
        if self.in_tag {
            self.in_tag = false;
            self.out.push(b'>');
        }
    }
}
