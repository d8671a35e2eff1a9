//! Threads that work for others.

use super::calls;

/// Says that the calling thread can wait for a moment: when it wakes, it does not interrupt the thread that runs on its processor
/// (SCHED_BATCH), but has its full share of processors otherwise. A thread that was given another policy than the usual one keeps
/// it. Where the system refuses, nothing changes.
pub fn work_in_background() {
    if let Err(error) = calls::schedule_as_batch() {
        tracing::debug!(%error, "a background thread is scheduled like any other");
    }
}
