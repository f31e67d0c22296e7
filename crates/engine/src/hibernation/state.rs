//! What is kept of a session besides its counts: what its client has set, and, when its stream has
//! ended, what the client had not acknowledged. Kept as XML, because most of it is stanzas.

use crate::{
    clients::ClientId,
    features::{caps::Features, offline},
    registry::{Resource, Setting},
};
use bytes::Bytes;
use std::collections::VecDeque;
use waxwing_proto::{
    Jid, ns,
    stanza::{Kind, Sealed},
    xml::{Element, Limits, Tree, Writer},
};

/// How a feature ends by which a client says that it is interested in a node.
const INTEREST: &str = "+notify";
/// Namespace of what only this server reads.
const NS: &str = "waxwing:session:1";

/// The state of a session.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct State {
    /// What the client has switched on.
    pub(crate) settings: Vec<Setting>,
    /// Which client it is.
    pub(crate) client: Option<String>,
    /// Its available presence.
    pub(crate) presence: Option<Bytes>,
    /// To whom it has sent directed presence.
    pub(crate) directed: Vec<Jid>,
    /// The nodes that its client is interested in (XEP-0163 § 4.2): it does not say so again when it
    /// resumes, and is not asked.
    pub(crate) interests: Vec<String>,
    /// Where its stream ended; nothing while it has one, or after a crash.
    pub(crate) end: Option<End>,
}

/// Where a stream ended.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct End {
    /// Stanzas that the client has acknowledged, modulo 2^32.
    pub(crate) acknowledged: u32,
    /// The newest message of the archive that was sent to it, was passed over for it, or is in one
    /// of the lists.
    pub(crate) seen: u64,
    /// What was sent after those acknowledged, in order.
    pub(crate) sent: VecDeque<Unacknowledged>,
    /// What was not sent yet, in order, up to `seen` of the archive.
    pub(crate) queued: VecDeque<Unacknowledged>,
}

/// A stanza that was sent and not acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unacknowledged {
    /// It is not sent again.
    Nothing,
    /// The archive has it.
    Archived(u64),
    /// A stanza that the session alone was meant for.
    Stanza(Bytes),
    /// A message that no archive has, and that must not get lost.
    Message(Bytes),
}

impl State {
    /// What a resource has set.
    pub(crate) fn of(resource: &Resource) -> Self {
        Self {
            settings: resource.settings(),
            client: resource.client().map(|client| client.as_str().to_owned()),
            presence: resource.presence().map(|presence| presence.to_bytes()),
            directed: resource.directed(),
            interests: interests(resource),
            end: None,
        }
    }

    /// Sets all of it on a resource that nobody sees yet.
    pub(crate) fn restore(&self, resource: &Resource, directed_max: usize) {
        for setting in &self.settings {
            resource.set(*setting, true);
        }
        if let Some(client) = &self.client {
            resource.set_client(ClientId::from(client.clone()));
        }
        if let Some(presence) = &self.presence
            && let Some(stanza) = offline::read(presence.clone())
            && let Ok(priority) = crate::presence::priority(stanza.root())
        {
            let sealed = Sealed::from_bytes(Kind::Presence, presence.clone());
            resource.set_presence(Some((sealed, priority)));
        }
        for to in &self.directed {
            resource.remember_directed(to, directed_max);
        }
        if !self.interests.is_empty() {
            let features = self
                .interests
                .iter()
                .map(|node| format!("{node}{INTEREST}"));
            let features: Features = features.map(String::into_boxed_str).collect();
            // What its client has been sent it has.
            resource.replace_served(features.clone());
            resource.set_caps(Some(features));
        }
    }

    /// As it is kept.
    pub(crate) fn to_bytes(&self) -> Bytes {
        let mut xml = Writer::new(ns::CLIENT);
        xml.start_ns("session", NS);
        xml.attr_opt("client", self.client.as_deref());
        for setting in &self.settings {
            xml.start("set").text(setting.name()).end();
        }
        if let Some(presence) = &self.presence {
            stanza(&mut xml, "presence", presence);
        }
        for jid in &self.directed {
            xml.start("directed").text(jid.as_str()).end();
        }
        for node in &self.interests {
            xml.start("interest").text(node).end();
        }
        if let Some(end) = &self.end {
            end.write(&mut xml);
        }
        xml.end();
        xml.finish()
    }

