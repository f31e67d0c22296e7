//! What ends a stream, and how.

use super::*;

/// After the header, in clear.
#[track_caller]
fn plain(pieces: &[&str], expected: Expect) {
    check_after(Transport::Plain, &[HEADER], pieces, expected);
}

/// After the header, over TLS.
#[track_caller]
fn encrypted(pieces: &[&str], expected: Expect) {
    check_after(tls(), &[HEADER], pieces, expected);
}

/// After authentication and the second header.
#[track_caller]
fn authenticated(pieces: &[&str], expected: Expect) {
    check_after(tls(), &[HEADER, PLAIN, HEADER], pieces, expected);
}

/// After binding.
#[track_caller]
fn bound(pieces: &[&str], expected: Expect) {
    check_after(tls(), &[HEADER, PLAIN, HEADER, BIND], pieces, expected);
}

#[track_caller]
fn check_after(transport: Transport, before: &[&str], pieces: &[&str], expected: Expect) {
    let mut server = Server::new(settings(), transport);
    for piece in before {
        server.feed(piece.as_bytes());
    }
    let log = server.log_of(pieces);
    // Nothing is processed behind an error.
    if server.closed {
        assert_eq!(server.log_of(&[MESSAGE, "<"]), "");
    }
    expected.assert_eq(&log);
}

#[track_caller]
fn assert_error(transport: Transport, pieces: &[&str], condition: StreamCondition) {
    let mut server = Server::new(settings(), transport);
    for piece in pieces {
        server.feed(piece.as_bytes());
    }
    match server.stream.end() {
        Some(End::Error(error)) => assert_eq!(error.condition, condition, "{pieces:?}"),
        end => panic!("{pieces:?}: {end:?}"),
    }
}

