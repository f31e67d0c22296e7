//! Entity capabilities ([XEP-0115](https://xmpp.org/extensions/xep-0115.html), 1.6.0): what the
//! clients of this server can do. Those of contacts at other servers are asked for by
//! [`super::pubsub`], and are in the same memory.
//!
//! A client names its capabilities by a hash in its presence. The first time a hash is seen the
//! client is asked, and its answer is believed for everybody only if it makes that hash (§ 5.4);
//! otherwise it counts for that client alone, so that nobody can speak for others' clients.

use crate::{
    Engine,
    feature::{Coverage, Disco, Feature, Place, Xep},
    output::Output,
    session::SessionState,
};
use bytes::Bytes;
use hashbrown::HashMap;
use parking_lot::Mutex;
use std::sync::Arc;
use waxwing_proto::{
    caps::{Algorithm, DiscoInfo},
    ns,
    stanza::Stanza,
    xml::Writer,
};

/// The feature.
pub const FEATURE: Feature = Feature {
    name: "caps",
    xeps: &[Xep {
        number: 115,
        version: "1.6.0",
        title: "Entity Capabilities",
        coverage: Coverage::Complete,
    }],
    disco: &[Disco {
        place: Place::Domain,
        var: ns::CAPS,
    }],
    ..Feature::NONE
};

/// Hashes remembered at a time.
const REMEMBERED_MAX: usize = 2000;
/// Features of one client that are believed.
const FEATURES_MAX: usize = 500;

/// The feature strings of a client, sorted.
pub type Features = Arc<[Box<str>]>;

/// What a client's presence names: hash algorithm and verification string (§ 4).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Named {
    node: String,
    algorithm: Algorithm,
    ver: String,
}

/// Verified capabilities, for all clients.
#[derive(Debug, Default)]
pub struct Cache(Mutex<HashMap<(Algorithm, String), Features>>);

impl Cache {
    /// What has been verified under this name.
    pub(crate) fn find(&self, named: &Named) -> Option<Features> {
        self.0
            .lock()
            .get(&(named.algorithm, named.ver.clone()))
            .cloned()
    }

    fn keep(&self, named: &Named, features: Features) {
        let mut cache = self.0.lock();
        if cache.len() >= REMEMBERED_MAX {
            // Which ones go does not matter: they are asked for again.
            let mut keep = REMEMBERED_MAX / 2;
            cache.retain(|_, _| {
                keep = keep.saturating_sub(1);
                keep > 0
            });
        }
        cache.insert((named.algorithm, named.ver.clone()), features);
    }
}

/// Looks at a client's available presence, and asks the client if its hash is new.
pub(crate) fn on_presence(
    engine: &Engine,
    session: &mut SessionState,
    presence: &Stanza,
    out: &mut Output,
) {
    let Some(named) = named(presence) else {
        return;
    };
    if let Some(features) = engine.caps().find(&named) {
        session.resource.set_caps(Some(features));
        return;
    }
    let id = engine.env().token();
    let to = session.resource.jid.as_str();
    out.stanza(question(session.account.domain(), to, &id, &named));
    // One question at a time: a newer presence makes the answer to an older one worthless.
    session.caps_asked = Some((id, named));
}

/// Looks at a client's answer to the server.
pub(crate) fn on_answer(engine: &Engine, session: &mut SessionState, answer: &Stanza) {
    let asked = session
        .caps_asked
        .take_if(|(id, _)| answer.id().as_deref() == Some(id));
    let Some((_, named)) = asked else { return };
    if let Some((features, _)) = told(engine, &named, answer) {
        session.resource.set_caps(Some(features));
    }
}

/// The question for what a client has named (§ 5.1, § 6.2), for `jabber:client`.
pub(crate) fn question(from: &str, to: &str, id: &str, named: &Named) -> Bytes {
    let mut xml = Writer::new(ns::CLIENT);
    xml.start("iq")
        .attr("type", "get")
        .attr("id", id)
        .attr("from", from)
        .attr("to", to)
        .start_ns("query", ns::DISCO_INFO)
        .attr("node", &format!("{}#{}", named.node, named.ver))
        .end()
        .end();
    xml.finish()
}

/// What an answer says, and whether it is what was named; then it is remembered (§ 5.4).
pub(crate) fn told(engine: &Engine, named: &Named, answer: &Stanza) -> Option<(Features, bool)> {
    let query = answer.root().child("query", ns::DISCO_INFO)?;
    let info = DiscoInfo::read(query).ok()?;
    let mut features: Vec<Box<str>> = info
        .features
        .iter()
        .take(FEATURES_MAX)
        .map(|var| var.as_str().into())
        .collect();
    features.sort_unstable();
    let features: Features = features.into();
    let verified = info.verify(named.algorithm, &named.ver) == Ok(true);
    if verified {
        engine.caps().keep(named, features.clone());
    } else {
        engine.metrics().caps_unverified.inc();
    }
    Some((features, verified))
}

/// What a client's presence names by the hash that § 4 requires; the legacy form without one names
/// nothing that could be verified.
pub(crate) fn named(presence: &Stanza) -> Option<Named> {
    let caps = presence.root().child("c", ns::CAPS)?;
    let attr = |name| {
        caps.attr(name)
            .filter(|value| !value.is_empty())
            .map(std::borrow::Cow::into_owned)
    };
    let algorithm = Algorithm::from_name(&attr("hash")?)?;
    Some(Named {
        node: attr("node")?,
        algorithm,
        ver: attr("ver")?,
    })
}
