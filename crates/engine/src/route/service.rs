//! Services inside this process, each with a domain of its own (`pubsub.example.org`).
//!
//! Requests to a service's domain, or to an address of it without a resource, are answered by the
//! handlers of the one feature list, at [`crate::feature::Place::Service`] and
//! [`crate::feature::Place::Within`]. Everything else that is for its addresses comes here,
//! whoever sent it, and goes to the slots of [`Hosted`].

use super::{Handover, Routed, Rule, inbound};
use crate::{Engine, account::View, feature::Service};
use waxwing_proto::{
    BareJid, Jid,
    stanza::{Condition, Draft, Kind, Sealed, StanzaError},
};
use waxwing_store::BoxFuture;

/// What a service does with stanzas that are no requests to the service itself.
#[derive(Debug, Clone, Copy)]
pub struct Hosted {
    /// Which service.
    pub kind: Service,
    /// Takes a message, a directed presence, an IQ for a full JID, or an answer or error to
    /// something that the service sent. It may wait; the sender's next stanza comes after it. If
    /// something must be on disk first, it gives a [`Routed::Handover`] with a record.
    pub arrive: for<'a> fn(Arrival<'a>) -> BoxFuture<'a, Result<Routed, StanzaError>>,
    /// Hands over what `arrive` gave, after its commit and in the order of commits; cannot wait.
    pub hand_over: fn(&Engine, &mut Handover) -> Result<(), StanzaError>,
    /// Hears presence that a session did not direct itself: that it has gone, or what it tells its
    /// contacts, one of which is here. Cannot wait.
    pub presence: fn(&Engine, &Jid, &Jid, &Sealed),
    /// Waits until what one of its addresses has said so far is on its way, for a service whose
    /// answers come in one order with everything else that it says.
    pub settled: Option<for<'a> fn(&'a Engine, &'a BareJid) -> BoxFuture<'a, ()>>,
}

/// A stanza that has come for a service.
#[derive(Debug)]
pub struct Arrival<'a> {
    /// The server.
    pub engine: &'a Engine,
    /// The stanza; `from` and `to` are set.
    pub draft: Draft,
    /// Who sent it.
    pub from: Jid,
    /// Whom it is for.
    pub to: Jid,
    /// The account, if the sender is of this server.
    pub sender: Option<(&'a BareJid, &'a View)>,
}

impl Arrival<'_> {
    /// The stanza on its last step; `draft` is what is to be handed over and archived of it.
    pub fn handover(&self, kind: Service, draft: Draft) -> Handover {
        let (from, to) = (self.from.clone(), self.to.clone());
        let mut handover = Handover::new(draft, from, to, Rule::Service(kind));
        handover.stanza = self.draft.stanza().clone();
        handover
    }
}

/// Gives a stanza to the service that `to` is of, if there is one there that takes stanzas.
pub(super) async fn arrive(
    engine: &Engine,
    kind: Service,
    draft: Draft,
    (from, to): (Jid, Jid),
    sender: Option<(&BareJid, &View)>,
) -> Result<Routed, StanzaError> {
    let Some(hosted) = engine.features().hosted(kind) else {
        return Err(Condition::ServiceUnavailable.into());
    };
    let arrival = Arrival {
        engine,
        draft,
        from,
        to,
        sender,
    };
    (hosted.arrive)(arrival).await
}

/// Waits until what an address of a service has said so far is on its way, before it is answered
/// for. False if its answers may overtake that.
pub(crate) async fn settled(engine: &Engine, to: &Jid) -> bool {
    let service = engine.service(to.domain());
    let hosted = service.and_then(|service| engine.features().hosted(service.kind));
    let Some(settled) = hosted.and_then(|hosted| hosted.settled) else {
        return false;
    };
    settled(engine, &to.to_bare()).await;
    true
}

/// After the commit of what a service took.
pub(super) fn hand_over(
    engine: &Engine,
    kind: Service,
    handover: &mut Handover,
) -> Result<(), StanzaError> {
    match engine.features().hosted(kind) {
        Some(hosted) => (hosted.hand_over)(engine, handover),
        None => Ok(()),
    }
}

/// Presence for an entity that is not an account of this server: a service's, or of another domain.
/// Nobody is told if there is no way.
pub(crate) fn presence_away(engine: &Engine, from: &Jid, to: &Jid, stanza: &Sealed) {
    if let Some(service) = engine.service(to.domain()) {
        if let Some(hosted) = engine.features().hosted(service.kind) {
            (hosted.presence)(engine, from, to, stanza);
        }
        return;
    }
    let _ = engine.send_away(from.domain(), to.domain(), stanza.clone());
}

/// Sends a stanza in a service's name to anybody, `from` and `to` being set. To an account it goes
/// by the rules of RFC 6121 § 8, archives included; it is on disk when this returns. An error that
/// it meets here is given back.
pub async fn send(engine: &Engine, stanza: &Sealed) -> Result<(), StanzaError> {
    let Some(draft) = inbound::read(stanza.to_bytes()) else {
        return Err(Condition::InternalServerError.into());
    };
    let Some(to) = draft.to() else {
        return Err(Condition::BadRequest.into());
    };
    if !engine.serves(to.domain()) {
        let from = draft.from().map_or("", Jid::domain);
        return engine.send_away(from, to.domain(), stanza.clone());
    }
    // Boxed, because what arrives may be answered by a service.
    let mut before = Vec::new();
    let taken = inbound::taken(engine, draft, &mut before);
    Box::pin(taken).await.map(drop)
}

/// A stanza for a service that takes none of that kind: answered as by an entity without a mailbox
/// (RFC 6121 § 8.5.1); presence says nothing to it.
pub(crate) fn not_for_us(draft: &Draft) -> Result<Routed, StanzaError> {
    let kind = draft.stanza().type_attr();
    match (draft.kind(), kind.as_deref()) {
        (Kind::Presence, _)
        | (Kind::Message, Some("error" | "headline"))
        | (Kind::Iq, Some("result" | "error")) => Ok(Routed::Done),
        (Kind::Message | Kind::Iq, _) => Err(Condition::ServiceUnavailable.into()),
    }
}
