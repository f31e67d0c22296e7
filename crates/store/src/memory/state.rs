//! What is kept and what each operation does to it, without any waiting.

use super::{
    access::AccessState, archive::ArchiveState, pubsub::Nodes, rooms::Destroyed,
    sessions::SessionState, uploads::UploadState,
};
use crate::{
    Account, Credentials, Micros, OfflineMessage, Outcome, ROSTER_REMOVALS_MAX,
    ROSTER_REQUEST_BYTES_MAX, ROSTER_REQUESTS_MAX, Record, Result, Roster, RosterChange,
    RosterItem, StoreError, credentials::coarse, quota,
};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use waxwing_proto::{
    BareJid, Jid,
    sasl::{Hash, Verifier},
};

/// The whole store.
#[derive(Default)]
pub(super) struct State {
    pub(super) accounts: BTreeMap<BareJid, Entry>,
    /// By owner: accounts and services.
    pub(super) pubsub: BTreeMap<BareJid, Nodes>,
    pub(super) outgoing: BTreeMap<crate::Route, super::outgoing::Queue>,
    pub(super) rooms_destroyed: BTreeMap<BareJid, Destroyed>,
    pub(super) uploads: UploadState,
    secrets: BTreeMap<&'static str, [u8; 32]>,
    pub(super) id_last: u64,
}

/// Everything kept for one account, so that its removal removes everything.
pub(super) struct Entry {
    account: Account,
    last: Option<(Micros, String)>,
    roster: Contacts,
    pub(super) offline: BTreeMap<u64, OfflineMessage>,
    blocked: BTreeSet<Jid>,
    documents: BTreeMap<String, Bytes>,
    pub(super) archive: ArchiveState,
    pub(super) sessions: BTreeMap<String, SessionState>,
    pub(super) access: AccessState,
    /// What it is, if it is a room, to which nobody can log in.
    pub(super) room: Option<(crate::Room, crate::RoomOptions)>,
}

/// A roster with the version of each item, and what was removed from it.
#[derive(Default)]
struct Contacts {
    version: u64,
    /// The newest removal that is no longer remembered.
    forgotten: u64,
    items: BTreeMap<BareJid, (u64, RosterItem)>,
    removals: BTreeMap<BareJid, u64>,
}

impl State {
    pub(super) fn entry(&mut self, account: &BareJid) -> Result<&mut Entry> {
        self.accounts.get_mut(account).ok_or(StoreError::NoAccount)
    }

    pub(super) fn account_create(
        &mut self,
        account: BareJid,
        credentials: Credentials,
        now: Micros,
    ) -> Result<()> {
        if self.accounts.contains_key(&account) {
            return Err(StoreError::Exists);
        }
        let entry = Entry {
            account: Account {
                credentials,
                created: now,
            },
            last: None,
            roster: Contacts::default(),
            offline: BTreeMap::new(),
            blocked: BTreeSet::new(),
            documents: BTreeMap::new(),
            archive: ArchiveState::default(),
            sessions: BTreeMap::new(),
            access: AccessState::default(),
            room: None,
        };
        self.accounts.insert(account, entry);
        Ok(())
    }

    pub(super) fn account(&self, account: &BareJid) -> Option<Account> {
        self.accounts
            .get(account)
            .filter(|entry| entry.room.is_none())
            .map(|entry| entry.account.clone())
    }

    pub(super) fn account_set_credentials(
        &mut self,
        account: &BareJid,
        credentials: Credentials,
    ) -> Result<()> {
        let entry = self.entry(account)?;
        entry.account.credentials = credentials;
        entry.access.revoke(None);
        Ok(())
    }

    pub(super) fn account_add_verifier(
        &mut self,
        account: &BareJid,
        hash: Hash,
        verifier: Verifier,
    ) -> Result<bool> {
        let place = self.entry(account)?.account.credentials.get_mut(hash);
        let is_missing = place.is_none();
        place.get_or_insert(verifier);
        Ok(is_missing)
    }

    pub(super) fn account_delete(&mut self, account: &BareJid) -> bool {
        self.pubsub.remove(account);
        self.uploads.remove_account(account);
        self.accounts.remove(account).is_some()
    }

