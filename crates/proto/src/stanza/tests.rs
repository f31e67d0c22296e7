//! From received bytes through edits to the wire form.

use super::*;
use crate::xml::{Frame, Framer, Limits, Tree};
use crate::{Jid, ns};
use bytes::{Bytes, BytesMut};

fn jid(text: &str) -> Jid {
    Jid::parse(text).unwrap()
}

fn wire(sealed: &Sealed) -> String {
    let mut out = BytesMut::new();
    sealed.write_to(&mut out);
    assert_eq!(out, sealed.to_bytes());
    assert_eq!(out.len(), sealed.len());
    String::from_utf8(out.to_vec()).unwrap()
}

/// A stanza of a stream whose header has these declarations.
fn received(declarations: &str, xml: &str) -> Stanza {
    let ns = if declarations.contains(ns::SERVER) {
        ns::SERVER
    } else {
        ns::CLIENT
    };
    let stream = format!(
        "<stream:stream xmlns:stream='{}' {declarations}>{xml}",
        ns::STREAM
    );
    let mut buffer = BytesMut::from(stream.as_bytes());
    let mut framer = Framer::new(Limits::C2S);
    let Ok(Some(Frame::Open(_))) = framer.next(&mut buffer) else {
        panic!("{stream}")
    };
    let Ok(Some(Frame::Element(tree))) = framer.next(&mut buffer) else {
        panic!("{stream}")
    };
    Stanza::new(tree, ns).unwrap()
}

fn client(xml: &str) -> Stanza {
    received("xmlns='jabber:client'", xml)
}

fn server(xml: &str) -> Stanza {
    received("xmlns='jabber:server'", xml)
}

fn sealed(stanza: Stanza) -> String {
    let mut draft = Draft::new(stanza).unwrap();
    draft.set_from(jid("a@b/c"));
    wire(&draft.seal())
}

#[test]
fn content_is_the_received_buffer() {
    let stanza = client("<message to='x@y' id=\"1\"><body>hi &amp; ho</body></message>");
    let received = stanza.tree().bytes().clone();
    let mut draft = Draft::new(stanza).unwrap();
    draft.set_from(jid("a@b/c"));
    let sealed = draft.seal();
    assert_eq!(
        wire(&sealed),
        "<message to='x@y' from='a@b/c' id=\"1\"><body>hi &amp; ho</body></message>"
    );
    let shared = |chunk: &Bytes| received.as_ptr_range().contains(&chunk.as_ptr());
    assert_eq!(sealed.chunks().filter(|chunk| shared(chunk)).count(), 1);
    let other = sealed.with_to(&jid("z@y/o'k"));
    assert_eq!(
        wire(&other),
        "<message to='z@y/o&apos;k' from='a@b/c' id=\"1\"><body>hi &amp; ho</body></message>"
    );
    assert_eq!(other.chunks().filter(|chunk| shared(chunk)).count(), 1);
}

#[test]
fn enclosed_shares_the_content() {
    let forwarded = Bytes::from_static(b"<sent xmlns='u'><forwarded xmlns='v'>");
    let end = Bytes::from_static(b"</forwarded></sent>");
    for (xml, content) in [
        ("<message to='x@y' type='chat'><body>hi</body></message>", 1),
        ("<message to='x@y' xmlns='jabber:client'/>", 0),
        ("<message to='x@y'><p:b xmlns:p='u'/><body/></message>", 1),
    ] {
        let stanza = client(xml);
        let received = stanza.tree().bytes().clone();
        let mut draft = Draft::new(stanza).unwrap();
        draft.set_from(jid("a@b/c"));
        let sealed = draft.seal();
        let enclosed = sealed.enclosed(&jid("a@b"), Some("it's"), forwarded.clone(), end.clone());
        let inner = wire(&sealed).replacen("<message", "<message xmlns='jabber:client'", 1);
        let copies: Vec<Sealed> = enclosed.fan_out(&[jid("a@b/1"), jid("a@b/2")]).collect();
        for (copy, to) in copies.iter().zip(["a@b/1", "a@b/2"]) {
            let expected = format!(
                "<message to='{to}' from='a@b' type='it&apos;s'><sent xmlns='u'><forwarded \
                 xmlns='v'>{inner}</forwarded></sent></message>"
            );
            assert_eq!(wire(copy), expected);
            let tree = Tree::parse(copy.to_bytes(), ns::CLIENT, &Limits::C2S).unwrap();
            let message = tree.root().children().next().and_then(|sent| {
                let forwarded = sent.child("forwarded", "v")?;
                forwarded.child("message", ns::CLIENT)
            });
            assert!(message.is_some(), "{expected}");
            let shared = |chunk: &Bytes| received.as_ptr_range().contains(&chunk.as_ptr());
            assert_eq!(copy.chunks().filter(|chunk| shared(chunk)).count(), content);
        }
    }
}

