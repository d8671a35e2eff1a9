//! The lock and the condition variable of the commit protocol: the standard library's, or loom's under `--cfg loom`.

use std::time::Duration;

#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
#[cfg(loom)]
use loom::sync::{Condvar as Inner, Mutex as InnerMutex, MutexGuard as InnerGuard};
#[cfg(loom)]
pub(crate) use loom::thread::yield_now;
#[cfg(not(loom))]
pub(crate) use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
#[cfg(not(loom))]
use std::sync::{Condvar as Inner, Mutex as InnerMutex, MutexGuard as InnerGuard};
#[cfg(not(loom))]
pub(crate) use std::thread::yield_now;

/// A mutex that a panicking holder does not poison: state behind it is changed in single steps.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(InnerMutex<T>);

pub(crate) type MutexGuard<'a, T> = InnerGuard<'a, T>;

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(InnerMutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[derive(Debug, Default)]
pub(crate) struct Condvar(Inner);

impl Condvar {
    pub(crate) fn new() -> Self {
        Self(Inner::new())
    }

    pub(crate) fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        self.0.wait(guard).unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(crate) fn wait_timeout<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        timeout: Duration,
    ) -> MutexGuard<'a, T> {
        self.0.wait_timeout(guard, timeout).unwrap_or_else(std::sync::PoisonError::into_inner).0
    }

    pub(crate) fn notify_one(&self) {
        self.0.notify_one();
    }

    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }
}
