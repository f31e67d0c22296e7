//! Addresses (RFC 7622): localpart, domainpart and resourcepart, prepared and enforced once.

use std::fmt;

/// Any address: a domain, a bare JID or a full JID. Cloning is cheap (shared storage).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Jid(std::sync::Arc<str>);

/// An address without a resourcepart: `localpart@domainpart` or a domainpart alone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BareJid(std::sync::Arc<str>);

/// An address with a resourcepart.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FullJid(std::sync::Arc<str>);

/// Why a text is not an address (RFC 7622 § 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum JidError {
    /// A part is empty where it must not be.
    Empty,
    /// A part is longer than 1023 octets after preparation.
    TooLong,
    /// The localpart breaks RFC 7622 § 3.3.
    Localpart,
    /// The domainpart breaks RFC 7622 § 3.2.
    Domainpart,
    /// The resourcepart breaks RFC 7622 § 3.4.
    Resourcepart,
    /// A full JID was wanted and there is no resourcepart, or a bare JID and there is one.
    Resource,
}

impl Jid {
    /// Parses and prepares an address.
    pub fn parse(_text: &str) -> Result<Self, JidError> {
        todo!()
    }
    /// The address as prepared text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
    /// The localpart, if any.
    pub fn local(&self) -> Option<&str> {
        todo!()
    }
    /// The domainpart.
    pub fn domain(&self) -> &str {
        todo!()
    }
    /// The resourcepart, if any.
    pub fn resource(&self) -> Option<&str> {
        todo!()
    }
    /// Whether there is a resourcepart.
    pub fn is_full(&self) -> bool {
        self.resource().is_some()
    }
    /// The address without its resourcepart.
    pub fn to_bare(&self) -> BareJid {
        todo!()
    }
    /// The full JID, if this is one.
    pub fn to_full(&self) -> Option<FullJid> {
        todo!()
    }
    /// The bare address as text, without allocation.
    pub fn bare_str(&self) -> &str {
        todo!()
    }
}

impl BareJid {
    /// Parses and prepares an address that must have no resourcepart.
    pub fn parse(_text: &str) -> Result<Self, JidError> {
        todo!()
    }
    /// Prepares the parts.
    pub fn from_parts(_local: Option<&str>, _domain: &str) -> Result<Self, JidError> {
        todo!()
    }
    /// The address as prepared text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
    /// The localpart, if any.
    pub fn local(&self) -> Option<&str> {
        todo!()
    }
    /// The domainpart.
    pub fn domain(&self) -> &str {
        todo!()
    }
    /// The domain alone, as an address.
    pub fn to_domain(&self) -> BareJid {
        todo!()
    }
    /// This address with a resourcepart, which is prepared.
    pub fn with_resource(&self, _resource: &str) -> Result<FullJid, JidError> {
        todo!()
    }
}

impl FullJid {
    /// Parses and prepares an address that must have a resourcepart.
    pub fn parse(_text: &str) -> Result<Self, JidError> {
        todo!()
    }
    /// The address as prepared text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
    /// The localpart, if any.
    pub fn local(&self) -> Option<&str> {
        todo!()
    }
    /// The domainpart.
    pub fn domain(&self) -> &str {
        todo!()
    }
    /// The resourcepart.
    pub fn resource(&self) -> &str {
        todo!()
    }
    /// The address without its resourcepart.
    pub fn to_bare(&self) -> BareJid {
        todo!()
    }
    /// The bare address as text, without allocation.
    pub fn bare_str(&self) -> &str {
        todo!()
    }
}

impl From<BareJid> for Jid {
    fn from(_jid: BareJid) -> Self {
        todo!()
    }
}

impl From<FullJid> for Jid {
    fn from(_jid: FullJid) -> Self {
        todo!()
    }
}

macro_rules! text {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
        impl std::str::FromStr for $name {
            type Err = JidError;
            fn from_str(text: &str) -> Result<Self, JidError> {
                Self::parse(text)
            }
        }
    )*};
}
text!(Jid, BareJid, FullJid);
