//! Transcripts: what a client sends, and all that comes of it.

#![expect(
    clippy::needless_raw_string_hashes,
    clippy::needless_pass_by_value,
    reason = "expect-test writes the hashes and is used by value"
)]

use super::*;
use crate::sasl::{ChannelBindings, Failure, Hash, Mechanism, Verifier};
use crate::stanza::Condition;
use crate::xml::{Framer, Limits};
use bytes::BytesMut;
use expect_test::{Expect, expect};
use proptest::prelude::*;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

mod errors;
mod management;
mod negotiation;
mod random;
mod sasl2;

/// A header as clients send it.
const HEADER: &str = "<?xml version='1.0'?><stream:stream xmlns='jabber:client' \
    xmlns:stream='http://etherx.jabber.org/streams' to='example.org' version='1.0'>";
/// juliet with the right password.
const PLAIN: &str = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>\
    AGp1bGlldABzZWNyZXQ=</auth>";
/// juliet with a wrong one.
const PLAIN_WRONG: &str = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>\
    AGp1bGlldAB3cm9uZw==</auth>";
const STARTTLS: &str = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
const BIND: &str = "<iq type='set' id='b1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>\
    <resource>balcony</resource></bind></iq>";
const MESSAGE: &str = "<message to='romeo@example.org'><body>hi</body></message>";
const END: &str = "</stream:stream>";

/// The stream and an owner that answers its questions at once.
struct Server {
    stream: C2sStream,
    input: BytesMut,
    log: String,
    /// Whether questions are left open until [`Server::answer`].
    holds: bool,
    asked: Option<Effect>,
    closed: bool,
    /// Reads what the server sends, as a client would.
    client: Framer,
    /// Whether passwords may cross anything.
    plaintext_allowed: bool,
}

fn settings() -> C2sSettings {
    let host = HostSettings {
        caps: Some(Caps {
            node: "https://waxwing.example".to_owned(),
            ver: "q07IKJEyjvHSyhy//CH0CxmKi8w=".to_owned(),
        }),
        registration: false,
        mechanisms: Mechanism::ALL.to_vec(),
        ..HostSettings::default()
    };
    let open = HostSettings {
        registration: true,
        ..host.clone()
    };
    C2sSettings {
        hosts: [
            ("example.org".to_owned(), host),
            ("open.example".to_owned(), open),
        ]
        .into(),
        idle_seconds: Some(600),
        ..C2sSettings::default()
    }
}

fn tls() -> Transport {
    Transport::Tls(TlsInfo::default())
}

impl Server {
    fn new(settings: C2sSettings, transport: Transport) -> Self {
        let plaintext_allowed = settings.plaintext_allowed;
        let count = AtomicU32::new(1);
        let ids: Ids = Arc::new(move || format!("id{}", count.fetch_add(1, Ordering::Relaxed)));
        Self {
            stream: C2sStream::new(Arc::new(settings), transport, ids),
            input: BytesMut::new(),
            log: String::new(),
            holds: false,
            asked: None,
            closed: false,
            client: Framer::new(Limits::C2S),
            plaintext_allowed,
        }
    }

    /// What comes of these pieces.
    fn log_of(&mut self, pieces: &[&str]) -> String {
        self.log.clear();
        for piece in pieces {
            self.feed(piece.as_bytes());
        }
        self.log.clone()
    }

    fn feed(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(effect) = self.stream.next_effect(&mut self.input) {
            assert!(!self.closed, "{effect:?} after Close");
            self.note(&effect);
            self.judge(&effect);
            if self.holds {
                self.asked = Some(effect);
            } else {
                self.answer(&effect);
            }
        }
        assert!(
            !self.closed || self.input.is_empty(),
            "input kept after Close"
        );
    }

