//! One shard at run time: its log, the tables behind its lock, its upkeep.

mod checkpoint;
mod deadlines;
mod expiry;
mod scrub;
mod upkeep;
mod worker;

pub(crate) use deadlines::{Deadlines, SlotPlace};
pub(crate) use expiry::{DUE, EXPIRE_AT_ONCE, Taken};
pub use scrub::ScrubReport;
pub(crate) use worker::Worker;

use crate::cask::{Removals, Shelf, Usage};
use crate::error::{Error, Result};
use parking_lot::{Condvar, Mutex};
use slotcask_cask::{Keydir, Location};
use slotcask_fixed::FixedTable;
use slotcask_format::history::History;
use slotcask_format::manifest::{TableCheckpoint, TableState};
use slotcask_format::schema::{Ddl, TableSchema};
use slotcask_io::Env;
use slotcask_log::{Guard, ShardLog};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// What the shard lock protects beside the log.
#[derive(Debug, Default)]
pub(crate) struct ShardState {
    /// Tables with slots on this shard, by id; ids are never reused.
    pub tables: Vec<Option<Box<FixedTable>>>,
    /// Every table of the store, on this shard or not.
    pub catalogue: BTreeMap<u32, CatalogueEntry>,
    /// Newest change of the catalogue that this shard applied.
    pub ddl: Option<Ddl>,
    /// Highest table id ever given.
    pub table_last: u32,
    /// The epoch of this opening has begun: records may be appended.
    pub epoch_open: bool,
    /// The store is being closed: what is appended now would stand behind the mark of a clean end.
    pub closed: bool,
    /// The table whose clear or drop was logged on some shards only, or 0: the next opening completes that behind whatever stands in the
    /// log, so that nothing may be written to it.
    pub interrupted: u32,
    /// Inserts since somebody looked whether a table has to grow.
    pub inserts: u32,
    pub counters: Counters,
    /// The cask tables with keys on this shard, by id.
    pub casks: BTreeMap<u32, Arc<Keydir>>,
    /// What of each file is of use to them.
    pub usage: Usage,
    /// Which of their records vanish when.
    pub expiry: Deadlines<Location>,
    /// How many of them there were when stale ones were last forgotten.
    pub expiry_kept: usize,
    /// Which slots of fixed tables vanish when.
    pub slot_expiry: Deadlines<SlotPlace>,
    /// How many of them there were when stale ones were last forgotten.
    pub slot_expiry_kept: usize,
}

/// One table in the catalogue of a shard.
#[derive(Debug, Clone)]
pub(crate) struct CatalogueEntry {
    pub schema: TableSchema,
    pub clear_sequence: u64,
    pub checkpoint: TableCheckpoint,
}

/// Counted under the shard lock, so that counting costs nothing.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counters {
    pub puts: u64,
    pub deletes: u64,
    pub batches: u64,
    pub expired: u64,
}

/// How the upkeep of a shard is done.
#[derive(Debug, Clone)]
pub(crate) struct ShardOptions {
    pub flush_interval: Duration,
    pub background: bool,
    /// Most bytes that merges read in a second.
    pub merge_rate: Option<u64>,
    /// Data files are mapped.
    pub map_data: bool,
    /// Bytes that the scrub reads in a second; 0 for none.
    pub scrub_rate: u64,
}

/// One shard.
#[derive(Debug)]
pub(crate) struct Shard {
    pub number: u8,
    pub env: Env,
    pub log: ShardLog<ShardState>,
    pub options: ShardOptions,
    /// Held by whoever checkpoints, grows files or changes the catalogue: one at a time.
    pub upkeep: Mutex<Upkeep>,
    /// Figures of the upkeep, to be read without waiting for it.
    pub figures: Mutex<UpkeepStats>,
    /// Merged files that could not be removed yet.
    pub removals: Mutex<Removals>,
    /// Shared with what the log calls: a log that knew its shard would keep it for ever.
    pub bell: Arc<Bell>,
    /// Microseconds that writers still have to pause for the last flush's worth of log.
    pub pause_owed_us: AtomicU64,
    /// Pauses are longer until that is paid.
    pub pause_late: AtomicBool,
    /// A future waits for a flush.
    pub flush_asked: AtomicBool,
    /// When buffered writes were last flushed in the middle of a checkpoint, microseconds of the monotonic clock.
    pub served_us: AtomicU64,
    /// The last round left deadlines for the next one.
    pub expire_more: AtomicBool,
    pub closed: AtomicBool,
    /// The store is being closed: what takes long and can be left is left.
    pub stopping: AtomicBool,
    pub shelf: Arc<Shelf>,
    pub timer: Arc<Timer>,
    pub hash_seed: u64,
    /// The epochs of the store.
    pub history: Mutex<History>,
}

