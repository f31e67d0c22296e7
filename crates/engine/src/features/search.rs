//! Searching archives for what messages say
//! ([XEP-0431](https://xmpp.org/extensions/xep-0431.html), 0.2.0).
//!
//! Off unless the admin wants it, because it needs an index of what people write to each other. An
//! encrypted message is not in it: its body is an explanation for those who cannot read it. The
//! field of the query is read in [`super::mam`].

use super::mam::rules;
use crate::{
    Settings,
    feature::{Coverage, Disco, Feature, Place, RecordCx, Xep},
};
use waxwing_proto::{ns, stanza::Stanza};
use waxwing_store::Message;

/// The feature.
pub const FEATURE: Feature = Feature {
    name: "search",
    xeps: &[Xep {
        number: 431,
        version: "0.2.0",
        title: "Full Text Search in MAM",
        coverage: Coverage::Complete,
    }],
    disco: &[Disco {
        place: Place::Account,
        var: ns::FULL_TEXT,
    }],
    offered,
    record: Some(record),
    ..Feature::NONE
};

fn offered(settings: &Settings) -> bool {
    settings.archive.search
}

/// After the archive has its entries.
fn record(stanza: &Stanza, _: &RecordCx<'_>, message: &mut Message) {
    let archived = message.sender.is_some() || message.recipient.is_some();
    if !archived || rules::is_encrypted(stanza) {
        return;
    }
    message.text = stanza.content("body").map(|body| body.text().into_owned());
}
