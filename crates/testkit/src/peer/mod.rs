//! Other servers, from Debian's packages, that ours is compared with: one place for their settings,
//! so that every comparison is with the same server.
//!
//! Message archives, also those of rooms, stream management, offline messages and nodes of accounts are on,
//! and what would slow a load down on purpose is off; everything else is as packaged.

mod ejabberd;
pub(crate) mod prosody;

use std::{io, path::Path, process::Command};

/// Which server, and what it keeps archives in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Brand {
    /// With its files, its default.
    Prosody,
    /// With SQLite.
    ProsodySqlite,
    /// With Mnesia, its default.
    Ejabberd,
    /// With SQLite.
    EjabberdSqlite,
}

impl Brand {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Prosody,
        Self::ProsodySqlite,
        Self::Ejabberd,
        Self::EjabberdSqlite,
    ];

    /// As command lines name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Prosody => "prosody",
            Self::ProsodySqlite => "prosody-sqlite",
            Self::Ejabberd => "ejabberd",
            Self::EjabberdSqlite => "ejabberd-sqlite",
        }
    }

    /// The server of a name.
    pub fn parse(name: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|brand| brand.name() == name)
            .ok_or_else(|| format!("no peer is called {name:?}"))
    }

    /// Writes what it needs to serve [`DOMAIN`](crate::subject::DOMAIN) on a port of 127.0.0.1,
    /// without TLS and without accounts, into a folder that is there.
    pub fn prepare(self, folder: &Path, port: u16) -> io::Result<()> {
        match self {
            Self::Prosody => prosody::write_peer(folder, port, "internal"),
            Self::ProsodySqlite => prosody::write_peer(folder, port, "sql"),
            Self::Ejabberd => ejabberd::write(folder, port, ejabberd::Database::Mnesia),
            Self::EjabberdSqlite => ejabberd::write(folder, port, ejabberd::Database::Sqlite),
        }
    }

    /// Runs it in the foreground, as one process, with what was prepared in that folder.
    pub fn command(self, folder: &Path) -> Command {
        match self {
            Self::Prosody | Self::ProsodySqlite => prosody::command(folder),
            Self::Ejabberd | Self::EjabberdSqlite => ejabberd::command(folder),
        }
    }
}
