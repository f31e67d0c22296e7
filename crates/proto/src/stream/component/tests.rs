//! What a component sends, and all that comes of it.

#![expect(
    clippy::needless_raw_string_hashes,
    clippy::needless_pass_by_value,
    reason = "expect-test writes the hashes and is used by value"
)]

use super::*;
use expect_test::{Expect, expect};
use proptest::prelude::*;
use std::fmt::Write as _;

const HEADER: &str = "<stream:stream xmlns='jabber:component:accept' \
    xmlns:stream='http://etherx.jabber.org/streams' to='plays.shakespeare.lit'>";
/// `printf 3BF96D32secret | sha1sum`
const HANDSHAKE: &str = "<handshake>b09ea9b3b7f586be8a08d0a3dd7466f110aeb136</handshake>";

fn stream() -> ComponentStream {
    let secret = Secret::new("secret".to_owned());
    let settings = ComponentSettings {
        secrets: HashMap::from([("plays.shakespeare.lit".to_owned(), secret)]),
        ..ComponentSettings::default()
    };
    ComponentStream::new(Arc::new(settings), Arc::new(|| "3BF96D32".to_owned()))
}

/// All effects of `input`, given in pieces of `size` bytes.
fn effects(input: &str, size: usize) -> String {
    let mut stream = stream();
    let mut buffer = BytesMut::new();
    let mut log = String::new();
    for piece in input.as_bytes().chunks(size) {
        buffer.extend_from_slice(piece);
        while let Some(effect) = stream.next_effect(&mut buffer) {
            match effect {
                ComponentEffect::Send(bytes) => {
                    log.push_str("< ");
                    log.push_str(std::str::from_utf8(&bytes).unwrap());
                }
                ComponentEffect::Stanza(stanza) => {
                    let sealed = crate::stanza::Draft::new(stanza).unwrap().seal();
                    log.push_str("stanza ");
                    log.push_str(std::str::from_utf8(&sealed.to_bytes()).unwrap());
                }
                other => log.write_fmt(format_args!("{other:?}")).unwrap(),
            }
            log.push('\n');
        }
    }
    log
}

fn check(input: &str, want: Expect) {
    want.assert_eq(&effects(input, input.len()));
}

