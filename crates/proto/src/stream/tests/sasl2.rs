//! The extensible SASL profile, with what comes inline (XEP-0388, 0386, 0198, 0484, 0480, 0474).

use super::*;
use crate::sasl::client::{self, ClientBinding, ScramClient};
use crate::sasl::{self, BindingType, FastCandidate, FastMechanism, Token};
use crate::{FullJid, sm};

/// What answers the questions that only these settings raise: juliet's session `old` and token.
pub(super) fn answer(stream: &mut C2sStream, effect: &Effect) {
    let look_up = |resume: &sm::Resume| match &*resume.previd {
        "old" => Ok(Resumed {
            jid: FullJid::parse("juliet@example.org/old").expect("JID"),
            h: 345,
        }),
        "older" => Err(Some(9)),
        _ => Err(None),
    };
    let failed = |h| sm::Failed {
        h,
        condition: Some(Condition::ItemNotFound),
    };
    let enabled = sm::Enabled {
        id: Some("some-long-sm-id".to_owned()),
        resume: true,
        max_seconds: Some(600),
        location: None,
    };
    let reply = match effect {
        Effect::FastTokens {
            username, client, ..
        } => Reply::FastTokens(match (&**username, client) {
            ("juliet", Some(_)) => vec![
                candidate("fresh", None, false),
                candidate("stale", Some(3), true),
            ],
            _ => Vec::new(),
        }),
        Effect::Upgrade { hash, .. } => Reply::Upgrade(match hash {
            Hash::Sha512 => None,
            _ => Some((b"0123456789abcdef".to_vec(), 4096)),
        }),
        Effect::Login(login) => {
            let (resumed, not_resumed) = match login.resume.as_ref().map(look_up) {
                None => (None, None),
                Some(Ok(session)) => (Some(session), None),
                Some(Err(h)) => (None, Some(failed(h))),
            };
            let session = match (resumed, &login.bind) {
                (Some(session), _) => Opening::Resumed(session),
                (None, None) => Opening::Unbound { not_resumed },
                (None, Some(bind)) => Opening::Bound {
                    not_resumed,
                    session: Bound {
                        jid: login
                            .jid
                            .with_resource(&format!("{}/1", bind.tag.as_deref().unwrap_or("x")))
                            .expect("JID"),
                        sm: bind.sm.map(|_| Ok(enabled)),
                        more: "<metadata xmlns='urn:xmpp:mam:2'/>".into(),
                    },
                },
            };
            let token = login.token_wanted.map(|_| NewToken {
                token: Token::new("WXZzciBwYmFmdmZnZiBqdmd1IGp2eXFhcmZm".to_owned()),
                expiry_micros: 1_584_023_775_000_000,
            });
            Reply::LoggedIn(Box::new(LoggedIn { token, session }))
        }
        Effect::Resume(resume) => Reply::Resumed(look_up(resume).map_err(failed)),
        Effect::EnableSm(enable) if enable.max_seconds == Some(1) => {
            Reply::Enabled(Err(Condition::InternalServerError))
        }
        Effect::EnableSm(_) => Reply::Enabled(Ok(enabled)),
        _ => return,
    };
    stream.answer(reply);
}

fn candidate(token: &str, count: Option<u32>, expired: bool) -> FastCandidate {
    FastCandidate {
        token: Token::new(token.to_owned()),
        count,
        expired,
    }
}

/// All of it switched on.
pub(super) fn modern() -> C2sSettings {
    let mut settings = settings();
    for host in settings.hosts.values_mut() {
        host.mechanisms = vec![
            Mechanism::ScramSha1Plus,
            Mechanism::ScramSha1,
            Mechanism::Plain,
        ];
        host.downgrade_protection = true;
        host.sm = true;
        host.csi = true;
        host.sasl2 = Some(Sasl2Settings {
            bind: true,
            bind_features: vec!["urn:xmpp:carbons:2".to_owned()],
            fast: FastMechanism::ALL.to_vec(),
            upgrades: vec![Hash::Sha512, Hash::Sha256],
        });
    }
    settings
}

