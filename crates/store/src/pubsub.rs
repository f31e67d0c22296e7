//! Publish-subscribe nodes and their items (XEP-0060, XEP-0163).
//!
//! What an owner's rules allow is decided from a node as it was read. Every write names that node
//! by its [`NodeKey`] and fails with [`crate::StoreError::Conflict`] if the node has changed, has
//! gone or was made anew meanwhile, so that no decision is carried out on another node than it was
//! made about.

use crate::{ArchiveFilter, ArchivePage, BoxFuture, Micros, PageRequest, Result, archive::Paged};
use bytes::Bytes;
use waxwing_proto::{BareJid, Jid};

/// Nodes and items. An owner with a localpart is an account and must exist; one without is a
/// service, which needs no making.
pub trait PubSub {
    /// All nodes of an owner in the order of their names.
    fn nodes(&self, owner: BareJid) -> BoxFuture<'_, Result<Vec<Node>>>;
    /// The nodes of an owner that somebody has an affiliation with or has subscribed to by any
    /// address, in the order of their names; with nobody else's affiliations and subscriptions.
    fn nodes_with(&self, owner: BareJid, who: BareJid) -> BoxFuture<'_, Result<Vec<Node>>>;
    /// One node.
    fn node(&self, owner: BareJid, name: String) -> BoxFuture<'_, Result<Option<Node>>>;
    /// Nodes of several owners and the newest item of each: those of the names that exist.
    fn node_heads(
        &self,
        wanted: Vec<(BareJid, Vec<String>)>,
    ) -> BoxFuture<'_, Result<Vec<NodeHead>>>;
    /// Makes a node. [`crate::StoreError::Exists`] if there is one of that name,
    /// [`crate::StoreError::Quota`] past the quotas.
    fn node_create(
        &self,
        owner: BareJid,
        node: NewNode,
        quota: NodeQuota,
    ) -> BoxFuture<'_, Result<NodeKey>>;
    /// Changes what a node is and who is with it, all or nothing; gives its new key.
    fn node_change(
        &self,
        owner: BareJid,
        key: NodeKey,
        change: NodeChange,
        quota: NodeQuota,
    ) -> BoxFuture<'_, Result<NodeKey>>;
    /// Removes a node with everything on it.
    fn node_delete(&self, owner: BareJid, key: NodeKey) -> BoxFuture<'_, Result<()>>;
    /// A page of a node's items; [`crate::StoreError::NoItem`] if the item that it is to begin at
    /// does not exist. Empty if the node does not.
    fn items(
        &self,
        owner: BareJid,
        node: String,
        request: ItemsRequest,
    ) -> BoxFuture<'_, Result<ItemsPage>>;
    /// A page of the items that a node has, those published at `since` or later, as if it was an
    /// archive that has them in the order of their publication; the other party is who published.
    /// [`crate::StoreError::NoItem`] if an entry that the filter or the request names is not there,
    /// [`crate::StoreError::Quota`] if the filter names more than [`crate::ARCHIVE_IDS_MAX`]. What
    /// the filter says of texts and flags is not looked at. Empty if the node does not exist.
    fn node_archive(
        &self,
        owner: BareJid,
        node: String,
        since: Option<Micros>,
        filter: ArchiveFilter,
        request: PageRequest,
    ) -> BoxFuture<'_, Result<ArchivePage<ArchivedItem>>>;
    /// The items with these ids that exist, in the order of the ids.
    fn items_by_id(
        &self,
        owner: BareJid,
        node: String,
        ids: Vec<String>,
    ) -> BoxFuture<'_, Result<Vec<Item>>>;
    /// Publishes: puts the items, and removes what is too old and too much, as one write.
    fn publish(
        &self,
        owner: BareJid,
        publication: Publication,
        quota: NodeQuota,
    ) -> BoxFuture<'_, Result<Published>>;
    /// Removes items; gives the ids of those that existed.
    fn items_retract(
        &self,
        owner: BareJid,
        key: NodeKey,
        ids: Vec<String>,
    ) -> BoxFuture<'_, Result<Vec<String>>>;
    /// Removes all items; gives how many there were.
    fn items_purge(&self, owner: BareJid, key: NodeKey) -> BoxFuture<'_, Result<u64>>;
    /// Removes all items of all nodes that are older than their nodes let them be; gives how many
    /// there were.
    fn items_expire(&self, now: Micros) -> BoxFuture<'_, Result<u64>>;
}

/// What one owner may keep. Past it a write fails with [`crate::StoreError::Quota`] and leaves
/// nothing; one that only removes never does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeQuota {
    /// Nodes of the owner.
    pub nodes_max: u32,
    /// Bytes of the owner's nodes and items: names, ids, configurations, payloads.
    pub bytes_max: u64,
    /// Affiliations of one node, and as many subscriptions.
    pub people_max: u32,
}

/// A node as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeKey {
    /// Its name.
    pub name: String,
    /// Changes with the configuration, affiliations and subscriptions, not with items; never the
    /// same for two nodes.
    pub version: u64,
}

