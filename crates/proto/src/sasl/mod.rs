//! SASL mechanisms, server side (RFC 6120 § 6, RFC 5802, RFC 7677).

/// The hashes of the SCRAM family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Hash {
    /// SCRAM-SHA-1 (RFC 5802).
    Sha1,
    /// SCRAM-SHA-256 (RFC 7677).
    Sha256,
    /// SCRAM-SHA-512 (the same construction).
    Sha512,
}

/// What the server keeps of a password for one hash (RFC 5802 § 3): never the password.
#[derive(Clone)]
pub struct Verifier {
    /// Salt, 16 bytes or more.
    pub salt: Vec<u8>,
    /// PBKDF2 iterations.
    pub iterations: u32,
    /// `H(ClientKey)`.
    pub stored_key: Vec<u8>,
    /// `HMAC(SaltedPassword, "Server Key")`.
    pub server_key: Vec<u8>,
}

impl PartialEq for Verifier {
    fn eq(&self, _other: &Self) -> bool {
        todo!("constant time")
    }
}
impl Eq for Verifier {}

// Interim names for `stream`, until the mechanisms land; whoever lands them replaces this part.

/// A mechanism.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "interim")]
pub enum Mechanism {
    Plain,
    Scram { hash: Hash, plus: bool },
}

/// Channel binding data of a TLS connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChannelBindings {
    /// `tls-exporter` (RFC 9266).
    pub tls_exporter: Option<Vec<u8>>,
    /// `tls-server-end-point` (RFC 5929 § 4).
    pub tls_server_end_point: Option<Vec<u8>>,
}

/// Why authentication failed (RFC 6120 § 6.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "interim")]
pub enum Failure {
    Aborted,
    AccountDisabled,
    CredentialsExpired,
    EncryptionRequired,
    IncorrectEncoding,
    InvalidAuthzid,
    InvalidMechanism,
    MalformedRequest,
    MechanismTooWeak,
    NotAuthorized,
    TemporaryAuthFailure,
}
