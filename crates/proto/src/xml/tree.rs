//! A flat index over one element's bytes.

use super::{Limits, XmlError};
use bytes::Bytes;
use std::borrow::Cow;

/// One element: its bytes and an index of its nodes. Cheap to clone (shared).
#[derive(Debug, Clone)]
pub struct Tree(());

/// A child node.
#[derive(Debug, Clone, Copy)]
pub enum Node<'a> {
    /// An element.
    Element(Element<'a>),
    /// Character data as on the wire, not yet unescaped; see [`Element::text`].
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

/// A borrowed element of a [`Tree`].
#[derive(Debug, Clone, Copy)]
pub struct Element<'a>(std::marker::PhantomData<&'a ()>);

impl Tree {
    /// Parses exactly one element that stands alone, `default_ns` being in scope.
    pub fn parse(_bytes: Bytes, _default_ns: &str, _limits: &Limits) -> Result<Self, XmlError> {
        todo!()
    }
    /// The top-level element.
    pub fn root(&self) -> Element<'_> {
        todo!()
    }
    /// The element's bytes as received.
    pub fn bytes(&self) -> &Bytes {
        todo!()
    }
}

impl<'a> Element<'a> {
    /// Local name.
    pub fn name(&self) -> &'a str {
        todo!()
    }
    /// Namespace name, empty for none.
    pub fn ns(&self) -> &'a str {
        todo!()
    }
    /// Whether this is the element `{ns}name`.
    pub fn is(&self, _name: &str, _ns: &str) -> bool {
        todo!()
    }
    /// Value of the attribute without namespace.
    pub fn attr(&self, _name: &str) -> Option<Cow<'a, str>> {
        todo!()
    }
    /// Value of the attribute `{ns}name`.
    pub fn attr_ns(&self, _name: &str, _ns: &str) -> Option<Cow<'a, str>> {
        todo!()
    }
    /// All attributes, namespace declarations excluded.
    pub fn attrs(&self) -> impl Iterator<Item = Attribute<'a>> + 'a + use<'a> {
        std::iter::empty()
    }
    /// Child elements.
    pub fn children(&self) -> impl Iterator<Item = Element<'a>> + 'a + use<'a> {
        std::iter::empty()
    }
    /// Child nodes: elements and text.
    pub fn nodes(&self) -> impl Iterator<Item = Node<'a>> + 'a + use<'a> {
        std::iter::empty()
    }
    /// First child element `{ns}name`.
    pub fn child(&self, name: &str, ns: &str) -> Option<Element<'a>> {
        self.children().find(|child| child.is(name, ns))
    }
    /// All character data directly inside, unescaped.
    pub fn text(&self) -> Cow<'a, str> {
        todo!()
    }
    /// The element rewritten so that it means the same where `default_ns` is in scope and no
    /// prefix is: the received bytes when they already do, else a new rendering.
    pub fn standalone(&self, _default_ns: &str) -> Bytes {
        todo!()
    }
}
