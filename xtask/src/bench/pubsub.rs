//! An item for many subscribers, and the newest items of many contacts.

use super::{Bench, Figures, figure, server::Peer};
use crate::process::{Result, build_programs, output};

/// How much to do.
pub(super) struct Plan {
    profile: &'static str,
    subscribers: &'static str,
    items: &'static str,
    contacts: &'static str,
    times: &'static str,
    repetitions: usize,
    others: &'static [&'static str],
}

impl Plan {
    pub(super) const FULL: Self = Self {
        profile: "release",
        subscribers: "1000",
        items: "200",
        contacts: "500",
        times: "20",
        repetitions: 2,
        // The settings that others are compared with have no nodes of accounts yet.
        others: &[],
    };
    pub(super) const SMOKE: Self = Self {
        profile: "dev",
        subscribers: "5",
        items: "3",
        contacts: "5",
        times: "2",
        repetitions: 1,
        others: &[],
    };
}

/// Each server in turn, each time with nothing in it.
pub(super) fn bench(plan: &Plan) -> Result {
    build_programs(plan.profile)?;
    let bench = Bench::new(plan.profile)?;
    let publish = ["--sessions", plan.subscribers, "--messages", plan.items];
    let contacts = ["--contacts", plan.contacts, "--times", plan.times];
    println!(
        "\nServer CPU in microseconds for each notification, {} subscribers:",
        plan.subscribers
    );
    compare(&bench, plan, "publish", &publish)?;
    println!(
        "\nServer CPU in milliseconds for one who comes online with {} contacts:",
        plan.contacts
    );
    compare(&bench, plan, "contacts", &contacts)
}

fn compare(bench: &Bench, plan: &Plan, what: &str, words: &[&str]) -> Result {
    let names = ["waxwing"].into_iter().chain(plan.others.iter().copied());
    for name in names {
        let mut figures = Vec::new();
        for _ in 0..plan.repetitions {
            let server: Peer = match name {
                "waxwing" => bench.server("plain")?,
                other => bench.peer(other)?,
            };
            let line = output(&mut bench.load_of(&server, what, words))?;
            figures.push(figure(&line)?);
        }
        let figures = Figures::new(figures);
        println!(
            "  {name:9} median {:8.2}  min {:8.2}",
            figures.median, figures.min
        );
    }
    Ok(())
}
