//! One SQLite connection: settings, statements, and what its errors mean.

use crate::{
    Result, StoreError,
    sql::{Executor, Known, Param, Row, Value, damaged},
};
use rusqlite::{
    ErrorCode, OpenFlags,
    config::DbConfig,
    types::{ToSqlOutput, ValueRef},
};
use std::{path::Path, time::Duration};

/// How often a lock that another process or thread holds is tried for. SQLite's own waiting slows
/// down to ten tries a second, which a busy server can starve: its lock is free only for the short
/// time between two commits.
const LOCK_POLL: Duration = Duration::from_millis(1);
/// Tries for the write lock: about ten seconds.
const LOCK_TRIES_MAX: i32 = 10_000;
/// Tries for emptying the log while a reader, such as a backup, is still in it: writers wait, too.
const CHECKPOINT_TRIES_MAX: i32 = 200;
/// Prepared statements kept per connection: more than there are.
const STATEMENTS_KEPT: usize = 128;
/// `WXWG`, in the file's header: this SQLite database is Waxwing's.
pub(super) const APPLICATION_ID: i64 = 0x5758_5747;

/// Settings that are not kept in the file. `secure_delete`: what was deleted is overwritten.
/// The cache (KiB) is for the pages of one commit; behind it the operating system has the file in
/// its own, and an archived message costs as much with eight times of it (`archive_cost`).
/// The log is copied into the file by the checkpoint thread only, away from commits.
const SETTINGS: &str = "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; \
     PRAGMA secure_delete = ON; PRAGMA temp_store = MEMORY; PRAGMA wal_autocheckpoint = 0; \
     PRAGMA journal_size_limit = 67108864; PRAGMA cache_size = -4096; \
     PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;";

/// A connection that knows after an error whether it can still be trusted.
pub(super) struct Connection {
    inner: rusqlite::Connection,
    /// The error after which the whole transaction is to be given up.
    fault: Option<StoreError>,
    /// Whether the operating system reported an error: what the disk holds is not known.
    poisoned: bool,
    erase_log: bool,
    known: Known,
    /// As [`Connection::data_version`] was last.
    data_version: i64,
}

/// How the log is copied into the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Checkpoint {
    /// As far as nobody is in the way, and nobody waits.
    Passive,
    /// All of it, while writers wait; the next of them writes from the beginning of the log.
    Restart,
    /// The same, and the log is empty afterwards.
    Truncate,
}

