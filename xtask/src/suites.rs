//! The test suites that cargo runs: which arguments and variables make it run which.

use crate::process::{Fault, Result, at, build_programs, cargo, root, succeed, target};

/// Seconds for each fuzz target as a tier: long enough to notice that something broke at once.
const FUZZ_SECONDS: &str = "10";

/// Integration tests that are tiers of their own.
const OWN_TIERS: &[&str] = &["fuzz", "model", "scenarios", "scenarios_tls"];

/// Everything that is not a scenario or a fuzz target.
pub(crate) fn unit() -> Result {
    let names = integration_tests()?;
    let mut words = vec!["test", "--workspace", "--lib", "--bins"];
    for name in names
        .iter()
        .filter(|name| !OWN_TIERS.contains(&name.as_str()))
    {
        words.extend(["--test", name]);
    }
    succeed(&mut cargo(&words))?;
    succeed(&mut cargo(&["test", "--workspace", "--doc"]))
}

/// Names of `crates/*/tests/NAME.rs` and `crates/*/tests/NAME/main.rs`.
fn integration_tests() -> Result<Vec<String>> {
    let mut names = Vec::new();
    let crates = root().join("crates");
    for package in at(&crates, std::fs::read_dir(&crates))? {
        let Ok(tests) = std::fs::read_dir(at(&crates, package)?.path().join("tests")) else {
            continue; // this crate has none
        };
        for test in tests {
            let path = at(&crates, test)?.path();
            let is_test = path.extension().is_some_and(|extension| extension == "rs")
                || path.join("main.rs").exists();
            if let Some(name) = path.file_stem().filter(|_| is_test) {
                names.push(name.to_string_lossy().into_owned());
            }
        }
    }
    names.sort();
    Ok(names)
}

/// All scenarios on the engine in memory and on the built server over TLS.
pub(crate) fn scenarios() -> Result {
    scenarios_on("", "memory,tls")
}

/// `cargo xtask scenario NAME [--on WHERE]`.
pub(crate) fn scenario(arguments: &[String]) -> Result {
    let mut name = "";
    let mut on = "memory";
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        if argument == "--on" {
            on = rest.next().map_or("", String::as_str);
        } else {
            name = argument;
        }
    }
    scenarios_on(name, on)
}

fn scenarios_on(name: &str, on: &str) -> Result {
    if on.split(',').any(|one| one == "tls") {
        build_programs("dev")?;
    }
    let mut words = vec!["test", "--workspace", "--test", "scenarios"];
    if !name.is_empty() {
        // With it, how another server differs is said, and not only whether.
        words.extend(["--", name, "--nocapture"]);
    }
    succeed(cargo(&words).env("WAXWING_SCENARIO_ON", on))
}

/// The model check of sessions that change hands. In a build folder of its own, because the checker's
/// locks are compiled in.
pub(crate) fn model() -> Result {
    let folder = target().join("shuttle");
    let words = ["test", "--package", "waxwing-engine", "--test", "model"];
    let mut model = cargo(&words);
    model.arg("--target-dir").arg(folder);
    succeed(model.env("RUSTFLAGS", "--cfg shuttle"))
}

/// Each fuzz target for a moment.
pub(crate) fn fuzz_all() -> Result {
    let words = ["test", "--workspace", "--test", "fuzz"];
    succeed(cargo(&words).env("WAXWING_FUZZ_SECONDS", FUZZ_SECONDS))
}

/// `cargo xtask fuzz TARGET --for SECONDS`.
pub(crate) fn fuzz(arguments: &[String]) -> Result {
    let [target, word, seconds] = arguments else {
        return Err(Fault::new("fuzz TARGET --for SECONDS"));
    };
    if word != "--for" || seconds.parse::<u32>().is_err() {
        return Err(Fault::new("fuzz TARGET --for SECONDS"));
    }
    let words = ["test", "--workspace", "--test", "fuzz", "--", target];
    succeed(cargo(&words).env("WAXWING_FUZZ_SECONDS", seconds))
}
