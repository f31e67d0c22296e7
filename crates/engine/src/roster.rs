//! Rosters (RFC 6121 § 2), their versions (§ 2.6) and the one way to change them.
//!
//! A change is committed first, then told: [`update_item`] writes, its caller sends what the
//! change causes and calls [`push`] where RFC 6121 § 3 puts the roster push.

use crate::{
    Engine, error,
    feature::{Disco, Feature, IqCx, IqHandler, IqKind, IqRoute, Place, Reply, Who},
    outbox::Delivery,
    presence,
    registry::{Resource, Setting},
    subscription::{State, Type},
};
use bytes::Bytes;
use waxwing_proto::{
    BareJid, Jid, ns,
    stanza::{Condition, StanzaError},
    xml::{Element, Writer},
};
use waxwing_store::{BoxFuture, RosterChange, RosterItem, StoreError, Subscription};

/// The feature.
pub const FEATURE: Feature = Feature {
    name: "roster",
    disco: &[Disco {
        place: Place::Domain,
        var: ns::ROSTER,
    }],
    iq: &[route(IqKind::Get, get), route(IqKind::Set, set)],
    ..Feature::NONE
};

const fn route(kind: IqKind, handler: IqHandler) -> IqRoute {
    IqRoute {
        place: Place::Account,
        kind,
        name: "query",
        ns: ns::ROSTER,
        who: Who::OwnerOrForbidden,
        handler,
    }
}

/// How often a change is tried again because another one of the same roster came first.
const ATTEMPTS_MAX: usize = 16;

