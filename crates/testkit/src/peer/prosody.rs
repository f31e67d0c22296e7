//! Prosody (Debian package `prosody`; with SQLite also `lua-dbi-sqlite3`).

use crate::subject::DOMAIN;
use std::{fmt::Write as _, fs, io, path::Path, process::Command};

/// What its users need not share.
pub(crate) struct Settings<'a> {
    /// Where clients connect with STARTTLS, or without TLS.
    pub(crate) port: u16,
    /// Modules besides those that everybody needs.
    pub(crate) modules: &'a [&'a str],
    /// Lines before the domain.
    pub(crate) lines: String,
    /// Lines after it.
    pub(crate) components: String,
}

/// What every Prosody of ours has.
const MODULES: [&str; 10] = [
    "roster",
    "saslauth",
    "disco",
    "private",
    "vcard",
    "blocklist",
    "carbons",
    "ping",
    "offline",
    "mam",
];

/// Writes `prosody.cfg.lua` and makes the folder of its data.
pub(crate) fn write(folder: &Path, settings: &Settings<'_>) -> io::Result<()> {
    let at = folder.display();
    let mut modules = String::new();
    for module in MODULES.iter().chain(settings.modules) {
        let _always_written = write!(modules, "\"{module}\"; ");
    }
    let Settings {
        port,
        lines,
        components,
        ..
    } = settings;
    fs::create_dir_all(folder.join("data"))?;
    fs::write(
        folder.join("prosody.cfg.lua"),
        format!(
            r#"daemonize = false
run_as_root = true
pidfile = "{at}/pid"
log = {{ warn = "*console" }}
data_path = "{at}/data"
interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {port} }}
modules_disabled = {{ "s2s" }}
modules_enabled = {{ {modules}}}
archive_expires_after = "never"
{lines}
VirtualHost "{DOMAIN}"
{components}
"#
        ),
    )
}

/// The settings of a peer. Accounts are in files whichever the storage is: a thousand of them are
/// made before anything is measured, and SQLite takes minutes for that.
pub(super) fn write_peer(folder: &Path, port: u16, storage: &str) -> io::Result<()> {
    let settings = Settings {
        port,
        modules: &["register", "smacks", "pep"],
        lines: format!(
            r#"c2s_direct_tls_ports = {{ }}
allow_registration = true
authentication = "internal_plain"
c2s_require_encryption = false
allow_unencrypted_plain_auth = true
default_storage = "{storage}"
storage = {{ accounts = "internal" }}
sql = {{ driver = "SQLite3", database = "prosody.sqlite" }}"#
        ),
        components: format!(
            "Component \"conference.{DOMAIN}\" \"muc\"\nmodules_enabled = {{ \"muc_mam\" }}\n\
             muc_log_by_default = true"
        ),
    };
    write(folder, &settings)
}

/// Runs it in the foreground.
pub(crate) fn command(folder: &Path) -> Command {
    let mut command = Command::new("prosody");
    command
        .arg("--config")
        .arg(folder.join("prosody.cfg.lua"))
        .arg("-F");
    command
}
