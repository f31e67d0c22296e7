//! Who is here: bare JID → account entry → resources.
//!
//! Sharded; a lock is held for a look-up or a swap only. Nothing is awaited, written or delivered
//! under it, and no two shards are locked at once.

mod face;
mod resource;
mod setting;

pub use resource::Resource;
pub use setting::Setting;

use crate::{
    account::View,
    sync::{
        RwLock,
        atomic::{AtomicU64, Ordering},
    },
};
use hashbrown::HashMap;
use smallvec::SmallVec;
use std::{
    hash::{BuildHasher, RandomState},
    sync::Arc,
};
use waxwing_proto::BareJid;

const SHARDS: usize = 64;

/// The resources of one account, as [`Registry::resources`] gives them.
pub type Resources = SmallVec<[Arc<Resource>; 4]>;

/// The table.
#[derive(Debug)]
pub struct Registry {
    shards: Box<[RwLock<Shard>]>,
    hasher: RandomState,
    generations: AtomicU64,
    idle_per_shard_max: usize,
}

#[derive(Debug, Default)]
struct Shard {
    accounts: HashMap<BareJid, Entry, RandomState>,
}

#[derive(Debug, Default)]
struct Entry {
    resources: Resources,
    view: Option<Arc<View>>,
    /// Rises with each change of what the view shows; see [`Registry::put_view`].
    epoch: u64,
}

