//! Search for rooms ([XEP-0433](https://xmpp.org/extensions/xep-0433.html), 0.1.0): the service finds
//! those of its rooms that want to be listed, by words in name, description and address.

use super::{config::RoomConfig, discover::ROOMS_MAX, room::Room, table::Rooms};
use crate::{
    Engine, error,
    feature::{IqCx, Reply},
};
use waxwing_proto::{
    BareJid,
    form::{FieldKind, Form, FormKind, FormWriter, NewField},
    ns,
    rsm::{self, Page},
    stanza::{Condition, ErrorType, StanzaError},
    xml::Writer,
};
use waxwing_store::{BoxFuture, RoomList, StoreError};

/// `FORM_TYPE` of a search.
const FORM_TYPE: &str = "urn:xmpp:channel-search:0:search-params";
/// Application-specific conditions.
const ERRORS: &str = "urn:xmpp:channel-search:0:error";
const BY_USERS: &str = "{urn:xmpp:channel-search:0:order}nusers";
const BY_ADDRESS: &str = "{urn:xmpp:channel-search:0:order}address";
/// The only kind of room there is here.
const KIND: &str = "xep-0045";
/// Rooms of one answer.
const PAGE_MAX: u32 = 50;
/// Words of one search.
const WORDS_MAX: usize = 16;

/// What is looked for.
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are the independent switches of a form"
)]
#[derive(Debug, PartialEq, Eq)]
struct Wish {
    /// Every one of these, in small letters; none is all rooms.
    words: Vec<String>,
    name: bool,
    description: bool,
    address: bool,
    users_min: u64,
    by_address: bool,
    /// Rooms of this kind are wanted at all.
    kind: bool,
}

/// A room as it is found.
#[derive(Debug)]
struct Found {
    jid: BareJid,
    config: RoomConfig,
    users: usize,
}

/// § 4.2: the form, or what is found by it.
pub(super) fn search(cx: IqCx<'_>) -> BoxFuture<'_, Result<Reply, StanzaError>> {
    Box::pin(async move {
        let form = Form::find(cx.payload).map_err(|_| Condition::BadRequest)?;
        let Some(form) = form else {
            return Ok(Reply::Payload(empty_form()));
        };
        if form.form_type() != Some(FORM_TYPE) {
            return Err(Condition::BadRequest.into());
        }
        let wish = Wish::read(&form)?;
        let page = rsm::Request::find(cx.payload).map_err(|_| Condition::BadRequest)?;
        let found = find(cx.engine, cx.to.domain(), &wish).await;
        let found = found.map_err(|failure| error::from_store(cx.engine, &failure))?;
        let (shown, at) = part(&found, page.as_ref()).ok_or(Condition::ItemNotFound)?;
        Ok(Reply::Payload(answer(shown, at, found.len())))
    })
}

impl Wish {
    fn read(form: &Form) -> Result<Self, StanzaError> {
        let flag = |var| form.boolean(var).map_err(|_| Condition::BadRequest);
        let all = flag("all")?.unwrap_or(false);
        let said = form.value("q").map_err(|_| Condition::BadRequest)?;
        let words: Vec<String> = said
            .unwrap_or_default()
            .split_whitespace()
            .take(WORDS_MAX)
            .map(str::to_lowercase)
            .collect();
        if all && !words.is_empty() {
            return Err(refusal(Condition::BadRequest, "conflicting-fields")
                .text("Either search for words, or return all rooms."));
        }
        if !all && words.is_empty() {
            return Err(if said.is_some() {
                refusal(Condition::BadRequest, "invalid-search-terms")
                    .text("There is no word to search for.")
            } else {
                refusal(Condition::BadRequest, "no-search-conditions")
            });
        }
        let key = form.value("key").map_err(|_| Condition::BadRequest)?;
        let by_address = match key {
            None | Some(BY_USERS) => false,
            Some(BY_ADDRESS) => true,
            Some(_) => {
                return Err(refusal(
                    Condition::FeatureNotImplemented,
                    "invalid-sort-key",
                ));
            }
        };
        let kinds = form.values("types");
        let users_min = form
            .number("min_users")
            .map_err(|_| Condition::BadRequest)?;
        Ok(Self {
            words,
            name: flag("sinname")?.unwrap_or(true),
            description: flag("sindescription")?.unwrap_or(true),
            // The XEP names it in two ways.
            address: flag("sinaddr")?.or(flag("sinaddress")?).unwrap_or(true),
            users_min: users_min.unwrap_or(0),
            by_address,
            kind: kinds.is_none_or(|kinds| kinds.iter().any(|kind| kind == KIND)),
        })
    }

    fn fits(&self, room: &Found) -> bool {
        let mut text = String::new();
        for (wanted, part) in [
            (self.name, room.config.name.as_str()),
            (self.description, &room.config.description),
            (self.address, room.jid.as_str()),
        ] {
            if wanted {
                text.push_str(&part.to_lowercase());
                text.push('\n');
            }
        }
        u64::try_from(room.users).is_ok_and(|users| users >= self.users_min)
            && self.words.iter().all(|word| text.contains(word))
    }
}

/// § 4.2.2: always `modify`.
fn refusal(condition: Condition, name: &'static str) -> StanzaError {
    StanzaError::new(condition)
        .kind(ErrorType::Modify)
        .app(name, ERRORS)
}

/// Every listed room that is wanted, in the order that is wanted.
async fn find(engine: &Engine, service: &str, wish: &Wish) -> Result<Vec<Found>, StoreError> {
    let mut found = Vec::new();
    if !wish.kind {
        return Ok(found);
    }
    let store = engine.store();
    let rooms = store.rooms(service.to_owned(), RoomList::Listed, None, ROOMS_MAX);
    for (jid, _) in rooms.await? {
        if let Some(room) = read(engine, jid).await?.filter(|room| wish.fits(room)) {
            found.push(room);
        }
    }
    if !wish.by_address {
        // Of those with as many, the order of addresses stays.
        found.sort_by_key(|room| std::cmp::Reverse(room.users));
    }
    Ok(found)
}

/// A room, without bringing it into memory.
async fn read(engine: &Engine, jid: BareJid) -> Result<Option<Found>, StoreError> {
    let here = Rooms::find(engine, &jid).map(|held| held.ask(Room::listed));
    let (config, users) = match here {
        Some(None) => return Ok(None),
        Some(Some(here)) => here,
        None => {
            let kept = engine.store().room(jid.clone()).await?;
            match kept.and_then(|kept| RoomConfig::decode(&kept.config)) {
                Some(config) => (config, 0),
                None => return Ok(None),
            }
        }
    };
    Ok(Some(Found { jid, config, users }))
}

impl Room {
    /// What is found of it, if it is to be found.
    fn listed(&self) -> Option<(RoomConfig, usize)> {
        let listed = self.is_open() && self.config.public;
        listed.then(|| (self.config.clone(), self.occupants()))
    }
}

/// The page that is asked for (XEP-0059), and where it begins; items are named by their addresses.
fn part<'a>(all: &'a [Found], request: Option<&rsm::Request>) -> Option<(&'a [Found], usize)> {
    let most = request.map_or(PAGE_MAX, |request| request.items(PAGE_MAX));
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let position = |name: &str| all.iter().position(|room| room.jid.as_str() == name);
    let (from, to) = match request.map(|request| &request.page) {
        None | Some(Page::First) => (0, most),
        Some(Page::After(name)) => {
            let from = position(name)? + 1;
            (from, from.saturating_add(most))
        }
        Some(Page::Last) => (all.len().saturating_sub(most), all.len()),
        Some(Page::Before(name)) => {
            let to = position(name)?;
            (to.saturating_sub(most), to)
        }
        Some(Page::Index(index)) => {
            let from = usize::try_from(*index).ok()?;
            (from, from.saturating_add(most))
        }
    };
    let from = from.min(all.len());
    Some((all.get(from..to.min(all.len())).unwrap_or_default(), from))
}

