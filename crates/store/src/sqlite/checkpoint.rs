//! Copies the log into the database file, away from commits.

use super::connection::{Checkpoint, Connection};
use crate::{KillPoint, Result, kill_point, kill_point::KILL_POINTS};
use parking_lot::{Condvar, Mutex};
use std::time::Duration;

/// Writes after which the log is copied. The page of an active archive is in the log once for each
/// commit and is copied once for each checkpoint. Builds with kill points copy it so often that the
/// crash driver, which writes little, comes to the points there.
const WRITES_PER_CHECKPOINT: usize = if KILL_POINTS { 100 } else { 4_000 };
/// Bytes written after which the log is copied.
const BYTES_PER_CHECKPOINT: usize = 16 * 1024 * 1024;
/// Pages of log (4 KiB each) after which writers must wait until all of it is copied: under load
/// without a pause it would otherwise never start again from its beginning.
const LOG_PAGES_MAX: u64 = if KILL_POINTS { 64 } else { 16_384 };
/// How long after a reader was in the way the log is tried again.
const RETRY: Duration = Duration::from_secs(10);

/// What the writer asks of the checkpoint thread.
#[derive(Default)]
pub(super) struct Checkpoints {
    wanted: Mutex<Wanted>,
    changed: Condvar,
}

#[derive(Default)]
struct Wanted {
    writes: usize,
    bytes: usize,
    /// Something was deleted that must not stay in the log.
    erase: bool,
    closed: bool,
}

impl Checkpoints {
    /// Takes note of a commit.
    pub(super) fn committed(&self, writes: usize, bytes: usize, erase: bool) {
        let mut wanted = self.wanted.lock();
        wanted.writes += writes;
        wanted.bytes += bytes;
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
        let mut again = false;
        loop {
            let wanted = self.wait(again);
            let truncate = again || wanted.erase || wanted.closed;
            again = match checkpoint(connection, truncate) {
                Ok(done) => !done,
                Err(error) => {
                    // Nothing is lost by it: the log is part of the database.
                    tracing::warn!(%error, "the database's log could not be copied into its file");
                    truncate
                }
            };
            if wanted.closed {
                return;
            }
        }
    }

    /// Waits until a checkpoint is due; when one is to be done again, not for long.
    fn wait(&self, again: bool) -> Wanted {
        let mut wanted = self.wanted.lock();
        while !wanted.is_due() {
            if !again {
                self.changed.wait(&mut wanted);
            } else if self.changed.wait_for(&mut wanted, RETRY).timed_out() {
                break;
            }
        }
        std::mem::take(&mut wanted)
    }
}

impl Wanted {
    fn is_due(&self) -> bool {
        self.closed
            || self.erase
            || self.writes >= WRITES_PER_CHECKPOINT
            || self.bytes >= BYTES_PER_CHECKPOINT
    }
}

/// Copies the log and empties it if wanted; false if that must be tried again.
fn checkpoint(connection: &Connection, truncate: bool) -> Result<bool> {
    kill_point(KillPoint::BeforeCheckpoint);
    // The long part first, in the mode that nobody waits for.
    let pages = connection.checkpoint(Checkpoint::Passive)?.unwrap_or(0);
    let rest = if truncate {
        Checkpoint::Truncate
    } else if pages > LOG_PAGES_MAX {
        // The file keeps its length: to write over it costs the file system less than to extend it.
        Checkpoint::Restart
    } else {
        return Ok(true);
    };
    kill_point(KillPoint::BetweenCheckpoints);
    Ok(connection.checkpoint(rest)?.is_some() || !truncate)
}
