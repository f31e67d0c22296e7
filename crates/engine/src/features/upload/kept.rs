//! What HTTP asks about uploads.

use super::{Slot, micros, wish::is_media_type};
use crate::Engine;
use std::time::Duration;
use waxwing_store::{ContentHash, Lifetime, Micros, StoreError, Upload, UploadQuota};

/// What a file is if nobody says (XEP-0363 § 7).
const UNKNOWN: &str = "application/octet-stream";
/// How the header names what it carries (RFC 6750 § 2.1).
const SCHEME: &str = "Bearer ";
/// Uploads removed by one write.
const EXPIRE_COUNT: u32 = 500;
/// When something was uploaded is kept no finer: what is at rest need not tell a person's day.
const ADDED_STEP: Duration = Duration::from_hours(1);

impl Engine {
    /// What shows that a slot was granted, as the value of an `Authorization` header.
    pub fn upload_authorization(&self, slot: &Slot) -> String {
        format!("{SCHEME}{}", slot.token(self.upload_secret()))
    }

    /// The slot of this name, if the value of an `Authorization` header shows that it was granted.
    pub fn upload_slot(&self, name: &str, authorization: &str) -> Option<Slot> {
        let token = authorization.strip_prefix(SCHEME)?;
        Slot::read(self.upload_secret(), name, token, self.env().now())
    }

    /// Adds an upload: its content is on disk. `media_type` is what the client says now, if the
    /// slot does not say it. When this returns, the upload is on disk.
    pub async fn upload_add(
        &self,
        slot: Slot,
        content: ContentHash,
        media_type: Option<&str>,
    ) -> Result<(), StoreError> {
        let limits = &self.settings().uploads;
        let said = media_type.filter(|name| is_media_type(name));
        let media_type = slot.media_type.or_else(|| said.map(str::to_owned));
        let now = self.env().now();
        let upload = Upload {
            slot: slot.name,
            account: slot.account,
            content,
            content_bytes: slot.bytes,
            media_type: media_type.unwrap_or_else(|| UNKNOWN.to_owned()),
            added: now - now.rem_euclid(micros(ADDED_STEP)),
            lifetime: slot.lifetime,
        };
        let quota = UploadQuota {
            files_max: limits.account_files_max,
            bytes_max: limits.account_bytes_max,
        };
        self.store().upload_add(upload, quota).await
    }

    /// What is in a slot now.
    pub async fn upload(&self, slot: &str) -> Result<Option<Upload>, StoreError> {
        let now = self.env().now();
        let found = self.store().upload(slot.to_owned()).await?;
        // XEP-0363 § 5.3: not a moment longer, whenever it is removed.
        Ok(found
            .filter(|upload| !matches!(upload.lifetime, Lifetime::Until(until) if until <= now)))
    }

    /// Removes the uploads whose time has come; gives how many. Their contents are strays if nobody
    /// else has them.
    pub async fn uploads_expire(&self) -> Result<u64, StoreError> {
        let now: Micros = self.env().now();
        let days = self.settings().uploads.keep_days;
        let before = days.map(|days| now - i64::from(days) * micros(Duration::from_hours(24)));
        let mut all = 0;
        loop {
            let removed = self
                .store()
                .uploads_expire(now, before, EXPIRE_COUNT)
                .await?;
            self.metrics().uploads_expired.add(removed);
            all += removed;
            if removed < u64::from(EXPIRE_COUNT) {
                return Ok(all);
            }
        }
    }
}
