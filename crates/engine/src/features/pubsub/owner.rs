//! What owners do with a node (XEP-0060 § 8), as the machine decides it.

use super::{
    config::{Access, SendLast},
    errors::Refusal,
    node::{Answer, Given, Known, Notice, Plan, Step, is_service, unacceptable},
    request::Subscribed,
    rights::Action,
    subscriber::new_subscription,
};
use bytes::Bytes;
use waxwing_proto::{BareJid, Jid, form::Form};
use waxwing_store::Affiliation;

impl Given<'_> {
    /// What only owners see.
    pub(super) fn show(&self, answer: Answer) -> Result<Plan, Refusal> {
        self.allowed(Action::Configure)?;
        Ok(Plan {
            step: Step::Nothing,
            notices: Vec::new(),
            answer,
        })
    }

    /// § 8.2
    pub(super) fn configure(&self, form: Option<&Form>) -> Result<Plan, Refusal> {
        let known = self.allowed(Action::Configure)?;
        let Some(form) = form else {
            return Ok(Plan {
                step: Step::Nothing,
                notices: Vec::new(),
                answer: Answer::Empty,
            });
        };
        let mut config = known.config.clone();
        config.apply(form).map_err(unacceptable)?;
        let config = config.settled(&known.node.key.name);
        let items_max = if config.persist {
            config.items_max()
        } else {
            0
        };
        let encoded = Bytes::from(config.encode());
        let lifetime = config.lifetime();
        let notices = if config.notify_config {
            vec![Notice::Configured]
        } else {
            Vec::new()
        };
        Ok(Plan {
            step: self.change(known, |change| {
                change.config = Some(encoded);
                change.lifetime = lifetime;
                change.items_max = Some(items_max);
            }),
            notices,
            answer: Answer::Empty,
        })
    }

    /// § 8.4
    pub(super) fn delete(&self, redirect: Option<String>) -> Result<Plan, Refusal> {
        let known = self.allowed(Action::Delete)?;
        let notices = if known.config.notify_delete {
            vec![Notice::Deleted(redirect)]
        } else {
            Vec::new()
        };
        Ok(Plan {
            step: Step::Delete(known.node.key.clone()),
            notices,
            answer: Answer::Empty,
        })
    }

    /// § 8.5. Whether the end of items is told goes for the end of all, too: there is no option of
    /// its own.
    pub(super) fn purge(&self) -> Result<Plan, Refusal> {
        let known = self.allowed(Action::Purge)?;
        if !known.config.persist {
            return Err(Refusal::Unsupported("persistent-items"));
        }
        let notices = if known.config.notify_retract {
            vec![Notice::Purged]
        } else {
            Vec::new()
        };
        Ok(Plan {
            step: Step::Purge(known.node.key.clone()),
            notices,
            answer: Answer::Empty,
        })
    }

    /// § 8.8.2. All of it or nothing.
    pub(super) fn set_subscribers(
        &self,
        entries: &[(Jid, Option<Subscribed>)],
    ) -> Result<Plan, Refusal> {
        let known = self.allowed(Action::Configure)?;
        let (mut subscribe, mut unsubscribe) = (Vec::new(), Vec::new());
        let mut notices = Vec::new();
        for (jid, state) in entries {
            let existing = known.subscription(jid).map(|existing| existing.pending);
            let before = match existing {
                None => Subscribed::No,
                Some(true) => Subscribed::Pending,
                Some(false) => Subscribed::Yes,
            };
            let state = state.ok_or(Refusal::NotAcceptable)?;
            if before == state {
                continue;
            }
            match state {
                Subscribed::No => unsubscribe.push(jid.clone()),
                Subscribed::Pending | Subscribed::Yes => {
                    let terms = self.terms_of(known.subscription(jid));
                    let pending = state == Subscribed::Pending;
                    subscribe.push(new_subscription(jid, pending, &terms));
                }
            }
            notices.push(Notice::Subscription(jid.clone(), state));
            if state == Subscribed::Yes && known.config.send_last != SendLast::Never {
                notices.push(Notice::Last(jid.clone()));
            }
        }
        let step = if subscribe.is_empty() && unsubscribe.is_empty() {
            Step::Nothing
        } else {
            self.change(known, |change| {
                change.subscribe = subscribe;
                change.unsubscribe = unsubscribe;
            })
        };
        Ok(Plan {
            step,
            notices,
            answer: Answer::Empty,
        })
    }

    /// § 8.6. Nothing happens if another owner has decided already.
    pub(super) fn approve(&self, jid: &Jid, allow: bool) -> Result<Plan, Refusal> {
        let known = self.allowed(Action::Configure)?;
        let waits = known.subscription(jid).is_some_and(|one| one.pending);
        let state = if allow {
            Subscribed::Yes
        } else {
            Subscribed::No
        };
        let entries = waits.then(|| (jid.clone(), Some(state)));
        let entries: Vec<_> = entries.into_iter().collect();
        self.set_subscribers(&entries)
    }

    /// § 8.7: whoever asks is sent once more what waits for an approval.
    pub(super) fn pending(&self) -> Result<Plan, Refusal> {
        let known = self.allowed(Action::Configure)?;
        let waiting = known.node.subscriptions.iter().filter(|one| one.pending);
        let notices = waiting.map(|one| Notice::Remind(self.from.clone(), one.jid.clone()));
        Ok(Plan {
            step: Step::Nothing,
            notices: notices.collect(),
            answer: Answer::Empty,
        })
    }

    /// § 8.9.2. An account stays owner of its nodes, and a node of a service keeps an owner; an outcast is told nothing any
    /// more.
    pub(super) fn set_affiliates(
        &self,
        entries: &[(BareJid, Option<Affiliation>)],
    ) -> Result<Plan, Refusal> {
        let known = self.allowed(Action::Configure)?;
        let touches_owner = entries.iter().any(|(jid, affiliation)| {
            jid == self.owner && *affiliation != Some(Affiliation::Owner)
        });
        if touches_owner || is_service(self.owner) && !leaves_an_owner(known, entries) {
            return Err(Refusal::NotAcceptable);
        }
        let out = |jid: &BareJid| {
            let named = entries.iter().find(|(entry, _)| entry == jid);
            named.is_some_and(|(_, affiliation)| match affiliation {
                Some(Affiliation::Outcast | Affiliation::PublishOnly) => true,
                None => known.config.access == Access::Whitelist,
                Some(_) => false,
            })
        };
        let subscriptions = known.node.subscriptions.iter().map(|one| &one.jid);
        let unsubscribe: Vec<Jid> = subscriptions
            .filter(|jid| out(&jid.to_bare()))
            .cloned()
            .collect();
        let notices = unsubscribe
            .iter()
            .map(|jid| Notice::Subscription(jid.clone(), Subscribed::No));
        Ok(Plan {
            notices: notices.collect(),
            step: self.change(known, |change| {
                let others = entries.iter().filter(|(jid, _)| jid != self.owner);
                change.affiliations = others.cloned().collect();
                change.unsubscribe = unsubscribe;
            }),
            answer: Answer::Empty,
        })
    }
}

/// Whether a node still has an owner after a change.
fn leaves_an_owner(known: &Known, entries: &[(BareJid, Option<Affiliation>)]) -> bool {
    let changed = |jid: &BareJid| entries.iter().any(|(entry, _)| entry == jid);
    let stays = |(jid, one): &(BareJid, Affiliation)| *one == Affiliation::Owner && !changed(jid);
    let becomes = |(_, one): &(BareJid, Option<Affiliation>)| *one == Some(Affiliation::Owner);
    known.node.affiliations.iter().any(stays) || entries.iter().any(becomes)
}
