//! What a client says before it has authenticated (RFC 6120 § 5, 6).

use super::{C2sStream, Phase};
use crate::sasl::{ChannelBindings, Failure, Method, Offer};
use crate::stanza::{Condition, Stanza};
use crate::stream::auth::{Offers, Outcome, Profile, Success};
use crate::stream::effect::{Effect, End};
use crate::stream::{StreamCondition, StreamError, bind, features, sasl1, sasl2};
use crate::xml::{Tree, Writer};
use crate::{BareJid, ns};
use bytes::{Bytes, BytesMut};

impl C2sStream {
    /// An element before authentication.
    pub(super) fn negotiation(&mut self, tree: Tree, input: &BytesMut) {
        let root = tree.root();
        let is_exclusive = self.auth.as_ref().is_some_and(|auth| auth.is_exclusive());
        if is_exclusive && !(root.ns() == ns::SASL2 && matches!(root.name(), "response" | "abort"))
        {
            // XEP-0388 § 2.4: "Servers MUST disconnect Clients immediately".
            return self.fail(StreamCondition::PolicyViolation.into());
        }
        if root.is("starttls", ns::TLS) {
            return self.start_tls(input);
        }
        if root.ns() == ns::SASL {
            let outcome = self.sasl_element(Profile::Sasl1, &tree);
            return self.sasl(outcome);
        }
        if root.ns() == ns::SASL2 && self.offers().is_some_and(|offers| offers.sasl2.is_some()) {
            let outcome = self.sasl_element(Profile::Sasl2, &tree);
            return self.sasl(outcome);
        }
        match Stanza::new(tree, ns::CLIENT) {
            Ok(stanza) if self.may_authenticate() && bind::is_registration(&stanza) => {
                if self.offers().is_some_and(|offers| offers.registration) {
                    self.phase = Phase::Registration;
                    self.due.push_back(Effect::Register(stanza));
                } else {
                    // XEP-0077 § 3.1 wants this answer rather than the end of the stream.
                    let error = Condition::ServiceUnavailable.into();
                    self.send(bind::refusal(&stanza, &error));
                }
            }
            // RFC 6120 § 4.9.3.12: "XML stanzas or other outbound data" before authentication.
            _ => self.fail(StreamCondition::NotAuthorized.into()),
        }
    }

    /// `<starttls/>` (RFC 6120 § 5.4.2).
    fn start_tls(&mut self, input: &BytesMut) {
        // Whatever is behind `<starttls/>` was sent in clear; a client waits for `<proceed/>`.
        if !input.is_empty() || !features::may_start_tls(&self.settings, &self.transport) {
            let failure = element("failure", ns::TLS, |_| {});
            return self.say_goodbye(&failure, End::TlsFailure);
        }
        let proceed = element("proceed", ns::TLS, |_| {});
        self.due.push_back(Effect::Send(proceed));
        self.phase = Phase::Tls { asked: false };
    }

    /// An element of a SASL namespace before authentication.
    fn sasl_element(&mut self, profile: Profile, tree: &Tree) -> Outcome {
        let (Some(domain), Some(offers)) = (self.host.as_deref(), self.offers()) else {
            return Outcome::Failure(Failure::TemporaryAuthFailure);
        };
        let none = ChannelBindings::default();
        let mechanisms = features::mechanisms(&self.settings, offers, &self.transport);
        let fast = features::fast(&self.settings, offers, &self.transport);
        let offers = self.may_authenticate().then_some(Offers {
            sasl: Offer {
                mechanisms: &mechanisms,
                bindings: self.transport.bindings().unwrap_or(&none),
                domain,
                downgrade_protection: offers.downgrade_protection,
            },
            fast: &fast,
            from: self.from.as_ref(),
        });
        let input = match profile {
            Profile::Sasl1 => sasl1::read(tree.root()),
            Profile::Sasl2 => sasl2::read(tree.root()),
        };
        let auth = self.auth.get_or_insert_default();
        auth.take(profile, input, offers, || (self.ids)())
    }

    /// Carries out what SASL wants (RFC 6120 § 6.4, XEP-0388 § 2).
    pub(super) fn sasl(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Challenge(data) => {
                let challenge = self.profile().challenge(&data);
                self.due.push_back(Effect::Send(challenge));
            }
            Outcome::Ask {
                username,
                hash,
                mechanism,
            } => {
                self.phase = Phase::Credentials;
                self.due.push_back(Effect::Credentials {
                    username,
                    hash,
                    mechanism,
                });
            }
            Outcome::AskTokens {
                username,
                mechanism,
                client,
            } => {
                self.phase = Phase::Tokens;
                self.due.push_back(Effect::FastTokens {
                    username,
                    client,
                    mechanism,
                });
            }
            Outcome::Failure(failure) => self.sasl_failed(failure),
            Outcome::Success(success) => match self.profile() {
                Profile::Sasl1 => self.sasl_succeeded(success),
                Profile::Sasl2 => self.sasl2_succeeded(success),
            },
        }
    }

    pub(super) fn sasl_failed(&mut self, failure: Failure) {
        let profile = self.profile();
        let (username, failures) = self.auth.get_or_insert_default().failed();
        self.due.push_back(Effect::AuthFailed { username, failure });
        self.due.push_back(Effect::Send(profile.failure(failure)));
        if failures >= self.settings.auth_failures_max {
            let error = StreamError::new(StreamCondition::PolicyViolation);
            self.fail(error.text("too many failed authentications"));
        }
    }

    fn sasl_succeeded(&mut self, success: Success) {
        self.authenticated(success.jid, success.method);
        let data = success.data.as_deref();
        self.due.push_back(Effect::Send(sasl1::success(data)));
        self.restart();
    }

    /// Notes that the client is who it says.
    pub(super) fn authenticated(&mut self, jid: BareJid, method: Method) {
        self.due.push_back(Effect::Authenticated {
            jid: jid.clone(),
            method,
        });
        self.account = Some(jid);
        self.auth = None;
        self.from = None;
        self.wire.set_limits(self.settings.limits);
    }

    /// In whose elements the exchange is wrapped.
    fn profile(&self) -> Profile {
        let auth = self.auth.as_ref();
        auth.map_or(Profile::Sasl1, |auth| auth.profile())
    }

    fn may_authenticate(&self) -> bool {
        features::may_authenticate(&self.settings, &self.transport)
    }
}

/// One element of ours.
fn element(name: &str, ns: &'static str, content: impl FnOnce(&mut Writer)) -> Bytes {
    let mut xml = Writer::new(ns::CLIENT);
    xml.start_ns(name, ns);
    content(&mut xml);
    xml.finish()
}
