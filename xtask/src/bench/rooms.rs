//! Rooms: ours, and other servers under the same load, in turns.

use super::{
    Bench, Figures,
    durable::{load_average, value},
    server::Peer,
};
use crate::{
    packages,
    process::{Fault, Result, build_programs, output},
};

/// How much to do.
pub(super) struct Plan {
    profile: &'static str,
    /// Other servers, by the names that the load generator knows.
    peers: Vec<String>,
    /// Rooms, and the occupants of each.
    shapes: Vec<(&'static str, &'static str)>,
    seconds: String,
    repetitions: usize,
}

pub(super) const USAGE: &str = "bench --rooms [--peer PEER]… [--seconds N] [--times N]";

impl Plan {
    /// The real thing, with release builds.
    pub(super) fn parse(words: &[&str]) -> Result<Self> {
        let mut plan = Self {
            profile: "release",
            peers: Vec::new(),
            shapes: vec![("1", "500"), ("50", "20")],
            seconds: "5".to_owned(),
            repetitions: 3,
        };
        for pair in words.chunks(2) {
            match *pair {
                ["--peer", name] => plan.peers.push(name.to_owned()),
                ["--seconds", number] => number.clone_into(&mut plan.seconds),
                ["--times", number] => {
                    let times = number.parse().map_err(|_| Fault::new(USAGE));
                    plan.repetitions = times?;
                }
                _ => return Err(Fault::new(USAGE)),
            }
        }
        Ok(plan)
    }

    /// Shows that it runs, with the builds that the tests made.
    pub(super) fn smoke() -> Self {
        Self {
            profile: "dev",
            peers: Vec::new(),
            shapes: vec![("2", "5")],
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
    for (rooms, occupants) in &plan.shapes {
        println!(
            "\nRooms with an archive, {rooms} with {occupants} occupants each, one of whom talks, window 10, \
             without TLS, {} seconds; load average before: {}",
            plan.seconds,
            load_average()?
        );
        let mut rows = vec![Row::new("waxwing")];
        rows.extend(plan.peers.iter().map(|peer| Row::new(peer)));
        for _ in 0..plan.repetitions {
            for row in &mut rows {
                let (server, service) = match row.name {
                    "waxwing" => (bench.server("plain")?, "groups.localhost"),
                    peer => (bench.peer(peer)?, "conference.localhost"),
                };
                let shape = ["--rooms", rooms, "--occupants", occupants];
                let load = ["--service", service, "--seconds", &plan.seconds];
                row.measure(&bench, &server, &[shape, load].concat())?;
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
    /// By name: of the processor for a delivery, deliveries a second, memory for an occupant, and of the
    /// processor and by the clock for the entrances of all.
    figures: [(&'static str, Vec<f64>); 5],
}

impl<'a> Row<'a> {
    fn new(name: &'a str) -> Self {
        let names = ["micros", "rate", "kib", "enter_cpu_ms", "enter_ms"];
        Self {
            name,
            figures: names.map(|name| (name, Vec::new())),
        }
    }

    fn measure(&mut self, bench: &Bench, server: &Peer, words: &[&str]) -> Result {
        let line = output(&mut bench.load_of(server, "rooms", words))?;
        println!("  {:16} {}", self.name, line.trim());
        for (name, figures) in &mut self.figures {
            figures.push(value(&line, name)?);
        }
        Ok(())
    }

    fn print(self) {
        let [micros, rate, kib, cpu, time] = self.figures.map(|(_, figures)| Figures::new(figures));
        println!(
            "  {:16} median (least): {:.1} ({:.1}) us of CPU a delivery, {:.0} ({:.0}) a second, \
             {:.1} ({:.1}) KiB an occupant, entrances {:.0} ({:.0}) ms of CPU in {:.0} ({:.0}) ms",
            self.name,
            micros.median,
            micros.min,
            rate.median,
            rate.min,
            kib.median,
            kib.min,
            cpu.median,
            cpu.min,
            time.median,
            time.min,
        );
    }
}
