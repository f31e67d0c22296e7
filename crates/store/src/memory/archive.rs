//! Archives, and the records that fill them.

use super::{
    MemoryStore,
    state::{Entry, State, size, size64},
};
use crate::{
    ARCHIVE_FIND_MAX, ARCHIVE_IDS_MAX, Archive, ArchiveFilter, ArchivePage, ArchivePreferences,
    Archived, BoxFuture, Handled, Message, Micros, OfflineMessage, Outcome, PageRequest,
    RESEND_WINDOW, Result, Retention, StoreError, Wait, Waiting,
    archive::{origin_hash, words},
    quota,
};
use bytes::Bytes;
use std::{collections::BTreeMap, ops::Bound};
use waxwing_proto::BareJid;

/// The archive of one account and what belongs to it.
#[derive(Default)]
pub(super) struct ArchiveState {
    entries: BTreeMap<u64, Kept>,
    preferences: Option<ArchivePreferences>,
    resends: BTreeMap<[u8; 16], u64>,
}

impl ArchiveState {
    /// Whether there is such an entry.
    pub(super) fn has(&self, id: u64) -> bool {
        self.entries.contains_key(&id)
    }
}

struct Kept {
    entry: Archived,
    at: Micros,
    origin: Option<i64>,
    /// In lower case.
    text: Option<String>,
}

impl Kept {
    fn new(id: u64, entry: &crate::Entry, message: &Message) -> Self {
        Self {
            entry: Archived {
                id,
                with: entry.with.clone(),
                outgoing: entry.outgoing,
                flags: entry.flags,
                retracted: false,
                stanza: message.stanza.clone(),
            },
            at: message.at,
            origin: message.origin.as_deref().map(origin_hash),
            text: message.text.as_ref().map(|text| text.to_lowercase()),
        }
    }

    fn says(&self, sought: &str) -> bool {
        let sought = sought.to_lowercase();
        let mut sought = words(&sought).peekable();
        let Some(text) = self.text.as_ref().filter(|_| !self.entry.retracted) else {
            return false;
        };
        sought.peek().is_some()
            && sought.all(|sought| words(text).any(|word| word.starts_with(sought)))
    }
}

impl State {
    fn forget_texts(&mut self) {
        for entry in self.accounts.values_mut() {
            for kept in entry.archive.entries.values_mut() {
                kept.text = None;
            }
        }
    }

    /// All checks come first: a record is kept as a whole or not at all.
    pub(super) fn message(&mut self, message: Message) -> Result<Outcome> {
        let id = self.next_id(message.at);
        if let Some(handled) = &message.handled {
            self.entry(&handled.account)?;
        }
        if let Some(resend) = &message.resend {
            let first = self
                .entry(&resend.account)?
                .archive
                .resends
                .get(&resend.key);
            if let Some(first) = first.copied().filter(|first| is_recent(*first, id)) {
                self.count(message.handled.as_ref())?;
                return Ok(Outcome {
                    id: first,
                    duplicate: true,
                    waiting: false,
                });
            }
        }
        let waiting = self.admit(&message)?;
        self.count(message.handled.as_ref())?;

        self.id_last = id;
        if let Some(resend) = &message.resend {
            let resends = &mut self.entry(&resend.account)?.archive.resends;
            resends.insert(resend.key, id);
        }
        for entry in message.entries() {
            let kept = Kept::new(id, entry, &message);
            let archive = &mut self.entry(&entry.account)?.archive;
            archive.entries.insert(id, kept);
        }
        if let (Some(subject), Some(entry)) = (&message.subject, &message.recipient) {
            let room = self.room_entry(&entry.account)?;
            room.0.subject = Some(subject.clone());
        }
        if let Some(departure) = &message.outgoing {
            self.add_outgoing(id, &message, departure);
        }
        if let Some(place) = message.waiting.filter(|_| waiting) {
            let offline = OfflineMessage {
                id,
                at: message.at,
                stanza: message.stanza,
                archived: false,
            };
            self.entry(&place.account)?.offline.insert(id, offline);
        }
        Ok(Outcome {
            id,
            duplicate: false,
            waiting,
        })
    }

    fn count(&mut self, handled: Option<&Handled>) -> Result<()> {
        if let Some(handled) = handled {
            let session = self.session_owned(&handled.account, &handled.session);
            let session = session.map_err(no_owner)?;
            session.session.handled = handled.count;
        }
        Ok(())
    }