/// A node without its items.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Which one.
    pub key: NodeKey,
    /// Its configuration, as the engine wrote it.
    pub config: Bytes,
    /// Who has a relation to it, in address order.
    pub affiliations: Vec<(BareJid, Affiliation)>,
    /// Who is told, in address order.
    pub subscriptions: Vec<NodeSubscription>,
}

/// What one entity may do with a node (XEP-0060 § 4.1). Who has none is not in the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Affiliation {
    /// Everything.
    Owner,
    /// Publish and read.
    Publisher,
    /// Publish.
    PublishOnly,
    /// Read.
    Member,
    /// Nothing.
    Outcast,
}

/// One subscription (XEP-0060 § 4.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeSubscription {
    /// Who is told: a bare or full JID.
    pub jid: Jid,
    /// It waits for an owner's approval.
    pub pending: bool,
    /// Its options, as the engine wrote them; empty for none.
    pub options: Bytes,
}

/// A node and the newest of its items.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeHead {
    /// Whose.
    pub owner: BareJid,
    /// The node.
    pub node: Node,
    /// Its newest item, if it has one.
    pub item: Option<Item>,
}

/// A node to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewNode {
    /// Its name.
    pub name: String,
    /// Its configuration.
    pub config: Bytes,
    /// How old its items become; `None` for as old as may be.
    pub lifetime: Option<Micros>,
    /// Who has a relation to it from the beginning.
    pub affiliations: Vec<(BareJid, Affiliation)>,
    /// When.
    pub at: Micros,
}

/// What changes about a node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeChange {
    /// When.
    pub at: Micros,
    /// The new configuration.
    pub config: Option<Bytes>,
    /// With a new configuration: how old items become from now on.
    pub lifetime: Option<Micros>,
    /// How many items, the newest, are left.
    pub items_max: Option<u32>,
    /// New affiliations; `None` ends one.
    pub affiliations: Vec<(BareJid, Option<Affiliation>)>,
    /// New or changed subscriptions.
    pub subscribe: Vec<NodeSubscription>,
    /// Subscriptions that end.
    pub unsubscribe: Vec<Jid>,
}

/// An item (XEP-0060 § 7.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its id, unique in its node.
    pub id: String,
    /// Who published it.
    pub publisher: Jid,
    /// When it was published last.
    pub at: Micros,
    /// One element that stands alone, or nothing.
    pub payload: Bytes,
}

/// An item as an entry of its node's archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchivedItem {
    /// The entry's id, and its time in microseconds since 1970; another one with each publication.
    pub id: u64,
    /// The item.
    pub item: Item,
}

/// What is published at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication {
    /// Where.
    pub target: Target,
    /// What, in order; an item of an id that exists replaces that one.
    pub items: Vec<(String, Bytes)>,
    /// By whom.
    pub publisher: Jid,
    /// When.
    pub at: Micros,
    /// How many items the node may have; the oldest go.
    pub items_max: u32,
    /// Instead of letting the oldest go, refuse with [`crate::StoreError::Quota`].
    pub reject_when_full: bool,
    /// Items published before this go.
    pub since: Option<Micros>,
}

/// Where something is published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// On a node as it was read.
    Node(NodeKey),
    /// On a new node; [`crate::StoreError::Conflict`] if there is one of that name by now.
    New(NewNode),
}

/// What a publication did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// The node, the new one if it was made.
    pub key: NodeKey,
    /// The ids of the items that went for lack of room, oldest first. Those that went for their
    /// age are not among them.
    pub evicted: Vec<String>,
}

/// Which items.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemsRequest {
    /// From where on.
    pub from: ItemsFrom,
    /// At most so many.
    pub count: u32,
    /// In which order.
    pub order: ItemsOrder,
    /// Only those published at this time or later.
    pub since: Option<Micros>,
}

/// The order of items (XEP-0413).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ItemsOrder {
    /// By when an item of that id was published first; otherwise by when it was published last.
    pub by_creation: bool,
    /// The newest item is the first one; otherwise the oldest.
    pub newest_first: bool,
}

/// From where a page goes, in the order of the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ItemsFrom {
    /// From the first item on.
    First,
    /// From the item after this one on.
    After(String),
    /// Up to the last item.
    Last,
    /// Up to the item before this one.
    Before(String),
    /// From the item with this index on.
    Index(u32),
}

/// A page of items.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ItemsPage {
    /// The items, in the order of the request.
    pub items: Vec<Item>,
    /// The position of the first of them among all.
    pub index: u64,
    /// How many there are in all.
    pub total: u64,
}

impl Paged for ArchivedItem {
    fn id(&self) -> u64 {
        self.id
    }

    fn bytes(&self) -> usize {
        self.item.payload.len()
    }
}

impl NewNode {
    /// About how many bytes it holds.
    pub(crate) fn bytes(&self) -> usize {
        self.name.len() + self.config.len()
    }
}

impl Publication {
    /// The node's name.
    pub fn node(&self) -> &str {
        match &self.target {
            Target::Node(key) => &key.name,
            Target::New(node) => &node.name,
        }
    }

    /// About how many bytes it holds.
    pub(crate) fn bytes(&self) -> usize {
        let items = self.items.iter();
        items
            .map(|(id, payload)| id.len() + payload.len())
            .sum::<usize>()
            + self.publisher.as_str().len()
    }
}
