//! The items of a node as an archive of what was published there (XEP-0442).

use super::{Executor, Row, address, bound, damaged, ids::outward, pubsub, pubsub_items};
use crate::{
    ARCHIVE_IDS_MAX, ArchiveFilter, ArchivePage, ArchivedItem, Micros, PageRequest, Result,
    StoreError, archive::Paged, quota,
};
use waxwing_proto::{BareJid, Jid};

/// All items that are not too old, without their payloads: a node has only so many.
const ENTRIES: &str = "SELECT seq, publisher, octet_length(payload) FROM pubsub_item \
     WHERE node = ?1 AND published >= ?2 ORDER BY seq";

#[cfg(test)]
pub(crate) const QUERIES: [&str; 1] = [ENTRIES];

/// An item that has not been read.
#[derive(Clone)]
struct Entry {
    id: u64,
    publisher: Jid,
    bytes: usize,
}

impl Paged for Entry {
    fn id(&self) -> u64 {
        self.id
    }

    fn bytes(&self) -> usize {
        self.bytes
    }
}

pub(super) fn page(
    db: &mut dyn Executor,
    (owner, node): (&BareJid, &str),
    since: Option<Micros>,
    filter: &ArchiveFilter,
    request: PageRequest,
) -> Result<ArchivePage<ArchivedItem>> {
    if filter.ids.as_ref().map_or(0, Vec::len) > ARCHIVE_IDS_MAX {
        return Err(StoreError::Quota(quota::ARCHIVE_IDS));
    }
    let Some(found) = pubsub::find(db, owner, node)? else {
        return Ok(request.page(&[]));
    };
    let params = [found.number.into(), since.unwrap_or(i64::MIN).into()];
    let rows = db.query(ENTRIES, &params)?.into_iter();
    let mut entries = rows.map(read).collect::<Result<Vec<_>>>()?;
    let is_there = |id: u64| entries.binary_search_by_key(&id, |entry| entry.id).is_ok();
    if !filter.named(request.from).all(is_there) {
        return Err(StoreError::NoItem);
    }
    entries.retain(|entry| filter.admits(entry.id, &entry.publisher));
    let ArchivePage {
        entries,
        complete,
        count,
        index,
    } = request.page(&entries);
    let entries = entries.into_iter().map(|Entry { id, .. }| {
        let item = pubsub_items::at(db, found.number, bound(id))?;
        let item = item.ok_or_else(|| damaged("an item is gone within a transaction"))?;
        Ok(ArchivedItem { id, item })
    });
    Ok(ArchivePage {
        entries: entries.collect::<Result<_>>()?,
        complete,
        count,
        index,
    })
}

fn read(mut row: Row) -> Result<Entry> {
    Ok(Entry {
        id: outward(row.int()?)?,
        publisher: address::<Jid>(&row.text()?)?,
        bytes: row.number()?,
    })
}