    /// What must be true of any stream whatever the client sends.
    fn judge(&mut self, effect: &Effect) {
        let stream = &self.stream;
        match effect {
            Effect::Send(bytes) => {
                let mut bytes = BytesMut::from(&**bytes);
                while self
                    .client
                    .next(&mut bytes)
                    .expect("what we send is well-formed")
                    .is_some()
                {}
                assert!(bytes.is_empty(), "what we send is whole");
            }
            Effect::StartTls => assert!(!stream.is_encrypted()),
            Effect::Credentials { .. } | Effect::Authenticated { .. } => {
                let may = stream.is_encrypted() || self.plaintext_allowed;
                assert!(may, "no password without TLS");
            }
            Effect::Bind { .. } => assert!(stream.is_authenticated() && !stream.is_bound()),
            Effect::Register(_) => {
                assert!(stream.is_encrypted() && stream.host() == Some("open.example"));
            }
            Effect::Stanza(_) => assert!(stream.is_authenticated() && stream.is_bound()),
            Effect::Close => assert!(stream.end().is_some()),
            Effect::Login(_) | Effect::Resume(_) => {
                assert!(stream.is_authenticated() && !stream.is_bound());
            }
            Effect::EnableSm(_) | Effect::AckRequest | Effect::Ack(_) | Effect::ClientState(_) => {
                assert!(stream.is_bound());
            }
            Effect::FastTokens { .. } | Effect::Upgrade { .. } => {
                assert!(stream.is_encrypted() && !stream.is_authenticated());
            }
            Effect::Upgraded { .. } => assert!(stream.is_encrypted()),
            Effect::Opened { .. } | Effect::AuthFailed { .. } => {}
            Effect::Control(_) | Effect::Lost => panic!("not on such a stream: {effect:?}"),
        }
    }

    fn answer(&mut self, effect: &Effect) {
        match effect {
            Effect::StartTls => {
                self.client = Framer::new(Limits::C2S);
                self.stream.tls_started(TlsInfo::default());
            }
            Effect::Send(bytes) if bytes.starts_with(b"<success xmlns='urn:ietf") => {
                self.client = Framer::new(Limits::C2S);
            }
            Effect::Credentials { username, hash, .. } => self.stream.answer(match &**username {
                "juliet" => Reply::Credentials {
                    verifier: verifier(*hash, "secret"),
                    known: true,
                },
                "banned" => Reply::Refused(Failure::TemporaryAuthFailure),
                _ => Reply::Credentials {
                    verifier: Verifier::fake(*hash, &[7; 32], username, 1),
                    known: false,
                },
            }),
            Effect::Bind { resource } => {
                let account = self.stream.jid().expect("authenticated");
                let resource = resource.as_deref().unwrap_or("made-up");
                self.stream.answer(Reply::Bound(match resource {
                    "taken" => Err(Condition::Conflict.into()),
                    _ => account
                        .with_resource(resource)
                        .map_err(|_| Condition::BadRequest.into()),
                }));
            }
            Effect::Register(_) => {
                self.stream
                    .answer(Reply::Iq("<iq type='result' id='r1'/>".into()));
            }
            Effect::Close => self.closed = true,
            effect => sasl2::answer(&mut self.stream, effect),
        }
    }

    fn note(&mut self, effect: &Effect) {
        let log = &mut self.log;
        match effect {
            Effect::Send(bytes) => {
                let text = std::str::from_utf8(bytes).expect("UTF-8");
                writeln!(log, "S: {}", abridged(text))
            }
            Effect::Stanza(stanza) | Effect::Register(stanza) => {
                let name = if matches!(effect, Effect::Stanza(_)) {
                    "Stanza"
                } else {
                    "Register"
                };
                let text = std::str::from_utf8(stanza.tree().bytes()).expect("UTF-8");
                writeln!(log, "{name} {text}")
            }
            effect => writeln!(log, "{effect:?}"),
        }
        .expect("writes to a string");
    }
}

/// Verifiers with one round, for speed.
fn verifier(hash: Hash, password: &str) -> Verifier {
    Verifier::derive(hash, password, b"0123456789abcdef", 1).expect("a good password")
}

/// Leaves out what is the same each time; `negotiation` has headers and features whole.
fn abridged(text: &str) -> String {
    let mut text = text.replace(
        "<?xml version='1.0'?><stream:stream xmlns='jabber:client' \
         xmlns:stream='http://etherx.jabber.org/streams'",
        "<?xml?><stream:stream",
    );
    if let (Some(start), Some(end)) = (
        text.find("<stream:features>"),
        text.find("</stream:features>"),
    ) {
        text.replace_range(start + "<stream:features>".len()..end, "…");
    }
    if let (Some(start), Some(end)) = (text.find("<text xml:lang='en'>"), text.find("</failure>")) {
        text.replace_range(start..end, "");
    }
    for ns in [
        "xmpp-sasl",
        "xmpp-streams",
        "xmpp-stanzas",
        "xmpp-bind",
        "xmpp-tls",
    ] {
        text = text.replace(&format!("urn:ietf:params:xml:ns:{ns}"), &format!("…{ns}"));
    }
    text
}

/// What comes of each piece of what a client sends.
fn transcript(transport: Transport, pieces: &[&str]) -> String {
    Server::new(settings(), transport).log_of(pieces)
}

#[track_caller]
fn check(transport: Transport, pieces: &[&str], expected: Expect) {
    expected.assert_eq(&transcript(transport, pieces));
}
