//! A stanza's immutable wire form.

use super::Kind;
use crate::Jid;
use bytes::{Bytes, BytesMut};

/// A stanza ready to send: a rendered start tag and shared content. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct Sealed {
    kind: Kind,
}

impl Sealed {
    /// From one whole stanza that we wrote ourselves (`jabber:client` in scope).
    pub fn from_bytes(_kind: Kind, _xml: Bytes) -> Self {
        todo!()
    }
    /// Which stanza.
    pub fn kind(&self) -> Kind {
        self.kind
    }
    /// The same stanza with another `to`, sharing everything but the start tag.
    pub fn with_to(&self, _to: &Jid) -> Self {
        todo!()
    }
    /// The slices in wire order; some may be empty.
    pub fn chunks(&self) -> impl Iterator<Item = &Bytes> {
        std::iter::empty()
    }
    /// Bytes on the wire.
    pub fn len(&self) -> usize {
        todo!()
    }
    /// Never true of a stanza; here because `len` is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Appends the wire form.
    pub fn write_to(&self, _out: &mut BytesMut) {
        todo!()
    }
    /// The stanza as one buffer, for storing.
    pub fn to_bytes(&self) -> Bytes {
        todo!()
    }
}
