//! Uploaded files.

use super::{Executor, Row, accounts, address, bound, damaged, store::Backend};
use crate::{
    BoxFuture, ContentHash, Lifetime, Micros, Result, StoreError, Upload, UploadQuota, UploadUse,
    Uploads, quota,
};
use waxwing_proto::BareJid;

const UPLOAD: &str = "SELECT u.slot, a.jid, u.content, u.content_bytes, u.media_type, u.added, \
     u.forever, u.until FROM upload u JOIN account a ON a.number = u.account WHERE u.slot = ?1";
const ADD: &str = "INSERT INTO upload \
     (slot, account, content, content_bytes, media_type, added, forever, until) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
const REMOVE: &str = "DELETE FROM upload WHERE slot = ?1";
const OVER: &str = "SELECT slot, account, content, content_bytes FROM upload \
     WHERE until IS NOT NULL AND until <= ?1 ORDER BY until LIMIT ?2";
const OLD: &str = "SELECT slot, account, content, content_bytes FROM upload \
     WHERE forever = 0 AND added < ?1 ORDER BY added LIMIT ?2";
const OPEN: &str = "INSERT INTO upload_total (account, files, bytes) VALUES (?1, 0, 0) \
     ON CONFLICT (account) DO NOTHING";
const ADMIT: &str = "UPDATE upload_total SET files = files + 1, bytes = bytes + ?2 \
     WHERE account = ?1 AND files < ?3 AND bytes + ?2 <= ?4";
const REDUCE: &str =
    "UPDATE upload_total SET files = files - 1, bytes = bytes - ?2 WHERE account = ?1";
const TOTAL: &str = "SELECT files, bytes FROM upload_total WHERE account = ?1";
const EXPECT: &str = "INSERT INTO upload_stray (content) SELECT ?1 \
     WHERE NOT EXISTS (SELECT 1 FROM upload WHERE content = ?1) ON CONFLICT (content) DO NOTHING";
const STRAY_OF_ACCOUNT: &str = "INSERT INTO upload_stray (content) \
     SELECT u.content FROM upload u WHERE u.account = ?1 AND NOT EXISTS \
     (SELECT 1 FROM upload o WHERE o.content = u.content AND o.account <> ?1) \
     ON CONFLICT (content) DO NOTHING";
const WANTED: &str = "DELETE FROM upload_stray WHERE content = ?1";
const STRAYS: &str =
    "SELECT content FROM upload_stray WHERE content > ?1 ORDER BY content LIMIT ?2";

/// What must never read a whole table.
#[cfg(test)]
pub(crate) const QUERIES: &[&str] = &[
    UPLOAD,
    REMOVE,
    OVER,
    OLD,
    ADMIT,
    REDUCE,
    TOTAL,
    STRAY_OF_ACCOUNT,
    WANTED,
    STRAYS,
];

impl<B: Backend> Uploads for B {
    fn upload_expect(&self, content: ContentHash) -> BoxFuture<'_, Result<()>> {
        self.write(0, move |db| expect(db, &content))
    }

    fn upload_add(&self, upload: Upload, quota: UploadQuota) -> BoxFuture<'_, Result<()>> {
        self.write(upload.media_type.len(), move |db| add(db, &upload, quota))
    }

    fn upload(&self, slot: String) -> BoxFuture<'_, Result<Option<Upload>>> {
        self.read(move |db| find(db, &slot))
    }

    fn upload_use(&self, account: BareJid) -> BoxFuture<'_, Result<UploadUse>> {
        self.read(move |db| match accounts::find(db, &account)? {
            Some(number) => used(db, number),
            None => Ok(UploadUse::default()),
        })
    }

    fn uploads_expire(
        &self,
        now: Micros,
        added_before: Option<Micros>,
        count: u32,
    ) -> BoxFuture<'_, Result<u64>> {
        self.write(0, move |db| {
            let over = db.query(OVER, &[now.into(), bound(count).into()])?;
            let mut removed = end(db, over)?;
            if let Some(before) = added_before {
                let left = bound(count).saturating_sub(bound(removed));
                let old = db.query(OLD, &[before.into(), left.into()])?;
                removed += end(db, old)?;
            }
            Ok(removed)
        })
    }

    fn upload_strays(
        &self,
        after: Option<ContentHash>,
        count: u32,
    ) -> BoxFuture<'_, Result<Vec<ContentHash>>> {
        self.read(move |db| {
            // Every hash sorts after no bytes.
            let after = after.as_ref().map_or(&[][..], |after| &after[..]);
            let rows = db.query(STRAYS, &[after.into(), bound(count).into()])?;
            rows.into_iter().map(|mut row| hash(&mut row)).collect()
        })
    }

    fn upload_strays_gone(&self, contents: Vec<ContentHash>) -> BoxFuture<'_, Result<()>> {
        self.write(0, move |db| {
            for content in &contents {
                db.execute(WANTED, &[content[..].into()])?;
            }
            Ok(())
        })
    }
}

