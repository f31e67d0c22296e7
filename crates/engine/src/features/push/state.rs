//! When a registration is pushed to: a machine without clock and wire.
//!
//! One push wakes a device, and until it has come back more would only tell the app server how much
//! its user is written to. A push that failed is made up for later, with growing patience.

use super::worth::Worth;
use waxwing_store::Micros;

const SECOND: Micros = 1_000_000;

/// How long after a push the next one waits if the client has not come back: the first may have been
/// lost on its way.
const QUIET: Micros = 10 * 60 * SECOND;
/// The first wait after a failure; it doubles with each one.
const BACK_OFF_MIN: Micros = 30 * SECOND;
/// The longest.
const BACK_OFF_MAX: Micros = 6 * 3600 * SECOND;
/// Refusals for good in a row, after which the registration has ended (XEP-0357 § 7.1). More than
/// one, because an app server that is being repaired says strange things.
const REFUSALS_MAX: u32 = 3;

/// What is known of one registration, since its client was here last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct State {
    /// Messages worth a push.
    messages: u32,
    /// When the last push was made.
    pushed: Option<Micros>,
    /// How many pushes have no answer yet.
    asked: u32,
    /// A push is to be made when the back-off ends.
    owed: bool,
    /// Failures in a row, of any kind.
    failures: u32,
    /// Those among them that were meant for good.
    refusals: u32,
    /// No push before this.
    retry: Option<Micros>,
}

/// What became of a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// The app server has taken it.
    Taken,
    /// It has not, and may do so later.
    Failed,
    /// It will not.
    Refused,
}

/// What follows from an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing.
    Nothing,
    /// It works again: forget the failures that are kept.
    Recovered,
    /// Keep the failures, and look again at this time.
    RetryAt(Micros),
    /// The registration has ended.
    Remove,
}

impl State {
    /// A registration of which so many failures in a row are kept.
    pub(super) fn new(failures: u32, retry: Option<Micros>) -> Self {
        Self {
            failures,
            retry,
            ..Self::default()
        }
    }

    /// A message came while the client was away. Whether to push now.
    pub(super) fn message(&mut self, worth: Worth, now: Micros) -> bool {
        if worth == Worth::Nothing {
            return false;
        }
        self.messages = self.messages.saturating_add(1);
        if worth == Worth::Call {
            return self.push(now);
        }
        if self.retry.is_some_and(|retry| now < retry) {
            self.owed = true;
            return false;
        }
        let quiet = self
            .pushed
            .is_some_and(|pushed| (pushed..pushed + QUIET).contains(&now));
        !quiet && self.push(now)
    }

    /// Whether such a message would make a difference beyond being counted.
    pub(super) fn cares(&self, worth: Worth, now: Micros) -> bool {
        let mut after = self.clone();
        after.message(worth, now) || after.owed && !self.owed
    }

    /// The back-off may have ended. Whether to push now.
    pub(super) fn due(&mut self, now: Micros) -> bool {
        self.owed && self.retry.is_none_or(|retry| retry <= now) && self.push(now)
    }

    /// The client is here.
    pub(super) fn is_back(&mut self) {
        self.messages = 0;
        self.pushed = None;
        self.owed = false;
    }

    /// A push was answered. `chance` spreads the retries of many registrations at one app server.
    pub(super) fn answered(&mut self, answer: Answer, now: Micros, chance: u8) -> Next {
        self.asked = self.asked.saturating_sub(1);
        match answer {
            Answer::Taken => {
                let recovered = self.failures > 0;
                self.failures = 0;
                self.refusals = 0;
                self.retry = None;
                return if recovered {
                    Next::Recovered
                } else {
                    Next::Nothing
                };
            }
            Answer::Refused => self.refusals += 1,
            Answer::Failed => self.refusals = 0,
        }
        if self.refusals >= REFUSALS_MAX {
            return Next::Remove;
        }
        self.failures = self.failures.saturating_add(1);
        let retry = now + back_off(self.failures, chance);
        self.retry = Some(retry);
        // Nothing is owed to a client that has come back meanwhile.
        self.owed |= self.pushed.take().is_some();
        Next::RetryAt(retry)
    }

    /// Messages worth a push since the client was here last.
    pub(super) fn messages(&self) -> u32 {
        self.messages
    }

