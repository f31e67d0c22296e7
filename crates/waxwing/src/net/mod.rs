//! Sockets: who may connect, TLS, and the one task of each connection.

pub(crate) mod admission;
pub(crate) mod certificates;
pub(crate) mod connection;
pub(crate) mod endpoint;
pub(crate) mod listener;
pub(crate) mod tls;
pub(crate) mod transport;
