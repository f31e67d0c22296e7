//! `waxwing gen`: documents made from code, for `cargo xtask gen`.

#![expect(clippy::print_stdout, reason = "printing is what the command is for")]

use crate::config;
use crate::telemetry::metrics::{self, Metrics};
use std::process::ExitCode;

/// A document.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(super) enum Document {
    /// `docs/config.md`
    Config,
    /// `waxwing.example.toml`
    Example,
    /// `docs/metrics.md`
    Metrics,
}

pub(super) fn generate(document: Document) -> Result<ExitCode, String> {
    print!(
        "{}",
        match document {
            Document::Config => config::reference(),
            Document::Example => config::example(),
            Document::Metrics => {
                let runtime = tokio::runtime::Builder::new_current_thread().build();
                let runtime = runtime.map_err(|e| e.to_string())?;
                metrics::reference(&runtime.block_on(Metrics::for_reference())?)
            }
        }
    );
    Ok(ExitCode::SUCCESS)
}
