//! What is accepted and refused, and with which error.

use super::*;
use crate::ns;
use bytes::{Bytes, BytesMut};

const HEADER: &str = "<?xml version='1.0'?><stream:stream to='a' xmlns='jabber:client' \
                      xmlns:stream='http://etherx.jabber.org/streams'>";

fn parse(xml: impl AsRef<[u8]>) -> Result<Tree, XmlError> {
    Tree::parse(
        Bytes::copy_from_slice(xml.as_ref()),
        ns::CLIENT,
        &Limits::C2S,
    )
}

/// All frames of a stream, or the first error.
fn frames(chunks: &[&[u8]], limits: Limits) -> Result<Vec<String>, XmlError> {
    let mut framer = Framer::new(limits);
    let mut buffer = BytesMut::new();
    let mut seen = Vec::new();
    for chunk in chunks {
        buffer.extend_from_slice(chunk);
        while let Some(frame) = framer.next(&mut buffer)? {
            let text = |tree: Tree| String::from_utf8(tree.bytes().to_vec()).unwrap();
            seen.push(match frame {
                Frame::Open(tree) => format!("open {}", text(tree)),
                Frame::Element(tree) => text(tree),
                Frame::Close => "close".to_owned(),
            });
        }
    }
    Ok(seen)
}

/// At once and byte by byte, which must agree.
fn stream(bytes: impl AsRef<[u8]>) -> Result<Vec<String>, XmlError> {
    let bytes = bytes.as_ref();
    let whole = frames(&[bytes], Limits::C2S);
    let single: Vec<_> = bytes.chunks(1).collect();
    assert_eq!(
        frames(&single, Limits::C2S),
        whole,
        "{}",
        bytes.escape_ascii()
    );
    whole
}

#[test]
fn accepted() {
    for xml in [
        "<a/>",
        "<a></a>",
        "<a ></a >",
        "<a b='1' c=\"2\"\t\r\nd = '>'/>",
        "<a><![CDATA[<b>&amp;]] ]>]]></a>",
        "<a><![CDATA[]]></a>",
        "<a><![CDATA[x]]>></a>",
        "<a>]] ]> ]&gt; ></a>",
        "<a>&lt;&gt;&amp;&apos;&quot;&#65;&#x1F600;&#x0000041;</a>",
        "<a>tab\tnl\ncr\rdel\u{7F}\u{85}\u{FEFF}\u{FFFD}\u{10FFFF}</a>",
        "<a b='\r'/>",
        "<_.-1/>",
        "<ä\u{2FF}\u{B7}/>",
        "<𐀀/>",
        "<p:a xmlns:p='u'/>",
        "<a xmlns='u'><b xmlns=''/></a>",
        "<a xmlns:xml='http://www.w3.org/XML/1998/namespace' xml:lang='de'/>",
        "<a xmlns='u?a=1&amp;b=2'/>",
        "<a xmlns:p='u' p:b='1' b='2'/>",
        "<a xmlns:p='u' xmlns:q='v' p:b='1' q:b='2'/>",
        "<a><p:b xmlns:p='u'/><p:b xmlns:p='v'/></a>",
    ] {
        parse(xml).unwrap_or_else(|error| panic!("{xml}: {error}"));
        stream(format!("{HEADER}{xml}")).unwrap_or_else(|error| panic!("{xml}: {error}"));
    }
}

