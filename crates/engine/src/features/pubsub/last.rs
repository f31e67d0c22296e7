//! The newest items for a resource that has become available, or has said what it is interested in
//! (XEP-0163 § 4.3.4); and those of the nodes of services that its user has subscribed to.

use super::{
    audience::show, config::SendLast, event::Source, far, list, node::Known, relations::Relations,
    terms::Terms,
};
use crate::{
    Engine, feature::Service, features::caps::Features, outbox::Delivery, registry::Resource,
};
use waxwing_proto::{BareJid, Jid, stanza::Sealed};
use waxwing_store::NodeHead;

/// Nodes that one client can be interested in.
const WISHES_MAX: usize = 64;
/// Accounts looked at in one call of the store.
const OWNERS_PER_READ: usize = 50;
/// Bytes of items sent at once. A client whose contacts have more asks for the rest.
pub(super) const BYTES_MAX: usize = 1024 * 1024;

/// A resource's presence or capabilities are new: sends the newest items of the nodes that it has
/// not been sent those of since it became available.
pub(crate) async fn on_caps(engine: &Engine, account: &BareJid, resource: &Resource) {
    if resource.priority().is_none() {
        return;
    }
    if resource.begin_served() {
        of_services(engine, account, resource).await;
    }
    let Some(features) = resource.caps() else {
        return;
    };
    let before = resource.replace_served(features.clone());
    list::send(engine, account, resource, (&features, before.as_ref())).await;
    let wishes = wishes(&features, before.as_ref());
    if wishes.is_empty() {
        return;
    }
    let Ok(view) = engine.view(account).await else {
        return;
    };
    let contacts = view.contacts().iter().filter(|one| one.seen_by_user());
    let local = contacts.filter(|one| engine.is_local(one.jid.domain()));
    let mut owners = vec![account.clone()];
    owners.extend(local.map(|one| one.jid.clone()));
    let mut sent = 0;
    for owners in owners.chunks(OWNERS_PER_READ) {
        let wanted = owners.iter().map(|owner| (owner.clone(), wishes.clone()));
        let heads = match engine.store().node_heads(wanted.collect()).await {
            Ok(heads) => heads,
            Err(failure) => {
                engine.metrics().store_failures.inc();
                tracing::warn!(error = %failure, "the newest items of nodes could not be read");
                return;
            }
        };
        for head in heads {
            if view.blocks(&Jid::from(&head.owner)) {
                continue;
            }
            sent += send(engine, account, resource, head).await;
            if sent > BYTES_MAX {
                return;
            }
        }
    }
}

/// A resource has become available: sends the newest items of the services' nodes that its user has
/// subscribed to, where the node wants that (XEP-0060 § 16.4.4, `send_last_published_item`). It costs
/// one look for all subscriptions, and one for each of the first such nodes.
async fn of_services(engine: &Engine, account: &BareJid, resource: &Resource) {
    let services = engine.settings().services.iter();
    let mut sent = 0;
    for service in services.filter(|service| service.kind == Service::PubSub) {
        let Ok(owner) = BareJid::parse(&service.name) else {
            continue;
        };
        let nodes = engine.store().nodes_with(owner.clone(), account.clone());
        // Whoever is not sent them now asks, or hears of the next ones.
        let nodes = nodes.await.unwrap_or_default().into_iter();
        let own = nodes.filter_map(|node| Known::new(node, engine.env().now()));
        let due = own.filter_map(|known| {
            let config = &known.config;
            let wanted = config.send_last == SendLast::OnSubAndPresence && config.notify;
            let subscriber = wanted.then(|| subscriber(&known, resource))??;
            Some((known.node.key.name, subscriber))
        });
        for (node, subscriber) in due.take(WISHES_MAX).collect::<Vec<_>>() {
            let Some(stanza) = of_service(engine, &owner, node, &subscriber).await else {
                continue;
            };
            sent += stanza.len();
            if sent > BYTES_MAX {
                return;
            }
            if resource.outbox.push(Delivery::Stanza(stanza)).is_ok() {
                engine.metrics().deliveries.inc();
                engine.metrics().pubsub_notifications.inc();
            }
        }
    }
}

