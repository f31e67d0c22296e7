//! The elements of stream management.

use crate::ns;
use crate::stanza::Condition;
use crate::xml::{self, Element, Writer};
use bytes::Bytes;

/// Bytes of a `previd`, at most: no id is longer (§ 5).
pub const PREVID_BYTES_MAX: usize = 4000;

/// An element of stream management.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Nonza {
    /// `<enable/>`, from the client (§ 3).
    Enable(Enable),
    /// `<enabled/>`, from the server (§ 3).
    Enabled(Enabled),
    /// `<resume/>`, from the client (§ 5).
    Resume(Resume),
    /// `<resumed/>`, from the server (§ 5).
    Resumed(Resume),
    /// `<failed/>`, from the server (§ 5, 6).
    Failed(Failed),
    /// `<r/>`, from either (§ 4).
    Request,
    /// `<a/>`, from either: the stanzas handled, modulo 2^32 (§ 4).
    Answer(u32),
}

/// The client asks for stream management.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Enable {
    /// Whether it wants to be able to resume.
    pub resume: bool,
    /// Within how many seconds, at most, it would like to. A wish that is no positive number is
    /// no wish.
    pub max_seconds: Option<u32>,
}

/// Stream management is on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Enabled {
    /// The SM-ID; required if the stream can be resumed.
    pub id: Option<String>,
    /// Whether the stream can be resumed.
    pub resume: bool,
    /// For how many seconds.
    pub max_seconds: Option<u32>,
    /// Where to connect for it, as `host:port`.
    pub location: Option<String>,
}

/// `<resume/>` or `<resumed/>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resume {
    /// Stanzas of the other side that the sender of this has handled, modulo 2^32.
    pub h: u32,
    /// The SM-ID of the stream that ended.
    pub previd: String,
}

/// Why `<enable/>` or `<resume/>` was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failed {
    /// Stanzas of the client handled in a session that can be resumed no more (§ 5).
    pub h: Option<u32>,
    /// The condition.
    pub condition: Option<Condition>,
}

/// The element is none of stream management, or an attribute of it is missing or malformed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

impl Nonza {
    /// Reads an element. What is unknown in it is ignored.
    pub fn read(element: Element<'_>) -> Result<Self, Malformed> {
        if element.ns() != ns::SM {
            return Err(Malformed);
        }
        Ok(match element.name() {
            "enable" => Self::Enable(Enable {
                resume: boolean(element, "resume")?,
                max_seconds: positive(element, "max"),
            }),
            "enabled" => Self::Enabled(Enabled {
                id: attribute(element, "id"),
                resume: boolean(element, "resume")?,
                max_seconds: positive(element, "max"),
                location: attribute(element, "location"),
            }),
            "resume" => Self::Resume(Resume::read(element)?),
            "resumed" => Self::Resumed(Resume::read(element)?),
            "failed" => Self::Failed(Failed {
                h: count(element)?,
                condition: Condition::of(element),
            }),
            "r" => Self::Request,
            "a" => Self::Answer(count(element)?.ok_or(Malformed)?),
            _ => return Err(Malformed),
        })
    }

    /// The element, for a stream or as a child of `<success/>` or `<bound/>`.
    pub fn write(&self, xml: &mut Writer) {
        match self {
            Self::Enable(enable) => {
                xml.start_ns("enable", ns::SM);
                flag(xml, enable.resume);
                number(xml, "max", enable.max_seconds);
            }
            Self::Enabled(enabled) => {
                xml.start_ns("enabled", ns::SM);
                xml.attr_opt("id", enabled.id.as_deref());
                flag(xml, enabled.resume);
                number(xml, "max", enabled.max_seconds);
                xml.attr_opt("location", enabled.location.as_deref());
            }
            Self::Resume(resume) => resume.write("resume", xml),
            Self::Resumed(resume) => resume.write("resumed", xml),
            Self::Failed(failed) => {
                xml.start_ns("failed", ns::SM);
                number(xml, "h", failed.h);
                if let Some(condition) = failed.condition {
                    xml.empty(condition.name(), ns::STANZAS);
                }
            }
            Self::Request => {
                xml.start_ns("r", ns::SM);
            }
            Self::Answer(h) => {
                xml.start_ns("a", ns::SM);
                number(xml, "h", Some(*h));
            }
        }
        xml.end();
    }

    /// The element as the bytes that a stream sends.
    pub fn to_bytes(&self) -> Bytes {
        if *self == Self::Request {
            return Bytes::from_static(b"<r xmlns='urn:xmpp:sm:3'/>");
        }
        let mut xml = Writer::with_capacity(ns::CLIENT, 128);
        self.write(&mut xml);
        xml.finish()
    }

    /// `<failed/>` with a condition.
    pub fn failed(condition: Condition) -> Self {
        Self::Failed(Failed {
            h: None,
            condition: Some(condition),
        })
    }
}

impl Resume {
    fn read(element: Element<'_>) -> Result<Self, Malformed> {
        let previd = attribute(element, "previd")
            .filter(|previd| !previd.is_empty() && previd.len() <= PREVID_BYTES_MAX);
        Ok(Self {
            h: count(element)?.ok_or(Malformed)?,
            previd: previd.ok_or(Malformed)?,
        })
    }

    fn write(&self, name: &str, xml: &mut Writer) {
        xml.start_ns(name, ns::SM);
        number(xml, "h", Some(self.h));
        xml.attr("previd", &self.previd);
    }
}

fn attribute(element: Element<'_>, name: &str) -> Option<String> {
    element.attr(name).map(std::borrow::Cow::into_owned)
}

/// `h`: xs:unsignedInt in plain digits.
fn count(element: Element<'_>) -> Result<Option<u32>, Malformed> {
    match element.attr("h") {
        None => Ok(None),
        Some(h) => digits(&h).ok_or(Malformed).map(Some),
    }
}

/// xs:boolean, false by default.
fn boolean(element: Element<'_>, name: &str) -> Result<bool, Malformed> {
    let value = element.attr(name);
    value.map_or(Ok(false), |value| xml::boolean(&value).ok_or(Malformed))
}

/// xs:positiveInteger, as many as we can count.
fn positive(element: Element<'_>, name: &str) -> Option<u32> {
    let text = element.attr(name)?;
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = is_number.then(|| text.parse().unwrap_or(u32::MAX))?;
    (number > 0).then_some(number)
}

/// Digits without a sign.
fn digits(text: &str) -> Option<u32> {
    let all_digits = text.bytes().all(|byte| byte.is_ascii_digit());
    all_digits.then(|| text.parse().ok()).flatten()
}

fn number(xml: &mut Writer, name: &str, number: Option<u32>) {
    if let Some(number) = number {
        xml.attr(name, &number.to_string());
    }
}

fn flag(xml: &mut Writer, resume: bool) {
    xml.attr_opt("resume", resume.then_some("true"));
}
