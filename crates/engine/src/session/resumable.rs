//! What a session that can be resumed (XEP-0198 § 5) writes while it has a stream: how many of the
//! client's stanzas are handled, how far the client has received, and what it has set.

use super::{Session, take_over::take_over};
use crate::{
    Engine,
    features::push,
    hibernation::{self, End, State, Unacknowledged},
    outbox::{Delivery, Presence},
    output::{Output, Sent},
};
use bytes::Bytes;
use std::collections::VecDeque;
use waxwing_proto::{
    BareJid,
    sm::{Failed, Inbound, Resume},
    stanza::{Kind, Sealed},
};
use waxwing_store::{
    Handled, Record, SessionChange, SessionKey, SessionUpdate, SmSession, StoreError, Ticket,
    Waiting,
};

/// The session's row in the store, as its owner knows it.
#[derive(Debug)]
pub(super) struct Resumable {
    pub(super) key: SessionKey,
    /// A count that is on disk; what the client is told must not be more.
    pub(super) durable: u32,
    /// [`crate::registry::Resource::changes`] when the state was last written.
    pub(super) written: u64,
    /// The newest message of the archive that the client has received, as it was written.
    pub(super) received: u64,
    /// The session cannot be resumed: only how far its client has received is written, so that the
    /// rest waits for it after a crash.
    pub(super) cursor_only: bool,
}

impl Resumable {
    pub(super) fn new(row: &SmSession) -> Self {
        Self {
            key: row.key(),
            durable: row.handled,
            written: 0,
            received: row.acknowledged,
            cursor_only: false,
        }
    }
}

impl Session {
    /// Makes the session one that can be resumed; gives its id, or nothing if that cannot be. What
    /// the client sends is counted from now on in any case (XEP-0198 § 3).
    pub(crate) async fn enable(&mut self, resume: bool) -> Option<String> {
        let id = if resume { self.put().await } else { None };
        self.enable_acknowledgements();
        id
    }

    async fn put(&mut self) -> Option<String> {
        let (engine, account) = (self.engine.clone(), self.state.account.clone());
        let resource = self.state.resource.clone();
        let changes = resource.changes();
        let row = self.row(State::of(&resource).to_bytes()).await?;
        // Beside those that can be resumed, others may have rows for how far they have received.
        let all = engine.registry().resources(&account);
        let others = all.iter().filter(|one| one.session_id().is_none()).count();
        let sessions_max = engine.settings().limits.resumable_sessions_max;
        let sessions_max = sessions_max.saturating_add(u32::try_from(others).unwrap_or(u32::MAX));
        let put = || {
            engine
                .store()
                .session_put(account.clone(), row.clone(), sessions_max)
        };
        let mut done = put().await;
        if matches!(done, Err(StoreError::Quota(_)))
            && hibernation::make_room(&engine, &account).await
        {
            done = put().await;
        }
        if let Err(error) = done {
            tracing::debug!(%error, "a session cannot be made resumable");
            return None;
        }
        if let Some(cursor) = self.resumable.take() {
            drop(engine.store().session_remove(account, cursor.key));
        }
        resource.set_session(&row.key(), None);
        self.resumable = Some(Box::new(Resumable {
            written: changes,
            ..Resumable::new(&row)
        }));
        Some(row.id)
    }

    /// Begins to note how far the client has received its messages; to be called before anybody
    /// may send it some, whose records then come after. Where that cannot be noted, the session
    /// does without.
    pub(crate) async fn put_cursor(&mut self) {
        if self.resumable.is_some() {
            return;
        }
        let Some(row) = self.row(Bytes::new()).await else {
            return;
        };
        self.resumable = Some(Box::new(Resumable {
            cursor_only: true,
            ..Resumable::new(&row)
        }));
        let limits = &self.engine.settings().limits;
        let sessions = u32::try_from(limits.sessions_per_account_max).unwrap_or(u32::MAX);
        let sessions_max = limits.resumable_sessions_max.saturating_add(sessions);
        let account = self.state.account.clone();
        // Nobody waits: a slow disk must not keep people from being here.
        drop(self.engine.store().session_put(account, row, sessions_max));
    }

