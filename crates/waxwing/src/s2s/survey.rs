//! How a domain looks to other servers: what the DNS says, and what answers there.

use super::advice::{Findings, Records, Seen, Trouble, Visit};
use super::resolve::{Dns, Nowhere, PORT, Service};
use super::{PATIENCE, is_public};
use crate::config::{Config, Domain};
use crate::net::listener;
use crate::net::tls::{Role, Tls};
use crate::net::transport::{Received, Transport};
use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use waxwing_proto::stream::{
    self, StreamCondition,
    s2s::{
        Failure, Pair, Policy, Purpose, S2sEffect, S2sOutStream, S2sSettings, Target, ascii_domain,
        dialback::{Secret, Verdict},
    },
};

/// Looks at domains.
pub(crate) struct Surveyor {
    dns: Dns,
    tls: Tls,
    /// In whose name questions are asked.
    local: String,
    domains: Vec<String>,
    private_addresses: bool,
}

impl Surveyor {
    /// One that asks in the name of the first domain. The error says what stands in the way.
    pub(crate) fn new(config: &Config) -> Result<Self, String> {
        let mut federating = config.clone();
        federating.federation.enabled = true;
        let local = config.domains.first().map(Domain::as_str);
        let services = config.hosted().into_iter().map(|service| service.name);
        let domains = config
            .domains
            .iter()
            .map(|domain| domain.as_str().to_owned());
        Ok(Self {
            dns: Dns::new(config)?,
            tls: Tls::new(&federating)?,
            local: local.unwrap_or_default().to_owned(),
            domains: domains
                .chain(services)
                .filter_map(|name| ascii_domain(&name))
                .collect(),
            private_addresses: config.federation.private_addresses,
        })
    }

    /// What there is to find out about a domain, given with A-labels.
    pub(crate) async fn look(&self, domain: &str) -> Findings {
        let names = ["_xmpp-server", "_xmpps-server"];
        let names = names.map(|service| [service, "._tcp.", domain, "."].concat());
        let [starttls, direct] = &names;
        let (starttls, direct) = tokio::join!(
            self.dns.services(starttls, false),
            self.dns.services(direct, true)
        );
        let mut services = [starttls.clone(), direct.clone()]
            .into_iter()
            .flat_map(Result::unwrap_or_default)
            .filter(|service| !service.host.is_empty())
            .collect::<Vec<_>>();
        let (starttls, direct) = (records(starttls), records(direct));
        if starttls == Records::Absent && direct == Records::Absent {
            services.push(Service::at(format!("{domain}."), PORT));
        }
        let mut visits = Vec::new();
        for service in services {
            visits.extend(self.visit(domain, &service).await);
        }
        Findings {
            domain: domain.to_owned(),
            ours: self.domains.iter().any(|own| own == domain),
            starttls,
            direct,
            visits,
        }
    }

    async fn visit(&self, domain: &str, service: &Service) -> Vec<Visit> {
        let visit = |address, outcome| Visit {
            host: service.host.clone(),
            port: service.port,
            address,
            direct: service.direct,
            outcome,
        };
        let addresses = match self.dns.addresses(&service.host).await {
            Ok(addresses) => addresses,
            Err(Nowhere::NotFound) => return vec![visit(None, Err(Trouble::NoAddress))],
            Err(Nowhere::NoAnswer(error)) => return vec![visit(None, Err(Trouble::Closed(error)))],
        };
        let mut visits = Vec::new();
        for ip in addresses {
            let place = SocketAddr::new(ip, service.port);
            let outcome = if self.private_addresses || is_public(ip) {
                let talk = Box::pin(self.talk(domain, place, service.direct));
                let late = || Err(Trouble::Closed("no answer in time".to_owned()));
                timeout(PATIENCE, talk).await.unwrap_or_else(|_| late())
            } else {
                Err(Trouble::Private)
            };
            visits.push(visit(Some(ip), outcome));
        }
        visits
    }

