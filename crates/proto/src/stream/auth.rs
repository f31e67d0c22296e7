//! The SASL conversation of a stream (RFC 6120 § 6.4): elements on one side, an [`Exchange`] on
//! the other.

use crate::sasl::{self, Exchange, Failure, Hash, Mechanism, Offer, Step, Verifier};
use crate::xml::{Element, Writer};
use crate::{BareJid, ns};
use bytes::Bytes;
use std::borrow::Cow;

/// What follows from a step.
pub(super) enum Outcome {
    /// The verifier of this account is needed.
    Ask {
        username: String,
        hash: Hash,
        mechanism: Mechanism,
    },
    /// The exchange goes on.
    Challenge(Vec<u8>),
    /// The client is who it says.
    Success {
        jid: BareJid,
        mechanism: Mechanism,
        data: Option<Vec<u8>>,
    },
    /// It is not, or the exchange went wrong.
    Failure(Failure),
}

/// The exchanges of one stream, one after another, until one succeeds.
#[derive(Default)]
pub(super) struct Auth {
    running: Option<Exchange>,
    failures: u32,
}

impl Auth {
    /// Takes an element of SASL's namespace; `offer` is `None` where nobody may authenticate, and
    /// the nonce is asked for if it is needed.
    pub(super) fn element(
        &mut self,
        root: Element<'_>,
        offer: Option<Offer<'_>>,
        nonce: impl FnOnce() -> String,
    ) -> Outcome {
        let Some(offer) = offer else {
            return Outcome::Failure(Failure::EncryptionRequired);
        };
        let step = match (root.name(), &mut self.running) {
            ("abort", _) => Err(Failure::Aborted),
            ("auth", running) => {
                // § 6.4.2: a new handshake replaces the one under way, which counts as failed.
                if running.take().is_some() {
                    self.failures = self.failures.saturating_add(1);
                }
                self.start(root, offer, nonce)
            }
            ("response", Some(exchange)) => text(root)
                .and_then(|text| sasl::decode(&text))
                .map(|data| exchange.response(&data)),
            // A response to nothing, or no element of SASL.
            _ => Err(Failure::MalformedRequest),
        };
        self.outcome(step, offer.domain)
    }

    /// Goes on with the verifier that was asked for.
    pub(super) fn verifier(&mut self, verifier: Verifier, known: bool, domain: &str) -> Outcome {
        let step = match &mut self.running {
            Some(exchange) => Ok(exchange.verifier(verifier, known)),
            None => Err(Failure::MalformedRequest),
        };
        self.outcome(step, domain)
    }

    /// Forgets the exchange that failed and counts it, whatever the reason: nobody tries for ever
    /// by aborting. Gives who the client claimed to be, and how many have failed.
    pub(super) fn failed(&mut self) -> (Option<String>, u32) {
        self.failures = self.failures.saturating_add(1);
        let exchange = self.running.take();
        let username = exchange.as_ref().and_then(Exchange::username);
        (username.map(str::to_owned), self.failures)
    }

    fn start(
        &mut self,
        root: Element<'_>,
        offer: Offer<'_>,
        nonce: impl FnOnce() -> String,
    ) -> Result<Step, Failure> {
        let mechanism = root
            .attr("mechanism")
            .and_then(|name| Mechanism::from_name(&name))
            .filter(|mechanism| offer.mechanisms.contains(mechanism))
            .ok_or(Failure::InvalidMechanism)?;
        let initial = sasl::decode_initial(&text(root)?)?;
        let (exchange, step) = Exchange::start(mechanism, offer, &nonce(), initial.as_deref());
        self.running = Some(exchange);
        Ok(step)
    }

    fn outcome(&self, step: Result<Step, Failure>, domain: &str) -> Outcome {
        let step = step.unwrap_or_else(Step::Failure);
        let mechanism = self.running.as_ref().map(Exchange::mechanism);
        match (step, mechanism) {
            (Step::Challenge(data), _) => Outcome::Challenge(data),
            (Step::NeedVerifier { username, hash }, Some(mechanism)) => Outcome::Ask {
                username,
                hash,
                mechanism,
            },
            (Step::Success { username, data }, Some(mechanism)) => {
                match BareJid::from_parts(Some(&username), domain) {
                    Ok(jid) => Outcome::Success {
                        jid,
                        mechanism,
                        data,
                    },
                    Err(_) => Outcome::Failure(Failure::NotAuthorized),
                }
            }
            (Step::Failure(failure), _) => Outcome::Failure(failure),
            (Step::NeedVerifier { .. } | Step::Success { .. }, None) => {
                Outcome::Failure(Failure::TemporaryAuthFailure)
            }
        }
    }
}

/// `<challenge/>` (RFC 6120 § 6.4.3).
pub(super) fn challenge(data: &[u8]) -> Bytes {
    message("challenge", data)
}

/// `<success/>` (RFC 6120 § 6.4.6).
pub(super) fn success(data: Option<&[u8]>) -> Bytes {
    message("success", data.unwrap_or_default())
}

/// `<failure/>` (RFC 6120 § 6.4.5).
pub(super) fn failure(failure: Failure) -> Bytes {
    let mut xml = Writer::new(ns::CLIENT);
    xml.start_ns("failure", ns::SASL);
    xml.start(failure.name()).end();
    xml.start("text").attr("xml:lang", "en");
    xml.text(failure.text()).end();
    xml.finish()
}

fn message(name: &'static str, data: &[u8]) -> Bytes {
    let mut xml = Writer::new(ns::CLIENT);
    xml.start_ns(name, ns::SASL);
    xml.text(&sasl::encode(data));
    xml.finish()
}

/// The character data of `<auth/>` or `<response/>`, which have no children.
fn text(root: Element<'_>) -> Result<Cow<'_, str>, Failure> {
    match root.children().next() {
        None => Ok(root.text()),
        Some(_) => Err(Failure::MalformedRequest),
    }
}
