//! `waxwing omemo`: the health of people's encryption keys.

#![expect(
    clippy::print_stdout,
    reason = "a command talks to the person who gave it"
)]

use super::{Source, user};
use crate::{accounts, devices};
use std::process::ExitCode;
use waxwing_engine::{
    Engine,
    omemo::{self, Finding, Version},
};
use waxwing_proto::BareJid;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// List devices whose keys cannot be used: nobody else's messages reach them encrypted
    ///
    /// Nothing is changed. People remove such devices in their clients.
    Report {
        /// Of this account only
        address: Option<String>,
    },
}

pub(super) fn omemo(source: &Source, command: Command) -> Result<ExitCode, String> {
    let Command::Report { address } = command;
    let config = source.load()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| e.to_string())?;
    runtime.block_on(async {
        let engine = user::engine_at_rest(&config).await?;
        let mut chosen = Vec::new();
        if let Some(address) = address {
            let account = user::account(&config, &address)?;
            devices::must_exist(&engine, &account).await?;
            chosen.push(account);
        } else {
            for domain in &config.domains {
                chosen.extend(accounts::list(&engine, domain.as_str()).await?);
            }
        }
        report(&engine, &chosen).await
    })?;
    Ok(ExitCode::SUCCESS)
}

async fn report(engine: &Engine, accounts: &[BareJid]) -> Result<(), String> {
    let (mut people, mut all, mut bad) = (0_u64, 0_u64, 0_u64);
    for account in accounts {
        let devices = omemo::devices(engine.store(), account).await;
        let devices = devices.map_err(|e| e.to_string())?;
        people += u64::from(!devices.is_empty());
        for device in devices {
            all += 1;
            let Some(finding) = device.finding() else {
                continue;
            };
            bad += 1;
            let id: String = device
                .id
                .chars()
                .filter(|c| devices::is_shown(*c))
                .collect();
            let version = match device.version {
                Version::Legacy => "OMEMO 0.3",
                Version::Two => "OMEMO 2",
            };
            println!("{account}  {version}  device {id}  {}", describe(finding));
        }
    }
    println!("{people} accounts with keys, {all} devices, {bad} of them with a fault.");
    Ok(())
}

fn describe(finding: Finding) -> &'static str {
    match finding {
        Finding::Dead => "is listed and has no keys",
        Finding::NoPrekeys => "has no keys left to begin with",
        Finding::Unlisted => "has keys and is not listed",
    }
}
