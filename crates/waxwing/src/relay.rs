//! The sockets of the relay for calls: [`waxwing_proto::turn`] decides, this sends, opens and closes.

use crate::config::Config;
use crate::net::listener::bind_udp;
use crate::telemetry::metrics::Metrics;
use bytes::Bytes;
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;
use tokio::time::{MissedTickBehavior, interval};
use waxwing_engine::Engine;
use waxwing_proto::turn::{Client, Effect, Family, Limits, Settings, Turn};

/// Largest datagram; what is longer was not made for a network.
const DATAGRAM_BYTES_MAX: usize = 4096;
/// Datagrams that wait for the machine; more are dropped, as a network does.
const WAITING_MAX: usize = 4096;
/// Datagrams handled between two looks at the clock.
const BATCH_MAX: usize = 64;
/// Ports tried for one address. All are even, because clients may ask for that (RFC 8656 § 7.2).
const PORTS_TRIED: u32 = 32;

/// The relay and its sockets.
pub(crate) struct Relay {
    turn: Turn,
    engine: Engine,
    metrics: Arc<Metrics>,
    clients: Vec<Arc<UdpSocket>>,
    addresses: Vec<IpAddr>,
    ports: RangeInclusive<u16>,
    open: HashMap<SocketAddr, Opened>,
    queue: mpsc::Sender<Datagram>,
    waiting: mpsc::Receiver<Datagram>,
}

/// An address that peers see, and the task that reads it; it ends when this is dropped.
struct Opened {
    socket: Arc<UdpSocket>,
    reader: AbortHandle,
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// What came, and where.
struct Datagram {
    to: Place,
    from: SocketAddr,
    bytes: Bytes,
}

/// One of our sockets.
#[derive(Clone, Copy)]
enum Place {
    /// Where clients send.
    Clients(usize),
    /// Where peers send.
    Peers(SocketAddr),
}

impl Relay {
    /// Binds where clients send; `None` if nothing is configured.
    pub(crate) fn bind(
        config: &Config,
        engine: &Engine,
        metrics: &Arc<Metrics>,
    ) -> Result<Option<Self>, String> {
        let mut clients = Vec::new();
        for address in &config.listen.turn {
            let socket = bind_udp(*address);
            let socket =
                socket.map_err(|e| crate::server::listen_error("listen.turn", *address, &e))?;
            tracing::info!(listener = "turn", address = %local(&socket), "listening");
            clients.push(Arc::new(socket));
        }
        if clients.is_empty() {
            return Ok(None);
        }
        let own = &config.turn;
        let (queue, waiting) = mpsc::channel(WAITING_MAX);
        let mut families: Vec<_> = own.addresses.iter().copied().map(Family::of).collect();
        families.dedup();
        let settings = Settings {
            realm: config
                .domains
                .first()
                .map_or_else(String::new, |domain| domain.as_str().to_owned()),
            secret: *engine.relay_secret(),
            families,
            own: own.addresses.clone(),
            private_peers: own.private_peers,
            limits: Limits {
                account_allocations_max: own.account_allocations_max.size(),
                allocations_max: own.allocations_max.size(),
                account_bytes_per_second_max: 1024
                    * u64::from(own.account_kilobytes_per_second_max.count()),
            },
        };
        Ok(Some(Self {
            turn: Turn::new(settings),
            engine: engine.clone(),
            metrics: Arc::clone(metrics),
            clients,
            addresses: own.addresses.clone(),
            ports: own.relay_port_min..=own.relay_port_max,
            open: HashMap::new(),
            queue,
            waiting,
        }))
    }

    /// Runs until told to stop.
    pub(crate) async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let mut readers = Vec::new();
        for (way, socket) in self.clients.iter().enumerate() {
            readers.push(self.read(Arc::clone(socket), Place::Clients(way)));
        }
        let mut turn = interval(Duration::from_secs(1));
        turn.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut batch = Vec::new();
        loop {
            tokio::select! {
                biased;
                _ = stop.changed() => break,
                _ = turn.tick() => self.turn.tick(self.engine.env().now()),
                _ = self.waiting.recv_many(&mut batch, BATCH_MAX) => {
                    let now = self.engine.env().now();
                    for Datagram { to, from, bytes } in batch.drain(..) {
                        match to {
                            Place::Clients(way) => {
                                let client = Client { address: from, way };
                                self.turn.received(client, &bytes, now);
                            }
                            Place::Peers(relay) => self.turn.from_peer(relay, from, &bytes, now),
                        }
                    }
                }
            }
            self.carry_out();
        }
        for reader in readers {
            reader.abort();
        }
    }

