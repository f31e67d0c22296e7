//! The bodies of the fuzz targets. Each takes any bytes and panics if something is wrong.

use crate::events;
use bytes::{Bytes, BytesMut};
use waxwing_proto::ns;
use waxwing_proto::stanza::{Draft, Stanza};
use waxwing_proto::xml::{
    Element, Frame, Framer, Limits, Node, Tree, Writer, XmlError, unescape_text,
};

/// Wide enough for every seed; the limits have their own tests.
const LIMITS: Limits = Limits {
    bytes_max: 1 << 20,
    ..Limits::C2S
};

/// One element by itself: what we accept, `rxml` accepts with the same meaning, and the other way
/// round; and every way of writing it again keeps that meaning.
pub(crate) fn tree(data: &[u8]) {
    let ours = Tree::parse(Bytes::copy_from_slice(data), "", &LIMITS);
    // `rxml` also takes an XML declaration and white space around the element.
    let bare =
        data.first() == Some(&b'<') && data.last() == Some(&b'>') && !data.starts_with(b"<?");
    let (lines, theirs) = events::theirs(data, true);
    match (&ours, &theirs) {
        // `rxml` 0.14 loses a carriage return at the end of an attribute.
        (Ok(_), Ok(())) if data.contains(&b'\r') => {}
        (Ok(tree), Ok(())) => assert_eq!(events::ours(tree.root()), lines),
        (Ok(tree), Err(error)) => assert!(
            rxml_refuses_wrongly(data),
            "only rxml refuses {:?}: {error}",
            tree.bytes()
        ),
        (Err(error), Ok(())) => assert!(
            !bare || rxml_accepts_wrongly(*error),
            "only rxml accepts {}: {error}",
            data.escape_ascii()
        ),
        (Err(_), Err(_)) => {}
    }
    if let Ok(tree) = ours {
        written_again(tree.root());
        let bytes = tree.bytes().len();
        assert!(
            tree.index_bytes() <= 7 * bytes + 512,
            "{} for {bytes}",
            tree.index_bytes()
        );
    }
}

/// `rxml` 0.14 has limits of its own, refuses white space before the root element, which XML 1.0
/// § 2.8 allows where no declaration precedes it, a bare carriage return in an attribute, which
/// XML 1.0 § 2.11 makes a line feed, and U+FDF0 to
/// U+FFFD at the start of a name, where § 2.3 has them.
fn rxml_refuses_wrongly(data: &[u8]) -> bool {
    let long_reference = data.split(|&byte| byte == b'&').skip(1).any(|reference| {
        reference
            .iter()
            .position(|&byte| byte == b';')
            .is_some_and(|len| len > 7)
    });
    let has = |piece: &[u8]| data.windows(piece.len()).any(|window| window == piece);
    data.first().is_some_and(u8::is_ascii_whitespace)
        || has(b"\r")
        || std::str::from_utf8(data)
            .is_ok_and(|text| text.contains(|c| ('\u{FDF0}'..='\u{FFFD}').contains(&c)))
        || long_reference
        || data.len() > 8192
}

/// `rxml` 0.14 takes `xmlns` twice (the last one wins), `standalone` in capitals, and knows none
/// of our limits.
fn rxml_accepts_wrongly(error: XmlError) -> bool {
    matches!(
        error,
        XmlError::NotWellFormed("attribute repeated" | "XML declaration") | XmlError::Limit(_)
    )
}

fn written_again(root: Element<'_>) {
    let mut element = Some(root);
    while let Some(this) = element {
        let meaning = events::ours(this);
        for default_ns in ["", "u", ns::CLIENT] {
            let again = Tree::parse(this.standalone(default_ns), default_ns, &LIMITS);
            let again =
                again.unwrap_or_else(|error| panic!("{:?}: {error}", this.standalone(default_ns)));
            assert_eq!(events::ours(again.root()), meaning);
            let mut inside = b"<x xmlns='".to_vec();
            inside.extend_from_slice(default_ns.as_bytes());
            inside.extend_from_slice(b"'>");
            inside.extend_from_slice(&this.inner(default_ns));
            inside.extend_from_slice(b"</x>");
            let again = Tree::parse(Bytes::from(inside), "", &LIMITS).expect("inner");
            assert_eq!(events::ours(again.root())[1..], meaning[1..]);
        }
        element = this.children().last();
    }
}

