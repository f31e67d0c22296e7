//! What one committed offline message costs: CPU time of the whole process (wall time is the
//! disk's), with 1, 16 and 256 records in flight.
//!
//! `cargo run --release -p waxwing-store --example commit_cost -- [FOLDER]`

#![expect(clippy::print_stdout, reason = "its output is what it is for")]

use std::{collections::VecDeque, path::PathBuf, time::Instant};
use waxwing_proto::{BareJid, sasl::Verifier};
use waxwing_store::{Accounts, Commits, Credentials, Message, Record, SqliteStore, Waiting};

const ACCOUNTS: usize = 1_000;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args()
        .nth(1)
        .map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = tempfile::tempdir_in(folder)?;
    let store = SqliteStore::open(folder.path().join("waxwing.db"))?;
    let accounts = accounts(&store).await?;
    println!(
        "{:>9} {:>9} {:>12} {:>12}",
        "in flight", "records", "CPU µs each", "wall µs each"
    );
    for (in_flight, records) in [(1, 1_000), (16, 20_000), (256, 100_000)] {
        let (cpu, wall) = (cpu_micros()?, Instant::now());
        submit(&store, &accounts, in_flight, records).await?;
        let count = f64::from(u32::try_from(records)?);
        let cpu = (cpu_micros()? - cpu) / count;
        let wall = wall.elapsed().as_secs_f64() * 1e6 / count;
        println!("{in_flight:>9} {records:>9} {cpu:>12.1} {wall:>12.1}");
    }
    Ok(())
}

async fn accounts(store: &SqliteStore) -> Result<Vec<BareJid>, Box<dyn std::error::Error>> {
    let verifier = |size| Verifier {
        salt: vec![1; 16],
        iterations: 4096,
        stored_key: vec![2; size],
        server_key: vec![3; size],
    };
    let credentials = Credentials {
        sha1: Some(verifier(20)),
        sha256: Some(verifier(32)),
        sha512: Some(verifier(64)),
    };
    let mut accounts = Vec::new();
    let mut made = Vec::new();
    for number in 0..ACCOUNTS {
        let account: BareJid = format!("user{number}@example.org")
            .parse()
            .map_err(|_| "address")?;
        made.push(store.account_create(account.clone(), credentials.clone(), 0));
        accounts.push(account);
    }
    for made in made {
        made.await?;
    }
    Ok(accounts)
}

/// Submits `records` messages of 400 bytes, keeping `in_flight` uncommitted.
async fn submit(
    store: &SqliteStore,
    accounts: &[BareJid],
    in_flight: usize,
    records: usize,
) -> Result<(), Box<dyn std::error::Error>> {
    let stanza = bytes::Bytes::from(vec![b'm'; 400]);
    let mut tickets = VecDeque::with_capacity(in_flight);
    let mut at = 1_790_000_000_000_000;
    for account in accounts.iter().cycle().take(records) {
        if tickets.len() >= in_flight
            && let Some(oldest) = tickets.pop_front()
        {
            let ticket: waxwing_store::Ticket = oldest;
            ticket.await?;
        }
        at += 10;
        let place = Waiting {
            account: account.clone(),
            messages_max: u32::MAX,
            bytes_max: u64::MAX,
        };
        tickets.push_back(store.submit(Record::from(Message {
            waiting: Some(place),
            ..Message::new(at, stanza.clone())
        })));
    }
    for ticket in tickets {
        ticket.await?;
    }
    Ok(())
}

/// CPU time of all threads so far, user and system, in microseconds (Linux).
fn cpu_micros() -> Result<f64, Box<dyn std::error::Error>> {
    let mut nanos = 0.0;
    for thread in std::fs::read_dir("/proc/self/task")? {
        let text = std::fs::read_to_string(thread?.path().join("schedstat"))?;
        nanos += text.split(' ').next().ok_or("schedstat")?.parse::<f64>()?;
    }
    Ok(nanos / 1_000.0)
}
