//! What a client can switch on for its session, and finds again when it resumes.

/// What a client can switch on for its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setting {
    /// It has asked for the roster and so receives roster pushes (RFC 6121 § 2.2).
    Interested,
    /// It has asked for the block list and so receives its pushes (XEP-0191 § 3.2).
    BlockPushes,
    /// It wants copies of the account's conversations (XEP-0280 § 4).
    Carbons,
    /// It says when nobody looks at it (XEP-0352), as clients on phones do.
    Indicates,
}

impl Setting {
    /// Every one.
    pub const ALL: [Self; 4] = [
        Self::Interested,
        Self::BlockPushes,
        Self::Carbons,
        Self::Indicates,
    ];

    pub(super) fn bit(self) -> u8 {
        match self {
            Self::Interested => 1,
            Self::BlockPushes => 2,
            Self::Carbons => 4,
            Self::Indicates => 8,
        }
    }

    /// Its name where it is kept.
    pub fn name(self) -> &'static str {
        match self {
            Self::Interested => "interested",
            Self::BlockPushes => "block-pushes",
            Self::Carbons => "carbons",
            Self::Indicates => "indicates",
        }
    }

    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|setting| setting.name() == name)
    }
}
