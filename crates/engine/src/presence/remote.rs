//! Presence from other domains (RFC 6121 § 3 and § 4).

use super::{Type, probe, subscribe};
use crate::{
    Engine,
    features::pubsub,
    route::{self, Routed, inbound::hand_over},
    subscription::Type::Subscribe,
};
use waxwing_proto::{
    Jid,
    stanza::{Draft, StanzaError},
};

/// Takes a presence stanza whose `to` and `from` are set. Whoever brought it may speak for the domain
/// of `from`.
pub(crate) async fn from_remote(engine: &Engine, mut draft: Draft) -> Result<(), StanzaError> {
    let (Some(from), Some(to)) = (draft.from().cloned(), draft.to().cloned()) else {
        return Ok(());
    };
    let kind = Type::of(&draft)?;
    let here = engine.is_local(to.domain());
    match kind {
        Type::Subscription(kind) if here => {
            if to.local().is_none() {
                // The server has no use for anybody's presence.
                return Ok(());
            }
            let resource = to.resource().filter(|_| kind != Subscribe);
            if resource.is_some_and(|one| engine.registry().resource(&to.to_bare(), one).is_none())
            {
                // § 8.5.3.2.2
                return Ok(());
            }
            // § 3.1.3: from and to bare JIDs, whatever the sender wrote.
            let (from, account) = (from.to_bare(), to.to_bare());
            draft.set_from(Jid::from(&from));
            draft.set_to(Jid::from(&account));
            match subscribe::inbound(engine, &draft, &from, &account, kind).await? {
                Some(answer) => answer.give(engine).await,
                None => Ok(()),
            }
        }
        Type::Probe if here => {
            probe::probe(engine, &draft).await?;
            pubsub::on_far_probe(engine, &from, &to.to_bare()).await;
            Ok(())
        }
        _ => {
            let stanza = draft.stanza().clone();
            let routed = route::presence::route(engine, None, draft).await?;
            let passed = here && matches!(routed, Routed::Handover(..));
            hand_over(engine, routed).await?;
            if passed && matches!(kind, Type::Available | Type::Unavailable) {
                pubsub::on_far_presence(engine, &stanza, &from, &to.to_bare()).await;
            }
            Ok(())
        }
    }
}
