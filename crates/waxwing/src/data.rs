//! The data folder: made, locked, and the database in it.

use crate::config::Config;
use crate::files;
use std::fs::{File, TryLockError};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;
use waxwing_engine::{Engine, Env};
use waxwing_store::{SqliteStore, Store};

/// Held by the server that uses a data folder, and by the system given back when it ends.
pub(crate) struct Lock {
    _file: File,
}

/// Makes the folder if it is missing, and makes sure that no other server uses it.
pub(crate) fn lock(config: &Config) -> Result<Lock, String> {
    let folder = &config.data;
    files::create_private_folder(folder)
        .map_err(|e| format!("{}: the data folder cannot be made: {e}", folder.display()))?;
    let path = folder.join("waxwing.lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&path)
        .map_err(|e| format!("{}: cannot be written: {e}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(Lock { _file: file }),
        Err(TryLockError::WouldBlock) => Err(format!(
            "{}: another server runs with this data folder; stop it first, or choose another \
             folder",
            folder.display()
        )),
        Err(TryLockError::Error(e)) => Err(format!("{}: cannot be locked: {e}", path.display())),
    }
}

/// Opens the database; makes it at the first start.
pub(crate) fn open(path: &Path) -> Result<Arc<SqliteStore>, String> {
    SqliteStore::open(path)
        .map(Arc::new)
        .map_err(|e| format!("the database cannot be opened: {e}"))
}

/// The server's logic over the database.
pub(crate) async fn engine(
    config: &Config,
    env: Env,
    store: Arc<dyn Store>,
) -> Result<Engine, String> {
    Engine::new(env, store, config.settings()?)
        .await
        .map_err(|e| {
            format!(
                "{}: the database cannot be used: {e}",
                config.database().display()
            )
        })
}
