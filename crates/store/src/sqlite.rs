//! The embedded back end.
/// SQLite.
#[derive(Debug)]
pub struct SqliteStore;
