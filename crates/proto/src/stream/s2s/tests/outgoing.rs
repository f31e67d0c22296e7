use super::*;
use expect_test::{Expect, expect};

fn target(remote: &str, purpose: Purpose) -> Target {
    Target {
        pair: pair("here.example", remote),
        purpose,
    }
}

fn verify() -> Purpose {
    Purpose::Verify {
        id: "id5".to_owned(),
        key: "k".to_owned(),
    }
}

/// Plays `script`, as in the tests of incoming streams; gives the effects and why it failed.
fn play(target: Target, transport: Transport, script: &str) -> String {
    let mut stream = S2sOutStream::new(Arc::new(settings()), target, transport);
    let mut input = BytesMut::new();
    let mut log = Vec::new();
    for line in std::iter::once("").chain(script.lines().map(str::trim)) {
        match line.strip_prefix("!tls ") {
            Some(domain) => stream.tls_started(tls(&[domain])),
            None => input.extend_from_slice(line.replace("HEAD", HEAD).as_bytes()),
        }
        while let Some(effect) = stream.next_effect(&mut input) {
            log.push(log_of(&effect));
        }
    }
    log.extend(stream.failure().map(|failure| format!("{failure:?}")));
    log.join("\n")
}

fn check(purpose: Purpose, transport: Transport, script: &str, want: Expect) {
    want.assert_eq(&play(target("there.example", purpose), transport, script));
}

const OPEN: &str = "HEAD from='there.example' to='here.example' id='s1'>";
const EXTERNAL: &str = "<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>\
    <mechanism>EXTERNAL</mechanism></mechanisms></stream:features>";
const DIALBACK: &str =
    "<stream:features><dialback xmlns='urn:xmpp:features:dialback'/></stream:features>";
const BIDI: &str = "<stream:features><bidi xmlns='urn:xmpp:features:bidi'/></stream:features>";
const VALID: &str = "<db:result from='there.example' to='here.example' type='valid'/>";

