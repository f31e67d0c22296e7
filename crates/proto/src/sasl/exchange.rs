//! One authentication, as the server sees it.

use super::scram::{self, BindingFlag, ClientFinal, ClientFirst, Malformed};
use super::{BindingType, ChannelBindings, Failure, Hash, MESSAGE_BYTES_MAX, Mechanism, Verifier};
use super::{PASSWORD_BYTES_MAX, base64};
use crate::jid::{self, BareJid};
use subtle::ConstantTimeEq;

/// What the stream offers, and may therefore use.
#[derive(Debug, Clone, Copy)]
pub struct Offer<'a> {
    /// The mechanisms advertised. Nothing else is accepted, whether we know it or not.
    pub mechanisms: &'a [Mechanism],
    /// What the connection can be bound to.
    pub bindings: &'a ChannelBindings,
    /// The prepared domain that the client talks to, of which it wants to be a user.
    pub domain: &'a str,
}

/// What is to be done next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Look up the verifier and call [`Exchange::verifier`].
    NeedVerifier {
        /// The localpart, prepared. If the client's name cannot be a localpart it is given as it
        /// came: no account has it, and it is to be treated as any unknown name.
        username: String,
        /// For which hash.
        hash: Hash,
    },
    /// Send this challenge and call [`Exchange::response`] with the answer.
    Challenge(Vec<u8>),
    /// The client is who it says.
    Success {
        /// The prepared localpart.
        username: String,
        /// Additional data, to be sent with the success (RFC 6120 § 6.3.10).
        data: Option<Vec<u8>>,
    },
    /// The client is not.
    Failure(Failure),
}

/// The server's side of one SASL exchange. After a [`Step::Success`] or a [`Step::Failure`] it is
/// over, and a new attempt is a new exchange.
#[derive(Debug)]
pub struct Exchange {
    mechanism: Mechanism,
    domain: String,
    /// Whether any -PLUS mechanism was offered.
    plus_offered: bool,
    bindings: ChannelBindings,
    server_nonce: String,
    /// The localpart, once the client has named one that is valid.
    username: Option<String>,
    binding: Option<BindingType>,
    state: State,
}

enum State {
    /// The client speaks first and has not yet.
    Initial,
    /// PLAIN: the password waits for the verifier.
    Password(String),
    /// SCRAM: the client's first message waits for the verifier.
    First(Scram),
    /// SCRAM: our challenge is out.
    Challenged {
        scram: Scram,
        server_first: String,
        verifier: Verifier,
        known: bool,
    },
    Over,
}

/// What is kept of client-first-message.
struct Scram {
    /// What `c=` must be.
    binding: Vec<u8>,
    client_first_bare: String,
    /// The client's and ours.
    nonce: String,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Initial => "Initial",
            Self::Password(_) => "Password(..)",
            Self::First(_) => "First(..)",
            Self::Challenged { .. } => "Challenged { .. }",
            Self::Over => "Over",
        })
    }
}

impl Exchange {
    /// Starts an exchange.
    ///
    /// `server_nonce` must be unpredictable, with 128 bits at least, printable ASCII and without
    /// comma; `initial` is the initial response, if there was one.
    pub fn start(
        mechanism: Mechanism,
        offer: Offer<'_>,
        server_nonce: &str,
        initial: Option<&[u8]>,
    ) -> (Self, Step) {
        let mut exchange = Self {
            mechanism,
            domain: offer.domain.to_owned(),
            plus_offered: offer.mechanisms.iter().any(|mechanism| mechanism.plus()),
            bindings: offer.bindings.clone(),
            server_nonce: server_nonce.to_owned(),
            username: None,
            binding: None,
            state: State::Initial,
        };
        let step = if !offer.mechanisms.contains(&mechanism) {
            exchange.fail(Failure::InvalidMechanism)
        } else if let Some(initial) = initial {
            exchange.response(initial)
        } else {
            Step::Challenge(Vec::new())
        };
        (exchange, step)
    }

    /// Takes the client's next message. One that comes while the verifier is awaited, or after
    /// the end, is `malformed-request`.
    pub fn response(&mut self, message: &[u8]) -> Step {
        if message.len() > MESSAGE_BYTES_MAX {
            return self.fail(Failure::MalformedRequest);
        }
        let step = match std::mem::replace(&mut self.state, State::Over) {
            State::Initial if self.mechanism == Mechanism::Plain => self.plain(message),
            State::Initial => self.client_first(message),
            State::Challenged {
                scram,
                server_first,
                verifier,
                known,
            } => self.client_final(message, &scram, &server_first, &verifier, known),
            State::Password(_) | State::First(_) | State::Over => Err(Failure::MalformedRequest),
        };
        step.unwrap_or_else(|failure| self.fail(failure))
    }

    /// Takes the verifier asked for: the account's, or a [fake](Verifier::fake) if there is none
    /// (`known` is false then). Costs the PBKDF2 iterations of the verifier if the mechanism is
    /// PLAIN, and a few hashes otherwise.
    pub fn verifier(&mut self, verifier: Verifier, known: bool) -> Step {
        // A name that cannot be a localpart is nobody's, whatever the caller found.
        let known = known && self.username.is_some();
        match std::mem::replace(&mut self.state, State::Over) {
            State::Password(password) => {
                let fits = verifier.check_password(self.mechanism.hash(), &password);
                self.finish(fits && known, None)
                    .unwrap_or_else(|failure| self.fail(failure))
            }
            State::First(scram) => {
                let server_first = scram::server_first(&scram.nonce, &verifier);
                let challenge = server_first.clone().into_bytes();
                self.state = State::Challenged {
                    scram,
                    server_first,
                    verifier,
                    known,
                };
                Step::Challenge(challenge)
            }
            _ => self.fail(Failure::TemporaryAuthFailure),
        }
    }

