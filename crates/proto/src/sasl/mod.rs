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
