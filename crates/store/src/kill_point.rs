//! Named places where a test can make the process die, as by `kill -9`.
//!
//! What a crash may leave behind depends on where it strikes. A kill from outside strikes anywhere,
//! and so hardly ever in the short moments that matter; these places are those moments. The crash
//! driver (`cargo xtask crash`) starts the server with [`KILL_POINT_VARIABLE`] set.
//!
//! They exist in debug builds and with the feature `kill-points` only; in a release build
//! [`kill_point`] is nothing.

/// Names the place and, after a colon, the how manieth passing there ends the process (1 if left
/// out): `after-commit:3`.
pub const KILL_POINT_VARIABLE: &str = "WAXWING_KILL_POINT";

/// Whether there are such places in this build.
pub(crate) const KILL_POINTS: bool = cfg!(any(debug_assertions, feature = "kill-points"));

/// A place where the process may be made to die.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum KillPoint {
    /// A new database is complete under its temporary name.
    Publish,
    /// A migration's statements are done and not committed.
    Migration,
    /// A transaction's statements are done and not committed.
    BeforeCommit,
    /// A transaction is committed and nobody has been told.
    AfterCommit,
    /// One of those who wait for a commit was told.
    AfterTicket,
    /// A message is on disk, and nobody has been shown it.
    BeforeDelivery,
    /// A message was handed to those who are here, and its sender was not told.
    AfterDelivery,
    /// The answer to a client's question how much is handled is about to be written.
    BeforeAcknowledgement,
    /// The log is about to be copied into the database file.
    BeforeCheckpoint,
    /// The log was copied, and is about to be emptied.
    BetweenCheckpoints,
    /// A resumable session is half written, inside a transaction.
    SessionPut,
    /// A resumable session has a new owner, not yet committed.
    SessionTake,
    /// What is known of a resumable session is half written, inside a transaction.
    SessionUpdate,
    /// An uploaded file has its name, and nothing says whose it is.
    UploadPlaced,
}

impl KillPoint {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::Publish,
        Self::Migration,
        Self::BeforeCommit,
        Self::AfterCommit,
        Self::AfterTicket,
        Self::BeforeDelivery,
        Self::AfterDelivery,
        Self::BeforeAcknowledgement,
        Self::BeforeCheckpoint,
        Self::BetweenCheckpoints,
        Self::SessionPut,
        Self::SessionTake,
        Self::SessionUpdate,
        Self::UploadPlaced,
    ];

    /// As [`KILL_POINT_VARIABLE`] has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Migration => "migration",
            Self::BeforeCommit => "before-commit",
            Self::AfterCommit => "after-commit",
            Self::AfterTicket => "after-ticket",
            Self::BeforeDelivery => "before-delivery",
            Self::AfterDelivery => "after-delivery",
            Self::BeforeAcknowledgement => "before-acknowledgement",
            Self::BeforeCheckpoint => "before-checkpoint",
            Self::BetweenCheckpoints => "between-checkpoints",
            Self::SessionPut => "session-put",
            Self::SessionTake => "session-take",
            Self::SessionUpdate => "session-update",
            Self::UploadPlaced => "upload-placed",
        }
    }
}

#[cfg(any(debug_assertions, feature = "kill-points"))]
pub use active::kill_point;

/// Dies here if a test wants it; in this build, never.
#[cfg(not(any(debug_assertions, feature = "kill-points")))]
#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "so that nothing is left of it in a release build"
)]
pub const fn kill_point(_: KillPoint) {}

#[cfg(any(debug_assertions, feature = "kill-points"))]
mod active {
    use super::{KILL_POINT_VARIABLE, KillPoint};
    use std::sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    };

    /// Dies here if a test wants it: at once, without unwinding or flushing anything.
    pub fn kill_point(point: KillPoint) {
        static WANTED: OnceLock<Option<(KillPoint, u32)>> = OnceLock::new();
        static PASSED: AtomicU32 = AtomicU32::new(0);
        let wanted = WANTED.get_or_init(|| wanted(&std::env::var(KILL_POINT_VARIABLE).ok()?));
        if let Some((_, nth)) = wanted.filter(|(wanted, _)| *wanted == point)
            && PASSED.fetch_add(1, Ordering::Relaxed) + 1 == nth
        {
            std::process::abort();
        }
    }

    fn wanted(text: &str) -> Option<(KillPoint, u32)> {
        let (name, nth) = text.split_once(':').unwrap_or((text, "1"));
        let point = KillPoint::ALL.iter().find(|point| point.name() == name);
        let wanted = point.copied().zip(nth.parse().ok());
        if wanted.is_none() {
            tracing::error!(text, "{KILL_POINT_VARIABLE} names no place");
        }
        wanted
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn every_point_is_found_by_its_name() {
            for point in KillPoint::ALL {
                assert_eq!(wanted(point.name()), Some((*point, 1)));
                assert_eq!(wanted(&format!("{}:7", point.name())), Some((*point, 7)));
            }
            for wrong in ["", "nowhere", "after-commit:", "after-commit:x"] {
                assert_eq!(wanted(wrong), None, "{wrong}");
            }
        }
    }
}
