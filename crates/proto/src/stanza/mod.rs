//! Stanzas (RFC 6120 § 8): received, edited, sealed.

mod draft;
mod error;
mod sealed;

pub use draft::Draft;
pub use error::{Condition, ErrorType, StanzaError};
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
        let kind = match root.name() {
            "message" => Kind::Message,
            "presence" => Kind::Presence,
            "iq" => Kind::Iq,
            _ => return Err(tree),
        };
        if root.ns() != ns {
            return Err(tree);
        }
        Ok(Self { kind, tree })
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
    /// The `id` attribute.
    pub fn id(&self) -> Option<Cow<'_, str>> {
        self.root().attr("id")
    }
    /// The `type` attribute as written.
    pub fn type_attr(&self) -> Option<Cow<'_, str>> {
        self.root().attr("type")
    }
}
