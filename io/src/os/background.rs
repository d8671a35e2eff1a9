//! Threads that work for others.

use super::calls;

/// Says that the calling thread does work that nobody waits for: when it wakes, it does not interrupt the thread that runs on its
/// processor (SCHED_BATCH), but has its full share of processors otherwise. Where the system refuses, nothing changes.
pub fn work_in_background() {
    if let Err(error) = calls::schedule_as_batch() {
        tracing::debug!(%error, "a background thread is scheduled like any other");
    }
}
