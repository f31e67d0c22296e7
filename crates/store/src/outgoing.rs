//! Messages that wait for other domains.

use crate::{BoxFuture, Micros, Result};
use bytes::Bytes;

/// The queues of messages towards other domains, one for each pair of a domain of ours and another.
/// They are filled by records ([`crate::Message::outgoing`]).
pub trait Outgoing {
    /// The queues in which something waits, in the order of their names, after `after`, at most
    /// `count`.
    fn outgoing_routes(
        &self,
        after: Option<Route>,
        count: u32,
    ) -> BoxFuture<'_, Result<Vec<Route>>>;
    /// What waits in a queue, in order, `after` the id given (0 for the start), at most `count`.
    fn outgoing(
        &self,
        route: Route,
        after: u64,
        count: u32,
    ) -> BoxFuture<'_, Result<Vec<OutgoingMessage>>>;
    /// Forgets the messages of a queue up to and including `last`.
    fn outgoing_remove(&self, route: Route, last: u64) -> BoxFuture<'_, Result<()>>;
}

/// From which domain of ours to which other; both prepared.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Route {
    /// Ours.
    pub local: String,
    /// The other.
    pub remote: String,
}

/// A place in a queue towards another domain. Past its bounds the record fails with
/// [`crate::StoreError::Quota`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Departure {
    /// Which queue.
    pub route: Route,
    /// How many may wait.
    pub messages_max: u32,
    /// How many bytes may wait.
    pub bytes_max: u64,
}

/// A message that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutgoingMessage {
    /// Its place in the queue; rises in commit order.
    pub id: u64,
    /// When it was received.
    pub at: Micros,
    /// The stanza, `jabber:client` in scope.
    pub stanza: Bytes,
}
