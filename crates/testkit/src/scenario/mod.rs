//! Scenarios: who sends what and who receives what, as data (`scenarios/**/*.scn`).
//!
//! The format is described in `scenarios/README.md`. A [`Scenario`] is parsed text; [`play`] acts
//! it out on a [`crate::subject::Subject`].

mod parse;
mod play;
mod template;

pub use parse::{ParseError, parse};
pub use play::play;
pub use template::{Bindings, Mismatch, Pattern, Template, parse_templates};

use std::time::Duration;

/// One play: a header and steps.
#[derive(Debug, Clone, Default)]
pub struct Scenario {
    /// What it shows, one sentence.
    pub title: String,
    /// Requirements it proves, ids of `scenarios/spec/*.tsv`.
    pub proves: Vec<String>,
    /// Other sections it follows, for readers.
    pub see: Vec<String>,
    /// Localparts of the accounts that exist when it starts.
    pub accounts: Vec<String>,
    /// Domains of the external components that the server knows (XEP-0114).
    pub components: Vec<String>,
    /// Subscriptions that exist when it starts.
    pub rosters: Vec<RosterEntry>,
    /// Settings that differ from the defaults of the tests.
    pub settings: Vec<(String, String)>,
    /// Subjects it is limited to, with the reason; empty for all.
    pub only: Vec<String>,
    /// Why Prosody is known to behave otherwise.
    pub prosody_differs: Option<String>,
    /// What happens.
    pub steps: Vec<Step>,
}

/// A subscription that exists from the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RosterEntry {
    /// Whose roster (a localpart).
    pub user: String,
    /// A state of RFC 6121 § A.1 as the user has it: `none`, `none+out`, `none+in`, `none+out+in`,
    /// `to`, `to+in`, `from`, `from+out` or `both`.
    pub subscription: String,
    /// The contact (a localpart).
    pub contact: String,
}

/// One line of the play.
#[derive(Debug, Clone)]
pub struct Step {
    /// Line in the file, from 1.
    pub line: usize,
    /// What happens.
    pub action: Action,
}

/// What a line says.
#[derive(Debug, Clone)]
pub enum Action {
    /// An actor does or receives something.
    Actor(Actor, Deed),
    /// The fake clock moves on.
    TimePasses(Duration),
    /// Something happens to the server.
    Server(Fate),
}

/// What happens to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// `the server stops`: in good order.
    Stops,
    /// `the server crashes`: without a word; what was promised must be on disk.
    Crashes,
    /// `the server starts` again, with the same data.
    Starts,
}

/// A client: `alice/phone`, or `carol` where no resource matters; or the domain of a component.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Actor {
    /// Localpart of the account.
    pub user: String,
    /// Resource to bind; empty for none.
    pub resource: String,
}

impl std::fmt::Display for Actor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.resource.is_empty() {
            f.write_str(&self.user)
        } else {
            write!(f, "{}/{}", self.user, self.resource)
        }
    }
}

/// How far a login goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    /// SASL done, stream restarted, features read.
    Authenticated,
    /// Resource bound.
    Bound,
    /// Roster fetched and initial presence sent; the presence that this causes is consumed for
    /// everybody.
    Available,
}

/// How a client logs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// How far.
    pub depth: Depth,
    /// Priority of the initial presence.
    pub priority: Option<i8>,
    /// SASL mechanism; the client's choice if `None`.
    pub mechanism: Option<String>,
    /// Password; the account's if `None`.
    pub password: Option<String>,
    /// By the extensible SASL profile, with the resource as a tag.
    pub sasl2: bool,
    /// STARTTLS instead of direct TLS.
    pub starttls: bool,
    /// The SASL failure condition that is expected instead of success.
    pub fails: Option<String>,
}

/// What an actor does or sees.
#[derive(Debug, Clone)]
pub enum Deed {
    /// `connects`, `binds`, `authenticates`, `fails to authenticate`.
    LogsIn(Login),
    /// `opens raw` (inside direct TLS) or `opens plain` (before STARTTLS): bytes and nothing else.
    Opens {
        /// Without TLS.
        plain: bool,
    },
    /// `attaches`: as an external component (XEP-0114), the handshake included.
    Attaches,
    /// `opens component`: a connection where components connect, and nothing else.
    OpensComponent,
    /// `starts TLS`: the handshake, after `<proceed/>`.
    StartsTls,
    /// `sends`: well-formed stanzas.
    Sends(Pattern),
    /// `sends raw`: any bytes (`\xNN` escapes).
    SendsRaw(Vec<Raw>),
    /// `receives`: exactly these, next.
    Receives {
        /// What must come.
        templates: Vec<Template>,
        /// In any order.
        unordered: bool,
    },
    /// `receives nothing`.
    ReceivesNothing,
    /// `receives stream`: a stream's start tag.
    ReceivesStream(Box<Template>),
    /// `receives stream error CONDITION`, which also ends the stream.
    ReceivesStreamError(String),
    /// `is closed`: the stream's end tag, then the end of the connection.
    IsClosed,
    /// `is cut`: the end of the connection without an end tag.
    IsCut,
    /// `ignores presence` or `ignores everything` received so far.
    Ignores {
        /// Only presence.
        presence_only: bool,
    },
    /// `disconnects`: closes; the presence this causes is consumed for everybody.
    Disconnects,
    /// `closes`: the stream's end tag; the consequences are for others to receive.
    Closes,
    /// `drops`: the connection goes without a word.
    Drops,
}

impl Deed {
    /// Whether it only looks at what comes.
    fn is_passive(&self) -> bool {
        matches!(
            self,
            Self::Receives { .. }
                | Self::ReceivesNothing
                | Self::ReceivesStream(_)
                | Self::ReceivesStreamError(_)
                | Self::IsClosed
                | Self::IsCut
                | Self::Ignores { .. }
        )
    }
}

/// A piece of what `sends raw` sends.
#[derive(Debug, Clone)]
pub enum Raw {
    /// Text with holes.
    Text(Pattern),
    /// One byte given as `\xNN`.
    Byte(u8),
}
