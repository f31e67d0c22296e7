//! All scenarios on the binary over TLS.

use std::process::ExitCode;
use waxwing_testkit::{harness, subject::Kind};

fn main() -> ExitCode {
    harness::main(&[Kind::Tls])
}
