//! References, CDATA and line ends: what characters a run of bytes stands for, and back.

use super::chars;
use super::error::XmlError;
use std::borrow::Cow;

/// The character that a reference (without `&` and `;`) stands for.
pub(super) fn reference(name: &[u8]) -> Result<char, XmlError> {
    let Some(number) = name.strip_prefix(b"#") else {
        return match name {
            b"lt" => Ok('<'),
            b"gt" => Ok('>'),
            b"amp" => Ok('&'),
            b"apos" => Ok('\''),
            b"quot" => Ok('"'),
            b"" => Err(XmlError::NotWellFormed("empty reference")),
            _ => Err(XmlError::Restricted("entity reference")),
        };
    };
    let (digits, radix) = match number.strip_prefix(b"x") {
        Some(digits) => (digits, 16),
        None => (number, 10),
    };
    let valid = !digits.is_empty()
        && digits
            .iter()
            .all(|&digit| char::from(digit).is_digit(radix));
    let digits = std::str::from_utf8(digits).ok().filter(|_| valid);
    let digits = digits.ok_or(XmlError::NotWellFormed("character reference"))?;
    u32::from_str_radix(digits, radix)
        .ok()
        .and_then(char::from_u32)
        .filter(|&c| chars::is_char(c))
        .ok_or(XmlError::NotWellFormed(
            "reference to a character that XML forbids",
        ))
}

/// What character data as on the wire (between two tags) stands for: references and CDATA
/// sections replaced, line ends normalised (XML 1.0 § 2.11).
pub fn unescape_text(raw: &str) -> Cow<'_, str> {
    if memchr::memchr3(b'&', b'\r', b'<', raw.as_bytes()).is_none() {
        return Cow::Borrowed(raw);
    }
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = memchr::memchr3(b'&', b'\r', b'<', rest.as_bytes()) {
        let (plain, special) = rest.split_at(at);
        out.push_str(plain);
        rest = if let Some(section) = special.strip_prefix("<![CDATA[") {
            let (inside, after) = section.split_once("]]>").unwrap_or((section, ""));
            push_lines(&mut out, inside);
            after
        } else if let Some(after) = special.strip_prefix('&') {
            push_reference(&mut out, after)
        } else {
            out.push('\n');
            special
                .strip_prefix("\r\n")
                .unwrap_or_else(|| special.get(1..).unwrap_or_default())
        };
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// What an attribute's value as on the wire stands for: references replaced, white space
/// normalised as for CDATA attributes (XML 1.0 § 2.11, § 3.3.3).
pub(super) fn unescape_value(raw: &str) -> Cow<'_, str> {
    let special = |byte: &u8| matches!(byte, b'&' | b'\t' | b'\n' | b'\r');
    if !raw.as_bytes().iter().any(special) {
        return Cow::Borrowed(raw);
    }
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.as_bytes().iter().position(special) {
        let (plain, special) = rest.split_at(at);
        out.push_str(plain);
        rest = if let Some(after) = special.strip_prefix('&') {
            push_reference(&mut out, after)
        } else {
            out.push(' ');
            special
                .strip_prefix("\r\n")
                .unwrap_or_else(|| special.get(1..).unwrap_or_default())
        };
    }
    out.push_str(rest);
    Cow::Owned(out)
}

fn push_reference<'a>(out: &mut String, after: &'a str) -> &'a str {
    let (name, rest) = after.split_once(';').unwrap_or((after, ""));
    out.push(reference(name.as_bytes()).unwrap_or('\u{FFFD}'));
    rest
}

fn push_lines(out: &mut String, text: &str) {
    let mut rest = text;
    while let Some((line, after)) = rest.split_once('\r') {
        out.push_str(line);
        out.push('\n');
        rest = after.strip_prefix('\n').unwrap_or(after);
    }
    out.push_str(rest);
}

/// Appends character data.
pub(crate) fn push_text(out: &mut Vec<u8>, text: &str) {
    push_escaped(out, text, |byte| match byte {
        b'&' => Some(b"&amp;"),
        b'<' => Some(b"&lt;"),
        b'>' => Some(b"&gt;"),
        b'\r' => Some(b"&#13;"),
        _ => None,
    });
}

/// Appends an attribute's value, to stand in single quotes.
pub(crate) fn push_value(out: &mut Vec<u8>, text: &str) {
    push_escaped(out, text, |byte| match byte {
        b'&' => Some(b"&amp;"),
        b'<' => Some(b"&lt;"),
        b'\'' => Some(b"&apos;"),
        b'\t' => Some(b"&#9;"),
        b'\n' => Some(b"&#10;"),
        b'\r' => Some(b"&#13;"),
        _ => None,
    });
}

fn push_escaped(out: &mut Vec<u8>, text: &str, escape: fn(u8) -> Option<&'static [u8]>) {
    let replacement = |rest: &[u8]| -> Option<(&'static [u8], usize)> {
        let byte = *rest.first()?;
        match byte {
            0..0x20 if !matches!(byte, b'\t' | b'\n' | b'\r') => Some(("\u{FFFD}".as_bytes(), 1)),
            0xEF if rest.starts_with(b"\xEF\xBF\xBE") || rest.starts_with(b"\xEF\xBF\xBF") => {
                Some(("\u{FFFD}".as_bytes(), 3))
            }
            _ => escape(byte).map(|bytes| (bytes, 1)),
        }
    };
    let bytes = text.as_bytes();
    let mut written = 0;
    let mut at = 0;
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        if let Some((bytes_for, width)) = replacement(rest) {
            out.extend_from_slice(bytes.get(written..at).unwrap_or_default());
            out.extend_from_slice(bytes_for);
            at += width;
            written = at;
        } else {
            at += 1;
        }
    }
    out.extend_from_slice(bytes.get(written..).unwrap_or_default());
}
