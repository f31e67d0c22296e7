//! A running server: started, reloaded, stopped.

use crate::config::Config;
use crate::data::{self, Lock};
use crate::http::Web;
use crate::net::admission::{Admission, connections_max};
use crate::net::listener::{self, Kind, Repeated, Shared};
use crate::net::tls::Tls;
use crate::relay::Relay;
use crate::telemetry::{self, metrics::Metrics};
use crate::uploads::Uploads;
use crate::{admin, env, s2s, upkeep};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;
use waxwing_engine::{Engine, Service};
use waxwing_store::SqliteStore;

/// How long connections may take to say goodbye when the server stops.
const DRAIN: Duration = Duration::from_secs(10);

/// A server that runs.
pub(crate) struct Server {
    shared: Arc<Shared>,
    store: Arc<SqliteStore>,
    stop: watch::Sender<bool>,
    places: u32,
    config: Config,
    _lock: Lock,
}

impl Server {
    /// Starts everything, or says what stands in the way.
    pub(crate) async fn start(config: Config) -> Result<Self, String> {
        let lock = data::lock(&config)?;
        let tls = Tls::new(&config)?;
        let sockets = Sockets::bind(&config)?;
        let federates = config.federation.enabled;
        let dns = federates.then(|| s2s::Dns::new(&config)).transpose()?;
        let store = data::open(&config.database())?;
        let engine = data::engine(&config, env::system(), Arc::clone(&store) as _).await?;
        let metrics = Arc::new(Metrics::new(engine.clone()));
        metrics.certificates(&tls.current().certificates);
        let uploads = uploads(&config, &engine)?;
        let relay = Relay::bind(&config, &engine, &metrics)?;
        let places = connections_max(config.limits.connections_max);
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let shared = Arc::new(Shared {
            engine,
            tls,
            metrics,
            admission: Admission::new(config.limits.unauthenticated_per_address_max.count()),
            places: Arc::new(Semaphore::new(places)),
            full: Repeated::default(),
            // Half of the cores: a flood of handshakes leaves the rest to those who are here.
            handshakes: Semaphore::new(cores.div_ceil(2)),
            handshake_timeout: config.tls.handshake_timeout_seconds.seconds(),
            keepalive: config.limits.keepalive_seconds.seconds(),
            web: Web::new(&config),
            uploads,
            private_addresses: config.federation.private_addresses,
            write_timeout: config.limits.write_timeout_seconds.seconds(),
        });
        // It ends with the process: whoever is served until the end still needs it.
        shared
            .engine
            .recover()
            .await
            .map_err(|e| format!("the sessions cannot be read: {e}"))?;
        tokio::spawn(shared.engine.clone().run());
        let (stop, stopped) = watch::channel(false);
        sockets.serve(&shared, &stopped);
        if let Some(relay) = relay {
            tokio::spawn(relay.run(stopped.clone()));
        }
        if let Some(dns) = dns {
            tokio::spawn(s2s::serve(Arc::clone(&shared), dns, stopped));
        }
        Ok(Self {
            shared,
            store,
            stop,
            places: u32::try_from(places).unwrap_or(u32::MAX),
            config,
            _lock: lock,
        })
    }

    /// What all its connections share.
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// The configuration in use.
    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// Takes from a new configuration what can be taken while running: certificates. Gives the
    /// names of the settings that differ and need a restart.
    pub(crate) fn reload(&mut self, new: Config) -> Result<Vec<&'static str>, String> {
        let waiting = self.config.needs_restart(&new);
        let mut next = self.config.clone();
        next.tls = new.tls;
        for (domain, host) in new.hosts {
            let own = next.hosts.entry(domain).or_default();
            own.certificate = host.certificate;
            own.key = host.key;
        }
        next.federation.policy = new.federation.policy;
        next.federation.policies = new.federation.policies;
        self.shared.tls.reload(&next)?;
        let policies = next.federation_policies();
        self.shared.engine.set_federation_policies(policies);
        self.shared
            .metrics
            .certificates(&self.shared.tls.current().certificates);
        self.config = next;
        Ok(waiting)
    }

    /// Stops: nobody is accepted, clients are told `system-shutdown` (RFC 6120 § 4.9.3.19) and get
    /// what was meant for them, what was accepted is on the disk.
    pub(crate) async fn stop(self) {
        self.stop.send_replace(true);
        let gone = self.shared.places.acquire_many(self.places);
        if timeout(DRAIN, gone).await.is_ok() {
            tracing::info!("all connections have ended");
        } else {
            tracing::warn!("some clients did not say goodbye and were cut off");
        }
        if let Err(error) = std::fs::remove_file(self.config.admin_socket()) {
            tracing::debug!(%error, "the admin socket could not be removed");
        }
        let store = Arc::clone(&self.store);
        if let Err(error) = tokio::task::spawn_blocking(move || store.close()).await {
            tracing::error!(%error, "the database was not closed in order");
        }
    }
}

/// What people upload, where there is HTTP. The task that keeps it ends with the process: an upload
/// that is complete when the server stops is kept.
fn uploads(config: &Config, engine: &Engine) -> Result<Option<Uploads>, String> {
    let mut services = engine.settings().services.iter();
    if !services.any(|service| service.kind == Service::Uploads) {
        return Ok(None);
    }
    let (uploads, keeper) = Uploads::open(config, engine)?;
    tokio::spawn(keeper.run());
    Ok(Some(uploads))
}

