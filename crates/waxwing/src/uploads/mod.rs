//! The files that people have uploaded (XEP-0363), on the disk.
//!
//! A file is named by the hash of what is in it. It is written under another name, synced, and gets
//! its own name only when it is complete; the database says before that it may come to be, and after
//! it whose it is. So whatever is interrupted leaves a *stray*, which the database names, or a file
//! in the folder for incomplete ones, which is emptied at the start.
//!
//! [`folder`] does what is done with files, [`keeper`] is the one task that names and removes them.

mod folder;
mod keeper;

pub(crate) use folder::{Incoming, Received};
pub(crate) use keeper::Keeper;

use crate::config::Config;
use folder::Folder;
use keeper::Finished;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::{mpsc, oneshot};
use tokio::task::spawn_blocking;
use waxwing_engine::Engine;
use waxwing_engine::upload::Slot;
use waxwing_proto::BareJid;
use waxwing_store::{ContentHash, StoreError};

/// What is on the disk, and who may put more there now.
pub(crate) struct Uploads {
    folder: Folder,
    next: AtomicU64,
    finished: mpsc::Sender<Finished>,
    running: Arc<Running>,
    disk_free_bytes_min: u64,
}

/// The uploads that run now.
struct Running {
    accounts: Mutex<HashMap<BareJid, u32>>,
    account_max: u32,
    all_max: u32,
}

/// A place among the uploads that run; given back when it is dropped.
pub(crate) struct Place {
    running: Arc<Running>,
    account: BareJid,
}

/// Why a file was not kept.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The database refused it, or failed.
    Store(StoreError),
    /// The disk failed.
    Disk(io::Error),
}

impl Uploads {
    /// Makes the folders if they are missing, and removes what earlier uploads did not complete.
    pub(crate) fn open(config: &Config, engine: &Engine) -> Result<(Self, Keeper), String> {
        let path = config.uploads_folder();
        let folder = Folder::open(&path)
            .map_err(|e| format!("{}: cannot be used for uploads: {e}", path.display()))?;
        let (finished, waiting) = mpsc::channel(keeper::BATCH_MAX);
        let limits = &config.uploads;
        let uploads = Self {
            folder: folder.clone(),
            next: AtomicU64::new(0),
            finished,
            running: Arc::new(Running {
                accounts: Mutex::default(),
                account_max: limits.account_at_once_max.count(),
                all_max: limits.at_once_max.count(),
            }),
            disk_free_bytes_min: u64::from(limits.disk_free_megabytes_min) << 20,
        };
        Ok((uploads, Keeper::new(engine.clone(), folder, waiting)))
    }

    /// A place for one more upload of an account, if there may be one.
    pub(crate) fn place(&self, account: &BareJid) -> Option<Place> {
        let running = Arc::clone(&self.running);
        let mut accounts = running.accounts.lock();
        let all: u32 = accounts.values().sum();
        let own = accounts.get(account).copied().unwrap_or_default();
        if all >= running.all_max || own >= running.account_max {
            return None;
        }
        accounts.insert(account.clone(), own + 1);
        drop(accounts);
        Some(Place {
            running,
            account: account.clone(),
        })
    }

    /// A file to be written, if the disk has room for so many bytes.
    pub(crate) async fn begin(&self, bytes: u64) -> io::Result<Incoming> {
        let folder = self.folder.clone();
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let needed = bytes.saturating_add(self.disk_free_bytes_min);
        blocking(move || {
            if folder.free_bytes()? < needed {
                return Err(io::ErrorKind::StorageFull.into());
            }
            folder.begin(number)
        })
        .await
    }

    /// Keeps a complete file in a slot. When this returns, it is there whatever happens.
    pub(crate) async fn keep(
        &self,
        received: Received,
        slot: Slot,
        media_type: Option<String>,
    ) -> Result<(), Failure> {
        let (reply, done) = oneshot::channel();
        let finished = Finished {
            received,
            slot,
            media_type,
            reply,
        };
        let ended = || Failure::Disk(io::Error::other("nobody keeps uploads any more"));
        self.finished.send(finished).await.map_err(|_| ended())?;
        done.await.unwrap_or_else(|_| Err(ended()))
    }

    /// The file with a content.
    pub(crate) async fn read(&self, content: ContentHash) -> io::Result<File> {
        let folder = self.folder.clone();
        blocking(move || File::open(folder.path(&content))).await
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut accounts = self.running.accounts.lock();
        if let Some(count) = accounts.get_mut(&self.account) {
            *count -= 1;
            if *count == 0 {
                accounts.remove(&self.account);
            }
        }
    }
}

/// Does what may wait for the disk where nobody else waits for it.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let done = spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(io::Error::other(error)))
}

/// Syncs a folder, so that the names in it are on the disk.
fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

#[cfg(test)]
mod tests;
