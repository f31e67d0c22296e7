//! Who may do what with a node (XEP-0060 § 4.1, § 4.5): a table, and the few words it is made of.

use super::{
    config::{Access, PublishModel},
    errors::Refusal,
};
use waxwing_store::Affiliation;

/// What can be done with a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// Ask to be told.
    Subscribe,
    /// Read items.
    Retrieve,
    /// Publish an item.
    Publish,
    /// Remove an item of one's own.
    RetractOwn,
    /// Remove somebody else's item.
    RetractAny,
    /// Remove all items.
    Purge,
    /// Read and change options, affiliations, subscriptions.
    Configure,
    /// Remove the node.
    Delete,
}

/// Who asks, as far as a node is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Asker {
    /// Their affiliation; `None` for none.
    pub(super) affiliation: Option<Affiliation>,
    /// They see the presence of the node's owner.
    pub(super) sees_owner: bool,
    /// They are in one of the groups that the node is for.
    pub(super) in_group: bool,
    /// Their subscription: whether it still waits for approval.
    pub(super) pending: Option<bool>,
}

/// What the table says of an affiliation and an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Right {
    /// Always.
    Yes,
    /// Never.
    No,
    /// As the access model says.
    ByAccess,
    /// As the publish model says.
    ByPublishModel,
}

use Right::{ByAccess, ByPublishModel, No, Yes};

/// § 4.1, table 3. Rows: owner, publisher, publish-only, member, none, outcast. Columns: the actions
/// in their order.
///
/// A publisher removes its own items only; § 7.2.1 leaves more to the service.
const TABLE: [[Right; 8]; 6] = [
    [Yes, Yes, Yes, Yes, Yes, Yes, Yes, Yes],
    [Yes, Yes, Yes, Yes, No, No, No, No],
    [No, No, Yes, Yes, No, No, No, No],
    [Yes, Yes, ByPublishModel, ByPublishModel, No, No, No, No],
    [
        ByAccess,
        ByAccess,
        ByPublishModel,
        ByPublishModel,
        No,
        No,
        No,
        No,
    ],
    [No, No, No, No, No, No, No, No],
];

/// Judges an action.
pub(super) fn judge(
    action: Action,
    asker: Asker,
    access: Access,
    publish: PublishModel,
) -> Result<(), Refusal> {
    let row = match asker.affiliation {
        Some(Affiliation::Owner) => 0,
        Some(Affiliation::Publisher) => 1,
        Some(Affiliation::PublishOnly) => 2,
        Some(Affiliation::Member) => 3,
        None => 4,
        Some(Affiliation::Outcast) => 5,
    };
    let column = match action {
        Action::Subscribe => 0,
        Action::Retrieve => 1,
        Action::Publish => 2,
        Action::RetractOwn => 3,
        Action::RetractAny => 4,
        Action::Purge => 5,
        Action::Configure => 6,
        Action::Delete => 7,
    };
    let right = TABLE.get(row).and_then(|rights| rights.get(column));
    match right {
        Some(Yes) => Ok(()),
        Some(ByAccess) => by_access(action, asker, access),
        Some(ByPublishModel) => by_publish_model(asker, publish),
        Some(No) | None => Err(Refusal::Forbidden),
    }
}

/// § 4.5. With the model `authorize` anyone may ask to subscribe; the subscription waits.
fn by_access(action: Action, asker: Asker, access: Access) -> Result<(), Refusal> {
    match access {
        Access::Open => Ok(()),
        Access::Presence if asker.sees_owner => Ok(()),
        Access::Presence => Err(Refusal::PresenceSubscriptionRequired),
        Access::Roster if asker.in_group => Ok(()),
        Access::Roster => Err(Refusal::NotInRosterGroup),
        Access::Whitelist => Err(Refusal::ClosedNode),
        Access::Authorize => match (action, asker.pending) {
            (Action::Subscribe, Some(true)) => Err(Refusal::PendingSubscription),
            (Action::Subscribe, _) | (_, Some(false)) => Ok(()),
            (_, Some(true)) => Err(Refusal::PendingSubscription),
            (_, None) => Err(Refusal::NotSubscribedToRead),
        },
    }
}

fn by_publish_model(asker: Asker, publish: PublishModel) -> Result<(), Refusal> {
    match publish {
        PublishModel::Open => Ok(()),
        PublishModel::Subscribers if asker.pending == Some(false) => Ok(()),
        PublishModel::Subscribers | PublishModel::Publishers => Err(Refusal::Forbidden),
    }
}
