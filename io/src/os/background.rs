//! What the process asks of the system for itself.

use super::calls;

/// Says that the calling thread can wait for a moment: when it wakes, it does not interrupt the thread that runs on its processor
/// (SCHED_BATCH), but has its full share of processors otherwise. A thread that was given another policy than the usual one keeps
/// it. Where the system refuses, nothing changes.
pub fn work_in_background() {
    if let Err(error) = calls::schedule_as_batch() {
        tracing::debug!(%error, "a background thread is scheduled like any other");
    }
}

/// Raises the limit on descriptors to the highest that the process may set for itself. For programs: a library leaves the limits
/// of its process alone. Where the system refuses, nothing changes.
pub fn raise_descriptor_limit() {
    if let Err(error) = calls::raise_descriptor_limit() {
        tracing::debug!(%error, "the limit on descriptors stays as it is");
    }
}
