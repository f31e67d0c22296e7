//! What of a message goes into archives
//! ([XEP-0313](https://xmpp.org/extensions/xep-0313.html) § 6.1), and how a resend of it is known.
//!
//! Which messages those are is [`super::mam::rules`]; how clients read them is [`super::mam`].

use super::mam::rules;
use crate::{
    account::View,
    feature::{Feature, RecordCx},
    route::message::Type,
};
use sha2::{Digest, Sha256};
use waxwing_proto::{BareJid, Jid, ns, stanza::Stanza};
use waxwing_store::{Entry, Message, Resend};

/// The feature.
pub const FEATURE: Feature = Feature {
    name: "archive",
    record: Some(record),
    ..Feature::NONE
};

fn record(stanza: &Stanza, cx: &RecordCx<'_>, message: &mut Message) {
    if !rules::is_kept(stanza, Type::of_stanza(stanza)) {
        return;
    }
    // What retractions name it by (XEP-0424 § 5.1).
    let id = stanza.id().filter(|id| !id.is_empty()).map(String::from);
    message.origin = id.or_else(|| origin(stanza));
    message.sender = cx.sender.and_then(|party| entry(party, cx.to, true));
    message.recipient = cx.recipient.and_then(|party| entry(party, cx.from, false));
    message.resend = cx
        .sender
        .and_then(|(account, _)| resend(account, stanza, cx.to));
}

/// By what a resend of a message to `to` is recognised, if it can be.
pub(super) fn resend(account: &BareJid, stanza: &Stanza, to: &Jid) -> Option<Resend> {
    let key = resend_key(stanza, to)?;
    let account = account.clone();
    Some(Resend { account, key })
}

fn entry((account, view): (&BareJid, &View), with: &Jid, outgoing: bool) -> Option<Entry> {
    view.archives(with).then(|| Entry {
        account: account.clone(),
        with: with.clone(),
        outgoing,
        flags: 0,
    })
}

/// The id that the sending client gave the message (XEP-0359 § 2.2).
fn origin(stanza: &Stanza) -> Option<String> {
    let id = stanza
        .root()
        .child("origin-id", ns::STANZA_ID)?
        .attr("id")?;
    (!id.is_empty()).then(|| id.into_owned())
}

/// Ids shorter than this may be counters that begin again with each stream (RFC 6120 § 8.1.3), so
/// that two messages can have the same without one being a resend of the other.
const UNIQUE_ID_BYTES_MIN: usize = 8;

/// What two messages of one account have in common if the later is a resend of the earlier: the
/// recipient and the origin-id; where there is none, an id that looks unique and all of the content.
fn resend_key(stanza: &Stanza, to: &Jid) -> Option<[u8; 16]> {
    let mut hash = Sha256::new();
    // The lengths keep apart what follows one another.
    let mut add = |part: &[u8]| {
        hash.update(part.len().to_le_bytes());
        hash.update(part);
    };
    add(to.as_str().as_bytes());
    if let Some(id) = origin(stanza) {
        add(id.as_bytes());
    } else {
        let id = stanza.id()?;
        if id.len() < UNIQUE_ID_BYTES_MIN {
            return None;
        }
        let (start, end) = stanza.root().content();
        add(b"");
        add(id.as_bytes());
        add(stanza.tree().bytes().get(start..end)?);
    }
    hash.finalize().first_chunk().copied()
}

#[cfg(test)]
mod tests {
    use super::resend_key;
    use crate::features::fixtures::draft;
    use waxwing_proto::{Jid, ns};

    fn key(to: &str, attrs: &str, content: &str) -> Option<[u8; 16]> {
        let draft = draft(&format!("<message {attrs}>{content}</message>"));
        resend_key(draft.stanza(), &Jid::parse(to).unwrap())
    }

    #[test]
    fn a_resend_is_known_by_its_origin_id_or_by_everything() {
        let origin = |id: &str| format!("<origin-id xmlns='{}' id='{id}'/>", ns::STANZA_ID);
        let (body, other) = ("<body>Hi</body>", "<body>Ho</body>");
        let long = "id='0123abcd'";
        let first = key("bob@localhost", "", &origin("1"));
        assert!(first.is_some());
        for (same, to, attrs, content) in [
            (true, "bob@localhost", "id='x'", origin("1") + body),
            (false, "bob@localhost", "", origin("2")),
            (false, "carol@localhost", "", origin("1")),
            (false, "bob@localhost", "id='1'", body.to_owned()),
            (false, "bob@localhost", long, body.to_owned()),
        ] {
            assert_eq!(
                key(to, attrs, &content) == first,
                same,
                "{to} {attrs} {content}"
            );
        }
        let first = key("bob@localhost", long, body);
        assert!(first.is_some());
        assert_eq!(key("bob@localhost", long, body), first);
        assert_ne!(key("bob@localhost", long, other), first);
        assert_ne!(key("carol@localhost", long, body), first);
        assert_eq!(
            key("bob@localhost", "id='1'", body),
            None,
            "may be a counter"
        );
        assert_eq!(key("bob@localhost", "", body), None);
        assert!(key("bob@localhost", long, &origin("")).is_some());
    }
}
