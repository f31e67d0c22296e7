//! `cargo xtask gen`: documents made from the code that they describe, checked in so that a change
//! of them is seen in review, and compared in CI.

use crate::process::{Fault, Result, at, cargo, output, root, succeed};
use std::fs;

/// A document: its path, and the words after `cargo run` that print it.
struct Document {
    path: &'static str,
    made_by: &'static [&'static str],
}

const DOCUMENTS: &[Document] = &[
    Document {
        path: "docs/config.md",
        made_by: &["-p", "waxwing", "--", "gen", "config"],
    },
    Document {
        path: "docs/metrics.md",
        made_by: &["-p", "waxwing", "--", "gen", "metrics"],
    },
    Document {
        path: "waxwing.example.toml",
        made_by: &["-p", "waxwing", "--", "gen", "example"],
    },
    Document {
        path: "docs/xeps.md",
        made_by: &[
            "-p",
            "waxwing-testkit",
            "--bin",
            "feature-docs",
            "--",
            "xeps",
        ],
    },
    Document {
        path: "docs/pipeline.md",
        made_by: &[
            "-p",
            "waxwing-testkit",
            "--bin",
            "feature-docs",
            "--",
            "pipeline",
        ],
    },
    Document {
        path: "waxwing.doap",
        made_by: &[
            "-p",
            "waxwing-testkit",
            "--bin",
            "feature-docs",
            "--",
            "doap",
        ],
    },
];

/// Writes the documents; with `check`, only says which differ from what is checked in.
pub(crate) fn generate(check: bool) -> Result {
    // One build, and with it any error in plain sight; the runs below say nothing of their own.
    let bins = ["build", "--bins", "-p", "waxwing", "-p", "waxwing-testkit"];
    succeed(&mut cargo(&bins))?;
    let mut stale = Vec::new();
    for document in DOCUMENTS {
        let words = ["run", "--quiet"].iter().chain(document.made_by);
        let text = output(&mut cargo(&words.copied().collect::<Vec<_>>()))?;
        let path = root().join(document.path);
        if fs::read_to_string(&path).is_ok_and(|found| found == text) {
            continue;
        }
        if check {
            stale.push(document.path);
        } else {
            at(&path, fs::write(&path, text))?;
            println!("wrote {}", document.path);
        }
    }
    let coverage = [
        "run",
        "--quiet",
        "-p",
        "waxwing-testkit",
        "--bin",
        "spec-coverage",
    ];
    let mut coverage = cargo(&coverage);
    if check {
        coverage.args(["--", "--check"]);
    }
    succeed(&mut coverage)?;
    if stale.is_empty() {
        return Ok(());
    }
    Err(Fault::new(format!(
        "out of date: {}; run `cargo xtask gen`",
        stale.join(", ")
    )))
}
