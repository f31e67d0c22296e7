//! The oracle: whether what the clients saw is what the server promises.
//!
//! Checks, each over the whole of the evidence, none knowing how the server works.

mod archives;
mod evidence;
mod messages;
mod rest;
#[cfg(test)]
mod tests;

pub(crate) use evidence::{Evidence, Receipt};

use crate::entry::Key;
use std::fmt;

/// What does not hold, and the word by which the journal's lines about it are found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) what: String,
    pub(crate) word: String,
}

impl Violation {
    fn of(key: Key, what: impl fmt::Display) -> Self {
        Self {
            what: format!("{key} {what}"),
            word: key.to_string(),
        }
    }
    fn about(word: impl fmt::Display, what: impl fmt::Display) -> Self {
        Self {
            what: what.to_string(),
            word: word.to_string(),
        }
    }
}

/// How a check ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// So many things were looked at; these did not hold.
    Judged(usize, Vec<Violation>),
    /// It cannot be judged here, for the reason given.
    NotApplicable(&'static str),
}

/// A check.
pub(crate) struct Check {
    /// As the promise counts them.
    pub(crate) number: &'static str,
    pub(crate) name: &'static str,
    pub(crate) judge: fn(&Evidence) -> Outcome,
}

/// All of them. The first has a part for each place where a message may be lost.
pub(crate) const CHECKS: &[Check] = &[
    Check {
        number: "1a",
        name: "what was accepted is in both archives, or the room's",
        judge: messages::kept_in_archives,
    },
    Check {
        number: "1b",
        name: "what was accepted reaches every device",
        judge: messages::reaches_devices,
    },
    Check {
        number: "1c",
        name: "what was accepted in a room reaches everybody in it",
        judge: messages::reaches_occupants,
    },
    Check {
        number: "2",
        name: "nothing turns up that was not sent, or changed",
        judge: messages::no_phantom,
    },
    Check {
        number: "3",
        name: "nothing is twice in an archive, or sent again without need",
        judge: messages::no_duplicate,
    },
    Check {
        number: "4",
        name: "one id on all ways",
        judge: messages::same_id,
    },
    Check {
        number: "5",
        name: "the order of a stream is kept",
        judge: archives::order,
    },
    Check {
        number: "6",
        name: "pages agree, and every id given out stays in its place",
        judge: archives::paging,
    },
    Check {
        number: "7",
        name: "what was refused is nowhere",
        judge: messages::refused_is_nowhere,
    },
    Check {
        number: "8",
        name: "sending again adds nothing",
        judge: messages::resend_adds_nothing,
    },
    Check {
        number: "9",
        name: "what was written last is what is read",
        judge: rest::values,
    },
    Check {
        number: "10",
        name: "the server is back in time, and nothing is stuck",
        judge: rest::liveness,
    },
    Check {
        number: "11",
        name: "who resumes is still in the rooms",
        judge: rest::rooms,
    },
];