/// Faults of syntax, characters, references, sections and namespaces, in this order.
const NOT_WELL_FORMED: &[&[u8]] = &[
    b"<a",
    b"<",
    b"",
    b"<a>",
    b"<a></b>",
    b"<a></a",
    b"<a></ab>",
    b"<a></>",
    b"<a/ >",
    b"<a//>",
    b"</a>",
    b" <a/>",
    b"<a/> ",
    b"<a/><b/>",
    b"<a/>x",
    b"x",
    b"< a/>",
    b"<>",
    b"<1a/>",
    b"<-a/>",
    b"<.a/>",
    b"<a$b/>",
    b"<a\0/>",
    "<a\u{D7}/>".as_bytes(),
    "<\u{B7}/>".as_bytes(),
    b"<a:b:c/>",
    b"<a:/>",
    b"<:a/>",
    b"<:/>",
    b"<a:1 xmlns:a='u'/>",
    b"<a::b/>",
    "<a\u{85}b='1'/>".as_bytes(),
    "<a \u{2028}b='1'/>".as_bytes(),
    "<a\u{A0}/>".as_bytes(),
    b"<a b/>",
    b"<a b=/>",
    b"<a b=1/>",
    b"<a b='1/>",
    b"<a b='1\"/>",
    b"<a 'b'/>",
    b"<a =''/>",
    b"<a b='1'c='2'/>",
    b"<a b='<'/>",
    b"<a b='1' b='1'/>",
    b"<a b='&'/>",
    b"<a b='& '/>",
    b"<a>&</a>",
    b"<a>& </a>",
    b"<a>&;</a>",
    b"<a>&#;</a>",
    b"<a>&#x;</a>",
    b"<a>&lt</a>",
    b"<a>&#-1;</a>",
    b"<a>&#+1;</a>",
    b"<a>&#X41;</a>",
    b"<a>&#xg;</a>",
    b"<a>&#4294967297;</a>",
    b"<a>&#0;</a>",
    b"<a>&#1;</a>",
    b"<a>&#x1F;</a>",
    b"<a>&#xD800;</a>",
    b"<a>&#xDFFF;</a>",
    b"<a>&#xFFFE;</a>",
    b"<a>&#xFFFF;</a>",
    b"<a>&#x110000;</a>",
    b"<a b='&#0;'/>",
    b"<a>\0</a>",
    b"<a>\x01</a>",
    b"<a>\x1F</a>",
    b"<a>\x0B</a>",
    b"<a>\x0C</a>",
    b"<a b='\x01'/>",
    b"<a><![CDATA[\x01]]></a>",
    b"<a>\xEF\xBF\xBE</a>",
    b"<a>\xEF\xBF\xBF</a>",
    b"<a b='\xEF\xBF\xBF'/>",
    b"<a><![CDATA[\xEF\xBF\xBF]]></a>",
    b"<a>\x80</a>",
    b"<a>\xFF</a>",
    b"<a>\xC0\x80</a>",
    b"<a>\xC3</a>",
    b"<a>\xE2\x82</a>",
    b"<a>\xED\xA0\x80</a>",
    b"<a>\xF4\x90\x80\x80</a>",
    b"<a>\xC1\xBC</a>",
    b"<a b='\xFF'/>",
    b"<a\xFF/>",
    b"<a>]]></a>",
    b"<a>x]]>y</a>",
    b"<a><![CDATA[</a>",
    b"<a><![CDATA[]]</a>",
    b"<p:a/>",
    b"<a p:b=''/>",
    b"<p:a xmlns:p=''/>",
    b"<a><p:b xmlns:p='u'/><p:c/></a>",
    b"<a xmlns:xml='u'/>",
    b"<a xmlns:p='http://www.w3.org/XML/1998/namespace'/>",
    b"<a xmlns='http://www.w3.org/XML/1998/namespace'/>",
    b"<a xmlns:xmlns='u'/>",
    b"<a xmlns:p='http://www.w3.org/2000/xmlns/'/>",
    b"<a xmlns='http://www.w3.org/2000/xmlns/'/>",
    b"<xmlns:a/>",
    b"<a xmlns='u' xmlns='v'/>",
    b"<a xmlns:p='u' xmlns:p='u'/>",
    b"<a xmlns:p='u' xmlns:q='u' p:b='' q:b=''/>",
    b"<a xmlns:p='u&amp;' xmlns:q='u&#38;' p:b='' q:b=''/>",
    b"<a xmlns:p='u' xmlns:q='v' p:b='1' p:b='2'/>",
    b"<a xmlns:='u'/>",
    b"<p:a xmlns:p='u'></q:a>",
    b"<p:a xmlns:p='u' xmlns:q='u'></q:a>",
];

#[test]
fn not_well_formed() {
    for xml in NOT_WELL_FORMED {
        let result = parse(xml);
        assert!(
            matches!(result, Err(XmlError::NotWellFormed(_))),
            "{}: {result:?}",
            xml.escape_ascii()
        );
        let mut bytes = HEADER.as_bytes().to_vec();
        bytes.extend_from_slice(xml);
        drop(stream(bytes));
    }
}

#[test]
fn restricted() {
    for xml in [
        "<a><!-- x --></a>",
        "<!-- x --><a/>",
        "<a><?x?></a>",
        "<?x?><a/>",
        "<!DOCTYPE a><a/>",
        "<a><!DOCTYPE a></a>",
        "<a>&foo;</a>",
        "<a b='&foo;'/>",
        "<a><![INCLUDE[x]]></a>",
        "<a><?xml version='1.0'?></a>",
        "<!DOCTYPE a SYSTEM 'file:///etc/passwd'><a>&x;</a>",
    ] {
        let result = parse(xml);
        assert!(
            matches!(result, Err(XmlError::Restricted(_))),
            "{xml}: {result:?}"
        );
        let result = stream(format!("{HEADER}{xml}"));
        assert!(
            matches!(result, Err(XmlError::Restricted(_))),
            "{xml}: {result:?}"
        );
    }
}

