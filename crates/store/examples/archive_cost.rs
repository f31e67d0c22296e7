//! What one archived message costs: CPU time of the whole process (wall time is the disk's) with 1,
//! 16 and 256 records in flight, bytes of the file per message, and pages of a large archive.
//!
//! `cargo run --release -p waxwing-store --example archive_cost -- [MESSAGES] [FOLDER]`
//!
//! Each message has 400 bytes, an entry in both archives, a sender's id, and a mark for resends,
//! which is forgotten after a day. 1 000 accounts write 100 messages a day each, to 10 others.

#![expect(clippy::print_stdout, reason = "its output is what it is for")]

use std::{collections::VecDeque, path::PathBuf, time::Instant};
use waxwing_proto::{BareJid, Jid, sasl::Verifier};
use waxwing_store::{
    Accounts, Archive, ArchiveFilter, Commits, Credentials, Entry, Message, PageFrom, PageRequest,
    Record, Resend, SqliteStore, Ticket,
};

type Error = Box<dyn std::error::Error>;

const ACCOUNTS: usize = 1_000;
const START: i64 = 1_790_000_000_000_000;
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
    let mut load = Load {
        accounts: accounts(&store).await?,
        sent: 0,
    };
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
        load.run(&store, in_flight, records).await?;
        let count = f64::from(records.max(1));
        let cpu = (cpu_micros()? - cpu) / count;
        let wall = wall.elapsed().as_secs_f64() * 1e6 / count;
        println!("{in_flight:>9} {records:>9} {cpu:>12.1} {wall:>12.1}");
    }
    pages(&store, &load.accounts).await?;
    store.close();
    let bytes = std::fs::metadata(&path)?.len();
    println!(
        "{} messages, {bytes} bytes, {} each",
        load.sent,
        bytes / u64::from(load.sent.max(1))
    );
    let (cpu, wall) = (cpu_micros()?, Instant::now());
    let store = SqliteStore::open(&path)?;
    println!(
        "opened in {:.0} ms ({:.0} ms CPU)",
        wall.elapsed().as_secs_f64() * 1e3,
        (cpu_micros()? - cpu) / 1e3
    );
    drop(store);
    Ok(())
}

struct Load {
    accounts: Vec<BareJid>,
    sent: u32,
}

impl Load {
    /// Submits records, keeping `in_flight` uncommitted.
    async fn run(
        &mut self,
        store: &SqliteStore,
        in_flight: usize,
        records: u32,
    ) -> Result<(), Error> {
        let mut tickets: VecDeque<Ticket> = VecDeque::with_capacity(in_flight);
        for _ in 0..records {
            if tickets.len() >= in_flight
                && let Some(oldest) = tickets.pop_front()
            {
                oldest.await?;
            }
            if self.sent.is_multiple_of(1_000) {
                let day_ago = START + (i64::from(self.sent) - 100_000) * STEP;
                store.resends_forget(day_ago, 10_000).await?;
            }
            tickets.push_back(store.submit(Record::Message(Box::new(self.next()?))));
        }
        for ticket in tickets {
            ticket.await?;
        }
        Ok(())
    }

    /// A message from an account, chosen as by chance, to one of ten others.
    fn next(&mut self) -> Result<Message, Error> {
        let number = usize::try_from(self.sent)?;
        self.sent += 1;
        let from = number.wrapping_mul(7_919) % ACCOUNTS;
        let to = (from + 1 + number.wrapping_mul(31) % 10) % ACCOUNTS;
        let account = |index: usize| self.accounts.get(index).cloned().ok_or("no account");
        let (from, to) = (account(from)?, account(to)?);
        let entry = |account: &BareJid, with: &str, outgoing| {
            let with: Jid = with.parse().map_err(|_| "address")?;
            Ok::<_, Error>(Entry {
                account: account.clone(),
                with,
                outgoing,
                flags: 0,
            })
        };
        let origin = format!("4d4c1f6a-8d0e-4f0e-9a66-{number:012}");
        let key = u128::try_from(number)?.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        Ok(Message {
            at: START + i64::from(self.sent) * STEP,
            stanza: vec![b'm'; 400].into(),
            origin: Some(origin),
            sender: Some(entry(&from, to.as_str(), true)?),
            recipient: Some(entry(&to, &format!("{from}/Conversations.Xy12"), false)?),
            waiting: None,
            resend: Some(Resend {
                account: from,
                key: key.to_be_bytes(),
            }),
            handled: None,
        })
    }
}

/// Pages of 50, of whole archives and of conversations.
async fn pages(store: &SqliteStore, accounts: &[BareJid]) -> Result<(), Error> {
    let request = |from, count| PageRequest {
        max: 50,
        bytes_max: usize::MAX,
        from,
        flip: false,
        count,
    };
    println!(
        "{:>28} {:>12} {:>12}",
        "page of 50", "CPU µs each", "wall µs each"
    );
    for (name, from, with, count) in [
        ("newest", PageFrom::Last, false, false),
        ("newest of a conversation", PageFrom::Last, true, false),
        ("oldest", PageFrom::First, false, false),
        ("newest, counted", PageFrom::Last, false, true),
        ("conversation, counted", PageFrom::Last, true, true),
    ] {
        for round in ["cold", "warm"] {
            let (cpu, wall) = (cpu_micros()?, Instant::now());
            let mut entries = 0;
            for (account, other) in accounts.iter().zip(accounts.iter().skip(1)) {
                let filter = ArchiveFilter {
                    with: with.then(|| other.into()),
                    ..ArchiveFilter::default()
                };
                let page = store.archive_page(account.clone(), filter, request(from, count));
                entries += page.await?.entries.len();
            }
            let pages = f64::from(u32::try_from(accounts.len() - 1)?);
            println!(
                "{name:>28} {:>12.1} {:>12.1} {round}, {entries} entries",
                (cpu_micros()? - cpu) / pages,
                wall.elapsed().as_secs_f64() * 1e6 / pages
            );
        }
    }
    Ok(())
}

async fn accounts(store: &SqliteStore) -> Result<Vec<BareJid>, Error> {
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

/// CPU time of all threads so far, user and system, in microseconds (Linux).
fn cpu_micros() -> Result<f64, Error> {
    let mut nanos = 0.0;
    for thread in std::fs::read_dir("/proc/self/task")? {
        let text = std::fs::read_to_string(thread?.path().join("schedstat"))?;
        nanos += text.split(' ').next().ok_or("schedstat")?.parse::<f64>()?;
    }
    Ok(nanos / 1_000.0)
}
