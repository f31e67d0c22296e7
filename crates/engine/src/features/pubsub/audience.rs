//! Who is told of what happens on a node of an account (XEP-0163 § 4): the account's own resources,
//! contacts who see its presence, and those who subscribed; each as far as its client says it is
//! interested and may read the node.

use super::{
    config::Access,
    node::Known,
    rights::{Action, Asker, judge},
};
use crate::{
    Engine,
    account::{Contact, View},
    features::caps::Features,
    outbox::Delivery,
    registry::{Resource, Resources},
};
use hashbrown::HashMap;
use std::sync::Arc;
use waxwing_proto::{
    BareJid, Jid,
    stanza::{Sealed, StanzaError},
};
use waxwing_store::{Affiliation, RosterItem};

/// What an account and its roster say about those who ask.
#[derive(Debug)]
pub(super) struct Relations {
    owner: BareJid,
    view: Arc<View>,
    /// Groups of the contacts; read only where a node is for groups.
    groups: HashMap<BareJid, Vec<String>>,
}

impl Relations {
    /// Reads what is needed to judge about a node.
    pub(super) async fn read(
        engine: &Engine,
        owner: &BareJid,
        access: Option<Access>,
    ) -> Result<Self, StanzaError> {
        let view = engine.view(owner).await?;
        let mut groups = HashMap::new();
        if access == Some(Access::Roster) {
            let roster = engine.store().roster(owner.clone()).await;
            let roster = roster.map_err(|failure| crate::error::from_store(engine, &failure))?;
            let contacts = roster.items.into_iter();
            groups.extend(contacts.map(|RosterItem { jid, groups, .. }| (jid, groups)));
        }
        Ok(Self {
            owner: owner.clone(),
            view,
            groups,
        })
    }

    /// The account's contacts and block list.
    pub(super) fn view(&self) -> &View {
        &self.view
    }

    /// What somebody is to the account and to a node.
    pub(super) fn asker(&self, jid: &BareJid, known: Option<&Known>) -> Asker {
        let affiliation = if *jid == self.owner {
            Some(Affiliation::Owner)
        } else {
            known.and_then(|known| known.affiliation(jid))
        };
        let in_group = self.groups.get(jid).is_some_and(|groups| {
            let allowed = known.map(|known| &known.config.groups);
            allowed.is_some_and(|allowed| allowed.iter().any(|group| groups.contains(group)))
        });
        Asker {
            affiliation,
            sees_owner: self.sees_owner(jid),
            in_group,
            pending: known.and_then(|known| known.pending(jid)),
        }
    }

    /// Whether somebody sees the account's presence.
    pub(super) fn sees_owner(&self, jid: &BareJid) -> bool {
        *jid == self.owner || self.view.contact(jid).is_some_and(Contact::sees_user)
    }

    /// Whether somebody may read a node.
    pub(super) fn may_read(&self, jid: &BareJid, known: &Known) -> bool {
        let config = &known.config;
        let asker = self.asker(jid, Some(known));
        judge(Action::Retrieve, asker, config.access, config.publish).is_ok()
    }
}

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
        let wish = format!("{}+notify", known.node.key.name);
        audience.own(engine, relations, &wish);
        audience.contacts(engine, relations, known, &wish).await;
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
        audience.add(engine, relations, known, jid).await;
        audience
    }

    /// Whether there is nobody.
    pub(super) fn is_empty(&self) -> bool {
        self.targets.is_empty()
    }

    /// The account's own sessions, whatever they are interested in.
    pub(super) fn owner(engine: &Engine, owner: &BareJid) -> Self {
        let mut resources = engine.registry().resources(owner);
        resources.retain(|resource| resource.takes_messages());
        Self {
            targets: vec![(owner.into(), resources)],
        }
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
        for resource in engine.registry().resources(&relations.owner) {
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
        // Remote contacts: with federation.
        let contacts = relations.view.contacts().iter();
        let local = |contact: &&Contact| engine.is_local(contact.jid.domain());
        for contact in contacts.filter(|one| one.sees_user()).filter(local) {
            let mut here = engine.registry().resources(&contact.jid);
            here.retain(|resource| {
                resource.priority().is_some()
                    && wants(resource.caps().as_ref(), wish)
                    && !relations.view.blocks(&Jid::from(&resource.jid))
            });
            if here.is_empty()
                || !relations.may_read(&contact.jid, known)
                || has_blocked(engine, &contact.jid, &relations.owner).await
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
        for subscription in known.node.subscriptions.iter().filter(|one| !one.pending) {
            let jid = &subscription.jid;
            let named = |(other, _): &(Jid, Resources)| {
                other == jid || !jid.is_full() && other.bare_str() == jid.bare_str()
            };
            if !self.targets.iter().any(named) && relations.may_read(&jid.to_bare(), known) {
                self.add(engine, relations, known, jid).await;
            }
        }
    }

    /// Adds an address, if it is here or elsewhere and neither side has blocked the other.
    async fn add(&mut self, engine: &Engine, relations: &Relations, known: &Known, jid: &Jid) {
        let account = jid.to_bare();
        if relations.view.blocks(jid) {
            return;
        }
        if !engine.is_local(jid.domain()) {
            self.targets.push((jid.clone(), Resources::new()));
            return;
        }
        if has_blocked(engine, &account, &relations.owner).await {
            return;
        }
        let registry = engine.registry();
        let resources: Resources = if let Some(name) = jid.resource() {
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
        if !resources.is_empty() {
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
