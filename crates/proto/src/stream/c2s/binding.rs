//! What a client says between its authentication and the end (RFC 6120 § 7, 8; XEP-0198, 0352).

use super::{C2sStream, Phase};
use crate::sm::{Enabled, Failed, Malformed, Nonza, Resume};
use crate::stanza::{Condition, Stanza};
use crate::stream::bind::{self, Request};
use crate::stream::effect::Effect;
use crate::stream::login::Resumed;
use crate::stream::{HostSettings, StreamCondition};
use crate::xml::Tree;
use crate::{csi, ns};

impl C2sStream {
    /// An element between authentication and binding (RFC 6120 § 7.1).
    pub(super) fn binding(&mut self, tree: Tree) {
        if tree.root().ns() == ns::SM && self.offers().is_some_and(|offers| offers.sm) {
            return self.resumption(&tree);
        }
        let Ok(stanza) = Stanza::new(tree, ns::CLIENT) else {
            return self.fail(StreamCondition::NotAuthorized.into());
        };
        match self.request(&stanza) {
            Some(Request::Bind) => {
                let resource = bind::resource(&stanza);
                self.phase = Phase::Bind(Box::new(stanza));
                self.due.push_back(Effect::Bind { resource });
            }
            Some(Request::Session) => self.send(Some(bind::session(&stanza))),
            Some(Request::Malformed) => {
                self.send(bind::refusal(&stanza, &Condition::BadRequest.into()));
            }
            None => self.fail(StreamCondition::NotAuthorized.into()),
        }
    }

    /// An element of a bound client.
    pub(super) fn stanza(&mut self, tree: Tree) -> Option<Effect> {
        let stanza = match Stanza::new(tree, ns::CLIENT) {
            Ok(stanza) => stanza,
            Err(tree) => {
                let root = tree.root();
                let offers = |is: fn(&HostSettings) -> bool| self.offers().is_some_and(is);
                if root.ns() == ns::SM && offers(|host| host.sm) {
                    return self.management(&tree);
                }
                if let Some(state) = csi::State::read(root)
                    && offers(|host| host.csi)
                {
                    return Some(Effect::ClientState(state));
                }
                let name = root.name();
                // A stanza's name with another namespace is a stanza gone astray
                // (RFC 6120 § 4.9.3.10); anything else is of a kind that we do not know.
                self.fail(if matches!(name, "message" | "presence" | "iq") {
                    StreamCondition::InvalidNamespace.into()
                } else {
                    StreamCondition::UnsupportedStanzaType.into()
                });
                return None;
            }
        };
        let Some(request) = self.request(&stanza) else {
            return Some(Effect::Stanza(stanza));
        };
        bind::answer_when_bound(&stanza, request).map(Effect::Send)
    }

    /// What an IQ wants of the stream itself.
    fn request(&self, stanza: &Stanza) -> Option<Request> {
        let account = self.account.as_ref()?;
        bind::request(stanza, &[account.domain(), account.as_str()])
    }

    /// An element of stream management before binding: only `<resume/>` may come
    /// (XEP-0198 § 3, 5).
    fn resumption(&mut self, tree: &Tree) {
        match Nonza::read(tree.root()) {
            Ok(Nonza::Resume(resume)) => {
                self.phase = Phase::Resume(resume.previd.clone());
                self.due.push_back(Effect::Resume(resume));
            }
            other => {
                let refusal = self.refuse_management(other.as_ref());
                self.due.extend(refusal);
            }
        }
    }

    /// The answer to `<resume/>`.
    pub(super) fn resumed(&mut self, previd: String, result: Result<Resumed, Failed>) {
        let answer = match result {
            Ok(Resumed { jid, h }) => {
                self.phase = Phase::Bound;
                self.managed = true;
                self.bound = Some(jid);
                Nonza::Resumed(Resume { h, previd })
            }
            Err(failed) => {
                self.phase = Phase::Binding;
                Nonza::Failed(failed)
            }
        };
        self.due.push_back(Effect::Send(answer.to_bytes()));
    }

    /// An element of stream management from a bound client.
    fn management(&mut self, tree: &Tree) -> Option<Effect> {
        match Nonza::read(tree.root()) {
            Ok(Nonza::Enable(enable)) if !self.managed => {
                self.phase = Phase::Enable;
                Some(Effect::EnableSm(enable))
            }
            Ok(Nonza::Request) if self.managed => Some(Effect::AckRequest),
            Ok(Nonza::Answer(h)) if self.managed => Some(Effect::Ack(h)),
            other => self.refuse_management(other.as_ref()),
        }
    }

    /// The answer to `<enable/>`.
    pub(super) fn enabled(&mut self, result: Result<Enabled, Condition>) {
        self.phase = Phase::Bound;
        self.managed = result.is_ok();
        let answer = match result {
            Ok(enabled) => Nonza::Enabled(enabled),
            Err(condition) => Nonza::failed(condition),
        };
        self.due.push_back(Effect::Send(answer.to_bytes()));
    }

    /// What is out of order or malformed fails and leaves the stream as it was (XEP-0198 § 3, 6:
    /// errors should be recoverable); what only servers say ends it.
    fn refuse_management(&mut self, nonza: Result<&Nonza, &Malformed>) -> Option<Effect> {
        let condition = match nonza {
            Ok(Nonza::Enabled(_) | Nonza::Resumed(_) | Nonza::Failed(_)) => {
                self.fail(StreamCondition::UnsupportedStanzaType.into());
                return None;
            }
            Ok(_) => Condition::UnexpectedRequest,
            Err(Malformed) => Condition::BadRequest,
        };
        Some(Effect::Send(Nonza::failed(condition).to_bytes()))
    }
}
