//! The items of nodes.

use super::{Executor, Ids, Row, accounts, address, bound, damaged, pubsub};
use crate::{
    Item, ItemsFrom, ItemsPage, ItemsRequest, NodeKey, NodeQuota, Publication, Published, Result,
    StoreError, Target, quota,
};
use bytes::Bytes;
use waxwing_proto::{BareJid, Jid};

/// The columns that [`read`] reads, of some items of one node that are not older than `?2`; the last
/// is their place in an order.
macro_rules! items {
    ($place:literal, $rest:literal) => {
        concat!(
            "SELECT id, publisher, published, payload, ",
            $place,
            " FROM pubsub_item WHERE node = ?1 AND published >= ?2 ",
            $rest
        )
    };
}

/// The queries of pages in one order.
struct Order {
    forwards: &'static str,
    backwards: &'static str,
    by_id: &'static str,
    total: &'static str,
}

/// In the order of the last publication.
const MODIFIED: Order = Order {
    forwards: items!("seq", "AND seq > ?3 ORDER BY seq LIMIT ?4 OFFSET ?5"),
    backwards: items!("seq", "AND seq < ?3 ORDER BY seq DESC LIMIT ?4 OFFSET ?5"),
    by_id: items!("seq", "AND id = ?3"),
    total: "SELECT count(*), coalesce(sum(CASE WHEN seq < ?3 THEN 1 ELSE 0 END), 0) \
     FROM pubsub_item WHERE node = ?1 AND published >= ?2",
};

/// In the order of the first publication.
const CREATED: Order = Order {
    forwards: items!(
        "created",
        "AND created > ?3 ORDER BY created LIMIT ?4 OFFSET ?5"
    ),
    backwards: items!(
        "created",
        "AND created < ?3 ORDER BY created DESC LIMIT ?4 OFFSET ?5"
    ),
    by_id: items!("created", "AND id = ?3"),
    total: "SELECT count(*), coalesce(sum(CASE WHEN created < ?3 THEN 1 ELSE 0 END), 0) \
     FROM pubsub_item WHERE node = ?1 AND published >= ?2",
};

const AT: &str = items!("seq", "AND seq = ?3");
const COUNT: &str = "SELECT count(*) FROM pubsub_item WHERE node = ?1";
const OLDEST: &str = "SELECT id FROM pubsub_item WHERE node = ?1 ORDER BY seq LIMIT ?2";
const PUT: &str = "INSERT INTO pubsub_item (seq, node, id, publisher, published, payload, created) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
const BYTES: &str = "SELECT coalesce(sum(octet_length(id) + octet_length(publisher) \
     + octet_length(payload)), 0) FROM pubsub_item WHERE node = ?1";
const BYTES_OLD: &str = "SELECT coalesce(sum(octet_length(id) + octet_length(publisher) \
     + octet_length(payload)), 0) FROM pubsub_item WHERE node = ?1 AND published < ?2";
const BYTES_ID: &str = "SELECT octet_length(id) + octet_length(publisher) \
     + octet_length(payload), created FROM pubsub_item WHERE node = ?1 AND id = ?2";
const REMOVE: &str = "DELETE FROM pubsub_item WHERE node = ?1 AND id = ?2";
const REMOVE_OLD: &str = "DELETE FROM pubsub_item WHERE node = ?1 AND published < ?2";
const REMOVE_ALL: &str = "DELETE FROM pubsub_item WHERE node = ?1";

#[cfg(test)]
pub(crate) const QUERIES: [&str; 7] = [
    AT,
    MODIFIED.forwards,
    MODIFIED.backwards,
    MODIFIED.by_id,
    CREATED.forwards,
    CREATED.backwards,
    OLDEST,
];

