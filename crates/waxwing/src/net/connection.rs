//! The one task of a connection: it moves bytes between a socket and the engine.

use super::admission::Place;
use super::listener::{Kind, Shared};
pub(crate) use super::tls::Role;
use super::transport::{Received, Transport};
use crate::http;
use crate::telemetry::metrics::HandshakeOutcome;
use bytes::BytesMut;
use futures_util::FutureExt as _;
use std::future::Future;
use std::io;
use std::panic::AssertUnwindSafe;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::timeout;
use waxwing_engine::{ComponentConnection, Connection, IncomingConnection, Served, Status};
use waxwing_proto::stream::{self, StreamCondition, StreamError};

/// How long a peer may take to end its direction after we have ended ours.
const CLOSE_PATIENCE: Duration = Duration::from_secs(2);
/// Deliveries that go into one write; the peer's TCP window is the next bound.
const EVENTS_BATCH_MAX: usize = 64;

/// What a connection holds until it ends.
pub(crate) struct Slot {
    /// One of the connections that the limit of open files allows.
    pub(crate) permit: OwnedSemaphorePermit,
    /// One of the unauthenticated connections of its address; none for a reverse proxy's.
    pub(crate) place: Option<Place>,
}

/// Serves a connection until it ends.
pub(crate) async fn run(
    shared: std::sync::Arc<Shared>,
    tcp: TcpStream,
    peer: std::net::SocketAddr,
    kind: Kind,
    slot: Slot,
    stop: watch::Receiver<bool>,
) {
    let mut transport = Transport::new(tcp);
    let mut input = BytesMut::new();
    let role = match kind {
        Kind::Https => Role::Web,
        Kind::DirectTlsAndHttps => Role::ClientsAndWeb,
        Kind::Servers | Kind::ServersDirectTls => Role::Servers,
        _ => Role::Clients,
    };
    let carrier = match kind {
        Kind::Starttls | Kind::Servers | Kind::Components => stream::Transport::Plain,
        // As good as TLS: nobody is between two programs of one machine. The settings see to it
        // that the address is one of loopback, or the proxy's.
        Kind::PlainOnLoopback | Kind::Http => stream::Transport::Tls(stream::TlsInfo::default()),
        Kind::DirectTls | Kind::ServersDirectTls | Kind::Https | Kind::DirectTlsAndHttps => {
            match start_tls(&shared, &mut transport, &role, &mut input).await {
                Ok(info) => stream::Transport::Tls(info),
                Err(error) => {
                    tracing::debug!(%error, "no TLS");
                    return;
                }
            }
        }
    };
    let is_http = match kind {
        Kind::Https | Kind::Http => true,
        Kind::DirectTlsAndHttps => transport.speaks_http(),
        _ => false,
    };
    let wire = (transport, input, role);
    if is_http {
        let from = (peer.ip(), kind == Kind::Http);
        return Box::pin(http::serve(shared, wire, carrier, from, slot, stop)).await;
    }
    let slot = (slot.permit, slot.place);
    match kind {
        Kind::Components => {
            let connection = ComponentConnection::new(&shared.engine);
            serve(shared, connection, wire, slot, stop).await;
        }
        Kind::Servers | Kind::ServersDirectTls => {
            let connection = IncomingConnection::new(&shared.engine, carrier);
            serve(shared, connection, wire, slot, stop).await;
        }
        _ => {
            let connection = Connection::new(&shared.engine, peer.ip(), carrier);
            serve(shared, connection, wire, slot, stop).await;
        }
    }
}

/// Serves whoever is at the other end of a transport, with what was read from it. A connection that
/// we have made has no place among those that are not authenticated.
pub(crate) async fn serve(
    shared: std::sync::Arc<Shared>,
    connection: impl Served,
    (transport, input, role): (Transport, BytesMut, Role),
    (permit, place): (OwnedSemaphorePermit, Option<Place>),
    stop: watch::Receiver<bool>,
) {
    let mut task = Task {
        connection,
        shared,
        transport,
        unseen: !input.is_empty(),
        input,
        ended: false,
        place,
        role,
        stop,
    };
    match task.serve().await {
        Ok(()) => {}
        Err(Ended::Io(error)) => tracing::debug!(%error, "the connection broke"),
        Err(Ended::Panic) => Box::pin(task.apologise()).await,
    }
    Box::pin(task.finish()).await;
    drop(permit);
}

/// Why serving stopped, other than in order.
enum Ended {
    /// The socket or TLS failed.
    Io(io::Error),
    /// Our fault: a handler panicked. Nobody else is disturbed.
    Panic,
}

