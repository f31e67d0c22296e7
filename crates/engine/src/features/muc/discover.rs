//! What rooms and their service say of themselves (XEP-0045 § 6, XEP-0030).

use super::{hat_commands, rights::Action, room::Room, table::Rooms};
use crate::{
    Engine, error,
    feature::{IqCx, Place, Reply, Service},
    features::disco,
};
use waxwing_proto::{
    BareJid,
    caps::{DiscoInfo, Identity, InfoForm},
    ns,
    rsm::{self, Page, Response},
    stanza::{Condition, StanzaError},
    xml::Writer,
};
use waxwing_store::{BoxFuture, RoomList};

/// Rooms named in one answer.
pub(super) const ROOMS_MAX: u32 = 500;
/// `FORM_TYPE` of what a room says of itself beside its features (§ 16.5.4).
const ROOM_INFO: &str = "http://jabber.org/protocol/muc#roominfo";
/// XEP-0500 § 5.2
const SLOW_MODE: &str = "muc#roominfo_slow_mode_duration";
/// XEP-0502 § 4.1
const ACTIVITY: &str = "{urn:xmpp:muc-activity}message-activity";
/// § 7.12
const OWN_NICK: &str = "x-roomuser-item";
/// § 18.1.2
const TRAFFIC: &str = "http://jabber.org/protocol/muc#traffic";

