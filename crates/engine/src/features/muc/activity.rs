//! How much is said in a room ([XEP-0502](https://xmpp.org/extensions/xep-0502.html), 0.1.0), as the
//! XEP proposes it in § 6: a counter for each hour, of which the last whole day is told. It is counted
//! as long as the room is in memory; what was before that is not known, and nothing is said of it.

use super::room::Room;
use std::collections::VecDeque;
use waxwing_proto::{ns, stanza::Stanza};
use waxwing_store::Micros;

/// Hours that are told of.
const HOURS: i64 = 24;
const HOUR: Micros = 3_600_000_000;

/// Messages of the last hours.
#[derive(Debug, Default)]
pub(super) struct Activity {
    /// The hour since which is counted.
    since: Option<i64>,
    /// Hours in which something was said, and how often.
    hours: VecDeque<(i64, u32)>,
}

impl Activity {
    /// Something was said.
    pub(super) fn count(&mut self, said: &Stanza, now: Micros) {
        if !counts(said) {
            return;
        }
        let hour = now.div_euclid(HOUR);
        self.since.get_or_insert(hour);
        match self.hours.back_mut() {
            Some((last, count)) if *last == hour => *count = count.saturating_add(1),
            _ => self.hours.push_back((hour, 1)),
        }
        while self
            .hours
            .front()
            .is_some_and(|(old, _)| *old < hour - HOURS)
        {
            self.hours.pop_front();
        }
    }

    /// Messages in an hour, as far as that is known.
    fn per_hour(&self, now: Micros) -> Option<String> {
        let hour = now.div_euclid(HOUR);
        let observed = (hour - self.since?).min(HOURS);
        if observed < 1 {
            return None;
        }
        let whole = self.hours.iter();
        let whole = whole.filter(|(at, _)| (hour - observed..hour).contains(at));
        let said: i64 = whole.map(|(_, count)| i64::from(*count)).sum();
        let hundredths = said.saturating_mul(100) / observed;
        Some(format!("{}.{:02}", hundredths / 100, hundredths % 100))
    }
}

impl Room {
    /// What is told to everybody (§ 4.1, § 9): of rooms that are listed, stay, and let everybody in.
    pub(super) fn shown_activity(&self, now: Micros) -> Option<String> {
        let config = &self.config;
        let told = config.persistent && config.public && !config.protected && !config.members_only;
        told.then(|| self.activity.per_hour(now)).flatten()
    }
}

/// § 5
fn counts(said: &Stanza) -> bool {
    said.content("body").is_some()
        && said.root().child("replace", ns::CORRECTION).is_none()
        && said.root().child("retract", ns::RETRACTION).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::fixtures::draft;

    #[test]
    fn whole_hours_of_the_last_day() {
        let said = draft("<message><body>Hi</body></message>");
        let said = said.stanza();
        let mut activity = Activity::default();
        let at = |hour: i64, minute: i64| hour * HOUR + minute * HOUR / 60;
        assert_eq!(activity.per_hour(at(1000, 0)), None);
        for minute in 0..30 {
            activity.count(said, at(1000, minute));
        }
        // This hour is not over.
        assert_eq!(activity.per_hour(at(1000, 59)), None);
        assert_eq!(activity.per_hour(at(1001, 0)).as_deref(), Some("30.00"));
        activity.count(said, at(1001, 0));
        assert_eq!(activity.per_hour(at(1004, 0)).as_deref(), Some("7.75"));
        assert_eq!(activity.per_hour(at(1025, 0)).as_deref(), Some("0.04"));
        assert_eq!(activity.per_hour(at(2000, 0)).as_deref(), Some("0.00"));
    }

    #[test]
    fn what_counts() {
        for (content, wanted) in [
            ("<body>Hi</body>", true),
            ("<subject>Hi</subject>", false),
            (
                "<body>Ho</body><replace xmlns='urn:xmpp:message-correct:0' id='1'/>",
                false,
            ),
        ] {
            let draft = draft(&format!("<message>{content}</message>"));
            assert_eq!(counts(draft.stanza()), wanted, "{content}");
        }
    }
}
