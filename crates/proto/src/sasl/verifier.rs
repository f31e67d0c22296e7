//! What is kept of a password.

use super::Hash;
use crate::precis;
use std::fmt;
use subtle::ConstantTimeEq;

/// PBKDF2 iterations for new passwords. RFC 7677 § 4 asks for 4096 at least and for more where
/// clients can bear it; the client does the work at each login, a phone included, and 10 000 is
/// what clients already meet on other servers. The server does it for PLAIN and new passwords only.
pub const ITERATIONS_DEFAULT: u32 = 10_000;

/// Octets of a new salt, which are random; [`Verifier::fake`] makes as many.
pub const SALT_BYTES: usize = 16;

/// Octets of a password, at most, before and after preparation.
pub const PASSWORD_BYTES_MAX: usize = 1024;

/// What the server keeps of a password for one hash (RFC 5802 § 3): never the password.
///
/// Comparison takes the same time wherever the difference is.
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

/// The verifiers of one password. All are made when a password is set, so that any mechanism works;
/// an account that comes from another server may lack some until its client brings them (XEP-0480).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verifiers {
    /// For SCRAM-SHA-1.
    pub sha1: Option<Verifier>,
    /// For SCRAM-SHA-256.
    pub sha256: Option<Verifier>,
    /// For SCRAM-SHA-512.
    pub sha512: Option<Verifier>,
}

/// The password cannot be prepared with `OpaqueString` (RFC 8265 § 4.2): it is empty, too long,
/// or has a character such as a control.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PasswordError;

impl fmt::Display for PasswordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the password is empty, too long or has a character that it may not have")
    }
}

impl std::error::Error for PasswordError {}

impl Verifiers {
    /// Derives the verifiers of a new password with one salt for all hashes, as
    /// [`Verifier::fake`] has. Costs `iterations` rounds of each hash: some 20 milliseconds with
    /// the default, so not on a thread that serves connections.
    pub fn derive(password: &str, salt: &[u8], iterations: u32) -> Result<Self, PasswordError> {
        let derive = |hash| Verifier::derive(hash, password, salt, iterations).map(Some);
        Ok(Self {
            sha1: derive(Hash::Sha1)?,
            sha256: derive(Hash::Sha256)?,
            sha512: derive(Hash::Sha512)?,
        })
    }

    /// The verifier for a hash.
    pub fn get(&self, hash: Hash) -> Option<&Verifier> {
        match hash {
            Hash::Sha1 => self.sha1.as_ref(),
            Hash::Sha256 => self.sha256.as_ref(),
            Hash::Sha512 => self.sha512.as_ref(),
        }
    }

    /// The place for the verifier of a hash.
    pub fn get_mut(&mut self, hash: Hash) -> &mut Option<Verifier> {
        match hash {
            Hash::Sha1 => &mut self.sha1,
            Hash::Sha256 => &mut self.sha256,
            Hash::Sha512 => &mut self.sha512,
        }
    }
}

impl Verifier {
    /// Derives the verifier of a password, which is prepared first.
    pub fn derive(
        hash: Hash,
        password: &str,
        salt: &[u8],
        iterations: u32,
    ) -> Result<Self, PasswordError> {
        let salted = salted_password(hash, password, salt, iterations)?;
        Ok(Self::of_salted(hash, &salted, salt, iterations))
    }

    /// The verifier for a `SaltedPassword` that the client has made (XEP-0480 § 3); `None` if it
    /// has not the length of the hash.
    pub fn from_salted(hash: Hash, salted: &[u8], salt: &[u8], iterations: u32) -> Option<Self> {
        let has_length = salted.len() == hash.output_bytes();
        has_length.then(|| Self::of_salted(hash, salted, salt, iterations))
    }

    /// Whether this is the password, for PLAIN. Costs `iterations` rounds of the hash.
    pub fn check_password(&self, hash: Hash, password: &str) -> bool {
        Self::derive(hash, password, &self.salt, self.iterations)
            .is_ok_and(|derived| derived == *self)
    }

