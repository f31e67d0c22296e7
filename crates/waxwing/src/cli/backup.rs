//! `waxwing backup`: a copy of the database.

#![expect(
    clippy::print_stdout,
    reason = "a command talks to the person who gave it"
)]

use super::Source;
use std::path::Path;
use std::process::ExitCode;
use waxwing_store::{SqliteStore, StoreError};

pub(super) fn backup(source: &Source, to: &Path) -> Result<ExitCode, String> {
    let from = source.load()?.database();
    if !from.exists() {
        return Err(format!(
            "{}: there is no database yet; nothing was copied",
            from.display()
        ));
    }
    SqliteStore::copy(&from, to).map_err(|error| match error {
        StoreError::Exists => format!(
            "{} exists, and a backup replaces nothing; give another name",
            to.display()
        ),
        StoreError::Full => format!("{}: the disk is full; nothing was left there", to.display()),
        other => format!("no backup was made: {other}"),
    })?;
    let bytes = std::fs::metadata(to).map_or(0, |copy| copy.len());
    println!(
        "{} has a copy of the database, {bytes} bytes.",
        to.display()
    );
    Ok(ExitCode::SUCCESS)
}
