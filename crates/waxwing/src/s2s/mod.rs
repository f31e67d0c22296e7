//! Connections to other servers: found, made, and given to the engine.

pub(crate) mod advice;
mod resolve;
pub(crate) mod survey;
pub(crate) mod trust;

use crate::net::connection::{self, Role};
use crate::net::listener::{self, Shared};
use crate::net::transport::Transport;
use bytes::BytesMut;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use resolve::{Nowhere, Place};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, timeout};
use tracing::Instrument as _;
use waxwing_engine::{Dial, DialFailure, OutgoingConnection};
use waxwing_proto::stream::{self, s2s::ascii_domain};

pub(crate) use resolve::Dns;

/// Attempts under way at a time; the others wait their turn.
const DIALS_MAX: usize = 64;
/// The time for all of DNS, TCP and, where it comes first, TLS.
const PATIENCE: Duration = Duration::from_secs(30);
/// An attempt that has not succeeded by then gets company (RFC 8305 § 5).
const HEAD_START: Duration = Duration::from_millis(250);

/// Makes the connections that the engine asks for, until told to stop.
pub(crate) async fn serve(shared: Arc<Shared>, dns: Dns, stop: watch::Receiver<bool>) {
    let dns = Arc::new(dns);
    let gate = Arc::new(Semaphore::new(DIALS_MAX));
    let mut stopped = stop.clone();
    loop {
        let next = async {
            // First the permit: what nobody can make yet stays where it is.
            let permit = Arc::clone(&gate).acquire_owned().await.ok()?;
            Some((permit, shared.engine.next_dial().await))
        };
        let next = tokio::select! {
            biased;
            _ = stopped.changed() => return,
            next = next => next,
        };
        let Some((permit, dial)) = next else { return };
        let pair = dial.pair();
        let span = tracing::debug_span!("dial", local = %pair.local, remote = %pair.remote);
        let (shared, dns, stop) = (Arc::clone(&shared), Arc::clone(&dns), stop.clone());
        // Owned by its connection; ends with it, or when the runtime ends after the stop period.
        tokio::spawn(
            async move {
                let made = make(&shared, &dns, &dial).await;
                drop(permit);
                run(shared, dial, made, stop).await;
            }
            .instrument(span),
        );
    }
}

/// A connection that was made.
struct Made {
    transport: Transport,
    carrier: stream::Transport,
    /// What came right behind the handshake.
    input: BytesMut,
}

async fn run(
    shared: Arc<Shared>,
    dial: Dial,
    made: Result<Made, DialFailure>,
    stop: watch::Receiver<bool>,
) {
    let permit = Arc::clone(&shared.places).try_acquire_owned();
    let (made, permit) = match (made, permit) {
        (Ok(made), Ok(permit)) => (made, permit),
        (Ok(_), Err(_)) => {
            tracing::warn!("no place for a connection to another server");
            return dial.failed(&shared.engine, DialFailure::Unreachable).await;
        }
        (Err(failure), _) => return dial.failed(&shared.engine, failure).await,
    };
    let Made {
        transport,
        carrier,
        input,
    } = made;
    let role = Role::outgoing(dial.pair());
    let connection = OutgoingConnection::new(&shared.engine, dial, carrier);
    connection::serve(
        shared,
        connection,
        (transport, input, role),
        (permit, None),
        stop,
    )
    .await;
}

/// Finds the other server and connects to it.
async fn make(shared: &Arc<Shared>, dns: &Dns, dial: &Dial) -> Result<Made, DialFailure> {
    let pair = dial.pair();
    let ascii = ascii_domain(&pair.remote).ok_or(DialFailure::NotFound)?;
    let role = Role::outgoing(pair);
    let work = async {
        let mut places = match dns.places(&ascii, chance).await {
            Ok(places) => places,
            Err(Nowhere::NotFound) => {
                tracing::info!(remote = %pair.remote, "the domain has no server");
                return Err(DialFailure::NotFound);
            }
            Err(Nowhere::NoAnswer(error)) => {
                tracing::info!(remote = %pair.remote, %error, "the DNS does not answer");
                return Err(DialFailure::Unreachable);
            }
        };
        places.retain(|place| shared.private_addresses || is_public(place.address.ip()));
        if places.is_empty() {
            tracing::info!(remote = %pair.remote, "the domain leads to private addresses only");
            return Err(DialFailure::NotFound);
        }
        race(shared, &role, places).await.map_err(|error| {
            tracing::info!(remote = %pair.remote, %error, "another server cannot be reached");
            DialFailure::Unreachable
        })
    };
    timeout(PATIENCE, work)
        .await
        .unwrap_or(Err(DialFailure::Unreachable))
}

