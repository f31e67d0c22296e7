//! `cargo xtask bench`: what the server costs, beside a bare relay in the same session.
//!
//! Each figure is the server process's own, as the kernel counts it, because load generator and
//! server share the machine. Repetitions of server and relay alternate, so that a change of the
//! machine's mood meets both.

mod archive;
mod durable;
mod pubsub;
mod rooms;
mod server;

use crate::process::{Fault, Result, at, build_programs, output, program, target};
use server::Peer;
use std::{
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Command, Stdio},
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

/// `cargo xtask bench [--smoke]`, `cargo xtask bench --durable …`, `--rooms …`, `--archive` and
/// `--pubsub`.
pub(crate) fn command(arguments: &[String]) -> Result {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] => bench(&Plan::FULL),
        ["--smoke"] => bench(&Plan::SMOKE),
        ["--durable", rest @ ..] => durable::bench(&durable::Plan::parse(rest)?),
        ["--rooms", rest @ ..] => rooms::bench(&rooms::Plan::parse(rest)?),
        ["--pubsub"] => pubsub::bench(&pubsub::Plan::FULL),
        ["--archive"] => archive::bench(&archive::Plan::FULL),
        _ => Err(Fault::new(format!(
            "bench [--smoke] | {} | {} | bench --archive | bench --pubsub",
            durable::USAGE,
            rooms::USAGE
        ))),
    }
}

/// Runs the plan and prints the figures.
pub(crate) fn bench(plan: &Plan) -> Result {
    build_programs(plan.profile)?;
    let bench = Bench::new(plan.profile)?;
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
    bench.compare("idle", "tls", &idle, plan.repetitions)?;
    if plan.profile == "dev" {
        durable::bench(&durable::Plan::smoke())?;
        archive::bench(&archive::Plan::SMOKE)?;
        pubsub::bench(&pubsub::Plan::SMOKE)?;
        rooms::bench(&rooms::Plan::smoke())?;
    }
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
    fn new(profile: &'static str) -> Result<Self> {
        let folder = target().join("bench");
        if folder.exists() {
            at(&folder, std::fs::remove_dir_all(&folder))?;
        }
        at(&folder, std::fs::create_dir_all(&folder))?;
        let bench = Self { profile, folder };
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
        let mut load = self.against(peer, what, words);
        let line = output(load.args(["--kind", kind, "--transport", transport]))?;
        println!("  {kind:5} {transport}: {}", line.trim());
        figure(&line)
    }

    /// The load generator against an XMPP server without TLS.
    fn load_of(&self, peer: &Peer, what: &str, words: &[&str]) -> Command {
        let mut load = self.against(peer, what, words);
        load.args(["--kind", "xmpp", "--transport", "plain"]);
        load
    }

    fn against(&self, peer: &Peer, what: &str, words: &[&str]) -> Command {
        let mut load = self.load(what, words);
        load.args(["--address", &peer.address.to_string()]);
        load.args(["--pid", &peer.process.id().to_string()]);
        load
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
}

/// The number that a line of the load generator begins with.
fn figure(line: &str) -> Result<f64> {
    let number = line
        .split(' ')
        .next()
        .and_then(|number| number.parse().ok());
    number.ok_or_else(|| Fault::new(format!("not a figure: {line}")))
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
