//! A server in another process, on loopback.

use super::{DOMAIN, PATIENCE};
use crate::{
    client::{Connected, Wire},
    scenario::{Fate, Scenario},
};
use rcgen::CertifiedKey;
use rustix::process::{Pid, Signal, kill_process};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName},
};
use std::{
    cell::RefCell,
    fs::File,
    net::Ipv4Addr,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use tempfile::TempDir;
use tokio::{
    net::TcpStream,
    process::{Child, Command},
    sync::Mutex,
    time::Instant,
};
use tokio_rustls::TlsConnector;
use waxwing_proto::sasl::{ChannelBindings, Hash};

/// How long a server may take to start.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// Where a process listens on loopback.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ports {
    /// STARTTLS.
    pub(super) plain: u16,
    /// TLS from the first byte.
    pub(super) tls: u16,
    /// External components, if the scenario has any.
    pub(super) components: Option<u16>,
}

/// A process that listens on some ports of loopback.
pub struct Network {
    ports: Ports,
    connector: TlsConnector,
    command: RefCell<Command>,
    /// Ends with this value.
    process: Mutex<Child>,
    patience: Duration,
    /// Its files; removed with this value.
    folder: TempDir,
}

fn spawn(command: &mut Command) -> Result<Child, String> {
    command
        .spawn()
        .map_err(|error| format!("the server cannot be started: {error}"))
}

/// Ports that nobody listens on, which no other call in this process gets.
pub(super) fn free_ports(scenario: &Scenario) -> Result<Ports, String> {
    let has_components = !scenario.components.is_empty();
    Ok(Ports {
        plain: free_port()?,
        tls: free_port()?,
        components: has_components.then(free_port).transpose()?,
    })
}

/// Below the ports that systems give to outgoing connections: one of those could be taken by a
/// client of another scenario before the server has it.
const PORTS: std::ops::Range<u16> = 11_000..31_000;

/// A port of loopback that nobody listens on, and that no other call in this process gets.
pub fn free_port() -> Result<u16, String> {
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    let count = u32::from(PORTS.end - PORTS.start);
    for _ in 0..count {
        // Two runs at a time begin at different places.
        let place = std::process::id().wrapping_add(TAKEN.fetch_add(1, Ordering::Relaxed));
        let offset = u16::try_from(place % count).map_err(|error| error.to_string())?;
        let port = PORTS.start + offset;
        if std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    Err("no port is free".to_owned())
}

/// A certificate for the domain, with its files `cert.pem` and `key.pem` in `folder`.
pub(super) fn certificate(folder: &TempDir) -> Result<CertificateDer<'static>, String> {
    let CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed([DOMAIN.to_owned()]).map_err(|e| e.to_string())?;
    for (name, text) in [
        ("cert.pem", cert.pem()),
        ("key.pem", signing_key.serialize_pem()),
    ] {
        std::fs::write(folder.path().join(name), text).map_err(|e| e.to_string())?;
    }
    Ok(cert.der().clone())
}

impl Network {
    /// Starts the process and waits until it listens. Its output goes to `log` in the folder.
    pub(super) async fn start(
        mut command: Command,
        folder: TempDir,
        ports: Ports,
        certificate: CertificateDer<'static>,
    ) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        roots.add(certificate).map_err(|e| e.to_string())?;
        let config = ClientConfig::builder_with_provider(Arc::new(
            rustls::crypto::aws_lc_rs::default_provider(),
        ))
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
        let log = File::create(folder.path().join("log")).map_err(|e| e.to_string())?;
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(|e| e.to_string())?)
            .stderr(log)
            .kill_on_drop(true);
        let process = spawn(&mut command)?;
        let network = Self {
            ports,
            connector: TlsConnector::from(Arc::new(config)),
            command: RefCell::new(command),
            process: Mutex::new(process),
            patience: PATIENCE,
            folder,
        };
        network.listens().await?;
        Ok(network)
    }

    /// The same with another patience.
    pub(super) fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// How long to wait for what must come.
    pub(super) fn patience(&self) -> Duration {
        self.patience
    }

    /// Waits until the process takes connections.
    async fn listens(&self) -> Result<(), String> {
        let deadline = Instant::now() + START_TIMEOUT;
        let Ports {
            plain,
            tls,
            components,
        } = self.ports;
        for port in [Some(plain), Some(tls), components].into_iter().flatten() {
            while TcpStream::connect((Ipv4Addr::LOCALHOST, port))
                .await
                .is_err()
            {
                if let Ok(Some(status)) = self.process.lock().await.try_wait() {
                    return Err(format!(
                        "the server ended at once, {status}: {}",
                        self.log()
                    ));
                }
                if Instant::now() > deadline {
                    return Err(format!("the server does not listen: {}", self.log()));
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        Ok(())
    }

    pub(super) async fn suffer(&self, fate: Fate) -> Result<(), String> {
        if fate == Fate::Starts {
            // One that stops in good order takes its time.
            let ended = self.process.lock().await.wait().await;
            ended.map_err(|e| e.to_string())?;
            let started = spawn(&mut self.command.borrow_mut())?;
            *self.process.lock().await = started;
            return self.listens().await;
        }
        let mut process = self.process.lock().await;
        let pid = process.id().and_then(|id| id.try_into().ok());
        let pid = pid
            .and_then(Pid::from_raw)
            .ok_or("the server has ended already")?;
        let signal = match fate {
            Fate::Stops => Signal::TERM,
            Fate::Starts | Fate::Crashes => Signal::KILL,
        };
        kill_process(pid, signal).map_err(|e| e.to_string())?;
        if fate == Fate::Crashes {
            process.wait().await.map_err(|e| e.to_string())?;
        }
        Ok(())
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    pub(super) async fn connect(&self, plain: bool) -> Result<Connected, String> {
        let port = if plain {
            self.ports.plain
        } else {
            self.ports.tls
        };
        let tcp = TcpStream::connect((Ipv4Addr::LOCALHOST, port))
            .await
            .map_err(|e| e.to_string())?;
        tcp.set_nodelay(true).map_err(|e| e.to_string())?;
        if plain {
            return Ok(Connected {
                wire: Box::new(tcp),
                bindings: ChannelBindings::default(),
            });
        }
        self.upgrade(Box::new(tcp)).await
    }

    pub(super) async fn connect_component(&self) -> Result<Connected, String> {
        let port = self.ports.components.ok_or("there are no components")?;
        let tcp = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await;
        Ok(Connected {
            wire: Box::new(tcp.map_err(|e| e.to_string())?),
            bindings: ChannelBindings::default(),
        })
    }

    pub(super) async fn upgrade(&self, wire: Box<dyn Wire>) -> Result<Connected, String> {
        let name = ServerName::try_from(DOMAIN).map_err(|e| e.to_string())?;
        let tls = self
            .connector
            .connect(name, wire)
            .await
            .map_err(|e| e.to_string())?;
        // The exporter needs TLS 1.3 (RFC 9266 § 2), which both sides have here.
        let exporter = tls
            .get_ref()
            .1
            .export_keying_material([0; 32], b"EXPORTER-Channel-Binding", None)
            .map_err(|e| e.to_string())?;
        // The certificates of tests are signed with SHA-256 (RFC 5929 § 4.1).
        let end_point = tls.get_ref().1.peer_certificates().and_then(|chain| {
            let leaf = chain.first()?;
            Some(Hash::Sha256.digest(leaf))
        });
        Ok(Connected {
            wire: Box::new(tls),
            bindings: ChannelBindings {
                exporter: Some(exporter.to_vec()),
                server_end_point: end_point,
            },
        })
    }
}
