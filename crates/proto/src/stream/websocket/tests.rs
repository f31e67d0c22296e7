//! What is on the wire.

use super::*;
use crate::sasl::Mechanism;
use crate::stream::{C2sSettings, C2sStream, Effect, End, HostSettings, TlsInfo, Transport};
use std::sync::Arc;

/// A client's frame with this opcode.
fn frame(opcode: u8, content: &str) -> Vec<u8> {
    let len = u16::try_from(content.len()).unwrap();
    let mut frame = vec![0x80 | opcode];
    if let Ok(len @ 0..=125) = u8::try_from(len) {
        frame.push(0x80 | len);
    } else {
        frame.push(0xFE);
        frame.extend(len.to_be_bytes());
    }
    // A mask of nothing changes nothing.
    frame.extend([0; 4]);
    frame.extend(content.as_bytes());
    frame
}

/// What is in the server's frames, one a line.
fn read(frames: &VecDeque<Bytes>) -> String {
    let bytes: Vec<u8> = frames.iter().flatten().copied().collect();
    let (mut at, mut said) = (0, String::new());
    while at < bytes.len() {
        let (len, begin) = match bytes[at + 1] {
            126 => (
                usize::from(u16::from_be_bytes([bytes[at + 2], bytes[at + 3]])),
                at + 4,
            ),
            127 => panic!("longer than any of these"),
            len => (usize::from(len), at + 2),
        };
        let content = &bytes[begin..begin + len];
        match bytes[at] {
            0x81 => said.push_str(std::str::from_utf8(content).unwrap()),
            0x88 => said.extend([
                "close ",
                &u16::from_be_bytes([content[0], content[1]]).to_string(),
            ]),
            0x8A => said.extend(["pong ", &content.escape_ascii().to_string()]),
            other => panic!("{other:x}"),
        }
        said.push('\n');
        at = begin + len;
    }
    said
}

fn stream() -> C2sStream {
    let host = HostSettings {
        mechanisms: vec![Mechanism::Plain],
        ..HostSettings::default()
    };
    let settings = C2sSettings {
        hosts: [("example.org".to_owned(), host)].into(),
        ..C2sSettings::default()
    };
    let transport = Transport::Tls(TlsInfo::default());
    C2sStream::over_websocket(Arc::new(settings), transport, Arc::new(|| "id1".to_owned()))
}

/// What the server says to these frames, and how the stream ends.
fn talk(frames: &[Vec<u8>]) -> (String, Option<End>) {
    let (mut stream, mut outgoing, mut out) = (stream(), Outgoing::default(), VecDeque::new());
    let mut input = BytesMut::new();
    for frame in frames {
        input.extend_from_slice(frame);
        while let Some(effect) = stream.next_effect(&mut input) {
            match effect {
                Effect::Send(bytes) => outgoing.elements(&bytes, &mut out),
                Effect::Control(bytes) => out.push_back(bytes),
                _ => {}
            }
        }
    }
    (read(&out), stream.end())
}

const OPEN: &str =
    "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='example.org' version='1.0'/>";
const CLOSE: &str = "<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>";
const OPENED: &str = "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' id='id1' from='example.org' \
    version='1.0' xml:lang='en'/>\n<stream:features xmlns:stream='http://etherx.jabber.org/streams'>\
    <mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism></mechanisms>\
    <limits xmlns='urn:xmpp:stream-limits:0'><max-bytes>10000</max-bytes></limits></stream:features>\n";
const CLOSED: &str = "<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>\nclose 1000\n";

#[test]
fn opened_and_closed() {
    let (said, end) = talk(&[
        frame(1, OPEN),
        frame(9, "hi"),
        frame(1, " "),
        frame(1, CLOSE),
    ]);
    assert_eq!(said, format!("{OPENED}pong hi\n{CLOSED}"));
    assert_eq!(end, Some(End::Peer));
}

#[test]
fn a_websocket_that_closes_ends_no_session() {
    let (said, end) = talk(&[frame(1, OPEN), frame(8, "")]);
    assert_eq!(said, format!("{OPENED}close 1000\n"));
    assert_eq!(end, Some(End::Gone));
    let (said, end) = talk(&[frame(1, OPEN), frame(2, "binary")]);
    assert_eq!(said, format!("{OPENED}close 1003\n"));
    assert_eq!(end, Some(End::Gone));
}

#[test]
fn one_message_is_one_element_that_stands_alone() {
    for (message, condition) in [
        (
            "<iq xmlns='jabber:client'/><iq xmlns='jabber:client'/>",
            "not-well-formed",
        ),
        ("<iq xmlns='jabber:client'>", "not-well-formed"),
        ("<stream:error/>", "not-well-formed"),
        ("hello", "not-well-formed"),
        ("<message><body>whose</body></message>", "not-authorized"),
        (OPEN, "not-authorized"),
    ] {
        let (said, end) = talk(&[frame(1, OPEN), frame(1, message)]);
        let rest = said.strip_prefix(OPENED).unwrap();
        assert!(
            rest.starts_with("<stream:error xmlns:stream='http://etherx.jabber.org/streams'><")
        );
        assert!(
            rest.contains(&format!("<{condition} ")),
            "{message}: {rest}"
        );
        assert!(
            rest.ends_with(&format!("</stream:error>\n{CLOSED}")),
            "{rest}"
        );
        assert!(matches!(end, Some(End::Error(_))), "{end:?}");
    }
    // The tags of a document are none here.
    let header = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' \
                  to='example.org' version='1.0'/>";
    let (said, _) = talk(&[frame(1, header)]);
    assert!(
        said.starts_with("<open ") && said.contains("<invalid-namespace "),
        "{said}"
    );
}

#[test]
fn a_stanza_is_not_copied() {
    let slices =
        ["<message to='a'", "", "><body/>", "</message>"].map(|s| Bytes::from(s.to_owned()));
    let mut out = VecDeque::new();
    Outgoing::stanza(&slices, &mut out);
    let whole = "<message xmlns='jabber:client' to='a'><body/></message>\n";
    assert_eq!(read(&out), whole);
    assert!(out.iter().any(|part| part.as_ptr() == slices[2].as_ptr()));
    let (mut out, long) = (VecDeque::new(), format!("<iq>{}</iq>", "x".repeat(300)));
    Outgoing::stanza([&Bytes::from(long)], &mut out);
    assert!(read(&out).starts_with("<iq xmlns='jabber:client'>xxx"));
}
