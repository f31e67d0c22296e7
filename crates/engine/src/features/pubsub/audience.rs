//! Who is told of what happens on a node: those who subscribed and, if it is an account's
//! (XEP-0163 § 4), the account's own resources and contacts who see its presence; each as far as its
//! client says it is interested. Nobody who may not read the node.

use super::{
    node::{Known, is_service},
    relations::Relations,
    terms::Terms,
};
use crate::{
    Engine,
    features::caps::Features,
    outbox::Delivery,
    registry::{Resource, Resources},
};
use hashbrown::HashSet;
use std::sync::Arc;
use waxwing_proto::{
    BareJid, Jid, ns,
    stanza::Sealed,
    xml::{Limits, Tree},
};
use waxwing_store::Affiliation;

/// Recipients of one notification.
#[derive(Debug, Default)]
pub(super) struct Audience {
    /// Addresses, each with the sessions that it stands for; none for those of other domains.
    targets: Vec<(Jid, Resources)>,
}

impl Audience {
    /// Everyone who is told of what happens on a node.
    pub(super) async fn of(engine: &Engine, relations: &Relations, known: &Known) -> Self {
        let mut audience = Self::default();
        if !known.config.notify {
            return audience;
        }
        if !is_service(relations.owner()) {
            let wish = format!("{}+notify", known.node.key.name);
            audience.own(engine, relations, &wish);
            audience.contacts(engine, relations, known, &wish).await;
        }
        audience.subscribers(engine, relations, known).await;
        audience
    }

    /// One subscriber.
    pub(super) async fn one(
        engine: &Engine,
        relations: &Relations,
        known: &Known,
        jid: &Jid,
    ) -> Self {
        let mut audience = Self::default();
        let everything = Terms::default();
        audience
            .add(engine, relations, known, (jid, &everything))
            .await;
        audience
    }

    /// Whether there is nobody.
    pub(super) fn is_empty(&self) -> bool {
        self.targets.is_empty()
    }

    /// Those whose node it is, whatever they are interested in.
    pub(super) async fn owners(engine: &Engine, relations: &Relations, known: &Known) -> Self {
        let mut audience = Self::default();
        let everything = Terms::default();
        if !is_service(relations.owner()) {
            let owner = Jid::from(relations.owner());
            audience
                .add(engine, relations, known, (&owner, &everything))
                .await;
        }
        let affiliations = known.node.affiliations.iter();
        for (jid, _) in affiliations.filter(|(_, one)| *one == Affiliation::Owner) {
            let jid = Jid::from(jid);
            audience
                .add(engine, relations, known, (&jid, &everything))
                .await;
        }
        audience
    }

    /// Sends a notification, which has no `to`, to all.
    pub(super) fn tell(&self, engine: &Engine, owner: &BareJid, stanza: &Sealed) {
        let to: Vec<Jid> = self.targets.iter().map(|(jid, _)| jid.clone()).collect();
        for (copy, (jid, resources)) in stanza.fan_out(&to).zip(&self.targets) {
            if !engine.is_local(jid.domain()) {
                // Who cannot be reached asks when it can be.
                if engine.send_away(owner.domain(), jid.domain(), copy).is_ok() {
                    engine.metrics().pubsub_notifications.inc();
                }
                continue;
            }
            for resource in resources {
                // Not a message that is kept: whoever is not here asks when it returns.
                let delivery = Delivery::Stanza(copy.clone());
                if resource.outbox.push(delivery).is_ok() {
                    engine.metrics().deliveries.inc();
                    engine.metrics().pubsub_notifications.inc();
                }
            }
        }
    }

    fn own(&mut self, engine: &Engine, relations: &Relations, wish: &str) {
        for resource in engine.registry().resources(relations.owner()) {
            if resource.priority().is_some() && wants(resource.caps().as_ref(), wish) {
                self.push(resource);
            }
        }
    }

