//! The extension contract: a feature is one file with one [`Feature`] constant, listed once in
//! [`crate::features::FEATURES`]. The type of a slot is all that it may do.

use crate::{
    Engine,
    account::View,
    registry::Resource,
    route::{Handover, Hosted},
    session::SessionState,
    settings::Settings,
};
use bytes::Bytes;
use std::sync::Arc;
use waxwing_proto::{
    BareJid, Jid,
    stanza::{Draft, Sealed, Stanza, StanzaError},
    xml::{Element, Writer},
};
use waxwing_store::{BoxFuture, Message};

/// What a feature is made of. Unused slots come from [`Feature::NONE`].
#[derive(Debug, Clone, Copy)]
pub struct Feature {
    /// The XEP's short name; the file is called so.
    pub name: &'static str,
    /// The specifications it implements.
    pub xeps: &'static [Xep],
    /// Whether it is there at all with these settings.
    pub offered: fn(&Settings) -> bool,
    /// What it advertises, and where.
    pub disco: &'static [Disco],
    /// The requests it answers.
    pub iq: &'static [IqRoute],
    /// Judges a stanza for its sender and for its recipient; can neither change it nor wait.
    pub guard: Option<fn(&Draft, &GuardCx<'_>) -> Verdict>,
    /// Hides or adds children of a message to a local account; cannot wait.
    pub stamp: Option<fn(&mut Draft, &StampCx<'_>)>,
    /// What a message must leave on disk before anybody sees it; cannot change it, and cannot wait.
    pub record: Option<fn(&Stanza, &RecordCx<'_>, &mut Message)>,
    /// Who else gets to see a message that was handed over, and as what; cannot change it, and
    /// cannot wait.
    pub copy: Option<fn(&Handover, &CopyCx<'_>, &mut Fanout)>,
    /// What a service with a domain of its own does with stanzas that are no requests to it.
    pub hosted: Option<Hosted>,
}

impl Feature {
    /// A feature that does nothing.
    pub const NONE: Self = Self {
        name: "",
        xeps: &[],
        offered: |_| true,
        disco: &[],
        iq: &[],
        guard: None,
        stamp: None,
        record: None,
        copy: None,
        hosted: None,
    };
}

/// A specification and how much of it is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Xep {
    /// Its number.
    pub number: u16,
    /// The version implemented.
    pub version: &'static str,
    /// Its title.
    pub title: &'static str,
    /// How much of it.
    pub coverage: Coverage,
}

/// How much of a specification is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coverage {
    /// All that concerns a server.
    Complete,
    /// Less, and what is missing.
    Partial(&'static str),
}

/// Who answers a request or advertises a feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// An account: its bare JID, or no `to` at all.
    Account,
    /// The server: a domain.
    Domain,
    /// A service inside this process: its domain.
    Service(Service),
    /// Something of a service: an address of it with a localpart and no resource.
    Within(Service),
}

/// Services inside this process that have a domain of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Service {
    /// Publish-subscribe (XEP-0060).
    PubSub,
    /// Rooms (XEP-0045).
    Rooms,
    /// Uploads (XEP-0363).
    Uploads,
}

impl Service {
    /// Every service.
    pub const ALL: [Self; 3] = [Self::PubSub, Self::Rooms, Self::Uploads];

    /// The usual first label of its domain, and its name in settings.
    pub fn label(self) -> &'static str {
        match self {
            Self::PubSub => "pubsub",
            Self::Rooms => "groups",
            Self::Uploads => "upload",
        }
    }
}

/// A feature string of service discovery (XEP-0030).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disco {
    /// Where it is advertised.
    pub place: Place,
    /// The string.
    pub var: &'static str,
}

/// `get` or `set`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IqKind {
    /// A query.
    Get,
    /// A change.
    Set,
}

/// Who may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// Only the account itself; to others the account is silent (`service-unavailable`). At a
    /// domain or a service: only accounts of this server.
    Owner,
    /// Only the account itself; others are told `forbidden`, whether the account exists or not.
    OwnerOrForbidden,
    /// Only the account itself; others are told `not-allowed`, whether the account exists or not.
    OwnerOrNotAllowed,
    /// As [`Who::OwnerOrForbidden`]; but where the payload names a node of the account, as
    /// [`Who::AnyoneOrNotFound`].
    OwnerOrReaders,
    /// Only the account itself and those who may see its presence; others are told `forbidden`,
    /// whether the account exists or not.
    SubscriberOrForbidden,
    /// Anyone; the handler decides what they see. An account that does not exist, or does not speak
    /// to them, answers `item-not-found`, as the handler answers for what they may not see.
    AnyoneOrNotFound,
    /// Anyone; the handler decides what they see.
    Anyone,
}

impl Who {
    /// Who may ask with this payload.
    pub(crate) fn asks(self, payload: Element<'_>) -> Self {
        match self {
            Self::OwnerOrReaders if payload.attr("node").is_some() => Self::AnyoneOrNotFound,
            Self::OwnerOrReaders => Self::OwnerOrForbidden,
            who => who,
        }
    }
}

