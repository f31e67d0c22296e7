//! The ways to other domains.
//!
//! A way to a component is an outbox that somebody empties, its connection (XEP-0114); to other servers
//! there are the links of [`crate::federation`]. Whoever has a stanza for another domain gives it to
//! [`Engine::send_away`] and does not ask further.

use crate::{
    Engine,
    outbox::{Delivery, Outbox, Refused},
    sync::RwLock,
};
use hashbrown::HashMap;
use std::sync::Arc;
use waxwing_proto::stanza::{Condition, Sealed, StanzaError};

/// The ways that there are now.
#[derive(Debug, Default)]
pub struct Remote {
    routes: RwLock<HashMap<Box<str>, Arc<Route>>>,
    /// Domains that only a component of ours serves, connected or not.
    components: Box<[Box<str>]>,
}

/// The way to one domain.
#[derive(Debug)]
pub struct Route {
    /// The domain.
    pub domain: Box<str>,
    /// Where to put what it shall receive.
    pub outbox: Outbox,
}

impl Remote {
    /// No way yet; `components` are served by external components and by nobody else.
    pub fn new(components: impl IntoIterator<Item = String>) -> Self {
        Self {
            routes: RwLock::default(),
            components: components.into_iter().map(String::into).collect(),
        }
    }

    /// Gives a stanza, whose `to` is of `domain`, to the component that takes it there. It never
    /// waits; an error means that the stanza was not taken (RFC 6120 § 10.4).
    fn send(&self, domain: &str, stanza: Sealed) -> Result<(), StanzaError> {
        let route = self.route(domain)?;
        match route.outbox.push(Delivery::Stanza(stanza)) {
            Ok(()) => Ok(()),
            Err(Refused::Full) => Err(Condition::ResourceConstraint.into()),
            Err(Refused::Closed) => Err(self.unreachable(domain)),
        }
    }

    /// Whether only a component of ours serves `domain`, connected or not.
    pub(crate) fn is_component(&self, domain: &str) -> bool {
        self.components.iter().any(|name| **name == *domain)
    }

    /// Whether there is a way to `domain`; otherwise the error for a stanza that has to go there.
    fn check(&self, domain: &str) -> Result<(), StanzaError> {
        self.route(domain).map(|_| ())
    }

    /// Makes this the way to its domain, and gives the one that was before.
    pub fn open(&self, route: &Arc<Route>) -> Option<Arc<Route>> {
        let domain = route.domain.clone();
        self.routes.write().insert(domain, Arc::clone(route))
    }

    /// The way has ended; a newer one to the same domain stays.
    pub fn close(&self, route: &Arc<Route>) {
        let mut routes = self.routes.write();
        if routes
            .get(&route.domain)
            .is_some_and(|found| Arc::ptr_eq(found, route))
        {
            routes.remove(&route.domain);
        }
    }

    /// The error for a stanza to a domain to which there is no way.
    pub fn unreachable(&self, domain: &str) -> StanzaError {
        if self.is_component(domain) {
            return StanzaError::new(Condition::RemoteServerTimeout)
                .text("This service is not connected at the moment.");
        }
        StanzaError::new(Condition::RemoteServerNotFound)
    }

    fn route(&self, domain: &str) -> Result<Arc<Route>, StanzaError> {
        let routes = self.routes.read();
        let route = routes.get(domain).cloned();
        drop(routes);
        route.ok_or_else(|| self.unreachable(domain))
    }
}

impl Engine {
    /// Sends a stanza, of the domain `from`, to the domain `to`, which is not served here: to the
    /// component or the server there. It never waits; an error means that the stanza was not taken
    /// (RFC 6120 § 10.4).
    pub(crate) fn send_away(
        &self,
        from: &str,
        to: &str,
        stanza: Sealed,
    ) -> Result<(), StanzaError> {
        if self.remote().is_component(to) {
            self.remote().send(to, stanza)
        } else {
            self.depart(from, to, stanza, None)
        }
    }

    /// Whether something can be sent to the domain `to`, as far as is known; otherwise the error for it.
    pub(crate) fn check_away(&self, to: &str) -> Result<(), StanzaError> {
        if self.remote().is_component(to) {
            self.remote().check(to)
        } else {
            self.federation().check(to)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Remote, Route};
    use crate::outbox::Outbox;
    use bytes::Bytes;
    use std::sync::Arc;
    use waxwing_proto::stanza::{Condition, ErrorType, Kind, Sealed};

    fn route(stanzas_max: usize) -> Arc<Route> {
        Arc::new(Route {
            domain: "push.example".into(),
            outbox: Outbox::new(stanzas_max, 1000),
        })
    }

    fn stanza() -> Sealed {
        Sealed::from_bytes(Kind::Iq, Bytes::from_static(b"<iq to='push.example'/>"))
    }

    #[test]
    fn who_is_not_connected_may_come_back_and_who_is_unknown_may_not() {
        let remote = Remote::new(["push.example".to_owned()]);
        let known = remote.send("push.example", stanza()).unwrap_err();
        assert_eq!(known.kind, ErrorType::Wait);
        let unknown = remote.check("other.example").unwrap_err();
        assert_eq!(unknown.condition, Condition::RemoteServerNotFound);
    }

    #[test]
    fn a_newer_way_replaces_the_older_one_and_survives_its_end() {
        let remote = Remote::default();
        let (old, new) = (route(9), route(9));
        assert!(remote.open(&old).is_none());
        assert!(Arc::ptr_eq(&remote.open(&new).unwrap(), &old));
        remote.close(&old);
        assert!(remote.send("push.example", stanza()).is_ok());
        assert!(old.outbox.take().is_none() && new.outbox.take().is_some());
        remote.close(&new);
        assert!(remote.check("push.example").is_err());
    }

    #[test]
    fn who_does_not_read_is_cut_off() {
        let remote = Remote::default();
        remote.open(&route(1));
        assert!(remote.send("push.example", stanza()).is_ok());
        let full = remote.send("push.example", stanza()).unwrap_err();
        assert_eq!(full.condition, Condition::ResourceConstraint);
        assert!(remote.send("push.example", stanza()).is_err());
    }
}
