//! How long archives are kept, and the end of what is in them (XEP-0313 § 3.2).

use crate::Engine;
use waxwing_proto::BareJid;
use waxwing_store::{Micros, RESEND_WINDOW, Retention, StoreError};

/// Entries removed in one write, so that messages in between need not wait for long.
const BATCH: u32 = 1000;
/// Accounts looked for at a time.
const ACCOUNTS: u32 = 100;

impl Engine {
    /// Removes what no archive is to keep any longer; gives how many entries that were. What ends
    /// first is what is oldest, so no archive gets a hole.
    pub async fn archives_expire(&self) -> Result<u64, StoreError> {
        let archive = &self.settings().archive;
        let retention = Retention {
            now: self.env().now(),
            days_default: archive.keep_days,
            days_max: archive.keep_days_max,
        };
        let mut removed = 0;
        let mut after = None;
        loop {
            let due = self
                .store()
                .archive_due(retention, after.clone(), ACCOUNTS)
                .await?;
            let Some((last, _)) = due.last() else {
                return Ok(removed);
            };
            after = Some(last.clone());
            for (account, before) in due {
                removed += self.archive_purge(&account, Some(before)).await?;
            }
        }
    }

    /// Removes from an archive what is from before a time, or all; gives how many entries that
    /// were. What waits for the account goes on waiting.
    pub async fn archive_purge(
        &self,
        account: &BareJid,
        before: Option<Micros>,
    ) -> Result<u64, StoreError> {
        let mut removed = 0;
        loop {
            let batch = self
                .store()
                .archive_purge(account.clone(), before, BATCH)
                .await?;
            self.metrics().archive_entries_removed.add(batch);
            removed += batch;
            if batch < u64::from(BATCH) {
                return Ok(removed);
            }
        }
    }

    /// Forgets by what resends are recognised that nobody will send again; gives how many.
    pub async fn resends_expire(&self) -> Result<u64, StoreError> {
        let before = self.env().now().saturating_sub(RESEND_WINDOW);
        let mut forgotten = 0;
        loop {
            let batch = self.store().resends_forget(before, BATCH).await?;
            forgotten += batch;
            if batch < u64::from(BATCH) {
                return Ok(forgotten);
            }
        }
    }
}
