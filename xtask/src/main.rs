//! `cargo xtask COMMAND`: every command of a contributor's day, in Rust so that it runs wherever
//! the server does and can be reviewed like the rest. `cargo xtask help` lists them.
#![expect(clippy::print_stdout, reason = "a command line tool talks to its user")]

mod bench;
mod crash;
mod generate;
mod interop;
mod packages;
mod process;
mod run;
mod scaffold;
mod suites;
mod tidy;
mod tiers;

use process::Fault;
use std::process::ExitCode;

const HELP: &str = "\
cargo xtask COMMAND

  run [ARG…]                 build the server and start it for trying out: data in ./data,
                             a self-signed certificate, the domain `localhost`
  test [TIER…]               everything that CI runs, in the same order, stopping at the first
                             failure; with names, those tiers only
  ci                         the same, where a skipped tier is a failure
  interop [NAME…] [--against waxwing|prosody]
                             other people's clients against a running server
  bench [--smoke]            load figures of a release build beside a bare relay; --smoke only
                             shows that it runs
  bench --durable [--peer PEER]… [--pairs N]… [--seconds N] [--times N]
                             messages that are archived, with 1, 50 and 500 pairs, beside other
                             servers; PEER is prosody, prosody-sqlite, ejabberd or ejabberd-sqlite
  bench --archive            an archive of a million messages: pages, time to be ready after a
                             kill; memory of sessions whose clients are away
  crash [--cycles N] [--seed S] [--profile release|dev] [--peer PEER]
                             kills the server while clients write to it, and checks that nothing
                             promised is lost; PEER is waxwing (the default) or one of those
  scenario NAME [--on WHERE] the scenarios whose path contains NAME; WHERE is a comma list of
                             memory, tls, prosody (default memory)
  fuzz TARGET --for SECONDS  one fuzz target, on stable Rust
  gen [--check]              write the generated documents, or fail if they are out of date
  new-feature NUMBER NAME    a feature's file, its scenario and its line in the list
  tidy                       lengths, tags, layers, dead files, links: the rules rustc cannot check
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (command, rest) = match arguments.split_first() {
        Some((command, rest)) => (command.as_str(), rest),
        None => ("help", [].as_slice()),
    };
    let result = match command {
        "run" => run::run(rest),
        "test" => tiers::test(rest, process::is_ci()),
        "ci" => tiers::test(rest, true),
        "tidy" => tidy::tidy(),
        "bench" => bench::command(rest),
        "crash" => crash::command(rest),
        "scenario" => suites::scenario(rest),
        "fuzz" => suites::fuzz(rest),
        "gen" => generate::generate(rest.iter().any(|argument| argument == "--check")),
        "new-feature" => scaffold::new_feature(rest),
        "interop" => interop::command(rest),
        "help" | "--help" | "-h" => {
            print!("{HELP}");
            Ok(())
        }
        other => Err(Fault::new(format!("no command `{other}`\n\n{HELP}"))),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("xtask: {fault}");
            ExitCode::FAILURE
        }
    }
}
