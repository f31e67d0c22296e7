//! The command line.

mod backup;
mod check;
mod generate;
mod omemo;
mod reach;
mod run;
mod user;

use crate::config::{Config, DEFAULT_PATH};
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, Parser)]
#[command(name = "waxwing", version, about = env!("CARGO_PKG_DESCRIPTION"), disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    source: Source,
    #[command(subcommand)]
    command: Command,
}

/// Where the configuration comes from.
#[derive(Debug, Clone, Args)]
pub(crate) struct Source {
    /// The configuration file
    #[arg(long, global = true, value_name = "FILE", default_value = DEFAULT_PATH)]
    config: PathBuf,
    /// Try it out without a file: domain localhost, data in ./data, a certificate of its own making
    #[arg(long, global = true)]
    dev: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server
    Run,
    /// Look for mistakes in configuration, certificates, data folder and ports; or, with a domain, in how
    /// other servers reach it: DNS, ports, TLS, certificates, dialback
    Check {
        /// The domain, one of ours or another
        domain: Option<String>,
        /// Do not look through the whole database for damage: it takes a second for some hundred
        /// megabytes
        #[arg(long)]
        quick: bool,
    },
    /// Copy the database to a new file; works whether the server runs or not
    Backup {
        /// The new file, readable by its owner only
        file: PathBuf,
    },
    /// Handle accounts; works whether the server runs or not
    #[command(subcommand)]
    User(user::Command),
    /// Look after people's encryption keys; works whether the server runs or not
    #[command(subcommand)]
    Omemo(omemo::Command),
    /// Print a generated document
    #[command(hide = true)]
    Gen {
        /// Which one
        document: generate::Document,
    },
}

impl Source {
    /// The configuration.
    fn load(&self) -> Result<Config, String> {
        if self.dev {
            return Ok(Config::dev(PathBuf::from("data")));
        }
        Config::load(&self.config).map_err(|e| e.to_string())
    }
}

/// Does what was asked for.
pub(crate) fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command {
        Command::Run => run::run(&cli.source),
        Command::Check {
            domain: Some(domain),
            ..
        } => reach::check(&cli.source, &domain),
        Command::Check { quick, .. } => check::check(&cli.source, quick),
        Command::Backup { file } => backup::backup(&cli.source, &file),
        Command::User(command) => user::user(&cli.source, command),
        Command::Omemo(command) => omemo::omemo(&cli.source, command),
        Command::Gen { document } => generate::generate(document),
    };
    match done {
        Ok(code) => code,
        Err(message) => {
            eprintln!("waxwing: {message}");
            ExitCode::FAILURE
        }
    }
}