/// § 4.2.2.1
fn answer(shown: &[Found], at: usize, count: usize) -> bytes::Bytes {
    let mut xml = Writer::new(ns::CLIENT);
    xml.start_ns("result", ns::CHANNEL_SEARCH);
    for Found { jid, config, users } in shown {
        xml.start("item").attr("address", jid.as_str());
        for (name, text) in [
            ("name", &config.name),
            ("description", &config.description),
            ("language", &config.lang),
        ] {
            if !text.is_empty() {
                xml.leaf(name, text);
            }
        }
        let open = !config.members_only && !config.protected;
        let anonymity = if config.semi_anonymous {
            "muc_semianonymous"
        } else {
            "{urn:xmpp:channel-search:0:anonymity}none"
        };
        xml.leaf("nusers", &users.to_string())
            .leaf("service-type", KIND)
            .leaf("is-open", if open { "true" } else { "false" })
            .leaf("anonymity-mode", anonymity)
            .end();
    }
    let name = |room: Option<&'_ Found>| room.map(|room| room.jid.as_str().to_owned());
    let ends = name(shown.first()).zip(name(shown.last()));
    rsm::Response {
        ends: ends.as_ref().map(|(first, last)| (&**first, &**last)),
        index: u32::try_from(at).ok(),
        count: u32::try_from(count).ok(),
    }
    .write(&mut xml);
    xml.finish()
}

/// § 4.2.1
fn empty_form() -> bytes::Bytes {
    let mut xml = Writer::new(ns::CLIENT);
    xml.start_ns("search", ns::CHANNEL_SEARCH);
    let mut form = FormWriter::start(&mut xml, FormKind::Form, FORM_TYPE);
    let flag = |var, label, value| NewField {
        var,
        kind: FieldKind::Boolean,
        label: Some(label),
        values: value,
        ..NewField::default()
    };
    form.field(&NewField {
        var: "q",
        kind: FieldKind::TextSingle,
        label: Some("Search for"),
        ..NewField::default()
    });
    form.field(&flag("all", "Return all rooms", &["false"]));
    form.field(&flag("sinname", "Search in names", &["true"]));
    form.field(&flag("sindescription", "Search in descriptions", &["true"]));
    form.field(&flag("sinaddr", "Search in addresses", &["true"]));
    form.field(&NewField {
        var: "min_users",
        kind: FieldKind::TextSingle,
        label: Some("With as many people in it"),
        values: &["0"],
        min: Some("0"),
        ..NewField::default()
    });
    form.field(&NewField {
        var: "types",
        kind: FieldKind::ListMulti,
        label: Some("Kinds"),
        values: &[KIND],
        options: &[("Rooms", KIND)],
        ..NewField::default()
    });
    form.field(&NewField {
        var: "key",
        kind: FieldKind::ListSingle,
        label: Some("Order"),
        values: &[BY_USERS],
        options: &[("Most people first", BY_USERS), ("By address", BY_ADDRESS)],
        ..NewField::default()
    });
    form.end();
    xml.finish()
}
