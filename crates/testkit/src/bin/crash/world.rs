//! What all clients of a run share.

use crate::{archive::Abilities, entry::Entry, journal::Journal, server::Connector};
use std::{cell::Cell, time::Duration};
use tokio::{
    sync::Notify,
    time::{Instant, timeout},
};

/// See the module.
pub(crate) struct World {
    pub(crate) journal: Journal,
    pub(crate) connector: Connector,
    /// What the server has said that it can do.
    pub(crate) abilities: Cell<Abilities>,
    /// When the server was started, until somebody has logged in.
    started: Cell<Option<Instant>>,
    logged_in: Notify,
    /// Stanzas that came while nothing was asked for.
    pub(crate) arrivals: Cell<u64>,
}

impl World {
    pub(crate) fn new(journal: Journal, connector: Connector) -> Self {
        Self {
            journal,
            connector,
            abilities: Cell::default(),
            started: Cell::default(),
            logged_in: Notify::new(),
            arrivals: Cell::default(),
        }
    }

    /// Something came to a client that only listens.
    pub(crate) fn note_arrival(&self) {
        self.arrivals.set(self.arrivals.get() + 1);
    }

    /// The server listens again.
    pub(crate) fn note_open(&self, started: Instant, millis: u64) {
        self.started.set(Some(started));
        self.journal.add(&Entry::Open { millis });
    }

    /// Waits until somebody has, but not for ever: all may be away, or the server dead.
    pub(crate) async fn first_login(&self, patience: Duration) {
        if self.started.get().is_some() {
            let _late = timeout(patience, self.logged_in.notified()).await;
        }
    }

    /// Somebody has logged in.
    pub(crate) fn note_login(&self) {
        if let Some(started) = self.started.take() {
            let millis = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
            self.journal.add(&Entry::FirstLogin { millis });
            self.logged_in.notify_waiters();
        }
    }
}
