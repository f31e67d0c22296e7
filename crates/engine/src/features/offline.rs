//! Messages for those who are away ([XEP-0160](https://xmpp.org/extensions/xep-0160.html), 1.0.1).
//!
//! A message that nobody takes is recorded before its sender's stream goes on. When a resource
//! becomes available with a priority of zero or more, its session reads the queue in order, each
//! message with the time it was received (XEP-0203); what is newer waits meanwhile.
//! Messages are forgotten only after a client has acknowledged them (XEP-0198), or, where it does
//! not, after they were written to the transport. Until then everybody who comes is given them: if
//! only the first were, and went without a word, the others would get them behind newer ones.

mod reader;

pub use reader::Reader;
pub(crate) use reader::Replayed;

use crate::{
    Engine,
    feature::{Coverage, Disco, Feature, Place, RecordCx, Xep},
    outbox::Delivery,
    output::Output,
    route::message::{self, Type},
    session::Session,
};
use bytes::Bytes;
use waxwing_proto::{
    BareJid, ns,
    stanza::{Draft, Stanza},
    time,
    xml::{Limits, Tree, Writer},
};
use waxwing_store::{Message, Micros, OfflineMessage, Record, StoreError, Ticket, Wait, Waiting};

/// The feature.
pub const FEATURE: Feature = Feature {
    name: "offline",
    xeps: &[
        Xep {
            number: 160,
            version: "1.0.1",
            title: "Best Practices for Handling Offline Messages",
            coverage: Coverage::Complete,
        },
        Xep {
            number: 203,
            version: "2.0",
            title: "Delayed Delivery",
            coverage: Coverage::Complete,
        },
        Xep {
            number: 334,
            version: "1.0.0",
            title: "Message Processing Hints",
            coverage: Coverage::Partial(
                "`no-store`, `no-permanent-store` and `no-copy`; `store` cannot make more be kept",
            ),
        },
    ],
    disco: &[Disco {
        place: Place::Domain,
        var: "msgoffline",
    }],
    record: Some(record),
    ..Feature::NONE
};

/// Messages read from the store at a time.
const PAGE: u32 = 50;

fn record(stanza: &Stanza, cx: &RecordCx<'_>, message: &mut Message) {
    if let Some((account, _)) = cx.recipient
        && cx.absent
        && worth_keeping(stanza)
    {
        message.waiting = Some(waiting(cx.engine, account));
    }
}

/// A place in an account's queue.
pub(crate) fn waiting(engine: &Engine, account: &BareJid) -> Waiting {
    let limits = &engine.settings().limits;
    Waiting {
        account: account.clone(),
        messages_max: limits.offline_messages_max,
        bytes_max: limits.offline_bytes_max,
    }
}

/// The record by which a message that nobody took joins the queue, if it is worth that: from the
/// archive where it is there.
pub(crate) fn record_of(
    engine: &Engine,
    account: &BareJid,
    message: &Stanza,
    archived: Option<u64>,
    sealed: impl FnOnce() -> Bytes,
) -> Option<Record> {
    if !worth_keeping(message) {
        return None;
    }
    let waiting = waiting(engine, account);
    Some(match archived {
        Some(id) => Record::Wait(Box::new(Wait { id, waiting })),
        None => Record::from(Message {
            waiting: Some(waiting),
            ..Message::new(engine.env().now(), sealed())
        }),
    })
}

/// XEP-0160 § 3: normal and chat messages are kept, except those that carry nothing but a chat
/// state, and those whose sender asks not to (XEP-0334 § 4.2, § 4.3).
pub(crate) fn worth_keeping(message: &Stanza) -> bool {
    if !matches!(Type::of_stanza(message), Type::Normal | Type::Chat) {
        return false;
    }
    let mut content = false;
    for child in message.root().children() {
        match (child.ns(), child.name()) {
            (ns::HINTS, "no-store" | "no-permanent-store") => return false,
            // Who says `thread` says nothing yet; chat states are about now.
            (ns::CHAT_STATES | ns::HINTS, _) | (ns::CLIENT, "thread") => {}
            _ => content = true,
        }
    }
    content
}

/// Forgets what has arrived and reads the next page.
pub(crate) async fn read_on(session: &mut Session, out: &mut Output) {
    let engine = session.engine().clone();
    let account = session.state.account.clone();
    let arrived = std::mem::take(&mut session.state.offline.arrived);
    if !arrived.is_empty()
        && let Err(error) = engine
            .store()
            .offline_remove(account.clone(), arrived)
            .await
    {
        engine.metrics().store_failures.inc();
        tracing::error!(%error, "read messages could not be removed; they will be read again");
    }
    let reader = &mut session.state.offline;
    if !reader.wanted {
        return;
    }
    match engine
        .store()
        .offline(account.clone(), reader.after, PAGE)
        .await
    {
        Ok(page) if !page.is_empty() => {
            for message in &page {
                if reader.takes(message.id)
                    && let Some(stanza) = delayed(&engine, &account, message)
                {
                    out.waiting(stanza, message.id);
                    reader.unwritten.push(message.id);
                }
            }
        }
        Ok(_) => reader.done(),
        Err(error) => {
            engine.metrics().store_failures.inc();
            tracing::error!(%error, "waiting messages could not be read");
            reader.wanted = false;
        }
    }
}