    /// Looks for whatever may refuse the message; whether it is put into an offline queue.
    fn admit(&mut self, message: &Message) -> Result<bool> {
        for entry in message.entries() {
            self.entry(&entry.account)?;
        }
        if let (Some(_), Some(entry)) = (&message.subject, &message.recipient) {
            self.room_entry(&entry.account)?;
        }
        if let Some(departure) = &message.outgoing {
            self.admit_outgoing(message.stanza.len(), departure)?;
        }
        self.joins_queue(message)
    }

    /// Whether the message is put into an offline queue.
    fn joins_queue(&mut self, message: &Message) -> Result<bool> {
        let Some(place) = &message.waiting else {
            return Ok(false);
        };
        let entry = self.entry(&place.account)?;
        match entry.admit(message.stanza.len(), place.messages_max, place.bytes_max) {
            Ok(()) => Ok(true),
            Err(_) if message.is_archived_for(&place.account) => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub(super) fn wait(&mut self, wait: Wait) -> Result<Outcome> {
        let Wait { id, waiting } = wait;
        Ok(Outcome {
            id,
            duplicate: false,
            waiting: self.entry(&waiting.account)?.wait(id, &waiting),
        })
    }

    fn archive_page(
        &self,
        account: &BareJid,
        filter: &ArchiveFilter,
        request: PageRequest,
    ) -> Result<ArchivePage> {
        if filter.ids.as_ref().map_or(0, Vec::len) > ARCHIVE_IDS_MAX {
            return Err(StoreError::Quota(quota::ARCHIVE_IDS));
        }
        let entries = self.accounts.get(account);
        let entries = entries.map(|entry| &entry.archive.entries);
        let is_there = |id| entries.is_some_and(|entries| entries.contains_key(&id));
        if !filter.named(request.from).all(is_there) {
            return Err(StoreError::NoItem);
        }
        let entries = entries.into_iter().flat_map(BTreeMap::values);
        let passing = entries
            .filter(|kept| filter.text.as_ref().is_none_or(|text| kept.says(text)))
            .map(|kept| &kept.entry)
            .filter(|entry| filter.passes(entry));
        Ok(request.page(&passing.cloned().collect::<Vec<_>>()))
    }

    fn archive_due(
        &self,
        retention: Retention,
        after: Option<&BareJid>,
        count: u32,
    ) -> Vec<(BareJid, Micros)> {
        let due = self.accounts.iter().filter_map(|(account, entry)| {
            let preferences = entry.archive.preferences.as_ref();
            let keep = preferences.map(|preferences| preferences.keep);
            let cutoff = retention.cutoff(keep.unwrap_or_default())?;
            let (oldest, _) = entry.archive.entries.first_key_value()?;
            let is_due = after.is_none_or(|after| account > after) && is_before(*oldest, cutoff);
            is_due.then(|| (account.clone(), cutoff))
        });
        due.take(size(count)).collect()
    }

    fn resends_forget(&mut self, before: Micros, count: u32) -> u64 {
        let mut old: Vec<_> = self
            .accounts
            .values()
            .flat_map(|entry| entry.archive.resends.values().copied())
            .filter(|id| is_before(*id, before))
            .collect();
        old.sort_unstable();
        old.truncate(size(count));
        for entry in self.accounts.values_mut() {
            entry
                .archive
                .resends
                .retain(|_, id| old.binary_search(id).is_err());
        }
        size64(old.len())
    }
}

impl Entry {
    /// Puts a message of the archive into the offline queue if it may and does not wait already;
    /// whether it waits now.
    fn wait(&mut self, id: u64, place: &Waiting) -> bool {
        if self.offline.contains_key(&id) {
            return true;
        }
        let kept = self.archive.entries.get(&id);
        let Some(kept) = kept.filter(|kept| !kept.entry.retracted) else {
            return false;
        };
        let stanza = kept.entry.stanza.clone();
        if self
            .admit(stanza.len(), place.messages_max, place.bytes_max)
            .is_err()
        {
            return false;
        }
        let message = OfflineMessage {
            id,
            at: kept.at,
            stanza,
            archived: true,
        };
        self.offline.insert(id, message);
        true
    }

    /// Puts messages from others, after an id and up to another, into the offline queue until the
    /// bounds are reached; whether any was put there.
    pub(super) fn wait_within(&mut self, (after, until): (u64, u64), place: &Waiting) -> bool {
        let entries = self
            .archive
            .entries
            .range((Bound::Excluded(after), Bound::Unbounded))
            .take_while(|(id, _)| **id <= until);
        let missed = entries.filter(|(id, kept)| {
            !kept.entry.outgoing && !kept.entry.retracted && !self.offline.contains_key(*id)
        });
        let missed: Vec<_> = missed.map(|(id, _)| *id).collect();
        let put = missed.into_iter().take_while(|id| self.wait(*id, place));
        put.count() > 0
    }

    fn find(&self, with: &BareJid, origin: &str) -> Vec<Archived> {
        let origin = Some(origin_hash(origin));
        let entries = self.archive.entries.values().rev();
        let conversation = entries.filter(|kept| kept.entry.with.bare_str() == with.as_str());
        conversation
            .take(size(ARCHIVE_FIND_MAX))
            .filter(|kept| kept.origin == origin && !kept.entry.retracted)
            .map(|kept| kept.entry.clone())
            .collect()
    }

    fn retract(&mut self, id: u64, tombstone: Bytes) -> bool {
        let Some(kept) = self.archive.entries.get_mut(&id) else {
            return false;
        };
        kept.entry.retracted = true;
        kept.entry.stanza = tombstone;
        self.offline.remove(&id);
        true
    }

    fn purge(&mut self, before: Option<Micros>, count: u32) -> u64 {
        let entries = &mut self.archive.entries;
        let old = entries.keys().copied();
        let old = old.take_while(|id| before.is_none_or(|before| is_before(*id, before)));
        let old: Vec<_> = old.take(size(count)).collect();
        for id in &old {
            entries.remove(id);
        }
        size64(old.len())
    }
}

impl Archive for MemoryStore {
    fn archive_page(
        &self,
        account: BareJid,
        filter: ArchiveFilter,
        request: PageRequest,
    ) -> BoxFuture<'_, Result<ArchivePage>> {
        self.look(move |state| state.archive_page(&account, &filter, request))
    }

    fn archive_ends(&self, account: BareJid) -> BoxFuture<'_, Result<Option<(u64, u64)>>> {
        self.read(move |state| {
            let entries = &state.accounts.get(&account)?.archive.entries;
            Some((*entries.keys().next()?, *entries.keys().next_back()?))
        })
    }

