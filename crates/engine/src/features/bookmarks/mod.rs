//! Bookmarks of rooms: an item each ([XEP-0402](https://xmpp.org/extensions/xep-0402.html), 1.2.0), and
//! the same as a list ([XEP-0048](https://xmpp.org/extensions/xep-0048.html), 1.2), in private storage
//! (XEP-0049) and on a node ([XEP-0411](https://xmpp.org/extensions/xep-0411.html), 1.1.0).
//!
//! What is kept are the items. The list is made of them whenever somebody reads it, wherever that is;
//! who writes it changes the items that differ, and only those. So all views are the same at all times,
//! and a list that was written half when the server died is written again by its client.
//!
//! - What a bookmark has that a list's client did not know stays (XEP-0402 § 3).
//! - Addresses of web pages, which only lists have, are kept as private storage is.
//! - The node of the list cannot be emptied or removed: some clients do that when they have read it,
//!   and mean the list, not the rooms.

mod view;

use super::pubsub;
use crate::{
    Engine, error,
    feature::{Coverage, Disco, Feature, Place, Xep},
};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use view::{Bookmark, address};
use waxwing_proto::{
    BareJid, Jid, ns,
    stanza::StanzaError,
    xml::{Element, Limits, Tree, Writer},
};

/// The feature.
pub const FEATURE: Feature = Feature {
    name: "bookmarks",
    xeps: &[
        xep(48, "1.2", "Bookmarks"),
        xep(402, "1.2.0", "PEP Native Bookmarks"),
        xep(411, "1.1.0", "Bookmarks Conversion"),
        xep(469, "0.1.0", "Bookmark Pinning"),
    ],
    disco: &[
        account("urn:xmpp:bookmarks:1#compat"),
        account("urn:xmpp:bookmarks:1#compat-pep"),
        account("urn:xmpp:bookmarks-conversion:0"),
    ],
    ..Feature::NONE
};

const fn xep(number: u16, version: &'static str, title: &'static str) -> Xep {
    Xep {
        number,
        version,
        title,
        coverage: Coverage::Complete,
    }
}

const fn account(var: &'static str) -> Disco {
    Disco {
        place: Place::Account,
        var,
    }
}

/// The list in private storage (XEP-0049), where what is no room is kept.
pub(crate) const KEY: &str = "private {storage:bookmarks}storage";

/// The bookmarks of an account as a list, which declares its namespace; `None` if there are none.
pub(crate) async fn list(engine: &Engine, owner: &BareJid) -> Result<Option<Bytes>, StanzaError> {
    let items = pubsub::items(engine, owner, ns::BOOKMARKS).await?;
    let others = others(engine, owner).await?;
    if items.is_empty() && others.is_empty() {
        return Ok(None);
    }
    let mut xml = Writer::new("");
    xml.start_ns("storage", ns::BOOKMARKS_LIST);
    xml.raw(&others);
    for item in items {
        if let Some(bookmark) = read(item.payload) {
            bookmark.entry(&item.id, &mut xml);
        }
    }
    xml.end();
    Ok(Some(xml.finish()))
}

/// Makes the bookmarks of an account those of a list that one of its clients has written.
pub(crate) async fn replace(
    engine: &Engine,
    from: &Jid,
    list: Element<'_>,
) -> Result<(), StanzaError> {
    let owner = from.to_bare();
    let written = set_others(engine, &owner, list).await?;
    let items = pubsub::items(engine, &owner, ns::BOOKMARKS).await?;
    let mut before: BTreeMap<String, (String, Option<Bookmark>)> = items
        .into_iter()
        .map(|item| (address(&item.id), (item.id, read(item.payload))))
        .collect();
    let (mut wanted, mut seen) = (Vec::new(), BTreeSet::new());
    for room in list.children().filter(is_room) {
        let Some(jid) = room.attr("jid").map(|jid| address(&jid)) else {
            continue;
        };
        let mut bookmark = Bookmark::read(room);
        if !seen.insert(jid.clone()) {
            continue;
        }
        match before.remove(&jid) {
            Some((id, Some(kept))) => {
                bookmark.keep_extensions(&kept);
                if bookmark != kept {
                    wanted.push((id, bookmark));
                }
            }
            Some((id, None)) => wanted.push((id, bookmark)),
            None => wanted.push((jid, bookmark)),
        }
    }
    let changes = written || !wanted.is_empty() || !before.is_empty();
    for (id, bookmark) in wanted {
        pubsub::publish(engine, from, ns::BOOKMARKS, (id, bookmark.item())).await?;
    }
    for (id, _) in before.into_values() {
        pubsub::retract(engine, from, ns::BOOKMARKS, id).await?;
    }
    if changes {
        pubsub::tell_of_list(engine, &owner).await;
    }
    Ok(())
}

fn read(payload: Bytes) -> Option<Bookmark> {
    let tree = Tree::parse(payload, "", &Limits::C2S).ok()?;
    let is_bookmark = tree.root().is("conference", ns::BOOKMARKS);
    is_bookmark.then(|| Bookmark::read(tree.root()))
}

/// What the list has besides rooms, to stand in it.
async fn others(engine: &Engine, owner: &BareJid) -> Result<Bytes, StanzaError> {
    let store = engine.store();
    let kept = store.document(owner.clone(), KEY.to_owned()).await;
    let kept = kept.map_err(|failure| error::from_store(engine, &failure))?;
    let tree = kept.and_then(|kept| Tree::parse(kept, "", &Limits::C2S).ok());
    Ok(tree.map_or_else(Bytes::new, |tree| tree.root().inner(ns::BOOKMARKS_LIST)))
}

/// Keeps what a list has besides rooms. True if that is not what there was.
async fn set_others(
    engine: &Engine,
    owner: &BareJid,
    list: Element<'_>,
) -> Result<bool, StanzaError> {
    let mut xml = Writer::new("");
    xml.start_ns("storage", ns::BOOKMARKS_LIST);
    let mut any = false;
    for other in list.children().filter(|child| !is_room(child)) {
        any = true;
        xml.raw(&other.standalone(ns::BOOKMARKS_LIST));
    }
    xml.end();
    let document = any.then(|| xml.finish());
    let store = engine.store();
    let before = store.document(owner.clone(), KEY.to_owned()).await;
    let before = before.map_err(|failure| error::from_store(engine, &failure))?;
    if before == document {
        return Ok(false);
    }
    let bytes_max = engine.settings().limits.documents_bytes_max;
    let kept = store.document_set(owner.clone(), KEY.to_owned(), document, bytes_max);
    kept.await
        .map_err(|failure| error::from_store(engine, &failure))?;
    Ok(true)
}

fn is_room(child: &Element<'_>) -> bool {
    child.is("conference", ns::BOOKMARKS_LIST)
}
