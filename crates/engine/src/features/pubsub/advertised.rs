//! What accounts and services advertise of publish-subscribe (XEP-0060 § 10).

use super::hosted;
use crate::feature::{Disco, Place};
use waxwing_proto::ns;

/// XEP-0413 § 4: where the order can be chosen.
const ORDER_OF_ITEMS: &str = "urn:xmpp:order-by:1@http://jabber.org/protocol/pubsub";

/// Everything.
pub(super) const DISCO: &[Disco] = &[
    account(ns::PUBSUB),
    account(ns::ORDER_BY),
    account(ORDER_OF_ITEMS),
    account("http://jabber.org/protocol/pubsub#access-authorize"),
    account("http://jabber.org/protocol/pubsub#access-open"),
    account("http://jabber.org/protocol/pubsub#access-presence"),
    account("http://jabber.org/protocol/pubsub#access-roster"),
    account("http://jabber.org/protocol/pubsub#access-whitelist"),
    account("http://jabber.org/protocol/pubsub#auto-create"),
    account("http://jabber.org/protocol/pubsub#auto-subscribe"),
    account("http://jabber.org/protocol/pubsub#config-node"),
    account("http://jabber.org/protocol/pubsub#config-node-max"),
    account("http://jabber.org/protocol/pubsub#create-and-configure"),
    account("http://jabber.org/protocol/pubsub#create-nodes"),
    account("http://jabber.org/protocol/pubsub#delete-items"),
    account("http://jabber.org/protocol/pubsub#delete-nodes"),
    account("http://jabber.org/protocol/pubsub#filtered-notifications"),
    account("http://jabber.org/protocol/pubsub#instant-nodes"),
    account("http://jabber.org/protocol/pubsub#item-ids"),
    account("http://jabber.org/protocol/pubsub#last-published"),
    account("http://jabber.org/protocol/pubsub#manage-subscriptions"),
    account("http://jabber.org/protocol/pubsub#member-affiliation"),
    account("http://jabber.org/protocol/pubsub#meta-data"),
    account("http://jabber.org/protocol/pubsub#modify-affiliations"),
    account("http://jabber.org/protocol/pubsub#multi-items"),
    account("http://jabber.org/protocol/pubsub#outcast-affiliation"),
    account("http://jabber.org/protocol/pubsub#persistent-items"),
    account("http://jabber.org/protocol/pubsub#presence-notifications"),
    account("http://jabber.org/protocol/pubsub#presence-subscribe"),
    account("http://jabber.org/protocol/pubsub#publish"),
    account("http://jabber.org/protocol/pubsub#publish-only-affiliation"),
    account("http://jabber.org/protocol/pubsub#publish-options"),
    account("http://jabber.org/protocol/pubsub#publisher-affiliation"),
    account("http://jabber.org/protocol/pubsub#purge-nodes"),
    account("http://jabber.org/protocol/pubsub#retract-items"),
    account("http://jabber.org/protocol/pubsub#retrieve-affiliations"),
    account("http://jabber.org/protocol/pubsub#retrieve-default"),
    account("http://jabber.org/protocol/pubsub#retrieve-default-sub"),
    account("http://jabber.org/protocol/pubsub#retrieve-items"),
    account("http://jabber.org/protocol/pubsub#retrieve-subscriptions"),
    account("http://jabber.org/protocol/pubsub#rsm"),
    account("http://jabber.org/protocol/pubsub#subscribe"),
    account("http://jabber.org/protocol/pubsub#subscription-options"),
    service(ns::DISCO_INFO),
    service(ns::DISCO_ITEMS),
    service(ns::PUBSUB),
    service(ns::COMMANDS),
    service(ns::RSM),
    service(ns::ORDER_BY),
    service(ORDER_OF_ITEMS),
    service("http://jabber.org/protocol/pubsub#access-authorize"),
    service("http://jabber.org/protocol/pubsub#access-open"),
    service("http://jabber.org/protocol/pubsub#access-presence"),
    service("http://jabber.org/protocol/pubsub#access-roster"),
    service("http://jabber.org/protocol/pubsub#access-whitelist"),
    service("http://jabber.org/protocol/pubsub#auto-create"),
    service("http://jabber.org/protocol/pubsub#config-node"),
    service("http://jabber.org/protocol/pubsub#config-node-max"),
    service("http://jabber.org/protocol/pubsub#create-and-configure"),
    service("http://jabber.org/protocol/pubsub#create-nodes"),
    service("http://jabber.org/protocol/pubsub#delete-items"),
    service("http://jabber.org/protocol/pubsub#delete-nodes"),
    service("http://jabber.org/protocol/pubsub#get-pending"),
    service("http://jabber.org/protocol/pubsub#instant-nodes"),
    service("http://jabber.org/protocol/pubsub#item-ids"),
    service("http://jabber.org/protocol/pubsub#last-published"),
    service("http://jabber.org/protocol/pubsub#manage-subscriptions"),
    service("http://jabber.org/protocol/pubsub#member-affiliation"),
    service("http://jabber.org/protocol/pubsub#meta-data"),
    service("http://jabber.org/protocol/pubsub#modify-affiliations"),
    service("http://jabber.org/protocol/pubsub#multi-items"),
    service("http://jabber.org/protocol/pubsub#outcast-affiliation"),
    service("http://jabber.org/protocol/pubsub#persistent-items"),
    service("http://jabber.org/protocol/pubsub#publish"),
    service("http://jabber.org/protocol/pubsub#publish-only-affiliation"),
    service("http://jabber.org/protocol/pubsub#publish-options"),
    service("http://jabber.org/protocol/pubsub#publisher-affiliation"),
    service("http://jabber.org/protocol/pubsub#purge-nodes"),
    service("http://jabber.org/protocol/pubsub#retract-items"),
    service("http://jabber.org/protocol/pubsub#retrieve-affiliations"),
    service("http://jabber.org/protocol/pubsub#retrieve-default"),
    service("http://jabber.org/protocol/pubsub#retrieve-default-sub"),
    service("http://jabber.org/protocol/pubsub#retrieve-items"),
    service("http://jabber.org/protocol/pubsub#retrieve-subscriptions"),
    service("http://jabber.org/protocol/pubsub#rsm"),
    service("http://jabber.org/protocol/pubsub#subscribe"),
    service("http://jabber.org/protocol/pubsub#subscription-notifications"),
    service("http://jabber.org/protocol/pubsub#subscription-options"),
];

const fn account(var: &'static str) -> Disco {
    Disco {
        place: Place::Account,
        var,
    }
}

const fn service(var: &'static str) -> Disco {
    Disco {
        place: hosted::PLACE,
        var,
    }
}
