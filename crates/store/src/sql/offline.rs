//! Messages that wait, and the ids of records.

use super::{Executor, bound, damaged};
use crate::{Micros, OfflineMessage, Outcome, Record, Result, StoreError, quota};
use bytes::Bytes;
use waxwing_proto::BareJid;

const ID_LAST: &str = "SELECT last FROM sequence WHERE name = 'record'";
const SET_ID_LAST: &str = "UPDATE sequence SET last = ?1 WHERE name = 'record'";
/// Quota, existence of the account and the new totals in one statement.
const ADMIT: &str = "UPDATE account SET offline_messages = offline_messages + 1, \
     offline_bytes = offline_bytes + ?2 \
     WHERE jid = ?1 AND offline_messages < ?3 AND offline_bytes + ?2 <= ?4";
const ADD: &str =
    "INSERT INTO offline_message (account, id, received, stanza) VALUES (?1, ?2, ?3, ?4)";
const COUNT: &str = "SELECT offline_messages FROM account WHERE jid = ?1";
const WAITING: &str = "SELECT id, received, stanza FROM offline_message \
     WHERE account = ?1 AND id > ?2 ORDER BY id LIMIT ?3";
const REMOVE: &str = "DELETE FROM offline_message WHERE account = ?1 AND id <= ?2";
/// Counted afresh: usually nothing is left.
const RECOUNT: &str = "UPDATE account SET \
     offline_messages = (SELECT count(*) FROM offline_message WHERE account = ?1), \
     offline_bytes = (SELECT coalesce(sum(octet_length(stanza)), 0) \
     FROM offline_message WHERE account = ?1) WHERE jid = ?1";

/// The ids given in one transaction: read from the database at the first, written back with
/// [`Ids::save`] before the commit.
#[derive(Debug, Default)]
pub(crate) struct Ids {
    last: Option<i64>,
}

impl Ids {
    /// The next id: the time of the record, or just after the last id if that is not less.
    fn next(&mut self, db: &mut dyn Executor, at: Micros) -> Result<i64> {
        let last = match self.last {
            Some(last) => last,
            None => db
                .query_first(ID_LAST, &[])?
                .ok_or_else(|| damaged("no last id"))?
                .int()?,
        };
        let after = last
            .checked_add(1)
            .ok_or_else(|| damaged("the ids are used up"))?;
        let id = after.max(at);
        self.last = Some(id);
        Ok(id)
    }

    /// Writes the last id given, if any was.
    pub(crate) fn save(&self, db: &mut dyn Executor) -> Result<()> {
        if let Some(last) = self.last
            && db.execute(SET_ID_LAST, &[last.into()])? != 1
        {
            return Err(damaged("no last id"));
        }
        Ok(())
    }
}

pub(crate) fn record(db: &mut dyn Executor, ids: &mut Ids, record: &Record) -> Result<Outcome> {
    let Record::Offline {
        account,
        at,
        stanza,
        messages_max,
        bytes_max,
    } = record;
    let admitted = db.execute(
        ADMIT,
        &[
            account.as_str().into(),
            bound(stanza.len()).into(),
            bound(*messages_max).into(),
            bound(*bytes_max).into(),
        ],
    )?;
    if admitted == 0 {
        return Err(refusal(db, account, *messages_max)?);
    }
    let id = ids.next(db, *at)?;
    let params = [
        account.as_str().into(),
        id.into(),
        (*at).into(),
        stanza.as_ref().into(),
    ];
    db.execute(ADD, &params)?;
    Ok(Outcome {
        id: u64::try_from(id).map_err(|_| damaged("the last id is negative"))?,
    })
}

/// Why a message was not admitted.
fn refusal(db: &mut dyn Executor, account: &BareJid, messages_max: u32) -> Result<StoreError> {
    let Some(mut row) = db.query_first(COUNT, &[account.as_str().into()])? else {
        return Ok(StoreError::NoAccount);
    };
    let name = if row.count()? >= u64::from(messages_max) {
        quota::OFFLINE_MESSAGES
    } else {
        quota::OFFLINE_BYTES
    };
    Ok(StoreError::Quota(name))
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
            })
        })
        .collect()
}

pub(super) fn remove(db: &mut dyn Executor, account: &BareJid, last: u64) -> Result<()> {
    db.execute(REMOVE, &[account.as_str().into(), bound(last).into()])?;
    if db.execute(RECOUNT, &[account.as_str().into()])? == 0 {
        return Err(StoreError::NoAccount);
    }
    Ok(())
}

pub(super) fn count(db: &mut dyn Executor, account: &BareJid) -> Result<u64> {
    let row = db.query_first(COUNT, &[account.as_str().into()])?;
    row.map_or(Ok(0), |mut row| row.count())
}
