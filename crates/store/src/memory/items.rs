//! Pages of a node's items.

use super::{
    pubsub::NodeState,
    state::{size, size64},
};
use crate::{
    ARCHIVE_IDS_MAX, ArchiveFilter, ArchivePage, ArchivedItem, Item, ItemsFrom, ItemsPage,
    ItemsRequest, Micros, PageRequest, Result, StoreError, quota,
};

impl NodeState {
    /// A page in one of the orders of items.
    pub(super) fn page(&self, request: &ItemsRequest) -> Result<ItemsPage> {
        let new = |item: &&Item| request.since.is_none_or(|since| item.at >= since);
        let mut all: Vec<&Item> = self.items.values().filter(new).collect();
        if request.order.by_creation {
            all.sort_by_key(|item| self.created.get(&item.id));
        }
        if request.order.newest_first {
            all.reverse();
        }
        let find = |id: &str| {
            let found = all.iter().position(|item| item.id == id);
            found.ok_or(StoreError::NoItem)
        };
        let count = size(request.count);
        let (start, end) = match &request.from {
            ItemsFrom::First => (0, count),
            ItemsFrom::After(id) => (find(id)? + 1, find(id)? + 1 + count),
            ItemsFrom::Last => (all.len().saturating_sub(count), all.len()),
            ItemsFrom::Before(id) => (find(id)?.saturating_sub(count), find(id)?),
            ItemsFrom::Index(index) => (size(*index), size(*index) + count),
        };
        let total = size64(all.len());
        let items: Vec<Item> = all
            .into_iter()
            .skip(start)
            .take(end - start)
            .cloned()
            .collect();
        let index = if items.is_empty() { 0 } else { size64(start) };
        Ok(ItemsPage {
            items,
            index,
            total,
        })
    }
}

/// A page of a node's items as an archive.
pub(super) fn archive(
    node: Option<&NodeState>,
    since: Option<Micros>,
    filter: &ArchiveFilter,
    request: PageRequest,
) -> Result<ArchivePage<ArchivedItem>> {
    if filter.ids.as_ref().map_or(0, Vec::len) > ARCHIVE_IDS_MAX {
        return Err(StoreError::Quota(quota::ARCHIVE_IDS));
    }
    let Some(NodeState { items, .. }) = node else {
        return Ok(request.page(&[]));
    };
    let new = |item: &Item| since.is_none_or(|since| item.at >= since);
    let is_there = |id| items.get(&id).is_some_and(new);
    if !filter.named(request.from).all(is_there) {
        return Err(StoreError::NoItem);
    }
    let passing = items
        .iter()
        .filter(|(id, item)| new(item) && filter.admits(**id, &item.publisher));
    let passing = passing.map(|(id, item)| ArchivedItem {
        id: *id,
        item: item.clone(),
    });
    Ok(request.page(&passing.collect::<Vec<_>>()))
}
