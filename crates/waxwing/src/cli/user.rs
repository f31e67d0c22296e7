//! `waxwing user`: accounts.

#![expect(
    clippy::print_stdout,
    reason = "a command talks to the person who gave it"
)]

use super::Source;
use crate::admin::Request;
use crate::config::Config;
use crate::{accounts, data, env};
use std::io::{IsTerminal as _, Read as _};
use std::process::ExitCode;
use waxwing_engine::{Engine, Env};
use waxwing_proto::BareJid;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Make an account
    Add {
        /// Its address, NAME@DOMAIN
        address: String,
        #[command(flatten)]
        password: Password,
    },
    /// Set a new password and end the sessions of the account
    Passwd {
        /// The account's address
        address: String,
        #[command(flatten)]
        password: Password,
    },
    /// Delete an account and everything kept for it
    Del {
        /// The account's address
        address: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// List the devices that have access to an account
    Devices {
        /// The account's address
        address: String,
    },
    /// End the access of a device: its tokens and its sessions
    ///
    /// A device that has kept the password can log in again; `waxwing user passwd` ends that too.
    SignOut {
        /// The account's address
        address: String,
        /// The device's id, as `waxwing user devices` shows it; all devices if left out
        id: Option<String>,
    },
    /// Remove messages from the archive of an account
    PurgeArchive {
        /// The account's address
        address: String,
        /// Only those from before this day, such as 2026-01-31, or time, such as 2026-01-31T12:00:00Z
        #[arg(long, value_name = "DATE")]
        before: Option<String>,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// List accounts
    List {
        /// Of this domain only
        domain: Option<String>,
    },
}

/// Where a password comes from; asked for if neither is given and somebody can be asked.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(super) struct Password {
    /// Read the password from standard input: its first line
    #[arg(long, conflicts_with = "generate")]
    password_stdin: bool,
    /// Make up a password and print it
    #[arg(long)]
    generate: bool,
}

pub(super) fn user(source: &Source, command: Command) -> Result<ExitCode, String> {
    let config = source.load()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| e.to_string())?;
    let env = env::system();
    match command {
        Command::Add { address, password } => {
            let account = account(&config, &address)?;
            let (password, generated) = password.obtain(&env)?;
            let request = Request::Add(account.clone(), password.clone());
            runtime.block_on(perform(&config, &request))?;
            println!("{account} can log in now.");
            if generated {
                println!("Password (not shown again): {password}");
            }
        }
        Command::Passwd { address, password } => {
            let account = account(&config, &address)?;
            let (password, generated) = password.obtain(&env)?;
            let request = Request::Passwd(account.clone(), password.clone());
            runtime.block_on(perform(&config, &request))?;
            println!("{account} has a new password.");
            if generated {
                println!("Password (not shown again): {password}");
            }
        }
        Command::Del { address, yes } => {
            let account = account(&config, &address)?;
            if !yes && !confirmed("This account and everything kept for it", &account)? {
                return Err("nothing was deleted; say --yes to delete without being asked".into());
            }
            runtime.block_on(perform(&config, &Request::Del(account.clone())))?;
            println!("{account} is deleted.");
        }
        Command::Devices { address } => {
            let request = Request::Devices(account(&config, &address)?);
            print!("{}", runtime.block_on(perform(&config, &request))?);
        }
        Command::SignOut { address, id } => {
            let request = Request::SignOut(account(&config, &address)?, id);
            print!("{}", runtime.block_on(perform(&config, &request))?);
        }
        Command::PurgeArchive {
            address,
            before,
            yes,
        } => {
            let request = purge_archive(account(&config, &address)?, before, yes)?;
            print!("{}", runtime.block_on(perform(&config, &request))?);
        }
        Command::List { domain } => {
            runtime.block_on(list(&config, domain))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The request to remove messages, if that is what the person wants.
fn purge_archive(account: BareJid, before: Option<String>, sure: bool) -> Result<Request, String> {
    if sure || confirmed("The archive of this account", &account)? {
        Ok(Request::PurgeArchive(account, before))
    } else {
        Err("nothing was removed; say --yes to remove without being asked".into())
    }
}

/// Through the server if it runs, so that sessions end when they must; else on the database.
async fn perform(config: &Config, request: &Request) -> Result<String, String> {
    match request.send(&config.admin_socket()).await {
        Some(answer) => answer,
        None => request.perform(&engine_at_rest(config).await?).await,
    }
}

/// The server's logic without sockets: it unsubscribes contacts and the like as the server would.
pub(super) async fn engine_at_rest(config: &Config) -> Result<Engine, String> {
    crate::files::create_private_folder(&config.data).map_err(|e| {
        format!(
            "{}: the data folder cannot be made: {e}",
            config.data.display()
        )
    })?;
    let store = data::open(&config.database())?;
    data::engine(config, env::system(), store).await
}

async fn list(config: &Config, domain: Option<String>) -> Result<(), String> {
    let all = config.domains.iter();
    let all = all.map(|domain| domain.as_str().to_owned());
    let domains = domain.map_or_else(|| all.collect(), |domain| vec![domain]);
    let engine = engine_at_rest(config).await?;
    for domain in &domains {
        for account in accounts::list(&engine, domain).await? {
            println!("{account}");
        }
    }
    Ok(())
}

/// The address of a person at one of our domains.
pub(super) fn account(config: &Config, address: &str) -> Result<BareJid, String> {
    let domains = || {
        config
            .domains
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(", ")
    };
    let account = BareJid::parse(address)
        .ok()
        .filter(|account| account.local().is_some())
        .ok_or_else(|| format!("`{address}` is not an address; write NAME@{}", domains()))?;
    if config
        .domains
        .iter()
        .any(|domain| domain.as_str() == account.domain())
    {
        Ok(account)
    } else {
        Err(format!(
            "{} is not a domain of this server; it has {}",
            account.domain(),
            domains()
        ))
    }
}

impl Password {
    /// The password, and whether it was made up.
    fn obtain(self, env: &Env) -> Result<(String, bool), String> {
        if self.generate {
            return Ok((accounts::generate_password(env), true));
        }
        if self.password_stdin || !std::io::stdin().is_terminal() {
            return Ok((first_line()?, false));
        }
        let ask = |prompt| rpassword::prompt_password(prompt).map_err(|e| e.to_string());
        let password = ask("Password: ")?;
        if password.is_empty() {
            return Err("the password is empty; try --generate".into());
        }
        if ask("Once more: ")? != password {
            return Err("the two differ; nothing was done".into());
        }
        Ok((password, false))
    }
}

fn first_line() -> Result<String, String> {
    let mut text = String::new();
    std::io::stdin()
        .take(8 * 1024)
        .read_to_string(&mut text)
        .map_err(|e| format!("no password could be read from standard input: {e}"))?;
    let line = text.lines().next().unwrap_or("");
    if line.is_empty() {
        return Err(
            "no password came from standard input; write it there, or say --generate".into(),
        );
    }
    Ok(line.to_owned())
}

fn confirmed(what: &str, account: &BareJid) -> Result<bool, String> {
    if !std::io::stdin().is_terminal() {
        return Ok(false);
    }
    println!("{what}, {account}, will be gone for good. Type its address:");
    let mut line = String::new();
    std::io::stdin()
        .read_line(&mut line)
        .map_err(|e| e.to_string())?;
    Ok(line.trim() == account.as_str())
}
