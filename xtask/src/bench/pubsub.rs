//! An item for many subscribers, and the newest items of many contacts.

use super::{Bench, Figures, figure, server::Peer};
use crate::process::{Result, build_programs, output};

/// Sends no items of contacts that are away, whatever it is told, and of many that are online not all.
const LEAVES_ITEMS_OUT: &str = "ejabberd";

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
        items: "100",
        contacts: "500",
        times: "10",
        repetitions: 3,
        others: &["prosody", "ejabberd"],
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

/// The servers in turns, each time with nothing in them.
pub(super) fn bench(plan: &Plan) -> Result {
    build_programs(plan.profile)?;
    let bench = Bench::new(plan.profile)?;
    let publish = ["--sessions", plan.subscribers, "--messages", plan.items];
    let contacts = ["--contacts", plan.contacts, "--times", plan.times];
    let online = ["--online", "1"];
    let online: Vec<&str> = contacts.iter().chain(&online).copied().collect();
    println!(
        "\nServer CPU in microseconds for each notification, {} subscribers:",
        plan.subscribers
    );
    compare(&bench, plan, "publish", &publish, plan.others)?;
    println!(
        "\nServer CPU in milliseconds for one who comes online with {} contacts that are online:",
        plan.contacts
    );
    let others = plan.others.iter().copied();
    let others: Vec<&str> = others.filter(|name| *name != LEAVES_ITEMS_OUT).collect();
    compare(&bench, plan, "contacts", &online, &others)?;
    println!("\nThe same with contacts that are away:");
    compare(&bench, plan, "contacts", &contacts, &others)
}

fn compare(bench: &Bench, plan: &Plan, what: &str, words: &[&str], others: &[&str]) -> Result {
    let names = ["waxwing"].into_iter().chain(others.iter().copied());
    let mut rows: Vec<(&str, Vec<f64>)> = names.map(|name| (name, Vec::new())).collect();
    for _ in 0..plan.repetitions {
        for (name, figures) in &mut rows {
            let server: Peer = match *name {
                "waxwing" => bench.server("plain")?,
                other => bench.peer(other)?,
            };
            let line = output(&mut bench.load_of(&server, what, words))?;
            println!("  {name:9} {}", line.trim());
            figures.push(figure(&line)?);
        }
    }
    for (name, figures) in rows {
        let figures = Figures::new(figures);
        println!(
            "  {name:9} median {:8.2}  min {:8.2}",
            figures.median, figures.min
        );
    }
    Ok(())
}
