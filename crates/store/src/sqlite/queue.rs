//! A bounded queue from tasks, which never wait, to a thread, which does.

use super::{READS_WAITING_MAX, WRITES_WAITING_BYTES_MAX, WRITES_WAITING_MAX};
use crate::{StoreError, record::writer_ended};
use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;

/// What one queue may hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) name: &'static str,
    pub(super) items_max: usize,
    pub(super) bytes_max: usize,
}

impl Bounds {
    pub(super) const WRITES: Self = Self {
        name: "store_writes_waiting_max",
        items_max: WRITES_WAITING_MAX,
        bytes_max: WRITES_WAITING_BYTES_MAX,
    };
    pub(super) const READS: Self = Self {
        name: "store_reads_waiting_max",
        items_max: READS_WAITING_MAX,
        bytes_max: usize::MAX,
    };
}

/// The queue.
pub(super) struct Queue<T> {
    bounds: Bounds,
    waiting: Mutex<Waiting<T>>,
    changed: Condvar,
}

struct Waiting<T> {
    items: VecDeque<(usize, T)>,
    bytes: usize,
    closed: bool,
}

impl<T> Queue<T> {
    pub(super) fn new(bounds: Bounds) -> Self {
        let waiting = Waiting {
            items: VecDeque::new(),
            bytes: 0,
            closed: false,
        };
        Self {
            bounds,
            waiting: Mutex::new(waiting),
            changed: Condvar::new(),
        }
    }

    /// Appends an item of about `bytes` bytes, or gives it back with the reason.
    pub(super) fn push(&self, bytes: usize, item: T) -> Result<(), (T, StoreError)> {
        let mut waiting = self.waiting.lock();
        if waiting.closed {
            return Err((item, writer_ended()));
        }
        let total = waiting.bytes.saturating_add(bytes);
        if waiting.items.len() >= self.bounds.items_max || total > self.bounds.bytes_max {
            return Err((item, StoreError::Overloaded(self.bounds.name)));
        }
        waiting.bytes = total;
        waiting.items.push_back((bytes, item));
        drop(waiting);
        self.changed.notify_one();
        Ok(())
    }

    /// Waits for items and moves the oldest, at most `items_max` of them, to `to`; gives how many
    /// bytes they are, or none when the queue is closed and empty.
    pub(super) fn take(&self, items_max: usize, to: &mut Vec<T>) -> Option<usize> {
        let mut waiting = self.waiting.lock();
        while waiting.items.is_empty() {
            if waiting.closed {
                return None;
            }
            self.changed.wait(&mut waiting);
        }
        let count = waiting.items.len().min(items_max);
        let mut taken: usize = 0;
        to.extend(waiting.items.drain(..count).map(|(bytes, item)| {
            taken = taken.saturating_add(bytes);
            item
        }));
        waiting.bytes = waiting.bytes.saturating_sub(taken);
        Some(taken)
    }

    /// Refuses further items and lets the taker end after those that wait.
    pub(super) fn close(&self) {
        self.waiting.lock().closed = true;
        self.changed.notify_all();
    }
}
