//! The threads that read, each on its own connection.

use super::{connection::Connection, queue::Queue};
use crate::{Result, StoreError, sql::Executor};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

/// A queued read: gets a connection, or the reason why there is none.
pub(super) type Read = Box<dyn FnOnce(Result<&mut dyn Executor>) + Send>;

const BEGIN: &str = "BEGIN";
const COMMIT: &str = "COMMIT";

/// A thread's state.
pub(super) struct Reader {
    path: PathBuf,
    /// None after an error of the operating system, until the next read opens a new one.
    connection: Option<Connection>,
}

impl Reader {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let connection = Connection::open_reader(path)?;
        Ok(Self {
            path: path.to_owned(),
            connection: Some(connection),
        })
    }

    /// Works until the queue is closed and empty.
    pub(super) fn run(&mut self, reads: &Queue<Read>) {
        let mut next = Vec::with_capacity(1);
        while reads.take(1, &mut next).is_some() {
            for read in next.drain(..) {
                // A panic takes the connection and the answer with it, and nothing else.
                if catch_unwind(AssertUnwindSafe(|| self.read(read))).is_err() {
                    tracing::error!("a read of the database panicked; please report it");
                }
            }
        }
    }

    /// One read in a transaction of its own, so that all its statements see one state.
    fn read(&mut self, read: Read) {
        let connection = match self.connection.take() {
            Some(connection) => Ok(connection),
            None => Connection::open_reader(&self.path),
        };
        let began = connection.and_then(|mut connection| {
            connection.execute(BEGIN, &[])?;
            Ok(connection)
        });
        let mut connection = match began {
            Ok(connection) => connection,
            Err(error) => return refuse(read, error),
        };
        read(Ok(&mut connection));
        let ended = connection.execute(COMMIT, &[]).is_ok();
        if ended && !connection.is_poisoned() {
            connection.take_fault();
            self.connection = Some(connection);
        }
    }
}

fn refuse(read: Read, error: StoreError) {
    tracing::error!(%error, "the database cannot be read; check the disk of the database");
    read(Err(error));
}
