//! Uploads and downloads over sockets.

use super::*;
use crate::config::Config;
use crate::net::connection::tests::{listen, shared};
use crate::net::listener::Kind;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use waxwing_proto::BareJid;
use waxwing_store::{Credentials, Lifetime};

struct World {
    shared: Arc<Shared>,
    address: SocketAddr,
    folder: tempfile::TempDir,
}

struct Got {
    head: String,
    body: Vec<u8>,
}

impl Got {
    fn status(&self) -> u16 {
        self.head.split(' ').nth(1).unwrap().parse().unwrap()
    }

    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().skip(1);
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

async fn world() -> World {
    let folder = tempfile::tempdir().unwrap();
    let shared = shared(&Config::dev(folder.path().to_owned())).await;
    let account = alice();
    let made = shared
        .engine
        .account_create(&account, Credentials::default());
    made.await.unwrap();
    let address = listen(&shared, Kind::Http).await;
    World {
        shared,
        address,
        folder,
    }
}

fn alice() -> BareJid {
    BareJid::parse("alice@localhost").unwrap()
}

fn slot(name: &str, bytes: u64, media_type: Option<&str>) -> Slot {
    Slot {
        name: name.to_owned(),
        account: alice(),
        bytes,
        media_type: media_type.map(str::to_owned),
        lifetime: Lifetime::Usual,
        expires: i64::MAX,
    }
}

impl World {
    /// Sends a request with these further headers, and its body.
    async fn ask(&self, request: &str, headers: &str, body: &[u8]) -> Got {
        let address = self.address;
        let mut bytes =
            format!("{request} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n")
                .into_bytes();
        bytes.extend_from_slice(body);
        let asked = tokio::task::spawn_blocking(move || {
            let mut tcp = TcpStream::connect(address).unwrap();
            // A server that refuses may not read all of it.
            let _ = tcp.write_all(&bytes);
            let mut answer = Vec::new();
            tcp.read_to_end(&mut answer).unwrap();
            answer
        });
        let answer = asked.await.unwrap();
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
        let (head, body) = answer.split_at(end.unwrap() + 4);
        Got {
            head: String::from_utf8(head.to_vec()).unwrap(),
            body: body.to_vec(),
        }
    }

    async fn put(&self, slot: &Slot, headers: &str, body: &[u8]) -> u16 {
        let shown = self.shared.engine.upload_authorization(slot);
        let headers = format!(
            "Authorization: {shown}\r\nContent-Length: {}\r\n{headers}",
            body.len()
        );
        let path = format!("PUT /upload/{}/a%20b.png", slot.name);
        self.ask(&path, &headers, body).await.status()
    }

    fn incomplete(&self) -> usize {
        let folder = self.folder.path().join("uploads/incoming");
        std::fs::read_dir(folder).unwrap().count()
    }
}

#[tokio::test]
async fn a_file_comes_back_as_it_was() {
    let world = world().await;
    let body: Vec<u8> = (0..600_000_u32).flat_map(u32::to_le_bytes).collect();
    let slot = slot("big", body.len().try_into().unwrap(), Some("image/png"));
    assert_eq!(
        world.put(&slot, "Content-Type: image/png\r\n", &body).await,
        201
    );
    let got = world.ask("GET /upload/big/a%20b.png", "", b"").await;
    assert_eq!(got.status(), 200);
    assert!(
        got.body == body,
        "{} of {} bytes",
        got.body.len(),
        body.len()
    );
    for (name, want) in [
        ("content-type", "image/png"),
        ("content-disposition", "inline"),
        ("content-length", "2400000"),
        ("accept-ranges", "bytes"),
        ("access-control-allow-origin", "*"),
        ("x-content-type-options", "nosniff"),
        ("cache-control", "private, max-age=31536000, immutable"),
    ] {
        assert_eq!(got.header(name), Some(want), "{name}");
    }
    let policy = got.header("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'none'") && policy.contains("sandbox"));

    let head = world.ask("HEAD /upload/big/x", "", b"").await;
    assert_eq!((head.status(), head.body.len()), (200, 0));
    assert_eq!(head.header("content-length"), Some("2400000"));