/// A stream: however its bytes are cut, the frames are the same; and they mean what `rxml` says.
pub(crate) fn framer(data: &[u8]) {
    let whole = frames(&[data]);
    let single: Vec<_> = data.chunks(1).collect();
    assert_eq!(frames(&single), whole);
    let size = 2 + data.len() % 61;
    let uneven: Vec<_> = data.chunks(size).collect();
    assert_eq!(frames(&uneven), whole);

    let (lines, error) = whole;
    // A character that is cut at the end tells us nothing, but `rxml` sees what it cannot be.
    let complete = match std::str::from_utf8(data) {
        Err(error) if error.error_len().is_none() => &data[..error.valid_up_to()],
        _ => data,
    };
    let (their_lines, their_error) = events::theirs(complete, false);
    let blank = |line: &&String| {
        line.strip_prefix("text ")
            .is_none_or(|text| !text.trim_ascii().is_empty())
    };
    if rxml_refuses_wrongly(data) || error.is_some_and(rxml_accepts_wrongly) {
        return;
    }
    match (error, &their_error) {
        (None, Err(error)) => assert!(
            // It looks at parts of a declaration or a reference before the rest has come.
            *error == rxml::Error::ReservedNamespacePrefix
                || ends_in_a_reference(data)
                || (lines.is_empty() && data.starts_with(b"<?xml")),
            "only rxml refuses: {error}"
        ),
        (Some(error), Ok(())) if !matches!(error, XmlError::BadFormat(_)) => {
            let (_, at_end) = events::theirs(data, true);
            // It takes references to white space for white space where only that may stand.
            let after_the_end = XmlError::NotWellFormed("bytes after the end of the stream");
            let excused = error == after_the_end && data.windows(2).any(|pair| pair == b"&#");
            assert!(at_end.is_err() || excused, "only rxml accepts: {error}");
        }
        _ => {}
    }
    // `rxml` gives what is inside an element before its end has come, but holds events back
    // until it has seen what follows.
    let ours = lines.iter().filter(blank);
    let theirs = their_lines.iter().filter(blank);
    assert!(
        ours.zip(theirs).all(|(our, their)| our == their),
        "{lines:#?}\n{their_lines:#?}"
    );
}

fn ends_in_a_reference(data: &[u8]) -> bool {
    let last = data.iter().rposition(|&byte| byte == b'&');
    last.is_some_and(|at| !data[at..].contains(&b';'))
}

/// The meaning of all frames of a stream, and the error it ends with.
fn frames(chunks: &[&[u8]]) -> (Vec<String>, Option<XmlError>) {
    let mut framer = Framer::new(LIMITS);
    let mut buffer = BytesMut::new();
    let mut lines = Vec::new();
    for chunk in chunks {
        buffer.extend_from_slice(chunk);
        loop {
            match framer.next(&mut buffer) {
                Ok(None) => break,
                Ok(Some(Frame::Open(tree))) => events::start(&mut lines, tree.root()),
                Ok(Some(Frame::Element(tree))) => lines.extend(events::ours(tree.root())),
                Ok(Some(Frame::Close)) => lines.push("end".to_owned()),
                Err(error) => return (lines, Some(error)),
            }
        }
    }
    (lines, None)
}

/// Headers whose declarations make a stanza self-contained, or not.
const HEADERS: [(&str, &str); 4] = [
    (
        ns::CLIENT,
        "<s:s xmlns:s='http://etherx.jabber.org/streams' xmlns='jabber:client'>",
    ),
    (
        ns::SERVER,
        "<s:s xmlns:s='http://etherx.jabber.org/streams' xmlns='jabber:server'>",
    ),
    (
        ns::CLIENT,
        "<s:s xmlns:s='u' xmlns:p='v' xmlns:q='jabber:client' xmlns='jabber:client'>",
    ),
    (
        ns::CLIENT,
        "<stream xmlns='u' xmlns:p='jabber:client' xmlns:q='jabber:server'>",
    ),
];

/// A stanza on its way: sealed, with children hidden, it means what was received, but that its
/// own namespace is the stream's.
pub(crate) fn stanza(data: &[u8]) {
    for (content_ns, header) in HEADERS {
        let mut buffer = BytesMut::from(header.as_bytes());
        buffer.extend_from_slice(data);
        let mut framer = Framer::new(LIMITS);
        let Ok(Some(Frame::Open(_))) = framer.next(&mut buffer) else {
            unreachable!()
        };
        let Ok(Some(Frame::Element(tree))) = framer.next(&mut buffer) else {
            continue;
        };
        let Ok(stanza) = Stanza::new(tree, content_ns) else {
            continue;
        };
        let Ok(draft) = Draft::new(stanza.clone()) else {
            continue;
        };
        for hidden in ["", "u", "urn:xmpp:hints"] {
            let mut draft = draft.clone();
            draft.hide_all(|child| child.ns() == hidden);
            let sealed = draft.seal().to_bytes();
            let again = Tree::parse(sealed.clone(), ns::CLIENT, &LIMITS);
            let again = again.unwrap_or_else(|error| panic!("{sealed:?}: {error}"));
            let mut expected = Vec::new();
            content(&mut expected, stanza.root(), Some(content_ns), hidden);
            assert_eq!(events::ours(again.root())[1..], expected, "{sealed:?}");
            let again = Stanza::new(again, ns::CLIENT).expect("still a stanza");
            assert_eq!(again.id(), stanza.id());
            assert_eq!(again.type_attr(), stanza.type_attr());
        }
    }
}