    pub(super) fn accounts(
        &self,
        domain: &str,
        after: Option<&BareJid>,
        count: u32,
    ) -> Vec<BareJid> {
        self.accounts
            .iter()
            .filter(|(_, entry)| entry.room.is_none())
            .map(|(account, _)| account)
            .filter(|account| {
                account.domain() == domain && after.is_none_or(|after| *account > after)
            })
            .take(size(count))
            .cloned()
            .collect()
    }

    pub(super) fn last_set(&mut self, account: &BareJid, at: Micros, status: String) -> Result<()> {
        self.entry(account)?.last = Some((coarse(at), status));
        Ok(())
    }

    pub(super) fn last(&self, account: &BareJid) -> Option<(Micros, String)> {
        self.accounts
            .get(account)
            .and_then(|entry| entry.last.clone())
    }

    pub(super) fn secret(&mut self, name: &'static str, candidate: [u8; 32]) -> [u8; 32] {
        *self.secrets.entry(name).or_insert(candidate)
    }

    pub(super) fn roster(&self, account: &BareJid) -> Roster {
        self.accounts
            .get(account)
            .map_or_else(Roster::default, |entry| Roster {
                version: entry.roster.version,
                items: entry
                    .roster
                    .items
                    .values()
                    .map(|(_, item)| item.clone())
                    .collect(),
            })
    }

    pub(super) fn roster_changes(
        &self,
        account: &BareJid,
        since: u64,
    ) -> Option<Vec<RosterChange>> {
        let Some(entry) = self.accounts.get(account) else {
            return (since == 0).then(Vec::new);
        };
        entry.roster.changes(since)
    }

    pub(super) fn roster_put(
        &mut self,
        account: &BareJid,
        expected: u64,
        item: RosterItem,
        items_max: u32,
    ) -> Result<u64> {
        self.entry(account)?.roster.put(expected, item, items_max)
    }

    pub(super) fn roster_remove(
        &mut self,
        account: &BareJid,
        expected: u64,
        contact: &BareJid,
    ) -> Result<u64> {
        self.entry(account)?.roster.remove(expected, contact)
    }

    /// The id that a record of this time gets if it is kept.
    pub(super) fn next_id(&self, at: Micros) -> u64 {
        (self.id_last + 1).max(u64::try_from(at).unwrap_or(0))
    }

    pub(super) fn record(&mut self, record: Record) -> Result<Outcome> {
        match record {
            Record::Message(message) => self.message(*message),
            Record::Wait(wait) => self.wait(*wait),
            Record::Session(change) => {
                self.session_update(&change.account, &change.key, change.update)?;
                Ok(Outcome::default())
            }
        }
    }

    pub(super) fn offline(&self, account: &BareJid, after: u64, count: u32) -> Vec<OfflineMessage> {
        let Some(entry) = self.accounts.get(account) else {
            return Vec::new();
        };
        let newer = entry.offline.values().filter(|message| message.id > after);
        let newer = newer.take(size(count)).cloned();
        newer
            .map(|message| OfflineMessage {
                archived: entry.archive.has(message.id),
                ..message
            })
            .collect()
    }

    pub(super) fn offline_remove(&mut self, account: &BareJid, ids: &[u64]) -> Result<()> {
        let offline = &mut self.entry(account)?.offline;
        for id in ids {
            offline.remove(id);
        }
        Ok(())
    }

    pub(super) fn offline_count(&self, account: &BareJid) -> u64 {
        self.accounts
            .get(account)
            .map_or(0, |entry| size64(entry.offline.len()))
    }

    pub(super) fn blocked(&self, account: &BareJid) -> Vec<Jid> {
        let entry = self.accounts.get(account);
        entry.map_or_else(Vec::new, |entry| entry.blocked.iter().cloned().collect())
    }

    pub(super) fn block(
        &mut self,
        account: &BareJid,
        jids: Vec<Jid>,
        items_max: u32,
    ) -> Result<()> {
        let entry = self.entry(account)?;
        let mut blocked = entry.blocked.clone();
        blocked.extend(jids);
        if blocked.len() > size(items_max) && blocked.len() > entry.blocked.len() {
            return Err(StoreError::Quota(quota::BLOCKED_ITEMS));
        }
        entry.blocked = blocked;
        Ok(())
    }

    pub(super) fn unblock(&mut self, account: &BareJid, jids: Option<Vec<Jid>>) -> Result<()> {
        let entry = self.entry(account)?;
        match jids {
            Some(jids) => entry.blocked.retain(|jid| !jids.contains(jid)),
            None => entry.blocked.clear(),
        }
        Ok(())
    }

