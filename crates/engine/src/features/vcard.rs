//! vCards ([XEP-0054](https://xmpp.org/extensions/xep-0054.html), 1.3).
//!
//! Anyone may read an account's vCard, as § 3.3 says; nobody learns by it whether an account
//! exists. The picture in it is the account's avatar ([`super::avatar`]), for those who may see that.

use super::avatar;
use crate::{
    error,
    feature::{Coverage, Disco, Feature, IqCx, IqHandler, IqKind, IqRoute, Place, Reply, Who, Xep},
};
use bytes::Bytes;
use waxwing_proto::{
    ns,
    stanza::{Condition, StanzaError},
    xml::{Element, Limits, Tree, Writer},
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
        let kept = kept.map_err(|failure| error::from_store(cx.engine, &failure))?;
        let photo = avatar::photo(cx.engine, cx.to, cx.from).await?;
        match (kept, photo) {
            (Some(vcard), None) => Ok(Reply::Payload(vcard)),
            (kept, Some(photo)) => Ok(Reply::Payload(with_photo(kept, &photo))),
            // § 3.1: the account itself learns that it has none.
            (None, None) if cx.by_owner() => Ok(Reply::Payload(with_photo(None, b""))),
            // § 3.3: the same answer as for an account that does not exist.
            (None, None) => Err(Condition::ServiceUnavailable.into()),
        }
    })
}

fn set(cx: IqCx<'_>) -> BoxFuture<'_, Result<Reply, StanzaError>> {
    Box::pin(async move {
        // The picture first: a vCard that was not stored is written again by its client.
        let taken = avatar::publish(cx.engine, cx.from, cx.payload).await?;
        let vcard = if taken {
            write(Some(cx.payload), b"")
        } else {
            cx.payload.standalone(ns::CLIENT)
        };
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

/// A vCard as it is kept, and the account's picture.
fn with_photo(vcard: Option<Bytes>, photo: &[u8]) -> Bytes {
    let tree = vcard.and_then(|vcard| Tree::parse(vcard, ns::CLIENT, &Limits::C2S).ok());
    write(tree.as_ref().map(Tree::root), photo)
}

/// Writes a vCard with this photo and no other.
fn write(vcard: Option<Element<'_>>, photo: &[u8]) -> Bytes {
    let mut xml = Writer::new(ns::CLIENT);
    xml.start_ns("vCard", ns::VCARD);
    let fields = vcard.into_iter().flat_map(|vcard| vcard.children());
    for field in fields.filter(|field| !field.is("PHOTO", ns::VCARD)) {
        xml.raw(&field.standalone(ns::VCARD));
    }
    xml.raw(photo).end();
    xml.finish()
}
