//! Routing (RFC 6120 § 10, RFC 6121 § 8): guard(sender) → stamp → guard(recipient) → record → hand
//! over → copy.
//!
//! The functions here work for any sender: a session calls them for its client, [`inbound`] for
//! another domain. Where a stanza goes is decided when it is handed over, not
//! before its commit, because who is here may change meanwhile.

mod ask;
mod copy;
pub(crate) mod inbound;
pub mod iq;
pub mod message;
pub mod presence;
mod remote;
pub mod service;

pub(crate) use ask::Questions;
pub(crate) use copy::copy_sent;
pub use remote::{Remote, Route};
pub use service::{Arrival, Hosted};

use crate::{
    Engine,
    account::View,
    feature::{GuardCx, Service, Side, Verdict},
    features::muc,
};
use std::sync::Arc;
use waxwing_proto::{
    BareJid, Jid,
    stanza::{Condition, Draft, Kind, Sealed, Stanza, StanzaError},
};
use waxwing_store::{Message, Outcome, Record};

/// What routing decided for one stanza.
#[derive(Debug)]
pub enum Routed {
    /// Nothing more to do: dropped as the specification says, or done.
    Done,
    /// Hand it over; if there is a record, after its commit.
    Handover(Handover, Option<Box<Message>>),
}

/// A stanza on its last step.
#[derive(Debug)]
pub struct Handover {
    /// The stanza as received, for an error answer.
    pub stanza: Stanza,
    /// Its wire form, without what an archive adds to it.
    pub sealed: Sealed,
    /// The sender.
    pub from: Jid,
    /// The recipient.
    pub to: Jid,
    /// How it is delivered.
    pub rule: Rule,
    /// Whether the archives of the sender and of the recipient have it; in this order.
    archives: [bool; 2],
    /// Its id there, once it is on disk.
    id: Option<u64>,
    /// It is in a queue towards another domain.
    departs: bool,
    /// What it is to a room, if it is for one.
    pub(crate) room: Option<Box<muc::Carried>>,
}

/// Which rules of RFC 6121 § 8.5 apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// A message of this type.
    Message(message::Type),
    /// A message that is on disk for when the recipient returns.
    Stored,
    /// An IQ to a full JID.
    Iq,
    /// Directed presence or an error about presence.
    Presence,
    /// Anything for another domain.
    Remote,
    /// Anything for a service of ours.
    Service(Service),
}

impl Handover {
    /// A stanza that is edited no more.
    fn new(draft: Draft, from: Jid, to: Jid, rule: Rule) -> Self {
        Self {
            stanza: draft.stanza().clone(),
            sealed: draft.seal(),
            from,
            to,
            rule,
            archives: [false; 2],
            id: None,
            departs: false,
            room: None,
        }
    }

    /// The record that the message needs before it is handed over.
    fn expect(&mut self, message: &Message) {
        let to = self.to.to_bare();
        let own = self.from.bare_str() == to.as_str();
        let sender = message.sender.is_some();
        self.departs = message.outgoing.is_some();
        self.archives = [sender, message.recipient.is_some() || own && sender];
        if message.waiting.is_some() {
            self.rule = Rule::Stored;
        }
    }

    /// The record is on disk.
    pub(crate) fn stored(&mut self, outcome: &Outcome) {
        self.id = Some(outcome.id);
    }

    /// Whether it is something said to all in a room of ours.
    pub(crate) fn is_speech(&self) -> bool {
        self.rule == Rule::Service(Service::Rooms) && self.to.resource().is_none()
    }

    /// Its id on disk, once it is there.
    pub fn id(&self) -> Option<u64> {
        self.id
    }

    /// Its id in the archive of one side, if it is there.
    pub(crate) fn archived(&self, side: Side) -> Option<u64> {
        let [sender, recipient] = self.archives;
        self.id.filter(|_| match side {
            Side::Sender => sender,
            Side::Recipient => recipient,
        })
    }

    /// The message as the account on one side gets it: with the id in its archive (XEP-0359).
    pub(crate) fn seen_by(&self, engine: &Engine, side: Side, account: &BareJid) -> Sealed {
        match self.archived(side) {
            Some(id) => self
                .sealed
                .with_child(engine.stanza_ids().element(account, id)),
            None => self.sealed.clone(),
        }
    }

    /// Delivers. An error is for the sender; a record means that the stanza found nobody, and must
    /// be handed over again after its commit.
    pub fn run(&mut self, engine: &Engine) -> Result<Option<Record>, StanzaError> {
        match self.rule {
            Rule::Message(kind) => message::hand_over(engine, self, kind),
            Rule::Stored => {
                message::hand_over_stored(engine, self);
                Ok(None)
            }
            Rule::Iq => iq::hand_over(engine, self).map(|()| None),
            Rule::Presence => {
                presence::hand_over(engine, self);
                Ok(None)
            }
            Rule::Service(kind) => service::hand_over(engine, kind, self).map(|()| None),
            Rule::Remote => {
                let (from, to) = (self.from.domain(), self.to.domain());
                match self.id.filter(|_| self.departs) {
                    None => engine.send_away(from, to, self.sealed.clone())?,
                    id => engine.depart(from, to, self.sealed.clone(), id)?,
                }
                if self.sealed.kind() == Kind::Message {
                    copy::copy(engine, self, &[], &[]);
                }
                Ok(None)
            }
        }
    }
}

/// What every stanza passes on its way out: the guards of a local sender. Gives sender and recipient;
/// `None` drops the stanza without a word.
pub(crate) fn depart(
    engine: &Engine,
    draft: &Draft,
    sender: Option<(&BareJid, &View)>,
) -> Result<Option<(Jid, Jid)>, StanzaError> {
    let (Some(from), Some(to)) = (draft.from(), draft.to()) else {
        return Err(Condition::BadRequest.into());
    };
    if !guard_sender(engine, draft, sender, to)? {
        return Ok(None);
    }
    Ok(Some((from.clone(), to.clone())))
}

/// Asks the guards of the sender's account, if the sender is local. False: drop the stanza without
/// a word.
pub(crate) fn guard_sender(
    engine: &Engine,
    draft: &Draft,
    sender: Option<(&BareJid, &View)>,
    to: &Jid,
) -> Result<bool, StanzaError> {
    let Some((account, view)) = sender else {
        return Ok(true);
    };
    let cx = GuardCx {
        side: Side::Sender,
        account,
        view,
        other: to,
    };
    judge(engine, draft, &cx)
}

/// Asks the guards of a local recipient's account. False: drop the stanza without a word.
pub(crate) fn guard_recipient(
    engine: &Engine,
    draft: &Draft,
    account: &BareJid,
    view: &Arc<View>,
    from: &Jid,
) -> Result<bool, StanzaError> {
    judge(
        engine,
        draft,
        &GuardCx {
            side: Side::Recipient,
            account,
            view,
            other: from,
        },
    )
}

fn judge(engine: &Engine, draft: &Draft, cx: &GuardCx<'_>) -> Result<bool, StanzaError> {
    match engine.features().judge(draft, cx) {
        Verdict::Pass => Ok(true),
        Verdict::Drop => Ok(false),
        Verdict::Refuse(error) => Err(error),
    }
}
