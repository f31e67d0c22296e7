//! The SASL conversation of a stream: elements on one side, an exchange on the other. The elements
//! are those of RFC 6120 § 6.4 or of XEP-0388; what comes of them is the same.

use super::sasl1;
use super::sasl2::{self, Wishes};
use crate::BareJid;
use crate::sasl::{
    Exchange, Failure, FastCandidate, FastExchange, FastMechanism, Hash, Mechanism, Method, Offer,
    Step, Verifier,
};
use bytes::Bytes;
use std::borrow::Cow;

/// Whose elements wrap the exchange.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Profile {
    /// RFC 6120 § 6.
    #[default]
    Sasl1,
    /// XEP-0388.
    Sasl2,
}

/// What a client's element says.
pub(super) enum Input<'a> {
    /// `<auth/>` or `<authenticate/>`.
    Start {
        mechanism: Option<Cow<'a, str>>,
        initial: Result<Option<Vec<u8>>, Failure>,
        wishes: Option<Box<Wishes>>,
    },
    /// `<response/>`.
    Response(Result<Vec<u8>, Failure>),
    /// `<abort/>`.
    Abort,
    /// Nothing that belongs here.
    Other,
}

/// What a client may authenticate with here and now.
#[derive(Clone, Copy)]
pub(super) struct Offers<'a> {
    pub(super) sasl: Offer<'a>,
    /// Mechanisms for tokens, by SASL2 only.
    pub(super) fast: &'a [FastMechanism],
    /// Who the client says it is in its stream header.
    pub(super) from: Option<&'a BareJid>,
}

/// What follows from a step.
pub(super) enum Outcome {
    /// The verifier of this account is needed.
    Ask {
        username: String,
        hash: Hash,
        mechanism: Mechanism,
    },
    /// The tokens of this account's client are needed.
    AskTokens {
        username: String,
        mechanism: FastMechanism,
        client: Option<String>,
    },
    /// The exchange goes on.
    Challenge(Vec<u8>),
    /// The client is who it says.
    Success(Success),
    /// It is not, or the exchange went wrong.
    Failure(Failure),
}

/// What is known of a client that is who it says.
pub(super) struct Success {
    pub(super) jid: BareJid,
    pub(super) method: Method,
    pub(super) data: Option<Vec<u8>>,
    /// Which token, from zero.
    pub(super) candidate: Option<usize>,
}

/// The exchanges of one stream, one after another, until one succeeds.
#[derive(Default)]
pub(super) struct Auth {
    profile: Profile,
    running: Option<Running>,
    wishes: Option<Box<Wishes>>,
    /// Who the client's stream header says it is.
    from: Option<BareJid>,
    failures: u32,
}

enum Running {
    Password(Box<Exchange>),
    Token(FastExchange),
}

impl Auth {
    /// Takes what an element says; `offers` is `None` where nobody may authenticate, and the nonce
    /// is asked for if it is needed.
    pub(super) fn take(
        &mut self,
        profile: Profile,
        input: Input<'_>,
        offers: Option<Offers<'_>>,
        nonce: impl FnOnce() -> String,
    ) -> Outcome {
        let Some(offers) = offers else {
            self.profile = profile;
            return Outcome::Failure(Failure::EncryptionRequired);
        };
        // An exchange goes on as it began.
        let fits = self.profile == profile;
        self.profile = profile;
        let step = match (input, &mut self.running) {
            (Input::Abort, _) => Err(Failure::Aborted),
            (
                Input::Start {
                    mechanism,
                    initial,
                    wishes,
                },
                running,
            ) => {
                // RFC 6120 § 6.4.2: a new handshake replaces the one under way, which counts as
                // failed. In an exchange by SASL2 it does not get this far.
                if running.take().is_some() {
                    self.failures = self.failures.saturating_add(1);
                }
                self.wishes = wishes;
                self.from = offers.from.cloned();
                return self.start(mechanism.as_deref(), initial, offers, nonce);
            }
            (Input::Response(data), Some(Running::Password(exchange))) if fits => {
                data.map(|data| exchange.response(&data))
            }
            // A response to nothing, or no element of SASL.
            _ => Err(Failure::MalformedRequest),
        };
        self.outcome(step, offers.sasl.domain)
    }

    /// Goes on with the verifier that was asked for.
    pub(super) fn verifier(&mut self, verifier: Verifier, known: bool, domain: &str) -> Outcome {
        let step = match &mut self.running {
            Some(Running::Password(exchange)) => Ok(exchange.verifier(verifier, known)),
            _ => Err(Failure::MalformedRequest),
        };
        self.outcome(step, domain)
    }

    /// Goes on with the tokens that were asked for.
    pub(super) fn tokens(&mut self, candidates: &[FastCandidate]) -> Outcome {
        let Some(Running::Token(exchange)) = &self.running else {
            return Outcome::Failure(Failure::MalformedRequest);
        };
        let count = self.wishes.as_ref().and_then(|wishes| wishes.fast?.count);
        match exchange.verify(candidates, count) {
            Ok(found) => Outcome::Success(Success {
                jid: found.jid,
                method: Method::Token(exchange.mechanism()),
                data: Some(found.data),
                candidate: Some(found.candidate),
            }),
            Err(failure) => Outcome::Failure(failure),
        }
    }