impl From<io::Error> for Ended {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

struct Task<C> {
    connection: C,
    shared: std::sync::Arc<Shared>,
    transport: Transport,
    /// What was read and not yet processed; without a buffer while it is empty.
    input: BytesMut,
    /// Whether the engine has not yet seen all of `input`: some of it is new, or was held back.
    unseen: bool,
    /// Whether the peer has ended its direction.
    ended: bool,
    place: Option<Place>,
    role: Role,
    stop: watch::Receiver<bool>,
}

impl<C: Served> Task<C> {
    async fn serve(&mut self) -> Result<(), Ended> {
        let mut stopping = false;
        loop {
            self.write().await?;
            match self.connection.status() {
                Status::Open => {}
                Status::StartTls => {
                    self.upgrade().await?;
                    continue;
                }
                Status::Closing => return Ok(()),
            }
            let reads = self.connection.wants_input();
            if reads && self.unseen {
                self.process().await?;
                continue;
            }
            if self.ended && !self.unseen {
                return Ok(());
            }
            tokio::select! {
                biased;
                _ = self.stop.changed(), if !stopping => {
                    stopping = true;
                    self.connection.shutdown(StreamCondition::SystemShutdown);
                }
                event = guard(&self.shared, self.connection.event()) => {
                    let event = event?;
                    Box::pin(self.carry_out(event)).await?;
                    // What was held back, here or in the engine, may go on now.
                    self.unseen |= !reads;
                }
                waited = self.transport.readable(), if reads && !self.ended => {
                    waited?;
                    self.ended = self.transport.read(&mut self.input)? == Received::End;
                    self.unseen = !self.input.is_empty();
                }
            }
        }
    }

    /// Gives the input to the engine.
    async fn process(&mut self) -> Result<(), Ended> {
        let handling = async {
            #[cfg(test)]
            tests::panic_if_asked(&self.input);
            self.connection.handle(&mut self.input).await;
        };
        // In a box that lives as long as there is work: a connection that waits for its next stanza,
        // and that is nearly always, would otherwise carry several KiB for it.
        Box::pin(guard(&self.shared, handling)).await?;
        if self.input.is_empty() {
            // An idle connection keeps no buffer.
            self.input = BytesMut::new();
        }
        self.unseen = !self.input.is_empty() && !self.connection.wants_input();
        if self.place.is_some() && self.connection.is_authenticated() {
            self.place = None;
        }
        Ok(())
    }

    /// Carries out an event, and what else is ready, so that it goes into the same write.
    async fn carry_out(&mut self, first: C::Event) -> Result<(), Ended> {
        guard(&self.shared, self.connection.on_event(first)).await?;
        for _ in 1..EVENTS_BATCH_MAX {
            if !matches!(self.connection.status(), Status::Open) {
                break;
            }
            // An event that was taken must be carried out: nobody else will see it again.
            let next = guard(&self.shared, self.connection.event()).now_or_never();
            let Some(event) = next else { break };
            guard(&self.shared, self.connection.on_event(event?)).await?;
        }
        Ok(())
    }

    async fn write(&mut self) -> Result<(), Ended> {
        let output = self.connection.output();
        if !output.is_empty() || self.transport.wants_write() {
            self.transport
                .write(output, self.shared.write_timeout)
                .await?;
            self.connection.written();
        }
        Ok(())
    }

    /// STARTTLS after `<proceed/>` has been sent (RFC 6120 § 5.4.3.3).
    async fn upgrade(&mut self) -> Result<(), Ended> {
        if !self.input.is_empty() {
            // Whoever can write here before the handshake is not the client alone (CVE-2011-0411).
            self.shared.metrics.starttls_injections.inc();
            let error = io::Error::new(io::ErrorKind::InvalidData, "bytes in clear after starttls");
            return Err(error.into());
        }
        self.input = BytesMut::new();
        let info = start_tls(
            &self.shared,
            &mut self.transport,
            &self.role,
            &mut self.input,
        )
        .await?;
        self.unseen = !self.input.is_empty();
        self.connection.tls_started(info);
        Ok(())
    }

    /// Tells the peer that it is our fault. What the engine had to say is in doubt and not said.
    async fn apologise(&mut self) {
        let error = StreamError::new(StreamCondition::InternalServerError);
        let mut output = self.connection.last_words(&error);
        _ = self.transport.write(&mut output, CLOSE_PATIENCE).await;
    }

