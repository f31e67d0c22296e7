//! A relay for calls between people whose networks do not let them reach each other: TURN (RFC 8656),
//! and STUN (RFC 8489), which tells a client where it comes from.
//!
//! [`Turn`] is a machine: datagrams and the time go in, [`Effect`]s come out. It owns no socket; the
//! addresses that it relays from are opened by its owner. Who may have one is said by names that the
//! server makes ([`Credentials`]) and that end by themselves.

mod allocation;
pub mod attribute;
mod credentials;
mod message;
mod peers;
mod requests;
mod server;

pub use credentials::Credentials;
pub use message::{Class, Message, Writer};
pub use peers::is_public;
pub use server::{Client, Effect, Family, Limits, Settings, Turn};
