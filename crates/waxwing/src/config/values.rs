//! Types of settings: what is wrong is refused while reading, at the place where it stands.

use serde::{Deserialize, Serialize};
use waxwing_engine::Service;
use waxwing_proto::BareJid;
use waxwing_proto::sasl::Mechanism;
use waxwing_proto::stream::component::Secret;
use waxwing_proto::stream::s2s::Policy;

/// A domain that this server answers for, prepared as RFC 7622 § 3.2 asks.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Domain(String);

impl Domain {
    /// The prepared domainpart.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Domain {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        match BareJid::from_parts(None, &text) {
            Ok(jid) => Ok(Self(jid.domain().to_owned())),
            Err(_) => Err(format!(
                "`{}` is not a domain; write the part behind the @ of your addresses, such as \
                 \"example.org\"",
                text.escape_default()
            )),
        }
    }
}

impl From<Domain> for String {
    fn from(domain: Domain) -> Self {
        domain.0
    }
}

impl std::fmt::Display for Domain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// What stands before a domain to name one below it; may be empty.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Label(String);

impl Label {
    /// The usual one of a service.
    pub(crate) fn usual(service: Service) -> Self {
        Self(service.label().to_owned())
    }

    /// The domain below `domain`; `None` if the label is empty.
    pub(crate) fn below(&self, domain: &Domain) -> Option<Domain> {
        let Self(label) = self;
        let name = format!("{label}.{domain}");
        Domain::try_from(name).ok().filter(|_| !label.is_empty())
    }
}

impl TryFrom<String> for Label {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        if text.is_empty() || BareJid::from_parts(None, &format!("{text}.example")).is_ok() {
            return Ok(Self(text));
        }
        Err(format!(
            "`{}` cannot be the first part of a domain; write one such as \"pubsub\", or \"\" for none",
            text.escape_default()
        ))
    }
}

impl From<Label> for String {
    fn from(label: Label) -> Self {
        label.0
    }
}

/// A secret, as it stands in the file. It is not shown in messages.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct SecretText(Secret);

impl SecretText {
    /// The secret.
    pub(crate) fn secret(&self) -> Secret {
        self.0.clone()
    }
}

impl TryFrom<String> for SecretText {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, &'static str> {
        if text.len() < SECRET_BYTES_MIN {
            return Err(
                "is too short to be a secret; take 16 characters of chance or more, such as \
                        what `openssl rand -hex 20` prints",
            );
        }
        Ok(Self(Secret::new(text)))
    }
}

/// Bytes of the shortest secret that is taken: whoever can try may try often.
const SECRET_BYTES_MIN: usize = 8;

/// Who may make nodes at a publish-subscribe service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum CreatorsName {
    /// The accounts of this server.
    Accounts,
    /// Everybody.
    Anyone,
    /// Nobody.
    Nobody,
}

/// What a new room is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum TemplateName {
    /// Open, and gone with the last occupant.
    Open,
    /// For members.
    Group,
    /// Public.
    Channel,
    /// Public, and newcomers only listen.
    Announcements,
}

/// What another server must show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum PolicyName {
    /// Nothing is exchanged with it.
    Block,
    /// A certificate for its domain.
    Certificate,
    /// That the DNS leads to it.
    Dialback,
}

impl From<PolicyName> for Policy {
    fn from(name: PolicyName) -> Self {
        match name {
            PolicyName::Block => Self::Block,
            PolicyName::Certificate => Self::Certificate,
            PolicyName::Dialback => Self::Dialback,
        }
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// One line for people.
    Text,
    /// One JSON object a line, for collectors.
    Json,
}

/// What is logged: a level, or levels by module such as `info,waxwing_engine=debug`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct LogLevel(String);

impl LogLevel {
    /// Ordinary running.
    pub(crate) fn info() -> Self {
        Self("info".to_owned())
    }

