//! Authentication with a token that the server has given out (XEP-0484), by the mechanisms of the
//! family HT (draft-schmaus-kitten-sasl-ht): one message, no challenge.

use super::{BindingType, ChannelBindings, Failure, Hash};
use crate::{BareJid, jid};
use std::fmt;
use subtle::ConstantTimeEq;

/// Tokens that can be valid for one client at a time: the one it was given last and the one it
/// has used (XEP-0484 § 5.1). More candidates are not looked at.
pub const FAST_CANDIDATES_MAX: usize = 2;

/// The token mechanisms that we know. `tls-unique` is none of them: TLS 1.3 has no such binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FastMechanism {
    /// HT-SHA-256-EXPR, bound to `tls-exporter`.
    Exporter,
    /// HT-SHA-256-ENDP, bound to `tls-server-end-point`.
    EndPoint,
    /// HT-SHA-256-NONE, not bound.
    Unbound,
}

impl FastMechanism {
    /// All of them, the strongest first.
    pub const ALL: [Self; 3] = [Self::Exporter, Self::EndPoint, Self::Unbound];

    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Exporter => "HT-SHA-256-EXPR",
            Self::EndPoint => "HT-SHA-256-ENDP",
            Self::Unbound => "HT-SHA-256-NONE",
        }
    }

    /// The mechanism of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|mechanism| mechanism.name() == name)
    }

    /// What it binds to.
    pub fn binding(self) -> Option<BindingType> {
        match self {
            Self::Exporter => Some(BindingType::TlsExporter),
            Self::EndPoint => Some(BindingType::TlsServerEndPoint),
            Self::Unbound => None,
        }
    }

    /// Whether it can be used on a connection with these bindings.
    pub fn usable(self, bindings: &ChannelBindings) -> bool {
        self.binding()
            .is_none_or(|kind| bindings.data(kind).is_some())
    }
}

/// A token: as good as a password, so it is not shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// A token of 128 random bits at least, in characters that an attribute can have.
    pub fn new(token: String) -> Self {
        Self(token)
    }

    /// The token as the client is given it.
    pub fn secret(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// A token that the client may mean: one given out to it for the mechanism in use.
#[derive(Debug, Clone)]
pub struct FastCandidate {
    /// The token.
    pub token: Token,
    /// The highest `count` that it has been used with, if it has been with one.
    pub count: Option<u32>,
    /// Whether it is too old, or not trusted any more: its holder learns that, nobody else.
    pub expired: bool,
}

/// A client's attempt with a token, waiting for the candidates.
pub struct FastExchange {
    mechanism: FastMechanism,
    domain: String,
    username: Option<String>,
    claim: String,
    proof: Vec<u8>,
    binding: Vec<u8>,
}

/// The client has the token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FastSuccess {
    /// Whose it is.
    pub jid: BareJid,
    /// Which of the candidates it is, from zero.
    pub candidate: usize,
    /// The proof that we have it, too.
    pub data: Vec<u8>,
}

impl FastExchange {
    /// Takes the client's only message: name, NUL, HMAC of `Initiator` and the binding's data.
    pub fn start(
        mechanism: FastMechanism,
        bindings: &ChannelBindings,
        domain: &str,
        message: &[u8],
    ) -> Result<Self, Failure> {
        let mut fields = message.splitn(2, |byte| *byte == 0);
        let (Some(name), Some(proof)) = (fields.next(), fields.next()) else {
            return Err(Failure::MalformedRequest);
        };
        let claim = std::str::from_utf8(name).map_err(|_| Failure::MalformedRequest)?;
        if claim.is_empty() || proof.len() != Hash::Sha256.output_bytes() {
            return Err(Failure::MalformedRequest);
        }
        let binding = match mechanism.binding() {
            None => &[],
            Some(kind) => bindings.data(kind).ok_or(Failure::InvalidMechanism)?,
        };
        Ok(Self {
            mechanism,
            domain: domain.to_owned(),
            username: jid::prepare_local(claim)
                .ok()
                .map(std::borrow::Cow::into_owned),
            claim: claim.to_owned(),
            proof: proof.to_owned(),
            binding: binding.to_owned(),
        })
    }

    /// The mechanism in use.
    pub fn mechanism(&self) -> FastMechanism {
        self.mechanism
    }

    /// The localpart that the client claims, if it is valid.
    pub fn username(&self) -> Option<&str> {
        self.username.as_deref()
    }

    /// The name to look for tokens with: the prepared localpart, or what no account has.
    pub fn claim(&self) -> &str {
        self.username.as_deref().unwrap_or(&self.claim)
    }

    /// Compares with the client's tokens; none, if nobody or nothing is known. `count` is the
    /// client's, if it counts: it must be higher than ever with this token (XEP-0484 § 3.4).
    /// The work is the same whatever fits.
    pub fn verify(
        &self,
        candidates: &[FastCandidate],
        count: Option<u32>,
    ) -> Result<FastSuccess, Failure> {
        let mut found = None;
        for place in 0..FAST_CANDIDATES_MAX {
            let candidate = candidates.get(place);
            let token = candidate.map_or("", |candidate| candidate.token.secret());
            let proof = self.hmac(token, b"Initiator");
            let fits = bool::from(proof.ct_eq(&self.proof));
            if fits && candidate.is_some_and(|candidate| !candidate.token.secret().is_empty()) {
                found = found.or(candidate.map(|candidate| (place, candidate)));
            }
        }
        let account = self
            .username
            .as_deref()
            .and_then(|username| BareJid::from_parts(Some(username), &self.domain).ok());
        let (Some((place, candidate)), Some(jid)) = (found, account) else {
            return Err(Failure::NotAuthorized);
        };
        if count.is_some() && count <= candidate.count {
            return Err(Failure::NotAuthorized);
        }
        if candidate.expired {
            return Err(Failure::CredentialsExpired);
        }
        Ok(FastSuccess {
            jid,
            candidate: place,
            data: self.hmac(candidate.token.secret(), b"Responder"),
        })
    }

