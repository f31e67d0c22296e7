//! What scenarios cannot say well: commits that are held back or fail, full queues, races between
//! a commit and somebody who comes or goes, and time.

mod acknowledge;
mod archive;
mod commit;
mod delivery;
mod environment;
mod far;
mod federation;
mod hibernation;
mod login;
mod network;
mod pubsub;
mod resumption;
mod revocation;
mod rooms;
mod roster;
mod server;
mod sessions;
mod upgrade;
