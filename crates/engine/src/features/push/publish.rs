//! What is published to an app server (XEP-0357 § 7).

use bytes::Bytes;
use waxwing_proto::{
    form::{FieldKind, FormKind, FormWriter, NewField},
    ns,
    xml::Writer,
};

/// Stands where others would have the text of the message. App servers take a notification with a
/// body for one that has to be shown, and may bring others later or never.
const PLACEHOLDER: &str = "New message";

/// What a notification says, as far as it may.
#[derive(Debug, Default)]
pub(super) struct Summary<'a> {
    /// Messages since the client was here last.
    pub(super) messages: Option<u32>,
    /// Subscription requests that have no answer.
    pub(super) requests: Option<usize>,
    /// Who sent the last message.
    pub(super) sender: Option<&'a str>,
    /// What it says.
    pub(super) body: Option<&'a str>,
}

/// The payload of the IQ; `options` is the form that the client gave, or nothing.
pub(super) fn publish(node: &str, summary: &Summary<'_>, options: &Bytes) -> Bytes {
    let mut xml = Writer::new(ns::CLIENT);
    xml.start_ns("pubsub", ns::PUBSUB)
        .start("publish")
        .attr_opt("node", Some(node).filter(|node| !node.is_empty()))
        .start("item")
        .start_ns("notification", ns::PUSH);
    write(&mut xml, summary);
    xml.end().end().end();
    if !options.is_empty() {
        xml.start("publish-options").raw(options).end();
    }
    xml.finish()
}

fn write(xml: &mut Writer, summary: &Summary<'_>) {
    let number = |number: Option<usize>| number.map(|number| number.to_string());
    let messages = number(
        summary
            .messages
            .and_then(|count| usize::try_from(count).ok()),
    );
    let requests = number(summary.requests);
    let mut form = FormWriter::start(xml, FormKind::Submit, ns::PUSH_SUMMARY);
    for (var, value) in [
        ("message-count", messages.as_deref()),
        ("pending-subscription-count", requests.as_deref()),
        ("last-message-sender", summary.sender),
        (
            "last-message-body",
            Some(summary.body.unwrap_or(PLACEHOLDER)),
        ),
    ] {
        if let Some(value) = value {
            form.field(&NewField {
                var,
                kind: FieldKind::TextSingle,
                values: &[value],
                ..NewField::default()
            });
        }
    }
    form.end();
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    #[expect(clippy::needless_pass_by_value, reason = "reads as a table")]
    fn check(node: &str, summary: Summary<'_>, options: &'static [u8], want: Expect) {
        let payload = publish(node, &summary, &Bytes::from_static(options));
        want.assert_eq(std::str::from_utf8(&payload).unwrap());
    }

    #[test]
    fn what_is_said_is_what_may_be() {
        check(
            "n",
            Summary::default(),
            b"",
            expect![
                "<pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='n'><item><notification xmlns='urn:xmpp:push:0'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'><value>urn:xmpp:push:summary</value></field><field var='last-message-body'><value>New message</value></field></x></notification></item></publish></pubsub>"
            ],
        );
        check(
            "",
            Summary {
                messages: Some(3),
                requests: Some(1),
                sender: Some("juliet@capulet.example/balcony"),
                body: Some("Wherefore <art> thou?"),
            },
            b"<x xmlns='jabber:x:data' type='submit'/>",
            expect![
                "<pubsub xmlns='http://jabber.org/protocol/pubsub'><publish><item><notification xmlns='urn:xmpp:push:0'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'><value>urn:xmpp:push:summary</value></field><field var='message-count'><value>3</value></field><field var='pending-subscription-count'><value>1</value></field><field var='last-message-sender'><value>juliet@capulet.example/balcony</value></field><field var='last-message-body'><value>Wherefore &lt;art&gt; thou?</value></field></x></notification></item></publish><publish-options><x xmlns='jabber:x:data' type='submit'/></publish-options></pubsub>"
            ],
        );
    }
}
