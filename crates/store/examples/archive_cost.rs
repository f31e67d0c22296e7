//! What one archived message costs: CPU time of the whole process (wall time is the disk's) with 1,
//! 16 and 256 records in flight, and bytes of the file per message.
//!
//! `cargo run --release -p waxwing-store --example archive_cost -- [MESSAGES] [FOLDER]`
//!
//! Each message has 400 bytes, an entry in both archives, a sender's id, and a mark for resends,
//! which is forgotten after a day. 1 000 accounts write 100 messages a day each, to 10 others.

#![expect(clippy::print_stdout, reason = "its output is what it is for")]

mod load;

use load::{Error, START, cpu_micros};
use std::{path::PathBuf, time::Instant};
use waxwing_proto::BareJid;
use waxwing_store::{Message, SqliteStore};

const ACCOUNTS: u32 = 1_000;
/// Microseconds between two messages.
const STEP: i64 = 864_000;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let messages = arguments
        .next()
        .map_or(Ok(1_000_000), |text| text.parse())?;
    let folder = arguments
        .next()
        .map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = tempfile::tempdir_in(folder)?;
    let path = folder.path().join("waxwing.db");
    let store = SqliteStore::open(&path)?;
    let accounts = load::accounts(&store, ACCOUNTS).await?;
    let mut sent = 0;
    println!(
        "{:>9} {:>9} {:>12} {:>12}",
        "in flight", "records", "CPU µs each", "wall µs each"
    );
    let filling = u32::try_from(messages)?;
    for (in_flight, records) in [
        (1, 1_000),
        (16, 10_000),
        (256, 100_000),
        (256, filling.saturating_sub(211_000)),
        (256, 100_000),
    ] {
        let (cpu, wall) = (cpu_micros()?, Instant::now());
        let numbers = sent..sent + records;
        let messages = numbers.map(|number| message(&accounts, number));
        load::submit(&store, in_flight, messages).await?;
        sent += records;
        let count = f64::from(records.max(1));
        let cpu = (cpu_micros()? - cpu) / count;
        let wall = wall.elapsed().as_secs_f64() * 1e6 / count;
        println!("{in_flight:>9} {records:>9} {cpu:>12.1} {wall:>12.1}");
    }
    store.close();
    let bytes = std::fs::metadata(&path)?.len();
    println!(
        "{} messages, {bytes} bytes, {} each",
        sent,
        bytes / u64::from(sent.max(1))
    );
    Ok(())
}

/// Message `number`: from an account, chosen as by chance, to one of ten others.
fn message(accounts: &[BareJid], number: u32) -> Result<Message, Error> {
    let index = usize::try_from(number)?;
    let from = index.wrapping_mul(7_919) % accounts.len();
    let to = (from + 1 + index.wrapping_mul(31) % 10) % accounts.len();
    let account = |index: usize| accounts.get(index).ok_or("no account");
    let at = START + i64::from(number) * STEP;
    load::message(number, at, account(from)?, account(to)?)
}
