//! Messages that are archived: ours, and other servers under the same load, in turns.

use super::{Bench, Figures, figure, peers::Brand, server::Peer};
use crate::process::{Result, build_programs, output};

/// How much to do.
pub(super) struct Plan {
    profile: &'static str,
    pairs: &'static [&'static str],
    seconds: &'static str,
    repetitions: usize,
}

impl Plan {
    pub(super) const FULL: Self = Self {
        profile: "release",
        pairs: &["1", "50", "500"],
        seconds: "8",
        repetitions: 3,
    };
    pub(super) const SMOKE: Self = Self {
        profile: "dev",
        pairs: &["2"],
        seconds: "1",
        repetitions: 1,
    };
}

/// Runs the plan and prints the figures.
pub(super) fn bench(plan: &Plan, peers: &[Brand]) -> Result {
    build_programs(plan.profile)?;
    let bench = Bench::new(plan.profile)?;
    for pairs in plan.pairs {
        println!(
            "\nServer CPU in microseconds for each archived one-to-one message, {pairs} pairs, \
             window 10, stream management, without TLS:"
        );
        let mut ours = Vec::new();
        let mut theirs: Vec<(Brand, Vec<f64>)> =
            peers.iter().map(|brand| (*brand, Vec::new())).collect();
        for _ in 0..plan.repetitions {
            let server = bench.server("plain")?;
            ours.push(measure(&bench, &server, "waxwing", pairs, plan.seconds)?);
            drop(server);
            for (brand, figures) in &mut theirs {
                let server = brand.start(&bench)?;
                figures.push(measure(&bench, &server, brand.name(), pairs, plan.seconds)?);
            }
        }
        let ours = ("waxwing", ours);
        let theirs = theirs
            .into_iter()
            .map(|(brand, figures)| (brand.name(), figures));
        for (name, figures) in std::iter::once(ours).chain(theirs) {
            let figures = Figures::new(figures);
            println!(
                "  {name:16} median {:8.2}  min {:8.2}",
                figures.median, figures.min
            );
        }
    }
    Ok(())
}

fn measure(bench: &Bench, peer: &Peer, name: &str, pairs: &str, seconds: &str) -> Result<f64> {
    let mut load = bench.load_of(peer, "durable", &["--pairs", pairs, "--window", "10"]);
    let line = output(load.args(["--seconds", seconds]))?;
    println!("  {name:16} {}", line.trim());
    figure(&line)
}
