//! The locks of what several tasks share.
//!
//! Normally those of `parking_lot`. Under `--cfg shuttle` they are the model checker's, which decides
//! at each of them who goes on: `crates/engine/tests/model`.

#[cfg(not(shuttle))]
pub use parking_lot::{Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};
#[cfg(shuttle)]
pub use shuttled::{Mutex, RwLock, break_ownership, is_broken};

/// The model checker's locks with the interface of `parking_lot`'s.
#[cfg(shuttle)]
mod shuttled {
    use shuttle::sync::{MutexGuard, PoisonError, RwLockReadGuard, RwLockWriteGuard};
    use std::cell::Cell;

    thread_local! {
        static BROKEN: Cell<bool> = const { Cell::new(false) };
    }

    /// Whether [`crate::MemoryStore`] lets everybody write to every session, so that a check can be
    /// seen to fail. For what this thread checks from now on.
    pub fn break_ownership(broken: bool) {
        BROKEN.set(broken);
    }

    /// See [`break_ownership`].
    pub fn is_broken() -> bool {
        BROKEN.get()
    }

    /// A mutual exclusion lock.
    #[derive(Debug, Default)]
    pub struct Mutex<T>(shuttle::sync::Mutex<T>);

    impl<T> Mutex<T> {
        /// A lock around a value.
        pub fn new(value: T) -> Self {
            Self(shuttle::sync::Mutex::new(value))
        }

        /// Waits for the lock.
        pub fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }

    /// A lock for many readers or one writer.
    #[derive(Debug, Default)]
    pub struct RwLock<T>(shuttle::sync::RwLock<T>);

    impl<T> RwLock<T> {
        /// A lock around a value.
        pub fn new(value: T) -> Self {
            Self(shuttle::sync::RwLock::new(value))
        }

        /// Waits until nobody writes.
        pub fn read(&self) -> RwLockReadGuard<'_, T> {
            self.0.read().unwrap_or_else(PoisonError::into_inner)
        }

        /// Waits until nobody reads or writes.
        pub fn write(&self) -> RwLockWriteGuard<'_, T> {
            self.0.write().unwrap_or_else(PoisonError::into_inner)
        }
    }
}
