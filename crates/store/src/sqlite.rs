//! The embedded back end: SQLite in WAL mode, one writer thread with group commit, a few readers.
//!
//! Several processes may use one file at once (`waxwing user add` beside a running server): every
//! write transaction takes SQLite's write lock first and waits for it, ids come from the database,
//! and the log is only ever shortened by SQLite itself.

mod checkpoint;
mod connection;
mod file;
mod queue;
mod readers;
mod writer;

use crate::{
    BoxFuture, Result, StoreError,
    record::writer_ended,
    sql::{Backend, Executor, Ids, schema},
};
use checkpoint::Checkpoints;
use connection::Connection;
use parking_lot::Mutex;
use queue::{Bounds, Queue};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    thread::JoinHandle,
};
use tokio::sync::oneshot;

/// Writes that may wait for the writer; more fail with [`StoreError::Overloaded`].
pub const WRITES_WAITING_MAX: usize = 65_536;
/// Bytes that waiting writes may hold.
pub const WRITES_WAITING_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Reads that may wait for a reader.
pub const READS_WAITING_MAX: usize = 65_536;
/// Threads that read.
const READERS: usize = 2;

/// SQLite, in one file (and its `-wal` and `-shm` beside it).
pub struct SqliteStore {
    path: PathBuf,
    writes: Arc<Queue<writer::Write>>,
    reads: Arc<Queue<readers::Read>>,
    checkpoints: Arc<Checkpoints>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl SqliteStore {
    /// Opens the database, or creates it when there is no file, readable by its owner only.
    ///
    /// A file that is damaged, empty, not Waxwing's or of a newer schema is refused with a message
    /// for the admin and left as it is.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(path.as_ref(), Bounds::WRITES)
    }

    fn open_with(path: &Path, writes: Bounds) -> Result<Self> {
        let connection = file::open_or_create(path)?;
        let store = Self {
            path: path.to_owned(),
            writes: Arc::new(Queue::new(writes)),
            reads: Arc::new(Queue::new(Bounds::READS)),
            checkpoints: Arc::new(Checkpoints::default()),
            threads: Mutex::default(),
        };
        store.spawn(connection)?;
        Ok(store)
    }

    fn spawn(&self, connection: Connection) -> Result<()> {
        let checkpoint = Connection::open_checkpointer(&self.path)?;
        let checkpoints = Arc::clone(&self.checkpoints);
        self.thread("store-checkpoint", move || checkpoints.run(&checkpoint))?;
        for number in 0..READERS {
            let mut reader = readers::Reader::open(&self.path)?;
            let reads = Arc::clone(&self.reads);
            self.thread(&format!("store-reader-{number}"), move || {
                reader.run(&reads);
            })?;
        }
        let checkpoints = Arc::clone(&self.checkpoints);
        let mut writer = writer::Writer::new(self.path.clone(), connection, checkpoints);
        let queue = Arc::clone(&self.writes);
        self.thread("store-writer", move || writer.run(&queue))
    }

    fn thread(&self, name: &str, run: impl FnOnce() + Send + 'static) -> Result<()> {
        let thread = std::thread::Builder::new()
            .name(name.into())
            .spawn(run)
            .map_err(|error| {
                StoreError::Backend(format!("no thread for {name}: {error}").into())
            })?;
        self.threads.lock().push(thread);
        Ok(())
    }

    /// Does all queued writes, answers all queued reads and ends the threads; later calls fail.
    /// Blocks until then. Dropping the store does the same.
    pub fn close(&self) {
        self.writes.close();
        self.reads.close();
        // The checkpoint thread ends last: what the writer still does goes into the database file.
        let threads = std::mem::take(&mut *self.threads.lock());
        let (checkpoint, others): (Vec<_>, Vec<_>) = threads
            .into_iter()
            .partition(|thread| thread.thread().name() == Some("store-checkpoint"));
        for thread in others {
            join(thread);
        }
        self.checkpoints.close();
        for thread in checkpoint {
            join(thread);
        }
    }

    /// Writes a copy of the database as it is now to a new file, while the server runs. The copy is
    /// complete and on disk when this returns; an existing file is refused.
    /// Blocks: call it from a thread that may.
    pub fn backup(&self, to: &Path) -> Result<()> {
        file::backup(&self.path, to)
    }

    /// [`SqliteStore::backup`] of a database that other processes may have open. Nothing of it is
    /// changed, not even an old schema.
    pub fn copy(from: impl AsRef<Path>, to: impl AsRef<Path>) -> Result<()> {
        file::judge(from.as_ref())?;
        file::backup(from.as_ref(), to.as_ref())
    }

    /// Whether [`SqliteStore::open`] would take the database, which others may have open, and with
    /// `whole` what [`SqliteStore::integrity`] finds in it. Nothing of it is changed. Blocks.
    pub fn check(path: impl AsRef<Path>, whole: bool) -> Result<Vec<String>> {
        let path = path.as_ref();
        file::judge(path)?;
        let mut connection = Connection::open(path)?;
        schema::judge(&mut connection, schema::MIGRATIONS)?;
        if whole {
            connection.integrity()
        } else {
            Ok(Vec::new())
        }
    }

    /// Looks for damage in the whole file, which takes about a second per few hundred megabytes;
    /// gives what was found, in SQLite's words. Blocks.
    pub fn integrity(&self) -> Result<Vec<String>> {
        Connection::open(&self.path)?.integrity()
    }
}

fn join(thread: JoinHandle<()>) {
    let name = thread.thread().name().unwrap_or_default().to_owned();
    if thread.join().is_err() {
        tracing::error!(
            thread = name,
            "a thread of the store panicked; please report it"
        );
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        self.close();
    }
}

impl std::fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("SqliteStore").field(&self.path).finish()
    }
}

impl Backend for SqliteStore {
    fn commit<T: Send + 'static>(
        &self,
        bytes: usize,
        reply: oneshot::Sender<Result<T>>,
        work: impl FnMut(&mut dyn Executor, &mut Ids) -> Result<T> + Send + 'static,
    ) {
        if let Err((write, error)) = self.writes.push(bytes, writer::write(reply, work)) {
            write.finish(Err(error));
        }
    }

    fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut dyn Executor) -> Result<T> + Send + 'static,
    ) -> BoxFuture<'_, Result<T>> {
        let (reply, answer) = oneshot::channel();
        let read: readers::Read = Box::new(move |db| {
            // Whoever asked may have gone.
            let _ = reply.send(db.and_then(work));
        });
        // Queued when polled, not when called: what was written meanwhile must be seen.
        Box::pin(async move {
            if let Err((read, error)) = self.reads.push(0, read) {
                read(Err(error));
            }
            answer.await.unwrap_or_else(|_| Err(writer_ended()))
        })
    }
}

/// Brings the schema of an open database up to date.
fn migrate(connection: &mut Connection) -> Result<()> {
    schema::migrate(connection, schema::MIGRATIONS)
}

#[cfg(test)]
mod tests;
