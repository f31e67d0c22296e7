//! The handshake of WebSocket for XMPP (RFC 6455 § 4.2, RFC 7395 § 3.1). What follows is a client's
//! connection like any other.

use super::{Answer, plain};
use crate::net::admission::Place;
use crate::net::listener::Shared;
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::upgrade::OnUpgrade;
use hyper::{Method, Request, StatusCode, Version};
use std::net::IpAddr;
use waxwing_proto::stream::websocket;

/// Where it is.
pub(super) const PATH: &str = "/xmpp-websocket";

/// The subprotocol (RFC 7395 § 3.1).
const SUBPROTOCOL: &str = "xmpp";

/// A connection that becomes a client's once the answer is sent.
pub(super) struct Upgrade {
    pub(super) connection: OnUpgrade,
    /// Who the client is, behind whatever proxy.
    pub(super) peer: IpAddr,
    /// The client's own place, if its connection has none.
    pub(super) place: Option<Place>,
}

/// Answers a handshake. `peer` is the other end of the connection, and `has_place` says whether it
/// has a place of its own, as nobody behind a proxy has.
pub(super) fn answer(
    shared: &Shared,
    request: &mut Request<Incoming>,
    peer: IpAddr,
    has_place: bool,
) -> (Answer, Option<Upgrade>) {
    let accept = match accepted(request) {
        Ok(accept) => accept,
        Err(status) => {
            let mut answer = plain(status);
            let (name, value) = match status {
                StatusCode::METHOD_NOT_ALLOWED => (header::ALLOW, "GET"),
                _ => (header::SEC_WEBSOCKET_VERSION, "13"),
            };
            answer
                .headers_mut()
                .insert(name, HeaderValue::from_static(value));
            return (answer, None);
        }
    };
    let client = if has_place {
        peer
    } else {
        forwarded_for(request.headers()).unwrap_or(peer)
    };
    let place = if has_place {
        None
    } else {
        let Some(place) = shared.admission.enter(client) else {
            shared.metrics.refused.inc();
            return (plain(StatusCode::TOO_MANY_REQUESTS), None);
        };
        Some(place)
    };
    let upgrade = Upgrade {
        connection: hyper::upgrade::on(request),
        peer: client,
        place,
    };
    let mut answer = Answer::default();
    *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = answer.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    let subprotocol = HeaderValue::from_static(SUBPROTOCOL);
    headers.insert(header::SEC_WEBSOCKET_PROTOCOL, subprotocol);
    (answer, Some(upgrade))
}

/// The value of `Sec-WebSocket-Accept`, or what to answer instead. The `Origin` does not matter: a
/// page of any site may connect, because it brings no login that it does not know.
fn accepted<B>(request: &Request<B>) -> Result<HeaderValue, StatusCode> {
    if request.method() != Method::GET {
        return Err(StatusCode::METHOD_NOT_ALLOWED);
    }
    let headers = request.headers();
    let upgrades = request.version() == Version::HTTP_11
        && lists(headers, header::CONNECTION, "upgrade")
        && lists(headers, header::UPGRADE, "websocket");
    let version = headers.get(header::SEC_WEBSOCKET_VERSION);
    if !upgrades || version.is_none_or(|version| version != "13") {
        return Err(StatusCode::UPGRADE_REQUIRED);
    }
    if !lists(headers, header::SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL) {
        return Err(StatusCode::BAD_REQUEST);
    }
    let key = headers.get(header::SEC_WEBSOCKET_KEY);
    let accept = key
        .and_then(|key| key.to_str().ok())
        .and_then(websocket::accept)
        .and_then(|accept| HeaderValue::try_from(accept).ok());
    accept.ok_or(StatusCode::BAD_REQUEST)
}

/// Whether a list of tokens has this one.
fn lists(headers: &HeaderMap, name: HeaderName, token: &str) -> bool {
    let lists = headers.get_all(name).into_iter();
    lists
        .filter_map(|list| list.to_str().ok())
        .flat_map(|list| list.split(','))
        .any(|item| item.trim().eq_ignore_ascii_case(token))
}

/// The last address in `X-Forwarded-For`: the one that our own proxy has seen.
fn forwarded_for(headers: &HeaderMap) -> Option<IpAddr> {
    let list = headers.get_all("x-forwarded-for").into_iter().next_back()?;
    let nearest = list.to_str().ok()?.rsplit(',').next()?.trim();
    nearest.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handshake_is_complete() {
        let all = [
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "WebSocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-protocol", "other, xmpp"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        let ask = |without: &str| {
            let mut request = Request::builder().uri(PATH);
            for (name, value) in all.iter().filter(|(name, _)| *name != without) {
                request = request.header(*name, *value);
            }
            accepted(&request.body(()).unwrap()).map_err(|status| status.as_u16())
        };
        assert_eq!(ask("").unwrap(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        for (without, status) in [
            ("connection", 426),
            ("upgrade", 426),
            ("sec-websocket-version", 426),
            ("sec-websocket-protocol", 400),
            ("sec-websocket-key", 400),
        ] {
            assert_eq!(ask(without), Err(status), "without {without}");
        }
    }

    #[test]
    fn the_proxys_own_word_counts() {
        let check = |values: &[&'static str], want: Option<&str>| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append("x-forwarded-for", HeaderValue::from_static(value));
            }
            let got = forwarded_for(&headers).map(|address| address.to_string());
            assert_eq!(got.as_deref(), want, "{values:?}");
        };
        check(&["192.0.2.1"], Some("192.0.2.1"));
        check(&["10.0.0.1, 2001:db8::1"], Some("2001:db8::1"));
        check(&["203.0.113.9", "192.0.2.1"], Some("192.0.2.1"));
        check(&["unknown"], None);
        check(&[], None);
    }
}
