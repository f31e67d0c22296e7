//! The machine of a node: a request, the node as it was read and who asks go in; what to write, whom
//! to tell and what to answer comes out. It reads and sends nothing itself.

use super::{
    config::{Access, NodeConfig, PAYLOAD_BYTES_MAX, SendLast, WhenFull},
    demands::Precondition,
    errors::Refusal,
    request::{Items, NewItem, Publish, Request, Subscribed},
    rights::{Action, Asker, judge},
};
use bytes::Bytes;
use waxwing_proto::{BareJid, Jid, form::Form, rsm};
use waxwing_store::{
    Affiliation, Item, ItemsFrom, ItemsRequest, Micros, NewNode, Node, NodeChange, NodeKey,
    NodeSubscription, Publication, Target,
};

/// Items of one answer, when no smaller number is asked for.
pub(super) const ITEMS_PER_ANSWER_MAX: u32 = 1000;
/// The id of an item that was given none, on a node that keeps one: it replaces the one before
/// (§ 12.20).
const SINGLETON: &str = "current";

/// A node as it was read, its options understood.
#[derive(Debug, Clone)]
pub(super) struct Known {
    /// As kept.
    pub(super) node: Node,
    /// Its options.
    pub(super) config: NodeConfig,
}

/// What the machine is told beside the request.
#[derive(Debug)]
pub(super) struct Given<'a> {
    /// Whose nodes.
    pub(super) owner: &'a BareJid,
    /// Who asks.
    pub(super) from: &'a Jid,
    /// What they are to the node.
    pub(super) asker: Asker,
    /// The node, if there is one of that name.
    pub(super) known: Option<&'a Known>,
    /// Of those to be retracted, the items that exist.
    pub(super) found: &'a [Item],
    /// The time.
    pub(super) now: Micros,
    /// A random id, for whatever needs one.
    pub(super) token: &'a str,
}

/// What the machine decided.
#[derive(Debug)]
pub(super) struct Plan {
    /// What to write or read.
    pub(super) step: Step,
    /// Whom to tell what afterwards.
    pub(super) notices: Vec<Notice>,
    /// What to answer then.
    pub(super) answer: Answer,
}

/// One call of the store.
#[derive(Debug)]
pub(super) enum Step {
    /// None.
    Nothing,
    /// Make a node.
    Create(NewNode),
    /// Change it.
    Change(NodeKey, NodeChange),
    /// Remove it.
    Delete(NodeKey),
    /// Publish.
    Publish(Publication),
    /// Remove items.
    Retract(NodeKey, Vec<String>),
    /// Remove all items.
    Purge(NodeKey),
    /// Read a page of items.
    Page(ItemsRequest),
    /// Read these items.
    ById(Vec<String>),
}

/// Something to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Notice {
    /// An item was published; `None` for an event without one.
    Item(Option<(String, Bytes)>),
    /// Items are gone.
    Retracted(Vec<String>),
    /// Items that go for lack of room are to be told, too; which ones is known after the commit.
    Evicted,
    /// All items are gone.
    Purged,
    /// The node is gone.
    Deleted(Option<String>),
    /// The options have changed.
    Configured,
    /// To one subscriber: the newest item.
    Last(Jid),
    /// To one subscriber: what became of the subscription.
    Subscription(Jid, Subscribed),
    /// To the owners: somebody asks to subscribe.
    Approve(Jid),
    /// To the owners: somebody has subscribed or does so no more.
    Changed(Jid, Subscribed),
}

/// What to answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// Nothing to say.
    Empty,
    /// The item that was published, if there was one.
    Published(Option<String>),
    /// The subscription.
    Subscription(Jid, Subscribed),
    /// The items read.
    Items,
    /// The node's options.
    Options,
    /// The node's subscriptions.
    Subscribers,
    /// The node's affiliations.
    Affiliates,
}

/// Decides about one node.
pub(super) fn plan(given: &Given<'_>, request: &Request) -> Result<Plan, Refusal> {
    match request {
        Request::Publish(publish) => given.publish(publish),
        Request::Create { node, config } => given.create(node.as_deref(), config.as_ref()),
        Request::Retract { ids, notify, .. } => given.retract(ids, *notify),
        Request::Items(items) => given.items(items),
        Request::Subscribe { jid, .. } => given.subscribe(jid),
        Request::Unsubscribe { jid, .. } => given.unsubscribe(jid),
        Request::Options(_) => given.show(Answer::Options),
        Request::Subscribers(_) => given.show(Answer::Subscribers),
        Request::Affiliates(_) => given.show(Answer::Affiliates),
        Request::Configure(_, form) => given.configure(form.as_ref()),
        Request::Delete { redirect, .. } => given.delete(redirect.clone()),
        Request::Purge(_) => given.purge(),
        Request::SetSubscribers(_, entries) => given.set_subscribers(entries),
        Request::SetAffiliates(_, entries) => given.set_affiliates(entries),
        // About several nodes, or none.
        Request::Subscriptions(_) | Request::Affiliations(_) | Request::Default => {
            Err(Refusal::BadRequest)
        }
    }
}

