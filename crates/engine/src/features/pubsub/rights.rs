//! Who may do what with a node (XEP-0060 § 4.1, § 4.5): a table, and the few words it is made of.

use super::{
    config::{Access, NodeConfig, PublishModel},
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

impl Asker {
    /// Whether an account says nothing of a node to them, not even that it exists: they have nothing to
    /// do with the account and may not read the node, if there is one (`None` if not).
    pub(super) fn is_kept_out(self, node: Option<&NodeConfig>) -> bool {
        let stranger = !self.sees_owner
            && self.pending.is_none()
            && matches!(self.affiliation, None | Some(Affiliation::Outcast));
        let may_read =
            |node: &NodeConfig| judge(Action::Retrieve, self, node.access, node.publish).is_ok();
        stranger && !node.is_some_and(may_read)
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    const ACCESS: [Access; 5] = [
        Access::Open,
        Access::Presence,
        Access::Roster,
        Access::Whitelist,
        Access::Authorize,
    ];
    const ACTIONS: [Action; 8] = [
        Action::Subscribe,
        Action::Retrieve,
        Action::Publish,
        Action::RetractOwn,
        Action::RetractAny,
        Action::Purge,
        Action::Configure,
        Action::Delete,
    ];
    const MODELS: [PublishModel; 3] = [
        PublishModel::Publishers,
        PublishModel::Subscribers,
        PublishModel::Open,
    ];

    /// Everyone that can be: what they are by presence, group and subscription.
    fn everyone(affiliation: Option<Affiliation>) -> Vec<Asker> {
        let mut all = Vec::new();
        for sees_owner in [false, true] {
            for in_group in [false, true] {
                for pending in [None, Some(true), Some(false)] {
                    all.push(Asker {
                        affiliation,
                        sees_owner,
                        in_group,
                        pending,
                    });
                }
            }
        }
        all
    }

    /// What may be done, in the order of the actions: `+`, `-`, or the first letter of the error.
    fn row(asker: Asker, access: Access, publish: PublishModel) -> String {
        let sign = |action| match judge(action, asker, access, publish) {
            Ok(()) => '+',
            Err(Refusal::Forbidden) => '-',
            Err(Refusal::PresenceSubscriptionRequired) => 'p',
            Err(Refusal::NotInRosterGroup) => 'g',
            Err(Refusal::ClosedNode) => 'c',
            Err(Refusal::PendingSubscription) => 'w',
            Err(Refusal::NotSubscribedToRead) => 's',
            Err(_) => '?',
        };
        ACTIONS.into_iter().map(sign).collect()
    }

    /// XEP-0060 § 4.1, table 3: who has an affiliation has its rights whatever the access model
    /// says, and whatever else they are.
    #[test]
    fn rights_of_the_affiliated() {
        for (affiliation, publish, wanted) in [
            (Affiliation::Owner, None, "++++++++"),
            (Affiliation::Publisher, None, "++++----"),
            (Affiliation::PublishOnly, None, "--++----"),
            (
                Affiliation::Member,
                Some(PublishModel::Publishers),
                "++------",
            ),
            (Affiliation::Member, Some(PublishModel::Open), "++++----"),
            (Affiliation::Outcast, None, "--------"),
        ] {
            for model in MODELS {
                if publish.is_some_and(|publish| publish != model) {
                    continue;
                }
                for access in ACCESS {
                    for asker in everyone(Some(affiliation)) {
                        let found = row(asker, access, model);
                        assert_eq!(found, wanted, "{asker:?} {access:?} {model:?}");
                    }
                }
            }
        }
    }

    /// § 4.5: for the others the access model decides. The columns are the access models in the
    /// order of [`ACCESS`], then what the publish models say.
    #[test]
    fn rights_of_the_others() {
        // Sees the owner, is in a group, subscription; subscribe and retrieve by access model.
        let table = [
            "- - none    ++ pp gg cc +s | - - +",
            "- - pending ++ pp gg cc ww | - - +",
            "- - yes     ++ pp gg cc ++ | - + +",
            "- g none    ++ pp ++ cc +s | - - +",
            "- g pending ++ pp ++ cc ww | - - +",
            "- g yes     ++ pp ++ cc ++ | - + +",
            "s - none    ++ ++ gg cc +s | - - +",
            "s - pending ++ ++ gg cc ww | - - +",
            "s - yes     ++ ++ gg cc ++ | - + +",
            "s g none    ++ ++ ++ cc +s | - - +",
            "s g pending ++ ++ ++ cc ww | - - +",
            "s g yes     ++ ++ ++ cc ++ | - + +",
        ];
        for (asker, wanted) in everyone(None).into_iter().zip(table) {
            let flag = |is: bool, letter: char| if is { letter } else { '-' };
            let subscription = match asker.pending {
                None => "none   ",
                Some(true) => "pending",
                Some(false) => "yes    ",
            };
            let access = ACCESS.map(|access| {
                let all = row(asker, access, PublishModel::Publishers);
                assert!(all.ends_with("------"), "nothing but reading: {all}");
                all[..2].to_owned()
            });
            let publish = MODELS.map(|model| {
                let all = row(asker, Access::Whitelist, model);
                assert_eq!(all[2..3], all[3..4], "who publishes may take it back");
                assert!(all.ends_with("----"), "and no more: {all}");
                all[2..3].to_owned()
            });
            let found = format!(
                "{} {} {subscription} {} | {}",
                flag(asker.sees_owner, 's'),
                flag(asker.in_group, 'g'),
                access.join(" "),
                publish.join(" ")
            );
            assert_eq!(found, wanted);
        }
    }
}
