//! The domain trait of nodes for every SQL back end.

use super::{pubsub, pubsub_archive, pubsub_items, store::Backend};
use crate::{
    ArchiveFilter, ArchivePage, ArchivedItem, BoxFuture, Item, ItemsPage, ItemsRequest, Micros,
    NewNode, Node, NodeChange, NodeHead, NodeKey, NodeQuota, PageRequest, PubSub, Publication,
    Published, Result,
};
use waxwing_proto::BareJid;

impl<B: Backend> PubSub for B {
    fn nodes(&self, owner: BareJid) -> BoxFuture<'_, Result<Vec<Node>>> {
        self.read(move |db| pubsub::nodes(db, &owner))
    }

    fn nodes_with(&self, owner: BareJid, who: BareJid) -> BoxFuture<'_, Result<Vec<Node>>> {
        self.read(move |db| pubsub::nodes_with(db, &owner, &who))
    }

    fn node(&self, owner: BareJid, name: String) -> BoxFuture<'_, Result<Option<Node>>> {
        self.read(move |db| pubsub::node(db, &owner, &name))
    }

    fn node_heads(
        &self,
        wanted: Vec<(BareJid, Vec<String>)>,
    ) -> BoxFuture<'_, Result<Vec<NodeHead>>> {
        self.read(move |db| pubsub::heads(db, &wanted))
    }

    fn node_create(
        &self,
        owner: BareJid,
        node: NewNode,
        quota: NodeQuota,
    ) -> BoxFuture<'_, Result<NodeKey>> {
        self.write_with_ids(node.bytes(), move |db, ids| {
            pubsub::create(db, ids, &owner, &node, quota)
        })
    }

    fn node_change(
        &self,
        owner: BareJid,
        key: NodeKey,
        change: NodeChange,
        quota: NodeQuota,
    ) -> BoxFuture<'_, Result<NodeKey>> {
        let bytes = change.config.as_ref().map_or(0, bytes::Bytes::len);
        self.write_with_ids(bytes, move |db, ids| {
            pubsub::change(db, ids, &owner, &key, &change, quota)
        })
    }

    fn node_delete(&self, owner: BareJid, key: NodeKey) -> BoxFuture<'_, Result<()>> {
        self.write(0, move |db| pubsub::delete(db, &owner, &key))
    }

    fn items(
        &self,
        owner: BareJid,
        node: String,
        request: ItemsRequest,
    ) -> BoxFuture<'_, Result<ItemsPage>> {
        self.read(move |db| pubsub_items::page(db, &owner, &node, &request))
    }

    fn node_archive(
        &self,
        owner: BareJid,
        node: String,
        since: Option<Micros>,
        filter: ArchiveFilter,
        request: PageRequest,
    ) -> BoxFuture<'_, Result<ArchivePage<ArchivedItem>>> {
        self.read(move |db| pubsub_archive::page(db, (&owner, &node), since, &filter, request))
    }

    fn items_by_id(
        &self,
        owner: BareJid,
        node: String,
        ids: Vec<String>,
    ) -> BoxFuture<'_, Result<Vec<Item>>> {
        self.read(move |db| pubsub_items::by_id(db, &owner, &node, &ids))
    }

    fn publish(
        &self,
        owner: BareJid,
        publication: Publication,
        quota: NodeQuota,
    ) -> BoxFuture<'_, Result<Published>> {
        self.write_with_ids(publication.bytes(), move |db, ids| {
            pubsub_items::publish(db, ids, &owner, &publication, quota)
        })
    }

    fn items_retract(
        &self,
        owner: BareJid,
        key: NodeKey,
        ids: Vec<String>,
    ) -> BoxFuture<'_, Result<Vec<String>>> {
        self.write(0, move |db| {
            pubsub_items::retract(db, &owner, &key, ids.clone())
        })
    }

    fn items_purge(&self, owner: BareJid, key: NodeKey) -> BoxFuture<'_, Result<u64>> {
        self.write(0, move |db| pubsub_items::purge(db, &owner, &key))
    }

    fn items_expire(&self, now: Micros) -> BoxFuture<'_, Result<u64>> {
        self.write(0, move |db| pubsub::expire(db, now))
    }
}
