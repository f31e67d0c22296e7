//! The load generator behind `cargo xtask bench`, and the bare relay it is compared with.
//!
//! Lean on purpose: stanzas are prepared bytes, and of what comes back only the ends of messages
//! are looked for. What is reported is the processor time and memory of the *server process*, as
//! the kernel counts them, because on a small machine load generator and server share the cores.
#![expect(
    clippy::print_stdout,
    reason = "its output is read by `cargo xtask bench`"
)]

mod chat;
mod client;
mod durable;
mod hibernate;
mod idle;
mod pages;
mod peer;
mod process;
mod pubsub;
mod relay;
mod rooms;
mod secure;

use std::{collections::HashMap, error::Error, net::SocketAddr};

/// Any failure ends the run.
pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const HELP: &str = "\
load certificate --folder F          writes certificate.pem and key.pem for `localhost`
load relay --folder F                serves plain and over TLS until it is killed
load chat OPTIONS                    one-to-one messages; prints microseconds of server CPU each
load durable OPTIONS                 one-to-one messages that are archived, between clients that
                                     acknowledge; prints names and values
load peer OPTIONS                    becomes another server, with a new folder
load pages OPTIONS                   reads the archive of an account; prints pages a second
load publish OPTIONS                  one item after the other for many subscribers; prints microseconds
                                     of server CPU for each notification
load contacts OPTIONS                 comes online with many contacts that have an item each; prints
                                     milliseconds of server CPU each time
load rooms OPTIONS                    entrances into rooms, and messages to all in them; prints names and
                                     values
load hibernate OPTIONS               sessions whose clients are away; prints KiB of memory each
load idle OPTIONS                    idle sessions; prints KiB of server memory each

options: --kind xmpp|relay --transport plain|tls --address A --pid P --folder F
         --pairs 50 --window 10 --messages 500000
         --seconds 8 --account receiver0 --readers 1 --peer prosody
         --sessions 5000 --accounts 1000 --contacts 500 --times 20
         --service groups.localhost --rooms 1 --occupants 500";

fn main() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(run())
}

async fn run() -> Result<()> {
    let mut words = std::env::args().skip(1);
    let command = words.next().unwrap_or_default();
    let options = Options::parse(words)?;
    process::raise_open_files()?;
    match command.as_str() {
        "certificate" => secure::make_certificate(&options.folder()),
        "relay" => relay::serve(&options.folder()).await,
        "chat" => chat::run(&options).await,
        "durable" => durable::run(&options).await,
        "peer" => peer::become_server(&options),
        "pages" => pages::run(&options).await,
        "publish" => pubsub::publish(&options).await,
        "contacts" => pubsub::contacts(&options).await,
        "rooms" => rooms::run(&options).await,
        "hibernate" => hibernate::run(&options).await,
        "idle" => idle::run(&options).await,
        _ => Err(HELP.into()),
    }
}

/// `--name value` pairs.
pub(crate) struct Options(HashMap<String, String>);

impl Options {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = HashMap::new();
        while let Some(word) = words.next() {
            let name = word.strip_prefix("--").ok_or(HELP)?;
            options.insert(name.to_owned(), words.next().ok_or(HELP)?);
        }
        Ok(Self(options))
    }

    /// A number, or its default.
    pub(crate) fn number(&self, name: &str, default: usize) -> Result<usize> {
        match self.0.get(name) {
            Some(text) => Ok(text.parse()?),
            None => Ok(default),
        }
    }

    /// A word, or its default.
    pub(crate) fn text<'a>(&'a self, name: &str, default: &'a str) -> &'a str {
        self.0.get(name).map_or(default, String::as_str)
    }

    /// The folder with the certificate.
    pub(crate) fn folder(&self) -> std::path::PathBuf {
        self.0.get("folder").map_or(".", String::as_str).into()
    }

    /// The server's process.
    pub(crate) fn pid(&self) -> Result<u32> {
        Ok(self.0.get("pid").ok_or("--pid is missing")?.parse()?)
    }

    /// Where the server listens.
    pub(crate) fn address(&self) -> Result<SocketAddr> {
        let address = self.0.get("address").ok_or("--address is missing")?;
        Ok(address.parse()?)
    }

    /// Where and how to connect.
    pub(crate) fn peer(&self) -> Result<client::Peer> {
        let address = self.address()?;
        let is = |name: &str, value: &str| self.0.get(name).is_some_and(|given| given == value);
        Ok(client::Peer {
            address,
            tls: if is("transport", "plain") {
                None
            } else {
                Some(secure::client(&self.folder())?)
            },
            relay: is("kind", "relay"),
        })
    }
}
