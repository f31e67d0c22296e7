//! What no connection does: trying again, and giving up.

use super::{Dial, inbound, link::Link, outgoing::route};
use crate::{Engine, error};
use bytes::Bytes;
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;
use waxwing_proto::stanza::{Condition, Kind, Sealed, StanzaError};
use waxwing_store::{Micros, StoreError};

/// Between two looks at who is to be tried again.
const RETRY: Duration = Duration::from_secs(1);
/// Between two looks at what has waited too long.
const EXPIRE: Duration = Duration::from_mins(1);
/// Queues, or messages, read from the disk at a time.
const PAGE: u32 = 64;

impl Engine {
    /// Tries other servers again that messages wait for, and tells senders of those that have waited
    /// too long. For as long as the server runs.
    pub(crate) async fn federate(self) {
        if !self.settings().federation.enabled {
            return;
        }
        let mut expire = Instant::now();
        loop {
            let now = Instant::now();
            if now >= expire {
                expire = now + EXPIRE;
                self.find_waiting().await;
                self.expire().await;
            }
            self.retry(now);
            tokio::time::sleep(RETRY).await;
        }
    }

    /// Queues on disk that no link knows of: from before the server started, or from when there were
    /// too many links.
    async fn find_waiting(&self) {
        let mut after = None;
        loop {
            let routes = self.store().outgoing_routes(after, PAGE).await;
            let routes = match routes {
                Ok(routes) => routes,
                Err(failure) => {
                    error::from_store(self, &failure);
                    return;
                }
            };
            for route in &routes {
                let key = super::Key {
                    local: &route.local,
                    remote: &route.remote,
                };
                if self.federation().links.read().contains_key(&key) {
                    continue;
                }
                let Some(link) = self.link(&route.local, &route.remote) else {
                    return;
                };
                link.set_behind();
            }
            after = routes.last().cloned();
            if after.is_none() {
                return;
            }
        }
    }

    /// Has connections made that are due, and forgets links that nothing is known of.
    fn retry(&self, now: Instant) {
        let federation = self.federation();
        let links: Vec<Arc<Link>> = federation.links.read().values().cloned().collect();
        for link in links {
            if link.retry(now) {
                federation.dials.push(Dial::send(link));
            } else if link.is_spent(now) {
                // Whoever holds it and pushes nevertheless has a connection made for it alone.
                federation.links.write().remove(&link.pair);
            }
        }
    }

    /// Gives back what has waited too long for servers that cannot be reached.
    async fn expire(&self) {
        let links: Vec<Arc<Link>> = self.federation().links.read().values().cloned().collect();
        let wait = self.settings().federation.wait.as_micros();
        let before = self.env().now() - Micros::try_from(wait).unwrap_or(Micros::MAX);
        for link in links.into_iter().filter(|link| link.is_down()) {
            if let Err(failure) = self.expire_one(&link, before).await {
                error::from_store(self, &failure);
            }
        }
    }

    async fn expire_one(&self, link: &Link, before: Micros) -> Result<(), StoreError> {
        let error = StanzaError::new(Condition::RemoteServerTimeout)
            .text("The other server could not be reached for too long.");
        loop {
            let page = self.store().outgoing(route(&link.pair), 0, PAGE).await?;
            let old: Vec<(u64, Bytes)> = page
                .into_iter()
                .take_while(|message| message.at < before)
                .map(|message| (message.id, message.stanza))
                .collect();
            let Some((last, _)) = old.last() else {
                return Ok(());
            };
            let last = *last;
            for (_, stanza) in old {
                self.metrics().outgoing_expired.inc();
                let stanza = Sealed::from_bytes(Kind::Message, stanza);
                inbound::bounce(self, &stanza, &error).await;
            }
            self.store()
                .outgoing_remove(route(&link.pair), last)
                .await?;
        }
    }
}
