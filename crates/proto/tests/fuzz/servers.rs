//! Streams between servers, given any bytes: whatever another server sends, nothing is taken from a domain
//! that was not authorised for it, and nothing but the bytes decides what happens.

use bytes::BytesMut;
use std::sync::Arc;
use waxwing_proto::stream::{
    TlsInfo, Transport,
    s2s::{
        Certificate, Pair, Purpose, S2sEffect, S2sInStream, S2sOutStream, S2sSettings, Target,
        dialback::{Secret, Verdict},
    },
};

const HEADER: &str = "<stream:stream xmlns='jabber:server' xmlns:db='jabber:server:dialback' \
    xmlns:stream='http://etherx.jabber.org/streams' version='1.0' id='s1' from='there.example' \
    to='here.example'>";
const AUTH: &str = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>";

/// Bytes behind a header, behind a login, and as the answer to a stream of ours.
pub(crate) fn s2s(data: &[u8]) {
    for (certificate, before) in [
        (None, HEADER.to_owned()),
        (Some("third.example"), HEADER.to_owned()),
        (Some("there.example"), HEADER.to_owned()),
        (Some("there.example"), [HEADER, AUTH, HEADER].concat()),
    ] {
        let input = [before.as_bytes(), data].concat();
        let whole = incoming(certificate, &[&input]);
        let pieces: Vec<&[u8]> = input.chunks(1 + data.len() % 13).collect();
        // STARTTLS looks at what is behind it, which is another thing when it comes later.
        if certificate.is_some() {
            assert_eq!(incoming(certificate, &pieces), whole);
        }
    }
    let answered = [HEADER.as_bytes(), data].concat();
    for certificate in [None, Some("third.example"), Some("there.example")] {
        outgoing(certificate, &answered);
    }
}

fn settings() -> Arc<S2sSettings> {
    Arc::new(S2sSettings {
        hosts: ["here.example", "rooms.here.example"]
            .map(str::to_owned)
            .into(),
        ..S2sSettings::new(Secret::new(&[7; 32]))
    })
}

fn transport(certificate: Option<&str>) -> Transport {
    certificate.map_or(Transport::Plain, |name| {
        Transport::Tls(TlsInfo {
            peer: Certificate {
                trusted: true,
                dns_names: vec![name.to_owned()],
                ..Certificate::default()
            },
            ..TlsInfo::default()
        })
    })
}

/// Plays another server that connects; its dialback keys are right if they say so. Gives what happened.
fn incoming(certificate: Option<&str>, pieces: &[&[u8]]) -> Vec<String> {
    let ids = Arc::new(|| "id1".to_owned());
    let mut stream = S2sInStream::new(settings(), transport(certificate), ids);
    let mut input = BytesMut::new();
    let mut log = Vec::new();
    let mut allowed: Vec<Pair> = Vec::new();
    let mut closed = false;
    for piece in pieces {
        input.extend_from_slice(piece);
        while let Some(effect) = stream.next_effect(&mut input) {
            assert!(!closed, "{effect:?} after the end");
            log.push(format!("{effect:?}"));
            match effect {
                S2sEffect::Verify(asked) if asked.key == "good" => {
                    allowed.push(asked.pair.clone());
                    stream.verified(&asked.pair, Verdict::Valid);
                }
                S2sEffect::Verify(asked) => stream.verified(&asked.pair, Verdict::Invalid),
                S2sEffect::Authorized(pair) => {
                    let proven = certificate == Some(pair.remote.as_str());
                    assert!(proven || allowed.contains(&pair), "{pair:?}");
                }
                S2sEffect::Stanza(draft) => {
                    let (from, to) = (draft.from().expect("from"), draft.to().expect("to"));
                    let pair = Pair {
                        local: to.domain().to_owned(),
                        remote: from.domain().to_owned(),
                    };
                    assert!(stream.authorized().contains(&pair), "{pair:?}");
                }
                S2sEffect::Close => closed = true,
                _ => {}
            }
        }
    }
    log
}

/// Plays another server that we connect to: it may be sent stanzas only with its certificate, and sends none
/// but those of its own domain.
fn outgoing(certificate: Option<&str>, answered: &[u8]) {
    let pair = Pair {
        local: "here.example".to_owned(),
        remote: "there.example".to_owned(),
    };
    let verify = Purpose::Verify {
        id: "1".to_owned(),
        key: "k".to_owned(),
    };
    for purpose in [Purpose::Send, verify] {
        let target = Target {
            pair: pair.clone(),
            purpose,
        };
        let mut stream = S2sOutStream::new(settings(), target, transport(certificate));
        let mut input = BytesMut::from(answered);
        let mut closed = false;
        while let Some(effect) = stream.next_effect(&mut input) {
            assert!(!closed, "{effect:?} after the end");
            match effect {
                S2sEffect::Ready { .. } | S2sEffect::Verified(_) => {
                    assert_eq!(certificate, Some("there.example"));
                }
                S2sEffect::Stanza(draft) => {
                    assert_eq!(draft.from().expect("from").domain(), "there.example");
                    assert_eq!(draft.to().expect("to").domain(), "here.example");
                }
                S2sEffect::Close => closed = true,
                _ => {}
            }
        }
    }
}