pub(super) fn page(
    db: &mut dyn Executor,
    owner: &BareJid,
    node: &str,
    request: &ItemsRequest,
) -> Result<ItemsPage> {
    let Some(found) = pubsub::find(db, owner, node)? else {
        return Ok(ItemsPage::default());
    };
    let (node, since) = (found.number, request.since.unwrap_or(i64::MIN));
    let queries = if request.order.by_creation {
        CREATED
    } else {
        MODIFIED
    };
    let newest_first = request.order.newest_first;
    let place = |db: &mut dyn Executor, id: &str| {
        let row = db.query_first(queries.by_id, &[node.into(), since.into(), id.into()])?;
        Ok(read(row.ok_or(StoreError::NoItem)?)?.0)
    };
    // Whether to go on in the order of the request or against it, from where, what to skip.
    let (onwards, from, skip) = match &request.from {
        ItemsFrom::First => (true, None, 0),
        ItemsFrom::After(id) => (true, Some(place(db, id)?), 0),
        ItemsFrom::Last => (false, None, 0),
        ItemsFrom::Before(id) => (false, Some(place(db, id)?), 0),
        ItemsFrom::Index(index) => (true, None, *index),
    };
    let (sql, edge) = if onwards == newest_first {
        (queries.backwards, i64::MAX)
    } else {
        (queries.forwards, i64::MIN)
    };
    let params = [
        node.into(),
        since.into(),
        from.unwrap_or(edge).into(),
        i64::from(request.count).into(),
        i64::from(skip).into(),
    ];
    let rows = db.query(sql, &params)?;
    let mut rows = rows.into_iter().map(read).collect::<Result<Vec<_>>>()?;
    if !onwards {
        rows.reverse();
    }
    let first = rows.first().map(|(seq, _)| *seq);
    let params = [node.into(), since.into(), first.unwrap_or(0).into()];
    let row = db.query_first(queries.total, &params)?;
    let mut row = row.ok_or_else(|| damaged("no count"))?;
    let (total, older) = (row.count()?, row.count()?);
    let index = match first {
        None => 0,
        Some(_) if newest_first => total.saturating_sub(older + 1),
        Some(_) => older,
    };
    Ok(ItemsPage {
        items: rows.into_iter().map(|(_, item)| item).collect(),
        index,
        total,
    })
}

pub(super) fn by_id(
    db: &mut dyn Executor,
    owner: &BareJid,
    node: &str,
    ids: &[String],
) -> Result<Vec<Item>> {
    let Some(found) = pubsub::find(db, owner, node)? else {
        return Ok(Vec::new());
    };
    let mut items = Vec::new();
    for id in ids {
        let params = [found.number.into(), i64::MIN.into(), id.as_str().into()];
        if let Some(row) = db.query_first(MODIFIED.by_id, &params)? {
            items.push(read(row)?.1);
        }
    }
    Ok(items)
}

/// The item at this place in the order of publication.
pub(super) fn at(db: &mut dyn Executor, node: i64, seq: i64) -> Result<Option<Item>> {
    let row = db.query_first(AT, &[node.into(), i64::MIN.into(), seq.into()])?;
    Ok(row.map(read).transpose()?.map(|(_, item)| item))
}

/// The newest item of a node.
pub(super) fn newest(db: &mut dyn Executor, node: i64) -> Result<Option<Item>> {
    let params = [
        node.into(),
        i64::MIN.into(),
        i64::MAX.into(),
        1.into(),
        0.into(),
    ];
    let row = db.query_first(MODIFIED.backwards, &params)?;
    Ok(row.map(read).transpose()?.map(|(_, item)| item))
}

pub(super) fn publish(
    db: &mut dyn Executor,
    ids: &mut Ids,
    owner: &BareJid,
    publication: &Publication,
    quota: NodeQuota,
) -> Result<Published> {
    let before = *ids;
    let done = publish_now(db, ids, owner, publication, quota);
    if done.is_err() {
        *ids = before;
    }
    done
}

fn publish_now(
    db: &mut dyn Executor,
    ids: &mut Ids,
    owner: &BareJid,
    publication: &Publication,
    quota: NodeQuota,
) -> Result<Published> {
    if owner.local().is_some() {
        accounts::require(db, owner)?;
    }
    let found = match &publication.target {
        Target::Node(key) => pubsub::require(db, owner, key)?,
        Target::New(node) => {
            let made = pubsub::add(db, ids, owner, node, quota)?;
            made.ok_or(StoreError::Conflict)?
        }
    };
    let node = found.number;
    let mut bytes = 0;
    if let Some(since) = publication.since {
        bytes -= remove_old(db, node, since)?.1;
    }
    for (id, payload) in &publication.items {
        let before = remove(db, node, id)?;
        bytes -= before.map_or(0, |(bytes, _)| bytes);
        let created = before.map(|(_, created)| created);
        put(db, ids, (node, created), (id, payload), publication)?;
        bytes += bound(id.len() + publication.publisher.as_str().len() + payload.len());
    }
    let evicted = if publication.reject_when_full {
        if sum(db.query_first(COUNT, &[node.into()])?)? > i64::from(publication.items_max) {
            return Err(StoreError::Quota(quota::NODE_ITEMS));
        }
        Vec::new()
    } else {
        let (evicted, freed) = evict(db, node, publication.items_max)?;
        bytes -= freed;
        evicted
    };
    pubsub::charge(db, found.owner, (0, bytes), quota)?;
    Ok(Published {
        key: found.key,
        evicted,
    })
}

