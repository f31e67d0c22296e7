//! Login: verifiers, and back-off without lock-out (RFC 6120 § 6.4.5, XEP-0205 § 2).
//!
//! Three things slow a guesser down. Each failure is answered later than the one before. An
//! address with too many failures is refused unheard. And an account with too many failures is
//! closed to addresses that have never logged in to it, while its owner's own addresses still
//! work, so that nobody can lock somebody else out.

mod proof;

pub(crate) use proof::{Proof, Revocations};

use crate::{Engine, Limits};
use hashbrown::HashMap;
use parking_lot::Mutex;
use std::{hash::Hash as StdHash, net::IpAddr, time::Duration};
use waxwing_proto::{
    BareJid,
    sasl::{Failure, Hash, SALT_BYTES, Verifier},
};
use waxwing_store::{Micros, StoreError};

/// What to do with a login attempt.
pub enum Login {
    /// Go on with this verifier; `known` is false where it is a decoy.
    Verify {
        /// The verifier.
        verifier: Verifier,
        /// Whether the account exists.
        known: bool,
    },
    /// Fail at once.
    Refuse(Failure),
}

impl Engine {
    /// The verifier for a login attempt. An account that does not exist gets a decoy made from its
    /// name, so that nothing on the wire tells the two apart.
    pub(crate) async fn login(
        &self,
        peer: IpAddr,
        username: &str,
        host: &str,
        hash: Hash,
    ) -> Login {
        let account = BareJid::from_parts(Some(username), host).ok();
        if !self.gate().admits(self.env().now(), peer, account.as_ref()) {
            self.metrics().login_refusals.inc();
            return Login::Refuse(Failure::TemporaryAuthFailure);
        }
        // Made for every name, so that one with an account takes no less time.
        let decoy = self.decoy(username, host, hash);
        let found = match &account {
            Some(account) => self.store().account(account.clone()).await,
            None => Ok(None),
        };
        match found {
            Ok(found) => {
                let verifier = found.and_then(|mut found| found.credentials.get_mut(hash).take());
                // One that lacks this verifier looks as one that does not exist.
                Login::Verify {
                    known: verifier.is_some(),
                    verifier: verifier.unwrap_or(decoy),
                }
            }
            Err(error) => {
                self.metrics().store_failures.inc();
                tracing::error!(%error, "an account could not be read");
                Login::Refuse(Failure::TemporaryAuthFailure)
            }
        }
    }

    /// With which salt and iterations a client that has authenticated is to make a verifier
    /// (XEP-0480 § 3); `None` if the account has it.
    pub(crate) async fn verifier_missing(
        &self,
        account: BareJid,
        hash: Hash,
    ) -> Result<Option<(Vec<u8>, u32)>, Failure> {
        let found = self.store().account(account).await.map_err(|error| {
            self.metrics().store_failures.inc();
            tracing::error!(%error, "an account could not be read");
            Failure::TemporaryAuthFailure
        })?;
        let is_missing = found.is_some_and(|found| found.credentials.get(hash).is_none());
        Ok(is_missing.then(|| {
            let secret = self.env().secret();
            let salt = secret.get(..SALT_BYTES).unwrap_or(&secret);
            (salt.to_owned(), self.settings().limits.scram_iterations)
        }))
    }

    /// Keeps a verifier that a client has brought, if it is still missing: a new password has made
    /// all of them meanwhile. The login goes on whatever comes of it.
    pub(crate) async fn verifier_add(&self, account: BareJid, hash: Hash, verifier: Verifier) {
        let added = self.store().account_add_verifier(account, hash, verifier);
        match added.await {
            Ok(true) => self.metrics().verifiers_added.inc(),
            Ok(false) | Err(StoreError::NoAccount) => {}
            Err(error) => {
                self.metrics().store_failures.inc();
                tracing::error!(%error, "a verifier could not be kept");
            }
        }
    }

    fn decoy(&self, username: &str, host: &str, hash: Hash) -> Verifier {
        let name = format!("{username}@{host}");
        let iterations = self.settings().limits.scram_iterations;
        Verifier::fake(hash, self.decoy_secret(), &name, iterations)
    }
}

