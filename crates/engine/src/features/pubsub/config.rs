//! What a node is: its options (XEP-0060 § 16.4.4), as a form, as preconditions, and as stored; all
//! three are made from the table in [`super::options`].

use super::options::{FIELDS, Field, field};
use waxwing_proto::form::{FieldKind, Form, FormWriter, NewField};

/// Items that a node may keep, and the meaning of `max`.
pub(super) const ITEMS_MAX: u32 = 10_000;
/// Bytes of one payload: what a client's stanza may have by default.
pub(super) const PAYLOAD_BYTES_MAX: u32 = 256 * 1024;
/// Groups or contacts of one node.
pub(super) const GROUPS_MAX: usize = 100;
/// Bytes of an option that is free text.
pub(super) const TEXT_BYTES_MAX: usize = 1024;

/// Who may subscribe and read (XEP-0060 § 4.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Those whom an owner lets in.
    Authorize,
    /// Anyone.
    Open,
    /// Those who see the owner's presence.
    Presence,
    /// Those in some groups of the owner's roster.
    Roster,
    /// Those with an affiliation.
    Whitelist,
}

/// Who may publish besides owners and publishers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PublishModel {
    /// Nobody.
    Publishers,
    /// Subscribers.
    Subscribers,
    /// Anyone who is not an outcast.
    Open,
}

/// When the newest item is sent without anything new having been published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SendLast {
    /// Never.
    Never,
    /// To new subscribers.
    OnSub,
    /// To new subscribers, and to subscribers that become available.
    OnSubAndPresence,
}

/// What happens to a publication on a node that has all the items it may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WhenFull {
    /// The oldest items go, and subscribers are told.
    Retract,
    /// The oldest items go.
    Discard,
    /// It is refused.
    Reject,
}

/// Whom replies to an item are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ItemReply {
    /// Nobody is named.
    Unsaid,
    /// The node's owner.
    Owner,
    /// The item's publisher.
    Publisher,
}

/// A number, or as much as the server allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bound {
    /// So many.
    Number(u32),
    /// `max`.
    Max,
}

impl Bound {
    /// The number, `max` being the most there may be.
    pub(super) fn up_to(self, max: u32) -> u32 {
        match self {
            Self::Number(number) => number.min(max),
            Self::Max => max,
        }
    }
}

/// The options of a node.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an option of XEP-0060 by itself"
)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NodeConfig {
    /// Who may subscribe and read.
    pub(super) access: Access,
    /// For [`Access::Roster`]: which groups.
    pub(super) groups: Vec<String>,
    /// Who may publish.
    pub(super) publish: PublishModel,
    /// Whether items are kept.
    pub(super) persist: bool,
    /// How many are kept.
    pub(super) items_max: Bound,
    /// For how many seconds; `None` for ever.
    pub(super) expire_seconds: Option<Bound>,
    /// Bytes of one payload.
    pub(super) payload_bytes_max: Bound,
    /// What happens when there are more items than may be kept.
    pub(super) when_full: WhenFull,
    /// Whether anybody is told of anything.
    pub(super) notify: bool,
    /// Whether items are told with their payloads.
    pub(super) payloads: bool,
    /// Whether a change of the options is told.
    pub(super) notify_config: bool,
    /// Whether the end of the node is told.
    pub(super) notify_delete: bool,
    /// Whether the end of an item is told.
    pub(super) notify_retract: bool,
    /// Whether owners are told of new subscribers.
    pub(super) notify_sub: bool,
    /// When the newest item is sent again.
    pub(super) send_last: SendLast,
    /// Whether only those who are available are told.
    pub(super) presence_based: bool,
    /// Whether notifications are headlines; otherwise they are normal messages.
    pub(super) headlines: bool,
    /// Whom replies are for.
    pub(super) item_reply: ItemReply,
    /// Whether anybody may subscribe.
    pub(super) subscribe: bool,
    /// A name for people.
    pub(super) title: String,
    /// A description for people.
    pub(super) description: String,
    /// What the payloads are.
    pub(super) kind: String,
    /// Language.
    pub(super) language: String,
    /// Whom to ask about it.
    pub(super) contact: Vec<String>,
}

impl NodeConfig {
    /// What XEP-0163 § 9 says, and of what it leaves open what clients expect: an item is kept, its
    /// end and that of the node are told.
    pub(super) fn pep() -> Self {
        Self {
            access: Access::Presence,
            groups: Vec::new(),
            publish: PublishModel::Publishers,
            persist: true,
            items_max: Bound::Number(1),
            expire_seconds: None,
            payload_bytes_max: Bound::Max,
            when_full: WhenFull::Retract,
            notify: true,
            payloads: true,
            notify_config: false,
            notify_delete: true,
            notify_retract: true,
            notify_sub: false,
            send_last: SendLast::OnSubAndPresence,
            presence_based: true,
            headlines: true,
            item_reply: ItemReply::Unsaid,
            subscribe: true,
            title: String::new(),
            description: String::new(),
            kind: String::new(),
            language: String::new(),
            contact: Vec::new(),
        }
    }

