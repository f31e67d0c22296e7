//! Who may take up a place: connections altogether, and unauthenticated ones for each address
//! (XEP-0205).

use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

/// Files that stay free of connections: database, log, certificates, admin socket.
const RESERVED_FILES: u64 = 64;

/// Counts unauthenticated connections by address; an IPv6 /64 counts as one.
#[derive(Debug)]
pub(crate) struct Admission {
    per_address_max: u32,
    waiting: Mutex<HashMap<IpAddr, u32>>,
}

/// A place among the unauthenticated connections of an address; given back when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    admission: Arc<Admission>,
    address: IpAddr,
}

impl Admission {
    /// Admits up to `per_address_max` unauthenticated connections from each address.
    pub(crate) fn new(per_address_max: u32) -> Arc<Self> {
        Arc::new(Self {
            per_address_max,
            waiting: Mutex::default(),
        })
    }

    /// A place for a new connection, or `None` if its address has too many.
    pub(crate) fn enter(self: &Arc<Self>, peer: IpAddr) -> Option<Place> {
        let address = network(peer);
        let mut waiting = self.waiting.lock();
        let count = waiting.entry(address).or_insert(0);
        if *count >= self.per_address_max {
            return None;
        }
        *count += 1;
        Some(Place {
            admission: Arc::clone(self),
            address,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut waiting = self.admission.waiting.lock();
        if let Some(count) = waiting.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                waiting.remove(&self.address);
            }
        }
        // A flood leaves a large table behind; an empty one costs nothing to give back.
        if waiting.is_empty() && waiting.capacity() > 1_024 {
            waiting.shrink_to_fit();
        }
    }
}

/// What one subscriber has: the address, or the /64 of an IPv6 address.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64))),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// How many connections the limit of open files allows. The soft limit is raised to the hard one.
pub(crate) fn connections_max(configured: u32) -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let raised = Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            tracing::debug!(%error, "the limit of open files stays as it is");
        }
    }
    // None means no limit; the kernel's own table is the next bound, so stay below a million.
    let files = getrlimit(Resource::Nofile)
        .current
        .unwrap_or(1 << 20)
        .min(1 << 20);
    let possible = usize::try_from(files.saturating_sub(RESERVED_FILES))
        .unwrap_or(1)
        .max(1);
    match usize::try_from(configured) {
        Ok(0) | Err(_) => possible,
        Ok(configured) => {
            if configured > possible {
                tracing::warn!(
                    configured,
                    possible,
                    "limits.connections_max is more than the limit of open files allows; raise it \
                     (LimitNOFILE= in the systemd unit, or ulimit -n)"
                );
            }
            configured.min(possible)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_its_share_and_no_more() {
        let admission = Admission::new(2);
        let near: IpAddr = "2001:db8::1".parse().unwrap();
        let same_network: IpAddr = "2001:db8::ffff:2".parse().unwrap();
        let far: IpAddr = "2001:db8:0:1::1".parse().unwrap();
        let first = admission.enter(near).unwrap();
        let second = admission.enter(same_network).unwrap();
        assert!(admission.enter(near).is_none());
        let _far = admission.enter(far).unwrap();
        drop(first);
        let third = admission.enter(near).unwrap();
        drop((second, third));
        assert_eq!(
            admission.waiting.lock().len(),
            1,
            "only the far one is remembered"
        );
    }

    #[test]
    fn mapped_addresses_are_the_same_as_plain_ones() {
        assert_eq!(
            network("::ffff:192.0.2.1".parse().unwrap()),
            network("192.0.2.1".parse().unwrap())
        );
    }
}
