//! Nodes and items.

use super::{
    MemoryStore, items,
    state::{State, size, size64},
};
use crate::{
    Affiliation, ArchiveFilter, ArchivePage, ArchivedItem, BoxFuture, Item, ItemsPage,
    ItemsRequest, Micros, NewNode, Node, NodeChange, NodeHead, NodeKey, NodeQuota,
    NodeSubscription, PageRequest, PubSub, Publication, Published, Result, StoreError, Target,
    quota,
};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use waxwing_proto::{BareJid, Jid};

/// The nodes of one owner, by name.
pub(super) type Nodes = BTreeMap<String, NodeState>;

/// One node.
pub(super) struct NodeState {
    version: u64,
    config: Bytes,
    affiliations: BTreeMap<BareJid, Affiliation>,
    subscriptions: BTreeMap<Jid, NodeSubscription>,
    /// In the order of publication.
    pub(super) items: BTreeMap<u64, Item>,
    /// The place of each item in the order of first publication.
    pub(super) created: BTreeMap<String, u64>,
    lifetime: Option<Micros>,
}

impl NodeState {
    fn new(node: &NewNode, version: u64) -> Self {
        Self {
            version,
            config: node.config.clone(),
            affiliations: node.affiliations.iter().cloned().collect(),
            subscriptions: BTreeMap::new(),
            items: BTreeMap::new(),
            created: BTreeMap::new(),
            lifetime: node.lifetime,
        }
    }

    fn node(&self, name: &str) -> Node {
        let affiliations = self.affiliations.iter();
        Node {
            key: self.key(name),
            config: self.config.clone(),
            affiliations: affiliations.map(|(jid, one)| (jid.clone(), *one)).collect(),
            subscriptions: self.subscriptions.values().cloned().collect(),
        }
    }

    fn key(&self, name: &str) -> NodeKey {
        NodeKey {
            name: name.to_owned(),
            version: self.version,
        }
    }

    fn change(&mut self, change: NodeChange, people_max: u32) -> Result<()> {
        let adds = change.affiliations.iter().any(|(_, one)| one.is_some());
        for (jid, affiliation) in change.affiliations {
            match affiliation {
                Some(affiliation) => self.affiliations.insert(jid, affiliation),
                None => self.affiliations.remove(&jid),
            };
        }
        if adds && self.affiliations.len() > size(people_max) {
            return Err(StoreError::Quota(quota::NODE_AFFILIATIONS));
        }
        for jid in change.unsubscribe {
            self.subscriptions.remove(&jid);
        }
        let adds = !change.subscribe.is_empty();
        for subscription in change.subscribe {
            let jid = subscription.jid.clone();
            self.subscriptions.insert(jid, subscription);
        }
        if adds && self.subscriptions.len() > size(people_max) {
            return Err(StoreError::Quota(quota::NODE_SUBSCRIPTIONS));
        }
        if let Some(config) = change.config {
            self.config = config;
            self.lifetime = change.lifetime;
        }
        if let Some(items_max) = change.items_max {
            self.evict(items_max);
        }
        Ok(())
    }

    /// Removes the oldest items past a bound; gives their ids.
    fn evict(&mut self, items_max: u32) -> Vec<String> {
        let mut evicted = Vec::new();
        while self.items.len() > size(items_max)
            && let Some((_, item)) = self.items.pop_first()
        {
            evicted.push(item.id);
        }
        evicted
    }

    fn publish(&mut self, publication: Publication, mut seq: u64) -> Result<Vec<String>> {
        let Publication {
            items,
            publisher,
            at,
            items_max,
            reject_when_full,
            since,
            ..
        } = publication;
        if let Some(since) = since {
            self.items.retain(|_, item| item.at >= since);
        }
        for (id, payload) in items {
            // What has gone comes anew.
            let kept: BTreeSet<&String> = self.items.values().map(|item| &item.id).collect();
            self.created.retain(|id, _| kept.contains(id));
            self.created.entry(id.clone()).or_insert(seq);
            self.items.retain(|_, item| item.id != id);
            let publisher = publisher.clone();
            let item = Item {
                id,
                publisher,
                at,
                payload,
            };
            self.items.insert(seq, item);
            seq += 1;
        }
        if reject_when_full && self.items.len() > size(items_max) {
            return Err(StoreError::Quota(quota::NODE_ITEMS));
        }
        Ok(self.evict(items_max))
    }

    fn bytes(&self, name: &str) -> usize {
        let items = self.items.values();
        let items = items
            .map(|item| item.id.len() + item.publisher.as_str().len() + item.payload.len())
            .sum::<usize>();
        name.len() + self.config.len() + items
    }
}

impl State {
    fn nodes_of(&self, owner: &BareJid) -> Option<&Nodes> {
        self.pubsub.get(owner)
    }

    /// The nodes of an owner that must exist.
    fn nodes_of_mut(&mut self, owner: &BareJid) -> Result<&mut Nodes> {
        if owner.local().is_some() {
            self.entry(owner)?;
        }
        Ok(self.pubsub.entry(owner.clone()).or_default())
    }

