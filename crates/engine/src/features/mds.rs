//! Message displayed synchronisation ([XEP-0490](https://xmpp.org/extensions/xep-0490.html), 1.0.1).
//!
//! How far each chat was read is kept on a private node of the account, as any client can publish it
//! there. A client that says it in passing, in a message to the chat, is spared the publication: the
//! server takes the element out before anybody else sees the message, and publishes it (§ 4.5).

use super::pubsub;
use crate::{
    Engine,
    feature::{Coverage, Disco, Feature, Place, Xep},
};
use waxwing_proto::{Jid, ns, stanza::Draft, xml::Element};

/// The feature.
pub const FEATURE: Feature = Feature {
    name: "mds",
    xeps: &[Xep {
        number: 490,
        version: "1.0.1",
        title: "Message Displayed Synchronization",
        coverage: Coverage::Complete,
    }],
    disco: &[
        // The XEP wants the second one only; clients are known to look for the first.
        Disco {
            place: Place::Account,
            var: ns::MDS,
        },
        Disco {
            place: Place::Account,
            var: ns::MDS_ASSIST,
        },
    ],
    ..Feature::NONE
};

/// Takes what a client says it has displayed out of its message, and publishes it. The message goes
/// on afterwards, so that the client, when it is told that the message was handled, knows that both
/// are on disk.
pub(crate) async fn assist(engine: &Engine, from: &Jid, draft: &mut Draft) {
    let displayed = |child: Element<'_>| child.is("displayed", ns::MDS);
    let said = draft.root().children().find(|child| displayed(*child));
    let Some(payload) = said.map(|child| child.standalone("")) else {
        return;
    };
    // § 5.2: the chat is named verbatim by `to`.
    let chat = match draft.root().attr("to") {
        Some(to) => to.into_owned(),
        None => from.bare_str().to_owned(),
    };
    draft.hide_all(displayed);
    let published = pubsub::publish(engine, from, ns::MDS, (chat, payload)).await;
    if let Err(error) = published {
        // The message itself is as good as without it; the client publishes the next one again.
        tracing::debug!(?error, "what was displayed could not be published");
    }
}