#[test]
fn headers() {
    let check = |header: &str, expected: Expect| check_after(tls(), &[], &[header], expected);
    // The namespaces.
    check(
        &HEADER.replace("etherx", "either"),
        expect![[r#"
        S: <?xml?><stream:stream id='id1' from='example.org' version='1.0' xml:lang='en'><stream:error><invalid-namespace xmlns='…xmpp-streams'/></stream:error></stream:stream>
        Close
    "#]],
    );
    check(
        "<stream xmlns='jabber:client' to='example.org' version='1.0'>",
        expect![[r#"
            S: <?xml?><stream:stream id='id1' from='example.org' version='1.0' xml:lang='en'><stream:error><invalid-namespace xmlns='…xmpp-streams'/></stream:error></stream:stream>
            Close
        "#]],
    );
    check(
        &HEADER.replace("jabber:client", "jabber:server"),
        expect![[r#"
            S: <?xml?><stream:stream id='id1' from='example.org' version='1.0' xml:lang='en'><stream:error><invalid-namespace xmlns='…xmpp-streams'/></stream:error></stream:stream>
            Close
        "#]],
    );
    // Another root.
    check(
        &HEADER.replace("stream:stream", "stream:features"),
        expect![[r#"
            S: <?xml?><stream:stream id='id1' from='example.org' version='1.0' xml:lang='en'><stream:error><bad-format xmlns='…xmpp-streams'/><text xmlns='…xmpp-streams' xml:lang='en'>the root must be a stream</text></stream:error></stream:stream>
            Close
        "#]],
    );
    // Where to?
    check(
        &HEADER.replace("example.org", "elsewhere.example"),
        expect![[r#"
            S: <?xml?><stream:stream id='id1' from='example.org' version='1.0' xml:lang='en'><stream:error><host-unknown xmlns='…xmpp-streams'/></stream:error></stream:stream>
            Close
        "#]],
    );
    check(
        &HEADER.replace("to='example.org'", ""),
        expect![[r#"
        S: <?xml?><stream:stream id='id1' from='example.org' version='1.0' xml:lang='en'><stream:error><improper-addressing xmlns='…xmpp-streams'/><text xmlns='…xmpp-streams' xml:lang='en'>the header needs a 'to' that names the domain</text></stream:error></stream:stream>
        Close
    "#]],
    );
    check(
        &HEADER.replace("example.org", "juliet@example.org"),
        expect![[r#"
            S: <?xml?><stream:stream id='id1' from='example.org' version='1.0' xml:lang='en'><stream:error><improper-addressing xmlns='…xmpp-streams'/></stream:error></stream:stream>
            Close
        "#]],
    );
    check(
        &HEADER.replace("example.org", ""),
        expect![[r#"
        S: <?xml?><stream:stream id='id1' from='example.org' version='1.0' xml:lang='en'><stream:error><improper-addressing xmlns='…xmpp-streams'/></stream:error></stream:stream>
        Close
    "#]],
    );
    // Versions.
    for version in [
        "",
        "version='0.9'",
        "version='1'",
        "version='one.0'",
        "version='1.-1'",
    ] {
        let header = HEADER.replace("version='1.0'>", &format!("{version}>"));
        assert_error(tls(), &[&header], StreamCondition::UnsupportedVersion);
    }
}

#[test]
fn no_xmpp_at_all() {
    let check = |header: &str, expected: Expect| check_after(tls(), &[], &[header], expected);
    check(
        "GET / HTTP/1.1\r\nHost: example.org\r\n\r\n",
        expect![[r#"
        S: <?xml?><stream:stream id='id1' from='example.org' version='1.0' xml:lang='en'><stream:error><not-well-formed xmlns='…xmpp-streams'/><text xmlns='…xmpp-streams' xml:lang='en'>an element must begin with &lt;</text></stream:error></stream:stream>
        Close
    "#]],
    );
    check(
        "\u{16}\u{3}\u{1}",
        expect![[r#"
        S: <?xml?><stream:stream id='id1' from='example.org' version='1.0' xml:lang='en'><stream:error><not-well-formed xmlns='…xmpp-streams'/><text xmlns='…xmpp-streams' xml:lang='en'>an element must begin with &lt;</text></stream:error></stream:stream>
        Close
    "#]],
    );
    check(
        "<?xml version='1.0' encoding='ISO-8859-1'?>",
        expect![[r#"
        S: <?xml?><stream:stream id='id1' from='example.org' version='1.0' xml:lang='en'><stream:error><unsupported-encoding xmlns='…xmpp-streams'/></stream:error></stream:stream>
        Close
    "#]],
    );
    check(
        "<!DOCTYPE stream>",
        expect![[r#"
        S: <?xml?><stream:stream id='id1' from='example.org' version='1.0' xml:lang='en'><stream:error><restricted-xml xmlns='…xmpp-streams'/><text xmlns='…xmpp-streams' xml:lang='en'>comment or document type</text></stream:error></stream:stream>
        Close
    "#]],
    );
    check(
        &format!("<stream:stream {}", "a".repeat(20_000)),
        expect![[r#"
            S: <?xml?><stream:stream id='id1' from='example.org' version='1.0' xml:lang='en'><stream:error><policy-violation xmlns='…xmpp-streams'/><text xmlns='…xmpp-streams' xml:lang='en'>bytes of a name</text></stream:error></stream:stream>
            Close
        "#]],
    );
}

#[test]
fn starttls() {
    // A byte behind it was sent in clear and must never be taken for an encrypted one.
    plain(
        &[&format!("{STARTTLS}{HEADER}")],
        expect![[r#"
        S: <failure xmlns='…xmpp-tls'/></stream:stream>
        Close
    "#]],
    );
    plain(
        &[&format!("{STARTTLS} ")],
        expect![[r#"
        S: <failure xmlns='…xmpp-tls'/></stream:stream>
        Close
    "#]],
    );
    // Not offered.
    encrypted(
        &[STARTTLS],
        expect![[r#"
        S: <failure xmlns='…xmpp-tls'/></stream:stream>
        Close
    "#]],
    );
    authenticated(
        &[STARTTLS],
        expect![[r#"
        S: <stream:error><not-authorized xmlns='…xmpp-streams'/></stream:error></stream:stream>
        Close
    "#]],
    );
    bound(
        &[STARTTLS],
        expect![[r#"
        S: <stream:error><unsupported-stanza-type xmlns='…xmpp-streams'/></stream:error></stream:stream>
        Close
    "#]],
    );

    // Bytes that come in clear after all was said.
    let mut server = Server::new(settings(), Transport::Plain);
    server.holds = true;
    server.feed(HEADER.as_bytes());
    server.feed(STARTTLS.as_bytes());
    assert!(matches!(server.asked, Some(Effect::StartTls)));
    server.holds = false;
    server.log.clear();
    server.feed(HEADER.as_bytes());
    expect![[r#"
        Close
    "#]]
    .assert_eq(&server.log);
    server.stream.tls_started(TlsInfo::default());
    assert_eq!(server.stream.end(), Some(End::TlsFailure));
    assert!(server.stream.next_effect(&mut server.input).is_none());

    // Nor can we say anything between `<proceed/>` and TLS.
    let mut server = Server::new(settings(), Transport::Plain);
    server.holds = true;
    server.feed(HEADER.as_bytes());
    server.feed(STARTTLS.as_bytes());
    server.log.clear();
    server
        .stream
        .close(Some(StreamCondition::SystemShutdown.into()));
    server.drain();
    assert_eq!(server.log, "Close\n");
}

#[test]
fn authentication_in_clear() {
    plain(
        &[PLAIN],
        expect![[r#"
            AuthFailed { username: None, failure: EncryptionRequired }
            S: <failure xmlns='…xmpp-sasl'><encryption-required/></failure>
        "#]],
    );
    plain(
        &[MESSAGE],
        expect![[r#"
        S: <stream:error><not-authorized xmlns='…xmpp-streams'/></stream:error></stream:stream>
        Close
    "#]],
    );
    // Nor with what would be compression (CVE-2014-8760).
    plain(
        &["<compress xmlns='http://jabber.org/protocol/compress'><method>zlib</method></compress>"],
        expect![[r#"
            S: <stream:error><not-authorized xmlns='…xmpp-streams'/></stream:error></stream:stream>
            Close
        "#]],
    );
}

fn auth(attributes: &str, content: &str) -> String {
    format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' {attributes}>{content}</auth>")
}

fn other(name: &str, content: &str) -> String {
    format!("<{name} xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{content}</{name}>")
}

#[test]
fn three_tries() {
    encrypted(
        &[PLAIN_WRONG, PLAIN_WRONG, PLAIN_WRONG],
        expect![[r#"
            Credentials { username: "juliet", hash: Sha256, mechanism: Plain }
            AuthFailed { username: Some("juliet"), failure: NotAuthorized }
            S: <failure xmlns='…xmpp-sasl'><not-authorized/></failure>
            Credentials { username: "juliet", hash: Sha256, mechanism: Plain }
            AuthFailed { username: Some("juliet"), failure: NotAuthorized }
            S: <failure xmlns='…xmpp-sasl'><not-authorized/></failure>
            Credentials { username: "juliet", hash: Sha256, mechanism: Plain }
            AuthFailed { username: Some("juliet"), failure: NotAuthorized }
            S: <failure xmlns='…xmpp-sasl'><not-authorized/></failure>
            S: <stream:error><policy-violation xmlns='…xmpp-streams'/><text xmlns='…xmpp-streams' xml:lang='en'>too many failed authentications</text></stream:error></stream:stream>
            Close
        "#]],
    );
    encrypted(
        &[PLAIN_WRONG, PLAIN_WRONG, PLAIN],
        expect![[r#"
            Credentials { username: "juliet", hash: Sha256, mechanism: Plain }
            AuthFailed { username: Some("juliet"), failure: NotAuthorized }
            S: <failure xmlns='…xmpp-sasl'><not-authorized/></failure>
            Credentials { username: "juliet", hash: Sha256, mechanism: Plain }
            AuthFailed { username: Some("juliet"), failure: NotAuthorized }
            S: <failure xmlns='…xmpp-sasl'><not-authorized/></failure>
            Credentials { username: "juliet", hash: Sha256, mechanism: Plain }
            Authenticated { jid: juliet@example.org, method: Password(Plain) }
            S: <success xmlns='…xmpp-sasl'/>
        "#]],
    );
}

#[test]
fn sasl_out_of_turn() {
    encrypted(
        &[&auth("mechanism='PLAIN'", "")[..], &other("abort", "")],
        expect![[r#"
            S: <challenge xmlns='…xmpp-sasl'/>
            AuthFailed { username: None, failure: Aborted }
            S: <failure xmlns='…xmpp-sasl'><aborted/></failure>
        "#]],
    );
    encrypted(
        &[
            &other("abort", "")[..],
            &other("response", "AA=="),
            &other("foo", ""),
        ],
        expect![[r#"
            AuthFailed { username: None, failure: Aborted }
            S: <failure xmlns='…xmpp-sasl'><aborted/></failure>
            AuthFailed { username: None, failure: MalformedRequest }
            S: <failure xmlns='…xmpp-sasl'><malformed-request/></failure>
            AuthFailed { username: None, failure: MalformedRequest }
            S: <failure xmlns='…xmpp-sasl'><malformed-request/></failure>
            S: <stream:error><policy-violation xmlns='…xmpp-streams'/><text xmlns='…xmpp-streams' xml:lang='en'>too many failed authentications</text></stream:error></stream:stream>
            Close
        "#]],
    );
}

#[test]
fn sasl_data() {
    encrypted(
        &[&auth("mechanism='PLAIN'", "AGp1bGlldABzZWNyZXQ")[..]],
        expect![[r#"
            AuthFailed { username: None, failure: IncorrectEncoding }
            S: <failure xmlns='…xmpp-sasl'><incorrect-encoding/></failure>
        "#]],
    );
    encrypted(
        &[&auth("mechanism='PLAIN'", "AGp1bGlldA Bz")[..]],
        expect![[r#"
            AuthFailed { username: None, failure: IncorrectEncoding }
            S: <failure xmlns='…xmpp-sasl'><incorrect-encoding/></failure>
        "#]],
    );
    encrypted(
        &[&auth("mechanism='PLAIN'", "<a/>")[..]],
        expect![[r#"
            AuthFailed { username: None, failure: MalformedRequest }
            S: <failure xmlns='…xmpp-sasl'><malformed-request/></failure>
        "#]],
    );
    encrypted(
        &[&auth("mechanism='PLAIN'", "=")[..]],
        expect![[r#"
            AuthFailed { username: None, failure: MalformedRequest }
            S: <failure xmlns='…xmpp-sasl'><malformed-request/></failure>
        "#]],
    );
    for mechanism in [
        "",
        "=''",
        "='plain'",
        "='ANONYMOUS'",
        "='EXTERNAL'",
        "='SCRAM-SHA-1-PLUS'",
    ] {
        let mechanism = if mechanism.is_empty() {
            String::new()
        } else {
            format!("mechanism{mechanism}")
        };
        let log = transcript(tls(), &[HEADER, &auth(&mechanism, "=")]);
        assert!(
            log.ends_with("<invalid-mechanism/></failure>\n"),
            "{mechanism}: {log}"
        );
    }
}

#[test]
fn second_exchanges() {
    // A second exchange within the first replaces it (RFC 6120 § 6.4.2).
    encrypted(
        &[&auth("mechanism='PLAIN'", "")[..], PLAIN],
        expect![[r#"
            S: <challenge xmlns='…xmpp-sasl'/>
            Credentials { username: "juliet", hash: Sha256, mechanism: Plain }
            Authenticated { jid: juliet@example.org, method: Password(Plain) }
            S: <success xmlns='…xmpp-sasl'/>
        "#]],
    );
}

#[test]
fn nobody() {
    // Names that nobody can have, and back-off.
    encrypted(
        &[&auth(
            "mechanism='PLAIN'",
            "AGFsaWNlQGV2aWwuaW52YWxpZABzZWNyZXQ=",
        )],
        expect![[r#"
            Credentials { username: "alice@evil.invalid", hash: Sha256, mechanism: Plain }
            AuthFailed { username: None, failure: NotAuthorized }
            S: <failure xmlns='…xmpp-sasl'><not-authorized/></failure>
        "#]],
    );
    encrypted(
        &[&auth("mechanism='PLAIN'", "AGJhbm5lZABzZWNyZXQ=")],
        expect![[r#"
            Credentials { username: "banned", hash: Sha256, mechanism: Plain }
            AuthFailed { username: Some("banned"), failure: TemporaryAuthFailure }
            S: <failure xmlns='…xmpp-sasl'><temporary-auth-failure/></failure>
        "#]],
    );
    // A stanza within the exchange.
    encrypted(
        &[&auth("mechanism='PLAIN'", "")[..], MESSAGE],
        expect![[r#"
            S: <challenge xmlns='…xmpp-sasl'/>
            S: <stream:error><not-authorized xmlns='…xmpp-streams'/></stream:error></stream:stream>
            Close
        "#]],
    );
}

#[test]
fn authentication_twice() {
    // Again after success: in place of the header, and after it.
    check_after(
        tls(),
        &[HEADER, PLAIN],
        &[PLAIN],
        expect![[r#"
        S: <?xml?><stream:stream id='id3' from='example.org' to='juliet@example.org' version='1.0' xml:lang='en'><stream:error><invalid-namespace xmlns='…xmpp-streams'/></stream:error></stream:stream>
        Close
    "#]],
    );
    authenticated(
        &[PLAIN],
        expect![[r#"
        S: <stream:error><not-authorized xmlns='…xmpp-streams'/></stream:error></stream:stream>
        Close
    "#]],
    );
    bound(
        &[PLAIN],
        expect![[r#"
        S: <stream:error><unsupported-stanza-type xmlns='…xmpp-streams'/></stream:error></stream:stream>
        Close
    "#]],
    );
}

#[test]
fn too_early() {
    encrypted(
        &[MESSAGE],
        expect![[r#"
        S: <stream:error><not-authorized xmlns='…xmpp-streams'/></stream:error></stream:stream>
        Close
    "#]],
    );
    encrypted(
        &[BIND],
        expect![[r#"
        S: <stream:error><not-authorized xmlns='…xmpp-streams'/></stream:error></stream:stream>
        Close
    "#]],
    );
    encrypted(
        &["<foo xmlns='bar'/>"],
        expect![[r#"
        S: <stream:error><not-authorized xmlns='…xmpp-streams'/></stream:error></stream:stream>
        Close
    "#]],
    );
    authenticated(
        &[MESSAGE],
        expect![[r#"
        S: <stream:error><not-authorized xmlns='…xmpp-streams'/></stream:error></stream:stream>
        Close
    "#]],
    );
    authenticated(
        &["<presence/>"],
        expect![[r#"
        S: <stream:error><not-authorized xmlns='…xmpp-streams'/></stream:error></stream:stream>
        Close
    "#]],
    );
    authenticated(
        &["<foo xmlns='bar'/>"],
        expect![[r#"
        S: <stream:error><not-authorized xmlns='…xmpp-streams'/></stream:error></stream:stream>
        Close
    "#]],
    );
    authenticated(
        &["<iq type='get' id='1'><query xmlns='jabber:iq:register'/></iq>"],
        expect![[r#"
            S: <stream:error><not-authorized xmlns='…xmpp-streams'/></stream:error></stream:stream>
            Close
        "#]],
    );
    authenticated(
        &["<iq type='get' id='1'/>"],
        expect![[r#"
        S: <stream:error><not-authorized xmlns='…xmpp-streams'/></stream:error></stream:stream>
        Close
    "#]],
    );
    // No second header, yet a stanza.
    check_after(
        tls(),
        &[HEADER, PLAIN],
        &[BIND],
        expect![[r#"
        S: <?xml?><stream:stream id='id3' from='example.org' to='juliet@example.org' version='1.0' xml:lang='en'><stream:error><invalid-namespace xmlns='…xmpp-streams'/></stream:error></stream:stream>
        Close
    "#]],
    );
}

/// CVE-2018-10847.
#[test]
fn another_host_after_a_restart() {
    let other = HEADER.replace("example.org", "open.example");
    check_after(
        tls(),
        &[HEADER, PLAIN],
        &[&other],
        expect![[r#"
        S: <?xml?><stream:stream id='id3' from='example.org' to='juliet@example.org' version='1.0' xml:lang='en'><stream:error><policy-violation xmlns='…xmpp-streams'/><text xmlns='…xmpp-streams' xml:lang='en'>a stream cannot change its host</text></stream:error></stream:stream>
        Close
    "#]],
    );
    check_after(
        Transport::Plain,
        &[HEADER, STARTTLS],
        &[&other],
        expect![[r#"
            S: <?xml?><stream:stream id='id2' from='example.org' version='1.0' xml:lang='en'><stream:error><policy-violation xmlns='…xmpp-streams'/><text xmlns='…xmpp-streams' xml:lang='en'>a stream cannot change its host</text></stream:error></stream:stream>
            Close
        "#]],
    );
}

#[test]
fn after_binding() {
    bound(
        &["<foo xmlns='bar'/>"],
        expect![[r#"
        S: <stream:error><unsupported-stanza-type xmlns='…xmpp-streams'/></stream:error></stream:stream>
        Close
    "#]],
    );
    bound(
        &["<query/>"],
        expect![[r#"
        S: <stream:error><unsupported-stanza-type xmlns='…xmpp-streams'/></stream:error></stream:stream>
        Close
    "#]],
    );
    bound(
        &["<message xmlns='jabber:server'/>"],
        expect![[r#"
        S: <stream:error><invalid-namespace xmlns='…xmpp-streams'/></stream:error></stream:stream>
        Close
    "#]],
    );
    bound(
        &["<message xmlns=''/>"],
        expect![[r#"
        S: <stream:error><invalid-namespace xmlns='…xmpp-streams'/></stream:error></stream:stream>
        Close
    "#]],
    );
    bound(
        &["<message><body></message>"],
        expect![[r#"
        S: <stream:error><not-well-formed xmlns='…xmpp-streams'/><text xmlns='…xmpp-streams' xml:lang='en'>end tag of another element</text></stream:error></stream:stream>
        Close
    "#]],
    );
    bound(
        &["<!-- no -->"],
        expect![[r#"
        S: <stream:error><restricted-xml xmlns='…xmpp-streams'/><text xmlns='…xmpp-streams' xml:lang='en'>comment or document type</text></stream:error></stream:stream>
        Close
    "#]],
    );
    bound(
        &["words"],
        expect![[r#"
        S: <stream:error><bad-format xmlns='…xmpp-streams'/><text xmlns='…xmpp-streams' xml:lang='en'>text between elements</text></stream:error></stream:stream>
        Close
    "#]],
    );
    bound(
        &[&format!(
            "<message><body>{}</body></message>",
            "a".repeat(300_000)
        )],
        expect![[r#"
            S: <stream:error><policy-violation xmlns='…xmpp-streams'/><text xmlns='…xmpp-streams' xml:lang='en'>bytes of one element</text></stream:error></stream:stream>
            Close
        "#]],
    );
    bound(
        &["<stream:error><reset xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>"],
        expect![[r#"
            S: </stream:stream>
            Close
        "#]],
    );
    bound(
        &[END],
        expect![[r#"
        S: </stream:stream>
        Close
    "#]],
    );
    // The bound is the one for authenticated clients.
    let mut server = Server::new(settings(), tls());
    server.feed([HEADER, PLAIN, HEADER, BIND].concat().as_bytes());
    server.feed(format!("<message><body>{}</body></message>", "a".repeat(200_000)).as_bytes());
    assert!(server.stream.end().is_none());
}
