//! Bytes on disk of a session of stream management (XEP-0198) whose client is away, and what it
//! costs to write one, to take it over, and to find those that ended.
//!
//! `cargo run --release -p waxwing-store --example session_bytes -- [SESSIONS] [FOLDER]`
//!
//! Each has an id of 24 characters and a state of 1 KiB, or 4 KiB, or 1 KiB and ten stanzas of 300
//! bytes that no archive holds.

#![expect(clippy::print_stdout, reason = "its output is what it is for")]

#[expect(dead_code, reason = "the load of archives is not wanted here")]
mod load;

use load::{Error, START, cpu_micros};
use std::{
    path::{Path, PathBuf},
    time::Instant,
};
use waxwing_proto::BareJid;
use waxwing_store::{Hibernation, SessionKey, SessionUpdate, SmSession, SqliteStore, Stanzas};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let sessions: u32 = arguments.next().map_or(Ok(10_000), |text| text.parse())?;
    let folder = arguments
        .next()
        .map_or_else(std::env::temp_dir, PathBuf::from);
    println!("{:>34} {:>14} {:>12}", "of a session", "bytes", "CPU µs");
    for (name, state, stanzas) in [
        ("a state of 1 KiB", 1_024, 0),
        ("a state of 4 KiB", 4_096, 0),
        ("1 KiB and ten stanzas", 1_024, 10),
    ] {
        let folder = tempfile::tempdir_in(&folder)?;
        measure(
            &folder.path().join("waxwing.db"),
            sessions,
            name,
            state,
            stanzas,
        )
        .await?;
    }
    Ok(())
}

async fn measure(
    path: &Path,
    sessions: u32,
    name: &str,
    state: usize,
    stanzas: usize,
) -> Result<(), Error> {
    let store = SqliteStore::open(path)?;
    let accounts = load::accounts(&store, sessions).await?;
    store.close();
    let before = std::fs::metadata(path)?.len();
    let store = SqliteStore::open(path)?;
    let cpu = cpu_micros()?;
    let mut puts = Vec::new();
    for (number, account) in (0..).zip(&accounts) {
        puts.push(store.session_put(account.clone(), session(number, state), 10));
        if stanzas > 0 {
            let keep = Stanzas {
                at: START,
                stanzas: vec![vec![b's'; 300].into(); stanzas],
                stanzas_max: 100,
                bytes_max: 100_000,
            };
            drop(store.session_keep(account.clone(), key(number, 1), keep));
        }
    }
    for put in puts {
        put.await?;
    }
    let count = f64::from(sessions);
    let cpu = (cpu_micros()? - cpu) / count;
    store.close();
    let bytes = std::fs::metadata(path)?.len() - before;
    println!("{name:>34} {:>14} {cpu:>12.1}", bytes / u64::from(sessions));
    if stanzas == 0 {
        resume(path, &accounts, state).await?;
    }
    Ok(())
}

/// Takes each session over and writes it again, as a client that comes back and goes.
async fn resume(path: &Path, accounts: &[BareJid], state: usize) -> Result<(), Error> {
    let store = SqliteStore::open(path)?;
    let count = f64::from(u32::try_from(accounts.len())?);
    let cpu = cpu_micros()?;
    let mut updates = Vec::new();
    for (number, account) in (0..).zip(accounts) {
        drop(store.session_take(account.clone(), key(number, 1)));
        let update = SessionUpdate {
            handled: Some(9),
            acknowledged: Some(START.unsigned_abs()),
            expires: Some(Some(START)),
            state: Some(vec![b't'; state].into()),
        };
        updates.push(store.session_update(account.clone(), key(number, 2), update));
    }
    for update in updates {
        update.await?;
    }
    let cpu = (cpu_micros()? - cpu) / count;
    println!("{:>34} {:>14} {cpu:>12.1}", "taken and written again", "");
    let wall = Instant::now();
    let expired = store.sessions_expired(START + 1, 100).await?.len();
    let micros = wall.elapsed().as_secs_f64() * 1e6;
    println!(
        "{:>34} {:>14} {micros:>12.1}",
        format!("{expired} that ended, found"),
        ""
    );
    Ok(())
}

fn session(number: u32, state: usize) -> SmSession {
    SmSession {
        id: id(number),
        generation: 1,
        resource: "Conversations.Xy12".into(),
        handled: 0,
        acknowledged: START.unsigned_abs(),
        expires: Some(START),
        state: vec![b's'; state].into(),
    }
}

fn key(number: u32, generation: u64) -> SessionKey {
    SessionKey {
        id: id(number),
        generation,
    }
}

/// 24 characters, in no order.
fn id(number: u32) -> String {
    let scattered = u128::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    format!("{:024x}", scattered >> 32)
}
