//! XML as XMPP uses it (RFC 6120 § 11): one strict parser, a flat index over shared bytes, and a
//! writer.
//!
//! [`Framer`] and [`Tree::parse`] run one tokeniser (`scan.rs`), which hands names and offsets to
//! the builder of the index (`index.rs`). What they accept, any conforming parser understands the
//! same way; therefore the received bytes may be sent on as they are. There is no other parser in
//! the process, no document type, no recursion, and nothing grows faster than the bytes received.

mod chars;
mod declaration;
mod error;
mod escape;
mod framer;
mod index;
mod limits;
mod name;
mod render;
mod scan;
mod scope;
mod tree;
mod write;

pub use error::XmlError;
pub use escape::unescape_text;
pub(crate) use escape::{push_text, push_value};
pub use framer::{Frame, Framer};
pub use limits::Limits;
pub(crate) use render::{stanza as stanza_for_clients, stanza_content};
pub use tree::{Attribute, Element, Node, Tree};
pub use write::Writer;

/// A truth value as XML Schema writes it (xs:boolean); nothing if it is none.
pub fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
