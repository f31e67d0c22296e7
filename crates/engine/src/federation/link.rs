//! What goes from one domain of ours to one other domain, and whether somebody takes it there.

use super::answers::Answers;
use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use std::{
    collections::VecDeque,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::Instant;
use waxwing_proto::{
    stanza::{Condition, Sealed},
    stream::s2s::Pair,
};

/// The first wait after a failure; it doubles with each further one.
const PAUSE: Duration = Duration::from_secs(2);
/// The longest wait.
const PAUSE_MAX: Duration = Duration::from_mins(10);
/// A connection that lived as long counts as proof that the other side works.
const PROVEN_AFTER: Duration = Duration::from_mins(1);

/// Something on its way.
#[derive(Debug, Clone)]
pub(crate) enum Departing {
    /// It is only here: if it cannot be sent, its sender is told.
    Stanza(Sealed),
    /// It is on disk under this id, and stays there until it was taken.
    Message(Sealed, u64),
}

/// What a connection gets from its link.
#[derive(Debug)]
pub(crate) enum Next {
    /// Send this.
    Item(Departing),
    /// Messages wait on disk that are not in this queue: read them.
    Behind,
}

/// What became of something that was given to a link.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Pushed {
    /// It is on its way, or waits on disk.
    Taken,
    /// The same, and somebody has to connect.
    Dial,
    /// It was not taken.
    Refused(Condition),
}

/// From one domain of ours to one other. Any number of producers, one consumer at a time.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) pair: Pair,
    state: Mutex<State>,
    waker: AtomicWaker,
    answers: Mutex<Answers>,
    stanzas_max: usize,
    bytes_max: usize,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    queue: VecDeque<Departing>,
    bytes: usize,
    /// Messages wait on disk that are not in the queue.
    behind: bool,
    /// Failures since it last worked.
    failures: u32,
    /// What to tell senders while it does not work.
    condition: Condition,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    Idle,
    Dialing,
    Up(Instant),
    /// Not to be tried before.
    Waiting(Instant),
}

impl Link {
    pub(crate) fn new(pair: Pair, stanzas_max: usize, bytes_max: usize) -> Self {
        Self {
            pair,
            state: Mutex::new(State {
                phase: Phase::Idle,
                queue: VecDeque::new(),
                bytes: 0,
                behind: false,
                failures: 0,
                condition: Condition::RemoteServerTimeout,
            }),
            waker: AtomicWaker::new(),
            answers: Mutex::new(Answers::new()),
            stanzas_max,
            bytes_max,
        }
    }

    /// Takes something on its way. It never waits; what is on disk is always taken.
    pub(crate) fn push(&self, item: Departing) -> Pushed {
        let mut state = self.state.lock();
        let stored = matches!(item, Departing::Message(..));
        if let Phase::Waiting(until) = state.phase
            && Instant::now() < until
        {
            state.behind |= stored;
            return if stored {
                Pushed::Taken
            } else {
                Pushed::Refused(state.condition)
            };
        }
        let bytes = item.bytes();
        let full = state.queue.len() >= self.stanzas_max || state.bytes + bytes > self.bytes_max;
        match item {
            // Whoever reads the disk finds it there, in its turn.
            Departing::Message(..) if full || state.behind => state.behind = true,
            Departing::Stanza(_) if full => return Pushed::Refused(Condition::ResourceConstraint),
            item => {
                state.bytes += bytes;
                state.queue.push_back(item);
            }
        }
        let pushed = state.dial();
        drop(state);
        self.waker.wake();
        pushed
    }

    /// Whether so many bytes may be answered to a stanza of `received` bytes from the other side.
    pub(crate) fn may_answer(&self, received: usize, bytes: usize, bytes_max: usize) -> bool {
        self.answers.lock().may(received, bytes, bytes_max)
    }

    /// Messages wait on disk, from before the server started.
    pub(crate) fn set_behind(&self) {
        self.state.lock().behind = true;
    }

    /// Whether somebody has to connect now: something waits, and the pause is over.
    pub(crate) fn retry(&self, now: Instant) -> bool {
        let mut state = self.state.lock();
        let due = match state.phase {
            Phase::Idle => true,
            Phase::Waiting(until) => until <= now,
            Phase::Dialing | Phase::Up(_) => false,
        };
        due && (state.behind || !state.queue.is_empty()) && state.dial() == Pushed::Dial
    }

