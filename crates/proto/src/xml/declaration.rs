//! The XML declaration (XML 1.0 § 2.8).

use super::XmlError;
use super::chars::{is_space, space_run};

/// Bytes of one declaration.
const BYTES_MAX: usize = 256;
const MALFORMED: XmlError = XmlError::NotWellFormed("XML declaration");

/// Reads the declaration that a stream may begin with. Gives its length, 0 if there is none, or
/// `None` if more bytes are needed to know.
pub(super) fn read(bytes: &[u8]) -> Result<Option<usize>, XmlError> {
    const START: &[u8] = b"<?xml";
    let common = bytes.len().min(START.len());
    if bytes.get(..common) != START.get(..common) {
        return Ok(Some(0));
    }
    let Some(after) = bytes.get(START.len()) else {
        return Ok(None);
    };
    if !is_space(*after) {
        return Err(XmlError::Restricted("processing instruction"));
    }
    let window = bytes.get(..BYTES_MAX).unwrap_or(bytes);
    // Looked through again when more comes, which the bound keeps cheap.
    match memchr::memchr(b'>', window) {
        Some(end) => {
            let inside = window
                .get(START.len()..end)
                .and_then(|inside| inside.strip_suffix(b"?"));
            check(inside.ok_or(MALFORMED)?)?;
            Ok(Some(end + 1))
        }
        None if bytes.len() >= BYTES_MAX => Err(XmlError::Limit("bytes of the XML declaration")),
        None => Ok(None),
    }
}

/// Checks what stands between `<?xml` and `?>`.
fn check(inside: &[u8]) -> Result<(), XmlError> {
    let mut rest = inside;
    let version = attribute(&mut rest, b"version")?.ok_or(MALFORMED)?;
    if version != b"1.0" {
        return Err(XmlError::NotWellFormed("XML version"));
    }
    if let Some(encoding) = attribute(&mut rest, b"encoding")? {
        let first = encoding.first().is_some_and(u8::is_ascii_alphabetic);
        let name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        if !first || !encoding.iter().all(name) {
            return Err(MALFORMED);
        }
        if !encoding.eq_ignore_ascii_case(b"utf-8") {
            return Err(XmlError::Encoding);
        }
    }
    if let Some(standalone) = attribute(&mut rest, b"standalone")?
        && !matches!(standalone, b"yes" | b"no")
    {
        return Err(MALFORMED);
    }
    if space_run(rest) < rest.len() {
        Err(MALFORMED)
    } else {
        Ok(())
    }
}

/// Takes ` name = 'value'` off the front, if it is there.
fn attribute<'a>(rest: &mut &'a [u8], name: &[u8]) -> Result<Option<&'a [u8]>, XmlError> {
    let space = space_run(rest);
    let Some(after) = rest.get(space..).and_then(|rest| rest.strip_prefix(name)) else {
        return Ok(None);
    };
    if space == 0 {
        return Err(MALFORMED);
    }
    let after = skip_space(after).strip_prefix(b"=").ok_or(MALFORMED)?;
    let (&quote, value) = skip_space(after).split_first().ok_or(MALFORMED)?;
    let len = memchr::memchr(quote, value).filter(|_| matches!(quote, b'\'' | b'"'));
    let len = len.ok_or(MALFORMED)?;
    *rest = value.get(len + 1..).unwrap_or_default();
    Ok(value.get(..len))
}

fn skip_space(bytes: &[u8]) -> &[u8] {
    bytes.get(space_run(bytes)..).unwrap_or_default()
}
