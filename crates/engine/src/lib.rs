//! XMPP server logic: sessions, routing, rosters, presence and features.
//!
//! Knows no socket, no disk and no clock: bytes come and go through [`Connection`], what must be
//! kept goes through [`waxwing_store::Store`], time and randomness come from [`Env`].

pub mod account;
pub mod auth;
pub mod clients;
mod component;
mod connection;
pub mod deliverer;
mod engine;
pub mod env;
pub mod error;
pub mod feature;
pub mod features;
mod federation;
mod hibernation;
pub mod metrics;
pub mod omemo;
pub mod outbox;
pub mod output;
pub mod presence;
pub mod reference;
pub mod registry;
pub mod roster;
pub mod route;
mod served;
pub mod session;
mod settings;
pub mod subscription;
#[cfg(not(shuttle))]
mod sync;
#[cfg(shuttle)]
pub mod sync;

pub use component::{ComponentConnection, ComponentEvent};
pub use connection::{Connection, Event, Status};
pub use engine::Engine;
pub use env::Env;
pub use feature::Service;
pub use features::upload;
pub use federation::{
    Dial, DialFailure, IncomingConnection, IncomingEvent, OutgoingConnection, OutgoingEvent,
};
pub use served::Served;
pub use settings::{
    Archives, Clients, ComponentSettings, Contacts, Creators, DomainSettings, Federation, Limits,
    PubSub, Push, RelaySettings, RoomTemplate, ServiceSettings, Settings, Uploads,
};