    /// The filter it stands for.
    pub(crate) fn filter(&self) -> tracing_subscriber::filter::Targets {
        self.0.parse().unwrap_or_else(|_| {
            tracing_subscriber::filter::Targets::new().with_default(tracing::Level::INFO)
        })
    }
}

impl TryFrom<String> for LogLevel {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let known = |part: &str| {
            let level = part.rsplit('=').next().unwrap_or(part).trim();
            ["off", "error", "warn", "info", "debug", "trace"].contains(&level)
        };
        if text.split(',').all(known) && text.parse::<tracing_subscriber::filter::Targets>().is_ok()
        {
            Ok(Self(text))
        } else {
            Err(format!(
                "`{}` is not a log level; write error, warn, info, debug or trace, or levels by \
                 module such as \"info,waxwing_engine=debug\"",
                text.escape_default()
            ))
        }
    }
}

impl From<LogLevel> for String {
    fn from(level: LogLevel) -> Self {
        level.0
    }
}

/// An address of XEP-0157: a URI such as `mailto:…` or `xmpp:…`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct ContactUri(String);

impl ContactUri {
    /// The URI.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ContactUri {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let scheme = text.split_once(':').map_or("", |(scheme, _)| scheme);
        let starts_well = scheme.starts_with(|c: char| c.is_ascii_alphabetic());
        if starts_well
            && scheme
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
            && !text.chars().any(|c| c.is_control() || c.is_whitespace())
        {
            Ok(Self(text))
        } else {
            Err(format!(
                "`{}` is not a contact address; write a URI such as \
                 \"mailto:abuse@example.org\" or \"xmpp:admin@example.org\"",
                text.escape_default()
            ))
        }
    }
}

impl From<ContactUri> for String {
    fn from(uri: ContactUri) -> Self {
        uri.0
    }
}

/// `https://` and a host, with or without a port; no path.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct WebUrl(String);

impl WebUrl {
    /// Host, and port if there is one.
    pub(crate) fn authority(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for WebUrl {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let authority = text.strip_prefix("https://").unwrap_or_default();
        let authority = authority.strip_suffix('/').unwrap_or(authority);
        let parsed = authority.parse::<hyper::http::uri::Authority>();
        let is_plain = parsed.is_ok_and(|parsed| !parsed.as_str().contains('@'));
        if is_plain {
            return Ok(Self(authority.to_owned()));
        }
        Err(format!(
            "`{}` is not such an address; write one such as \"https://xmpp.example.org\"",
            text.escape_default()
        ))
    }
}

impl From<WebUrl> for String {
    fn from(url: WebUrl) -> Self {
        format!("https://{}", url.0)
    }
}

/// The name of a SASL mechanism.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct MechanismName(Mechanism);

impl MechanismName {
    /// The mechanism.
    pub(crate) const fn mechanism(self) -> Mechanism {
        self.0
    }
}

impl TryFrom<String> for MechanismName {
    type Error = String;
    fn try_from(name: String) -> Result<Self, String> {
        Mechanism::from_name(&name).map(Self).ok_or_else(|| {
            let all = Mechanism::ALL.map(Mechanism::name).join(", ");
            format!(
                "`{}` is no mechanism; there are {all}",
                name.escape_default()
            )
        })
    }
}

impl From<MechanismName> for String {
    fn from(name: MechanismName) -> Self {
        name.0.name().to_owned()
    }
}

/// A number of things that may not be nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(try_from = "u32", into = "u32")]
pub(crate) struct AtLeastOne(u32);

impl AtLeastOne {
    /// `number`, or one if it is nothing.
    pub(crate) const fn new(number: u32) -> Self {
        Self(if number == 0 { 1 } else { number })
    }

    /// The number, one or more.
    pub(crate) const fn count(self) -> u32 {
        self.0
    }

    /// The number as a size.
    pub(crate) fn size(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }

    /// The number as a duration in days.
    pub(crate) fn days(self) -> std::time::Duration {
        std::time::Duration::from_hours(24 * u64::from(self.0))
    }

    /// The number as a duration in seconds.
    pub(crate) const fn seconds(self) -> std::time::Duration {
        std::time::Duration::from_secs(self.0 as u64)
    }
}

impl TryFrom<u32> for AtLeastOne {
    type Error = &'static str;
    fn try_from(number: u32) -> Result<Self, &'static str> {
        match number {
            0 => Err("must be 1 or more; leave the line out for the default"),
            _ => Ok(Self(number)),
        }
    }
}

impl From<AtLeastOne> for u32 {
    fn from(number: AtLeastOne) -> Self {
        number.0
    }
}
