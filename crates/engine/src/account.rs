//! Accounts: what guards and presence must know of one, and its making and ending.

use crate::{
    Engine, error,
    features::{
        avatar::{self, Avatar},
        mam,
    },
};
use std::sync::Arc;
use waxwing_proto::{
    BareJid, Jid,
    stanza::StanzaError,
    stream::{StreamCondition, StreamError},
};
use waxwing_store::{ArchivePreferences, Credentials, Push, RosterItem, StoreError, Subscription};

/// A snapshot of an account's roster states and block list. Shared; replaced on change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct View {
    /// Whether the account exists.
    pub exists: bool,
    /// The roster's version.
    pub roster_version: u64,
    /// When the account was made.
    pub created: waxwing_store::Micros,
    contacts: Box<[Contact]>,
    blocked: Box<[Jid]>,
    /// What the account wants archived, if it has said so.
    pub archive: Option<ArchivePreferences>,
    /// Where its clients want to be woken (XEP-0357).
    pub pushes: Box<[Push]>,
    /// Its picture, if it shows one.
    pub avatar: Option<Avatar>,
}

/// What presence needs to know of one contact.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a state of RFC 6121 appendix A by itself"
)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// The contact.
    pub jid: BareJid,
    /// Subscription state.
    pub subscription: Subscription,
    /// The user has asked to subscribe and has no answer.
    pub ask: bool,
    /// The user has approved in advance.
    pub approved: bool,
    /// The contact has asked to subscribe and has no answer.
    pub request: bool,
    /// Whether clients see the item.
    pub listed: bool,
}

impl Contact {
    /// The contact may see the user's presence.
    pub fn sees_user(&self) -> bool {
        matches!(self.subscription, Subscription::From | Subscription::Both)
    }
    /// The user may see the contact's presence.
    pub fn seen_by_user(&self) -> bool {
        matches!(self.subscription, Subscription::To | Subscription::Both)
    }
}

impl From<&RosterItem> for Contact {
    fn from(item: &RosterItem) -> Self {
        Self {
            jid: item.jid.clone(),
            subscription: item.subscription,
            ask: item.ask,
            approved: item.approved,
            request: item.request.is_some(),
            listed: item.listed,
        }
    }
}

impl View {
    /// A snapshot of what was read.
    pub fn new(roster_version: u64, items: &[RosterItem], mut blocked: Vec<Jid>) -> Self {
        let mut contacts: Vec<Contact> = items.iter().map(Contact::from).collect();
        contacts.sort_unstable_by(|a, b| a.jid.cmp(&b.jid));
        blocked.sort_unstable();
        Self {
            exists: true,
            roster_version,
            created: 0,
            contacts: contacts.into(),
            blocked: blocked.into(),
            archive: None,
            pushes: Box::default(),
            avatar: None,
        }
    }
    /// All contacts, in address order.
    pub fn contacts(&self) -> &[Contact] {
        &self.contacts
    }
    /// One contact.
    pub fn contact(&self, jid: &BareJid) -> Option<&Contact> {
        let index = self
            .contacts
            .binary_search_by(|contact| contact.jid.cmp(jid))
            .ok()?;
        self.contacts.get(index)
    }
    /// Whether the block list names `jid`: itself, its bare JID, or
    /// its domain (XEP-0191 § 2, "JID matching").
    pub fn blocks(&self, jid: &Jid) -> bool {
        if self.blocked.is_empty() {
            return false;
        }
        let domain = jid.domain();
        self.blocked.iter().any(|entry| {
            entry.domain() == domain
                && match (entry.local(), entry.resource()) {
                    (None, None) => true,
                    (local, None) => local == jid.local(),
                    (local, resource) => local == jid.local() && resource == jid.resource(),
                }
        })
    }
    /// Whether the account wants messages with `contact` in its archive.
    pub fn archives(&self, contact: &Jid) -> bool {
        let in_roster = |jid: &BareJid| self.contact(jid).is_some_and(|contact| contact.listed);
        mam::rules::wanted(self.archive.as_ref(), contact, in_roster)
    }
    /// The blocked addresses, in order.
    pub fn blocked(&self) -> &[Jid] {
        &self.blocked
    }
}