    async fn row(&self, state: Bytes) -> Option<SmSession> {
        let (engine, account) = (&self.engine, &self.state.account);
        let ends = engine.store().archive_ends(account.clone()).await.ok()?;
        Some(SmSession {
            id: engine.env().token(),
            generation: 1,
            resource: self.state.resource.jid.resource().to_owned(),
            handled: 0,
            acknowledged: ends.map_or(0, |(_, last)| last),
            expires: None,
            state,
        })
    }

    /// Whether the client can come back to the session.
    pub(super) fn is_resumable(&self) -> bool {
        self.resumable().is_some()
    }

    fn resumable(&self) -> Option<&Resumable> {
        let resumable = self.resumable.as_deref()?;
        (!resumable.cursor_only).then_some(resumable)
    }

    /// Takes over a session (§ 5): its counts, its address and what it missed. Gives how many of
    /// the client's stanzas it has handled. `connection` says when the connection was made that asks
    /// ([`crate::registry::Registry::next_generation`]).
    pub(crate) async fn resume(
        engine: &Engine,
        account: &BareJid,
        resume: &Resume,
        connection: u64,
    ) -> Result<(Self, u32), Failed> {
        let resumed = take_over(engine, account, resume, connection).await;
        match &resumed {
            Ok(_) => engine.metrics().sessions_resumed.inc(),
            Err(_) => engine.metrics().resumptions_refused.inc(),
        }
        resumed
    }

    /// Leaves the session to its client: from now on it has no stream.
    pub(super) async fn hibernate(mut self, mut output: Output) {
        self.ended = true;
        let Some(resumable) = self.resumable.take() else {
            return;
        };
        let engine = self.engine.clone();
        let account = self.state.account.clone();
        let resource = self.state.resource.clone();
        let end = self.fall_asleep(&resumable.key, &mut output);
        let is_message = |sent: &Unacknowledged| matches!(sent, Unacknowledged::Archived(_));
        let has_unread = end.sent.iter().chain(&end.queued).any(is_message);
        let state = State {
            end: Some(end),
            ..State::of(&resource)
        };
        let expires = hibernation::micros(hibernation::patience(&engine, &account, &resource));
        let update = SessionUpdate {
            handled: self.inbound.as_ref().map(Inbound::h),
            acknowledged: None,
            expires: Some(Some(engine.env().now().saturating_add(expires))),
            state: Some(state.to_bytes()),
        };
        match self.change(&resumable, update).await {
            Ok(_) => engine.metrics().hibernated.inc(),
            Err(error) => {
                let end = state.end.unwrap_or_default();
                self.abandon(*resumable, end, error).await;
            }
        }
        resource.put_to_sleep.notify_one();
        if has_unread {
            push::left_behind(&engine, &account, &resource);
        }
        hibernation::forget_replaced(&engine, &account, &resource).await;
    }

    /// Closes the place where others put what is for the client, and says where its stream ended.
    fn fall_asleep(&mut self, key: &SessionKey, output: &mut Output) -> End {
        let engine = self.engine.clone();
        let account = self.state.account.clone();
        let resource = self.state.resource.clone();
        let replayed = self.replayed;
        let (mut presence, mut queued, mut seen, archive) = match self.replay.take() {
            Some(mut replay) => {
                self.forget_kept(key, replay.given);
                let left = replay.not_on_disk();
                // What is newer is found in the archive, which is read from there on.
                (replay.presence, left, replay.after, false)
            }
            None => (
                Presence::default(),
                VecDeque::new(),
                output.seen().max(replayed),
                true,
            ),
        };
        let (acknowledged, sent) = output.take_unacknowledged();
        let sent = sent.into_iter().map(|sent| left(sent, &mut presence));
        let sent: VecDeque<_> = sent.collect();
        let mut unsent_of = |deliveries: Vec<Delivery>, presence: &mut Presence| {
            let all = deliveries.into_iter();
            let all = all.filter_map(|delivery| unsent(delivery, presence));
            queued.extend(all.filter(|one| match one {
                Unacknowledged::Archived(id) => archive && *id > replayed,
                _ => true,
            }));
        };
        if let Some(mut csi) = self.csi.take() {
            let mut held = Vec::new();
            csi.flush(&mut held);
            unsent_of(held, &mut presence);
        }
        let asleep = hibernation::asleep(&engine, &account, key.clone(), presence);
        let rest = resource.outbox.sleep(asleep);
        // There is no presence among it any more.
        unsent_of(rest, &mut Presence::default());
        let archived = queued.iter().filter_map(|one| match one {
            Unacknowledged::Archived(id) => Some(*id),
            _ => None,
        });
        if archive {
            seen = archived.fold(seen, u64::max);
        }
        End {
            acknowledged,
            seen,
            sent,
            queued,
        }
    }

