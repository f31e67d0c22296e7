//! The built `waxwing`, with a fresh data folder.

use super::{
    DOMAIN,
    accounts::{ITERATIONS, START, credentials},
    network::{self, Network, Ports},
    password, secret,
};
use crate::scenario::Scenario;
use std::{
    ffi::OsString,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};
use tempfile::TempDir;
use waxwing_proto::BareJid;
use waxwing_store::{Accounts, SqliteStore};

/// Names the binary; without it the one of this build is built and used.
const BINARY_VARIABLE: &str = "WAXWING_BINARY";

/// Starts the server for one scenario.
pub(super) async fn start(scenario: &Scenario) -> Result<Network, String> {
    let binary = binary()?;
    let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
    let certificate = network::certificate(&folder)?;
    let ports = network::free_ports(scenario)?;
    let config = config(folder.path(), ports, scenario)?;
    let config_path = folder.path().join("waxwing.toml");
    fs::write(&config_path, config).map_err(|e| e.to_string())?;
    make_accounts(&folder, scenario).await?;
    let mut command = tokio::process::Command::new(binary);
    command.arg("--config").arg(&config_path).arg("run");
    Network::start(command, folder, ports, certificate).await
}

fn config(folder: &Path, ports: Ports, scenario: &Scenario) -> Result<String, String> {
    let at = folder.display();
    let Ports {
        plain,
        tls,
        components: component_port,
    } = ports;
    let listen = component_port.map_or_else(String::new, |port| {
        format!("components = [\"127.0.0.1:{port}\"]")
    });
    let components = scenario.components.iter().fold(String::new(), |all, name| {
        let secret = secret(name);
        format!("{all}[component.\"{name}\"]\nsecret = \"{secret}\"\n")
    });
    let mut limits = format!("scram_iterations = {ITERATIONS}\n");
    let mut registration = String::new();
    let mut push = String::new();
    let mut contact = String::new();
    let mut archive = String::new();
    let mut services = String::new();
    for (name, value) in &scenario.settings {
        // Writing to a string cannot fail.
        let _ = match name.as_str() {
            "registration" => writeln!(registration, "open = {}", value == "open"),
            "push" => {
                let told = value == "all";
                writeln!(
                    push,
                    "tell_count = {told}\ntell_sender = {told}\ntell_body = {told}"
                )
            }
            "archive.search" => writeln!(archive, "search = {value}"),
            "pubsub_service_nodes_max" => writeln!(services, "pubsub_nodes_max = {value}"),
            "pubsub_creators" => writeln!(services, "pubsub_creators = \"{value}\""),
            "room_template" => writeln!(services, "rooms_template = \"{value}\""),
            "contact.abuse" => writeln!(contact, "contact_abuse = [\"{value}\"]"),
            _ if value.bytes().all(|b| b.is_ascii_digit()) => writeln!(limits, "{name} = {value}"),
            _ => return Err(format!("settings: {name}={value} is not known")),
        };
    }
    Ok(format!(
        r#"domains = ["{DOMAIN}"]
data = "{at}/data"
[listen]
starttls = ["127.0.0.1:{plain}"]
direct_tls = ["127.0.0.1:{tls}"]
https = ["127.0.0.1:{tls}"]
metrics = []
{listen}
[federation]
enabled = false
[limits]
{limits}
[registration]
{registration}
[push]
{push}
[archive]
{archive}
[services]
{services}
{components}
[domain."{DOMAIN}"]
certificate = "{at}/cert.pem"
key = "{at}/key.pem"
{contact}"#
    ))
}

/// Writes the accounts into the database before the server opens it.
async fn make_accounts(folder: &TempDir, scenario: &Scenario) -> Result<(), String> {
    let data = folder.path().join("data");
    fs::create_dir(&data).map_err(|e| e.to_string())?;
    let store = SqliteStore::open(data.join("waxwing.sqlite")).map_err(|e| e.to_string())?;
    for user in &scenario.accounts {
        let account = BareJid::parse(&format!("{user}@{DOMAIN}")).map_err(|e| format!("{e:?}"))?;
        store
            .account_create(account, credentials(&password(user))?, START)
            .await
            .map_err(|e| e.to_string())?;
    }
    Ok(())
}

/// The binary to test, built if need be.
fn binary() -> Result<PathBuf, String> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    BUILT
        .get_or_init(|| match std::env::var_os(BINARY_VARIABLE) {
            Some(path) => Ok(PathBuf::from(path)),
            None => build(),
        })
        .clone()
}

/// Cargo does not rebuild another package's binary for a test, and a stale one would mislead.
fn build() -> Result<PathBuf, String> {
    let test = std::env::current_exe().map_err(|e| e.to_string())?;
    // target/PROFILE/deps/TEST
    let profile = test
        .parent()
        .and_then(Path::parent)
        .ok_or("the test is not in a target folder")?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(cargo);
    command.args([
        "build",
        "--quiet",
        "--package",
        "waxwing",
        "--bin",
        "waxwing",
    ]);
    if profile.ends_with("release") {
        command.arg("--release");
    }
    let status = command
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .map_err(|e| e.to_string())?;
    if !status.success() {
        return Err("the server does not build".into());
    }
    Ok(profile.join("waxwing"))
}
