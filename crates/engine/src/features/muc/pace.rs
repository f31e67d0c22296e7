//! Slow mode ([XEP-0500](https://xmpp.org/extensions/xep-0500.html), 0.1.1): how long people wait
//! between two messages. All sessions and nicks of an account wait together; admins and owners do not.

use super::{errors::Refusal, rights::Affiliation, room::Room};
use std::collections::BTreeMap;
use waxwing_proto::{BareJid, stanza::Stanza};
use waxwing_store::Micros;

/// Seconds between two messages, at most: a day.
pub(super) const SLOW_SECONDS_MAX: u32 = 86_400;

/// Who has said something lately, and when.
#[derive(Debug, Default)]
pub(super) struct Pace(BTreeMap<BareJid, Micros>);

impl Room {
    /// Whether a message makes its author wait (§ 6).
    pub(super) fn is_paced(&self, account: &BareJid, said: &Stanza) -> bool {
        self.config.slow_seconds > 0
            && said.content("body").is_some()
            && self.affiliation(account) < Affiliation::Admin
    }

    /// Somebody is about to say something, and may not before they have waited. What then fails to be
    /// kept counts as well.
    pub(super) fn speaks(&mut self, account: &BareJid, now: Micros) -> Result<(), Refusal> {
        let wait = Micros::from(self.config.slow_seconds) * 1_000_000;
        self.pace.0.retain(|_, at| now - *at < wait);
        if self.pace.0.contains_key(account) {
            return Err(Refusal::TooFast);
        }
        self.pace.0.insert(account.clone(), now);
        Ok(())
    }
}
