//! The one thread that writes: takes all that waits, commits once, then completes in order.

use super::{checkpoint::Checkpoints, connection::Connection, queue::Queue};
use crate::{
    KillPoint, Result, StoreError, kill_point,
    sql::{self, Executor, Ids},
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::sync::oneshot;

/// Writes in one transaction: beyond this, waiting longer costs more than a further sync.
const WRITES_PER_COMMIT_MAX: usize = 256;

const BEGIN: &str = "BEGIN IMMEDIATE";
const COMMIT: &str = "COMMIT";
const ROLLBACK: &str = "ROLLBACK";
const SAVEPOINT: &str = "SAVEPOINT one";
const RELEASE: &str = "RELEASE one";
const ROLLBACK_TO: &str = "ROLLBACK TO one";
/// Changes nothing but makes a commit with frames of its own in the log.
const TOUCH: &str = "UPDATE sequence SET last = last";

/// A queued write.
pub(super) type Write = Box<dyn Work>;

/// A write and whoever waits for it.
pub(super) trait Work: Send {
    /// Does the work, perhaps not for the first time, and keeps its result; false if it failed and
    /// must be undone.
    fn run(&mut self, db: &mut dyn Executor, ids: &mut Ids) -> bool;
    /// Tells the result, or the error of the commit.
    fn finish(self: Box<Self>, commit: Result<()>);
}

/// A write from its parts.
pub(super) fn write<T: Send + 'static>(
    reply: oneshot::Sender<Result<T>>,
    work: impl FnMut(&mut dyn Executor, &mut Ids) -> Result<T> + Send + 'static,
) -> Write {
    Box::new(Pending {
        work,
        result: None,
        reply,
    })
}

struct Pending<T, W> {
    work: W,
    result: Option<Result<T>>,
    reply: oneshot::Sender<Result<T>>,
}

impl<T, W> Work for Pending<T, W>
where
    T: Send + 'static,
    W: FnMut(&mut dyn Executor, &mut Ids) -> Result<T> + Send + 'static,
{
    fn run(&mut self, db: &mut dyn Executor, ids: &mut Ids) -> bool {
        let result = (self.work)(db, ids);
        let done = result.is_ok();
        self.result = Some(result);
        done
    }

    fn finish(self: Box<Self>, commit: Result<()>) {
        let result = match commit {
            Err(error) => Err(error),
            Ok(()) => self
                .result
                .unwrap_or_else(|| Err(crate::record::writer_ended())),
        };
        // Nobody may wait for it any more; it counts all the same.
        let _ = self.reply.send(result);
    }
}

/// The thread's state.
pub(super) struct Writer {
    path: PathBuf,
    /// None after an error of the operating system, until a new one was opened and proved.
    connection: Option<Connection>,
    checkpoints: Arc<Checkpoints>,
    /// Whether the last commit failed, so that a full disk is one log line, not one per commit.
    failing: bool,
}

impl Writer {
    pub(super) fn new(
        path: PathBuf,
        connection: Connection,
        checkpoints: Arc<Checkpoints>,
    ) -> Self {
        Self {
            path,
            connection: Some(connection),
            checkpoints,
            failing: false,
        }
    }

    /// Works until the queue is closed and empty.
    pub(super) fn run(&mut self, writes: &Queue<Write>) {
        let mut batch = Vec::with_capacity(WRITES_PER_COMMIT_MAX);
        while let Some(bytes) = writes.take(WRITES_PER_COMMIT_MAX, &mut batch) {
            // A panic takes the connection, and so the transaction, with it.
            let committed = catch_unwind(AssertUnwindSafe(|| self.commit(&mut batch, bytes)))
                .unwrap_or_else(|_| Err(StoreError::Backend("a write panicked".into())));
            self.log(&committed);
            for write in batch.drain(..) {
                write.finish(committed.clone());
                kill_point(KillPoint::AfterTicket);
            }
        }
    }

