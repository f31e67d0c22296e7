//! Messages that are archived: ours, and other servers under the same load, in turns.

use super::{Bench, Figures, server::Peer};
use crate::{
    packages,
    process::{Fault, Result, at, build_programs, output},
};
use std::{fs, path::Path};

/// How much to do.
pub(super) struct Plan {
    profile: &'static str,
    /// Other servers, by the names that the load generator knows.
    peers: Vec<String>,
    pairs: Vec<String>,
    seconds: String,
    repetitions: usize,
}

pub(super) const USAGE: &str =
    "bench --durable [--peer PEER]… [--pairs N]… [--seconds N] [--times N]";

impl Plan {
    /// The real thing, with release builds.
    pub(super) fn parse(words: &[&str]) -> Result<Self> {
        let mut plan = Self {
            profile: "release",
            peers: Vec::new(),
            pairs: Vec::new(),
            seconds: "4".to_owned(),
            repetitions: 3,
        };
        for pair in words.chunks(2) {
            match *pair {
                ["--peer", name] => plan.peers.push(name.to_owned()),
                ["--pairs", number] => plan.pairs.push(number.to_owned()),
                ["--seconds", number] => number.clone_into(&mut plan.seconds),
                ["--times", number] => {
                    let times = number.parse().map_err(|_| Fault::new(USAGE));
                    plan.repetitions = times?;
                }
                _ => return Err(Fault::new(USAGE)),
            }
        }
        if plan.pairs.is_empty() {
            plan.pairs = ["1", "50", "500"].map(str::to_owned).into();
        }
        Ok(plan)
    }

    /// Shows that it runs, with the builds that the tests made.
    pub(super) fn smoke() -> Self {
        Self {
            profile: "dev",
            peers: Vec::new(),
            pairs: vec!["2".to_owned()],
            seconds: "1".to_owned(),
            repetitions: 1,
        }
    }
}

/// Runs the plan and prints the figures.
pub(super) fn bench(plan: &Plan) -> Result {
    for peer in &plan.peers {
        packages::of_peer(peer)?;
    }
    build_programs(plan.profile)?;
    let bench = Bench::new(plan.profile)?;
    for pairs in &plan.pairs {
        println!(
            "\nArchived one-to-one messages, {pairs} pairs, window 10, stream management, without \
             TLS, {} seconds; load average before: {}",
            plan.seconds,
            load_average()?
        );
        let mut rows = vec![Row::new("waxwing")];
        rows.extend(plan.peers.iter().map(|peer| Row::new(peer)));
        for _ in 0..plan.repetitions {
            for row in &mut rows {
                let server = match row.name {
                    "waxwing" => bench.server("plain")?,
                    peer => bench.peer(peer)?,
                };
                row.measure(&bench, &server, pairs, &plan.seconds)?;
            }
        }
        for row in rows {
            row.print();
        }
    }
    Ok(())
}

/// The repetitions of one server.
struct Row<'a> {
    name: &'a str,
    micros: Vec<f64>,
    rates: Vec<f64>,
    pss_kib: Vec<f64>,
}

impl<'a> Row<'a> {
    fn new(name: &'a str) -> Self {
        Self {
            name,
            micros: Vec::new(),
            rates: Vec::new(),
            pss_kib: Vec::new(),
        }
    }

    fn measure(&mut self, bench: &Bench, server: &Peer, pairs: &str, seconds: &str) -> Result {
        let mut load = bench.load_of(server, "durable", &["--pairs", pairs, "--window", "10"]);
        let line = output(load.args(["--seconds", seconds]))?;
        println!("  {:16} {}", self.name, line.trim());
        self.micros.push(value(&line, "micros")?);
        self.rates.push(value(&line, "rate")?);
        self.pss_kib.push(value(&line, "pss_kib")?);
        Ok(())
    }

    fn print(self) {
        let [micros, rate, pss] = [self.micros, self.rates, self.pss_kib].map(Figures::new);
        println!(
            "  {:16} median (least): {:.1} ({:.1}) us of CPU each, {:.0} ({:.0}) a second, \
             {:.1} ({:.1}) MiB PSS",
            self.name,
            micros.median,
            micros.min,
            rate.median,
            rate.min,
            pss.median / 1024.0,
            pss.min / 1024.0,
        );
    }
}

/// What a line of the load generator says of this name.
pub(super) fn value(line: &str, name: &str) -> Result<f64> {
    let words = line.split_whitespace();
    let mut pairs = words.filter_map(|word| word.split_once('='));
    pairs
        .find(|(found, _)| *found == name)
        .and_then(|(_, value)| value.parse().ok())
        .ok_or_else(|| Fault::new(format!("no {name} in: {line}")))
}

/// Of the last minute, which tells whether the machine was quiet.
pub(super) fn load_average() -> Result<String> {
    let path = Path::new("/proc/loadavg");
    let text = at(path, fs::read_to_string(path))?;
    Ok(text.split(' ').next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_by_their_names() {
        let line = "micros=12.5 rate=0.1\n";
        assert!(value(line, "micros").is_ok_and(|value| (value - 12.5).abs() < 1e-9));
        assert!(value(line, "seconds").is_err());
    }

    #[test]
    fn words_that_are_not_known_are_refused() {
        let plan = Plan::parse(&["--peer", "prosody", "--pairs", "7"]);
        assert!(plan.is_ok_and(|plan| plan.pairs == ["7"] && plan.peers == ["prosody"]));
        assert!(Plan::parse(&["--peers", "prosody"]).is_err());
        assert!(Plan::parse(&["--peer"]).is_err());
    }
}
