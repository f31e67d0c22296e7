//! Hats ([XEP-0317](https://xmpp.org/extensions/xep-0317.html), 0.3.1): titles of a room's own, which
//! its admins make and give to people, and which everybody sees in presence. [`super::hat_commands`] is
//! how they do it.

use super::{
    room::{Effect, Room},
    tell::status,
};
use crate::{Engine, features::avatar};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use waxwing_proto::{
    BareJid, ns,
    xml::{Limits, Tree, Writer},
};
use waxwing_store::StoreError;

/// Where the store keeps them.
const KEY: &str = "hats";

/// The hats of a room, and who wears them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Hats {
    /// By their URIs.
    pub(super) all: BTreeMap<String, Hat>,
    /// Which ones each account wears, at least one.
    pub(super) worn: BTreeMap<BareJid, BTreeSet<String>>,
}

/// A hat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hat {
    pub(super) title: String,
    /// An angle in degrees, as it was given.
    pub(super) hue: Option<String>,
}

impl Hats {
    /// `<hats/>` for presence (§ 4.1), if somebody wears any.
    fn element(&self, account: &BareJid) -> Option<Bytes> {
        let worn = self.worn.get(account)?;
        let mut xml = Writer::new(ns::CLIENT);
        xml.start_ns("hats", ns::HATS);
        for (uri, hat) in worn.iter().filter_map(|uri| self.all.get_key_value(uri)) {
            xml.start("hat")
                .attr("title", &hat.title)
                .attr("uri", uri)
                .attr_opt("hue", hat.hue.as_deref())
                .end();
        }
        Some(xml.finish())
    }

    /// § 3: something that changes with the list.
    fn hash(&self) -> Option<String> {
        let uris: Vec<&str> = self.all.keys().map(String::as_str).collect();
        (!uris.is_empty()).then(|| avatar::hash(uris.join("\n").as_bytes()))
    }

    fn encode(&self) -> Bytes {
        let mut xml = Writer::new(ns::CLIENT);
        xml.start("hats");
        for (uri, hat) in &self.all {
            xml.start("hat")
                .attr("uri", uri)
                .attr("title", &hat.title)
                .attr_opt("hue", hat.hue.as_deref())
                .end();
        }
        for (jid, uris) in &self.worn {
            for uri in uris {
                xml.start("worn")
                    .attr("jid", jid.as_str())
                    .attr("uri", uri)
                    .end();
            }
        }
        xml.finish()
    }

    fn decode(stored: Bytes) -> Self {
        let mut hats = Self::default();
        let Ok(tree) = Tree::parse(stored, ns::CLIENT, &Limits::S2S) else {
            return hats;
        };
        for child in tree.root().children() {
            let attr = |name| child.attr(name).map(String::from);
            let Some(uri) = attr("uri") else { continue };
            if let Some(title) = attr("title") {
                let hue = attr("hue");
                hats.all.insert(uri, Hat { title, hue });
            } else if let Some(jid) = attr("jid").and_then(|jid| BareJid::parse(&jid).ok()) {
                hats.worn.entry(jid).or_default().insert(uri);
            }
        }
        hats
    }
}

impl Room {
    /// What an occupant's presence says of its hats.
    pub(super) fn hats_of(&self, account: &BareJid) -> Option<Bytes> {
        self.hats.element(account)
    }

    /// What the room says of its hats (§ 3).
    pub(super) fn hats_hash(&self) -> Option<String> {
        self.hats.hash()
    }

    /// There are other hats, or other people wear them, and that is on disk.
    pub(super) fn rehat(&mut self, hats: Hats, effects: &mut Vec<Effect>) {
        let before = std::mem::replace(&mut self.hats, hats);
        for (nick, occupant) in &self.occupants {
            let account = &occupant.account;
            if before.element(account) != self.hats.element(account) {
                self.tell_as_it_is(nick, effects);
            }
        }
        if before.all != self.hats.all {
            self.announce(&[status::CONFIGURED], effects);
        }
    }
}

/// The hats of a room that is read from disk.
pub(super) async fn read(engine: &Engine, room: &BareJid) -> Result<Hats, StoreError> {
    let kept = engine
        .store()
        .document(room.clone(), KEY.to_owned())
        .await?;
    Ok(kept.map_or_else(Hats::default, Hats::decode))
}

/// Puts them on disk.
pub(super) async fn write(engine: &Engine, room: &BareJid, hats: &Hats) -> Result<(), StoreError> {
    let bytes_max = engine.settings().limits.documents_bytes_max;
    let kept = (*hats != Hats::default()).then(|| hats.encode());
    let store = engine.store();
    store
        .document_set(room.clone(), KEY.to_owned(), kept, bytes_max)
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_again() {
        let mut hats = Hats::default();
        for (uri, hue) in [("urn:x:a", None), ("urn:x:b", Some("171.4".to_owned()))] {
            let title = format!("<{uri}>");
            hats.all.insert(uri.to_owned(), Hat { title, hue });
        }
        let worn = BTreeSet::from(["urn:x:a".to_owned(), "urn:x:b".to_owned()]);
        hats.worn.insert(BareJid::parse("bob@a").unwrap(), worn);
        assert_eq!(Hats::decode(hats.encode()), hats);
    }
}
