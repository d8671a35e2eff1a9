//! Figures of a running store.

use crate::store::StoreInner;
use slotcask_format::schema::{Placement, TableKind};

/// What a table is, and how much it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TableInfo {
    /// Id; never used twice in a store.
    pub id: u32,
    /// Name.
    pub name: String,
    /// Kind.
    pub kind: TableKind,
    /// Where its keys live.
    pub placement: Placement,
    /// Bytes of a key.
    pub key_len: usize,
    /// Bytes of a value.
    pub value_len: usize,
    /// True when slots carry a deadline.
    pub deadlines: bool,
    /// True when the table knows the order of its keys.
    pub ordered: bool,
    /// Most slots over all shards.
    pub slot_count_max: u32,
    /// Bytes of a slot.
    pub slot_size: usize,
    /// Keys.
    pub len: u64,
    /// Bytes of memory of slots and index.
    pub memory_bytes: u64,
    /// What compresses the values of a cask table, if anything does.
    pub compression: Option<String>,
}

/// Figures of a shard, since the opening where they count something.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ShardStats {
    /// Shard.
    pub shard: u32,
    /// Last sequence appended.
    pub last_sequence: u64,
    /// Highest durable sequence.
    pub durable_sequence: u64,
    /// Epoch.
    pub epoch: u32,
    /// Number of the log segment that is written to; grows with each that is begun.
    pub segment: u64,
    /// Bytes of log that recovery would read.
    pub log_bytes: u64,
    /// Bytes of log that may be in use before writers stop.
    pub log_capacity: u64,
    /// Segment files, spares included.
    pub segment_files: u64,
    /// Bytes of log written.
    pub flushed_bytes: u64,
    /// Flushes.
    pub flushes: u64,
    /// Checkpoints.
    pub checkpoints: u64,
    /// Number of the newest checkpoint over the life of the store.
    pub checkpoint_number: u64,
    /// Slot pages written by checkpoints.
    pub pages_written: u64,
    /// Bytes written by checkpoints.
    pub page_bytes_written: u64,
    /// Slot pages that the scrub read back.
    pub scrub_pages: u64,
    /// Pages among them that were damaged; they were written again from memory. Above 0 the medium is going bad.
    pub scrub_damaged: u64,
    /// How often the scrub came to the last page.
    pub scrub_passes: u64,
    /// Records put.
    pub puts: u64,
    /// Records deleted.
    pub deletes: u64,
    /// Batches.
    pub batches: u64,
    /// Keys that were taken out because their deadline had passed.
    pub expired: u64,
    /// Files that hold records of cask tables, segments of the log included.
    pub cask_files: u64,
    /// Bytes in them that are of use; sizes of records are rounded up by an eighth at most.
    pub cask_live_bytes: u64,
    /// Bytes in them that merges win.
    pub cask_dead_bytes: u64,
    /// Bytes that no merge wins for now: deletes that older files still need, what is dead in files that a merge could not read, and merged
    /// files that could not be removed yet.
    pub cask_pinned_bytes: u64,
    /// Bytes of values in the cache.
    pub cache_bytes: u64,
    /// Bytes of memory that deadlines take.
    pub expiry_bytes: u64,
    /// Merges of data files.
    pub merges: u64,
    /// Bytes that merges read, those of segments that were copied when they left the log included.
    pub merge_bytes_read: u64,
    /// Bytes that merges wrote, as above.
    pub merge_bytes_written: u64,
    /// How far merges are behind, in thousandths: 0 while they keep up, 1000 when that all but stops writers.
    pub merge_behind_permille: u32,
    /// The last merge that was due found no room on the disk: until there is some, space comes back only as far as what is held for that allows.
    pub merge_refused: bool,
    /// Deletes and expiries that nothing needed any more.
    pub tombstones_dropped: u64,
    /// Why the shard accepts no writes, if a failure poisoned it.
    pub poisoned: Option<String>,
    /// Why no log segment could be made, if none could.
    pub refused: Option<String>,
}

/// Figures of a store.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Stats {
    /// By shard. In a store that is open for reading only, what the opening found of sequences, log and cask files; nothing happens there that
    /// could be counted.
    pub shards: Vec<ShardStats>,
    /// By name.
    pub tables: Vec<TableInfo>,
}

impl Stats {
    pub(crate) fn of(store: &StoreInner) -> Self {
        let tables = store.table_infos();
        if store.read_only {
            return Self { shards: store.found.clone(), tables };
        }
        let shards = store
            .shards
            .iter()
            .map(|shard| {
                let log = shard.log.status();
                let upkeep = shard.upkeep_stats();
                let files = shard.log.manifest_state().data;
                let (counters, data, expiry_bytes) = {
                    let mut guard = shard.lock();
                    let state = guard.state();
                    let deadlines = state.expiry.memory_bytes() + state.slot_expiry.memory_bytes();
                    (state.counters, state.usage.bytes(&files), deadlines)
                };
                ShardStats {
                    shard: shard.id(),
                    last_sequence: log.last_sequence,
                    durable_sequence: log.durable_sequence,
                    epoch: log.epoch,
                    segment: log.segment,
                    log_bytes: log.used_bytes,
                    log_capacity: log.capacity_bytes,
                    segment_files: log.segment_files,
                    flushed_bytes: log.flushed_bytes,
                    flushes: log.flushes,
                    checkpoints: upkeep.checkpoints,
                    checkpoint_number: log.checkpoint,
                    pages_written: upkeep.pages_written,
                    page_bytes_written: upkeep.page_bytes_written,
                    scrub_pages: upkeep.scrub_pages,
                    scrub_damaged: upkeep.scrub_damaged,
                    scrub_passes: upkeep.scrub_passes,
                    puts: counters.puts,
                    deletes: counters.deletes,
                    batches: counters.batches,
                    expired: counters.expired,
                    cask_files: data.files,
                    cask_live_bytes: data.live,
                    cask_dead_bytes: data.dead,
                    cask_pinned_bytes: data.pinned + shard.removals.lock().bytes(),
                    cache_bytes: shard.shelf.cache.bytes(),
                    expiry_bytes,
                    merges: upkeep.merges,
                    merge_bytes_read: upkeep.merge_bytes_read,
                    merge_bytes_written: upkeep.merge_bytes_written,
                    merge_behind_permille: shard.log.behind_permille(),
                    merge_refused: upkeep.merge_refused,
                    tombstones_dropped: upkeep.tombstones_dropped,
                    poisoned: log.poisoned.map(|cause| cause.to_string()),
                    refused: log.refused.map(|error| error.to_string()),
                }
            })
            .collect();
        Self { shards, tables }
    }
}