/// § 2.1.3, § 2.2, § 2.6.3
fn get(cx: IqCx<'_>) -> BoxFuture<'_, Result<Reply, StanzaError>> {
    Box::pin(async move {
        let IqCx { engine, to, .. } = cx;
        let Some(session) = cx.session else {
            return Err(Condition::ServiceUnavailable.into());
        };
        let epoch = session.resource.roster_epoch;
        let known = cx.payload.attr("ver").and_then(|ver| version(epoch, &ver));
        // Before reading: what is committed after this is pushed, what came before it is read.
        session.resource.set(Setting::Interested, true);
        if known.is_some() && known == Some(engine.view(to).await?.roster_version) {
            return Ok(Reply::Empty);
        }
        let failed = |failure| error::from_store(engine, &failure);
        if let Some(since) = known {
            let changes = engine.store().roster_changes(to.clone(), since).await;
            if let Some(changes) = changes.map_err(failed)? {
                let resource = session.resource.clone();
                session.after_reply.extend(changes.iter().map(|change| {
                    let item = item_or_removal(change);
                    push_stanza(engine, &resource, change.version, &item)
                }));
                return Ok(Reply::Empty);
            }
        }
        let roster = engine.store().roster(to.clone()).await.map_err(failed)?;
        let mut xml = Writer::new(ns::CLIENT);
        xml.start_ns("query", ns::ROSTER)
            .attr("ver", &ver(epoch, roster.version));
        for item in roster.items.iter().filter(|item| item.listed) {
            write_item(&mut xml, item);
        }
        Ok(Reply::Payload(xml.finish()))
    })
}

/// § 2.1.5, § 2.3 to § 2.5
#[expect(clippy::needless_pass_by_value, reason = "the signature of a handler")]
fn set(cx: IqCx<'_>) -> BoxFuture<'_, Result<Reply, StanzaError>> {
    Box::pin(async move {
        let IqCx {
            engine,
            to: account,
            payload,
            ..
        } = cx;
        let mut items = payload.children();
        let (Some(item), None) = (items.next(), items.next()) else {
            return Err(Condition::BadRequest.into());
        };
        if !item.is("item", ns::ROSTER) {
            return Err(Condition::BadRequest.into());
        }
        let contact = contact(item, account)?;
        if item.attr("subscription").as_deref() == Some("remove") {
            remove(engine, account, &contact).await?;
            return Ok(Reply::Empty);
        }
        let (name, groups) = given(engine, item)?;
        let update = update_item(engine, account, &contact, |before| {
            let item = RosterItem {
                name: name.clone(),
                groups: groups.clone(),
                listed: true,
                ..before.cloned().unwrap_or_else(|| blank(&contact))
            };
            Ok(((), Edit::Put(item)))
        });
        let ((), update) = update.await?;
        push(engine, account, update.as_ref());
        Ok(Reply::Empty)
    })
}

/// Whom the item of a roster set is about.
fn contact(item: Element<'_>, account: &BareJid) -> Result<BareJid, StanzaError> {
    let jid = item.attr("jid").ok_or(Condition::BadRequest)?;
    let jid = Jid::parse(&jid).map_err(|_| Condition::JidMalformed)?;
    let contact = jid.into_bare().ok_or_else(|| {
        StanzaError::new(Condition::BadRequest).text("A contact is a bare JID, without resource.")
    })?;
    if contact == *account {
        // § 2.3.3, interoperability note: one's own presence needs no subscription (§ 4.2.2).
        return Err(Condition::NotAllowed.into());
    }
    Ok(contact)
}

/// Name and groups, by the limits of § 2.3.3; the other attributes are not the client's to set.
fn given(engine: &Engine, item: Element<'_>) -> Result<(String, Vec<String>), StanzaError> {
    let limits = &engine.settings().limits;
    let name = item.attr("name").unwrap_or_default().into_owned();
    let mut groups = Vec::new();
    for group in item
        .children()
        .filter(|child| child.is("group", ns::ROSTER))
    {
        let group = group.text();
        if group.is_empty() || group.len() > limits.roster_name_bytes_max {
            return Err(Condition::NotAcceptable.into());
        }
        groups.push(group.into_owned());
    }
    if name.len() > limits.roster_name_bytes_max || groups.len() > limits.roster_groups_max {
        return Err(Condition::NotAcceptable.into());
    }
    let count = groups.len();
    groups.sort_unstable();
    groups.dedup();
    if groups.len() < count {
        return Err(Condition::BadRequest.into());
    }
    Ok((name, groups))
}

/// § 2.5: removes an item and ends the subscriptions that it stood for. A request that waits on
/// either side is withdrawn or denied too, so that nothing of the contact is left.
async fn remove(engine: &Engine, account: &BareJid, contact: &BareJid) -> Result<(), StanzaError> {
    let update = update_item(engine, account, contact, |before| match before {
        Some(item) if item.listed => Ok(((), Edit::Remove)),
        _ => Err(Condition::ItemNotFound.into()),
    });
    let ((), update) = update.await?;
    push(engine, account, update.as_ref());
    if let Some(before) = update.and_then(|update| update.before) {
        presence::end_subscriptions(engine, account, contact, State::from(&before)).await;
    }
    Ok(())
}

/// An item of which nothing is known yet.
pub(crate) fn blank(contact: &BareJid) -> RosterItem {
    RosterItem {
        jid: contact.clone(),
        name: String::new(),
        groups: Vec::new(),
        subscription: Subscription::None,
        ask: false,
        approved: false,
        request: None,
        listed: false,
    }
}

/// What to do with an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Edit {
    /// Nothing.
    Keep,
    /// Write it.
    Put(RosterItem),
    /// Remove it.
    Remove,
}

/// A change of one item that is on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Update {
    /// The contact.
    pub(crate) contact: BareJid,
    /// The item before.
    pub(crate) before: Option<RosterItem>,
    /// The item now.
    pub(crate) after: Option<RosterItem>,
    /// The roster's version now.
    pub(crate) version: u64,
}

/// Changes one item of an account's roster: reads it, asks `edit` what to do, writes, and tries
/// again if another change of the roster came first. No update is given if nothing was to be
/// written. When this returns, the change is on disk and the account's view is fresh; whoever
/// called tells it with [`push`].
pub(crate) async fn update_item<T>(
    engine: &Engine,
    account: &BareJid,
    contact: &BareJid,
    mut edit: impl FnMut(Option<&RosterItem>) -> Result<(T, Edit), StanzaError>,
) -> Result<(T, Option<Update>), StanzaError> {
    let store = engine.store();
    let items_max = engine.settings().limits.roster_items_max;
    let mut attempts = 0;
    loop {
        attempts += 1;
        let failed = |failure: &StoreError| error::from_store(engine, failure);
        let roster = store.roster(account.clone()).await;
        let mut roster = roster.map_err(|failure| failed(&failure))?;
        let before = roster
            .items
            .iter()
            .position(|item| item.jid == *contact)
            .map(|index| roster.items.swap_remove(index));
        let (told, edit) = edit(before.as_ref())?;
        let after = match edit {
            Edit::Keep => return Ok((told, None)),
            Edit::Put(item) => Some(item),
            Edit::Remove => None,
        };
        let written = match after.clone() {
            Some(item) => {
                store
                    .roster_put(account.clone(), roster.version, item, items_max)
                    .await
            }
            None => {
                store
                    .roster_remove(account.clone(), roster.version, contact.clone())
                    .await
            }
        };
        match written {
            Ok(version) => {
                engine.registry().changed(account);
                let update = Update {
                    contact: contact.clone(),
                    before,
                    after,
                    version,
                };
                return Ok((told, Some(update)));
            }
            Err(StoreError::Conflict) if attempts < ATTEMPTS_MAX => {}
            Err(failure) => return Err(failed(&failure)),
        }
    }
}