    fn node_mut(&mut self, owner: &BareJid, key: &NodeKey) -> Result<&mut NodeState> {
        let node = self.nodes_of_mut(owner)?.get_mut(&key.name);
        node.filter(|node| node.version == key.version)
            .ok_or(StoreError::Conflict)
    }

    /// Does a change to the nodes of an owner, and undoes it if it fails or passes the quotas.
    fn within<T>(
        &mut self,
        owner: &BareJid,
        name: &str,
        quota: NodeQuota,
        work: impl FnOnce(&mut Nodes) -> Result<T>,
    ) -> Result<T> {
        let nodes = self.nodes_of_mut(owner)?;
        let bytes = |nodes: &Nodes| -> usize {
            let sizes = nodes.iter().map(|(name, node)| node.bytes(name));
            sizes.sum()
        };
        let (before, count) = (bytes(nodes), nodes.len());
        let saved = nodes.get(name).map(|node| NodeState {
            version: node.version,
            config: node.config.clone(),
            affiliations: node.affiliations.clone(),
            subscriptions: node.subscriptions.clone(),
            items: node.items.clone(),
            created: node.created.clone(),
            lifetime: node.lifetime,
        });
        let done = work(nodes).and_then(|done| {
            if nodes.len() > count && nodes.len() > size(quota.nodes_max) {
                return Err(StoreError::Quota(quota::NODES));
            }
            let after = bytes(nodes);
            if after > before && size64(after) > quota.bytes_max {
                return Err(StoreError::Quota(quota::NODES_BYTES));
            }
            Ok(done)
        });
        if done.is_err() {
            match saved {
                Some(node) => nodes.insert(name.to_owned(), node),
                None => nodes.remove(name),
            };
        }
        done
    }

    fn node_create(
        &mut self,
        owner: &BareJid,
        node: &NewNode,
        quota: NodeQuota,
    ) -> Result<NodeKey> {
        let version = self.next_id(node.at);
        self.within(owner, &node.name, quota, |nodes| {
            if nodes.contains_key(&node.name) {
                return Err(StoreError::Exists);
            }
            nodes.insert(node.name.clone(), NodeState::new(node, version));
            Ok(())
        })?;
        self.id_last = version;
        Ok(NodeKey {
            name: node.name.clone(),
            version,
        })
    }

    fn node_change(
        &mut self,
        owner: &BareJid,
        key: &NodeKey,
        change: NodeChange,
        quota: NodeQuota,
    ) -> Result<NodeKey> {
        let version = self.next_id(change.at);
        self.node_mut(owner, key)?;
        self.within(owner, &key.name, quota, |nodes| {
            let node = nodes.get_mut(&key.name).ok_or(StoreError::Conflict)?;
            node.version = version;
            node.change(change, quota.people_max)
        })?;
        self.id_last = version;
        Ok(NodeKey {
            name: key.name.clone(),
            version,
        })
    }

    fn publish_on(
        &mut self,
        owner: &BareJid,
        publication: Publication,
        quota: NodeQuota,
    ) -> Result<Published> {
        let created = match &publication.target {
            Target::Node(key) => {
                self.node_mut(owner, key)?;
                None
            }
            Target::New(node) => {
                let before = self.id_last;
                let made = self.node_create(owner, node, quota);
                let key = made.map_err(|error| match error {
                    StoreError::Exists => StoreError::Conflict,
                    error => error,
                })?;
                Some((key, before))
            }
        };
        let done = self.publish(owner, publication, quota);
        if let (Err(_), Some((key, before))) = (&done, created) {
            self.nodes_of_mut(owner)?.remove(&key.name);
            self.id_last = before;
        }
        done
    }

    /// Publishes on a node that exists.
    fn publish(
        &mut self,
        owner: &BareJid,
        publication: Publication,
        quota: NodeQuota,
    ) -> Result<Published> {
        let name = publication.node().to_owned();
        let seq = self.next_id(publication.at);
        let items = size64(publication.items.len());
        let (evicted, version) = self.within(owner, &name, quota, |nodes| {
            let node = nodes.get_mut(&name).ok_or(StoreError::Conflict)?;
            Ok((node.publish(publication, seq)?, node.version))
        })?;
        if items > 0 {
            self.id_last = seq + items - 1;
        }
        let key = NodeKey { name, version };
        Ok(Published { key, evicted })
    }
}

