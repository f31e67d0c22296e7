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
    /// § 6.3.4.2: options of a subscription that there is not.
    NoSubscription,
    /// XEP-0413: an order that there is not.
    UnknownOrder,
    /// § 8.1.3: an access model that there is not.
    UnsupportedAccessModel,
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
    /// § 6.3.4.2
    JidRequired,
    /// § 6.2.3.5, § 6.3.4.6: a subscription is not the one that is named.
    InvalidSubId,
    /// § 6.3.4.4: options of a subscription that cannot be so.
    InvalidOptions,
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
    /// § 8.2.5: an option that cannot be so.
    NotAcceptable,
    /// A request that is known and not offered, by the name of its feature.
    Unsupported(&'static str),
}

impl From<Refusal> for StanzaError {
    fn from(refusal: Refusal) -> Self {
        let (condition, kind, app) = refusal.parts();
        let mut error = StanzaError::new(condition).kind(kind);
        if let Some(name) = app {
            error = error.app(name, ns::PUBSUB_ERRORS);
        }
        match refusal {
            // COMPAT(Profanity, 0.15): whether it may publish the first list of its devices it
            // tells from the number that errors had before RFC 3920.
            Refusal::NotFound => error.code("404"),
            Refusal::Unsupported(feature) => error.app_attr("feature", feature),
            Refusal::SubscriptionsClosed => error.app_attr("feature", "subscribe"),
            _ => error,
        }
    }
}

impl Refusal {
    /// Condition, type, and the condition of `pubsub#errors`.
    fn parts(self) -> (Condition, ErrorType, Option<&'static str>) {
        use Condition as C;
        use ErrorType::{Auth, Cancel, Modify};
        match self {
            Self::BadRequest => (C::BadRequest, Modify, None),
            Self::PresenceSubscriptionRequired => (
                C::NotAuthorized,
                Auth,
                Some("presence-subscription-required"),
            ),
            Self::NotInRosterGroup => (C::NotAuthorized, Auth, Some("not-in-roster-group")),
            Self::ClosedNode => (C::NotAllowed, Cancel, Some("closed-node")),
            Self::PendingSubscription => (C::NotAuthorized, Auth, Some("pending-subscription")),
            Self::InvalidJid => (C::BadRequest, Modify, Some("invalid-jid")),
            Self::NotSubscribed => (C::UnexpectedRequest, Cancel, Some("not-subscribed")),
            Self::UnknownOrder => (C::FeatureNotImplemented, Cancel, None),
            Self::NoSubscription => (C::UnexpectedRequest, Modify, Some("not-subscribed")),
            Self::UnsupportedAccessModel => {
                (C::NotAcceptable, Modify, Some("unsupported-access-model"))
            }
            Self::NotSubscribedToRead => (C::NotAuthorized, Auth, Some("not-subscribed")),
            Self::Forbidden => (C::Forbidden, Auth, None),
            Self::NotFound => (C::ItemNotFound, Cancel, None),
            Self::Conflict => (C::Conflict, Cancel, None),
            Self::PreconditionNotMet => (C::Conflict, Cancel, Some("precondition-not-met")),
            Self::JidRequired => (C::BadRequest, Modify, Some("jid-required")),
            Self::InvalidSubId => (C::NotAcceptable, Modify, Some("invalid-subid")),
            Self::UnknownOption | Self::InvalidOptions => {
                (C::BadRequest, Modify, Some("invalid-options"))
            }
            Self::NodeFull => (C::Conflict, Cancel, Some("node-full")),
            Self::PayloadTooBig => (C::NotAcceptable, Modify, Some("payload-too-big")),
            Self::InvalidPayload => (C::BadRequest, Modify, Some("invalid-payload")),
            Self::ItemRequired => (C::BadRequest, Modify, Some("item-required")),
            Self::PayloadRequired => (C::BadRequest, Modify, Some("payload-required")),
            Self::ItemForbidden => (C::BadRequest, Modify, Some("item-forbidden")),
            Self::NodeIdRequired => (C::BadRequest, Modify, Some("nodeid-required")),
            Self::NotAcceptable => (C::NotAcceptable, Modify, None),
            Self::SubscriptionsClosed | Self::Unsupported(_) => {
                (C::FeatureNotImplemented, Cancel, Some("unsupported"))
            }
        }
    }
}
