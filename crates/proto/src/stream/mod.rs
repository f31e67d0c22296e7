//! Stream machines (RFC 6120 § 4), without any input or output.
//!
//! [`C2sStream`] is one client's connection across its restarts: header, STARTTLS, SASL, binding,
//! then stanzas. It is *pulled*: the owner reads bytes into a buffer and calls
//! [`C2sStream::next_effect`] until it gives `None`, carrying out each [`Effect`] in order. One
//! call takes at most one element off the buffer, so a session that must wait (its queue is full,
//! a commit is slow) simply stops calling, then stops reading, and TCP slows the peer down.
//!
//! ```text
//!   socket ─read→ BytesMut ─next_effect→ Send / StartTls / Close      carried out by the transport
//!                              │    └──→ Authenticated / Stanza / …   news for the session
//!                              └───────→ Credentials / Bind / Register: questions
//!   answer(Reply) ←───────────────────── one for each question
//! ```
//!
//! Some effects are questions: [`Effect::Credentials`], [`Effect::Bind`], [`Effect::Register`], and
//! where the settings offer more than RFC 6120 also [`Effect::FastTokens`], [`Effect::Upgrade`],
//! [`Effect::Login`], [`Effect::Resume`] and [`Effect::EnableSm`]. Until [`C2sStream::answer`] is called the machine takes nothing off the
//! buffer ([`C2sStream::awaits_answer`]); what a client pipelined meanwhile stays there. After
//! [`Effect::StartTls`] the machine waits in the same way for [`C2sStream::tls_started`], but bytes
//! that arrive in clear by then end the stream (threat of CVE-2011-0411).
//!
//! Servers' streams ([`s2s`]) and components' ([`component`]) are machines of the same kind.
//!
//! A client's stream may be carried by messages of a WebSocket instead ([`websocket`]); the machine is the
//! same.
//!
//! The machine has no clock: how long a stream may take to authenticate, or be idle, is its
//! owner's business ([`C2sStream::is_authenticated`], [`C2sStream::close`]).

mod auth;
mod bind;
mod c2s;
pub mod component;
mod content;
mod effect;
mod error;
mod features;
mod header;
mod login;
pub mod s2s;
mod sasl1;
mod sasl2;
mod settings;
pub mod websocket;
mod wire;

pub use c2s::C2sStream;
pub use effect::{Effect, End, Reply};
pub use error::{StreamCondition, StreamError};
pub use login::{
    BindRequest, Bound, LoggedIn, Login, NewToken, Opening, Resumed, TAG_BYTES_MAX, TokenUsed,
    USER_AGENT_TEXT_BYTES_MAX, UserAgent,
};
pub use settings::{C2sSettings, Caps, HostSettings, Ids, Sasl2Settings, TlsInfo, Transport};

/// Lower-case hexadecimal digits, in which handshakes and dialback keys are written.
fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(nibble.into(), 16).unwrap_or_default();
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

#[cfg(test)]
mod tests;
