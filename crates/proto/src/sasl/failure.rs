//! Why authentication failed.

/// SASL error conditions (RFC 6120 § 6.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Failure {
    /// The client sent `<abort/>`.
    Aborted,
    /// The account is disabled for the time being.
    AccountDisabled,
    /// The credentials are too old.
    CredentialsExpired,
    /// The mechanism needs TLS first.
    EncryptionRequired,
    /// The message is not base64.
    IncorrectEncoding,
    /// The client asked to act as somebody else than it authenticates as.
    InvalidAuthzid,
    /// The mechanism is not one we offered.
    InvalidMechanism,
    /// The message breaks the mechanism's grammar, or comes out of turn.
    MalformedRequest,
    /// The mechanism is weaker than policy allows for the account.
    MechanismTooWeak,
    /// Wrong credentials: which of user, password and channel binding is not told.
    NotAuthorized,
    /// The fault is ours; the client may try again.
    TemporaryAuthFailure,
}

impl Failure {
    /// The element's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Aborted => "aborted",
            Self::AccountDisabled => "account-disabled",
            Self::CredentialsExpired => "credentials-expired",
            Self::EncryptionRequired => "encryption-required",
            Self::IncorrectEncoding => "incorrect-encoding",
            Self::InvalidAuthzid => "invalid-authzid",
            Self::InvalidMechanism => "invalid-mechanism",
            Self::MalformedRequest => "malformed-request",
            Self::MechanismTooWeak => "mechanism-too-weak",
            Self::NotAuthorized => "not-authorized",
            Self::TemporaryAuthFailure => "temporary-auth-failure",
        }
    }

    /// A text for the user, in English. It depends on nothing but the condition, so that it tells
    /// nothing more.
    pub fn text(self) -> &'static str {
        match self {
            Self::Aborted => "Authentication was aborted.",
            Self::AccountDisabled => "This account is disabled.",
            Self::CredentialsExpired => "These credentials have expired.",
            Self::EncryptionRequired => "This mechanism needs an encrypted connection.",
            Self::IncorrectEncoding => "The SASL data is not valid base64.",
            Self::InvalidAuthzid => "Acting as another account is not possible.",
            Self::InvalidMechanism => "This mechanism is not available.",
            Self::MalformedRequest => "The SASL message is malformed.",
            Self::MechanismTooWeak => "This account needs a stronger mechanism.",
            Self::NotAuthorized => "Wrong user name or password.",
            Self::TemporaryAuthFailure => {
                "The server cannot authenticate you now; try again later."
            }
        }
    }
}
