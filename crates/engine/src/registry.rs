//! Who is here: bare JID → account entry → resources.
//!
//! Sharded; a lock is held for a look-up or a swap only. Nothing is awaited, written or delivered
//! under it, and no two shards are locked at once.

mod face;
mod setting;

pub use setting::Setting;

use crate::{
    Engine, account::View, clients::ClientId, features::caps::Features, hibernation, outbox::Outbox,
};
use hashbrown::HashMap;
use parking_lot::{Mutex, RwLock};
use smallvec::SmallVec;
use std::{
    collections::BTreeSet,
    hash::{BuildHasher, RandomState},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicI16, AtomicU8, AtomicU64, Ordering},
    },
};
use tokio::sync::Notify;
use waxwing_proto::{BareJid, FullJid, Jid, stanza::Sealed, stream::StreamError};

const SHARDS: usize = 64;

/// The resources of one account, as [`Registry::resources`] gives them.
pub type Resources = SmallVec<[Arc<Resource>; 4]>;

/// What everybody may know of a bound resource; the session itself is owned by its task.
#[derive(Debug)]
pub struct Resource {
    /// The address.
    pub jid: FullJid,
    /// Tells two sessions with the same address apart.
    pub generation: u64,
    /// What is common to all versions of the account's roster and to no other account's of that
    /// name (RFC 6121 § 2.6): when the account was made.
    pub roster_epoch: waxwing_store::Micros,
    /// Where to put what it shall receive.
    pub outbox: Outbox,
    client: OnceLock<ClientId>,
    priority: AtomicI16,
    has_taken_messages: AtomicBool,
    settings: AtomicU8,
    session_id: OnceLock<Box<str>>,
    /// Told once when its stream has let go of the session, which is then on disk or has ended.
    /// Whoever waited for it tells the next.
    pub(crate) put_to_sleep: Notify,
    /// Rises with each change of what a resumed session must have again.
    changes: AtomicU64,
    shown: Mutex<Shown>,
    caps: Mutex<Option<Features>>,
}

/// What a resource has shown of itself.
#[derive(Debug, Default)]
struct Shown {
    presence: Option<Sealed>,
    /// Its client shows no avatar.
    faceless: bool,
    /// Text of its last unavailable presence.
    farewell: String,
    /// What it could do when it was last sent the newest items of nodes (XEP-0163 § 4.3.4).
    served: Option<Features>,
    /// Who was sent directed presence and so must learn when it goes (RFC 6121 § 4.6).
    directed: BTreeSet<Jid>,
}

/// Priority of a resource that has sent no available presence.
const UNAVAILABLE: i16 = i16::MIN;