#[test]
fn sealed_as_written() {
    for (xml, expected) in [
        ("<presence/>", "<presence from='a@b/c'/>"),
        ("<presence></presence>", "<presence from='a@b/c'/>"),
        (
            "<message from='spoof@b' type='chat' xml:lang='de' foo=\"'\"><body/></message>",
            "<message from='a@b/c' type='chat' xml:lang='de' foo=\"'\"><body/></message>",
        ),
        (
            "<message xmlns='jabber:client'><body>x</body></message>",
            "<message from='a@b/c'><body>x</body></message>",
        ),
        (
            "<message xmlns:p='u' p:a='1'><p:b/></message >",
            "<message from='a@b/c' xmlns:p='u' p:a='1'><p:b/></message>",
        ),
        (
            "<message><f xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client'><body/></message></f></message>",
            "<message from='a@b/c'><f xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client'><body/></message></f></message>",
        ),
        (
            "<message><![CDATA[ <x> ]]><body><![CDATA[ <y> ]]></body></message>",
            "<message from='a@b/c'><![CDATA[ <x> ]]><body><![CDATA[ <y> ]]></body></message>",
        ),
    ] {
        assert_eq!(sealed(client(xml)), expected, "{xml}");
        if !xml.contains(ns::CLIENT) {
            assert_eq!(sealed(server(xml)), expected, "{xml}");
        }
    }
}

#[test]
fn sealed_anew() {
    for (declarations, xml, expected) in [
        (
            "xmlns='jabber:client' xmlns:p='u'",
            "<message p:a='1' id='&#39;'><p:b q='1' p:r='2'>&lt;</p:b><body/></message>",
            "<message from='a@b/c' xmlns:a0='u' a0:a='1' id='&apos;'><b xmlns='u' q='1' xmlns:a1='u' a1:r='2'>&lt;</b><body/></message>",
        ),
        (
            "xmlns:c='jabber:client'",
            "<c:message id='1'><c:body>x</c:body></c:message>",
            "<message from='a@b/c' id='1'><body>x</body></message>",
        ),
        (
            "xmlns='jabber:client'",
            "<c:message xmlns:c='jabber:client' xmlns='u'><b/><c:body>x</c:body></c:message>",
            "<message from='a@b/c'><b xmlns='u'/><body>x</body></message>",
        ),
        (
            "xmlns='jabber:server'",
            "<message><body xmlns='jabber:server'>x</body></message>",
            "<message from='a@b/c'><body>x</body></message>",
        ),
        (
            "xmlns='jabber:client'",
            "<message><body xmlns='jabber:client'>x</body></message>",
            "<message from='a@b/c'><body>x</body></message>",
        ),
        (
            "xmlns='jabber:client'",
            "<message><body xmlns='jabber:server'>hidden</body><body>x</body></message>",
            "<message from='a@b/c'><body>x</body></message>",
        ),
        (
            "xmlns='jabber:client'",
            "<message><body xmlns='jabber:client'/><f xmlns='u'><message xmlns='jabber:server'/></f></message>",
            "<message from='a@b/c'><body/><f xmlns='u'><message xmlns='jabber:server'/></f></message>",
        ),
    ] {
        assert_eq!(sealed(received(declarations, xml)), expected, "{xml}");
    }
}

