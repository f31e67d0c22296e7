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
    let mut frames = Vec::new();
    for chunk in chunks {
        buffer.extend_from_slice(chunk);
        while let Some(frame) = framer.next(&mut buffer)? {
            let text = |tree: Tree| String::from_utf8(tree.bytes().to_vec()).unwrap();
            frames.push(match frame {
                Frame::Open(tree) => format!("open {}", text(tree)),
                Frame::Element(tree) => text(tree),
                Frame::Close => "close".to_owned(),
            });
        }
    }
    Ok(frames)
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

#[test]
fn not_well_formed() {
    let cases: &[&[u8]] = &[
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
    for xml in cases {
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