#[test]
fn starttls_external_and_stream_management() {
    check(
        Purpose::Send,
        Transport::Plain,
        &format!(
            "{OPEN}<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features>
             <proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>
             !tls there.example
             {OPEN}{EXTERNAL}
             <success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>
             {OPEN}<stream:features><sm xmlns='urn:xmpp:sm:3'/></stream:features>
             <enabled xmlns='urn:xmpp:sm:3'/>
             <a xmlns='urn:xmpp:sm:3' h='2'/>"
        ),
        expect![[r#"
            < <HEADER from='here.example' to='there.example'>
            < <starttls xmlns='xmpp-tls'/>
            StartTls
            < <HEADER from='here.example' to='there.example'>
            < <auth xmlns='xmpp-sasl' mechanism='EXTERNAL'>aGVyZS5leGFtcGxl</auth>
            < <HEADER from='here.example' to='there.example'>
            < <enable xmlns='urn:xmpp:sm:3'/>
            Ready(managed: true)
            Ack(2)"#]],
    );
}

#[test]
fn dialback_where_our_certificate_is_not_taken() {
    check(
        Purpose::Send,
        transport(&["there.example"]),
        &format!(
            "{OPEN}{EXTERNAL}
             <failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/></failure>
             {VALID}"
        ),
        expect![[r#"
            < <HEADER from='here.example' to='there.example'>
            < <auth xmlns='xmpp-sasl' mechanism='EXTERNAL'>aGVyZS5leGFtcGxl</auth>
            < <db:result from='here.example' to='there.example'>c6707bbb92d496e77cd92e1e78db82d30065052d89dfb79c102a86d7b38b7fa8</db:result>
            Ready(managed: false)"#]],
    );
}

#[test]
fn a_key_is_verified_and_nothing_else() {
    check(
        verify(),
        transport(&["there.example"]),
        &format!(
            "{OPEN}{EXTERNAL}
             <db:verify from='there.example' to='here.example' id='id5' type='valid'/>"
        ),
        expect![[r#"
            < <HEADER from='here.example' to='there.example'>
            < <db:verify from='here.example' to='there.example' id='id5'>k</db:verify>
            Verified(Valid)
            < </stream:stream>
            Close"#]],
    );
}

#[test]
fn both_ways_on_one_stream() {
    check(
        Purpose::Send,
        transport(&["there.example"]),
        &format!(
            "{OPEN}{BIDI}
             {VALID}
             <message from='a@there.example' to='b@here.example'/>
             <message from='a@there.example' to='b@rooms.here.example'/>"
        ),
        expect![[r#"
            < <HEADER from='here.example' to='there.example'>
            < <bidi xmlns='urn:xmpp:bidi'/>
            < <db:result from='here.example' to='there.example'>c6707bbb92d496e77cd92e1e78db82d30065052d89dfb79c102a86d7b38b7fa8</db:result>
            Ready(managed: false)
            Authorized(there.example to here.example)
            stanza <message to='b@here.example' from='a@there.example'/>
            < <stream:error><invalid-from xmlns='xmpp-streams'/></stream:error></stream:stream>
            Close
            Protocol"#]],
    );
}

#[test]
fn attacks_and_refusals() {
    let dialback = format!("{OPEN}{DIALBACK}\n");
    for (name, purpose, certificate, script, failure) in [
        (
            "no TLS",
            Purpose::Send,
            "-",
            format!("{OPEN}{DIALBACK}"),
            "NoTls",
        ),
        (
            "a certificate for somebody else",
            Purpose::Send,
            "third.example",
            dialback.clone(),
            "Certificate",
        ),
        (
            "the same, verifying",
            verify(),
            "third.example",
            dialback.clone(),
            "Certificate",
        ),
        (
            "a verdict about another stream",
            verify(),
            "there.example",
            dialback.clone()
                + "<db:verify from='there.example' to='here.example' id='id6' type='valid'/>",
            "Protocol",
        ),
        (
            "a verdict about another domain",
            verify(),
            "there.example",
            dialback.clone()
                + "<db:verify from='third.example' to='here.example' id='id5' type='valid'/>",
            "Protocol",
        ),
        (
            "a verdict for another domain",
            verify(),
            "there.example",
            dialback.clone()
                + "<db:verify from='there.example' to='rooms.here.example' id='id5' type='valid'/>",
            "Protocol",
        ),
        (
            "a result instead of a verdict",
            verify(),
            "there.example",
            dialback.clone() + VALID,
            "Protocol",
        ),
        (
            "a verdict instead of a result",
            Purpose::Send,
            "there.example",
            dialback.clone()
                + "<db:verify from='there.example' to='here.example' id='s1' type='valid'/>",
            "Protocol",
        ),
        (
            "a result for another domain",
            Purpose::Send,
            "there.example",
            dialback.clone() + &VALID.replace("here", "rooms.here"),
            "Protocol",
        ),
        (
            "a result before the question",
            Purpose::Send,
            "there.example",
            OPEN.to_owned() + VALID,
            "Protocol",
        ),
        (
            "a key instead of an answer",
            Purpose::Send,
            "there.example",
            dialback.clone() + "<db:result from='there.example' to='here.example'>k</db:result>",
            "Protocol",
        ),
        (
            "a stanza on a stream of ours",
            Purpose::Send,
            "there.example",
            dialback.clone() + VALID + "<message from='a@there.example' to='b@here.example'/>",
            "Protocol",
        ),
        (
            "success without a question",
            Purpose::Send,
            "there.example",
            dialback.clone() + "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>",
            "Protocol",
        ),
        (
            "bytes behind proceed",
            Purpose::Send,
            "-",
            format!(
                "{OPEN}<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features>\n\
                  <proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>{OPEN}"
            ),
            "Close",
        ),
        (
            "another server",
            Purpose::Send,
            "there.example",
            OPEN.replace("there", "third"),
            "Protocol",
        ),
        (
            "no id",
            Purpose::Send,
            "there.example",
            OPEN.replace("id='s1'", ""),
            "Protocol",
        ),
        (
            "a wrong key",
            Purpose::Send,
            "there.example",
            dialback.clone() + &VALID.replace("valid", "invalid"),
            "Denied",
        ),
        (
            "a stream error",
            Purpose::Send,
            "there.example",
            format!(
                "{OPEN}<stream:error><host-unknown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>"
            ),
            "Closed(Some(HostUnknown))",
        ),
    ] {
        let transport = if certificate == "-" {
            Transport::Plain
        } else {
            transport(&[certificate])
        };
        let log = play(target("there.example", purpose), transport, &script);
        assert_eq!(log.lines().last(), Some(failure), "{name}: {log}");
        assert!(
            !log.contains("\nstanza ") && !log.contains("Verified("),
            "{name}: {log}"
        );
    }
}

#[test]
fn where_dialback_is_enough_no_certificate_is_asked_for() {
    let open = OPEN.replace("there", "old");
    let valid = VALID.replace("there", "old");
    let target = target("old.example", Purpose::Send);
    let log = play(
        target,
        transport(&[]),
        &format!("{open}{DIALBACK}\n{valid}"),
    );
    assert!(log.ends_with("Ready(managed: false)"), "{log}");
}
