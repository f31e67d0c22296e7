//! The table of a node's options. Forms, preconditions and what is stored are all made from it, so
//! that none of them can forget one.

use super::config::{
    Access, Bound, GROUPS_MAX, ItemReply, NodeConfig, PublishModel, SendLast, TEXT_BYTES_MAX,
    WhenFull,
};
use waxwing_proto::{form::FieldKind, xml};

/// One option: how it is read from a [`NodeConfig`] and written to it.
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) label: &'static str,
    pub(super) kind: FieldKind,
    pub(super) options: &'static [&'static str],
    pub(super) read: fn(&NodeConfig) -> Vec<String>,
    pub(super) write: fn(&mut NodeConfig, &[String]) -> Option<()>,
}

/// The option of that name, which is given without its prefix.
pub(super) fn field(name: &str) -> Option<&'static Field> {
    FIELDS.iter().find(|field| field.name == name)
}

macro_rules! boolean {
    ($name:literal, $label:literal, $field:ident) => {
        Field {
            name: $name,
            label: $label,
            kind: FieldKind::Boolean,
            options: &[],
            read: |config| vec![if config.$field { "1" } else { "0" }.to_owned()],
            write: |config, values| {
                config.$field = flag(values)?;
                Some(())
            },
        }
    };
}

/// An option that only ever has one value here; asking for another is refused, not ignored.
macro_rules! fixed {
    ($name:literal, $label:literal, $kind:ident, $value:literal) => {
        Field {
            name: $name,
            label: $label,
            kind: FieldKind::$kind,
            options: &[],
            read: |_| vec![$value.to_owned()],
            write: |_, values| match ($value, one(values)?) {
                ("0", "false") => Some(()),
                (value, given) => (value == given).then_some(()),
            },
        }
    };
}

macro_rules! choice {
    ($name:literal, $label:literal, $field:ident, $($text:literal => $value:expr),+ $(,)?) => {
        Field {
            name: $name,
            label: $label,
            kind: FieldKind::ListSingle,
            options: &[$($text),+],
            read: |config| {
                $(if config.$field == $value { return vec![$text.to_owned()]; })+
                Vec::new()
            },
            write: |config, values| {
                config.$field = match one(values)? {
                    $($text => $value,)+
                    _ => return None,
                };
                Some(())
            },
        }
    };
}

macro_rules! text {
    ($name:literal, $label:literal, $field:ident) => {
        Field {
            name: $name,
            label: $label,
            kind: FieldKind::TextSingle,
            options: &[],
            read: |config| vec![config.$field.clone()],
            write: |config, values| {
                config.$field = short(values)?.to_owned();
                Some(())
            },
        }
    };
}

macro_rules! list {
    ($name:literal, $label:literal, $kind:ident, $field:ident) => {
        Field {
            name: $name,
            label: $label,
            kind: FieldKind::$kind,
            options: &[],
            read: |config| config.$field.clone(),
            write: |config, values| {
                let fits = values.iter().all(|value| value.len() <= TEXT_BYTES_MAX);
                config.$field = (fits && values.len() <= GROUPS_MAX).then(|| values.to_vec())?;
                Some(())
            },
        }
    };
}

