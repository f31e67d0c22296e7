//! The hash of an account's picture in its presence (XEP-0153, XEP-0398 § 4), for those who may see
//! the picture.

use super::fanout;
use crate::{
    Engine,
    account::{Contact, View},
    outbox::Delivery,
};
use waxwing_proto::{
    BareJid, Jid, ns,
    stanza::{Draft, Sealed, Stanza},
    xml::{Element, Limits, Tree, Writer},
};

/// The account's picture is another one, or none: the presence of its resources is sent again.
/// Whoever was sent directed presence hears of it with the next one (XEP-0398 § 5.1).
pub(crate) async fn show_avatar(engine: &Engine, account: &BareJid, view: &View) {
    fanout::read_audience(engine, view).await;
    for resource in engine.registry().resources(account) {
        let hash = hash(view, true);
        let Some(stanza) = resource.show_avatar(|stanza| again(stanza, hash)) else {
            continue;
        };
        fanout::broadcast(engine, account, view, &resource, &stanza);
        let own = Delivery::Stanza(stanza.with_to(&account.into()));
        if resource.outbox.push(own).is_ok() {
            engine.metrics().deliveries.inc();
        }
    }
}

/// The hash that those may see who see the account's presence; or anybody else.
pub(super) fn hash(view: &View, contact: bool) -> Option<&str> {
    let avatar = view.avatar.as_ref().filter(|avatar| avatar.is_for(contact));
    avatar.map(|avatar| &*avatar.hash)
}

/// Whether `to` sees the account's presence.
pub(super) fn sees(account: &BareJid, view: &View, to: &Jid) -> bool {
    let to = to.to_bare();
    to == *account || view.contact(&to).is_some_and(Contact::sees_user)
}

/// Whether the client itself says that there is no picture; then the server does not say otherwise.
pub(super) fn is_refused(presence: &Draft) -> bool {
    let mut updates = presence.root().children().filter(|child| is_update(*child));
    updates.any(|update| {
        let photo = update.child("photo", ns::VCARD_UPDATE);
        photo.is_some_and(|photo| photo.text().trim().is_empty())
    })
}

/// Puts the hash into a presence stanza. Where there is none, what the client has said of one is taken
/// out: it leads nowhere.
pub(super) fn stamp(presence: &mut Draft, hash: Option<&str>) {
    if is_refused(presence) {
        return;
    }
    let said = presence.hide_all(is_update) > 0;
    if said || hash.is_some() {
        let mut xml = Writer::new(ns::CLIENT);
        xml.start_ns("x", ns::VCARD_UPDATE)
            .leaf("photo", hash.unwrap_or_default())
            .end();
        presence.add(xml.finish());
    }
}

/// A presence stanza with another hash, or with none.
fn again(stanza: &Sealed, hash: Option<&str>) -> Option<Sealed> {
    let tree = Tree::parse(stanza.to_bytes(), ns::CLIENT, &Limits::C2S).ok()?;
    let mut presence = Draft::new(Stanza::new(tree, ns::CLIENT).ok()?).ok()?;
    presence.hide_all(is_update);
    let mut xml = Writer::new(ns::CLIENT);
    xml.start_ns("x", ns::VCARD_UPDATE)
        .leaf("photo", hash.unwrap_or_default())
        .end();
    presence.add(xml.finish());
    Some(presence.seal().detached())
}

fn is_update(child: Element<'_>) -> bool {
    child.is("x", ns::VCARD_UPDATE)
}
