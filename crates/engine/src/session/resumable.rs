//! What a session that can be resumed (XEP-0198 § 5) writes while it has a stream: how many of the
//! client's stanzas are handled, how far the client has received, and what it has set.

use super::Session;
use crate::hibernation::State;
use waxwing_store::{Handled, Record, SessionChange, SessionKey, SessionUpdate, Ticket};

/// The session's row in the store, as its owner knows it.
#[derive(Debug)]
pub(super) struct Resumable {
    pub(super) key: SessionKey,
    /// A count that is on disk; what the client is told must not be more.
    durable: u32,
    /// [`crate::registry::Resource::changes`] when the state was last written.
    written: u64,
    /// The newest message of the archive that was given to the client, or passed over for it.
    pub(super) seen: u64,
}

impl Resumable {
    pub(super) fn new(key: SessionKey, durable: u32, seen: u64) -> Self {
        Self {
            key,
            durable,
            written: 0,
            seen,
        }
    }
}

impl Session {
    /// The count that a record carries.
    pub(super) fn counts(&self, count: u32) -> Option<Handled> {
        let resumable = self.resumable.as_ref()?;
        Some(Handled {
            account: self.state.account.clone(),
            session: resumable.key.clone(),
            count,
        })
    }

    /// This count is on disk.
    pub(super) fn counted(&mut self, count: u32) {
        if let Some(resumable) = &mut self.resumable {
            resumable.durable = count;
        }
    }

    /// Writes a count that is not on disk; nothing if it is, or need not be.
    pub(super) fn write_count(&self, h: u32) -> Option<Ticket> {
        let resumable = self.resumable.as_ref()?;
        // A distance of more than half the range is one backwards (XEP-0198 § 4).
        let ahead = h.wrapping_sub(resumable.durable);
        (ahead != 0 && ahead <= u32::MAX / 2).then(|| {
            self.change(
                resumable,
                SessionUpdate {
                    handled: Some(h),
                    ..SessionUpdate::default()
                },
            )
        })
    }

    /// The client has received all of the archive up to here that is for it.
    pub(crate) fn received(&self, archived: u64) {
        if let Some(resumable) = &self.resumable {
            let update = SessionUpdate {
                acknowledged: Some(archived),
                ..SessionUpdate::default()
            };
            // Nobody waits: if it is lost, the client gets the messages once more.
            drop(self.change(resumable, update));
        }
    }

    /// Writes what the client has set, if that has changed.
    pub(super) fn save(&mut self) {
        let Some(resumable) = &self.resumable else {
            return;
        };
        let changes = self.state.resource.changes();
        if resumable.written == changes {
            return;
        }
        let update = SessionUpdate {
            state: Some(State::of(&self.state.resource).to_bytes()),
            ..SessionUpdate::default()
        };
        drop(self.change(resumable, update));
        if let Some(resumable) = &mut self.resumable {
            resumable.written = changes;
        }
    }

    /// The session belongs to somebody else.
    pub(super) fn lose(&mut self) {
        self.resumable = None;
        self.inbound = None;
    }

    fn change(&self, resumable: &Resumable, update: SessionUpdate) -> Ticket {
        self.engine
            .store()
            .submit(Record::Session(Box::new(SessionChange {
                account: self.state.account.clone(),
                key: resumable.key.clone(),
                update,
            })))
    }
}