impl Registry {
    /// An empty table that keeps the views of at most about `idle_max` accounts without a session.
    pub fn new(idle_max: usize) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| RwLock::default()).collect(),
            hasher: RandomState::new(),
            generations: AtomicU64::new(1),
            idle_per_shard_max: idle_max.div_ceil(SHARDS),
        }
    }

    /// A number for a new session or connection, which rises and is unique in this process.
    pub fn next_generation(&self) -> u64 {
        self.generations.fetch_add(1, Ordering::Relaxed)
    }

    /// All resources of an account.
    pub fn resources(&self, account: &BareJid) -> Resources {
        let shard = self.shard(account).read();
        shard
            .accounts
            .get(account)
            .map(|entry| entry.resources.clone())
            .unwrap_or_default()
    }

    /// One resource.
    pub fn resource(&self, account: &BareJid, resource: &str) -> Option<Arc<Resource>> {
        let shard = self.shard(account).read();
        let entry = shard.accounts.get(account)?;
        entry
            .resources
            .iter()
            .find(|found| found.jid.resource() == resource)
            .cloned()
    }

    /// Whether some resource takes messages sent to the bare JID.
    pub fn takes_messages(&self, account: &BareJid) -> bool {
        let shard = self.shard(account).read();
        shard
            .accounts
            .get(account)
            .is_some_and(|entry| entry.resources.iter().any(|found| found.takes_messages()))
    }

    /// Adds a session. One with the same address is replaced and given back
    /// (RFC 6120 § 7.7.2.2); past `sessions_max` the new one is refused.
    pub fn add(
        &self,
        account: &BareJid,
        resource: Arc<Resource>,
        sessions_max: usize,
    ) -> Result<Option<Arc<Resource>>, TooMany> {
        let mut shard = self.shard(account).write();
        let entry = shard.accounts.entry(account.clone()).or_default();
        if let Some(old) = entry
            .resources
            .iter_mut()
            .find(|found| found.jid == resource.jid)
        {
            return Ok(Some(std::mem::replace(old, resource)));
        }
        if entry.resources.len() >= sessions_max {
            return Err(TooMany);
        }
        entry.resources.push(resource);
        Ok(None)
    }

    /// Puts a session that was resumed into the place of its old resource, which it gives. Refused if
    /// the address has another session by now, or somebody else has resumed this one since.
    pub(crate) fn succeed(
        &self,
        account: &BareJid,
        resource: Arc<Resource>,
    ) -> Result<Option<Arc<Resource>>, Outrun> {
        let mut shard = self.shard(account).write();
        let entry = shard.accounts.entry(account.clone()).or_default();
        let mut all = entry.resources.iter_mut();
        let Some(old) = all.find(|found| found.jid == resource.jid) else {
            entry.resources.push(resource);
            return Ok(None);
        };
        if old.session_id() != resource.session_id() {
            return Err(Outrun::Replaced);
        }
        if old.row_generation() > resource.row_generation() {
            return Err(Outrun::Resumed);
        }
        Ok(Some(std::mem::replace(old, resource)))
    }

    /// Removes a session; another one that has taken its address stays. True if the account has no
    /// session left.
    pub fn remove(&self, account: &BareJid, generation: u64) -> bool {
        let mut shard = self.shard(account).write();
        let idle_max = self.idle_per_shard_max;
        let Some(entry) = shard.accounts.get_mut(account) else {
            return true;
        };
        entry
            .resources
            .retain(|found| found.generation != generation);
        if !entry.resources.is_empty() {
            return false;
        }
        shard.make_room(idle_max);
        true
    }

    /// Every bound resource, for shutdown and announcements. Locks one shard at a time.
    pub fn every_resource(&self) -> Vec<Arc<Resource>> {
        let mut all = Vec::new();
        for shard in &self.shards {
            for entry in shard.read().accounts.values() {
                all.extend(entry.resources.iter().cloned());
            }
        }
        all
    }

    /// The account's view if it is in memory; else the epoch to give back with
    /// [`Registry::put_view`] after reading it from the store.
    pub fn view(&self, account: &BareJid) -> Result<Arc<View>, u64> {
        {
            let shard = self.shard(account).read();
            if let Some(view) = shard
                .accounts
                .get(account)
                .and_then(|entry| entry.view.clone())
            {
                return Ok(view);
            }
        }
        let mut shard = self.shard(account).write();
        shard.make_room(self.idle_per_shard_max);
        Err(shard.accounts.entry(account.clone()).or_default().epoch)
    }

    /// Keeps a view read from the store, unless the account changed since `epoch` was given.
    /// False: read again.
    pub fn put_view(&self, account: &BareJid, view: &Arc<View>, epoch: u64) -> bool {
        let mut shard = self.shard(account).write();
        match shard.accounts.get_mut(account) {
            Some(entry) if entry.epoch == epoch => {
                entry.view = Some(view.clone());
                true
            }
            Some(_) => false,
            // The entry was dropped to make room meanwhile, and changes with it: not kept.
            None => true,
        }
    }

    /// Forgets the view: what it shows has changed in the store. Called after the commit and
    /// before the change is told to anybody.
    pub fn changed(&self, account: &BareJid) {
        let mut shard = self.shard(account).write();
        if let Some(entry) = shard.accounts.get_mut(account) {
            entry.epoch += 1;
            entry.view = None;
        }
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "INVARIANT: a remainder of the number of shards"
    )]
    fn shard(&self, account: &BareJid) -> &RwLock<Shard> {
        let hash = self.hasher.hash_one(account);
        let index = usize::try_from(hash % SHARDS as u64).unwrap_or(0);
        &self.shards[index]
    }
}

impl Shard {
    /// Drops entries without sessions when there are too many of them.
    fn make_room(&mut self, idle_max: usize) {
        // Counting is linear, so it is done only when the table has outgrown the bound.
        if self.accounts.len() <= idle_max {
            return;
        }
        let mut idle = self
            .accounts
            .values()
            .filter(|entry| entry.resources.is_empty())
            .count();
        if idle <= idle_max {
            return;
        }
        // Down to half, so that this is rare. Which ones go does not matter: they are read again.
        self.accounts.retain(|_, entry| {
            let keep = !entry.resources.is_empty() || idle <= idle_max / 2;
            if !keep {
                idle -= 1;
            }
            keep
        });
    }
}

/// Somebody else was quicker with the address of a session that is being resumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outrun {
    /// The address was bound anew.
    Replaced,
    /// The session was resumed.
    Resumed,
}

/// The account has as many sessions as it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooMany;