    /// What is for the account's own clients alone (XEP-0223), as XEP-0490 § 4.2 wants it.
    pub(super) fn private() -> Self {
        Self {
            access: Access::Whitelist,
            items_max: Bound::Max,
            send_last: SendLast::Never,
            ..Self::pep()
        }
    }

    /// How many items the node keeps.
    pub(super) fn items_max(&self) -> u32 {
        self.items_max.up_to(ITEMS_MAX)
    }

    /// The value of the option `pubsub#access_model`.
    pub(super) fn access_name(&self) -> String {
        let field = field("access_model").map(|field| (field.read)(self));
        field.unwrap_or_default().concat()
    }

    /// The time before which items have expired.
    pub(super) fn since(&self, now: waxwing_store::Micros) -> Option<waxwing_store::Micros> {
        match self.expire_seconds {
            Some(Bound::Number(seconds)) => {
                Some(now.saturating_sub(i64::from(seconds).saturating_mul(1_000_000)))
            }
            Some(Bound::Max) | None => None,
        }
    }

    /// Reads what the store has; `None` if it is damaged. Options that this version does not know
    /// are left out.
    pub(super) fn decode(stored: &[u8]) -> Option<Self> {
        let mut config = Self::pep();
        let text = std::str::from_utf8(stored).ok()?;
        let mut given: Vec<(&'static Field, Vec<String>)> = Vec::new();
        for line in text.lines() {
            let (name, value) = line.split_once(' ')?;
            let Some(field) = field(name) else { continue };
            let value = unescape(value);
            match given.iter_mut().find(|(other, _)| other.name == name) {
                Some((_, values)) => values.push(value),
                None => given.push((field, vec![value])),
            }
        }
        for (field, mut values) in given {
            // How an empty list is told from the default.
            values.retain(|value| !value.is_empty() || field.kind != FieldKind::ListMulti);
            (field.write)(&mut config, &values)?;
        }
        Some(config)
    }

    /// What the store keeps: the options that differ from [`NodeConfig::pep`], a line each. The
    /// defaults are therefore part of the stored form; to change them takes a migration.
    pub(super) fn encode(&self) -> Vec<u8> {
        let base = Self::pep();
        let mut out = String::new();
        for field in FIELDS {
            let values = (field.read)(self);
            if values == (field.read)(&base) {
                continue;
            }
            let empty = [String::new()];
            let values = if values.is_empty() {
                &empty[..]
            } else {
                &values
            };
            for value in values {
                out.push_str(field.name);
                out.push(' ');
                escape(value, &mut out);
                out.push('\n');
            }
        }
        out.into_bytes()
    }

    /// Takes the options that a form has (§ 8.2.4); fields that are not options are ignored, as
    /// XEP-0004 says.
    pub(super) fn apply(&mut self, form: &Form) -> Result<(), Unacceptable> {
        for given in &form.fields {
            let Some(field) = given.var.strip_prefix(PREFIX).and_then(field) else {
                continue;
            };
            if field.kind == FieldKind::ListSingle && given.values.is_empty() {
                continue;
            }
            (field.write)(self, &given.values).ok_or(Unacceptable(field.name))?;
        }
        Ok(())
    }

    /// Takes every field as an option of a new node (§ 7.1.5).
    pub(super) fn apply_all(&mut self, form: &Form) -> Result<(), Precondition> {
        for given in fields_of(form) {
            let field = given.var.strip_prefix(PREFIX).and_then(field);
            let field = field.ok_or(Precondition::Unknown)?;
            (field.write)(self, &given.values).ok_or(Precondition::NotMet)?;
        }
        Ok(())
    }

    /// Whether the node is as every field says (§ 7.1.5). Values are compared for what they mean:
    /// `1` is `true`, more items than may be are `max`, and what is fixed for a node of that name
    /// is met.
    pub(super) fn meets(&self, form: &Form, node: &str) -> Result<(), Precondition> {
        let mut wanted = self.clone();
        wanted.apply_all(form)?;
        let wanted = wanted.settled(node);
        if wanted.effective() == self.clone().effective() {
            Ok(())
        } else {
            Err(Precondition::NotMet)
        }
    }

    /// Writes the options into a form that is open.
    pub(super) fn write(&self, form: &mut FormWriter<'_>, labelled: bool) {
        for field in FIELDS {
            let values = (field.read)(self);
            let values: Vec<&str> = values.iter().map(String::as_str).collect();
            let options: Vec<(&str, &str)> = field
                .options
                .iter()
                .map(|option| (*option, *option))
                .collect();
            form.field(&NewField {
                var: &format!("{PREFIX}{}", field.name),
                kind: field.kind,
                label: labelled.then_some(field.label),
                values: &values,
                options: if labelled { &options } else { &[] },
                ..NewField::default()
            });
        }
    }

    fn effective(mut self) -> Self {
        let number = |bound: Bound, max: u32| match bound {
            Bound::Number(number) if number >= max => Bound::Max,
            bound => bound,
        };
        self.items_max = number(self.items_max, ITEMS_MAX);
        self.payload_bytes_max = number(self.payload_bytes_max, PAYLOAD_BYTES_MAX);
        if self.expire_seconds == Some(Bound::Max) {
            self.expire_seconds = None;
        }
        self.groups.sort_unstable();
        self.contact.sort_unstable();
        self
    }
}

/// The value of an option cannot be taken; the option's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unacceptable(pub &'static str);

/// Why a publication is refused by its options.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Precondition {
    /// The node is otherwise, or cannot be so.
    NotMet,
    /// There is no such option.
    Unknown,
}