    /// Whose elements wrap the answers.
    pub(super) fn profile(&self) -> Profile {
        self.profile
    }

    /// Whether an exchange by SASL2 goes on, in which nothing else may be sent (XEP-0388 § 2.4).
    pub(super) fn is_exclusive(&self) -> bool {
        self.running.is_some() && self.profile == Profile::Sasl2
    }

    /// What the client has asked for together with its authentication.
    pub(super) fn take_wishes(&mut self) -> Option<Box<Wishes>> {
        self.wishes.take()
    }

    /// Forgets the exchange that failed and counts it, whatever the reason: nobody tries for ever
    /// by aborting. Gives who the client claimed to be, and how many have failed.
    pub(super) fn failed(&mut self) -> (Option<String>, u32) {
        self.failures = self.failures.saturating_add(1);
        self.wishes = None;
        let running = self.running.take();
        let username = match &running {
            Some(Running::Password(exchange)) => exchange.username(),
            Some(Running::Token(exchange)) => exchange.username(),
            None => None,
        };
        (username.map(str::to_owned), self.failures)
    }

    fn start(
        &mut self,
        name: Option<&str>,
        initial: Result<Option<Vec<u8>>, Failure>,
        offers: Offers<'_>,
        nonce: impl FnOnce() -> String,
    ) -> Outcome {
        let name = name.unwrap_or_default();
        let domain = offers.sasl.domain;
        let offered = |mechanism: &Mechanism| offers.sasl.mechanisms.contains(mechanism);
        if let Some(mechanism) = Mechanism::from_name(name).filter(offered) {
            let step = initial.map(|initial| {
                let (exchange, step) =
                    Exchange::start(mechanism, offers.sasl, &nonce(), initial.as_deref());
                self.running = Some(Running::Password(Box::new(exchange)));
                step
            });
            return self.outcome(step, domain);
        }
        // Without `<fast/>` the client does not know what it does (XEP-0484 § 3.4).
        let wishes = self.wishes.as_ref().filter(|wishes| wishes.fast.is_some());
        let client = wishes.and_then(|wishes| wishes.user_agent.id.clone());
        let token = FastMechanism::from_name(name)
            .filter(|mechanism| wishes.is_some() && offers.fast.contains(mechanism));
        let Some(mechanism) = token else {
            return Outcome::Failure(Failure::InvalidMechanism);
        };
        let exchange = initial
            .and_then(|initial| initial.ok_or(Failure::MalformedRequest))
            .and_then(|message| {
                FastExchange::start(mechanism, offers.sasl.bindings, domain, &message)
            });
        match exchange {
            Ok(exchange) => {
                let username = exchange.claim().to_owned();
                self.running = Some(Running::Token(exchange));
                Outcome::AskTokens {
                    username,
                    mechanism,
                    client,
                }
            }
            Err(failure) => Outcome::Failure(failure),
        }
    }

    fn outcome(&self, step: Result<Step, Failure>, domain: &str) -> Outcome {
        let step = step.unwrap_or_else(Step::Failure);
        let exchange = match &self.running {
            Some(Running::Password(exchange)) => Some(&**exchange),
            _ => None,
        };
        match (step, exchange) {
            (Step::Challenge(data), _) => Outcome::Challenge(data),
            (Step::NeedVerifier { username, hash }, Some(exchange)) => Outcome::Ask {
                username,
                hash,
                mechanism: exchange.mechanism(),
            },
            (Step::Success { username, data }, Some(exchange)) => {
                match BareJid::from_parts(Some(&username), domain) {
                    Ok(jid) if self.contradicts(exchange, &jid) => {
                        Outcome::Failure(Failure::InvalidAuthzid)
                    }
                    Ok(jid) => Outcome::Success(Success {
                        jid,
                        method: Method::Password(exchange.mechanism()),
                        data,
                        candidate: None,
                    }),
                    Err(_) => Outcome::Failure(Failure::NotAuthorized),
                }
            }
            (Step::Failure(failure), _) => Outcome::Failure(failure),
            (Step::NeedVerifier { .. } | Step::Success { .. }, None) => {
                Outcome::Failure(Failure::TemporaryAuthFailure)
            }
        }
    }

    /// Whether the stream header names somebody else than the authorization string does
    /// (XEP-0388 § 2.3). Without such a string the header is but a hint.
    fn contradicts(&self, exchange: &Exchange, jid: &BareJid) -> bool {
        let from = self.from.as_ref();
        self.profile == Profile::Sasl2
            && exchange.names_authzid()
            && from.is_some_and(|from| from != jid)
    }
}

impl Profile {
    /// `<challenge/>`.
    pub(super) fn challenge(self, data: &[u8]) -> Bytes {
        match self {
            Self::Sasl1 => sasl1::challenge(data),
            Self::Sasl2 => sasl2::challenge(data),
        }
    }

    /// `<failure/>`.
    pub(super) fn failure(self, failure: Failure) -> Bytes {
        match self {
            Self::Sasl1 => sasl1::failure(failure),
            Self::Sasl2 => sasl2::failure(failure),
        }
    }
}