    /// The other side has been heard of: no reason to wait any longer.
    pub(crate) fn hurry(&self) {
        let mut state = self.state.lock();
        if let Phase::Waiting(until) = &mut state.phase {
            *until = Instant::now();
        }
    }

    /// Whether nothing is known of it that is worth remembering.
    pub(crate) fn is_spent(&self, now: Instant) -> bool {
        let state = self.state.lock();
        let resting = match state.phase {
            Phase::Idle => true,
            Phase::Waiting(until) => until <= now,
            Phase::Dialing | Phase::Up(_) => false,
        };
        resting && !state.behind && state.queue.is_empty()
    }

    /// Whether there is no connection, though messages may wait on disk.
    pub(crate) fn is_down(&self) -> bool {
        !matches!(self.state.lock().phase, Phase::Up(_))
    }

    /// A connection is ready to take what there is; false if another one is already.
    pub(crate) fn attach(&self) -> bool {
        let mut state = self.state.lock();
        let free = !matches!(state.phase, Phase::Up(_));
        if free {
            state.phase = Phase::Up(Instant::now());
        }
        free
    }

    /// There is no connection any more. `behind`: not all that was taken has arrived.
    pub(crate) fn detach(&self, behind: bool, jitter: u8) {
        let mut state = self.state.lock();
        if let Phase::Up(since) = state.phase
            && since.elapsed() >= PROVEN_AFTER
        {
            state.failures = 0;
        }
        state.behind |= behind;
        // What is in memory comes after what is on disk.
        state.put_back();
        state.condition = Condition::RemoteServerTimeout;
        if state.behind || !state.queue.is_empty() {
            state.pause(jitter);
        } else {
            state.phase = Phase::Idle;
        }
    }

    /// No connection could be made. Gives what cannot wait, for its senders to be told.
    pub(crate) fn failed(&self, condition: Condition, jitter: u8) -> Vec<Sealed> {
        let mut state = self.state.lock();
        state.condition = condition;
        state.put_back();
        state.pause(jitter);
        state.bytes = 0;
        let queue = std::mem::take(&mut state.queue);
        let lost = queue.into_iter().filter_map(|item| match item {
            Departing::Stanza(stanza) => Some(stanza),
            Departing::Message(..) => None,
        });
        lost.collect()
    }

    /// What to send next (the consumer only).
    pub(crate) fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Next> {
        if let Some(next) = self.take() {
            return Poll::Ready(next);
        }
        self.waker.register(cx.waker());
        // A push between the look and the registration would be missed otherwise.
        self.take().map_or(Poll::Pending, Poll::Ready)
    }

    fn take(&self) -> Option<Next> {
        let mut state = self.state.lock();
        if let Some(item) = state.queue.pop_front() {
            state.bytes -= item.bytes().min(state.bytes);
            return Some(Next::Item(item));
        }
        std::mem::take(&mut state.behind).then_some(Next::Behind)
    }

    /// Whether messages wait on disk that are before all in the queue (the consumer only, first).
    pub(crate) fn take_behind(&self) -> bool {
        std::mem::take(&mut self.state.lock().behind)
    }

    /// What the server should tell who wants to send now.
    pub(crate) fn condition(&self) -> Condition {
        self.state.lock().condition
    }
}

impl Departing {
    fn bytes(&self) -> usize {
        match self {
            Self::Stanza(stanza) | Self::Message(stanza, _) => stanza.len(),
        }
    }
}

impl State {
    /// Has somebody connect unless that is under way or done.
    fn dial(&mut self) -> Pushed {
        match self.phase {
            Phase::Dialing | Phase::Up(_) => Pushed::Taken,
            Phase::Idle | Phase::Waiting(_) => {
                self.phase = Phase::Dialing;
                Pushed::Dial
            }
        }
    }

    /// Messages in the queue are on disk, where they are read next time.
    fn put_back(&mut self) {
        let before = self.queue.len();
        self.queue
            .retain(|item| matches!(item, Departing::Stanza(_)));
        self.behind |= self.queue.len() < before;
        self.bytes = self.queue.iter().map(Departing::bytes).sum();
    }

