//! vCards ([XEP-0054](https://xmpp.org/extensions/xep-0054.html), 1.3).
//!
//! Anyone may read an account's vCard, as § 3.3 says; nobody learns by it whether an account
//! exists.

use crate::{
    error,
    feature::{Coverage, Disco, Feature, IqCx, IqHandler, IqKind, IqRoute, Place, Reply, Who, Xep},
};
use waxwing_proto::{
    ns,
    stanza::{Condition, StanzaError},
    xml::Writer,
};
use waxwing_store::BoxFuture;

/// The feature.
pub const FEATURE: Feature = Feature {
    name: "vcard",
    xeps: &[Xep {
        number: 54,
        version: "1.3.0",
        title: "vcard-temp",
        coverage: Coverage::Complete,
    }],
    disco: &[
        Disco {
            place: Place::Domain,
            var: ns::VCARD,
        },
        Disco {
            place: Place::Account,
            var: ns::VCARD,
        },
    ],
    iq: &[
        route(IqKind::Get, Who::Anyone, get),
        // § 3.2
        route(IqKind::Set, Who::OwnerOrForbidden, set),
    ],
    ..Feature::NONE
};

/// Where the store keeps it.
const KEY: &str = "vcard";

const fn route(kind: IqKind, who: Who, handler: IqHandler) -> IqRoute {
    IqRoute {
        place: Place::Account,
        kind,
        name: "vCard",
        ns: ns::VCARD,
        who,
        handler,
    }
}

fn get(cx: IqCx<'_>) -> BoxFuture<'_, Result<Reply, StanzaError>> {
    Box::pin(async move {
        let kept = cx
            .engine
            .store()
            .document(cx.to.clone(), KEY.to_owned())
            .await;
        match kept.map_err(|failure| error::from_store(cx.engine, &failure))? {
            Some(vcard) => Ok(Reply::Payload(vcard)),
            // § 3.1: the account itself learns that it has none.
            None if cx.by_owner() => {
                let mut xml = Writer::new(ns::CLIENT);
                xml.empty("vCard", ns::VCARD);
                Ok(Reply::Payload(xml.finish()))
            }
            // § 3.3: the same answer as for an account that does not exist.
            None => Err(Condition::ServiceUnavailable.into()),
        }
    })
}

fn set(cx: IqCx<'_>) -> BoxFuture<'_, Result<Reply, StanzaError>> {
    Box::pin(async move {
        let vcard = cx.payload.standalone(ns::CLIENT);
        let bytes_max = cx.engine.settings().limits.documents_bytes_max;
        let kept =
            cx.engine
                .store()
                .document_set(cx.to.clone(), KEY.to_owned(), Some(vcard), bytes_max);
        kept.await
            .map_err(|failure| error::from_store(cx.engine, &failure))?;
        Ok(Reply::Empty)
    })
}
