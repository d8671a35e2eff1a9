//! Merged data files that could not be removed, as those that a slow reader holds when descriptors are short: tried again later.

use crate::shard::Shard;
use slotcask_format::manifest::DataFileState;
use std::collections::VecDeque;
use std::time::Duration;

/// How often removals that failed are tried again.
const INTERVAL: Duration = Duration::from_secs(1);
/// Removals that fail in one round before the rest waits for the next: who needs the upkeep lock waits meanwhile.
const FAILURES_MAX: usize = 64;

/// Files that no manifest names and that are still there. What is left at the end the next opening removes.
#[derive(Debug, Default)]
pub(crate) struct Removals {
    files: VecDeque<DataFileState>,
    /// When they were last tried.
    tried: Duration,
}

impl Removals {
    /// Bytes of files that are to be removed.
    pub(crate) fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.end).sum()
    }
}

impl Shard {
    /// Has a file that no manifest names any more removed in a later round.
    pub(super) fn remove_later(&self, file: &DataFileState) {
        let now = self.env.clock.monotonic();
        let mut removals = self.removals.lock();
        if removals.files.is_empty() {
            removals.tried = now;
        }
        removals.files.push_back(*file);
    }

    /// Tries removals again, if the last try is a while ago. The upkeep lock is held. Returns whether any succeeded.
    pub(crate) fn remove_left(&self) -> bool {
        let now = self.env.clock.monotonic();
        {
            let mut removals = self.removals.lock();
            if removals.files.is_empty() || now < removals.tried + INTERVAL {
                return false;
            }
            removals.tried = now;
        }
        self.try_removals(FAILURES_MAX)
    }

    /// As [`Shard::remove_left`], at once and all of them: the last that this opening can do.
    pub(crate) fn remove_all_left(&self) {
        self.try_removals(usize::MAX);
    }

    fn try_removals(&self, failures_max: usize) -> bool {
        let (mut done, mut failures) = (false, 0);
        let count = self.removals.lock().files.len();
        for _ in 0..count {
            let Some(file) = self.removals.lock().files.pop_front() else { break };
            match slotcask_cask::remove_data(&self.env, &self.cask_ident(), &file) {
                Ok(()) => done = true,
                Err(error) => {
                    tracing::debug!(%error, "a merged data file still cannot be removed");
                    self.removals.lock().files.push_back(file);
                    failures += 1;
                    if failures >= failures_max {
                        break;
                    }
                }
            }
        }
        done
    }
}
