//! Copies the log into the database file, away from commits.

use super::connection::Connection;
use parking_lot::{Condvar, Mutex};

/// Writes after which the log is copied.
const WRITES_PER_CHECKPOINT: usize = 1_000;
/// Pages of log (4 KiB each) after which writers and readers must wait until it is empty: under
/// load without a pause the log would otherwise never start again from its beginning.
const LOG_PAGES_MAX: u64 = 8_192;

/// What the writer asks of the checkpoint thread.
#[derive(Default)]
pub(super) struct Checkpoints {
    wanted: Mutex<Wanted>,
    changed: Condvar,
}

#[derive(Default)]
struct Wanted {
    writes: usize,
    /// Something was deleted that must not stay in the log.
    erase: bool,
    closed: bool,
}

impl Checkpoints {
    /// Takes note of a commit.
    pub(super) fn committed(&self, writes: usize, erase: bool) {
        let mut wanted = self.wanted.lock();
        wanted.writes += writes;
        wanted.erase |= erase;
        if wanted.is_due() {
            self.changed.notify_one();
        }
    }

    /// Lets the thread end after a last checkpoint.
    pub(super) fn close(&self) {
        self.wanted.lock().closed = true;
        self.changed.notify_one();
    }

    /// Works until closed.
    pub(super) fn run(&self, connection: &Connection) {
        loop {
            let mut wanted = self.wanted.lock();
            while !wanted.is_due() {
                self.changed.wait(&mut wanted);
            }
            let Wanted { erase, closed, .. } = std::mem::take(&mut *wanted);
            drop(wanted);
            checkpoint(connection, erase || closed);
            if closed {
                return;
            }
        }
    }
}

impl Wanted {
    fn is_due(&self) -> bool {
        self.closed || self.erase || self.writes >= WRITES_PER_CHECKPOINT
    }
}

fn checkpoint(connection: &Connection, truncate: bool) {
    // The long part first, in the mode that nobody waits for.
    let done = connection.checkpoint(false).and_then(|pages| {
        if truncate || pages > LOG_PAGES_MAX {
            connection.checkpoint(true)
        } else {
            Ok(pages)
        }
    });
    if let Err(error) = done {
        // Nothing is lost by it: the log is part of the database, and the next try follows.
        tracing::warn!(%error, "the database's log could not be copied into its file");
    }
}