#[test]
fn streams() {
    let open = "open <stream:stream to='a' xmlns='jabber:client' \
                xmlns:stream='http://etherx.jabber.org/streams'>";
    assert_eq!(
        stream(format!("{HEADER} \n<a/>\t<b>x</b ></stream:stream > ")).unwrap(),
        [open, "<a/>", "<b>x</b >", "close"]
    );
    assert_eq!(stream(" \r\n<a/>").unwrap(), ["open <a/>", "close"]);
    assert_eq!(stream("<a:b xmlns:a='u'></a:b>").unwrap().len(), 2);
    for declaration in [
        "<?xml version='1.0'?>",
        "<?xml version=\"1.0\" ?> ",
        "<?xml\tversion = '1.0' encoding='UTF-8'?>\n",
        "<?xml version='1.0' encoding='utf-8' standalone='yes'?>",
        "<?xml version='1.0' standalone='no'?>",
    ] {
        assert_eq!(
            stream(format!("{declaration}<a>")).unwrap(),
            ["open <a>"],
            "{declaration}"
        );
    }
}

#[test]
fn streams_refused() {
    use XmlError::{BadFormat, Encoding, Limit, NotWellFormed, Restricted};
    let kind = |error| match error {
        NotWellFormed(_) => NotWellFormed(""),
        Restricted(_) => Restricted(""),
        Limit(_) => Limit(""),
        BadFormat(_) => BadFormat(""),
        Encoding => Encoding,
    };
    let long = format!("<?xml version='1.0' {}?>", " ".repeat(300));
    for (xml, expected) in [
        ("<?xml version='1.0' encoding='UTF-16'?>", Encoding),
        ("<?xml version='1.0' encoding='ISO-8859-1'?>", Encoding),
        ("<?xml version='1.0' encoding='8'?>", NotWellFormed("")),
        ("<?xml version='1.1'?>", NotWellFormed("")),
        ("<?xml encoding='UTF-8'?>", NotWellFormed("")),
        ("<?xml version='1.0'encoding='UTF-8'?>", NotWellFormed("")),
        (
            "<?xml version='1.0' standalone='maybe'?>",
            NotWellFormed(""),
        ),
        ("<?xml version='1.0' x='y'?>", NotWellFormed("")),
        ("<?xml version=1.0?>", NotWellFormed("")),
        ("<?xml>", Restricted("")),
        ("<?xml?>", Restricted("")),
        ("<?xml version='1.0'><a>", NotWellFormed("")),
        (&long, Limit("")),
        (" <?xml version='1.0'?>", Restricted("")),
        ("<?xmlx?>", Restricted("")),
        ("<?x?>", Restricted("")),
        ("<!DOCTYPE a>", Restricted("")),
        ("\u{FEFF}<a>", NotWellFormed("")),
        ("GET / HTTP/1.1", NotWellFormed("")),
        ("</a>", NotWellFormed("")),
        ("<a>x<b/>", BadFormat("")),
        ("<a>&lt;", BadFormat("")),
        ("<a><![CDATA[x", BadFormat("")),
        ("<a><![x", Restricted("")),
        ("<a><!--", Restricted("")),
        ("<a></b>", NotWellFormed("")),
        ("<a></ab>", NotWellFormed("")),
        ("<p:a xmlns:p='u'></a>", NotWellFormed("")),
        ("<a></a><b/>", NotWellFormed("")),
        ("<a/>x", NotWellFormed("")),
        ("<a><?xml version='1.0'?>", Restricted("")),
        ("<a><p:b/>", NotWellFormed("")),
    ] {
        assert_eq!(stream(xml).map_err(kind), Err(expected), "{xml}");
    }
}

