//! What goes well.

use super::*;
use crate::sasl::client::{ClientBinding, ScramClient};
use crate::sasl::{self, BindingType};

/// All that is sent, an element a line.
fn sent(settings: C2sSettings, transport: Transport, pieces: &[&str]) -> String {
    let mut server = Server::new(settings, transport);
    let mut sent = String::new();
    for piece in pieces {
        server.input.extend_from_slice(piece.as_bytes());
        while let Some(effect) = server.stream.next_effect(&mut server.input) {
            if let Effect::Send(bytes) = &effect {
                sent.push_str(std::str::from_utf8(bytes).expect("UTF-8"));
                sent.push('\n');
            }
            server.answer(&effect);
        }
    }
    sent.replace("><", ">\n<")
}

// proves: RFC6120-11.5-a RFC6120-11.6-c
#[test]
fn features_in_clear() {
    expect![[r#"
        <?xml version='1.0'?>
        <stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' id='id1' from='example.org' version='1.0' xml:lang='en'>
        <stream:features>
        <starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'>
        <required/>
        </starttls>
        <c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='https://waxwing.example' ver='q07IKJEyjvHSyhy//CH0CxmKi8w='/>
        <limits xmlns='urn:xmpp:stream-limits:0'>
        <max-bytes>10000</max-bytes>
        <idle-seconds>600</idle-seconds>
        </limits>
        </stream:features>
    "#]].assert_eq(&sent(settings(), Transport::Plain, &[HEADER]));
    // On loopback, without a certificate.
    let local = C2sSettings {
        starttls: false,
        plaintext_allowed: true,
        idle_seconds: None,
        ..settings()
    };
    expect![[r#"
        <?xml version='1.0'?>
        <stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' id='id1' from='example.org' version='1.0' xml:lang='en'>
        <stream:features>
        <mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>
        <mechanism>SCRAM-SHA-512</mechanism>
        <mechanism>SCRAM-SHA-256</mechanism>
        <mechanism>SCRAM-SHA-1</mechanism>
        <mechanism>PLAIN</mechanism>
        </mechanisms>
        <c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='https://waxwing.example' ver='q07IKJEyjvHSyhy//CH0CxmKi8w='/>
        <limits xmlns='urn:xmpp:stream-limits:0'>
        <max-bytes>10000</max-bytes>
        </limits>
        </stream:features>
    "#]].assert_eq(&sent(local, Transport::Plain, &[HEADER]));
}

#[test]
fn features_over_tls() {
    expect![[r#"
        <?xml version='1.0'?>
        <stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' id='id1' from='example.org' version='1.0' xml:lang='en'>
        <stream:features>
        <mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>
        <mechanism>SCRAM-SHA-512</mechanism>
        <mechanism>SCRAM-SHA-256</mechanism>
        <mechanism>SCRAM-SHA-1</mechanism>
        <mechanism>PLAIN</mechanism>
        </mechanisms>
        <c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='https://waxwing.example' ver='q07IKJEyjvHSyhy//CH0CxmKi8w='/>
        <limits xmlns='urn:xmpp:stream-limits:0'>
        <max-bytes>10000</max-bytes>
        <idle-seconds>600</idle-seconds>
        </limits>
        </stream:features>
    "#]].assert_eq(&sent(settings(), tls(), &[HEADER]));
    let bindings = ChannelBindings {
        exporter: Some(vec![1]),
        server_end_point: Some(vec![2]),
    };
    let open = HEADER.replace("example.org", "open.example");
    expect![[r#"
        <?xml version='1.0'?>
        <stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' id='id1' from='open.example' version='1.0' xml:lang='en'>
        <stream:features>
        <sasl-channel-binding xmlns='urn:xmpp:sasl-cb:0'>
        <channel-binding type='tls-exporter'/>
        <channel-binding type='tls-server-end-point'/>
        </sasl-channel-binding>
        <mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>
        <mechanism>SCRAM-SHA-512-PLUS</mechanism>
        <mechanism>SCRAM-SHA-256-PLUS</mechanism>
        <mechanism>SCRAM-SHA-1-PLUS</mechanism>
        <mechanism>SCRAM-SHA-512</mechanism>
        <mechanism>SCRAM-SHA-256</mechanism>
        <mechanism>SCRAM-SHA-1</mechanism>
        <mechanism>PLAIN</mechanism>
        </mechanisms>
        <register xmlns='http://jabber.org/features/iq-register'/>
        <c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='https://waxwing.example' ver='q07IKJEyjvHSyhy//CH0CxmKi8w='/>
        <limits xmlns='urn:xmpp:stream-limits:0'>
        <max-bytes>10000</max-bytes>
        <idle-seconds>600</idle-seconds>
        </limits>
        </stream:features>
    "#]].assert_eq(&sent(
        settings(),
        Transport::Tls(TlsInfo { bindings, ..TlsInfo::default() }),
        &[&open],
    ));
}

#[test]
fn features_after_authentication() {
    let sent = sent(settings(), tls(), &[HEADER, PLAIN, HEADER]);
    let (_, after) = sent.split_once("<success").expect("a success");
    expect![[r#"
         xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>
        <?xml version='1.0'?>
        <stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' id='id3' from='example.org' to='juliet@example.org' version='1.0' xml:lang='en'>
        <stream:features>
        <bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>
        <session xmlns='urn:ietf:params:xml:ns:xmpp-session'>
        <optional/>
        </session>
        <ver xmlns='urn:xmpp:features:rosterver'/>
        <sub xmlns='urn:xmpp:features:pre-approval'/>
        <c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='https://waxwing.example' ver='q07IKJEyjvHSyhy//CH0CxmKi8w='/>
        <limits xmlns='urn:xmpp:stream-limits:0'>
        <max-bytes>262144</max-bytes>
        <idle-seconds>600</idle-seconds>
        </limits>
        </stream:features>
    "#]].assert_eq(after);
}

#[test]
fn on_loopback_without_tls() {
    let local = C2sSettings {
        plaintext_allowed: true,
        ..settings()
    };
    let mut server = Server::new(local, Transport::Plain);
    server.feed([HEADER, PLAIN, HEADER, BIND, MESSAGE].concat().as_bytes());
    assert!(server.stream.is_bound());
}

#[test]
fn starttls_then_plain_then_bind() {
    check(
        Transport::Plain,
        &[HEADER, STARTTLS, HEADER, PLAIN, HEADER, BIND, MESSAGE, END],
        expect![[r#"
            Opened { host: "example.org" }
            S: <?xml?><stream:stream id='id1' from='example.org' version='1.0' xml:lang='en'><stream:features>…</stream:features>
            S: <proceed xmlns='…xmpp-tls'/>
            StartTls
            Opened { host: "example.org" }
            S: <?xml?><stream:stream id='id2' from='example.org' version='1.0' xml:lang='en'><stream:features>…</stream:features>
            Credentials { username: "juliet", hash: Sha256, mechanism: Plain }
            Authenticated { jid: juliet@example.org, method: Password(Plain) }
            S: <success xmlns='…xmpp-sasl'/>
            Opened { host: "example.org" }
            S: <?xml?><stream:stream id='id4' from='example.org' to='juliet@example.org' version='1.0' xml:lang='en'><stream:features>…</stream:features>
            Bind { resource: Some("balcony") }
            S: <iq type='result' id='b1'><bind xmlns='…xmpp-bind'><jid>juliet@example.org/balcony</jid></bind></iq>
            Stanza <message to='romeo@example.org'><body>hi</body></message>
            S: </stream:stream>
            Close
        "#]],
    );
}

#[test]
fn direct_tls_with_all_pipelined() {
    let all = [HEADER, PLAIN, HEADER, BIND, MESSAGE, MESSAGE, END].concat();
    check(
        tls(),
        &[&all],
        expect![[r#"
            Opened { host: "example.org" }
            S: <?xml?><stream:stream id='id1' from='example.org' version='1.0' xml:lang='en'><stream:features>…</stream:features>
            Credentials { username: "juliet", hash: Sha256, mechanism: Plain }
            Authenticated { jid: juliet@example.org, method: Password(Plain) }
            S: <success xmlns='…xmpp-sasl'/>
            Opened { host: "example.org" }
            S: <?xml?><stream:stream id='id3' from='example.org' to='juliet@example.org' version='1.0' xml:lang='en'><stream:features>…</stream:features>
            Bind { resource: Some("balcony") }
            S: <iq type='result' id='b1'><bind xmlns='…xmpp-bind'><jid>juliet@example.org/balcony</jid></bind></iq>
            Stanza <message to='romeo@example.org'><body>hi</body></message>
            Stanza <message to='romeo@example.org'><body>hi</body></message>
            S: </stream:stream>
            Close
        "#]],
    );
}

/// SCRAM with channel binding, by our own client.
#[test]
fn scram() {
    scram_with(
        Mechanism::ScramSha256Plus,
        "juliet",
        "secret",
        expect![[r#"
            Credentials { username: "juliet", hash: Sha256, mechanism: ScramSha256Plus }
            S: <challenge xmlns='…xmpp-sasl'>cj1meWtvaWQyLHM9TURFeU16UTFOamM0T1dGaVkyUmxaZz09LGk9MQ==</challenge>
            Authenticated { jid: juliet@example.org, method: Password(ScramSha256Plus) }
            S: <success xmlns='…xmpp-sasl'>dj1pU2JLUWVQUHNJdU5JL2RTUUhLZ0szUG1jQlJ4RjV5Y3ZNVE1QdHh6Tk9NPQ==</success>
        "#]],
    );
    scram_with(
        Mechanism::ScramSha1,
        "juliet",
        "wrong",
        expect![[r#"
            Credentials { username: "juliet", hash: Sha1, mechanism: ScramSha1 }
            S: <challenge xmlns='…xmpp-sasl'>cj1meWtvaWQyLHM9TURFeU16UTFOamM0T1dGaVkyUmxaZz09LGk9MQ==</challenge>
            AuthFailed { username: Some("juliet"), failure: NotAuthorized }
            S: <failure xmlns='…xmpp-sasl'><not-authorized/></failure>
        "#]],
    );
    scram_with(
        Mechanism::ScramSha512,
        "nobody",
        "secret",
        expect![[r#"
            Credentials { username: "nobody", hash: Sha512, mechanism: ScramSha512 }
            S: <challenge xmlns='…xmpp-sasl'>cj1meWtvaWQyLHM9TWh2M1pUeUJ3aFVnM1VHTGQ0MjRKUT09LGk9MQ==</challenge>
            AuthFailed { username: Some("nobody"), failure: NotAuthorized }
            S: <failure xmlns='…xmpp-sasl'><not-authorized/></failure>
        "#]],
    );
}

#[test]
fn plain_without_initial_response() {
    check(
        tls(),
        &[
            HEADER,
            "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'/>",
            "<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>AGp1bGlldABzZWNyZXQ=</response>",
        ],
        expect![[r#"
            Opened { host: "example.org" }
            S: <?xml?><stream:stream id='id1' from='example.org' version='1.0' xml:lang='en'><stream:features>…</stream:features>
            S: <challenge xmlns='…xmpp-sasl'/>
            Credentials { username: "juliet", hash: Sha256, mechanism: Plain }
            Authenticated { jid: juliet@example.org, method: Password(Plain) }
            S: <success xmlns='…xmpp-sasl'/>
        "#]],
    );
}

#[test]
fn language_and_from_of_the_header() {
    let header = HEADER.replace(" to=", " xml:lang='de-AT' from='Juliet@example.org' to=");
    let mut server = Server::new(settings(), tls());
    server.feed(header.as_bytes());
    assert_eq!(server.stream.lang(), Some("de-AT"));
    expect![[r#"
        Opened { host: "example.org" }
        S: <?xml?><stream:stream id='id1' from='example.org' to='juliet@example.org' version='1.0' xml:lang='en'><stream:features>…</stream:features>
    "#]].assert_eq(&server.log);
    for lang in ["", "a b", "de'", &"x".repeat(36)] {
        let header = HEADER.replace(" to=", &format!(" xml:lang=\"{lang}\" to="));
        let mut server = Server::new(settings(), tls());
        server.feed(header.as_bytes());
        assert_eq!(server.stream.lang(), None, "{lang:?}");
    }
}

#[test]
fn the_domain_is_prepared_and_later_versions_are_answered_with_ours() {
    let header = HEADER.replace("example.org", "EXAMPLE.org");
    check(
        tls(),
        &[&header.replace("version='1.0'>", "version='1.10'>")],
        expect![[r#"
            Opened { host: "example.org" }
            S: <?xml?><stream:stream id='id1' from='example.org' version='1.0' xml:lang='en'><stream:features>…</stream:features>
        "#]],
    );
    let prefix = HEADER.replace("stream:", "s:").replace(":stream=", ":s=");
    check(
        tls(),
        &[&prefix, "</s:stream>"],
        expect![[r#"
        Opened { host: "example.org" }
        S: <?xml?><stream:stream id='id1' from='example.org' version='1.0' xml:lang='en'><stream:features>…</stream:features>
        S: </stream:stream>
        Close
    "#]],
    );
    let no_default = HEADER.replace("xmlns='jabber:client' ", "");
    check(
        tls(),
        &[&no_default, END],
        expect![[r#"
        Opened { host: "example.org" }
        S: <?xml?><stream:stream id='id1' from='example.org' version='1.0' xml:lang='en'><stream:features>…</stream:features>
        S: </stream:stream>
        Close
    "#]],
    );
}

#[test]
fn registration_before_authentication() {
    let get = "<iq type='get' id='r1'><query xmlns='jabber:iq:register'/></iq>";
    check(
        tls(),
        &[&HEADER.replace("example.org", "open.example"), get, get],
        expect![[r#"
            Opened { host: "open.example" }
            S: <?xml?><stream:stream id='id1' from='open.example' version='1.0' xml:lang='en'><stream:features>…</stream:features>
            Register <iq type='get' id='r1'><query xmlns='jabber:iq:register'/></iq>
            S: <iq type='result' id='r1'/>
            Register <iq type='get' id='r1'><query xmlns='jabber:iq:register'/></iq>
            S: <iq type='result' id='r1'/>
        "#]],
    );
    check(
        tls(),
        &[HEADER, get],
        expect![[r#"
        Opened { host: "example.org" }
        S: <?xml?><stream:stream id='id1' from='example.org' version='1.0' xml:lang='en'><stream:features>…</stream:features>
        S: <iq id='r1' type='error'><error type='cancel'><service-unavailable xmlns='…xmpp-stanzas'/></error></iq>
    "#]],
    );
}

#[test]
fn binding() {
    let pre = [HEADER, PLAIN, HEADER].concat();
    let bind = |resource: &str| {
        format!(
            "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>{resource}</bind></iq>"
        )
    };
    let server = |iqs: &[&str]| {
        let mut server = Server::new(settings(), tls());
        server.feed(pre.as_bytes());
        server.log_of(iqs)
    };
    // A failed attempt may be repeated; an empty resource is none.
    expect![[r#"
        Bind { resource: Some("taken") }
        S: <iq id='b' type='error'><error type='cancel'><conflict xmlns='…xmpp-stanzas'/></error></iq>
        Bind { resource: Some("balcony") }
        S: <iq type='result' id='b'><bind xmlns='…xmpp-bind'><jid>juliet@example.org/balcony</jid></bind></iq>
        S: <iq id='b' type='error'><error type='cancel'><not-allowed xmlns='…xmpp-stanzas'/></error></iq>
    "#]].assert_eq(&server(&[
        &bind("<resource>taken</resource>"),
        &bind("<resource>balcony</resource>"),
        &bind("<resource>second</resource>"),
    ]));
    expect![[r#"
        Bind { resource: None }
        S: <iq type='result' id='b'><bind xmlns='…xmpp-bind'><jid>juliet@example.org/made-up</jid></bind></iq>
    "#]].assert_eq(&server(&[&bind("<resource/>")]));
    expect![[r#"
        Bind { resource: None }
        S: <iq type='result' id='b'><bind xmlns='…xmpp-bind'><jid>juliet@example.org/made-up</jid></bind></iq>
    "#]].assert_eq(&server(&[&bind("")]));
    expect![[r#"
        S: <iq id='b' type='error'><error type='modify'><bad-request xmlns='…xmpp-stanzas'/></error></iq>
        Bind { resource: None }
        S: <iq type='result' id='b'><bind xmlns='…xmpp-bind'><jid>juliet@example.org/made-up</jid></bind></iq>
    "#]].assert_eq(&server(&[&bind("").replace("set", "get"), &bind("")]));
    // Sessions of RFC 3921 at any time, with the domain as address or none.
    let session = "<iq type='set' id='s' to='example.org'>\
        <session xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq>";
    expect![[r#"
        S: <iq type='result' id='s'/>
        Bind { resource: None }
        S: <iq type='result' id='b'><bind xmlns='…xmpp-bind'><jid>juliet@example.org/made-up</jid></bind></iq>
        S: <iq type='result' id='s'/>
    "#]].assert_eq(&server(&[session, &bind(""), session]));
    // What is for somebody else is none of the stream's business.
    expect![[r#"
        Bind { resource: None }
        S: <iq type='result' id='b'><bind xmlns='…xmpp-bind'><jid>juliet@example.org/made-up</jid></bind></iq>
        Stanza <iq type='set' id='s' to='elsewhere.example'><session xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq>
        Stanza <iq type='result' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'></bind></iq>
    "#]].assert_eq(&server(&[
        &bind(""),
        &session.replace("example.org", "elsewhere.example"),
        &bind("").replace("set", "result"),
    ]));
}

#[test]
fn a_question_holds_the_input() {
    let mut server = Server::new(settings(), tls());
    server.holds = true;
    server.feed([HEADER, PLAIN, HEADER, BIND, MESSAGE].concat().as_bytes());
    assert!(server.stream.awaits_answer());
    assert!(
        server.input.starts_with(b"<?xml"),
        "what follows stays where it is"
    );
    let question = server.asked.take().expect("asked");
    assert!(matches!(question, Effect::Credentials { .. }));
    server.answer(&question);
    assert!(!server.stream.awaits_answer());
    server.client = Framer::new(Limits::C2S);
    // An answer to no question changes nothing.
    server.stream.answer(Reply::Refused(Failure::NotAuthorized));
    assert!(server.stream.is_authenticated());
}

#[test]
fn we_end_the_stream() {
    let ends = |pieces: &[&str], error: Option<StreamError>| {
        let mut server = Server::new(settings(), tls());
        for piece in pieces {
            server.feed(piece.as_bytes());
        }
        server.log.clear();
        server.stream.close(error);
        server.stream.close(error);
        server.feed(MESSAGE.as_bytes());
        server.log
    };
    let shutdown = Some(StreamCondition::SystemShutdown.into());
    expect![[r#"
        S: <?xml?><stream:stream id='id1' from='example.org' version='1.0' xml:lang='en'><stream:error><system-shutdown xmlns='…xmpp-streams'/></stream:error></stream:stream>
        Close
    "#]].assert_eq(&ends(&[], shutdown));
    expect![[r#"
        S: <stream:error><system-shutdown xmlns='…xmpp-streams'/></stream:error></stream:stream>
        Close
    "#]]
    .assert_eq(&ends(&[HEADER], shutdown));
    expect![[r#"
        S: <?xml?><stream:stream id='id3' from='example.org' to='juliet@example.org' version='1.0' xml:lang='en'><stream:error><system-shutdown xmlns='…xmpp-streams'/></stream:error></stream:stream>
        Close
    "#]].assert_eq(&ends(&[HEADER, PLAIN], shutdown));
    expect![[r#"
        S: </stream:stream>
        Close
    "#]]
    .assert_eq(&ends(&[HEADER, PLAIN, HEADER, BIND], None));
}

fn scram_with(mechanism: Mechanism, username: &str, password: &str, expected: Expect) {
    let bindings = ChannelBindings {
        exporter: Some(b"exported".to_vec()),
        server_end_point: None,
    };
    let binding = if mechanism.plus() {
        ClientBinding::Bound(BindingType::TlsExporter, b"exported".to_vec())
    } else {
        ClientBinding::Unsupported
    };
    let mut client = ScramClient::new(mechanism.hash(), binding, username, password, "fyko");
    let mut server = Server::new(
        settings(),
        Transport::Tls(TlsInfo {
            bindings,
            ..TlsInfo::default()
        }),
    );
    server.feed(HEADER.as_bytes());
    server.log.clear();
    let say = |server: &mut Server, name: &str, data: &[u8]| {
        let (mechanism, data) = (mechanism.name(), sasl::encode(data));
        let element = format!(
            "<{name} xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='{mechanism}'>{data}</{name}>"
        );
        server.feed(element.as_bytes());
    };
    let heard = |server: &Server| {
        let line = server.log.lines().last().expect("an answer");
        let base64 = line.split(['<', '>']).nth(2).expect("an element");
        sasl::decode(base64).expect("base64")
    };
    say(&mut server, "auth", &client.first());
    let last = client.last(&heard(&server)).expect("a good challenge");
    say(&mut server, "response", &last);
    if server.stream.is_authenticated() {
        assert_eq!(client.finish(&heard(&server)), Ok(()));
    }
    expected.assert_eq(&server.log);
}
