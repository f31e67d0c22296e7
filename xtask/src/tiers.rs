//! `cargo xtask test`: the tiers in order, the first failure ends the run, and the last line
//! counts them.

use crate::{
    bench, crash, generate, interop,
    process::{Fault, Result, cargo, succeed},
    suites, tidy,
};
use std::time::{Duration, Instant};

/// How a tier that did not fail ended.
pub(crate) enum Outcome {
    /// It ran.
    Passed,
    /// Something it needs is not here, for the reason given.
    Skipped(String),
}

struct Tier {
    name: &'static str,
    what: &'static str,
    run: fn() -> Result<Outcome>,
}

/// Cheapest first, so that the commonest mistake is told soonest.
const TIERS: &[Tier] = &[
    Tier {
        name: "format",
        what: "rustfmt would change nothing",
        run: || passed(succeed(&mut cargo(&["fmt", "--all", "--", "--check"]))),
    },
    Tier {
        name: "tidy",
        what: "the rules rustc cannot check",
        run: || passed(tidy::tidy()),
    },
    Tier {
        name: "lints",
        what: "clippy on every target, warnings are errors",
        run: || passed(lints()),
    },
    Tier {
        name: "generated",
        what: "generated documents are up to date",
        run: || passed(generate::generate(true)),
    },
    Tier {
        name: "unit",
        what: "unit, table, property and contract tests, doc tests",
        run: || passed(suites::unit()),
    },
    Tier {
        name: "model",
        what: "a session changes hands, in the orders that a model checker chooses",
        run: || passed(suites::model()),
    },
    Tier {
        name: "scenarios",
        what: "the scenarios, on the engine in memory and on the binary over TLS",
        run: || passed(suites::scenarios()),
    },
    Tier {
        name: "fuzz",
        what: "a short run of each fuzz target",
        run: || passed(suites::fuzz_all()),
    },
    Tier {
        name: "crash",
        what: "the binary is killed while clients write to it, and nothing promised is lost",
        run: || passed(crash::slice()),
    },
    Tier {
        name: "interop",
        what: "other people's clients against the binary",
        run: interop::tier,
    },
    Tier {
        name: "bench",
        what: "the load generator runs; its figures are not judged",
        run: || passed(bench::bench(&bench::Plan::SMOKE)),
    },
];

/// Runs all tiers, or those named. Where `ci` is true a skipped tier is a failure.
pub(crate) fn test(names: &[String], ci: bool) -> Result {
    for name in names {
        if !TIERS.iter().any(|tier| tier.name == name) {
            let known: Vec<_> = TIERS.iter().map(|tier| tier.name).collect();
            let known = known.join(", ");
            return Err(Fault::new(format!("no tier `{name}`; there are {known}")));
        }
    }
    let chosen: Vec<_> = TIERS
        .iter()
        .filter(|tier| names.is_empty() || names.iter().any(|name| name == tier.name))
        .collect();
    let mut report = Report::default();
    let mut failure = None;
    for (index, tier) in chosen.iter().enumerate() {
        println!(
            "\n======== {}/{} {}: {}",
            index + 1,
            chosen.len(),
            tier.name,
            tier.what
        );
        let start = Instant::now();
        let outcome = (tier.run)();
        let spent = start.elapsed();
        match outcome {
            Ok(Outcome::Passed) => report.passed(tier.name, spent),
            Ok(Outcome::Skipped(why)) if ci => {
                failure = Some(Fault::new(format!(
                    "CI skips nothing, but {}: {why}",
                    tier.name
                )));
                report.failed(tier.name, spent);
            }
            Ok(Outcome::Skipped(why)) => {
                println!("SKIPPED {}: {why}", tier.name);
                report.skipped(tier.name, &why);
            }
            Err(fault) => {
                failure = Some(Fault::new(format!("{}: {fault}", tier.name)));
                report.failed(tier.name, spent);
            }
        }
        if failure.is_some() {
            break;
        }
    }
    report.not_run(chosen.iter().map(|tier| tier.name));
    if let Some(fault) = &failure {
        println!("\nFAILED {fault}");
    }
    report.print();
    failure.map_or(Ok(()), |_told| {
        Err(Fault::new("the tests failed, see above"))
    })
}

fn passed(result: Result) -> Result<Outcome> {
    result.map(|()| Outcome::Passed)
}

fn lints() -> Result {
    let arguments = [
        "clippy",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ];
    succeed(&mut cargo(&arguments))
}

#[derive(Default)]
struct Report {
    lines: Vec<(&'static str, String)>,
    passed: usize,
    failed: usize,
    skipped: usize,
}

impl Report {
    fn passed(&mut self, name: &'static str, spent: Duration) {
        self.passed += 1;
        self.lines
            .push((name, format!("passed  {:.1} s", spent.as_secs_f32())));
    }

    fn failed(&mut self, name: &'static str, spent: Duration) {
        self.failed += 1;
        self.lines
            .push((name, format!("FAILED  {:.1} s", spent.as_secs_f32())));
    }

    fn skipped(&mut self, name: &'static str, why: &str) {
        self.skipped += 1;
        self.lines.push((name, format!("SKIPPED {why}")));
    }

    fn not_run(&mut self, names: impl Iterator<Item = &'static str>) {
        for name in names.skip(self.lines.len()) {
            self.lines.push((name, "not run".to_owned()));
        }
    }

    /// The last line is alone and plain, so that a program can read it.
    fn print(&self) {
        println!("\n======== summary");
        for (name, line) in &self.lines {
            println!("{name:12} {line}");
        }
        print!("\n{} passed, {} failed", self.passed, self.failed);
        if self.skipped > 0 {
            print!(", {} skipped", self.skipped);
        }
        println!();
    }
}
