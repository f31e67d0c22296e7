//! The ordered list of features. Order is the order of this list and nothing else: guards run top
//! to bottom, and a feature that must precede another stands before it.

#![expect(
    clippy::needless_pass_by_value,
    reason = "every handler has the same type, and most need the whole of it"
)]

pub mod archive;
pub mod avatar;
pub mod blocking;
pub mod bookmarks;
pub mod cam;
pub mod caps;
pub mod carbons;
pub mod disco;
pub mod extdisco;
pub mod forgery;
pub mod last;
pub mod mam;
pub mod mds;
pub(crate) mod muc;
pub mod offline;
pub mod ping;
pub mod private;
pub mod profile;
pub mod pubsub;
pub mod push;
pub mod register;
pub mod retraction;
pub mod search;
pub mod session;
pub mod stanza_id;
pub mod time;
pub mod upload;
pub mod vcard;
pub mod version;

use crate::{
    Settings, component,
    feature::{
        CopyCx, Fanout, Feature, GuardCx, IqKind, IqRoute, Place, RecordCx, Service, StampCx,
        Verdict,
    },
    roster,
    route::{Handover, Hosted},
};
use hashbrown::HashMap;
use waxwing_proto::stanza::{Draft, Stanza};
use waxwing_store::Message;

/// Every feature.
pub const FEATURES: &[Feature] = &[
    roster::FEATURE,
    forgery::FEATURE,
    stanza_id::FEATURE,
    blocking::FEATURE,
    session::FEATURE,
    disco::FEATURE,
    caps::FEATURE,
    ping::FEATURE,
    version::FEATURE,
    time::FEATURE,
    last::FEATURE,
    private::FEATURE,
    vcard::FEATURE,
    avatar::FEATURE,
    profile::FEATURE,
    bookmarks::FEATURE,
    pubsub::FEATURE,
    mds::FEATURE,
    muc::FEATURE,
    upload::FEATURE,
    extdisco::FEATURE,
    register::FEATURE,
    cam::FEATURE,
    mam::FEATURE,
    archive::FEATURE,
    search::FEATURE,
    retraction::FEATURE,
    offline::FEATURE,
    carbons::FEATURE,
    component::FEATURE,
    push::FEATURE,
];

/// Those that are there with these settings, in the order of the list.
pub(crate) fn offered(settings: &Settings) -> impl Iterator<Item = &'static Feature> {
    let all = FEATURES.iter();
    all.filter(|feature| (feature.offered)(settings))
}

type GuardFn = fn(&Draft, &GuardCx<'_>) -> Verdict;
type StampFn = fn(&mut Draft, &StampCx<'_>);
type RecordFn = fn(&Stanza, &RecordCx<'_>, &mut Message);
type CopyFn = fn(&Handover, &CopyCx<'_>, &mut Fanout);

/// The list, indexed once at start.
pub(crate) struct Active {
    iq: HashMap<(Place, IqKind, &'static str, &'static str), &'static IqRoute>,
    guards: Vec<GuardFn>,
    stamps: Vec<StampFn>,
    records: Vec<RecordFn>,
    copies: Vec<CopyFn>,
    hosted: Vec<Hosted>,
}

impl Active {
    pub(crate) fn new(settings: &Settings) -> Self {
        let all = || offered(settings);
        let routes = all().flat_map(|feature| feature.iq);
        Self {
            iq: routes
                .map(|route| ((route.place, route.kind, route.name, route.ns), route))
                .collect(),
            guards: all().filter_map(|feature| feature.guard).collect(),
            stamps: all().filter_map(|feature| feature.stamp).collect(),
            records: all().filter_map(|feature| feature.record).collect(),
            copies: all().filter_map(|feature| feature.copy).collect(),
            hosted: all().filter_map(|feature| feature.hosted).collect(),
        }
    }

    /// The handler of a request.
    pub(crate) fn iq(
        &self,
        place: Place,
        kind: IqKind,
        name: &str,
        ns: &str,
    ) -> Option<&'static IqRoute> {
        self.iq.get(&(place, kind, name, ns)).copied()
    }

    /// What a service does with stanzas that are no requests to it.
    pub(crate) fn hosted(&self, kind: Service) -> Option<Hosted> {
        self.hosted
            .iter()
            .find(|hosted| hosted.kind == kind)
            .copied()
    }

    /// The first judgement that is not to pass.
    pub(crate) fn judge(&self, draft: &Draft, cx: &GuardCx<'_>) -> Verdict {
        self.guards
            .iter()
            .map(|guard| guard(draft, cx))
            .find(|verdict| *verdict != Verdict::Pass)
            .unwrap_or(Verdict::Pass)
    }

    /// Lets every feature edit the message.
    pub(crate) fn stamp(&self, draft: &mut Draft, cx: &StampCx<'_>) {
        for stamp in &self.stamps {
            stamp(draft, cx);
        }
    }

    /// What the message must leave on disk.
    pub(crate) fn record(&self, stanza: &Stanza, cx: &RecordCx<'_>, message: &mut Message) {
        for record in &self.records {
            record(stanza, cx, message);
        }
    }

    /// Who else gets to see the message.
    pub(crate) fn copy(&self, message: &Handover, cx: &CopyCx<'_>) -> Fanout {
        let mut fanout = Fanout::new();
        for copy in &self.copies {
            copy(message, cx, &mut fanout);
        }
        fanout
    }
}

#[cfg(test)]
mod fixtures {
    use bytes::Bytes;
    use waxwing_proto::{
        ns,
        stanza::{Draft, Stanza},
        xml::{Limits, Tree},
    };

    /// A stanza as a client wrote it.
    pub(super) fn draft(xml: &str) -> Draft {
        let xml = Bytes::copy_from_slice(xml.as_bytes());
        let tree = Tree::parse(xml, ns::CLIENT, &Limits::C2S).unwrap();
        Draft::new(Stanza::new(tree, ns::CLIENT).unwrap()).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::{Active, FEATURES, offered};
    use crate::Settings;
    use std::collections::HashSet;

    #[test]
    fn no_two_features_claim_the_same() {
        let mut names = HashSet::new();
        for feature in FEATURES {
            assert!(
                names.insert(feature.name),
                "{} is listed twice",
                feature.name
            );
        }
        let mut settings = Settings::for_domain("localhost");
        settings.archive.search = true;
        settings.relay = Some(crate::RelaySettings {
            host: None,
            port: 3478,
            credential_lifetime: std::time::Duration::from_hours(12),
        });
        assert_eq!(offered(&settings).count(), FEATURES.len());
        let routes: usize = FEATURES.iter().map(|feature| feature.iq.len()).sum();
        assert_eq!(
            Active::new(&settings).iq.len(),
            routes,
            "two features claim one request"
        );
    }
}
