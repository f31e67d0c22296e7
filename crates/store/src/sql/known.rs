//! What the writer's connection remembers of the database, so that a message need not ask for it.
//!
//! It is forgotten when another process has written, and when something was undone.

use super::{SPAN_BITS, resends::Unmerged};
use std::collections::HashMap;
use waxwing_proto::BareJid;

/// Accounts whose numbers are remembered; with more, all are forgotten and learnt anew.
const ACCOUNTS_KNOWN_MAX: usize = 65_536;
/// Conversations whose newest span is remembered; likewise.
const SPANS_KNOWN_MAX: usize = 65_536;

/// What is known.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// Whether anything is to be remembered: readers would not hear of changes.
    writer: bool,
    accounts: HashMap<BareJid, i64>,
    /// The newest span in the archive of an account, by contact.
    spans: HashMap<i64, HashMap<Box<str>, i64>>,
    spans_count: usize,
    /// Resends that the index does not have yet.
    pub(super) resends: Unmerged,
}

impl Known {
    /// For the one connection that writes.
    pub(crate) fn of_writer() -> Self {
        Self {
            writer: true,
            ..Self::default()
        }
    }

    /// Another process has written: what may have changed is forgotten.
    pub(crate) fn changed_elsewhere(&mut self) {
        self.forget_accounts();
        self.resends.changed_elsewhere();
    }

    /// Something was undone: nothing is known any more.
    pub(crate) fn forget(&mut self) {
        *self = Self {
            writer: self.writer,
            ..Self::default()
        };
    }

    /// Accounts or entries of archives are removed.
    pub(super) fn forget_accounts(&mut self) {
        self.accounts.clear();
        self.spans.clear();
        self.spans_count = 0;
    }

    pub(super) fn account(&self, account: &BareJid) -> Option<i64> {
        self.accounts.get(account).copied()
    }

    pub(super) fn learn_account(&mut self, account: &BareJid, number: i64) {
        if !self.writer {
            return;
        }
        if self.accounts.len() >= ACCOUNTS_KNOWN_MAX {
            self.accounts.clear();
        }
        self.accounts.insert(account.clone(), number);
    }

    /// Whether an archive is known to have this id's span of a conversation.
    pub(super) fn has_span(&self, account: i64, contact: &str, id: i64) -> bool {
        let spans = self.spans.get(&account);
        spans.and_then(|spans| spans.get(contact)) == Some(&(id >> SPAN_BITS))
    }

    pub(super) fn learn_span(&mut self, account: i64, contact: &str, id: i64) {
        if !self.writer {
            return;
        }
        if self.spans_count >= SPANS_KNOWN_MAX {
            self.spans.clear();
            self.spans_count = 0;
        }
        let spans = self.spans.entry(account).or_default();
        if spans.insert(contact.into(), id >> SPAN_BITS).is_none() {
            self.spans_count += 1;
        }
    }
}
