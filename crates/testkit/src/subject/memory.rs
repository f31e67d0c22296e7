//! The engine in this process: pipes instead of sockets, a fake clock, seeded chance.
//!
//! Everything runs in one thread on a paused clock, which moves only when nobody has anything left
//! to do. So a sleep of one tick returns when the server has come to rest, and "receives nothing"
//! is exact.

use super::{
    DOMAIN,
    accounts::{ITERATIONS, START, credentials},
    password, secret,
};
use crate::{
    client::{Connected, Wire},
    scenario::{Fate, Scenario},
};
use bytes::BytesMut;
use std::{
    cell::RefCell,
    net::{IpAddr, Ipv4Addr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    sync::watch,
    task::AbortHandle,
    time::Instant,
};
use waxwing_engine::{
    ComponentConnection, ComponentSettings, Connection, Creators, Engine, Env, Limits, Push,
    RelaySettings, RoomTemplate, Served, Settings, Status, env,
};
use waxwing_proto::{
    BareJid,
    sasl::ChannelBindings,
    stream::{StreamCondition, TlsInfo, Transport, component::Secret},
};
use waxwing_store::{Accounts, MemoryStore, Micros};

/// The shortest sleep that tokio knows.
const TICK: Duration = Duration::from_millis(1);
/// What a pipe holds; more than any scenario sends at once, so that nobody waits for a reader.
const PIPE_BYTES: usize = 16 << 20;
/// Where all connections come from.
const PEER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// An engine with the accounts of one scenario.
pub struct Memory {
    store: Arc<MemoryStore>,
    settings: Settings,
    began: Instant,
    running: RefCell<Running>,
}

struct Running {
    engine: Engine,
    /// Becomes true when the server stops.
    stop: watch::Sender<bool>,
    connections: Vec<AbortHandle>,
    runner: AbortHandle,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.runner.abort();
    }
}

impl Memory {
    pub(super) async fn start(scenario: &Scenario) -> Result<Self, String> {
        let store = Arc::new(MemoryStore::new());
        for user in &scenario.accounts {
            let account =
                BareJid::parse(&format!("{user}@{DOMAIN}")).map_err(|e| format!("{e:?}"))?;
            let credentials = credentials(&password(user))?;
            store
                .account_create(account, credentials, START)
                .await
                .map_err(|e| e.to_string())?;
        }
        let settings = settings(scenario)?;
        let began = Instant::now();
        let running = Running::start(store.clone(), settings.clone(), began).await?;
        Ok(Self {
            store,
            settings,
            began,
            running: RefCell::new(running),
        })
    }

    pub(super) fn connect(&self, plain: bool) -> Connected {
        let (ours, theirs) = tokio::io::duplex(PIPE_BYTES);
        let (transport, bindings) = if plain {
            (Transport::Plain, ChannelBindings::default())
        } else {
            (Transport::Tls(tls_info()), tls_info().bindings)
        };
        let mut running = self.running.borrow_mut();
        let connection = Connection::new(&running.engine, PEER, transport);
        running.serve(connection, theirs);
        Connected {
            wire: Box::new(ours),
            bindings,
        }
    }

    pub(super) fn connect_component(&self) -> Connected {
        let (ours, theirs) = tokio::io::duplex(PIPE_BYTES);
        let mut running = self.running.borrow_mut();
        let connection = ComponentConnection::new(&running.engine);
        running.serve(connection, theirs);
        Connected {
            wire: Box::new(ours),
            bindings: ChannelBindings::default(),
        }
    }

    pub(super) async fn suffer(&self, fate: Fate) -> Result<(), String> {
        match fate {
            Fate::Stops => {
                self.running.borrow().stop.send_replace(true);
            }
            Fate::Crashes => {
                let connections = std::mem::take(&mut self.running.borrow_mut().connections);
                for connection in connections {
                    connection.abort();
                }
                self.running.borrow().runner.abort();
            }
            Fate::Starts => {
                let store = self.store.clone();
                let started = Running::start(store, self.settings.clone(), self.began).await?;
                self.running.replace(started);
            }
        }
        Self::rest().await;
        Ok(())
    }

