//! Fixed-slot tables of one shard: slot file, page map, allocator, checkpoint, recovery.
//!
//! This room knows no log: it takes records and sequences, and tells its caller which sequence must be durable
//! before a page may be written. Nor does it lock: a [`FixedTable`] belongs to whoever holds the shard's lock, and
//! what is slow (growing, sealing, writing, syncing) is an object of its own that works without that lock.
//!
//! The order of reading: [`table`] (what a writer does), [`checkpoint`] (how memory reaches the disk),
//! [`recovery`] (what each state of the disk means), [`loading`] (how that is found out).

#![forbid(unsafe_code)]

pub mod budget;
pub mod checkpoint;
pub mod double_write;
pub mod error;
mod files;
pub mod grow;
pub mod loading;
mod map;
pub mod options;
mod page_set;
pub mod recovery;
mod redo;
pub mod scrub;
mod settle;
pub mod table;

pub use budget::SlotBudget;
pub use checkpoint::{Checkpoint, Finished};
pub use double_write::{Restored, restore_double_write};
pub use error::{Corruption, FixedError, Result};
pub use files::remove_files;
pub use grow::{GrowPlan, Grown};
pub use loading::{LoadReport, Loading};
pub use options::{FixedOptions, GrowthOptions, ShardIdent};
pub use scrub::{PageReader, Verdict};
pub use slotcask_index::{SlotMeta, SlotReader};
pub use table::{FixedTable, Room};
