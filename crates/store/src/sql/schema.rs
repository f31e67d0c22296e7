//! Migrations: each is one transaction that also writes its number, so that a kill between any two
//! leaves a database that the next start takes on from there.

use super::{Executor, damaged};
use crate::{KillPoint, Result, StoreError, kill_point};

/// The migrations in order; number 1 is the first.
pub(crate) const MIGRATIONS: &[&str] = &[
    include_str!("../../migrations/0001_init.sql"),
    include_str!("../../migrations/0002_archive.sql"),
    include_str!("../../migrations/0003_pubsub.sql"),
    include_str!("../../migrations/0004_resend.sql"),
    include_str!("../../migrations/0005_outgoing.sql"),
    include_str!("../../migrations/0006_rooms.sql"),
    include_str!("../../migrations/0007_pubsub_service.sql"),
    include_str!("../../migrations/0008_room_people.sql"),
    include_str!("../../migrations/0009_uploads.sql"),
];

const CREATE_VERSIONS: &str =
    "CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL PRIMARY KEY)";
const VERSION: &str = "SELECT coalesce(max(version), 0) FROM schema_version";
const SET_VERSION: &str = "INSERT INTO schema_version (version) VALUES (?1)";
const BEGIN: &str = "BEGIN IMMEDIATE";
const COMMIT: &str = "COMMIT";
const ROLLBACK: &str = "ROLLBACK";

/// Brings the schema up to date. Refuses a schema newer than `migrations`, unchanged.
pub(crate) fn migrate(db: &mut dyn Executor, migrations: &[&str]) -> Result<()> {
    loop {
        db.execute(BEGIN, &[])?;
        // The version is read inside the transaction: two processes may start at once.
        match step(db, migrations) {
            Ok(true) => db.execute(COMMIT, &[])?,
            Ok(false) => {
                db.execute(ROLLBACK, &[])?;
                return Ok(());
            }
            Err(error) => {
                // The error tells more than a failed rollback would; closing undoes it as well.
                let _ = db.execute(ROLLBACK, &[]);
                return Err(error);
            }
        };
    }
}

/// Does the next migration; false when there is none left.
fn step(db: &mut dyn Executor, migrations: &[&str]) -> Result<bool> {
    db.execute(CREATE_VERSIONS, &[])?;
    let done = judge(db, migrations)?;
    let Some(migration) = migrations.get(done) else {
        return Ok(false);
    };
    db.script(migration)?;
    db.execute(SET_VERSION, &[super::bound(done + 1).into()])?;
    kill_point(KillPoint::Migration);
    Ok(true)
}

/// How many migrations were done; refuses a schema newer than `migrations`.
pub(crate) fn judge(db: &mut dyn Executor, migrations: &[&str]) -> Result<usize> {
    let mut row = db
        .query_first(VERSION, &[])?
        .ok_or_else(|| damaged("no schema version"))?;
    let done = usize::try_from(row.count()?).unwrap_or(usize::MAX);
    if done > migrations.len() {
        return Err(StoreError::Backend(
            format!(
                "the database was written by a newer Waxwing (its schema is {done}, this one knows \
                 {}): start that one, or restore the backup made before the upgrade",
                migrations.len()
            )
            .into(),
        ));
    }
    Ok(done)
}
