//! Who may do what in a room (XEP-0045 § 5): two tables, and the few words they are made of.

use super::config::RoomConfig;

/// The lasting relation of an account to a room (§ 5.2), from the lowest to the highest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) enum Affiliation {
    /// Banned.
    Outcast,
    /// None.
    #[default]
    None,
    /// Expected.
    Member,
    /// Looks after people.
    Admin,
    /// Decides about the room.
    Owner,
}

/// What an occupant may do while in the room (§ 5.1), from the lowest to the highest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) enum Role {
    /// Not in the room.
    #[default]
    None,
    /// Listens.
    Visitor,
    /// Speaks.
    Participant,
    /// Looks after the others.
    Moderator,
}

impl Affiliation {
    pub(super) const ALL: [Self; 5] = [
        Self::Outcast,
        Self::None,
        Self::Member,
        Self::Admin,
        Self::Owner,
    ];

    /// As it is on the wire.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Outcast => "outcast",
            Self::None => "none",
            Self::Member => "member",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.name() == name)
    }

    /// § 5.1.2: the role that it enters with. Nobody enters a room that is not for them.
    pub(super) fn role(self, moderated: bool) -> Role {
        match self {
            Self::Outcast => Role::None,
            Self::None if moderated => Role::Visitor,
            Self::None | Self::Member => Role::Participant,
            Self::Admin | Self::Owner => Role::Moderator,
        }
    }
}

impl Role {
    pub(super) const ALL: [Self; 4] = [
        Self::None,
        Self::Visitor,
        Self::Participant,
        Self::Moderator,
    ];

    /// As it is on the wire.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Visitor => "visitor",
            Self::Participant => "participant",
            Self::Moderator => "moderator",
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.name() == name)
    }
}

/// What can be done in or with a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// Come in.
    Enter,
    /// Come in where only members may.
    EnterMembersOnly,
    /// Become a member by oneself (§ 7.10).
    Register,
    /// Read the archive of an open room.
    ReadArchive,
    /// Say something to all.
    Speak,
    /// Change the subject.
    SetSubject,
    /// Say something to one occupant.
    Whisper,
    /// Invite somebody.
    Invite,
    /// Invite somebody to a room for members, and so make them one.
    InviteMember,
    /// Ask to be allowed to speak (§ 7.13).
    RequestVoice,
    /// See who the occupants of a semi-anonymous room are.
    SeeAddresses,
    /// Remove an occupant, give and take voice, answer requests for it, read the list of those who
    /// have it (§ 8).
    Moderate,
    /// Make moderators and take that back, read their list (§ 9.6).
    AppointModerators,
    /// Read the lists of members, admins and owners.
    ReadMembers,
    /// Ban, and read who is banned.
    Ban,
    /// Change the list of members.
    EditMembers,
    /// Change the lists of admins and owners.
    EditAdmins,
    /// Read and change the configuration.
    Configure,
    /// Destroy the room.
    Destroy,
}

/// What the tables say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Right {
    /// Always.
    Yes,
    /// Never.
    No,
    /// As the configuration says: § 16.5.3, `changesubject`.
    BySubject,
    /// `allowpm`.
    ByWhisper,
    /// `allowinvites`.
    ByInvite,
    /// If everybody sees everybody's address anyway (§ 5.2.1, note ***).
    IfOpen,
}

use Right::{ByInvite, BySubject, ByWhisper, IfOpen, No, Yes};

/// What comes with a role. Rows: none, visitor, participant, moderator (§ 5.1.1).
const BY_ROLE: [[Right; 7]; 4] = [
    // speak, subject, whisper, invite, voice, addresses, moderate
    [No, No, No, No, No, No, No],
    [No, No, ByWhisper, ByInvite, Yes, No, No],
    [Yes, BySubject, ByWhisper, ByInvite, No, No, No],
    [Yes, Yes, ByWhisper, Yes, No, Yes, Yes],
];

/// What comes with an affiliation. Rows: outcast, none, member, admin, owner (§ 5.2.1).
const BY_AFFILIATION: [[Right; 12]; 5] = [
    // enter, members only, register, archive, invite member, appoint, read members, ban, members,
    // admins, configure, destroy
    [No, No, No, No, No, No, No, No, No, No, No, No],
    [Yes, No, Yes, Yes, No, No, No, No, No, No, No, No],
    [Yes, Yes, No, Yes, ByInvite, No, IfOpen, No, No, No, No, No],
    [Yes, Yes, No, Yes, Yes, Yes, Yes, Yes, Yes, No, No, No],
    [Yes, Yes, No, Yes, Yes, Yes, Yes, Yes, Yes, Yes, Yes, Yes],
];

