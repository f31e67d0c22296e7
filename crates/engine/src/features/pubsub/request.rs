//! Requests as they stand in `<pubsub/>` (XEP-0060 § 5 to § 8), read and checked for shape only.

use super::errors::Refusal;
use bytes::Bytes;
use waxwing_proto::{
    BareJid, Jid,
    form::{Form, FormKind},
    ns, rsm,
    xml::{self, Element},
};
use waxwing_store::{Affiliation, ItemsOrder};

/// Entries of a list in one request.
const ENTRIES_MAX: usize = 100;
/// A namespace that is in scope nowhere: what stands alone there needs nothing around it.
const NOWHERE: &str = "";
/// Bytes of a node's name or an item's id: as much as an address may have (RFC 7622 § 3.1).
const NAME_BYTES_MAX: usize = 3071;

/// What is asked.
#[derive(Debug)]
pub(super) enum Request {
    /// § 7.1
    Publish(Publish),
    /// § 7.2
    Retract {
        /// Where.
        node: String,
        /// Which items.
        ids: Vec<String>,
        /// Whether subscribers are to be told in any case.
        notify: bool,
    },
    /// § 6.5
    Items(Items),
    /// § 8.1
    Create {
        /// Its name; `None` leaves it to the service.
        node: Option<String>,
        /// Its options.
        config: Option<Form>,
    },
    /// § 6.1
    Subscribe {
        /// To what.
        node: String,
        /// Who is to be told.
        jid: Jid,
        /// How.
        options: Option<Form>,
    },
    /// § 6.2
    Unsubscribe {
        /// From what.
        node: String,
        /// Who is to be told no more.
        jid: Jid,
        /// The id of the subscription, if it is named by one.
        id: Option<String>,
    },
    /// § 6.3.2 and, with a form, § 6.3.5.
    Terms {
        /// To what.
        node: String,
        /// Whose subscription.
        jid: Jid,
        /// Its id, if it is named by one.
        id: Option<String>,
        /// What is to change.
        form: Option<Form>,
    },
    /// § 6.4: of a node, or in general.
    DefaultTerms(Option<String>),
    /// § 5.6: one's own subscriptions, to one node or to all.
    Subscriptions(Option<String>),
    /// § 5.7: one's own affiliations, with one node or with all.
    Affiliations(Option<String>),
    /// § 8.3
    Default,
    /// § 8.2.1
    Options(String),
    /// § 8.2.4; `None` if the owner gives up.
    Configure(String, Option<Form>),
    /// § 8.4
    Delete {
        /// What.
        node: String,
        /// What to look at instead.
        redirect: Option<String>,
    },
    /// § 8.5
    Purge(String),
    /// § 8.8.1
    Subscribers(String),
    /// § 8.8.2; `None` for a state that there is not.
    SetSubscribers(String, Vec<(Jid, Option<Subscribed>)>),
    /// § 8.6: an owner's answer to a subscription request.
    Approve {
        /// To what.
        node: String,
        /// Whose request.
        jid: Jid,
        /// Whether it is let in.
        allow: bool,
    },
    /// § 8.7
    Pending(String),
    /// § 8.9.1
    Affiliates(String),
    /// § 8.9.2; `None` ends an affiliation.
    SetAffiliates(String, Vec<(BareJid, Option<Affiliation>)>),
}

/// A publication.
#[derive(Debug)]
pub(super) struct Publish {
    /// Where.
    pub(super) node: String,
    /// What; `None` without an item.
    pub(super) item: Option<NewItem>,
    /// What is demanded of the node.
    pub(super) options: Option<Form>,
}

/// An item to be published.
#[derive(Debug)]
pub(super) struct NewItem {
    /// Its id; `None` leaves it to the service.
    pub(super) id: Option<String>,
    /// Its payload, which declares its namespace itself, wherever it will stand.
    pub(super) payload: Option<Bytes>,
}

/// Which items are wanted.
#[derive(Debug)]
pub(super) struct Items {
    /// Where.
    pub(super) node: String,
    /// These; all if empty.
    pub(super) ids: Vec<String>,
    /// So many of the newest.
    pub(super) newest: Option<u32>,
    /// A page of them.
    pub(super) page: Option<rsm::Request>,
    /// In which order (XEP-0413).
    pub(super) order: ItemsOrder,
    /// The id of the asker's subscription, if it is named.
    pub(super) subscription: Option<String>,
}

