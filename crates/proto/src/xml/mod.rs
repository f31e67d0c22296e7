//! XML as XMPP uses it (RFC 6120 § 11): one strict parser, a flat index over shared bytes, and a
//! writer.

mod error;
mod framer;
mod limits;
mod tree;
mod write;

pub use error::XmlError;
pub use framer::{Frame, Framer};
pub use limits::Limits;
pub use tree::{Attribute, Element, Node, Tree};
pub use write::Writer;