    /// A verifier that no password fits, for a name without account: always the same for a name,
    /// so that asking twice tells nothing, and not predictable without the secret.
    ///
    /// `iterations` is what real accounts have. To take the same time for both, callers make it
    /// before they look the account up, for each name.
    pub fn fake(hash: Hash, server_secret: &[u8; 32], username: &str, iterations: u32) -> Self {
        let username = username.as_bytes();
        let mut salt = Hash::Sha512.hmac(server_secret, &[b"salt\0", username]);
        salt.truncate(SALT_BYTES);
        // Nobody knows a preimage of this stored key; besides, the exchange is told that the
        // account does not exist.
        Self {
            salt,
            iterations,
            stored_key: hash.hmac(server_secret, &[b"stored\0", username]),
            server_key: hash.hmac(server_secret, &[b"server\0", username]),
        }
    }

    fn of_salted(hash: Hash, salted: &[u8], salt: &[u8], iterations: u32) -> Self {
        Self {
            salt: salt.to_owned(),
            iterations,
            stored_key: hash.digest(&client_key(hash, salted)),
            server_key: server_key(hash, salted),
        }
    }
}

/// `SaltedPassword` (RFC 5802 § 3).
pub(super) fn salted_password(
    hash: Hash,
    password: &str,
    salt: &[u8],
    iterations: u32,
) -> Result<Vec<u8>, PasswordError> {
    if password.len() > PASSWORD_BYTES_MAX {
        return Err(PasswordError);
    }
    let prepared = precis::opaque(password).map_err(|precis::Disallowed| PasswordError)?;
    if prepared.len() > PASSWORD_BYTES_MAX {
        return Err(PasswordError);
    }
    Ok(hash.salted(prepared.as_bytes(), salt, iterations))
}

pub(super) fn client_key(hash: Hash, salted_password: &[u8]) -> Vec<u8> {
    hash.hmac(salted_password, &[b"Client Key"])
}

pub(super) fn server_key(hash: Hash, salted_password: &[u8]) -> Vec<u8> {
    hash.hmac(salted_password, &[b"Server Key"])
}

impl PartialEq for Verifier {
    fn eq(&self, other: &Self) -> bool {
        let equal = self.stored_key.ct_eq(&other.stored_key)
            & self.server_key.ct_eq(&other.server_key)
            & self.salt.ct_eq(&other.salt)
            & self.iterations.ct_eq(&other.iterations);
        equal.into()
    }
}

impl Eq for Verifier {}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier")
            .field("iterations", &self.iterations)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn derive(password: &str) -> Result<Verifier, PasswordError> {
        Verifier::derive(Hash::Sha256, password, b"0123456789abcdef", 2)
    }

    #[test]
    fn passwords_are_prepared() {
        let plain = derive("pass word å").expect("password");
        assert_eq!(
            derive("pass\u{a0}word A\u{30a}").map(|other| other == plain),
            Ok(false)
        );
        assert_eq!(derive("pass\u{a0}word a\u{30a}"), Ok(plain.clone()));
        assert!(plain.check_password(Hash::Sha256, "pass\u{2003}word å"));
        assert!(!plain.check_password(Hash::Sha256, "pass word a"));
        assert!(!plain.check_password(Hash::Sha512, "pass word å"));
        let long = "x".repeat(PASSWORD_BYTES_MAX);
        assert!(derive(&long).is_ok());
        for bad in ["", "a\nb", "\u{7f}", "\u{378}", &format!("{long}x")] {
            assert_eq!(derive(bad), Err(PasswordError), "{bad:?}");
        }
    }

    #[test]
    fn any_difference_counts() {
        let one = derive("pencil").expect("password");
        let salt = Verifier {
            salt: b"0123456789abcdeF".to_vec(),
            ..one.clone()
        };
        let iterations = Verifier {
            iterations: 3,
            ..one.clone()
        };
        let stored_key = Verifier {
            stored_key: vec![0; 32],
            ..one.clone()
        };
        let server_key = Verifier {
            server_key: Vec::new(),
            ..one.clone()
        };
        for other in [salt, iterations, stored_key, server_key] {
            assert!(one != other);
        }
        assert!(one == one.clone());
    }

    #[test]
    fn one_password_for_all_hashes() {
        let all = Verifiers::derive("pencil", b"0123456789abcdef", 2).expect("password");
        for hash in Hash::ALL {
            assert!(all.get(hash).unwrap().check_password(hash, "pencil"));
            assert_eq!(all.get(hash).unwrap().stored_key.len(), hash.output_bytes());
        }
        let fake = Verifier::fake(Hash::Sha1, &[1; 32], "nobody", 2);
        assert_eq!((fake.salt.len(), fake.stored_key.len()), (SALT_BYTES, 20));
        assert!(!fake.check_password(Hash::Sha1, "pencil"));
    }
}
