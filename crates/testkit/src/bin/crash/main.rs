//! The crash driver behind `cargo xtask crash`: it loads a server, kills it, starts it again, and
//! asks an oracle whether everything that was promised has been kept. See `docs/reliability.md`.
//!
//! It is a black box test: the server is a process that is reached by its port, and may be another
//! server than ours. One run is a number of *cycles*, each of which ends with a kill; after some
//! cycles on the same data an *epoch* ends with an audit.
#![expect(clippy::print_stdout, reason = "a command line tool talks to its user")]

mod archive;
mod device;
mod entry;
mod epoch;
mod journal;
mod oracle;
mod plan;
mod rooms;
mod server;
mod session;
mod stanza;
mod tally;
mod values;
mod waxwing;
mod world;

use epoch::Run;
use server::{Binaries, Brand};
use std::{collections::HashMap, path::PathBuf, process::ExitCode, time::Duration};
use tally::Tally;
use tokio::task::LocalSet;

const HELP: &str = "\
crash OPTIONS

  --cycles N                 how many kills (default 20)
  --cycles-per-epoch N       after how many the archives are read and everything is judged, on
                             fresh data afterwards (default 10)
  --seed S                   of the plans (default 1)
  --peer NAME                waxwing, prosody, prosody-sqlite, ejabberd or
                             ejabberd-sqlite (default waxwing)
  --binary FILE              the server of ours to kill from outside
  --binary-with-points FILE  one with kill points, to die by itself at each of them in turn
  --rooms with|without       whether clients are in rooms, too, of ours (default without)
  --times strict|told        whether a slow return is a violation (default told)
  --after-violation stop|go-on  whether the run ends with the first (default stop)
  --folder DIR               where to put data and journals (default: a temporary one)";

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let result = runtime
        .map_err(|error| error.to_string())
        .and_then(|runtime| LocalSet::new().block_on(&runtime, run()));
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(reason) => {
            eprintln!("crash: {reason}");
            ExitCode::FAILURE
        }
    }
}

/// True if nothing was violated, or the server is not ours to judge.
async fn run() -> Result<bool, String> {
    let options = Options::parse(std::env::args().skip(1))?;
    let scratch = tempfile::Builder::new()
        .prefix("waxwing-crash-")
        .tempdir()
        .map_err(|error| error.to_string())?;
    let brand = Brand::parse(options.text("peer", "waxwing"))?;
    let strict = options.text("times", "told") == "strict";
    let run = Run {
        brand,
        binaries: Binaries {
            plain: options.text("binary", "waxwing").into(),
            with_points: options.0.get("binary-with-points").map(PathBuf::from),
        },
        seed: options.number("seed", 1)?,
        folder: match options.0.get("folder") {
            Some(folder) => folder.into(),
            None => scratch.path().to_owned(),
        },
        rooms: brand == Brand::Waxwing && options.text("rooms", "without") == "with",
        bounds: strict.then_some((Duration::from_secs(1), Duration::from_secs(2))),
    };
    let cycles = options.number("cycles", 20)?;
    let per_epoch = options.number("cycles-per-epoch", 10)?.max(1);
    let mut tally = Tally::default();
    let mut good = true;
    let mut done = 0;
    for number in 0.. {
        let count = per_epoch.min(cycles - done);
        if count == 0 {
            break;
        }
        let clean = run.epoch(number, done..done + count, &mut tally).await?;
        good &= clean;
        done += count;
        println!("{done} of {cycles} cycles, {}", tally.line());
        let goes_on = options.text("after-violation", "stop") == "go-on";
        if !clean && brand == Brand::Waxwing && !goes_on {
            break;
        }
    }
    if !good && brand == Brand::Waxwing {
        // It was said where the journals are.
        let _kept = scratch.keep();
    }
    tally.print();
    Ok(good || brand != Brand::Waxwing)
}

/// `--name value` pairs.
struct Options(HashMap<String, String>);

impl Options {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = HashMap::new();
        while let Some(word) = words.next() {
            let name = word.strip_prefix("--").ok_or(HELP)?;
            options.insert(name.to_owned(), words.next().ok_or(HELP)?);
        }
        Ok(Self(options))
    }

    fn text<'a>(&'a self, name: &str, default: &'a str) -> &'a str {
        self.0.get(name).map_or(default, String::as_str)
    }

    fn number(&self, name: &str, default: u64) -> Result<u64, String> {
        let text = self.0.get(name);
        text.map_or(Ok(default), |text| text.parse())
            .map_err(|_| format!("--{name} takes a number\n\n{HELP}"))
    }
}
