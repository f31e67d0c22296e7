//! What a subscriber wants of a subscription: its options (XEP-0060 § 6.3) and its id.
//!
//! There is one subscription for an address and a node, so an id is never needed; a service gives
//! one all the same (§ 6.1.6), and whoever names another is told so. Digests, bodies for people and
//! subscriptions that end with presence are not offered, and asking for them is refused.

use super::{
    config::PREFIX,
    stored::{escape, unescape},
};
use bytes::Bytes;
use waxwing_proto::{
    form::{FieldKind, Form, FormKind, FormWriter, NewField},
    ns, time,
    xml::{self, Writer},
};
use waxwing_store::Micros;

/// What `<show/>` can say (RFC 6121 § 4.7.2.1), and nothing.
const SHOWS: [&str; 5] = ["away", "chat", "dnd", "online", "xa"];

/// The options of one subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Terms {
    /// Its id; empty for none.
    pub(super) id: String,
    /// Whether the subscriber is told at all.
    pub(super) deliver: bool,
    /// When it ends.
    pub(super) expire: Option<Micros>,
    /// In which of these states of presence the subscriber is told; all if empty.
    pub(super) shows: Vec<&'static str>,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            id: String::new(),
            deliver: true,
            expire: None,
            shows: Vec::new(),
        }
    }
}

impl Terms {
    /// Reads what the store has. What cannot be understood is as if it was not there: a
    /// subscription that brings too much is better than none.
    pub(super) fn decode(stored: &[u8]) -> Self {
        let mut terms = Self::default();
        for line in String::from_utf8_lossy(stored).lines() {
            match line.split_once(' ') {
                Some(("id", id)) => terms.id = unescape(id),
                Some(("deliver", flag)) => terms.deliver = flag != "0",
                Some(("expire", at)) => terms.expire = at.parse().ok(),
                Some(("show", show)) => terms.shows.extend(known(show)),
                _ => {}
            }
        }
        terms
    }

    /// What the store keeps; nothing for a subscription without id and options.
    pub(super) fn encode(&self) -> Bytes {
        let mut out = String::new();
        if !self.id.is_empty() {
            out.push_str("id ");
            escape(&self.id, &mut out);
            out.push('\n');
        }
        if !self.deliver {
            out.push_str("deliver 0\n");
        }
        if let Some(at) = self.expire {
            out.push_str("expire ");
            out.push_str(&at.to_string());
            out.push('\n');
        }
        for show in &self.shows {
            out.push_str("show ");
            out.push_str(show);
            out.push('\n');
        }
        out.into()
    }

    /// Takes the options that a form has; `None` if one cannot be so. Fields that are not options
    /// are ignored (XEP-0004 § 3.2).
    pub(super) fn apply(&mut self, form: &Form, now: Micros) -> Option<()> {
        for field in &form.fields {
            let name = field.var.strip_prefix(PREFIX).unwrap_or_default();
            let one = match field.values.as_slice() {
                [] => "",
                [value] => value.as_str(),
                _ if name == "show-values" => "",
                _ => return None,
            };
            match name {
                "deliver" => self.deliver = xml::boolean(one)?,
                // What is not offered can be declined.
                "digest" | "include_body" if xml::boolean(one)? => return None,
                "expire" if one.is_empty() => self.expire = None,
                "expire" => {
                    let at = time::parse_datetime(one)?;
                    if at <= now {
                        return None;
                    }
                    self.expire = Some(at);
                }
                "show-values" => {
                    let shows = field.values.iter().map(|value| known(value));
                    self.shows = shows.collect::<Option<_>>()?;
                    self.shows.sort_unstable();
                    self.shows.dedup();
                }
                _ => {}
            }
        }
        Some(())
    }

    /// Writes the form of § 6.3.2, or of § 6.4.
    pub(super) fn write(&self, xml: &mut Writer, kind: FormKind) {
        let shows: Vec<(&str, &str)> = SHOWS.iter().map(|show| (*show, *show)).collect();
        let expire = self.expire.map(time::format_datetime);
        let expire: Vec<&str> = expire.iter().map(String::as_str).collect();
        let mut form = FormWriter::start(xml, kind, ns::PUBSUB_SUBSCRIBE_OPTIONS);
        form.field(&NewField {
            var: "pubsub#deliver",
            kind: FieldKind::Boolean,
            label: Some("Whether to be told at all"),
            values: &[if self.deliver { "1" } else { "0" }],
            ..NewField::default()
        });
        form.field(&NewField {
            var: "pubsub#digest",
            kind: FieldKind::Boolean,
            label: Some("Whether to be told of several things at once"),
            values: &["0"],
            ..NewField::default()
        });
        form.field(&NewField {
            var: "pubsub#expire",
            kind: FieldKind::TextSingle,
            label: Some("When the subscription ends"),
            values: &expire,
            ..NewField::default()
        });
        form.field(&NewField {
            var: "pubsub#include_body",
            kind: FieldKind::Boolean,
            label: Some("Whether to be told in words, too"),
            values: &["0"],
            ..NewField::default()
        });
        form.field(&NewField {
            var: "pubsub#show-values",
            kind: FieldKind::ListMulti,
            label: Some("With which states of presence to be told; with all if none is chosen"),
            values: &self.shows,
            options: &shows,
            ..NewField::default()
        });
        form.end();
    }

    /// Whether a client in a state of presence is to be told.
    pub(super) fn suits(&self, show: &str) -> bool {
        self.shows.is_empty() || self.shows.contains(&show)
    }
}

fn known(show: &str) -> Option<&'static str> {
    SHOWS.into_iter().find(|known| *known == show)
}

#[cfg(test)]
mod tests {
    use super::super::demands::fixtures::form;
    use super::Terms;

    #[test]
    fn what_is_stored_is_read_again() {
        assert_eq!(Terms::default().encode(), "");
        let mut terms = Terms {
            id: "a b\n".into(),
            ..Terms::default()
        };
        let wanted = form(&[
            ("FORM_TYPE", &["x"]),
            ("pubsub#deliver", &["0"]),
            ("pubsub#expire", &["2030-01-01T00:00:00Z"]),
            ("pubsub#show-values", &["online", "chat"]),
            ("pubsub#digest", &["0"]),
            ("other", &["1", "2"][..1]),
        ]);
        terms.apply(&wanted, 0).unwrap();
        assert_eq!(Terms::decode(&terms.encode()), terms);
        assert!(terms.suits("chat") && !terms.suits("away"));
        assert_eq!(
            Terms::decode(b"show strange\nlater x\n\xff"),
            Terms::default()
        );
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for (name, values) in [
            ("deliver", &["perhaps"][..]),
            ("deliver", &["1", "0"]),
            ("digest", &["1"]),
            ("include_body", &["true"]),
            ("expire", &["presence"]),
            ("expire", &["1970-01-01T00:00:00Z"]),
            ("show-values", &["online", "asleep"]),
        ] {
            let form = form(&[(&format!("pubsub#{name}"), values)]);
            assert_eq!(Terms::default().apply(&form, 1), None, "{name} {values:?}");
        }
    }
}
