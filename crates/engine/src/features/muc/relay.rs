//! Requests from one occupant to another (XEP-0045 § 17.4, § 6.6): the room passes them on and the
//! answers back, so that neither learns who the other is.
//!
//! Nothing is remembered of a request on its way. Its id says who may answer it and to whom: a mark
//! made with the room's secret, before the asker's own id. A vCard is asked of the account: no client
//! has it. What an account has on its nodes is not: items may name who published them.

use super::{
    errors::Refusal,
    nick::Nick,
    rights::Action,
    room::{Effect, Occupant, Phase, Room},
    storm::Deed,
    table::Rooms,
};
use crate::{
    Engine,
    feature::{IqKind, Place, Reply, Way},
    features::offline,
    route::{Arrival, Routed, guard_recipient, iq},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use sha2::{Digest, Sha256};
use waxwing_proto::{
    BareJid, Jid, ns,
    stanza::{Condition, Draft, Kind, Sealed, Stanza, StanzaError},
    xml::{Element, Writer},
};

/// Bytes of the mark of a request before they are written as text.
const MARK_BYTES: usize = 9;
/// Characters of that.
const MARK_CHARS: usize = 12;

/// What becomes of an IQ to an occupant.
#[derive(Debug)]
enum Relay {
    /// It is the asker's own address, and it wants to know whether it is in the room (XEP-0410).
    Here,
    /// It goes to this client.
    ToClient(Bytes, Jid),
    /// It is asked of the account.
    ToAccount(Bytes, BareJid),
    /// An answer goes back to this client.
    Back(Bytes, Jid),
    /// It answers nothing.
    Nothing,
}

/// Takes an IQ to an occupant.
pub(super) async fn arrive(arrival: Arrival<'_>) -> Result<Routed, StanzaError> {
    let engine = arrival.engine;
    let Arrival {
        draft, from, to, ..
    } = &arrival;
    let room = Rooms::hold(engine, &to.to_bare()).await?;
    let send = |stanza: Bytes, to: &Jid| {
        let stanza = Sealed::from_bytes(Kind::Iq, stanza);
        room.send(Effect::new(stanza, [to.clone()].into()));
        Ok(Routed::Done)
    };
    match room.ask(|room| room.relay(draft.stanza(), from, to))? {
        Relay::ToClient(..) | Relay::ToAccount(..) if room.pace(from, Deed::Speak).is_err() => {
            Err(Refusal::Flood.into())
        }
        Relay::Here => send(answer(draft.stanza(), to, from, None), from),
        Relay::ToClient(request, client) => {
            if is_reachable(engine, &request, &client).await? {
                return send(request, &client);
            }
            Ok(Routed::Done)
        }
        Relay::ToAccount(request, account) if engine.is_local(account.domain()) => {
            let reply = ask(engine, request, &account).await?;
            send(answer(draft.stanza(), to, from, Some(&reply)), from)
        }
        Relay::ToAccount(request, account) => send(request, &account.into()),
        Relay::Back(reply, client) => send(reply, &client),
        Relay::Nothing => Ok(Routed::Done),
    }
}

/// Whether a client is there to be asked, and has not blocked the occupant who asks.
async fn is_reachable(engine: &Engine, request: &Bytes, client: &Jid) -> Result<bool, StanzaError> {
    if !engine.is_local(client.domain()) {
        return Ok(true);
    }
    let account = client.to_bare();
    let view = engine.view(&account).await?;
    let draft = draft(request)?;
    let Some(from) = draft.from() else {
        return Err(Condition::BadRequest.into());
    };
    if !guard_recipient(engine, &draft, &account, &view, from)? {
        return Ok(false);
    }
    let found = client
        .resource()
        .and_then(|resource| engine.registry().resource(&account, resource));
    found.map(|_| true).ok_or_else(|| {
        // It has just gone, and the room will hear of that.
        Condition::RecipientUnavailable.into()
    })
}

/// Asks an account of this server.
async fn ask(engine: &Engine, request: Bytes, account: &BareJid) -> Result<Reply, StanzaError> {
    let draft = draft(&request)?;
    let Some(from) = draft.from().cloned() else {
        return Err(Condition::BadRequest.into());
    };
    let place = (Place::Account, account);
    // Nothing comes before a vCard.
    let mut before = Vec::new();
    let way = Way::Remote(&mut before);
    Box::pin(iq::answer(engine, &draft, IqKind::Get, place, &from, way)).await
}

/// A stanza of our own writing.
fn draft(stanza: &Bytes) -> Result<Draft, StanzaError> {
    let read = offline::read(stanza.clone()).ok_or(Condition::BadRequest)?;
    Draft::new(read)
}

fn answer(request: &Stanza, from: &Jid, to: &Jid, reply: Option<&Reply>) -> Bytes {
    let mut xml = Writer::new(ns::CLIENT);
    xml.start("iq")
        .attr("type", "result")
        .attr("from", from.as_str())
        .attr("to", to.as_str())
        .attr_opt("id", request.id().as_deref());
    if let Some(Reply::Payload(payload)) = reply {
        xml.raw(payload);
    }
    xml.finish()
}

impl Room {
    fn relay(&self, stanza: &Stanza, from: &Jid, to: &Jid) -> Result<Relay, Refusal> {
        let kind = stanza.type_attr();
        let kind = kind.as_deref().unwrap_or_default();
        let Some(asked) = to.resource().and_then(Nick::new) else {
            return Err(Refusal::NotFound);
        };
        match kind {
            "get" | "set" => self.relay_request(stanza, from, &asked),
            _ => Ok(self
                .relay_answer(stanza, from, &asked)
                .unwrap_or(Relay::Nothing)),
        }
    }

    fn relay_request(&self, stanza: &Stanza, from: &Jid, asked: &Nick) -> Result<Relay, Refusal> {
        let payload = stanza.root().children().next();
        let payload = payload.ok_or(Refusal::BadRequest)?;
        let Some((own, _)) = self.occupant(from) else {
            return Err(match self.phase {
                Phase::Destroyed(_) => Refusal::Destroyed,
                Phase::Absent => Refusal::NotFound,
                // § 6.6
                _ if is_discovery(payload) => Refusal::BadRequest,
                _ => Refusal::NotOccupant,
            });
        };
        if own == asked && payload.is("ping", ns::PING) {
            return Ok(Relay::Here);
        }
        let other = self.occupants.get(asked).ok_or(Refusal::NotFound)?;
        if stanza.type_attr().as_deref() == Some("set") {
            if matches!(payload.ns(), ns::ROSTER | ns::BLOCKING) {
                // Clients are known to believe pushes of others (RFC 6121 § 2.1.6).
                return Err(Refusal::Unsupported);
            }
            // It can carry as much as a message.
            self.demand(Action::Whisper, from)?;
        }
        let client = other_client(other, from).ok_or(Refusal::NotFound)?;
        let id = stanza.id().unwrap_or_default();
        let id = self.mark(from, &other.account) + &id;
        let request = |to: &str| {
            let mut xml = Writer::new(ns::CLIENT);
            xml.start("iq")
                .attr("from", self.occupant_jid(own).as_str())
                .attr("to", to)
                .attr("id", &id)
                .attr_opt("type", stanza.type_attr().as_deref())
                .attr_opt("xml:lang", stanza.root().lang().as_deref())
                .raw(&stanza.root().inner(ns::CLIENT));
            xml.finish()
        };
        if is_for_account(stanza, payload) {
            let account = other.account.clone();
            return Ok(Relay::ToAccount(request(account.as_str()), account));
        }
        Ok(Relay::ToClient(request(client.as_str()), client.clone()))
    }

    /// An answer of somebody to the occupant of this nick.
    fn relay_answer(&self, stanza: &Stanza, from: &Jid, asker: &Nick) -> Option<Relay> {
        let account = from.to_bare();
        let by_session = self.sessions.get(from);
        let by_account = || {
            let mut here = self.occupants.iter();
            let found = here.find(|(_, occupant)| occupant.account == account)?;
            Some(found.0)
        };
        let answers = by_session.or_else(by_account)?;
        let id = stanza.id()?;
        let (mark, id) = id.split_at_checked(MARK_CHARS)?;
        let mut askers = self.occupants.get(asker)?.sessions.iter();
        let asker = askers.find(|session| self.mark(&session.jid, &account) == mark)?;
        let mut xml = Writer::new(ns::CLIENT);
        xml.start("iq")
            .attr("from", self.occupant_jid(answers).as_str())
            .attr("to", asker.jid.as_str())
            .attr("id", id);
        if stanza.type_attr().as_deref() == Some("error") {
            // What else there is in it may say who it is from.
            xml.attr("type", "error");
            StanzaError::read(stanza).write(&mut xml);
        } else {
            xml.attr("type", "result")
                .raw(&stanza.root().inner(ns::CLIENT));
        }
        Some(Relay::Back(xml.finish(), asker.jid.clone()))
    }

    /// What tells that a client has asked an account through this room.
    fn mark(&self, asker: &Jid, account: &BareJid) -> String {
        let mut hash = Sha256::new();
        hash.update(self.secret);
        // No address has it, so these are no ids of occupants and no two pairs are the same.
        hash.update([0]);
        hash.update(asker.as_str().as_bytes());
        hash.update([0]);
        hash.update(account.as_str().as_bytes());
        let hash = hash.finalize();
        URL_SAFE_NO_PAD.encode(hash.get(..MARK_BYTES).unwrap_or_default())
    }
}

/// The client of an occupant that is asked: the one whose presence others see, but not the asker
/// itself if there is another one.
fn other_client<'a>(occupant: &'a Occupant, asker: &Jid) -> Option<&'a Jid> {
    let newest = || occupant.sessions.iter().rev().map(|session| &session.jid);
    newest()
        .find(|jid| *jid != asker)
        .or_else(|| newest().next())
}

fn is_discovery(payload: Element<'_>) -> bool {
    matches!(payload.ns(), ns::DISCO_INFO | ns::DISCO_ITEMS)
}

/// Whether the server answers such a request for an account (XEP-0054, XEP-0292).
fn is_for_account(stanza: &Stanza, payload: Element<'_>) -> bool {
    stanza.type_attr().as_deref() == Some("get")
        && (payload.is("vCard", ns::VCARD) || payload.ns() == ns::VCARD4)
}
