//! What it costs to read an archive of many messages, and how soon a server with it is ready again
//! after it was killed while it wrote.
//!
//! `cargo run --release -p waxwing-store --example archive_pages -- [MESSAGES] [FOLDER]`
//!
//! One account has exchanged messages of 400 bytes with 100 others for two years: half of them with
//! one, one in ten thousand with another.

#![expect(clippy::print_stdout, reason = "its output is what it is for")]

mod load;

use load::{DAY, Error, START, cpu_micros};
use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};
use waxwing_proto::BareJid;
use waxwing_store::{
    Archive, ArchiveFilter, ArchivePage, Message, PageFrom, PageRequest, SqliteStore,
};

const YEARS: i64 = 2;
/// The argument of the process that is killed.
const WRITE: &str = "write-until-killed";
/// Pages read for one figure.
const PAGES: u32 = 2_000;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let first = arguments.next();
    if first.as_deref() == Some(WRITE) {
        return write(&PathBuf::from(arguments.next().ok_or("no path")?)).await;
    }
    let messages: u32 = first.map_or(Ok(1_000_000), |text| text.parse())?;
    let folder = arguments
        .next()
        .map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = tempfile::tempdir_in(folder)?;
    let path = folder.path().join("waxwing.db");
    let store = SqliteStore::open(&path)?;
    let accounts = load::accounts(&store, 101).await?;
    let step = YEARS * 365 * DAY / i64::from(messages);
    let all = (0..messages).map(|number| message(&accounts, number, step));
    load::submit(&store, 256, all).await?;
    read_all(&store, &accounts, messages, step).await?;
    store.close();
    drop(store);
    let bytes = std::fs::metadata(&path)?.len();
    println!("{messages} messages, {bytes} bytes");
    reopen(&path, accounts.first().ok_or("no account")?).await
}

/// Message `number` of the one account, which is the first.
fn message(accounts: &[BareJid], number: u32, step: i64) -> Result<Message, Error> {
    let other = match number {
        _ if number.is_multiple_of(2) => 1,
        _ if number % 10_000 == 1 => 2,
        _ => 3 + usize::try_from(number / 2)?.wrapping_mul(7_919) % (accounts.len() - 3),
    };
    let at = START + i64::from(number) * step;
    let [one, other] = [0, other].map(|index| accounts.get(index).ok_or("no account"));
    if number.is_multiple_of(3) {
        load::message(number, at, one?, other?)
    } else {
        load::message(number, at, other?, one?)
    }
}

/// One way to read.
struct Way {
    name: &'static str,
    with: Option<usize>,
    /// Where the first page is, in parts of the whole time.
    start: Option<u32>,
    from: PageFrom,
    count: bool,
}

async fn read_all(
    store: &SqliteStore,
    accounts: &[BareJid],
    messages: u32,
    step: i64,
) -> Result<(), Error> {
    println!(
        "{:>44} {:>10} {:>12} {:>8}",
        "pages of 50", "pages/s", "CPU µs each", "entries"
    );
    let way = |name, with, start, from| Way {
        name,
        with,
        start,
        from,
        count: false,
    };
    let (first, last) = (PageFrom::First, PageFrom::Last);
    let ways = [
        way("forwards, one after another", None, None, first),
        way("backwards, one after another", None, None, last),
        way("forwards, half of the archive", Some(1), None, first),
        way("backwards, half of the archive", Some(1), None, last),
        way("forwards, 1 of 200", Some(50), None, first),
        way("backwards, 1 of 200", Some(50), None, last),
        way("forwards, 1 of 10 000", Some(2), None, first),
        way("backwards, 1 of 10 000", Some(2), None, last),
        way("from a time", None, Some(1_000), first),
        way("from a time, 1 of 200", Some(50), Some(1_000), first),
        way("from a time, 1 of 10 000", Some(2), Some(1_000), first),
    ];
    for counted in [false, true] {
        for way in &ways {
            let way = Way {
                count: counted,
                ..*way
            };
            let (cpu, wall) = (cpu_micros()?, Instant::now());
            let (pages, entries) = read(store, accounts, messages, step, &way).await?;
            let wall = wall.elapsed().as_secs_f64();
            let cpu = (cpu_micros()? - cpu) / f64::from(pages);
            let name = format!("{}{}", way.name, if counted { ", counted" } else { "" });
            println!(
                "{name:>44} {:>10.0} {cpu:>12.1} {entries:>8}",
                f64::from(pages) / wall
            );
        }
    }
    Ok(())
}

