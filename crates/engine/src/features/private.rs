//! Private XML storage ([XEP-0049](https://xmpp.org/extensions/xep-0049.html), 1.2).
//!
//! One document for each element name; only the account itself reads and writes it. Bookmarks are not
//! kept here ([`super::bookmarks`]).

use super::bookmarks;
use crate::{
    error,
    feature::{Coverage, Disco, Feature, IqCx, IqHandler, IqKind, IqRoute, Place, Reply, Who, Xep},
};
use waxwing_proto::{
    ns,
    stanza::{Condition, StanzaError},
    xml::{Element, Writer},
};
use waxwing_store::BoxFuture;

/// The feature.
pub const FEATURE: Feature = Feature {
    name: "private",
    xeps: &[Xep {
        number: 49,
        version: "1.2",
        title: "Private XML Storage",
        coverage: Coverage::Complete,
    }],
    disco: &[Disco {
        place: Place::Domain,
        var: ns::PRIVATE,
    }],
    iq: &[route(IqKind::Get, get), route(IqKind::Set, set)],
    ..Feature::NONE
};

const fn route(kind: IqKind, handler: IqHandler) -> IqRoute {
    IqRoute {
        place: Place::Account,
        kind,
        name: "query",
        ns: ns::PRIVATE,
        // § 3: preferred to `service-unavailable`.
        who: Who::OwnerOrForbidden,
        handler,
    }
}

fn get(cx: IqCx<'_>) -> BoxFuture<'_, Result<Reply, StanzaError>> {
    Box::pin(async move {
        let mut wanted = cx.payload.children();
        // § 2.1: one element names what is wanted, never none and never two.
        let (Some(wish), None) = (wanted.next(), wanted.next()) else {
            return Err(Condition::NotAcceptable.into());
        };
        let key = key(wish)?;
        let kept = if key == bookmarks::KEY {
            bookmarks::list(cx.engine, cx.to).await?
        } else {
            let kept = cx.engine.store().document(cx.to.clone(), key).await;
            kept.map_err(|failure| error::from_store(cx.engine, &failure))?
        };
        let mut xml = Writer::new(ns::CLIENT);
        xml.start_ns("query", ns::PRIVATE);
        match kept {
            Some(document) => xml.raw(&document),
            // § 2.3: nothing kept is an empty element.
            None => xml.start_ns(wish.name(), wish.ns()).end(),
        };
        xml.end();
        Ok(Reply::Payload(xml.finish()))
    })
}

fn set(cx: IqCx<'_>) -> BoxFuture<'_, Result<Reply, StanzaError>> {
    Box::pin(async move {
        let mut documents = Vec::new();
        for element in cx.payload.children() {
            documents.push((key(element)?, element));
        }
        if documents.is_empty() {
            return Err(Condition::NotAcceptable.into());
        }
        let bytes_max = cx.engine.settings().limits.documents_bytes_max;
        for (key, element) in documents {
            if key == bookmarks::KEY {
                bookmarks::replace(cx.engine, cx.from, element).await?;
                continue;
            }
            let document = element.standalone(ns::PRIVATE);
            let kept =
                cx.engine
                    .store()
                    .document_set(cx.to.clone(), key, Some(document), bytes_max);
            kept.await
                .map_err(|failure| error::from_store(cx.engine, &failure))?;
        }
        Ok(Reply::Empty)
    })
}

/// § 2.1: an element needs a namespace of its own to be kept.
fn key(element: Element<'_>) -> Result<String, StanzaError> {
    if element.ns().is_empty() || element.ns() == ns::PRIVATE {
        return Err(Condition::NotAcceptable.into());
    }
    Ok(format!("private {{{}}}{}", element.ns(), element.name()))
}

#[cfg(test)]
mod tests {
    use super::key;
    use crate::features::fixtures::draft;

    #[test]
    fn a_document_is_known_by_its_name_and_its_own_namespace() {
        for (element, expected) in [
            (
                "<storage xmlns='storage:bookmarks'/>",
                Some("private {storage:bookmarks}storage"),
            ),
            (
                "<a:storage xmlns:a='urn:a' a:id='1'>x</a:storage>",
                Some("private {urn:a}storage"),
            ),
            ("<storage xmlns='urn:b'/>", Some("private {urn:b}storage")),
            ("<storage/>", None),
            ("<storage xmlns=''/>", None),
        ] {
            let xml = format!("<iq><query xmlns='jabber:iq:private'>{element}</query></iq>");
            let draft = draft(&xml);
            let query = draft.root().children().next().unwrap();
            let found = key(query.children().next().unwrap()).ok();
            assert_eq!(found.as_deref(), expected, "{element}");
        }
    }
}
