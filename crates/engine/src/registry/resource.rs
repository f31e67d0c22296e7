//! One bound resource, as everybody may know it.

use super::Setting;
use crate::{
    Engine,
    clients::ClientId,
    features::caps::Features,
    hibernation,
    outbox::Outbox,
    sync::{
        Mutex, Notify,
        atomic::{AtomicBool, AtomicI16, AtomicU8, AtomicU64, Ordering},
    },
};
use std::{collections::BTreeSet, sync::OnceLock};
use waxwing_proto::{FullJid, Jid, stanza::Sealed, stream::StreamError};
use waxwing_store::SessionKey;

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
    session: OnceLock<Resumable>,
    /// Told once when its stream has let go of the session, which is then on disk or has ended.
    /// Whoever waited for it has the sole right to take the session over, and tells the next when
    /// that is done.
    pub(crate) put_to_sleep: Notify,
    /// Rises with each change of what a resumed session must have again.
    changes: AtomicU64,
    pub(super) shown: Mutex<Shown>,
    caps: Mutex<Option<Features>>,
}

/// By what a session can be resumed (XEP-0198 § 5).
#[derive(Debug)]
struct Resumable {
    id: Box<str>,
    /// The generation of its row when the resource got it.
    generation: u64,
    /// When the connection was made that it was resumed on, as a number that rises; 0 if it was not
    /// resumed.
    connection: u64,
}

/// What a resource has shown of itself.
#[derive(Debug, Default)]
pub(super) struct Shown {
    pub(super) presence: Option<Sealed>,
    /// Its client shows no avatar.
    pub(super) faceless: bool,
    /// Text of its last unavailable presence.
    farewell: String,
    /// What it could do when it was last sent the newest items of nodes (XEP-0163 § 4.3.4).
    served: Option<Features>,
    /// In this presence session it was sent the newest items of what its user has subscribed to.
    has_begun: bool,
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
            session: OnceLock::new(),
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
        self.session.get().map(|session| &*session.id)
    }
    /// The generation of its session's row when it got it; 0 if it has none.
    pub(super) fn row_generation(&self) -> u64 {
        self.session.get().map_or(0, |session| session.generation)
    }
    /// Whether its session was resumed on a connection that was made after this one.
    pub(crate) fn is_resumed_since(&self, connection: u64) -> bool {
        let session = self.session.get();
        session.is_some_and(|session| session.connection > connection)
    }
    /// It can be resumed by this key, and was on this connection, if any. Says so once.
    pub(crate) fn set_session(&self, key: &SessionKey, connection: Option<u64>) {
        // INVARIANT: a session becomes resumable once.
        let _ = self.session.set(Resumable {
            id: key.id.as_str().into(),
            generation: key.generation,
            connection: connection.unwrap_or(0),
        });
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
            shown.has_begun = false;
        }
        std::mem::replace(&mut shown.presence, stanza)
    }
    /// Somebody has taken the session over, and its presence with it, so it has none to take back.
    /// Whoever found it just before goes on counting on it: what it is sent reaches the successor.
    pub(crate) fn leave_presence(&self) {
        self.shown.lock().presence = None;
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
    /// Whether it has just become available and is to be sent the newest items of what its user has
    /// subscribed to; says so once in a presence session.
    pub(crate) fn begin_served(&self) -> bool {
        !std::mem::replace(&mut self.shown.lock().has_begun, true)
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
    pub(super) fn changed(&self) {
        self.changes.fetch_add(1, Ordering::AcqRel);
    }
}
