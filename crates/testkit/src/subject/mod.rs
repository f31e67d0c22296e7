//! What scenarios are acted out on: the engine in memory, our binary over TLS, or Prosody as the
//! oracle of what we believe the specifications say.

mod accounts;
mod binary;
mod memory;
mod network;
mod prosody;

use crate::{
    client::{Connected, Wire},
    scenario::{Action, Fate, Scenario, Step},
};
pub use memory::Memory;
pub use network::{Network, free_port};
use std::time::Duration;

/// The domain that all subjects serve.
pub const DOMAIN: &str = "localhost";

/// How long to wait for what must come.
const PATIENCE: Duration = Duration::from_secs(10);

/// The same where it is expected that something does not.
const PATIENCE_WITH_OTHERS: Duration = Duration::from_secs(3);

/// Which subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The engine in this process, on a fake clock.
    Memory,
    /// Our binary in another process, over TLS.
    Tls,
    /// Prosody, as packaged.
    Prosody,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Memory, Self::Tls, Self::Prosody];

    /// As the command line and the scenarios' headers name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Tls => "tls",
            Self::Prosody => "prosody",
        }
    }
    /// The subject of a name.
    pub fn parse(name: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.name() == name)
            .ok_or_else(|| format!("no subject is called {name:?}"))
    }
    /// Whether it runs on a fake clock, in one thread.
    pub fn is_exact(self) -> bool {
        self == Self::Memory
    }
    /// Why a scenario is not acted out on this subject; `None` if it is.
    pub fn skips(self, scenario: &Scenario) -> Option<String> {
        if !scenario.only.is_empty() && !scenario.only.iter().any(|only| only == self.name()) {
            return Some(format!("only on {}", scenario.only.join(", ")));
        }
        let waits = |step: &Step| matches!(step.action, Action::TimePasses(_));
        if !self.is_exact() && scenario.steps.iter().any(waits) {
            return Some("time does not pass by order here".into());
        }
        if self == Self::Prosody && !scenario.settings.is_empty() {
            return Some("needs settings of ours".into());
        }
        None
    }
    /// Why a scenario is expected to fail on this subject; `None` if it must pass.
    pub fn differs(self, scenario: &Scenario) -> Option<&str> {
        let reason = scenario.prosody_differs.as_deref();
        reason.filter(|_| self == Self::Prosody)
    }
    /// Starts a fresh subject for one scenario.
    pub async fn start(self, scenario: &Scenario) -> Result<Subject, String> {
        match self {
            Self::Memory => Memory::start(scenario)
                .await
                .map(|memory| Subject::Memory(Box::new(memory))),
            Self::Tls => binary::start(scenario).await.map(Subject::network),
            Self::Prosody => prosody::start(scenario).await.map(Subject::network),
        }
    }
}

/// A running server with the accounts of one scenario.
pub enum Subject {
    /// In this process.
    Memory(Box<Memory>),
    /// Another process.
    Network(Box<Network>),
}

impl Subject {
    fn network(network: Network) -> Self {
        Self::Network(Box::new(network))
    }
    /// The domain served.
    pub fn domain(&self) -> &'static str {
        DOMAIN
    }
    /// The password of an account.
    pub fn password(&self, user: &str) -> String {
        password(user)
    }
    /// Whether [`Subject::rest`] alone makes all consequences of the past happen.
    pub fn is_exact(&self) -> bool {
        matches!(self, Self::Memory(_))
    }
    /// How long to wait for what must come: fake time in memory, where it costs nothing.
    pub fn patience(&self) -> Duration {
        match self {
            Self::Memory(_) => PATIENCE,
            Self::Network(network) => network.patience(),
        }
    }
    /// A new connection: with TLS from the first byte, or plain, for STARTTLS.
    pub async fn connect(&self, plain: bool) -> Result<Connected, String> {
        match self {
            Self::Memory(memory) => Ok(memory.connect(plain)),
            Self::Network(network) => network.connect(plain).await,
        }
    }
    /// A new connection where components connect.
    pub async fn connect_component(&self) -> Result<Connected, String> {
        match self {
            Self::Memory(memory) => Ok(memory.connect_component()),
            Self::Network(network) => network.connect_component().await,
        }
    }
    /// The secret of a component.
    pub fn secret(&self, domain: &str) -> String {
        secret(domain)
    }
    /// TLS over a plain connection, after `<proceed/>`.
    pub async fn upgrade(&self, wire: Box<dyn Wire>) -> Result<Connected, String> {
        match self {
            Self::Memory(_) => Ok(Memory::upgrade(wire)),
            Self::Network(network) => network.upgrade(wire).await,
        }
    }
    /// Lets the server come to rest, where that can be known.
    pub async fn rest(&self) {
        match self {
            Self::Memory(_) => Memory::rest().await,
            Self::Network(_) => {}
        }
    }
    /// Stops, crashes or starts the server.
    pub async fn suffer(&self, fate: Fate) -> Result<(), String> {
        match self {
            Self::Memory(memory) => memory.suffer(fate).await,
            Self::Network(network) => network.suffer(fate).await,
        }
    }
    /// Moves the fake clock.
    pub async fn advance(&self, time: Duration) -> Result<(), String> {
        match self {
            Self::Memory(_) => {
                tokio::time::sleep(time).await;
                Ok(())
            }
            Self::Network(_) => Err(format!("{time:?} cannot pass by order here")),
        }
    }
}

fn secret(domain: &str) -> String {
    format!("{domain}-secret")
}

fn password(user: &str) -> String {
    format!("{user}-password")
}
