//! Stanza errors (RFC 6120 § 8.3).

use super::Stanza;
use crate::Jid;
use bytes::Bytes;

/// What the sender may do about an error (RFC 6120 § 8.3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorType {
    /// Retry after providing credentials.
    Auth,
    /// Do not retry.
    Cancel,
    /// Proceed; the condition was only a warning.
    Continue,
    /// Retry after changing the data sent.
    Modify,
    /// Retry after waiting.
    Wait,
}

/// Defined conditions (RFC 6120 § 8.3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "each variant is the condition of RFC 6120 § 8.3.3 it is named for"
)]
pub enum Condition {
    BadRequest,
    Conflict,
    FeatureNotImplemented,
    Forbidden,
    Gone,
    InternalServerError,
    ItemNotFound,
    JidMalformed,
    NotAcceptable,
    NotAllowed,
    NotAuthorized,
    PolicyViolation,
    RecipientUnavailable,
    Redirect,
    RegistrationRequired,
    RemoteServerNotFound,
    RemoteServerTimeout,
    ResourceConstraint,
    ServiceUnavailable,
    SubscriptionRequired,
    UndefinedCondition,
    UnexpectedRequest,
}

/// An error answer in the making.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StanzaError {
    /// The condition.
    pub condition: Condition,
    /// The type; [`Condition::default_type`] unless a specification says otherwise.
    pub kind: ErrorType,
    /// Human-readable text, English.
    pub text: Option<&'static str>,
    /// Application-specific condition: name and namespace.
    pub app: Option<(&'static str, &'static str)>,
}

impl StanzaError {
    /// The condition with its default type.
    pub fn new(_condition: Condition) -> Self {
        todo!()
    }
    /// Adds a text.
    #[must_use]
    pub fn text(mut self, text: &'static str) -> Self {
        self.text = Some(text);
        self
    }
    /// Adds an application-specific condition.
    #[must_use]
    pub fn app(mut self, name: &'static str, ns: &'static str) -> Self {
        self.app = Some((name, ns));
        self
    }
    /// Sets another type.
    #[must_use]
    pub fn kind(mut self, kind: ErrorType) -> Self {
        self.kind = kind;
        self
    }
    /// The `<error/>` element alone, for `jabber:client`.
    pub fn element(&self) -> Bytes {
        todo!()
    }
    /// The whole error stanza that answers `stanza` (RFC 6120 § 8.3.1: same kind, same id, `from`
    /// and `to` as given); `None` when an error must not be answered (type `error`, IQ `result`).
    pub fn answer(
        &self,
        _stanza: &Stanza,
        _from: Option<&Jid>,
        _to: Option<&Jid>,
    ) -> Option<Bytes> {
        todo!()
    }
}

impl From<Condition> for StanzaError {
    fn from(condition: Condition) -> Self {
        Self::new(condition)
    }
}