/// Every socket that listens, bound before anything else is done: a port in use must not be
/// noticed after people have been let in.
struct Sockets {
    xmpp: Vec<(Kind, TcpListener)>,
    metrics: Vec<TcpListener>,
    admin: tokio::net::UnixListener,
}

impl Sockets {
    fn bind(config: &Config) -> Result<Self, String> {
        let mut xmpp = Vec::new();
        let listen = &config.listen;
        let nowhere = Vec::new();
        let components = if config.components.is_empty() {
            &nowhere
        } else {
            &listen.components
        };
        let (both, direct_tls) = split(&listen.direct_tls, &listen.https);
        let (_, https) = split(&listen.https, &listen.direct_tls);
        let (servers, servers_direct_tls) = if config.federation.enabled {
            (&listen.servers, &listen.servers_direct_tls)
        } else {
            (&nowhere, &nowhere)
        };
        for (kind, addresses) in [
            (Kind::Starttls, &listen.starttls),
            (Kind::DirectTls, &direct_tls),
            (Kind::DirectTlsAndHttps, &both),
            (Kind::Https, &https),
            (Kind::Http, &listen.http),
            (Kind::PlainOnLoopback, &listen.plain_on_loopback),
            (Kind::Components, components),
            (Kind::Servers, servers),
            (Kind::ServersDirectTls, servers_direct_tls),
        ] {
            xmpp.extend(
                bind_all(kind.name(), addresses)?
                    .into_iter()
                    .map(|listener| (kind, listener)),
            );
        }
        let path = config.admin_socket();
        let admin = admin::bind(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        Ok(Self {
            xmpp,
            metrics: bind_all("metrics", &listen.metrics)?,
            admin,
        })
    }

    /// Starts a task for each. They end when told to stop; [`Server::stop`] is their owner.
    fn serve(self, shared: &Arc<Shared>, stop: &watch::Receiver<bool>) {
        for (kind, listener) in self.xmpp {
            announce(&listener, kind.name());
            tokio::spawn(listener::accept(
                Arc::clone(shared),
                listener,
                kind,
                stop.clone(),
            ));
        }
        for listener in self.metrics {
            announce(&listener, "metrics");
            tokio::spawn(telemetry::http::serve(
                Arc::clone(&shared.metrics),
                listener,
                stop.clone(),
            ));
        }
        tokio::spawn(upkeep::run(shared.engine.clone(), stop.clone()));
        tokio::spawn(admin::serve(
            shared.engine.clone(),
            self.admin,
            stop.clone(),
        ));
    }
}

/// The addresses that the other list has as well, and those that it has not.
fn split(addresses: &[SocketAddr], other: &[SocketAddr]) -> (Vec<SocketAddr>, Vec<SocketAddr>) {
    addresses
        .iter()
        .partition(|address| other.contains(address))
}

/// Says where a listener is, for those who let the system choose a port.
fn announce(listener: &TcpListener, name: &str) {
    if let Ok(address) = listener.local_addr() {
        tracing::info!(listener = %name, %address, "listening");
    }
}

/// Binds the list of a setting. A machine without IPv6 may leave it out where IPv4 is listened on as
/// well.
fn bind_all(setting: &str, addresses: &[SocketAddr]) -> Result<Vec<TcpListener>, String> {
    let mut bound = Vec::new();
    for address in addresses {
        match listener::bind(*address) {
            Ok(listener) => bound.push(listener),
            Err(error) if is_optional(*address, addresses, &error) => {
                tracing::info!(%address, %error, "this machine has no such address; going without");
            }
            Err(error) => return Err(listen_error(setting, *address, &error)),
        }
    }
    Ok(bound)
}

fn is_optional(address: SocketAddr, all: &[SocketAddr], error: &io::Error) -> bool {
    let no_ipv6 = rustix::io::Errno::from_io_error(error).is_some_and(|errno| {
        errno == rustix::io::Errno::AFNOSUPPORT || errno == rustix::io::Errno::ADDRNOTAVAIL
    });
    let has_ipv4 = all
        .iter()
        .any(|other| other.is_ipv4() && other.port() == address.port());
    address.is_ipv6() && no_ipv6 && has_ipv4
}

/// Why an address of `listen.SETTING` cannot be listened on, and what to do.
pub(crate) fn listen_error(setting: &str, address: SocketAddr, error: &io::Error) -> String {
    let advice = match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "; another program listens there (`ss -ltnp` names it); stop it or choose another port with \
             `listen.{setting}`{}",
            if setting.starts_with("servers") {
                ", or do without other servers: `federation.enabled = false`"
            } else {
                ""
            }
        ),
        io::ErrorKind::PermissionDenied => {
            "; ports below 1024 need the capability CAP_NET_BIND_SERVICE".to_owned()
        }
        io::ErrorKind::AddrNotAvailable => "; this machine has no such address".to_owned(),
        _ => String::new(),
    };
    format!("{address}: cannot listen: {error}{advice}")
}
