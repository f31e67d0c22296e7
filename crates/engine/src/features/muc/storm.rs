//! How fast anybody may do things in a room (XEP-0045 § 14.6): what one does beyond it is refused, and
//! costs the others nothing. Presence is held shorter than what people say, so in a storm of presence
//! messages still come through.

use hashbrown::HashMap;
use waxwing_proto::BareJid;
use waxwing_store::Micros;

/// Accounts and domains of which is known that they did something just now, in one room.
const KNOWN_MAX: usize = 10_000;
/// Those that have paused for long enough are forgotten when there are so many.
const SWEEP_MIN: usize = 64;
/// A domain may do as much as so many accounts.
pub(super) const DOMAIN_ACCOUNTS: i64 = 20;

/// What one does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deed {
    /// Say something, to all or to one, or ask somebody something.
    Speak = 0,
    /// Enter, change the nick, or what one says of oneself.
    Move = 1,
}

/// So many at once, and then one each time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rate {
    /// Time for one.
    pub(super) every: Micros,
    /// How many at once.
    pub(super) burst: i64,
}

impl Rate {
    /// The same for somebody who may do `factor` times as much.
    pub(super) fn times(self, factor: i64) -> Self {
        Self {
            every: (self.every / factor).max(1),
            burst: self.burst.saturating_mul(factor),
        }
    }
}

/// Who did how much.
#[derive(Debug, Default)]
pub(super) struct Paces {
    /// For each deed, until when what was done would have taken at the rate.
    until: HashMap<BareJid, [Micros; 2]>,
    sweep_at: usize,
}

impl Paces {
    /// Whether somebody may do something now; if so, it counts.
    pub(super) fn take(&mut self, who: &BareJid, deed: Deed, rate: Rate, now: Micros) -> bool {
        if self.until.len() >= self.sweep_at.max(SWEEP_MIN) {
            self.until
                .retain(|_, until| until.iter().any(|until| *until > now));
            self.sweep_at = self.until.len().saturating_mul(2);
        }
        if self.until.len() >= KNOWN_MAX && !self.until.contains_key(who) {
            return false;
        }
        let [speak, moves] = self.until.entry_ref(who).or_default();
        let until = match deed {
            Deed::Speak => speak,
            Deed::Move => moves,
        };
        let from = now.max(*until);
        let most = rate.every.saturating_mul(rate.burst.saturating_sub(1));
        let may = from.saturating_sub(now) <= most;
        if may {
            *until = from.saturating_add(rate.every);
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate {
        every: 100,
        burst: 3,
    };

    fn account(name: &str) -> BareJid {
        BareJid::parse(name).unwrap()
    }

    #[test]
    fn so_many_at_once_and_then_one_each_time() {
        let mut paces = Paces::default();
        let (bob, carol) = (account("bob@a"), account("carol@a"));
        let mut said = |who: &BareJid, now| paces.take(who, Deed::Speak, RATE, now);
        let at_once: Vec<bool> = (0..5).map(|_| said(&bob, 1000)).collect();
        assert_eq!(at_once, [true, true, true, false, false]);
        // What was refused does not count, and others are not held up.
        for (who, now, may) in [
            (&bob, 1099, false),
            (&bob, 1100, true),
            (&bob, 1100, false),
            (&carol, 1100, true),
            (&bob, 1300, true),
            (&bob, 1300, true),
            (&bob, 1300, false),
        ] {
            assert_eq!(said(who, now), may, "{who} at {now}");
        }
        // Who may not speak may still move.
        assert!(paces.take(&bob, Deed::Move, RATE, 1300));
    }

    #[test]
    fn who_pauses_is_forgotten_and_there_is_a_bound() {
        let mut paces = Paces::default();
        for number in 0..KNOWN_MAX + 5 {
            let who = account(&format!("u{number}@a"));
            assert_eq!(paces.take(&who, Deed::Move, RATE, 0), number < KNOWN_MAX);
        }
        assert!(paces.take(&account("u0@a"), Deed::Move, RATE, 0));
        paces.sweep_at = 0;
        assert!(paces.take(&account("new@a"), Deed::Move, RATE, 1000));
        assert_eq!(paces.until.len(), 1);
    }

    #[test]
    fn domains_do_as_much_as_several() {
        let wide = RATE.times(DOMAIN_ACCOUNTS);
        assert_eq!((wide.every, wide.burst), (5, 60));
    }
}