    /// Ends the session at once, then the socket when the peer agrees.
    async fn finish(self) {
        _ = guard(&self.shared, self.connection.end()).await;
        self.transport.close(CLOSE_PATIENCE).await;
    }
}

/// Keeps a panic from reaching beyond this connection.
fn guard<T>(
    shared: &Shared,
    work: impl Future<Output = T>,
) -> impl Future<Output = Result<T, Ended>> {
    // Not an async fn: that would hold `work` twice, before and after its first poll.
    AssertUnwindSafe(work).catch_unwind().map(|done| {
        done.map_err(|_| {
            shared.metrics.panicked();
            Ended::Panic
        })
    })
}

/// The handshake, in a box of its own: a session does not carry its size.
pub(crate) async fn start_tls(
    shared: &Shared,
    transport: &mut Transport,
    role: &Role,
    input: &mut BytesMut,
) -> io::Result<stream::TlsInfo> {
    let setup = shared.tls.current();
    let handshake = Box::pin(transport.start_tls((&setup, role), &shared.handshakes, input));
    let (outcome, result) = match timeout(shared.handshake_timeout, handshake).await {
        Ok(Ok(info)) => (HandshakeOutcome::Done, Ok(info)),
        Ok(Err(error)) => (HandshakeOutcome::Failed, Err(error)),
        Err(_) => (
            HandshakeOutcome::TimedOut,
            Err(io::ErrorKind::TimedOut.into()),
        ),
    };
    shared
        .metrics
        .tls_handshakes
        .get_or_create(&outcome.into())
        .inc();
    result
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::config::Config;
    use crate::net::{admission::Admission, listener, tls::Tls};
    use crate::telemetry::metrics::Metrics;
    use std::sync::Arc;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tokio::sync::Semaphore;
    use waxwing_engine::{Engine, Settings};

    const BOMB: &[u8] = b"<bomb/>";

    pub(super) fn panic_if_asked(input: &[u8]) {
        assert!(!input.ends_with(BOMB), "asked by a test");
    }

    /// What a server for `localhost` shares that keeps everything in memory.
    pub(crate) async fn shared(config: &Config) -> Arc<Shared> {
        let store = Arc::new(waxwing_store::MemoryStore::default());
        let settings = Settings::for_domain("localhost");
        let engine = Engine::new(crate::env::system(), store, settings)
            .await
            .unwrap();
        let (uploads, keeper) = crate::uploads::Uploads::open(config, &engine).unwrap();
        tokio::spawn(keeper.run());
        Arc::new(Shared {
            tls: Tls::new(config).unwrap(),
            metrics: Arc::new(Metrics::new(engine.clone())),
            engine,
            admission: Admission::new(10),
            places: Arc::new(Semaphore::new(10)),
            full: listener::Repeated::default(),
            handshakes: Semaphore::new(1),
            handshake_timeout: Duration::from_secs(5),
            keepalive: Duration::from_mins(10),
            web: http::Web::new(config),
            uploads: Some(uploads),
            private_addresses: false,
            write_timeout: Duration::from_secs(5),
        })
    }

    /// Listens for connections of a kind, until the runtime ends.
    pub(crate) async fn listen(shared: &Arc<Shared>, kind: Kind) -> std::net::SocketAddr {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let (stop, stopped) = watch::channel(false);
        let accepting = Arc::clone(shared);
        tokio::spawn(async move {
            listener::accept(accepting, socket, kind, stopped).await;
            drop(stop);
        });
        address
    }

    async fn open(address: std::net::SocketAddr) -> TcpStream {
        let mut client = TcpStream::connect(address).await.unwrap();
        let header = "<stream:stream to='localhost' version='1.0' xmlns='jabber:client' \
                      xmlns:stream='http://etherx.jabber.org/streams'>";
        client.write_all(header.as_bytes()).await.unwrap();
        let mut answer = String::new();
        while !answer.ends_with("</stream:features>") {
            answer.push(char::from(client.read_u8().await.unwrap()));
        }
        client
    }

    #[tokio::test]
    async fn a_panic_ends_one_stream_and_disturbs_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let shared = shared(&Config::dev(folder.path().to_owned())).await;
        let address = listen(&shared, Kind::Starttls).await;
        let (mut unlucky, mut other) = (open(address).await, open(address).await);
        unlucky.write_all(BOMB).await.unwrap();
        let mut answer = String::new();
        unlucky.read_to_string(&mut answer).await.unwrap();
        assert!(answer.contains("<internal-server-error"), "{answer}");
        assert!(answer.ends_with("</stream:stream>"), "{answer}");
        assert!(shared.metrics.encode().contains("waxwing_panics_total 1\n"));

        other.write_all(b"</stream:stream>").await.unwrap();
        let mut answer = String::new();
        other.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer, "</stream:stream>");
        open(address).await;
    }
}
