//! Retracted messages ([XEP-0424](https://xmpp.org/extensions/xep-0424.html), 0.4.2).
//!
//! A retraction is a message like others: archived, delivered, copied. When it is, a *tombstone*
//! takes the place of what it retracts in the archives that have both (§ 4); nobody who reads them
//! later gets the words. This is done by a task of its own, because finding the message is a walk
//! through the conversation that deliveries must not wait for, and only for an archive that has the
//! retraction (§ 5). If the server is killed in between, the words stay there; the retraction does,
//! too, and clients obey it.

use crate::{
    Engine,
    feature::{Coverage, Disco, Feature, Place, Side, Xep},
    features::muc,
    route::Handover,
};
use bytes::Bytes;
use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use std::{
    collections::VecDeque,
    future::poll_fn,
    task::{Context, Poll},
};
use waxwing_proto::{
    BareJid, Jid, ns,
    stanza::Stanza,
    time,
    xml::{Element, Limits, Tree, Writer},
};
use waxwing_store::{Archived, Micros, StoreError};

/// The feature.
pub const FEATURE: Feature = Feature {
    name: "retraction",
    xeps: &[Xep {
        number: 424,
        version: "0.4.2",
        title: "Message Retraction",
        coverage: Coverage::Complete,
    }],
    disco: &[
        // § 2: retractions are archived.
        Disco {
            place: Place::Account,
            var: ns::RETRACTION,
        },
        Disco {
            place: Place::Domain,
            var: ns::RETRACTION,
        },
        // § 4
        Disco {
            place: Place::Account,
            var: ns::TOMBSTONES,
        },
    ],
    ..Feature::NONE
};

/// Retractions of one sender that wait; enough for whoever clears a whole screen. What is more
/// leaves no tombstone, so that nobody can make others wait.
const WAITING_PER_SENDER_MAX: usize = 128;
/// Retractions that wait altogether.
const WAITING_MAX: usize = 4096;

/// Retractions that have been archived and not yet carried out.
#[derive(Debug, Default)]
pub(crate) struct Retractions {
    queue: Mutex<VecDeque<Job>>,
    waker: AtomicWaker,
}

/// What is to be retracted.
#[derive(Debug)]
struct Job {
    /// Who takes it back, and whom they had told it.
    from: Jid,
    to: Jid,
    /// The ids of the message to be retracted and of the retraction.
    target: String,
    id: String,
    /// When it was retracted.
    at: Micros,
    /// Something said in private in a room.
    in_room: bool,
    /// Something said to all in a room of ours.
    in_ours: bool,
    /// Whether the archives of the sender and the recipient have the retraction.
    archives: [bool; 2],
}

impl Engine {
    /// A message was handed over: if it retracts another, and is itself archived, that is going to
    /// be done.
    pub(crate) fn notice_retraction(&self, message: &Handover) {
        let archives = if message.is_speech() {
            [false, message.id().is_some()]
        } else {
            [Side::Sender, Side::Recipient].map(|side| message.archived(side).is_some())
        };
        let Some((target, id)) = ids(&message.stanza) else {
            return;
        };
        if archives == [false; 2] {
            return;
        }
        let job = Job {
            from: message.from.clone(),
            to: message.to.clone(),
            target,
            id,
            at: self.env().now(),
            in_room: is_in_room(message.stanza.root()),
            in_ours: message.is_speech(),
            archives,
        };
        if self.retractions().push(job) {
            self.metrics().retractions.inc();
        } else {
            self.metrics().retractions_dropped.inc();
        }
    }

    /// Carries out retractions, for as long as the server runs. There must be one task that does
    /// this.
    pub async fn retract(self) {
        loop {
            let job = poll_fn(|cx| self.retractions().poll_next(cx)).await;
            if let Err(error) = carry_out(&self, &job).await {
                self.metrics().store_failures.inc();
                tracing::error!(%error, "a retracted message could not be removed from an archive");
            }
        }
    }
}

impl Retractions {
    fn push(&self, job: Job) -> bool {
        {
            let mut queue = self.queue.lock();
            let of_sender = |waiting: &&Job| waiting.from.bare_str() == job.from.bare_str();
            if queue.len() >= WAITING_MAX
                || queue.iter().filter(of_sender).count() >= WAITING_PER_SENDER_MAX
            {
                return false;
            }
            queue.push_back(job);
        }
        self.waker.wake();
        true
    }

    fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Job> {
        let take = || self.queue.lock().pop_front();
        if let Some(job) = take() {
            return Poll::Ready(job);
        }
        self.waker.register(cx.waker());
        // One that came between the look and the registration would be missed otherwise.
        take().map_or(Poll::Pending, Poll::Ready)
    }
}

async fn carry_out(engine: &Engine, job: &Job) -> Result<(), StoreError> {
    let (from, to) = (job.from.to_bare(), job.to.to_bare());
    if job.in_ours {
        let ids = (job.target.as_str(), job.id.as_str());
        return muc::retract(engine, &to, &from, ids, job.at).await;
    }
    let [sender, recipient] = job.archives;
    if sender {
        bury(engine, job, &from, &to, true).await?;
    }
    if recipient && from != to {
        bury(engine, job, &to, &from, false).await?;
    }
    Ok(())
}

/// Puts the tombstone into one archive. Of several messages with the same id, the last is meant.
async fn bury(
    engine: &Engine,
    job: &Job,
    account: &BareJid,
    with: &BareJid,
    outgoing: bool,
) -> Result<(), StoreError> {
    let store = engine.store();
    let found = store
        .archive_find(account.clone(), with.clone(), job.target.clone())
        .await?;
    let found = found.iter().filter(|entry| entry.outgoing == outgoing);
    let tombstone = |entry: &Archived| Some((entry.id, job.tombstone(&entry.stanza)?));
    let Some((id, tombstone)) = found.map(tombstone).find_map(|tombstone| tombstone) else {
        return Ok(());
    };
    if store
        .archive_retract(account.clone(), id, tombstone)
        .await?
    {
        engine.metrics().tombstones.inc();
    }
    Ok(())
}

impl Job {
    /// What stays of a message (§ 4), if it is the one that is meant and may be retracted.
    fn tombstone(&self, stanza: &Bytes) -> Option<Bytes> {
        let limits = Limits {
            bytes_max: usize::MAX,
            ..Limits::S2S
        };
        let tree = Tree::parse(stanza.clone(), ns::CLIENT, &limits).ok()?;
        let message = tree.root();
        self.may_retract(message).then(|| {
            let mut xml = Writer::new(ns::CLIENT);
            xml.start("message");
            for name in ["to", "from", "type", "id"] {
                xml.attr_opt(name, message.attr(name).as_deref());
            }
            xml.start_ns("retracted", ns::RETRACTION)
                .attr("id", &self.id)
                .attr("stamp", &time::format_datetime(self.at))
                .end()
                .end();
            xml.finish()
        })
    }

    /// § 5: both are of one sender, who in a room is one occupant; and a retraction stays.
    fn may_retract(&self, message: Element<'_>) -> bool {
        let origin = message.child("origin-id", ns::STANZA_ID);
        let is_meant = message.attr("id").as_deref() == Some(&self.target)
            || origin.and_then(|origin| origin.attr("id")).as_deref() == Some(&self.target);
        let from = message.attr("from").and_then(|from| Jid::parse(&from).ok());
        let is_own = from.is_some_and(|from| {
            if self.in_room || is_in_room(message) {
                from == self.from
            } else {
                from.bare_str() == self.from.bare_str()
            }
        });
        is_meant && is_own && retracts(message).is_none()
    }
}

/// The ids of the message that is retracted and of the message that does it, which both must have
/// (§ 3, § 4).
fn ids(message: &Stanza) -> Option<(String, String)> {
    let target = retracts(message.root())?.attr("id")?.into_owned();
    let id = message.id()?.into_owned();
    (!target.is_empty() && !id.is_empty()).then_some((target, id))
}

