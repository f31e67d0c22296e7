//! Listening sockets and who gets in.

use super::admission::Admission;
use super::connection::{self, Slot};
use super::tls::Tls;
use crate::http::Web;
use crate::telemetry::metrics::{KindLabel, Metrics};
use crate::uploads::Uploads;
use parking_lot::Mutex;
use prometheus_client::metrics::gauge::Gauge;
use socket2::{SockRef, TcpKeepalive};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::{Semaphore, watch};
use tracing::Instrument as _;
use waxwing_engine::Engine;

/// How long accepting pauses after the system refused a socket (no files, no memory).
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);
/// Connections the kernel holds until they are accepted; it has its own bound below this.
const BACKLOG: i32 = 1_024;

/// Between questions whether a silent peer is still there, and how many.
const KEEPALIVE_INTERVAL: Duration = Duration::from_mins(1);
const KEEPALIVE_TRIES: u32 = 5;

/// What a listener's connections speak first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// XMPP in clear until STARTTLS (RFC 6120 § 5).
    Starttls,
    /// TLS (XEP-0368).
    DirectTls,
    /// XMPP in clear, for programs on this machine.
    PlainOnLoopback,
    /// The protocol of external components (XEP-0114).
    Components,
    /// HTTP with TLS.
    Https,
    /// TLS for XMPP or HTTP, as the client asks (ALPN).
    DirectTlsAndHttps,
    /// HTTP in clear, from a reverse proxy.
    Http,
    /// Other servers, in clear until STARTTLS.
    Servers,
    /// Other servers, with TLS (XEP-0368).
    ServersDirectTls,
}

impl Kind {
    /// Its name in logs, metrics and settings.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Starttls => "starttls",
            Self::DirectTls => "direct_tls",
            Self::PlainOnLoopback => "plain_on_loopback",
            Self::Components => "components",
            Self::Https => "https",
            Self::DirectTlsAndHttps => "direct_tls_and_https",
            Self::Http => "http",
            Self::Servers => "servers",
            Self::ServersDirectTls => "servers_direct_tls",
        }
    }
}

/// What all connections share.
pub(crate) struct Shared {
    /// The XMPP server itself.
    pub(crate) engine: Engine,
    /// TLS settings in use.
    pub(crate) tls: Tls,
    /// Figures.
    pub(crate) metrics: Arc<Metrics>,
    /// Places for unauthenticated connections.
    pub(crate) admission: Arc<Admission>,
    /// Places for connections altogether.
    pub(crate) places: Arc<Semaphore>,
    /// That there are no places.
    pub(crate) full: Repeated,
    /// How many handshakes may compute at a time.
    pub(crate) handshakes: Semaphore,
    /// How long a handshake may take.
    pub(crate) handshake_timeout: Duration,
    /// After how much silence a peer is asked whether it is there.
    pub(crate) keepalive: Duration,
    /// What is served by HTTP.
    pub(crate) web: Web,
    /// What people upload, if they can.
    pub(crate) uploads: Option<Uploads>,
    /// Whether servers at private addresses are connected to.
    pub(crate) private_addresses: bool,
    /// How long a peer may take nothing.
    pub(crate) write_timeout: Duration,
}

/// Something that may happen a thousand times a second and is said once a minute.
#[derive(Debug, Default)]
pub(crate) struct Repeated(Mutex<Option<Instant>>);

impl Repeated {
    /// Whether to say it now.
    fn is_news(&self) -> bool {
        let mut said = self.0.lock();
        let news = said.is_none_or(|at| at.elapsed() >= Duration::from_mins(1));
        if news {
            *said = Some(Instant::now());
        }
        news
    }
}

