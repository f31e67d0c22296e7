//! Checks of what is not a message: values, times, troubles.

use super::{Evidence, Outcome, Violation, messages::NO_ROOMS};
use crate::entry::Entry;
use std::{collections::BTreeMap, time::Duration};

/// 9: what is read is what was written last with success, or something written since without an
/// answer.
pub(super) fn values(evidence: &Evidence) -> Outcome {
    let mut judged = 0;
    let mut violations = Vec::new();
    let mut possible: BTreeMap<(u32, &str), Vec<&str>> = BTreeMap::new();
    for entry in &evidence.values {
        match entry {
            Entry::Write {
                account,
                what,
                value,
            } => {
                let possible = possible
                    .entry((*account, what))
                    .or_insert_with(|| vec!["-"]);
                possible.push(value);
            }
            Entry::Written {
                account,
                what,
                done,
            } => {
                let possible = possible.entry((*account, what)).or_default();
                if let Some(value) = possible.pop().filter(|_| *done) {
                    *possible = vec![value];
                }
            }
            Entry::Read {
                account,
                what,
                value,
            } => {
                judged += 1;
                let possible = possible
                    .entry((*account, what))
                    .or_insert_with(|| vec!["-"]);
                if !possible.contains(&value.as_str()) {
                    let what =
                        format!("{what} of a{account} is {value}, and not one of {possible:?}");
                    violations.push(Violation::about(value, what));
                }
                // What was read once stays, unless it is written again.
                *possible = vec![value];
            }
            _ => {}
        }
    }
    Outcome::Judged(judged, violations)
}

/// 11: whoever resumes its session is still in its rooms; nobody is removed from them.
pub(super) fn rooms(evidence: &Evidence) -> Outcome {
    if evidence.occupants.is_empty() {
        return Outcome::NotApplicable(NO_ROOMS);
    }
    let mut violations = Vec::new();
    for (device, room, there) in &evidence.asked {
        if !there {
            let what = format!("{device} resumed its session and is not in r{room} any more");
            violations.push(Violation::about(device, what));
        }
    }
    for (device, room) in &evidence.removed {
        let what = format!("{device} was removed from r{room}");
        violations.push(Violation::about(device, what));
    }
    Outcome::Judged(evidence.asked.len(), violations)
}

/// 10: it listens and lets people in soon after it is started again; nothing else went wrong.
pub(super) fn liveness(evidence: &Evidence) -> Outcome {
    let mut violations = Vec::new();
    for (device, text) in &evidence.troubles {
        violations.push(Violation::about(device, format!("{device}: {text}")));
    }
    if let Some((open, login)) = evidence.bounds {
        for (millis, bound, what) in [
            (&evidence.opened, open, "listened"),
            (&evidence.logins, login, "let somebody in"),
        ] {
            for millis in millis.iter().filter(|m| Duration::from_millis(**m) > bound) {
                let what = format!("the server {what} only after {millis} ms");
                violations.push(Violation::about("killed", what));
            }
        }
    }
    Outcome::Judged(evidence.opened.len(), violations)
}
