//! The health of an account's encryption keys ([XEP-0384](https://xmpp.org/extensions/xep-0384.html)): the
//! devices that it lists, the keys that it has published, and what does not fit together. The keys
//! themselves mean nothing to the server.

use bytes::Bytes;
use std::collections::BTreeMap;
use waxwing_proto::{
    BareJid, ns,
    xml::{Element, Limits, Tree},
};
use waxwing_store::{Item, ItemsFrom, ItemsOrder, ItemsRequest, Store, StoreError};

/// A version of the protocol, known by its namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// `eu.siacs.conversations.axolotl`: a node for the keys of each device.
    Legacy,
    /// `urn:xmpp:omemo:2`: one node for the keys of all.
    Two,
}

/// A device that an account lists, or has published keys of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Where.
    pub version: Version,
    /// Its id, as it was published.
    pub id: String,
    /// Whether it is in the list, so that others encrypt for it.
    pub is_listed: bool,
    /// How many one-time keys are published of it; `None` if there are no keys at all.
    pub prekeys: Option<usize>,
}

/// What is wrong with a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// It is listed and has no keys: nobody can encrypt for it, and some clients refuse to send.
    Dead,
    /// Its keys lack those that a new session begins with.
    NoPrekeys,
    /// Its keys are published and it is not listed: nobody encrypts for it.
    Unlisted,
}

impl Device {
    /// What is wrong with it, the worst first.
    pub fn finding(&self) -> Option<Finding> {
        match (self.is_listed, self.prekeys) {
            (true, None) => Some(Finding::Dead),
            (false, _) => Some(Finding::Unlisted),
            (true, Some(0)) => Some(Finding::NoPrekeys),
            (true, Some(_)) => None,
        }
    }
}

/// Every device of an account, in the order of versions and ids. Reads only.
pub async fn devices(store: &dyn Store, account: &BareJid) -> Result<Vec<Device>, StoreError> {
    let mut found = BTreeMap::new();
    for node in store.nodes(account.clone()).await? {
        let name = node.key.name;
        let Some(meaning) = Meaning::of(&name) else {
            continue;
        };
        let request = ItemsRequest {
            from: ItemsFrom::First,
            count: ITEMS_MAX,
            order: ItemsOrder {
                newest_first: true,
                ..ItemsOrder::default()
            },
            since: None,
        };
        let page = store.items(account.clone(), name, request).await?;
        meaning.read(page.items, &mut found);
    }
    Ok(found.into_values().collect())
}

/// Items looked at on one node.
const ITEMS_MAX: u32 = 1000;
const LEGACY_KEYS: &str = "eu.siacs.conversations.axolotl.bundles:";

type Found = BTreeMap<(Version, String), Device>;

/// What a node holds.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Meaning {
    /// The list of devices: its newest item.
    List(Version),
    /// The keys of one device: the newest item.
    KeysOf(String),
    /// The keys of all devices, an item each.
    Keys,
}

impl Meaning {
    fn of(node: &str) -> Option<Self> {
        match node {
            "eu.siacs.conversations.axolotl.devicelist" => Some(Self::List(Version::Legacy)),
            "urn:xmpp:omemo:2:devices" => Some(Self::List(Version::Two)),
            "urn:xmpp:omemo:2:bundles" => Some(Self::Keys),
            node => {
                let id = node.strip_prefix(LEGACY_KEYS)?;
                Some(Self::KeysOf(id.to_owned()))
            }
        }
    }

    /// Items come with the newest first.
    fn read(self, items: Vec<Item>, found: &mut Found) {
        let mut items = items.into_iter();
        match self {
            Self::List(version) => {
                let newest = items.next().and_then(|item| parsed(item.payload));
                let listed = newest.iter().flat_map(|list| list.root().children());
                for id in listed.filter_map(|device| device.attr("id")) {
                    device(found, version, &id).is_listed = true;
                }
            }
            Self::KeysOf(id) => {
                if let Some(item) = items.next() {
                    device(found, Version::Legacy, &id).prekeys = Some(prekeys(item.payload));
                }
            }
            Self::Keys => {
                for item in items {
                    device(found, Version::Two, &item.id).prekeys = Some(prekeys(item.payload));
                }
            }
        }
    }
}

