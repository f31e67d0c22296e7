//! The binary as another server sees it, honest or not: bytes on a socket, with and without certificates.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step of the helpers is a failed test"
)]
#![expect(dead_code, reason = "another test uses the rest of the support")]

mod support;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use std::net::UdpSocket;
use support::{Client, DOMAIN, Server, Tls, TlsClient, connect};
use tempfile::TempDir;

const STARTTLS: &str = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
const AUTH: &str = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>";
const MESSAGE: &str =
    "<message from='a@there.example' to='alice@example.org'><body>1</body></message>";
const KEY: &str = "<db:result from='there.example' to='example.org'>0123</db:result>";

/// A server, and an authority that it trusts.
struct Stage {
    server: Server,
    issuer: Issuer<'static, KeyPair>,
    // A name server that never answers.
    _silence: UdpSocket,
    _folder: TempDir,
}

impl Stage {
    fn new(settings: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let authority = folder.path().join("authority.pem");
        std::fs::write(&authority, params.self_signed(&key).unwrap().pem()).unwrap();
        let silence = UdpSocket::bind("127.0.0.1:0").unwrap();
        let server = Server::start(&format!(
            "[federation]\nsystem_authorities = false\nauthorities = [\"{}\"]\n\
             name_servers = [\"{}\"]\nstanza_bytes_max = 20000\n{settings}",
            authority.display(),
            silence.local_addr().unwrap(),
        ));
        Self {
            server,
            issuer: Issuer::new(params, key),
            _silence: silence,
            _folder: folder,
        }
    }

    /// A stream of another server inside TLS, with the features that it is offered. `domain` is in its
    /// certificate, which the authority has signed, or itself.
    fn connect(&self, domain: &str, signed: bool) -> (TlsClient, String) {
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::DnsName(domain.try_into().unwrap())];
        let key = KeyPair::generate().unwrap();
        let made = if signed {
            params.signed_by(&key, &self.issuer).unwrap()
        } else {
            params.self_signed(&key).unwrap()
        };
        let tls = Tls {
            identity: Some((
                CertificateDer::from(made.der().to_vec()),
                PrivatePkcs8KeyDer::from(key.serialize_der()),
            )),
            ..Tls::default()
        };
        let mut plain = Client(connect(self.server.servers));
        open(&mut plain);
        plain.send(STARTTLS);
        plain.expect("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
        let mut stream = tls.connect(plain.0).unwrap();
        let features = open(&mut stream);
        (stream, features)
    }

