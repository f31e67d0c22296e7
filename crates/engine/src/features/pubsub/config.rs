//! What a node is: its options (XEP-0060 § 16.4.4). Forms, demands ([`super::demands`]) and what is
//! stored ([`super::stored`]) are all made from the table in [`super::options`].

use super::options::{FIELDS, field};
use waxwing_proto::form::{FormWriter, NewField};
use waxwing_store::Micros;

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

    /// A node of a service: open, and it keeps all there is room for. Subscribers are told whether they
    /// show their presence or not, because a service does not see it.
    pub(super) fn of_service() -> Self {
        Self {
            access: Access::Open,
            items_max: Bound::Max,
            send_last: SendLast::OnSub,
            presence_based: false,
            ..Self::pep()
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

    /// How old items become.
    pub(super) fn lifetime(&self) -> Option<Micros> {
        match self.expire_seconds {
            Some(Bound::Number(seconds)) => Some(i64::from(seconds).saturating_mul(1_000_000)),
            Some(Bound::Max) | None => None,
        }
    }

    /// The time before which items have expired.
    pub(super) fn since(&self, now: Micros) -> Option<Micros> {
        self.lifetime().map(|lifetime| now.saturating_sub(lifetime))
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
}

/// What options are called in forms.
pub(super) const PREFIX: &str = "pubsub#";
