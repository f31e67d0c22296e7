//! The nodes of an account or a service as they are read, and who may have how many.

use super::{
    errors::Refusal,
    node::{Known, is_service},
    relations::Relations,
    reply,
    request::Request,
    service::Call,
};
use crate::{Creators, error};
use waxwing_proto::stanza::{Condition, StanzaError};
use waxwing_store::{Affiliation, Item, Node, NodeQuota, StoreError};

/// Affiliations of one node, and as many subscriptions.
const PEOPLE_MAX: u32 = 10_000;

impl Call<'_> {
    /// § 5.6
    pub(super) async fn subscriptions(
        &self,
        node: Option<&str>,
    ) -> Result<Option<bytes::Bytes>, StanzaError> {
        let nodes = self.nodes(node).await?;
        Ok(Some(reply::subscriptions(&nodes, self.from, node)))
    }

    /// § 5.7
    pub(super) async fn affiliations(
        &self,
        node: Option<&str>,
    ) -> Result<Option<bytes::Bytes>, StanzaError> {
        let nodes = self.nodes(node).await?;
        let own = self.from.bare_str() == self.owner.as_str();
        Ok(Some(reply::affiliations(&nodes, self.from, own, node)))
    }

    /// One node or all, for a list of the asker's own relations; strangers without any learn as
    /// much as from an account that does not exist.
    async fn nodes(&self, node: Option<&str>) -> Result<Vec<Known>, StanzaError> {
        let nodes = match node {
            Some(name) => match self.known(name).await? {
                Some(known) => vec![known],
                None => return Err(self.hide(Refusal::NotFound, None).await),
            },
            None if is_service(self.owner) => self.own().await?,
            None => self.all().await?,
        };
        if is_service(self.owner) {
            return Ok(nodes);
        }
        let relations = Relations::read(self.engine, self.owner, None).await?;
        let who = self.from.to_bare();
        let related =
            |known: &Known| known.affiliation(&who).is_some() || known.pending(&who).is_some();
        if !relations.sees_owner(&who) && !nodes.iter().any(related) {
            return Err(Condition::ItemNotFound.into());
        }
        Ok(nodes)
    }

    /// The nodes that the asker has something to do with; with nobody else's relations.
    pub(super) async fn own(&self) -> Result<Vec<Known>, StanzaError> {
        let store = self.engine.store();
        let nodes = store
            .nodes_with(self.owner.clone(), self.from.to_bare())
            .await;
        let nodes = nodes.map_err(|failure| error::from_store(self.engine, &failure))?;
        nodes
            .into_iter()
            .map(|node| self.understood(node))
            .collect()
    }

    /// Whether the asker may make nodes. At a service nobody owns more than an account may have, as
    /// far as requests at the same moment do not know of each other.
    pub(super) async fn creates(
        &self,
        request: &Request,
        is_new: bool,
    ) -> Result<bool, StanzaError> {
        if !is_service(self.owner) {
            return Ok(self.from.bare_str() == self.owner.as_str());
        }
        if !matches!(request, Request::Create { .. } | Request::Publish(_)) {
            return Ok(false);
        }
        let settings = self.engine.settings();
        let may = match settings.pubsub.creators {
            Creators::Anyone => true,
            Creators::Accounts => {
                self.from.local().is_some() && self.engine.is_local(self.from.domain())
            }
            Creators::Nobody => false,
        };
        if may && is_new {
            let own = self.own().await?;
            let who = self.from.to_bare();
            let owned = own
                .iter()
                .filter(|known| known.affiliation(&who) == Some(Affiliation::Owner));
            let nodes_max = usize::try_from(settings.limits.pubsub_nodes_max).unwrap_or(usize::MAX);
            if owned.count() >= nodes_max {
                self.engine.metrics().pubsub_nodes_refused.inc();
                return Err(StanzaError::new(Condition::ResourceConstraint)
                    .text("You own as many nodes as you may."));
            }
        }
        Ok(may)
    }

    /// All nodes of the account or service.
    pub(super) async fn all(&self) -> Result<Vec<Known>, StanzaError> {
        let nodes = self.engine.store().nodes(self.owner.clone()).await;
        let nodes = nodes.map_err(|failure| error::from_store(self.engine, &failure))?;
        nodes
            .into_iter()
            .map(|node| self.understood(node))
            .collect()
    }

    /// One node of the account.
    pub(super) async fn known(&self, name: &str) -> Result<Option<Known>, StanzaError> {
        let node = self
            .engine
            .store()
            .node(self.owner.clone(), name.to_owned());
        let node = node.await;
        let node = node.map_err(|failure| error::from_store(self.engine, &failure))?;
        node.map(|node| self.understood(node)).transpose()
    }

    fn understood(&self, node: Node) -> Result<Known, StanzaError> {
        Known::new(node, self.engine.env().now()).ok_or_else(|| {
            let damaged = StoreError::Backend("the options of a node are damaged".into());
            error::from_store(self.engine, &damaged)
        })
    }

    /// Items of one node, those that there are.
    pub(super) async fn by_id(&self, node: &str, ids: &[String]) -> Result<Vec<Item>, StanzaError> {
        let store = self.engine.store();
        let items = store.items_by_id(self.owner.clone(), node.to_owned(), ids.to_vec());
        let items = items.await;
        items.map_err(|failure| error::from_store(self.engine, &failure))
    }

    /// What the account or service may keep.
    pub(super) fn quota(&self) -> NodeQuota {
        let settings = self.engine.settings();
        let limits = &settings.limits;
        if is_service(self.owner) {
            return NodeQuota {
                nodes_max: settings.pubsub.nodes_max,
                bytes_max: settings.pubsub.bytes_max,
                people_max: PEOPLE_MAX,
            };
        }
        NodeQuota {
            nodes_max: limits.pubsub_nodes_max,
            bytes_max: limits.pubsub_bytes_max,
            people_max: PEOPLE_MAX,
        }
    }
}
