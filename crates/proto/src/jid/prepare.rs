//! Preparation and enforcement of the parts (RFC 7622 § 3.2 to § 3.4).

use super::{JidError, PART_BYTES_MAX};
use crate::precis;
use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};
use std::borrow::Cow;
use std::net::Ipv6Addr;

/// Octets of each part, at most, before preparation. Preparation shortens to a third at most for
/// what people type (full-width letters); the bound keeps it cheap.
const RAW_PART_BYTES_MAX: usize = 3 * PART_BYTES_MAX;

/// Prepares a localpart (RFC 7622 § 3.3).
pub fn prepare_local(local: &str) -> Result<Cow<'_, str>, JidError> {
    check_length(local, RAW_PART_BYTES_MAX)?;
    let prepared = precis::username(local).map_err(|precis::Disallowed| JidError::Localpart)?;
    if prepared.bytes().any(excluded_from_local) {
        return Err(JidError::Localpart);
    }
    check_length(&prepared, PART_BYTES_MAX)?;
    Ok(prepared)
}

/// Prepares a resourcepart (RFC 7622 § 3.4).
pub fn prepare_resource(resource: &str) -> Result<Cow<'_, str>, JidError> {
    check_length(resource, RAW_PART_BYTES_MAX)?;
    let prepared = precis::opaque(resource).map_err(|precis::Disallowed| JidError::Resourcepart)?;
    check_length(&prepared, PART_BYTES_MAX)?;
    Ok(prepared)
}

/// Prepares a domainpart (RFC 7622 § 3.2): a DNS name with U-labels in lower case, or an IP
/// address literal. A final dot is removed.
pub fn prepare_domain(domain: &str) -> Result<Cow<'_, str>, JidError> {
    check_length(domain, PART_BYTES_MAX)?;
    if let Some(literal) = domain.strip_prefix('[') {
        let address: Ipv6Addr = literal
            .strip_suffix(']')
            .and_then(|literal| literal.parse().ok())
            .ok_or(JidError::Domainpart)?;
        return Ok(Cow::Owned(format!("[{address}]")));
    }
    // The dots of UTS 46, which separate labels too.
    let domain = domain
        .strip_suffix(['.', '\u{3002}', '\u{ff0e}', '\u{ff61}'])
        .unwrap_or(domain);
    if is_plain_name(domain) {
        return Ok(if domain.bytes().any(|byte| byte.is_ascii_uppercase()) {
            Cow::Owned(domain.to_ascii_lowercase())
        } else {
            Cow::Borrowed(domain)
        });
    }
    if domain.is_empty() {
        return Err(JidError::Empty);
    }
    prepare_international(domain).map(Cow::Owned)
}

/// What two localparts that look alike have in common (UTS 39 § 4, the skeleton): registration
/// refuses a localpart whose skeleton another account has. Takes a prepared localpart. The result
/// is only good for comparison; ASCII lookalikes (`l` and `1`, `m` and `rn`) share one as well.
pub fn skeleton(local: &str) -> String {
    unicode_security::skeleton(local).collect()
}

fn check_length(part: &str, bytes_max: usize) -> Result<(), JidError> {
    match part.len() {
        0 => Err(JidError::Empty),
        bytes if bytes > bytes_max => Err(JidError::TooLong),
        _ => Ok(()),
    }
}

/// RFC 7622 § 3.3.1.
fn excluded_from_local(byte: u8) -> bool {
    matches!(byte, b'"' | b'&' | b'\'' | b'/' | b':' | b'<' | b'>' | b'@')
}

/// Whether preparation does no more than lower the case.
pub(super) fn is_plain_local(local: &str) -> bool {
    (1..=PART_BYTES_MAX).contains(&local.len())
        && local
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !excluded_from_local(byte))
}

/// Whether preparation changes nothing.
pub(super) fn is_plain_resource(resource: &str) -> bool {
    (1..=PART_BYTES_MAX).contains(&resource.len())
        && resource.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

/// Whether this is a DNS name of NR-LDH labels (RFC 5890 § 2.3.1), which an IPv4 address is as
/// well, without a final dot; preparation does no more than lower the case.
pub(super) fn is_plain_name(domain: &str) -> bool {
    (1..=253).contains(&domain.len())
        && domain.split('.').all(|label| {
            let label = label.as_bytes();
            (1..=63).contains(&label.len())
                && label
                    .iter()
                    .all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
                && label.first() != Some(&b'-')
                && label.last() != Some(&b'-')
                && label.get(2..4) != Some(b"--")
        })
}

/// A name with A-labels or U-labels. UTS 46 maps and checks it; what it allows beyond IDNA2008
/// (symbols, chiefly) is refused, because a domainpart consists of U-labels (RFC 7622 § 3.2).
fn prepare_international(domain: &str) -> Result<String, JidError> {
    let uts46 = Uts46::new();
    let ascii = uts46
        .to_ascii(
            domain.as_bytes(),
            AsciiDenyList::STD3,
            Hyphens::Check,
            DnsLength::Verify,
        )
        .map_err(|_| JidError::Domainpart)?;
    let (unicode, outcome) =
        uts46.to_unicode(ascii.as_bytes(), AsciiDenyList::STD3, Hyphens::Check);
    outcome.map_err(|_| JidError::Domainpart)?;
    for label in unicode.split('.') {
        precis::identifier_class(label).map_err(|precis::Disallowed| JidError::Domainpart)?;
    }
    check_length(&unicode, PART_BYTES_MAX)?;
    Ok(unicode.into_owned())
}
