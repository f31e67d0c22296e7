//! `/metrics` and `/health` on a local address.

use super::metrics::Metrics;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

/// Requests at a time; a scraper needs one.
const CONNECTIONS_MAX: usize = 8;
/// How long a client may take for its request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// Largest head of a request.
const HEAD_BYTES_MAX: usize = 8 * 1024;

/// Answers until told to stop.
pub(crate) async fn serve(
    metrics: Arc<Metrics>,
    listener: TcpListener,
    mut stop: watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let next = async {
            let permit = Arc::clone(&places).acquire_owned().await.ok()?;
            match listener.accept().await {
                Ok((tcp, _)) => Some((tcp, permit)),
                Err(error) => {
                    tracing::debug!(%error, "a metrics connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(200)).await;
                    None
                }
            }
        };
        let accepted = tokio::select! {
            biased;
            _ = stop.changed() => return,
            accepted = next => accepted,
        };
        let Some((tcp, permit)) = accepted else {
            continue;
        };
        let (metrics, stop) = (Arc::clone(&metrics), stop.clone());
        // Owned by its connection; bounded by the head's timeout and by one request.
        tokio::spawn(async move {
            let service = service_fn(|request| {
                let answer = answer(&metrics, &request, *stop.borrow());
                async { Ok::<_, Infallible>(answer) }
            });
            let served = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIMEOUT)
                .max_buf_size(HEAD_BYTES_MAX)
                .keep_alive(false)
                .serve_connection(TokioIo::new(tcp), service)
                .await;
            if let Err(error) = served {
                tracing::debug!(%error, "a metrics request failed");
            }
            drop(permit);
        });
    }
}

fn answer(metrics: &Metrics, request: &Request<Incoming>, stopping: bool) -> Response<Full<Bytes>> {
    let (status, kind, body) = match (request.method(), request.uri().path()) {
        (&Method::GET | &Method::HEAD, "/metrics") => (
            StatusCode::OK,
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
            metrics.encode(),
        ),
        (&Method::GET | &Method::HEAD, "/health") if stopping => (
            StatusCode::SERVICE_UNAVAILABLE,
            "text/plain",
            "stopping\n".to_owned(),
        ),
        (&Method::GET | &Method::HEAD, "/health") => {
            (StatusCode::OK, "text/plain", "ok\n".to_owned())
        }
        (&Method::GET | &Method::HEAD, _) => (
            StatusCode::NOT_FOUND,
            "text/plain",
            "Here are /metrics and /health.\n".to_owned(),
        ),
        _ => (
            StatusCode::METHOD_NOT_ALLOWED,
            "text/plain",
            "Only GET.\n".to_owned(),
        ),
    };
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(kind));
    response
}
