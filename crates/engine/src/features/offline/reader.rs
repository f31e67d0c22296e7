//! Where a session is in reading the offline queue.

use std::collections::BTreeSet;

/// Where a session is in reading the queue.
#[derive(Debug, Default)]
pub struct Reader {
    pub(super) wanted: bool,
    /// Messages handed to the transport and not yet known to be written.
    pub(super) unwritten: Vec<u64>,
    /// Messages that have arrived, as far as can be known, and are not yet forgotten by the store.
    pub(super) arrived: Vec<u64>,
    pub(super) after: u64,
    /// Messages that were read in this stream: some may be read again before they are forgotten.
    known: BTreeSet<u64>,
    replayed: Replayed,
    /// Messages that were not sent because the client had them from the replay, and has not
    /// acknowledged them.
    skipped: Vec<u64>,
    /// Last message of the archive that the client has acknowledged in this stream.
    archived: u64,
}

/// What the replay of a resumed session gave its client, which is not sent again by the queue.
#[derive(Debug, Default)]
pub(crate) struct Replayed {
    /// Messages that were sent before, and not acknowledged.
    pub(crate) listed: Vec<u64>,
    /// Received messages of the archive after this one ...
    pub(crate) after: u64,
    /// ... up to this one ...
    pub(crate) last: u64,
    /// ... but for these, which were not for its resource.
    pub(crate) withheld: Vec<u64>,
}

impl Replayed {
    fn has(&self, id: u64) -> bool {
        let in_span = self.after < id && id <= self.last;
        in_span && !self.withheld.contains(&id) || self.listed.contains(&id)
    }
}

impl Reader {
    /// There may be messages to read; also in front of those that were read before.
    pub fn want(&mut self) {
        self.wanted = true;
        self.after = 0;
    }
    /// The same for a session that was given some already.
    pub(crate) fn want_others(&mut self, replayed: Replayed) {
        self.replayed = replayed;
        self.want();
    }
    /// Whether the store is to be asked now.
    pub fn is_due(&self) -> bool {
        !self.arrived.is_empty() || (self.wanted && self.unwritten.is_empty())
    }
    /// Whether older messages are on their way, so that newer ones must wait.
    pub fn is_reading(&self) -> bool {
        self.wanted || !self.unwritten.is_empty() || !self.arrived.is_empty()
    }
    /// Whether the client was given this message from the queue, in this stream.
    pub fn has(&self, id: u64) -> bool {
        self.known.contains(&id)
    }
    /// What was handed over has been written to the transport. Of a client that acknowledges
    /// (XEP-0198) that says nothing yet.
    pub fn written(&mut self, acknowledges: bool) {
        if acknowledges {
            self.unwritten.clear();
        } else {
            self.arrived.append(&mut self.unwritten);
        }
    }
    /// The client has acknowledged these messages of the queue.
    pub fn acknowledged(&mut self, mut ids: Vec<u64>) {
        self.arrived.append(&mut ids);
    }
    /// The client has acknowledged messages that it had from the archive.
    pub fn acknowledged_archived(&mut self, last: u64) {
        self.archived = self.archived.max(last);
        self.settle();
    }
    /// Whether a message is to be sent; if not, the client has had it in this stream.
    pub(super) fn takes(&mut self, id: u64) -> bool {
        self.after = id;
        if !self.known.insert(id) {
            return false;
        }
        let skips = self.replayed.has(id);
        if skips {
            self.skipped.push(id);
            self.settle();
        }
        !skips
    }
    /// All was read.
    pub(super) fn done(&mut self) {
        self.wanted = false;
        self.replayed = Replayed::default();
    }
    /// What was skipped has arrived when it is acknowledged as what it was sent as.
    fn settle(&mut self) {
        let archived = self.archived;
        self.arrived
            .extend(self.skipped.extract_if(.., |id| *id <= archived));
    }
}

#[cfg(test)]
mod tests {
    use super::{Reader, Replayed};

    /// What was read is forgotten by the store only after it was written, and nothing more is read
    /// before.
    #[test]
    fn reading_waits_for_writing() {
        let mut reader = Reader::default();
        assert!(!reader.is_due() && !reader.is_reading());
        reader.want();
        assert!(reader.is_due() && reader.is_reading());
        reader.unwritten = vec![5, 7];
        assert!(!reader.is_due() && reader.is_reading());
        reader.written(false);
        assert!(reader.is_due());
        assert_eq!(reader.arrived, [5, 7]);
        reader.wanted = false;
        reader.arrived.clear();
        assert!(!reader.is_due() && !reader.is_reading());
    }

    /// A queue that has got more is read from its start, but nothing of it is sent twice.
    #[test]
    fn what_was_put_in_front_is_read_as_well() {
        let mut reader = Reader::default();
        reader.want();
        assert!(reader.takes(5) && reader.takes(7) && reader.has(5));
        reader.done();
        reader.want();
        assert_eq!(reader.after, 0);
        let taken: Vec<u64> = [5, 6, 7, 8]
            .into_iter()
            .filter(|id| reader.takes(*id))
            .collect();
        assert_eq!(taken, [6, 8]);
    }

    /// What the client had from the replay is forgotten when that is acknowledged.
    #[test]
    fn what_was_replayed_is_skipped_and_forgotten_in_its_turn() {
        let mut reader = Reader::default();
        reader.want_others(Replayed {
            listed: vec![3],
            after: 5,
            last: 9,
            withheld: vec![8],
        });
        let taken: Vec<u64> = (2..12).filter(|id| reader.takes(*id)).collect();
        assert_eq!(taken, [2, 4, 5, 8, 10, 11]);
        assert!(reader.arrived.is_empty());
        reader.unwritten = taken;
        reader.done();
        reader.written(true);
        reader.acknowledged(vec![2, 4]);
        assert_eq!(reader.arrived, [2, 4]);
        reader.acknowledged_archived(6);
        assert_eq!(reader.arrived, [2, 4, 3, 6]);
        reader.acknowledged_archived(9);
        assert_eq!(reader.arrived, [2, 4, 3, 6, 7, 9]);
    }
}