impl Given<'_> {
    /// The node, if the asker may do that with it.
    pub(super) fn allowed(&self, action: Action) -> Result<&Known, Refusal> {
        let known = self.known.ok_or(Refusal::NotFound)?;
        judge(
            action,
            self.asker,
            known.config.access,
            known.config.publish,
        )?;
        Ok(known)
    }

    /// Whether the asker may make nodes: who owns the service.
    fn makes_nodes(&self) -> bool {
        self.from.bare_str() == self.owner.as_str()
    }

    fn new_node(&self, name: &str, config: &NodeConfig) -> NewNode {
        NewNode {
            name: name.to_owned(),
            config: config.encode().into(),
            affiliations: Vec::new(),
            at: self.now,
        }
    }

    /// § 7.1
    fn publish(&self, publish: &Publish) -> Result<Plan, Refusal> {
        let (config, target) = match self.known {
            Some(known) => {
                let config = &known.config;
                judge(Action::Publish, self.asker, config.access, config.publish)?;
                if let Some(options) = &publish.options {
                    config.meets(options, &publish.node).map_err(refused)?;
                }
                (config.clone(), Target::Node(known.node.key.clone()))
            }
            // § 7.1.4
            None if self.makes_nodes() => {
                let mut config = NodeConfig::of_new(&publish.node);
                if let Some(options) = &publish.options {
                    config.apply_all(options).map_err(refused)?;
                }
                config = config.settled(&publish.node);
                let node = self.new_node(&publish.node, &config);
                (config, Target::New(node))
            }
            None => return Err(Refusal::NotFound),
        };
        check_item(publish.item.as_ref(), &config)?;
        let item = publish.item.as_ref().map(|item| {
            let id = item.id.clone().unwrap_or_else(|| match config.items_max() {
                1 => SINGLETON.to_owned(),
                _ => self.token.to_owned(),
            });
            (id, item.payload.clone().unwrap_or_default())
        });
        let mut notices = Vec::new();
        // A node that keeps one item has it replaced, not retracted.
        if config.when_full == WhenFull::Retract && config.notify_retract && config.items_max() > 1
        {
            notices.push(Notice::Evicted);
        }
        notices.push(Notice::Item(item.clone()));
        let answer = Answer::Published(item.as_ref().map(|(id, _)| id.clone()));
        let step = match (config.persist, target) {
            (false, Target::New(node)) => Step::Create(node),
            (false, Target::Node(_)) => Step::Nothing,
            (true, target) => Step::Publish(Publication {
                target,
                items: item.into_iter().collect(),
                publisher: Jid::from(self.from.to_bare()),
                at: self.now,
                items_max: config.items_max(),
                reject_when_full: config.when_full == WhenFull::Reject,
                since: config.since(self.now),
            }),
        };
        Ok(Plan {
            step,
            notices,
            answer,
        })
    }

    /// § 8.1
    fn create(&self, name: Option<&str>, form: Option<&Form>) -> Result<Plan, Refusal> {
        if !self.makes_nodes() {
            return Err(Refusal::Forbidden);
        }
        let name = name.ok_or(Refusal::NoInstantNodes)?;
        if self.known.is_some() {
            return Err(Refusal::Conflict);
        }
        let mut config = NodeConfig::of_new(name);
        if let Some(form) = form {
            config.apply(form).map_err(|_| Refusal::NotAcceptable)?;
        }
        let config = config.settled(name);
        Ok(Plan {
            step: Step::Create(self.new_node(name, &config)),
            notices: Vec::new(),
            answer: Answer::Empty,
        })
    }

    /// § 7.2
    fn retract(&self, ids: &[String], notify: bool) -> Result<Plan, Refusal> {
        let known = self.allowed(Action::RetractOwn)?;
        if !known.config.persist {
            return Err(Refusal::Unsupported("persistent-items"));
        }
        if self.found.is_empty() {
            return Err(Refusal::NotFound);
        }
        let own = |item: &Item| item.publisher.bare_str() == self.from.bare_str();
        if !self.found.iter().all(own) {
            self.allowed(Action::RetractAny)?;
        }
        let ids: Vec<String> = ids.to_vec();
        let notices = if notify || known.config.notify_retract {
            vec![Notice::Retracted(ids.clone())]
        } else {
            Vec::new()
        };
        Ok(Plan {
            step: Step::Retract(known.node.key.clone(), ids),
            notices,
            answer: Answer::Empty,
        })
    }

    /// § 6.5
    fn items(&self, items: &Items) -> Result<Plan, Refusal> {
        let known = self.allowed(Action::Retrieve)?;
        if !known.config.persist {
            return Err(Refusal::Unsupported("persistent-items"));
        }
        let since = known.config.since(self.now);
        let step = if items.ids.is_empty() {
            Step::Page(page(items, since))
        } else {
            Step::ById(items.ids.clone())
        };
        Ok(Plan {
            step,
            notices: Vec::new(),
            answer: Answer::Items,
        })
    }

    /// § 6.1
    fn subscribe(&self, jid: &Jid) -> Result<Plan, Refusal> {
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
        let pending = existing.map_or(waits, |existing| existing.pending);
        let state = if pending {
            Subscribed::Pending
        } else {
            Subscribed::Yes
        };
        let mut notices = Vec::new();
        if pending {
            notices.push(Notice::Approve(jid.clone()));
        } else if config.send_last != SendLast::Never {
            notices.push(Notice::Last(jid.clone()));
        }
        let step = if existing.is_some() {
            Step::Nothing
        } else {
            if config.notify_sub {
                notices.push(Notice::Changed(jid.clone(), state));
            }
            let subscribe = vec![new_subscription(jid, pending)];
            self.change(known, |change| change.subscribe = subscribe)
        };
        Ok(Plan {
            step,
            notices,
            answer: Answer::Subscription(jid.clone(), state),
        })
    }

    /// § 6.2
    fn unsubscribe(&self, jid: &Jid) -> Result<Plan, Refusal> {
        let known = self.known.ok_or(Refusal::NotFound)?;
        let own = jid.bare_str() == self.from.bare_str();
        if !own && self.asker.affiliation != Some(Affiliation::Owner) {
            return Err(Refusal::Forbidden);
        }
        if known.subscription(jid).is_none() {
            return Err(Refusal::NotSubscribed);
        }
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

    pub(super) fn change(&self, known: &Known, fill: impl FnOnce(&mut NodeChange)) -> Step {
        let mut change = NodeChange {
            at: self.now,
            ..NodeChange::default()
        };
        fill(&mut change);
        Step::Change(known.node.key.clone(), change)
    }
}

