//! SCRAM's messages (RFC 5802 § 7): strict parsers and the proof.

use super::{Hash, NONCE_BYTES_MAX, Verifier, base64};
use std::borrow::Cow;
use subtle::ConstantTimeEq;

/// The message does not follow the grammar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// What the client says about channel binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BindingFlag<'a> {
    /// `n`: the client cannot.
    Unsupported,
    /// `y`: the client can and thinks that the server cannot.
    NotOffered,
    /// `p=`: the client uses the type named.
    Used(&'a str),
}

/// client-first-message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ClientFirst<'a> {
    /// `gs2-header`, the last comma included.
    pub(super) header: &'a str,
    pub(super) flag: BindingFlag<'a>,
    /// Unescaped `a=`.
    pub(super) authzid: Option<Cow<'a, str>>,
    /// client-first-message-bare.
    pub(super) bare: &'a str,
    /// Unescaped `n=`.
    pub(super) username: Cow<'a, str>,
    pub(super) nonce: &'a str,
}

impl<'a> ClientFirst<'a> {
    pub(super) fn parse(message: &'a [u8]) -> Result<Self, Malformed> {
        let message = std::str::from_utf8(message).map_err(|_| Malformed)?;
        let (flag, rest) = message.split_once(',').ok_or(Malformed)?;
        let flag = match flag {
            "n" => BindingFlag::Unsupported,
            "y" => BindingFlag::NotOffered,
            _ => BindingFlag::Used(
                flag.strip_prefix("p=")
                    .filter(is_binding_name)
                    .ok_or(Malformed)?,
            ),
        };
        let (authzid, bare) = rest.split_once(',').ok_or(Malformed)?;
        let authzid = match authzid {
            "" => None,
            _ => Some(unescape(authzid.strip_prefix("a=").ok_or(Malformed)?)?),
        };
        let header = message.strip_suffix(bare).ok_or(Malformed)?;
        // A reserved `m=` would stand first, where only `n=` may (RFC 5802 § 5.1: to be refused).
        let mut attributes = bare.split(',');
        let mut next = |prefix| attributes.next().and_then(|a| a.strip_prefix(prefix));
        let username = unescape(next("n=").ok_or(Malformed)?)?;
        let nonce = next("r=").filter(is_nonce).ok_or(Malformed)?;
        if nonce.len() > NONCE_BYTES_MAX || !attributes.all(is_extension) {
            return Err(Malformed);
        }
        Ok(Self {
            header,
            flag,
            authzid,
            bare,
            username,
            nonce,
        })
    }
}

/// client-final-message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ClientFinal<'a> {
    /// Decoded `c=`.
    pub(super) binding: Vec<u8>,
    pub(super) nonce: &'a str,
    pub(super) without_proof: &'a str,
    /// Decoded `p=`.
    pub(super) proof: Vec<u8>,
}

impl<'a> ClientFinal<'a> {
    pub(super) fn parse(message: &'a [u8]) -> Result<Self, Malformed> {
        let message = std::str::from_utf8(message).map_err(|_| Malformed)?;
        let (without_proof, proof) = message.rsplit_once(",p=").ok_or(Malformed)?;
        let proof = base64::strict(proof).ok_or(Malformed)?;
        let mut attributes = without_proof.split(',');
        let mut next = |prefix| attributes.next().and_then(|a| a.strip_prefix(prefix));
        let binding = next("c=").and_then(base64::strict).ok_or(Malformed)?;
        let nonce = next("r=").filter(is_nonce).ok_or(Malformed)?;
        if !attributes.all(is_extension) {
            return Err(Malformed);
        }
        Ok(Self {
            binding,
            nonce,
            without_proof,
            proof,
        })
    }
}

/// server-first-message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ServerFirst<'a> {
    pub(super) nonce: &'a str,
    pub(super) salt: Vec<u8>,
    pub(super) iterations: u32,
}

