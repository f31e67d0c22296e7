//! TLS as this server does it: 1.2 and 1.3, certificates by server name, ALPN strict, no early data.

use super::certificates::Certificates;
use crate::config::Config;
use crate::s2s::trust::{AnyCertificate, Trust};
use arc_swap::ArcSwap;
use rustls::client::ResolvesClientCert;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::ServerName;
use rustls::server::NoServerSessionStorage;
use rustls::sign::CertifiedKey;
use rustls::{
    ClientConfig, ClientConnection, Connection, ProtocolVersion, ServerConfig, ServerConnection,
    SignatureScheme,
};
use std::io;
use std::sync::Arc;
use waxwing_proto::sasl::ChannelBindings;
use waxwing_proto::stream::TlsInfo;
use waxwing_proto::stream::s2s::{Certificate, Pair, ascii_domain};

/// The ALPN protocol of client streams (XEP-0368 § 3).
const ALPN_CLIENT: &[u8] = b"xmpp-client";
/// The ALPN protocol of HTTP (RFC 7301 § 6). HTTP/2 is not offered: nothing here gains from it.
const ALPN_HTTP: &[u8] = b"http/1.1";
/// The ALPN protocol of servers' streams (XEP-0368 § 3).
const ALPN_SERVER: &[u8] = b"xmpp-server";

/// TLS settings in use; replaced as a whole.
#[derive(Debug)]
pub(crate) struct Tls {
    provider: Arc<CryptoProvider>,
    current: ArcSwap<Setup>,
}

/// One state of the TLS settings. A connection keeps the one it began with.
#[derive(Debug)]
pub(crate) struct Setup {
    config: Arc<ServerConfig>,
    /// For HTTP.
    web: Arc<ServerConfig>,
    /// For both, told apart by what the client asks for.
    shared: Arc<ServerConfig>,
    /// For servers, who are asked for a certificate.
    servers: Arc<ServerConfig>,
    trust: Trust,
    provider: Arc<CryptoProvider>,
    /// The certificates by domain.
    pub(crate) certificates: Arc<Certificates>,
}

impl Tls {
    /// Reads the certificates.
    pub(crate) fn new(config: &Config) -> Result<Self, String> {
        let provider = provider();
        let setup = Setup::new(config, &provider)?;
        Ok(Self {
            current: ArcSwap::from_pointee(setup),
            provider,
        })
    }

    /// Reads the certificates again. If any cannot be used, all stay as they are.
    pub(crate) fn reload(&self, config: &Config) -> Result<(), String> {
        let setup = Setup::new(config, &self.provider)?;
        self.current.store(Arc::new(setup));
        Ok(())
    }

    /// The settings for a new connection.
    pub(crate) fn current(&self) -> Arc<Setup> {
        self.current.load_full()
    }
}

impl Setup {
    fn new(config: &Config, provider: &Arc<CryptoProvider>) -> Result<Self, String> {
        let certificates = Arc::new(Certificates::load(config, provider)?);
        let resolver: Arc<Certificates> = Arc::clone(&certificates);
        let mut tls = ServerConfig::builder_with_provider(Arc::clone(provider))
            .with_safe_default_protocol_versions()
            .map_err(|e| e.to_string())?
            .with_no_client_auth()
            .with_cert_resolver(resolver);
        // A client that offers protocols without this one is refused with no_application_protocol
        // (ALPACA); one that offers none is an old XMPP client.
        tls.alpn_protocols = vec![ALPN_CLIENT.to_vec()];
        // Tickets instead of a session cache: nothing is kept for a client that has gone. Their key
        // is new with each Setup, so after a change of certificate nobody resumes a session with
        // the old one, whose tls-server-end-point would be wrong.
        tls.session_storage = Arc::new(NoServerSessionStorage {});
        tls.ticketer = rustls::crypto::aws_lc_rs::Ticketer::new().map_err(|e| e.to_string())?;
        tls.send_tls13_tickets = 1;
        tls.max_early_data_size = 0;
        let speaking = |protocols: &[&[u8]]| {
            let mut tls = tls.clone();
            tls.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
            Arc::new(tls)
        };
        let any = Arc::new(AnyCertificate(Arc::clone(provider)));
        let mut servers = ServerConfig::builder_with_provider(Arc::clone(provider))
            .with_safe_default_protocol_versions()
            .map_err(|e| e.to_string())?
            .with_client_cert_verifier(any)
            .with_cert_resolver(Arc::clone(&certificates) as _);
        servers.alpn_protocols = vec![ALPN_SERVER.to_vec()];
        // Each connection shows its certificate anew; it may have expired meanwhile.
        servers.session_storage = Arc::new(NoServerSessionStorage {});
        servers.send_tls13_tickets = 0;
        Ok(Self {
            web: speaking(&[ALPN_HTTP]),
            shared: speaking(&[ALPN_CLIENT, ALPN_HTTP]),
            config: Arc::new(tls),
            servers: Arc::new(servers),
            trust: Trust::load(config, provider)?,
            provider: Arc::clone(provider),
            certificates,
        })
    }