/// The address by which a resource's user has subscribed to a node of a service, if it wants to be told
/// now.
fn subscriber(known: &Known, resource: &Resource) -> Option<Jid> {
    let full = Jid::from(&resource.jid);
    let subscriptions = known.node.subscriptions.iter();
    let found = subscriptions.filter(|one| !one.pending).find(|one| {
        let terms = Terms::decode(&one.options);
        let is_it = one.jid == full || !one.jid.is_full() && resource.takes_messages();
        let shown = || show(resource).is_some_and(|show| terms.suits(&show));
        is_it && terms.deliver && (terms.shows.is_empty() || shown())
    });
    found.map(|one| one.jid.clone())
}

/// The newest item of a service's node, for a subscriber that may read it.
async fn of_service(
    engine: &Engine,
    owner: &BareJid,
    node: String,
    subscriber: &Jid,
) -> Option<Sealed> {
    let heads = engine.store().node_heads(vec![(owner.clone(), vec![node])]);
    let NodeHead { node, item, .. } = heads.await.ok()?.into_iter().next()?;
    let now = engine.env().now();
    let (known, item) = (Known::new(node, now)?, item?);
    let since = known.config.since(now);
    let relations = Relations::read(engine, owner, Some(&known)).await.ok()?;
    let reads = relations.may_read(&subscriber.to_bare(), &known);
    if !reads || since.is_some_and(|since| item.at < since) {
        return None;
    }
    let id = engine.env().token();
    let source = Source {
        owner,
        known: &known,
        id: &id,
    };
    Some(source.last(&item).with_to(subscriber))
}

/// A contact has just been let in: sends its resources the newest items that they are interested in.
pub(crate) async fn to_contact(engine: &Engine, owner: &BareJid, contact: &BareJid) {
    if !engine.is_local(contact.domain()) {
        return far::to_contact(engine, owner, contact).await;
    }
    for resource in engine.registry().resources(contact) {
        let Some(features) = resource.caps().filter(|_| resource.priority().is_some()) else {
            continue;
        };
        let wishes = wishes(&features, None);
        if wishes.is_empty() {
            continue;
        }
        let heads = engine.store().node_heads(vec![(owner.clone(), wishes)]);
        // Whoever is not sent them now asks, or hears of the next ones.
        for head in heads.await.unwrap_or_default() {
            send(engine, contact, &resource, head).await;
        }
    }
}

/// The nodes that a client is interested in and was not before.
pub(super) fn wishes(features: &Features, before: Option<&Features>) -> Vec<String> {
    let new = features
        .iter()
        .filter(|feature| before.is_none_or(|before| before.binary_search(feature).is_err()));
    new.filter_map(|feature| feature.strip_suffix("+notify"))
        .take(WISHES_MAX)
        .map(str::to_owned)
        .collect()
}

/// Sends one item, if the client's user may read it; gives how many bytes that was.
async fn send(engine: &Engine, account: &BareJid, resource: &Resource, head: NodeHead) -> usize {
    let to = Jid::from(&resource.jid);
    let Some(stanza) = newest(engine, account, &to, head).await else {
        return 0;
    };
    let bytes = stanza.len();
    if resource.outbox.push(Delivery::Stanza(stanza)).is_ok() {
        engine.metrics().deliveries.inc();
        engine.metrics().pubsub_notifications.inc();
    }
    bytes
}

/// The newest item of a node for a resource of `account`, if that may read it and see the owner, and
/// if it is to be sent without being asked for.
pub(super) async fn newest(
    engine: &Engine,
    account: &BareJid,
    to: &Jid,
    NodeHead { owner, node, item }: NodeHead,
) -> Option<Sealed> {
    let now = engine.env().now();
    let (known, item) = (Known::new(node, now)?, item?);
    let since = known.config.since(now);
    let due = known.config.send_last == SendLast::OnSubAndPresence
        && known.config.notify
        && since.is_none_or(|since| item.at >= since);
    if !due {
        return None;
    }
    let relations = Relations::read(engine, &owner, Some(&known)).await.ok()?;
    if !relations.sees_owner(account)
        || relations.view().blocks(to)
        || !relations.may_read(account, &known)
    {
        return None;
    }
    let id = engine.env().token();
    let source = Source {
        owner: &owner,
        known: &known,
        id: &id,
    };
    Some(source.last(&item).with_to(to))
}
