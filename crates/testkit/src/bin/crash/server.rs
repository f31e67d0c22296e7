//! The server under test: a process of its own, with its own folder and port, that can be killed.

use crate::waxwing;
use rustix::process::{Pid, Signal, kill_process};
use std::{
    fs::File,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use tokio::{
    net::TcpStream,
    process::{Child, Command},
    time::{Instant, timeout},
};
use waxwing_store::{KILL_POINT_VARIABLE, KillPoint};
use waxwing_testkit::{
    client::{Client, Connected},
    peer,
    subject::free_port,
};

/// How long a server may take to start before it is given up.
const START_MAX: Duration = Duration::from_mins(1);
/// How often it is asked whether it listens.
const POLL: Duration = Duration::from_millis(2);

/// Which server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Brand {
    Waxwing,
    Peer(peer::Brand),
}

impl Brand {
    /// As the command line names it.
    pub(crate) fn parse(name: &str) -> Result<Self, String> {
        match name {
            "waxwing" => Ok(Self::Waxwing),
            _ => peer::Brand::parse(name).map(Self::Peer),
        }
    }
}

/// Which binaries of ours to run.
#[derive(Debug, Clone)]
pub(crate) struct Binaries {
    /// For kills from outside.
    pub(crate) plain: PathBuf,
    /// One that has kill points; none if it is not to be used.
    pub(crate) with_points: Option<PathBuf>,
}

/// A place where the server dies by itself, and the how manieth passing there.
pub(crate) type Death = (KillPoint, u32);

/// How a start ended.
pub(crate) enum Started {
    /// It listens, after this time.
    Open(Duration),
    /// It has died as it was told to.
    Died,
}

/// One server.
pub(crate) struct Server {
    brand: Brand,
    binaries: Binaries,
    folder: PathBuf,
    port: u16,
    child: Option<Child>,
    /// When it was started last.
    pub(crate) started: Instant,
}

impl Server {
    /// Writes its settings into `folder`, which is new.
    pub(crate) fn prepare(brand: Brand, binaries: Binaries, folder: &Path) -> Result<Self, String> {
        let port = free_port()?;
        if folder.exists() {
            return Err(format!("{} is of another run", folder.display()));
        }
        std::fs::create_dir_all(folder).map_err(|error| error.to_string())?;
        let written = match brand {
            Brand::Waxwing => waxwing::write_settings(folder, port),
            Brand::Peer(peer) => peer.prepare(folder, port),
        };
        written.map_err(|error| error.to_string())?;
        Ok(Self {
            brand,
            binaries,
            folder: folder.to_owned(),
            port,
            child: None,
            started: Instant::now(),
        })
    }

    /// Starts it and waits until it listens, or has died at the place given.
    pub(crate) async fn start(&mut self, death: Option<Death>) -> Result<Started, String> {
        let mut command = self.command(death)?;
        let log = self.folder.join("server.log");
        let log = File::options().create(true).append(true).open(log);
        let log = log.map_err(|error| error.to_string())?;
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(|error| error.to_string())?)
            .stderr(log)
            .kill_on_drop(true);
        self.started = Instant::now();
        let child = command.spawn();
        let child = self.child.insert(child.map_err(|error| error.to_string())?);
        loop {
            if TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))
                .await
                .is_ok()
            {
                return Ok(Started::Open(self.started.elapsed()));
            }
            let ended = child.try_wait().map_err(|error| error.to_string())?;
            if let Some(status) = ended {
                self.child = None;
                return match death {
                    Some(_) => Ok(Started::Died),
                    None => Err(format!("the server ended at once, {status}; see its log")),
                };
            }
            if self.started.elapsed() > START_MAX {
                return Err("the server does not listen; see its log".into());
            }
            tokio::time::sleep(POLL).await;
        }
    }

    fn command(&self, death: Option<Death>) -> Result<Command, String> {
        let mut command = match self.brand {
            Brand::Waxwing => {
                let binary = match death {
                    Some(_) => self.binaries.with_points.as_ref(),
                    None => Some(&self.binaries.plain),
                };
                let mut command = Command::new(binary.ok_or("no binary has kill points")?);
                command
                    .arg("--config")
                    .arg(self.folder.join("waxwing.toml"));
                command.arg("run");
                command
            }
            Brand::Peer(peer) => peer.command(&self.folder).into(),
        };
        if let Some((point, nth)) = death {
            command.env(KILL_POINT_VARIABLE, format!("{}:{nth}", point.name()));
        }
        Ok(command)
    }

    /// Kills it, without a word.
    pub(crate) async fn kill(&mut self) -> Result<(), String> {
        self.end(Signal::KILL).await
    }

    /// Lets it end in good order.
    pub(crate) async fn stop(&mut self) -> Result<(), String> {
        self.end(Signal::TERM).await
    }

    async fn end(&mut self, signal: Signal) -> Result<(), String> {
        let Some(mut child) = self.child.take() else {
            return Ok(());
        };
        let id = child.id().and_then(|id| id.try_into().ok());
        if let Some(pid) = id.and_then(Pid::from_raw) {
            kill_process(pid, signal).map_err(|error| error.to_string())?;
        }
        child.wait().await.map_err(|error| error.to_string())?;
        Ok(())
    }

    /// Waits until it has died by itself; false if it has not within `patience`.
    pub(crate) async fn dies(&mut self, patience: Duration) -> bool {
        match &mut self.child {
            None => true,
            Some(child) => match timeout(patience, child.wait()).await {
                Ok(_) => {
                    self.child = None;
                    true
                }
                Err(_) => false,
            },
        }
    }

    /// A new connection.
    pub(crate) fn connector(&self) -> Connector {
        Connector { port: self.port }
    }
}

/// Makes connections to a server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Connector {
    port: u16,
}

impl Connector {
    /// A new connection, plain: what is tested is behind TLS, and plain is cheap. When it is
    /// dropped the server sees a reset, as of a phone whose network changes.
    pub(crate) async fn connect(self) -> Result<Client, String> {
        let wire = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await;
        let wire = wire.map_err(|error| error.to_string())?;
        wire.set_nodelay(true).map_err(|error| error.to_string())?;
        rustix::net::sockopt::set_socket_linger(&wire, Some(Duration::ZERO))
            .map_err(|error| error.to_string())?;
        Ok(Client::new(Connected {
            wire: Box::new(wire),
            bindings: waxwing_proto::sasl::ChannelBindings::default(),
        }))
    }
}