/// What an owner makes of a subscription (§ 8.8.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subscribed {
    /// There is none.
    No,
    /// It waits.
    Pending,
    /// It is in force.
    Yes,
}

impl Request {
    /// Reads the child of a `get`.
    pub(super) fn get(pubsub: Element<'_>) -> Result<Self, Refusal> {
        let beside =
            |child: Element<'_>| child.is("set", ns::RSM) || child.is("order", ns::ORDER_BY);
        let request = only(pubsub, |child| !beside(child))?;
        match (request.ns(), request.name()) {
            (ns::PUBSUB, "items") => items(pubsub, request),
            (ns::PUBSUB, "subscriptions") => Ok(Self::Subscriptions(node(request)?)),
            (ns::PUBSUB, "affiliations") => Ok(Self::Affiliations(node(request)?)),
            (ns::PUBSUB, "options") => terms(request, false),
            (ns::PUBSUB, "default") => Ok(Self::DefaultTerms(node(request)?)),
            (ns::PUBSUB_OWNER, "default") => Ok(Self::Default),
            (ns::PUBSUB_OWNER, "configure") => Ok(Self::Options(named(request)?)),
            (ns::PUBSUB_OWNER, "subscriptions") => Ok(Self::Subscribers(named(request)?)),
            (ns::PUBSUB_OWNER, "affiliations") => Ok(Self::Affiliates(named(request)?)),
            _ => Err(Refusal::BadRequest),
        }
    }

    /// Reads the children of a `set`.
    pub(super) fn set(pubsub: Element<'_>) -> Result<Self, Refusal> {
        let second = ["configure", "options", "publish-options"];
        let is_first =
            |child: Element<'_>| child.ns() != ns::PUBSUB || !second.contains(&child.name());
        let request = match pubsub.children().find(|child| is_first(*child)) {
            Some(request) => request,
            None => only(pubsub, |_| true)?,
        };
        match (request.ns(), request.name()) {
            (ns::PUBSUB, "publish") => publish(pubsub, request),
            (ns::PUBSUB, "retract") => retract(request),
            (ns::PUBSUB, "create") => Ok(Self::Create {
                node: node(request)?,
                config: pubsub
                    .child("configure", ns::PUBSUB)
                    .map_or(Ok(None), |wrapper| form(wrapper, ns::PUBSUB_CONFIG))?,
            }),
            (ns::PUBSUB, "subscribe") => Ok(Self::Subscribe {
                node: named(request)?,
                jid: address(request)?,
                options: match pubsub.child("options", ns::PUBSUB) {
                    Some(options) => terms_form(options)?,
                    None => None,
                },
            }),
            (ns::PUBSUB, "unsubscribe") => Ok(Self::Unsubscribe {
                node: named(request)?,
                jid: address(request)?,
                id: subid(request)?,
            }),
            (ns::PUBSUB, "options") => terms(request, true),
            (ns::PUBSUB_OWNER, "configure") => {
                let name = named(request)?;
                let form = Form::find(request).map_err(|_| Refusal::BadRequest)?;
                let form = form.ok_or(Refusal::BadRequest)?;
                if form.kind == FormKind::Cancel {
                    return Ok(Self::Configure(name, None));
                }
                Ok(Self::Configure(
                    name,
                    Some(checked(form, ns::PUBSUB_CONFIG)?),
                ))
            }
            (ns::PUBSUB_OWNER, "delete") => Ok(Self::Delete {
                node: named(request)?,
                redirect: request
                    .child("redirect", ns::PUBSUB_OWNER)
                    .and_then(|redirect| redirect.attr("uri"))
                    .map(std::borrow::Cow::into_owned),
            }),
            (ns::PUBSUB_OWNER, "purge") => Ok(Self::Purge(named(request)?)),
            (ns::PUBSUB_OWNER, "subscriptions") => {
                let entries = entries(request, "subscription", subscriber)?;
                Ok(Self::SetSubscribers(named(request)?, entries))
            }
            (ns::PUBSUB_OWNER, "affiliations") => {
                let entries = entries(request, "affiliation", affiliate)?;
                Ok(Self::SetAffiliates(named(request)?, entries))
            }
            _ => Err(Refusal::BadRequest),
        }
    }

