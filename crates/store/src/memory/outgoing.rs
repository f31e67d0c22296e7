//! Messages that wait for other domains.

use super::{
    MemoryStore,
    state::{State, size, size64},
};
use crate::{
    BoxFuture, Departure, Message, Outgoing, OutgoingMessage, Result, Route, StoreError, quota,
};
use std::collections::BTreeMap;

/// One queue.
pub(super) type Queue = BTreeMap<u64, OutgoingMessage>;

impl State {
    /// Whether a message of so many bytes may wait.
    pub(super) fn admit_outgoing(&self, bytes: usize, place: &Departure) -> Result<()> {
        let queue = self.outgoing.get(&place.route);
        let messages = queue.map_or(0, BTreeMap::len);
        let waiting: u64 = queue
            .into_iter()
            .flat_map(BTreeMap::values)
            .map(|message| size64(message.stanza.len()))
            .sum();
        if messages >= size(place.messages_max) {
            return Err(StoreError::Quota(quota::OUTGOING_MESSAGES));
        }
        if waiting + size64(bytes) > place.bytes_max {
            return Err(StoreError::Quota(quota::OUTGOING_BYTES));
        }
        Ok(())
    }

    /// A message that was admitted.
    pub(super) fn add_outgoing(&mut self, id: u64, message: &Message, place: &Departure) {
        let waiting = OutgoingMessage {
            id,
            at: message.at,
            stanza: message.stanza.clone(),
        };
        let queue = self.outgoing.entry(place.route.clone()).or_default();
        queue.insert(id, waiting);
    }
}

impl Outgoing for MemoryStore {
    fn outgoing_routes(
        &self,
        after: Option<Route>,
        count: u32,
    ) -> BoxFuture<'_, Result<Vec<Route>>> {
        self.read(move |state| {
            let routes = state.outgoing.keys();
            let later = routes.filter(|route| after.as_ref().is_none_or(|after| *route > after));
            later.take(size(count)).cloned().collect()
        })
    }

    fn outgoing(
        &self,
        route: Route,
        after: u64,
        count: u32,
    ) -> BoxFuture<'_, Result<Vec<OutgoingMessage>>> {
        self.read(move |state| {
            let queue = state
                .outgoing
                .get(&route)
                .into_iter()
                .flat_map(BTreeMap::values);
            let later = queue.filter(|message| message.id > after);
            later.take(size(count)).cloned().collect()
        })
    }

    fn outgoing_remove(&self, route: Route, last: u64) -> BoxFuture<'_, Result<()>> {
        self.write(move |state| {
            if let Some(queue) = state.outgoing.get_mut(&route) {
                queue.retain(|id, _| *id > last);
                if queue.is_empty() {
                    state.outgoing.remove(&route);
                }
            }
            Ok(())
        })
    }
}