    /// TLS is only pretended; what follows goes through the same pipe.
    pub(super) fn upgrade(wire: Box<dyn Wire>) -> Connected {
        Connected {
            wire,
            bindings: tls_info().bindings,
        }
    }

    /// Returns when the server has nothing left to do now.
    pub(super) async fn rest() {
        tokio::time::sleep(TICK).await;
    }
}

impl Running {
    async fn start(
        store: Arc<MemoryStore>,
        settings: Settings,
        began: Instant,
    ) -> Result<Self, String> {
        let env = Env::new(FakeClock(began), SeededRandom(AtomicU64::new(1)));
        let engine = Engine::new(env, store, settings)
            .await
            .map_err(|e| e.to_string())?;
        engine.recover().await.map_err(|e| e.to_string())?;
        let runner = tokio::task::spawn_local(engine.clone().run());
        Ok(Self {
            engine,
            stop: watch::channel(false).0,
            connections: Vec::new(),
            runner: runner.abort_handle(),
        })
    }

    fn serve(&mut self, connection: impl Served + 'static, pipe: DuplexStream) {
        let served = serve(connection, pipe, self.stop.subscribe());
        let task = tokio::task::spawn_local(served);
        self.connections.push(task.abort_handle());
    }
}

/// What the shell's connection task does, over a pipe.
async fn serve(
    mut connection: impl Served,
    mut pipe: DuplexStream,
    mut stop: watch::Receiver<bool>,
) {
    let mut stopping = false;
    let mut input = BytesMut::new();
    let mut held = false;
    loop {
        while let Some(bytes) = connection.output().pop_front() {
            if pipe.write_all(&bytes).await.is_err() {
                connection.end().await;
                return;
            }
        }
        connection.written();
        match connection.status() {
            Status::Closing => break,
            Status::StartTls if !input.is_empty() => break,
            Status::StartTls => connection.tls_started(tls_info()),
            Status::Open => {}
        }
        if held && connection.wants_input() {
            // It waited for the write.
            connection.handle(&mut input).await;
            held = !input.is_empty() && !connection.wants_input();
            continue;
        }
        tokio::select! {
            biased;
            _ = stop.changed(), if !stopping => {
                stopping = true;
                connection.shutdown(StreamCondition::SystemShutdown);
            }
            event = connection.event() => connection.on_event(event).await,
            read = pipe.read_buf(&mut input), if connection.wants_input() => match read {
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            },
        }
        connection.handle(&mut input).await;
        held = !input.is_empty() && !connection.wants_input();
    }
    connection.end().await;
}

fn tls_info() -> TlsInfo {
    TlsInfo {
        peer: waxwing_proto::stream::s2s::Certificate::default(),
        bindings: ChannelBindings {
            exporter: Some(vec![7; 32]),
            server_end_point: Some(vec![9; 32]),
        },
    }
}

fn settings(scenario: &Scenario) -> Result<Settings, String> {
    let mut settings = Settings::for_domain(DOMAIN);
    settings.limits.scram_iterations = ITERATIONS;
    let components = scenario.components.iter().map(|name| ComponentSettings {
        name: name.clone(),
        secret: Secret::new(secret(name)),
    });
    settings.components = components.collect();
    for (name, value) in &scenario.settings {
        apply(&mut settings, name, value)
            .ok_or_else(|| format!("settings: {name}={value} is not known in memory"))?;
    }
    Ok(settings)
}

/// How fast people may be in rooms.
fn room_limit<'a>(limits: &'a mut Limits, name: &str) -> Option<&'a mut u32> {
    match name {
        "room_messages_per_second_max" => Some(&mut limits.room_messages_per_second_max),
        "room_presences_per_minute_max" => Some(&mut limits.room_presences_per_minute_max),
        _ => None,
    }
}

