//! Block lists.

use super::{Executor, accounts, address, bound, damaged};
use crate::{Result, StoreError, quota};
use waxwing_proto::{BareJid, Jid};

const LIST: &str = "SELECT jid FROM blocked WHERE account = ?1 ORDER BY jid";
const ADD: &str =
    "INSERT INTO blocked (account, jid) VALUES (?1, ?2) ON CONFLICT (account, jid) DO NOTHING";
const COUNT: &str = "SELECT count(*) FROM blocked WHERE account = ?1";
const REMOVE: &str = "DELETE FROM blocked WHERE account = ?1 AND jid = ?2";
const CLEAR: &str = "DELETE FROM blocked WHERE account = ?1";

pub(super) fn list(db: &mut dyn Executor, account: &BareJid) -> Result<Vec<Jid>> {
    let rows = db.query(LIST, &[account.as_str().into()])?;
    rows.into_iter()
        .map(|mut row| address(&row.text()?))
        .collect()
}

pub(super) fn add(
    db: &mut dyn Executor,
    account: &BareJid,
    jids: &[Jid],
    items_max: u32,
) -> Result<()> {
    accounts::require(db, account)?;
    let mut added = 0;
    for jid in jids {
        added += db.execute(ADD, &[account.as_str().into(), jid.as_str().into()])?;
    }
    let row = db.query_first(COUNT, &[account.as_str().into()])?;
    let count = row.ok_or_else(|| damaged("no count"))?.int()?;
    // A list that a lowered limit finds too long stays, and may be blocked again as it is.
    if added > 0 && count > bound(items_max) {
        return Err(StoreError::Quota(quota::BLOCKED_ITEMS));
    }
    Ok(())
}

pub(super) fn remove(db: &mut dyn Executor, account: &BareJid, jids: Option<&[Jid]>) -> Result<()> {
    accounts::require(db, account)?;
    let Some(jids) = jids else {
        db.execute(CLEAR, &[account.as_str().into()])?;
        return Ok(());
    };
    for jid in jids {
        db.execute(REMOVE, &[account.as_str().into(), jid.as_str().into()])?;
    }
    Ok(())
}
