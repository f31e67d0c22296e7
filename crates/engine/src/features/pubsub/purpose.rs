//! What nodes are for, as far as their names say it and the server must know: what such a node is
//! made as, and what it is whatever a client asks for.

use super::config::{Access, Bound, NodeConfig};
use waxwing_proto::ns;

/// What a node is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// The devices of end-to-end encryption, or the keys of one of them (XEP-0384).
    Keys,
    /// The keys of all devices, an item each (XEP-0384 § 5.3).
    AllKeys,
    /// Bookmarks of rooms (XEP-0402).
    Bookmarks,
    /// Items for the account's own clients alone (XEP-0223), as many as there are.
    Private,
    /// Anything else.
    Any,
}

impl Purpose {
    fn of(node: &str) -> Self {
        const DEVICES: &str = "eu.siacs.conversations.axolotl.devicelist";
        const KEYS: &str = "eu.siacs.conversations.axolotl.bundles:";
        match node {
            DEVICES | "urn:xmpp:omemo:2:devices" => Self::Keys,
            "urn:xmpp:omemo:2:bundles" => Self::AllKeys,
            ns::BOOKMARKS => Self::Bookmarks,
            ns::MDS => Self::Private,
            node if node.starts_with(KEYS) => Self::Keys,
            _ => Self::Any,
        }
    }
}

impl NodeConfig {
    /// The options of a new node, where its maker says nothing else.
    pub(super) fn of_new(node: &str) -> Self {
        let config = match Purpose::of(node) {
            Purpose::Bookmarks | Purpose::Private => Self::private(),
            Purpose::AllKeys => Self {
                items_max: Bound::Max,
                ..Self::pep()
            },
            Purpose::Keys | Purpose::Any => Self::pep(),
        };
        config.settled(node)
    }

    /// The options with those that are fixed by the node's name. Keys of encryption that not
    /// everybody can read are of no use (XEP-0384 § 5.3), and clients that find them closed or gone
    /// begin to mend them, each against the others; so they are open and kept, and whoever asks for
    /// something else gets that. Bookmarks are also written by clients that do not know the node
    /// (XEP-0411 § 3), so they are all kept and nobody else's to read.
    pub(super) fn settled(mut self, node: &str) -> Self {
        match Purpose::of(node) {
            Purpose::Keys | Purpose::AllKeys => {
                self.access = Access::Open;
                self.persist = true;
            }
            Purpose::Bookmarks => {
                self.access = Access::Whitelist;
                self.persist = true;
                self.items_max = Bound::Max;
            }
            Purpose::Private | Purpose::Any => {}
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_so_whatever_is_asked_for() {
        let asked = || NodeConfig {
            persist: false,
            ..NodeConfig::private()
        };
        for (node, access, persist) in [
            (
                "eu.siacs.conversations.axolotl.devicelist",
                Access::Open,
                true,
            ),
            (
                "eu.siacs.conversations.axolotl.bundles:1",
                Access::Open,
                true,
            ),
            ("urn:xmpp:omemo:2:devices", Access::Open, true),
            ("urn:xmpp:omemo:2:bundles", Access::Open, true),
            ("eu.siacs.conversations.axolotl", Access::Whitelist, false),
            ("urn:xmpp:bookmarks:1", Access::Whitelist, true),
            ("urn:xmpp:avatar:data", Access::Whitelist, false),
        ] {
            let config = asked().settled(node);
            assert_eq!((config.access, config.persist), (access, persist), "{node}");
        }
    }

    #[test]
    fn what_a_node_is_made_as() {
        for (node, access, items_max) in [
            (
                "eu.siacs.conversations.axolotl.bundles:1",
                Access::Open,
                Bound::Number(1),
            ),
            ("urn:xmpp:omemo:2:bundles", Access::Open, Bound::Max),
            ("urn:xmpp:bookmarks:1", Access::Whitelist, Bound::Max),
            ("urn:xmpp:mds:displayed:0", Access::Whitelist, Bound::Max),
            (
                "http://jabber.org/protocol/tune",
                Access::Presence,
                Bound::Number(1),
            ),
        ] {
            let config = NodeConfig::of_new(node);
            assert_eq!(
                (config.access, config.items_max),
                (access, items_max),
                "{node}"
            );
        }
    }
}
