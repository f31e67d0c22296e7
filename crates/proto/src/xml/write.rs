//! Writes well-formed XML; every value is escaped.

use bytes::Bytes;

/// Builds one element (or several) as bytes. Names and namespaces are ours and trusted; values and
/// text are escaped; characters that XML 1.0 forbids are replaced by U+FFFD.
#[derive(Debug, Default)]
pub struct Writer(());

impl Writer {
    /// An empty writer, `default_ns` being in scope where its output will stand.
    pub fn new(_default_ns: &'static str) -> Self {
        todo!()
    }
    /// Opens an element in its parent's namespace.
    pub fn start(&mut self, _name: &'static str) -> &mut Self {
        todo!()
    }
    /// Opens an element in a namespace; `xmlns` is written only where it changes.
    pub fn start_ns(&mut self, _name: &str, _ns: &str) -> &mut Self {
        todo!()
    }
    /// Adds an attribute to the element just opened.
    pub fn attr(&mut self, _name: &str, _value: &str) -> &mut Self {
        todo!()
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
    pub fn text(&mut self, _text: &str) -> &mut Self {
        todo!()
    }
    /// Writes bytes that are well-formed content for the namespace in scope
    /// (from [`super::Element::standalone`] or another writer).
    pub fn raw(&mut self, _xml: &[u8]) -> &mut Self {
        todo!()
    }
    /// The namespace in scope where the next child would stand.
    pub fn scope(&self) -> &str {
        todo!()
    }
    /// Closes the innermost open element (`<a/>` when it is empty).
    pub fn end(&mut self) -> &mut Self {
        todo!()
    }
    /// `start_ns`, `end`.
    pub fn empty(&mut self, name: &str, ns: &str) -> &mut Self {
        self.start_ns(name, ns).end()
    }
    /// `start`, `text`, `end`.
    pub fn leaf(&mut self, name: &'static str, text: &str) -> &mut Self {
        self.start(name).text(text).end()
    }
    /// Closes what is open and gives the bytes.
    pub fn finish(self) -> Bytes {
        todo!()
    }
}