/// Reads pages one way, the next after the one before or from another time; gives how many pages
/// and entries.
async fn read(
    store: &SqliteStore,
    accounts: &[BareJid],
    messages: u32,
    step: i64,
    way: &Way,
) -> Result<(u32, usize), Error> {
    let one = accounts.first().ok_or("no account")?;
    let with = way
        .with
        .map(|index| accounts.get(index).ok_or("no account"));
    let with = with.transpose()?.map(Into::into);
    let (mut from, mut entries, mut pages) = (way.from, 0, 0);
    // Counts are dear; fewer of them show it as well.
    while pages < if way.count { PAGES / 10 } else { PAGES } {
        let start = way.start.map(|parts| {
            let part = pages.wrapping_mul(7_919) % parts;
            START + i64::from(messages) * step / i64::from(parts) * i64::from(part)
        });
        let filter = ArchiveFilter {
            with: Clone::clone(&with),
            start,
            ..ArchiveFilter::default()
        };
        let request = PageRequest {
            max: 50,
            bytes_max: usize::MAX,
            from,
            flip: false,
            count: way.count,
        };
        let page: ArchivePage = store.archive_page(one.clone(), filter, request).await?;
        pages += 1;
        entries += page.entries.len();
        from = match (way.from, page.entries.first(), page.entries.last()) {
            _ if page.complete || way.start.is_some() => way.from,
            (PageFrom::Last, Some(oldest), _) => PageFrom::Before(oldest.id),
            (_, _, Some(newest)) => PageFrom::After(newest.id),
            _ => way.from,
        };
    }
    Ok((pages, entries))
}

/// Has a process write to the database, kills it, and opens the database as the next server does.
async fn reopen(path: &Path, account: &BareJid) -> Result<(), Error> {
    for round in 1..=3 {
        let mut writer = Command::new(std::env::current_exe()?)
            .arg(WRITE)
            .arg(path)
            .stdout(Stdio::piped())
            .spawn()?;
        let output = writer.stdout.take().ok_or("no output")?;
        let mut lines = BufReader::new(output).lines();
        // The more has been written, the more there may be in the log.
        for _ in 0..round * 7 {
            lines.next().ok_or("the writer ended")??;
        }
        writer.kill()?;
        writer.wait()?;
        let log = path.with_extension("db-wal");
        let log = std::fs::metadata(log).map_or(0, |log| log.len());
        let wall = Instant::now();
        let store = SqliteStore::open(path)?;
        let opened = wall.elapsed().as_secs_f64() * 1e3;
        let ends = store.archive_ends(account.clone()).await?;
        load::submit(&store, 1, std::iter::once(last(account, round))).await?;
        println!(
            "killed with {log} bytes of log: opened in {opened:.0} ms, read and written after \
             {:.0} ms, newest {}",
            wall.elapsed().as_secs_f64() * 1e3,
            ends.map_or(0, |(_, newest)| newest),
        );
    }
    Ok(())
}

/// A message to oneself, after all others.
fn last(account: &BareJid, round: u32) -> Result<Message, Error> {
    load::message(
        u32::MAX - round,
        START + YEARS * 365 * DAY,
        account,
        account,
    )
}

/// Writes until it is killed; a line for each thousand messages.
async fn write(path: &Path) -> Result<(), Error> {
    let store = SqliteStore::open(path)?;
    let accounts: Vec<BareJid> = (0..101)
        .map(|number| {
            format!("user{number}@example.org")
                .parse()
                .map_err(|_| "address")
        })
        .collect::<Result<_, _>>()?;
    for number in (u32::MAX / 2..).step_by(1_000) {
        let after = |number| START + YEARS * 365 * DAY + i64::from(number);
        let messages = (number..number + 1_000).map(|number| {
            let mut message = message(&accounts, number, 0)?;
            message.at = after(number);
            Ok(message)
        });
        load::submit(&store, 256, messages).await?;
        println!("{number}");
    }
    Ok(())
}