/// Every option, in the order of forms. Their names and values are those of § 16.4.4.
pub(super) const FIELDS: &[Field] = &[
    text!("title", "A friendly name for the node", title),
    text!("description", "A description of the node", description),
    text!("type", "The type of node data", kind),
    text!("language", "The default language of the node", language),
    choice!("access_model", "Who may subscribe and retrieve items", access,
        "authorize" => Access::Authorize, "open" => Access::Open, "presence" => Access::Presence,
        "roster" => Access::Roster, "whitelist" => Access::Whitelist),
    list!(
        "roster_groups_allowed",
        "The roster groups allowed to subscribe and retrieve items",
        ListMulti,
        groups
    ),
    choice!("publish_model", "Who may publish", publish,
        "publishers" => PublishModel::Publishers, "subscribers" => PublishModel::Subscribers,
        "open" => PublishModel::Open),
    boolean!("persist_items", "Whether to keep items", persist),
    Field {
        name: "max_items",
        label: "How many items to keep; max for as many as the server allows",
        kind: FieldKind::TextSingle,
        options: &[],
        read: |config| vec![written(config.items_max)],
        write: |config, values| {
            config.items_max = bound(one(values)?)?;
            Some(())
        },
    },
    Field {
        name: "item_expire",
        label: "Seconds after which items are removed; empty or max for never",
        kind: FieldKind::TextSingle,
        options: &[],
        read: |config| vec![config.expire_seconds.map_or_else(String::new, written)],
        write: |config, values| {
            config.expire_seconds = match one(values).unwrap_or_default() {
                "" => None,
                text => Some(bound(text)?),
            };
            Some(())
        },
    },
    Field {
        name: "max_payload_size",
        label: "Bytes of one payload; max for as many as the server allows",
        kind: FieldKind::TextSingle,
        options: &[],
        read: |config| vec![written(config.payload_bytes_max)],
        write: |config, values| {
            config.payload_bytes_max = bound(one(values)?)?;
            Some(())
        },
    },
    choice!("publish_node_full", "What to do when publishing on a full node", when_full,
        "retract-oldest" => WhenFull::Retract, "discard-oldest" => WhenFull::Discard,
        "reject" => WhenFull::Reject),
    boolean!("deliver_notifications", "Whether to notify at all", notify),
    boolean!(
        "deliver_payloads",
        "Whether notifications have payloads",
        payloads
    ),
    boolean!(
        "notify_config",
        "Whether to notify of changes of the options",
        notify_config
    ),
    boolean!(
        "notify_delete",
        "Whether to notify of the node's end",
        notify_delete
    ),
    boolean!(
        "notify_retract",
        "Whether to notify of the end of items",
        notify_retract
    ),
    boolean!(
        "notify_sub",
        "Whether to notify owners of subscribers",
        notify_sub
    ),
    choice!("send_last_published_item", "When to send the last published item", send_last,
        "never" => SendLast::Never, "on_sub" => SendLast::OnSub,
        "on_sub_and_presence" => SendLast::OnSubAndPresence),
    boolean!(
        "presence_based_delivery",
        "Whether to notify only the available",
        presence_based
    ),
    choice!("notification_type", "Messages that notifications are", headlines,
        "headline" => true, "normal" => false),
    Field {
        name: "itemreply",
        label: "Whom replies to items are for",
        kind: FieldKind::ListSingle,
        options: &["owner", "publisher"],
        read: |config| match config.item_reply {
            ItemReply::Unsaid => Vec::new(),
            ItemReply::Owner => vec!["owner".to_owned()],
            ItemReply::Publisher => vec!["publisher".to_owned()],
        },
        write: |config, values| {
            config.item_reply = match one(values).unwrap_or_default() {
                "" => ItemReply::Unsaid,
                "owner" => ItemReply::Owner,
                "publisher" => ItemReply::Publisher,
                _ => return None,
            };
            Some(())
        },
    },
    boolean!("subscribe", "Whether to allow subscriptions", subscribe),
    list!("contact", "Whom to ask about the node", JidMulti, contact),
    fixed!(
        "node_type",
        "Whether the node is a leaf",
        ListSingle,
        "leaf"
    ),
    fixed!(
        "purge_offline",
        "Whether items go with their publisher",
        Boolean,
        "0"
    ),
    fixed!(
        "tempsub",
        "Whether subscriptions end with presence",
        Boolean,
        "0"
    ),
];

fn one(values: &[String]) -> Option<&str> {
    match values {
        [value] => Some(value),
        _ => None,
    }
}

/// A text that may be left empty.
fn short(values: &[String]) -> Option<&str> {
    match values {
        [] => Some(""),
        [value] => Some(value.as_str()).filter(|value| value.len() <= TEXT_BYTES_MAX),
        _ => None,
    }
}

fn flag(values: &[String]) -> Option<bool> {
    xml::boolean(one(values)?)
}

/// `integer-or-max` (§ 16.6): at least one. Numbers past 32 bits are as good as `max`.
fn bound(text: &str) -> Option<Bound> {
    if text == "max" {
        return Some(Bound::Max);
    }
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits || text.bytes().all(|byte| byte == b'0') {
        return None;
    }
    Some(text.parse().map_or(Bound::Max, Bound::Number))
}

fn written(bound: Bound) -> String {
    match bound {
        Bound::Number(number) => number.to_string(),
        Bound::Max => "max".to_owned(),
    }
}
