//! Uploads and downloads of files (XEP-0363 § 7). The slot's name in the path says which file; what
//! stands behind it is for people.

use super::body::{Content, FilePart};
use super::range::{self, Part};
use super::{Answer, plain};
use crate::net::listener::Shared;
use crate::uploads::{Failure, Incoming as Unfinished, Uploads};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, StatusCode};
use std::io;
use std::time::Duration;
use tokio::time::timeout;
use waxwing_engine::upload::{PATH, Slot};
use waxwing_store::{StoreError, Upload};

/// How long a client may send nothing in the middle of a file. A phone that walks through a tunnel
/// is back within a minute.
const STALL_MAX: Duration = Duration::from_mins(1);
/// Bytes of an upload that wait in memory to be written.
const WRITE_BYTES: usize = 256 * 1024;

/// Kinds of file that browsers may show: none of them can do anything there. All else is downloaded
/// as bytes that are nothing in particular.
const SHOWN: [&str; 28] = [
    "application/pdf",
    "audio/3gpp",
    "audio/aac",
    "audio/amr",
    "audio/flac",
    "audio/mp4",
    "audio/mpeg",
    "audio/ogg",
    "audio/opus",
    "audio/wav",
    "audio/webm",
    "audio/x-m4a",
    "image/avif",
    "image/bmp",
    "image/gif",
    "image/heic",
    "image/heif",
    "image/jpeg",
    "image/jxl",
    "image/png",
    "image/webp",
    "text/plain",
    "video/3gpp",
    "video/mp4",
    "video/ogg",
    "video/quicktime",
    "video/webm",
    "video/x-matroska",
];

/// What every answer about uploads says: it is open to web clients of everywhere, which bring no
/// cookies, and it can neither do anything in a browser nor be taken for what it is not.
const SAFE: [(HeaderName, &str); 6] = [
    (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
    (
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        "Accept-Ranges, Content-Length, Content-Range, ETag",
    ),
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; img-src 'self'; media-src 'self'; frame-ancestors 'none'; sandbox",
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "cross-origin",
    ),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
];

const METHODS: &str = "OPTIONS, HEAD, GET, PUT";

/// The name of the slot that a path is of.
pub(super) fn slot_name(path: &str) -> Option<&str> {
    let (slot, file) = path.strip_prefix(PATH)?.split_once('/')?;
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    let is_name = !slot.is_empty() && slot.bytes().all(fits);
    (is_name && !file.is_empty() && !file.contains('/')).then_some(slot)
}

/// Answers a request for a path that begins with [`PATH`].
pub(super) async fn answer(shared: &Shared, request: Request<Incoming>) -> Answer {
    let mut answer = match (slot_name(request.uri().path()), &shared.uploads) {
        (Some(slot), Some(uploads)) => {
            let slot = slot.to_owned();
            match *request.method() {
                Method::GET | Method::HEAD => get(shared, uploads, &slot, &request).await,
                Method::PUT => Box::pin(put(shared, uploads, &slot, request)).await,
                Method::OPTIONS => preflight(),
                _ => not_allowed(),
            }
        }
        _ => plain(StatusCode::NOT_FOUND),
    };
    for (name, value) in SAFE {
        let value = HeaderValue::from_static(value);
        answer.headers_mut().insert(name, value);
    }
    answer
}

fn not_allowed() -> Answer {
    let mut answer = plain(StatusCode::METHOD_NOT_ALLOWED);
    set(&mut answer, header::ALLOW, METHODS);
    answer
}