    /// A stream that is logged in.
    fn log_in(&self) -> TlsClient {
        let (mut stream, features) = self.connect("there.example", true);
        assert!(features.contains("EXTERNAL"), "{features}");
        stream.send(AUTH);
        stream.expect("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
        open(&mut stream);
        stream
    }
}

fn header() -> String {
    format!(
        "<?xml version='1.0'?><stream:stream from='there.example' to='{DOMAIN}' version='1.0' \
         xmlns='jabber:server' xmlns:db='jabber:server:dialback' \
         xmlns:stream='http://etherx.jabber.org/streams'>"
    )
}

fn open<S: std::io::Read + std::io::Write>(stream: &mut Client<S>) -> String {
    stream.send(&header());
    stream.expect("</stream:features>")
}

#[test]
fn who_has_a_certificate_is_heard() {
    let stage = Stage::new("");
    let mut stream = stage.log_in();
    stream.send("<enable xmlns='urn:xmpp:sm:3'/>");
    stream.expect("<enabled xmlns='urn:xmpp:sm:3'/>");
    stream.send(MESSAGE);
    stream.send("<r xmlns='urn:xmpp:sm:3'/>");
    stream.expect("h='1'/>");
    stream.send("</stream:stream>");
    assert!(stream.rest().contains("</stream:stream>"));
}

#[test]
fn whoever_lies_after_the_login_is_cut_off() {
    let stage = Stage::new("");
    for (name, lie, condition) in [
        (
            "spoofed",
            MESSAGE.replace("there.", "third."),
            "invalid-from",
        ),
        (
            "below",
            MESSAGE.replace("a@there.", "a@x.there."),
            "invalid-from",
        ),
        (
            "as us",
            MESSAGE.replace("there.example", DOMAIN),
            "invalid-from",
        ),
        (
            "to others",
            MESSAGE.replace(DOMAIN, "third.example"),
            "invalid-from",
        ),
        (
            "from nobody",
            MESSAGE.replace("from=", "by="),
            "improper-addressing",
        ),
        (
            "unsolicited",
            "<db:result from='third.example' to='example.org' type='valid'/>".to_owned(),
            "policy-violation",
        ),
        (
            "huge",
            format!("<message><body>{}</body></message>", "x".repeat(20_000)),
            "policy-violation",
        ),
    ] {
        let mut stream = stage.log_in();
        stream.send(&lie);
        let rest = stream.rest();
        assert!(rest.contains(&format!("<{condition} ")), "{name}: {rest}");
    }
}

#[test]
fn before_the_login_nothing_is_heard() {
    let stage = Stage::new("");
    let verdict =
        "<db:verify from='there.example' to='example.org' id='1' type='valid'/>".to_owned();
    for (name, early, condition) in [
        ("stanza", MESSAGE.to_owned(), "not-authorized"),
        (
            "stanza behind a key",
            format!("{KEY}{MESSAGE}"),
            "not-authorized",
        ),
        ("verdict", verdict, "policy-violation"),
        (
            "huge",
            format!("<message>{}</message>", "x".repeat(10_000)),
            "policy-violation",
        ),
    ] {
        let (mut stream, _) = stage.connect("there.example", true);
        stream.send(&early);
        let rest = stream.rest();
        assert!(rest.contains(&format!("<{condition} ")), "{name}: {rest}");
    }
}

#[test]
fn a_certificate_of_somebody_else_or_by_nobody_is_none() {
    let stage = Stage::new("");
    for (domain, signed) in [("third.example", true), ("there.example", false)] {
        let (mut stream, features) = stage.connect(domain, signed);
        assert!(!features.contains("EXTERNAL"), "{features}");
        stream.send(AUTH);
        stream.expect("</failure>");
        stream.send(MESSAGE);
        let rest = stream.rest();
        assert!(rest.contains("<not-authorized "), "{domain}: {rest}");
    }
}

#[test]
fn who_waits_in_clear_or_without_a_login_is_sent_away() {
    let stage = Stage::new("[limits]\nlogin_timeout_seconds = 1");
    let mut silent = Client(connect(stage.server.servers));
    let mut half = Client(connect(stage.server.servers));
    half.send(&header()[..20]);
    let mut unsaid = Client(connect(stage.server.servers));
    open(&mut unsaid);
    let (mut anonymous, _) = stage.connect("third.example", true);
    for stream in [&mut silent, &mut half, &mut unsaid] {
        let rest = stream.rest();
        assert!(rest.contains("<connection-timeout "), "{rest}");
    }
    let rest = anonymous.rest();
    assert!(rest.contains("<connection-timeout "), "{rest}");
}

#[test]
fn what_comes_in_clear_behind_starttls_is_not_read() {
    let stage = Stage::new("");
    let mut stream = Client(connect(stage.server.servers));
    open(&mut stream);
    stream.send(&[STARTTLS, &header(), AUTH, KEY, MESSAGE].concat());
    let rest = stream.rest();
    assert!(
        !rest.contains("features") && !rest.contains("sasl"),
        "{rest}"
    );
    for early in [AUTH, KEY, MESSAGE] {
        let mut stream = Client(connect(stage.server.servers));
        open(&mut stream);
        stream.send(early);
        let rest = stream.rest();
        assert!(rest.contains("<not-authorized "), "{rest}");
    }
}
