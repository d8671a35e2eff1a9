#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod batch;
mod cask;
mod conditional;
mod error;
mod expiry;
mod fixed_map;
mod iter;
mod options;
mod ordered;
mod report;
mod shard;
mod stats;
mod store;
mod table;
mod ticket;
pub mod tools;
mod write;

pub use batch::{Batch, BatchTable};
pub use cask::{CaskIter, CaskOptions, CaskTable, Compression};
pub use error::{Error, Result};
pub use expiry::Expiry;
pub use fixed_map::{FixedKey, FixedMap, FixedMapIter, FixedValue};
pub use iter::Iter;
pub use options::{
    ADDRESS_SPACE_DEFAULT, Durability, LOCK_TIMEOUT_DEFAULT, LOG_SIZE_DEFAULT, Options,
    SCRUB_RATE_DEFAULT, SLOT_COUNT_MAX_DEFAULT, TableOptions, VALUE_CACHE_DEFAULT, WriteOptions,
};
pub use ordered::{Keys, MapRange, OrderedTable, Page, Range};
pub use report::{RecoveryReport, ShardRecovery};
pub use shard::ScrubReport;
pub use slotcask_format::StoreId;
pub use slotcask_format::schema::{Placement, TableKind};
pub use stats::{ShardStats, Stats, TableInfo};
pub use store::Store;
pub use table::Table;
pub use ticket::Ticket;

const fn assert_send_sync<T: Send + Sync>() {}
const _: () = {
    assert_send_sync::<Store>();
    assert_send_sync::<Table>();
    assert_send_sync::<CaskTable>();
    assert_send_sync::<FixedMap<u64, u64>>();
    assert_send_sync::<Ticket>();
    assert_send_sync::<Error>();
};
