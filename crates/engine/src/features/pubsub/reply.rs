//! Answers as they are written (XEP-0060 § 5 to § 8).

use super::{
    config::NodeConfig,
    node::{Answer, Known},
    request::{Request, Subscribed},
    service::Done,
    terms::Terms,
};
use bytes::Bytes;
use waxwing_proto::{
    BareJid, Jid,
    form::{FormKind, FormWriter},
    ns, rsm,
    xml::Writer,
};
use waxwing_store::Affiliation;

/// The payload of an answer about one node; `None` if there is nothing to say.
pub(super) fn about(
    answer: &Answer,
    node: Option<&str>,
    known: Option<&Known>,
    done: &Done,
) -> Option<Bytes> {
    let node = node.unwrap_or_default();
    match (answer, known) {
        (Answer::Published(item), _) => Some(pubsub(ns::PUBSUB, |xml| {
            xml.start("publish").attr("node", node);
            if let Some(id) = item {
                xml.start("item").attr("id", id).end();
            }
            xml.end();
        })),
        (Answer::Created(Some(made)), _) => Some(pubsub(ns::PUBSUB, |xml| {
            xml.start("create").attr("node", made).end();
        })),
        (Answer::Subscription(jid, state, id), _) => Some(pubsub(ns::PUBSUB, |xml| {
            subscription(xml, Some(node), jid, *state, id);
        })),
        // § 6.3.7
        (Answer::Configured(jid, state, terms), _) => Some(pubsub(ns::PUBSUB, |xml| {
            subscription(xml, Some(node), jid, *state, &terms.id);
            xml.start("options");
            terms.write(xml, FormKind::Result);
            xml.end();
        })),
        (Answer::Terms(jid, terms), _) => Some(pubsub(ns::PUBSUB, |xml| {
            xml.start("options")
                .attr("node", node)
                .attr("jid", jid.as_str())
                .attr_opt("subid", id(&terms.id));
            terms.write(xml, FormKind::Form);
            xml.end();
        })),
        (Answer::DefaultTerms, _) => Some(default_terms(Some(node))),
        (Answer::Items, known) => Some(items(node, known, done)),
        (Answer::Options, Some(known)) => Some(pubsub(ns::PUBSUB_OWNER, |xml| {
            xml.start("configure").attr("node", node);
            options(xml, &known.config);
            xml.end();
        })),
        (Answer::Subscribers, Some(known)) => Some(pubsub(ns::PUBSUB_OWNER, |xml| {
            xml.start("subscriptions").attr("node", node);
            for one in &known.node.subscriptions {
                let Terms { id, .. } = Terms::decode(&one.options);
                subscription(xml, None, &one.jid, state(one.pending), &id);
            }
            xml.end();
        })),
        (Answer::Affiliates, Some(known)) => Some(pubsub(ns::PUBSUB_OWNER, |xml| {
            xml.start("affiliations").attr("node", node);
            for (jid, affiliation) in &known.node.affiliations {
                xml.start("affiliation")
                    .attr("jid", jid.as_str())
                    .attr("affiliation", name(*affiliation))
                    .end();
            }
            xml.end();
        })),
        (Answer::Empty | Answer::Created(None), _)
        | (Answer::Options | Answer::Subscribers | Answer::Affiliates, None) => None,
    }
}

/// What an owner wanted to change of several entities and cannot, as it is and stays (§ 8.8.2.4,
/// § 8.9.2.4); `None` if the request was no such thing.
pub(super) fn unchanged(request: &Request, known: &Known, owner: &BareJid) -> Option<Bytes> {
    let node = known.node.key.name.as_str();
    match request {
        Request::SetSubscribers(_, entries) => Some(pubsub(ns::PUBSUB_OWNER, |xml| {
            xml.start("subscriptions").attr("node", node);
            for (jid, _) in entries {
                let existing = known.subscription(jid);
                let state = existing.map_or(Subscribed::No, |one| state(one.pending));
                subscription(xml, None, jid, state, &known.terms(jid).id);
            }
            xml.end();
        })),
        Request::SetAffiliates(_, entries) => Some(pubsub(ns::PUBSUB_OWNER, |xml| {
            xml.start("affiliations").attr("node", node);
            for (jid, _) in entries {
                let own = (jid == owner).then_some(Affiliation::Owner);
                let affiliation = own.or(known.affiliation(jid));
                xml.start("affiliation")
                    .attr("jid", jid.as_str())
                    .attr("affiliation", affiliation.map_or("none", name))
                    .end();
            }
            xml.end();
        })),
        _ => None,
    }
}

