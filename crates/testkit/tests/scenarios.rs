//! All scenarios on the engine in memory, or on the subjects that `WAXWING_SCENARIO_ON` names.

use std::process::ExitCode;
use waxwing_testkit::{harness, subject::Kind};

fn main() -> ExitCode {
    harness::main(&[Kind::Memory])
}
