//! `cargo xtask gen`: documents made from the code that they describe, checked in so that a change
//! of them is seen in review, and compared in CI.

use crate::process::{Fault, Result, at, build_programs, output, program, root, succeed};
use std::fs;

/// A document: its path, and the command that prints it.
struct Document {
    path: &'static str,
    program: &'static str,
    words: &'static [&'static str],
}

const DOCUMENTS: &[Document] = &[
    Document {
        path: "docs/config.md",
        program: "waxwing",
        words: &["gen", "config"],
    },
    Document {
        path: "docs/metrics.md",
        program: "waxwing",
        words: &["gen", "metrics"],
    },
    Document {
        path: "waxwing.example.toml",
        program: "waxwing",
        words: &["gen", "example"],
    },
    Document {
        path: "docs/xeps.md",
        program: "feature-docs",
        words: &["xeps"],
    },
    Document {
        path: "docs/pipeline.md",
        program: "feature-docs",
        words: &["pipeline"],
    },
    Document {
        path: "waxwing.doap",
        program: "feature-docs",
        words: &["doap"],
    },
];

/// Writes the documents; with `check`, only says which differ from what is checked in.
pub(crate) fn generate(check: bool) -> Result {
    build_programs("dev")?;
    let mut stale = Vec::new();
    for document in DOCUMENTS {
        let text = output(program("dev", document.program).args(document.words))?;
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
    // It looks at the scenarios as well, and complains about those that prove nothing known.
    let mut coverage = program("dev", "spec-coverage");
    if check {
        coverage.arg("--check");
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
