//! Prosody (Debian package `prosody`) as an oracle.

use super::{
    DOMAIN,
    network::{self, Network, Ports},
    password, secret,
};
use crate::scenario::Scenario;
use std::{fs, path::Path};
use tokio::process::Command;

/// Starts Prosody for one scenario.
pub(super) async fn start(scenario: &Scenario) -> Result<Network, String> {
    let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
    let certificate = network::certificate(&folder)?;
    let ports = network::free_ports(scenario)?;
    write_files(folder.path(), ports, scenario).map_err(|e| e.to_string())?;
    let mut command = Command::new("prosody");
    command
        .arg("--config")
        .arg(folder.path().join("prosody.cfg.lua"));
    Network::start(command, folder, ports, certificate).await
}

fn write_files(folder: &Path, ports: Ports, scenario: &Scenario) -> std::io::Result<()> {
    let at = folder.display();
    let Ports {
        plain,
        tls,
        components: component_port,
    } = ports;
    let component_port = component_port.map_or_else(String::new, |port| port.to_string());
    let components = scenario.components.iter().fold(String::new(), |all, name| {
        let secret = secret(name);
        format!("{all}Component \"{name}\"\n  component_secret = \"{secret}\"\n")
    });
    fs::write(
        folder.join("prosody.cfg.lua"),
        format!(
            r#"daemonize = false
run_as_root = true
pidfile = "{at}/pid"
log = {{ warn = "*console" }}
data_path = "{at}/data"
interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {plain} }}
c2s_direct_tls_ports = {{ {tls} }}
component_ports = {{ {component_port} }}
modules_disabled = {{ "s2s" }}
modules_enabled = {{ "roster"; "saslauth"; "tls"; "disco"; "private"; "vcard";
  "blocklist"; "carbons"; "ping"; "time"; "version"; "uptime"; "register"; "lastactivity";
  "offline"; "pep"; "mam"; "stream_limits" }}
authentication = "internal_plain"
archive_expires_after = "never"
c2s_require_encryption = true
ssl = {{ key = "{at}/key.pem"; certificate = "{at}/cert.pem" }}
VirtualHost "{DOMAIN}"
{components}
"#
        ),
    )?;
    let accounts = folder.join("data").join(DOMAIN).join("accounts");
    fs::create_dir_all(&accounts)?;
    for user in &scenario.accounts {
        fs::write(
            accounts.join(format!("{}.dat", file_name(user))),
            format!("return {{ [\"password\"] = \"{}\"; }};", password(user)),
        )?;
    }
    Ok(())
}

/// As Prosody's storage names files: letters and digits stay, the rest is percent-encoded.
fn file_name(user: &str) -> String {
    user.bytes().fold(String::new(), |name, byte| {
        if byte.is_ascii_alphanumeric() {
            name + char::from(byte).encode_utf8(&mut [0; 4])
        } else {
            format!("{name}%{byte:02x}")
        }
    })
}
