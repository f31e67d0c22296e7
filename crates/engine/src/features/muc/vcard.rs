//! A room's vCard, which is its picture as a rule ([XEP-0054](https://xmpp.org/extensions/xep-0054.html);
//! [XEP-0486](https://xmpp.org/extensions/xep-0486.html), 0.1.0): owners set it, and whoever finds the
//! room may see it. Its hash is in what the room says of itself, and in presence of the room (§ 5.2):
//! COMPAT(Monal, 6.4): some clients look nowhere else.

use super::{
    errors::Refusal,
    requests,
    rights::Action,
    room::{Effect, Event, Room},
    table::Rooms,
    tell::status,
};
use crate::{
    Engine, error,
    feature::{IqCx, Reply},
    features::avatar,
};
use std::sync::Arc;
use waxwing_proto::{
    BareJid, Jid, ns,
    stanza::{Condition, Kind, Sealed, StanzaError},
    xml::{Element, Limits, Tree, Writer},
};
use waxwing_store::{BoxFuture, StoreError};

/// Pictures that are told of.
const PHOTOS_MAX: usize = 8;
/// Where the store keeps it.
const KEY: &str = "vcard";

pub(super) fn get(cx: IqCx<'_>) -> BoxFuture<'_, Result<Reply, StanzaError>> {
    Box::pin(async move {
        let room = Rooms::hold(cx.engine, cx.to).await?;
        if !room.ask(Room::exists) {
            return Err(Refusal::NotFound.into());
        }
        let store = cx.engine.store();
        let kept = store.document(cx.to.clone(), KEY.to_owned()).await;
        let kept = kept.map_err(|failure| error::from_store(cx.engine, &failure))?;
        kept.map(Reply::Payload)
            .ok_or_else(|| Condition::ItemNotFound.into())
    })
}

pub(super) fn set(cx: IqCx<'_>) -> BoxFuture<'_, Result<Reply, StanzaError>> {
    Box::pin(async move {
        let room = Rooms::hold(cx.engine, cx.to).await?;
        let _turn = room.turn().await;
        room.ask(|room| {
            room.known_to(cx.from)?;
            room.demand(Action::Configure, cx.from)
        })?;
        let picture = hashes(cx.payload);
        let vcard = cx.payload.standalone(ns::CLIENT);
        let bytes_max = cx.engine.settings().limits.documents_bytes_max;
        let store = cx.engine.store();
        let kept = store.document_set(cx.to.clone(), KEY.to_owned(), Some(vcard), bytes_max);
        kept.await
            .map_err(|failure| error::from_store(cx.engine, &failure))?;
        // XEP-0486 § 3.2: who is here asks for it again.
        requests::apply(&cx, &room, Event::Redecorated(picture))
    })
}

/// The picture of a room that is read from disk.
pub(super) async fn read(engine: &Engine, room: &BareJid) -> Result<Vec<String>, StoreError> {
    let kept = engine
        .store()
        .document(room.clone(), KEY.to_owned())
        .await?;
    let limits = Limits {
        bytes_max: usize::MAX,
        ..Limits::S2S
    };
    let tree = kept.and_then(|vcard| Tree::parse(vcard, ns::CLIENT, &limits).ok());
    Ok(tree.map_or_else(Vec::new, |tree| hashes(tree.root())))
}

/// § 3.3, § 5.1: one for each format, made as in XEP-0153.
fn hashes(vcard: Element<'_>) -> Vec<String> {
    let photos = vcard
        .children()
        .filter(|child| child.is("PHOTO", ns::VCARD));
    photos
        .take(PHOTOS_MAX)
        .filter_map(|photo| photo.child("BINVAL", ns::VCARD))
        .filter_map(|data| avatar::decoded(&data.text()))
        .filter(|bytes| !bytes.is_empty())
        .map(|bytes| avatar::hash(&bytes))
        .collect()
}

impl Room {
    /// § 3.2: who is here asks for it again.
    pub(super) fn redecorate(&mut self, picture: Vec<String>, effects: &mut Vec<Effect>) {
        let told = picture != self.picture;
        self.picture = picture;
        let to = self.everyone();
        if told && !to.is_empty() {
            effects.push(Effect::new(self.picture_presence(), to));
        }
        self.announce(&[status::CONFIGURED], effects);
    }

    /// § 5.2, to newcomers.
    pub(super) fn tell_picture(&self, to: Arc<[Jid]>, effects: &mut Vec<Effect>) {
        if !self.picture.is_empty() {
            effects.push(Effect::new(self.picture_presence(), to));
        }
    }

    fn picture_presence(&self) -> Sealed {
        let mut xml = Writer::new(ns::CLIENT);
        xml.start("presence")
            .attr("from", self.jid.as_str())
            .start_ns("x", ns::VCARD_UPDATE);
        match self.picture.first() {
            Some(hash) => xml.leaf("photo", hash),
            None => xml.start("photo").end(),
        };
        Sealed::from_bytes(Kind::Presence, xml.finish())
    }
}
