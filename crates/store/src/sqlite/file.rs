//! The database file: created as a whole, judged before it is used, copied for backups.

use super::{
    connection::{APPLICATION_ID, Connection},
    migrate,
};
use crate::{KillPoint, Result, StoreError, kill_point, sql::Executor};
use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Read},
    path::{Path, PathBuf},
};

/// Files up to this size are looked through for damage at each start; larger ones would delay it,
/// and are judged page by page as they are read.
const CHECKED_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// First bytes of a log, in either byte order of its checksums.
const LOG_MAGIC: [[u8; 4]; 2] = [[0x37, 0x7f, 0x06, 0x82], [0x37, 0x7f, 0x06, 0x83]];

/// The writer's connection to the database at `path`.
pub(super) fn open_or_create(path: &Path) -> Result<Connection> {
    match fs::metadata(path) {
        Ok(_) => judge(path)?,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            if beside(path, "-wal").exists() {
                return Err(refused(path, "is missing, but its log (-wal) is there"));
            }
            create(path)?;
        }
        Err(error) => return Err(io_error(path, &error)),
    }
    let open = || {
        let mut connection = Connection::open_writer(path)?;
        connection.use_wal()?;
        migrate(&mut connection)?;
        Ok(connection)
    };
    open().map_err(|error: StoreError| {
        StoreError::Backend(format!("{}: {error}", path.display()).into())
    })
}

/// Refuses a file that is damaged or not ours, before anything is written to it.
pub(super) fn judge(path: &Path) -> Result<()> {
    let found = fs::metadata(path).map_err(|error| io_error(path, &error))?;
    let bytes = found.len();
    if bytes == 0 {
        return Err(refused(path, "is empty, though a database never is"));
    }
    judge_log(path)?;
    let look = || {
        let connection = Connection::open(path)?;
        let application = connection.pragma("application_id")?;
        let damage = if bytes <= CHECKED_BYTES_MAX {
            connection.integrity()?
        } else {
            Vec::new()
        };
        Ok((application, damage))
    };
    match look() {
        Ok((APPLICATION_ID, damage)) if damage.is_empty() => Ok(()),
        Ok((APPLICATION_ID, damage)) => Err(refused(
            path,
            &format!("is damaged ({})", damage.join("; ")),
        )),
        Ok(_) => Err(refused(path, "is not a database of Waxwing")),
        // A full disk ends here as well: nothing may be said that makes somebody move a good file.
        Err(StoreError::Backend(error)) => Err(refused(
            path,
            &format!(
                "cannot be read ({error}); if its disk has room, works, and lets the server read it"
            ),
        )),
        Err(error) => Err(error),
    }
}

/// Refuses a log that is not one: SQLite would ignore it silently, and with it the newest commits.
fn judge_log(path: &Path) -> Result<()> {
    let log = beside(path, "-wal");
    let mut magic = [0; 4];
    let read = File::open(&log).and_then(|mut file| file.read_exact(&mut magic));
    match read {
        Ok(()) if LOG_MAGIC.contains(&magic) => Ok(()),
        // A power cut may leave the length without the bytes; then nothing was committed to it.
        Ok(()) if magic == [0; 4] => Ok(()),
        Ok(()) => Err(refused(&log, "is damaged, and the newest data with it")),
        // No log, or one of which not even the header was written: nothing was committed to it.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::UnexpectedEof) => {
            Ok(())
        }
        Err(error) => Err(io_error(&log, &error)),
    }
}

/// Makes the database under another name and gives it its own when it is complete: a kill at any
/// moment leaves no file or a usable one.
fn create(path: &Path) -> Result<()> {
    let unfinished = beside(path, &format!(".{}.new", std::process::id()));
    remove_if_there(&unfinished)?;
    let create = || {
        create_private(&unfinished)?;
        let mut connection = Connection::open(&unfinished)?;
        connection.script(&format!("PRAGMA application_id = {APPLICATION_ID}"))?;
        migrate(&mut connection)?;
        drop(connection);
        kill_point(KillPoint::Publish);
        publish(&unfinished, path)
    };
    let made = create();
    remove_if_there(&unfinished)?;
    match made {
        // Another process was quicker; its database is as good.
        Err(StoreError::Exists) => Ok(()),
        other => other,
    }
}

/// A consistent copy of the database at `path`, complete before it gets its name.
pub(super) fn backup(path: &Path, to: &Path) -> Result<()> {
    if to.exists() {
        return Err(StoreError::Exists);
    }
    let unfinished = beside(to, &format!(".{}.part", std::process::id()));
    let Some(name) = unfinished.to_str() else {
        return Err(refused(to, "has a name that is not UTF-8"));
    };
    remove_if_there(&unfinished)?;
    let copy = || {
        create_private(&unfinished)?;
        Connection::open(path)?.vacuum_into(name)?;
        publish(&unfinished, to)
    };
    let copied = copy();
    remove_if_there(&unfinished)?;
    copied
}

/// Brings a complete file to disk and gives it its name, unless that is taken.
fn publish(unfinished: &Path, path: &Path) -> Result<()> {
    let publish = || {
        File::open(unfinished)?.sync_all()?;
        // A link, not a rename, which would replace what is there.
        match fs::hard_link(unfinished, path) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists && !path.exists() => {
                // This file system has no links.
                fs::rename(unfinished, path)?;
            }
            linked => linked?,
        }
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    };
    publish().map_err(|error| io_error(path, &error))
}

/// An empty file for its owner only; SQLite gives the same mode to the files beside it.
fn create_private(path: &Path) -> Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
        .open(path)
        .map(drop)
        .map_err(|error| io_error(path, &error))
}

fn remove_if_there(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(io_error(path, &error)),
        _ => Ok(()),
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

fn refused(path: &Path, why: &str) -> StoreError {
    StoreError::Backend(
        format!(
            "{} {why}: restore it from a backup, or move it away to begin anew; it was left as it is",
            path.display()
        )
        .into(),
    )
}

fn io_error(path: &Path, error: &io::Error) -> StoreError {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => StoreError::Full,
        ErrorKind::AlreadyExists => StoreError::Exists,
        _ => StoreError::Backend(format!("{}: {error}", path.display()).into()),
    }
}