    /// TLS for one connection.
    pub(crate) fn connection(&self, role: &Role) -> io::Result<Connection> {
        let made = match role {
            Role::Clients => ServerConnection::new(Arc::clone(&self.config)).map(Connection::from),
            Role::Web => ServerConnection::new(Arc::clone(&self.web)).map(Connection::from),
            Role::ClientsAndWeb => {
                ServerConnection::new(Arc::clone(&self.shared)).map(Connection::from)
            }
            Role::Servers => ServerConnection::new(Arc::clone(&self.servers)).map(Connection::from),
            Role::Outgoing { local, remote } => self.outgoing(local, remote),
        };
        made.map_err(io::Error::other)
    }

    /// TLS to the server of `remote`, with our certificate for `local`.
    fn outgoing(&self, local: &str, remote: &str) -> Result<Connection, rustls::Error> {
        let any = Arc::new(AnyCertificate(Arc::clone(&self.provider)));
        let own = Arc::clone(&self.certificates.choose(Some(local)).key);
        let mut tls = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(any)
            .with_client_cert_resolver(Arc::new(Own(own)));
        tls.alpn_protocols = vec![ALPN_SERVER.to_vec()];
        tls.resumption = rustls::client::Resumption::disabled();
        let name = ServerName::try_from(remote.to_owned())
            .map_err(|_| rustls::Error::General("no name for a certificate".to_owned()))?;
        ClientConnection::new(Arc::new(tls), name).map(Connection::from)
    }

    /// What a stream must know about its TLS connection after the handshake.
    pub(crate) fn info(&self, tls: &Connection) -> TlsInfo {
        let tls = match tls {
            Connection::Server(tls) if tls.peer_certificates().is_none() => tls,
            other => {
                return TlsInfo {
                    peer: self
                        .trust
                        .read(other.peer_certificates().unwrap_or_default()),
                    ..TlsInfo::default()
                };
            }
        };
        // RFC 9266 § 4.2: with TLS 1.2 the binding is safe only with the extended master secret of
        // every session resumed, which is not worth proving; tls-server-end-point serves there.
        let tls_exporter = (tls.protocol_version() == Some(ProtocolVersion::TLSv1_3))
            .then(|| {
                tls.export_keying_material(vec![0; 32], b"EXPORTER-Channel-Binding", Some(b""))
            })
            .and_then(Result::ok);
        let certificate = self.certificates.choose(tls.server_name());
        TlsInfo {
            peer: Certificate::default(),
            bindings: ChannelBindings {
                exporter: tls_exporter,
                server_end_point: certificate.end_point.clone(),
            },
        }
    }
}

/// Whose connection it is, and so how TLS is done on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Role {
    /// A client's.
    Clients,
    /// HTTP.
    Web,
    /// One of the two; XMPP where the client does not say.
    ClientsAndWeb,
    /// Another server's that has come to us.
    Servers,
    /// Ours to another server.
    Outgoing {
        /// From which domain.
        local: String,
        /// To which; with A-labels.
        remote: String,
    },
}

impl Role {
    /// A connection between two domains.
    pub(crate) fn outgoing(pair: &Pair) -> Self {
        let ascii = |domain: &str| ascii_domain(domain).unwrap_or_else(|| domain.to_owned());
        Self::Outgoing {
            local: ascii(&pair.local),
            remote: ascii(&pair.remote),
        }
    }
}

/// Whether the client has asked for HTTP.
pub(crate) fn speaks_http(tls: &Connection) -> bool {
    tls.alpn_protocol() == Some(ALPN_HTTP)
}

/// Whether both sides have agreed on streams between servers.
pub(crate) fn speaks_server(tls: &Connection) -> bool {
    tls.alpn_protocol() == Some(ALPN_SERVER)
}

/// Shows one certificate to whoever asks.
#[derive(Debug)]
struct Own(Arc<CertifiedKey>);

impl ResolvesClientCert for Own {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// The cryptography of this process, named here and nowhere else.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}
