//! Sessions that outlive their streams, and the server (XEP-0198 § 5).
//!
//! A session that can be resumed has a row in the store: how many stanzas of its client are
//! handled, up to where the client has received its archive, and what it has set. The row has one
//! owner, told by its generation. While the session has a stream, that is the stream's; when the
//! stream ends, what is in no archive is written beside the row, and the resource stays in the
//! table with its outbox asleep, so that others see no difference. Whoever resumes takes the row
//! over in one conditional write.
//!
//! After a crash the row lacks the numbers of what was sent; the client then gets again what the
//! archive has behind the cursor, under the same ids.

mod state;

pub(crate) use state::{End, State, Unacknowledged};

use crate::{
    Engine,
    features::{muc, offline, push},
    outbox::{Asleep, Outbox, Presence},
    presence,
    registry::{Resource, Setting},
    route::{inbound, message},
    sync::timeout,
};
use std::{ops::Deref, sync::Arc, time::Duration};
use tokio::time::MissedTickBehavior;
use waxwing_proto::{
    BareJid, FullJid,
    stanza::{Condition, Kind, Sealed, StanzaError},
    stream::{StreamCondition, StreamError},
};
use waxwing_store::{KeptStanza, Micros, SessionKey, SmSession, StoreError, Waiting};

/// How often expired sessions are looked for.
const EXPIRY_TURN: Duration = Duration::from_mins(1);
/// Sessions that one round of [`Engine::expire_sessions`] reads at a time.
const EXPIRED_MAX: u32 = 100;
/// Kept stanzas that are read at a time.
pub(crate) const KEPT_PAGE: u32 = 100;

impl Engine {
    /// Finds the sessions of the server's last life again: those that had a stream when it ended
    /// have from now on the time of hibernation to be resumed; and sees to the index of archives. To be called once, before anybody
    /// connects; only one process may serve the sessions of a store.
    pub async fn recover(&self) -> Result<(), StoreError> {
        let search = self.settings().archive.search;
        if !self.store().archive_index(search).await? && search {
            let error = "archive.search needs the embedded database";
            return Err(StoreError::Backend(error.into()));
        }
        let expires = self.env().now() + micros(self.settings().limits.hibernation);
        self.store().sessions_release(expires).await?;
        let all = self.store().sessions_expired(Micros::MAX, u32::MAX).await?;
        let mut cursors = Vec::new();
        for (account, key) in all {
            let row = self.store().session(account.clone(), key.id).await?;
            match row {
                Some(row) if row.state.is_empty() => cursors.push((account, row.key())),
                Some(row) => self.find_again(&account, &row).await?,
                None => {}
            }
        }
        for (account, key) in cursors {
            // A session that is found again has the messages; else they wait.
            let others = self.registry().takes_messages(&account);
            let waiting = (!others).then(|| offline::waiting(self, &account));
            self.store()
                .session_end(account, key, None, waiting)
                .await?;
        }
        muc::recover(self).await
    }

    async fn find_again(&self, account: &BareJid, row: &SmSession) -> Result<(), StoreError> {
        let Some(kept) = self.store().account(account.clone()).await? else {
            return Ok(());
        };
        let Ok(jid) = account.with_resource(&row.resource) else {
            return Ok(());
        };
        let resource = resource(self, jid, kept.created);
        let directed_max = self.settings().limits.directed_presence_max;
        State::read(&row.state).restore(&resource, directed_max);
        resource.set_session(&row.key(), None);
        let asleep = asleep(self, account, row.key(), Presence::Unknown);
        resource.outbox.sleep(asleep);
        resource.put_to_sleep.notify_one();
        let replaced = self.registry().add(account, resource, usize::MAX);
        if !matches!(replaced, Ok(Some(_))) {
            self.metrics().hibernated.inc();
        }
        Ok(())
    }

