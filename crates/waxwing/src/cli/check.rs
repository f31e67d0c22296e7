//! `waxwing check`: what would go wrong, before it does.

#![expect(
    clippy::print_stdout,
    reason = "a command talks to the person who gave it"
)]

use super::Source;
use crate::config::{Component, Config, Domain};
use crate::net::certificates::{Certificate, CertificateFiles};
use crate::net::tls;
use crate::{data, server};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::process::ExitCode;
use std::time::SystemTime;
use waxwing_store::SqliteStore;

/// Days before its end at which a certificate is worth a warning.
const CERTIFICATE_DAYS_MIN: i64 = 14;

pub(super) fn check(source: &Source, quick: bool) -> Result<ExitCode, String> {
    let config = source.load()?;
    let mut report = Report { failures: 0 };
    report.ok(
        "configuration",
        &format!("{} domain(s)", config.domains.len()),
    );
    for domain in &config.domains {
        report.certificate(&config, domain);
    }
    for (name, component) in &config.components {
        report.component(name, component);
    }
    let running = report.data(&config, quick);
    if running {
        report.ok("ports", "not tried: the server runs");
    } else {
        report.ports(&config);
    }
    Ok(if report.failures == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

struct Report {
    failures: u32,
}

impl Report {
    fn certificate(&mut self, config: &Config, domain: &Domain) {
        let what = format!("certificate of {domain}");
        let files = CertificateFiles::of(config, domain);
        if config.tls.self_signed && !files.chain.exists() && !files.key.exists() {
            self.warn(
                &what,
                "none; a self-signed one will be made, which clients warn about",
            );
            return;
        }
        let certificate = match Certificate::read(files, &tls::provider()) {
            Ok(certificate) => certificate,
            Err(error) => return self.fail(&what, &error),
        };
        if let Ok(metadata) = std::fs::metadata(&certificate.files.key)
            && metadata.permissions().mode() & 0o004 != 0
        {
            let key = certificate.files.key.display();
            self.warn(
                &what,
                &format!("{key} can be read by everybody; chmod 640 {key}"),
            );
        }
        let days = certificate.days_left(SystemTime::now());
        if !certificate.covers(domain.as_str()) {
            let names = certificate.names.join(", ");
            self.fail(
                &what,
                &format!("it is for {names}, not for {domain}; clients will refuse it"),
            );
        } else if days < 0 {
            self.fail(
                &what,
                &format!("it ended {} day(s) ago; renew it", days.saturating_neg()),
            );
        } else if days < CERTIFICATE_DAYS_MIN {
            self.warn(&what, &format!("it ends in {days} day(s); renew it"));
        } else {
            self.ok(&what, &format!("good for {days} days"));
        }
    }

    fn component(&mut self, name: &Domain, component: &Component) {
        let what = format!("component {name}");
        if let Some(file) = &component.secret_file
            && let Ok(metadata) = std::fs::metadata(file)
            && metadata.permissions().mode() & 0o004 != 0
        {
            let file = file.display();
            self.warn(
                &what,
                &format!("{file} can be read by everybody; chmod 640 {file}"),
            );
        }
        match component.read_secret() {
            Ok(_) => self.ok(&what, "has a secret"),
            Err(error) => self.fail(&what, &error),
        }
    }

    /// Whether the server runs, by the way.
    fn data(&mut self, config: &Config, quick: bool) -> bool {
        let what = format!("data folder {}", config.data.display());
        let metadata = match std::fs::metadata(&config.data) {
            Ok(metadata) => metadata,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                self.ok(&what, "will be made at the first start");
                return false;
            }
            Err(e) => {
                self.fail(&what, &e.to_string());
                return false;
            }
        };
        if !metadata.is_dir() {
            self.fail(&what, "is not a folder");
            return false;
        }
        let for_others = metadata.permissions().mode() & 0o077;
        if for_others == 0 {
            self.ok(&what, "only its owner can read it");
        } else {
            let folder = config.data.display();
            self.warn(
                &what,
                &format!("others can look into it; chmod 700 {folder}"),
            );
        }
        let running = match data::lock(config) {
            Ok(_) => false,
            Err(error)
                if std::os::unix::net::UnixStream::connect(config.admin_socket()).is_ok() =>
            {
                drop(error);
                true
            }
            Err(error) => {
                self.fail(&what, &error);
                false
            }
        };
        self.database(config, quick);
        running
    }

    fn database(&mut self, config: &Config, quick: bool) {
        let path = config.database();
        let what = format!("database {}", path.display());
        if !path.exists() {
            return self.ok(&what, "will be made at the first start");
        }
        // What a start would refuse is refused here; the schema stays as it is.
        let checked = SqliteStore::check(&path, !quick).map_err(|e| e.to_string());
        match checked {
            Ok(faults) if faults.is_empty() && quick => {
                self.ok(&what, "can be opened; not looked through");
            }
            Ok(faults) if faults.is_empty() => self.ok(&what, "whole"),
            Ok(faults) => {
                self.fail(
                    &what,
                    &format!("damaged; restore a backup: {}", faults.join("; ")),
                );
            }
            Err(error) => self.fail(&what, &error),
        }
    }

    fn ports(&mut self, config: &Config) {
        let mut seen = Vec::new();
        for (setting, address) in listeners(config) {
            // A port of the system's choice is another one each time.
            if address.port() != 0 && seen.contains(&address) {
                self.fail(
                    &format!("port {address}"),
                    "two listeners have it; give each in [listen] its own",
                );
                continue;
            }
            seen.push(address);
            self.port(setting, address);
            let others = match setting {
                _ if address.ip().is_loopback() => continue,
                "metrics" => "can be reached by others",
                "components" => "can be reached by others, and what passes there is in clear",
                _ => continue,
            };
            self.warn(&format!("listen.{setting}"), &format!("{address} {others}"));
        }
    }

    fn port(&mut self, setting: &str, address: SocketAddr) {
        let what = format!("port {address}");
        match std::net::TcpListener::bind(address) {
            Ok(_) => self.ok(&what, "free"),
            Err(error) => self.fail(&what, &server::listen_error(setting, address, &error)),
        }
    }

    #[expect(clippy::unused_self, reason = "one of three")]
    fn ok(&mut self, what: &str, text: &str) {
        println!("ok    {what}: {text}");
    }

    #[expect(clippy::unused_self, reason = "one of three")]
    fn warn(&mut self, what: &str, text: &str) {
        println!("warn  {what}: {text}");
    }

    fn fail(&mut self, what: &str, text: &str) {
        self.failures += 1;
        println!("FAIL  {what}: {text}");
    }
}

/// The addresses that the server would listen on, with the setting in `[listen]` that each is from.
fn listeners(config: &Config) -> Vec<(&'static str, SocketAddr)> {
    let listen = &config.listen;
    // One port may serve both.
    let https = listen.https.iter();
    let https = https.filter(|address| !listen.direct_tls.contains(address));
    let https: Vec<SocketAddr> = https.copied().collect();
    let (components, federates) = (!config.components.is_empty(), config.federation.enabled);
    [
        ("starttls", &listen.starttls, true),
        ("direct_tls", &listen.direct_tls, true),
        ("plain_on_loopback", &listen.plain_on_loopback, true),
        ("https", &https, true),
        ("http", &listen.http, true),
        ("metrics", &listen.metrics, true),
        ("components", &listen.components, components),
        ("servers", &listen.servers, federates),
        ("servers_direct_tls", &listen.servers_direct_tls, federates),
    ]
    .into_iter()
    .filter(|(_, _, used)| *used)
    .flat_map(|(setting, addresses, _)| addresses.iter().map(move |address| (setting, *address)))
    .collect()
}