impl Connection {
    /// Opens an existing file with all settings but the journal mode, which the file keeps.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let open = || {
            let mut inner = rusqlite::Connection::open_with_flags(path, flags)?;
            inner.busy_handler(Some(wait_for_lock))?;
            inner.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
            inner.execute_batch(SETTINGS)?;
            // Plans must not depend on values: a statement whose plan might, such as any with a
            // limit, would be prepared again for each use.
            inner.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
            Ok(inner)
        };
        let inner = open().map_err(|error| store_error(&error))?;
        Ok(Self {
            inner,
            fault: None,
            poisoned: false,
            erase_log: false,
            known: Known::default(),
            data_version: 0,
        })
    }

    /// Opens an existing file for the one who writes.
    pub(super) fn open_writer(path: &Path) -> Result<Self> {
        let mut connection = Self::open(path)?;
        connection.known = Known::of_writer();
        Ok(connection)
    }

    /// Opens an existing file for reading only.
    pub(super) fn open_reader(path: &Path) -> Result<Self> {
        let mut connection = Self::open(path)?;
        connection.script("PRAGMA query_only = ON;")?;
        Ok(connection)
    }

    /// Opens an existing file for copying its log, with little patience: writers wait for it.
    pub(super) fn open_checkpointer(path: &Path) -> Result<Self> {
        let mut connection = Self::open(path)?;
        let patience = connection.inner.busy_handler(Some(wait_for_readers));
        patience.map_err(|error| store_error(&error))?;
        Ok(connection)
    }

    /// A number setting of the file.
    pub(super) fn pragma(&self, name: &str) -> Result<i64> {
        self.inner
            .pragma_query_value(None, name, |row| row.get(0))
            .map_err(|error| store_error(&error))
    }

    /// Puts the file into WAL mode, if it is not.
    pub(super) fn use_wal(&self) -> Result<()> {
        let mode = self
            .inner
            .query_row("PRAGMA journal_mode = WAL", [], |row| {
                row.get::<_, String>(0)
            })
            .map_err(|error| store_error(&error))?;
        if mode == "wal" {
            return Ok(());
        }
        Err(StoreError::Backend(
            format!("the file system does not support SQLite's WAL mode (it stays in {mode})")
                .into(),
        ))
    }

    /// Copies the log into the file; gives how many pages the log holds, or none if readers did
    /// not leave it within the time of [`Connection::open_checkpointer`].
    pub(super) fn checkpoint(&self, mode: Checkpoint) -> Result<Option<u64>> {
        let mode = match mode {
            Checkpoint::Passive => "PRAGMA wal_checkpoint(PASSIVE)",
            Checkpoint::Restart => "PRAGMA wal_checkpoint(RESTART)",
            Checkpoint::Truncate => "PRAGMA wal_checkpoint(TRUNCATE)",
        };
        let (busy, pages) = self
            .inner
            .query_row(mode, [], |row| {
                Ok((row.get::<_, bool>(0)?, row.get::<_, i64>(1)?))
            })
            .map_err(|error| store_error(&error))?;
        Ok((!busy).then(|| u64::try_from(pages).unwrap_or(0)))
    }

    /// Looks for damage; gives what was found.
    pub(super) fn integrity(&self) -> Result<Vec<String>> {
        let read = || {
            let mut statement = self.inner.prepare("PRAGMA quick_check(20)")?;
            let lines = statement.query_map([], |row| row.get::<_, String>(0))?;
            lines.collect::<rusqlite::Result<Vec<_>>>()
        };
        let mut lines = read().map_err(|error| store_error(&error))?;
        lines.retain(|line| line != "ok");
        Ok(lines)
    }

    /// Copies the database to `to`, an empty file or none.
    pub(super) fn vacuum_into(&self, to: &str) -> Result<()> {
        let done = self.inner.execute("VACUUM INTO ?1", [to]);
        done.map(drop).map_err(|error| store_error(&error))
    }

    /// Forgets what another process may have changed; to be called when a transaction has begun.
    pub(super) fn notice_changes(&mut self) -> Result<()> {
        let row = self.query_first("PRAGMA data_version", &[])?;
        let version = row.ok_or_else(|| damaged("no data version"))?.int()?;
        if version != self.data_version {
            self.data_version = version;
            self.known.changed_elsewhere();
        }
        Ok(())
    }

    /// How many rows were changed so far.
    pub(super) fn changes(&self) -> u64 {
        self.inner.total_changes()
    }

    /// Whether a transaction is open: SQLite ends it by itself after some errors.
    pub(super) fn in_transaction(&self) -> bool {
        !self.inner.is_autocommit()
    }

    /// The error after which the transaction is to be given up, once.
    pub(super) fn take_fault(&mut self) -> Option<StoreError> {
        self.fault.take()
    }

    /// Whether the connection must be replaced.
    pub(super) fn is_poisoned(&self) -> bool {
        self.poisoned
    }

    /// Whether a deletion is to be made good in the log, once.
    pub(super) fn take_erase_log(&mut self) -> bool {
        std::mem::take(&mut self.erase_log)
    }

    fn failed(&mut self, error: &rusqlite::Error) -> StoreError {
        let result = store_error(error);
        match error.sqlite_error_code() {
            Some(ErrorCode::SystemIoFailure | ErrorCode::NotADatabase) => {
                self.poisoned = true;
                self.fault = Some(result.clone());
            }
            Some(ErrorCode::DiskFull | ErrorCode::OutOfMemory) => {
                self.fault = Some(result.clone());
            }
            _ => {}
        }
        result
    }
}