    /// Ends sessions when their time has come, for as long as the server runs.
    pub(crate) async fn end_expired(&self) {
        let mut turn = tokio::time::interval(EXPIRY_TURN);
        turn.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            turn.tick().await;
            self.expire_sessions().await;
        }
    }

    /// Ends the sessions that nobody has resumed in time.
    async fn expire_sessions(&self) {
        loop {
            let now = self.env().now();
            let expired = match self.store().sessions_expired(now, EXPIRED_MAX).await {
                Ok(expired) => expired,
                Err(error) => {
                    self.metrics().store_failures.inc();
                    tracing::error!(%error, "expired sessions could not be read");
                    return;
                }
            };
            if expired.is_empty() {
                return;
            }
            for (account, key) in expired {
                let resource = find(self, &account, &key.id);
                let _right = match &resource {
                    Some(resource) => right(Arc::clone(resource)).await,
                    None => None,
                };
                if let Some(resource) = &resource {
                    resource.outbox.hold();
                }
                match self.store().session_take(account.clone(), key).await {
                    Ok(row) => {
                        self.metrics().sessions_expired.inc();
                        finish(self, &account, &row, resource.as_deref()).await;
                    }
                    // Resumed at the last moment, or the account has gone.
                    Err(StoreError::Conflict | StoreError::NoItem | StoreError::NoAccount) => {}
                    Err(error) => {
                        if let Some(resource) = resource {
                            resource.outbox.release();
                        }
                        self.metrics().store_failures.inc();
                        tracing::error!(%error, "an expired session could not be taken");
                        return;
                    }
                }
            }
        }
    }
}

/// A resource that nobody sees yet.
pub(crate) fn resource(engine: &Engine, jid: FullJid, created: Micros) -> Arc<Resource> {
    let limits = &engine.settings().limits;
    let outbox = Outbox::new(limits.outbox_stanzas_max, limits.outbox_bytes_max);
    let generation = engine.registry().next_generation();
    Arc::new(Resource::new(jid, generation, created, outbox))
}

/// The place of a session without a stream.
pub(crate) fn asleep(
    engine: &Engine,
    account: &BareJid,
    key: SessionKey,
    presence: Presence,
) -> Asleep {
    let limits = &engine.settings().limits;
    Asleep {
        store: engine.shared_store(),
        account: account.clone(),
        key,
        since: engine.env().now(),
        stanzas_max: limits.hibernated_stanzas_max,
        bytes_max: limits.hibernated_bytes_max,
        presence,
        held: None,
    }
}

/// For how long a session may be without a stream: clients on phones, which say when nobody looks
/// at them or want to be woken, are away for days; others have crashed.
pub(crate) fn patience(engine: &Engine, account: &BareJid, resource: &Resource) -> Duration {
    let limits = &engine.settings().limits;
    if resource.has(Setting::Indicates) || push::is_wanted(engine, account, resource) {
        limits.hibernation
    } else {
        limits.hibernation.min(limits.hibernation_others)
    }
}

pub(crate) fn micros(duration: Duration) -> Micros {
    Micros::try_from(duration.as_micros()).unwrap_or(Micros::MAX / 2)
}

/// The resource of an account whose session can be resumed by this id.
pub(crate) fn find(engine: &Engine, account: &BareJid, id: &str) -> Option<Arc<Resource>> {
    let mut all = engine.registry().resources(account).into_iter();
    all.find(|resource| resource.session_id() == Some(id))
}

/// How long the old stream of a session, or somebody who is taking it over, may take. Then it is
/// taken all the same, as far as the row in the store allows.
const LET_GO: Duration = Duration::from_secs(2);

/// The sole right to take over the session of a resource. It passes on when it is dropped.
pub(crate) struct Right<R: Deref<Target = Resource>>(R);

impl<R: Deref<Target = Resource>> Drop for Right<R> {
    fn drop(&mut self) {
        self.0.put_to_sleep.notify_one();
    }
}

/// Waits until nobody else has the session, neither a stream nor somebody who is taking it over;
/// nothing if that takes too long.
pub(crate) async fn right<R: Deref<Target = Resource>>(resource: R) -> Option<Right<R>> {
    let notified = timeout(LET_GO, resource.put_to_sleep.notified()).await;
    notified.is_ok().then(|| Right(resource))
}

