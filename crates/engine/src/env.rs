//! All that is not determined by input: wall clock and randomness.
//!
//! Nothing else in the engine may ask for time or chance, so that a test or a simulation can give
//! both. Deadlines use `tokio::time`, which tests pause.

use base64::Engine as _;
use std::sync::Arc;
use waxwing_store::Micros;

/// The wall clock.
pub trait Clock: Send + Sync + 'static {
    /// Microseconds since 1970-01-01T00:00:00Z.
    fn now(&self) -> Micros;
}

/// A cryptographically secure source of random bytes.
pub trait Random: Send + Sync + 'static {
    /// Fills the buffer.
    fn fill(&self, buffer: &mut [u8]);
}

/// The environment of an engine. Cheap to clone.
#[derive(Clone)]
pub struct Env {
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
}

impl Env {
    /// An environment of a clock and a source of randomness.
    pub fn new(clock: impl Clock, random: impl Random) -> Self {
        Self {
            clock: Arc::new(clock),
            random: Arc::new(random),
        }
    }

    /// Microseconds since 1970-01-01T00:00:00Z.
    pub fn now(&self) -> Micros {
        self.clock.now()
    }

    /// 32 random bytes.
    pub fn secret(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        self.random.fill(&mut bytes);
        bytes
    }

    /// A fresh token of 144 random bits, URL-safe text: stream ids, nonces, stanza ids, resources.
    pub fn token(&self) -> String {
        let mut bytes = [0; 18];
        self.random.fill(&mut bytes);
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
    }
}

impl std::fmt::Debug for Env {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Env(..)")
    }
}
