//! What each client does in a cycle, from a seed.

use crate::entry::{DeviceId, Party};
use std::time::Duration;

/// A small generator (splitmix64): the same seed, the same plans, on every machine.
#[derive(Debug, Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    /// One for a purpose: the same words give the same numbers.
    pub(crate) fn new(seed: u64, words: &[u64]) -> Self {
        let mut dice = Self(seed);
        for word in words {
            dice.0 = dice.next() ^ word.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
        dice
    }

    /// The next number.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// One of `0..bound`; 0 if `bound` is.
    pub(crate) fn below(&mut self, bound: u32) -> u32 {
        let drawn = self.next().checked_rem(u64::from(bound)).unwrap_or(0);
        u32::try_from(drawn).unwrap_or(0)
    }

    /// True so many times in a hundred.
    pub(crate) fn chance(&mut self, percent: u32) -> bool {
        self.below(100) < percent
    }
}

/// One thing that a client does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Deed {
    /// Sends so many messages in one go, to these accounts and rooms in turn, with bodies of this size, and
    /// asks for an acknowledgement.
    Burst {
        count: u32,
        to: Vec<Party>,
        bytes: usize,
    },
    /// Sends a stanza that nobody keeps: something to stand in the queues.
    Noise { to: u32 },
    /// Writes one of the account's values and waits for the answer.
    Write { what: usize },
    /// Loses its connection, and comes back after a moment.
    Detach { pause: Duration },
}

/// What a client does in one cycle.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// It stays away.
    pub(crate) absent: bool,
    /// It sends what was not acknowledged again, when it cannot resume; else it gives it up.
    pub(crate) resends: bool,
    /// It does not acknowledge what it gets.
    pub(crate) lazy: bool,
    /// When, counted from the start of the cycle, in order.
    pub(crate) deeds: Vec<(Duration, Deed)>,
}

/// What plans depend on besides the seed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) accounts: u32,
    /// Kinds of values that an account's first client writes.
    pub(crate) values: usize,
    /// Messages are long: much is written in little time.
    pub(crate) heavy: bool,
}

/// How long a cycle's load lasts at most; it is killed before.
pub(crate) const LOAD: Duration = Duration::from_millis(900);

impl Plan {
    /// The plan of a client, which is in these rooms; `dice` is its own.
    pub(crate) fn new(id: DeviceId, rooms: &[u32], shape: Shape, dice: &mut Dice) -> Self {
        let DeviceId { account, index } = id;
        let others: Vec<u32> = (0..shape.accounts).filter(|n| *n != account).collect();
        // A room as often as two accounts.
        let rooms = rooms.iter().chain(rooms).copied().map(Party::Room);
        let parties = others.iter().copied().map(Party::Account);
        let parties: Vec<Party> = parties.chain(rooms).collect();
        let mut deeds = Vec::new();
        for _ in 0..2 + dice.below(6) {
            deeds.push((moment(dice), burst(&parties, shape, dice)));
        }
        for _ in 0..dice.below(3) {
            let Some(to) = one_of(&others, dice) else {
                break;
            };
            deeds.push((moment(dice), Deed::Noise { to }));
        }
        if index == 0 && shape.values > 0 {
            for _ in 0..2 + dice.below(6) {
                let what = usize::try_from(dice.next()).unwrap_or(0) % shape.values;
                deeds.push((moment(dice), Deed::Write { what }));
            }
        }
        if dice.chance(30) {
            let pause = Duration::from_millis(u64::from(dice.below(150)));
            deeds.push((moment(dice), Deed::Detach { pause }));
        }
        deeds.sort_by_key(|(at, _)| *at);
        Self {
            absent: dice.chance(20),
            resends: dice.chance(70),
            lazy: dice.chance(25),
            deeds,
        }
    }
}

fn burst(parties: &[Party], shape: Shape, dice: &mut Dice) -> Deed {
    let count = match dice.below(10) {
        0 => 20 + dice.below(20),
        1..=4 => 1,
        _ => 1 + dice.below(8),
    };
    let to = (0..=dice.below(2)).filter_map(|_| one_of(parties, dice));
    let to = to.collect();
    let bytes = match (shape.heavy, dice.below(12)) {
        (true, _) => 40_000,
        (false, 0) => 5_000,
        (false, _) => usize::try_from(dice.below(300)).unwrap_or(0),
    };
    let count = if shape.heavy { count.min(8) } else { count };
    Deed::Burst { count, to, bytes }
}

fn moment(dice: &mut Dice) -> Duration {
    let most = u32::try_from(LOAD.as_millis()).unwrap_or(u32::MAX);
    Duration::from_millis(u64::from(dice.below(most)))
}

fn one_of<T: Copy>(all: &[T], dice: &mut Dice) -> Option<T> {
    let count = u32::try_from(all.len()).unwrap_or(u32::MAX);
    let index = usize::try_from(dice.below(count)).unwrap_or(0);
    all.get(index).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_gives_one_plan_and_another_seed_another() {
        let shape = Shape {
            accounts: 4,
            values: 4,
            heavy: false,
        };
        let id = DeviceId {
            account: 1,
            index: 0,
        };
        let deeds = |seed| Plan::new(id, &[1], shape, &mut Dice::new(seed, &[1, 2])).deeds;
        assert_eq!(deeds(7), deeds(7));
        assert_ne!(deeds(7), deeds(8));
        assert!(deeds(7).is_sorted_by_key(|(at, _)| *at));
        let to_self = |(_, deed): &(Duration, Deed)| match deed {
            Deed::Burst { to, .. } => to.contains(&Party::Account(1)),
            _ => false,
        };
        assert!((0..50).all(|seed| !deeds(seed).iter().any(to_self)));
        let to_room = |(_, deed): &(Duration, Deed)| match deed {
            Deed::Burst { to, .. } => to.contains(&Party::Room(1)),
            _ => false,
        };
        assert!((0..50).any(|seed| deeds(seed).iter().any(to_room)));
    }
}