    // Again, as after an answer that was lost; it is the client's alone to know.
    assert_eq!(world.put(&slot, "", &body).await, 201);
    let metrics = world.shared.engine.metrics();
    assert_eq!(metrics.uploads.value(), 2);
    assert_eq!(metrics.upload_bytes.value(), 2 * 2_400_000);
    assert_eq!(metrics.download_bytes.value(), 2_400_000);
}

#[tokio::test]
async fn parts_of_a_file() {
    let world = world().await;
    assert_eq!(
        world.put(&slot("s", 10, None), "", b"0123456789").await,
        201
    );
    let get = async |headers: &str| world.ask("GET /upload/s/x", headers, b"").await;
    let tag = get("").await.header("etag").unwrap().to_owned();
    let range = |range: &str| format!("Range: bytes={range}\r\n");
    for (headers, status, body, content_range) in [
        (range("2-4"), 206, "234", Some("bytes 2-4/10")),
        (range("7-"), 206, "789", Some("bytes 7-9/10")),
        (range("-1"), 206, "9", Some("bytes 9-9/10")),
        (range("0-1,3-4"), 200, "0123456789", None),
        (
            range("10-"),
            416,
            "Range Not Satisfiable\n",
            Some("bytes */10"),
        ),
        (
            format!("{}If-Range: {tag}\r\n", range("2-4")),
            206,
            "234",
            Some("bytes 2-4/10"),
        ),
        (
            format!("{}If-Range: \"other\"\r\n", range("2-4")),
            200,
            "0123456789",
            None,
        ),
        (format!("If-None-Match: \"a\", W/{tag}\r\n"), 304, "", None),
        ("If-None-Match: *\r\n".to_owned(), 304, "", None),
        (
            "If-None-Match: \"other\"\r\n".to_owned(),
            200,
            "0123456789",
            None,
        ),
    ] {
        let got = get(&headers).await;
        assert_eq!(got.status(), status, "{headers}");
        assert_eq!(String::from_utf8_lossy(&got.body), body, "{headers}");
        assert_eq!(got.header("content-range"), content_range, "{headers}");
    }
}

/// Whoever opens it in a browser runs nothing of it.
#[tokio::test]
async fn only_harmless_kinds_are_shown() {
    let world = world().await;
    for (number, (media_type, shown)) in [
        ("text/html", false),
        ("image/svg+xml", false),
        ("application/xhtml+xml", false),
        ("text/javascript", false),
        ("text/xml", false),
        ("application/octet-stream", false),
        ("IMAGE/PNG; x=y", true),
        ("text/plain; charset=utf-8", true),
        ("video/mp4", true),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("s{number}");
        let said = format!("Content-Type: {media_type}\r\n");
        assert_eq!(world.put(&slot(&name, 1, None), &said, b"x").await, 201);
        let got = world
            .ask(&format!("GET /upload/{name}/x.html"), "", b"")
            .await;
        let want = if shown {
            (media_type, "inline")
        } else {
            ("application/octet-stream", "attachment")
        };
        assert_eq!(got.header("content-type"), Some(want.0), "{media_type}");
        assert_eq!(
            got.header("content-disposition"),
            Some(want.1),
            "{media_type}"
        );
        assert_eq!(got.header("x-content-type-options"), Some("nosniff"));
    }
}

