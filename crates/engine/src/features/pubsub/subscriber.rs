//! What subscribers do (XEP-0060 § 6.1 to § 6.4), as the machine decides it.

use super::{
    config::{Access, SendLast},
    errors::Refusal,
    node::{Answer, Given, Known, Notice, Plan, Step, is_service},
    request::Subscribed,
    rights::Action,
    terms::Terms,
};
use waxwing_proto::{Jid, form::Form};
use waxwing_store::{Affiliation, NodeSubscription};

impl Given<'_> {
    /// § 6.1
    pub(super) fn subscribe(&self, jid: &Jid, options: Option<&Form>) -> Result<Plan, Refusal> {
        if jid.bare_str() != self.from.bare_str() {
            return Err(Refusal::InvalidJid);
        }
        let known = self.allowed(Action::Subscribe)?;
        let config = &known.config;
        if !config.subscribe {
            return Err(Refusal::SubscriptionsClosed);
        }
        let existing = known.subscription(jid);
        let waits = config.access == Access::Authorize && self.asker.affiliation.is_none();
        // Who asked while an owner had to approve need not wait where nobody has to any more.
        let pending = waits && existing.is_none_or(|existing| existing.pending);
        let state = if pending {
            Subscribed::Pending
        } else {
            Subscribed::Yes
        };
        let mut terms = self.terms_of(existing);
        if let Some(form) = options {
            terms.apply(form, self.now).ok_or(Refusal::InvalidOptions)?;
        }
        let mut notices = Vec::new();
        if pending {
            notices.push(Notice::Approve(jid.clone()));
        } else if config.send_last != SendLast::Never {
            notices.push(Notice::Last(jid.clone()));
        }
        if existing.is_none() && config.notify_sub {
            notices.push(Notice::Changed(jid.clone(), state));
        }
        let subscription = new_subscription(jid, pending, &terms);
        let step = if existing == Some(&subscription) {
            Step::Nothing
        } else {
            self.change(known, |change| change.subscribe = vec![subscription])
        };
        Ok(Plan {
            step,
            notices,
            answer: match options {
                Some(_) => Answer::Configured(jid.clone(), state, terms),
                None => Answer::Subscription(jid.clone(), state, terms.id),
            },
        })
    }

    /// § 6.2
    pub(super) fn unsubscribe(&self, jid: &Jid, id: Option<&str>) -> Result<Plan, Refusal> {
        let known = self.known.ok_or(Refusal::NotFound)?;
        self.may_speak_for(jid)?;
        let existing = known.subscription(jid).ok_or(Refusal::NotSubscribed)?;
        is_meant(existing, id)?;
        let jid = jid.clone();
        let notices = if known.config.notify_sub {
            vec![Notice::Changed(jid.clone(), Subscribed::No)]
        } else {
            Vec::new()
        };
        Ok(Plan {
            step: self.change(known, |change| change.unsubscribe = vec![jid]),
            notices,
            answer: Answer::Empty,
        })
    }

    /// § 6.3
    pub(super) fn terms(
        &self,
        jid: &Jid,
        id: Option<&str>,
        form: Option<&Form>,
    ) -> Result<Plan, Refusal> {
        let known = self.known.ok_or(Refusal::NotFound)?;
        self.may_speak_for(jid)?;
        let existing = known.subscription(jid).ok_or(Refusal::NoSubscription)?;
        is_meant(existing, id)?;
        let mut terms = Terms::decode(&existing.options);
        let Some(form) = form else {
            return Ok(Plan {
                step: Step::Nothing,
                notices: Vec::new(),
                answer: Answer::Terms(jid.clone(), terms),
            });
        };
        terms.apply(form, self.now).ok_or(Refusal::InvalidOptions)?;
        let subscription = new_subscription(jid, existing.pending, &terms);
        Ok(Plan {
            step: self.change(known, |change| change.subscribe = vec![subscription]),
            notices: Vec::new(),
            answer: Answer::Empty,
        })
    }

    /// § 6.5.9.2: who has subscribed and names a subscription names its own.
    pub(super) fn names_own(&self, known: &Known, id: &str) -> Result<(), Refusal> {
        let own = |one: &&NodeSubscription| one.jid.bare_str() == self.from.bare_str();
        let mut own = known.node.subscriptions.iter().filter(own).peekable();
        if own.peek().is_none() || own.any(|one| is_meant(one, Some(id)).is_ok()) {
            Ok(())
        } else {
            Err(Refusal::InvalidSubId)
        }
    }

    /// § 6.4, for a node.
    pub(super) fn default_terms(&self) -> Result<Plan, Refusal> {
        self.allowed(Action::Subscribe)?;
        Ok(Plan {
            step: Step::Nothing,
            notices: Vec::new(),
            answer: Answer::DefaultTerms,
        })
    }

    /// The options of a subscription, or those of a new one.
    pub(super) fn terms_of(&self, existing: Option<&NodeSubscription>) -> Terms {
        match existing {
            Some(existing) => Terms::decode(&existing.options),
            None if is_service(self.owner) => Terms {
                id: self.token.to_owned(),
                ..Terms::default()
            },
            None => Terms::default(),
        }
    }

    /// § 6.2.3.3, § 6.3.4.1: one's own subscriptions, and an owner anybody's.
    fn may_speak_for(&self, jid: &Jid) -> Result<(), Refusal> {
        let own = jid.bare_str() == self.from.bare_str();
        if own || self.asker.affiliation == Some(Affiliation::Owner) {
            Ok(())
        } else {
            Err(Refusal::Forbidden)
        }
    }
}

impl Known {
    /// The options of an address's subscription.
    pub(super) fn terms(&self, jid: &Jid) -> Terms {
        let subscription = self.subscription(jid);
        subscription.map_or_else(Terms::default, |one| Terms::decode(&one.options))
    }
}

/// A subscription as it is stored.
pub(super) fn new_subscription(jid: &Jid, pending: bool, terms: &Terms) -> NodeSubscription {
    NodeSubscription {
        jid: jid.clone(),
        pending,
        options: terms.encode(),
    }
}

fn is_meant(existing: &NodeSubscription, id: Option<&str>) -> Result<(), Refusal> {
    match id {
        Some(id) if id != Terms::decode(&existing.options).id => Err(Refusal::InvalidSubId),
        _ => Ok(()),
    }
}