/// Listens at an address. An IPv6 address never takes IPv4 as well: both are named where both are
/// wanted.
pub(crate) fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    use socket2::{Domain, Protocol, Socket, Type};
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // Without it a restart must wait until old connections have left TIME_WAIT.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Binds an address for datagrams, in the same way.
pub(crate) fn bind_udp(address: SocketAddr) -> io::Result<UdpSocket> {
    use socket2::{Domain, Protocol, Socket, Type};
    let socket = Socket::new(
        Domain::for_address(address),
        Type::DGRAM,
        Some(Protocol::UDP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    UdpSocket::from_std(socket.into())
}

/// Accepts until told to stop. Existing connections go on.
pub(crate) async fn accept(
    shared: Arc<Shared>,
    listener: TcpListener,
    kind: Kind,
    mut stop: watch::Receiver<bool>,
) {
    /// Numbers the connections of this process, for the log.
    static CONNECTIONS: AtomicU64 = AtomicU64::new(1);
    loop {
        let accepted = tokio::select! {
            biased;
            _ = stop.changed() => return,
            accepted = accept_one(&shared, &listener) => accepted,
        };
        let Some((tcp, peer, permit)) = accepted else {
            continue;
        };
        shared
            .metrics
            .accepted
            .get_or_create(&KindLabel { listener: kind })
            .inc();
        let place = if kind == Kind::Http && shared.web.trusts(peer.ip()) {
            // Everybody behind the proxy would share its places.
            None
        } else {
            let Some(place) = shared.admission.enter(peer.ip()) else {
                shared.metrics.refused.inc();
                tracing::debug!(%peer, "too many unauthenticated connections of one address");
                continue;
            };
            Some(place)
        };
        if let Err(error) = prepare(&tcp, shared.keepalive) {
            tracing::debug!(%peer, %error, "the connection broke");
            continue;
        }
        let slot = Slot { permit, place };
        let (shared, stop) = (Arc::clone(&shared), stop.clone());
        // Owned by its connection; ends with it, or when the runtime ends after the stop period.
        let open = Open::new(&shared.metrics, kind);
        let conn_id = CONNECTIONS.fetch_add(1, Ordering::Relaxed);
        let span = tracing::debug_span!("conn", conn_id, %peer);
        let serve = async move {
            connection::run(shared, tcp, peer, kind, slot, stop).await;
            drop(open);
        };
        tokio::spawn(serve.instrument(span));
    }
}

/// Counts as an open socket until dropped, whatever happens.
struct Open(Gauge);

impl Open {
    fn new(metrics: &Metrics, kind: Kind) -> Self {
        let gauge = metrics
            .sockets
            .get_or_create_owned(&KindLabel { listener: kind });
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Sets what every connection needs.
pub(crate) fn prepare(tcp: &TcpStream, keepalive: Duration) -> io::Result<()> {
    // Stanzas are small and each write is whole; Nagle would only delay them.
    tcp.set_nodelay(true)?;
    let keepalive = TcpKeepalive::new()
        .with_time(keepalive)
        .with_interval(KEEPALIVE_INTERVAL)
        .with_retries(KEEPALIVE_TRIES);
    SockRef::from(tcp).set_tcp_keepalive(&keepalive)
}

/// Waits for a place, then for a connection. While there is no place nobody is accepted, so that
/// files remain for the database and the admin.
async fn accept_one(
    shared: &Shared,
    listener: &TcpListener,
) -> Option<(TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit)> {
    let permit = if let Ok(permit) = Arc::clone(&shared.places).try_acquire_owned() {
        permit
    } else {
        shared.metrics.accept_pauses.inc();
        if shared.full.is_news() {
            tracing::warn!("no place for another connection; accepting waits until one ends");
        }
        Arc::clone(&shared.places).acquire_owned().await.ok()?
    };
    match listener.accept().await {
        Ok((tcp, peer)) => Some((tcp, peer, permit)),
        // The peer left before it was its turn.
        Err(e)
            if matches!(
                e.kind(),
                io::ErrorKind::ConnectionAborted
                    | io::ErrorKind::ConnectionReset
                    | io::ErrorKind::Interrupted
            ) =>
        {
            None
        }
        Err(error) => {
            shared.metrics.accept_pauses.inc();
            if shared.full.is_news() {
                tracing::error!(
                    %error,
                    "no connection can be accepted for now; raise the limit of open files"
                );
            }
            drop(permit);
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}
