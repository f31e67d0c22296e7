//! `cargo xtask run`: a working server for somebody who has just cloned the repository.

use crate::process::{Fault, Result, cargo, root, succeed, target};
use std::process::Command;

/// Builds the server and becomes it. A debug build: a newcomer waits for the compiler once, and
/// an optimised build takes several times as long; `cargo build --release` makes one to deploy.
pub(crate) fn run(arguments: &[String]) -> Result {
    println!("Building the server (debug build; the first time takes a few minutes)…");
    succeed(&mut cargo(&["build", "--package", "waxwing"]))?;
    let mut server = Command::new(target().join("debug/waxwing"));
    server.args(["run", "--dev"]).args(arguments);
    become_(server.current_dir(root()))
}

/// Replaces this process, so that signals reach the server and its exit code is ours.
#[cfg(unix)]
fn become_(command: &mut Command) -> Result {
    use std::os::unix::process::CommandExt as _;
    let error = command.exec();
    Err(Fault::new(format!("cannot start the server: {error}")))
}

#[cfg(not(unix))]
fn become_(command: &mut Command) -> Result {
    let status = command.status()?;
    status
        .success()
        .then_some(())
        .ok_or_else(|| Fault::new(status.to_string()))
}
