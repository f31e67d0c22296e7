//! The commands for hats (XEP-0317 § 4.2 to § 4.7, by XEP-0050). A command is one form at most, and
//! nothing is remembered between its stages: a form may be submitted at once.

use super::{
    errors::Refusal,
    hats::{self, Hat, Hats},
    rights::Action,
    room::{Event, Room},
    table::Rooms,
};
use crate::{
    error,
    feature::{IqCx, Reply},
};
use bytes::Bytes;
use waxwing_proto::{
    BareJid, Jid,
    form::{FieldKind, Form, FormKind, FormWriter, NewField},
    ns,
    stanza::{Condition, StanzaError},
    xml::Writer,
};
use waxwing_store::BoxFuture;

const FORM_TYPE: &str = "urn:xmpp:hats:commands";
/// Hats of a room.
const HATS_MAX: usize = 50;
/// People who wear any.
const WEARERS_MAX: usize = 1000;
/// Bytes of a title or a URI.
const TEXT_BYTES_MAX: usize = 256;

/// What can be done, by the end of its node, and its name.
const COMMANDS: [(&str, &str); 6] = [
    ("create", "Make or change a hat"),
    ("destroy", "Destroy a hat"),
    ("list", "The hats of this room"),
    ("assign", "Give somebody a hat"),
    ("unassign", "Take somebody's hat"),
    ("list-assigned", "Who wears which hat"),
];

/// What a request comes to.
enum Outcome {
    /// The form to be filled in.
    Form(Bytes),
    /// What was asked for.
    Result(Bytes),
    /// There are other hats from now on.
    Change(Hats),
}

