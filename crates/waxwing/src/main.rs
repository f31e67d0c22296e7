//! The server: a thin shell that owns sockets, files, signals and the clock, around an engine that
//! knows XMPP and nothing of them.
//!
//! ```text
//!   cli ──▶ config ──▶ server ──▶ net::listener ──▶ net::connection ──▶ engine ──▶ store
//!                        │            (who gets in)     (one task each)
//!                        │                 └──▶ http   what is served by HTTP
//!                        ├──▶ s2s           connections to other servers: DNS, TCP, whom to trust
//!                        ├──▶ relay         the relay for calls: its sockets
//!                        ├──▶ net::tls, certificates, certificate_watch
//!                        ├──▶ admin         commands of `waxwing user`, by a Unix socket
//!                        ├──▶ upkeep        what is done now and then
//!                        ├──▶ uploads       files that people have uploaded, on the disk
//!                        └──▶ telemetry     logs, /metrics, /health
//! ```

mod accounts;
mod admin;
mod certificate_watch;
mod cli;
mod config;
mod data;
mod devices;
mod env;
mod files;
mod http;
mod net;
mod relay;
mod s2s;
mod server;
mod telemetry;
mod upkeep;
mod uploads;

fn main() -> std::process::ExitCode {
    cli::main()
}
