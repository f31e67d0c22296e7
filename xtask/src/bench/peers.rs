//! Other servers under the same load, from Debian's packages: message archive and stream management
//! are on, and what would slow the load down on purpose is off; everything else is as packaged.

use super::{
    Bench,
    server::{Peer, free_port},
};
use crate::process::{Fault, Result, at, on_path, succeed};
use std::{fs, path::Path, process::Command};

/// Which server, and what it keeps archives in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Brand {
    /// With its files, its default.
    Prosody,
    ProsodySqlite,
    /// With Mnesia, its default.
    Ejabberd,
    EjabberdSqlite,
}

impl Brand {
    /// As the command line names it.
    pub(super) fn parse(name: &str) -> Result<Self> {
        Ok(match name {
            "prosody" => Self::Prosody,
            "prosody-sqlite" => Self::ProsodySqlite,
            "ejabberd" => Self::Ejabberd,
            "ejabberd-sqlite" => Self::EjabberdSqlite,
            _ => return Err(Fault::new(format!("no peer is called {name}"))),
        })
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Prosody => "prosody",
            Self::ProsodySqlite => "prosody-sqlite",
            Self::Ejabberd => "ejabberd",
            Self::EjabberdSqlite => "ejabberd-sqlite",
        }
    }

    /// Starts it with nothing in it, without TLS.
    pub(super) fn start(self, bench: &Bench) -> Result<Peer> {
        let folder = bench.folder.join(self.name());
        if folder.exists() {
            at(&folder, fs::remove_dir_all(&folder))?;
        }
        at(&folder, fs::create_dir_all(folder.join("data")))?;
        let address = free_port()?;
        let port = address.port();
        let mut command = match self {
            Self::Prosody => prosody(&folder, port, "internal"),
            Self::ProsodySqlite => prosody(&folder, port, "sql"),
            Self::Ejabberd => ejabberd(&folder, port, "mnesia"),
            Self::EjabberdSqlite => ejabberd(&folder, port, "sql"),
        }?;
        bench.spawn(&mut command, address)
    }
}

/// Prosody in the foreground.
fn prosody(folder: &Path, port: u16, storage: &str) -> Result<Command> {
    if !on_path("prosody") {
        return Err(Fault::new("prosody is not installed"));
    }
    let at_folder = folder.display();
    let settings = folder.join("prosody.cfg.lua");
    let text = format!(
        r#"daemonize = false
run_as_root = true
pidfile = "{at_folder}/pid"
log = {{ warn = "*console" }}
data_path = "{at_folder}/data"
interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {port} }}
c2s_direct_tls_ports = {{ }}
modules_disabled = {{ "s2s"; "tls" }}
modules_enabled = {{ "roster"; "saslauth"; "disco"; "private"; "vcard"; "blocklist"; "carbons";
  "ping"; "register"; "offline"; "mam"; "smacks" }}
allow_registration = true
archive_expires_after = "never"
authentication = "internal_hashed"
c2s_require_encryption = false
storage = "{storage}"
sql = {{ driver = "SQLite3", database = "prosody.sqlite" }}
VirtualHost "localhost"
"#
    );
    at(&settings, fs::write(&settings, text))?;
    let mut command = Command::new("prosody");
    command.arg("--config").arg(settings).arg("-F");
    Ok(command)
}

/// The Erlang machine itself, so that the process is the server and no script around it.
fn ejabberd(folder: &Path, port: u16, database: &str) -> Result<Command> {
    let script = Path::new("/usr/sbin/ejabberdctl");
    let script = fs::read_to_string(script).map_err(|_| Fault::new("ejabberd is not installed"))?;
    let at_folder = folder.display();
    let sql = match database {
        "sql" => format!("sql_type: sqlite\nsql_database: \"{at_folder}/ejabberd.sqlite\"\n"),
        _ => String::new(),
    };
    let settings = folder.join("ejabberd.yml");
    let text = format!(
        r#"hosts: ["localhost"]
loglevel: warning
default_db: {database}
{sql}auth_method: internal
auth_password_format: plain
registration_timeout: infinity
listen:
  - port: {port}
    ip: "127.0.0.1"
    module: ejabberd_c2s
    starttls: false
acl:
  local:
    user_regexp: ""
shaper_rules:
  max_user_sessions: 100
  max_user_offline_messages: 100000
modules:
  mod_roster: {{}}
  mod_disco: {{}}
  mod_private: {{}}
  mod_vcard: {{}}
  mod_privacy: {{}}
  mod_blocking: {{}}
  mod_carboncopy: {{}}
  mod_ping: {{}}
  mod_offline: {{}}
  mod_mam:
    default: always
    assume_mam_usage: false
  mod_stream_mgmt: {{}}
  mod_register:
    ip_access: all
"#
    );
    at(&settings, fs::write(&settings, text))?;
    if database == "sql" {
        make_tables(&folder.join("ejabberd.sqlite"))?;
    }
    let mut command = Command::new("erl");
    // Where Debian has put it is known to its own script.
    let libraries = script
        .lines()
        .find_map(|line| line.strip_prefix("ERL_LIBS="));
    if let Some(libraries) = libraries {
        command.env("ERL_LIBS", libraries.trim_matches('\''));
    }
    let mnesia = format!("\"{}\"", folder.join("data").display());
    command
        .args(["-noinput", "-mnesia", "dir", &mnesia, "-s", "ejabberd"])
        .env("EJABBERD_CONFIG_PATH", &settings)
        .env("EJABBERD_LOG_PATH", folder.join("ejabberd.log"))
        .env("HOME", folder)
        .env("ERL_CRASH_DUMP", folder.join("erl_crash.dump"))
        .current_dir(folder);
    Ok(command)
}

/// The tables of the package, which this version does not make by itself.
fn make_tables(database: &Path) -> Result {
    let tables = Path::new("/usr/share/ejabberd/sql/lite.sql");
    let tables = at(tables, fs::File::open(tables))?;
    succeed(Command::new("sqlite3").arg(database).stdin(tables))
}
