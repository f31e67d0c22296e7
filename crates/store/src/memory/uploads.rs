//! Uploaded files.

use super::{
    MemoryStore,
    state::{State, size, size64},
};
use crate::{
    BoxFuture, ContentHash, Lifetime, Micros, Result, StoreError, Upload, UploadQuota, UploadUse,
    Uploads, quota,
};
use std::collections::{BTreeMap, BTreeSet};
use waxwing_proto::BareJid;

/// Every upload, and the contents that none has.
#[derive(Default)]
pub(super) struct UploadState {
    uploads: BTreeMap<String, Upload>,
    strays: BTreeSet<ContentHash>,
}

impl UploadState {
    fn used(&self, account: &BareJid) -> UploadUse {
        let own = self.uploads.values();
        own.filter(|upload| upload.account == *account).fold(
            UploadUse::default(),
            |used, upload| UploadUse {
                files: used.files + 1,
                bytes: used.bytes + upload.content_bytes,
            },
        )
    }

    fn add(&mut self, upload: Upload, quota: UploadQuota) -> Result<()> {
        if let Some(there) = self.uploads.get(&upload.slot) {
            let is_same = there.account == upload.account && there.content == upload.content;
            return if is_same {
                Ok(())
            } else {
                Err(StoreError::Exists)
            };
        }
        let used = self.used(&upload.account);
        if used.files >= u64::from(quota.files_max) {
            return Err(StoreError::Quota(quota::UPLOAD_FILES));
        }
        if used.bytes + upload.content_bytes > quota.bytes_max {
            return Err(StoreError::Quota(quota::UPLOAD_BYTES));
        }
        self.strays.remove(&upload.content);
        self.uploads.insert(upload.slot.clone(), upload);
        Ok(())
    }

    fn remove(&mut self, count: usize, is_gone: impl Fn(&Upload) -> bool) -> usize {
        let gone = self.uploads.values().filter(|upload| is_gone(upload));
        let gone: Vec<String> = gone.take(count).map(|upload| upload.slot.clone()).collect();
        for slot in &gone {
            let Some(upload) = self.uploads.remove(slot) else {
                continue;
            };
            let mut others = self.uploads.values();
            if !others.any(|other| other.content == upload.content) {
                self.strays.insert(upload.content);
            }
        }
        gone.len()
    }

    pub(super) fn remove_account(&mut self, account: &BareJid) {
        self.remove(usize::MAX, |upload| upload.account == *account);
    }
}

impl State {
    fn upload_add(&mut self, upload: Upload, quota: UploadQuota) -> Result<()> {
        self.entry(&upload.account)?;
        self.uploads.add(upload, quota)
    }
}

impl Uploads for MemoryStore {
    fn upload_expect(&self, content: ContentHash) -> BoxFuture<'_, Result<()>> {
        self.write(move |state| {
            let state = &mut state.uploads;
            let mut uploads = state.uploads.values();
            if !uploads.any(|upload| upload.content == content) {
                state.strays.insert(content);
            }
            Ok(())
        })
    }

    fn upload_add(&self, upload: Upload, quota: UploadQuota) -> BoxFuture<'_, Result<()>> {
        self.write(move |state| state.upload_add(upload, quota))
    }

    fn upload(&self, slot: String) -> BoxFuture<'_, Result<Option<Upload>>> {
        self.read(move |state| state.uploads.uploads.get(&slot).cloned())
    }

    fn upload_use(&self, account: BareJid) -> BoxFuture<'_, Result<UploadUse>> {
        self.read(move |state| state.uploads.used(&account))
    }

    fn uploads_expire(
        &self,
        now: Micros,
        added_before: Option<Micros>,
        count: u32,
    ) -> BoxFuture<'_, Result<u64>> {
        self.write(move |state| {
            let is_old = |upload: &Upload| added_before.is_some_and(|at| upload.added < at);
            let removed = state
                .uploads
                .remove(size(count), |upload| match upload.lifetime {
                    Lifetime::Usual => is_old(upload),
                    Lifetime::Forever => false,
                    Lifetime::Until(until) => until <= now || is_old(upload),
                });
            Ok(size64(removed))
        })
    }

    fn upload_strays(
        &self,
        after: Option<ContentHash>,
        count: u32,
    ) -> BoxFuture<'_, Result<Vec<ContentHash>>> {
        self.read(move |state| {
            let strays = state.uploads.strays.iter();
            let later = strays.filter(|stray| after.is_none_or(|after| **stray > after));
            later.take(size(count)).copied().collect()
        })
    }

    fn upload_strays_gone(&self, contents: Vec<ContentHash>) -> BoxFuture<'_, Result<()>> {
        self.write(move |state| {
            for content in &contents {
                state.uploads.strays.remove(content);
            }
            Ok(())
        })
    }
}