    fn archive_find(
        &self,
        account: BareJid,
        with: BareJid,
        origin: String,
    ) -> BoxFuture<'_, Result<Vec<Archived>>> {
        self.read(move |state| {
            let entry = state.accounts.get(&account);
            entry.map_or_else(Vec::new, |entry| entry.find(&with, &origin))
        })
    }

    fn archive_retract(
        &self,
        account: BareJid,
        id: u64,
        tombstone: Bytes,
    ) -> BoxFuture<'_, Result<bool>> {
        self.write(move |state| Ok(state.entry(&account)?.retract(id, tombstone)))
    }

    fn archive_purge(
        &self,
        account: BareJid,
        before: Option<Micros>,
        count: u32,
    ) -> BoxFuture<'_, Result<u64>> {
        self.write(move |state| Ok(state.entry(&account)?.purge(before, count)))
    }

    fn archive_index(&self, kept: bool) -> BoxFuture<'_, Result<bool>> {
        self.write(move |state| {
            if !kept {
                state.forget_texts();
            }
            Ok(true)
        })
    }

    fn archive_due(
        &self,
        retention: Retention,
        after: Option<BareJid>,
        count: u32,
    ) -> BoxFuture<'_, Result<Vec<(BareJid, Micros)>>> {
        self.read(move |state| state.archive_due(retention, after.as_ref(), count))
    }

    fn archive_preferences(
        &self,
        account: BareJid,
    ) -> BoxFuture<'_, Result<Option<ArchivePreferences>>> {
        self.read(move |state| state.accounts.get(&account)?.archive.preferences.clone())
    }

    fn archive_set_preferences(
        &self,
        account: BareJid,
        mut preferences: ArchivePreferences,
        rules_max: u32,
    ) -> BoxFuture<'_, Result<()>> {
        self.write(move |state| {
            let entry = state.entry(&account)?;
            preferences.normalize();
            if preferences.rules() > size(rules_max) {
                return Err(StoreError::Quota(quota::ARCHIVE_RULES));
            }
            entry.archive.preferences = Some(preferences);
            Ok(())
        })
    }

    fn resends_forget(&self, before: Micros, count: u32) -> BoxFuture<'_, Result<u64>> {
        self.write(move |state| Ok(state.resends_forget(before, count)))
    }
}

/// Why a stream may not count any more, be the session another's or nobody's.
fn no_owner(error: StoreError) -> StoreError {
    match error {
        StoreError::NoItem => StoreError::Conflict,
        other => other,
    }
}

/// Whether a record with the id `now` may be a resend of the one with the id `first`.
fn is_recent(first: u64, now: u64) -> bool {
    now.saturating_sub(first) <= RESEND_WINDOW.unsigned_abs()
}

fn is_before(id: u64, time: Micros) -> bool {
    i64::try_from(id).is_ok_and(|id| id < time)
}
