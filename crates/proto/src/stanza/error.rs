//! Stanza errors (RFC 6120 § 8.3).

use super::{Kind, Stanza};
use crate::Jid;
use crate::ns;
use crate::xml::{Element, Writer};
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

impl ErrorType {
    /// The value of the `type` attribute.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Cancel => "cancel",
            Self::Continue => "continue",
            Self::Modify => "modify",
            Self::Wait => "wait",
        }
    }
    /// The type that has this name.
    pub fn from_name(name: &str) -> Option<Self> {
        [
            Self::Auth,
            Self::Cancel,
            Self::Continue,
            Self::Modify,
            Self::Wait,
        ]
        .into_iter()
        .find(|kind| kind.name() == name)
    }
}

macro_rules! conditions {
    ($($variant:ident, $name:literal, $kind:ident;)*) => {
        /// Defined conditions (RFC 6120 § 8.3.3).
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[expect(
            missing_docs,
            reason = "each variant is the condition of RFC 6120 § 8.3.3 it is named for"
        )]
        pub enum Condition {
            $($variant,)*
        }

        impl Condition {
            /// Every condition, in the order of RFC 6120 § 8.3.3.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The condition's element name.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// The type that RFC 6120 § 8.3.3 says it SHOULD have; where that leaves a choice,
            /// the first one named.
            pub fn default_type(self) -> ErrorType {
                match self {
                    $(Self::$variant => ErrorType::$kind,)*
                }
            }
        }
    };
}

conditions! {
    BadRequest, "bad-request", Modify;
    Conflict, "conflict", Cancel;
    FeatureNotImplemented, "feature-not-implemented", Cancel;
    Forbidden, "forbidden", Auth;
    Gone, "gone", Cancel;
    InternalServerError, "internal-server-error", Cancel;
    ItemNotFound, "item-not-found", Cancel;
    JidMalformed, "jid-malformed", Modify;
    NotAcceptable, "not-acceptable", Modify;
    NotAllowed, "not-allowed", Cancel;
    NotAuthorized, "not-authorized", Auth;
    PolicyViolation, "policy-violation", Modify;
    RecipientUnavailable, "recipient-unavailable", Wait;
    Redirect, "redirect", Modify;
    RegistrationRequired, "registration-required", Auth;
    RemoteServerNotFound, "remote-server-not-found", Cancel;
    RemoteServerTimeout, "remote-server-timeout", Wait;
    ResourceConstraint, "resource-constraint", Wait;
    ServiceUnavailable, "service-unavailable", Cancel;
    SubscriptionRequired, "subscription-required", Auth;
    UndefinedCondition, "undefined-condition", Cancel;
    UnexpectedRequest, "unexpected-request", Wait;
}

impl Condition {
    /// The condition that an `<error/>` element names.
    pub fn of(error: Element<'_>) -> Option<Self> {
        let named = |child: Element<'_>| {
            Self::ALL
                .iter()
                .copied()
                .find(|condition| child.is(condition.name(), ns::STANZAS))
        };
        error.children().find_map(named)
    }
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
    /// What that condition says more.
    pub app_detail: Option<AppDetail>,
    /// The number of the error (XEP-0086), for clients that know nothing else.
    pub code: Option<&'static str>,
}

/// What an application-specific condition says more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppDetail {
    /// An attribute: name and value.
    Attribute(&'static str, &'static str),
    /// A child: its name, and the number in it.
    Number(&'static str, u64),
}

impl StanzaError {
    /// The condition with its default type.
    pub fn new(condition: Condition) -> Self {
        Self {
            condition,
            kind: condition.default_type(),
            text: None,
            app: None,
            app_detail: None,
            code: None,
        }
    }
    /// What an error stanza says, as far as the table of conditions knows it; `undefined-condition`
    /// of type `cancel` otherwise.
    pub fn read(stanza: &Stanza) -> Self {
        let error = stanza.content("error");
        let condition = error.and_then(Condition::of);
        let read = Self::new(condition.unwrap_or(Condition::UndefinedCondition));
        let kind = error.and_then(|error| ErrorType::from_name(&error.attr("type")?));
        Self {
            kind: kind.unwrap_or(read.kind),
            ..read
        }
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
    /// Adds an attribute to the application-specific condition.
    #[must_use]
    pub fn app_attr(mut self, name: &'static str, value: &'static str) -> Self {
        self.app_detail = Some(AppDetail::Attribute(name, value));
        self
    }
    /// Adds a child with a number to the application-specific condition.
    #[must_use]
    pub fn app_child(mut self, name: &'static str, number: u64) -> Self {
        self.app_detail = Some(AppDetail::Number(name, number));
        self
    }
    /// Adds the number that the error had before RFC 3920 (XEP-0086).
    #[must_use]
    pub fn code(mut self, code: &'static str) -> Self {
        self.code = Some(code);
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
        let mut writer = Writer::new(ns::CLIENT);
        self.write(&mut writer);
        writer.finish()
    }
    /// Writes the `<error/>` element where the stanza's content namespace is in scope.
    pub fn write(&self, writer: &mut Writer) {
        writer
            .start("error")
            .attr_opt("code", self.code)
            .attr("type", self.kind.name());
        writer.empty(self.condition.name(), ns::STANZAS);
        if let Some(text) = self.text {
            writer
                .start_ns("text", ns::STANZAS)
                .attr("xml:lang", "en")
                .text(text)
                .end();
        }
        if let Some((name, ns)) = self.app {
            writer.start_ns(name, ns);
            match self.app_detail {
                Some(AppDetail::Attribute(name, value)) => {
                    writer.attr(name, value);
                }
                Some(AppDetail::Number(name, number)) => {
                    writer.leaf(name, &number.to_string());
                }
                None => {}
            }
            writer.end();
        }
        writer.end();
    }
    /// The whole error stanza that answers `stanza` (RFC 6120 § 8.3.1: same kind, same id, `from`
    /// and `to` as given); `None` when an error must not be answered (type `error`, IQ `result`).
    /// The payload is left out, as the RFC allows.
    pub fn answer(&self, stanza: &Stanza, from: Option<&Jid>, to: Option<&Jid>) -> Option<Bytes> {
        let unanswerable = match stanza.type_attr().as_deref() {
            Some("error") => true,
            Some("result") => stanza.kind() == Kind::Iq,
            _ => false,
        };
        if unanswerable {
            return None;
        }
        let mut writer = Writer::new(ns::CLIENT);
        writer
            .start(stanza.kind().name())
            .attr_opt("to", to.map(Jid::as_str))
            .attr_opt("from", from.map(Jid::as_str))
            .attr_opt("id", stanza.id().as_deref())
            .attr("type", "error");
        self.write(&mut writer);
        Some(writer.finish())
    }
}

impl From<Condition> for StanzaError {
    fn from(condition: Condition) -> Self {
        Self::new(condition)
    }
}
