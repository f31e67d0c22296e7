//! Options as the store keeps them, a line each.

use super::{
    config::NodeConfig,
    options::{FIELDS, Field, field},
};
use waxwing_proto::form::FieldKind;

impl NodeConfig {
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
}

/// Makes a text fit into a line.
pub(super) fn escape(text: &str, out: &mut String) {
    for character in text.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            character => out.push(character),
        }
    }
}

/// What [`escape`] was given.
pub(super) fn unescape(text: &str) -> String {
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
    use super::super::demands::fixtures::form;
    use super::*;
    use expect_test::expect;

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
