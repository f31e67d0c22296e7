//! What a client asks for together with its authentication (XEP-0388, 0386, 0198, 0484), and what
//! it gets.

use crate::sasl::{FastMechanism, Token};
use crate::stanza::Condition;
use crate::{BareJid, FullJid, csi, sm};
use bytes::Bytes;

/// Bytes of what a client says about its software or device; what is beyond is cut off.
pub const USER_AGENT_TEXT_BYTES_MAX: usize = 256;

/// Bytes of the tag that a client wishes its resource to begin with; a longer one is ignored.
pub const TAG_BYTES_MAX: usize = 256;

/// What a client asks for. Resumption is tried first, and only if that fails a resource is bound
/// (XEP-0386 § 3.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// Who the client is; authenticated.
    pub jid: BareJid,
    /// Which installation it is, by its own account.
    pub user_agent: UserAgent,
    /// A session to resume.
    pub resume: Option<sm::Resume>,
    /// A resource to bind, if nothing is resumed.
    pub bind: Option<BindRequest>,
    /// The token that it has authenticated with.
    pub token_used: Option<TokenUsed>,
    /// It wants a token for this mechanism (XEP-0484 § 3.2).
    pub token_wanted: Option<FastMechanism>,
}

/// What a client says about itself (XEP-0388 § 2.3). For the account's owner only: never to be
/// shown to others, and the id not even as a part of a resource.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserAgent {
    /// Of the installation: a UUID in lower case.
    pub id: Option<String>,
    /// Name of the software.
    pub software: Option<String>,
    /// Name of the device.
    pub device: Option<String>,
}

/// A request to bind a resource, with what is to be on from the first moment (XEP-0386 § 3.2).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BindRequest {
    /// What the resource should begin with.
    pub tag: Option<String>,
    /// Stream management (XEP-0198 § 9.1).
    pub sm: Option<sm::Enable>,
    /// Carbons (XEP-0280).
    pub carbons: bool,
    /// The client's state (XEP-0352).
    pub csi: csi::State,
}

/// A token in use (XEP-0484 § 3.4). Its use is proven; what follows from it is for the owner of
/// the tokens: all older ones of the client are void now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenUsed {
    /// Which of the candidates it was, from zero.
    pub candidate: usize,
    /// The client's count, to be kept: a later use must have a higher one.
    pub count: Option<u32>,
    /// The client wants this token to be void at once (§ 3.6). No new one is given then unless
    /// [`Login::token_wanted`].
    pub invalidate: bool,
}

/// The answer to a [`Login`].
#[derive(Debug, Clone)]
pub struct LoggedIn {
    /// A new token, because one was wanted or the old one is to be replaced (XEP-0484 § 3.3, 3.5).
    pub token: Option<NewToken>,
    /// Which session the stream has now.
    pub session: Opening,
}

/// A token for the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewToken {
    /// The token.
    pub token: Token,
    /// Until when it is valid, in microseconds since 1970 UTC.
    pub expiry_micros: i64,
}

/// The session of a stream that has just authenticated.
#[derive(Debug, Clone)]
pub enum Opening {
    /// The session that was to be resumed. What the client has not acknowledged follows.
    Resumed(Resumed),
    /// A new session.
    Bound {
        /// Why none was resumed, if that was asked for.
        not_resumed: Option<sm::Failed>,
        /// The new session.
        session: Bound,
    },
    /// None: none was asked for, or there is none to be had. The client can bind a resource by
    /// itself (RFC 6120 § 7) and learns then what is wrong.
    Unbound {
        /// Why none was resumed, if that was asked for.
        not_resumed: Option<sm::Failed>,
    },
}

/// A session that goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resumed {
    /// Its address.
    pub jid: FullJid,
    /// Stanzas of the client handled in it, modulo 2^32.
    pub h: u32,
}

/// A session that begins.
#[derive(Debug, Clone)]
pub struct Bound {
    /// Its address.
    pub jid: FullJid,
    /// Stream management, or why not, if it was asked for.
    pub sm: Option<Result<sm::Enabled, Condition>>,
    /// More children of `<bound/>`, each with its namespace declared: the state of the archive
    /// (XEP-0313 § 7).
    pub more: Bytes,
}
