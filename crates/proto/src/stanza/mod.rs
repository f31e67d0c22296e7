//! Stanzas (RFC 6120 § 8): received, edited, sealed.

mod draft;
mod error;
mod head;
mod sealed;

pub use draft::Draft;
pub use error::{AppDetail, Condition, ErrorType, StanzaError};
pub use sealed::Sealed;

use crate::xml::{Element, Tree};
use std::borrow::Cow;

/// Which of the three stanzas (RFC 6120 § 8.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `<message/>`
    Message,
    /// `<presence/>`
    Presence,
    /// `<iq/>`
    Iq,
}

impl Kind {
    /// The stanza's element name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Presence => "presence",
            Self::Iq => "iq",
        }
    }
    /// The kind that has this element name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Message, Self::Presence, Self::Iq]
            .into_iter()
            .find(|kind| kind.name() == name)
    }
}

/// A received stanza: a tree whose root is a stanza in the stream's content namespace.
#[derive(Debug, Clone)]
pub struct Stanza {
    kind: Kind,
    tree: Tree,
}

impl Stanza {
    /// The tree as a stanza of the content namespace `ns`; gives the tree back if it is none.
    pub fn new(tree: Tree, ns: &str) -> Result<Self, Tree> {
        let root = tree.root();
        match Kind::from_name(root.name()).filter(|_| root.ns() == ns) {
            Some(kind) => Ok(Self { kind, tree }),
            None => Err(tree),
        }
    }
    /// Which stanza.
    pub fn kind(&self) -> Kind {
        self.kind
    }
    /// The stanza element.
    pub fn root(&self) -> Element<'_> {
        self.tree.root()
    }
    /// The tree.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }
    /// The first child `name` of the stanza's own namespace, whether that is `jabber:client` or
    /// `jabber:server`: `body`, `subject`, `error`, `show` and their like.
    pub fn content(&self, name: &str) -> Option<Element<'_>> {
        self.root().child(name, self.root().ns())
    }
    /// The `id` attribute.
    pub fn id(&self) -> Option<Cow<'_, str>> {
        self.root().attr("id")
    }
    /// The `type` attribute as written.
    pub fn type_attr(&self) -> Option<Cow<'_, str>> {
        self.root().attr("type")
    }
}

#[cfg(test)]
mod tests;