/// Makes room for one more session of an account by ending the one that has slept longest; false
/// if none sleeps.
pub(crate) async fn make_room(engine: &Engine, account: &BareJid) -> bool {
    let all = engine.registry().resources(account);
    let oldest = all
        .iter()
        .filter_map(|resource| Some((resource.outbox.asleep_since()?, resource)))
        .min_by_key(|(since, _)| *since);
    let Some((_, oldest)) = oldest else {
        return false;
    };
    let error = StreamError::new(StreamCondition::PolicyViolation);
    oldest.end(engine, error).await;
    true
}

/// Ends a session that has no stream, because it was replaced or signed out: it leaves the table,
/// those who saw it are told, and what it has missed is seen to.
pub(crate) async fn forget(engine: &Engine, resource: &Resource, asleep: Asleep) {
    let account = &asleep.account;
    engine.metrics().hibernated.dec();
    leave(engine, account, resource).await;
    let _right = right(resource).await;
    let taken = engine.store().session_take(account.clone(), asleep.key);
    match taken.await {
        Ok(row) => finish(engine, account, &row, Some(resource)).await,
        Err(StoreError::Conflict | StoreError::NoItem | StoreError::NoAccount) => {}
        Err(error) => {
            engine.metrics().store_failures.inc();
            tracing::error!(%error, "a session that was replaced could not be ended");
        }
    }
    for stanza in asleep.held.unwrap_or_default() {
        bounce(engine, account, Unacknowledged::Stanza(stanza)).await;
    }
}

/// Ends a session that has just lost its stream, if its address was bound anew while that hung: it
/// was told so, and did not come to read it.
pub(crate) async fn forget_replaced(engine: &Engine, account: &BareJid, resource: &Resource) {
    let now = engine.registry().resource(account, resource.jid.resource());
    if now.is_some_and(|now| now.session_id() != resource.session_id()) {
        let error = StreamError::new(StreamCondition::Conflict);
        resource.end(engine, error).await;
    }
}

/// Takes a session from the table and tells those who saw it; once.
pub(crate) async fn leave(engine: &Engine, account: &BareJid, resource: &Resource) {
    if let Ok(view) = engine.view(account).await {
        if view.exists {
            presence::remember_last(engine, account, resource).await;
        }
        presence::went_away(engine, account, &view, resource);
    }
    engine.registry().remove(account, resource.generation);
}

/// A place in the offline queue for what a session has missed, unless another one has it. One that
/// has replaced it has what is newer.
pub(crate) fn heir(engine: &Engine, account: &BareJid, resource: &Resource) -> Option<Waiting> {
    let mut all = engine.registry().resources(account).into_iter();
    let others = all.any(|other| other.jid != resource.jid && other.takes_messages());
    (resource.has_taken_messages() && !others).then(|| offline::waiting(engine, account))
}

/// Up to which id of the archive a session that has been replaced may have missed messages: what was
/// handed over later went to its successor, and must not come to that one again. Nothing if it has
/// no successor. `old` is who was found in the table in its place: what is on its way there comes
/// before, or is refused and kept by who brings it. Nothing, too, where that is not known: better
/// twice than never.
pub(crate) fn missed_until(
    engine: &Engine,
    account: &BareJid,
    resource: &Resource,
    old: Option<&Resource>,
) -> Option<u64> {
    // Before the look at the successor: what that one gets after the look is newer.
    let handed = engine.deliverer().handed();
    let successor = engine
        .registry()
        .resource(account, resource.jid.resource())
        .filter(|found| found.generation != resource.generation)?;
    let last = old?.outbox.settle();
    let before = match successor.outbox.first() {
        Some(first) => Some(first.saturating_sub(1)),
        None => Some(handed).filter(|handed| *handed > 0),
    };
    before.max(last)
}

/// Ends a session that has been taken over for that, and sees to what it did not get: what is in
/// the archive waits if nobody else has it, other messages wait, requests are answered with an
/// error.
pub(crate) async fn finish(
    engine: &Engine,
    account: &BareJid,
    row: &SmSession,
    resource: Option<&Resource>,
) {
    let heir = || resource.and_then(|resource| heir(engine, account, resource));
    finish_with(engine, account, row, (resource, resource), heir).await;
}