#[test]
fn bytes_after_a_frame_are_left_alone() {
    let mut framer = Framer::new(Limits::C2S);
    let mut buffer = BytesMut::from(format!("{HEADER}<starttls/>").as_bytes());
    buffer.extend_from_slice(b"\x16\x03\x01\xFF");
    assert!(matches!(framer.next(&mut buffer), Ok(Some(Frame::Open(_)))));
    assert!(matches!(
        framer.next(&mut buffer),
        Ok(Some(Frame::Element(_)))
    ));
    assert_eq!(&buffer[..], b"\x16\x03\x01\xFF");
    buffer.clear();
    framer.restart();
    buffer.extend_from_slice(b"<a><b/></c>");
    assert!(matches!(framer.next(&mut buffer), Ok(Some(Frame::Open(_)))));
    assert!(matches!(
        framer.next(&mut buffer),
        Ok(Some(Frame::Element(_)))
    ));
    let error = framer.next(&mut buffer).unwrap_err();
    buffer.clear();
    assert_eq!(framer.next(&mut buffer).unwrap_err(), error);
}

/// The limit that is passed, the bytes fed until then, and that the element was never complete.
fn refused_after(limits: Limits, start: &str, endless: &str) -> (XmlError, usize) {
    let mut framer = Framer::new(limits);
    let mut buffer = BytesMut::from("<stream>");
    framer.next(&mut buffer).unwrap();
    let mut fed = 0;
    for byte in start.bytes().chain(endless.bytes().cycle()) {
        buffer.extend_from_slice(&[byte]);
        fed += 1;
        match framer.next(&mut buffer) {
            Ok(None) => assert!(fed < 100_000),
            Ok(Some(frame)) => panic!("{frame:?}"),
            Err(error) => return (error, fed),
        }
    }
    unreachable!("the input is endless")
}

#[test]
fn limits_hold_while_tokenising() {
    let limits = Limits {
        bytes_max: 1000,
        depth_max: 10,
        nodes_max: 20,
        attributes_max: 5,
        name_bytes_max: 50,
    };
    let limit = XmlError::Limit;
    for (start, endless, error, fed) in [
        ("<a>", "x", limit("bytes of one element"), 1001),
        ("<a b='", "x", limit("bytes of one element"), 1001),
        ("<a b", " ", limit("bytes of one element"), 1001),
        ("<a><![CDATA[", "x", limit("bytes of one element"), 1001),
        ("<", "x", limit("bytes of a name"), 52),
        ("<a ", "ä", limit("bytes of a name"), 3 + 52),
        ("<", "<", XmlError::NotWellFormed("character in a name"), 2),
        ("<a>", "<a>", limit("nesting depth"), 33),
        (
            "<a>",
            "<a/>",
            limit("elements and runs of text"),
            3 + 19 * 4 + 3,
        ),
        (
            "<a>",
            "x<a/>",
            limit("elements and runs of text"),
            3 + 9 * 5 + 1 + 3,
        ),
        ("<a>&#", "0", limit("bytes of a reference"), 3 + 33),
        ("</stream", " ", limit("bytes of one element"), 1001),
    ] {
        assert_eq!(
            refused_after(limits, start, endless),
            (error, fed),
            "{start}"
        );
    }
    let attributes = "<a a='' b='' c='' d='' e='' f='";
    assert_eq!(
        refused_after(limits, attributes, "'"),
        (limit("attributes of one element"), attributes.len() + 1)
    );
    let name = |len| format!("<stream><{}/>", "x".repeat(len));
    assert!(frames(&[name(50).as_bytes()], limits).is_ok());
    assert!(frames(&[name(51).as_bytes()], limits).is_err());
    let whole = |len: usize| format!("<stream><a>{}</a>", "x".repeat(len - 7));
    assert!(frames(&[whole(1000).as_bytes()], limits).is_ok());
    assert!(frames(&[whole(1001).as_bytes()], limits).is_err());
}

#[test]
fn white_space_between_elements_is_not_kept() {
    let mut framer = Framer::new(Limits::PRE_AUTH);
    let mut buffer = BytesMut::from("<stream>");
    framer.next(&mut buffer).unwrap();
    for _ in 0..100 {
        buffer.extend_from_slice(&[b' '; 1000]);
        assert!(framer.next(&mut buffer).unwrap().is_none());
        assert!(buffer.is_empty());
    }
}