impl PubSub for MemoryStore {
    fn nodes(&self, owner: BareJid) -> BoxFuture<'_, Result<Vec<Node>>> {
        self.read(move |state| {
            let nodes = state.nodes_of(&owner).into_iter().flatten();
            nodes.map(|(name, node)| node.node(name)).collect()
        })
    }

    fn nodes_with(&self, owner: BareJid, who: BareJid) -> BoxFuture<'_, Result<Vec<Node>>> {
        self.read(move |state| {
            let nodes = state.nodes_of(&owner).into_iter().flatten();
            let nodes = nodes.map(|(name, node)| {
                let mut node = node.node(name);
                node.affiliations.retain(|(jid, _)| *jid == who);
                node.subscriptions
                    .retain(|one| one.jid.bare_str() == who.as_str());
                node
            });
            let related =
                |node: &Node| !node.affiliations.is_empty() || !node.subscriptions.is_empty();
            nodes.filter(related).collect()
        })
    }

    fn node(&self, owner: BareJid, name: String) -> BoxFuture<'_, Result<Option<Node>>> {
        self.read(move |state| Some(state.nodes_of(&owner)?.get(&name)?.node(&name)))
    }

    fn node_heads(
        &self,
        wanted: Vec<(BareJid, Vec<String>)>,
    ) -> BoxFuture<'_, Result<Vec<NodeHead>>> {
        self.read(move |state| {
            let mut heads = Vec::new();
            for (owner, names) in wanted {
                let Some(nodes) = state.nodes_of(&owner) else {
                    continue;
                };
                let found = names
                    .iter()
                    .filter_map(|name| Some((name, nodes.get(name)?)));
                heads.extend(found.map(|(name, node)| NodeHead {
                    owner: owner.clone(),
                    node: node.node(name),
                    item: node.items.values().next_back().cloned(),
                }));
            }
            heads
        })
    }

    fn node_create(
        &self,
        owner: BareJid,
        node: NewNode,
        quota: NodeQuota,
    ) -> BoxFuture<'_, Result<NodeKey>> {
        self.write(move |state| state.node_create(&owner, &node, quota))
    }

    fn node_change(
        &self,
        owner: BareJid,
        key: NodeKey,
        change: NodeChange,
        quota: NodeQuota,
    ) -> BoxFuture<'_, Result<NodeKey>> {
        self.write(move |state| state.node_change(&owner, &key, change, quota))
    }

    fn node_delete(&self, owner: BareJid, key: NodeKey) -> BoxFuture<'_, Result<()>> {
        self.write(move |state| {
            state.node_mut(&owner, &key)?;
            state.nodes_of_mut(&owner)?.remove(&key.name);
            Ok(())
        })
    }

    fn items(
        &self,
        owner: BareJid,
        node: String,
        request: ItemsRequest,
    ) -> BoxFuture<'_, Result<ItemsPage>> {
        self.look(move |state| {
            let node = state.nodes_of(&owner).and_then(|nodes| nodes.get(&node));
            node.map_or_else(|| Ok(ItemsPage::default()), |node| node.page(&request))
        })
    }

    fn node_archive(
        &self,
        owner: BareJid,
        node: String,
        since: Option<Micros>,
        filter: ArchiveFilter,
        request: PageRequest,
    ) -> BoxFuture<'_, Result<ArchivePage<ArchivedItem>>> {
        self.look(move |state| {
            let node = state.nodes_of(&owner).and_then(|nodes| nodes.get(&node));
            items::archive(node, since, &filter, request)
        })
    }

    fn items_by_id(
        &self,
        owner: BareJid,
        node: String,
        ids: Vec<String>,
    ) -> BoxFuture<'_, Result<Vec<Item>>> {
        self.read(move |state| {
            let node = state.nodes_of(&owner).and_then(|nodes| nodes.get(&node));
            let Some(node) = node else {
                return Vec::new();
            };
            let find = |id: &String| node.items.values().find(|item| item.id == *id).cloned();
            ids.iter().filter_map(find).collect()
        })
    }

    fn publish(
        &self,
        owner: BareJid,
        publication: Publication,
        quota: NodeQuota,
    ) -> BoxFuture<'_, Result<Published>> {
        self.write(move |state| state.publish_on(&owner, publication, quota))
    }

    fn items_retract(
        &self,
        owner: BareJid,
        key: NodeKey,
        ids: Vec<String>,
    ) -> BoxFuture<'_, Result<Vec<String>>> {
        self.write(move |state| {
            let node = state.node_mut(&owner, &key)?;
            let mut removed = Vec::new();
            for id in ids {
                let before = node.items.len();
                node.items.retain(|_, item| item.id != id);
                if node.items.len() < before {
                    removed.push(id);
                }
            }
            Ok(removed)
        })
    }

    fn items_purge(&self, owner: BareJid, key: NodeKey) -> BoxFuture<'_, Result<u64>> {
        self.write(move |state| {
            let node = state.node_mut(&owner, &key)?;
            Ok(size64(std::mem::take(&mut node.items).len()))
        })
    }

    fn items_expire(&self, now: Micros) -> BoxFuture<'_, Result<u64>> {
        self.write(move |state| {
            let mut removed = 0;
            for node in state.pubsub.values_mut().flat_map(BTreeMap::values_mut) {
                let Some(lifetime) = node.lifetime else {
                    continue;
                };
                let before = node.items.len();
                node.items
                    .retain(|_, item| item.at >= now.saturating_sub(lifetime));
                removed += size64(before - node.items.len());
            }
            Ok(removed)
        })
    }
}