    fn hmac(&self, token: &str, role: &[u8]) -> Vec<u8> {
        Hash::Sha256.hmac(token.as_bytes(), &[role, &self.binding])
    }
}

#[cfg(test)]
mod tests {
    use super::super::client::token as client;
    use super::*;

    fn bindings() -> ChannelBindings {
        ChannelBindings {
            exporter: Some(vec![1; 32]),
            server_end_point: None,
        }
    }

    fn candidate(token: &str) -> FastCandidate {
        FastCandidate {
            token: Token::new(token.to_owned()),
            count: None,
            expired: false,
        }
    }

    fn verify(
        message: &[u8],
        candidates: &[FastCandidate],
        count: Option<u32>,
    ) -> Result<usize, Failure> {
        FastExchange::start(FastMechanism::Exporter, &bindings(), "example.org", message)?
            .verify(candidates, count)
            .map(|success| success.candidate)
    }

    /// Computed with Python's `hmac`, the token `secret-token:fast-abc` and 32 octets of 1.
    #[test]
    fn known_answer() {
        let (message, expected) = client("secret-token:fast-abc", "juliet", &[1; 32]);
        assert_eq!(hex(&message[7..]), INITIATOR);
        let exchange = FastExchange::start(
            FastMechanism::Exporter,
            &bindings(),
            "example.org",
            &message,
        )
        .expect("well-formed");
        let success = exchange
            .verify(&[candidate("secret-token:fast-abc")], None)
            .expect("the token");
        assert_eq!(success.jid.as_str(), "juliet@example.org");
        assert_eq!(
            (hex(&success.data), success.data),
            (RESPONDER.to_owned(), expected)
        );
    }

    fn hex(bytes: &[u8]) -> String {
        use std::fmt::Write as _;
        let mut hex = String::new();
        for byte in bytes {
            write!(hex, "{byte:02x}").expect("writes to a string");
        }
        hex
    }

    const INITIATOR: &str = "9a4f945a3e37fa593f6e9bb0f8f18b18b4f560e36b1a1918cf6515736899f36a";
    const RESPONDER: &str = "e98f99abd8c706c2762225122fe7fa892e97c10944c38473ac82e2b2cdff67fe";

    #[test]
    fn which_token() {
        let (message, _) = client("new", "juliet", &[1; 32]);
        let both = [candidate("old"), candidate("new")];
        assert_eq!(verify(&message, &both, None), Ok(1));
        assert_eq!(
            verify(&message, &both[..1], None),
            Err(Failure::NotAuthorized)
        );
        assert_eq!(verify(&message, &[], None), Err(Failure::NotAuthorized));
        let third = [candidate("a"), candidate("b"), candidate("new")];
        assert_eq!(verify(&message, &third, None), Err(Failure::NotAuthorized));
        // Another connection, and none.
        for binding in [&[2; 32][..], &[]] {
            let (message, _) = client("new", "juliet", binding);
            assert_eq!(verify(&message, &both, None), Err(Failure::NotAuthorized));
        }
        // A token that is empty is none.
        let (message, _) = client("", "juliet", &[1; 32]);
        assert_eq!(
            verify(&message, &[candidate("")], None),
            Err(Failure::NotAuthorized)
        );
        // A name that no account can have.
        let (message, _) = client("new", "ju liet", &[1; 32]);
        assert_eq!(verify(&message, &both, None), Err(Failure::NotAuthorized));
    }

    #[test]
    fn counts_and_expiry() {
        let (message, _) = client("t", "juliet", &[1; 32]);
        let used = FastCandidate {
            count: Some(5),
            ..candidate("t")
        };
        let expired = FastCandidate {
            expired: true,
            ..candidate("t")
        };
        for (candidate, count, expected) in [
            (&used, Some(6), Ok(0)),
            (&used, None, Ok(0)),
            (&candidate("t"), Some(0), Ok(0)),
            (&used, Some(5), Err(Failure::NotAuthorized)),
            (&expired, Some(6), Err(Failure::CredentialsExpired)),
        ] {
            let candidates = std::slice::from_ref(candidate);
            assert_eq!(verify(&message, candidates, count), expected);
        }
        let (wrong, _) = client("x", "juliet", &[1; 32]);
        assert_eq!(
            verify(&wrong, &[expired], None),
            Err(Failure::NotAuthorized),
            "only the holder learns that a token has expired"
        );
    }

    #[test]
    fn malformed() {
        let proof = [0; 32];
        for bad in [
            &b""[..],
            b"juliet",
            b"juliet\0",
            b"juliet\0short",
            &[&b"\0"[..], &proof].concat(),
            &[&b"\xff\0"[..], &proof].concat(),
            &[&b"juliet\0\0"[..], &proof].concat(),
        ] {
            assert_eq!(
                verify(bad, &[], None),
                Err(Failure::MalformedRequest),
                "{bad:?}"
            );
        }
        let unbindable = FastExchange::start(
            FastMechanism::EndPoint,
            &bindings(),
            "example.org",
            &[&b"juliet\0"[..], &proof].concat(),
        );
        assert_eq!(unbindable.err(), Some(Failure::InvalidMechanism));
    }
}
