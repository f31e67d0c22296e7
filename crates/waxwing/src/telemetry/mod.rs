//! What an admin can see: logs, metrics, health. None of it leaves the machine by itself.

pub(crate) mod http;
pub(crate) mod logging;
pub(crate) mod metrics;