/// § 4.2 to § 4.7
pub(super) fn command(cx: IqCx<'_>) -> BoxFuture<'_, Result<Reply, StanzaError>> {
    Box::pin(async move {
        let node = cx.payload.attr("node").unwrap_or_default();
        let known = node
            .strip_prefix(FORM_TYPE)
            .and_then(|end| end.strip_prefix(':'));
        let known = COMMANDS.iter().find(|(name, _)| Some(*name) == known);
        let (name, _) = known.ok_or(Condition::ItemNotFound)?;
        let session = cx.payload.attr("sessionid").map(String::from);
        let session = session.unwrap_or_else(|| cx.engine.env().token());
        let answer = |status, content: Option<&Bytes>| {
            let mut xml = Writer::new(ns::CLIENT);
            xml.start_ns("command", ns::COMMANDS)
                .attr("node", &node)
                .attr("sessionid", &session)
                .attr("status", status);
            if let Some(content) = content {
                xml.raw(content);
            }
            Ok(Reply::Payload(xml.finish()))
        };
        if cx.payload.attr("action").as_deref() == Some("cancel") {
            return answer("canceled", None);
        }
        let form = Form::find(cx.payload).map_err(|_| Condition::BadRequest)?;
        let room = Rooms::hold(cx.engine, cx.to).await?;
        let _turn = room.turn().await;
        match room.ask(|room| room.hat_command(cx.from, name, form.as_ref()))? {
            Outcome::Form(form) => answer("executing", Some(&form)),
            Outcome::Result(list) => answer("completed", Some(&list)),
            Outcome::Change(changed) => {
                let kept = hats::write(cx.engine, cx.to, &changed).await;
                kept.map_err(|failure| error::from_store(cx.engine, &failure))?;
                room.apply(Event::Hats(changed))?;
                answer("completed", None)
            }
        }
    })
}

/// XEP-0050 § 3.1: what somebody can do.
pub(super) fn listed(room: &BareJid, is_admin: bool) -> Bytes {
    let mut xml = Writer::new(ns::CLIENT);
    xml.start_ns("query", ns::DISCO_ITEMS)
        .attr("node", ns::COMMANDS);
    for (node, label) in COMMANDS {
        if is_admin || node == "list" {
            xml.start("item")
                .attr("jid", room.as_str())
                .attr("node", &format!("{FORM_TYPE}:{node}"))
                .attr("name", label)
                .end();
        }
    }
    xml.finish()
}

impl Room {
    fn hat_command(&self, from: &Jid, name: &str, form: Option<&Form>) -> Result<Outcome, Refusal> {
        self.known_to(from)?;
        if name == "list" {
            // Everybody in the room sees them worn.
            let reads = self.occupant(from).is_some() || self.admits_reader(from);
            return if reads {
                Ok(Outcome::Result(self.list_hats()))
            } else {
                Err(Refusal::Forbidden)
            };
        }
        self.demand(Action::EditMembers, from)?;
        if name == "list-assigned" {
            return Ok(Outcome::Result(self.list_worn()));
        }
        let Some(form) = form else {
            return Ok(Outcome::Form(self.hat_form(name)));
        };
        let mut hats = self.hats.clone();
        match name {
            "create" => hats.make(form)?,
            "destroy" => hats.destroy(uri(form)?)?,
            "assign" => hats.assign(jid(form)?, uri(form)?)?,
            _ => hats.unassign(&jid(form)?, uri(form)?)?,
        }
        Ok(Outcome::Change(hats))
    }

    fn hat_form(&self, name: &str) -> Bytes {
        let hats = self.hats.all.iter();
        let options: Vec<(&str, &str)> = hats
            .map(|(uri, hat)| (hat.title.as_str(), uri.as_str()))
            .collect();
        let field = |var, kind, label| NewField {
            var,
            kind,
            label: Some(label),
            required: true,
            ..NewField::default()
        };
        let mut xml = Writer::new(ns::CLIENT);
        let mut form = FormWriter::start(&mut xml, FormKind::Form, FORM_TYPE);
        if name == "create" {
            form.field(&field("hats#title", FieldKind::TextSingle, "Title"));
            form.field(&field("hats#uri", FieldKind::TextSingle, "URI"));
            form.field(&NewField {
                required: false,
                ..field("hats#hue", FieldKind::TextSingle, "Hue")
            });
        } else {
            if name != "destroy" {
                form.field(&field("hats#jid", FieldKind::JidSingle, "Address"));
            }
            form.field(&NewField {
                options: &options,
                ..field("hats#uri", FieldKind::ListSingle, "Hat")
            });
        }
        form.end();
        xml.finish()
    }

    fn list_hats(&self) -> Bytes {
        let rows = self.hats.all.iter().map(|(uri, hat)| {
            let mut row = vec![("hats#title", hat.title.as_str()), ("hats#uri", uri)];
            row.extend(hat.hue.as_deref().map(|hue| ("hats#hue", hue)));
            row
        });
        table(&["hats#title", "hats#uri", "hats#hue"], rows)
    }

    fn list_worn(&self) -> Bytes {
        let worn = self.hats.worn.iter();
        let worn = worn.flat_map(|(jid, uris)| uris.iter().map(move |uri| (jid, uri)));
        let rows = worn.filter_map(|(jid, uri)| {
            let hat = self.hats.all.get(uri)?;
            let mut row = vec![
                ("hats#jid", jid.as_str()),
                ("hats#uri", uri),
                ("hats#title", &hat.title),
            ];
            row.extend(hat.hue.as_deref().map(|hue| ("hats#hue", hue)));
            Some(row)
        });
        let columns = ["hats#jid", "hats#uri", "hats#title", "hats#hue"];
        table(&columns, rows)
    }
}

impl Hats {
    /// § 4.2: a new one, or one of that URI as it is from now on.
    fn make(&mut self, form: &Form) -> Result<(), Refusal> {
        let uri = uri(form)?;
        let title = text(form, "hats#title")?.ok_or(Refusal::BadRequest)?;
        let hue = text(form, "hats#hue")?;
        let is_angle = |hue: &str| {
            let angle = hue.parse::<f64>();
            angle.is_ok_and(|angle| (0.0..=360.0).contains(&angle))
        };
        if hue.is_some_and(|hue| !is_angle(hue)) {
            return Err(Refusal::NotAcceptable);
        }
        if self.all.len() >= HATS_MAX && !self.all.contains_key(uri) {
            return Err(Refusal::TooMuch);
        }
        let hat = Hat {
            title: title.to_owned(),
            hue: hue.map(str::to_owned),
        };
        self.all.insert(uri.to_owned(), hat);
        Ok(())
    }

    /// § 4.3: nobody wears it any more.
    fn destroy(&mut self, uri: &str) -> Result<(), Refusal> {
        self.all.remove(uri).ok_or(Refusal::NotFound)?;
        self.worn.retain(|_, worn| {
            worn.remove(uri);
            !worn.is_empty()
        });
        Ok(())
    }

    /// § 4.5
    fn assign(&mut self, jid: BareJid, uri: &str) -> Result<(), Refusal> {
        if !self.all.contains_key(uri) {
            return Err(Refusal::NotFound);
        }
        if self.worn.len() >= WEARERS_MAX && !self.worn.contains_key(&jid) {
            return Err(Refusal::TooMuch);
        }
        self.worn.entry(jid).or_default().insert(uri.to_owned());
        Ok(())
    }

    /// § 4.6
    fn unassign(&mut self, jid: &BareJid, uri: &str) -> Result<(), Refusal> {
        let worn = self.worn.get_mut(jid).ok_or(Refusal::NotFound)?;
        if !worn.remove(uri) {
            return Err(Refusal::NotFound);
        }
        if worn.is_empty() {
            self.worn.remove(jid);
        }
        Ok(())
    }
}

fn table<'a>(columns: &[&str], rows: impl Iterator<Item = Vec<(&'a str, &'a str)>>) -> Bytes {
    let mut xml = Writer::new(ns::CLIENT);
    xml.start_ns("x", ns::DATA_FORMS).attr("type", "result");
    xml.start("reported");
    for column in columns {
        xml.start("field").attr("var", column).end();
    }
    xml.end();
    for row in rows {
        xml.start("item");
        for (var, value) in row {
            xml.start("field").attr("var", var);
            xml.leaf("value", value).end();
        }
        xml.end();
    }
    xml.finish()
}

fn uri(form: &Form) -> Result<&str, Refusal> {
    text(form, "hats#uri")?.ok_or(Refusal::BadRequest)
}

fn jid(form: &Form) -> Result<BareJid, Refusal> {
    let jid = text(form, "hats#jid")?.ok_or(Refusal::BadRequest)?;
    let jid = Jid::parse(jid).map_err(|_| Refusal::BadRequest)?;
    Ok(jid.to_bare())
}

fn text<'a>(form: &'a Form, var: &str) -> Result<Option<&'a str>, Refusal> {
    let value = form.value(var).map_err(|_| Refusal::BadRequest)?;
    match value.filter(|value| !value.is_empty()) {
        Some(value) if value.len() > TEXT_BYTES_MAX => Err(Refusal::NotAcceptable),
        value => Ok(value),
    }
}