/// The time by which records vanish: never behind what the store has seen, and not moved by a clock that is set.
#[derive(Debug)]
pub(crate) struct Timer {
    /// Milliseconds since 1970 at the opening.
    pub base_ms: u64,
    /// Monotonic time then.
    pub opened: Duration,
}

impl Timer {
    pub(crate) fn now_ms(&self, env: &Env) -> u64 {
        let elapsed = env.clock.monotonic().saturating_sub(self.opened);
        self.base_ms.saturating_add(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX))
    }
}

/// State of the upkeep.
#[derive(Debug, Default)]
pub(crate) struct Upkeep {
    /// Position of the log when the last checkpoint began.
    pub checkpoint_position: u64,
    /// Bytes of log that the opening found, until a checkpoint has begun since.
    pub found_bytes: u64,
    /// Bytes of log written while the last checkpoint ran.
    pub checkpoint_meanwhile: u64,
    /// Checkpoints since something was appended.
    pub checkpoints_idle: u32,
    /// The opening left a log at its limit.
    pub trim_due: bool,
    /// Position of the log when a merge on a full disk was last tried for deletes that may be left behind.
    pub reclaimed_position: Option<u64>,
    /// The last merge found no room, or failed.
    pub merge_refused: Option<MergeRefused>,
    /// When the last checkpoint of the shard's thread failed, and how long it is not tried again.
    pub checkpoint_failed: Option<(Duration, Duration)>,
    /// Where the scrub of the shard's thread goes on.
    pub scrub: scrub::ScrubCursor,
}

/// A merge that found no room, or failed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MergeRefused {
    /// Position of the log then, where what is written may help.
    pub position: Option<u64>,
    /// When.
    pub at: Duration,
    /// How long it is not tried again, unless something is written that may help.
    pub wait: Duration,
}

/// What the upkeep did since the opening.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct UpkeepStats {
    pub checkpoints: u64,
    pub pages_written: u64,
    pub page_bytes_written: u64,
    pub scrub_pages: u64,
    pub scrub_damaged: u64,
    pub scrub_passes: u64,
    pub merges: u64,
    pub merge_bytes_read: u64,
    pub merge_bytes_written: u64,
    pub tombstones_dropped: u64,
    /// The last merge that was due found no room.
    pub merge_refused: bool,
}

/// Wakes the shard's thread.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    state: Mutex<BellState>,
    wake: Condvar,
    /// Rung and not yet heard: ringing again costs nothing.
    pub rung: AtomicBool,
}

#[derive(Debug, Default)]
struct BellState {
    rung: bool,
    stop: bool,
}

impl ShardState {
    /// The table `id`, if it has slots on this shard.
    #[inline]
    pub(crate) fn table(&mut self, id: u32) -> Option<&mut FixedTable> {
        self.tables.get_mut(id as usize)?.as_deref_mut()
    }

    #[inline]
    pub(crate) fn table_ref(&self, id: u32) -> Option<&FixedTable> {
        self.tables.get(id as usize)?.as_deref()
    }

    pub(crate) fn set_table(&mut self, id: u32, table: Option<FixedTable>) {
        let at = id as usize;
        if self.tables.len() <= at {
            self.tables.resize_with(at + 1, || None);
        }
        self.tables[at] = table.map(Box::new);
    }

    /// The catalogue as the manifest keeps it.
    pub(crate) fn table_states(&self) -> Vec<TableState> {
        self.catalogue
            .iter()
            .map(|(table, entry)| TableState {
                table: *table,
                schema: entry.schema.clone(),
                clear_sequence: entry.clear_sequence,
                checkpoint: entry.checkpoint,
            })
            .collect()
    }
}

impl Shard {
    pub(crate) fn upkeep_stats(&self) -> UpkeepStats {
        *self.figures.lock()
    }

    /// The number as errors show it.
    pub(crate) fn id(&self) -> u32 {
        u32::from(self.number)
    }

    pub(crate) fn lock(&self) -> Guard<'_, ShardState> {
        self.log.lock()
    }

    /// Waits until `sequence` is durable; `accepted` says what a timeout means.
    pub(crate) fn wait_durable(&self, sequence: u64, deadline: Option<Duration>) -> Result<()> {
        self.log.wait_durable(sequence, deadline).map_err(|error| Error::of_log(error, self.id()))
    }

    /// Has the thread flush; without threads flushes here.
    pub(crate) fn flush_soon(&self) {
        if self.options.background {
            self.flush_asked.store(true, Ordering::Relaxed);
            self.bell.ring();
        } else {
            self.log.flush_background();
        }
    }

    pub(crate) fn poisoned(&self, cause: &str) -> Error {
        Error::Poisoned { shard: self.id(), cause: cause.to_owned() }
    }
}