fn device<'a>(found: &'a mut Found, version: Version, id: &str) -> &'a mut Device {
    let key = (version, id.to_owned());
    found.entry(key).or_insert_with(|| Device {
        version,
        id: id.to_owned(),
        is_listed: false,
        prekeys: None,
    })
}

/// How many one-time keys a bundle has (§ 5.3.2); none if it cannot be read.
fn prekeys(payload: Bytes) -> usize {
    let Some(tree) = parsed(payload) else {
        return 0;
    };
    let bundle = tree.root();
    let (list, key) = match bundle.ns() {
        ns::OMEMO_LEGACY => ("prekeys", "preKeyPublic"),
        _ => ("prekeys", "pk"),
    };
    let keys = bundle.child(list, bundle.ns());
    let keys = keys.into_iter().flat_map(|keys| keys.children());
    keys.filter(|one| is_key(*one, key)).count()
}

fn is_key(element: Element<'_>, name: &str) -> bool {
    element.name() == name && !element.text().trim().is_empty()
}

fn parsed(payload: Bytes) -> Option<Tree> {
    Tree::parse(payload, "", &Limits::C2S).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use waxwing_proto::Jid;

    fn item(id: &str, payload: &str) -> Item {
        Item {
            id: id.to_owned(),
            publisher: Jid::parse("a@a.example").unwrap(),
            at: 0,
            payload: Bytes::copy_from_slice(payload.as_bytes()),
        }
    }

    #[test]
    fn what_does_not_fit_together_is_found() {
        let old = |content: &str| {
            format!("<bundle xmlns='eu.siacs.conversations.axolotl'>{content}</bundle>")
        };
        let new = |content: &str| format!("<bundle xmlns='urn:xmpp:omemo:2'>{content}</bundle>");
        let list = "<list xmlns='eu.siacs.conversations.axolotl'><device id='1'/><device id='2'/><device id='3'/></list>";
        let mut found = Found::new();
        for (node, items) in [
            (
                "eu.siacs.conversations.axolotl.devicelist",
                vec![
                    item("current", list),
                    item("older", "<list><device id='9'/></list>"),
                ],
            ),
            (
                "eu.siacs.conversations.axolotl.bundles:1",
                vec![item(
                    "current",
                    &old("<prekeys><preKeyPublic preKeyId='1'>QQ==</preKeyPublic></prekeys>"),
                )],
            ),
            (
                "eu.siacs.conversations.axolotl.bundles:2",
                vec![item(
                    "current",
                    &old("<prekeys><preKeyPublic preKeyId='1'/></prekeys>"),
                )],
            ),
            ("eu.siacs.conversations.axolotl.bundles:3", Vec::new()),
            (
                "eu.siacs.conversations.axolotl.bundles:4",
                vec![item("current", &old(""))],
            ),
            (
                "urn:xmpp:omemo:2:devices",
                vec![item(
                    "current",
                    "<devices xmlns='urn:xmpp:omemo:2'><device id='1'/></devices>",
                )],
            ),
            (
                "urn:xmpp:omemo:2:bundles",
                vec![
                    item("1", &new("<prekeys><pk id='0'>QQ==</pk></prekeys>")),
                    item("5", &new("")),
                ],
            ),
        ] {
            Meaning::of(node).unwrap().read(items, &mut found);
        }
        let findings: Vec<_> = found
            .into_values()
            .map(|device| (device.version, device.id.clone(), device.finding()))
            .collect();
        let expected = [
            (Version::Legacy, "1", None),
            (Version::Legacy, "2", Some(Finding::NoPrekeys)),
            (Version::Legacy, "3", Some(Finding::Dead)),
            (Version::Legacy, "4", Some(Finding::Unlisted)),
            (Version::Two, "1", None),
            (Version::Two, "5", Some(Finding::Unlisted)),
        ];
        assert_eq!(
            findings,
            expected.map(|(version, id, finding)| (version, id.to_owned(), finding))
        );
        assert_eq!(Meaning::of("urn:xmpp:avatar:data"), None);
    }
}
