//! Prints `docs/xeps.md`, `docs/pipeline.md` or `waxwing.doap`, which the engine makes from its
//! features. `cargo xtask gen` runs it. Not a command of the server: those who run one need none
//! of it.
#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use std::process::ExitCode;
use waxwing_engine::reference;

fn main() -> ExitCode {
    let document = match std::env::args().nth(1).as_deref() {
        Some("xeps") => reference::xeps(),
        Some("pipeline") => reference::pipeline(),
        Some("doap") => reference::doap(),
        _ => {
            eprintln!("feature-docs xeps|pipeline|doap");
            return ExitCode::FAILURE;
        }
    };
    print!("{document}");
    ExitCode::SUCCESS
}