/// An account goes: what only it has uploaded is nobody's any more.
pub(super) fn release_account(db: &mut dyn Executor, number: i64) -> Result<()> {
    db.execute(STRAY_OF_ACCOUNT, &[number.into()]).map(drop)
}

fn expect(db: &mut dyn Executor, content: &ContentHash) -> Result<()> {
    db.execute(EXPECT, &[content[..].into()]).map(drop)
}

fn find(db: &mut dyn Executor, slot: &str) -> Result<Option<Upload>> {
    let Some(mut row) = db.query_first(UPLOAD, &[slot.into()])? else {
        return Ok(None);
    };
    Ok(Some(Upload {
        slot: row.text()?,
        account: address(&row.text()?)?,
        content: hash(&mut row)?,
        content_bytes: row.count()?,
        media_type: row.text()?,
        added: row.int()?,
        lifetime: match (row.int()?, row.int_or_null()?) {
            (0, None) => Lifetime::Usual,
            (0, Some(until)) => Lifetime::Until(until),
            _ => Lifetime::Forever,
        },
    }))
}

fn add(db: &mut dyn Executor, upload: &Upload, quota: UploadQuota) -> Result<()> {
    let number = accounts::number(db, &upload.account)?;
    if let Some(there) = find(db, &upload.slot)? {
        let is_same = there.account == upload.account && there.content == upload.content;
        return if is_same {
            Ok(())
        } else {
            Err(StoreError::Exists)
        };
    }
    admit(db, number, upload.content_bytes, quota)?;
    let (forever, until) = match upload.lifetime {
        Lifetime::Usual => (false, None),
        Lifetime::Forever => (true, None),
        Lifetime::Until(until) => (false, Some(until)),
    };
    let params = [
        upload.slot.as_str().into(),
        number.into(),
        upload.content[..].into(),
        bound(upload.content_bytes).into(),
        upload.media_type.as_str().into(),
        upload.added.into(),
        forever.into(),
        until.into(),
    ];
    db.execute(ADD, &params)?;
    db.execute(WANTED, &[upload.content[..].into()])?;
    Ok(())
}

/// Counts one more upload, if there may be one.
fn admit(db: &mut dyn Executor, number: i64, bytes: u64, quota: UploadQuota) -> Result<()> {
    let params = [
        number.into(),
        bound(bytes).into(),
        bound(quota.files_max).into(),
        bound(quota.bytes_max).into(),
    ];
    db.execute(OPEN, &[number.into()])?;
    if db.execute(ADMIT, &params)? == 1 {
        return Ok(());
    }
    let files = used(db, number)?.files;
    Err(StoreError::Quota(if files >= u64::from(quota.files_max) {
        quota::UPLOAD_FILES
    } else {
        quota::UPLOAD_BYTES
    }))
}

fn used(db: &mut dyn Executor, number: i64) -> Result<UploadUse> {
    let Some(mut row) = db.query_first(TOTAL, &[number.into()])? else {
        return Ok(UploadUse::default());
    };
    Ok(UploadUse {
        files: row.count()?,
        bytes: row.count()?,
    })
}

/// Removes uploads: slot, account, content, bytes.
fn end(db: &mut dyn Executor, rows: Vec<Row>) -> Result<u64> {
    let mut removed = 0;
    for mut row in rows {
        let (slot, account) = (row.text()?, row.int()?);
        let (content, bytes) = (hash(&mut row)?, row.int()?);
        db.execute(REMOVE, &[slot.as_str().into()])?;
        db.execute(REDUCE, &[account.into(), bytes.into()])?;
        expect(db, &content)?;
        removed += 1;
    }
    Ok(removed)
}

fn hash(row: &mut Row) -> Result<ContentHash> {
    let bytes = row.bytes()?;
    ContentHash::try_from(bytes).map_err(|_| damaged("the hash of a content"))
}
