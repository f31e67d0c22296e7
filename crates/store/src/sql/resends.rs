//! By what resends are recognised: rows in the order of ids, and an index of them that is written
//! by many rows at once (see the migration `0004_resend.sql`).
//!
//! In memory and in the index are hints only: a row counts if the table `resend` has it.

use super::{Executor, Param, bound, damaged};
use crate::{Micros, RESEND_WINDOW, Result};
use std::collections::HashMap;

/// Rows that the index may lack before they are merged into it; few in tests, so that all of them
/// get there.
const UNMERGED_MAX: usize = if cfg!(test) { 2 } else { 16_384 };
/// Rows merged in one transaction, so that no write waits for all of them.
const MERGED_AT_ONCE: usize = if cfg!(test) { 1 } else { 1_024 };

const ADD: &str = "INSERT INTO resend (id, account, hash) VALUES (?1, ?2, ?3)";
const EXISTS: &str = "SELECT 1 FROM resend WHERE id = ?1 AND account = ?2 AND hash = ?3";
const FIND: &str = "SELECT id FROM resend_key WHERE account = ?1 AND hash = ?2";
const REMOVE: &str = "DELETE FROM resend WHERE id = ?1";
const FORGET: &str = "DELETE FROM resend WHERE id IN \
     (SELECT id FROM resend WHERE id < ?1 ORDER BY id LIMIT ?2)";
const MERGED: &str = "SELECT last FROM sequence WHERE name = 'resend'";
const SET_MERGED: &str = "UPDATE sequence SET last = ?1 WHERE name = 'resend' AND last < ?1";
const NEWER: &str = "SELECT id, account, hash FROM resend WHERE id > ?1";
const OLDEST: &str = "SELECT id FROM resend WHERE id > 0 ORDER BY id LIMIT 1";
const MERGE: &str = "INSERT INTO resend_key (account, hash, id) \
     SELECT account, hash, id FROM resend WHERE id = ?1 \
     ON CONFLICT (account, hash) DO UPDATE SET id = excluded.id";
const REMOVE_STALE: &str = "DELETE FROM resend_key WHERE (account, hash) > (?1, ?2) \
     AND (account, hash) <= (?3, ?4) AND id < ?5";

/// What must never read a whole table.
#[cfg(test)]
pub(crate) const QUERIES: &[&str] = &[EXISTS, FIND, FORGET, NEWER, OLDEST, MERGE, REMOVE_STALE];

/// An account's number and a hash.
type Key = (i64, [u8; 16]);

/// The rows that the index lacks.
#[derive(Debug, Default)]
pub(super) struct Unmerged {
    ids: HashMap<Key, i64>,
    /// The newest row that was looked at; none before the first look.
    newest: Option<i64>,
    /// Whether there may be newer ones, of another process.
    stale: bool,
    merge: Option<Merge>,
}

/// Rows on their way into the index, in its order.
#[derive(Debug)]
struct Merge {
    rows: Vec<(Key, i64)>,
    done: usize,
    /// The newest of them.
    newest: i64,
}

impl Unmerged {
    pub(super) fn changed_elsewhere(&mut self) {
        self.stale = true;
    }

    fn add(&mut self, key: Key, id: i64) {
        self.ids.insert(key, id);
        self.newest = self.newest.max(Some(id));
    }
}

/// The recent record of this sender and hash before the one that will have the id `now`, if any.
/// One that is not recent any more is forgotten.
pub(super) fn find(
    db: &mut dyn Executor,
    account: i64,
    hash: [u8; 16],
    now: i64,
) -> Result<Option<i64>> {
    load(db)?;
    let newest = db.known().resends.ids.get(&(account, hash)).copied();
    let mut found = newest.map_or(Ok(None), |id| existing(db, id, account, hash))?;
    if found.is_none()
        && let Some(mut row) = db.query_first(FIND, &[account.into(), Param::Bytes(&hash)])?
    {
        found = existing(db, row.int()?, account, hash)?;
    }
    match found {
        Some(id) if id < now.saturating_sub(RESEND_WINDOW) => {
            db.execute(REMOVE, &[id.into()])?;
            Ok(None)
        }
        found => Ok(found),
    }
}