/// What a sealed stanza must mean inside. Recursive: trees are no deeper than the limit.
fn content(lines: &mut Vec<String>, element: Element<'_>, own_ns: Option<&str>, hidden: &str) {
    for node in element.nodes() {
        match node {
            Node::Text(raw) => {
                let run = unescape_text(raw);
                match lines.last_mut() {
                    _ if run.is_empty() => {}
                    Some(last) if last.starts_with("text ") => last.push_str(&run),
                    _ => lines.push(format!("text {run}")),
                }
            }
            Node::Element(child) => {
                let own = own_ns.filter(|own| child.ns() == *own);
                let other = own_ns.is_some() && matches!(child.ns(), ns::CLIENT | ns::SERVER);
                let hide = element.is_root() && child.ns() == hidden;
                if hide || (own.is_none() && other) {
                    continue;
                }
                events::start(lines, child);
                if let (Some(own), Some(line)) = (own, lines.last_mut()) {
                    *line = line.replacen(own, ns::CLIENT, 1);
                }
                content(lines, child, own, hidden);
            }
        }
    }
    lines.push("end".to_owned());
}

/// The writer: whatever values it is given, what it writes is parsed to those values.
pub(crate) fn writer(data: &[u8]) {
    const NAMES: [&str; 4] = ["a", "b-c", "message", "x"];
    const NAMESPACES: [&str; 4] = ["", "u", ns::CLIENT, "a'b&<c"];
    let mut writer = Writer::new("u");
    let mut expected = Vec::new();
    let mut scopes = vec![("root", "u")];
    writer.start("root");
    let mut attributes: Vec<(String, String)> = Vec::new();
    let flush =
        |expected: &mut Vec<String>, top: (&str, &str), attributes: &mut Vec<(String, String)>| {
            let mut shown: Vec<_> = attributes
                .drain(..)
                .map(|(name, value)| format!("{{}}{name}={value:?}"))
                .collect();
            shown.sort();
            expected.push(format!("start {{{}}}{} {}", top.1, top.0, shown.join(" ")));
        };
    let mut in_tag = true;
    for piece in data.split(|&byte| byte == b'<') {
        let Some((&first, rest)) = piece.split_first() else {
            continue;
        };
        let value = String::from_utf8_lossy(rest);
        let name = NAMES[usize::from(first / 4 % 4)];
        let top = *scopes.last().expect("the root is open");
        match first % 4 {
            0 if in_tag => {
                let name = format!("n{}", attributes.len());
                writer.attr(&name, &value);
                attributes.push((name, allowed(&value)));
            }
            1 if scopes.len() > 1 => {
                if in_tag {
                    flush(&mut expected, top, &mut attributes);
                }
                in_tag = false;
                writer.end();
                scopes.pop();
                expected.push("end".to_owned());
            }
            2 if scopes.len() < 60 => {
                if in_tag {
                    flush(&mut expected, top, &mut attributes);
                }
                in_tag = true;
                let ns = NAMESPACES[usize::from(first / 16 % 4)];
                writer.start_ns(name, ns);
                scopes.push((name, ns));
            }
            _ if !value.is_empty() => {
                if in_tag {
                    flush(&mut expected, top, &mut attributes);
                }
                in_tag = false;
                writer.text(&value);
                match expected.last_mut() {
                    Some(last) if last.starts_with("text ") => last.push_str(&allowed(&value)),
                    _ => expected.push(format!("text {}", allowed(&value))),
                }
            }
            _ => {}
        }
    }
    if in_tag {
        flush(
            &mut expected,
            *scopes.last().expect("the root is open"),
            &mut attributes,
        );
    }
    expected.extend(scopes.iter().map(|_| "end".to_owned()));
    let bytes = writer.finish();
    let limits = Limits {
        nodes_max: usize::MAX,
        attributes_max: usize::MAX,
        ..LIMITS
    };
    let tree = Tree::parse(bytes.clone(), "u", &limits);
    let tree = tree.unwrap_or_else(|error| panic!("{bytes:?}: {error}"));
    assert_eq!(events::ours(tree.root()), expected, "{bytes:?}");
}

/// Characters that XML forbids are replaced.
fn allowed(value: &str) -> String {
    let forbidden = |c: char| {
        matches!(c, '\u{FFFE}' | '\u{FFFF}') || (c < ' ' && !matches!(c, '\t' | '\n' | '\r'))
    };
    value.replace(forbidden, "\u{FFFD}")
}