    /// Waits, each time longer, and never as long as all others: `jitter` makes it up to a half more.
    fn pause(&mut self, jitter: u8) {
        let pause = PAUSE
            .saturating_mul(1 << self.failures.min(16))
            .min(PAUSE_MAX);
        self.failures = self.failures.saturating_add(1);
        let pause = pause + pause.mul_f64(f64::from(jitter) / 512.0);
        self.phase = Phase::Waiting(Instant::now() + pause);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use futures_util::task::noop_waker_ref;
    use waxwing_proto::stanza::Kind;

    fn link() -> Link {
        let pair = Pair {
            local: "a.example".to_owned(),
            remote: "b.example".to_owned(),
        };
        Link::new(pair, 3, 1000)
    }

    fn sealed() -> Sealed {
        Sealed::from_bytes(Kind::Message, Bytes::from_static(b"<message/>"))
    }

    fn stanza() -> Departing {
        Departing::Stanza(sealed())
    }

    fn message(id: u64) -> Departing {
        Departing::Message(sealed(), id)
    }

    /// All that a consumer gets now: ids, `s` for stanzas, `behind`.
    fn taken(link: &Link) -> String {
        let mut cx = Context::from_waker(noop_waker_ref());
        let mut all = Vec::new();
        while let Poll::Ready(next) = link.poll_next(&mut cx) {
            all.push(match next {
                Next::Item(Departing::Stanza(_)) => "s".to_owned(),
                Next::Item(Departing::Message(_, id)) => id.to_string(),
                Next::Behind => "behind".to_owned(),
            });
        }
        all.join(" ")
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_push_dials_and_order_is_kept() {
        let link = link();
        assert_eq!(link.push(stanza()), Pushed::Dial);
        assert_eq!(link.push(message(1)), Pushed::Taken);
        assert!(link.attach() && !link.attach());
        assert_eq!(link.push(stanza()), Pushed::Taken);
        assert_eq!(taken(&link), "s 1 s");
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_queue_refuses_stanzas_and_leaves_messages_on_disk() {
        let link = link();
        for id in 1..=3 {
            link.push(message(id));
        }
        assert_eq!(
            link.push(stanza()),
            Pushed::Refused(Condition::ResourceConstraint)
        );
        assert_eq!(link.push(message(4)), Pushed::Taken);
        link.attach();
        assert_eq!(taken(&link), "1 2 3 behind");
        link.push(message(5));
        assert_eq!(taken(&link), "5");
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_failure_only_messages_wait() {
        let link = link();
        link.push(stanza());
        link.push(message(1));
        let lost = link.failed(Condition::RemoteServerNotFound, 0);
        assert_eq!(lost.len(), 1);
        let refused = Pushed::Refused(Condition::RemoteServerNotFound);
        assert_eq!(link.push(stanza()), refused);
        assert_eq!(link.push(message(2)), Pushed::Taken);
        assert!(!link.retry(Instant::now()));
        tokio::time::advance(PAUSE).await;
        assert!(link.retry(Instant::now()) && !link.retry(Instant::now()));
        assert_eq!(link.push(message(3)), Pushed::Taken);
        link.attach();
        assert!(link.take_behind());
        assert_eq!(taken(&link), "");
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_and_have_an_end() {
        let link = link();
        link.set_behind();
        let mut pauses = Vec::new();
        for _ in 0..12 {
            link.failed(Condition::RemoteServerTimeout, 0);
            let start = Instant::now();
            while !link.retry(Instant::now()) {
                tokio::time::advance(Duration::from_secs(1)).await;
            }
            pauses.push(start.elapsed().as_secs());
        }
        assert_eq!(pauses, [2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600, 600]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_lost_connection_left_is_tried_again() {
        let link = link();
        link.push(message(1));
        link.attach();
        assert_eq!(taken(&link), "1");
        link.push(stanza());
        link.push(message(2));
        link.detach(true, 0);
        assert!(!link.is_spent(Instant::now()));
        tokio::time::advance(PAUSE).await;
        assert!(link.retry(Instant::now()));
        link.attach();
        assert!(link.take_behind());
        assert_eq!(taken(&link), "s");
        link.detach(false, 0);
        assert!(link.is_spent(Instant::now()));
    }
}