#[test]
fn deep_trees_need_no_stack() {
    const DEPTH: usize = 1_000_000;
    let open = "<a>".repeat(DEPTH);
    let refused = parse(open.as_bytes()).unwrap_err();
    assert_eq!(refused, XmlError::Limit("nesting depth"));
    let refused = stream(format!("{HEADER}{}", &open[..30_000])).unwrap_err();
    assert_eq!(refused, XmlError::Limit("nesting depth"));

    // With the limit out of the way, nothing that is done with a tree recurses either.
    let unlimited = Limits {
        bytes_max: usize::MAX,
        depth_max: usize::MAX,
        nodes_max: usize::MAX,
        ..Limits::C2S
    };
    let mut xml = open.into_bytes();
    xml.extend_from_slice("</a>".repeat(DEPTH).as_bytes());
    let tree = Tree::parse(Bytes::from(xml), "u", &unlimited).unwrap();
    let again = tree.root().standalone("v");
    assert_eq!(again.len(), tree.bytes().len() + " xmlns='u'".len() - 3);
    drop(tree.clone());
    drop(tree);
}

#[test]
fn hostile_counts_cost_little() {
    // 256 attributes an element, each looked up among 255 declarations, again and again.
    let joined = |pieces: Vec<String>| pieces.concat();
    let declarations = joined((0..255).map(|n| format!(" xmlns:p{n}='u{n}'")).collect());
    let attributes = joined(
        (0..256)
            .map(|n| format!(" p{}:a{}=''", n % 255, n / 255))
            .collect(),
    );
    let element = format!("<b{attributes}/>");
    let xml = format!("<a{declarations}>{}</a>", element.repeat(100));
    let tree = Tree::parse(Bytes::from(xml), "", &Limits::S2S).unwrap();
    assert_eq!(tree.root().children().count(), 100);

    let nested = format!("<a{declarations}><b xmlns:q='u'><c xmlns:r='u'/></b></a>");
    let refused = parse(nested).unwrap_err();
    assert_eq!(refused, XmlError::Limit("namespace declarations in scope"));
}

#[test]
fn an_index_is_no_larger_than_seven_times_its_bytes() {
    for piece in [
        "<a/>",
        "x<a/>",
        "<a b=''/>",
        "<a xmlns=''/>",
        "<a b='' c='' d=''/>",
        "<a>x</a>",
    ] {
        let limits = Limits {
            nodes_max: 100_000,
            ..Limits::C2S
        };
        let xml = format!("<a>{}</a>", piece.repeat(10_000));
        let tree = Tree::parse(Bytes::from(xml), "", &limits).unwrap();
        let (index, bytes) = (tree.index_bytes(), tree.bytes().len());
        assert!(index <= 7 * bytes, "{piece}: {index} for {bytes}");
    }
}

#[test]
fn names_and_values() {
    let xml = "<a xmlns='u' xmlns:p='v&amp;w' b=' 1\t2\r\n3\r4&#10;&#xD;&quot;' p:b=\"'\" xml:lang='de'>\
               <p:b/><b xmlns=''/></a>";
    let tree = parse(xml).unwrap();
    let root = tree.root();
    assert!(root.is_root() && root.is("a", "u") && !root.is("a", ""));
    assert_eq!(root.attr("b").unwrap(), " 1 2 3 4\n\r\"");
    assert_eq!(root.attr_ns("b", "v&w").unwrap(), "'");
    assert_eq!(root.attr_ns("b", "").unwrap(), root.attr("b").unwrap());
    assert_eq!(root.lang().unwrap(), "de");
    assert_eq!(
        (root.attr("lang"), root.attr("xmlns"), root.attr("p:b")),
        (None, None, None)
    );
    let names: Vec<_> = root
        .attrs()
        .map(|attribute| (attribute.ns, attribute.name))
        .collect();
    assert_eq!(names, [("", "b"), ("v&w", "b"), (ns::XML, "lang")]);
    let children: Vec<_> = root
        .children()
        .map(|child| (child.ns(), child.name()))
        .collect();
    assert_eq!(children, [("v&w", "b"), ("", "b")]);
    assert_eq!(
        root.child("b", "").unwrap(),
        root.children().nth(1).unwrap()
    );
    assert_ne!(root, parse(xml).unwrap().root());
    assert_eq!(parse("<a/>").unwrap().root().ns(), ns::CLIENT);
}

#[test]
fn text_and_nodes() {
    let tree =
        parse("<a>1\r\n2\r<b>x</b><![CDATA[<&]]]]>&#13;&gt;<c/><![CDATA[\r\n]]></a>").unwrap();
    let root = tree.root();
    assert_eq!(root.text(), "1\n2\n<&]]\r>\n");
    let shape: Vec<_> = root
        .nodes()
        .map(|node| match node {
            Node::Element(element) => element.name().to_owned(),
            Node::Text(raw) => format!("={}", unescape_text(raw)),
        })
        .collect();
    assert_eq!(shape, ["=1\n2\n", "b", "=<&]]\r>", "c", "=\n"]);
    assert!(matches!(
        parse("<a>x</a>").unwrap().root().text(),
        std::borrow::Cow::Borrowed("x")
    ));
}

