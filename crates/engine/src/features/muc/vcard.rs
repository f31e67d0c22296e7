//! A room's vCard, which is its picture as a rule ([XEP-0054](https://xmpp.org/extensions/xep-0054.html);
//! XEP-0486 § 3): owners set it, and whoever finds the room may see it.

use super::{
    errors::Refusal,
    requests,
    rights::Action,
    room::{Event, Room},
    table::Rooms,
};
use crate::{
    error,
    feature::{IqCx, Reply},
};
use waxwing_proto::{
    ns,
    stanza::{Condition, StanzaError},
};
use waxwing_store::BoxFuture;

/// Where the store keeps it.
const KEY: &str = "vcard";

pub(super) fn get(cx: IqCx<'_>) -> BoxFuture<'_, Result<Reply, StanzaError>> {
    Box::pin(async move {
        let room = Rooms::hold(cx.engine, cx.to).await?;
        if !room.ask(Room::exists) {
            return Err(Refusal::NotFound.into());
        }
        let store = cx.engine.store();
        let kept = store.document(cx.to.clone(), KEY.to_owned()).await;
        let kept = kept.map_err(|failure| error::from_store(cx.engine, &failure))?;
        kept.map(Reply::Payload)
            .ok_or_else(|| Condition::ItemNotFound.into())
    })
}

pub(super) fn set(cx: IqCx<'_>) -> BoxFuture<'_, Result<Reply, StanzaError>> {
    Box::pin(async move {
        let room = Rooms::hold(cx.engine, cx.to).await?;
        let _turn = room.turn().await;
        room.ask(|room| {
            room.known_to(cx.from)?;
            room.demand(Action::Configure, cx.from)
        })?;
        let vcard = cx.payload.standalone(ns::CLIENT);
        let bytes_max = cx.engine.settings().limits.documents_bytes_max;
        let store = cx.engine.store();
        let kept = store.document_set(cx.to.clone(), KEY.to_owned(), Some(vcard), bytes_max);
        kept.await
            .map_err(|failure| error::from_store(cx.engine, &failure))?;
        // XEP-0486 § 3.2: who is here asks for it again.
        requests::apply(&cx, &room, Event::Redecorated)
    })
}
