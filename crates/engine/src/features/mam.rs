//! Message archives ([XEP-0313](https://xmpp.org/extensions/xep-0313.html), 1.1.3) and what people
//! want in them ([XEP-0441](https://xmpp.org/extensions/xep-0441.html), 0.2.0).
//!
//! What an archive holds is decided by [`rules`] and written with the message itself, before anybody
//! sees it. Here it is read: a query gets one page, each message by itself and then the result, and
//! the client asks for the next. A page ends at a number of messages or of bytes, whichever comes
//! first.
//!
//! Reading the archive does not empty the offline queue (§ 6.1.1 leaves that open): a query does not
//! prove that its answer arrived, and other servers lose messages for clients that do not read
//! archives by taking it for a proof. Who reads both gets a message twice, under the same id.

mod page;
mod preferences;
mod query;
mod retention;
pub mod rules;

pub(crate) use page::state;
pub(super) use page::{answer, metadata, send};
pub(super) use query::{Query, described, form};

use crate::feature::{Coverage, Disco, Feature, IqHandler, IqKind, IqRoute, Place, Who, Xep};
use waxwing_proto::ns;

/// The feature.
pub const FEATURE: Feature = Feature {
    name: "mam",
    xeps: &[
        Xep {
            number: 59,
            version: "1.0",
            title: "Result Set Management",
            coverage: Coverage::Partial("no pages by index; counts up to 10 000"),
        },
        Xep {
            number: 313,
            version: "1.1.3",
            title: "Message Archive Management",
            coverage: Coverage::Complete,
        },
        Xep {
            number: 441,
            version: "0.2.0",
            title: "Message Archive Management Preferences",
            coverage: Coverage::Partial("no ad-hoc command"),
        },
    ],
    disco: &[disco(ns::MAM), disco(EXTENDED), disco(GROUPCHAT_FIELD)],
    iq: &[
        IqRoute {
            who: Who::OwnerOrReaders,
            ..route(IqKind::Set, "query", page::of_account)
        },
        IqRoute {
            who: Who::OwnerOrReaders,
            ..route(IqKind::Get, "query", query::form_of_account)
        },
        route(IqKind::Get, "metadata", page::metadata),
        route(IqKind::Get, "prefs", preferences::get),
        route(IqKind::Set, "prefs", preferences::set),
    ],
    ..Feature::NONE
};

/// § 7: filters by id, flipped pages and metadata.
const EXTENDED: &str = "urn:xmpp:mam:2#extended";
/// § 7: the field `include-groupchat` is understood. There is nothing to include: rooms keep their
/// own archives.
const GROUPCHAT_FIELD: &str = "urn:xmpp:mam:2#groupchat-field";

const fn disco(var: &'static str) -> Disco {
    Disco {
        place: Place::Account,
        var,
    }
}

const fn route(kind: IqKind, name: &'static str, handler: IqHandler) -> IqRoute {
    IqRoute {
        place: Place::Account,
        kind,
        name,
        ns: ns::MAM,
        // § 8.1
        who: Who::OwnerOrForbidden,
        handler,
    }
}