/// § 8.3.2
pub(super) fn default(config: &NodeConfig) -> Bytes {
    pubsub(ns::PUBSUB_OWNER, |xml| {
        xml.start("default");
        options(xml, config);
        xml.end();
    })
}

/// § 6.4
pub(super) fn default_terms(node: Option<&str>) -> Bytes {
    pubsub(ns::PUBSUB, |xml| {
        xml.start("default").attr_opt("node", node);
        Terms::default().write(xml, FormKind::Form);
        xml.end();
    })
}

/// § 5.6: the subscriptions of whoever asks.
pub(super) fn subscriptions(nodes: &[Known], who: &Jid, node: Option<&str>) -> Bytes {
    pubsub(ns::PUBSUB, |xml| {
        xml.start("subscriptions").attr_opt("node", node);
        for known in nodes {
            let own = known.node.subscriptions.iter();
            for one in own.filter(|one| one.jid.bare_str() == who.bare_str()) {
                let name = Some(known.node.key.name.as_str());
                let Terms { id, .. } = Terms::decode(&one.options);
                subscription(xml, name, &one.jid, state(one.pending), &id);
            }
        }
        xml.end();
    })
}

/// § 5.7: the affiliations of whoever asks; an account owns all of its nodes.
pub(super) fn affiliations(nodes: &[Known], who: &Jid, owner: bool, node: Option<&str>) -> Bytes {
    pubsub(ns::PUBSUB, |xml| {
        xml.start("affiliations").attr_opt("node", node);
        for known in nodes {
            let given = known.affiliation(&who.to_bare());
            let affiliation = if owner {
                Some(Affiliation::Owner)
            } else {
                given
            };
            if let Some(affiliation) = affiliation {
                xml.start("affiliation")
                    .attr("node", &known.node.key.name)
                    .attr("affiliation", name(affiliation))
                    .end();
            }
        }
        xml.end();
    })
}

fn items(node: &str, known: Option<&Known>, done: &Done) -> Bytes {
    use super::config::ItemReply;
    let named = known.is_some_and(|known| known.config.item_reply == ItemReply::Publisher);
    let page = &done.page;
    pubsub(ns::PUBSUB, |xml| {
        xml.start("items").attr("node", node);
        for item in &page.items {
            xml.start("item").attr("id", &item.id);
            if named {
                xml.attr("publisher", item.publisher.as_str());
            }
            xml.raw(&item.payload).end();
        }
        xml.end();
        let count = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        if done.paged {
            let ends = page.items.first().zip(page.items.last());
            let set = rsm::Response {
                ends: ends.map(|(first, last)| (first.id.as_str(), last.id.as_str())),
                index: Some(count(page.index)),
                count: Some(count(page.total)),
            };
            set.write(xml);
        }
    })
}

fn options(xml: &mut Writer, config: &NodeConfig) {
    let mut form = FormWriter::start(xml, FormKind::Form, ns::PUBSUB_CONFIG);
    config.write(&mut form, true);
    form.end();
}

fn subscription(xml: &mut Writer, node: Option<&str>, jid: &Jid, state: Subscribed, subid: &str) {
    xml.start("subscription")
        .attr_opt("node", node)
        .attr("jid", jid.as_str())
        .attr_opt("subid", id(subid))
        .attr("subscription", state.name())
        .end();
}

fn pubsub(ns: &'static str, content: impl FnOnce(&mut Writer)) -> Bytes {
    let mut xml = Writer::new(ns::CLIENT);
    xml.start_ns("pubsub", ns);
    content(&mut xml);
    xml.end();
    xml.finish()
}

/// The id of a subscription that has one.
fn id(id: &str) -> Option<&str> {
    Some(id).filter(|id| !id.is_empty())
}

fn state(pending: bool) -> Subscribed {
    if pending {
        Subscribed::Pending
    } else {
        Subscribed::Yes
    }
}

fn name(affiliation: Affiliation) -> &'static str {
    match affiliation {
        Affiliation::Owner => "owner",
        Affiliation::Publisher => "publisher",
        Affiliation::PublishOnly => "publish-only",
        Affiliation::Member => "member",
        Affiliation::Outcast => "outcast",
    }
}
