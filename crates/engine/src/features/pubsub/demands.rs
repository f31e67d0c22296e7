//! Options as they are demanded: with a form that makes or changes a node, or with a publication
//! (XEP-0060 § 7.1.5, § 8.2.4).

use super::{
    config::{Bound, ITEMS_MAX, NodeConfig, PAYLOAD_BYTES_MAX, PREFIX},
    options::field,
};
use waxwing_proto::form::{FieldKind, Form};

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

impl NodeConfig {
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

fn fields_of(form: &Form) -> impl Iterator<Item = &waxwing_proto::form::Field> {
    form.fields.iter().filter(|field| field.var != "FORM_TYPE")
}

#[cfg(test)]
pub(super) mod fixtures {
    use bytes::Bytes;
    use std::fmt::Write as _;
    use waxwing_proto::{
        form::Form,
        ns,
        xml::{Limits, Tree},
    };

    /// A form that is submitted.
    pub(in super::super) fn form(fields: &[(&str, &[&str])]) -> Form {
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

    /// A form with one option.
    pub(in super::super) fn one(name: &str, value: &str) -> Form {
        form(&[(&format!("pubsub#{name}"), &[value])])
    }
}

#[cfg(test)]
mod tests {
    use super::super::config::TEXT_BYTES_MAX;
    use super::{
        fixtures::{form, one},
        *,
    };

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
}