    /// The node that it is about, if it is about one.
    pub(super) fn node(&self) -> Option<&str> {
        match self {
            Self::Publish(Publish { node, .. })
            | Self::Retract { node, .. }
            | Self::Items(Items { node, .. })
            | Self::Subscribe { node, .. }
            | Self::Unsubscribe { node, .. }
            | Self::Terms { node, .. }
            | Self::Approve { node, .. }
            | Self::Pending(node)
            | Self::Options(node)
            | Self::Configure(node, _)
            | Self::Delete { node, .. }
            | Self::Purge(node)
            | Self::Subscribers(node)
            | Self::SetSubscribers(node, _)
            | Self::Affiliates(node)
            | Self::SetAffiliates(node, _) => Some(node),
            Self::Create { node, .. }
            | Self::Subscriptions(node)
            | Self::Affiliations(node)
            | Self::DefaultTerms(node) => node.as_deref(),
            Self::Default => None,
        }
    }
}

fn terms(request: Element<'_>, change: bool) -> Result<Request, Refusal> {
    let form = if change {
        Some(terms_form(request)?.ok_or(Refusal::InvalidOptions)?)
    } else {
        None
    };
    Ok(Request::Terms {
        node: named(request)?,
        jid: match request.attr("jid") {
            Some(_) => address(request)?,
            None => return Err(Refusal::JidRequired),
        },
        id: subid(request)?,
        form,
    })
}

fn terms_form(wrapper: Element<'_>) -> Result<Option<Form>, Refusal> {
    form(wrapper, ns::PUBSUB_SUBSCRIBE_OPTIONS).map_err(|_| Refusal::InvalidOptions)
}

fn subid(request: Element<'_>) -> Result<Option<String>, Refusal> {
    Ok(bounded(request.attr("subid"))?.filter(|id| !id.is_empty()))
}

fn publish(pubsub: Element<'_>, request: Element<'_>) -> Result<Request, Refusal> {
    let mut items = request
        .children()
        .filter(|child| child.is("item", ns::PUBSUB));
    let item = match (items.next(), items.next()) {
        (None, _) => None,
        (Some(item), None) => Some(new_item(item)?),
        // § 7.1.1: several at once were removed from the protocol.
        (Some(_), Some(_)) => return Err(Refusal::InvalidPayload),
    };
    let options = match pubsub.child("publish-options", ns::PUBSUB) {
        Some(wrapper) => form(wrapper, ns::PUBSUB_PUBLISH_OPTIONS)?,
        None => None,
    };
    Ok(Request::Publish(Publish {
        node: named(request)?,
        item,
        options,
    }))
}

fn new_item(item: Element<'_>) -> Result<NewItem, Refusal> {
    let mut payloads = item.children();
    let payload = payloads.next();
    // § 7.1.3.6: one element, in a namespace of its own.
    if payloads.next().is_some()
        || payload.is_some_and(|payload| matches!(payload.ns(), "" | ns::PUBSUB))
    {
        return Err(Refusal::InvalidPayload);
    }
    Ok(NewItem {
        id: bounded(item.attr("id"))?.filter(|id| !id.is_empty()),
        payload: payload.map(|payload| payload.standalone(NOWHERE)),
    })
}

fn retract(request: Element<'_>) -> Result<Request, Refusal> {
    let node = named(request)?;
    let ids = ids(request)?;
    if ids.is_empty() {
        return Err(Refusal::ItemRequired);
    }
    let notify = request.attr("notify");
    Ok(Request::Retract {
        node,
        ids,
        notify: notify.is_some_and(|notify| xml::boolean(&notify) == Some(true)),
    })
}

fn items(pubsub: Element<'_>, request: Element<'_>) -> Result<Request, Refusal> {
    let newest = match request.attr("max_items") {
        None => None,
        Some(text) => Some(text.parse().map_err(|_| Refusal::BadRequest)?),
    };
    Ok(Request::Items(Items {
        node: named(request)?,
        ids: ids(request)?,
        newest,
        page: rsm::Request::find(pubsub).map_err(|_| Refusal::BadRequest)?,
        order: order(pubsub)?,
        subscription: subid(request)?,
    }))
}

/// XEP-0413 § 3. No two items have the same place by the first field, so the next ones never matter.
fn order(pubsub: Element<'_>) -> Result<ItemsOrder, Refusal> {
    let Some(order) = pubsub.child("order", ns::ORDER_BY) else {
        return Ok(ItemsOrder::default());
    };
    let by_creation = match order.attr("by").as_deref() {
        Some("creation") => true,
        Some("modification") => false,
        _ => return Err(Refusal::UnknownOrder),
    };
    let newest_first = order
        .attr("desc")
        .is_some_and(|desc| xml::boolean(&desc) == Some(true));
    Ok(ItemsOrder {
        by_creation,
        newest_first,
    })
}