    /// The mechanism in use.
    pub fn mechanism(&self) -> Mechanism {
        self.mechanism
    }

    /// The channel binding in use, once the client has said so; proven when the exchange has
    /// succeeded.
    pub fn binding(&self) -> Option<BindingType> {
        self.binding
    }

    /// The localpart that the client claims, if it is valid.
    pub fn username(&self) -> Option<&str> {
        self.username.as_deref()
    }

    fn fail(&mut self, failure: Failure) -> Step {
        self.state = State::Over;
        Step::Failure(failure)
    }

    /// RFC 4616 § 2: exactly `[authzid] NUL authcid NUL passwd`.
    fn plain(&mut self, message: &[u8]) -> Result<Step, Failure> {
        let text = std::str::from_utf8(message).map_err(|_| Failure::MalformedRequest)?;
        let mut fields = text.split('\0');
        let (Some(authzid), Some(name), Some(password), None) =
            (fields.next(), fields.next(), fields.next(), fields.next())
        else {
            return Err(Failure::MalformedRequest);
        };
        if name.is_empty() || password.is_empty() || password.len() > PASSWORD_BYTES_MAX {
            return Err(Failure::MalformedRequest);
        }
        let step = self.claim(name, Some(authzid).filter(|authzid| !authzid.is_empty()))?;
        self.state = State::Password(password.to_owned());
        Ok(step)
    }

    /// RFC 5802 § 5: the server's checks of client-first-message.
    fn client_first(&mut self, message: &[u8]) -> Result<Step, Failure> {
        let first = ClientFirst::parse(message)?;
        let mut binding = first.header.as_bytes().to_vec();
        match first.flag {
            BindingFlag::Used(name) if self.mechanism.plus() => {
                let kind = self.bindings.types().find(|kind| kind.name() == name);
                let kind = kind.ok_or(Failure::MalformedRequest)?;
                binding.extend_from_slice(self.bindings.data(kind).unwrap_or_default());
                self.binding = Some(kind);
            }
            // -PLUS without binding, or binding without -PLUS.
            _ if self.mechanism.plus() => return Err(Failure::MalformedRequest),
            BindingFlag::Used(_) => return Err(Failure::MalformedRequest),
            // Somebody removed the -PLUS mechanisms from what we offered (RFC 5802 § 6).
            BindingFlag::NotOffered if self.plus_offered => return Err(Failure::NotAuthorized),
            BindingFlag::NotOffered | BindingFlag::Unsupported => {}
        }
        let step = self.claim(&first.username, first.authzid.as_deref())?;
        self.state = State::First(Scram {
            binding,
            client_first_bare: first.bare.to_owned(),
            nonce: format!("{}{}", first.nonce, self.server_nonce),
        });
        Ok(step)
    }

    /// RFC 5802 § 5: the server's checks of client-final-message.
    fn client_final(
        &mut self,
        message: &[u8],
        scram: &Scram,
        server_first: &str,
        verifier: &Verifier,
        known: bool,
    ) -> Result<Step, Failure> {
        let hash = self.mechanism.hash();
        let last = ClientFinal::parse(message)?;
        let auth_message =
            scram::auth_message(&scram.client_first_bare, server_first, last.without_proof);
        let fits = scram::proof_fits(hash, verifier, &auth_message, &last.proof)
            & bool::from(last.binding.ct_eq(&scram.binding))
            & bool::from(last.nonce.as_bytes().ct_eq(scram.nonce.as_bytes()));
        let signature = hash.hmac(&verifier.server_key, &[auth_message.as_bytes()]);
        let data = format!("v={}", base64::encode(&signature)).into_bytes();
        self.finish(fits && known, Some(data))
    }

    /// Notes who the client wants to be. An authzid must be the bare JID of the same account: we
    /// let nobody act for somebody else.
    fn claim(&mut self, name: &str, authzid: Option<&str>) -> Result<Step, Failure> {
        let prepared = jid::prepare_local(name).ok();
        if let Some(authzid) = authzid {
            let account = BareJid::from_parts(Some(name), &self.domain).ok();
            let wanted = BareJid::parse(authzid).ok();
            if wanted.is_none() || wanted != account {
                return Err(Failure::InvalidAuthzid);
            }
        }
        self.username = prepared.map(std::borrow::Cow::into_owned);
        let username = self.username.clone().unwrap_or_else(|| name.to_owned());
        Ok(Step::NeedVerifier {
            username,
            hash: self.mechanism.hash(),
        })
    }

    fn finish(&mut self, authentic: bool, data: Option<Vec<u8>>) -> Result<Step, Failure> {
        match &self.username {
            Some(username) if authentic => Ok(Step::Success {
                username: username.clone(),
                data,
            }),
            _ => Err(Failure::NotAuthorized),
        }
    }
}

impl From<Malformed> for Failure {
    fn from(_: Malformed) -> Self {
        Self::MalformedRequest
    }
}