#[test]
fn standalone_and_inner() {
    let header = "<stream xmlns='jabber:client' xmlns:p='v'>";
    let xml = "<m><q xmlns='u' p:a='1'><i><p:j/></i><k xmlns='w'/></q><body>x</body></m>";
    let mut buffer = BytesMut::from(format!("{header}{xml}").as_bytes());
    let mut framer = Framer::new(Limits::C2S);
    assert!(matches!(framer.next(&mut buffer), Ok(Some(Frame::Open(_)))));
    let Ok(Some(Frame::Element(tree))) = framer.next(&mut buffer) else {
        panic!()
    };
    assert!(!tree.is_self_contained());
    let query = tree.root().child("q", "u").unwrap();
    let body = tree.root().child("body", ns::CLIENT).unwrap();
    let shared = |bytes: &Bytes| tree.bytes().as_ptr_range().contains(&bytes.as_ptr());
    for (bytes, expected, is_shared) in [
        (body.standalone(ns::CLIENT), "<body>x</body>", true),
        (
            body.standalone(""),
            "<body xmlns='jabber:client'>x</body>",
            false,
        ),
        (
            query.standalone(ns::CLIENT),
            "<q xmlns='u' xmlns:a0='v' a0:a='1'><i><j xmlns='v'/></i><k xmlns='w'/></q>",
            false,
        ),
        (
            query.inner("u"),
            "<i><j xmlns='v'/></i><k xmlns='w'/>",
            false,
        ),
        (
            query.children().nth(1).unwrap().standalone(""),
            "<k xmlns='w'/>",
            true,
        ),
        (body.inner(""), "x", true),
    ] {
        assert_eq!(bytes, expected);
        assert_eq!(shared(&bytes), is_shared, "{expected}");
    }
}

#[test]
fn writer() {
    let mut writer = Writer::new(ns::CLIENT);
    writer
        .start("iq")
        .attr("id", "<'\"\t>")
        .attr_opt("to", None);
    writer
        .start_ns("query", "u'&")
        .leaf("item", "<&>\r\u{1}\u{FFFF}ä");
    assert_eq!(writer.scope(), "u'&");
    writer.start_ns("query", "u'&").raw(b"<x/>").end();
    writer.empty("none", "").end();
    assert_eq!(writer.scope(), ns::CLIENT);
    writer.empty("c", ns::CLIENT).start_ns("open", "v");
    assert_eq!(
        writer.finish(),
        "<iq id='&lt;&apos;\"&#9;>'><query xmlns='u&apos;&amp;'><item>&lt;&amp;&gt;&#13;\u{FFFD}\u{FFFD}ä\
         </item><query><x/></query><none xmlns=''/></query><c/><open xmlns='v'/></iq>"
    );
}

proptest::proptest! {
    #[test]
    fn any_text_survives(text in "\\PC*", value in ".*") {
        let mut writer = Writer::new("");
        writer.start("a").attr("b", &value).text(&text);
        let tree = Tree::parse(writer.finish(), "", &Limits::C2S).unwrap();
        let allowed = |text: &str| text.replace(|c| !chars::is_char(c), "\u{FFFD}");
        proptest::prop_assert_eq!(tree.root().text(), allowed(&text));
        proptest::prop_assert_eq!(tree.root().attr("b").unwrap(), allowed(&value));
    }

    #[test]
    fn any_cut_gives_the_same_frames(
        pieces in proptest::collection::vec(proptest::sample::select(&[
            "<a>", "</a>", "<b/>", "<p:c xmlns:p='u'/>", "x", "&lt;", "&#x41;", " ", "<d e='", "'>", "</d>",
            "ä", "<![CDATA[", "]]>", "</stream:stream>", "<", ">", "\r\n", " f=\"1\"",
        ][..]), 0..40),
        cuts in proptest::collection::vec(1_usize..20, 1..20),
    ) {
        let bytes = format!("{HEADER}{}", pieces.concat()).into_bytes();
        let mut rest = &bytes[..];
        let mut chunks = Vec::new();
        for cut in cuts.iter().cycle() {
            let (chunk, after) = rest.split_at((*cut).min(rest.len()));
            chunks.push(chunk);
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        proptest::prop_assert_eq!(frames(&chunks, Limits::C2S), stream(&bytes));
    }
}
