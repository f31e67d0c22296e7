//! SASL for XMPP (RFC 6120 § 6): SCRAM (RFC 5802, RFC 7677) with channel binding and protection
//! against downgrades (XEP-0474), PLAIN (RFC 4616), and tokens ([`FastExchange`], XEP-0484).
//!
//! The server's side is [`Exchange`]: messages and nonces in, [`Step`]s out. It needs the
//! account's [`Verifier`] on the way and asks for it; nothing here reads a store, a clock or a
//! source of randomness. An account that does not exist gets [`Verifier::fake`], and then all
//! bytes and all work are as for one that does. [`client`] is the other side.
//!
//! Parsers accept what the grammars say and nothing else: with SCRAM, leniency is how one side's
//! view of the negotiation comes to differ from the other's.

pub mod client;

mod base64;
mod channel_binding;
mod downgrade;
mod exchange;
mod failure;
mod fast;
mod hash;
mod mechanism;
mod scram;
mod verifier;

pub use base64::{decode, decode_initial, encode};
pub use channel_binding::{BindingType, ChannelBindings};
pub use exchange::{Exchange, Offer, Step};
pub use failure::Failure;
pub use fast::{
    FAST_CANDIDATES_MAX, FastCandidate, FastExchange, FastMechanism, FastSuccess, Token,
};
pub use hash::Hash;
pub use mechanism::{Mechanism, Method};
pub use verifier::{
    ITERATIONS_DEFAULT, PASSWORD_BYTES_MAX, PasswordError, SALT_BYTES, Verifier, Verifiers,
};

/// Octets of one decoded SASL message, at most. A PLAIN message with the longest names and
/// password fits.
pub const MESSAGE_BYTES_MAX: usize = 5 * 1024;

/// Octets of the client's nonce, at most; clients use 24 to 64.
pub const NONCE_BYTES_MAX: usize = 256;
