//! What of each file is still of use, counted under the shard lock.

use slotcask_cask::{Listed, Listing, Location};
use slotcask_format::manifest::{DataFileState, DataOrigin};
use slotcask_format::mutants;
use slotcask_format::record::RecordKind;
use std::collections::{BTreeMap, BTreeSet};

/// What is listed of a segment takes at most this part of the bytes of its records: a segment of small records is read when it becomes a
/// data file.
const LISTING_PART: u64 = 16;
/// So many bytes may be listed in any case.
const LISTING_MIN: u64 = 1 << 10;

/// What a file holds of cask tables. Bytes are those of [`Location::size_max`], in all places alike.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct FileUse {
    /// Bytes of all records.
    pub bytes: u64,
    /// Bytes of the records that the keydirs point to.
    pub live_bytes: u64,
    /// Records.
    pub records: u64,
    /// Records that the keydirs point to.
    pub live_records: u64,
    /// Deletes and expiries.
    pub tombstones: u64,
    /// Bytes of them.
    pub tombstone_bytes: u64,
}

/// What all files of a shard hold of cask tables. What is neither live nor pinned is dead.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct CaskBytes {
    pub files: u64,
    pub live: u64,
    /// What merges win.
    pub dead: u64,
    /// Deletes that are needed, and what is dead in files that a merge could not read.
    pub pinned: u64,
}

/// A file, and when it was judged whether its deletes are needed.
#[derive(Debug, Default)]
struct Counted {
    used: FileUse,
    /// What had gone by then, of [`Usage::gone_bytes`].
    judged: u64,
    /// A merge could not read it.
    unreadable: bool,
    /// Records of a segment that were appended in this life of the store.
    listing: Option<Box<Listing>>,
    /// They are too small to be listed.
    unlisted: bool,
}

/// Use of all files of a shard, by generation.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    files: BTreeMap<u64, Counted>,
    /// Bytes of all records that stood in files which have gone.
    gone_bytes: u64,
}

impl Counted {
    fn list(&mut self, listed: &Listed<'_>) {
        if self.unlisted {
            return;
        }
        let new = || Box::new(Listing::new(listed.at.generation(), DataOrigin::Sealed));
        let listing = self.listing.get_or_insert_with(new);
        // A range delete may have removed millions of keys.
        let bytes = listing.bytes_with(listed) as u64;
        if bytes * LISTING_PART > self.used.bytes + LISTING_MIN * LISTING_PART {
            (self.listing, self.unlisted) = (None, true);
        } else {
            listing.list(listed);
        }
    }
}

impl Usage {
    /// A record was appended to the log: a put, to which the keydir points, or what removes keys.
    pub(crate) fn appended(&mut self, listed: &Listed<'_>) {
        let is_put = listed.kind == RecordKind::Put;
        if is_put {
            self.put(listed.at);
        } else {
            self.tombstone(listed.at);
        }
        let Some(file) = self.files.get_mut(&listed.at.generation()) else { return };
        match !is_put && mutants::active("listing_omits_deletes") {
            true => file.list(&Listed { hashes: &[], ..*listed }),
            false => file.list(listed),
        }
    }

    /// What is listed of a segment, if that is all that stands in it.
    pub(crate) fn take_listing(&mut self, generation: u64) -> Option<Listing> {
        let file = self.files.get_mut(&generation)?;
        let listing = file.listing.take()?;
        let is_whole = listing.state().records == file.used.records;
        (is_whole || mutants::active("believe_part_of_listing")).then_some(*listing)
    }

    /// A record was put, and the keydir points to it.
    pub(crate) fn put(&mut self, at: Location) {
        let file = &mut self.files.entry(at.generation()).or_default().used;
        file.bytes += at.size_max() as u64;
        file.records += 1;
        file.live_bytes += at.size_max() as u64;
        file.live_records += 1;
    }

    /// A delete or an expiry was written.
    pub(crate) fn tombstone(&mut self, at: Location) {
        let file = &mut self.files.entry(at.generation()).or_default().used;
        file.bytes += at.size_max() as u64;
        file.records += 1;
        file.tombstones += 1;
        file.tombstone_bytes += at.size_max() as u64;
    }

    /// A record that nothing points to any more.
    pub(crate) fn dead(&mut self, at: Location) {
        let file = &mut self.files.entry(at.generation()).or_default().used;
        file.live_bytes = file.live_bytes.saturating_sub(at.size_max() as u64);
        file.live_records = file.live_records.saturating_sub(1);
    }

    /// A record that the keydir points to has been copied to a file that was counted already.
    pub(crate) fn moved(&mut self, from: Location, to: Location) {
        self.dead(from);
        let file = &mut self.files.entry(to.generation()).or_default().used;
        file.live_bytes += to.size_max() as u64;
        file.live_records += 1;
    }

    /// What a file holds.
    pub(crate) fn of(&self, generation: u64) -> FileUse {
        self.files.get(&generation).map(|file| file.used).unwrap_or_default()
    }

    /// Counts a file whose deletes are all needed, as far as is known.
    pub(crate) fn set(&mut self, generation: u64, used: FileUse) {
        let judged = self.gone_bytes;
        self.files.insert(generation, Counted { used, judged, ..Counted::default() });
    }

    /// Forgets a file that has gone.
    pub(crate) fn forget(&mut self, generation: u64) {
        let gone = self.files.remove(&generation);
        self.gone_bytes += gone.map_or(0, |file| file.used.bytes);
    }

    /// Notes that all deletes in a file are needed, for what is there now.
    pub(crate) fn judge(&mut self, generation: u64) {
        if let Some(file) = self.files.get_mut(&generation) {
            file.judged = self.gone_bytes;
        }
    }

