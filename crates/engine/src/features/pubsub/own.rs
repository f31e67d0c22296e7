//! What other features do with the nodes of an account, in the name of its user.

use super::{
    config::{Access, ITEMS_MAX, NodeConfig},
    relations::Relations,
    request::{NewItem, Publish, Request},
    service::Call,
};
use crate::{Engine, error};
use bytes::Bytes;
use waxwing_proto::{
    BareJid, Jid,
    stanza::{Condition, StanzaError},
};
use waxwing_store::{Item, ItemsFrom, ItemsOrder, ItemsRequest, Store, StoreError};

/// Who may read a node, as far as it can be said without knowing who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Readers {
    /// Everybody.
    All,
    /// Those who see the account's presence.
    Contacts,
    /// Whoever has been chosen.
    Chosen,
}

/// Publishes an item in the name of one of the account's own clients, on a node that is made as
/// its name says if there is none.
pub(crate) async fn publish(
    engine: &Engine,
    from: &Jid,
    node: &str,
    (id, payload): (String, Bytes),
) -> Result<(), StanzaError> {
    let request = Request::Publish(Publish {
        node: node.to_owned(),
        item: Some(NewItem {
            id: Some(id),
            payload: Some(payload),
        }),
        options: None,
    });
    carry_out(engine, from, &request).await
}

/// Removes an item in the name of one of the account's own clients, if it is there.
pub(crate) async fn retract(
    engine: &Engine,
    from: &Jid,
    node: &str,
    id: String,
) -> Result<(), StanzaError> {
    let request = Request::Retract {
        node: node.to_owned(),
        ids: vec![id],
        notify: true,
    };
    match carry_out(engine, from, &request).await {
        Err(error) if error.condition == Condition::ItemNotFound => Ok(()),
        done => done,
    }
}

async fn carry_out(engine: &Engine, from: &Jid, request: &Request) -> Result<(), StanzaError> {
    let owner = from.to_bare();
    let call = Call {
        engine,
        owner: &owner,
        from,
    };
    call.answer(request).await.map(drop)
}

/// Everything on a node, oldest first; nothing if there is no such node.
pub(crate) async fn items(
    engine: &Engine,
    owner: &BareJid,
    node: &str,
) -> Result<Vec<Item>, StanzaError> {
    let request = ItemsRequest {
        from: ItemsFrom::First,
        count: ITEMS_MAX,
        order: ItemsOrder::default(),
        since: None,
    };
    let store = engine.store();
    let page = store.items(owner.clone(), node.to_owned(), request).await;
    let page = page.map_err(|failure| error::from_store(engine, &failure))?;
    Ok(page.items)
}

/// The newest item of a node, and who may read it.
pub(crate) async fn newest(
    store: &dyn Store,
    owner: &BareJid,
    node: &str,
) -> Result<Option<(Item, Readers)>, StoreError> {
    let wanted = vec![(owner.clone(), vec![node.to_owned()])];
    let head = store.node_heads(wanted).await?.into_iter().next();
    Ok(head.and_then(|head| {
        let readers = match NodeConfig::decode(&head.node.config)?.settled(node).access {
            Access::Open => Readers::All,
            Access::Presence => Readers::Contacts,
            Access::Authorize | Access::Roster | Access::Whitelist => Readers::Chosen,
        };
        Some((head.item?, readers))
    }))
}

/// Whether somebody may read a node, which exists.
pub(crate) async fn may_read(
    engine: &Engine,
    owner: &BareJid,
    node: &str,
    who: &Jid,
) -> Result<bool, StanzaError> {
    let call = Call {
        engine,
        owner,
        from: who,
    };
    let Some(known) = call.known(node).await? else {
        return Ok(false);
    };
    let relations = Relations::read(engine, owner, Some(&known)).await?;
    Ok(relations.may_read(&who.to_bare(), &known))
}
