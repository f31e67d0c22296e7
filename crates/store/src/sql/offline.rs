//! Messages that wait: marks on messages, whether an archive holds them as well or not.

use super::{Executor, Row, accounts, bound, message};
use crate::{OfflineMessage, Result, StoreError, Waiting, quota};
use bytes::Bytes;
use waxwing_proto::BareJid;

/// Quota, existence of the account and the new totals in one statement.
const ADMIT: &str = "UPDATE account SET offline_messages = offline_messages + 1, \
     offline_bytes = offline_bytes + ?2 \
     WHERE number = ?1 AND offline_messages < ?3 AND offline_bytes + ?2 <= ?4";
const ADD: &str = "INSERT INTO offline_entry (account, id, stanza_bytes) VALUES (?1, ?2, ?3)";
const WAITS: &str = "SELECT 1 FROM offline_entry WHERE account = ?1 AND id = ?2";
const ARCHIVED: &str = "SELECT m.id, octet_length(m.stanza) \
     FROM archive_entry e JOIN message m ON m.id = e.id \
     WHERE e.account = ?1 AND e.id = ?2 AND e.tombstone IS NULL";
const MISSED: &str = "SELECT m.id, octet_length(m.stanza) \
     FROM archive_entry e JOIN message m ON m.id = e.id \
     WHERE e.account = ?1 AND e.id > ?2 AND e.id <= ?4 \
     AND (e.flags & 1) = 0 AND e.tombstone IS NULL \
     AND NOT EXISTS (SELECT 1 FROM offline_entry o WHERE o.account = ?1 AND o.id = e.id) \
     ORDER BY e.id LIMIT ?3";
const COUNT: &str = "SELECT offline_messages FROM account WHERE jid = ?1";
const WAITING: &str = "SELECT o.id, m.received, m.stanza, \
     EXISTS (SELECT 1 FROM archive_entry e WHERE e.account = o.account AND e.id = o.id) \
     FROM offline_entry o JOIN message m ON m.id = o.id \
     WHERE o.account = (SELECT number FROM account WHERE jid = ?1) AND o.id > ?2 \
     ORDER BY o.id LIMIT ?3";
const REMOVE_UNHELD: &str = "DELETE FROM message WHERE holders <= 1 AND id IN \
     (SELECT id FROM offline_entry WHERE account = ?1 AND id >= ?2 AND id <= ?3)";
const RELEASE: &str = "UPDATE message SET holders = holders - 1 WHERE id IN \
     (SELECT id FROM offline_entry WHERE account = ?1 AND id >= ?2 AND id <= ?3)";
const REMOVE: &str = "DELETE FROM offline_entry WHERE account = ?1 AND id >= ?2 AND id <= ?3";
/// Counted afresh: usually nothing is left.
const RECOUNT: &str = "UPDATE account SET \
     offline_messages = (SELECT count(*) FROM offline_entry WHERE account = ?1), \
     offline_bytes = (SELECT coalesce(sum(stanza_bytes), 0) \
     FROM offline_entry WHERE account = ?1) WHERE number = ?1";

/// What must never read a whole table.
#[cfg(test)]
pub(crate) const QUERIES: &[&str] = &[WAITING, WAITS, ARCHIVED, MISSED, REMOVE];

/// Counts one more message of so many bytes, if it may wait.
pub(super) fn admit(db: &mut dyn Executor, bytes: usize, place: &Waiting) -> Result<()> {
    let number = accounts::number(db, &place.account)?;
    let params = [
        number.into(),
        bound(bytes).into(),
        bound(place.messages_max).into(),
        bound(place.bytes_max).into(),
    ];
    if db.execute(ADMIT, &params)? == 1 {
        return Ok(());
    }
    let row = db.query_first(COUNT, &[place.account.as_str().into()])?;
    if row.ok_or(StoreError::NoAccount)?.count()? >= u64::from(place.messages_max) {
        return Err(StoreError::Quota(quota::OFFLINE_MESSAGES));
    }
    Err(StoreError::Quota(quota::OFFLINE_BYTES))
}

