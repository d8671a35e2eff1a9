//! Time that moves by itself only a little.

use crate::clock::Clock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How far each look at the clock moves it, nanoseconds.
const STEP_NS: u64 = 1_000;

/// 2026-01-01 in milliseconds since 1970.
const START_MS: u64 = 1_767_225_600_000;

/// A clock that moves one microsecond at each look and otherwise when told to. Thread-safe.
#[derive(Debug)]
pub struct SimClock {
    ns: AtomicU64,
    /// Wall clock at monotonic zero, milliseconds.
    wall_base_ms: AtomicU64,
}

impl SimClock {
    /// A clock at zero; its wall clock says the start of 2026.
    #[must_use]
    pub const fn new() -> Self {
        Self { ns: AtomicU64::new(0), wall_base_ms: AtomicU64::new(START_MS) }
    }

    /// Moves both clocks on.
    pub fn advance(&self, by: Duration) {
        let by = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        self.ns.fetch_add(by, Ordering::Relaxed);
    }

    /// Sets the wall clock, forwards or back, and leaves the monotonic clock alone.
    pub fn set_wall_ms(&self, wall_ms: u64) {
        let passed = self.ns.load(Ordering::Relaxed) / 1_000_000;
        self.wall_base_ms.store(wall_ms.saturating_sub(passed), Ordering::Relaxed);
    }

    fn look(&self) -> u64 {
        self.ns.fetch_add(STEP_NS, Ordering::Relaxed)
    }
}

impl Default for SimClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SimClock {
    fn monotonic(&self) -> Duration {
        Duration::from_nanos(self.look())
    }

    fn wall_ms(&self) -> u64 {
        self.wall_base_ms.load(Ordering::Relaxed) + self.look() / 1_000_000
    }
}
