//! What of each file is still of use, counted under the shard lock.

use slotcask_cask::Location;
use std::collections::BTreeMap;

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

/// Use of all files of a shard, by generation.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    files: BTreeMap<u64, FileUse>,
}

impl Usage {
    /// A record was put, and the keydir points to it.
    pub(crate) fn put(&mut self, at: Location) {
        let file = self.files.entry(at.generation()).or_default();
        file.bytes += at.size_max() as u64;
        file.records += 1;
        file.live_bytes += at.size_max() as u64;
        file.live_records += 1;
    }

    /// A delete or an expiry was written.
    pub(crate) fn tombstone(&mut self, at: Location) {
        let file = self.files.entry(at.generation()).or_default();
        file.bytes += at.size_max() as u64;
        file.records += 1;
        file.tombstones += 1;
        file.tombstone_bytes += at.size_max() as u64;
    }

    /// A record that nothing points to any more.
    pub(crate) fn dead(&mut self, at: Location) {
        let file = self.files.entry(at.generation()).or_default();
        file.live_bytes = file.live_bytes.saturating_sub(at.size_max() as u64);
        file.live_records = file.live_records.saturating_sub(1);
    }

    /// A record that the keydir points to has been copied to a file that was counted already.
    pub(crate) fn moved(&mut self, from: Location, to: Location) {
        self.dead(from);
        let file = self.files.entry(to.generation()).or_default();
        file.live_bytes += to.size_max() as u64;
        file.live_records += 1;
    }

    /// What a file holds.
    pub(crate) fn of(&self, generation: u64) -> FileUse {
        self.files.get(&generation).copied().unwrap_or_default()
    }

    /// Replaces what is known of a file.
    pub(crate) fn set(&mut self, generation: u64, file: FileUse) {
        self.files.insert(generation, file);
    }

    /// Forgets a file.
    pub(crate) fn forget(&mut self, generation: u64) {
        self.files.remove(&generation);
    }

    /// All files.
    pub(crate) fn all(&self) -> impl Iterator<Item = (u64, FileUse)> + '_ {
        self.files.iter().map(|(generation, file)| (*generation, *file))
    }
}
