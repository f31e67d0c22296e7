//! Rooms ([XEP-0045](https://xmpp.org/extensions/xep-0045.html), 1.35.5).
//!
//! [`room`] is the machine: what has happened goes in, what is to be sent comes out. [`rights`] is
//! the table it asks, [`config`] the options of rooms. [`entering`], [`speech`], [`people`],
//! [`owner`], [`invite`] and [`registration`] are what can happen, by who makes it happen.
//!
//! Decisions on what XEP-0045 leaves open:
//! - Nicks are compared by their look, whatever their case. Two accounts cannot have nicks that look
//!   alike, one account can be here with several sessions under one nick or under several.
//! - A new room is locked until its owner has configured it, and gone if the owner goes before.
//!   Unless the owner says otherwise it is open, hidden, semi-anonymous, archived and temporary.
//! - A destroyed room's name can be had again only by whoever destroyed it.
//! - In non-anonymous rooms members may read the lists of members, admins and owners; the archive
//!   says who was who (clients need both for end-to-end encryption).
//! - Owners can be removed by owners, as long as one is left.
//! - A moderator of no higher affiliation cannot remove another moderator.
//! - Whoever is invited to a room for members becomes one; nobody is invited by being made one.
//! - Presence is told to all, whatever the role (`presencebroadcast` is not offered).
#![expect(
    dead_code,
    reason = "the machine comes first, its place in the server next"
)]

mod config;
mod entering;
mod errors;
mod invite;
mod nick;
mod owner;
mod people;
mod registration;
mod rights;
mod room;
mod speech;
mod tell;
#[cfg(test)]
mod tests;
