//! Where the server of a domain is (RFC 6120 § 3.2, XEP-0368).

use crate::config::Config;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{RData, RecordType};
use hickory_resolver::{ResolverBuilder, TokioResolver};
use std::net::{IpAddr, SocketAddr};

/// The port of servers without service records (RFC 6120 § 3.2.2).
pub(super) const PORT: u16 = 5269;
/// Places that are tried, at most: whoever names more names them for something else.
const PLACES_MAX: usize = 16;

/// Asks the DNS.
#[derive(Debug)]
pub(crate) struct Dns(TokioResolver);

/// A place where a server may be, in the order to try them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) address: SocketAddr,
    /// Whether TLS begins with the first byte.
    pub(super) direct: bool,
}

/// Why there is no place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Nowhere {
    /// The domain does not exist, or says that it has no server.
    NotFound,
    /// The DNS did not answer.
    NoAnswer(String),
}

/// A service record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Service {
    priority: u16,
    weight: u16,
    pub(super) port: u16,
    /// Empty for "decidedly not available".
    pub(super) host: String,
    pub(super) direct: bool,
}

impl Service {
    /// Where a server is of which no record tells.
    pub(super) fn at(host: String, port: u16) -> Self {
        Self {
            priority: 0,
            weight: 0,
            port,
            host,
            direct: false,
        }
    }
}

impl Dns {
    /// Asks the servers that the configuration names, or those of the system.
    pub(crate) fn new(config: &Config) -> Result<Self, String> {
        let servers = &config.federation.name_servers;
        let provider = TokioRuntimeProvider::default();
        let builder: ResolverBuilder<_> = if servers.is_empty() {
            TokioResolver::builder(provider).map_err(|e| {
                format!(
                    "the system's name servers cannot be found out: {e}; name some with \
                         `federation.name_servers`, or do without other servers: \
                         `federation.enabled = false`"
                )
            })?
        } else {
            let servers = servers.iter().map(|address| {
                let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()];
                let at = |mut connection: ConnectionConfig| {
                    connection.port = address.port();
                    connection
                };
                NameServerConfig::new(address.ip(), true, connections.map(at).into())
            });
            let config = ResolverConfig::from_name_servers(servers.collect());
            TokioResolver::builder_with_config(config, provider)
        };
        let resolver = builder.build().map_err(|e| e.to_string())?;
        Ok(Self(resolver))
    }

    /// Where the server of a domain may be; `ascii` has A-labels. `chance` decides among services of
    /// equal priority.
    pub(super) async fn places(
        &self,
        ascii: &str,
        chance: impl FnMut(u32) -> u32,
    ) -> Result<Vec<Place>, Nowhere> {
        let names = ["_xmpps-server", "_xmpp-server"].map(|service| {
            let name = [service, "._tcp.", ascii, "."];
            name.concat()
        });
        let [direct, starttls] = &names;
        let (direct, starttls) =
            tokio::join!(self.services(direct, true), self.services(starttls, false));
        let services = [direct?, starttls?].concat();
        // RFC 2782: a single "." says that there is no such service.
        if !services.is_empty() && services.iter().all(|service| service.host.is_empty()) {
            return Err(Nowhere::NotFound);
        }
        let mut places = Vec::new();
        let services = if services.is_empty() {
            vec![Service::at(format!("{ascii}."), PORT)]
        } else {
            in_order(services, chance)
        };
        let mut silence = None;
        for service in services
            .into_iter()
            .filter(|service| !service.host.is_empty())
        {
            match self.addresses(&service.host).await {
                Ok(addresses) => places.extend(addresses.into_iter().map(|ip| Place {
                    address: SocketAddr::new(ip, service.port),
                    direct: service.direct,
                })),
                Err(Nowhere::NotFound) => {}
                Err(no_answer) => silence = Some(no_answer),
            }
            if places.len() >= PLACES_MAX {
                break;
            }
        }
        places.truncate(PLACES_MAX);
        match silence {
            _ if !places.is_empty() => Ok(places),
            Some(no_answer) => Err(no_answer),
            None => Err(Nowhere::NotFound),
        }
    }

    /// The records of one service; none if there are none.
    pub(super) async fn services(&self, name: &str, direct: bool) -> Result<Vec<Service>, Nowhere> {
        let found = match self.0.lookup(name, RecordType::SRV).await {
            Ok(found) => found,
            Err(error) if error.is_no_records_found() => return Ok(Vec::new()),
            Err(error) => return Err(Nowhere::NoAnswer(error.to_string())),
        };
        let services = found
            .answers()
            .iter()
            .filter_map(|record| match &record.data {
                RData::SRV(srv) => Some(Service {
                    priority: srv.priority,
                    weight: srv.weight,
                    port: srv.port,
                    host: if srv.target.is_root() {
                        String::new()
                    } else {
                        srv.target.to_ascii()
                    },
                    direct,
                }),
                _ => None,
            });
        Ok(services.collect())
    }

    /// IPv6 and IPv4 in turns, so that one that does not work costs one attempt (RFC 8305 § 4).
    pub(super) async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, Nowhere> {
        let found = match self.0.lookup_ip(host).await {
            Ok(found) => found,
            Err(error) if error.is_no_records_found() => return Err(Nowhere::NotFound),
            Err(error) => return Err(Nowhere::NoAnswer(error.to_string())),
        };
        Ok(in_turns(found.iter()))
    }
}

