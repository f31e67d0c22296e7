//! HTTP as a client sees it, over sockets.

use super::*;
use crate::config::Config;
use crate::net::connection::tests::{listen, shared};
use crate::net::listener::Kind;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

#[test]
fn what_could_be_read_in_two_ways_is_refused() {
    let ask = |version, headers: &[(&str, &str)]| {
        let mut request = Request::builder().uri("/").version(version);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        objection(&request.body(()).unwrap()).map(|status| status.as_u16())
    };
    let host = ("host", "example.org");
    for (version, headers, want) in [
        (Version::HTTP_11, vec![host], None),
        (Version::HTTP_11, vec![host, ("content-length", "0")], None),
        (Version::HTTP_10, vec![], None),
        (Version::HTTP_11, vec![], Some(400)),
        (Version::HTTP_11, vec![host, host], Some(400)),
        (
            Version::HTTP_11,
            vec![host, ("content-length", "5"), ("content-length", "5")],
            Some(400),
        ),
        (
            Version::HTTP_11,
            vec![
                host,
                ("content-length", "5"),
                ("transfer-encoding", "chunked"),
            ],
            Some(411),
        ),
        (
            Version::HTTP_11,
            vec![host, ("transfer-encoding", "gzip")],
            Some(411),
        ),
    ] {
        assert_eq!(ask(version, &headers), want, "{headers:?}");
    }
}

/// What comes back for these bytes, until the server closes.
async fn ask(address: SocketAddr, bytes: &'static [u8]) -> String {
    let asked = tokio::task::spawn_blocking(move || {
        let mut tcp = TcpStream::connect(address).unwrap();
        tcp.write_all(bytes).unwrap();
        let mut answer = Vec::new();
        tcp.read_to_end(&mut answer).unwrap();
        String::from_utf8(answer).unwrap()
    });
    asked.await.unwrap()
}

