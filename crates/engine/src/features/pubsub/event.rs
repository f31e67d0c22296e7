//! Notifications as they are written (XEP-0060 § 7.1.2, § 8).

use super::{
    config::{ItemReply, NodeConfig},
    node::{Known, is_service},
    request::Subscribed,
    terms::Terms,
};
use bytes::Bytes;
use waxwing_proto::{
    BareJid, Jid,
    form::{FieldKind, FormKind, FormWriter, NewField},
    ns,
    stanza::{Kind, Sealed},
    time,
    xml::Writer,
};
use waxwing_store::{Item, Micros};

/// What notifications of one node have in common.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source<'a> {
    /// Whose node.
    pub(super) owner: &'a BareJid,
    /// The node.
    pub(super) known: &'a Known,
    /// The id of the message.
    pub(super) id: &'a str,
}

impl Source<'_> {
    /// An item was published (§ 7.1.2), by whom.
    pub(super) fn item(&self, item: Option<(&str, &Bytes)>, publisher: &BareJid) -> Sealed {
        let config = &self.known.config;
        self.items(Some(publisher), None, |xml| {
            let Some((id, payload)) = item else { return };
            xml.start("item").attr("id", id);
            if config.item_reply == ItemReply::Publisher {
                xml.attr("publisher", publisher.as_str());
            }
            if config.payloads {
                xml.raw(payload);
            }
            xml.end();
        })
    }

    /// The newest item, as it was published earlier (XEP-0163 § 4.3.4).
    pub(super) fn last(&self, item: &Item) -> Sealed {
        let publisher = item.publisher.to_bare();
        self.items(Some(&publisher), Some(item.at), |xml| {
            xml.start("item").attr("id", &item.id);
            if self.known.config.payloads {
                xml.raw(&item.payload);
            }
            xml.end();
        })
    }

    /// Items are gone (§ 7.2.2.1).
    pub(super) fn retracted(&self, ids: &[String]) -> Sealed {
        self.items(None, None, |xml| {
            for id in ids {
                xml.start("retract").attr("id", id).end();
            }
        })
    }

    /// All items are gone (§ 8.5.2).
    pub(super) fn purged(&self) -> Sealed {
        self.event(None, None, |xml| {
            xml.start("purge").attr("node", self.name()).end();
        })
    }

    /// The node is gone (§ 8.4.2).
    pub(super) fn deleted(&self, redirect: Option<&str>) -> Sealed {
        self.event(None, None, |xml| {
            xml.start("delete").attr("node", self.name());
            if let Some(uri) = redirect {
                xml.start("redirect").attr("uri", uri).end();
            }
            xml.end();
        })
    }

    /// The options have changed to these (§ 8.2.5.4).
    pub(super) fn configured(&self, config: &NodeConfig) -> Sealed {
        self.event(None, None, |xml| {
            xml.start("configuration").attr("node", self.name());
            if config.payloads {
                let mut form = FormWriter::start(xml, FormKind::Result, ns::PUBSUB_CONFIG);
                config.write(&mut form, false);
                form.end();
            }
            xml.end();
        })
    }

    /// What became of a subscription (§ 8.8.4).
    pub(super) fn subscription(&self, jid: &Jid, state: Subscribed) -> Sealed {
        let Terms { id, .. } = self.known.terms(jid);
        self.event(None, None, |xml| {
            xml.start("subscription")
                .attr("node", self.name())
                .attr("jid", jid.as_str())
                .attr_opt("subid", Some(id.as_str()).filter(|id| !id.is_empty()))
                .attr("subscription", state.name())
                .end();
        })
    }

    /// Asks an owner to approve (§ 8.6). On an account there is nobody who reads the answer.
    pub(super) fn approve(&self, jid: &Jid) -> Sealed {
        let Terms { id, .. } = self.known.terms(jid);
        let mut xml = self.message(false);
        let mut form = FormWriter::start_titled(
            &mut xml,
            FormKind::Form,
            ns::PUBSUB_AUTHORIZATION,
            "Subscription request",
            "Somebody wants to subscribe to a node of yours.",
        );
        for (var, label, value) in [
            ("pubsub#node", "Node", self.name()),
            ("pubsub#subscriber_jid", "Subscriber", jid.as_str()),
        ] {
            form.field(&NewField {
                var,
                label: Some(label),
                values: &[value],
                ..NewField::default()
            });
        }
        if is_service(self.owner) {
            form.field(&NewField {
                var: "pubsub#subid",
                kind: FieldKind::Hidden,
                values: &[&id],
                ..NewField::default()
            });
            form.field(&NewField {
                var: "pubsub#allow",
                kind: FieldKind::Boolean,
                label: Some("Whether to allow it"),
                values: &["0"],
                ..NewField::default()
            });
        }
        form.end();
        Sealed::from_bytes(Kind::Message, xml.finish())
    }

    fn name(&self) -> &str {
        &self.known.node.key.name
    }

    fn items(
        &self,
        publisher: Option<&BareJid>,
        at: Option<Micros>,
        content: impl FnOnce(&mut Writer),
    ) -> Sealed {
        self.event(publisher, at, |xml| {
            xml.start("items").attr("node", self.name());
            content(xml);
            xml.end();
        })
    }

    fn event(
        &self,
        publisher: Option<&BareJid>,
        at: Option<Micros>,
        content: impl FnOnce(&mut Writer),
    ) -> Sealed {
        let mut xml = self.message(self.known.config.headlines);
        xml.start_ns("event", ns::PUBSUB_EVENT);
        content(&mut xml);
        xml.end();
        // § 12.18
        let reply_to = match self.known.config.item_reply {
            ItemReply::Unsaid => None,
            ItemReply::Owner => Some(self.owner),
            ItemReply::Publisher => publisher,
        };
        if let Some(reply_to) = reply_to {
            xml.start_ns("addresses", ns::ADDRESS)
                .start("address")
                .attr("type", "replyto")
                .attr("jid", reply_to.as_str())
                .end()
                .end();
        }
        if let Some(at) = at {
            xml.start_ns("delay", ns::DELAY)
                .attr("from", self.owner.as_str())
                .attr("stamp", &time::format_datetime(at))
                .end();
        }
        Sealed::from_bytes(Kind::Message, xml.finish())
    }

    /// An open message without `to`.
    fn message(&self, headline: bool) -> Writer {
        let mut xml = Writer::new(ns::CLIENT);
        xml.start("message").attr("from", self.owner.as_str());
        if headline {
            xml.attr("type", "headline");
        }
        xml.attr("id", self.id);
        xml
    }
}

impl Subscribed {
    /// The value of the attribute `subscription` (§ 4.2).
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::No => "none",
            Self::Pending => "pending",
            Self::Yes => "subscribed",
        }
    }
}
