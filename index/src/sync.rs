//! Atomics and waiting, real or loom's.

#[cfg(not(loom))]
pub(crate) use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

/// Waits a little for a writer that is in the middle of a change. A change takes well under a
/// microsecond, unless its thread lost the processor; then the reader gives up its own.
#[derive(Default)]
pub(crate) struct Backoff {
    #[cfg(not(loom))]
    spins: u32,
}

impl Backoff {
    #[cfg(not(loom))]
    #[cold]
    pub(crate) fn wait(&mut self) {
        const SPINS_MAX: u32 = 64;
        if self.spins < SPINS_MAX {
            self.spins += 1;
            std::hint::spin_loop();
        } else {
            std::thread::yield_now();
        }
    }

    #[cfg(loom)]
    pub(crate) fn wait(&mut self) {
        loom::thread::yield_now();
    }
}
