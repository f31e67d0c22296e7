//! What a resumed session gets first: what its client had not acknowledged, and what has come
//! since, in order (XEP-0198 § 5).

use super::Session;
use crate::{
    Engine,
    feature::Side,
    features::offline::Replayed,
    features::{caps, carbons, offline, pubsub},
    hibernation::{End, State, Unacknowledged, kept},
    outbox::{Copies, Message, Presence},
    output::Output,
    presence,
    registry::{Resource, Setting},
};
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};
use waxwing_proto::{
    BareJid, Jid,
    stanza::{Draft, Kind, Sealed, Stanza},
    stream::{StreamCondition, StreamError},
};
use waxwing_store::{
    ArchiveFilter, Archived, KeptStanza, Micros, PageFrom, PageRequest, SessionKey, StoreError,
};

/// Messages read from the archive at a time.
const PAGE: u32 = 50;

/// About how many bytes those may have.
const PAGE_BYTES: usize = 256 * 1024;

/// How far a resumed session has been given what it missed.
#[derive(Debug)]
pub(crate) struct Replay {
    /// What is known to be missing, in order.
    pub(super) listed: VecDeque<Unacknowledged>,
    /// The archive is read after this id, when the list is done.
    pub(super) after: u64,
    /// What of it was given so far; its end is `after`.
    replayed: Replayed,
    /// What is in no archive and came while there was no stream; read once.
    kept: Option<VecDeque<KeptStanza>>,
    /// Up to here, what is kept was given.
    pub(super) given: u64,
    /// What came while the session was being taken over.
    held: Vec<Bytes>,
    /// Whose presence it has missed.
    pub(super) presence: Presence,
    /// Something was handed to the transport and is not yet known to be written.
    unwritten: bool,
}

/// What a session without a stream has missed that is not on disk.
#[derive(Debug)]
pub(super) struct Missed {
    pub(super) presence: Presence,
    pub(super) held: Vec<Bytes>,
}

impl Replay {
    /// What is neither in the archive nor kept on disk and was not given yet.
    pub(super) fn not_on_disk(&mut self) -> VecDeque<Unacknowledged> {
        let mut left = std::mem::take(&mut self.listed);
        left.extend(self.held.drain(..).map(Unacknowledged::Stanza));
        left
    }

    pub(super) fn new(listed: VecDeque<Unacknowledged>, after: u64, missed: Missed) -> Self {
        Self {
            listed,
            after,
            replayed: Replayed {
                after,
                ..Replayed::default()
            },
            kept: None,
            given: 0,
            held: missed.held,
            presence: missed.presence,
            unwritten: false,
        }
    }

    /// Whether more is to be given now.
    pub(crate) fn is_due(&self) -> bool {
        !self.unwritten
    }

    /// What was handed over has been written.
    pub(crate) fn written(&mut self) {
        self.unwritten = false;
    }
}

/// Gives the next part of what a resumed session missed. On an error the stream has to end; the
/// session can be resumed again.
pub(crate) async fn replay_on(session: &mut Session, out: &mut Output) -> Result<(), StreamError> {
    let Some(mut replay) = session.replay.take() else {
        return Ok(());
    };
    let step = step(session, &mut replay, out).await;
    // A part that was not for this session leaves nothing to be written, and nobody to say so.
    replay.unwritten = !out.bytes().is_empty();
    if !matches!(step, Ok(true)) {
        session.replay = Some(replay);
        return step.map(|_| ()).map_err(|error| {
            session.engine.metrics().store_failures.inc();
            tracing::error!(%error, "what a session missed could not be read");
            StreamError::new(StreamCondition::InternalServerError)
        });
    }
    session.replayed = replay.after;
    presence_again(session, replay.presence, out).await;
    caps_again(session, out).await;
    if session.state.resource.takes_messages() {
        session.state.offline.want_others(Replayed {
            last: replay.after,
            ..replay.replayed
        });
    }
    Ok(())
}