impl Resource {
    /// A connected resource, not yet available.
    pub fn new(
        jid: FullJid,
        generation: u64,
        roster_epoch: waxwing_store::Micros,
        outbox: Outbox,
    ) -> Self {
        Self {
            jid,
            generation,
            roster_epoch,
            outbox,
            client: OnceLock::new(),
            priority: AtomicI16::new(UNAVAILABLE),
            has_taken_messages: AtomicBool::new(false),
            settings: AtomicU8::new(0),
            session_id: OnceLock::new(),
            put_to_sleep: Notify::new(),
            changes: AtomicU64::new(0),
            shown: Mutex::default(),
            caps: Mutex::new(None),
        }
    }
    /// Which client of the account it belongs to, if that says so (XEP-0388 § 2.3).
    pub fn client(&self) -> Option<&ClientId> {
        self.client.get()
    }
    /// Remembers which client it belongs to, once.
    pub fn set_client(&self, client: ClientId) {
        // It is the client's for good.
        let _ = self.client.set(client);
    }
    /// Its priority (RFC 6121 § 4.7.2.3); `None` while it is not available.
    pub fn priority(&self) -> Option<i8> {
        i8::try_from(self.priority.load(Ordering::Acquire)).ok()
    }
    /// Whether it is available with a priority of zero or more, and so receives messages sent to
    /// the bare JID.
    pub fn takes_messages(&self) -> bool {
        self.priority().is_some_and(|priority| priority >= 0)
    }
    /// The id by which its session can be resumed (XEP-0198 § 5), if it can.
    pub fn session_id(&self) -> Option<&str> {
        self.session_id.get().map(|id| &**id)
    }
    /// It can be resumed by this id. Says so once.
    pub(crate) fn set_session_id(&self, id: &str) {
        // INVARIANT: a session becomes resumable once.
        let _ = self.session_id.set(id.into());
        self.outbox.set_resumable();
    }
    /// Ends its session with an error, whether it has a stream or not.
    pub async fn end(&self, engine: &Engine, error: StreamError) {
        if let Some(asleep) = self.outbox.end(error) {
            hibernation::forget(engine, self, *asleep).await;
        }
    }
    /// Whether it has no stream for now.
    pub fn is_asleep(&self) -> bool {
        self.outbox.is_asleep()
    }
    /// Whether it ever did ([`Resource::takes_messages`]).
    pub fn has_taken_messages(&self) -> bool {
        self.has_taken_messages.load(Ordering::Acquire)
    }
    /// Its last available presence, without `to`.
    pub fn presence(&self) -> Option<Sealed> {
        self.shown.lock().presence.clone()
    }
    /// Remembers an available presence (`Some`) or that there is none, and gives what was
    /// remembered before: of several that end a presence session at once, one gets it.
    pub fn set_presence(&self, presence: Option<(Sealed, i8)>) -> Option<Sealed> {
        let (stanza, priority) = match presence {
            Some((stanza, priority)) => (Some(stanza), i16::from(priority)),
            None => (None, UNAVAILABLE),
        };
        let mut shown = self.shown.lock();
        self.priority.store(priority, Ordering::Release);
        if priority >= 0 {
            self.has_taken_messages.store(true, Ordering::Release);
        }
        self.changed();
        if stanza.is_none() {
            shown.served = None;
        }
        std::mem::replace(&mut shown.presence, stanza)
    }
    /// The text of its last unavailable presence, empty if it gave none.
    pub fn farewell(&self) -> String {
        self.shown.lock().farewell.clone()
    }
    /// Remembers the text of an unavailable presence.
    pub fn set_farewell(&self, text: String) {
        self.shown.lock().farewell = text;
    }
    /// Remembers that it has sent directed presence to `to`; false if that would be more than
    /// `directed_max` entities.
    pub fn remember_directed(&self, to: &Jid, directed_max: usize) -> bool {
        let mut shown = self.shown.lock();
        if shown.directed.len() >= directed_max && !shown.directed.contains(to) {
            return false;
        }
        if shown.directed.insert(to.clone()) {
            self.changed();
        }
        true
    }
    /// Everyone who was sent directed presence.
    pub fn directed(&self) -> Vec<Jid> {
        self.shown.lock().directed.iter().cloned().collect()
    }
    /// Whether it has sent directed presence to `to` and not taken it back.
    pub fn has_directed(&self, to: &Jid) -> bool {
        self.shown.lock().directed.contains(to)
    }
    /// Directed presence to `to` is over, for one side or the other.
    pub fn forget_directed(&self, to: &Jid) {
        if self.shown.lock().directed.remove(to) {
            self.changed();
        }
    }
    /// Those who were sent directed presence and are `chosen`; they are forgotten.
    pub fn take_directed_to(&self, chosen: impl Fn(&Jid) -> bool) -> Vec<Jid> {
        let mut shown = self.shown.lock();
        let found: Vec<Jid> = shown
            .directed
            .iter()
            .filter(|jid| chosen(jid))
            .cloned()
            .collect();
        shown.directed.retain(|jid| !chosen(jid));
        found
    }
    /// Everyone who was sent directed presence; nobody afterwards.
    pub fn take_directed(&self) -> BTreeSet<Jid> {
        std::mem::take(&mut self.shown.lock().directed)
    }
    /// What its client can do (XEP-0115), as far as is known.
    pub fn caps(&self) -> Option<Features> {
        self.caps.lock().clone()
    }
    /// Remembers what its client can do.
    pub fn set_caps(&self, caps: Option<Features>) {
        *self.caps.lock() = caps;
        self.changed();
    }
    /// Remembers with which capabilities it is being sent the newest items of nodes, and gives those
    /// before in this presence session.
    pub fn replace_served(&self, caps: Features) -> Option<Features> {
        self.shown.lock().served.replace(caps)
    }
    /// Whether its client has switched something on.
    pub fn has(&self, setting: Setting) -> bool {
        self.settings.load(Ordering::Acquire) & setting.bit() != 0
    }
    /// Switches something on or off.
    pub fn set(&self, setting: Setting, on: bool) {
        let before = if on {
            self.settings.fetch_or(setting.bit(), Ordering::AcqRel)
        } else {
            self.settings.fetch_and(!setting.bit(), Ordering::AcqRel)
        };
        if (before & setting.bit() != 0) != on {
            self.changed();
        }
    }
    /// All that is switched on.
    pub fn settings(&self) -> Vec<Setting> {
        let all = Setting::ALL.into_iter();
        all.filter(|setting| self.has(*setting)).collect()
    }
    /// How often something has changed that a resumed session must have again (XEP-0198 § 5).
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }
    fn changed(&self) {
        self.changes.fetch_add(1, Ordering::AcqRel);
    }
}

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
    /// Generation of the session that is reading the offline queue.
    offline_reader: Option<u64>,
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

    /// A number for a new session, unique in this process.
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
        if entry.offline_reader == Some(generation) {
            entry.offline_reader = None;
        }
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

    /// Makes a session the one that reads the account's offline queue; false if another does.
    pub fn claim_offline(&self, account: &BareJid, generation: u64) -> bool {
        let mut shard = self.shard(account).write();
        let Some(entry) = shard.accounts.get_mut(account) else {
            return false;
        };
        if entry
            .offline_reader
            .is_some_and(|reader| reader != generation)
        {
            return false;
        }
        entry.offline_reader = Some(generation);
        true
    }

    /// The session has read the offline queue to its end.
    pub fn release_offline(&self, account: &BareJid, generation: u64) {
        let mut shard = self.shard(account).write();
        if let Some(entry) = shard.accounts.get_mut(account)
            && entry.offline_reader == Some(generation)
        {
            entry.offline_reader = None;
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

/// The account has as many sessions as it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooMany;
