//! A slot as the client carries it: what was granted, and a code (HMAC-SHA-256) that only this
//! installation can make.
//!
//! A token is, in base64url: the code (32 bytes), when the slot expires (8), how long the file is
//! (8), how long it stays (1 and 8), the length of the account's address (2), that address, and the
//! kind of file. The code covers all that and the slot's name.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use subtle::ConstantTimeEq as _;
use waxwing_proto::{BareJid, sasl::Hash};
use waxwing_store::{Lifetime, Micros};

/// The path of uploads; a slot's name and a file's name follow, with a slash between them.
pub const PATH: &str = "/upload/";

/// Bytes of the code.
const CODE_BYTES: usize = 32;

/// Leave to upload one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// Its name: 144 random bits.
    pub name: String,
    /// Whose.
    pub account: BareJid,
    /// How long the file must be.
    pub bytes: u64,
    /// What kind of file it must be, if that was said.
    pub media_type: Option<String>,
    /// How long the file stays.
    pub lifetime: Lifetime,
    /// Until when the upload may begin.
    pub expires: Micros,
}

impl Slot {
    /// Where the file is put and got, at an authority.
    pub(super) fn address(&self, authority: &str, file: &str) -> String {
        format!("https://{authority}{PATH}{}/{file}", self.name)
    }

    /// What shows that it was granted.
    pub(super) fn token(&self, secret: &[u8; 32]) -> String {
        let claims = self.claims();
        let mut token = code(secret, &self.name, &claims);
        token.extend_from_slice(&claims);
        URL_SAFE_NO_PAD.encode(token)
    }

    /// The slot of this name that a token shows; `None` if it does not, or not any more.
    pub(super) fn read(secret: &[u8; 32], name: &str, token: &str, now: Micros) -> Option<Self> {
        let token = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (shown, claims) = token.split_at_checked(CODE_BYTES)?;
        if !bool::from(code(secret, name, claims).ct_eq(shown)) {
            return None;
        }
        let slot = Self::of_claims(name, claims)?;
        (now < slot.expires).then_some(slot)
    }

    fn claims(&self) -> Vec<u8> {
        let (lifetime, until) = match self.lifetime {
            Lifetime::Usual => (0, 0),
            Lifetime::Forever => (1, 0),
            Lifetime::Until(until) => (2, until),
        };
        let account = self.account.as_str().as_bytes();
        // RFC 7622 § 3.1: a bare JID has 2047 bytes at most.
        let length = u16::try_from(account.len()).unwrap_or(u16::MAX);
        let mut claims = Vec::with_capacity(64 + account.len());
        claims.extend(self.expires.to_be_bytes());
        claims.extend(self.bytes.to_be_bytes());
        claims.push(lifetime);
        claims.extend(until.to_be_bytes());
        claims.extend(length.to_be_bytes());
        claims.extend(account);
        claims.extend(self.media_type.as_deref().unwrap_or_default().as_bytes());
        claims
    }

    fn of_claims(name: &str, mut claims: &[u8]) -> Option<Self> {
        let rest = &mut claims;
        let expires = Micros::from_be_bytes(take(rest)?);
        let bytes = u64::from_be_bytes(take(rest)?);
        let [lifetime] = take(rest)?;
        let until = Micros::from_be_bytes(take(rest)?);
        let length = u16::from_be_bytes(take(rest)?);
        let (account, media_type) = rest.split_at_checked(length.into())?;
        let media_type = std::str::from_utf8(media_type).ok()?;
        Some(Self {
            name: name.to_owned(),
            account: BareJid::parse(std::str::from_utf8(account).ok()?).ok()?,
            bytes,
            media_type: (!media_type.is_empty()).then(|| media_type.to_owned()),
            lifetime: match lifetime {
                0 => Lifetime::Usual,
                1 => Lifetime::Forever,
                2 => Lifetime::Until(until),
                _ => return None,
            },
            expires,
        })
    }
}

/// The code of claims about a slot. Names have no zero byte, so no two pairs have the same.
fn code(secret: &[u8; 32], name: &str, claims: &[u8]) -> Vec<u8> {
    Hash::Sha256.hmac(secret, &[name.as_bytes(), &[0], claims])
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, tail) = rest.split_first_chunk()?;
    *rest = tail;
    Some(*taken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECRET: [u8; 32] = [7; 32];

    fn slot() -> Slot {
        Slot {
            name: "slot".to_owned(),
            account: BareJid::parse("alice@example.org").unwrap(),
            bytes: 23_456,
            media_type: Some("image/jpeg".to_owned()),
            lifetime: Lifetime::Until(99),
            expires: 50,
        }
    }

    #[test]
    fn a_token_shows_what_was_granted_for_its_time() {
        for (lifetime, media_type) in [
            (Lifetime::Usual, None),
            (Lifetime::Forever, Some("a/b")),
            (Lifetime::Until(99), None),
        ] {
            let slot = Slot {
                lifetime,
                media_type: media_type.map(str::to_owned),
                ..slot()
            };
            let token = slot.token(&SECRET);
            assert_eq!(Slot::read(&SECRET, "slot", &token, 49), Some(slot));
            assert_eq!(Slot::read(&SECRET, "slot", &token, 50), None);
            assert_eq!(Slot::read(&SECRET, "other", &token, 49), None);
            assert_eq!(Slot::read(&[8; 32], "slot", &token, 49), None);
        }
    }

    proptest! {
        #[test]
        fn no_changed_token_shows_anything(at in 0_usize..200, with in 1_u8..) {
            let mut token = URL_SAFE_NO_PAD.decode(slot().token(&SECRET)).unwrap();
            let at = at % token.len();
            token[at] ^= with;
            let token = URL_SAFE_NO_PAD.encode(token);
            prop_assert_eq!(Slot::read(&SECRET, "slot", &token, 0), None);
        }

        #[test]
        fn nothing_else_is_a_token(token in ".*") {
            prop_assert_eq!(Slot::read(&SECRET, "slot", &token, 0), None);
        }
    }
}