/// The message with the time of its receipt (XEP-0203 § 4, XEP-0160 § 2), and with its id where an
/// archive has it.
fn delayed(engine: &Engine, account: &BareJid, message: &OfflineMessage) -> Option<Bytes> {
    let mut draft = Draft::new(read(message.stanza.clone())?).ok()?;
    if message.archived {
        draft.add(engine.stanza_ids().element(account, message.id));
    }
    draft.add(delay(account, message.at, "Offline Storage"));
    Some(draft.seal().to_bytes())
}

/// `<delay/>` in the name of an account's server.
pub(crate) fn delay(account: &BareJid, at: Micros, why: &str) -> Bytes {
    let mut xml = Writer::new(ns::CLIENT);
    xml.start_ns("delay", ns::DELAY)
        .attr("from", account.domain())
        .attr("stamp", &time::format_datetime(at))
        .text(why)
        .end();
    xml.finish()
}

/// A stanza read again from its wire form.
pub(crate) fn read(stanza: Bytes) -> Option<Stanza> {
    let limits = Limits {
        bytes_max: usize::MAX,
        ..Limits::S2S
    };
    let tree = Tree::parse(stanza, ns::CLIENT, &limits).ok()?;
    Stanza::new(tree, ns::CLIENT).ok()
}

/// Stores the messages that a session that ends had not taken and that no other one got.
pub(crate) fn keep(engine: &Engine, account: &BareJid, left: Vec<Delivery>) -> Vec<Ticket> {
    let lost = left.into_iter().filter_map(|delivery| match delivery {
        Delivery::Message(message) if message.copies.lost() => Some(message),
        _ => None,
    });
    lost.filter_map(|message| {
        let sealed = message.sealed.to_bytes();
        let stanza = read(sealed.clone())?;
        record_of(engine, account, &stanza, message.archived, || sealed)
    })
    .map(|record| engine.store().submit(record))
    .collect()
}

/// Waits until what [`keep`] stores is on disk, and tells a resource that can take it: somebody
/// may have come after the messages were sent.
pub(crate) async fn kept(engine: &Engine, account: &BareJid, tickets: Vec<Ticket>) {
    let mut any = false;
    for ticket in tickets {
        match ticket.await {
            Ok(_) => any = true,
            // Removed, and its messages with it.
            Err(StoreError::NoAccount) => {}
            Err(error) => {
                tracing::warn!(%error, "a message for a session that ended could not be stored");
            }
        }
    }
    if any {
        message::nudge(engine, account);
    }
}

#[cfg(test)]
mod tests {
    use super::worth_keeping;
    use crate::features::fixtures::draft;

    #[test]
    fn what_is_kept_for_those_who_are_away() {
        let body = "<body>Hi</body>";
        let active = "<active xmlns='http://jabber.org/protocol/chatstates'/>";
        let hint = |name: &str| format!("<{name} xmlns='urn:xmpp:hints'/>");
        for (kind, content, kept) in [
            ("", body.to_owned(), true),
            ("type='normal'", body.to_owned(), true),
            ("type='chat'", body.to_owned(), true),
            ("type='unheard-of'", body.to_owned(), true),
            ("type='groupchat'", body.to_owned(), false),
            ("type='headline'", body.to_owned(), false),
            ("type='error'", body.to_owned(), false),
            ("type='chat'", String::new(), false),
            ("type='chat'", active.to_owned(), false),
            ("type='chat'", format!("{active}<thread>t</thread>"), false),
            ("type='chat'", format!("{active}{body}"), true),
            ("type='chat'", "<subject>S</subject>".to_owned(), true),
            ("type='chat'", "<x xmlns='urn:x'/>".to_owned(), true),
            ("type='chat'", hint("no-store") + body, false),
            ("type='chat'", hint("no-permanent-store") + body, false),
            ("type='chat'", hint("no-copy") + body, true),
            // A wish to be stored does not make a chat state more than one.
            ("type='chat'", hint("store") + active, false),
        ] {
            let xml = format!("<message {kind}>{content}</message>");
            assert_eq!(worth_keeping(draft(&xml).stanza()), kept, "{xml}");
        }
    }
}
