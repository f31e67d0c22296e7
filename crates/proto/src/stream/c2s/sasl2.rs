//! What happens between the proof of a client's identity and `<success/>` (XEP-0388 § 2.6):
//! upgrades of verifiers, then resumption or binding.

use super::{C2sStream, Phase};
use crate::BareJid;
use crate::sasl::{Failure, Hash, Method, Verifier};
use crate::sm::{Failed, Nonza, Resume};
use crate::stanza::Condition;
use crate::stream::auth::Success;
use crate::stream::effect::Effect;
use crate::stream::login::{Bound, LoggedIn, Login, Opening, TokenUsed};
use crate::stream::sasl2::{self, Task, Wishes};
use crate::stream::{StreamCondition, features};
use crate::xml::Tree;

/// A client that has proven who it is.
pub(super) struct Finished {
    jid: BareJid,
    method: Method,
    /// What the mechanism adds, until it is sent.
    data: Option<Vec<u8>>,
    candidate: Option<usize>,
    wishes: Wishes,
}

/// An upgrade that the client has been asked for (XEP-0480).
pub(super) struct Upgrade {
    finished: Box<Finished>,
    hash: Hash,
    salt: Vec<u8>,
    iterations: u32,
    /// Whether the client has begun with it.
    begun: bool,
}

/// What is to be answered in `<success/>`.
pub(super) struct Asked {
    data: Option<Vec<u8>>,
    resume: Option<Result<String, Condition>>,
    enable: Option<Result<(), Condition>>,
}

impl C2sStream {
    pub(super) fn sasl2_succeeded(&mut self, success: Success) {
        let auth = self.auth.get_or_insert_default();
        let mut wishes = auth
            .take_wishes()
            .map_or_else(Wishes::default, |wishes| *wishes);
        let offered = self.offers().and_then(|offers| offers.sasl2.as_ref());
        // Nobody is asked for more who has come with a token (XEP-0484 § 4.2).
        let may_upgrade = matches!(success.method, Method::Password(_));
        wishes.upgrades.retain(|hash| {
            may_upgrade && offered.is_some_and(|sasl2| sasl2.upgrades.contains(hash))
        });
        self.next_upgrade(Box::new(Finished {
            jid: success.jid,
            method: success.method,
            data: success.data,
            candidate: success.candidate,
            wishes,
        }));
    }

    /// The salt for an upgrade has been given, or there is no need for one.
    pub(super) fn begin_upgrade(
        &mut self,
        mut finished: Box<Finished>,
        hash: Hash,
        salt: Option<(Vec<u8>, u32)>,
    ) {
        let Some((salt, iterations)) = salt else {
            return self.next_upgrade(finished);
        };
        let data = finished.data.take();
        let proceed = sasl2::proceed(data.as_deref(), hash);
        self.due.push_back(Effect::Send(proceed));
        self.phase = Phase::Task(Box::new(Upgrade {
            finished,
            hash,
            salt,
            iterations,
            begun: false,
        }));
    }

    /// An element while an upgrade goes on (XEP-0480 § 2.3, 3).
    pub(super) fn task(&mut self, tree: &Tree) {
        let Some(task) = sasl2::read_task(tree.root()) else {
            return self.fail(StreamCondition::PolicyViolation.into());
        };
        let phase = std::mem::replace(&mut self.phase, Phase::Negotiation);
        let Phase::Task(mut upgrade) = phase else {
            self.phase = phase;
            return;
        };
        let failure = match task {
            Task::Next(name) if !upgrade.begun && name == sasl2::upgrade_name(upgrade.hash) => {
                upgrade.begun = true;
                let salt = sasl2::salt(&upgrade.salt, upgrade.iterations);
                self.due.push_back(Effect::Send(salt));
                self.phase = Phase::Task(upgrade);
                return;
            }
            Task::Hash(Ok(salted)) if upgrade.begun => {
                let Upgrade { hash, salt, .. } = &*upgrade;
                if let Some(verifier) =
                    Verifier::from_salted(*hash, &salted, salt, upgrade.iterations)
                {
                    self.due.push_back(Effect::Upgraded {
                        jid: upgrade.finished.jid.clone(),
                        hash: *hash,
                        verifier,
                    });
                    return self.next_upgrade(upgrade.finished);
                }
                Failure::MalformedRequest
            }
            Task::Hash(Err(failure)) if upgrade.begun => failure,
            Task::Abort => Failure::Aborted,
            Task::Next(_) | Task::Hash(_) => Failure::MalformedRequest,
        };
        self.sasl_failed(failure);
    }