    /// Bytes of records that have gone since it was judged whether the deletes in a file are needed.
    pub(crate) fn gone_since(&self, generation: u64) -> u64 {
        self.gone_bytes - self.files.get(&generation).map_or(0, |file| file.judged)
    }

    /// Has a file that a merge could not read left out of merges until the next opening.
    pub(crate) fn set_unreadable(&mut self, generation: u64) {
        self.files.entry(generation).or_default().unreadable = true;
    }

    /// True for a file that a merge could not read.
    pub(crate) fn is_unreadable(&self, generation: u64) -> bool {
        self.files.get(&generation).is_some_and(|file| file.unreadable)
    }

    /// The data files whose deletes nothing needs: no older file has a put. An opening knows as much; what has gone since a file was
    /// judged it does not know.
    pub(crate) fn without_need(&self, data: &[DataFileState]) -> BTreeSet<u64> {
        let mut oldest_first: Vec<&DataFileState> = data.iter().collect();
        oldest_first.sort_unstable_by_key(|file| file.sequence_min);
        let has_deletes_only = |file: &&DataFileState| {
            self.of(file.generation).tombstones >= file.records
                && !self.is_unreadable(file.generation)
        };
        let mut found = BTreeSet::new();
        let mut rest = oldest_first.as_slice();
        while let Some(first) = rest.first() {
            // Files that are older and younger than one another: what one merge made.
            let mut newest = first.sequence_max;
            let within = |file: &&&DataFileState| {
                let is_within = file.sequence_min <= newest;
                newest = newest.max(file.sequence_max);
                is_within
            };
            let count = rest.iter().take_while(within).count();
            let (group, behind) = rest.split_at(count);
            let deletes_only = group.iter().all(has_deletes_only);
            // Puts of the same file go with it.
            if deletes_only || (count == 1 && !self.is_unreadable(first.generation)) {
                found.extend(group.iter().map(|file| file.generation));
            }
            if !deletes_only {
                break;
            }
            rest = behind;
        }
        found
    }

    /// What all files hold, of which these are data files.
    pub(crate) fn bytes(&self, data: &[DataFileState]) -> CaskBytes {
        let without_need = self.without_need(data);
        let total: u64 = self.files.values().map(|file| file.used.bytes).sum();
        self.files.iter().fold(CaskBytes::default(), |sum, (generation, file)| {
            let left = file.used.bytes.saturating_sub(file.used.live_bytes);
            let pinned = match file.unreadable {
                true => left,
                // As merges see it: `Shard::choose`.
                false
                    if self.gone_since(*generation) < total / 2
                        && !without_need.contains(generation) =>
                {
                    file.used.tombstone_bytes.min(left)
                }
                false => 0,
            };
            CaskBytes {
                files: sum.files + 1,
                live: sum.live + file.used.live_bytes,
                dead: sum.dead + left - pinned,
                pinned: sum.pinned + pinned,
            }
        })
    }

    /// All files.
    pub(crate) fn all(&self) -> impl Iterator<Item = (u64, FileUse)> + '_ {
        self.files.iter().map(|(generation, file)| (*generation, file.used))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_live_is_dead_or_pinned() {
        let at = |generation, offset, size| Location::new(generation, offset, size).unwrap();
        let mut usage = Usage::default();
        for offset in [0, 64, 128, 192] {
            usage.put(at(1, offset, 64));
        }
        usage.dead(at(1, 0, 64));
        usage.tombstone(at(2, 0, 40));
        usage.put(at(2, 40, 64));
        assert_eq!(usage.bytes(&[]), CaskBytes { files: 2, live: 256, dead: 64, pinned: 40 });
        // Nothing of a file that cannot be read comes back.
        usage.set_unreadable(1);
        assert_eq!(usage.bytes(&[]), CaskBytes { files: 2, live: 256, dead: 0, pinned: 104 });
        // What the delete was for may have gone with a file.
        usage.forget(1);
        assert_eq!(usage.bytes(&[]), CaskBytes { files: 1, live: 64, dead: 40, pinned: 0 });
    }

    #[test]
    fn deletes_are_for_puts_of_older_files() {
        let at = |generation| Location::new(generation, 0, 64).unwrap();
        let file = |generation, records, sequence_min, sequence_max| DataFileState {
            generation,
            origin: DataOrigin::Sealed,
            end: 4096,
            records,
            sequence_min,
            sequence_max,
            epoch_max: 1,
            epoch_min: 1,
            frame_checksum: 0,
        };
        let mut usage = Usage::default();
        usage.tombstone(at(3));
        usage.tombstone(at(4));
        usage.put(at(5));
        usage.tombstone(at(6));
        let data = [file(6, 1, 40, 49), file(3, 1, 10, 19), file(5, 1, 30, 39), file(4, 1, 20, 29)];
        // The put of the third of them is older than the delete of the last.
        assert_eq!(usage.without_need(&data), BTreeSet::from([3, 4, 5]));
        // A record that was void, or one of another table, may be what a delete is for.
        let more = [file(3, 2, 10, 19), file(4, 1, 20, 29)];
        assert_eq!(usage.without_need(&more), BTreeSet::from([3]));
        let mixed = [file(3, 1, 10, 25), file(4, 1, 20, 29), file(6, 1, 30, 39)];
        assert_eq!(usage.without_need(&mixed), BTreeSet::from([3, 4, 6]));
        let mixed = [file(3, 1, 10, 25), file(5, 1, 20, 29), file(6, 1, 30, 39)];
        assert_eq!(usage.without_need(&mixed), BTreeSet::new());
        usage.set_unreadable(3);
        assert_eq!(usage.without_need(&data), BTreeSet::new());
    }
}
