//! Resource binding (RFC 6120 § 7) and the session of RFC 3921, which does nothing.

use crate::stanza::{Condition, Kind, Stanza, StanzaError};
use crate::xml::{Element, Writer};
use crate::{FullJid, ns};
use bytes::Bytes;

/// What an IQ wants of the stream itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Request {
    /// To bind a resource.
    Bind,
    /// To establish a session (RFC 3921 § 3).
    Session,
    /// One of these, but it is no `set`.
    Malformed,
}

/// The request in a stanza; `None` if it is about something else. `own` are the addresses that
/// mean the server (RFC 6120 § 7 knows no `to`, but clients write their domain).
pub(super) fn request(stanza: &Stanza, own: &[&str]) -> Option<Request> {
    if stanza.kind() != Kind::Iq {
        return None;
    }
    let payload = stanza.root().children().next()?;
    let request = match payload.ns() {
        ns::BIND if payload.name() == "bind" => Request::Bind,
        ns::SESSION if payload.name() == "session" => Request::Session,
        _ => return None,
    };
    if let Some(to) = stanza.root().attr("to")
        && !own.contains(&&*to)
    {
        return None;
    }
    match stanza.type_attr().as_deref() {
        Some("set") => Some(request),
        Some("result" | "error") => None,
        _ => Some(Request::Malformed),
    }
}

/// The resourcepart that a bind request wishes for (RFC 6120 § 7.7.1); empty means none.
pub(super) fn resource(stanza: &Stanza) -> Option<String> {
    let bind = stanza.root().child("bind", ns::BIND)?;
    let text = bind.child("resource", ns::BIND)?.text();
    (!text.is_empty()).then(|| text.into_owned())
}

/// The answer to a bind request (RFC 6120 § 7.6.1).
pub(super) fn bound(stanza: &Stanza, jid: &FullJid) -> Bytes {
    result(stanza, |xml| {
        xml.start_ns("bind", ns::BIND);
        xml.leaf("jid", jid.as_str());
        xml.end();
    })
}

/// The answer to a session request.
pub(super) fn session(stanza: &Stanza) -> Bytes {
    result(stanza, |_| {})
}

/// The error that answers a request, if one may.
pub(super) fn refusal(stanza: &Stanza, error: &StanzaError) -> Option<Bytes> {
    error.answer(stanza, None, None)
}

/// An empty request's answer if it has been made on a stream where a resource is bound.
pub(super) fn answer_when_bound(stanza: &Stanza, request: Request) -> Option<Bytes> {
    match request {
        Request::Session => Some(session(stanza)),
        // One resource for a stream: RFC 6120 § 7.1 binds "a" resource, § 7.6.2.2 gives the error.
        Request::Bind => refusal(stanza, &Condition::NotAllowed.into()),
        Request::Malformed => refusal(stanza, &Condition::BadRequest.into()),
    }
}

/// Whether a stanza is a registration request (XEP-0077) made before authentication.
pub(super) fn is_registration(stanza: &Stanza) -> bool {
    let is_query = |payload: Element<'_>| payload.is("query", ns::REGISTER);
    stanza.kind() == Kind::Iq
        && matches!(stanza.type_attr().as_deref(), Some("get" | "set"))
        && stanza.root().children().next().is_some_and(is_query)
}

fn result(stanza: &Stanza, payload: impl FnOnce(&mut Writer)) -> Bytes {
    let mut xml = Writer::new(ns::CLIENT);
    xml.start("iq").attr("type", "result");
    xml.attr_opt("id", stanza.id().as_deref());
    payload(&mut xml);
    xml.finish()
}