fn bound_tls() -> Transport {
    Transport::Tls(TlsInfo {
        peer: crate::stream::s2s::Certificate::default(),
        bindings: ChannelBindings {
            exporter: Some(b"exported".to_vec()),
            server_end_point: Some(b"certificate".to_vec()),
        },
    })
}

fn server() -> Server {
    let mut server = Server::new(modern(), bound_tls());
    server.feed(HEADER.as_bytes());
    server.log.clear();
    server
}

/// juliet's password in `<authenticate/>`, with what else is asked for.
pub(super) fn authenticate(more: &str) -> String {
    format!(
        "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='PLAIN'>\
         <initial-response>AGp1bGlldABzZWNyZXQ=</initial-response>{more}</authenticate>"
    )
}

/// A token in `<authenticate/>`.
fn with_token(mechanism: &str, token: &str, binding: &[u8], more: &str) -> String {
    let (message, _) = client::token(token, "juliet", binding);
    format!(
        "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='{mechanism}'>\
         <initial-response>{}</initial-response>\
         <user-agent id='d4565fa7-4d72-4749-b3d3-740edbf87770'/>{more}</authenticate>",
        sasl::encode(&message)
    )
}

#[track_caller]
fn check(pieces: &[&str], expected: Expect) {
    expected.assert_eq(&server().log_of(pieces));
}

