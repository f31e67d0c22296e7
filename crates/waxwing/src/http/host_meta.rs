//! Where web clients find the ways to a domain (XEP-0156 § 3, RFC 6415).

use super::body::Content;
use super::site::{Site, Web};
use super::{Answer, plain, reads, websocket};
use hyper::header::{self, HeaderValue};
use hyper::{Request, Response, StatusCode};

/// Where it is, as XML.
pub(super) const PATH: &str = "/.well-known/host-meta";
/// Where it is, as JSON.
pub(super) const PATH_JSON: &str = "/.well-known/host-meta.json";

/// How it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// RFC 6415 § 3.
    Xrd,
    /// RFC 6415 Appendix A.
    Json,
}

/// The document of the domain that the request names.
pub(super) fn answer<B>(web: &Web, request: &Request<B>, format: Format) -> Answer {
    if !reads(request.method()) {
        let mut answer = plain(StatusCode::METHOD_NOT_ALLOWED);
        let allow = HeaderValue::from_static("GET, HEAD");
        answer.headers_mut().insert(header::ALLOW, allow);
        return answer;
    }
    let Some(site) = web.site(request) else {
        return plain(StatusCode::NOT_FOUND);
    };
    let kind = match format {
        Format::Xrd => "application/xrd+xml; charset=utf-8",
        Format::Json => "application/json",
    };
    let mut answer = Response::new(Content::from(document(site, format)));
    for (name, value) in [
        (header::CONTENT_TYPE, kind),
        // Web clients come from everywhere (XEP-0156 § 3.1).
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        let value = HeaderValue::from_static(value);
        answer.headers_mut().insert(name, value);
    }
    answer
}

fn document(site: &Site, format: Format) -> String {
    let (authority, path) = (&site.authority, websocket::PATH);
    // An authority has no character that XML or JSON would have to escape.
    match format {
        Format::Xrd => format!(
            "<?xml version='1.0' encoding='utf-8'?>\n\
             <XRD xmlns='http://docs.oasis-open.org/ns/xri/xrd-1.0'>\
             <Link rel='{WEBSOCKET}' href='wss://{authority}{path}'/></XRD>\n"
        ),
        Format::Json => format!(
            "{{\"links\":[{{\"rel\":\"{WEBSOCKET}\",\"href\":\"wss://{authority}{path}\"}}]}}\n"
        ),
    }
}

/// The relation of a WebSocket to a domain (XEP-0156 § 3).
const WEBSOCKET: &str = "urn:xmpp:alt-connections:websocket";
