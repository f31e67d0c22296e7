//! The archive of a node ([XEP-0442](https://xmpp.org/extensions/xep-0442.html), 0.2.0): queries of
//! XEP-0313 that name one.
//!
//! The archive is what is on the node: as much as its options say, and nothing that was taken back.
//! Each item is an entry, in the order of publication, shown as subscribers were told of it; an item
//! that is published again is a new entry in the place of the old one. The form's `with` is who
//! published. Whoever may read the items may query.

use super::{errors::Refusal, event::Source, node::Known, relations::Relations, service::Call};
use crate::{
    error,
    feature::{IqCx, Reply},
    features::mam::{self, Query},
};
use waxwing_proto::stanza::{Condition, StanzaError};
use waxwing_store::{ArchivePage, Archived, ArchivedItem, BoxFuture};

/// § 2: a page of the archive.
pub(in crate::features) fn archive(cx: IqCx<'_>) -> BoxFuture<'_, Result<Reply, StanzaError>> {
    Box::pin(async move {
        let engine = cx.engine;
        let known = readable(&cx).await?;
        let query = Query::read(cx.payload, cx.to, engine.stanza_ids(), false)?;
        let page = engine.store().node_archive(
            cx.to.clone(),
            known.node.key.name.clone(),
            known.config.since(engine.env().now()),
            query.filter,
            query.request,
        );
        let page = page.await;
        let page = page.map_err(|failure| error::from_store(engine, &failure))?;
        let entries = page.entries.into_iter();
        let page = ArchivePage {
            entries: entries.map(|entry| told(&cx, &known, entry)).collect(),
            complete: page.complete,
            count: page.count,
            index: page.index,
        };
        Ok(mam::send(cx, query.id.as_deref(), &page))
    })
}

/// XEP-0313 § 4.1.5: the fields of queries.
pub(in crate::features) fn archive_form(cx: IqCx<'_>) -> BoxFuture<'_, Result<Reply, StanzaError>> {
    Box::pin(async move {
        let known = readable(&cx).await?;
        Ok(mam::described(Some(&known.node.key.name), false))
    })
}

/// The node that is asked for, if its items are the asker's to read.
async fn readable(cx: &IqCx<'_>) -> Result<Known, StanzaError> {
    let call = Call {
        engine: cx.engine,
        owner: cx.to,
        from: cx.from,
    };
    let Some(name) = cx.payload.attr("node") else {
        // A service has nodes and no archive of its own.
        return Err(Condition::ItemNotFound.into());
    };
    let Some(known) = call.known(&name).await? else {
        return Err(call.hide(Refusal::NotFound, None).await);
    };
    let relations = Relations::read(cx.engine, cx.to, Some(&known)).await?;
    let asker = relations.asker(&cx.from.to_bare(), Some(&known));
    match known.gives_items(asker) {
        Ok(()) => Ok(known),
        Err(refusal) => Err(call.hide(refusal, Some(&known)).await),
    }
}

/// § 3: an entry as the notification that it was.
fn told(cx: &IqCx<'_>, known: &Known, entry: ArchivedItem) -> Archived {
    let ArchivedItem { id, item } = entry;
    let shown = cx.engine.stanza_ids().show(cx.to, id);
    let source = Source {
        owner: cx.to,
        known,
        id: shown.as_str(),
    };
    let stanza = source.item(Some((&item.id, &item.payload)), &item.publisher.to_bare());
    Archived {
        id,
        with: item.publisher,
        outgoing: false,
        flags: 0,
        retracted: false,
        stanza: stanza.to_bytes(),
    }
}