/// Addresses of both families in turns, IPv6 first.
fn in_turns(addresses: impl Iterator<Item = IpAddr>) -> Vec<IpAddr> {
    let (six, four): (Vec<_>, Vec<_>) = addresses.partition(IpAddr::is_ipv6);
    let (mut six, mut four) = (six.into_iter(), four.into_iter());
    let mut all = Vec::new();
    loop {
        let pair = [six.next(), four.next()];
        if pair == [None, None] {
            return all;
        }
        all.extend(pair.into_iter().flatten());
    }
}

/// By priority, then by weight and chance (RFC 2782). `chance` gives a number up to its argument.
fn in_order(mut services: Vec<Service>, mut chance: impl FnMut(u32) -> u32) -> Vec<Service> {
    services.sort_by_key(|service| (service.priority, service.weight != 0, !service.direct));
    let mut ordered = Vec::with_capacity(services.len());
    while let Some(first) = services.first() {
        let priority = first.priority;
        let same = services
            .iter()
            .filter(|service| service.priority == priority);
        let total = same.map(|service| u32::from(service.weight)).sum();
        let mut left = chance(total);
        let chosen = services.iter().position(|service| {
            let weight = u32::from(service.weight);
            let hit = left <= weight;
            left = left.saturating_sub(weight);
            hit
        });
        ordered.push(services.remove(chosen.unwrap_or(0)));
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(priority: u16, weight: u16, host: &str, direct: bool) -> Service {
        Service {
            priority,
            weight,
            port: 5269,
            host: host.to_owned(),
            direct,
        }
    }

    #[test]
    fn services_are_tried_by_priority_then_by_weight() {
        let services = vec![
            service(20, 0, "last", false),
            service(10, 10, "light", false),
            service(10, 90, "heavy", false),
            service(10, 0, "plain", false),
            service(10, 0, "direct", true),
        ];
        let hosts = |chance: fn(u32) -> u32| -> Vec<String> {
            let ordered = in_order(services.clone(), chance);
            ordered.into_iter().map(|service| service.host).collect()
        };
        assert_eq!(hosts(|_| 0), ["direct", "plain", "light", "heavy", "last"]);
        assert_eq!(
            hosts(|total| total),
            ["heavy", "light", "direct", "plain", "last"]
        );
    }

    #[test]
    fn families_take_turns() {
        let all = ["192.0.2.1", "192.0.2.2", "192.0.2.3", "2001:db8::1"];
        let all = all.map(|text| text.parse::<IpAddr>().unwrap());
        let turns = in_turns(all.into_iter())
            .into_iter()
            .map(|ip| ip.to_string());
        assert_eq!(
            turns.collect::<Vec<_>>(),
            ["2001:db8::1", "192.0.2.1", "192.0.2.2", "192.0.2.3"]
        );
    }
}