    pub(super) fn document(&self, account: &BareJid, key: &str) -> Option<Bytes> {
        self.accounts.get(account)?.documents.get(key).cloned()
    }

    pub(super) fn document_set(
        &mut self,
        account: &BareJid,
        key: String,
        xml: Option<Bytes>,
        bytes_max: u64,
    ) -> Result<()> {
        let documents = &mut self.entry(account)?.documents;
        let Some(xml) = xml else {
            documents.remove(&key);
            return Ok(());
        };
        let others = documents.iter().filter(|(other, _)| **other != key);
        let held: usize = others.map(|(key, xml)| key.len() + xml.len()).sum();
        if size64(held + key.len() + xml.len()) > bytes_max {
            return Err(StoreError::Quota(quota::DOCUMENTS_BYTES));
        }
        documents.insert(key, xml);
        Ok(())
    }
}

impl Entry {
    /// Whether one more message of so many bytes may wait.
    pub(super) fn admit(&self, bytes: usize, messages_max: u32, bytes_max: u64) -> Result<()> {
        if size64(self.offline.len()) >= u64::from(messages_max) {
            return Err(StoreError::Quota(quota::OFFLINE_MESSAGES));
        }
        let waiting = self.offline.values();
        let held: u64 = waiting.map(|message| size64(message.stanza.len())).sum();
        if held + size64(bytes) > bytes_max {
            return Err(StoreError::Quota(quota::OFFLINE_BYTES));
        }
        Ok(())
    }
}

impl Contacts {
    fn changes(&self, since: u64) -> Option<Vec<RosterChange>> {
        if since > self.version || since < self.forgotten {
            return None;
        }
        let listed = self.items.iter().filter(|(_, (_, item))| item.listed);
        let mut changes: Vec<_> = listed
            .map(|(jid, (version, item))| RosterChange {
                version: *version,
                jid: jid.clone(),
                item: Some(item.clone()),
            })
            .chain(self.removals.iter().map(|(jid, version)| RosterChange {
                version: *version,
                jid: jid.clone(),
                item: None,
            }))
            .filter(|change| change.version > since)
            .collect();
        changes.sort_by_key(|change| change.version);
        Some(changes)
    }

    fn put(&mut self, expected: u64, item: RosterItem, items_max: u32) -> Result<u64> {
        if self.version != expected {
            return Err(StoreError::Conflict);
        }
        if item
            .request
            .as_ref()
            .is_some_and(|request| request.len() > ROSTER_REQUEST_BYTES_MAX)
        {
            return Err(StoreError::Quota(quota::ROSTER_REQUEST_BYTES));
        }
        let was_listed = self.items.get(&item.jid).map(|(_, before)| before.listed);
        if was_listed != Some(item.listed) {
            let (limit, name) = if item.listed {
                (items_max, quota::ROSTER_ITEMS)
            } else {
                (ROSTER_REQUESTS_MAX, quota::ROSTER_REQUESTS)
            };
            let alike = self
                .items
                .values()
                .filter(|(_, other)| other.listed == item.listed)
                .count();
            if alike >= size(limit) {
                return Err(StoreError::Quota(name));
            }
        }
        self.version += 1;
        if item.listed {
            self.removals.remove(&item.jid);
        } else if was_listed == Some(true) {
            self.removed(item.jid.clone());
        }
        self.items.insert(item.jid.clone(), (self.version, item));
        Ok(self.version)
    }

    fn remove(&mut self, expected: u64, contact: &BareJid) -> Result<u64> {
        if self.version != expected {
            return Err(StoreError::Conflict);
        }
        let Some((_, item)) = self.items.remove(contact) else {
            return Ok(self.version);
        };
        self.version += 1;
        if item.listed {
            self.removed(item.jid);
        }
        Ok(self.version)
    }

    /// Remembers that `contact` went out of the visible roster with the present version.
    fn removed(&mut self, contact: BareJid) {
        self.removals.insert(contact, self.version);
        if self.removals.len() > size(ROSTER_REMOVALS_MAX) {
            let oldest = self.removals.iter().min_by_key(|(_, version)| **version);
            if let Some((jid, version)) = oldest.map(|(jid, version)| (jid.clone(), *version)) {
                self.forgotten = version;
                self.removals.remove(&jid);
            }
        }
    }
}

pub(super) fn size(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

pub(super) fn size64(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