/// One kind of request and its handler.
#[derive(Debug, Clone, Copy)]
pub struct IqRoute {
    /// Who is asked.
    pub place: Place,
    /// `get` or `set`.
    pub kind: IqKind,
    /// Local name of the payload.
    pub name: &'static str,
    /// Namespace of the payload.
    pub ns: &'static str,
    /// Who may ask.
    pub who: Who,
    /// Answers it.
    pub handler: IqHandler,
}

/// Answers a request. What it reports as done is on disk (promise P10).
pub type IqHandler = for<'a> fn(IqCx<'a>) -> BoxFuture<'a, Result<Reply, StanzaError>>;

/// A request and its surroundings.
#[derive(Debug)]
pub struct IqCx<'a> {
    /// The server.
    pub engine: &'a Engine,
    /// Who asks.
    pub from: &'a Jid,
    /// Who is asked: an account's bare JID, a domain, or a service's address.
    pub to: &'a BareJid,
    /// The request.
    pub request: &'a Stanza,
    /// Its payload.
    pub payload: Element<'a>,
    /// The asking session; `None` for requests from other servers.
    pub session: Option<&'a mut SessionState>,
    /// Where to put what goes out before the answer, for requests from other servers.
    pub(crate) before: Option<&'a mut Vec<Bytes>>,
}

/// On which way a request has come, and its answer goes.
#[derive(Debug)]
pub(crate) enum Way<'a> {
    /// By a session.
    Session(&'a mut SessionState),
    /// From another server; with what goes there before the answer.
    Remote(&'a mut Vec<Bytes>),
}

impl IqCx<'_> {
    /// Sends messages to whoever asks, before the answer.
    pub(crate) fn before_reply(&mut self, messages: Vec<Bytes>) {
        match (&mut self.session, &mut self.before) {
            (Some(session), _) => session.before_reply = messages,
            (None, Some(before)) => **before = messages,
            (None, None) => {}
        }
    }

    /// Whether the account itself asks.
    pub fn by_owner(&self) -> bool {
        self.from.bare_str() == self.to.as_str()
    }
}

/// An answer (RFC 6120 § 8.2.3), `result` unless it says otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// Nothing to say.
    Empty,
    /// A payload, written for `jabber:client`.
    Payload(Bytes),
    /// The answer is on its way already, in its place among what the asker is told.
    Sent,
    /// An `error` that needs a payload to be understood, which is written as others are.
    Refused(Bytes, StanzaError),
}

impl Reply {
    /// The type of the stanza that it is the content of.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Self::Empty | Self::Payload(_) | Self::Sent => "result",
            Self::Refused(..) => "error",
        }
    }

    /// Writes that content.
    pub(crate) fn write(&self, xml: &mut Writer) {
        match self {
            Self::Empty | Self::Sent => {}
            Self::Payload(payload) => {
                xml.raw(payload);
            }
            Self::Refused(payload, error) => {
                xml.raw(payload);
                error.write(xml);
            }
        }
    }
}

/// On whose behalf a guard judges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The local sender's.
    Sender,
    /// The local recipient's.
    Recipient,
}

/// What a guard sees beside the stanza.
#[derive(Debug)]
pub struct GuardCx<'a> {
    /// On whose behalf.
    pub side: Side,
    /// The account that is guarded.
    pub account: &'a BareJid,
    /// Its roster states and block list.
    pub view: &'a View,
    /// The other entity.
    pub other: &'a Jid,
}

/// What a stamp step sees beside the message.
#[derive(Debug)]
pub struct StampCx<'a> {
    /// The local sender, if it is one.
    pub sender: Option<&'a BareJid>,
    /// The local recipient.
    pub recipient: &'a BareJid,
}

/// A guard's judgement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Let it pass.
    Pass,
    /// Answer with this error.
    Refuse(StanzaError),
    /// Drop it without an answer.
    Drop,
}

/// What a record step sees beside the message.
#[derive(Debug)]
pub struct RecordCx<'a> {
    /// The server.
    pub engine: &'a Engine,
    /// The local sender, if it is one.
    pub sender: Option<(&'a BareJid, &'a View)>,
    /// The local recipient, if it is one.
    pub recipient: Option<(&'a BareJid, &'a View)>,
    /// Who sent it.
    pub from: &'a Jid,
    /// Whom it is for.
    pub to: &'a Jid,
    /// No resource of the recipient takes the message now.
    pub absent: bool,
}

/// What a copy step sees beside the message.
#[derive(Debug)]
pub struct CopyCx<'a> {
    /// The server.
    pub engine: &'a Engine,
    /// Whose other resources may get a copy: the sender's or the recipient's.
    pub side: Side,
    /// Their account.
    pub account: &'a BareJid,
    /// Its resources that have neither sent the message nor been given it.
    pub others: &'a [Arc<Resource>],
}

/// What copy steps add: a stanza for each resource. It is not kept for those who do not take it, as
/// the message itself is elsewhere.
pub type Fanout = Vec<(Arc<Resource>, Sealed)>;
