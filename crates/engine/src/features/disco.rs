//! Service discovery ([XEP-0030](https://xmpp.org/extensions/xep-0030.html)).
use crate::{DomainSettings, feature::Feature};
use waxwing_proto::stream::Caps;

/// The feature.
pub const FEATURE: Feature = Feature {
    name: "disco",
    ..Feature::NONE
};

/// Node and verification string of a domain (XEP-0115), for stream features.
pub fn domain_caps(_domain: &DomainSettings) -> Caps {
    Caps {
        node: String::new(),
        ver: String::new(),
    }
}
