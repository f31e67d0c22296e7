//! Stream management and client state on a stream that is authenticated (XEP-0198, 0352).

use super::sasl2::modern;
use super::*;

const ENABLE: &str = "<enable xmlns='urn:xmpp:sm:3' resume='true'/>";
const R: &str = "<r xmlns='urn:xmpp:sm:3'/>";
const A: &str = "<a xmlns='urn:xmpp:sm:3' h='1'/>";
const RESUME: &str = "<resume xmlns='urn:xmpp:sm:3' h='5' previd='old'/>";

fn authenticated() -> Server {
    let mut server = Server::new(modern(), tls());
    for piece in [HEADER, PLAIN, HEADER] {
        server.feed(piece.as_bytes());
    }
    server.log.clear();
    server
}

#[track_caller]
fn check(pieces: &[&str], expected: Expect) {
    expected.assert_eq(&authenticated().log_of(pieces));
}

#[test]
fn offered_after_authentication() {
    let mut server = Server::new(modern(), tls());
    for piece in [HEADER, PLAIN] {
        server.feed(piece.as_bytes());
    }
    server.input.extend_from_slice(HEADER.as_bytes());
    let mut sent = Vec::new();
    while let Some(effect) = server.stream.next_effect(&mut server.input) {
        if let Effect::Send(bytes) = effect {
            sent.extend_from_slice(&bytes);
        }
    }
    let sent = String::from_utf8(sent).expect("UTF-8");
    assert!(
        sent.contains("<sm xmlns='urn:xmpp:sm:3'/><csi xmlns='urn:xmpp:csi:0'/>"),
        "{sent}"
    );
}