/// True if that was the last.
async fn step(
    session: &mut Session,
    replay: &mut Replay,
    out: &mut Output,
) -> Result<bool, StoreError> {
    let engine = session.engine.clone();
    let account = session.state.account.clone();
    if !replay.listed.is_empty() {
        listed(session, replay, out).await?;
        return Ok(false);
    }
    let mut stanzas = match replay.kept.take() {
        Some(stanzas) => stanzas,
        None => session.kept_stanzas().await?,
    };
    let page = engine
        .store()
        .archive_page(account.clone(), after(replay.after), from_first(PAGE))
        .await?;
    for entry in &page.entries {
        replay.after = entry.id;
        while let Some(stanza) = stanzas.pop_front_if(|stanza| stanza.id < entry.id) {
            replay.given = stanza.id;
            out.sealed(&Sealed::from_bytes(Kind::Iq, stanza.stanza));
        }
        if replay.replayed.listed.contains(&entry.id) {
            continue;
        }
        if let Some(sealed) = again(&engine, &account, &session.state.resource, entry) {
            out.copy(&sealed, entry.id);
        } else if !entry.outgoing {
            replay.replayed.withheld.push(entry.id);
        }
    }
    if !page.complete {
        replay.kept = Some(stanzas);
        return Ok(false);
    }
    for stanza in stanzas {
        replay.given = stanza.id;
        out.sealed(&Sealed::from_bytes(Kind::Iq, stanza.stanza));
    }
    for stanza in replay.held.drain(..) {
        out.sealed(&Sealed::from_bytes(Kind::Iq, stanza));
    }
    if let Some(resumable) = &session.resumable {
        session.forget_kept(&resumable.key, replay.given);
    }
    Ok(true)
}

/// Gives the first part of the list.
async fn listed(
    session: &Session,
    replay: &mut Replay,
    out: &mut Output,
) -> Result<(), StoreError> {
    let list = &mut replay.listed;
    let (engine, account) = (&session.engine, &session.state.account);
    let part = list.len().min(usize::try_from(PAGE).unwrap_or(usize::MAX));
    let ids = list.iter().take(part).filter_map(|one| match one {
        Unacknowledged::Archived(id) => Some(*id),
        Unacknowledged::Nothing | Unacknowledged::Stanza(_) | Unacknowledged::Message(_) => None,
    });
    let mut found = entries(engine, account, ids.collect()).await?;
    for one in list.drain(..part) {
        match one {
            Unacknowledged::Nothing => {}
            Unacknowledged::Stanza(bytes) => out.sealed(&Sealed::from_bytes(Kind::Iq, bytes)),
            Unacknowledged::Message(bytes) => out.message(Message {
                sealed: Sealed::from_bytes(Kind::Message, bytes),
                copies: Copies::new(1),
                archived: None,
            }),
            Unacknowledged::Archived(id) => {
                let entry = found.remove(&id);
                let resource = &session.state.resource;
                let sealed = entry.and_then(|entry| again(engine, account, resource, &entry));
                if let Some(sealed) = sealed {
                    out.copy(&sealed, id);
                    replay.replayed.listed.push(id);
                }
            }
        }
    }
    Ok(())
}

/// The entries of these ids that are there still.
async fn entries(
    engine: &Engine,
    account: &BareJid,
    ids: Vec<u64>,
) -> Result<BTreeMap<u64, Archived>, StoreError> {
    let mut found = BTreeMap::new();
    let (Some(first), Some(last)) = (ids.iter().min(), ids.iter().max()) else {
        return Ok(found);
    };
    let mut next = first.saturating_sub(1);
    loop {
        let filter = ArchiveFilter {
            end: Micros::try_from(*last).ok(),
            ..after(next)
        };
        let page = engine
            .store()
            .archive_page(account.clone(), filter, from_first(PAGE))
            .await?;
        next = page.entries.last().map_or(*last, |entry| entry.id);
        let wanted = page.entries.into_iter();
        found.extend(
            wanted
                .filter(|entry| ids.contains(&entry.id))
                .map(|entry| (entry.id, entry)),
        );
        if page.complete {
            return Ok(found);
        }
    }
}

/// By time, which is what ids are: an entry that has been purged can still be started from.
fn after(id: u64) -> ArchiveFilter {
    ArchiveFilter {
        start: Micros::try_from(id).ok().map(|id| id.saturating_add(1)),
        ..ArchiveFilter::default()
    }
}

fn from_first(max: u32) -> PageRequest {
    PageRequest {
        max,
        bytes_max: PAGE_BYTES,
        from: PageFrom::First,
        flip: false,
        count: false,
    }
}

