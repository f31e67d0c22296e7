//! A stanza that may still be edited.

use super::{Kind, Sealed, Stanza, StanzaError};
use crate::Jid;
use crate::xml::Element;
use bytes::Bytes;

/// A stanza with its addresses parsed, on its way through the routing steps. Edits never touch the
/// received bytes: children are added before the end tag or hidden.
#[derive(Debug, Clone)]
pub struct Draft {
    stanza: Stanza,
    from: Option<Jid>,
    to: Option<Jid>,
}

impl Draft {
    /// Parses `to` and `from`; a bad address is `jid-malformed` (RFC 6120 § 8.3.3.8).
    pub fn new(_stanza: Stanza) -> Result<Self, StanzaError> {
        todo!()
    }
    /// Which stanza.
    pub fn kind(&self) -> Kind {
        self.stanza.kind()
    }
    /// The received stanza (without the edits).
    pub fn stanza(&self) -> &Stanza {
        &self.stanza
    }
    /// The received element (without the edits).
    pub fn root(&self) -> Element<'_> {
        self.stanza.root()
    }
    /// The sender as it will be sent.
    pub fn from(&self) -> Option<&Jid> {
        self.from.as_ref()
    }
    /// The recipient as it will be sent.
    pub fn to(&self) -> Option<&Jid> {
        self.to.as_ref()
    }
    /// Sets `from`.
    pub fn set_from(&mut self, jid: Jid) {
        self.from = Some(jid);
    }
    /// Sets `to`.
    pub fn set_to(&mut self, jid: Jid) {
        self.to = Some(jid);
    }
    /// Sets `xml:lang` if the stanza has none (RFC 6120 § 8.1.5).
    pub fn default_lang(&mut self, _lang: &str) {
        todo!()
    }
    /// Adds a child after the received ones. The bytes must be well-formed where `jabber:client`
    /// is the default namespace.
    pub fn add(&mut self, _child: Bytes) {
        todo!()
    }
    /// Leaves a direct child out. `child` must be of this draft's root.
    pub fn hide(&mut self, _child: Element<'_>) {
        todo!()
    }
    /// Freezes the stanza into its wire form for `jabber:client` streams.
    pub fn seal(self) -> Sealed {
        todo!()
    }
}
