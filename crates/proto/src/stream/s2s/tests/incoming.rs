use super::*;
use expect_test::{Expect, expect};

/// Plays `script` on a stream over `transport`, line by line: `!tls DOMAIN` for TLS with that
/// certificate, `!valid`, `!invalid` and `!failed` for the answer to the oldest question, everything
/// else as received. Gives the effects.
fn play(transport: Transport, script: &str) -> String {
    let mut stream = S2sInStream::new(Arc::new(settings()), transport, ids());
    let mut input = BytesMut::new();
    let mut questions = std::collections::VecDeque::new();
    let mut log = Vec::new();
    for line in script
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
    {
        let mut answer = |verdict| {
            let asked: Verification = questions.pop_front().unwrap();
            stream.verified(&asked.pair, verdict);
        };
        match line {
            "!valid" => answer(Verdict::Valid),
            "!invalid" => answer(Verdict::Invalid),
            "!failed" => answer(Verdict::Failed(
                crate::stanza::Condition::RemoteServerTimeout,
            )),
            _ => match line.strip_prefix("!tls ") {
                Some(domain) => stream.tls_started(tls(&[domain])),
                None => input.extend_from_slice(line.replace("HEAD", HEAD).as_bytes()),
            },
        }
        while let Some(effect) = stream.next_effect(&mut input) {
            log.push(log_of(&effect));
            if let S2sEffect::Verify(asked) = effect {
                questions.push_back(asked);
            }
        }
    }
    log.join("\n")
}

fn check(transport: Transport, script: &str, want: Expect) {
    want.assert_eq(&play(transport, script));
}

const OPEN: &str = "HEAD from='there.example' to='here.example'>";
const AUTH: &str = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>";
const MESSAGE: &str =
    "<message from='a@there.example' to='b@here.example'><body>1</body></message>";
const KEY: &str = "<db:result from='there.example' to='here.example'>k</db:result>";

