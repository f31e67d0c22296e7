//! Small XML documents of an account.

use super::{Executor, accounts, bound, damaged};
use crate::{Result, StoreError, quota};
use bytes::Bytes;
use waxwing_proto::BareJid;

const DOCUMENT: &str = "SELECT xml FROM document WHERE account = ?1 AND name = ?2";
const BYTES_OF_OTHERS: &str = "SELECT coalesce(sum(octet_length(name) + octet_length(xml)), 0) \
     FROM document WHERE account = ?1 AND name <> ?2";
const PUT: &str = "INSERT INTO document (account, name, xml) VALUES (?1, ?2, ?3) \
     ON CONFLICT (account, name) DO UPDATE SET xml = excluded.xml";
const REMOVE: &str = "DELETE FROM document WHERE account = ?1 AND name = ?2";

pub(super) fn document(
    db: &mut dyn Executor,
    account: &BareJid,
    key: &str,
) -> Result<Option<Bytes>> {
    let row = db.query_first(DOCUMENT, &[account.as_str().into(), key.into()])?;
    row.map(|mut row| row.bytes().map(Bytes::from)).transpose()
}

pub(super) fn set(
    db: &mut dyn Executor,
    account: &BareJid,
    key: &str,
    xml: Option<&[u8]>,
    bytes_max: u64,
) -> Result<()> {
    accounts::require(db, account)?;
    let Some(xml) = xml else {
        db.execute(REMOVE, &[account.as_str().into(), key.into()])?;
        return Ok(());
    };
    let row = db.query_first(BYTES_OF_OTHERS, &[account.as_str().into(), key.into()])?;
    let others = row.ok_or_else(|| damaged("no sum"))?.int()?;
    let total = others
        .saturating_add(bound(key.len()))
        .saturating_add(bound(xml.len()));
    if total > bound(bytes_max) {
        return Err(StoreError::Quota(quota::DOCUMENTS_BYTES));
    }
    db.execute(PUT, &[account.as_str().into(), key.into(), xml.into()])?;
    Ok(())
}