    /// The session cannot be left to its client: somebody else has it, or it cannot be written.
    /// What is in no archive is seen to here, because nobody else knows of it.
    async fn abandon(&self, resumable: Resumable, end: End, error: StoreError) {
        let (engine, account) = (&self.engine, &self.state.account);
        let resource = &self.state.resource;
        let asleep = resource.outbox.gone();
        let held = asleep.and_then(|asleep| asleep.held).unwrap_or_default();
        hibernation::leave(engine, account, resource).await;
        let held = held.into_iter().map(Unacknowledged::Stanza);
        for one in end.left().chain(held) {
            hibernation::bounce(engine, account, one).await;
        }
        crate::route::message::nudge(engine, account);
        if matches!(
            error,
            StoreError::Conflict | StoreError::NoItem | StoreError::NoAccount
        ) {
            return;
        }
        engine.metrics().store_failures.inc();
        tracing::error!(%error, "the state of a session without a stream could not be written");
        self.finish_row(resumable).await;
    }

    /// The session has ended with its stream: its row goes, and what it missed waits if nobody else
    /// has it.
    pub(super) async fn finish(&mut self) {
        if let Some(resumable) = self.resumable.take() {
            self.finish_row(*resumable).await;
        }
    }

    /// Where what it missed waits, if nobody else has it.
    fn missed(&self, resumable: &Resumable) -> Option<Waiting> {
        // What a session that cannot be resumed was not sent waits already.
        (!resumable.cursor_only)
            .then(|| hibernation::heir(&self.engine, &self.state.account, &self.state.resource))
            .flatten()
    }

    async fn finish_row(&self, resumable: Resumable) {
        let account = self.state.account.clone();
        let waiting = self.missed(&resumable);
        let resource = &self.state.resource;
        let until = hibernation::missed_until(&self.engine, &account, resource, Some(resource));
        let ended = self
            .engine
            .store()
            .session_end(account.clone(), resumable.key, until, waiting);
        match ended.await {
            Ok(true) => {
                crate::route::message::nudge(&self.engine, &account);
            }
            Ok(false) | Err(StoreError::Conflict | StoreError::NoItem | StoreError::NoAccount) => {}
            Err(error) => {
                self.engine.metrics().store_failures.inc();
                tracing::error!(%error, "a session could not be removed");
            }
        }
    }

    /// The count that a record carries.
    pub(super) fn counts(&self, count: u32) -> Option<Handled> {
        let resumable = self.resumable()?;
        Some(Handled {
            account: self.state.account.clone(),
            session: resumable.key.clone(),
            count,
        })
    }

    /// This count is on disk.
    pub(super) fn counted(&mut self, count: u32) {
        if let Some(resumable) = &mut self.resumable {
            resumable.durable = count;
        }
    }

    /// Writes a count that is not on disk; nothing if it is, or need not be.
    pub(super) fn write_count(&self, h: u32) -> Option<Ticket> {
        let resumable = self.resumable()?;
        // A distance of more than half the range is one backwards (XEP-0198 § 4).
        let ahead = h.wrapping_sub(resumable.durable);
        (ahead != 0 && ahead <= u32::MAX / 2).then(|| {
            self.change(
                resumable,
                SessionUpdate {
                    handled: Some(h),
                    ..SessionUpdate::default()
                },
            )
        })
    }

