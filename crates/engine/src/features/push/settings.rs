//! Which chats a person wants to hear of
//! ([XEP-0492](https://xmpp.org/extensions/xep-0492.html), 0.2.0).

use waxwing_proto::{
    BareJid, Jid, ns,
    stanza::Stanza,
    xml::{self, Element},
};

/// When a chat may notify (§ 2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Notify {
    /// With each message.
    Always,
    /// Only when its user is spoken of.
    OnMention,
    /// Never.
    Never,
}

/// The most specific setting among the children of `<notify/>` (§ 3). What a registration wakes is a
/// phone as a rule, and the server is not told otherwise.
pub(super) fn read(notify: Element<'_>) -> Option<Notify> {
    let mut best = None;
    for setting in notify.children() {
        let meaning = match setting.name() {
            "always" => Notify::Always,
            "on-mention" => Notify::OnMention,
            "never" => Notify::Never,
            _ => continue,
        };
        let category = setting.attr("identity-category");
        let kind = setting.attr("identity-type");
        let rank = match (category.as_deref(), kind.as_deref()) {
            (Some("client"), Some("phone")) => 3,
            (Some("client"), None) => 2,
            (None, None) => 1,
            _ => continue,
        };
        if setting.ns() == ns::NOTIFICATION_SETTINGS
            && best.is_none_or(|(highest, _)| rank > highest)
        {
            best = Some((rank, meaning));
        }
    }
    best.map(|(_, meaning)| meaning)
}

/// Whether clients enter a bookmarked room by themselves (XEP-0402 § 3).
pub(super) fn enters_by_itself(conference: Element<'_>) -> bool {
    let autojoin = conference.attr("autojoin");
    autojoin.and_then(|value| xml::boolean(&value)) == Some(true)
}

/// The setting in a bookmark (XEP-0402 § 3), whose `extensions` it is among.
pub(super) fn of_bookmark(conference: Element<'_>) -> Option<Notify> {
    let extensions = conference.child("extensions", ns::BOOKMARKS)?;
    read(extensions.child("notify", ns::NOTIFICATION_SETTINGS)?)
}

/// Whether a message speaks of an account, by a mention that programs can read (XEP-0372 § 3.2).
pub(super) fn mentions(message: &Stanza, account: &BareJid) -> bool {
    let mut references = message
        .root()
        .children()
        .filter(|child| child.is("reference", ns::REFERENCE));
    references.any(|reference| {
        let uri = reference.attr("uri");
        let address = uri.as_deref().and_then(|uri| uri.strip_prefix("xmpp:"));
        let address = address.map(|address| address.split('?').next().unwrap_or_default());
        reference.attr("type").as_deref() == Some("mention")
            && address
                .and_then(|address| Jid::parse(address).ok())
                .is_some_and(|jid| jid.bare_str() == account.as_str())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::fixtures::draft;
    use bytes::Bytes;
    use waxwing_proto::xml::{Limits, Tree};

    fn notify(settings: &str) -> Option<Notify> {
        let xml = format!(
            "<conference xmlns='urn:xmpp:bookmarks:1'><nick>n</nick><extensions><x xmlns='u'/>\
             <notify xmlns='urn:xmpp:notification-settings:1'>{settings}</notify></extensions>\
             </conference>"
        );
        let tree = Tree::parse(Bytes::from(xml), "", &Limits::C2S).unwrap();
        of_bookmark(tree.root())
    }

    #[test]
    fn the_most_specific_setting_counts() {
        for (settings, wanted) in [
            ("", None),
            ("<never/>", Some(Notify::Never)),
            ("<on-mention/>", Some(Notify::OnMention)),
            ("<sometimes/>", None),
            ("<never xmlns='other'/>", None),
            (
                "<never identity-category='client' identity-type='pc'/><always/>",
                Some(Notify::Always),
            ),
            (
                "<always/><never identity-category='client'/>",
                Some(Notify::Never),
            ),
            (
                "<on-mention identity-category='client' identity-type='phone'/>\
                 <never identity-category='client'/><always/>",
                Some(Notify::OnMention),
            ),
            ("<never identity-category='gateway'/>", None),
            ("<never identity-type='phone'/>", None),
            (
                "<always><advanced><never/></advanced></always>",
                Some(Notify::Always),
            ),
        ] {
            assert_eq!(notify(settings), wanted, "{settings}");
        }
    }

    #[test]
    fn mentions_are_found() {
        let account = BareJid::parse("alice@example.org").unwrap();
        for (reference, wanted) in [
            ("type='mention' uri='xmpp:alice@example.org'", true),
            ("type='mention' uri='xmpp:alice@example.org/phone?x'", true),
            ("type='mention' uri='xmpp:bob@example.org'", false),
            ("type='data' uri='xmpp:alice@example.org'", false),
            ("type='mention'", false),
        ] {
            let message = format!(
                "<message to='a@b'><reference xmlns='urn:xmpp:reference:0' {reference}/></message>"
            );
            assert_eq!(
                mentions(draft(&message).stanza(), &account),
                wanted,
                "{reference}"
            );
        }
    }
}
