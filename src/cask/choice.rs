//! Which data files a merge takes, when one is due, and how far merges are behind.

use crate::cask::usage::{FileUse, Usage};
use crate::shard::Shard;
use slotcask_format::manifest::{DataFileState, DataOrigin};
use std::collections::BTreeSet;

/// A merge is due when it would give back more than this, in thousandths of what is needed of the data files, and half a segment.
const DUE_PERMILLE: u64 = 280;
/// Writers are slowed down while it would give back more than that; this much more, and half a segment, all but stops them.
const BEHIND_PERMILLE: u64 = 50;
/// A file is merged for what it gives back only if that is more than this, in thousandths of it.
const GAIN_PERMILLE: u64 = 100;
/// A merge takes at most this many files for what they give back: its outputs stand beside them until it ends.
const WASTEFUL_MAX: usize = 8;
/// A merge takes at most this many files.
pub(super) const INPUTS_MAX: usize = 16;
/// Data files smaller than a segment by this factor are merged when there are as many of them.
const SMALL_FILES: usize = 8;

/// What merges of some data files would give back, and what is needed of them: together what they take on disk.
#[derive(Debug, Clone, Copy, Default)]
struct Worth {
    gain: u64,
    needed: u64,
    /// What is needed, deletes left out.
    live: u64,
}

impl Worth {
    /// Of one file of `size` bytes. Deletes are needed until some part of what they may be for is gone.
    fn of(state: &DataFileState, size: u64, used: &FileUse, deletes_are_needed: bool) -> Self {
        let kept = if deletes_are_needed { used.tombstone_bytes } else { 0 };
        let needed = (used.live_bytes + kept).min(used.bytes);
        let gain = match state.origin {
            // What fills up the blocks of small flushes goes too, and what an opening or a rotation left of the segment.
            DataOrigin::Sealed => size.saturating_sub(needed),
            // What is not known was of tables that were dropped before its hint was made anew.
            DataOrigin::Merged if used.records < state.records => size.saturating_sub(needed),
            // Sizes of records are rounded up in `used`; the file is made as it would be made again.
            DataOrigin::Merged => {
                let dead = u128::from(state.end) * u128::from(used.bytes - needed);
                (dead / u128::from(used.bytes.max(1))) as u64
            }
        };
        let needed = size - gain;
        Self { gain, needed, live: used.live_bytes.min(needed) }
    }

    fn size(self) -> u64 {
        self.gain + self.needed
    }

    /// What merges may leave to be given back before one is due.
    fn left(self, segment_size: u64) -> u64 {
        // Where next to everything that is needed are deletes, what they are for has to go for them to go.
        self.needed.min(self.live * 8) * DUE_PERMILLE / 1000 + segment_size / 2
    }
}

impl Usage {
    /// Of all files, and of each of them; those that cannot be merged are left out.
    fn worth(
        &self,
        data: &[DataFileState],
        segment_size: u64,
    ) -> (Worth, Vec<(DataFileState, Worth)>) {
        let mut all = Worth::default();
        let total: u64 = data.iter().map(|file| file.end).sum();
        let without_need = self.without_need(data);
        let each = data.iter().filter(|file| !self.is_unreadable(file.generation)).map(|file| {
            let needed = self.gone_since(file.generation) < total / 2
                && !without_need.contains(&file.generation);
            let size = size_on_disk(file, segment_size);
            let worth = Worth::of(file, size, &self.of(file.generation), needed);
            all.gain += worth.gain;
            all.needed += worth.needed;
            all.live += worth.live;
            (*file, worth)
        });
        let each = each.collect();
        (all, each)
    }
}

/// Bytes that a data file takes.
pub(super) fn size_on_disk(file: &DataFileState, segment_size: u64) -> u64 {
    match file.origin {
        DataOrigin::Sealed => segment_size,
        DataOrigin::Merged => file.end,
    }
}

impl Shard {
    /// The files that a merge takes now; none when nothing is due.
    pub(super) fn choose(&self, data: &[DataFileState]) -> BTreeSet<u64> {
        let segment_size = self.log.config().segment_size;
        let (all, mut files) = self.lock().state_ref().usage.worth(data, segment_size);
        let mut chosen = BTreeSet::new();
        // Files of which nothing is needed, or next to nothing, cost next to nothing to merge. The oldest first: what they list keeps the
        // deletes of younger ones.
        files.sort_unstable_by_key(|(file, worth)| {
            (worth.needed * 1000 / worth.size().max(1), file.sequence_min)
        });
        let mut due = all.gain.saturating_sub(all.left(0));
        if all.gain > all.left(segment_size) {
            for (file, worth) in files.iter().take(WASTEFUL_MAX) {
                if due == 0 || worth.gain * 1000 < worth.size() * GAIN_PERMILLE {
                    break;
                }
                chosen.insert(file.generation);
                due = due.saturating_sub(worth.gain);
            }
        }
        let small: Vec<u64> = files
            .iter()
            .filter(|(file, _)| file.end < segment_size / SMALL_FILES as u64)
            .map(|(file, _)| file.generation)
            .collect();
        if small.len() >= SMALL_FILES {
            chosen.extend(small.into_iter().take(INPUTS_MAX));
        }
        chosen
    }

    /// Has writers slow down by how far merges are behind, so that space has a bound. Not where merges were told to go slowly. The
    /// upkeep lock is held.
    pub(crate) fn note_behind(&self) {
        if self.options.merge_rate.is_some() {
            return;
        }
        let segment_size = self.log.config().segment_size;
        let data = self.log.manifest_state().data;
        let (all, _) = self.lock().state_ref().usage.worth(&data, segment_size);
        let beyond = all.gain.saturating_sub(all.left(segment_size));
        let most = all.needed * BEHIND_PERMILLE / 1000 + segment_size / 2;
        self.log.set_behind((beyond * 1000 / most.max(1)).min(1000) as u32);
    }
}