fn retracts(message: Element<'_>) -> Option<Element<'_>> {
    message.child("retract", ns::RETRACTION)
}

/// Whether a message is from a room or to one: all in it have its bare address.
fn is_in_room(message: Element<'_>) -> bool {
    message.child("x", ns::MUC_USER).is_some()
}

#[cfg(test)]
mod tests {
    use super::{Job, Retractions, WAITING_PER_SENDER_MAX, ids};
    use crate::features::fixtures::draft;
    use bytes::Bytes;
    use waxwing_proto::Jid;

    const RETRACT: &str = "<retract xmlns='urn:xmpp:message-retract:1' id='m1'/>";
    const ROOM: &str = "<x xmlns='http://jabber.org/protocol/muc#user'/>";

    fn job(from: &str, in_room: bool) -> Job {
        Job {
            from: Jid::parse(from).unwrap(),
            to: Jid::parse("juliet@capulet.example").unwrap(),
            target: "m1".to_owned(),
            id: "r1".to_owned(),
            at: 1_569_020_972_000_000,
            in_room,
            in_ours: false,
            archives: [true; 2],
        }
    }

    #[test]
    fn what_is_a_retraction() {
        for (attributes, content, expected) in [
            ("id='r1'", RETRACT, Some("m1")),
            ("", RETRACT, None),
            ("id=''", RETRACT, None),
            (
                "id='r1'",
                "<retract xmlns='urn:xmpp:message-retract:1'/>",
                None,
            ),
            (
                "id='r1'",
                "<retract xmlns='urn:xmpp:message-retract:1' id=''/>",
                None,
            ),
            // Of a call (XEP-0353).
            (
                "id='r1'",
                "<retract xmlns='urn:xmpp:jingle-message:0' id='m1'/>",
                None,
            ),
        ] {
            let draft = draft(&format!("<message {attributes}>{content}</message>"));
            let found = ids(draft.stanza()).map(|(target, _)| target);
            assert_eq!(found.as_deref(), expected, "{attributes} {content}");
        }
    }

    #[test]
    fn only_the_sender_retracts_and_only_what_is_meant() {
        let romeo = "romeo@montague.example/orchard";
        let nick = "room@muc.example/romeo";
        let origin = "<origin-id xmlns='urn:xmpp:sid:0' id='m1'/>";
        for (from, in_room, author, id, content, expected) in [
            (romeo, false, romeo, "m1", "", true),
            (romeo, false, "romeo@montague.example/pc", "m1", "", true),
            (romeo, false, romeo, "m2", "", false),
            (romeo, false, romeo, "m2", origin, true),
            (romeo, false, "tybalt@capulet.example", "m1", "", false),
            (romeo, false, romeo, "m1", RETRACT, false),
            (nick, true, nick, "m1", ROOM, true),
            (nick, true, "room@muc.example/tybalt", "m1", ROOM, false),
            (nick, true, "room@muc.example/tybalt", "m1", "", false),
            (nick, false, "room@muc.example/tybalt", "m1", ROOM, false),
        ] {
            let stanza = format!(
                "<message to='x@y' from='{author}' id='{id}'><body>Oh</body>{content}</message>"
            );
            let tombstone = job(from, in_room).tombstone(&Bytes::from(stanza.clone()));
            assert_eq!(tombstone.is_some(), expected, "{from} {stanza}");
        }
    }

    /// § 4, example 6.
    #[test]
    fn a_tombstone_says_who_and_when_and_no_more() {
        let stanza = "<message type='chat' xml:lang='en' from='romeo@montague.example/orchard' \
                      to='lord@capulet.example' id='m1'><body>Have not saints lips</body>\
                      <x xmlns='jabber:x:oob'><url>u</url></x></message>";
        let tombstone = job("romeo@montague.example/orchard", false).tombstone(&stanza.into());
        assert_eq!(
            std::str::from_utf8(&tombstone.unwrap()).unwrap(),
            "<message to='lord@capulet.example' from='romeo@montague.example/orchard' type='chat' \
             id='m1'><retracted xmlns='urn:xmpp:message-retract:1' id='r1' \
             stamp='2019-09-20T23:09:32Z'/></message>"
        );
    }

    #[test]
    fn nobody_fills_the_queue() {
        let queue = Retractions::default();
        for _ in 0..WAITING_PER_SENDER_MAX {
            assert!(queue.push(job("romeo@montague.example/orchard", false)));
        }
        assert!(!queue.push(job("romeo@montague.example/pc", false)));
        assert!(queue.push(job("juliet@capulet.example/pc", false)));
    }
}
