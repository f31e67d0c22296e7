//! What goes to the client, in order: bytes to be written, and, where the client acknowledges
//! (XEP-0198), what it has not acknowledged yet.

use crate::outbox::{Delivery, Message, SHARED_MAX};
use bytes::Bytes;
use std::collections::VecDeque;
use waxwing_proto::{
    sm::{Nonza, Outbound, Pace, TooHigh},
    stanza::{Kind, Sealed},
    stream::websocket::Outgoing,
};

/// The queue of one connection.
#[derive(Debug, Default)]
pub struct Output {
    bytes: VecDeque<Bytes>,
    /// What puts elements into messages, where a WebSocket carries the stream.
    websocket: Option<Box<Outgoing>>,
    /// Bytes of the server's own stanzas among those not yet written.
    own_bytes: usize,
    unacknowledged: Option<Box<Outbound<Sent>>>,
    /// Bytes of what is kept of them.
    unacknowledged_bytes: usize,
    /// The session can be resumed (XEP-0198 § 5): what is in the archive is found there again, and
    /// what is not must be kept.
    resumable: bool,
    /// The newest message of the archive that was queued.
    seen: u64,
}

/// Bytes of stanzas that may wait for their acknowledgement; then nothing more is sent, and the
/// outbox fills up to its own bound.
const UNACKNOWLEDGED_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Bytes of answers that may wait to be written; then the client's next request waits. An answer
/// can be much longer than its request, and clients need not wait for one before they send another.
const OWN_BYTES_MAX: usize = 256 * 1024;

/// What has to be done about a stanza that the client never acknowledges.
#[derive(Debug)]
pub(crate) enum Sent {
    /// Nothing: the session cannot be resumed, and it is no message.
    Nothing,
    /// It is sent again on resumption.
    Stanza(Sealed),
    /// It is kept for later, if nobody else got it.
    Message(Message),
    /// It is in the archive, under this id, and sent again from there on resumption.
    Archived(u64),
    /// It is still in the offline queue, under this id.
    Waiting(u64),
}

impl Sent {
    fn bytes(&self) -> usize {
        match self {
            Self::Stanza(stanza) => stanza.len(),
            Self::Message(message) => message.sealed.len(),
            Self::Nothing | Self::Archived(_) | Self::Waiting(_) => 0,
        }
    }
}

/// What an acknowledgement covers.
#[derive(Debug, Default)]
pub(crate) struct Acknowledged {
    /// The messages of the offline queue.
    pub(crate) waiting: Vec<u64>,
    /// The last message of the archive.
    pub(crate) archived: Option<u64>,
}

impl Output {
    /// For a stream that a WebSocket carries.
    pub(crate) fn over_websocket() -> Self {
        Self {
            websocket: Some(Box::default()),
            ..Self::default()
        }
    }

    /// The bytes to be written, in order.
    pub fn bytes(&mut self) -> &mut VecDeque<Bytes> {
        &mut self.bytes
    }

    /// Queues what is no stanza: headers, negotiation, acknowledgements.
    pub(crate) fn raw(&mut self, bytes: Bytes) {
        match &mut self.websocket {
            Some(websocket) => websocket.elements(&bytes, &mut self.bytes),
            None => self.bytes.push_back(bytes),
        }
    }

    /// Queues what is no part of the stream.
    pub(crate) fn control(&mut self, bytes: Bytes) {
        self.bytes.push_back(bytes);
    }

    /// Queues a whole stanza of the server's own making.
    pub(crate) fn stanza(&mut self, stanza: Bytes) {
        self.own_bytes = self.own_bytes.saturating_add(stanza.len());
        if self.resumable {
            self.sealed(&Sealed::from_bytes(Kind::Iq, stanza));
        } else {
            self.whole(stanza);
            self.sent(Sent::Nothing);
        }
    }

    /// Whether what was asked for is to be written before more is answered.
    pub(crate) fn is_long(&self) -> bool {
        self.own_bytes >= OWN_BYTES_MAX
    }

    /// All has been written.
    pub(crate) fn written(&mut self) {
        self.own_bytes = 0;
    }

    /// Queues a stanza that is not kept beyond the session.
    pub(crate) fn sealed(&mut self, stanza: &Sealed) {
        self.write(stanza);
        self.sent(if self.resumable {
            Sent::Stanza(self.spared(stanza.clone()))
        } else {
            Sent::Nothing
        });
    }