#[test]
fn a_session_as_in_the_xep() {
    check(
        &format!(
            "<?xml version='1.0'?>{HEADER}{HANDSHAKE}<message from='a@plays.shakespeare.lit' \
             to='b@example.org'><body>1</body></message></stream:stream>"
        ),
        expect![[r#"
            < <?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams' id='3BF96D32' from='plays.shakespeare.lit'>
            Authenticated(plays.shakespeare.lit)
            < <handshake/>
            stanza <message to='b@example.org' from='a@plays.shakespeare.lit'><body>1</body></message>
            < </stream:stream>
            Close
        "#]],
    );
}

#[test]
fn a_stanza_is_the_same_however_its_namespace_is_declared() {
    let body = |message: &str| {
        let log = effects(&format!("{HEADER}{HANDSHAKE}{message}"), 4096);
        log.lines().last().unwrap_or_default().to_owned()
    };
    let plain = "<message from='a@x' to='b@y' xml:lang='de'><body>1</body><x xmlns='u'/></message>";
    let inherited = body(plain);
    assert!(
        inherited.starts_with("stanza <message to='b@y' from='a@x'"),
        "{inherited}"
    );
    for ns in [ns::COMPONENT, ns::CLIENT] {
        let declared = plain.replacen("<message", &format!("<message xmlns='{ns}'"), 1);
        assert_eq!(body(&declared), inherited, "{ns}");
    }
}

#[test]
fn a_stanza_declared_in_the_components_namespace_has_its_children_in_ours() {
    let mut stream = stream();
    let mut input = BytesMut::from(&*format!(
        "{HEADER}{HANDSHAKE}<c:message xmlns:c='jabber:component:accept' from='a@x' to='b@y'>\
         <c:body>1</c:body></c:message>"
    ));
    let mut found = None;
    while let Some(effect) = stream.next_effect(&mut input) {
        if let ComponentEffect::Stanza(stanza) = effect {
            found = stanza
                .root()
                .child("body", ns::CLIENT)
                .map(|body| body.text().into_owned());
        }
    }
    assert_eq!(found.as_deref(), Some("1"));
}

#[test]
fn wrong_headers() {
    for (from, to, condition) in [
        ("plays.", "operas.", "host-unknown"),
        ("to='", "to='a@", "host-unknown"),
        ("to='plays.shakespeare.lit'", "", "improper-addressing"),
        ("to='plays", "to='@plays", "improper-addressing"),
        ("component:accept", "client", "invalid-namespace"),
        ("component:accept", "component:connect", "invalid-namespace"),
        ("etherx", "other", "invalid-namespace"),
        ("stream:stream ", "stream:flood ", "bad-format"),
    ] {
        let header = HEADER.replacen(from, to, 1);
        let log = effects(&header, header.len());
        let error = format!("<stream:error><{condition} ");
        assert!(
            log.starts_with("< <?xml version='1.0'?><stream:stream "),
            "{log}"
        );
        assert!(
            log.contains(&error) && log.ends_with("Close\n"),
            "{header}: {log}"
        );
    }
}

#[test]
fn nothing_passes_before_the_handshake() {
    for (element, told) in [
        ("<handshake/>", true),
        (
            "<handshake>0000000000000000000000000000000000000000</handshake>",
            true,
        ),
        (
            &*HANDSHAKE.replacen("<handshake", "<handshake xmlns='other'", 1),
            false,
        ),
        ("<message from='plays.shakespeare.lit' to='a@b'/>", false),
        ("<stream:features/>", false),
    ] {
        let log = effects(&format!("{HEADER}{element}{HANDSHAKE}"), 4096);
        assert!(log.contains("<not-authorized "), "{element}: {log}");
        assert_eq!(log.contains("AuthFailed"), told, "{element}: {log}");
        assert!(!log.contains("Authenticated"), "{element}: {log}");
        assert!(log.ends_with("Close\n"), "{element}: {log}");
    }
}

#[test]
fn what_is_no_stanza_ends_the_stream() {
    for (element, condition) in [
        ("<log/>", "unsupported-stanza-type"),
        ("<handshake/>", "unsupported-stanza-type"),
        ("<message xmlns='jabber:server'/>", "invalid-namespace"),
        ("<message>", "policy-violation"),
        ("<!-- -->", "restricted-xml"),
        ("text", "bad-format"),
    ] {
        let element = match element {
            "<message>" => format!("<message>{}", "a".repeat(600_000)),
            other => other.to_owned(),
        };
        let log = effects(&format!("{HEADER}{HANDSHAKE}{element}"), 4096);
        let error = format!("<stream:error><{condition} ");
        assert!(
            log.contains(&error) && log.ends_with("Close\n"),
            "{condition}: {log}"
        );
    }
}

#[test]
fn before_the_handshake_little_is_taken() {
    let log = effects(&format!("{HEADER}<handshake>{}", "a".repeat(20_000)), 512);
    assert!(log.contains("<policy-violation "), "{log}");
}

#[test]
fn the_secret_is_not_shown() {
    let shown = format!("{:?}", Secret::new("hunter2".to_owned()));
    assert_eq!(shown, "Secret(..)");
}

#[test]
fn it_can_be_ended_from_inside() {
    let mut stream = stream();
    let mut input = BytesMut::from(HEADER);
    assert!(stream.next_effect(&mut input).is_some());
    stream.close(Some(StreamCondition::Conflict.into()));
    stream.close(None);
    let mut log = String::new();
    while let Some(effect) = stream.next_effect(&mut input) {
        if let ComponentEffect::Send(bytes) = effect {
            log.push_str(std::str::from_utf8(&bytes).unwrap());
        }
    }
    assert!(log.starts_with("<stream:error><conflict "), "{log}");
    assert_eq!(log.matches("</stream:stream>").count(), 1, "{log}");
    assert_eq!(
        stream.end(),
        Some(End::Error(StreamCondition::Conflict.into()))
    );
}

proptest! {
    /// However the bytes come, the effects are the same; and nothing makes it panic.
    #[test]
    fn cutting_changes_nothing(
        parts in prop::collection::vec(
            prop::sample::select(vec![
                HEADER, HANDSHAKE, "<handshake>", "</handshake>", "<message from='a@x'/>", "</stream:stream>",
                "<iq xmlns='jabber:component:accept'><a xmlns='b'/></iq>", " ", "<presence>", "</presence>", "é",
            ]),
            0..8,
        ),
        size in 1..40_usize,
    ) {
        let input = [HEADER, HANDSHAKE].concat() + &parts.concat();
        prop_assert_eq!(effects(&input, size), effects(&input, input.len()));
    }
}
