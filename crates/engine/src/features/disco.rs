//! Service discovery ([XEP-0030](https://xmpp.org/extensions/xep-0030.html), 2.5.0), the domain's
//! entity capabilities ([XEP-0115](https://xmpp.org/extensions/xep-0115.html), 1.6.0) and its
//! contact addresses ([XEP-0157](https://xmpp.org/extensions/xep-0157.html), 1.1.1).
//!
//! What is advertised is what [`super::FEATURES`] lists and nothing else. An account shows itself
//! to its owner and to those who may see its presence; to others it is silent, as if it did not
//! exist (XEP-0030 § 8), but for nodes that they may read (XEP-0163 § 6.2).

use super::pubsub;
use crate::{
    DomainSettings, Settings,
    account::Contact,
    feature::{
        Coverage, Disco, Feature, IqCx, IqHandler, IqKind, IqRoute, Place, Reply, Service, Who, Xep,
    },
};
use waxwing_proto::{
    BareJid,
    caps::{Algorithm, DiscoInfo, Identity, InfoForm},
    ns,
    stanza::{Condition, StanzaError},
    stream::Caps,
    xml::Writer,
};
use waxwing_store::BoxFuture;

/// The feature.
pub const FEATURE: Feature = Feature {
    name: "disco",
    xeps: &[
        Xep {
            number: 30,
            version: "2.5.0",
            title: "Service Discovery",
            coverage: Coverage::Complete,
        },
        Xep {
            number: 157,
            version: "1.1.1",
            title: "Contact Addresses for XMPP Services",
            coverage: Coverage::Complete,
        },
    ],
    disco: &[
        Disco {
            place: Place::Domain,
            var: ns::DISCO_INFO,
        },
        Disco {
            place: Place::Domain,
            var: ns::DISCO_ITEMS,
        },
        Disco {
            place: Place::Account,
            var: ns::DISCO_INFO,
        },
        Disco {
            place: Place::Account,
            var: ns::DISCO_ITEMS,
        },
    ],
    iq: &[
        route(Place::Domain, ns::DISCO_INFO, domain_info_answer),
        route(Place::Domain, ns::DISCO_ITEMS, domain_items),
        route(Place::Account, ns::DISCO_INFO, account_info),
        route(Place::Account, ns::DISCO_ITEMS, account_items),
    ],
    ..Feature::NONE
};

/// The URI that names this software (XEP-0115 § 4).
const NODE: &str = env!("CARGO_PKG_REPOSITORY");

const fn route(place: Place, ns: &'static str, handler: IqHandler) -> IqRoute {
    IqRoute {
        place,
        kind: IqKind::Get,
        name: "query",
        ns,
        who: Who::Anyone,
        handler,
    }
}

/// Node and verification string of a domain, for stream features (XEP-0115 § 6.3).
pub fn domain_caps(settings: &Settings, domain: &DomainSettings) -> Caps {
    Caps {
        node: NODE.to_owned(),
        ver: domain_info(settings, domain).ver(Algorithm::Sha1),
    }
}

/// What a domain is and can do.
fn domain_info(settings: &Settings, domain: &DomainSettings) -> DiscoInfo {
    DiscoInfo {
        identities: vec![identity("server", "im", "Waxwing")],
        features: features(Place::Domain, settings),
        forms: server_info(domain).into_iter().collect(),
    }
}

