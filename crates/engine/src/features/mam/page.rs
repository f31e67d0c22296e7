//! The answer to a query: the messages of a page, then its ends.

use super::query::Query;
use crate::{
    Engine, error,
    feature::{IqCx, Reply},
    features::{pubsub, stanza_id::StanzaIds},
};
use bytes::Bytes;
use waxwing_proto::{
    BareJid, Jid, ns, rsm,
    stanza::{Condition, StanzaError},
    time,
    xml::Writer,
};
use waxwing_store::{ArchivePage, Archived, BoxFuture, Micros};

/// A query to an account: for its messages, or for what is on a node (XEP-0442 § 2).
pub(super) fn of_account(cx: IqCx<'_>) -> BoxFuture<'_, Result<Reply, StanzaError>> {
    if cx.payload.attr("node").is_some() {
        pubsub::archive(cx)
    } else {
        answer(cx)
    }
}

/// § 4: sends what is asked for of an archive of messages.
pub(in crate::features) fn answer(cx: IqCx<'_>) -> BoxFuture<'_, Result<Reply, StanzaError>> {
    Box::pin(async move {
        let engine = cx.engine;
        if cx.payload.attr("node").is_some() {
            return Err(Condition::ItemNotFound.into());
        }
        let searches = engine.settings().archive.search;
        let query = Query::read(cx.payload, cx.to, engine.stanza_ids(), searches)?;
        let page = engine
            .store()
            .archive_page(cx.to.clone(), query.filter, query.request)
            .await
            .map_err(|failure| error::from_store(engine, &failure))?;
        Ok(send(cx, query.id.as_deref(), &page))
    })
}

/// § 4.2, § 4.3: sends a page, and gives the result that comes after it.
pub(in crate::features) fn send(mut cx: IqCx<'_>, id: Option<&str>, page: &ArchivePage) -> Reply {
    let engine = cx.engine;
    engine.metrics().archive_queries.inc();
    let sent = u64::try_from(page.entries.len()).unwrap_or(u64::MAX);
    engine.metrics().archive_entries_sent.add(sent);
    let shown = Shown {
        ids: engine.stanza_ids(),
        account: cx.to,
    };
    cx.before_reply(shown.results(&page.entries, id, cx.from));
    Reply::Payload(shown.fin(page))
}

/// § 5: the first and the last message of the archive.
pub(in crate::features) fn metadata(cx: IqCx<'_>) -> BoxFuture<'_, Result<Reply, StanzaError>> {
    Box::pin(async move { Ok(Reply::Payload(state(cx.engine, cx.to).await?)) })
}

/// § 5: `<metadata/>`, also for a client that has just got a resource (XEP-0386 § 3.2).
pub(crate) async fn state(engine: &Engine, account: &BareJid) -> Result<Bytes, StanzaError> {
    let ends = engine.store().archive_ends(account.clone()).await;
    let ends = ends.map_err(|failure| error::from_store(engine, &failure))?;
    let mut xml = Writer::new(ns::CLIENT);
    xml.start_ns("metadata", ns::MAM);
    if let Some((first, last)) = ends {
        for (name, id) in [("start", first), ("end", last)] {
            xml.start(name)
                .attr("id", engine.stanza_ids().show(account, id).as_str())
                .attr("timestamp", &stamp(id))
                .end();
        }
    }
    xml.end();
    Ok(xml.finish())
}

/// How entries of one archive are shown.
struct Shown<'a> {
    ids: &'a StanzaIds,
    account: &'a BareJid,
}

/// What stands around a message, about.
const WRAPPER_BYTES: usize = 512;
/// How a message begins in the store (`Draft::seal`).
const START: &[u8] = b"<message";
/// The same among elements of another namespace.
const START_FORWARDED: &[u8] = b"<message xmlns='jabber:client'";

impl Shown<'_> {
    /// § 4.2: a message to `to` for each entry. They share one buffer.
    fn results(&self, entries: &[Archived], query: Option<&str>, to: &Jid) -> Vec<Bytes> {
        let bytes = entries
            .iter()
            .map(|entry| entry.stanza.len() + WRAPPER_BYTES)
            .sum();
        let mut xml = Writer::with_capacity(ns::CLIENT, bytes);
        let mut ends = Vec::with_capacity(entries.len());
        for entry in entries {
            self.result(&mut xml, entry, query, to);
            ends.push(xml.len());
        }
        let whole = xml.finish();
        let mut start = 0;
        ends.into_iter()
            .map(|end| whole.slice(std::mem::replace(&mut start, end)..end))
            .collect()
    }

    fn result(&self, xml: &mut Writer, entry: &Archived, query: Option<&str>, to: &Jid) {
        xml.start("message")
            .attr("to", to.as_str())
            .attr("from", self.account.as_str())
            .start_ns("result", ns::MAM)
            .attr("id", self.ids.show(self.account, entry.id).as_str())
            .attr_opt("queryid", query)
            .start_ns("forwarded", ns::FORWARD)
            .start_ns("delay", ns::DELAY)
            .attr("stamp", &stamp(entry.id))
            .end();
        if let Some(rest) = entry.stanza.strip_prefix(START) {
            xml.raw(START_FORWARDED).raw(rest);
        } else {
            // § 3.2 allows an entry whose message is not told.
            tracing::error!("an archive has something that is no message");
        }
        xml.end().end().end();
    }

    /// § 4.3.2
    fn fin(&self, page: &ArchivePage) -> Bytes {
        let id = |entry: &Archived| self.ids.show(self.account, entry.id);
        // The ends are those of the page, not of the order in which it was sent (§ 4.3.4).
        let oldest = page.entries.iter().min_by_key(|entry| entry.id).map(id);
        let newest = page.entries.iter().max_by_key(|entry| entry.id).map(id);
        let ends = oldest.as_ref().zip(newest.as_ref());
        let mut xml = Writer::new(ns::CLIENT);
        xml.start_ns("fin", ns::MAM);
        xml.attr_opt("complete", page.complete.then_some("true"));
        rsm::Response {
            ends: ends.map(|(oldest, newest)| (oldest.as_str(), newest.as_str())),
            index: page.index,
            count: page.count,
        }
        .write(&mut xml);
        xml.end();
        xml.finish()
    }
}

/// The time of an entry (XEP-0082).
fn stamp(id: u64) -> String {
    time::format_datetime(Micros::try_from(id).unwrap_or(Micros::MAX))
}
