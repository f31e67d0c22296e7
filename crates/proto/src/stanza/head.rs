//! A stanza's start tag, written with `to` first so that the rest is the same for all recipients.

use super::Kind;
use crate::Jid;
use crate::xml::push_value;

/// `<message to='…'`.
pub(super) fn begin(out: &mut Vec<u8>, kind: Kind, to: Option<&Jid>) {
    out.push(b'<');
    out.extend_from_slice(kind.name().as_bytes());
    if let Some(to) = to {
        attribute(out, "to", to.as_str());
    }
}

/// Bytes of what [`begin`] writes, unless a value needs escaping.
pub(super) fn begin_len(kind: Kind, to: Option<&Jid>) -> usize {
    1 + kind.name().len() + to.map_or(0, |to| attribute_len("to", to.as_str()))
}

/// ` name='value'`.
pub(super) fn attribute(out: &mut Vec<u8>, name: &str, value: &str) {
    out.push(b' ');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"='");
    push_value(out, value);
    out.push(b'\'');
}

/// Bytes of what [`attribute`] writes, unless the value needs escaping.
pub(super) fn attribute_len(name: &str, value: &str) -> usize {
    name.len() + value.len() + " =''".len()
}

/// What [`begin`] writes without `to`, where `jabber:client` is not the default namespace.
pub(super) fn begin_of_forwarded(kind: Kind) -> &'static [u8] {
    match kind {
        Kind::Message => b"<message xmlns='jabber:client'",
        Kind::Presence => b"<presence xmlns='jabber:client'",
        Kind::Iq => b"<iq xmlns='jabber:client'",
    }
}

/// The end tag, and its bytes.
pub(super) fn end(kind: Kind) -> &'static [u8] {
    match kind {
        Kind::Message => b"</message>",
        Kind::Presence => b"</presence>",
        Kind::Iq => b"</iq>",
    }
}