impl Executor for Connection {
    fn execute(&mut self, sql: &'static str, params: &[Param<'_>]) -> Result<u64> {
        let done = self
            .inner
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute(rusqlite::params_from_iter(params)));
        match done {
            Ok(changed) => Ok(u64::try_from(changed).unwrap_or(u64::MAX)),
            Err(error) => Err(self.failed(&error)),
        }
    }

    fn query_bytes(
        &mut self,
        sql: &'static str,
        params: &[Param<'_>],
        bytes_max: usize,
    ) -> Result<Vec<Row>> {
        rows(&self.inner, sql, params, bytes_max).map_err(|error| self.failed(&error))
    }

    fn script(&mut self, sql: &str) -> Result<()> {
        let sql = sql
            .replace(" BYTES", " BLOB")
            .replace(" ROWKEY", " INTEGER PRIMARY KEY")
            .replace(" CLUSTERED", " WITHOUT ROWID");
        self.inner
            .execute_batch(&sql)
            .map_err(|error| self.failed(&error))
    }

    fn erase_log(&mut self) {
        self.erase_log = true;
    }

    fn known(&mut self) -> &mut Known {
        &mut self.known
    }
}

impl rusqlite::ToSql for Param<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Int(value) => ValueRef::Integer(*value),
            Self::Text(value) => ValueRef::Text(value.as_bytes()),
            Self::Bytes(value) => ValueRef::Blob(value),
        }))
    }
}

/// Whether to try again for a lock, after a pause.
fn wait_for_lock(tries: i32) -> bool {
    std::thread::sleep(LOCK_POLL);
    tries < LOCK_TRIES_MAX
}

fn wait_for_readers(tries: i32) -> bool {
    std::thread::sleep(LOCK_POLL);
    tries < CHECKPOINT_TRIES_MAX
}

fn rows(
    connection: &rusqlite::Connection,
    sql: &'static str,
    params: &[Param<'_>],
    bytes_max: usize,
) -> rusqlite::Result<Vec<Row>> {
    let mut statement = connection.prepare_cached(sql)?;
    let columns = statement.column_count();
    let mut found = statement.query(rusqlite::params_from_iter(params))?;
    let mut rows = Vec::new();
    let mut bytes_read = 0_usize;
    while bytes_read <= bytes_max
        && let Some(row) = found.next()?
    {
        let mut values = Vec::with_capacity(columns);
        for column in 0..columns {
            values.push(match row.get_ref(column)? {
                ValueRef::Integer(value) => Value::Int(value),
                ValueRef::Text(text) => Value::Text(
                    std::str::from_utf8(text)
                        .map_err(|error| rusqlite::Error::Utf8Error(column, error))?
                        .to_owned(),
                ),
                ValueRef::Blob(bytes) => {
                    bytes_read = bytes_read.saturating_add(bytes.len());
                    Value::Bytes(bytes.to_owned())
                }
                // The schema has no floating point; the reader of the row will say so.
                ValueRef::Null | ValueRef::Real(_) => Value::Null,
            });
        }
        rows.push(Row::new(values));
    }
    Ok(rows)
}

fn store_error(error: &rusqlite::Error) -> StoreError {
    match error.sqlite_error() {
        Some(code) if code.code == ErrorCode::DiskFull => StoreError::Full,
        // The only foreign keys are those to the account.
        Some(code) if code.extended_code == rusqlite::ffi::SQLITE_CONSTRAINT_FOREIGNKEY => {
            StoreError::NoAccount
        }
        _ => StoreError::Backend(error.to_string().into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::StatementStatus;

    /// SQLite may look at the values bound to a statement to choose its plan, and then prepares it
    /// again for the next ones, which costs more than to run it.
    #[test]
    fn statements_are_prepared_once() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.db");
        std::fs::write(&file, b"").unwrap();
        let mut connection = Connection::open(&file).unwrap();
        let table = "CREATE TABLE a (x BIGINT NOT NULL, y BIGINT NOT NULL, PRIMARY KEY (x))";
        connection.script(table).unwrap();
        for sql in [
            "SELECT x FROM a WHERE x > ?1 ORDER BY x LIMIT ?2",
            "SELECT x FROM a WHERE x > ?1 AND (y & ?2) = ?2",
        ] {
            for value in 1..4 {
                connection.query(sql, &[value.into(), 7.into()]).unwrap();
            }
            let statement = connection.inner.prepare_cached(sql).unwrap();
            assert_eq!(statement.get_status(StatementStatus::Run), 3);
            assert_eq!(statement.get_status(StatementStatus::RePrepare), 0, "{sql}");
        }
    }
}
