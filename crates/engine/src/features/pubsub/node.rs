//! The machine of a node: a request, the node as it was read and who asks go in; what to write, whom
//! to tell and what to answer comes out. It reads and sends nothing itself.

use super::{
    config::{NodeConfig, PAYLOAD_BYTES_MAX, WhenFull},
    demands::{Precondition, Unacceptable},
    errors::Refusal,
    request::{Items, NewItem, Publish, Request, Subscribed},
    rights::{Action, Asker, judge},
    terms::Terms,
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
    /// Whose subscriptions have ended and are still in the store.
    pub(super) ended: Vec<Jid>,
}

/// What the machine is told beside the request.
#[derive(Debug)]
pub(super) struct Given<'a> {
    /// Whose nodes: an account or a service.
    pub(super) owner: &'a BareJid,
    /// Who asks.
    pub(super) from: &'a Jid,
    /// Whether they may make nodes.
    pub(super) creates: bool,
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
    /// To one owner, once more: somebody asks to subscribe.
    Remind(Jid, Jid),
    /// To the owners: somebody has subscribed or does so no more.
    Changed(Jid, Subscribed),
}

/// What to answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// Nothing to say.
    Empty,
    /// The node that was made, where the asker did not name it (§ 8.1.2).
    Created(Option<String>),
    /// The item that was published, if there was one.
    Published(Option<String>),
    /// The subscription, and its id.
    Subscription(Jid, Subscribed, String),
    /// The subscription and the options that it has now, which came with the request.
    Configured(Jid, Subscribed, Terms),
    /// The options of a subscription.
    Terms(Jid, Terms),
    /// The options that a subscription has if nothing is said.
    DefaultTerms,
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
        Request::Subscribe { jid, options, .. } => given.subscribe(jid, options.as_ref()),
        Request::Unsubscribe { jid, id, .. } => given.unsubscribe(jid, id.as_deref()),
        Request::Terms { jid, id, form, .. } => given.terms(jid, id.as_deref(), form.as_ref()),
        Request::DefaultTerms(_) => given.default_terms(),
        Request::Options(_) => given.show(Answer::Options),
        Request::Subscribers(_) => given.show(Answer::Subscribers),
        Request::Affiliates(_) => given.show(Answer::Affiliates),
        Request::Configure(_, form) => given.configure(form.as_ref()),
        Request::Delete { redirect, .. } => given.delete(redirect.clone()),
        Request::Purge(_) => given.purge(),
        Request::SetSubscribers(_, entries) => given.set_subscribers(entries),
        Request::SetAffiliates(_, entries) => given.set_affiliates(entries),
        Request::Approve { jid, allow, .. } => given.approve(jid, *allow),
        Request::Pending(_) => given.pending(),
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

    /// What a node is if nobody says otherwise.
    fn usual(&self, name: &str) -> NodeConfig {
        if is_service(self.owner) {
            NodeConfig::of_service()
        } else {
            NodeConfig::of_new(name)
        }
    }

    /// A new node. At a service it is its maker's; an account owns all its nodes anyway.
    fn new_node(&self, name: &str, config: &NodeConfig) -> NewNode {
        let maker = (self.from.to_bare(), Affiliation::Owner);
        NewNode {
            name: name.to_owned(),
            config: config.encode().into(),
            lifetime: config.lifetime(),
            affiliations: is_service(self.owner)
                .then_some(maker)
                .into_iter()
                .collect(),
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
            None if self.creates => {
                let mut config = self.usual(&publish.node);
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
        if !self.creates {
            return Err(Refusal::Forbidden);
        }
        if self.known.is_some() {
            return Err(Refusal::Conflict);
        }
        let made = name.is_none().then(|| self.token.to_owned());
        let name = name.unwrap_or(self.token);
        let mut config = self.usual(name);
        if let Some(form) = form {
            config.apply(form).map_err(unacceptable)?;
        }
        let config = config.settled(name);
        Ok(Plan {
            step: Step::Create(self.new_node(name, &config)),
            notices: Vec::new(),
            answer: Answer::Created(made),
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
        let known = self.known.ok_or(Refusal::NotFound)?;
        known.gives_items(self.asker)?;
        if let Some(id) = &items.subscription {
            self.names_own(known, id)?;
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

    pub(super) fn change(&self, known: &Known, fill: impl FnOnce(&mut NodeChange)) -> Step {
        let mut change = NodeChange {
            at: self.now,
            ..NodeChange::default()
        };
        fill(&mut change);
        let again = |jid: &Jid| change.subscribe.iter().any(|one| one.jid == *jid);
        let ended = known.ended.iter().filter(|jid| !again(jid)).cloned();
        let ended: Vec<Jid> = ended.collect();
        change.unsubscribe.extend(ended);
        Step::Change(known.node.key.clone(), change)
    }
}

impl Known {
    /// What the store has, less what has ended by now; `None` if its options are damaged.
    pub(super) fn new(mut node: Node, now: Micros) -> Option<Self> {
        let config = NodeConfig::decode(&node.config)?.settled(&node.key.name);
        let ended = |one: &NodeSubscription| {
            !one.options.is_empty()
                && Terms::decode(&one.options)
                    .expire
                    .is_some_and(|at| at <= now)
        };
        let subscriptions = &mut node.subscriptions;
        let ended = subscriptions.extract_if(.., |one| ended(one));
        let ended = ended.map(|one| one.jid).collect();
        Some(Self {
            node,
            config,
            ended,
        })
    }

    /// Whether the items are somebody's to read (§ 6.5.9).
    pub(super) fn gives_items(&self, asker: Asker) -> Result<(), Refusal> {
        let config = &self.config;
        judge(Action::Retrieve, asker, config.access, config.publish)?;
        if config.persist {
            Ok(())
        } else {
            Err(Refusal::Unsupported("persistent-items"))
        }
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

/// Whether nodes belong to a service, and not to an account.
pub(super) fn is_service(owner: &BareJid) -> bool {
    owner.local().is_none()
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
        // The newest are the last, or the first in an order that begins with them.
        None if items.newest.is_some() && !items.order.newest_first => (ItemsFrom::Last, limit),
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
        order: items.order,
        since,
    }
}

/// Why options cannot be so (§ 8.1.3, § 8.2.5).
pub(super) fn unacceptable(Unacceptable(option): Unacceptable) -> Refusal {
    match option {
        "access_model" => Refusal::UnsupportedAccessModel,
        _ => Refusal::NotAcceptable,
    }
}

fn refused(precondition: Precondition) -> Refusal {
    match precondition {
        Precondition::NotMet => Refusal::PreconditionNotMet,
        Precondition::Unknown => Refusal::UnknownOption,
    }
}
