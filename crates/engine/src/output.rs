//! What goes to the client, in order: bytes to be written, and, where the client acknowledges
//! (XEP-0198), what it has not acknowledged yet.

use crate::outbox::{Copies, Delivery, SHARED_MAX};
use bytes::Bytes;
use std::collections::VecDeque;
use waxwing_proto::{
    sm::{Nonza, Outbound, Pace, TooHigh},
    stanza::Sealed,
};

/// The queue of one connection.
#[derive(Debug, Default)]
pub struct Output {
    bytes: VecDeque<Bytes>,
    /// Bytes of the server's own stanzas among those not yet written.
    own_bytes: usize,
    unacknowledged: Option<Box<Outbound<Sent>>>,
    /// Bytes of the messages among them.
    unacknowledged_bytes: usize,
}

/// Bytes of messages that may wait for their acknowledgement; then nothing more is sent, and the
/// outbox fills up to its own bound.
const UNACKNOWLEDGED_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Bytes of answers that may wait to be written; then the client's next request waits. An answer
/// can be much longer than its request, and clients need not wait for one before they send another.
const OWN_BYTES_MAX: usize = 256 * 1024;

/// What has to be done about a stanza that the client never acknowledges.
#[derive(Debug)]
pub(crate) enum Sent {
    /// Nothing: presence, IQs, what the server itself says.
    Nothing,
    /// It is kept for later, if nobody else got it.
    Message(Sealed, Copies),
    /// It is still in the offline queue, under this id.
    Waiting(u64),
}

impl Output {
    /// The bytes to be written, in order.
    pub fn bytes(&mut self) -> &mut VecDeque<Bytes> {
        &mut self.bytes
    }

    /// Queues what is no stanza: headers, negotiation, acknowledgements.
    pub(crate) fn raw(&mut self, bytes: Bytes) {
        self.bytes.push_back(bytes);
    }

    /// Queues a whole stanza of the server's own making.
    pub(crate) fn stanza(&mut self, stanza: Bytes) {
        self.own_bytes = self.own_bytes.saturating_add(stanza.len());
        self.bytes.push_back(stanza);
        self.sent(Sent::Nothing);
    }

    /// Whether what was asked for is to be written before more is answered.
    pub(crate) fn is_long(&self) -> bool {
        self.own_bytes >= OWN_BYTES_MAX
    }

    /// All has been written.
    pub(crate) fn written(&mut self) {
        self.own_bytes = 0;
    }

    /// Queues a stanza that is not kept.
    pub(crate) fn sealed(&mut self, stanza: &Sealed) {
        self.write(stanza);
        self.sent(Sent::Nothing);
    }

    /// Queues a message that must not get lost.
    pub(crate) fn message(&mut self, message: Sealed, copies: Copies) {
        self.write(&message);
        let Some(unacknowledged) = &self.unacknowledged else {
            return;
        };
        let slow = unacknowledged.unacknowledged().len() >= SHARED_MAX;
        let message = if slow { message.detached() } else { message };
        self.sent(Sent::Message(message, copies));
    }

    /// Queues a message of the offline queue.
    pub(crate) fn waiting(&mut self, message: Bytes, id: u64) {
        self.bytes.push_back(message);
        self.sent(Sent::Waiting(id));
    }

    /// Counts from now on (XEP-0198 § 3).
    pub(crate) fn enable(&mut self) {
        self.unacknowledged = Some(Box::new(Outbound::new(Pace::default())));
    }

    /// Whether the client acknowledges.
    pub(crate) fn is_acknowledged(&self) -> bool {
        self.unacknowledged.is_some()
    }

    /// Whether no more may be sent before the client acknowledges something.
    pub(crate) fn is_full(&self) -> bool {
        self.unacknowledged_bytes >= UNACKNOWLEDGED_BYTES_MAX
            || self
                .unacknowledged
                .as_ref()
                .is_some_and(|sent| sent.is_full())
    }

    /// Asks for an acknowledgement where one is due; called once for each batch.
    pub(crate) fn request(&mut self) {
        if self
            .unacknowledged
            .as_mut()
            .is_some_and(|sent| sent.request())
        {
            self.raw(Nonza::Request.to_bytes());
        }
    }

    /// Takes an acknowledgement (§ 4). Gives the last message of the offline queue among what it
    /// covers.
    pub(crate) fn acknowledge(&mut self, h: u32) -> Result<Option<u64>, TooHigh> {
        let Some(unacknowledged) = &mut self.unacknowledged else {
            return Ok(None);
        };
        let mut last = None;
        for sent in unacknowledged.acknowledge(h)? {
            match sent {
                Sent::Nothing => {}
                Sent::Message(message, _) => self.unacknowledged_bytes -= message.len(),
                Sent::Waiting(id) => last = Some(id),
            }
        }
        Ok(last)
    }

    /// The messages that the client has not acknowledged, in order; for the end of the session.
    pub(crate) fn take_unacknowledged(&mut self) -> Vec<Delivery> {
        let Some(unacknowledged) = self.unacknowledged.take() else {
            return Vec::new();
        };
        let left = unacknowledged.into_unacknowledged();
        left.into_iter()
            .filter_map(|sent| match sent {
                Sent::Message(message, copies) => Some(Delivery::Message(message, copies)),
                Sent::Nothing | Sent::Waiting(_) => None,
            })
            .collect()
    }

    fn write(&mut self, stanza: &Sealed) {
        let chunks = stanza.chunks().filter(|chunk| !chunk.is_empty());
        self.bytes.extend(chunks.cloned());
    }

    fn sent(&mut self, sent: Sent) {
        if let Some(unacknowledged) = &mut self.unacknowledged {
            if let Sent::Message(message, _) = &sent {
                self.unacknowledged_bytes += message.len();
            }
            unacknowledged.push(sent);
        }
    }
}