/// The same for a session whose address has been bound anew while it was taken over: whoever has
/// done that has come after the messages, and has taken the old resource's presence away before it
/// was noted. `resource` is what the session would have had, which nobody has seen, `old` what it
/// had.
pub(crate) async fn finish_replaced(
    engine: &Engine,
    account: &BareJid,
    row: &SmSession,
    resource: &Resource,
    old: Option<&Resource>,
) {
    // Whoever replaced it has told those who saw it.
    resource.leave_presence();
    resource.take_directed();
    let heir = || Some(offline::waiting(engine, account));
    finish_with(engine, account, row, (Some(resource), old), heir).await;
}

async fn finish_with(
    engine: &Engine,
    account: &BareJid,
    row: &SmSession,
    (resource, old): (Option<&Resource>, Option<&Resource>),
    heir: impl FnOnce() -> Option<Waiting>,
) {
    let mut left: Vec<_> = State::read(&row.state)
        .end
        .map(|end| end.left().collect())
        .unwrap_or_default();
    match kept(engine, account, &row.id).await {
        Ok(kept) => left.extend(
            kept.into_iter()
                .map(|kept| Unacknowledged::Stanza(kept.stanza)),
        ),
        Err(error) => {
            engine.metrics().store_failures.inc();
            tracing::error!(%error, "what is kept for a session could not be read");
        }
    }
    if let Some(resource) = resource {
        if let Some(asleep) = resource.outbox.succeeded(None) {
            engine.metrics().hibernated.dec();
            let held = asleep.held.unwrap_or_default();
            left.extend(held.into_iter().map(Unacknowledged::Stanza));
        }
        leave(engine, account, resource).await;
    }
    for one in left {
        bounce(engine, account, one).await;
    }
    let waiting = heir();
    let until = resource.and_then(|resource| missed_until(engine, account, resource, old));
    let ended = engine
        .store()
        .session_end(account.clone(), row.key(), until, waiting);
    match ended.await {
        Ok(true) => {
            message::nudge(engine, account);
        }
        Ok(false) | Err(StoreError::NoAccount) => {}
        Err(error) => {
            engine.metrics().store_failures.inc();
            tracing::error!(%error, "an expired session could not be ended");
        }
    }
}

/// All stanzas kept for a session.
pub(crate) async fn kept(
    engine: &Engine,
    account: &BareJid,
    id: &str,
) -> Result<Vec<KeptStanza>, StoreError> {
    let mut all = Vec::new();
    let mut after = 0;
    loop {
        let page = engine
            .store()
            .session_kept(account.clone(), id.to_owned(), after, KEPT_PAGE);
        let page = page.await?;
        let Some(last) = page.last() else {
            return Ok(all);
        };
        after = last.id;
        all.extend(page);
    }
}

/// What becomes of something in no archive that a session never got (XEP-0198 § 5): a message
/// waits, a request is answered as if nobody were here.
pub(crate) async fn bounce(engine: &Engine, account: &BareJid, left: Unacknowledged) {
    match left {
        Unacknowledged::Message(message) => {
            let Some(stanza) = offline::read(message.clone()) else {
                return;
            };
            if let Some(record) = offline::record_of(engine, account, &stanza, None, || message)
                && let Err(error) = engine.store().submit(record).await
            {
                tracing::warn!(%error, "a message for a session that ended could not be stored");
            }
        }
        Unacknowledged::Stanza(bytes) => {
            let Some(stanza) = offline::read(bytes.clone()) else {
                return;
            };
            let request = stanza.kind() == Kind::Iq
                && matches!(stanza.type_attr().as_deref(), Some("get" | "set"));
            let error = StanzaError::new(Condition::ServiceUnavailable);
            // Without a sender it is a push of the server's own.
            if request && stanza.root().attr("from").is_some() {
                let sealed = Sealed::from_bytes(Kind::Iq, bytes);
                inbound::bounce(engine, &sealed, &error).await;
            }
        }
        Unacknowledged::Nothing | Unacknowledged::Archived(_) => {}
    }
}