/// Marks a message that was admitted.
pub(super) fn add(db: &mut dyn Executor, id: i64, bytes: usize, account: &BareJid) -> Result<()> {
    let number = accounts::number(db, account)?;
    let params = [number.into(), id.into(), bound(bytes).into()];
    db.execute(ADD, &params).map(drop)
}

/// Puts a message of the account's archive into its queue; whether it waits now.
pub(super) fn add_archived(db: &mut dyn Executor, id: u64, place: &Waiting) -> Result<bool> {
    let number = accounts::number(db, &place.account)?;
    let params = [number.into(), bound(id).into()];
    if db.query_first(WAITS, &params)?.is_some() {
        return Ok(true);
    }
    match db.query_first(ARCHIVED, &params)? {
        Some(row) => add_missing(db, row, place),
        None => Ok(false),
    }
}

/// Puts messages from others, archived after an id and up to another, into the queue until the
/// bounds are reached; whether any was put there.
pub(super) fn add_missed(
    db: &mut dyn Executor,
    number: i64,
    (after, until): (i64, i64),
    place: &Waiting,
) -> Result<bool> {
    let params = [
        number.into(),
        after.into(),
        bound(place.messages_max).into(),
        until.into(),
    ];
    let mut added = false;
    for row in db.query(MISSED, &params)? {
        if !add_missing(db, row, place)? {
            break;
        }
        added = true;
    }
    Ok(added)
}

/// Adds a message, by its id and length, that is in the archive and does not wait; false if there
/// is no room.
fn add_missing(db: &mut dyn Executor, mut row: Row, place: &Waiting) -> Result<bool> {
    let (id, bytes) = (row.int()?, row.number()?);
    match admit(db, bytes, place) {
        Ok(()) => {}
        Err(StoreError::Quota(_)) => return Ok(false),
        Err(error) => return Err(error),
    }
    add(db, id, bytes, &place.account)?;
    message::hold(db, id)?;
    Ok(true)
}

pub(super) fn waiting(
    db: &mut dyn Executor,
    account: &BareJid,
    after: u64,
    count: u32,
) -> Result<Vec<OfflineMessage>> {
    let params = [
        account.as_str().into(),
        bound(after).into(),
        bound(count).into(),
    ];
    let rows = db.query(WAITING, &params)?;
    rows.into_iter()
        .map(|mut row| {
            Ok(OfflineMessage {
                id: row.count()?,
                at: row.int()?,
                stanza: Bytes::from(row.bytes()?),
                archived: row.flag()?,
            })
        })
        .collect()
}

/// Takes the messages with these ids out of the queue, and no other.
pub(super) fn remove(db: &mut dyn Executor, account: &BareJid, ids: &[u64]) -> Result<()> {
    let number = accounts::number(db, account)?;
    let mut removed = false;
    for id in ids {
        let id = bound(*id);
        removed |= take_span(db, number, id, id)?;
    }
    recount(db, number, removed)
}

/// Takes what waits with ids from one to another out of the queue.
pub(super) fn remove_span(db: &mut dyn Executor, number: i64, from: i64, to: i64) -> Result<()> {
    let removed = take_span(db, number, from, to)?;
    recount(db, number, removed)
}

/// The same without the totals; whether there was anything.
fn take_span(db: &mut dyn Executor, number: i64, from: i64, to: i64) -> Result<bool> {
    let params = [number.into(), from.into(), to.into()];
    db.execute(REMOVE_UNHELD, &params)?;
    db.execute(RELEASE, &params)?;
    Ok(db.execute(REMOVE, &params)? > 0)
}

fn recount(db: &mut dyn Executor, number: i64, removed: bool) -> Result<()> {
    if removed {
        db.execute(RECOUNT, &[number.into()])?;
    }
    Ok(())
}

pub(super) fn count(db: &mut dyn Executor, account: &BareJid) -> Result<u64> {
    let row = db.query_first(COUNT, &[account.as_str().into()])?;
    row.map_or(Ok(0), |mut row| row.count())
}
