//! Files of uploads: written, named, removed.

use super::{blocking, sync_folder};
use crate::files::create_private_folder;
use aws_lc_rs::digest;
use bytes::Bytes;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use waxwing_store::ContentHash;

/// Where files are, and where they are until they are complete.
#[derive(Debug, Clone)]
pub(super) struct Folder {
    files: Arc<Path>,
    incoming: Arc<Path>,
}

/// A file that is being written; removed when it is dropped.
pub(crate) struct Incoming {
    file: File,
    hash: digest::Context,
    path: Unnamed,
}

/// A file that is complete and on the disk, and has no name of its own yet; removed when it is
/// dropped.
pub(crate) struct Received {
    /// The hash of what is in it.
    pub(crate) content: ContentHash,
    path: Unnamed,
}

/// A file in the folder for incomplete ones.
struct Unnamed(PathBuf);

impl Drop for Unnamed {
    fn drop(&mut self) {
        match fs::remove_file(&self.0) {
            Ok(()) => {}
            // It has its name now.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                tracing::warn!(%error, "an incomplete upload stays until the next start");
            }
        }
    }
}

impl Folder {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let (files, incoming) = (path.join("files"), path.join("incoming"));
        for folder in [&files, &incoming] {
            create_private_folder(folder)?;
        }
        for entry in fs::read_dir(&incoming)? {
            fs::remove_file(entry?.path())?;
        }
        // A folder with a million names is slow in many file systems; 256 of them are not.
        for first in 0..=u8::MAX {
            create_private_folder(&files.join(format!("{first:02x}")))?;
        }
        for folder in [&files, path] {
            sync_folder(folder)?;
        }
        Ok(Self {
            files: files.into(),
            incoming: incoming.into(),
        })
    }

    /// Where a content is, if it is there.
    pub(super) fn path(&self, content: &ContentHash) -> PathBuf {
        let mut name = String::with_capacity(64);
        for byte in content {
            // Writing to a String does not fail.
            let _ = write!(name, "{byte:02x}");
        }
        let folder = name.get(..2).unwrap_or_default();
        self.files.join(folder).join(&name)
    }

    /// What an ordinary user may still write to this disk.
    pub(super) fn free_bytes(&self) -> io::Result<u64> {
        let disk = rustix::fs::statvfs(&*self.files)?;
        Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
    }

    /// A new file; no other has this number.
    pub(super) fn begin(&self, number: u64) -> io::Result<Incoming> {
        let path = self.incoming.join(number.to_string());
        let file = File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        Ok(Incoming {
            file,
            hash: digest::Context::new(&digest::SHA256),
            path: Unnamed(path),
        })
    }

    /// Gives files their names. When this returns, the names are on the disk.
    pub(super) fn place(&self, received: &[&Received]) -> io::Result<()> {
        let mut folders = BTreeSet::new();
        for file in received {
            let path = self.path(&file.content);
            fs::rename(&file.path.0, &path)?;
            folders.extend(path.parent().map(Path::to_owned));
        }
        folders.iter().try_for_each(|folder| sync_folder(folder))
    }

    /// Removes files; gives those that are gone for good.
    pub(super) fn remove(&self, contents: Vec<ContentHash>) -> Vec<ContentHash> {
        let is_gone = |content: &ContentHash| {
            let path = self.path(content);
            let removed = match fs::remove_file(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                removed => removed,
            };
            // Until that is on the disk, the file can come back.
            let synced = removed.and_then(|()| path.parent().map_or(Ok(()), sync_folder));
            if let Err(error) = &synced {
                tracing::error!(%error, "a file that nobody wants could not be removed");
            }
            synced.is_ok()
        };
        contents.into_iter().filter(is_gone).collect()
    }
}

impl Incoming {
    /// Writes what has come.
    pub(crate) async fn write(mut self, chunks: Vec<Bytes>) -> io::Result<Self> {
        blocking(move || {
            for chunk in &chunks {
                self.file.write_all(chunk)?;
                self.hash.update(chunk);
            }
            Ok(self)
        })
        .await
    }

    /// Waits until all of it is on the disk.
    pub(crate) async fn finish(self) -> io::Result<Received> {
        blocking(move || {
            self.file.sync_all()?;
            let hash = self.hash.finish();
            let content = ContentHash::try_from(hash.as_ref()).map_err(io::Error::other)?;
            Ok(Received {
                content,
                path: self.path,
            })
        })
        .await
    }
}
