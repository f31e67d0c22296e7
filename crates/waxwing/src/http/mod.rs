//! HTTP, by hyper, on the connections that [`crate::net`] accepts.
//!
//! Paths are compared as they are, never decoded, joined or looked up on a disk. A request that two
//! programs could read in two ways is refused (RFC 9112 § 6.3, 11.2).

mod body;
mod host_meta;
mod io;
mod range;
mod site;
mod upload;
mod websocket;

pub(crate) use site::Web;

use crate::net::connection::{self, Slot};
use crate::net::listener::Shared;
use crate::net::tls::Role;
use crate::net::transport::Transport;
use body::Content;
use bytes::BytesMut;
use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper::{Method, Request, Response, StatusCode, Version};
use hyper_util::rt::{TokioIo, TokioTimer};
use io::HttpIo;
use parking_lot::Mutex;
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use waxwing_engine::Connection;
use waxwing_engine::upload::PATH;
use waxwing_proto::stream;
use websocket::Upgrade;

/// How long a client may take for a request's head, the first one or the next.
const HEAD_TIMEOUT: Duration = Duration::from_secs(15);
/// Largest head of a request.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Header fields of one request.
const HEADERS_MAX: usize = 64;

/// An answer.
type Answer = Response<Content>;

/// Serves one connection until it ends. `from` is the peer, and whether it came to the listener for
/// reverse proxies.
pub(crate) async fn serve(
    shared: Arc<Shared>,
    (transport, input, role): (Transport, BytesMut, Role),
    carrier: stream::Transport,
    (peer, is_proxied): (IpAddr, bool),
    slot: Slot,
    mut stop: watch::Receiver<bool>,
) {
    if is_proxied && !shared.web.trusts(peer) {
        tracing::debug!("not from a proxy that `http.proxies` names");
        return;
    }
    let has_place = slot.place.is_some();
    let upgrade = Mutex::new(None);
    let (shared_here, upgrade_here) = (&shared, &upgrade);
    let service = service_fn(move |request| async move {
        let (answer, upgrades) = answer(shared_here, request, peer, has_place).await;
        if upgrades.is_some() {
            *upgrade_here.lock() = upgrades;
        }
        Ok::<_, Infallible>(answer)
    });
    let io = HttpIo::new(transport, input, shared.write_timeout);
    let mut http = Box::pin(
        hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_buf_size(HEAD_BYTES_MAX)
            .max_headers(HEADERS_MAX)
            .serve_connection(TokioIo::new(io), service)
            .with_upgrades(),
    );
    let served = tokio::select! {
        biased;
        _ = stop.changed() => {
            http.as_mut().graceful_shutdown();
            http.as_mut().await
        }
        served = &mut http => served,
    };
    if let Err(error) = served {
        tracing::debug!(%error, "the HTTP connection broke");
    }
    drop(http);
    let Some(upgrade) = upgrade.into_inner() else {
        return;
    };
    let (client, place) = (upgrade.peer, upgrade.place);
    let Some(wire) = taken_over(upgrade.connection).await else {
        return;
    };
    let connection = Connection::over_websocket(&shared.engine, client, carrier);
    let slot = (slot.permit, slot.place.or(place));
    let (transport, input) = wire;
    Box::pin(connection::serve(
        shared,
        connection,
        (transport, input, role),
        slot,
        stop,
    ))
    .await;
}

/// The transport of a connection that speaks HTTP no more, and what came behind the last request.
async fn taken_over(upgrade: OnUpgrade) -> Option<(Transport, BytesMut)> {
    let upgraded = upgrade.await.ok()?;
    let parts = upgraded.downcast::<TokioIo<HttpIo>>().ok()?;
    let (transport, rest) = parts.io.into_inner().into_parts();
    let mut input = BytesMut::from(&*parts.read_buf);
    input.extend_from_slice(&rest);
    Some((transport, input))
}

async fn answer(
    shared: &Shared,
    mut request: Request<Incoming>,
    peer: IpAddr,
    has_place: bool,
) -> (Answer, Option<Upgrade>) {
    if let Some(status) = objection(&request) {
        let mut answer = plain(status);
        // What follows may not be the next request.
        let close = HeaderValue::from_static("close");
        answer.headers_mut().insert(header::CONNECTION, close);
        return (answer, None);
    }
    let answer = match request.uri().path() {
        host_meta::PATH => host_meta::answer(&shared.web, &request, host_meta::Format::Xrd),
        host_meta::PATH_JSON => host_meta::answer(&shared.web, &request, host_meta::Format::Json),
        websocket::PATH => return websocket::answer(shared, &mut request, peer, has_place),
        path if path.starts_with(PATH) => upload::answer(shared, request).await,
        _ => plain(StatusCode::NOT_FOUND),
    };
    (answer, None)
}

/// Why a request is not looked at.
fn objection<B>(request: &Request<B>) -> Option<StatusCode> {
    let headers = request.headers();
    // Bodies here have a length that is known before; without this header nothing can be read in
    // two ways (request smuggling).
    if headers.contains_key(header::TRANSFER_ENCODING) {
        return Some(StatusCode::LENGTH_REQUIRED);
    }
    let count = |name| headers.get_all(name).iter().count();
    let hosts = count(header::HOST);
    let has_host = hosts == 1 || (hosts == 0 && request.version() == Version::HTTP_10);
    (!has_host || count(header::CONTENT_LENGTH) > 1).then_some(StatusCode::BAD_REQUEST)
}

/// Whether this only reads.
fn reads(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

/// An answer that says no more than its status.
fn plain(status: StatusCode) -> Answer {
    let reason = status.canonical_reason().unwrap_or_default();
    let mut answer = Response::new(Content::from(format!("{reason}\n")));
    *answer.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    answer.headers_mut().insert(header::CONTENT_TYPE, kind);
    answer
}

#[cfg(test)]
mod tests;
