//! The hash functions of the SCRAM family and what is made of them.

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};

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

/// Evaluates an expression with `D` as the digest type.
macro_rules! with_digest {
    ($hash:expr, $do:expr) => {
        match $hash {
            Hash::Sha1 => {
                type D = Sha1;
                $do
            }
            Hash::Sha256 => {
                type D = Sha256;
                $do
            }
            Hash::Sha512 => {
                type D = Sha512;
                $do
            }
        }
    };
}

impl Hash {
    /// All of them, the strongest first.
    pub const ALL: [Self; 3] = [Self::Sha512, Self::Sha256, Self::Sha1];

    /// Octets of a hash.
    pub fn output_bytes(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }

    /// `H(data)`.
    pub fn digest(self, data: &[u8]) -> Vec<u8> {
        with_digest!(self, D::digest(data).to_vec())
    }

    /// `HMAC(key, data)`, the data given in pieces.
    #[expect(
        clippy::expect_used,
        clippy::missing_panics_doc,
        reason = "INVARIANT: HMAC takes a key of any length"
    )]
    pub fn hmac(self, key: &[u8], data: &[&[u8]]) -> Vec<u8> {
        with_digest!(self, {
            let mut mac = Hmac::<D>::new_from_slice(key).expect("INVARIANT: any length");
            for piece in data {
                mac.update(piece);
            }
            mac.finalize().into_bytes().to_vec()
        })
    }

    /// `Hi(password, salt, iterations)`, which is PBKDF2 (RFC 5802 § 2.2).
    pub fn salted(self, password: &[u8], salt: &[u8], iterations: u32) -> Vec<u8> {
        let mut out = vec![0; self.output_bytes()];
        with_digest!(
            self,
            pbkdf2::pbkdf2_hmac::<D>(password, salt, iterations, &mut out)
        );
        out
    }
}
