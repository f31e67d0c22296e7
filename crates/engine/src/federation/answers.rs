//! How much is answered to another server: a bound on what it can make this one send.

use std::time::Duration;
use tokio::time::Instant;

/// Answers are counted for so long, then anew.
const WINDOW: Duration = Duration::from_mins(1);

/// What came and what was answered since the window began.
#[derive(Debug)]
pub(super) struct Answers {
    since: Instant,
    received: usize,
    answered: usize,
}

impl Answers {
    pub(super) fn new() -> Self {
        Self {
            since: Instant::now(),
            received: 0,
            answered: 0,
        }
    }

    /// Whether `bytes` may be answered to a stanza of `received` bytes: twice what came in this minute,
    /// and `bytes_max` more, because a short question may have a long answer (an avatar, a page of an
    /// archive). What may not is not counted.
    pub(super) fn may(&mut self, received: usize, bytes: usize, bytes_max: usize) -> bool {
        if self.since.elapsed() >= WINDOW {
            *self = Self::new();
        }
        self.received = self.received.saturating_add(received);
        let allowed = self.received.saturating_mul(2).saturating_add(bytes_max);
        let answered = self.answered.saturating_add(bytes);
        let may = answered <= allowed;
        if may {
            self.answered = answered;
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn twice_what_came_and_some_more_in_a_minute() {
        let mut answers = Answers::new();
        for (received, bytes, want) in [
            (10, 100, true),
            // 40 more came to be allowed than are answered by now.
            (10, 41, false),
            (0, 40, true),
            (0, 1, false),
            (1, 2, true),
            (0, usize::MAX, false),
        ] {
            assert_eq!(
                answers.may(received, bytes, 100),
                want,
                "{received} {bytes}"
            );
        }
        tokio::time::advance(WINDOW).await;
        assert!(answers.may(0, 100, 100));
        assert!(!answers.may(0, 1, 100));
    }
}
