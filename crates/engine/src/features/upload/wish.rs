//! What a client asks for (XEP-0363 § 4, § 5).

use waxwing_proto::{
    ns,
    stanza::{Condition, StanzaError},
    time,
    xml::Element,
};
use waxwing_store::{Lifetime, Micros};

/// Longest name of a file, in bytes: what file systems take.
const NAME_BYTES_MAX: usize = 255;
/// Longest name of a kind of file, in bytes (RFC 6838 § 4.2 has 127 for each half).
const MEDIA_TYPE_BYTES_MAX: usize = 255;

/// A request for a slot.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wish {
    /// The file's name, as the last segment of a path.
    pub(super) file: String,
    /// How long the file is.
    pub(super) bytes: u64,
    /// What kind of file it is, if the client says so.
    pub(super) media_type: Option<String>,
    /// How long it is to stay.
    pub(super) lifetime: Lifetime,
}

impl Wish {
    /// Reads `<request/>`.
    pub(super) fn read(request: Element<'_>, now: Micros) -> Result<Self, StanzaError> {
        let wrong = |text| Err(StanzaError::new(Condition::BadRequest).text(text));
        let name = request.attr("filename").unwrap_or_default();
        if name.is_empty() || name.len() > NAME_BYTES_MAX {
            return wrong("A file needs a name of at most 255 bytes.");
        }
        let bytes = request.attr("size").and_then(|size| size.parse().ok());
        let Some(bytes) = bytes.filter(|bytes| *bytes > 0) else {
            return wrong("A file needs a size in bytes.");
        };
        let Some(lifetime) = lifetime(request, now) else {
            return wrong("The time before which the file is to expire must be in the future.");
        };
        let media_type = request.attr("content-type");
        Ok(Self {
            file: segment(&name),
            bytes,
            media_type: media_type
                .filter(|name| is_media_type(name))
                .map(Into::into),
            lifetime,
        })
    }
}

/// How long a file with this purpose stays (§ 5); `None` if it would have ended already.
fn lifetime(request: Element<'_>, now: Micros) -> Option<Lifetime> {
    let mut purposes = request
        .children()
        .filter(|child| child.ns() == ns::UPLOAD_PURPOSE);
    purposes
        .find_map(|purpose| match purpose.name() {
            "message" => Some(Some(Lifetime::Usual)),
            "profile" | "permanent" => Some(Some(Lifetime::Forever)),
            "ephemeral" => {
                let until = purpose.attr("expire-before");
                let until = until.and_then(|until| time::parse_datetime(&until));
                Some(until.filter(|until| *until > now).map(Lifetime::Until))
            }
            _ => None,
        })
        .unwrap_or(Some(Lifetime::Usual))
}

/// A name as a segment of a path (RFC 3986 § 3.3), with everything escaped that is not unreserved.
fn segment(name: &str) -> String {
    use std::fmt::Write as _;
    let mut segment = String::with_capacity(name.len());
    if name.bytes().all(|byte| byte == b'.') {
        // `.` and `..` would be resolved away (RFC 3986 § 5.2.4).
        segment.push('_');
    }
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            segment.push(char::from(byte));
        } else {
            // Writing to a String does not fail.
            let _ = write!(segment, "%{byte:02X}");
        }
    }
    segment
}

/// Whether this names a kind of file (RFC 9110 § 8.3.1) and can be sent as it is.
pub(super) fn is_media_type(text: &str) -> bool {
    let essence = text.split(';').next().unwrap_or_default().trim();
    let is_token = |token: &str| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte);
        !token.is_empty() && token.bytes().all(fits)
    };
    let halves = essence.split_once('/');
    text.len() <= MEDIA_TYPE_BYTES_MAX
        && text.bytes().all(|byte| (b' '..0x7f).contains(&byte))
        && halves.is_some_and(|(kind, of)| is_token(kind) && is_token(of))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use expect_test::{Expect, expect};
    use waxwing_proto::xml::{Limits, Tree};

    const NOW: Micros = 1_790_000_000_000_000;

    #[expect(clippy::needless_pass_by_value, reason = "reads as a table")]
    fn check(attributes: &str, children: &str, want: Expect) {
        let xml =
            format!("<request xmlns='urn:xmpp:http:upload:0' {attributes}>{children}</request>");
        let tree = Tree::parse(Bytes::from(xml), ns::CLIENT, &Limits::C2S).unwrap();
        let got = match Wish::read(tree.root(), NOW) {
            Ok(wish) => {
                let media_type = wish.media_type.as_deref().unwrap_or("?");
                format!(
                    "{} {} {media_type} {:?}",
                    wish.file, wish.bytes, wish.lifetime
                )
            }
            Err(error) => format!("{:?} {}", error.condition, error.text.unwrap_or_default()),
        };
        want.assert_eq(&got);
    }

    #[test]
    fn names_and_sizes() {
        let check = |attributes: &str, want| check(attributes, "", want);
        // Example 5.
        check(
            "filename='très cool.jpg' size='23456' content-type='image/jpeg'",
            expect!["tr%C3%A8s%20cool.jpg 23456 image/jpeg Usual"],
        );
        check(
            "filename='../a/b?c#d' size='1'",
            expect!["..%2Fa%2Fb%3Fc%23d 1 ? Usual"],
        );
        check("filename='..' size='1'", expect!["_.. 1 ? Usual"]);
        let long = format!("filename='{}' size='1'", "x".repeat(256));
        check(
            &long,
            expect!["BadRequest A file needs a name of at most 255 bytes."],
        );
        check(
            "size='1'",
            expect!["BadRequest A file needs a name of at most 255 bytes."],
        );
        check(
            "filename='' size='1'",
            expect!["BadRequest A file needs a name of at most 255 bytes."],
        );
        check(
            "filename='a'",
            expect!["BadRequest A file needs a size in bytes."],
        );
        check(
            "filename='a' size='0'",
            expect!["BadRequest A file needs a size in bytes."],
        );
        check(
            "filename='a' size='-1'",
            expect!["BadRequest A file needs a size in bytes."],
        );
        check(
            "filename='a' size='99999999999999999999'",
            expect!["BadRequest A file needs a size in bytes."],
        );
        check(
            "filename='a' size='1' content-type='text/plain;charset=utf-8'",
            expect!["a 1 text/plain;charset=utf-8 Usual"],
        );
        check(
            "filename='a' size='1' content-type='nonsense'",
            expect!["a 1 ? Usual"],
        );
        check(
            "filename='a' size='1' content-type='a/b&#10;Set-Cookie: x'",
            expect!["a 1 ? Usual"],
        );
    }

    #[test]
    fn purposes() {
        let check = |purpose: &str, want| {
            let purpose = purpose.replace('>', " xmlns='urn:xmpp:http:upload:purpose:0'/>");
            check("filename='a' size='1'", &purpose, want);
        };
        check("<message>", expect!["a 1 ? Usual"]);
        check("<profile>", expect!["a 1 ? Forever"]);
        check("<permanent>", expect!["a 1 ? Forever"]);
        check("<unknown>", expect!["a 1 ? Usual"]);
        check(
            "<ephemeral expire-before='2026-11-22T23:08:25Z'>",
            expect!["a 1 ? Until(1795388905000000)"],
        );
        for wrong in [
            "<ephemeral>",
            "<ephemeral expire-before='2020-11-22T23:08:25Z'>",
            "<ephemeral expire-before='x'>",
        ] {
            check(
                wrong,
                expect![
                    "BadRequest The time before which the file is to expire must be in the future."
                ],
            );
        }
    }
}