    /// Queues a message that must not get lost.
    pub(crate) fn message(&mut self, message: Message) {
        self.write(&message.sealed);
        self.seen = self.seen.max(message.archived.unwrap_or(0));
        let sent = match message.archived.filter(|_| self.resumable) {
            Some(id) => Sent::Archived(id),
            None if self.unacknowledged.is_none() => return,
            None => Sent::Message(Message {
                sealed: self.spared(message.sealed),
                ..message
            }),
        };
        self.sent(sent);
    }

    /// Queues a copy of a message that the archive has under this id.
    pub(crate) fn copy(&mut self, copy: &Sealed, id: u64) {
        self.write(copy);
        self.seen = self.seen.max(id);
        self.sent(if self.resumable {
            Sent::Archived(id)
        } else {
            Sent::Nothing
        });
    }

    /// Queues a message of the offline queue.
    pub(crate) fn waiting(&mut self, message: Bytes, id: u64) {
        self.whole(message);
        self.sent(Sent::Waiting(id));
    }

    /// Counts from now on (XEP-0198 § 3), or goes on where a session stopped, of which the client
    /// has received `acknowledged` stanzas (§ 5).
    pub(crate) fn enable(&mut self, acknowledged: u32, resumable: bool) {
        let outbound = Outbound::restore(Pace::default(), acknowledged, VecDeque::new());
        self.unacknowledged = Some(Box::new(outbound));
        self.unacknowledged_bytes = 0;
        self.resumable = resumable;
    }

    /// The newest message of the archive that was queued, 0 for none.
    pub(crate) fn seen(&self) -> u64 {
        self.seen
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

    /// Takes an acknowledgement (§ 4).
    pub(crate) fn acknowledge(&mut self, h: u32) -> Result<Acknowledged, TooHigh> {
        let mut covered = Acknowledged::default();
        let Some(unacknowledged) = &mut self.unacknowledged else {
            return Ok(covered);
        };
        for sent in unacknowledged.acknowledge(h)? {
            self.unacknowledged_bytes -= sent.bytes();
            match sent {
                Sent::Nothing | Sent::Stanza(_) => {}
                Sent::Message(message) => covered.archived = message.archived.or(covered.archived),
                Sent::Archived(id) => covered.archived = Some(id),
                Sent::Waiting(id) => covered.waiting.push(id),
            }
        }
        Ok(covered)
    }

    /// What the client has not acknowledged, in order, and how many stanzas it has; for the end of
    /// the connection.
    pub(crate) fn take_unacknowledged(&mut self) -> (u32, VecDeque<Sent>) {
        match self.unacknowledged.take() {
            Some(sent) => (sent.acknowledged(), sent.into_unacknowledged()),
            None => (0, VecDeque::new()),
        }
    }

    fn write(&mut self, stanza: &Sealed) {
        if self.websocket.is_some() {
            let chunks: smallvec::SmallVec<[_; 8]> = stanza.chunks().collect();
            Outgoing::stanza(chunks.iter().copied(), &mut self.bytes);
            return;
        }
        let chunks = stanza.chunks().filter(|chunk| !chunk.is_empty());
        self.bytes.extend(chunks.cloned());
    }

    fn whole(&mut self, stanza: Bytes) {
        if self.websocket.is_some() {
            Outgoing::stanza([&stanza], &mut self.bytes);
        } else {
            self.bytes.push_back(stanza);
        }
    }

    /// The stanza as it is kept: where many are, each in memory of its own.
    fn spared(&self, stanza: Sealed) -> Sealed {
        let slow = self
            .unacknowledged
            .as_ref()
            .is_some_and(|sent| sent.unacknowledged().len() >= SHARED_MAX);
        if slow { stanza.detached() } else { stanza }
    }

    fn sent(&mut self, sent: Sent) {
        if let Some(unacknowledged) = &mut self.unacknowledged {
            self.unacknowledged_bytes += sent.bytes();
            unacknowledged.push(sent);
        }
    }
}

/// The messages among what was sent and not acknowledged.
pub(crate) fn messages(sent: VecDeque<Sent>) -> Vec<Delivery> {
    let messages = sent.into_iter().filter_map(|sent| match sent {
        Sent::Message(message) => Some(Delivery::Message(message)),
        Sent::Nothing | Sent::Stanza(_) | Sent::Archived(_) | Sent::Waiting(_) => None,
    });
    messages.collect()
}