/// XEP-0198 § 3, 4.
#[test]
fn acknowledgement() {
    check(
        &[BIND, ENABLE, MESSAGE, R, A],
        expect![[r#"
        Bind { resource: Some("balcony") }
        S: <iq type='result' id='b1'><bind xmlns='…xmpp-bind'><jid>juliet@example.org/balcony</jid></bind></iq>
        EnableSm(Enable { resume: true, max_seconds: None })
        S: <enabled xmlns='urn:xmpp:sm:3' id='some-long-sm-id' resume='true' max='600'/>
        Stanza <message to='romeo@example.org'><body>hi</body></message>
        AckRequest
        Ack(1)
    "#]],
    );
}

/// XEP-0198 § 5.
#[test]
fn resumption() {
    check(
        &[RESUME, MESSAGE, R],
        expect![[r#"
        Resume(Resume { h: 5, previd: "old" })
        S: <resumed xmlns='urn:xmpp:sm:3' h='345' previd='old'/>
        Stanza <message to='romeo@example.org'><body>hi</body></message>
        AckRequest
    "#]],
    );
    let older = RESUME.replace("old", "older");
    check(
        &[&older, BIND, MESSAGE],
        expect![[r#"
        Resume(Resume { h: 5, previd: "older" })
        S: <failed xmlns='urn:xmpp:sm:3' h='9'><item-not-found xmlns='…xmpp-stanzas'/></failed>
        Bind { resource: Some("balcony") }
        S: <iq type='result' id='b1'><bind xmlns='…xmpp-bind'><jid>juliet@example.org/balcony</jid></bind></iq>
        Stanza <message to='romeo@example.org'><body>hi</body></message>
    "#]],
    );
}

/// XEP-0198 § 3, 6: out of order is refused, and can be set right.
#[test]
fn out_of_order() {
    check(
        &[ENABLE, R, A, BIND, R, A, ENABLE, ENABLE, RESUME],
        expect![[r#"
            S: <failed xmlns='urn:xmpp:sm:3'><unexpected-request xmlns='…xmpp-stanzas'/></failed>
            S: <failed xmlns='urn:xmpp:sm:3'><unexpected-request xmlns='…xmpp-stanzas'/></failed>
            S: <failed xmlns='urn:xmpp:sm:3'><unexpected-request xmlns='…xmpp-stanzas'/></failed>
            Bind { resource: Some("balcony") }
            S: <iq type='result' id='b1'><bind xmlns='…xmpp-bind'><jid>juliet@example.org/balcony</jid></bind></iq>
            S: <failed xmlns='urn:xmpp:sm:3'><unexpected-request xmlns='…xmpp-stanzas'/></failed>
            S: <failed xmlns='urn:xmpp:sm:3'><unexpected-request xmlns='…xmpp-stanzas'/></failed>
            EnableSm(Enable { resume: true, max_seconds: None })
            S: <enabled xmlns='urn:xmpp:sm:3' id='some-long-sm-id' resume='true' max='600'/>
            S: <failed xmlns='urn:xmpp:sm:3'><unexpected-request xmlns='…xmpp-stanzas'/></failed>
            S: <failed xmlns='urn:xmpp:sm:3'><unexpected-request xmlns='…xmpp-stanzas'/></failed>
        "#]],
    );
    check(
        &[
            BIND,
            "<enable xmlns='urn:xmpp:sm:3' max='1'/>",
            R,
            ENABLE,
            R,
        ],
        expect![[r#"
            Bind { resource: Some("balcony") }
            S: <iq type='result' id='b1'><bind xmlns='…xmpp-bind'><jid>juliet@example.org/balcony</jid></bind></iq>
            EnableSm(Enable { resume: false, max_seconds: Some(1) })
            S: <failed xmlns='urn:xmpp:sm:3'><internal-server-error xmlns='…xmpp-stanzas'/></failed>
            S: <failed xmlns='urn:xmpp:sm:3'><unexpected-request xmlns='…xmpp-stanzas'/></failed>
            EnableSm(Enable { resume: true, max_seconds: None })
            S: <enabled xmlns='urn:xmpp:sm:3' id='some-long-sm-id' resume='true' max='600'/>
            AckRequest
        "#]],
    );
    check(
        &[
            "<resume xmlns='urn:xmpp:sm:3' h='x' previd='old'/>",
            BIND,
            "<a xmlns='urn:xmpp:sm:3'/>",
            "<x xmlns='urn:xmpp:sm:3'/>",
        ],
        expect![[r#"
            S: <failed xmlns='urn:xmpp:sm:3'><bad-request xmlns='…xmpp-stanzas'/></failed>
            Bind { resource: Some("balcony") }
            S: <iq type='result' id='b1'><bind xmlns='…xmpp-bind'><jid>juliet@example.org/balcony</jid></bind></iq>
            S: <failed xmlns='urn:xmpp:sm:3'><bad-request xmlns='…xmpp-stanzas'/></failed>
            S: <failed xmlns='urn:xmpp:sm:3'><bad-request xmlns='…xmpp-stanzas'/></failed>
        "#]],
    );
    for server_only in [
        "<enabled xmlns='urn:xmpp:sm:3'/>",
        "<failed xmlns='urn:xmpp:sm:3'/>",
    ] {
        let log = authenticated().log_of(&[BIND, server_only]);
        assert!(log.contains("<unsupported-stanza-type"), "{log}");
    }
}

/// XEP-0352 § 4.2.
#[test]
fn client_state() {
    check(
        &[
            BIND,
            "<inactive xmlns='urn:xmpp:csi:0'/>",
            "<active xmlns='urn:xmpp:csi:0'/>",
            "<x xmlns='urn:xmpp:csi:0'/>",
        ],
        expect![[r#"
            Bind { resource: Some("balcony") }
            S: <iq type='result' id='b1'><bind xmlns='…xmpp-bind'><jid>juliet@example.org/balcony</jid></bind></iq>
            ClientState(Inactive)
            ClientState(Active)
            S: <stream:error><unsupported-stanza-type xmlns='…xmpp-streams'/></stream:error></stream:stream>
            Close
        "#]],
    );
}

/// What is not switched on is as unknown as ever.
#[test]
fn not_offered() {
    for element in [ENABLE, R, "<active xmlns='urn:xmpp:csi:0'/>"] {
        let log = transcript(tls(), &[HEADER, PLAIN, HEADER, BIND, element]);
        assert!(log.contains("<unsupported-stanza-type"), "{element}\n{log}");
    }
}
