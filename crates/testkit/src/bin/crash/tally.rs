//! The figures of a run.

use crate::{
    entry::{Beginning, Entry, Party},
    oracle::{CHECKS, Check, Outcome},
};
use std::collections::{BTreeMap, BTreeSet};
use waxwing_store::KillPoint;

/// What a check has looked at and found.
#[derive(Debug, Default)]
struct Sum {
    looked_at: usize,
    violations: usize,
    /// Messages, or other things, that the violations are about.
    things: usize,
}

/// Sums over epochs.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) cycles: u64,
    /// Places: how often the server was to die there, and how often it did.
    points: BTreeMap<KillPoint, (u64, u64)>,
    from_outside: u64,
    sent: u64,
    /// Of these, those to rooms.
    to_rooms: u64,
    again: u64,
    acked: u64,
    refused: u64,
    received: u64,
    /// Of clients that asked for it after a kill: resumed, refused.
    resumed_after_crash: (u64, u64),
    /// The same after the connection alone was lost.
    resumed: (u64, u64),
    opened: Vec<u64>,
    logins: Vec<u64>,
    /// By check: how much was looked at and what did not hold, or why it was not.
    checks: BTreeMap<&'static str, Result<Sum, &'static str>>,
}

impl Tally {
    /// The server was to die at a place.
    pub(crate) fn point(&mut self, point: KillPoint, reached: bool) {
        let (wanted, died) = self.points.entry(point).or_default();
        *wanted += 1;
        *died += u64::from(reached);
    }

    /// A check has ended.
    pub(crate) fn judged(&mut self, check: &Check, outcome: &Outcome) {
        let sum = self
            .checks
            .entry(check.number)
            .or_insert_with(|| Ok(Sum::default()));
        match outcome {
            Outcome::NotApplicable(why) => *sum = Err(why),
            Outcome::Judged(count, violations) => {
                if let Ok(sum) = sum {
                    let things = violations.iter().map(|violation| &violation.word);
                    sum.looked_at += count;
                    sum.violations += violations.len();
                    sum.things += things.collect::<BTreeSet<_>>().len();
                }
            }
        }
    }

    /// Counts the lines of a journal.
    pub(crate) fn add_journal(&mut self, entries: &[Entry]) {
        for entry in entries {
            match entry {
                Entry::Sent { again, to, .. } => {
                    self.sent += u64::from(!again);
                    self.to_rooms += u64::from(!again && matches!(to, Party::Room(_)));
                    self.again += u64::from(*again);
                }
                Entry::Acked { .. } => self.acked += 1,
                Entry::Refused { .. } => self.refused += 1,
                Entry::Received { .. } => self.received += 1,
                Entry::Connected {
                    beginning,
                    after_crash,
                    ..
                } => {
                    let (resumed, refused) = match after_crash {
                        true => &mut self.resumed_after_crash,
                        false => &mut self.resumed,
                    };
                    *resumed += u64::from(*beginning == Beginning::Resumed);
                    *refused += u64::from(*beginning == Beginning::Refused);
                }
                Entry::Open { millis } => self.opened.push(*millis),
                Entry::FirstLogin { millis } => self.logins.push(*millis),
                Entry::Killed { how } => self.from_outside += u64::from(how == "from-outside"),
                _ => {}
            }
        }
    }

    /// In short.
    pub(crate) fn line(&self) -> String {
        let sums = self.checks.values().flatten();
        let violated: usize = sums.map(|sum| sum.violations).sum();
        format!(
            "{} messages acknowledged, {} violations",
            self.acked, violated
        )
    }

    /// In full.
    pub(crate) fn print(&self) {
        println!(
            "\n{} cycles, {} kills from outside",
            self.cycles, self.from_outside
        );
        for (point, (wanted, died)) in &self.points {
            println!("  died at {:20} {died} of {wanted} times", point.name());
        }
        println!(
            "{} messages sent, {} of them to rooms, {} sent again, {} acknowledged, {} refused, \
             {} copies received",
            self.sent, self.to_rooms, self.again, self.acked, self.refused, self.received
        );
        let of = |(resumed, refused): (u64, u64)| format!("{resumed} of {}", resumed + refused);
        println!(
            "resumed after a kill: {}; after losing the connection: {}",
            of(self.resumed_after_crash),
            of(self.resumed)
        );
        let (open, login) = (spread(&self.opened), spread(&self.logins));
        println!("after a start: listens {open}, lets the first in {login}");
        for check in CHECKS {
            let told = match self.checks.get(check.number) {
                Some(Ok(sum)) if sum.violations == 0 => {
                    format!("{} looked at, all hold", sum.looked_at)
                }
                Some(Ok(sum)) => format!(
                    "{} looked at, {} VIOLATED, about {} messages or other things",
                    sum.looked_at, sum.violations, sum.things
                ),
                Some(Err(why)) => format!("n/a: {why}"),
                None => "not judged".to_owned(),
            };
            println!("  {:>3}  {:64} {told}", check.number, check.name);
        }
    }
}

/// The middle and the longest of some times.
fn spread(millis: &[u64]) -> String {
    let mut sorted = millis.to_vec();
    sorted.sort_unstable();
    match (sorted.get(sorted.len() / 2), sorted.last()) {
        (Some(median), Some(longest)) => {
            format!("within {median} ms (median), {longest} ms (longest)")
        }
        _ => "never".to_owned(),
    }
}
