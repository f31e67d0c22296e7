//! Servers that are measured: settings, start and end.

use super::Bench;
use crate::process::{Fault, Result, at, program};
use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

impl Bench {
    /// Waxwing with an ordinary configuration, but for limits that protect against just this.
    pub(super) fn server(&self, transport: &str) -> Result<Peer> {
        let data = self.data();
        if data.exists() {
            at(&data, std::fs::remove_dir_all(&data))?;
        }
        let certificates = data.join("certificates");
        at(&certificates, std::fs::create_dir_all(&certificates))?;
        for (from, to) in [
            ("certificate.pem", "localhost.crt"),
            ("key.pem", "localhost.key"),
        ] {
            let from = self.folder.join(from);
            at(&from, std::fs::copy(&from, certificates.join(to)))?;
        }
        self.restart(transport)
    }

    /// Where our server keeps its data.
    pub(super) fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Waxwing with the data that are there.
    pub(super) fn restart(&self, transport: &str) -> Result<Peer> {
        let data = self.data();
        let address = free_port()?;
        let settings = self.folder.join("waxwing.toml");
        at(
            &settings,
            std::fs::write(&settings, configuration(&data, transport, address)),
        )?;
        let mut command = program(self.profile, "waxwing");
        command.args(["run", "--config"]).arg(&settings);
        self.spawn(&mut command, address)
    }

    /// Another server with nothing in it, which the load generator becomes: its settings are a
    /// module of the testkit, for all who compare ours with it.
    pub(super) fn peer(&self, name: &str) -> Result<Peer> {
        let folder = self.folder.join(name);
        if folder.exists() {
            at(&folder, std::fs::remove_dir_all(&folder))?;
        }
        at(&folder, std::fs::create_dir_all(&folder))?;
        let address = free_port()?;
        let mut command = program(self.profile, "load");
        command.args(["peer", "--peer", name, "--address", &address.to_string()]);
        command.arg("--folder").arg(&folder);
        self.spawn(&mut command, address)
    }

    /// Starts a server and waits until it listens there.
    fn spawn(&self, command: &mut Command, address: SocketAddr) -> Result<Peer> {
        let log = self.folder.join("server.log");
        let log = at(&log, std::fs::File::create(&log))?;
        let process = command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let mut peer = Peer { process, address };
        peer.wait_until_open(&self.folder)?;
        Ok(peer)
    }
}

fn configuration(data: &Path, transport: &str, address: SocketAddr) -> String {
    let listener = match transport {
        "plain" => "plain_on_loopback",
        _ => "direct_tls",
    };
    let others = match transport {
        "plain" => "direct_tls = []",
        _ => "",
    };
    format!(
        "domains = [\"localhost\"]\n\
         data = \"{}\"\n\
         [listen]\n\
         starttls = []\n\
         {listener} = [\"{address}\"]\n\
         {others}\n\
         metrics = []\n\
         [limits]\n\
         unauthenticated_per_address_max = 1000\n\
         sessions_per_account_max = 1000\n\
         scram_iterations = 8\n\
         room_messages_per_second_max = 1000000\n\
         room_presences_per_minute_max = 1000000\n\
         [registration]\n\
         open = true\n\
         per_address_hour_max = 100000\n\
         [federation]\n\
         enabled = false\n\
         [log]\n\
         level = \"warn\"\n",
        data.display()
    )
}

/// A port of 127.0.0.1 that nobody uses now.
fn free_port() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// A program that is stopped, and waited for, when this goes out of scope.
pub(super) struct Peer {
    pub(super) process: Child,
    pub(super) address: SocketAddr,
}

impl Peer {
    fn wait_until_open(&mut self, folder: &Path) -> Result {
        let start = Instant::now();
        while TcpStream::connect(self.address).is_err() {
            let gone = self.process.try_wait()?.is_some();
            if gone || start.elapsed() > Duration::from_secs(30) {
                let log = std::fs::read_to_string(folder.join("server.log")).unwrap_or_default();
                return Err(Fault::new(format!("the server does not answer:\n{log}")));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _gone_already = self.process.kill();
        let _status = self.process.wait();
    }
}