impl<'a> ServerFirst<'a> {
    pub(super) fn parse(message: &'a [u8]) -> Result<Self, Malformed> {
        let message = std::str::from_utf8(message).map_err(|_| Malformed)?;
        let mut attributes = message.split(',');
        let mut next = |prefix| attributes.next().and_then(|a| a.strip_prefix(prefix));
        let nonce = next("r=").filter(is_nonce).ok_or(Malformed)?;
        let salt = next("s=").and_then(base64::strict).ok_or(Malformed)?;
        let iterations = next("i=")
            .filter(|i| i.bytes().all(|byte| byte.is_ascii_digit()) && !i.starts_with('0'))
            .and_then(|i| i.parse().ok())
            .ok_or(Malformed)?;
        if salt.is_empty() || !attributes.all(is_extension) {
            return Err(Malformed);
        }
        Ok(Self {
            nonce,
            salt,
            iterations,
        })
    }
}

/// server-first-message for a verifier. `nonce` is the client's and ours together; `protection` is
/// the attribute `h` of XEP-0474.
pub(super) fn server_first(nonce: &str, verifier: &Verifier, protection: Option<&str>) -> String {
    let salt = base64::encode(&verifier.salt);
    let mut message = format!("r={nonce},s={salt},i={}", verifier.iterations);
    if let Some(hash) = protection {
        message.push_str(",h=");
        message.push_str(hash);
    }
    message
}

/// `AuthMessage` (RFC 5802 § 3).
pub(super) fn auth_message(
    client_first_bare: &str,
    server_first: &str,
    client_final_without_proof: &str,
) -> String {
    format!("{client_first_bare},{server_first},{client_final_without_proof}")
}

/// Whether the proof shows that the client knows the password. All work is done whatever the
/// proof is, as long as it has the right length.
pub(super) fn proof_fits(
    hash: Hash,
    verifier: &Verifier,
    auth_message: &str,
    proof: &[u8],
) -> bool {
    let signature = hash.hmac(&verifier.stored_key, &[auth_message.as_bytes()]);
    if proof.len() != signature.len() {
        return false;
    }
    let stored_key = hash.digest(&xor(&signature, proof));
    stored_key.ct_eq(&verifier.stored_key).into()
}

/// Bytewise exclusive or of two equally long strings.
pub(super) fn xor(left: &[u8], right: &[u8]) -> Vec<u8> {
    left.iter()
        .zip(right)
        .map(|(left, right)| left ^ right)
        .collect()
}

/// Writes a name as `saslname`.
pub(super) fn escape(name: &str) -> String {
    name.replace('=', "=3D").replace(',', "=2C")
}

/// Reads `saslname`: not empty, no NUL, and `=` only as part of `=2C` and `=3D`.
fn unescape(name: &str) -> Result<Cow<'_, str>, Malformed> {
    if name.is_empty() || name.contains('\0') {
        return Err(Malformed);
    }
    let mut pieces = name.split('=');
    let first = pieces.next().unwrap_or_default();
    if first.len() == name.len() {
        return Ok(Cow::Borrowed(name));
    }
    let mut plain = first.to_owned();
    for piece in pieces {
        if let Some(rest) = piece.strip_prefix("2C") {
            plain.push(',');
            plain.push_str(rest);
        } else {
            plain.push('=');
            plain.push_str(piece.strip_prefix("3D").ok_or(Malformed)?);
        }
    }
    Ok(Cow::Owned(plain))
}

/// `cb-name`.
fn is_binding_name(name: &&str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'))
}

/// `printable`, once or more; commas are gone already.
fn is_nonce(nonce: &&str) -> bool {
    !nonce.is_empty() && nonce.bytes().all(|byte| byte.is_ascii_graphic())
}

