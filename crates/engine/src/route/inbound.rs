//! Stanzas that come from other domains: those of components, and errors about what could not be
//! brought there.

use super::{Routed, iq, message, service};
use crate::{
    Engine,
    deliverer::Failure,
    feature::{IqKind, Reply, Way},
    features::pubsub,
    presence,
};
use bytes::Bytes;
use waxwing_proto::{
    Jid, ns,
    stanza::{Condition, Draft, Kind, Sealed, Stanza, StanzaError},
    xml::{Limits, Tree, Writer},
};
use waxwing_store::Record;

/// What goes back to whoever has sent a stanza, for `jabber:client`.
#[derive(Debug, Default)]
pub(crate) struct Back {
    /// Messages.
    pub(crate) before: Vec<Bytes>,
    /// The answer, of the stanza's kind, if one is due.
    pub(crate) answer: Option<Bytes>,
}

/// Takes a stanza from another domain. Its `to` and `from` are set, and whoever brought it may speak
/// for the domain of `from`. When this returns, the stanza is handled: what it had to leave on disk
/// is there.
pub(crate) async fn arrive(engine: &Engine, draft: Draft) -> Back {
    let stanza = draft.stanza().clone();
    let (from, to) = (draft.from().cloned(), draft.to().cloned());
    let mut before = Vec::new();
    let taken = taken(engine, draft, &mut before).await;
    if let Some(to) = &to {
        service::settled(engine, to).await;
    }
    let answer = match taken {
        Ok(None | Some(Reply::Sent)) => None,
        Ok(Some(reply)) => Some(result(&stanza, to.as_ref(), from.as_ref(), &reply)),
        Err(error) => {
            let answer = error.answer(&stanza, to.as_ref(), from.as_ref());
            answer.inspect(|_| engine.metrics().stanza_errors.inc())
        }
    };
    Back { before, answer }
}

/// Answers a stanza that was taken for another domain and could not be brought there.
pub(crate) async fn bounce(engine: &Engine, stanza: &Sealed, error: &StanzaError) {
    let answer = read(stanza.to_bytes()).and_then(|draft| {
        let (from, to) = (draft.from(), draft.to());
        read(error.answer(draft.stanza(), to, from)?)
    });
    if let Some(answer) = answer {
        engine.metrics().stanza_errors.inc();
        // Nobody answers an error.
        arrive(engine, answer).await;
    }
}

pub(super) async fn taken(
    engine: &Engine,
    draft: Draft,
    before: &mut Vec<Bytes>,
) -> Result<Option<Reply>, StanzaError> {
    match draft.kind() {
        Kind::Message => {
            let routed = message::route(engine, None, draft).await?;
            hand_over(engine, routed).await.map(|()| None)
        }
        Kind::Presence => presence::from_remote(engine, draft).await.map(|()| None),
        Kind::Iq => iq(engine, draft, before).await,
    }
}

async fn iq(
    engine: &Engine,
    draft: Draft,
    before: &mut Vec<Bytes>,
) -> Result<Option<Reply>, StanzaError> {
    let kind = iq::check(draft.stanza())?;
    let (Some(from), Some(to)) = (draft.from().cloned(), draft.to()) else {
        return Err(Condition::BadRequest.into());
    };
    let (place, target) = match iq::destination(engine, to, kind) {
        iq::Destination::Here(place, target) => (place, target),
        iq::Destination::There => {
            let routed = iq::route(engine, None, draft, kind).await?;
            return hand_over(engine, routed).await.map(|()| None);
        }
    };
    let kind = match kind {
        iq::Type::Get => IqKind::Get,
        iq::Type::Set => IqKind::Set,
        iq::Type::Result | iq::Type::Error => {
            engine.questions().answered(draft.stanza(), &from);
            pubsub::on_far_answer(engine, draft.stanza(), &from).await;
            return Ok(None);
        }
    };
    let way = Way::Remote(before);
    iq::answer(engine, &draft, kind, (place, &target), &from, way)
        .await
        .map(Some)
}

/// Hands over what was routed, after its commit. The sender waits meanwhile, which keeps the order
/// of its stanzas (RFC 6120 § 10.1).
pub(crate) async fn hand_over(engine: &Engine, routed: Routed) -> Result<(), StanzaError> {
    let Routed::Handover(mut handover, record) = routed else {
        return Ok(());
    };
    let record = match record {
        Some(record) => Record::Message(record),
        None => match handover.run(engine)? {
            Some(record) => record,
            None => return Ok(()),
        },
    };
    let delivered = engine.deliverer().submit(engine, record, handover).await;
    match delivered {
        Ok(Ok(())) => Ok(()),
        Ok(Err(Failure::Refused(error))) => Err(error),
        // It comes from no session, so nobody can have taken that over.
        Ok(Err(Failure::Replaced)) | Err(_) => Err(Condition::InternalServerError.into()),
    }
}

fn result(stanza: &Stanza, from: Option<&Jid>, to: Option<&Jid>, reply: &Reply) -> Bytes {
    let mut xml = Writer::new(ns::CLIENT);
    xml.start("iq")
        .attr_opt("to", to.map(Jid::as_str))
        .attr_opt("from", from.map(Jid::as_str))
        .attr_opt("id", stanza.id().as_deref())
        .attr("type", reply.type_name());
    reply.write(&mut xml);
    xml.finish()
}

/// A stanza of our own writing, or one that was read before.
pub(super) fn read(stanza: Bytes) -> Option<Draft> {
    let tree = Tree::parse(stanza, ns::CLIENT, &Limits::S2S).ok()?;
    Draft::new(Stanza::new(tree, ns::CLIENT).ok()?).ok()
}