/// Whether an entry of a block list names `jid` (XEP-0191 § 2).
pub(crate) fn names(entry: &Jid, jid: &Jid) -> bool {
    entry.domain() == jid.domain()
        && (entry.local().is_none() || entry.local() == jid.local())
        && (entry.resource().is_none() || entry.resource() == jid.resource())
}

impl Engine {
    /// The snapshot of a local account; one with `exists == false` where there is no account.
    pub async fn view(&self, account: &BareJid) -> Result<Arc<View>, StanzaError> {
        loop {
            let epoch = match self.registry().view(account) {
                Ok(view) => return Ok(view),
                Err(epoch) => epoch,
            };
            let view = Arc::new(
                self.read_view(account)
                    .await
                    .map_err(|e| error::from_store(self, &e))?,
            );
            if self.registry().put_view(account, &view, epoch) {
                return Ok(view);
            }
        }
    }

    async fn read_view(&self, account: &BareJid) -> Result<View, StoreError> {
        let Some(kept) = self.store().account(account.clone()).await? else {
            return Ok(View::default());
        };
        let roster = self.store().roster(account.clone()).await?;
        let blocked = self.store().blocked(account.clone()).await?;
        let archive = self.store().archive_preferences(account.clone()).await?;
        let pushes = self.store().pushes(account.clone()).await?;
        let avatar = avatar::of(self.store(), account).await?;
        Ok(View {
            avatar,
            created: kept.created,
            archive,
            pushes: pushes.into(),
            ..View::new(roster.version, &roster.items, blocked)
        })
    }

    /// Makes an account.
    pub async fn account_create(
        &self,
        account: &BareJid,
        credentials: Credentials,
    ) -> Result<(), StoreError> {
        self.store()
            .account_create(account.clone(), credentials, self.env().now())
            .await?;
        self.registry().changed(account);
        Ok(())
    }

    /// Replaces the account's verifiers. Other sessions than `keep` (a generation) are ended, so
    /// that whoever knew only the old password is out.
    pub async fn password_set(
        &self,
        account: &BareJid,
        credentials: Credentials,
        keep: Option<u64>,
    ) -> Result<(), StoreError> {
        {
            let _revoking = self.revocations().begin();
            let store = self.store();
            store
                .account_set_credentials(account.clone(), credentials)
                .await?;
        }
        self.end_sessions(account, StreamCondition::Reset, keep)
            .await;
        Ok(())
    }

    /// Ends the account's sessions, tells its contacts that it has gone, and removes everything
    /// kept for it. False if there was no such account.
    pub async fn account_remove(&self, account: &BareJid) -> Result<bool, StanzaError> {
        let view = self.view(account).await?;
        if !view.exists {
            return Ok(false);
        }
        crate::presence::account_gone(self, account, &view).await;
        let removed = {
            let _revoking = self.revocations().begin();
            let deleted = self.store().account_delete(account.clone()).await;
            deleted.map_err(|e| error::from_store(self, &e))?
        };
        self.registry().changed(account);
        self.end_sessions(account, StreamCondition::NotAuthorized, None)
            .await;
        Ok(removed)
    }

    /// Ends every session of an account but `keep`.
    pub async fn end_sessions(
        &self,
        account: &BareJid,
        condition: StreamCondition,
        keep: Option<u64>,
    ) {
        for resource in self.registry().resources(account) {
            if Some(resource.generation) != keep {
                resource.end(self, StreamError::new(condition)).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::View;
    use waxwing_proto::Jid;

    #[test]
    fn block_list_matches_as_the_xep_says() {
        let jid = |text: &str| Jid::parse(text).unwrap();
        let view = View::new(
            0,
            &[],
            vec![
                jid("bad@example.org"),
                jid("evil.example"),
                jid("a@b.example/phone"),
                jid("c.example/res"),
            ],
        );
        for (text, blocked) in [
            ("bad@example.org", true),
            ("bad@example.org/any", true),
            ("good@example.org", false),
            ("example.org", false),
            ("evil.example", true),
            ("anyone@evil.example/x", true),
            ("a@b.example/phone", true),
            ("a@b.example/tablet", false),
            ("a@b.example", false),
            ("c.example/res", true),
            ("x@c.example/res", false),
        ] {
            assert_eq!(view.blocks(&jid(text)), blocked, "{text}");
        }
    }
}
