//! The errors of XEP-0060, each with the type that its table has.

use waxwing_proto::{
    ns,
    stanza::{Condition, ErrorType, StanzaError},
};

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The request is not of a shape that XEP-0060 knows.
    BadRequest,
    /// § 6.1.3.3
    PresenceSubscriptionRequired,
    /// § 6.1.3.4
    NotInRosterGroup,
    /// § 6.1.3.5
    ClosedNode,
    /// § 6.1.3.7
    PendingSubscription,
    /// § 6.1.3.1
    InvalidJid,
    /// § 6.2.3.2
    NotSubscribed,
    /// § 6.5.9: items of a node that are for subscribers.
    NotSubscribedToRead,
    /// What the asker's affiliation does not allow.
    Forbidden,
    /// Subscriptions are closed by the node's options.
    SubscriptionsClosed,
    /// No such node or item.
    NotFound,
    /// The node exists.
    Conflict,
    /// § 7.1.5
    PreconditionNotMet,
    /// § 7.1.5: an option that is none.
    UnknownOption,
    /// § 7.1.3.4
    NodeFull,
    /// § 7.1.3.5
    PayloadTooBig,
    /// § 7.1.3.6
    InvalidPayload,
    /// § 7.1.3.6, § 7.2.3.4
    ItemRequired,
    /// § 7.1.3.6
    PayloadRequired,
    /// § 7.1.3.6
    ItemForbidden,
    /// § 7.2.3.3
    NodeIdRequired,
    /// § 8.1.2.2: whoever makes a node must name it.
    NoInstantNodes,
    /// § 8.2.5: an option that cannot be so.
    NotAcceptable,
    /// A request that is known and not offered, by the name of its feature.
    Unsupported(&'static str),
}

impl From<Refusal> for StanzaError {
    fn from(refusal: Refusal) -> Self {
        let app = |condition: Condition, kind: ErrorType, name: &'static str| {
            StanzaError::new(condition)
                .kind(kind)
                .app(name, ns::PUBSUB_ERRORS)
        };
        match refusal {
            Refusal::BadRequest => Condition::BadRequest.into(),
            Refusal::PresenceSubscriptionRequired => app(
                Condition::NotAuthorized,
                ErrorType::Auth,
                "presence-subscription-required",
            ),
            Refusal::NotInRosterGroup => app(
                Condition::NotAuthorized,
                ErrorType::Auth,
                "not-in-roster-group",
            ),
            Refusal::ClosedNode => app(Condition::NotAllowed, ErrorType::Cancel, "closed-node"),
            Refusal::PendingSubscription => app(
                Condition::NotAuthorized,
                ErrorType::Auth,
                "pending-subscription",
            ),
            Refusal::InvalidJid => app(Condition::BadRequest, ErrorType::Modify, "invalid-jid"),
            Refusal::NotSubscribed => app(
                Condition::UnexpectedRequest,
                ErrorType::Cancel,
                "not-subscribed",
            ),
            Refusal::NotSubscribedToRead => {
                app(Condition::NotAuthorized, ErrorType::Auth, "not-subscribed")
            }
            Refusal::Forbidden => Condition::Forbidden.into(),
            Refusal::SubscriptionsClosed | Refusal::Unsupported("subscribe") => app(
                Condition::FeatureNotImplemented,
                ErrorType::Cancel,
                "unsupported",
            )
            .app_attr("feature", "subscribe"),
            Refusal::NotFound => Condition::ItemNotFound.into(),
            Refusal::Conflict => Condition::Conflict.into(),
            Refusal::PreconditionNotMet => app(
                Condition::Conflict,
                ErrorType::Cancel,
                "precondition-not-met",
            ),
            Refusal::UnknownOption => {
                app(Condition::BadRequest, ErrorType::Modify, "invalid-options")
            }
            Refusal::NodeFull => app(Condition::Conflict, ErrorType::Cancel, "node-full"),
            Refusal::PayloadTooBig => app(
                Condition::NotAcceptable,
                ErrorType::Modify,
                "payload-too-big",
            ),
            Refusal::InvalidPayload => {
                app(Condition::BadRequest, ErrorType::Modify, "invalid-payload")
            }
            Refusal::ItemRequired => app(Condition::BadRequest, ErrorType::Modify, "item-required"),
            Refusal::PayloadRequired => {
                app(Condition::BadRequest, ErrorType::Modify, "payload-required")
            }
            Refusal::ItemForbidden => {
                app(Condition::BadRequest, ErrorType::Modify, "item-forbidden")
            }
            Refusal::NodeIdRequired => {
                app(Condition::BadRequest, ErrorType::Modify, "nodeid-required")
            }
            Refusal::NoInstantNodes => app(
                Condition::NotAcceptable,
                ErrorType::Modify,
                "nodeid-required",
            ),
            Refusal::NotAcceptable => Condition::NotAcceptable.into(),
            Refusal::Unsupported(feature) => app(
                Condition::FeatureNotImplemented,
                ErrorType::Cancel,
                "unsupported",
            )
            .app_attr("feature", feature),
        }
    }
}