/// Tries the places, each with a head start before the next; the first that answers counts.
async fn race(shared: &Arc<Shared>, role: &Role, places: Vec<Place>) -> io::Result<Made> {
    let mut places = places.into_iter();
    let mut attempts = FuturesUnordered::new();
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    loop {
        let mut next_at = Instant::now() + HEAD_START;
        match places.next() {
            Some(place) => attempts.push(Box::pin(attempt(shared, role, place))),
            None if attempts.is_empty() => return Err(last),
            None => next_at += PATIENCE,
        }
        tokio::select! {
            biased;
            Some(done) = attempts.next() => match done {
                Ok(made) => return Ok(made),
                Err(error) => last = error,
            },
            () = tokio::time::sleep_until(next_at) => {}
        }
    }
}

async fn attempt(shared: &Arc<Shared>, role: &Role, place: Place) -> io::Result<Made> {
    let tcp = TcpStream::connect(place.address).await?;
    listener::prepare(&tcp, shared.keepalive)?;
    let mut transport = Transport::new(tcp);
    let mut input = BytesMut::new();
    let carrier = if place.direct {
        let info = connection::start_tls(shared, &mut transport, role, &mut input).await?;
        stream::Transport::Tls(info)
    } else {
        stream::Transport::Plain
    };
    Ok(Made {
        transport,
        carrier,
        input,
    })
}

/// A random number from 0 to `most`.
fn chance(most: u32) -> u32 {
    let mut bytes = [0; 4];
    // Without randomness the order is the same each time, and no harm done.
    let _ = aws_lc_rs::rand::fill(&mut bytes);
    u32::from_le_bytes(bytes) % most.saturating_add(1).max(1)
}

/// Whether an address is one of the public Internet: names that lead elsewhere would make this server
/// knock on doors that only it can reach.
fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => match ip.to_ipv4_mapped() {
            Some(ip) => is_public_v4(ip),
            None => is_public_v6(ip),
        },
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let shared = a == 100 && (64..128).contains(&b);
    let protocols = (a, b, c) == (192, 0, 0);
    let benchmarks = a == 198 && (18..20).contains(&b);
    !(ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_broadcast()
        || ip.is_documentation()
        || ip.is_unspecified()
        || ip.is_multicast()
        || shared
        || protocols
        || benchmarks
        || a == 0
        || a >= 240)
}

/// Global unicast (RFC 4291 § 2.4), without documentation, 6to4 and Teredo, which hide other addresses.
fn is_public_v6(ip: Ipv6Addr) -> bool {
    let [first, second, ..] = ip.segments();
    let unicast = first & 0xE000 == 0x2000;
    unicast && first != 0x2002 && !(first == 0x2001 && (second == 0x0DB8 || second < 0x0200))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_are_public() {
        for (ip, want) in [
            ("9.9.9.9", true),
            ("2620:fe::fe", true),
            ("10.0.0.1", false),
            ("127.0.0.1", false),
            ("169.254.169.254", false),
            ("100.64.0.1", false),
            ("192.168.1.1", false),
            ("0.0.0.0", false),
            ("198.18.0.1", false),
            ("224.0.0.1", false),
            ("255.255.255.255", false),
            ("::1", false),
            ("::", false),
            ("fe80::1", false),
            ("fd00::1", false),
            ("::ffff:127.0.0.1", false),
            ("::ffff:9.9.9.9", true),
            ("2002:7f00:1::", false),
            ("2001:db8::1", false),
            ("64:ff9b::7f00:1", false),
        ] {
            assert_eq!(is_public(ip.parse().unwrap()), want, "{ip}");
        }
    }
}