/// `attr-val`: an extension, which is ignored (RFC 5802 § 5.1). The attributes that RFC 5802
/// defines, `m` included, are none.
fn is_extension(attribute: &str) -> bool {
    match attribute.as_bytes() {
        [name, b'=', value @ ..] => {
            name.is_ascii_alphabetic()
                && !b"aceimnprsv".contains(name)
                && !value.is_empty()
                && !value.contains(&0)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_first() {
        let first = ClientFirst::parse(b"p=tls-exporter,a=x=2Cy,n=a=3Db,r=abc,x=1").expect("valid");
        assert_eq!(
            first,
            ClientFirst {
                header: "p=tls-exporter,a=x=2Cy,",
                flag: BindingFlag::Used("tls-exporter"),
                authzid: Some("x,y".into()),
                bare: "n=a=3Db,r=abc,x=1",
                username: "a=b".into(),
                nonce: "abc",
            }
        );
        let long = format!("n,,n=u,r={}", "x".repeat(NONCE_BYTES_MAX + 1));
        for bad in [
            "",
            "n",
            "n,",
            "n,,",
            "n,,n=u",
            "n,,n=u,r=",
            "n,,n=,r=abc",
            "n,,n=u,r=a\u{1}c",
            "n,,n=u,r=a c",
            "n,,n=u,r=ä",
            "n,,r=abc,n=u",
            "n,,m=x,n=u,r=abc",
            "n,,n=u,r=abc,m=x",
            "n,,n=u,r=abc,",
            "n,,n=u,r=abc,x=",
            "n,,n=u,r=abc,1=x",
            "n,,n=u,r=abc,xx",
            "n,,n=u=,r=abc",
            "n,,n=u=2c,r=abc",
            "n,,n=u=41,r=abc",
            "n,,n=u\0,r=abc",
            "n,u,n=u,r=abc",
            "n,a=,n=u,r=abc",
            "N,,n=u,r=abc",
            "p,,n=u,r=abc",
            "p=,,n=u,r=abc",
            "p=tls exporter,,n=u,r=abc",
            "n=u,r=abc",
            long.as_str(),
        ] {
            assert_eq!(
                ClientFirst::parse(bad.as_bytes()),
                Err(Malformed),
                "{bad:?}"
            );
        }
        assert_eq!(ClientFirst::parse(b"n,,n=\xff,r=abc"), Err(Malformed));
    }

    #[test]
    fn client_final() {
        let last = ClientFinal::parse(b"c=biws,r=abc,x=1,p=AAAA").expect("valid");
        assert_eq!(last.binding, b"n,,");
        assert_eq!(
            (last.nonce, last.without_proof),
            ("abc", "c=biws,r=abc,x=1")
        );
        assert_eq!(last.proof, [0, 0, 0]);
        for bad in [
            "",
            "c=biws,r=abc",
            "c=biws,r=abc,p=AAA",
            "c=biws,r=abc,p=*",
            "c=biws,r=abc,p=AAAA,x=1",
            "c=biws,r=,p=AAAA",
            "c=biw,r=abc,p=AAAA",
            "r=abc,c=biws,p=AAAA",
            "c=biws,p=AAAA",
            "c=biws,r=abc,m=1,p=AAAA",
            "c=biws,r=abc,,p=AAAA",
            "m=1,c=biws,r=abc,p=AAAA",
            "c=biws,r=abc,p=AB==",
        ] {
            assert_eq!(
                ClientFinal::parse(bad.as_bytes()),
                Err(Malformed),
                "{bad:?}"
            );
        }
    }

    #[test]
    fn server_first_is_strict_too() {
        for bad in [
            "",
            "r=abc,s=AAAA,i=",
            "r=abc,s=AAAA,i=0",
            "r=abc,s=AAAA,i=+1",
            "r=abc,s=AAAA,i=99999999999",
            "r=abc,s=,i=1",
            "r=abc,s=A,i=1",
            "m=1,r=abc,s=AAAA,i=1",
        ] {
            assert_eq!(
                ServerFirst::parse(bad.as_bytes()),
                Err(Malformed),
                "{bad:?}"
            );
        }
    }

    #[test]
    fn names_survive_escaping() {
        for name in ["a", "a,b", "=", "=2C", ",=,"] {
            assert_eq!(unescape(&escape(name)).as_deref(), Ok(name));
        }
    }
}
