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
    // One of the two from the first look on: a time of one says nothing about a time of the other.
    static AHEAD: std::sync::OnceLock<Option<Duration>> = std::sync::OnceLock::new();
    let clock = libc::CLOCK_BOOTTIME;
    time_by(clock, *AHEAD.get_or_init(|| ahead_of_monotonic(clock)))
}

/// How far `clock` is ahead of the monotonic clock, which stands still while the machine sleeps; None where it is refused, as a sandbox may do,
/// and a kernel before 2.6.39.
#[cfg(target_os = "linux")]
fn ahead_of_monotonic(clock: libc::clockid_t) -> Option<Duration> {
    Some(time_of(clock)?.saturating_sub(time_of(libc::CLOCK_MONOTONIC)?))
}

/// The time of `clock`, which was `ahead` of the monotonic clock at the first look. Where it is refused the latter goes on: from the beginning, or from
/// a later moment, when the process enters a sandbox.
#[cfg(target_os = "linux")]
fn time_by(clock: libc::clockid_t, ahead: Option<Duration>) -> Duration {
    let time = ahead.and_then(|_| time_of(clock));
    time.unwrap_or_else(|| {
        let monotonic = time_of(libc::CLOCK_MONOTONIC).unwrap_or_default();
        monotonic.saturating_add(ahead.unwrap_or_default())
    })
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
        let refused = 1 << 20;
        assert_eq!(time_of(refused), None);
        assert_eq!(ahead_of_monotonic(refused), None);
        let before = time_of(libc::CLOCK_MONOTONIC).unwrap();
        let instead = time_by(refused, None);
        assert!(instead >= before && instead <= time_of(libc::CLOCK_MONOTONIC).unwrap());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_clock_that_is_refused_later_goes_on_from_where_it_was() {
        let boot = libc::CLOCK_BOOTTIME;
        let ahead = ahead_of_monotonic(boot);
        assert!(ahead.is_some(), "this kernel has no boot-time clock");
        // Two clocks are not read at one moment.
        let tolerance = Duration::from_secs(60);
        let before = time_by(boot, ahead);
        let refused = time_by(1 << 20, ahead);
        assert!(refused + tolerance >= before && refused <= before + tolerance);
        let hour = Duration::from_secs(3600);
        let monotonic = time_of(libc::CLOCK_MONOTONIC).unwrap();
        assert!(time_by(1 << 20, Some(hour)) >= monotonic + hour);
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
