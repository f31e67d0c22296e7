//! A small owned XML model for tests, read by a parser that is not ours.
//!
//! The server is tested with `rxml` and not with `waxwing_proto::xml`, so that a fault in our own
//! reader cannot hide the same fault in our writer.

use rxml::{Event, Parse, Parser, WithOptions, error::EndOrError};
use std::{collections::BTreeMap, fmt};
use waxwing_proto::ns;

/// A qualified name: namespace name (empty for none) and local name.
pub type Name = (String, String);

/// One element with all that is inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element {
    /// Qualified name.
    pub name: Name,
    /// Attributes without namespace declarations.
    pub attrs: BTreeMap<Name, String>,
    /// Content in order.
    pub nodes: Vec<Node>,
}

/// One piece of content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// A child element.
    Element(Element),
    /// Character data, unescaped.
    Text(String),
}

impl Element {
    /// Whether this is `{ns}name`.
    pub fn is(&self, name: &str, ns: &str) -> bool {
        self.name.0 == ns && self.name.1 == name
    }
    /// Value of the attribute without namespace.
    pub fn attr(&self, name: &str) -> Option<&str> {
        self.attrs
            .get(&(String::new(), name.to_owned()))
            .map(String::as_str)
    }
    /// Child elements.
    pub fn children(&self) -> impl Iterator<Item = &Element> {
        self.nodes.iter().filter_map(|node| match node {
            Node::Element(child) => Some(child),
            Node::Text(_) => None,
        })
    }
    /// First child element `{ns}name`.
    pub fn child(&self, name: &str, ns: &str) -> Option<&Element> {
        self.children().find(|child| child.is(name, ns))
    }
    /// Character data directly inside, joined.
    pub fn text(&self) -> String {
        self.nodes
            .iter()
            .filter_map(|node| match node {
                Node::Text(text) => Some(text.as_str()),
                Node::Element(_) => None,
            })
            .collect()
    }

    fn in_client_ns(mut self) -> Self {
        if self.name.0 == ns::COMPONENT {
            ns::CLIENT.clone_into(&mut self.name.0);
        }
        let nodes = self.nodes.into_iter().map(|node| match node {
            Node::Element(child) => Node::Element(child.in_client_ns()),
            text @ Node::Text(_) => text,
        });
        self.nodes = nodes.collect();
        self
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, scope: &str, depth: usize) -> fmt::Result {
        let (ns, name) = &self.name;
        let pad = "  ".repeat(depth);
        write!(f, "{pad}<{name}")?;
        if ns != scope {
            write!(f, " xmlns='{}'", Escaped(ns))?;
        }
        for ((attr_ns, attr), value) in &self.attrs {
            match attr_ns.as_str() {
                "" => write!(f, " {attr}='{}'", Escaped(value))?,
                ns::XML => write!(f, " xml:{attr}='{}'", Escaped(value))?,
                other => write!(f, " {{{other}}}{attr}='{}'", Escaped(value))?,
            }
        }
        if self.nodes.is_empty() {
            return f.write_str("/>");
        }
        f.write_str(">")?;
        let mixed = self.nodes.iter().any(|node| matches!(node, Node::Text(_)));
        for node in &self.nodes {
            match node {
                Node::Text(text) => write!(f, "{}", Escaped(text))?,
                Node::Element(child) if mixed => child.write(f, ns, 0)?,
                Node::Element(child) => {
                    f.write_str("\n")?;
                    child.write(f, ns, depth + 1)?;
                }
            }
        }
        if !mixed {
            write!(f, "\n{pad}")?;
        }
        write!(f, "</{name}>")
    }
}

/// Indented, for people; `jabber:client` is taken to be in scope.
impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, ns::CLIENT, 0)
    }
}

/// Text with the characters escaped that may not stand in content or attribute values.
pub struct Escaped<'a>(
    /// The text.
    pub &'a str,
);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '&' => f.write_str("&amp;")?,
                '\'' => f.write_str("&apos;")?,
                '"' => f.write_str("&quot;")?,
                c => write!(f, "{c}")?,
            }
        }
        Ok(())
    }
}

/// Parses sibling elements, `jabber:client` being in scope and the given prefixes declared.
/// Whitespace between the elements is skipped; other text there is an error.
pub fn parse_fragment(text: &str, prefixes: &[(&str, &str)]) -> Result<Vec<Element>, String> {
    let mut wrapped = format!("<wrap xmlns='{}'", ns::CLIENT);
    for (prefix, ns) in prefixes {
        wrapped.extend([" xmlns:", prefix, "='", ns, "'"]);
    }
    wrapped.push('>');
    wrapped.push_str(text);
    wrapped.push_str("</wrap>");
    let mut reader = StreamReader::default();
    let mut elements = Vec::new();
    reader.push(wrapped.as_bytes());
    loop {
        match reader.next_event()? {
            Some(StreamEvent::Open(_)) => {}
            Some(StreamEvent::Element(element)) => elements.push(element),
            Some(StreamEvent::Text(text)) => return Err(format!("text outside elements: {text}")),
            Some(StreamEvent::Close) => return Ok(elements),
            None => return Err("the XML is not complete".into()),
        }
    }
}

