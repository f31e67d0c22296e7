//! `cargo xtask bench`: what the server costs, beside a bare relay in the same session.
//!
//! Each figure is the server process's own, as the kernel counts it, because load generator and
//! server share the machine. Repetitions of server and relay alternate, so that a change of the
//! machine's mood meets both.

use crate::process::{Fault, Result, at, build_programs, output, program, target};
use std::{
    io::{BufRead as _, BufReader},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// How much to do.
pub(crate) struct Plan {
    profile: &'static str,
    pairs: &'static str,
    messages: &'static str,
    sessions: &'static str,
    accounts: &'static str,
    repetitions: usize,
}

impl Plan {
    /// The real thing, with release builds.
    const FULL: Self = Self {
        profile: "release",
        pairs: "50",
        messages: "300000",
        sessions: "5000",
        accounts: "500",
        repetitions: 3,
    };
    /// Shows that it runs, with the builds that the tests made.
    pub(crate) const SMOKE: Self = Self {
        profile: "dev",
        pairs: "5",
        messages: "1000",
        sessions: "20",
        accounts: "5",
        repetitions: 1,
    };
}

/// `cargo xtask bench [--smoke]`.
pub(crate) fn command(arguments: &[String]) -> Result {
    match arguments {
        [] => bench(&Plan::FULL),
        [only] if only == "--smoke" => bench(&Plan::SMOKE),
        _ => Err(Fault::new("bench [--smoke]")),
    }
}

/// Runs the plan and prints the figures.
pub(crate) fn bench(plan: &Plan) -> Result {
    build_programs(plan.profile)?;
    let bench = Bench::new(plan)?;
    let chat = [
        "--window",
        "10",
        "--pairs",
        plan.pairs,
        "--messages",
        plan.messages,
    ];
    let idle = ["--sessions", plan.sessions, "--accounts", plan.accounts];
    println!(
        "\nServer CPU in microseconds for each one-to-one message, {} pairs, window 10:",
        plan.pairs
    );
    bench.compare("chat", "plain", &chat, plan.repetitions)?;
    bench.compare("chat", "tls", &chat, plan.repetitions)?;
    println!("\nServer memory in KiB PSS for each idle session:");
    bench.compare("idle", "tls", &idle, 1)?;
    if plan.profile == "dev" {
        println!("\nA debug build and a tiny load: these figures only show that it runs.");
    }
    Ok(())
}

/// Which builds are run, and a folder for their files.
struct Bench {
    profile: &'static str,
    folder: PathBuf,
}

impl Bench {
    fn new(plan: &Plan) -> Result<Self> {
        let folder = target().join("bench");
        if folder.exists() {
            at(&folder, std::fs::remove_dir_all(&folder))?;
        }
        at(&folder, std::fs::create_dir_all(&folder))?;
        let bench = Self {
            profile: plan.profile,
            folder,
        };
        output(&mut bench.load("certificate", &[]))?;
        Ok(bench)
    }

    /// Server and relay, in turns, each time as new processes.
    fn compare(&self, what: &str, transport: &str, words: &[&str], times: usize) -> Result {
        let mut ours = Vec::new();
        let mut relays = Vec::new();
        for _ in 0..times {
            let server = self.server(transport)?;
            ours.push(self.measure(&server, what, "xmpp", transport, words)?);
            drop(server);
            let relay = self.relay(transport)?;
            relays.push(self.measure(&relay, what, "relay", transport, words)?);
        }
        let (ours, relays) = (Figures::new(ours), Figures::new(relays));
        println!(
            "  waxwing  {transport}  median {:8.2}  min {:8.2}",
            ours.median, ours.min
        );
        println!(
            "  relay    {transport}  median {:8.2}  min {:8.2}",
            relays.median, relays.min
        );
        println!(
            "  ratio    {transport}  median {:8.2}  min {:8.2}",
            ours.median / relays.median,
            ours.min / relays.min
        );
        Ok(())
    }

    fn measure(
        &self,
        peer: &Peer,
        what: &str,
        kind: &str,
        transport: &str,
        words: &[&str],
    ) -> Result<f64> {
        let (address, pid) = (peer.address.to_string(), peer.process.id().to_string());
        let mut load = self.load(what, words);
        load.args(["--kind", kind, "--transport", transport]);
        load.args(["--address", &address, "--pid", &pid]);
        let line = output(&mut load)?;
        println!("  {kind:5} {transport}: {}", line.trim());
        let number = line
            .split(' ')
            .next()
            .and_then(|number| number.parse().ok());
        number.ok_or_else(|| Fault::new(format!("not a figure: {line}")))
    }

    fn load(&self, what: &str, words: &[&str]) -> Command {
        let mut command = program(self.profile, "load");
        command
            .arg(what)
            .arg("--folder")
            .arg(&self.folder)
            .args(words);
        command
    }

    fn relay(&self, transport: &str) -> Result<Peer> {
        let mut process = self.load("relay", &[]).stdout(Stdio::piped()).spawn()?;
        let lines = process.stdout.take().map(BufReader::new);
        let address = lines
            .into_iter()
            .flat_map(BufReader::lines)
            .find_map(|line| {
                let line = line.ok()?;
                line.strip_prefix(transport)?.trim().parse().ok()
            });
        let peer = |address| Peer { process, address };
        address
            .map(peer)
            .ok_or_else(|| Fault::new("the relay does not start"))
    }

    /// Waxwing with an ordinary configuration, but for limits that protect against just this.
    fn server(&self, transport: &str) -> Result<Peer> {
        let data = self.folder.join("data");
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
        let address = free_port()?;
        let settings = self.folder.join("waxwing.toml");
        at(
            &settings,
            std::fs::write(&settings, configuration(&data, transport, address)),
        )?;
        let log = self.folder.join("server.log");
        let log = at(&log, std::fs::File::create(&log))?;
        let process = program(self.profile, "waxwing")
            .args(["run", "--config"])
            .arg(&settings)
            .stdout(Stdio::null())
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
         [registration]\n\
         open = true\n\
         per_address_hour_max = 100000\n\
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
struct Peer {
    process: Child,
    address: SocketAddr,
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
            std::thread::sleep(Duration::from_millis(50));
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

/// Repetitions of one measurement.
struct Figures {
    median: f64,
    min: f64,
}

impl Figures {
    fn new(mut figures: Vec<f64>) -> Self {
        figures.sort_by(f64::total_cmp);
        let nth = |index: usize| figures.get(index).copied().unwrap_or(f64::NAN);
        Self {
            median: nth(figures.len() / 2),
            min: nth(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_the_middle_and_the_least() {
        let got = Figures::new(vec![3.0, 1.0, 2.0]);
        assert!((got.median - 2.0).abs() < 1e-9 && (got.min - 1.0).abs() < 1e-9);
    }
}