    fn next_upgrade(&mut self, mut finished: Box<Finished>) {
        if finished.wishes.upgrades.is_empty() {
            return self.log_in(*finished);
        }
        let hash = finished.wishes.upgrades.remove(0);
        self.due.push_back(Effect::Upgrade {
            jid: finished.jid.clone(),
            hash,
        });
        self.phase = Phase::Salt(finished, hash);
    }

    /// Asks what the client gets. What is not offered is refused here, or passed over if the
    /// client sees that from the absence of an answer.
    fn log_in(&mut self, finished: Finished) {
        let Some(offers) = self.offers() else {
            return self.fail(StreamCondition::InternalServerError.into());
        };
        let (sm, csi) = (offers.sm, offers.csi);
        let sasl2 = offers.sasl2.as_ref();
        let wishes = finished.wishes;
        let resume = match wishes.resume {
            Some(_) if !sm => Some(Err(Condition::FeatureNotImplemented)),
            resume => resume,
        };
        let mut bind = wishes
            .bind
            .filter(|_| sasl2.is_some_and(|sasl2| sasl2.bind));
        let mut enable = wishes.enable_error.map(Err);
        if let Some(bind) = &mut bind {
            if bind.sm.is_some() {
                enable = Some(if sm {
                    Ok(())
                } else {
                    Err(Condition::FeatureNotImplemented)
                });
            }
            bind.sm = bind.sm.filter(|_| sm);
            if !csi {
                bind.csi = crate::csi::State::Active;
            }
        }
        let is_fast = |mechanism: &_| sasl2.is_some_and(|sasl2| sasl2.fast.contains(mechanism));
        let login = Login {
            jid: finished.jid.clone(),
            user_agent: wishes.user_agent,
            resume: resume.clone().and_then(Result::ok),
            bind,
            token_used: finished.candidate.map(|candidate| TokenUsed {
                candidate,
                count: wishes.fast.and_then(|fast| fast.count),
                invalidate: wishes.fast.is_some_and(|fast| fast.invalidate),
            }),
            token_wanted: wishes.token.filter(is_fast),
        };
        self.authenticated(finished.jid, finished.method);
        self.due.push_back(Effect::Login(Box::new(login)));
        self.phase = Phase::Login(Box::new(Asked {
            data: finished.data,
            resume: resume.map(|resume| resume.map(|resume| resume.previd)),
            enable,
        }));
    }

    /// The answer to [`Effect::Login`]: `<success/>`, and the features that go with what the
    /// stream is now.
    pub(super) fn logged_in(&mut self, asked: Asked, login: LoggedIn) {
        let Some(account) = self.account.clone() else {
            return;
        };
        let (jid, resumption, bound) = match login.session {
            Opening::Resumed(session) => {
                let Some(Ok(previd)) = asked.resume else {
                    return self.fail(StreamCondition::InternalServerError.into());
                };
                let h = session.h;
                self.managed = true;
                (
                    Some(session.jid),
                    Some(Nonza::Resumed(Resume { h, previd })),
                    None,
                )
            }
            Opening::Bound {
                not_resumed,
                session,
            } => {
                let sm = match asked.enable {
                    None => None,
                    Some(Err(condition)) => Some(Err(condition)),
                    Some(Ok(())) => Some(session.sm.unwrap_or(Err(Condition::InternalServerError))),
                };
                self.managed = matches!(sm, Some(Ok(_)));
                let resumption = refusal(asked.resume, not_resumed);
                let bound = Bound { sm, ..session };
                (Some(bound.jid.clone()), resumption, Some(bound))
            }
            Opening::Unbound { not_resumed } => (None, refusal(asked.resume, not_resumed), None),
        };
        let is_resumed = matches!(resumption, Some(Nonza::Resumed(_)));
        let success = sasl2::Success {
            data: asked.data.as_deref(),
            jid: jid.as_ref().map_or(account.as_str(), |jid| jid.as_str()),
            resumption,
            bound,
            token: login.token,
        };
        self.due.push_back(Effect::Send(success.to_bytes()));
        self.phase = if jid.is_some() {
            Phase::Bound
        } else {
            Phase::Binding
        };
        self.bound = jid;
        // A resumed stream is just as it was (XEP-0198 § 9.2).
        if let Some(offers) = self.offers().filter(|_| !is_resumed) {
            let mut out = Vec::with_capacity(512);
            features::write_after_auth(&mut out, &self.settings, offers, self.bound.is_some());
            self.due.push_back(Effect::Send(out.into()));
        }
    }
}

/// `<failed/>` if resumption was asked for.
fn refusal(asked: Option<Result<String, Condition>>, failed: Option<Failed>) -> Option<Nonza> {
    Some(match asked? {
        Ok(_) => Nonza::Failed(failed.unwrap_or(Failed {
            h: None,
            condition: Some(Condition::ItemNotFound),
        })),
        Err(condition) => Nonza::failed(condition),
    })
}
