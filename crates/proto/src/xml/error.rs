//! What can be wrong with a peer's bytes.

use std::fmt;

/// Why bytes were refused. The stream ends with the error named (RFC 6120 § 4.9.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum XmlError {
    /// Not XML, or not namespace-well-formed: `not-well-formed`. The text says what.
    NotWellFormed(&'static str),
    /// A comment, processing instruction, DTD or foreign entity: `restricted-xml`.
    Restricted(&'static str),
    /// An XML declaration names another encoding than UTF-8: `unsupported-encoding`.
    Encoding,
    /// A named limit was passed: `policy-violation`.
    Limit(&'static str),
    /// Well-formed, but no stream looks like this (text between stanzas): `bad-format`.
    BadFormat(&'static str),
}

impl fmt::Display for XmlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotWellFormed(what) => write!(f, "not well-formed: {what}"),
            Self::Restricted(what) => write!(f, "not allowed in XMPP: {what}"),
            Self::Encoding => f.write_str("the encoding must be UTF-8"),
            Self::Limit(what) => write!(f, "too large: {what}"),
            Self::BadFormat(what) => write!(f, "no XMPP stream: {what}"),
        }
    }
}

impl std::error::Error for XmlError {}
