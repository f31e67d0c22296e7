//! The accounts that scenarios begin with.

use std::{
    collections::HashMap,
    sync::{Mutex, OnceLock},
};
use waxwing_proto::sasl::Verifiers;
use waxwing_store::{Credentials, Micros};

/// 2026-01-01T00:00:00Z.
pub(super) const START: Micros = 1_767_225_600_000_000;
/// Few, because clients in the tests do the work in every scenario.
pub(super) const ITERATIONS: u32 = 8;

/// Verifiers, made once for each password.
pub(super) fn credentials(password: &str) -> Result<Credentials, String> {
    static KNOWN: OnceLock<Mutex<HashMap<String, Credentials>>> = OnceLock::new();
    let known = KNOWN.get_or_init(Mutex::default);
    let Ok(mut known) = known.lock() else {
        return Err("another test has failed while it made credentials".into());
    };
    if let Some(found) = known.get(password) {
        return Ok(found.clone());
    }
    let made =
        Verifiers::derive(password, b"sixteen bytes of", ITERATIONS).map_err(|e| e.to_string())?;
    known.insert(password.to_owned(), made.clone());
    Ok(made)
}