    async fn contacts(
        &mut self,
        engine: &Engine,
        relations: &Relations,
        known: &Known,
        wish: &str,
    ) {
        let contacts = relations.view().contacts().iter();
        for contact in contacts.filter(|one| one.sees_user()) {
            if !engine.is_local(contact.jid.domain()) {
                let mut far = engine
                    .far()
                    .interested(&contact.jid, relations.owner(), wish);
                far.retain(|jid| !relations.view().blocks(jid));
                if !far.is_empty() && relations.may_read(&contact.jid, known) {
                    let far = far.into_iter().map(|jid| (jid, Resources::new()));
                    self.targets.extend(far);
                }
                continue;
            }
            let mut here = engine.registry().resources(&contact.jid);
            here.retain(|resource| {
                resource.priority().is_some()
                    && wants(resource.caps().as_ref(), wish)
                    && !relations.view().blocks(&Jid::from(&resource.jid))
            });
            if here.is_empty()
                || !relations.may_read(&contact.jid, known)
                || has_blocked(engine, &contact.jid, relations.owner()).await
            {
                continue;
            }
            for resource in here {
                self.push(resource);
            }
        }
    }

    /// Those who subscribed and were not named before: what a presence subscription brings is not
    /// brought twice (XEP-0163 § 4.3.2).
    async fn subscribers(&mut self, engine: &Engine, relations: &Relations, known: &Known) {
        let named = self.targets.iter();
        let named: HashSet<String> = named
            .flat_map(|(jid, _)| [jid.as_str(), jid.bare_str()])
            .map(str::to_owned)
            .collect();
        for subscription in known.node.subscriptions.iter().filter(|one| !one.pending) {
            let jid = &subscription.jid;
            let terms = Terms::decode(&subscription.options);
            if terms.deliver
                && !named.contains(jid.as_str())
                && relations.may_read(&jid.to_bare(), known)
            {
                self.add(engine, relations, known, (jid, &terms)).await;
            }
        }
    }

    /// Adds an address, if it is here or elsewhere and neither side has blocked the other.
    async fn add(
        &mut self,
        engine: &Engine,
        relations: &Relations,
        known: &Known,
        (jid, terms): (&Jid, &Terms),
    ) {
        if relations.view().blocks(jid) {
            return;
        }
        if !engine.is_local(jid.domain()) {
            self.targets.push((jid.clone(), Resources::new()));
            return;
        }
        let account = jid.to_bare();
        let registry = engine.registry();
        let mut resources: Resources = if let Some(name) = jid.resource() {
            let found = registry.resource(&account, name).into_iter();
            let only_available = known.config.presence_based;
            found
                .filter(|resource| !only_available || resource.priority().is_some())
                .collect()
        } else {
            let mut all = registry.resources(&account);
            all.retain(|resource| resource.takes_messages());
            all
        };
        if !terms.shows.is_empty() {
            resources.retain(|resource| show(resource).is_some_and(|show| terms.suits(&show)));
        }
        if !resources.is_empty() && !has_blocked(engine, &account, relations.owner()).await {
            self.targets.push((jid.clone(), resources));
        }
    }

    fn push(&mut self, resource: Arc<Resource>) {
        let jid = Jid::from(&resource.jid);
        self.targets.push((jid, Resources::from_iter([resource])));
    }
}

/// Whether a client's capabilities have a feature.
pub(super) fn wants(caps: Option<&Features>, wish: &str) -> bool {
    caps.is_some_and(|features| {
        let found = features.binary_search_by(|feature| feature.as_ref().cmp(wish));
        found.is_ok()
    })
}

async fn has_blocked(engine: &Engine, account: &BareJid, owner: &BareJid) -> bool {
    if account == owner {
        return false;
    }
    // An account that cannot be read counts as one that blocks nobody.
    let view = engine.view(account).await;
    view.is_ok_and(|view| view.blocks(&owner.into()))
}

/// What an available client shows of itself: `online` if nothing else.
pub(super) fn show(resource: &Resource) -> Option<String> {
    let presence = resource.presence()?.to_bytes();
    let tree = Tree::parse(presence, ns::CLIENT, &Limits::S2S).ok()?;
    let show = tree.root().child("show", ns::CLIENT);
    let show = show.map(|show| show.text().trim().to_owned());
    Some(show.unwrap_or_else(|| "online".to_owned()))
}