    /// Asks the server about a dialback key that nobody has made, which it answers without knowing us.
    async fn talk(&self, domain: &str, place: SocketAddr, direct: bool) -> Result<Seen, Trouble> {
        let tcp = TcpStream::connect(place).await;
        let tcp = tcp.map_err(|e| Trouble::Closed(e.to_string()))?;
        listener::prepare(&tcp, PATIENCE).map_err(|e| Trouble::Closed(e.to_string()))?;
        let pair = Pair {
            local: self.local.clone(),
            remote: domain.to_owned(),
        };
        let role = Role::outgoing(&pair);
        let mut line = Line {
            transport: Transport::new(tcp),
            input: BytesMut::new(),
            alpn: false,
        };
        let mut seen = None;
        let carrier = if direct {
            let info = line.start_tls(&self.tls, &role).await?;
            seen = Some(info.peer.clone());
            stream::Transport::Tls(info)
        } else {
            stream::Transport::Plain
        };
        let target = Target {
            pair,
            purpose: Purpose::Verify {
                id: "check".to_owned(),
                key: "none".to_owned(),
            },
        };
        let mut stream = S2sOutStream::new(settings(), target, carrier);
        let mut dialback = false;
        loop {
            let Some(effect) = stream.next_effect(&mut line.input) else {
                line.read().await?;
                continue;
            };
            match effect {
                S2sEffect::Send(bytes) => line.write(bytes).await?,
                S2sEffect::StartTls => {
                    let info = line.start_tls(&self.tls, &role).await?;
                    seen = Some(info.peer.clone());
                    stream.tls_started(info);
                }
                S2sEffect::Verified(verdict) => {
                    dialback = matches!(verdict, Verdict::Valid | Verdict::Invalid);
                }
                S2sEffect::Close => break,
                _ => {}
            }
        }
        match (seen, stream.failure()) {
            (_, Some(Failure::NoTls)) => Err(Trouble::NoTls),
            (_, Some(Failure::Closed(Some(StreamCondition::HostUnknown)))) => {
                Err(Trouble::Stranger)
            }
            (Some(certificate), _) => Ok(Seen {
                trusted: certificate.trusted,
                named: certificate.names(domain),
                names: certificate.dns_names,
                alpn: line.alpn,
                dialback,
            }),
            (None, failure) => Err(Trouble::Broken(format!("{failure:?}"))),
        }
    }
}

/// A connection, without the engine.
struct Line {
    transport: Transport,
    input: BytesMut,
    alpn: bool,
}

impl Line {
    async fn start_tls(&mut self, tls: &Tls, role: &Role) -> Result<stream::TlsInfo, Trouble> {
        let setup = tls.current();
        let gate = Semaphore::new(1);
        let done = self
            .transport
            .start_tls((&setup, role), &gate, &mut self.input);
        let info = Box::pin(done).await;
        self.alpn = self.transport.speaks_server();
        info.map_err(|e| Trouble::Handshake(e.to_string()))
    }

    async fn write(&mut self, bytes: Bytes) -> Result<(), Trouble> {
        let mut queue = VecDeque::from([bytes]);
        let written = self.transport.write(&mut queue, Duration::from_secs(10));
        written.await.map_err(|e| Trouble::Broken(e.to_string()))
    }

    async fn read(&mut self) -> Result<(), Trouble> {
        let broken = |e: std::io::Error| Trouble::Broken(e.to_string());
        self.transport.readable().await.map_err(broken)?;
        match self.transport.read(&mut self.input).map_err(broken)? {
            Received::End if self.input.is_empty() => {
                Err(Trouble::Broken("the connection was closed".to_owned()))
            }
            Received::End | Received::More => Ok(()),
        }
    }
}

fn settings() -> Arc<S2sSettings> {
    let mut random = [0; 32];
    // Nobody is told the secret, and no key is made with it.
    let _ = aws_lc_rs::rand::fill(&mut random);
    let mut settings = S2sSettings::new(Secret::new(&random));
    // The certificate is judged by the one who asked.
    settings.policies.default = Policy::Dialback;
    Arc::new(settings)
}

fn records(found: Result<Vec<Service>, Nowhere>) -> Records {
    match found {
        Ok(services) if services.is_empty() => Records::Absent,
        Ok(services) if services.iter().all(|service| service.host.is_empty()) => Records::Denied,
        Ok(_) => Records::Found,
        Err(Nowhere::NotFound) => Records::Absent,
        Err(Nowhere::NoAnswer(error)) => Records::NoAnswer(error),
    }
}
