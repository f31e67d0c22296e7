//! Prosody (Debian package `prosody`): message archive and stream management are on, everything
//! else is as packaged.

use std::{fs, path::Path};
use tokio::process::Command;
use waxwing_testkit::subject::DOMAIN;

/// Writes `prosody.cfg.lua`.
pub(crate) fn write_settings(folder: &Path, port: u16) -> std::io::Result<()> {
    let at = folder.display();
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
c2s_direct_tls_ports = {{ }}
modules_disabled = {{ "s2s"; "tls" }}
modules_enabled = {{ "roster"; "saslauth"; "disco"; "private"; "vcard"; "blocklist"; "carbons";
  "ping"; "register"; "offline"; "mam"; "smacks" }}
allow_registration = true
archive_expires_after = "never"
authentication = "internal_hashed"
c2s_require_encryption = false
VirtualHost "{DOMAIN}"
"#
        ),
    )
}

/// Starts it in the foreground.
pub(crate) fn command(folder: &Path) -> Command {
    let mut command = Command::new("prosody");
    command
        .arg("--config")
        .arg(folder.join("prosody.cfg.lua"))
        .arg("-F");
    command
}