/// The strings of all features at a place, each once, sorted.
pub(super) fn features(place: Place, settings: &Settings) -> Vec<String> {
    let mut all: Vec<String> = super::offered(settings)
        .flat_map(|feature| feature.disco)
        .filter(|disco| disco.place == place)
        .map(|disco| disco.var.to_owned())
        .collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// XEP-0157 § 2: contact addresses; none configured, no form.
fn server_info(domain: &DomainSettings) -> Option<InfoForm> {
    let contacts = &domain.contacts;
    let fields: Vec<(String, Vec<String>)> = [
        ("abuse-addresses", &contacts.abuse),
        ("admin-addresses", &contacts.admin),
        ("feedback-addresses", &contacts.feedback),
        ("sales-addresses", &contacts.sales),
        ("security-addresses", &contacts.security),
        ("support-addresses", &contacts.support),
    ]
    .into_iter()
    .filter(|(_, addresses)| !addresses.is_empty())
    .map(|(name, addresses)| (name.to_owned(), addresses.clone()))
    .collect();
    (!fields.is_empty()).then(|| InfoForm {
        form_type: ns::SERVER_INFO.to_owned(),
        fields,
    })
}

fn domain_info_answer(cx: IqCx<'_>) -> BoxFuture<'_, Result<Reply, StanzaError>> {
    Box::pin(async move {
        let Some(domain) = cx.engine.settings().domain(cx.to.domain()) else {
            return Err(Condition::ItemNotFound.into());
        };
        let info = domain_info(cx.engine.settings(), domain);
        let node = cx.payload.attr("node");
        // The one node there is: what our own capabilities name (XEP-0115 § 6.2).
        if node
            .as_deref()
            .is_some_and(|node| node != format!("{NODE}#{}", info.ver(Algorithm::Sha1)))
        {
            return Err(Condition::ItemNotFound.into());
        }
        Ok(answer(&info, node.as_deref()))
    })
}

fn account_info(cx: IqCx<'_>) -> BoxFuture<'_, Result<Reply, StanzaError>> {
    Box::pin(async move {
        if let Some(node) = cx.payload.attr("node") {
            let info = pubsub::node_info(&cx, &node).await?;
            return Ok(answer(&info, Some(&node)));
        }
        admit(&cx).await?;
        let info = DiscoInfo {
            identities: vec![
                identity("account", "registered", ""),
                identity("pubsub", "pep", ""),
            ],
            features: features(Place::Account, cx.engine.settings()),
            forms: Vec::new(),
        };
        Ok(answer(&info, None))
    })
}

/// What a service with a domain of its own is and can do.
pub(super) fn service_info(
    settings: &Settings,
    kind: Service,
    (category, kind_of, name): (&str, &str, &str),
    forms: Vec<InfoForm>,
) -> Reply {
    let info = DiscoInfo {
        identities: vec![identity(category, kind_of, name)],
        features: features(Place::Service(kind), settings),
        forms,
    };
    answer(&info, None)
}

/// A domain's services, and its components: those below it, and those below none of the domains
/// served here.
fn domain_items(cx: IqCx<'_>) -> BoxFuture<'_, Result<Reply, StanzaError>> {
    Box::pin(async move {
        if cx.payload.attr("node").is_some() {
            return Err(Condition::ItemNotFound.into());
        }
        let settings = cx.engine.settings();
        let is_below = |name: &str, domain: &str| {
            name.strip_suffix(domain)
                .is_some_and(|rest| rest.ends_with('.'))
        };
        let mut xml = Writer::new(ns::CLIENT);
        xml.start_ns("query", ns::DISCO_ITEMS);
        let services = settings.services.iter();
        for service in services.filter(|service| service.host == cx.to.domain()) {
            xml.start("item").attr("jid", &service.name).end();
        }
        for component in &settings.components {
            let name = component.name.as_str();
            let mut domains = settings.domains.iter();
            if is_below(name, cx.to.domain()) || !domains.any(|other| is_below(name, &other.name)) {
                xml.start("item").attr("jid", name).end();
            }
        }
        Ok(Reply::Payload(xml.finish()))
    })
}

/// An account's items: its nodes, and the items of a node (XEP-0060 § 5.2, § 5.5). Its resources are
/// told by presence, not here.
fn account_items(cx: IqCx<'_>) -> BoxFuture<'_, Result<Reply, StanzaError>> {
    Box::pin(async move {
        let node = cx.payload.attr("node");
        let items = if let Some(node) = &node {
            pubsub::items_of(&cx, node).await?
        } else {
            admit(&cx).await?;
            pubsub::nodes_of(&cx).await?
        };
        Ok(listed(cx.to, node.as_deref(), items))
    })
}

/// The items of an entity or of a node of it.
pub(super) fn listed(entity: &BareJid, node: Option<&str>, items: Vec<pubsub::Item>) -> Reply {
    let mut xml = Writer::new(ns::CLIENT);
    xml.start_ns("query", ns::DISCO_ITEMS)
        .attr_opt("node", node);
    for item in items {
        xml.start("item")
            .attr("jid", entity.as_str())
            .attr_opt("node", item.node.as_deref())
            .attr_opt("name", item.name.as_deref())
            .end();
    }
    xml.end();
    Reply::Payload(xml.finish())
}

/// XEP-0030 § 8: only those who may see the account's presence learn anything.
async fn admit(cx: &IqCx<'_>) -> Result<(), StanzaError> {
    let view = cx.engine.view(cx.to).await?;
    if !cx.by_owner()
        && !view
            .contact(&cx.from.to_bare())
            .is_some_and(Contact::sees_user)
    {
        return Err(Condition::ServiceUnavailable.into());
    }
    Ok(())
}

fn identity(category: &str, kind: &str, name: &str) -> Identity {
    Identity {
        category: category.to_owned(),
        kind: kind.to_owned(),
        name: name.to_owned(),
        ..Identity::default()
    }
}

pub(super) fn answer(info: &DiscoInfo, node: Option<&str>) -> Reply {
    let mut xml = Writer::new(ns::CLIENT);
    xml.start_ns("query", ns::DISCO_INFO).attr_opt("node", node);
    info.write(&mut xml);
    xml.end();
    Reply::Payload(xml.finish())
}
