//! What people say about themselves by publishing it on nodes of their accounts, where the server
//! only keeps it and tells of it: vCard4 ([XEP-0292](https://xmpp.org/extensions/xep-0292.html), 0.12.0),
//! nicknames ([XEP-0172](https://xmpp.org/extensions/xep-0172.html), 1.1), tunes, moods,
//! activities, places. A vCard4 is what its owner publishes; nothing is made of an older vCard. The
//! requests of their own that XEP-0292 once had for it were taken out with version 0.12 in favour of the
//! node, so there are none here.

use crate::feature::{Coverage, Disco, Feature, Place, Xep};
use waxwing_proto::ns;

/// The feature.
pub const FEATURE: Feature = Feature {
    name: "profile",
    xeps: &[
        xep(80, "1.10.0", "User Location"),
        xep(107, "1.2.2", "User Mood"),
        xep(108, "1.3", "User Activity"),
        xep(118, "1.3.0", "User Tune"),
        xep(172, "1.1", "User Nickname"),
        xep(292, "0.12.0", "vCard4 Over XMPP"),
    ],
    // XEP-0292 § 5
    disco: &[Disco {
        place: Place::Account,
        var: ns::VCARD4,
    }],
    ..Feature::NONE
};

const fn xep(number: u16, version: &'static str, title: &'static str) -> Xep {
    Xep {
        number,
        version,
        title,
        coverage: Coverage::Complete,
    }
}
