//! Why a room refuses something, each with the condition that XEP-0045 names.

use waxwing_proto::stanza::{Condition, ErrorType, StanzaError};

/// A refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// § 7.2.6: members only.
    NotMember,
    /// § 7.2.7, and everything that an affiliation or role does not allow.
    Forbidden,
    /// § 7.2.7: banned.
    Banned,
    /// § 7.2.5: the password is missing or wrong.
    Password,
    /// § 7.2.8: somebody else has the nick or one that looks like it.
    NickTaken,
    /// § 7.2.1: there is no nick.
    NoNick,
    /// § 17.1: nothing would be seen of the nick.
    BadNick,
    /// § 7.2.9: the room is full.
    Full,
    /// § 7.2.10, § 7.5: no such room or occupant, or it is not configured yet.
    NotFound,
    /// The room was destroyed and its name is not free yet.
    Destroyed,
    /// § 7.4: whoever is not in the room cannot say anything there.
    NotOccupant,
    /// § 8.2, § 8.4: those above.
    NotAllowed,
    /// § 9.1, § 10.5: nobody bans themselves, and a room has an owner.
    Conflict,
    /// § 10.1.3: options that cannot be.
    NotAcceptable,
    /// The request is not of a shape that XEP-0045 knows.
    BadRequest,
    /// § 7.10: nobody registers with this room by themselves.
    RegistrationClosed,
    /// A bound on what a room keeps was reached.
    TooMuch,
    /// § 14.6: faster than anybody may be.
    Flood,
    /// XEP-0500 § 6
    TooFast,
    /// Not offered.
    Unsupported,
}

impl From<Refusal> for StanzaError {
    fn from(refusal: Refusal) -> Self {
        use Refusal as R;
        match refusal {
            R::NotMember => Condition::RegistrationRequired.into(),
            R::Forbidden | R::Banned => Condition::Forbidden.into(),
            R::Password => Condition::NotAuthorized.into(),
            R::NoNick => Condition::JidMalformed.into(),
            R::BadNick | R::NotAcceptable | R::NotOccupant => Condition::NotAcceptable.into(),
            R::Full => Self::new(Condition::ServiceUnavailable).kind(ErrorType::Wait),
            R::NotFound => Condition::ItemNotFound.into(),
            R::Destroyed => Self::new(Condition::Gone).text("This room was destroyed."),
            R::NotAllowed | R::RegistrationClosed => Condition::NotAllowed.into(),
            R::NickTaken | R::Conflict => Condition::Conflict.into(),
            R::BadRequest => Condition::BadRequest.into(),
            R::TooMuch => Condition::ResourceConstraint.into(),
            R::Flood => Self::new(Condition::PolicyViolation)
                .kind(ErrorType::Wait)
                .text("Not so fast, please."),
            R::TooFast => Self::new(Condition::PolicyViolation)
                .kind(ErrorType::Wait)
                .text("This room is in slow mode: wait before you say something again."),
            R::Unsupported => Condition::FeatureNotImplemented.into(),
        }
    }
}