fn put(
    db: &mut dyn Executor,
    ids: &mut Ids,
    (node, created): (i64, Option<i64>),
    (id, payload): (&str, &Bytes),
    publication: &Publication,
) -> Result<()> {
    let seq = ids.next(db, publication.at)?;
    let params = [
        seq.into(),
        node.into(),
        id.into(),
        publication.publisher.as_str().into(),
        publication.at.into(),
        payload.as_ref().into(),
        created.unwrap_or(seq).into(),
    ];
    db.execute(PUT, &params).map(drop)
}

/// Removes the oldest items past a bound; gives their ids and bytes.
pub(super) fn evict(
    db: &mut dyn Executor,
    node: i64,
    items_max: u32,
) -> Result<(Vec<String>, i64)> {
    let surplus = sum(db.query_first(COUNT, &[node.into()])?)? - i64::from(items_max);
    if surplus <= 0 {
        return Ok((Vec::new(), 0));
    }
    let mut evicted = Vec::new();
    let mut bytes = 0;
    for mut row in db.query(OLDEST, &[node.into(), surplus.into()])? {
        let id = row.text()?;
        bytes += remove(db, node, &id)?.map_or(0, |(bytes, _)| bytes);
        evicted.push(id);
    }
    Ok((evicted, bytes))
}

pub(super) fn retract(
    db: &mut dyn Executor,
    owner: &BareJid,
    key: &NodeKey,
    ids: Vec<String>,
) -> Result<Vec<String>> {
    let found = pubsub::require(db, owner, key)?;
    let mut removed = Vec::new();
    let mut bytes = 0;
    for id in ids {
        if let Some((freed, _)) = remove(db, found.number, &id)? {
            bytes += freed;
            removed.push(id);
        }
    }
    pubsub::refund(db, found.owner, (0, bytes))?;
    Ok(removed)
}

pub(super) fn purge(db: &mut dyn Executor, owner: &BareJid, key: &NodeKey) -> Result<u64> {
    let found = pubsub::require(db, owner, key)?;
    let bytes = bytes(db, found.number)?;
    let removed = db.execute(REMOVE_ALL, &[found.number.into()])?;
    pubsub::refund(db, found.owner, (0, bytes))?;
    Ok(removed)
}

/// Bytes of all items of a node.
pub(super) fn bytes(db: &mut dyn Executor, node: i64) -> Result<i64> {
    sum(db.query_first(BYTES, &[node.into()])?)
}

/// Removes the items published before a time; gives how many, and their bytes.
pub(super) fn remove_old(db: &mut dyn Executor, node: i64, since: i64) -> Result<(u64, i64)> {
    let params = [node.into(), since.into()];
    let bytes = sum(db.query_first(BYTES_OLD, &params)?)?;
    Ok((db.execute(REMOVE_OLD, &params)?, bytes))
}

/// Removes an item; gives its bytes, and its place in the order of first publication.
fn remove(db: &mut dyn Executor, node: i64, id: &str) -> Result<Option<(i64, i64)>> {
    let params = [node.into(), id.into()];
    let Some(mut row) = db.query_first(BYTES_ID, &params)? else {
        return Ok(None);
    };
    db.execute(REMOVE, &params)?;
    Ok(Some((row.int()?, row.int()?)))
}

fn sum(row: Option<Row>) -> Result<i64> {
    row.ok_or_else(|| damaged("no sum"))?.int()
}

/// An item and its place in the order that it was read in.
fn read(mut row: Row) -> Result<(i64, Item)> {
    let item = Item {
        id: row.text()?,
        publisher: address::<Jid>(&row.text()?)?,
        at: row.int()?,
        payload: row.bytes()?.into(),
    };
    Ok((row.int()?, item))
}
