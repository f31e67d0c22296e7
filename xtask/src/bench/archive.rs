//! A large archive, how soon a server with it is ready after a kill, and sessions that are away.

use super::Bench;
use crate::process::{Result, at, build_programs, output};
use std::{path::Path, time::Instant};

/// How much to do.
pub(super) struct Plan {
    profile: &'static str,
    messages: &'static str,
    sessions: &'static str,
    seconds: &'static str,
    restarts: usize,
}

impl Plan {
    pub(super) const FULL: Self = Self {
        profile: "release",
        messages: "1000000",
        sessions: "1000",
        seconds: "8",
        restarts: 3,
    };
    pub(super) const SMOKE: Self = Self {
        profile: "dev",
        messages: "1000",
        sessions: "10",
        seconds: "1",
        restarts: 1,
    };
}

/// Fills the archives of two accounts over the wire, kills, restarts, reads; then lets sessions go.
pub(super) fn bench(plan: &Plan) -> Result {
    build_programs(plan.profile)?;
    let bench = Bench::new(plan.profile)?;
    println!("\nAn archive of {} messages:", plan.messages);
    let mut server = bench.server("plain")?;
    let fill = ["--pairs", "1", "--window", "500", "--seconds", "3600"];
    let mut load = bench.load_of(&server, "durable", &fill);
    print!(
        "  filled: {}",
        output(load.args(["--messages", plan.messages]))?
    );
    for _ in 0..plan.restarts {
        // SIGKILL, and the end is waited for.
        drop(server);
        let start = Instant::now();
        server = bench.restart("plain")?;
        println!(
            "  listens {:.3} s after it was started again",
            start.elapsed().as_secs_f64()
        );
    }
    for (readers, backwards) in [("1", "0"), ("1", "1"), ("8", "0")] {
        let words = [
            "--readers",
            readers,
            "--backwards",
            backwards,
            "--seconds",
            plan.seconds,
        ];
        print!(
            "  {}",
            output(&mut bench.load_of(&server, "pages", &words))?
        );
    }
    drop(server);
    println!("  {} bytes on disk", bytes_of(&bench.data())?);
    println!("\nSessions that are away:");
    let server = bench.server("plain")?;
    let words = ["--sessions", plan.sessions];
    print!(
        "  {}",
        output(&mut bench.load_of(&server, "hibernate", &words))?
    );
    drop(server);
    println!(
        "  {} bytes on disk, with their accounts",
        bytes_of(&bench.data())?
    );
    Ok(())
}

fn bytes_of(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in at(folder, std::fs::read_dir(folder))? {
        let metadata = entry?.metadata()?;
        if metadata.is_file() {
            bytes += metadata.len();
        }
    }
    Ok(bytes)
}
