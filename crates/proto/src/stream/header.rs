//! Stream headers (RFC 6120 § 4.7, 4.8).

use super::settings::C2sSettings;
use super::{StreamCondition, StreamError};
use crate::xml::{Element, Tree, push_value};
use crate::{BareJid, ns};

/// Ends our stream (RFC 6120 § 4.4).
pub(super) const END_TAG: &[u8] = b"</stream:stream>";

/// The language of our texts, and of stanzas of a client that names none.
const LANG: &str = "en";

/// Bytes of a language tag; the longest that RFC 5646 § 4.4.1 asks to support.
const LANG_BYTES_MAX: usize = 35;

/// What an acceptable header of a client says.
#[derive(Debug)]
pub(super) struct Header {
    /// The domain addressed, one of ours.
    pub(super) host: String,
    /// Who the client says it is; only an echo for our header.
    pub(super) from: Option<BareJid>,
    /// The default language of what it sends.
    pub(super) lang: Option<String>,
}

/// How a client's header is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// `<stream:stream>` (RFC 6120 § 4.7).
    Stream,
    /// `<open/>` (RFC 7395 § 3.4).
    Open,
}

/// Judges a client's header. `current` is the host of the stream if this is a restart.
pub(super) fn judge(
    tree: &Tree,
    current: Option<&str>,
    settings: &C2sSettings,
    form: Form,
) -> Result<Header, StreamError> {
    let root = tree.root();
    let (name, namespace) = match form {
        Form::Stream => ("stream", ns::STREAM),
        Form::Open => ("open", ns::FRAMING),
    };
    if root.ns() != namespace {
        return Err(StreamCondition::InvalidNamespace.into());
    }
    if root.name() != name {
        return Err(StreamError::new(StreamCondition::BadFormat).text("the root must be a stream"));
    }
    // The content namespace is the default one or, the other way of RFC 6120 § 4.8.2, none.
    if form == Form::Stream
        && !matches!(
            tree.declared_default_ns(),
            None | Some(ns::CLIENT | ns::STREAM | "")
        )
    {
        return Err(StreamCondition::InvalidNamespace.into());
    }
    let host = host(root, settings)?;
    // A client that was authenticated for one domain must not become a client of another
    // (the fault of CVE-2018-10847).
    if current.is_some_and(|current| current != host) {
        return Err(StreamError::new(StreamCondition::PolicyViolation)
            .text("a stream cannot change its host"));
    }
    if !version_is_supported(root) {
        return Err(StreamCondition::UnsupportedVersion.into());
    }
    let from = root
        .attr("from")
        .and_then(|from| BareJid::parse(&from).ok())
        .filter(|from| from.local().is_some() && from.domain() == host);
    Ok(Header {
        host,
        from,
        lang: lang(root),
    })
}

/// Appends our header to `out`. `from` is missing only if we serve no domain at all.
pub(super) fn write(out: &mut Vec<u8>, id: &str, from: Option<&str>, to: Option<&str>) {
    out.extend_from_slice(b"<?xml version='1.0'?><stream:stream xmlns='");
    out.extend_from_slice(ns::CLIENT.as_bytes());
    out.extend_from_slice(b"' xmlns:stream='");
    out.extend_from_slice(ns::STREAM.as_bytes());
    out.extend_from_slice(b"'");
    attribute(out, "id", Some(id));
    attribute(out, "from", from);
    attribute(out, "to", to);
    attribute(out, "version", Some("1.0"));
    attribute(out, "xml:lang", Some(LANG));
    out.extend_from_slice(b">");
}

/// The domain that the header addresses.
fn host(root: Element<'_>, settings: &C2sSettings) -> Result<String, StreamError> {
    let improper = StreamError::new(StreamCondition::ImproperAddressing);
    let to = root
        .attr("to")
        .ok_or(improper.text("the header needs a 'to' that names the domain"))?;
    let to = BareJid::parse(&to).map_err(|_| improper)?;
    if to.local().is_some() {
        return Err(improper);
    }
    if !settings.hosts.contains_key(to.domain()) {
        return Err(StreamCondition::HostUnknown.into());
    }
    Ok(to.domain().to_owned())
}

/// Whether the client speaks XMPP 1.0 or later: the numbers before and after the dot are compared
/// as numbers, and a header without a version is of 0.9 (RFC 6120 § 4.7.5).
fn version_is_supported(root: Element<'_>) -> bool {
    let Some(version) = root.attr("version") else {
        return false;
    };
    let Some((major, minor)) = version.split_once('.') else {
        return false;
    };
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    is_number(major) && is_number(minor) && major.bytes().any(|digit| digit != b'0')
}

/// The header's `xml:lang`, if it can be a language tag: it is copied into stanzas.
fn lang(root: Element<'_>) -> Option<String> {
    let lang = root.attr_ns("lang", ns::XML)?;
    let is_tag = !lang.is_empty()
        && lang.len() <= LANG_BYTES_MAX
        && lang.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    is_tag.then(|| lang.into_owned())
}

/// Appends an attribute: a start tag without its end is more than `xml::Writer` writes.
pub(super) fn attribute(out: &mut Vec<u8>, name: &str, value: Option<&str>) {
    let Some(value) = value else { return };
    out.push(b' ');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"='");
    push_value(out, value);
    out.push(b'\'');
}