/// Addresses and accounts remembered at a time, of each kind; past it the oldest are forgotten.
const REMEMBERED_MAX: usize = 50_000;
/// How long an address that logged in to an account counts as its owner's.
const TRUST: Micros = 30 * 24 * 3600 * 1_000_000;
const MINUTE: Micros = 60 * 1_000_000;
const HOUR: Micros = 60 * MINUTE;
/// The longest that the answer to a failed login is held back.
const DELAY_MAX: Duration = Duration::from_secs(5);

/// Counts failures, in memory only.
#[derive(Debug)]
pub struct Gate {
    address_max: u32,
    account_max: u32,
    registrations_max: u32,
    addresses: Mutex<Counts<Network>>,
    accounts: Mutex<Counts<BareJid>>,
    registrations: Mutex<Counts<Network>>,
    trusted: Mutex<HashMap<(BareJid, Network), Micros>>,
}

/// An IPv4 address, or the /64 that an IPv6 address is in.
type Network = u64;

impl Gate {
    /// Nothing has failed yet.
    pub fn new(limits: &Limits) -> Self {
        Self {
            address_max: limits.auth_failures_per_address_max,
            account_max: limits.auth_failures_per_account_max,
            registrations_max: limits.registrations_per_hour_max,
            addresses: Mutex::new(Counts::new(MINUTE)),
            accounts: Mutex::new(Counts::new(MINUTE)),
            registrations: Mutex::new(Counts::new(HOUR)),
            trusted: Mutex::default(),
        }
    }

    /// Whether an attempt is heard at all.
    pub fn admits(&self, now: Micros, peer: IpAddr, account: Option<&BareJid>) -> bool {
        let network = network(peer);
        if self.addresses.lock().count(now, &network) >= self.address_max {
            return false;
        }
        let Some(account) = account else { return true };
        if self.accounts.lock().count(now, account) < self.account_max {
            return true;
        }
        let trusted = self.trusted.lock();
        trusted
            .get(&(account.clone(), network))
            .is_some_and(|at| now - at < TRUST)
    }

    /// Counts a failure, and tells how long its answer is to be held back.
    pub fn failed(&self, now: Micros, peer: IpAddr, account: Option<&BareJid>) -> Duration {
        let by_address = self.addresses.lock().add(now, network(peer));
        let by_account =
            account.map_or(0, |account| self.accounts.lock().add(now, account.clone()));
        let failures = by_address.max(by_account);
        // The first mistake costs nothing; then 200 ms, 400 ms, …
        let steps = failures.saturating_sub(1).min(8);
        if steps == 0 {
            return Duration::ZERO;
        }
        Duration::from_millis(100 << steps).min(DELAY_MAX)
    }

    /// Remembers that the address belongs to somebody who knows the account's password.
    pub fn succeeded(&self, now: Micros, peer: IpAddr, account: &BareJid) {
        let mut trusted = self.trusted.lock();
        if trusted.len() >= REMEMBERED_MAX {
            let newest_half = median(trusted.values().copied());
            trusted.retain(|_, at| *at > newest_half);
        }
        trusted.insert((account.clone(), network(peer)), now);
    }

    /// Counts an in-band registration; false if the address has made too many in this hour.
    pub fn admits_registration(&self, now: Micros, peer: IpAddr) -> bool {
        let mut registrations = self.registrations.lock();
        let network = network(peer);
        if registrations.count(now, &network) >= self.registrations_max {
            return false;
        }
        registrations.add(now, network);
        true
    }
}

fn network(peer: IpAddr) -> Network {
    match peer.to_canonical() {
        IpAddr::V4(v4) => u64::from(u32::from(v4)),
        // Shifted down by 64 bits the value fits; the highest bit keeps it apart from IPv4.
        IpAddr::V6(v6) => u64::try_from(u128::from(v6) >> 64).unwrap_or(u64::MAX) | (1 << 63),
    }
}

/// Failures in a window that starts with the first of them.
#[derive(Debug)]
struct Counts<K> {
    window: Micros,
    counts: HashMap<K, (Micros, u32)>,
}