/// Judges an action.
pub(super) fn may(
    action: Action,
    affiliation: Affiliation,
    role: Role,
    config: &RoomConfig,
) -> bool {
    match right(action, affiliation, role) {
        Yes => true,
        No => false,
        BySubject => config.changesubject,
        ByWhisper => config.allowpm.includes(role),
        ByInvite => config.allowinvites,
        IfOpen => !config.semi_anonymous,
    }
}

fn right(action: Action, affiliation: Affiliation, role: Role) -> Right {
    let by_role = match action {
        Action::Speak => Some(0),
        Action::SetSubject => Some(1),
        Action::Whisper => Some(2),
        Action::Invite => Some(3),
        Action::RequestVoice => Some(4),
        Action::SeeAddresses => Some(5),
        Action::Moderate => Some(6),
        _ => None,
    };
    let by_affiliation = match action {
        Action::Enter => 0,
        Action::EnterMembersOnly => 1,
        Action::Register => 2,
        Action::ReadArchive => 3,
        Action::InviteMember => 4,
        Action::AppointModerators => 5,
        Action::ReadMembers => 6,
        Action::Ban => 7,
        Action::EditMembers => 8,
        Action::EditAdmins => 9,
        Action::Configure => 10,
        Action::Destroy => 11,
        _ => usize::MAX,
    };
    let row = match affiliation {
        Affiliation::Outcast => return No,
        Affiliation::None => BY_AFFILIATION.get(1),
        Affiliation::Member => BY_AFFILIATION.get(2),
        Affiliation::Admin => BY_AFFILIATION.get(3),
        Affiliation::Owner => BY_AFFILIATION.get(4),
    };
    let found = match by_role {
        Some(column) => {
            let row = match role {
                Role::None => BY_ROLE.first(),
                Role::Visitor => BY_ROLE.get(1),
                Role::Participant => BY_ROLE.get(2),
                Role::Moderator => BY_ROLE.get(3),
            };
            row.and_then(|row| row.get(column))
        }
        None => row.and_then(|row| row.get(by_affiliation)),
    };
    found.copied().unwrap_or(No)
}

/// § 8.2, § 8.4: whether a moderator may remove an occupant or take its voice. Nobody can take it
/// from those who are moderators by what they are to the room, nor from those above them.
pub(super) fn may_silence(actor: Affiliation, other: Affiliation) -> bool {
    other < Affiliation::Admin && actor >= other
}

/// § 8.2: whether a moderator may remove an occupant.
pub(super) fn may_kick(actor: Affiliation, other: Affiliation) -> bool {
    actor >= other
}

