//! Names and passwords for a while. A name is `EXPIRES:ACCOUNT`, where the account is a code that
//! tells nobody who it is, as names cross the network in clear; the password is a code of the name. So
//! nothing is kept, and nobody but the server can make one.

use crate::sasl::{self, Hash};
use md5::{Digest as _, Md5};

/// What a client logs in with.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The name.
    pub username: String,
    /// The password.
    pub password: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials(..)")
    }
}

impl Credentials {
    /// Those of an account until a time, in seconds since 1970.
    pub fn new(secret: &[u8; 32], account: &str, expires: u64) -> Self {
        let code = Hash::Sha256.hmac(secret, &[b"account\0", account.as_bytes()]);
        let code = sasl::encode(code.get(..12).unwrap_or_default());
        let username = format!("{expires}:{code}");
        let password = password(secret, &username);
        Self { username, password }
    }
}

/// The password of a name.
fn password(secret: &[u8; 32], username: &str) -> String {
    let code = Hash::Sha256.hmac(secret, &[b"password\0", username.as_bytes()]);
    sasl::encode(code.get(..18).unwrap_or_default())
}

/// What messages of a name are signed with, and whose it is; `None` if it has ended at `now` (seconds
/// since 1970), or is none of ours.
pub(super) fn key(
    secret: &[u8; 32],
    realm: &str,
    username: &str,
    now: u64,
) -> Option<([u8; 16], String)> {
    let (expires, account) = username.split_once(':')?;
    let expires: u64 = expires.parse().ok()?;
    if expires <= now {
        return None;
    }
    let password = password(secret, username);
    // RFC 8489 § 9.2.2.
    let key = Md5::digest(format!("{username}:{realm}:{password}"));
    Some((key.into(), account.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_good_for_its_time() {
        let secret = [7; 32];
        let made = Credentials::new(&secret, "alice@example.org", 100);
        assert!(!made.username.contains("alice"), "{}", made.username);
        let (key_now, account) = key(&secret, "r", &made.username, 99).unwrap();
        assert_eq!(key(&secret, "r", &made.username, 100), None);
        let later = Credentials::new(&secret, "alice@example.org", 200);
        let (other_key, same) = key(&secret, "r", &later.username, 99).unwrap();
        assert_eq!(account, same, "one account, whatever the time");
        assert_ne!(key_now, other_key);
        for wrong in ["", "x", "x:y", "-1:y", ":"] {
            assert_eq!(key(&secret, "r", wrong, 0), None, "{wrong}");
        }
    }
}
