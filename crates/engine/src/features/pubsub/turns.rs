//! The order of notifications: that of the commits they are about.
//!
//! Whoever writes to an owner's nodes takes a turn in the same moment as the write is queued, and
//! tells of it only after everyone before has told. So the last thing that a subscriber hears is the
//! last thing that happened, though each session writes for itself.

use hashbrown::HashMap;
use parking_lot::Mutex;
use std::{collections::BTreeSet, sync::Arc};
use tokio::sync::Notify;
use waxwing_proto::BareJid;

/// The turns of all owners that are being written to.
#[derive(Debug, Default)]
pub(crate) struct Turns(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    next: u64,
    owners: HashMap<BareJid, Open>,
}

/// The turns of one owner that have not ended.
#[derive(Debug, Default)]
struct Open {
    numbers: BTreeSet<u64>,
    ended: Arc<Notify>,
}

/// A turn that was taken. It ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    turns: &'a Turns,
    owner: BareJid,
    number: u64,
    ended: Arc<Notify>,
}

impl Turns {
    /// Queues a write and takes the turn behind all writes queued before.
    pub(crate) fn take<T>(&self, owner: &BareJid, queue: impl FnOnce() -> T) -> (Turn<'_>, T) {
        let mut table = self.0.lock();
        let number = table.next;
        table.next += 1;
        let open = table.owners.entry(owner.clone()).or_default();
        open.numbers.insert(number);
        let turn = Turn {
            turns: self,
            owner: owner.clone(),
            number,
            ended: open.ended.clone(),
        };
        // Under the lock: the order of turns is that of the queue. Queueing never waits.
        let queued = queue();
        drop(table);
        (turn, queued)
    }
}

impl Turn<'_> {
    /// Waits until all turns before have ended.
    pub(crate) async fn come(&self) {
        loop {
            let mut ended = std::pin::pin!(self.ended.notified());
            // What ends between the look and the wait must not be missed.
            ended.as_mut().enable();
            if self.is_next() {
                return;
            }
            ended.await;
        }
    }

    fn is_next(&self) -> bool {
        let table = self.turns.0.lock();
        let open = table.owners.get(&self.owner);
        open.is_none_or(|open| open.numbers.first() == Some(&self.number))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut table = self.turns.0.lock();
        if let Some(open) = table.owners.get_mut(&self.owner) {
            open.numbers.remove(&self.number);
            if open.numbers.is_empty() {
                table.owners.remove(&self.owner);
            }
        }
        drop(table);
        self.ended.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::Turns;
    use waxwing_proto::BareJid;

    #[tokio::test]
    async fn nobody_overtakes() {
        let turns = Turns::default();
        let owner = BareJid::parse("a@a.example").unwrap();
        let other = BareJid::parse("b@a.example").unwrap();
        let (first, one) = turns.take(&owner, || 1);
        let (second, two) = turns.take(&owner, || 2);
        assert_eq!((one, two), (1, 2));
        let (elsewhere, _) = turns.take(&other, || 3);
        elsewhere.come().await;
        first.come().await;
        assert!(!second.is_next());
        drop(first);
        second.come().await;
        drop((second, elsewhere));
        assert!(turns.0.lock().owners.is_empty(), "nothing is kept");
    }

    /// A turn that ends before those before it must not let those after it overtake them.
    #[tokio::test]
    async fn a_turn_given_up_is_no_gap() {
        let turns = Turns::default();
        let owner = BareJid::parse("a@a.example").unwrap();
        let (first, ()) = turns.take(&owner, || ());
        let (second, ()) = turns.take(&owner, || ());
        let (third, ()) = turns.take(&owner, || ());
        drop(second);
        assert!(!third.is_next());
        drop(first);
        third.come().await;
    }
}