    /// Does what the machine says, until it says no more.
    fn carry_out(&mut self) {
        loop {
            let effects = self.turn.effects();
            if effects.is_empty() {
                break;
            }
            for effect in effects {
                match effect {
                    Effect::Send(client, bytes) => {
                        if let Some(socket) = self.clients.get(client.way) {
                            // A datagram that cannot be sent now is lost, as in any network.
                            let _ = socket.try_send_to(&bytes, client.address);
                        }
                    }
                    Effect::Relay { from, to, data } => {
                        if let Some(opened) = self.open.get(&from) {
                            self.metrics.relayed.inc();
                            let _ = opened.socket.try_send_to(&data, to);
                        }
                    }
                    Effect::Open(client, family) => {
                        let relay = self.open(family);
                        self.turn.opened(client, relay, self.engine.env().now());
                    }
                    Effect::Close(relay) => drop(self.open.remove(&relay)),
                }
            }
        }
        let count = i64::try_from(self.turn.allocations()).unwrap_or(i64::MAX);
        self.metrics.allocations.set(count);
    }

    /// Opens an address at a port that nobody can guess.
    fn open(&mut self, family: Family) -> Option<SocketAddr> {
        let mut addresses = self.addresses.iter();
        let public = *addresses.find(|address| Family::of(**address) == family)?;
        let (first, last) = (u32::from(*self.ports.start()), u32::from(*self.ports.end()));
        let [a, b, c, d, ..] = self.engine.env().secret();
        let start = u32::from_be_bytes([a, b, c, d]) % (last - first + 1);
        for step in 0..PORTS_TRIED {
            let port = (first + (start + step * 7919) % (last - first + 1)) & !1;
            let Some(port) = u16::try_from(port)
                .ok()
                .filter(|port| self.ports.contains(port))
            else {
                continue;
            };
            match open_at(public, port) {
                Ok(socket) => {
                    let relay = SocketAddr::new(public, port);
                    let socket = Arc::new(socket);
                    let reader = self.read(Arc::clone(&socket), Place::Peers(relay));
                    self.open.insert(relay, Opened { socket, reader });
                    return Some(relay);
                }
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                Err(error) => {
                    tracing::error!(%error, "no address can be opened for a call");
                    return None;
                }
            }
        }
        tracing::error!("no port is free for a call; see `turn.relay_port_max`");
        None
    }

    /// Reads a socket for the machine, until it is aborted.
    fn read(&self, socket: Arc<UdpSocket>, to: Place) -> AbortHandle {
        let queue = self.queue.clone();
        let task = tokio::spawn(async move {
            let mut buffer = vec![0; DATAGRAM_BYTES_MAX + 1];
            loop {
                let Ok((length, from)) = socket.recv_from(&mut buffer).await else {
                    // An answer of the network that a peer cannot be reached; the next may be.
                    tokio::task::yield_now().await;
                    continue;
                };
                let Some(bytes) = buffer
                    .get(..length)
                    .filter(|_| length <= DATAGRAM_BYTES_MAX)
                else {
                    continue;
                };
                let bytes = Bytes::copy_from_slice(bytes);
                if let Err(mpsc::error::TrySendError::Closed(_)) =
                    queue.try_send(Datagram { to, from, bytes })
                {
                    return;
                }
            }
        });
        task.abort_handle()
    }
}

/// Binds a public address, or any if this machine has it only by translation.
fn open_at(public: IpAddr, port: u16) -> io::Result<UdpSocket> {
    match bind_udp(SocketAddr::new(public, port)) {
        Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => {
            let any = match public {
                IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
                IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            };
            bind_udp(SocketAddr::new(any, port))
        }
        bound => bound,
    }
}

fn local(socket: &UdpSocket) -> String {
    let address = socket.local_addr();
    address.map_or_else(|error| error.to_string(), |address| address.to_string())
}