    /// What was kept; what is not understood is left out.
    pub(crate) fn read(bytes: &Bytes) -> Self {
        let limits = Limits {
            bytes_max: usize::MAX,
            depth_max: usize::MAX,
            nodes_max: usize::MAX,
            ..Limits::S2S
        };
        let Ok(tree) = Tree::parse(bytes.clone(), ns::CLIENT, &limits) else {
            return Self::default();
        };
        let root = tree.root();
        let mut state = Self {
            client: root.attr("client").map(String::from),
            ..Self::default()
        };
        for child in root.children() {
            let text = child.text();
            match child.name() {
                "set" => state.settings.extend(Setting::named(&text)),
                "presence" => state.presence = content(bytes, child),
                "directed" => state.directed.extend(Jid::parse(&text)),
                "interest" => state.interests.push(text.into_owned()),
                "end" => state.end = Some(End::read(bytes, child)),
                _ => {}
            }
        }
        state
    }
}

impl End {
    /// What the client has not acknowledged and what it was not sent, in order.
    pub(crate) fn left(self) -> impl Iterator<Item = Unacknowledged> {
        self.sent.into_iter().chain(self.queued)
    }

    fn write(&self, xml: &mut Writer) {
        xml.start("end")
            .attr("acknowledged", &self.acknowledged.to_string())
            .attr("seen", &self.seen.to_string());
        for (name, list) in [("sent", &self.sent), ("queued", &self.queued)] {
            xml.start(name);
            for one in list {
                one.write(xml);
            }
            xml.end();
        }
        xml.end();
    }

    fn read(bytes: &Bytes, element: Element<'_>) -> Self {
        let list = |name| {
            let lists = element.children().filter(move |child| child.name() == name);
            let all = lists.flat_map(|list| list.children());
            all.map(|child| Unacknowledged::read(bytes, child))
                .collect()
        };
        Self {
            acknowledged: number(element, "acknowledged"),
            seen: number(element, "seen"),
            sent: list("sent"),
            queued: list("queued"),
        }
    }
}

impl Unacknowledged {
    fn write(&self, xml: &mut Writer) {
        match self {
            Self::Nothing => {
                xml.start("nothing").end();
            }
            Self::Archived(id) => {
                xml.start("archived").text(&id.to_string()).end();
            }
            Self::Stanza(bytes) => stanza(xml, "stanza", bytes),
            Self::Message(bytes) => stanza(xml, "message", bytes),
        }
    }

    fn read(bytes: &Bytes, element: Element<'_>) -> Self {
        match element.name() {
            "archived" => Self::Archived(element.text().parse().unwrap_or_default()),
            "stanza" => content(bytes, element).map_or(Self::Nothing, Self::Stanza),
            "message" => content(bytes, element).map_or(Self::Nothing, Self::Message),
            _ => Self::Nothing,
        }
    }
}

fn interests(resource: &Resource) -> Vec<String> {
    let features = resource.caps();
    let features = features.iter().flat_map(|features| features.iter());
    features
        .filter_map(|feature| feature.strip_suffix(INTEREST))
        .map(str::to_owned)
        .collect()
}

/// A stanza within an element, where its own namespace is inherited.
fn stanza(xml: &mut Writer, name: &str, stanza: &Bytes) {
    xml.start_ns(name, ns::CLIENT).raw(stanza);
    xml.end();
}

fn content(bytes: &Bytes, element: Element<'_>) -> Option<Bytes> {
    let inner = element.children().next()?;
    Some(bytes.slice(inner.span()))
}

fn number<N: std::str::FromStr + Default>(element: Element<'_>, name: &str) -> N {
    let text = element.attr(name);
    text.and_then(|text| text.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{End, Setting, State, Unacknowledged};
    use waxwing_proto::Jid;

    #[test]
    fn what_is_written_is_read() {
        let full = State {
            settings: vec![Setting::Carbons, Setting::Interested],
            client: Some("0123456789abcdef".into()),
            presence: Some("<presence from='a@b/c'><show>away</show></presence>".into()),
            directed: vec![Jid::parse("room@rooms.example/a&b").unwrap()],
            interests: vec!["urn:x".into(), "urn:y?<".into()],
            end: Some(End {
                acknowledged: u32::MAX,
                seen: u64::MAX,
                sent: [
                    Unacknowledged::Archived(1),
                    Unacknowledged::Nothing,
                    Unacknowledged::Stanza("<iq id='1' type='get'><x xmlns='urn:x'/></iq>".into()),
                ]
                .into(),
                queued: [
                    Unacknowledged::Stanza("<message><body>&lt;</body></message>".into()),
                    Unacknowledged::Archived(7),
                ]
                .into(),
            }),
        };
        let end = State {
            end: Some(End::default()),
            ..State::default()
        };
        for state in [full, end, State::default()] {
            assert_eq!(State::read(&state.to_bytes()), state);
        }
        assert_eq!(State::read(&"<broken".into()), State::default());
    }
}
