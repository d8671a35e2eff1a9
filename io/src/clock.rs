//! Time.

use std::fmt::Debug;
#[cfg(not(target_os = "linux"))]
use std::time::Instant;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Where the engine reads time.
pub trait Clock: Send + Sync + Debug {
    /// Time since some fixed moment; never goes back.
    fn monotonic(&self) -> Duration;
    /// Milliseconds since 1970 by the wall clock; may jump.
    fn wall_ms(&self) -> u64;
}

/// The machine's clock. Its monotonic time goes on while the machine sleeps, on Linux: what is to vanish at a time of day does.
#[derive(Debug)]
pub struct SystemClock {
    start: Duration,
}

/// Time since some fixed moment.
#[cfg(target_os = "linux")]
fn since_boot() -> Duration {
    // One of the two for the whole life of the process: a time of one says nothing about a time of the other.
    static CLOCK: std::sync::OnceLock<libc::clockid_t> = std::sync::OnceLock::new();
    let clock = *CLOCK.get_or_init(|| known_clock(libc::CLOCK_BOOTTIME));
    time_of(clock).unwrap_or_default()
}

/// `clock`, or where it is refused (a sandbox may, as may a kernel before 2.6.39) the monotonic clock, which stands still while the machine sleeps.
#[cfg(target_os = "linux")]
fn known_clock(clock: libc::clockid_t) -> libc::clockid_t {
    if time_of(clock).is_some() { clock } else { libc::CLOCK_MONOTONIC }
}

/// What a clock of the kernel shows; None where there is none of this number.
#[cfg(target_os = "linux")]
fn time_of(clock: libc::clockid_t) -> Option<Duration> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is exclusively borrowed for the call, which writes a whole timespec or nothing; an unknown clock is an error.
    let answer = unsafe { libc::clock_gettime(clock, &raw mut time) };
    (answer == 0)
        .then(|| Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32))
}

/// Time since some fixed moment.
#[cfg(not(target_os = "linux"))]
fn since_boot() -> Duration {
    static FIRST: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    FIRST.get_or_init(Instant::now).elapsed()
}

impl SystemClock {
    /// A clock that starts now.
    #[must_use]
    pub fn new() -> Self {
        Self { start: since_boot() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn monotonic(&self) -> Duration {
        since_boot().saturating_sub(self.start)
    }

    fn wall_ms(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn a_clock_that_is_refused_has_another_in_its_place() {
        assert_eq!(known_clock(libc::CLOCK_BOOTTIME), libc::CLOCK_BOOTTIME);
        let refused = 1 << 20;
        assert_eq!(time_of(refused), None);
        assert!(time_of(known_clock(refused)).is_some());
    }

    #[test]
    fn monotonic_time_goes_on_and_not_back() {
        let clock = SystemClock::new();
        let mut last = clock.monotonic();
        let first = last;
        while last == first {
            let now = clock.monotonic();
            assert!(now >= last && now < Duration::from_secs(3600));
            last = now;
        }
    }
}