fn apply(settings: &mut Settings, name: &str, value: &str) -> Option<()> {
    let limits = &mut settings.limits;
    match name {
        "registration" => settings.domains.first_mut()?.registration = value == "open",
        "contact.abuse" => {
            settings.domains.first_mut()?.contacts.abuse = vec![value.to_owned()];
        }
        "archive.search" => settings.archive.search = value.parse().ok()?,
        "push" => {
            let told = value == "all";
            settings.push = Push {
                count: told,
                sender: told,
                body: told,
            };
        }
        "stanza_bytes_max" => limits.stanza_bytes_max = value.parse().ok()?,
        "sessions_per_account_max" => limits.sessions_per_account_max = value.parse().ok()?,
        "roster_items_max" => limits.roster_items_max = value.parse().ok()?,
        "directed_presence_max" => limits.directed_presence_max = value.parse().ok()?,
        name if name.starts_with("room_") && name.ends_with("_max") => {
            *room_limit(limits, name)? = value.parse().ok()?;
        }
        "offline_messages_max" => limits.offline_messages_max = value.parse().ok()?,
        "offline_bytes_max" => limits.offline_bytes_max = value.parse().ok()?,
        "clients_per_account_max" => {
            settings.clients.per_account_max = value.parse().ok()?;
        }
        "clients_forgotten_after_days" => {
            settings.clients.forgotten_after = days(value)?;
        }
        "token_lifetime_days" => settings.clients.token_lifetime = days(value)?,
        "client_names_kept" => settings.clients.names_kept = value.parse().ok()?,
        "blocked_max" => limits.blocked_max = value.parse().ok()?,
        "pubsub_nodes_max" => limits.pubsub_nodes_max = value.parse().ok()?,
        "pubsub_bytes_max" => limits.pubsub_bytes_max = value.parse().ok()?,
        "pubsub_service_bytes_max" => settings.pubsub.bytes_max = value.parse().ok()?,
        "pubsub_service_nodes_max" => settings.pubsub.nodes_max = value.parse().ok()?,
        "pubsub_creators" => {
            settings.pubsub.creators = match value {
                "accounts" => Creators::Accounts,
                "anyone" => Creators::Anyone,
                "nobody" => Creators::Nobody,
                _ => return None,
            }
        }
        "room_template" => {
            settings.room_template = match value {
                "open" => RoomTemplate::Open,
                "group" => RoomTemplate::Group,
                "channel" => RoomTemplate::Channel,
                "announcements" => RoomTemplate::Announcements,
                _ => return None,
            }
        }
        "relay" => settings.relay = Some(relay()),
        "upload_file_bytes_max" => settings.uploads.file_bytes_max = value.parse().ok()?,
        "upload_account_bytes_max" => settings.uploads.account_bytes_max = value.parse().ok()?,
        "documents_bytes_max" => limits.documents_bytes_max = value.parse().ok()?,
        "registrations_per_hour_max" => limits.registrations_per_hour_max = value.parse().ok()?,
        _ => return None,
    }
    Some(())
}

fn relay() -> RelaySettings {
    RelaySettings {
        host: None,
        port: 3478,
        credential_lifetime: Duration::from_hours(12),
    }
}

fn days(text: &str) -> Option<Duration> {
    let days: u64 = text.parse().ok()?;
    Some(Duration::from_hours(24 * days))
}

/// The wall clock that follows tokio's paused one.
struct FakeClock(Instant);

impl env::Clock for FakeClock {
    fn now(&self) -> Micros {
        START + Micros::try_from(self.0.elapsed().as_micros()).unwrap_or(Micros::MAX - START)
    }
}

/// A counter stirred well (splitmix64): the same in every run, never the same twice in one.
struct SeededRandom(AtomicU64);

impl env::Random for SeededRandom {
    fn fill(&self, buffer: &mut [u8]) {
        for chunk in buffer.chunks_mut(8) {
            let mut z = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            let bytes = (z ^ (z >> 31)).to_le_bytes();
            for (to, from) in chunk.iter_mut().zip(bytes) {
                *to = from;
            }
        }
    }
}
