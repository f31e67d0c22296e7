//! The elements of SASL as RFC 6120 § 6.4 wraps it.

use super::auth::Input;
use crate::ns;
use crate::sasl::{self, Failure};
use crate::xml::{Element, Writer};
use bytes::Bytes;
use std::borrow::Cow;

/// What an element of SASL's namespace says.
pub(super) fn read(root: Element<'_>) -> Input<'_> {
    match root.name() {
        "abort" => Input::Abort,
        "auth" => Input::Start {
            mechanism: root.attr("mechanism"),
            initial: text(root).and_then(|text| sasl::decode_initial(&text)),
            wishes: None,
        },
        "response" => Input::Response(text(root).and_then(|text| sasl::decode(&text))),
        _ => Input::Other,
    }
}

/// `<challenge/>` (RFC 6120 § 6.4.3).
pub(super) fn challenge(data: &[u8]) -> Bytes {
    message("challenge", data)
}

/// `<success/>` (RFC 6120 § 6.4.6).
pub(super) fn success(data: Option<&[u8]>) -> Bytes {
    message("success", data.unwrap_or_default())
}

/// `<failure/>` (RFC 6120 § 6.4.5).
pub(super) fn failure(failure: Failure) -> Bytes {
    let mut xml = Writer::new(ns::CLIENT);
    xml.start_ns("failure", ns::SASL);
    xml.start(failure.name()).end();
    xml.start("text").attr("xml:lang", "en");
    xml.text(failure.text()).end();
    xml.finish()
}

fn message(name: &'static str, data: &[u8]) -> Bytes {
    let mut xml = Writer::new(ns::CLIENT);
    xml.start_ns(name, ns::SASL);
    xml.text(&sasl::encode(data));
    xml.finish()
}

/// The character data of `<auth/>` or `<response/>`, which have no children.
fn text(root: Element<'_>) -> Result<Cow<'_, str>, Failure> {
    match root.children().next() {
        None => Ok(root.text()),
        Some(_) => Err(Failure::MalformedRequest),
    }
}
