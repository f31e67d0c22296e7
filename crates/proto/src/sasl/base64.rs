//! How SASL messages stand in XML (RFC 6120 § 6.4).

use super::{Failure, MESSAGE_BYTES_MAX};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Decodes the content of `<response/>`: base64 with padding and without white space (RFC 4648
/// § 4); nothing and `=` both mean no octets. Anything else is `incorrect-encoding`; more than
/// [`MESSAGE_BYTES_MAX`] octets are `malformed-request`.
pub fn decode(text: &str) -> Result<Vec<u8>, Failure> {
    if text == "=" {
        return Ok(Vec::new());
    }
    let message = strict(text).ok_or(Failure::IncorrectEncoding)?;
    if message.len() > MESSAGE_BYTES_MAX {
        return Err(Failure::MalformedRequest);
    }
    Ok(message)
}

/// Decodes the content of `<auth/>`, where nothing means that there is no initial response and
/// `=` that there is one without octets (RFC 6120 § 6.4.2). Errors are those of [`decode`].
pub fn decode_initial(text: &str) -> Result<Option<Vec<u8>>, Failure> {
    if text.is_empty() {
        return Ok(None);
    }
    decode(text).map(Some)
}

/// Encodes the content of `<challenge/>` or `<success/>`.
pub fn encode(message: &[u8]) -> String {
    STANDARD.encode(message)
}

/// Base64 with padding and no octet more, the unused bits zero.
pub(super) fn strict(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strict_base64() {
        for (text, expected) in [
            ("", Ok(&b""[..])),
            ("=", Ok(b"")),
            ("AA==", Ok(b"\0")),
            ("biws", Ok(b"n,,")),
            ("AA", Err(Failure::IncorrectEncoding)),
            ("AA=", Err(Failure::IncorrectEncoding)),
            ("AB==", Err(Failure::IncorrectEncoding)),
            ("==", Err(Failure::IncorrectEncoding)),
            (" biws", Err(Failure::IncorrectEncoding)),
            ("bi\nws", Err(Failure::IncorrectEncoding)),
            ("bi-_", Err(Failure::IncorrectEncoding)),
            ("ä", Err(Failure::IncorrectEncoding)),
        ] {
            assert_eq!(
                decode(text).as_deref().map_err(|failure| *failure),
                expected,
                "{text:?}"
            );
        }
        assert_eq!(decode_initial(""), Ok(None));
        assert_eq!(decode_initial("="), Ok(Some(Vec::new())));
        let long = encode(&vec![0; MESSAGE_BYTES_MAX + 1]);
        assert_eq!(decode(&long), Err(Failure::MalformedRequest));
    }
}
