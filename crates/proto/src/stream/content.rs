//! Stanzas of streams whose content namespace is not `jabber:client`.

use super::StreamCondition;
use crate::ns;
use crate::stanza::{Kind, Stanza};
use crate::xml::{Limits, Tree, stanza_for_clients};

/// An element as a stanza of `jabber:client`. What inherits its namespace from the header is that
/// already ([`crate::xml::Framer::with_content_ns`]); one that names `content_ns` itself is written
/// anew: it is rare, and nobody behind the wire needs to know the name.
pub(super) fn stanza(tree: Tree, content_ns: &str) -> Result<Stanza, StreamCondition> {
    let tree = match Stanza::new(tree, ns::CLIENT) {
        Ok(stanza) => return Ok(stanza),
        Err(tree) => tree,
    };
    let root = tree.root();
    if Kind::from_name(root.name()).is_none() {
        return Err(StreamCondition::UnsupportedStanzaType);
    }
    if root.ns() != content_ns {
        return Err(StreamCondition::InvalidNamespace);
    }
    // It was within the limits as it came.
    let limits = Limits {
        bytes_max: usize::MAX,
        ..Limits::S2S
    };
    let tree = Tree::parse(stanza_for_clients(root), ns::CLIENT, &limits);
    tree.ok()
        .and_then(|tree| Stanza::new(tree, ns::CLIENT).ok())
        .ok_or(StreamCondition::BadFormat)
}