/// The same by TLS, with these protocols offered; the error if the handshake fails.
async fn ask_tls(
    address: SocketAddr,
    folder: &std::path::Path,
    protocols: &'static [&'static [u8]],
    bytes: &'static [u8],
) -> Result<String, String> {
    let mut roots = rustls::RootCertStore::empty();
    let certificate = folder.join("certificates/localhost/fullchain.pem");
    roots
        .add(CertificateDer::from_pem_file(certificate).unwrap())
        .unwrap();
    let asked = tokio::task::spawn_blocking(move || {
        let mut config = rustls::ClientConfig::builder_with_provider(crate::net::tls::provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        let name = ServerName::try_from("localhost").unwrap();
        let mut tls = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
        let mut tcp = TcpStream::connect(address).unwrap();
        let mut stream = rustls::Stream::new(&mut tls, &mut tcp);
        stream.write_all(bytes).map_err(|e| e.to_string())?;
        let mut answer = Vec::new();
        let mut chunk = [0; 1024];
        // XMPP answers and stays; HTTP closes when it is asked to.
        loop {
            let count = stream.read(&mut chunk).map_err(|e| e.to_string())?;
            answer.extend_from_slice(&chunk[..count]);
            if count == 0 || answer.ends_with(b"</stream:features>") {
                return Ok(String::from_utf8_lossy(&answer).into_owned());
            }
        }
    });
    asked.await.unwrap()
}

const GET: &[u8] =
    b"GET /.well-known/host-meta.json HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
const STREAM: &[u8] = b"<stream:stream to='localhost' version='1.0' xmlns='jabber:client' \
    xmlns:stream='http://etherx.jabber.org/streams'>";

#[tokio::test]
async fn behind_a_proxy() {
    let folder = tempfile::tempdir().unwrap();
    let shared = shared(&Config::dev(folder.path().to_owned())).await;
    let address = listen(&shared, Kind::Http).await;
    let answer = ask(address, GET).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(
        answer.contains("access-control-allow-origin: *\r\n"),
        "{answer}"
    );
    assert!(answer.contains("{\"links\":[{\"rel\":\"urn:xmpp:alt-connections:websocket\",\"href\":\"wss://localhost:5443/xmpp-websocket\"}]}"), "{answer}");
    for (request, status) in [
        (&b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"[..], "404"),
        (b"GET /.well-known/host-meta HTTP/1.1\r\nHost: other\r\nConnection: close\r\n\r\n", "404"),
        (b"GET /.well-known/%68ost-meta HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", "404"),
        (b"GET /.well-known/../.well-known/host-meta HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", "404"),
        (b"POST /.well-known/host-meta HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", "405"),
        // These close the connection whatever the client wants.
        (b"GET / HTTP/1.1\r\n\r\n", "400"),
        (b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET", "411"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx", "400"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n folded: yes\r\n\r\n", "400"),
        (b"GET / HTTP/1.1\r\nHost : localhost\r\n\r\n", "400"),
        (b"\x16\x03\x01 hello, is there TLS\r\n\r\n", "400"),
    ] {
        let answer = ask(address, request).await;
        let want = format!("HTTP/1.1 {status} ");
        assert!(answer.starts_with(&want), "{}: {answer}", request.escape_ascii());
    }
}

#[tokio::test]
async fn a_head_has_a_size() {
    let folder = tempfile::tempdir().unwrap();
    let shared = shared(&Config::dev(folder.path().to_owned())).await;
    let address = listen(&shared, Kind::Http).await;
    let mut long = b"GET / HTTP/1.1\r\nHost: localhost\r\nx: ".to_vec();
    long.resize(HEAD_BYTES_MAX + 100, b'x');
    let answer = ask(address, long.leak()).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    let many = "y: z\r\n".repeat(HEADERS_MAX);
    let many = format!("GET / HTTP/1.1\r\nHost: localhost\r\n{many}\r\n");
    let answer = ask(address, many.into_bytes().leak()).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn a_head_has_its_time() {
    use tokio::io::AsyncReadExt as _;
    let folder = tempfile::tempdir().unwrap();
    let shared = shared(&Config::dev(folder.path().to_owned())).await;
    let address = listen(&shared, Kind::Http).await;
    let mut client = tokio::net::TcpStream::connect(address).await.unwrap();
    let begin = tokio::time::Instant::now();
    // The client says nothing; the clock moves on when nobody has anything to do.
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).await.unwrap();
    assert!(begin.elapsed() >= HEAD_TIMEOUT, "{:?}", begin.elapsed());
    assert!(begin.elapsed() < 2 * HEAD_TIMEOUT, "{:?}", begin.elapsed());
}

#[tokio::test]
async fn one_port_for_xmpp_and_http() {
    let folder = tempfile::tempdir().unwrap();
    let shared = shared(&Config::dev(folder.path().to_owned())).await;
    let both = listen(&shared, Kind::DirectTlsAndHttps).await;
    let https = listen(&shared, Kind::Https).await;
    let direct_tls = listen(&shared, Kind::DirectTls).await;
    let ask = |address, protocols, bytes| ask_tls(address, folder.path(), protocols, bytes);
    let is_http = |answer: Result<String, String>| answer.unwrap().starts_with("HTTP/1.1 200 ");
    let is_xmpp = |answer: Result<String, String>| answer.unwrap().contains("<stream:features");
    assert!(is_http(ask(both, &[b"h2", b"http/1.1"], GET).await));
    assert!(is_xmpp(ask(both, &[b"xmpp-client"], STREAM).await));
    assert!(
        is_xmpp(ask(both, &[], STREAM).await),
        "an old client says nothing"
    );
    assert!(is_http(ask(https, &[b"http/1.1"], GET).await));
    assert!(is_http(ask(https, &[], GET).await));
    assert!(is_xmpp(ask(direct_tls, &[b"xmpp-client"], STREAM).await));
    // Nobody gets to the other protocol by a port that is not for it (ALPACA).
    let refused: [(SocketAddr, &'static [&'static [u8]]); 3] = [
        (direct_tls, &[b"http/1.1"]),
        (https, &[b"xmpp-client"]),
        (both, &[b"ftp"]),
    ];
    for (address, protocols) in refused {
        let answer = ask(address, protocols, GET).await;
        let said = answer.as_ref().err().map_or("", String::as_str);
        assert!(said.contains("NoApplicationProtocol"), "{answer:?}");
    }
}

#[tokio::test]
async fn xmpp_over_websocket() {
    let folder = tempfile::tempdir().unwrap();
    let shared = shared(&Config::dev(folder.path().to_owned())).await;
    let both = listen(&shared, Kind::DirectTlsAndHttps).await;
    let open = b"<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='localhost' version='1.0'/>";
    let mut request = b"GET /xmpp-websocket HTTP/1.1\r\nHost: localhost\r\nConnection: upgrade\r\n\
        Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: xmpp\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        .to_vec();
    // The first message right behind the request, with a mask of nothing.
    request.extend([0x81, 0x80 | u8::try_from(open.len()).unwrap(), 0, 0, 0, 0]);
    request.extend(open);
    let answer = ask_tls(both, folder.path(), &[b"http/1.1"], request.leak()).await;
    let answer = answer.unwrap();
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    for want in [
        "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n",
        "sec-websocket-protocol: xmpp\r\n",
        "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' id='",
        "<stream:features xmlns:stream='http://etherx.jabber.org/streams'>",
        // TLS ends here, so logins can be bound to it.
        "<mechanism>SCRAM-SHA-256-PLUS</mechanism>",
        "<channel-binding type='tls-exporter'/>",
    ] {
        assert!(answer.contains(want), "{want}: {answer}");
    }
    assert!(!answer.contains("<stream:stream"), "{answer}");
}