#[test]
fn edits() {
    let xml = "<message to='x@y'>1<a xmlns='u'/>2<b xmlns='u'/><c/>3</message>";
    for prefix in ["", "xmlns:p='u'"] {
        let plain = prefix.is_empty();
        let xml = if plain {
            xml.to_owned()
        } else {
            xml.replace("<a xmlns='u'/>", "<p:a/>")
        };
        let mut draft =
            Draft::new(received(&format!("xmlns='jabber:client' {prefix}"), &xml)).unwrap();
        let stanza = draft.stanza().clone();
        draft.hide(stanza.root().child("c", ns::CLIENT).unwrap());
        draft.hide(stanza.root().child("a", "u").unwrap());
        draft.hide(stanza.root());
        draft.hide(stanza.root().child("a", "u").unwrap());
        draft.add(Bytes::from_static(b"<new/>"));
        draft.default_lang("de");
        let expected = "<message to='x@y' xml:lang='de'>12<b xmlns='u'/>3<new/></message>";
        assert_eq!(wire(&draft.clone().seal()), expected);
        assert_eq!(draft.hide_all(|child| child.ns() == "u"), 2);
        let expected = "<message to='x@y' xml:lang='de'>123<new/></message>";
        assert_eq!(wire(&draft.seal()), expected);
    }
}

#[test]
fn lang_is_not_replaced() {
    let mut draft = Draft::new(client("<message xml:lang='fr'/>")).unwrap();
    draft.default_lang("de");
    assert_eq!(wire(&draft.seal()), "<message xml:lang='fr'/>");
}

#[test]
fn fan_out_shares_one_buffer_of_heads() {
    let stanza = client("<presence from='a@b/c'><show>away</show></presence>");
    let to = [jid("x@y/1"), jid("x@y/2"), jid("x@y/'")];
    let whole = Draft::new(stanza).unwrap().seal();
    let again = Sealed::from_bytes(Kind::Presence, whole.to_bytes());
    for sealed in [whole, again] {
        let copies: Vec<_> = sealed.fan_out(&to).collect();
        let wires: Vec<_> = copies.iter().map(wire).collect();
        let expected =
            |to| format!("<presence to='{to}' from='a@b/c'><show>away</show></presence>");
        assert_eq!(wires, ["x@y/1", "x@y/2", "x@y/&apos;"].map(expected));
        let heads: Vec<_> = copies
            .iter()
            .map(|copy| copy.chunks().next().unwrap())
            .collect();
        assert_eq!(
            heads[0].as_ptr().wrapping_add(heads[0].len()),
            heads[1].as_ptr()
        );
    }
}

#[test]
fn own_stanzas() {
    for (xml, expected) in [
        (
            "<iq id='1' to=\"a\" type='result'/>",
            "<iq to='z@y' id='1' type='result'/>",
        ),
        (
            "<iq id='1'><a>t</a></iq>",
            "<iq to='z@y' id='1'><a>t</a></iq>",
        ),
    ] {
        let sealed = Sealed::from_bytes(Kind::Iq, Bytes::from(xml));
        assert_eq!(wire(&sealed), xml);
        assert_eq!(wire(&sealed.with_to(&jid("z@y"))), expected);
    }
}

#[test]
fn bad_addresses() {
    for xml in ["<message to='@'/>", "<message from='a@b@c'/>"] {
        let error = Draft::new(client(xml)).unwrap_err();
        assert_eq!(error.condition, Condition::JidMalformed, "{xml}");
    }
}