// proves: RFC6120-4.7.2-c RFC6120-4.8.3-c RFC6120-13.8.4-a
#[test]
fn starttls_external_then_stanzas() {
    check(
        Transport::Plain,
        &format!(
            "{OPEN}
             <starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>
             !tls there.example
             {OPEN}
             {AUTH}
             {OPEN}
             <enable xmlns='urn:xmpp:sm:3'/>
             {MESSAGE}<r xmlns='urn:xmpp:sm:3'/>
             </stream:stream>"
        ),
        expect![[r#"
            < <HEADER id='id1' from='here.example' to='there.example'>
            < <stream:features><starttls xmlns='xmpp-tls'><required/></starttls><limits xmlns='urn:xmpp:stream-limits:0'><max-bytes>524288</max-bytes></limits></stream:features>
            < <proceed xmlns='xmpp-tls'/>
            StartTls
            < <HEADER id='id1' from='here.example' to='there.example'>
            < <stream:features><mechanisms xmlns='xmpp-sasl'><mechanism>EXTERNAL</mechanism></mechanisms><dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback><bidi xmlns='urn:xmpp:features:bidi'/><limits xmlns='urn:xmpp:stream-limits:0'><max-bytes>524288</max-bytes></limits></stream:features>
            < <success xmlns='xmpp-sasl'/>
            Authorized(there.example to here.example)
            < <HEADER id='id1' from='here.example' to='there.example'>
            < <stream:features><dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback><sm xmlns='urn:xmpp:sm:3'/><limits xmlns='urn:xmpp:stream-limits:0'><max-bytes>524288</max-bytes></limits></stream:features>
            < <enabled xmlns='urn:xmpp:sm:3'/>
            stanza <message to='b@here.example' from='a@there.example'><body>1</body></message>
            < <a xmlns='urn:xmpp:sm:3' h='1'/>
            < </stream:stream>
            Close"#]],
    );
}

#[test]
fn dialback_for_several_pairs_on_one_stream() {
    check(
        transport(&[]),
        &format!(
            "{OPEN}
             {KEY}
             <db:result from='there.example' to='rooms.here.example'>k</db:result>
             !valid
             {MESSAGE}
             !failed
             <message from='a@there.example' to='rooms.here.example'/>"
        ),
        expect![[r#"
            < <HEADER id='id1' from='here.example' to='there.example'>
            < <stream:features><dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback><bidi xmlns='urn:xmpp:features:bidi'/><limits xmlns='urn:xmpp:stream-limits:0'><max-bytes>524288</max-bytes></limits></stream:features>
            Verify(there.example to here.example)
            Verify(there.example to rooms.here.example)
            < <db:result from='here.example' to='there.example' type='valid'/>
            Authorized(there.example to here.example)
            stanza <message to='b@here.example' from='a@there.example'><body>1</body></message>
            < <db:result from='rooms.here.example' to='there.example' type='error'><error type='wait'><remote-server-timeout xmlns='xmpp-stanzas'/></error></db:result>
            < <stream:error><invalid-from xmlns='xmpp-streams'/></stream:error></stream:stream>
            Close"#]],
    );
}

#[test]
fn who_is_not_who_it_says_is_turned_away() {
    check(
        transport(&[]),
        &format!("{OPEN} {KEY}\n!invalid"),
        expect![[r#"
            < <HEADER id='id1' from='here.example' to='there.example'>
            < <stream:features><dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback><bidi xmlns='urn:xmpp:features:bidi'/><limits xmlns='urn:xmpp:stream-limits:0'><max-bytes>524288</max-bytes></limits></stream:features>
            Verify(there.example to here.example)
            < <db:result from='here.example' to='there.example' type='invalid'/>
            < </stream:stream>
            Close"#]],
    );
}

#[test]
fn a_key_of_ours_is_told_from_another() {
    let secret = settings().secret;
    let key = secret.key("there.example", "here.example", "id9");
    let verify = |id: &str, key: &str| {
        format!("<db:verify from='there.example' to='here.example' id='{id}'>{key}</db:verify>")
    };
    check(
        transport(&[]),
        &[
            OPEN,
            &verify("id9", &key),
            &verify("id8", &key),
            &verify("id9", ""),
        ]
        .join("\n"),
        expect![[r#"
            < <HEADER id='id1' from='here.example' to='there.example'>
            < <stream:features><dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback><bidi xmlns='urn:xmpp:features:bidi'/><limits xmlns='urn:xmpp:stream-limits:0'><max-bytes>524288</max-bytes></limits></stream:features>
            < <db:verify from='here.example' to='there.example' id='id9' type='valid'/>
            < <db:verify from='here.example' to='there.example' id='id8' type='invalid'/>
            < <db:verify from='here.example' to='there.example' id='id9' type='invalid'/>"#]],
    );
}

/// What ends the stream, with which condition; none where the stream stays open.
// proves: RFC6120-8.1.1.2-a RFC6120-8.1.2.2-a
#[test]
fn attacks() {
    let external = format!("{OPEN}\n{AUTH}\n{OPEN}\n");
    let dialback = format!("{OPEN}\n{KEY}\n!valid\n");
    for (name, domain, script, condition) in [
        (
            "a stanza before authentication",
            "there.example",
            format!("{OPEN}{MESSAGE}"),
            "not-authorized",
        ),
        (
            "a stanza while the key is verified",
            "",
            format!("{OPEN}{KEY}{MESSAGE}"),
            "not-authorized",
        ),
        (
            "a stanza of another domain",
            "there.example",
            external.clone() + &MESSAGE.replace("there", "third"),
            "invalid-from",
        ),
        (
            "a stanza of a domain below",
            "there.example",
            external.clone() + &MESSAGE.replace("a@there", "a@rooms.there"),
            "invalid-from",
        ),
        (
            "a stanza of our own domain",
            "there.example",
            external.clone() + &MESSAGE.replace("a@there", "a@here"),
            "invalid-from",
        ),
        (
            "a stanza to another domain of ours",
            "there.example",
            external.clone() + &MESSAGE.replace("b@here", "b@rooms.here"),
            "invalid-from",
        ),
        (
            "a stanza to a third domain",
            "there.example",
            external.clone() + &MESSAGE.replace("b@here", "b@third"),
            "invalid-from",
        ),
        (
            "a stanza of nobody",
            "",
            dialback.clone() + "<message to='b@here.example'/>",
            "improper-addressing",
        ),
        (
            "a stanza to nobody",
            "",
            dialback.clone() + "<message from='a@there.example'/>",
            "improper-addressing",
        ),
        (
            "a malformed sender",
            "",
            dialback.clone() + "<message from='@' to='b@here.example'/>",
            "improper-addressing",
        ),
        (
            "a malformed recipient of a spoofed sender",
            "",
            dialback.clone() + "<message from='a@third.example' to='@'/>",
            "invalid-from",
        ),
        (
            "an unsolicited result",
            "",
            dialback.clone() + "<db:result from='third.example' to='here.example' type='valid'/>",
            "policy-violation",
        ),
        (
            "an unsolicited verdict",
            "",
            format!(
                "{OPEN}{KEY}<db:verify from='there.example' to='here.example' id='id1' type='valid'/>"
            ),
            "policy-violation",
        ),
        (
            "a verification without id",
            "",
            format!("{OPEN}<db:verify from='a.example' to='here.example'>k</db:verify>"),
            "bad-format",
        ),
        (
            "a result of nobody",
            "",
            format!("{OPEN}<db:result to='here.example'>k</db:result>"),
            "bad-format",
        ),
        (
            "other domains after authentication",
            "there.example",
            format!("{OPEN}\n{AUTH}\nHEAD from='third.example' to='here.example'>"),
            "policy-violation",
        ),
        (
            "our domain as sender",
            "here.example",
            "HEAD from='here.example' to='here.example'>".to_owned(),
            "invalid-from",
        ),
        (
            "a domain that is blocked",
            "blocked.example",
            "HEAD from='a.blocked.example' to='here.example'>".to_owned(),
            "policy-violation",
        ),
        (
            "a host that is not ours",
            "",
            "HEAD from='there.example' to='there.example'>".to_owned(),
            "host-unknown",
        ),
        (
            "no host",
            "",
            "HEAD from='there.example'>".to_owned(),
            "improper-addressing",
        ),
        (
            "a client",
            "",
            OPEN.replace("HEAD", &HEAD.replace("jabber:server'", "jabber:client'")),
            "invalid-namespace",
        ),
        (
            "a server before 1.0",
            "",
            OPEN.replace("HEAD", &HEAD.replace("version='1.0'", "")),
            "unsupported-version",
        ),
        (
            "three attempts to log in",
            "third.example",
            format!("{OPEN}\n{AUTH}\n{AUTH}\n{AUTH}"),
            "policy-violation",
        ),
        (
            "something else",
            "there.example",
            external.clone() + "<iqq/>",
            "unsupported-stanza-type",
        ),
        (
            "something large before authentication",
            "",
            format!("{OPEN}<db:result a='{}'/>", "x".repeat(10_000)),
            "policy-violation",
        ),
        (
            "a malformed recipient",
            "",
            dialback.clone() + "<message from='a@there.example' to='@'/>",
            "",
        ),
        (
            "an honest stanza",
            "there.example",
            external.clone() + MESSAGE,
            "",
        ),
        (
            "an honest stanza that names its namespace",
            "there.example",
            external.clone() + &MESSAGE.replace("<message", "<message xmlns='jabber:server'"),
            "",
        ),
    ] {
        let log = play(transport(&[domain]), &script);
        let error = if condition.is_empty() {
            String::new()
        } else {
            format!("<{condition} xmlns")
        };
        let last = log.rsplit("\n< ").next().unwrap_or_default();
        assert!(last.contains(&error), "{name}: {log}");
        assert_eq!(
            log.contains("stream:error"),
            !condition.is_empty(),
            "{name}: {log}"
        );
        assert_eq!(
            log.contains("\nstanza "),
            name.starts_with("an honest"),
            "{name}: {log}"
        );
    }
}

#[test]
fn what_comes_in_clear_behind_starttls_is_never_read() {
    let log = play(
        Transport::Plain,
        &format!("{OPEN}\n<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>{OPEN}{AUTH}"),
    );
    assert!(log.ends_with("<proceed xmlns='xmpp-tls'/>\nClose"), "{log}");
    for early in [AUTH, KEY, MESSAGE] {
        let log = play(Transport::Plain, &format!("{OPEN}{early}"));
        assert!(
            log.contains("<not-authorized xmlns='xmpp-streams'/>"),
            "{log}"
        );
    }
}

// proves: RFC6120-6.3.4-b
#[test]
fn external_is_for_whom_the_certificate_names() {
    let success = |domain: &str, identity: &str| {
        let auth = AUTH.replace(">=<", &format!(">{identity}<"));
        let log = play(transport(&[domain]), &format!("{OPEN}\n{auth}"));
        assert_eq!(
            log.contains("<mechanisms"),
            domain == "there.example",
            "{log}"
        );
        log.contains("<success")
    };
    for (domain, identity, want) in [
        ("there.example", "=", true),
        ("there.example", "", true),
        ("there.example", "dGhlcmUuZXhhbXBsZQ==", true),
        ("there.example", "dGhpcmQuZXhhbXBsZQ==", false),
        ("there.example", "%", false),
        ("third.example", "=", false),
        ("third.example", "dGhpcmQuZXhhbXBsZQ==", false),
    ] {
        assert_eq!(success(domain, identity), want, "{domain} {identity}");
    }
}

#[test]
fn pairs_are_bounded() {
    let key = |n: usize| KEY.replace("there", &format!("there{n}"));
    let keys: String = (1..=4).map(key).collect();
    let log = play(transport(&[]), &format!("{OPEN}{keys}"));
    assert_eq!(log.matches("Verify(").count(), 3, "{log}");
    assert_eq!(log.matches("resource-constraint").count(), 1, "{log}");
    let again = play(transport(&[]), &format!("{OPEN}{KEY}{KEY}"));
    assert_eq!(again.matches("Verify(").count(), 1, "{again}");
}
