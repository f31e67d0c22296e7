//! Time, randomness and passwords of tests that drive an engine: nothing in them is left to chance.

use std::sync::{
    Arc,
    atomic::{AtomicI64, AtomicU64, Ordering},
};
use waxwing_engine::env;
use waxwing_store::Micros;

/// Everybody's password.
pub(crate) const PASSWORD: &str = "secret";
/// 2026-01-01T00:00:00Z.
pub(crate) const START: Micros = 1_767_225_600_000_000;

/// The initial response of PLAIN.
pub(crate) fn plain(name: &str, password: &str) -> String {
    use base64::Engine as _;
    let response = format!("\0{name}\0{password}");
    let response = base64::engine::general_purpose::STANDARD.encode(response);
    let sasl = "urn:ietf:params:xml:ns:xmpp-sasl";
    format!("<auth xmlns='{sasl}' mechanism='PLAIN'>{response}</auth>")
}

/// Goes on by order only.
pub(crate) struct FixedClock(pub(crate) Arc<AtomicI64>);

impl env::Clock for FixedClock {
    fn now(&self) -> Micros {
        self.0.load(Ordering::Relaxed)
    }
}

/// Gives the same numbers in every run.
pub(crate) struct CountingRandom(pub(crate) AtomicU64);

impl env::Random for CountingRandom {
    fn fill(&self, buffer: &mut [u8]) {
        let count = self.0.fetch_add(1, Ordering::Relaxed).to_le_bytes();
        for (byte, from) in buffer.iter_mut().zip(count.into_iter().cycle()) {
            *byte = from;
        }
    }
}