#[test]
fn features() {
    let mut server = Server::new(modern(), bound_tls());
    server.input.extend_from_slice(HEADER.as_bytes());
    let mut sent = String::new();
    while let Some(effect) = server.stream.next_effect(&mut server.input) {
        if let Effect::Send(bytes) = effect {
            sent.push_str(std::str::from_utf8(&bytes).expect("UTF-8"));
        }
    }
    let features = sent.split_once("</mechanisms>").expect("features").1;
    expect![[r#"
        <authentication xmlns='urn:xmpp:sasl:2'>
        <mechanism>SCRAM-SHA-1-PLUS</mechanism>
        <mechanism>SCRAM-SHA-1</mechanism>
        <mechanism>PLAIN</mechanism>
        <inline>
        <bind xmlns='urn:xmpp:bind:0'>
        <inline>
        <feature var='urn:xmpp:carbons:2'/>
        <feature var='urn:xmpp:csi:0'/>
        <feature var='urn:xmpp:sm:3'/>
        </inline>
        </bind>
        <sm xmlns='urn:xmpp:sm:3'/>
        <fast xmlns='urn:xmpp:fast:0'>
        <mechanism>HT-SHA-256-EXPR</mechanism>
        <mechanism>HT-SHA-256-ENDP</mechanism>
        <mechanism>HT-SHA-256-NONE</mechanism>
        </fast>
        </inline>
        <upgrade xmlns='urn:xmpp:sasl:upgrade:0'>UPGR-SCRAM-SHA-512</upgrade>
        <upgrade xmlns='urn:xmpp:sasl:upgrade:0'>UPGR-SCRAM-SHA-256</upgrade>
        </authentication>
        <c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='https://waxwing.example' ver='q07IKJEyjvHSyhy//CH0CxmKi8w='/>
        <limits xmlns='urn:xmpp:stream-limits:0'>
        <max-bytes>10000</max-bytes>
        <idle-seconds>600</idle-seconds>
        </limits>
        </stream:features>"#]].assert_eq(&features.replace("><", ">\n<"));
}

/// XEP-0388 § 7.1: what is different is the wrapping, and that no stream restarts.
#[test]
fn like_the_old_profile() {
    check(
        &[&authenticate(""), BIND, MESSAGE, END],
        expect![[r#"
        Credentials { username: "juliet", hash: Sha256, mechanism: Plain }
        Authenticated { jid: juliet@example.org, method: Password(Plain) }
        Login(Login { jid: juliet@example.org, user_agent: UserAgent { id: None, software: None, device: None }, resume: None, bind: None, token_used: None, token_wanted: None })
        S: <success xmlns='urn:xmpp:sasl:2'><authorization-identifier>juliet@example.org</authorization-identifier></success>
        S: <stream:features>…</stream:features>
        Bind { resource: Some("balcony") }
        S: <iq type='result' id='b1'><bind xmlns='…xmpp-bind'><jid>juliet@example.org/balcony</jid></bind></iq>
        Stanza <message to='romeo@example.org'><body>hi</body></message>
        S: </stream:stream>
        Close
    "#]],
    );
    check(
        &[&authenticate("").replace("zZWNyZXQ", "3cm9uZw=")],
        expect![[r#"
            Credentials { username: "juliet", hash: Sha256, mechanism: Plain }
            AuthFailed { username: Some("juliet"), failure: NotAuthorized }
            S: <failure xmlns='urn:xmpp:sasl:2'><not-authorized xmlns='…xmpp-sasl'/><text>Wrong user name or password.</text></failure>
        "#]],
    );
}

/// XEP-0386 § 3.2, XEP-0484 § 3.2: everything in one step.
#[test]
fn everything_at_once() {
    check(
        &[
            &authenticate(
                "<user-agent id='D4565FA7-4d72-4749-b3d3-740edbf87770'>\
                 <software>AwesomeXMPP</software><device>Kiva&apos;s Phone</device></user-agent>\
                 <bind xmlns='urn:xmpp:bind:0'><tag>AwesomeXMPP</tag>\
                 <enable xmlns='urn:xmpp:carbons:2'/><enable xmlns='urn:xmpp:sm:3' resume='true'/>\
                 <inactive xmlns='urn:xmpp:csi:0'/></bind>\
                 <request-token xmlns='urn:xmpp:fast:0' mechanism='HT-SHA-256-ENDP'/>",
            ),
            MESSAGE,
            "<r xmlns='urn:xmpp:sm:3'/><active xmlns='urn:xmpp:csi:0'/>",
        ],
        expect![[r#"
            Credentials { username: "juliet", hash: Sha256, mechanism: Plain }
            Authenticated { jid: juliet@example.org, method: Password(Plain) }
            Login(Login { jid: juliet@example.org, user_agent: UserAgent { id: Some("d4565fa7-4d72-4749-b3d3-740edbf87770"), software: Some("AwesomeXMPP"), device: Some("Kiva's Phone") }, resume: None, bind: Some(BindRequest { tag: Some("AwesomeXMPP"), sm: Some(Enable { resume: true, max_seconds: None }), carbons: true, csi: Inactive }), token_used: None, token_wanted: Some(EndPoint) })
            S: <success xmlns='urn:xmpp:sasl:2'><authorization-identifier>juliet@example.org/AwesomeXMPP/1</authorization-identifier><bound xmlns='urn:xmpp:bind:0'><enabled xmlns='urn:xmpp:sm:3' id='some-long-sm-id' resume='true' max='600'/><metadata xmlns='urn:xmpp:mam:2'/></bound><token xmlns='urn:xmpp:fast:0' expiry='2020-03-12T14:36:15Z' token='WXZzciBwYmFmdmZnZiBqdmd1IGp2eXFhcmZm'/></success>
            S: <stream:features>…</stream:features>
            Stanza <message to='romeo@example.org'><body>hi</body></message>
            AckRequest
            ClientState(Active)
        "#]],
    );
}

/// XEP-0198 § 9.2: resumption comes first, and a bind request counts only if it fails.
#[test]
fn resumption() {
    let bind = "<bind xmlns='urn:xmpp:bind:0'><enable xmlns='urn:xmpp:sm:3'/></bind>";
    let resume = |previd| format!("<resume xmlns='urn:xmpp:sm:3' h='5' previd='{previd}'/>");
    let both = |previd| authenticate(&(resume(previd) + bind));
    check(
        &[&both("old"), MESSAGE, "<r xmlns='urn:xmpp:sm:3'/>"],
        expect![[r#"
            Credentials { username: "juliet", hash: Sha256, mechanism: Plain }
            Authenticated { jid: juliet@example.org, method: Password(Plain) }
            Login(Login { jid: juliet@example.org, user_agent: UserAgent { id: None, software: None, device: None }, resume: Some(Resume { h: 5, previd: "old" }), bind: Some(BindRequest { tag: None, sm: Some(Enable { resume: false, max_seconds: None }), carbons: false, csi: Active }), token_used: None, token_wanted: None })
            S: <success xmlns='urn:xmpp:sasl:2'><authorization-identifier>juliet@example.org/old</authorization-identifier><resumed xmlns='urn:xmpp:sm:3' h='345' previd='old'/></success>
            Stanza <message to='romeo@example.org'><body>hi</body></message>
            AckRequest
        "#]],
    );
    check(
        &[&both("older")],
        expect![[r#"
        Credentials { username: "juliet", hash: Sha256, mechanism: Plain }
        Authenticated { jid: juliet@example.org, method: Password(Plain) }
        Login(Login { jid: juliet@example.org, user_agent: UserAgent { id: None, software: None, device: None }, resume: Some(Resume { h: 5, previd: "older" }), bind: Some(BindRequest { tag: None, sm: Some(Enable { resume: false, max_seconds: None }), carbons: false, csi: Active }), token_used: None, token_wanted: None })
        S: <success xmlns='urn:xmpp:sasl:2'><authorization-identifier>juliet@example.org/x/1</authorization-identifier><failed xmlns='urn:xmpp:sm:3' h='9'><item-not-found xmlns='…xmpp-stanzas'/></failed><bound xmlns='urn:xmpp:bind:0'><enabled xmlns='urn:xmpp:sm:3' id='some-long-sm-id' resume='true' max='600'/><metadata xmlns='urn:xmpp:mam:2'/></bound></success>
        S: <stream:features>…</stream:features>
    "#]],
    );
    check(
        &[&authenticate(&resume("lost")), BIND],
        expect![[r#"
        Credentials { username: "juliet", hash: Sha256, mechanism: Plain }
        Authenticated { jid: juliet@example.org, method: Password(Plain) }
        Login(Login { jid: juliet@example.org, user_agent: UserAgent { id: None, software: None, device: None }, resume: Some(Resume { h: 5, previd: "lost" }), bind: None, token_used: None, token_wanted: None })
        S: <success xmlns='urn:xmpp:sasl:2'><authorization-identifier>juliet@example.org</authorization-identifier><failed xmlns='urn:xmpp:sm:3'><item-not-found xmlns='…xmpp-stanzas'/></failed></success>
        S: <stream:features>…</stream:features>
        Bind { resource: Some("balcony") }
        S: <iq type='result' id='b1'><bind xmlns='…xmpp-bind'><jid>juliet@example.org/balcony</jid></bind></iq>
    "#]],
    );
    // What is wrong with the inline parts does not spoil the rest.
    check(
        &[&authenticate(
            "<resume xmlns='urn:xmpp:sm:3'/><bind xmlns='urn:xmpp:bind:0'>\
             <enable xmlns='urn:xmpp:sm:3' resume='maybe'/></bind>",
        )],
        expect![[r#"
            Credentials { username: "juliet", hash: Sha256, mechanism: Plain }
            Authenticated { jid: juliet@example.org, method: Password(Plain) }
            Login(Login { jid: juliet@example.org, user_agent: UserAgent { id: None, software: None, device: None }, resume: None, bind: Some(BindRequest { tag: None, sm: None, carbons: false, csi: Active }), token_used: None, token_wanted: None })
            S: <success xmlns='urn:xmpp:sasl:2'><authorization-identifier>juliet@example.org/x/1</authorization-identifier><failed xmlns='urn:xmpp:sm:3'><bad-request xmlns='…xmpp-stanzas'/></failed><bound xmlns='urn:xmpp:bind:0'><failed xmlns='urn:xmpp:sm:3'><bad-request xmlns='…xmpp-stanzas'/></failed><metadata xmlns='urn:xmpp:mam:2'/></bound></success>
            S: <stream:features>…</stream:features>
        "#]],
    );
}

/// The owner need not give what was asked for.
#[test]
fn nothing_is_given() {
    let mut server = server();
    server.holds = true;
    server.feed(
        authenticate("<bind xmlns='urn:xmpp:bind:0'><enable xmlns='urn:xmpp:sm:3'/></bind>")
            .as_bytes(),
    );
    server.stream.answer(Reply::Credentials {
        verifier: verifier(Hash::Sha256, "secret"),
        known: true,
    });
    server.feed(MESSAGE.as_bytes());
    assert!(server.stream.awaits_answer());
    server.log.clear();
    let jid = FullJid::parse("juliet@example.org/x").expect("JID");
    server.stream.answer(Reply::LoggedIn(Box::new(LoggedIn {
        token: None,
        session: Opening::Bound {
            not_resumed: None,
            session: Bound {
                jid,
                sm: None,
                more: bytes::Bytes::new(),
            },
        },
    })));
    server.drain();
    expect![[r#"
        S: <success xmlns='urn:xmpp:sasl:2'><authorization-identifier>juliet@example.org/x</authorization-identifier><bound xmlns='urn:xmpp:bind:0'><failed xmlns='urn:xmpp:sm:3'><internal-server-error xmlns='…xmpp-stanzas'/></failed></bound></success>
        S: <stream:features>…</stream:features>
        Stanza <message to='romeo@example.org'><body>hi</body></message>
    "#]].assert_eq(&server.log);
}

/// XEP-0484 § 3.4, 3.6.
#[test]
fn tokens() {
    let fast = "<fast xmlns='urn:xmpp:fast:0' count='123' invalidate='true'/>";
    let bind = "<bind xmlns='urn:xmpp:bind:0'><tag>AwesomeXMPP</tag></bind>";
    let good = with_token(
        "HT-SHA-256-EXPR",
        "fresh",
        b"exported",
        &(fast.to_owned() + bind),
    );
    check(
        &[&good, MESSAGE],
        expect![[r#"
        FastTokens { username: "juliet", client: Some("d4565fa7-4d72-4749-b3d3-740edbf87770"), mechanism: Exporter }
        Authenticated { jid: juliet@example.org, method: Token(Exporter) }
        Login(Login { jid: juliet@example.org, user_agent: UserAgent { id: Some("d4565fa7-4d72-4749-b3d3-740edbf87770"), software: None, device: None }, resume: None, bind: Some(BindRequest { tag: Some("AwesomeXMPP"), sm: None, carbons: false, csi: Active }), token_used: Some(TokenUsed { candidate: 0, count: Some(123), invalidate: true }), token_wanted: None })
        S: <success xmlns='urn:xmpp:sasl:2'><additional-data>d5admM4kAX7pJHuCQBugWwr64HPXbhzpeMn0ul/mevc=</additional-data><authorization-identifier>juliet@example.org/AwesomeXMPP/1</authorization-identifier><bound xmlns='urn:xmpp:bind:0'><metadata xmlns='urn:xmpp:mam:2'/></bound></success>
        S: <stream:features>…</stream:features>
        Stanza <message to='romeo@example.org'><body>hi</body></message>
    "#]],
    );
    let mut server = server();
    for (bad, failure) in [
        (
            with_token("HT-SHA-256-EXPR", "fresh", b"exported", ""),
            "invalid-mechanism",
        ),
        (
            with_token("HT-SHA-256-UNIQ", "fresh", b"exported", fast),
            "invalid-mechanism",
        ),
        (good.replace("<user-agent", "<x"), "not-authorized"),
        (
            with_token("HT-SHA-256-EXPR", "wrong", b"exported", fast),
            "not-authorized",
        ),
        (
            with_token("HT-SHA-256-EXPR", "fresh", b"another", fast),
            "not-authorized",
        ),
        (
            with_token("HT-SHA-256-NONE", "fresh", b"exported", fast),
            "not-authorized",
        ),
        (
            with_token("HT-SHA-256-EXPR", "stale", b"exported", fast),
            "credentials-expired",
        ),
        (
            with_token(
                "HT-SHA-256-EXPR",
                "stale",
                b"exported",
                &fast.replace("123", "3"),
            ),
            "not-authorized",
        ),
        (
            with_token(
                "HT-SHA-256-EXPR",
                "fresh",
                b"exported",
                &fast.replace("123", "-1"),
            ),
            "invalid-mechanism",
        ),
        (good.replace("initial-response>", "x>"), "malformed-request"),
    ] {
        server = self::server();
        let log = server.log_of(&[&bad]);
        assert!(
            log.contains(&format!("<{failure} ")),
            "{failure}: {bad}\n{log}"
        );
        assert!(!server.stream.is_authenticated());
        // What was asked for with a failed attempt is forgotten.
        let log = server.log_of(&[&authenticate("")]);
        assert!(
            log.contains("bind: None") && log.contains("token_used: None"),
            "{log}"
        );
    }
    assert!(server.stream.is_authenticated());
    // The old profile knows no tokens.
    let old =
        "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='HT-SHA-256-NONE'>AA==</auth>";
    let log = self::server().log_of(&[old]);
    assert!(log.contains("<invalid-mechanism/>"), "{log}");
}

/// SCRAM with what the server advertised in it (XEP-0474), then its upgrade (XEP-0480 § 3).
#[test]
fn scram_and_upgrade() {
    let binding = ClientBinding::Bound(BindingType::TlsExporter, b"exported".to_vec());
    let mut scram = ScramClient::new(Hash::Sha1, binding, "juliet", "secret", "fyko");
    let mut server = server();
    let heard = |server: &Server, name: &str| {
        let start = format!("<{name}");
        let after = server.log.rsplit_once(&start).expect("an answer").1;
        let base64 = after.split(['<', '>']).nth(1).expect("text");
        sasl::decode(base64).expect("base64")
    };
    server.feed(
        format!(
            "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='SCRAM-SHA-1-PLUS'>\
             <initial-response>{}</initial-response>\
             <upgrade xmlns='urn:xmpp:sasl:upgrade:0'>UPGR-SCRAM-SHA-512</upgrade>\
             <upgrade xmlns='urn:xmpp:sasl:upgrade:0'>UPGR-SCRAM-SHA-256</upgrade>\
             <upgrade xmlns='urn:xmpp:sasl:upgrade:0'>UPGR-SCRAM-SHA-1</upgrade></authenticate>",
            sasl::encode(&scram.first())
        )
        .as_bytes(),
    );
    let challenge = heard(&server, "challenge");
    // Python: b64(sha1(b'PLAIN\x1eSCRAM-SHA-1\x1eSCRAM-SHA-1-PLUS\x1ftls-exporter\x1etls-server-end-point'))
    let text = String::from_utf8(challenge.clone()).expect("UTF-8");
    assert!(text.ends_with(",h=jTVU7uPD07fZ33V/HeZns9/Ch/0="), "{text}");
    let last = scram.last(&challenge).expect("a good challenge");
    server.log.clear();
    let response = format!(
        "<response xmlns='urn:xmpp:sasl:2'>{}</response>",
        sasl::encode(&last)
    );
    server.feed(response.as_bytes());
    assert_eq!(scram.finish(&heard(&server, "additional-data")), Ok(()));
    server.feed(b"<next xmlns='urn:xmpp:sasl:2' task='UPGR-SCRAM-SHA-256'/>");
    assert_eq!(heard(&server, "salt"), b"0123456789abcdef");
    assert!(!server.stream.is_authenticated());
    server.feed(
        b"<task-data xmlns='urn:xmpp:sasl:2'><hash xmlns='urn:xmpp:scram-upgrade:0'>\
          BzOnw3Pc5H4bOLlPZ/8JAy6wnTpH05aH21KW2+Xfpaw=</hash></task-data>",
    );
    expect![[r#"
        Upgrade(juliet@example.org, Sha512)
        Upgrade(juliet@example.org, Sha256)
        S: <continue xmlns='urn:xmpp:sasl:2'><additional-data>dj04MGFyZHhxRWt2ZHpzSHYzNWlSVjVFU3JYbmM9</additional-data><tasks><task>UPGR-SCRAM-SHA-256</task></tasks></continue>
        S: <task-data xmlns='urn:xmpp:sasl:2'><salt xmlns='urn:xmpp:scram-upgrade:0' iterations='4096'>MDEyMzQ1Njc4OWFiY2RlZg==</salt></task-data>
        Upgraded(juliet@example.org, Sha256, ..)
        Authenticated { jid: juliet@example.org, method: Password(ScramSha1Plus) }
        Login(Login { jid: juliet@example.org, user_agent: UserAgent { id: None, software: None, device: None }, resume: None, bind: None, token_used: None, token_wanted: None })
        S: <success xmlns='urn:xmpp:sasl:2'><authorization-identifier>juliet@example.org</authorization-identifier></success>
        S: <stream:features>…</stream:features>
    "#]].assert_eq(&server.log);
}

#[test]
fn upgrades_that_fail() {
    let asks =
        authenticate("<upgrade xmlns='urn:xmpp:sasl:upgrade:0'>UPGR-SCRAM-SHA-256</upgrade>");
    let next = "<next xmlns='urn:xmpp:sasl:2' task='UPGR-SCRAM-SHA-256'/>";
    let hash = "<task-data xmlns='urn:xmpp:sasl:2'><hash xmlns='urn:xmpp:scram-upgrade:0'>AAAA</hash></task-data>";
    for (pieces, failure) in [
        (&[&*asks, next, hash][..], "malformed-request"),
        (&[&asks, hash], "malformed-request"),
        (&[&asks, next, next], "malformed-request"),
        (&[&asks, &next.replace("256", "1")], "malformed-request"),
        (
            &[&asks, next, "<task-data xmlns='urn:xmpp:sasl:2'/>"],
            "malformed-request",
        ),
        (
            &[&asks, next, &hash.replace("AAAA", "A")],
            "incorrect-encoding",
        ),
        (&[&asks, "<abort xmlns='urn:xmpp:sasl:2'/>"], "aborted"),
    ] {
        let mut server = server();
        let log = server.log_of(pieces);
        assert!(log.contains(&format!("<{failure} ")), "{pieces:?}\n{log}");
        assert!(!server.stream.is_authenticated() && server.stream.end().is_none());
    }
    let log = server().log_of(&[&asks, MESSAGE]);
    assert!(log.contains("<policy-violation"), "{log}");
}

/// XEP-0388 § 2.4, 4.6: nothing else in an exchange, and no second one after it.
#[test]
fn out_of_turn() {
    let start = "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='SCRAM-SHA-1'/>";
    for other in [
        MESSAGE,
        STARTTLS,
        PLAIN,
        start,
        "<x xmlns='urn:xmpp:sasl:2'/>",
    ] {
        let log = server().log_of(&[start, other]);
        assert!(log.contains("<policy-violation"), "{other}\n{log}");
    }
    for (pieces, expected) in [
        (&[start, "<abort xmlns='urn:xmpp:sasl:2'/>"][..], "<aborted"),
        (
            &["<response xmlns='urn:xmpp:sasl:2'/>"],
            "<malformed-request",
        ),
        (
            &["<authenticate xmlns='urn:xmpp:sasl:2' mechanism='X'/>"],
            "<invalid-mechanism",
        ),
        (
            &["<authenticate xmlns='urn:xmpp:sasl:2' mechanism='SCRAM-SHA-512'/>"],
            "<invalid-mechanism",
        ),
        (
            &[
                "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='PLAIN'><initial-response>=</initial-response></authenticate>",
            ],
            "<incorrect-encoding",
        ),
        // By the old profile, then by the new.
        (
            &[
                "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-1'/>",
                start,
            ],
            "<challenge xmlns='urn:xmpp:sasl:2'",
        ),
        (
            &[&*authenticate(""), start],
            "<not-authorized xmlns='…xmpp-streams'",
        ),
        (
            &[&authenticate(""), BIND, start],
            "<unsupported-stanza-type",
        ),
    ] {
        let log = server().log_of(pieces);
        assert!(log.contains(expected), "{pieces:?}\n{log}");
    }
}

/// XEP-0388 § 2.3: the stream header is a hint, but it must not contradict who is named.
#[test]
fn whose_stream() {
    // NUL-separated: authzid, juliet, secret.
    let named = authenticate("").replace("AGp1bGlldA", "anVsaWV0QGV4YW1wbGUub3JnAGp1bGlldA");
    for (from, request, expected) in [
        ("juliet@example.org", &named, "<success"),
        ("romeo@example.org", &named, "<invalid-authzid"),
        ("romeo@example.org", &authenticate(""), "<success"),
        ("romeo@example.net", &named, "<success"),
    ] {
        let mut server = Server::new(modern(), bound_tls());
        let header = HEADER.replace("to=", &format!("from='{from}' to="));
        let log = server.log_of(&[&header, request]);
        assert!(log.contains(expected), "{from}\n{log}");
    }
}

/// Nothing of this without TLS, and nothing where it is not switched on.
#[test]
fn not_offered() {
    let log = transcript(tls(), &[HEADER, &authenticate("")]);
    assert!(
        log.contains("<not-authorized xmlns='…xmpp-streams'"),
        "{log}"
    );
    let mut plain = Server::new(modern(), Transport::Plain);
    let log = plain.log_of(&[HEADER, &authenticate("")]);
    assert!(
        log.contains("<encryption-required xmlns='…xmpp-sasl'"),
        "{log}"
    );
    let mut settings = modern();
    for host in settings.hosts.values_mut() {
        (host.sm, host.csi) = (false, false);
        host.sasl2 = Some(Sasl2Settings::default());
    }
    let mut server = Server::new(settings, bound_tls());
    server.feed(HEADER.as_bytes());
    expect![[r#"
        Credentials { username: "juliet", hash: Sha256, mechanism: Plain }
        Authenticated { jid: juliet@example.org, method: Password(Plain) }
        Login(Login { jid: juliet@example.org, user_agent: UserAgent { id: None, software: None, device: None }, resume: None, bind: None, token_used: None, token_wanted: None })
        S: <success xmlns='urn:xmpp:sasl:2'><authorization-identifier>juliet@example.org</authorization-identifier><failed xmlns='urn:xmpp:sm:3'><feature-not-implemented xmlns='…xmpp-stanzas'/></failed></success>
        S: <stream:features>…</stream:features>
    "#]].assert_eq(&server.log_of(&[&authenticate(
        "<resume xmlns='urn:xmpp:sm:3' h='5' previd='old'/>\
         <bind xmlns='urn:xmpp:bind:0'><enable xmlns='urn:xmpp:sm:3'/></bind>\
         <request-token xmlns='urn:xmpp:fast:0' mechanism='HT-SHA-256-ENDP'/>\
         <upgrade xmlns='urn:xmpp:sasl:upgrade:0'>UPGR-SCRAM-SHA-256</upgrade>",
    )]));
}
