//! Where a session is in reading the offline queue.

/// Where a session is in reading the queue.
#[derive(Debug, Default)]
pub struct Reader {
    pub(super) wanted: bool,
    /// Last message handed to the transport and not yet known to be written.
    pub(super) unwritten: Option<u64>,
    /// Last message that has arrived, as far as can be known, and is not yet forgotten by the store.
    pub(super) arrived: Option<u64>,
    pub(super) after: u64,
    /// Last message that was sent and not acknowledged, where the client acknowledges.
    sent: Option<u64>,
    replayed: Replayed,
    /// Last message that was not sent because the client had it from the replay.
    skipped: Option<u64>,
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
    /// There may be messages to read.
    pub fn want(&mut self) {
        self.wanted = true;
    }
    /// The same for a session that was given some already.
    pub(crate) fn want_others(&mut self, replayed: Replayed) {
        self.replayed = replayed;
        self.wanted = true;
    }
    /// Whether the store is to be asked now.
    pub fn is_due(&self) -> bool {
        self.arrived.is_some() || (self.wanted && self.unwritten.is_none())
    }
    /// Whether older messages are on their way, so that newer ones must wait.
    pub fn is_reading(&self) -> bool {
        self.wanted || self.unwritten.is_some() || self.arrived.is_some()
    }
    /// What was handed over has been written to the transport. Of a client that acknowledges
    /// (XEP-0198) that says nothing yet.
    pub fn written(&mut self, acknowledges: bool) {
        let last = self.unwritten.take();
        if acknowledges {
            self.sent = last.or(self.sent);
        } else if last.is_some() {
            self.arrived = last;
        }
    }
    /// The client has acknowledged the messages up to this one.
    pub fn acknowledged(&mut self, last: u64) {
        self.arrived = Some(last);
        self.sent = self.sent.filter(|sent| *sent > last);
        self.settle();
    }
    /// The client has acknowledged messages that it had from the archive.
    pub fn acknowledged_archived(&mut self, last: u64) {
        self.archived = self.archived.max(last);
        self.settle();
    }
    /// Whether a message is to be sent; if not, the client has had it in this stream.
    pub(super) fn takes(&mut self, id: u64) -> bool {
        self.after = id;
        let skips = self.replayed.has(id);
        if skips {
            self.skipped = Some(id);
            self.settle();
        }
        !skips
    }
    /// All was read.
    pub(super) fn done(&mut self) {
        self.wanted = false;
        self.replayed = Replayed::default();
    }
    /// What was skipped has arrived when it is acknowledged as what it was sent as, and everything
    /// before it has.
    fn settle(&mut self) {
        if self.sent.is_none()
            && self.unwritten.is_none()
            && let Some(skipped) = self.skipped.take_if(|id| *id <= self.archived)
        {
            self.arrived = self.arrived.max(Some(skipped));
        }
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
        reader.unwritten = Some(7);
        assert!(!reader.is_due() && reader.is_reading());
        reader.written(false);
        assert!(reader.is_due());
        assert_eq!(reader.arrived, Some(7));
        reader.wanted = false;
        reader.arrived = None;
        assert!(!reader.is_due() && !reader.is_reading());
    }

    /// What the client had from the replay is forgotten when that is acknowledged, and not before
    /// what was sent in front of it.
    #[test]
    fn what_was_replayed_is_skipped_and_forgotten_in_its_turn() {
        for replay_first in [true, false] {
            let mut reader = Reader::default();
            reader.want_others(Replayed {
                listed: vec![3],
                after: 5,
                last: 9,
                withheld: vec![8],
            });
            let taken: Vec<u64> = (2..12).filter(|id| reader.takes(*id)).collect();
            assert_eq!(taken, [2, 4, 5, 8, 10, 11]);
            let mut reader = Reader::default();
            reader.want_others(Replayed {
                after: 5,
                last: 9,
                ..Replayed::default()
            });
            assert!(reader.takes(4) && !reader.takes(7));
            reader.unwritten = Some(4);
            reader.done();
            reader.written(true);
            let mut acknowledge = [
                |reader: &mut Reader| reader.acknowledged_archived(9),
                |reader: &mut Reader| {
                    reader.acknowledged(4);
                },
            ];
            if !replay_first {
                acknowledge.reverse();
            }
            let [first, second] = acknowledge;
            first(&mut reader);
            assert_eq!(reader.arrived, if replay_first { None } else { Some(4) });
            second(&mut reader);
            assert_eq!(reader.arrived, Some(7));
        }
    }
}