    /// Does one batch in one transaction. On an error nothing of the batch is on disk.
    fn commit(&mut self, batch: &mut [Write], bytes: usize) -> Result<()> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => reopen(&self.path)?,
        };
        let committed = transaction(&mut connection, batch);
        if committed.is_err() && connection.in_transaction() {
            // A failed rollback leaves the transaction open, which is asked next.
            let _ = connection.execute(ROLLBACK, &[]);
        }
        if committed.is_err() {
            connection.known().forget();
        }
        let erase_log = connection.take_erase_log();
        connection.take_fault();
        if connection.is_poisoned() || connection.in_transaction() {
            drop(connection);
            tracing::error!("the database connection is given up after an error and opened anew");
            self.connection = reopen(&self.path).ok();
        } else {
            self.connection = Some(connection);
        }
        if committed.is_ok() {
            self.checkpoints.committed(batch.len(), bytes, erase_log);
        }
        committed
    }

    /// Tells the admin when commits begin to fail and when they work again.
    fn log(&mut self, committed: &Result<()>) {
        match committed {
            Err(error) if !self.failing => tracing::error!(
                %error,
                "writes are refused, they cannot be put on disk: check the disk of the database"
            ),
            Ok(()) if self.failing => tracing::info!("writes are put on disk again"),
            _ => {}
        }
        self.failing = committed.is_err();
    }
}

/// All writes as one transaction.
///
/// A savepoint makes SQLite copy every page that is changed within it, so there are none at first:
/// a write that is refused has nearly always changed nothing. If one has, all of them are undone and
/// done again with savepoints.
fn transaction(connection: &mut Connection, batch: &mut [Write]) -> Result<()> {
    if attempt(connection, batch, one)? {
        return Ok(());
    }
    connection.execute(ROLLBACK, &[])?;
    connection.known().forget();
    if attempt(connection, batch, one_with_savepoint)? {
        return Ok(());
    }
    Err(StoreError::Backend("a write could not be undone".into()))
}

/// All writes by a function that does one of them, and the commit; false, with the transaction open,
/// if it cannot be because the function has given false.
fn attempt(
    connection: &mut Connection,
    batch: &mut [Write],
    one: fn(&mut Connection, &mut Write, &mut Ids) -> Result<bool>,
) -> Result<bool> {
    let mut ids = Ids::default();
    connection.execute(BEGIN, &[])?;
    connection.notice_changes()?;
    for write in batch {
        if !one(connection, write, &mut ids)? {
            return Ok(false);
        }
    }
    sql::before_commit(connection)?;
    ids.save(connection)?;
    kill_point(KillPoint::BeforeCommit);
    connection.execute(COMMIT, &[])?;
    kill_point(KillPoint::AfterCommit);
    Ok(true)
}

/// One write; false if it failed and left something.
fn one(connection: &mut Connection, write: &mut Write, ids: &mut Ids) -> Result<bool> {
    let before = connection.changes();
    let done = write.run(connection, ids);
    check(connection)?;
    Ok(done || connection.changes() == before)
}

/// One write, undone if it fails.
fn one_with_savepoint(
    connection: &mut Connection,
    write: &mut Write,
    ids: &mut Ids,
) -> Result<bool> {
    connection.execute(SAVEPOINT, &[])?;
    let done = write.run(connection, ids);
    check(connection)?;
    if !done {
        connection.execute(ROLLBACK_TO, &[])?;
        connection.known().forget();
    }
    connection.execute(RELEASE, &[])?;
    Ok(true)
}

/// Whether the transaction can go on after a write.
fn check(connection: &mut Connection) -> Result<()> {
    if let Some(fault) = connection.take_fault() {
        return Err(fault);
    }
    if !connection.in_transaction() {
        return Err(StoreError::Backend("SQLite gave the transaction up".into()));
    }
    Ok(())
}

/// A new connection after a failed sync.
///
/// The frames of the failed commit may lie in the log as if they had been committed: no reader
/// sees them now, but recovery after a crash would. A commit of our own overwrites them, and
/// proves that the disk takes writes again; until it succeeds nothing else is written.
fn reopen(path: &Path) -> Result<Connection> {
    let mut connection = Connection::open_writer(path)?;
    for statement in [BEGIN, TOUCH, COMMIT] {
        connection.execute(statement, &[])?;
    }
    Ok(connection)
}