    /// The client has received all of the archive up to here that is for it.
    pub(crate) fn received(&mut self, archived: u64) {
        let Some(mut resumable) = self.resumable.take() else {
            return;
        };
        if resumable.received < archived {
            resumable.received = archived;
            let update = SessionUpdate {
                acknowledged: Some(archived),
                ..SessionUpdate::default()
            };
            // Nobody waits: if it is lost, the client gets the messages once more.
            drop(self.change(&resumable, update));
        }
        self.resumable = Some(resumable);
    }

    /// Writes how a session begins that was taken over: what its client says to have received it
    /// must not get again after a crash, and the list of what it had not acknowledged is of the
    /// stream before. Nothing may be sent before that is on disk: a client that counted more than
    /// the list has would be taken for one that speaks of another session.
    pub(super) async fn write_beginning(&mut self, received: Option<u64>) {
        let Some(mut resumable) = self.resumable.take() else {
            return;
        };
        let resource = &self.state.resource;
        resumable.written = resource.changes();
        resumable.received = resumable.received.max(received.unwrap_or(0));
        let update = SessionUpdate {
            acknowledged: Some(resumable.received),
            state: Some(State::of(resource).to_bytes()),
            ..SessionUpdate::default()
        };
        let written = self.change(&resumable, update);
        self.resumable = Some(resumable);
        match written.await {
            // Who has lost it meanwhile learns so by what it writes next.
            Ok(_) | Err(StoreError::Conflict | StoreError::NoItem | StoreError::NoAccount) => {}
            Err(error) => {
                self.engine.metrics().store_failures.inc();
                tracing::error!(%error, "the state of a resumed session could not be written");
            }
        }
    }

    /// Writes what the client has set, if that has changed.
    pub(super) fn save(&mut self) {
        let Some(resumable) = self.resumable() else {
            return;
        };
        let changes = self.state.resource.changes();
        if resumable.written == changes {
            return;
        }
        let update = SessionUpdate {
            state: Some(State::of(&self.state.resource).to_bytes()),
            ..SessionUpdate::default()
        };
        drop(self.change(resumable, update));
        if let Some(resumable) = &mut self.resumable {
            resumable.written = changes;
        }
    }

    /// The session belongs to somebody else.
    pub(super) fn lose(&mut self) {
        self.resumable = None;
        self.inbound = None;
    }

    pub(super) fn change(&self, resumable: &Resumable, update: SessionUpdate) -> Ticket {
        self.engine
            .store()
            .submit(Record::Session(Box::new(SessionChange {
                account: self.state.account.clone(),
                key: resumable.key.clone(),
                update,
            })))
    }
}

/// What is left of a stanza that was sent and not acknowledged.
fn left(sent: Sent, presence: &mut Presence) -> Unacknowledged {
    match sent {
        Sent::Nothing => Unacknowledged::Nothing,
        // Another device may take it out of the queue meanwhile; what no archive has is left there
        // for whoever resumes.
        Sent::Archived(id) | Sent::Waiting(id) => Unacknowledged::Archived(id),
        Sent::Message(message) => Unacknowledged::Message(message.sealed.to_bytes()),
        Sent::Stanza(stanza) => kept(stanza, presence).unwrap_or(Unacknowledged::Nothing),
    }
}

/// What is left of a delivery that was not sent.
fn unsent(delivery: Delivery, presence: &mut Presence) -> Option<Unacknowledged> {
    match delivery {
        Delivery::Stanza(stanza) => kept(stanza, presence),
        Delivery::Own(stanza) => Some(Unacknowledged::Stanza(stanza)),
        Delivery::Message(message) => Some(match message.archived {
            Some(id) => Unacknowledged::Archived(id),
            None => Unacknowledged::Message(message.sealed.to_bytes()),
        }),
        Delivery::Copy(_, id) => Some(Unacknowledged::Archived(id)),
        Delivery::OfflineWaiting | Delivery::End(_) => None,
    }
}

fn kept(stanza: Sealed, presence: &mut Presence) -> Option<Unacknowledged> {
    let stanza = if stanza.kind() == Kind::Presence {
        presence.take(stanza)?
    } else {
        stanza
    };
    Some(Unacknowledged::Stanza(stanza.to_bytes()))
}
