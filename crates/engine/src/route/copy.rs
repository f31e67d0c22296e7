//! The copy step: who else gets to see a message that was handed over.

use super::Handover;
use crate::{
    Engine,
    feature::{CopyCx, Side},
    outbox::Delivery,
    registry::{Resource, Resources},
};
use std::sync::Arc;
use waxwing_proto::BareJid;

/// Lets every feature add copies: for the sender's account if it is local, then for the
/// recipient's. `resources` are those of the recipient's account, and `taken` those of them that
/// were given the message itself. Whoever hands over one message after another copies them in that
/// order, too.
pub(super) fn copy(
    engine: &Engine,
    message: &Handover,
    resources: &[Arc<Resource>],
    taken: &[Arc<Resource>],
) {
    let recipient = message.to.to_bare();
    if message.from.bare_str() == recipient.as_str() {
        // One copy is enough of what an account says to itself.
        return copy_to(engine, message, Side::Sender, &recipient, resources, taken);
    }
    if engine.is_local(message.from.domain()) && message.from.local().is_some() {
        let sender = message.from.to_bare();
        let own = engine.registry().resources(&sender);
        copy_to(engine, message, Side::Sender, &sender, &own, &[]);
    }
    copy_to(
        engine,
        message,
        Side::Recipient,
        &recipient,
        resources,
        taken,
    );
}

/// Lets every feature add copies for those clients of a message's local sender that are `chosen`.
pub(crate) fn copy_sent(engine: &Engine, message: &Handover, chosen: impl Fn(&Resource) -> bool) {
    let sender = message.from.to_bare();
    let mut own = engine.registry().resources(&sender);
    own.retain(|found| chosen(found));
    copy_to(engine, message, Side::Sender, &sender, &own, &[]);
}

fn copy_to(
    engine: &Engine,
    message: &Handover,
    side: Side,
    account: &BareJid,
    resources: &[Arc<Resource>],
    taken: &[Arc<Resource>],
) {
    let knows = |found: &Resource| {
        found.jid.as_str() == message.from.as_str()
            || taken
                .iter()
                .any(|taker| taker.generation == found.generation)
    };
    let others: Resources = resources
        .iter()
        .filter(|found| !knows(found))
        .cloned()
        .collect();
    if others.is_empty() {
        return;
    }
    let cx = CopyCx {
        engine,
        side,
        account,
        others: &others,
    };
    for (resource, copy) in engine.features().copy(message, &cx) {
        let delivery = match message.archived(side) {
            Some(id) => Delivery::Copy(copy, id),
            None => Delivery::Stanza(copy),
        };
        // Whoever has gone or does not keep up does without: the message itself is elsewhere.
        if resource.outbox.push(delivery).is_ok() {
            engine.metrics().carbons.inc();
        }
    }
}