impl<K: StdHash + Eq> Counts<K> {
    fn new(window: Micros) -> Self {
        Self {
            window,
            counts: HashMap::new(),
        }
    }

    fn count(&self, now: Micros, key: &K) -> u32 {
        match self.counts.get(key) {
            Some((since, count)) if now - since < self.window => *count,
            _ => 0,
        }
    }

    fn add(&mut self, now: Micros, key: K) -> u32 {
        if self.counts.len() >= REMEMBERED_MAX {
            let window = self.window;
            self.counts.retain(|_, (since, _)| now - *since < window);
        }
        if self.counts.len() >= REMEMBERED_MAX {
            let newest_half = median(self.counts.values().map(|(since, _)| *since));
            self.counts.retain(|_, (since, _)| *since > newest_half);
        }
        let entry = self.counts.entry(key).or_insert((now, 0));
        if now - entry.0 >= self.window {
            *entry = (now, 0);
        }
        entry.1 = entry.1.saturating_add(1);
        entry.1
    }
}

fn median(values: impl Iterator<Item = Micros>) -> Micros {
    let mut all: Vec<Micros> = values.collect();
    let middle = all.len() / 2;
    if all.is_empty() {
        return 0;
    }
    *all.select_nth_unstable(middle).1
}

#[cfg(test)]
mod tests {
    use super::{Gate, MINUTE};
    use crate::Limits;
    use std::{net::IpAddr, time::Duration};
    use waxwing_proto::BareJid;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_is_refused_after_its_failures_and_heard_again_a_minute_later() {
        let gate = Gate::new(&Limits::default());
        for _ in 0..20 {
            assert!(gate.admits(0, ip("192.0.2.1"), None));
            gate.failed(0, ip("192.0.2.1"), None);
        }
        assert!(!gate.admits(0, ip("192.0.2.1"), None));
        assert!(!gate.admits(0, ip("::ffff:192.0.2.1"), None));
        assert!(gate.admits(0, ip("192.0.2.2"), None));
        assert!(gate.admits(MINUTE, ip("192.0.2.1"), None));
    }

    #[test]
    fn an_ipv6_network_counts_as_one_address() {
        let gate = Gate::new(&Limits::default());
        for host in 0..20 {
            gate.failed(0, ip(&format!("2001:db8::{host}")), None);
        }
        assert!(!gate.admits(0, ip("2001:db8::ffff:1"), None));
        assert!(gate.admits(0, ip("2001:db8:0:1::1"), None));
    }

    #[test]
    fn nobody_can_lock_an_owner_out() {
        let gate = Gate::new(&Limits::default());
        let alice = BareJid::parse("alice@example.org").unwrap();
        gate.succeeded(0, ip("192.0.2.7"), &alice);
        for host in 1..=20 {
            gate.failed(1, ip(&format!("198.51.100.{host}")), Some(&alice));
        }
        assert!(
            !gate.admits(2, ip("203.0.113.1"), Some(&alice)),
            "strange address"
        );
        assert!(
            gate.admits(2, ip("192.0.2.7"), Some(&alice)),
            "the owner's address"
        );
    }

    #[test]
    fn answers_to_failures_come_later_and_later() {
        let gate = Gate::new(&Limits::default());
        let delays: Vec<Duration> = (0..10)
            .map(|_| gate.failed(0, ip("192.0.2.1"), None))
            .collect();
        assert_eq!(delays[0], Duration::ZERO);
        assert_eq!(delays[1], Duration::from_millis(200));
        assert!(
            delays.windows(2).all(|pair| pair[0] <= pair[1]),
            "{delays:?}"
        );
        assert_eq!(delays[9], Duration::from_secs(5));
    }

    #[test]
    fn registrations_are_counted_by_the_hour() {
        let gate = Gate::new(&Limits::default());
        for _ in 0..5 {
            assert!(gate.admits_registration(0, ip("192.0.2.1")));
        }
        assert!(!gate.admits_registration(0, ip("192.0.2.1")));
        assert!(gate.admits_registration(60 * MINUTE, ip("192.0.2.1")));
    }
}