/// The id, if the record that is said to have it has.
fn existing(db: &mut dyn Executor, id: i64, account: i64, hash: [u8; 16]) -> Result<Option<i64>> {
    let params = [id.into(), account.into(), Param::Bytes(&hash)];
    Ok(db.query_first(EXISTS, &params)?.map(|_| id))
}

/// Notes a record that has none before it.
pub(super) fn add(db: &mut dyn Executor, id: i64, account: i64, hash: [u8; 16]) -> Result<()> {
    db.execute(ADD, &[id.into(), account.into(), Param::Bytes(&hash)])?;
    db.known().resends.add((account, hash), id);
    Ok(())
}

/// The index follows: stale rows in it are removed when others come to where they are.
pub(super) fn forget(db: &mut dyn Executor, before: Micros, count: u32) -> Result<u64> {
    db.execute(FORGET, &[before.into(), bound(count).into()])
}

/// A part of the merging that is due, if any is.
pub(super) fn merge(db: &mut dyn Executor) -> Result<()> {
    let resends = &mut db.known().resends;
    let Some(merge) = resends.merge.take().or_else(|| Merge::due(resends)) else {
        return Ok(());
    };
    let last = merge.done.saturating_add(MERGED_AT_ONCE);
    let part = merge
        .rows
        .get(merge.done..last)
        .or(merge.rows.get(merge.done..));
    let part = part.unwrap_or_default();
    for (_, id) in part {
        db.execute(MERGE, &[(*id).into()])?;
    }
    let ended = last >= merge.rows.len();
    let before = merge
        .done
        .checked_sub(1)
        .and_then(|index| merge.rows.get(index));
    let after = part.last().filter(|_| !ended);
    remove_stale(db, before, after)?;
    if !ended {
        db.known().resends.merge = Some(Merge {
            done: last,
            ..merge
        });
        return Ok(());
    }
    db.execute(SET_MERGED, &[merge.newest.into()])?;
    let resends = &mut db.known().resends;
    resends.ids.retain(|_, id| *id > merge.newest);
    Ok(())
}

impl Merge {
    fn due(resends: &Unmerged) -> Option<Self> {
        let newest = resends.newest?;
        if resends.ids.len() < UNMERGED_MAX {
            return None;
        }
        let mut rows: Vec<_> = resends.ids.iter().map(|(key, id)| (*key, *id)).collect();
        rows.sort_unstable();
        Some(Self {
            rows,
            done: 0,
            newest,
        })
    }
}

/// Removes rows of the index, after one place and up to another, whose record is forgotten.
fn remove_stale(
    db: &mut dyn Executor,
    after: Option<&(Key, i64)>,
    last: Option<&(Key, i64)>,
) -> Result<()> {
    let oldest = match db.query_first(OLDEST, &[])? {
        Some(mut row) => row.int()?,
        None => i64::MAX,
    };
    let (after_account, after_hash) = after.map_or((i64::MIN, &[][..]), |((account, hash), _)| {
        (*account, hash.as_slice())
    });
    let (last_account, last_hash) = last.map_or((i64::MAX, &[][..]), |((account, hash), _)| {
        (*account, hash.as_slice())
    });
    let params = [
        after_account.into(),
        after_hash.into(),
        last_account.into(),
        last_hash.into(),
        oldest.into(),
    ];
    db.execute(REMOVE_STALE, &params).map(drop)
}

/// Reads the rows that the index lacks and that were not looked at.
fn load(db: &mut dyn Executor) -> Result<()> {
    let resends = &db.known().resends;
    let newest = match resends.newest {
        Some(_) if !resends.stale => return Ok(()),
        Some(newest) => newest,
        None => {
            let row = db.query_first(MERGED, &[])?;
            row.ok_or_else(|| damaged("no sequence of resends"))?
                .int()?
        }
    };
    let rows = db.query(NEWER, &[newest.into()])?;
    let resends = &mut db.known().resends;
    resends.newest = Some(newest);
    for mut row in rows {
        let id = row.int()?;
        let account = row.int()?;
        let hash = row.bytes()?;
        let hash = hash
            .try_into()
            .map_err(|_| damaged("a hash is not 16 bytes long"))?;
        resends.add((account, hash), id);
    }
    resends.stale = false;
    Ok(())
}
