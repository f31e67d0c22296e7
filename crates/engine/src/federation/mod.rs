//! Other servers (RFC 6120 § 13, [XEP-0220](https://xmpp.org/extensions/xep-0220.html)).
//!
//! A [`link::Link`] is all that goes from one domain of ours to one other domain. Whoever has
//! something for it pushes and never waits. If nobody takes it there, a [`Dial`] asks the shell for
//! a connection, which becomes an [`OutgoingConnection`]; what the other server sends comes by an
//! [`IncomingConnection`] of its own. Messages that are worth keeping are on disk before a link sees
//! them, and stay there until the other server has taken them; everything else has its error as soon
//! as the other server cannot be reached.

mod answers;
mod dial;
mod incoming;
mod link;
mod outgoing;
mod upkeep;

pub use dial::{Dial, DialFailure};
pub use incoming::{IncomingConnection, IncomingEvent};
pub use outgoing::{OutgoingConnection, OutgoingEvent};

use crate::{Engine, Settings, route::inbound};
use dial::Dials;
use hashbrown::{Equivalent, HashMap};
use link::{Departing, Link, Pushed};
use parking_lot::RwLock;
use std::sync::Arc;
use waxwing_proto::{
    stanza::{Condition, Sealed, StanzaError},
    stream::s2s::{Pair, Policies, Policy, S2sSettings, dialback::Secret},
    xml::Limits as XmlLimits,
};
use waxwing_store::{Departure, Route};

/// What is known of other servers.
#[derive(Debug)]
pub(crate) struct Federation {
    enabled: bool,
    links: RwLock<HashMap<Pair, Arc<Link>>>,
    dials: Dials,
    streams: RwLock<Arc<S2sSettings>>,
}

/// A pair that is looked for.
#[derive(Hash)]
struct Key<'a> {
    local: &'a str,
    remote: &'a str,
}

impl Equivalent<Pair> for Key<'_> {
    fn equivalent(&self, pair: &Pair) -> bool {
        self.local == pair.local && self.remote == pair.remote
    }
}

impl Federation {
    /// Nobody is connected; `secret` is what dialback keys are made of.
    pub(crate) fn new(settings: &Settings, secret: &[u8; 32]) -> Self {
        let hosts = settings.domains.iter().map(|domain| &domain.name);
        let services = settings.services.iter().map(|service| &service.name);
        let components = settings.components.iter().map(|component| &component.name);
        let limits = &settings.limits;
        let streams = S2sSettings {
            hosts: hosts.chain(services).chain(components).cloned().collect(),
            policies: settings.federation.policies.clone(),
            limits_pre_auth: XmlLimits {
                bytes_max: limits.pre_auth_bytes_max,
                ..XmlLimits::PRE_AUTH
            },
            limits: XmlLimits {
                bytes_max: limits.s2s_stanza_bytes_max,
                ..XmlLimits::S2S
            },
            bidi: false,
            ..S2sSettings::new(Secret::new(secret))
        };
        Self {
            enabled: settings.federation.enabled,
            links: RwLock::default(),
            dials: Dials::default(),
            streams: RwLock::new(Arc::new(streams)),
        }
    }

    /// What new streams are told.
    fn streams(&self) -> Arc<S2sSettings> {
        Arc::clone(&self.streams.read())
    }

    fn set_policies(&self, policies: Policies) {
        let mut streams = self.streams.write();
        let next = S2sSettings {
            policies,
            ..S2sSettings::clone(&streams)
        };
        *streams = Arc::new(next);
    }

    /// Whether stanzas may go to `remote`, which is not served here; otherwise the error for them.
    pub(crate) fn check(&self, remote: &str) -> Result<(), StanzaError> {
        if !self.enabled || waxwing_proto::stream::s2s::ascii_domain(remote).is_none() {
            return Err(Condition::RemoteServerNotFound.into());
        }
        if self.streams.read().policies.of(remote) == Policy::Block {
            return Err(StanzaError::new(Condition::NotAllowed)
                .text("This server does not talk to that domain."));
        }
        Ok(())
    }

    fn link(&self, pair: &Pair) -> Option<Arc<Link>> {
        self.links.read().get(pair).cloned()
    }
}

impl Engine {
    /// Changes who may talk to this server, for streams that begin from now on.
    pub fn set_federation_policies(&self, policies: Policies) {
        self.federation().set_policies(policies);
    }

    /// Gives something to the link between two domains. An error means that it was not taken.
    pub(crate) fn depart(
        &self,
        local: &str,
        remote: &str,
        stanza: Sealed,
        stored: Option<u64>,
    ) -> Result<(), StanzaError> {
        let federation = self.federation();
        federation.check(remote)?;
        let item = match stored {
            Some(id) => Departing::Message(stanza, id),
            None => Departing::Stanza(stanza),
        };
        let Some(link) = self.link(local, remote) else {
            // What is on disk is found there when there is room again.
            return stored.map(drop).ok_or(Condition::ResourceConstraint.into());
        };
        match link.push(item) {
            Pushed::Taken => Ok(()),
            Pushed::Dial => {
                federation.dials.push(Dial::send(link));
                Ok(())
            }
            Pushed::Refused(condition) => Err(condition.into()),
        }
    }

    /// The queue that a message to another domain joins; none if it is not to wait.
    pub(crate) fn departure(&self, local: &str, remote: &str) -> Option<Departure> {
        self.federation().check(remote).ok()?;
        let limits = &self.settings().limits;
        Some(Departure {
            route: Route {
                local: local.to_owned(),
                remote: remote.to_owned(),
            },
            messages_max: limits.outgoing_messages_max,
            bytes_max: limits.outgoing_bytes_max,
        })
    }

    /// The link between two domains; none if there are too many.
    fn link(&self, local: &str, remote: &str) -> Option<Arc<Link>> {
        let federation = self.federation();
        if let Some(link) = federation.links.read().get(&Key { local, remote }) {
            return Some(Arc::clone(link));
        }
        let limits = &self.settings().limits;
        let mut links = federation.links.write();
        if let Some(link) = links.get(&Key { local, remote }) {
            return Some(Arc::clone(link));
        }
        if links.len() >= limits.links_max {
            return None;
        }
        let pair = Pair {
            local: local.to_owned(),
            remote: remote.to_owned(),
        };
        let (stanzas_max, bytes_max) = (limits.link_stanzas_max, limits.link_bytes_max);
        let link = Arc::new(Link::new(pair.clone(), stanzas_max, bytes_max));
        links.insert(pair, Arc::clone(&link));
        Some(link)
    }

    /// One random octet.
    fn jitter(&self) -> u8 {
        let [jitter, ..] = self.env().secret();
        jitter
    }
}