fn ids(request: Element<'_>) -> Result<Vec<String>, Refusal> {
    let items = request
        .children()
        .filter(|child| child.is("item", ns::PUBSUB));
    let ids = items.map(|item| bounded(item.attr("id"))?.ok_or(Refusal::ItemRequired));
    let ids: Vec<String> = ids.collect::<Result<_, _>>()?;
    if ids.len() > ENTRIES_MAX {
        return Err(Refusal::BadRequest);
    }
    Ok(ids)
}

fn subscriber(entry: Element<'_>) -> Result<(Jid, Option<Subscribed>), Refusal> {
    let state = match entry.attr("subscription").as_deref() {
        Some("none") => Some(Subscribed::No),
        Some("pending") => Some(Subscribed::Pending),
        Some("subscribed" | "unconfigured") => Some(Subscribed::Yes),
        _ => None,
    };
    Ok((address(entry)?, state))
}

fn affiliate(entry: Element<'_>) -> Result<(BareJid, Option<Affiliation>), Refusal> {
    let affiliation = match entry.attr("affiliation").as_deref() {
        Some("owner") => Some(Affiliation::Owner),
        Some("publisher") => Some(Affiliation::Publisher),
        Some("publish-only") => Some(Affiliation::PublishOnly),
        Some("member") => Some(Affiliation::Member),
        Some("outcast") => Some(Affiliation::Outcast),
        Some("none") => None,
        _ => return Err(Refusal::BadRequest),
    };
    Ok((address(entry)?.to_bare(), affiliation))
}

fn entries<T>(
    request: Element<'_>,
    name: &str,
    read: fn(Element<'_>) -> Result<T, Refusal>,
) -> Result<Vec<T>, Refusal> {
    let entries = request
        .children()
        .filter(|child| child.is(name, ns::PUBSUB_OWNER));
    let entries: Vec<T> = entries.map(read).collect::<Result<_, _>>()?;
    if entries.len() > ENTRIES_MAX {
        return Err(Refusal::BadRequest);
    }
    Ok(entries)
}

/// The form in a wrapper; an empty wrapper stands for none (§ 8.1.2).
fn form(wrapper: Element<'_>, form_type: &str) -> Result<Option<Form>, Refusal> {
    let form = Form::find(wrapper).map_err(|_| Refusal::BadRequest)?;
    form.map(|form| checked(form, form_type)).transpose()
}

/// XEP-0068: what the fields mean is said by `FORM_TYPE`. A form without one is taken at its place's
/// word, as other servers do; one of another type is not.
fn checked(form: Form, form_type: &str) -> Result<Form, Refusal> {
    let fits = form.form_type().is_none_or(|given| given == form_type);
    if fits && form.kind == FormKind::Submit {
        Ok(form)
    } else {
        Err(Refusal::BadRequest)
    }
}

fn only(pubsub: Element<'_>, counts: impl Fn(Element<'_>) -> bool) -> Result<Element<'_>, Refusal> {
    let mut children = pubsub.children().filter(|child| counts(*child));
    match (children.next(), children.next()) {
        (Some(child), None) => Ok(child),
        _ => Err(Refusal::BadRequest),
    }
}

fn address(element: Element<'_>) -> Result<Jid, Refusal> {
    let jid = element.attr("jid").ok_or(Refusal::InvalidJid)?;
    Jid::parse(&jid).map_err(|_| Refusal::InvalidJid)
}

/// The node that must be named.
fn named(element: Element<'_>) -> Result<String, Refusal> {
    node(element)?.ok_or(Refusal::NodeIdRequired)
}

fn node(element: Element<'_>) -> Result<Option<String>, Refusal> {
    Ok(bounded(element.attr("node"))?.filter(|node| !node.is_empty()))
}

fn bounded(text: Option<std::borrow::Cow<'_, str>>) -> Result<Option<String>, Refusal> {
    match text {
        Some(text) if text.len() > NAME_BYTES_MAX => Err(Refusal::BadRequest),
        text => Ok(text.map(std::borrow::Cow::into_owned)),
    }
}
