//! The wire of XMPP in one crate, without input, output, clock or randomness.
//!
//! Bytes become one top-level element at a time ([`xml::Framer`]); an element is the received
//! bytes plus a flat index ([`xml::Tree`]); a stanza is edited as a [`stanza::Draft`] and sent as
//! a [`stanza::Sealed`] that shares the received bytes. Streams and SASL are state machines:
//! input in, effects out ([`stream`], [`sasl`]).

pub mod caps;
pub mod csi;
pub mod form;
pub mod jid;
pub mod ns;
mod precis;
pub mod rsm;
pub mod sasl;
pub mod sm;
pub mod stanza;
pub mod stream;
pub mod time;
pub mod turn;
pub mod xml;

pub use jid::{BareJid, FullJid, Jid, JidError};
