//! Time and chance of a real machine.

use std::time::SystemTime;
use waxwing_engine::env::{Clock, Env, Random};
use waxwing_store::Micros;

/// The environment of a server that runs.
pub(crate) fn system() -> Env {
    Env::new(SystemClock::default(), SystemRandom)
}

/// The wall clock, kept from running backwards: archive ids and time stamps depend on it.
#[derive(Debug, Default)]
struct SystemClock(std::sync::atomic::AtomicI64);

impl Clock for SystemClock {
    fn now(&self) -> Micros {
        let since = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let now = Micros::try_from(since.as_micros()).unwrap_or(Micros::MAX);
        self.0
            .fetch_max(now, std::sync::atomic::Ordering::Relaxed)
            .max(now)
    }
}

/// The operating system's source, through the TLS library.
struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&self, buffer: &mut [u8]) {
        #[expect(
            clippy::expect_used,
            reason = "without randomness nothing is secure; stop"
        )]
        aws_lc_rs::rand::fill(buffer).expect("INVARIANT: the operating system gives random bytes");
    }
}
