//! What tasks share and wait with, where sessions change hands.
//!
//! Normally the types of `parking_lot`, `std`, `futures` and tokio. Under `--cfg shuttle` they are
//! the model checker's, which decides at each use who goes on: `tests/model`. What is not from here
//! is a single step to the checker.

pub(crate) use waxwing_store::sync::{Mutex, RwLock};

#[cfg(not(shuttle))]
pub(crate) use futures_util::task::AtomicWaker;
#[cfg(not(shuttle))]
pub(crate) use std::sync::atomic;
#[cfg(not(shuttle))]
pub(crate) use tokio::{sync::Notify, time::timeout};

#[cfg(shuttle)]
pub(crate) use shuttle::sync::atomic;
#[cfg(shuttle)]
pub use shuttled::let_time_pass;
#[cfg(shuttle)]
pub(crate) use shuttled::{AtomicWaker, Notify, timeout};

#[cfg(shuttle)]
mod shuttled {
    use super::Mutex;
    use std::{
        cell::Cell,
        fmt,
        future::{Future, poll_fn},
        pin::pin,
        task::{Poll, Waker},
        time::Duration,
    };

    /// One task that waits to be told.
    #[derive(Default)]
    pub(crate) struct AtomicWaker(Mutex<Option<Waker>>);

    impl AtomicWaker {
        pub(crate) fn new() -> Self {
            Self::default()
        }

        pub(crate) fn register(&self, waker: &Waker) {
            *self.0.lock() = Some(waker.clone());
        }

        pub(crate) fn wake(&self) {
            let waker = self.0.lock().take();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }

    impl fmt::Debug for AtomicWaker {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("AtomicWaker")
        }
    }

    /// Tokio's, with a step of the checker before each use.
    #[derive(Debug)]
    pub(crate) struct Notify {
        step: Mutex<()>,
        notify: tokio::sync::Notify,
    }

    impl Notify {
        pub(crate) fn new() -> Self {
            Self {
                step: Mutex::new(()),
                notify: tokio::sync::Notify::new(),
            }
        }

        pub(crate) async fn notified(&self) {
            drop(self.step.lock());
            self.notify.notified().await;
        }

        pub(crate) fn notify_one(&self) {
            drop(self.step.lock());
            self.notify.notify_one();
        }
    }

    thread_local! {
        static TIME_PASSES: Cell<bool> = const { Cell::new(false) };
    }

    /// Whether who waits with a bound has waited too long after some looks; else time stands still.
    /// For what this thread checks from now on.
    pub fn let_time_pass(passes: bool) {
        TIME_PASSES.set(passes);
    }

    /// The time has passed.
    #[derive(Debug)]
    pub(crate) struct Elapsed;

    /// How often who waits looks in vain before it is too late; how far the others have come by then
    /// is the checker's choice.
    const LOOKS: u32 = 4;

    /// See [`let_time_pass`].
    pub(crate) async fn timeout<F: Future>(_: Duration, future: F) -> Result<F::Output, Elapsed> {
        let mut future = pin!(future);
        let mut looks = 0;
        poll_fn(|cx| {
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(Ok(output));
            }
            if !TIME_PASSES.get() {
                return Poll::Pending;
            }
            looks += 1;
            if looks == LOOKS {
                return Poll::Ready(Err(Elapsed));
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await
    }
}