    /// Failures in a row.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    /// Whether nothing would be lost by forgetting it.
    pub(super) fn is_idle(&self) -> bool {
        self.messages == 0 && self.asked == 0 && self.failures == 0 && !self.owed
    }

    fn push(&mut self, now: Micros) -> bool {
        self.asked = self.asked.saturating_add(1);
        self.pushed = Some(now);
        self.owed = false;
        true
    }
}

/// How long to wait after so many failures in a row, up to half as long again by chance.
fn back_off(failures: u32, chance: u8) -> Micros {
    let doublings = failures.saturating_sub(1).min(32);
    let wait = (BACK_OFF_MIN << doublings).min(BACK_OFF_MAX);
    wait + wait / 512 * Micros::from(chance)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Micros = 60 * SECOND;

    #[test]
    fn one_push_for_each_absence() {
        let mut state = State::default();
        assert!(!state.message(Worth::Nothing, 0));
        assert!(state.is_idle());
        assert!(state.message(Worth::Message, 0));
        assert!(!state.message(Worth::Message, 1));
        assert_eq!(state.answered(Answer::Taken, 2, 0), Next::Nothing);
        assert!(!state.message(Worth::Message, QUIET - 1));
        assert_eq!(state.messages(), 3);
        // The first one seems to be lost.
        assert!(state.message(Worth::Message, QUIET));
        assert_eq!(state.answered(Answer::Taken, QUIET, 0), Next::Nothing);
        state.is_back();
        assert!(state.is_idle());
        assert!(state.message(Worth::Message, QUIET + 1));
        assert_eq!(state.messages(), 1);
    }

    #[test]
    fn calls_do_not_wait() {
        let mut state = State::new(3, Some(MINUTE));
        assert!(!state.message(Worth::Message, 0), "in back-off");
        assert!(state.message(Worth::Call, 1));
        assert!(state.message(Worth::Call, 2));
        assert_eq!(state.answered(Answer::Taken, 3, 0), Next::Recovered);
        assert!(!state.message(Worth::Message, 4));
        assert!(state.message(Worth::Call, 5));
    }

    #[test]
    fn a_failure_is_made_up_for_and_never_ends_the_registration() {
        let mut state = State::default();
        let mut now = 0;
        assert!(state.message(Worth::Message, now));
        let mut waits = Vec::new();
        for _ in 0..40 {
            let Next::RetryAt(retry) = state.answered(Answer::Failed, now, 0) else {
                panic!("no retry")
            };
            waits.push((retry - now) / SECOND);
            assert!(!state.due(retry - 1), "too early");
            assert!(!state.message(Worth::Message, retry - 1), "in back-off");
            now = retry;
            assert!(state.due(now));
            assert!(!state.due(now), "once");
        }
        assert_eq!(waits[..5], [30, 60, 120, 240, 480]);
        assert_eq!(waits[39], BACK_OFF_MAX / SECOND);
        assert_eq!(state.answered(Answer::Taken, now, 0), Next::Recovered);
        assert_eq!(state.failures(), 0);
    }

    #[test]
    fn refusals_in_a_row_end_it() {
        let mut state = State::default();
        let mut now = 0;
        assert!(state.message(Worth::Message, now));
        for answer in [
            Answer::Refused,
            Answer::Refused,
            Answer::Failed,
            Answer::Refused,
            Answer::Refused,
        ] {
            let Next::RetryAt(retry) = state.answered(answer, now, 0) else {
                panic!("too early")
            };
            now = retry;
            assert!(state.due(now));
        }
        assert_eq!(state.answered(Answer::Refused, now, 0), Next::Remove);
    }

    #[test]
    fn who_has_come_back_is_owed_nothing() {
        let mut state = State::default();
        assert!(state.message(Worth::Message, 0));
        state.is_back();
        assert!(!state.is_idle(), "an answer is to come");
        let Next::RetryAt(retry) = state.answered(Answer::Failed, 1, 0) else {
            panic!("no retry")
        };
        assert!(!state.due(retry));
        // The back-off still counts for the next absence.
        assert!(!state.message(Worth::Message, retry - 1));
        assert!(state.due(retry));
    }

    #[test]
    fn retries_are_spread() {
        for failures in 0..64 {
            let (least, most) = (back_off(failures, 0), back_off(failures, u8::MAX));
            assert!((BACK_OFF_MIN..=BACK_OFF_MAX).contains(&least));
            assert!(most > least && most < least * 3 / 2, "{failures}");
        }
    }
}