#[tokio::test]
async fn only_what_was_granted_is_taken() {
    let world = world().await;
    let granted = slot("s", 3, Some("image/png"));
    for (slot, headers, body, status) in [
        (
            slot("s", 3, Some("image/png")),
            "Content-Type: text/html\r\n",
            &b"abc"[..],
            415,
        ),
        (slot("s", 3, None), "", b"ab", 400),
        (slot("s", 3, None), "", b"", 400),
        (slot("s", 3, None), "", b"abcd", 413),
        (
            Slot {
                expires: 1,
                ..granted.clone()
            },
            "",
            b"abc",
            403,
        ),
        (
            Slot {
                account: BareJid::parse("gone@localhost").unwrap(),
                ..granted.clone()
            },
            "",
            b"abc",
            403,
        ),
    ] {
        assert_eq!(
            world.put(&slot, headers, body).await,
            status,
            "{slot:?} {headers}"
        );
    }
    let shown = world.shared.engine.upload_authorization(&granted);
    for (path, authorization) in [
        ("/upload/s/x", ""),
        ("/upload/s/x", "Authorization: Bearer\r\n"),
        ("/upload/s/x", "Authorization: Bearer AAAA\r\n"),
        ("/upload/other/x", &*format!("Authorization: {shown}\r\n")),
    ] {
        let headers = format!("{authorization}Content-Length: 3\r\n");
        let got = world.ask(&format!("PUT {path}"), &headers, b"abc").await;
        assert_eq!(got.status(), 403, "{path} {headers}");
        assert_eq!(got.header("access-control-allow-origin"), Some("*"));
    }
    assert_eq!(world.ask("GET /upload/s/x", "", b"").await.status(), 404);
    assert_eq!(world.incomplete(), 0);
    assert_eq!(world.put(&granted, "", b"abc").await, 201);
    assert_eq!(world.put(&granted, "", b"xyz").await, 409);
    let got = world.ask("GET /upload/s/x", "", b"").await;
    assert_eq!((got.status(), &*got.body), (200, &b"abc"[..]));
}

#[tokio::test]
async fn other_paths_and_methods() {
    let world = world().await;
    for path in [
        "/upload/",
        "/upload/s",
        "/upload/s/",
        "/upload//x",
        "/upload/../x",
        "/upload/s/x/y",
        "/upload/%2e%2e/x",
        "/upload/s/../../waxwing.sqlite",
        "/upload/a.b/x",
    ] {
        let got = world.ask(&format!("GET {path}"), "", b"").await;
        assert_eq!(got.status(), 404, "{path}");
    }
    for method in ["POST", "DELETE", "PATCH", "TRACE"] {
        let got = world.ask(&format!("{method} /upload/s/x"), "", b"").await;
        assert_eq!(got.status(), 405, "{method}");
        assert_eq!(got.header("allow"), Some("OPTIONS, HEAD, GET, PUT"));
    }
    // What a browser asks for a web client.
    let asks = "Origin: https://web.example\r\nAccess-Control-Request-Method: PUT\r\n\
                Access-Control-Request-Headers: authorization,content-type\r\n";
    let got = world.ask("OPTIONS /upload/s/x", asks, b"").await;
    assert_eq!(got.status(), 204);
    assert_eq!(got.header("access-control-allow-origin"), Some("*"));
    let methods = got.header("access-control-allow-methods").unwrap();
    let headers = got.header("access-control-allow-headers").unwrap();
    assert!(methods.contains("PUT") && headers.contains("Authorization"));
    assert_eq!(got.header("access-control-allow-credentials"), None);
}

#[tokio::test]
async fn an_upload_that_breaks_off_leaves_nothing() {
    let world = world().await;
    let granted = slot("s", 1_000_000, None);
    let shown = world.shared.engine.upload_authorization(&granted);
    let address = world.address;
    let broken = tokio::task::spawn_blocking(move || {
        let mut tcp = TcpStream::connect(address).unwrap();
        let head = format!(
            "PUT /upload/s/x HTTP/1.1\r\nHost: localhost\r\nAuthorization: {shown}\r\n\
             Content-Length: 1000000\r\n\r\n"
        );
        tcp.write_all(head.as_bytes()).unwrap();
        tcp.write_all(&vec![7; 500_000]).unwrap();
        tcp.shutdown(Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        // Whether it still answers does not matter.
        let _ = tcp.read_to_end(&mut answer);
    });
    broken.await.unwrap();
    let failed = || world.shared.engine.metrics().uploads_failed.value();
    while failed() == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(world.incomplete(), 0);
    assert_eq!(world.ask("GET /upload/s/x", "", b"").await.status(), 404);
}

#[test]
fn names_of_slots() {
    for (path, want) in [
        ("/upload/aB-_9/x.png", Some("aB-_9")),
        ("/upload/a/%2F", Some("a")),
        ("/upload/a/", None),
        ("/upload/a%20b/x", None),
        ("/uploads/a/x", None),
        ("/Upload/a/x", None),
    ] {
        assert_eq!(slot_name(path), want, "{path}");
    }
}
