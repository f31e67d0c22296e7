//! ejabberd (Debian package `ejabberd`; with SQLite also `erlang-p1-sqlite3`).

use crate::subject::DOMAIN;
use std::{fs, io, path::Path, process::Command};

/// What it keeps everything but accounts in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Database {
    Mnesia,
    Sqlite,
}

/// Writes `ejabberd.yml`, with room for many connections that come at once: the default of five
/// makes the kernel drop the others, and a client that is dropped some times waits for a minute.
/// Makes the folder of Mnesia and the tables of SQLite.
pub(super) fn write(folder: &Path, port: u16, database: Database) -> io::Result<()> {
    let at = folder.display();
    fs::create_dir_all(folder.join("mnesia"))?;
    let (database, sql) = match database {
        Database::Mnesia => ("mnesia", String::new()),
        Database::Sqlite => {
            make_tables(&folder.join("ejabberd.sqlite"))?;
            let sql = format!("sql_type: sqlite\nsql_database: \"{at}/ejabberd.sqlite\"\n");
            ("sql", sql)
        }
    };
    fs::write(
        folder.join("ejabberd.yml"),
        format!(
            r#"hosts: ["{DOMAIN}"]
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
    backlog: 1000
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
  mod_muc:
    max_users: 5000
    max_user_conferences: 1000
    default_room_options:
      mam: true
      max_users: 5000
  mod_stream_mgmt: {{}}
  mod_caps: {{}}
  mod_pubsub:
    plugins: [flat, pep]
    ignore_pep_from_offline: false
  mod_register:
    ip_access: all
"#
        ),
    )
}

/// The tables of the package, which this version does not make by itself.
fn make_tables(path: &Path) -> io::Result<()> {
    let tables = fs::read_to_string("/usr/share/ejabberd/sql/lite.sql")?;
    let made = rusqlite::Connection::open(path).and_then(|db| db.execute_batch(&tables));
    made.map_err(io::Error::other)
}

/// Starts the Erlang machine itself, so that the process is the server and no script around it.
pub(super) fn command(folder: &Path) -> Command {
    let mut command = Command::new("erl");
    // Where Debian has put it is known to its own script.
    let script = fs::read_to_string("/usr/sbin/ejabberdctl").unwrap_or_default();
    let libraries = script
        .lines()
        .find_map(|line| line.strip_prefix("ERL_LIBS="));
    if let Some(libraries) = libraries {
        command.env("ERL_LIBS", libraries.trim_matches('\''));
    }
    let mnesia = format!("\"{}\"", folder.join("mnesia").display());
    command
        .args(["-noinput", "-mnesia", "dir", &mnesia, "-s", "ejabberd"])
        .env("EJABBERD_CONFIG_PATH", folder.join("ejabberd.yml"))
        .env("EJABBERD_LOG_PATH", folder.join("ejabberd.log"))
        .env("HOME", folder)
        .env("ERL_CRASH_DUMP", folder.join("erl_crash.dump"))
        .current_dir(folder);
    command
}