/// Sends a change to every interested resource (§ 2.1.6), if clients see the item at all.
///
/// Two changes of one roster are pushed in the order of their versions in all but the rarest case:
/// the later one is written by somebody who has read the earlier one back from the disk, while the
/// earlier one has only to be pushed.
pub(crate) fn push(engine: &Engine, account: &BareJid, update: Option<&Update>) {
    let Some(update) = update else { return };
    let listed = |item: &Option<RosterItem>| item.as_ref().is_some_and(|item| item.listed);
    if !listed(&update.before) && !listed(&update.after) {
        return;
    }
    let mut item = None;
    for resource in engine.registry().resources(account) {
        if !resource.has(Setting::Interested) {
            continue;
        }
        let item = item.get_or_insert_with(|| match &update.after {
            Some(item) if item.listed => item_element(item),
            _ => removal(&update.contact),
        });
        let stanza = push_stanza(engine, &resource, update.version, item);
        // A session that is ending asks for the changes when it returns (§ 2.6).
        let _ = resource.outbox.push(Delivery::Own(stanza));
    }
}

fn push_stanza(engine: &Engine, to: &Resource, version: u64, item: &Bytes) -> Bytes {
    let mut xml = Writer::new(ns::CLIENT);
    xml.start("iq")
        .attr("type", "set")
        .attr("id", &engine.env().token())
        .attr("to", to.jid.as_str())
        .start_ns("query", ns::ROSTER)
        .attr("ver", &ver(to.roster_epoch, version))
        .raw(item);
    xml.finish()
}

/// A version as clients see it (§ 2.6.2: opaque to them). The epoch keeps what a client remembers of
/// an account that was removed from being taken for the roster of a new one of that name.
fn ver(epoch: i64, version: u64) -> String {
    format!("{epoch:x}-{version}")
}

/// The version that a client remembers, if it is one of this roster.
fn version(epoch: i64, ver: &str) -> Option<u64> {
    let (given, version) = ver.split_once('-')?;
    if i64::from_str_radix(given, 16) != Ok(epoch) {
        return None;
    }
    version.parse().ok()
}

fn item_or_removal(change: &RosterChange) -> Bytes {
    match &change.item {
        Some(item) => item_element(item),
        None => removal(&change.jid),
    }
}

fn item_element(item: &RosterItem) -> Bytes {
    let mut xml = Writer::new(ns::ROSTER);
    write_item(&mut xml, item);
    xml.finish()
}

fn removal(contact: &BareJid) -> Bytes {
    let mut xml = Writer::new(ns::ROSTER);
    xml.start("item")
        .attr("jid", contact.as_str())
        .attr("subscription", "remove")
        .end();
    xml.finish()
}

/// § 2.1.2
fn write_item(xml: &mut Writer, item: &RosterItem) {
    let subscription = match item.subscription {
        Subscription::None => "none",
        Subscription::To => "to",
        Subscription::From => "from",
        Subscription::Both => "both",
    };
    xml.start("item")
        .attr("jid", item.jid.as_str())
        .attr_opt("name", Some(&*item.name).filter(|name| !name.is_empty()))
        .attr("subscription", subscription)
        .attr_opt("ask", item.ask.then_some(Type::Subscribe.as_str()))
        .attr_opt("approved", item.approved.then_some("true"));
    for group in &item.groups {
        xml.leaf("group", group);
    }
    xml.end();
}

#[cfg(test)]
mod tests {
    use super::{ver, version};

    #[test]
    fn versions_of_another_roster_are_unknown() {
        assert_eq!(version(7, &ver(7, 12)), Some(12));
        assert_eq!(version(8, &ver(7, 12)), None);
        for odd in ["", "12", "7-", "-12", "7-x", "7-12-1"] {
            assert_eq!(version(7, odd), None, "{odd}");
        }
    }
}