const PREFIX: &str = "pubsub#";

fn fields_of(form: &Form) -> impl Iterator<Item = &waxwing_proto::form::Field> {
    form.fields.iter().filter(|field| field.var != "FORM_TYPE")
}

fn escape(text: &str, out: &mut String) {
    for character in text.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            character => out.push(character),
        }
    }
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some('n') => out.push('\n'),
                Some('r') => out.push('\r'),
                Some(other) => out.push(other),
                None => {}
            },
            character => out.push(character),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use expect_test::expect;
    use std::fmt::Write as _;
    use waxwing_proto::{
        ns,
        xml::{Limits, Tree},
    };

    fn form(fields: &[(&str, &[&str])]) -> Form {
        let mut xml = String::from("<x xmlns='jabber:x:data' type='submit'>");
        for (var, values) in fields {
            write!(xml, "<field var='{var}'>").unwrap();
            for value in *values {
                write!(xml, "<value>{value}</value>").unwrap();
            }
            xml.push_str("</field>");
        }
        xml.push_str("</x>");
        let tree = Tree::parse(Bytes::from(xml), ns::CLIENT, &Limits::C2S).unwrap();
        Form::read(tree.root()).unwrap()
    }

    fn one(name: &str, value: &str) -> Form {
        form(&[(&format!("pubsub#{name}"), &[value])])
    }

    /// What is stored is read again as it was, for a value of every option that is not the default.
    #[test]
    fn stored_options_are_read_again() {
        let mut config = NodeConfig::pep();
        assert_eq!(config.encode(), b"", "the usual node takes no room");
        assert_eq!(NodeConfig::decode(b"").unwrap(), config);
        for (name, values) in [
            ("title", &["A\ntitle \\ n"][..]),
            ("description", &["d"]),
            ("type", &["urn:x"]),
            ("language", &["de"]),
            ("access_model", &["roster"]),
            ("roster_groups_allowed", &["Friends", "a b"]),
            ("publish_model", &["open"]),
            ("persist_items", &["0"]),
            ("max_items", &["max"]),
            ("item_expire", &["604800"]),
            ("max_payload_size", &["1028"]),
            ("publish_node_full", &["reject"]),
            ("deliver_notifications", &["false"]),
            ("deliver_payloads", &["0"]),
            ("notify_config", &["1"]),
            ("notify_delete", &["0"]),
            ("notify_retract", &["0"]),
            ("notify_sub", &["true"]),
            ("send_last_published_item", &["never"]),
            ("presence_based_delivery", &["0"]),
            ("notification_type", &["normal"]),
            ("itemreply", &["publisher"]),
            ("subscribe", &["0"]),
            ("contact", &["a@a.example"]),
        ] {
            let before = config.clone();
            let var = format!("pubsub#{name}");
            config.apply(&form(&[(&var, values)])).unwrap();
            assert_ne!(config, before, "{name}");
            let stored = config.encode();
            assert_eq!(
                NodeConfig::decode(&stored).as_ref(),
                Some(&config),
                "{name}"
            );
        }
        let changed = FIELDS.iter().filter(|field| {
            let default = (field.read)(&NodeConfig::pep());
            (field.read)(&config) != default
        });
        let fixed = 3;
        assert_eq!(
            changed.count() + fixed,
            FIELDS.len(),
            "every option is above"
        );
        let unknown = b"of_a_later_version 1\ntitle x\n";
        assert_eq!(NodeConfig::decode(unknown).unwrap().title, "x");
        assert_eq!(NodeConfig::decode(b"access_model strange\n"), None);
        assert_eq!(NodeConfig::decode(b"no value\xff"), None);
    }

    /// XEP-0060 § 7.1.5. Nothing that a client asked for when it made the node is a conflict when it
    /// asks for the same again.
    #[test]
    fn preconditions() {
        let mut node = NodeConfig::pep();
        let made = [
            ("pubsub#persist_items", &["true"][..]),
            ("pubsub#max_items", &["max"]),
            ("pubsub#access_model", &["open"]),
            ("pubsub#send_last_published_item", &["never"]),
            ("pubsub#item_expire", &["max"]),
            ("pubsub#roster_groups_allowed", &["a", "b"]),
        ];
        node.apply_all(&form(&made)).unwrap();
        let stored = NodeConfig::decode(&node.encode()).unwrap();
        assert_eq!(stored.meets(&form(&made), "urn:x"), Ok(()));
        for (name, value, wanted) in [
            ("persist_items", "1", Ok(())),
            ("persist_items", "false", Err(Precondition::NotMet)),
            ("max_items", "10000", Ok(())),
            ("max_items", "99999999999999", Ok(())),
            ("max_items", "9999", Err(Precondition::NotMet)),
            ("max_items", "0", Err(Precondition::NotMet)),
            ("max_items", "many", Err(Precondition::NotMet)),
            ("item_expire", "", Ok(())),
            ("item_expire", "60", Err(Precondition::NotMet)),
            ("access_model", "open", Ok(())),
            ("access_model", "presence", Err(Precondition::NotMet)),
            ("access_model", "strange", Err(Precondition::NotMet)),
            ("notify_retract", "1", Ok(())),
            ("notify_delete", "0", Err(Precondition::NotMet)),
            ("node_type", "leaf", Ok(())),
            ("node_type", "collection", Err(Precondition::NotMet)),
            ("purge_offline", "false", Ok(())),
            ("purge_offline", "1", Err(Precondition::NotMet)),
            ("unheard_of", "1", Err(Precondition::Unknown)),
        ] {
            assert_eq!(
                stored.meets(&one(name, value), "urn:x"),
                wanted,
                "{name} {value}"
            );
        }
        let groups = [("pubsub#roster_groups_allowed", &["b", "a"][..])];
        assert_eq!(
            stored.meets(&form(&groups), "urn:x"),
            Ok(()),
            "in any order"
        );
        assert_eq!(stored.meets(&form(&[]), "urn:x"), Ok(()));
        let other = [("muc#roomconfig", &["1"][..])];
        assert_eq!(
            stored.meets(&form(&other), "urn:x"),
            Err(Precondition::Unknown)
        );
    }

    /// What is no option is ignored in a configuration (XEP-0004 § 3.2), what cannot be is refused.
    #[test]
    fn configuring() {
        let mut config = NodeConfig::pep();
        assert_eq!(config.apply(&one("unheard_of", "1")), Ok(()));
        assert_eq!(config, NodeConfig::pep());
        let long = "x".repeat(TEXT_BYTES_MAX + 1);
        for (name, value) in [
            ("access_model", "strange"),
            ("max_items", "-1"),
            ("tempsub", "1"),
            ("persist_items", "yes"),
            ("title", &long),
        ] {
            assert_eq!(
                config
                    .clone()
                    .apply(&one(name, value))
                    .map_err(|error| error.0),
                Err(name)
            );
        }
        let now = 1_000_000_000;
        assert_eq!(config.since(now), None);
        config.apply(&one("item_expire", "60")).unwrap();
        assert_eq!(config.since(now), Some(940_000_000));
        config.apply(&one("max_items", "20000")).unwrap();
        assert_eq!(config.items_max(), ITEMS_MAX);
    }

    /// The defaults are part of what is stored: a change of this test takes a migration.
    #[test]
    fn the_usual_node() {
        let usual = NodeConfig::pep();
        let options = FIELDS.iter().map(|field| {
            let values = (field.read)(&usual).join(" ");
            format!("{}={values}\n", field.name)
        });
        expect![[r"
            title=
            description=
            type=
            language=
            access_model=presence
            roster_groups_allowed=
            publish_model=publishers
            persist_items=1
            max_items=1
            item_expire=
            max_payload_size=max
            publish_node_full=retract-oldest
            deliver_notifications=1
            deliver_payloads=1
            notify_config=0
            notify_delete=1
            notify_retract=1
            notify_sub=0
            send_last_published_item=on_sub_and_presence
            presence_based_delivery=1
            notification_type=headline
            itemreply=
            subscribe=1
            contact=
            node_type=leaf
            purge_offline=0
            tempsub=0
        "]]
        .assert_eq(&options.collect::<String>());
    }
}
