//! The client's side, as far as tests and server-to-server links need it: PLAIN, SCRAM with
//! channel binding, and tokens.

use super::scram::{self, ServerFirst};
use super::verifier::{client_key, salted_password, server_key};
use super::{BindingType, Hash, base64, downgrade};
use subtle::ConstantTimeEq;

/// PBKDF2 iterations that a server may ask for, at most: more would be an attack on our CPU.
const ITERATIONS_MAX: u32 = 1_000_000;

/// Why the client gives up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientError {
    /// The server's message breaks the grammar, comes out of turn, or does not continue our nonce.
    Message,
    /// The password cannot be prepared (RFC 8265 § 4.2).
    Password,
    /// The server asks for too many iterations.
    Iterations,
    /// The server does not know our password: it is not who it says.
    Server,
}

impl std::fmt::Display for ClientError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Message => "the server's SASL message is malformed",
            Self::Password => "the password has a character that it may not have",
            Self::Iterations => "the server asks for too many iterations",
            Self::Server => "the server does not know the password",
        })
    }
}

impl std::error::Error for ClientError {}

/// What the client says about channel binding (RFC 5802 § 6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientBinding {
    /// `n`: it cannot.
    Unsupported,
    /// `y`: it could, but the server offered no -PLUS mechanism.
    NotOffered,
    /// `p`: this type with this data; for -PLUS mechanisms.
    Bound(BindingType, Vec<u8>),
}

/// A client's SCRAM exchange: [`first`](Self::first), then [`last`](Self::last) with the server's
/// challenge, then [`finish`](Self::finish) with the data of its success.
#[derive(Debug)]
pub struct ScramClient {
    hash: Hash,
    header: String,
    binding_data: Vec<u8>,
    bare: String,
    nonce: String,
    password: Password,
    server_signature: Option<Vec<u8>>,
}

struct Password(String);

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password(..)")
    }
}

impl ScramClient {
    /// An exchange with a fresh random nonce of printable ASCII without comma.
    pub fn new(
        hash: Hash,
        binding: ClientBinding,
        username: &str,
        password: &str,
        nonce: &str,
    ) -> Self {
        let (header, binding_data) = match binding {
            ClientBinding::Unsupported => ("n,,".to_owned(), Vec::new()),
            ClientBinding::NotOffered => ("y,,".to_owned(), Vec::new()),
            ClientBinding::Bound(kind, data) => (format!("p={},,", kind.name()), data),
        };
        Self {
            hash,
            header,
            binding_data,
            bare: format!("n={},r={nonce}", scram::escape(username)),
            nonce: nonce.to_owned(),
            password: Password(password.to_owned()),
            server_signature: None,
        }
    }

    /// The initial response, client-first-message.
    pub fn first(&self) -> Vec<u8> {
        format!("{}{}", self.header, self.bare).into_bytes()
    }

    /// client-final-message, the answer to server-first-message. Costs the iterations that the
    /// server asks for.
    pub fn last(&mut self, challenge: &[u8]) -> Result<Vec<u8>, ClientError> {
        let server = ServerFirst::parse(challenge).map_err(|_| ClientError::Message)?;
        let server_first = std::str::from_utf8(challenge).map_err(|_| ClientError::Message)?;
        if !server.nonce.starts_with(&self.nonce) || server.nonce.len() == self.nonce.len() {
            return Err(ClientError::Message);
        }
        if server.iterations > ITERATIONS_MAX {
            return Err(ClientError::Iterations);
        }
        let salted = salted_password(self.hash, &self.password.0, &server.salt, server.iterations)
            .map_err(|_| ClientError::Password)?;
        let binding = [self.header.as_bytes(), &self.binding_data].concat();
        let without_proof = format!("c={},r={}", base64::encode(&binding), server.nonce);
        let auth_message = scram::auth_message(&self.bare, server_first, &without_proof);
        let client_key = client_key(self.hash, &salted);
        let stored_key = self.hash.digest(&client_key);
        let signature = self.hash.hmac(&stored_key, &[auth_message.as_bytes()]);
        let proof = base64::encode(&scram::xor(&client_key, &signature));
        let server_key = server_key(self.hash, &salted);
        self.server_signature = Some(self.hash.hmac(&server_key, &[auth_message.as_bytes()]));
        Ok(format!("{without_proof},p={proof}").into_bytes())
    }

    /// Checks server-final-message. Without it the client does not know whom it talks to.
    pub fn finish(&mut self, data: &[u8]) -> Result<(), ClientError> {
        let expected = self.server_signature.take().ok_or(ClientError::Message)?;
        let signature = std::str::from_utf8(data)
            .ok()
            .and_then(|data| data.strip_prefix("v="))
            .and_then(base64::strict)
            .ok_or(ClientError::Message)?;
        if expected.ct_eq(&signature).into() {
            Ok(())
        } else {
            Err(ClientError::Server)
        }
    }
}

/// What the attribute `h` of server-first-message must be if the server has offered these mechanisms
/// and types of channel binding, and nobody has changed the offer on its way (XEP-0474 § 5.1).
pub fn advertised(hash: Hash, mechanisms: &[&str], bindings: Option<&[&str]>) -> String {
    downgrade::of_names(hash, mechanisms.to_vec(), bindings.map(<[&str]>::to_vec))
}

/// The one message of PLAIN (RFC 4616 § 2), without authzid.
pub fn plain(username: &str, password: &str) -> Vec<u8> {
    format!("\0{username}\0{password}").into_bytes()
}

/// The one message of an HT mechanism (XEP-0484) with the data of its channel binding, empty if it
/// is not bound; and what the server must answer to it.
pub fn token(token: &str, username: &str, binding: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let hmac = |role: &[u8]| Hash::Sha256.hmac(token.as_bytes(), &[role, binding]);
    let message = [username.as_bytes(), &[0], &hmac(b"Initiator")].concat();
    (message, hmac(b"Responder"))
}
