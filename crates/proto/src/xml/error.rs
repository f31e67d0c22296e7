//! What can be wrong with a peer's bytes.

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
}