/// What a browser asks before a web client may upload.
fn preflight() -> Answer {
    let mut answer = Answer::default();
    *answer.status_mut() = StatusCode::NO_CONTENT;
    set(&mut answer, header::ALLOW, METHODS);
    set(&mut answer, header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    let headers = "Authorization, Content-Type, If-None-Match, If-Range, Range";
    set(&mut answer, header::ACCESS_CONTROL_ALLOW_HEADERS, headers);
    set(&mut answer, header::ACCESS_CONTROL_MAX_AGE, "86400");
    answer
}

/// Takes a file.
async fn put(shared: &Shared, uploads: &Uploads, name: &str, request: Request<Incoming>) -> Answer {
    let metrics = shared.engine.metrics();
    let status = match receive(shared, uploads, name, request).await {
        Ok(bytes) => {
            metrics.uploads.inc();
            metrics.upload_bytes.add(bytes);
            StatusCode::CREATED
        }
        Err(status) => {
            metrics.uploads_failed.inc();
            status
        }
    };
    plain(status)
}

/// Takes the bytes of a file to the disk; gives how many there were.
async fn receive(
    shared: &Shared,
    uploads: &Uploads,
    name: &str,
    request: Request<Incoming>,
) -> Result<u64, StatusCode> {
    let headers = request.headers();
    let shown = text(headers, &header::AUTHORIZATION).unwrap_or_default();
    let slot = shared.engine.upload_slot(name, shown);
    let slot = slot.ok_or(StatusCode::FORBIDDEN)?;
    let media_type = text(headers, &header::CONTENT_TYPE).map(str::to_owned);
    fits(
        &slot,
        request.body().size_hint().exact(),
        media_type.as_deref(),
    )?;
    let place = uploads.place(&slot.account);
    let _place = place.ok_or(StatusCode::TOO_MANY_REQUESTS)?;
    let mut body = request.into_body();
    let mut file = uploads.begin(slot.bytes).await.map_err(|e| disk(&e))?;
    let mut left = slot.bytes;
    while left > 0 {
        let chunks = next_chunks(&mut body, &mut left).await?;
        file = file.write(chunks).await.map_err(|e| disk(&e))?;
    }
    let bytes = slot.bytes;
    keep(uploads, file, slot, media_type).await?;
    Ok(bytes)
}

/// Whether a file may be put into a slot (XEP-0363 § 7).
fn fits(slot: &Slot, bytes: Option<u64>, media_type: Option<&str>) -> Result<(), StatusCode> {
    match bytes {
        Some(bytes) if bytes > slot.bytes => return Err(StatusCode::PAYLOAD_TOO_LARGE),
        Some(bytes) if bytes == slot.bytes => {}
        _ => return Err(StatusCode::BAD_REQUEST),
    }
    match (&slot.media_type, media_type) {
        (Some(wanted), Some(given)) if !wanted.eq_ignore_ascii_case(given) => {
            Err(StatusCode::UNSUPPORTED_MEDIA_TYPE)
        }
        _ => Ok(()),
    }
}

/// What comes next of a body, as much as is written at once.
async fn next_chunks(body: &mut Incoming, left: &mut u64) -> Result<Vec<Bytes>, StatusCode> {
    let (mut chunks, mut count) = (Vec::new(), 0);
    while *left > 0 && count < WRITE_BYTES {
        let frame = timeout(STALL_MAX, body.frame()).await;
        let frame = frame.map_err(|_| StatusCode::REQUEST_TIMEOUT)?;
        let frame = frame.and_then(Result::ok).ok_or(StatusCode::BAD_REQUEST)?;
        let Ok(chunk) = frame.into_data() else {
            continue;
        };
        count += chunk.len();
        let bytes = u64::try_from(chunk.len()).unwrap_or(u64::MAX);
        // The body has as many as its length says, which was compared; hyper counts them.
        *left = left
            .checked_sub(bytes)
            .ok_or(StatusCode::PAYLOAD_TOO_LARGE)?;
        chunks.push(chunk);
    }
    Ok(chunks)
}

async fn keep(
    uploads: &Uploads,
    file: Unfinished,
    slot: Slot,
    media_type: Option<String>,
) -> Result<(), StatusCode> {
    let received = file.finish().await.map_err(|e| disk(&e))?;
    match uploads.keep(received, slot, media_type).await {
        Ok(()) => Ok(()),
        Err(Failure::Store(StoreError::Exists)) => Err(StatusCode::CONFLICT),
        Err(Failure::Store(StoreError::NoAccount)) => Err(StatusCode::FORBIDDEN),
        Err(Failure::Store(StoreError::Quota(_))) => Err(StatusCode::PAYLOAD_TOO_LARGE),
        Err(Failure::Store(StoreError::Full)) => Err(StatusCode::INSUFFICIENT_STORAGE),
        Err(Failure::Store(error)) => {
            tracing::error!(%error, "an upload could not be kept");
            Err(StatusCode::INTERNAL_SERVER_ERROR)
        }
        Err(Failure::Disk(error)) => Err(disk(&error)),
    }
}

/// What is said when the disk fails.
fn disk(error: &io::Error) -> StatusCode {
    if error.kind() == io::ErrorKind::StorageFull {
        tracing::error!(
            "no upload is taken, because the disk is nearly full; see `uploads.disk_free_megabytes_min`"
        );
        return StatusCode::INSUFFICIENT_STORAGE;
    }
    tracing::error!(%error, "an upload could not be read from or written to the disk");
    StatusCode::INTERNAL_SERVER_ERROR
}

/// Gives a file, or a part of it.
async fn get(
    shared: &Shared,
    uploads: &Uploads,
    name: &str,
    request: &Request<Incoming>,
) -> Answer {
    let upload = match shared.engine.upload(name).await {
        Ok(Some(upload)) => upload,
        Ok(None) => return plain(StatusCode::NOT_FOUND),
        Err(error) => {
            tracing::error!(%error, "an upload could not be looked up");
            return plain(StatusCode::INTERNAL_SERVER_ERROR);
        }
    };
    let headers = request.headers();
    let tag = format!("\"{}\"", URL_SAFE_NO_PAD.encode(upload.content));
    let known = text(headers, &header::IF_NONE_MATCH);
    if known.is_some_and(|known| known == "*" || lists_tag(known, &tag)) {
        let mut answer = Answer::default();
        *answer.status_mut() = StatusCode::NOT_MODIFIED;
        describe(&mut answer, &upload, &tag);
        return answer;
    }
    // A part is wanted of the file that the client knows (RFC 9110 § 13.1.5).
    let range = text(headers, &header::IF_RANGE).is_none_or(|known| known == tag);
    let range = text(headers, &header::RANGE).filter(|_| range);
    let all = upload.content_bytes;
    let (status, start, bytes) = match range::part(range, all) {
        Part::Whole => (StatusCode::OK, 0, all),
        Part::Bytes { first, last } => (StatusCode::PARTIAL_CONTENT, first, last - first + 1),
        Part::Nothing => {
            let mut answer = plain(StatusCode::RANGE_NOT_SATISFIABLE);
            set_text(
                &mut answer,
                header::CONTENT_RANGE,
                &format!("bytes */{all}"),
            );
            return answer;
        }
    };
    let content = if *request.method() == Method::HEAD {
        Content::default()
    } else {
        let opened = uploads.read(upload.content).await;
        match opened.and_then(|file| FilePart::new(file, start, bytes)) {
            Ok(part) => Content::File(part),
            Err(error) => return plain(disk(&error)),
        }
    };
    let metrics = shared.engine.metrics();
    metrics.downloads.inc();
    metrics.download_bytes.add(content.bytes());
    let mut answer = Answer::new(content);
    *answer.status_mut() = status;
    describe(&mut answer, &upload, &tag);
    set_text(&mut answer, header::CONTENT_LENGTH, &bytes.to_string());
    if status == StatusCode::PARTIAL_CONTENT {
        let range = format!("bytes {start}-{}/{all}", start + bytes - 1);
        set_text(&mut answer, header::CONTENT_RANGE, &range);
    }
    answer
}

/// What an answer says of a file besides how long it is.
fn describe(answer: &mut Answer, upload: &Upload, tag: &str) {
    let essence = upload.media_type.split(';').next().unwrap_or_default();
    let essence = essence.trim().to_ascii_lowercase();
    let is_shown = SHOWN.contains(&&*essence);
    if is_shown {
        set_text(answer, header::CONTENT_TYPE, &upload.media_type);
        set(answer, header::CONTENT_DISPOSITION, "inline");
    } else {
        set(answer, header::CONTENT_TYPE, "application/octet-stream");
        set(answer, header::CONTENT_DISPOSITION, "attachment");
    }
    set_text(answer, header::ETAG, tag);
    set(answer, header::ACCEPT_RANGES, "bytes");
    // What is in a slot never changes; how long it stays is nobody's business.
    let cache = "private, max-age=31536000, immutable";
    set(answer, header::CACHE_CONTROL, cache);
}

/// Whether a list of entity tags has this one, by the weak comparison (RFC 9110 § 13.1.2).
fn lists_tag(list: &str, tag: &str) -> bool {
    list.split(',').any(|item| {
        let item = item.trim();
        item.strip_prefix("W/").unwrap_or(item) == tag
    })
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn set(answer: &mut Answer, name: HeaderName, value: &'static str) {
    let value = HeaderValue::from_static(value);
    answer.headers_mut().insert(name, value);
}

/// Sets a header that is made of what was checked; one that cannot be sent is left out.
fn set_text(answer: &mut Answer, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        answer.headers_mut().insert(name, value);
    }
}

#[cfg(test)]
mod tests;
