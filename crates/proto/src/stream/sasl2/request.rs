//! What clients send.

use super::upgrade_name;
use crate::sasl::{self, Failure, FastMechanism, Hash};
use crate::sm::{self, Nonza};
use crate::stanza::Condition;
use crate::stream::auth::Input;
use crate::stream::login::{BindRequest, TAG_BYTES_MAX, USER_AGENT_TEXT_BYTES_MAX, UserAgent};
use crate::xml::{self, Element};
use crate::{csi, ns};

/// What a client asks for together with its authentication, whether it is offered or not.
#[derive(Debug, Default)]
pub(in super::super) struct Wishes {
    pub(in super::super) user_agent: UserAgent,
    /// To resume a session, or what is wrong with the request.
    pub(in super::super) resume: Option<Result<sm::Resume, Condition>>,
    pub(in super::super) bind: Option<BindRequest>,
    /// What is wrong with the request for stream management in that for a resource.
    pub(in super::super) enable_error: Option<Condition>,
    pub(in super::super) fast: Option<Fast>,
    pub(in super::super) token: Option<FastMechanism>,
    /// Each once, in the client's order.
    pub(in super::super) upgrades: Vec<Hash>,
}

/// `<fast/>` (XEP-0484 § 3.4, 3.6).
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Fast {
    pub(in super::super) count: Option<u32>,
    pub(in super::super) invalidate: bool,
}

/// An element of a task.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) enum Task {
    /// `<next/>`, with the name of the task.
    Next(String),
    /// `<task-data/>` with `SaltedPassword`.
    Hash(Result<Vec<u8>, Failure>),
    /// `<abort/>`.
    Abort,
}

/// What an element of SASL2's namespace says in an exchange.
pub(in super::super) fn read(root: Element<'_>) -> Input<'_> {
    match root.name() {
        "abort" => Input::Abort,
        "authenticate" => {
            let wishes = wishes(root);
            let (wishes, malformed) = match wishes {
                Ok(wishes) => (Some(Box::new(wishes)), None),
                Err(failure) => (None, Some(failure)),
            };
            let initial = root
                .child("initial-response", ns::SASL2)
                .map(data)
                .transpose();
            Input::Start {
                mechanism: root.attr("mechanism"),
                initial: malformed.map_or(initial, Err),
                wishes,
            }
        }
        "response" => Input::Response(data(root)),
        _ => Input::Other,
    }
}

/// What an element says while a task goes on; `None` if it does not belong there.
pub(in super::super) fn read_task(root: Element<'_>) -> Option<Task> {
    match root.name() {
        _ if root.ns() != ns::SASL2 => None,
        "abort" => Some(Task::Abort),
        "next" => Some(Task::Next(
            root.attr("task").unwrap_or_default().into_owned(),
        )),
        "task-data" => {
            let hash = root.child("hash", ns::SCRAM_UPGRADE);
            Some(Task::Hash(
                hash.map_or(Err(Failure::MalformedRequest), data),
            ))
        }
        _ => None,
    }
}

fn wishes(root: Element<'_>) -> Result<Wishes, Failure> {
    let mut wishes = Wishes::default();
    for child in root.children() {
        match (child.ns(), child.name()) {
            (ns::SASL2, "user-agent") => wishes.user_agent = user_agent(child),
            (ns::SM, "resume") => {
                wishes.resume = Some(match Nonza::read(child) {
                    Ok(Nonza::Resume(resume)) => Ok(resume),
                    _ => Err(Condition::BadRequest),
                });
            }
            (ns::BIND2, "bind") => wishes.bind = Some(bind(child, &mut wishes.enable_error)),
            (ns::FAST, "fast") => wishes.fast = Some(fast(child)?),
            (ns::FAST, "request-token") => {
                let mechanism = child.attr("mechanism");
                wishes.token = mechanism.and_then(|name| FastMechanism::from_name(&name));
            }
            (ns::SASL_UPGRADE, "upgrade") => {
                let name = child.text();
                let known = Hash::ALL
                    .into_iter()
                    .find(|hash| upgrade_name(*hash) == name.trim());
                if let Some(hash) = known.filter(|hash| !wishes.upgrades.contains(hash)) {
                    wishes.upgrades.push(hash);
                }
            }
            _ => {}
        }
    }
    Ok(wishes)
}

/// XEP-0386 § 3.2. Features that we do not know are ignored: without an answer in `<bound/>` the
/// client knows.
fn bind(bind: Element<'_>, enable_error: &mut Option<Condition>) -> BindRequest {
    let mut request = BindRequest::default();
    for child in bind.children() {
        match (child.ns(), child.name()) {
            (ns::BIND2, "tag") => {
                let tag = child.text();
                let fits = !tag.is_empty() && tag.len() <= TAG_BYTES_MAX;
                request.tag = fits.then(|| tag.into_owned());
            }
            (ns::SM, "enable") => match Nonza::read(child) {
                Ok(Nonza::Enable(enable)) => request.sm = Some(enable),
                _ => *enable_error = Some(Condition::BadRequest),
            },
            (ns::CARBONS, "enable") => request.carbons = true,
            (ns::CSI, _) => request.csi = csi::State::read(child).unwrap_or(request.csi),
            _ => {}
        }
    }
    request
}

fn user_agent(element: Element<'_>) -> UserAgent {
    let text = |name| {
        let text = element.child(name, ns::SASL2)?.text();
        let end = text.floor_char_boundary(USER_AGENT_TEXT_BYTES_MAX);
        let text = text.get(..end).unwrap_or_default().trim();
        (!text.is_empty()).then(|| text.to_owned())
    };
    let id = element.attr("id").filter(|id| is_uuid(id));
    UserAgent {
        id: id.map(|id| id.to_ascii_lowercase()),
        software: text("software"),
        device: text("device"),
    }
}

/// The pattern that the schema of XEP-0388 has.
fn is_uuid(text: &str) -> bool {
    let groups = text.split('-').map(str::len);
    groups.eq([8, 4, 4, 4, 12]) && text.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit())
}

/// `count` is a positive integer, and `invalidate` a boolean (XEP-0484 § 10).
fn fast(element: Element<'_>) -> Result<Fast, Failure> {
    let count = match element.attr("count") {
        None => None,
        Some(count) if count.starts_with('+') => return Err(Failure::MalformedRequest),
        Some(count) => Some(count.parse().map_err(|_| Failure::MalformedRequest)?),
    };
    let invalidate = match element.attr("invalidate").as_deref() {
        None => false,
        Some(value) => xml::boolean(value).ok_or(Failure::MalformedRequest)?,
    };
    Ok(Fast { count, invalidate })
}

/// Base64, with white space around it as in the examples of XEP-0388. Nothing is the empty string
/// here, and `=` no base64.
fn data(element: Element<'_>) -> Result<Vec<u8>, Failure> {
    if element.children().next().is_some() {
        return Err(Failure::MalformedRequest);
    }
    match element.text().trim_matches([' ', '\t', '\r', '\n']) {
        "=" => Err(Failure::IncorrectEncoding),
        text => sasl::decode(text),
    }
}