#[test]
fn error_answers() {
    let error = StanzaError::new(Condition::ItemNotFound)
        .text("<none>")
        .app("x", "urn:x");
    let answer = |xml| error.answer(&client(xml), Some(&jid("b")), None);
    assert_eq!(
        answer("<iq type='get' id='&lt;1' to='b'><q xmlns='u'/></iq>").unwrap(),
        "<iq from='b' id='&lt;1' type='error'><error type='cancel'>\
         <item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>\
         <text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas' xml:lang='en'>&lt;none&gt;</text>\
         <x xmlns='urn:x'/></error></iq>"
    );
    for unanswerable in [
        "<iq type='error'/>",
        "<iq type='result'/>",
        "<message type='error'/>",
    ] {
        assert_eq!(answer(unanswerable), None, "{unanswerable}");
    }
    assert!(answer("<message type='result'/>").is_some());
}

#[test]
fn conditions_are_found_again() {
    for condition in Condition::ALL {
        let element = StanzaError::new(*condition).element();
        let tree = Tree::parse(element, ns::CLIENT, &Limits::PRE_AUTH).unwrap();
        assert_eq!(Condition::of(tree.root()), Some(*condition));
    }
}

#[test]
fn a_sealed_stanza_can_get_one_more_child() {
    let id = Bytes::from_static(b"<stanza-id id='1'/>");
    let draft = |xml| {
        let mut draft = Draft::new(client(xml)).unwrap();
        draft.set_from(jid("a@b/c"));
        draft.seal()
    };
    let full = draft("<message to='x@y'><body>hi</body></message>");
    let empty = draft("<message to='x@y' type='chat'/>");
    let own = |xml: &'static str| Sealed::from_bytes(Kind::Message, xml.into());
    for (stanza, start, content) in [
        (full, " from='a@b/c'>", "<body>hi</body>"),
        (empty, " from='a@b/c' type='chat'>", ""),
        (own("<message id='7' to='x@y'/>"), " id='7'>", ""),
        (own("<message to='x@y'><a/></message>"), ">", "<a/>"),
    ] {
        let added = stanza.with_child(id.clone());
        let wanted = format!("<message to='x@y'{start}{content}<stanza-id id='1'/></message>");
        assert_eq!(wire(&added), wanted);
        // Before or after getting another `to`.
        let wanted = wanted.replace("x@y", "bob@example.org");
        let to = jid("bob@example.org");
        assert_eq!(wire(&added.with_to(&to)), wanted);
        assert_eq!(wire(&stanza.with_to(&to).with_child(id.clone())), wanted);
        let both = stanza
            .with_to(&jid("z"))
            .with_child(id.clone())
            .with_to(&to);
        assert_eq!(wire(&both), wanted);
    }
}

#[test]
fn a_detached_stanza_is_the_same_and_can_be_sent_on() {
    let received = "<presence to='a' id='1' lang='x'><show>away</show><x xmlns='u'/></presence>";
    let sealed = Draft::new(client(received)).unwrap().seal();
    for stanza in [sealed.clone(), sealed.with_to(&jid("long.example"))] {
        let detached = stanza.detached();
        assert_eq!(detached.to_bytes(), stanza.to_bytes());
        assert_eq!(
            detached.with_to(&jid("b")).to_bytes(),
            sealed.with_to(&jid("b")).to_bytes()
        );
    }
    let own = Sealed::from_bytes(Kind::Presence, Bytes::from("<presence from='x' to='y'/>"));
    assert_eq!(
        own.detached().with_to(&jid("b")).to_bytes(),
        own.with_to(&jid("b")).to_bytes()
    );
}

#[test]
fn what_is_a_stanza() {
    let parse =
        |xml: &'static str| Tree::parse(Bytes::from(xml), ns::CLIENT, &Limits::C2S).unwrap();
    assert!(Stanza::new(parse("<iq/>"), ns::CLIENT).is_ok());
    assert!(Stanza::new(parse("<iq/>"), ns::SERVER).is_err());
    assert!(Stanza::new(parse("<iq xmlns='u'/>"), ns::CLIENT).is_err());
    assert!(Stanza::new(parse("<query/>"), ns::CLIENT).is_err());
    let stanza = server("<message><body xmlns='u'/><body>x</body></message>");
    assert_eq!(stanza.content("body").unwrap().text(), "x");
}
