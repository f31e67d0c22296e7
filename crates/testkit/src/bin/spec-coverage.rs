//! Writes `docs/spec-coverage.md`; with `--check`, fails if it differs. `cargo xtask gen` runs it.

use std::{fs, path::Path, process::ExitCode};

fn main() -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target = root.join("docs/spec-coverage.md");
    let document = match waxwing_testkit::coverage::render(&root) {
        Ok(document) => document,
        Err(problems) => {
            eprintln!("{problems}");
            return ExitCode::FAILURE;
        }
    };
    if std::env::args().any(|argument| argument == "--check") {
        if fs::read_to_string(&target).is_ok_and(|found| found == document) {
            return ExitCode::SUCCESS;
        }
        eprintln!("docs/spec-coverage.md is not up to date: run `cargo xtask gen`");
        return ExitCode::FAILURE;
    }
    let written = fs::create_dir_all(root.join("docs")).and_then(|()| fs::write(&target, document));
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error}", target.display());
            ExitCode::FAILURE
        }
    }
}