impl Known {
    /// What the store has; `None` if its options are damaged.
    pub(super) fn new(node: Node) -> Option<Self> {
        let config = NodeConfig::decode(&node.config)?.settled(&node.key.name);
        Some(Self { node, config })
    }

    /// The affiliation that somebody was given.
    pub(super) fn affiliation(&self, jid: &BareJid) -> Option<Affiliation> {
        let affiliations = &self.node.affiliations;
        let found = affiliations.iter().find(|(other, _)| other == jid);
        found.map(|(_, affiliation)| *affiliation)
    }

    /// The subscription of exactly this address.
    pub(super) fn subscription(&self, jid: &Jid) -> Option<&NodeSubscription> {
        self.node.subscriptions.iter().find(|one| one.jid == *jid)
    }

    /// Whether some address of an account is subscribed: in force, or waiting if none is.
    pub(super) fn pending(&self, jid: &BareJid) -> Option<bool> {
        let subscriptions = self.node.subscriptions.iter();
        let own = subscriptions.filter(|one| one.jid.bare_str() == jid.as_str());
        own.map(|one| one.pending).min()
    }
}

/// What a node's kind wants of an item (§ 4.3, § 7.1.3.6).
fn check_item(item: Option<&NewItem>, config: &NodeConfig) -> Result<(), Refusal> {
    let Some(item) = item else {
        return if config.persist || config.payloads {
            Err(Refusal::ItemRequired)
        } else {
            Ok(())
        };
    };
    if !config.persist && !config.payloads {
        return Err(Refusal::ItemForbidden);
    }
    match &item.payload {
        None if config.payloads => Err(Refusal::PayloadRequired),
        Some(payload) => {
            let bytes_max = config.payload_bytes_max.up_to(PAYLOAD_BYTES_MAX);
            if u32::try_from(payload.len()).is_ok_and(|bytes| bytes <= bytes_max) {
                Ok(())
            } else {
                Err(Refusal::PayloadTooBig)
            }
        }
        None => Ok(()),
    }
}

/// Items come in the order of their publication (§ 12.10). `max_items` counts from the newest
/// (§ 6.5.7).
fn page(items: &Items, since: Option<Micros>) -> ItemsRequest {
    let newest = items.newest.unwrap_or(ITEMS_PER_ANSWER_MAX);
    let limit = newest.min(ITEMS_PER_ANSWER_MAX);
    let (from, count) = match &items.page {
        None if items.newest.is_some() => (ItemsFrom::Last, limit),
        None => (ItemsFrom::First, limit),
        Some(page) => {
            let from = match &page.page {
                rsm::Page::First => ItemsFrom::First,
                rsm::Page::After(id) => ItemsFrom::After(id.clone()),
                rsm::Page::Last => ItemsFrom::Last,
                rsm::Page::Before(id) => ItemsFrom::Before(id.clone()),
                rsm::Page::Index(index) => ItemsFrom::Index(*index),
            };
            (from, page.items(limit))
        }
    };
    ItemsRequest {
        from,
        count,
        newest_first: false,
        since,
    }
}

pub(super) fn new_subscription(jid: &Jid, pending: bool) -> NodeSubscription {
    NodeSubscription {
        jid: jid.clone(),
        pending,
        options: Bytes::new(),
    }
}

fn refused(precondition: Precondition) -> Refusal {
    match precondition {
        Precondition::NotMet => Refusal::PreconditionNotMet,
        Precondition::Unknown => Refusal::UnknownOption,
    }
}