/// One part of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamEvent {
    /// The stream's start tag, without content.
    Open(Element),
    /// One top-level element.
    Element(Element),
    /// Text other than whitespace between top-level elements.
    Text(String),
    /// The stream's end tag.
    Close,
}

impl StreamEvent {
    /// The same with the content namespace of components' streams replaced by `jabber:client`, so
    /// that what a component receives is written in scenarios like all else.
    #[must_use]
    pub fn in_client_ns(self) -> Self {
        match self {
            Self::Element(element) => Self::Element(element.in_client_ns()),
            other => other,
        }
    }
}

/// Reads an XML stream incrementally. After an error or the end tag it is spent; a stream restart
/// needs a new reader.
pub struct StreamReader {
    parser: Parser,
    input: Vec<u8>,
    stack: Vec<Element>,
    opened: bool,
}

impl Default for StreamReader {
    fn default() -> Self {
        Self {
            parser: Parser::with_options(rxml::Options {
                // Far above every stanza limit under test.
                max_token_length: 4 << 20,
                ..rxml::Options::default()
            }),
            input: Vec::new(),
            stack: Vec::new(),
            opened: false,
        }
    }
}

impl StreamReader {
    /// Adds received bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
    }
    /// Whether bytes were received that the parser has not taken.
    pub fn has_unread(&self) -> bool {
        !self.input.is_empty()
    }
    /// The next complete part; `None` when more bytes are needed.
    pub fn next_event(&mut self) -> Result<Option<StreamEvent>, String> {
        loop {
            let mut rest: &[u8] = &self.input;
            let parsed = self.parser.parse(&mut rest, false);
            let used = self.input.len() - rest.len();
            self.input.drain(..used);
            let event = match parsed {
                Ok(Some(event)) => event,
                Ok(None) | Err(EndOrError::NeedMoreData) => return Ok(None),
                Err(EndOrError::Error(error)) => return Err(error.to_string()),
            };
            if let Some(event) = self.absorb(event) {
                return Ok(Some(event));
            }
        }
    }

    fn absorb(&mut self, event: Event) -> Option<StreamEvent> {
        match event {
            Event::XmlDeclaration(..) => None,
            Event::StartElement(_, (ns, name), attrs) => {
                let element = Element {
                    name: (ns.as_str().to_owned(), name.to_string()),
                    attrs: attrs
                        .into_iter()
                        .map(|((ns, name), value)| {
                            ((ns.as_str().to_owned(), name.to_string()), value)
                        })
                        .collect(),
                    nodes: Vec::new(),
                };
                if self.opened {
                    self.stack.push(element);
                    None
                } else {
                    self.opened = true;
                    Some(StreamEvent::Open(element))
                }
            }
            Event::EndElement(_) => match self.stack.pop() {
                None => Some(StreamEvent::Close),
                Some(element) => match self.stack.last_mut() {
                    None => Some(StreamEvent::Element(element)),
                    Some(parent) => {
                        parent.nodes.push(Node::Element(element));
                        None
                    }
                },
            },
            Event::Text(_, text) => match self.stack.last_mut() {
                None if text.trim().is_empty() => None,
                None => Some(StreamEvent::Text(text)),
                Some(parent) => {
                    if let Some(Node::Text(before)) = parent.nodes.last_mut() {
                        before.push_str(&text);
                    } else {
                        parent.nodes.push(Node::Text(text));
                    }
                    None
                }
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_read_in_any_pieces() {
        let wire = "<?xml version='1.0'?><stream:stream xmlns='jabber:client' \
                    xmlns:stream='http://etherx.jabber.org/streams' id='1'> \
                    <message a='&lt;'><body>x &amp; y</body></message></stream:stream>";
        for size in [1, 7, 1000] {
            let mut reader = StreamReader::default();
            let mut events = Vec::new();
            for piece in wire.as_bytes().chunks(size) {
                reader.push(piece);
                while let Some(event) = reader.next_event().unwrap() {
                    events.push(event);
                }
            }
            let [
                StreamEvent::Open(open),
                StreamEvent::Element(message),
                StreamEvent::Close,
            ] = &events[..]
            else {
                panic!("{events:?}")
            };
            assert_eq!(open.attr("id"), Some("1"));
            assert!(open.is("stream", ns::STREAM));
            assert_eq!(
                message.to_string(),
                "<message a='&lt;'>\n  <body>x &amp; y</body>\n</message>"
            );
        }
    }

    #[test]
    fn broken_fragments_are_refused() {
        for text in ["<a>", "<a></b>", "x", "<a/>x", "<p:a/>", "<!-- -->"] {
            assert!(parse_fragment(text, &[]).is_err(), "{text}");
        }
    }
}
