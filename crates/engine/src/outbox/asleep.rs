//! What happens to deliveries for a session that has no stream for now (XEP-0198 § 5).

use super::{Delivery, Refused};
use crate::features::offline;
use bytes::Bytes;
use std::{collections::BTreeMap, sync::Arc};
use waxwing_proto::{
    BareJid,
    stanza::{Kind, Sealed},
};
use waxwing_store::{Micros, SessionKey, Stanzas, Store};

/// Senders whose newest presence is kept, at most; past it all presence is asked for again.
const PRESENCES_MAX: usize = 256;

/// The place of a session while it has no stream. Messages that the archive has need nothing: they
/// are found there again. Of presence only the newest counts, and it is not worth the disk. The
/// rest is kept there.
pub(crate) struct Asleep {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) account: BareJid,
    pub(crate) key: SessionKey,
    /// Since when, for the choice of the one that has slept longest.
    pub(crate) since: Micros,
    pub(crate) stanzas_max: u32,
    pub(crate) bytes_max: u64,
    pub(crate) presence: Presence,
    /// Stanzas that came while somebody was taking the session over; nothing at other times.
    pub(crate) held: Option<Vec<Bytes>>,
}

/// The presence that a session without a stream has missed.
#[derive(Debug)]
pub(crate) enum Presence {
    /// The newest of each sender.
    Newest(BTreeMap<String, Sealed>),
    /// Nobody knows: the server has restarted, or it was too much.
    Unknown,
}

impl Default for Presence {
    fn default() -> Self {
        Self::Newest(BTreeMap::new())
    }
}

impl Presence {
    /// Takes a presence stanza if it says where somebody is; gives back others.
    pub(crate) fn take(&mut self, stanza: Sealed) -> Option<Sealed> {
        if stanza.kind() != Kind::Presence {
            return Some(stanza);
        }
        let read = offline::read(stanza.to_bytes())?;
        if !matches!(read.type_attr().as_deref(), None | Some("unavailable")) {
            return Some(stanza);
        }
        let from = read.root().attr("from")?.into_owned();
        if let Self::Newest(newest) = self {
            newest.insert(from, stanza.detached());
            if newest.len() > PRESENCES_MAX {
                *self = Self::Unknown;
            }
        }
        None
    }
}

impl Asleep {
    /// Takes a delivery, or refuses it.
    pub(crate) fn take(&mut self, delivery: Delivery) -> Result<(), Refused> {
        match delivery {
            Delivery::Stanza(stanza) => {
                let other = self.presence.take(stanza);
                if let Some(stanza) = other {
                    self.keep(stanza.to_bytes());
                }
                Ok(())
            }
            Delivery::Own(stanza) => {
                self.keep(stanza);
                Ok(())
            }
            Delivery::Message(message) if message.archived.is_some() => Ok(()),
            Delivery::Copy(..) => Ok(()),
            // A message in no archive must wait in a place of which its sender knows.
            Delivery::Message(_) | Delivery::OfflineWaiting | Delivery::End(_) => {
                Err(Refused::Closed)
            }
        }
    }

    pub(super) fn hold(&mut self) {
        self.held.get_or_insert_default();
    }

    pub(super) fn release(&mut self) {
        for stanza in self.held.take().unwrap_or_default() {
            self.keep(stanza);
        }
    }

    /// Past its bounds, or if the session has gone meanwhile, the stanza is lost: none of those
    /// is promised.
    fn keep(&mut self, stanza: Bytes) {
        if let Some(held) = &mut self.held {
            if u32::try_from(held.len()).is_ok_and(|count| count < self.stanzas_max) {
                held.push(stanza);
            }
            return;
        }
        let stanzas = Stanzas {
            at: 0,
            stanzas: vec![stanza],
            stanzas_max: self.stanzas_max,
            bytes_max: self.bytes_max,
        };
        let (account, key) = (self.account.clone(), self.key.clone());
        // The write is queued by the call; nobody waits for it.
        drop(self.store.session_keep(account, key, stanzas));
    }
}

impl std::fmt::Debug for Asleep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Asleep")
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}
