//! Sessions that are logged in and do nothing.

use crate::{
    Options, Result,
    client::{Client, Peer},
    process,
};
use std::{sync::Arc, time::Duration};
use tokio::{sync::Semaphore, task::JoinSet};

/// Logins under way at a time: fewer than a server allows one address.
pub(crate) const LOGINS_MAX: usize = 40;
/// Sessions from one source address; more come from the next address of 127.0.0.0/8.
pub(crate) const PER_ADDRESS: usize = 1000;

/// Logs everybody in, lets the server come to rest, and measures.
pub(crate) async fn run(options: &Options) -> Result<()> {
    let peer = options.peer()?;
    let sessions = options.number("sessions", 5000)?.max(1);
    let accounts = options.number("accounts", 1000)?.clamp(1, sessions);
    let pid = options.pid()?;
    let names = (0..accounts).map(|account| format!("idle{account}"));
    register(&peer, names).await?;
    let before = process::pss_kib(pid)?;
    let gate = Arc::new(Semaphore::new(LOGINS_MAX));
    let mut coming = JoinSet::new();
    for session in 0..sessions {
        let (peer, gate) = (peer.clone(), gate.clone());
        coming.spawn(async move {
            let _permit = gate.acquire_owned().await?;
            let name = format!("idle{}/{session}", session % accounts);
            let host = u8::try_from(2 + session / PER_ADDRESS)?;
            Client::ready(&peer, &name, "nobody", host).await
        });
    }
    let mut here = Vec::new();
    while let Some(client) = coming.join_next().await {
        here.push(client??);
    }
    // Not to wait for something, but to let what is freed a little later be freed.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let after = process::pss_kib(pid)?;
    let count = u32::try_from(here.len())?;
    let grown = u32::try_from(after.saturating_sub(before))?;
    let each = f64::from(grown) / f64::from(count);
    println!("{each:.2} KiB of server memory each, {count} sessions of {accounts} accounts");
    Ok(())
}

/// Makes the accounts that do not exist, some at a time.
pub(crate) async fn register(peer: &Peer, names: impl Iterator<Item = String>) -> Result<()> {
    let gate = Arc::new(Semaphore::new(LOGINS_MAX));
    let mut registering = JoinSet::new();
    for name in names {
        let (peer, gate) = (peer.clone(), gate.clone());
        registering.spawn(async move {
            let _permit = gate.acquire_owned().await?;
            Client::register(&peer, &name).await
        });
    }
    while let Some(registered) = registering.join_next().await {
        registered??;
    }
    Ok(())
}