/// An archived message as the resource would have got it when it came, if it would have.
fn again(
    engine: &Engine,
    account: &BareJid,
    resource: &Resource,
    entry: &Archived,
) -> Option<Sealed> {
    if entry.retracted {
        return None;
    }
    let stanza = offline::read(entry.stanza.clone())?;
    let draft = Draft::new(stanza.clone()).ok()?;
    let (from, to) = (draft.from()?.clone(), draft.to()?.clone());
    if from.as_str() == resource.jid.as_str() {
        return None;
    }
    let id = engine.stanza_ids().element(account, entry.id);
    let at = Micros::try_from(entry.id).unwrap_or(Micros::MAX);
    let delay = offline::delay(account, at, "");
    let incoming = to.bare_str() == account.as_str();
    if incoming && is_for(resource, &to) {
        let mut draft = draft;
        draft.add(id);
        draft.add(delay);
        return Some(draft.seal());
    }
    let side = if incoming {
        Side::Recipient
    } else {
        Side::Sender
    };
    carbon(account, resource, &stanza, (side, &from, &to), (id, delay))
}

fn is_for(resource: &Resource, to: &Jid) -> bool {
    match to.resource() {
        Some(name) => name == resource.jid.resource(),
        None => resource.takes_messages(),
    }
}

fn carbon(
    account: &BareJid,
    resource: &Resource,
    stanza: &Stanza,
    (side, from, to): (Side, &Jid, &Jid),
    (id, delay): (Bytes, Bytes),
) -> Option<Sealed> {
    if !resource.has(Setting::Carbons) || carbons::should_copy(stanza, side, from, to).is_err() {
        return None;
    }
    let sealed = Draft::new(stanza.clone()).ok()?.seal().with_child(id);
    let kind = stanza.type_attr();
    let wrapped = carbons::wrap(&sealed, side, account, kind.as_deref(), Some(delay));
    Some(wrapped.with_to(&Jid::from(&resource.jid)))
}

/// The presence that the session has missed.
async fn presence_again(session: &mut Session, missed: Presence, out: &mut Output) {
    let resource = session.state.resource.clone();
    if resource.priority().is_none() {
        return;
    }
    match missed {
        Presence::Newest(newest) => {
            for stanza in newest.values() {
                out.sealed(&stanza.with_to(&Jid::from(&resource.jid)));
            }
        }
        Presence::Unknown => {
            let Ok(view) = session.view().await else {
                return;
            };
            let account = session.state.account.clone();
            let all = presence::as_it_is(&session.engine, &account, &view, &resource).await;
            for stanza in all {
                out.sealed(&stanza);
            }
        }
    }
}

/// What the client can do is not on disk; it will not say so again by itself.
async fn caps_again(session: &mut Session, out: &mut Output) {
    let resource = session.state.resource.clone();
    if resource.caps().is_some() {
        return;
    }
    let presence = resource.presence().map(|presence| presence.to_bytes());
    if let Some(presence) = presence.and_then(offline::read) {
        let engine = session.engine.clone();
        caps::on_presence(&engine, &mut session.state, &presence, out);
        pubsub::on_caps(&engine, &session.state.account, &resource).await;
    }
}

impl Session {
    async fn kept_stanzas(&self) -> Result<VecDeque<KeptStanza>, StoreError> {
        match &self.resumable {
            Some(resumable) => {
                let all = kept(&self.engine, &self.state.account, &resumable.key.id).await?;
                Ok(all.into())
            }
            None => Ok(VecDeque::new()),
        }
    }

    /// What was kept has been given to the client up to this id, and is among what it has not
    /// acknowledged.
    pub(super) fn forget_kept(&self, key: &SessionKey, last: u64) {
        if last > 0 {
            let (account, key) = (self.state.account.clone(), key.clone());
            drop(self.engine.store().session_forget(account, key, last));
        }
    }
}

/// Of what was noted when the stream ended: the last message of the archive that the client has
/// received, what it has not, and up to where the archive was read for it. Nothing after a crash, or
/// if the client cannot have received so many.
pub(super) fn missing(
    state: &State,
    h: u32,
) -> Option<(Option<u64>, VecDeque<Unacknowledged>, u64)> {
    let End {
        acknowledged,
        seen,
        mut sent,
        queued,
    } = state.end.clone()?;
    let received = usize::try_from(h.wrapping_sub(acknowledged)).ok()?;
    if received > sent.len() {
        return None;
    }
    let received = sent.drain(..received).filter_map(|sent| match sent {
        Unacknowledged::Archived(id) => Some(id),
        Unacknowledged::Nothing | Unacknowledged::Stanza(_) | Unacknowledged::Message(_) => None,
    });
    let received = received.last();
    sent.extend(queued);
    Some((received, sent, seen))
}
