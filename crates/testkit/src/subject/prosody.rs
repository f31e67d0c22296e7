//! Prosody (Debian package `prosody`) as an oracle.

use super::{
    DOMAIN, PATIENCE_WITH_OTHERS,
    network::{self, Network, Ports},
    password, secret,
};
use crate::{
    peer::prosody::{self, Settings},
    scenario::Scenario,
};
use std::{fs, path::Path};
use tokio::process::Command;

/// Starts Prosody for one scenario.
pub(super) async fn start(scenario: &Scenario) -> Result<Network, String> {
    let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
    let certificate = network::certificate(&folder)?;
    let ports = network::free_ports(scenario)?;
    write_files(folder.path(), ports, scenario).map_err(|e| e.to_string())?;
    let command = Command::from(prosody::command(folder.path()));
    let network = Network::start(command, folder, ports, certificate).await?;
    Ok(if scenario.prosody_differs.is_some() {
        network.with_patience(PATIENCE_WITH_OTHERS)
    } else {
        network
    })
}

fn write_files(folder: &Path, ports: Ports, scenario: &Scenario) -> std::io::Result<()> {
    let at = folder.display();
    let Ports {
        plain,
        tls,
        components,
    } = ports;
    let component_port = components.map_or_else(String::new, |port| port.to_string());
    // Its service lets only admins make nodes, and these own all of them.
    let owner = scenario.accounts.first().map_or("nobody", String::as_str);
    let service = format!(
        "Component \"pubsub.{DOMAIN}\" \"pubsub\"\n  admins = {{ \"{owner}@{DOMAIN}\" }}\n"
    );
    let settings = Settings {
        port: plain,
        modules: &[
            "tls",
            "time",
            "version",
            "uptime",
            "register",
            "lastactivity",
            "pep",
            "stream_limits",
        ],
        lines: format!(
            r#"c2s_direct_tls_ports = {{ {tls} }}
component_ports = {{ {component_port} }}
authentication = "internal_plain"
c2s_require_encryption = true
ssl = {{ key = "{at}/key.pem"; certificate = "{at}/cert.pem" }}"#
        ),
        components: scenario.components.iter().fold(service, |all, name| {
            let secret = secret(name);
            format!("{all}Component \"{name}\"\n  component_secret = \"{secret}\"\n")
        }),
    };
    prosody::write(folder, &settings)?;
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
