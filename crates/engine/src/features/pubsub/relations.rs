//! What those who ask have to do with those whose nodes they ask for, by presence and roster.

use super::{
    config::Access,
    node::{Known, is_service},
    rights::{Action, Asker, judge},
};
use crate::{
    Engine,
    account::{Contact, View},
    error,
};
use hashbrown::HashMap;
use std::sync::Arc;
use waxwing_proto::{BareJid, stanza::StanzaError};
use waxwing_store::{Affiliation, RosterItem};

/// Owners of one node at a service whose presence and rosters count.
const OWNERS_MAX: usize = 16;

/// What rosters and presence subscriptions say about those who ask.
#[derive(Debug)]
pub(super) struct Relations {
    owner: BareJid,
    view: Arc<View>,
    /// Whose presence and groups a node is for: the account's, or at a service those of the node's
    /// owners that are accounts here.
    people: Vec<Person>,
}

#[derive(Debug)]
struct Person {
    jid: BareJid,
    view: Arc<View>,
    /// Groups of the contacts; read only where a node is for groups.
    groups: HashMap<BareJid, Vec<String>>,
}

impl Relations {
    /// Reads what is needed to judge about a node, or about an account without one.
    pub(super) async fn read(
        engine: &Engine,
        owner: &BareJid,
        known: Option<&Known>,
    ) -> Result<Self, StanzaError> {
        let access = known.map(|known| known.config.access);
        if !is_service(owner) {
            let person = Person::read(engine, owner, access).await?;
            return Ok(Self {
                owner: owner.clone(),
                view: person.view.clone(),
                people: vec![person],
            });
        }
        let mut people = Vec::new();
        if let Some(known) =
            known.filter(|_| matches!(access, Some(Access::Presence | Access::Roster)))
        {
            let affiliations = known.node.affiliations.iter();
            let owners = affiliations.filter(|(jid, one)| {
                *one == Affiliation::Owner && jid.local().is_some() && engine.is_local(jid.domain())
            });
            for (jid, _) in owners.take(OWNERS_MAX) {
                people.push(Person::read(engine, jid, access).await?);
            }
        }
        Ok(Self {
            owner: owner.clone(),
            view: Arc::default(),
            people,
        })
    }

    /// Whose nodes.
    pub(super) fn owner(&self) -> &BareJid {
        &self.owner
    }

    /// The account's contacts and block list; a service has none.
    pub(super) fn view(&self) -> &View {
        &self.view
    }

    /// What somebody is to the account or service and to a node.
    pub(super) fn asker(&self, jid: &BareJid, known: Option<&Known>) -> Asker {
        let affiliation = if *jid == self.owner {
            Some(Affiliation::Owner)
        } else {
            known.and_then(|known| known.affiliation(jid))
        };
        let in_group = self.people.iter().any(|person| {
            let groups = person.groups.get(jid);
            let allowed = known.map(|known| &known.config.groups);
            groups
                .zip(allowed)
                .is_some_and(|(groups, allowed)| allowed.iter().any(|group| groups.contains(group)))
        });
        Asker {
            affiliation,
            sees_owner: self.sees_owner(jid),
            in_group,
            pending: known.and_then(|known| known.pending(jid)),
        }
    }

    /// Whether somebody sees the presence of the account, or of one of a node's owners.
    pub(super) fn sees_owner(&self, jid: &BareJid) -> bool {
        self.people.iter().any(|person| {
            *jid == person.jid || person.view.contact(jid).is_some_and(Contact::sees_user)
        })
    }

    /// Whether somebody may read a node.
    pub(super) fn may_read(&self, jid: &BareJid, known: &Known) -> bool {
        let config = &known.config;
        let asker = self.asker(jid, Some(known));
        judge(Action::Retrieve, asker, config.access, config.publish).is_ok()
    }
}

impl Person {
    async fn read(
        engine: &Engine,
        jid: &BareJid,
        access: Option<Access>,
    ) -> Result<Self, StanzaError> {
        let mut groups = HashMap::new();
        if access == Some(Access::Roster) {
            let roster = engine.store().roster(jid.clone()).await;
            let roster = roster.map_err(|failure| error::from_store(engine, &failure))?;
            let contacts = roster.items.into_iter();
            groups.extend(contacts.map(|RosterItem { jid, groups, .. }| (jid, groups)));
        }
        Ok(Self {
            jid: jid.clone(),
            view: engine.view(jid).await?,
            groups,
        })
    }
}