/// § 6.2
pub(super) fn service_info(cx: IqCx<'_>) -> BoxFuture<'_, Result<Reply, StanzaError>> {
    Box::pin(async move {
        if cx.payload.attr("node").is_some() {
            return Err(Condition::ItemNotFound.into());
        }
        let identity = ("conference", "text", "Rooms");
        let settings = cx.engine.settings();
        Ok(disco::service_info(
            settings,
            Service::Rooms,
            identity,
            Vec::new(),
        ))
    })
}

/// § 6.3: the rooms that want to be found, in the order of their addresses, page by page forwards
/// (XEP-0059).
pub(super) fn service_items(cx: IqCx<'_>) -> BoxFuture<'_, Result<Reply, StanzaError>> {
    Box::pin(async move {
        if cx.payload.attr("node").is_some() {
            return Err(Condition::ItemNotFound.into());
        }
        let asked = rsm::Request::find(cx.payload).map_err(|_| Condition::BadRequest)?;
        let after = match asked.as_ref().map(|asked| &asked.page) {
            None | Some(Page::First) => None,
            Some(Page::After(last)) => {
                Some(BareJid::parse(last).map_err(|_| Condition::ItemNotFound)?)
            }
            Some(Page::Last | Page::Before(_) | Page::Index(_)) => {
                return Err(Condition::FeatureNotImplemented.into());
            }
        };
        let page = asked.as_ref();
        let most = page.map_or(ROOMS_MAX, |asked| asked.items(ROOMS_MAX));
        let service = cx.to.domain().to_owned();
        let store = cx.engine.store();
        // One more tells whether there are more.
        let rooms = store.rooms(service, RoomList::Listed, after, most.saturating_add(1));
        let rooms = rooms.await;
        let mut rooms = rooms.map_err(|failure| error::from_store(cx.engine, &failure))?;
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let is_part = rooms.len() > most;
        rooms.truncate(most);
        let mut xml = Writer::new(ns::CLIENT);
        xml.start_ns("query", ns::DISCO_ITEMS);
        for (jid, name) in &rooms {
            let name = Some(name.as_str()).filter(|name| !name.is_empty());
            xml.start("item")
                .attr("jid", jid.as_str())
                .attr_opt("name", name)
                .end();
        }
        if is_part || asked.is_some() {
            let ends = rooms.first().zip(rooms.last());
            let page = Response {
                ends: ends.map(|((first, _), (last, _))| (first.as_str(), last.as_str())),
                ..Response::default()
            };
            page.write(&mut xml);
        }
        xml.end();
        Ok(Reply::Payload(xml.finish()))
    })
}

/// § 6.4
pub(super) fn room_info(cx: IqCx<'_>) -> BoxFuture<'_, Result<Reply, StanzaError>> {
    Box::pin(async move {
        let room = Rooms::hold(cx.engine, cx.to).await?;
        let node = cx.payload.attr("node");
        let info = match node.as_deref() {
            None => room.ask(|room| room.info(cx.engine)),
            Some(OWN_NICK) => room.ask(|room| room.exists().then(|| own_nick(room, &cx))),
            // § 18.1.2: nothing is kept back.
            Some(TRAFFIC) if room.ask(Room::exists) => {
                return Err(Condition::ServiceUnavailable.into());
            }
            Some(_) => None,
        };
        let info = info.ok_or(Condition::ItemNotFound)?;
        Ok(disco::answer(&info, node.as_deref()))
    })
}

/// § 7.12
fn own_nick(room: &Room, cx: &IqCx<'_>) -> DiscoInfo {
    let nick = room.registered_nick(cx.from);
    DiscoInfo {
        identities: nick
            .into_iter()
            .map(|nick| identity(nick.as_str()))
            .collect(),
        features: Vec::new(),
        forms: Vec::new(),
    }
}

/// § 6.5: who is in a room is told to those who are.
pub(super) fn room_items(cx: IqCx<'_>) -> BoxFuture<'_, Result<Reply, StanzaError>> {
    Box::pin(async move {
        let room = Rooms::hold(cx.engine, cx.to).await?;
        let node = cx.payload.attr("node");
        if node.as_deref() == Some(ns::COMMANDS) && room.ask(Room::exists) {
            let is_admin = room.ask(|room| room.allows(Action::EditMembers, cx.from));
            return Ok(Reply::Payload(hat_commands::listed(cx.to, is_admin)));
        }
        if node.is_some() || !room.ask(Room::exists) {
            return Err(Condition::ItemNotFound.into());
        }
        Ok(disco::listed(cx.to, None, Vec::new()))
    })
}

impl Room {
    /// What it is and can do (§ 6.4), if there is one.
    fn info(&self, engine: &Engine) -> Option<DiscoInfo> {
        if !self.exists() {
            return None;
        }
        let config = &self.config;
        let choose = |is, yes: &str, no: &str| if is { yes } else { no }.to_owned();
        let mut features = disco::features(Place::Within(Service::Rooms), engine.settings());
        features.extend([
            choose(
                config.semi_anonymous,
                "muc_semianonymous",
                "muc_nonanonymous",
            ),
            choose(config.members_only, "muc_membersonly", "muc_open"),
            choose(config.moderated, "muc_moderated", "muc_unmoderated"),
            choose(config.protected, "muc_passwordprotected", "muc_unsecured"),
            choose(config.persistent, "muc_persistent", "muc_temporary"),
            choose(config.public, "muc_public", "muc_hidden"),
        ]);
        features.sort_unstable();
        let number = |number: usize| number.to_string();
        let fields = [
            ("muc#roomconfig_roomname", config.name.clone()),
            ("muc#roominfo_description", config.description.clone()),
            ("muc#roominfo_lang", config.lang.clone()),
            ("muc#roominfo_occupants", number(self.occupants())),
            ("muc#roominfo_subject", self.shown_subject()),
            (
                "muc#roominfo_subjectmod",
                choose(config.changesubject, "1", "0"),
            ),
            (
                "muc#roomconfig_changesubject",
                choose(config.changesubject, "1", "0"),
            ),
            (
                "muc#roomconfig_allowinvites",
                choose(config.allowinvites, "1", "0"),
            ),
            ("muc#roomconfig_allowpm", config.allowpm.name().to_owned()),
            ("muc#maxhistoryfetch", config.history.to_string()),
        ];
        let slow = number(usize::try_from(config.slow_seconds).unwrap_or(usize::MAX));
        let slow = Some(slow).filter(|_| config.slow_seconds > 0);
        let activity = self.shown_activity(engine.env().now());
        let more = [
            (SLOW_MODE, slow.into_iter().collect()),
            (ACTIVITY, activity.into_iter().collect()),
            ("muc#roominfo_avatarhash", self.picture.clone()),
            ("hats#hash", self.hats_hash().into_iter().collect()),
        ];
        let more = more.into_iter().filter(|(_, values)| !values.is_empty());
        let fields = fields.into_iter().filter(|(_, value)| !value.is_empty());
        let fields = fields.map(|(name, value)| (name, vec![value])).chain(more);
        Some(DiscoInfo {
            identities: vec![identity(&config.name)],
            features,
            forms: vec![InfoForm {
                form_type: ROOM_INFO.to_owned(),
                fields: fields
                    .map(|(name, values)| (name.to_owned(), values))
                    .collect(),
            }],
        })
    }

    /// The subject, where everybody may come in to read it.
    fn shown_subject(&self) -> String {
        if self.config.members_only || self.config.protected || !self.config.public {
            return String::new();
        }
        self.subject.text.clone()
    }
}

fn identity(name: &str) -> Identity {
    Identity {
        category: "conference".to_owned(),
        kind: "text".to_owned(),
        name: name.to_owned(),
        ..Identity::default()
    }
}