/// § 9 and § 10: what it takes to change an affiliation so.
pub(super) fn to_change(from: Affiliation, to: Affiliation) -> Action {
    if from.max(to) >= Affiliation::Admin {
        Action::EditAdmins
    } else if from.min(to) == Affiliation::Outcast {
        Action::Ban
    } else {
        Action::EditMembers
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::muc::config::Whisper;

    const ACTIONS: [Action; 19] = [
        Action::Enter,
        Action::EnterMembersOnly,
        Action::Register,
        Action::ReadArchive,
        Action::Speak,
        Action::SetSubject,
        Action::Whisper,
        Action::Invite,
        Action::InviteMember,
        Action::RequestVoice,
        Action::SeeAddresses,
        Action::Moderate,
        Action::AppointModerators,
        Action::ReadMembers,
        Action::Ban,
        Action::EditMembers,
        Action::EditAdmins,
        Action::Configure,
        Action::Destroy,
    ];

    /// `+` always, `-` never, else the first letter of the option that decides.
    fn row(affiliation: Affiliation, role: Role) -> String {
        let sign = |action| match right(action, affiliation, role) {
            Yes => '+',
            No => '-',
            BySubject => 's',
            ByWhisper => 'w',
            ByInvite => 'i',
            IfOpen => 'o',
        };
        ACTIONS.into_iter().map(sign).collect()
    }

    /// § 5.1.1 and § 5.2.1 written out for all that there can be.
    #[test]
    fn the_whole_table() {
        // Enter, members-only, register, archive | speak, subject, whisper, invite | invite member |
        // voice, addresses, moderate | appoint, members, ban, edit members, edit admins, configure,
        // destroy.
        let table = [
            ("outcast", "none", "-------------------"),
            ("outcast", "visitor", "-------------------"),
            ("outcast", "participant", "-------------------"),
            ("outcast", "moderator", "-------------------"),
            ("none", "none", "+-++---------------"),
            ("none", "visitor", "+-++--wi-+---------"),
            ("none", "participant", "+-+++swi-----------"),
            ("none", "moderator", "+-++++w+--++-------"),
            ("member", "none", "++-+----i----o-----"),
            ("member", "visitor", "++-+--wii+---o-----"),
            ("member", "participant", "++-++swii----o-----"),
            ("member", "moderator", "++-+++w+i-++-o-----"),
            ("admin", "none", "++-+----+---++++---"),
            ("admin", "visitor", "++-+--wi++--++++---"),
            ("admin", "participant", "++-++swi+---++++---"),
            ("admin", "moderator", "++-+++w++-++++++---"),
            ("owner", "none", "++-+----+---+++++++"),
            ("owner", "visitor", "++-+--wi++--+++++++"),
            ("owner", "participant", "++-++swi+---+++++++"),
            ("owner", "moderator", "++-+++w++-+++++++++"),
        ];
        let all = Affiliation::ALL
            .into_iter()
            .flat_map(|affiliation| Role::ALL.map(|role| (affiliation, role)));
        let mut rows = table.into_iter();
        for (affiliation, role) in all {
            let wanted = rows.next();
            let found = row(affiliation, role);
            let found = (affiliation.name(), role.name(), found.as_str());
            assert_eq!(Some(found), wanted);
        }
        assert_eq!(rows.next(), None);
    }

    #[test]
    fn options_decide_where_the_table_says_so() {
        let yes = RoomConfig {
            changesubject: true,
            allowinvites: true,
            allowpm: Whisper::Anyone,
            semi_anonymous: false,
            ..RoomConfig::default()
        };
        let no = RoomConfig {
            changesubject: false,
            allowinvites: false,
            allowpm: Whisper::Nobody,
            semi_anonymous: true,
            ..RoomConfig::default()
        };
        for affiliation in Affiliation::ALL {
            for role in Role::ALL {
                for (action, sign) in ACTIONS.into_iter().zip(row(affiliation, role).chars()) {
                    let allowed = [&yes, &no].map(|config| may(action, affiliation, role, config));
                    let wanted = match sign {
                        '+' => [true, true],
                        '-' => [false, false],
                        _ => [true, false],
                    };
                    assert_eq!(allowed, wanted, "{affiliation:?} {role:?} {action:?}");
                }
            }
        }
        for (allowpm, wanted) in [
            (Whisper::Anyone, [false, true, true, true]),
            (Whisper::Participants, [false, false, true, true]),
            (Whisper::Moderators, [false, false, false, true]),
            (Whisper::Nobody, [false; 4]),
        ] {
            let config = RoomConfig {
                allowpm,
                ..no.clone()
            };
            let found =
                Role::ALL.map(|role| may(Action::Whisper, Affiliation::None, role, &config));
            assert_eq!(found, wanted, "{allowpm:?}");
        }
    }

    /// § 5.1.2
    #[test]
    fn roles_to_enter_with() {
        for (affiliation, open, moderated) in [
            (Affiliation::Outcast, "none", "none"),
            (Affiliation::None, "participant", "visitor"),
            (Affiliation::Member, "participant", "participant"),
            (Affiliation::Admin, "moderator", "moderator"),
            (Affiliation::Owner, "moderator", "moderator"),
        ] {
            assert_eq!(affiliation.role(false).name(), open);
            assert_eq!(affiliation.role(true).name(), moderated);
        }
    }

    /// Rows: who acts, from outcast to owner. Columns: about whom, in the same order.
    #[test]
    fn nobody_acts_on_those_above() {
        let silence = ["+----", "++---", "+++--", "+++--", "+++--"];
        let kick = ["+----", "++---", "+++--", "++++-", "+++++"];
        let all = Affiliation::ALL;
        let row = |judge: &dyn Fn(Affiliation) -> bool| -> String {
            let sign = |other| if judge(other) { '+' } else { '-' };
            all.into_iter().map(sign).collect()
        };
        for (at, actor) in all.into_iter().enumerate() {
            assert_eq!(row(&|other| may_silence(actor, other)), silence[at]);
            assert_eq!(row(&|other| may_kick(actor, other)), kick[at]);
        }
    }

    /// § 5.2.2: the chart of changes. Rows: from, columns: to.
    #[test]
    fn changes_of_affiliations() {
        let by_admin = ["+++--", "+++--", "+++--", "-----", "-----"];
        for (at, from) in Affiliation::ALL.into_iter().enumerate() {
            let row = |actor| -> String {
                let may = |to| right(to_change(from, to), actor, Role::None) == Yes;
                let sign = |to| if may(to) { '+' } else { '-' };
                Affiliation::ALL.into_iter().map(sign).collect()
            };
            assert_eq!(row(Affiliation::Owner), "+++++");
            assert_eq!(row(Affiliation::Admin), by_admin[at]);
            for actor in [Affiliation::Member, Affiliation::None, Affiliation::Outcast] {
                assert_eq!(row(actor), "-----");
            }
        }
    }

    #[test]
    fn names() {
        for affiliation in Affiliation::ALL {
            assert_eq!(Affiliation::named(affiliation.name()), Some(affiliation));
        }
        for role in Role::ALL {
            assert_eq!(Role::named(role.name()), Some(role));
        }
        assert_eq!(Affiliation::named("king"), None);
        assert_eq!(Role::named(""), None);
    }
}
