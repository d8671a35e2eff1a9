//! Bitcask tables: where each key's newest record stands, and the files that records move to when they leave the log.
//!
//! A [`Keydir`] knows the place of the live record of every key of one table on one shard. Records are in the shard's log or in
//! data files, which are immutable; each data file has a hint, from which [`load`] builds keydirs without reading
//! records. [`merge`] copies what is still of use from some files into new ones. Nothing here starts a thread or takes the
//! shard lock; what is committed, and when, is decided by the caller.

#![forbid(unsafe_code)]

mod cache;
mod compression;
mod data;
mod error;
mod hash;
mod hints;
mod keydir;
mod listing;
mod load;
mod location;
mod merge;
mod moves;
mod record;
mod sorting;
mod stripe;
mod writer;

pub use cache::{Cache, CacheKey};
pub use compression::{HAS_LZ4, compress, decompress};
pub use data::{
    Frames, Walked, frames_of, name_of, read_record, small_walk_buffer, walk, walk_buffer,
};
pub use error::{CaskError, Result};
pub use hash::KeyHash;
pub use hints::{
    hint_of, open_data, read_hint, rebuild_hint, remove_data, remove_hint, write_hint,
};
pub use keydir::Keydir;
pub use listing::{Listed, Listing};
pub use load::{FileFigures, Loaded, TableToLoad, load};
pub use location::{GENERATION_MAX, Location};
pub use merge::{Input, Limits, Merged, Vanished, View, merge};
pub use moves::{Move, Moves};
pub use record::{CachedRecord, RecordImage};
pub use writer::Output;

use slotcask_format::StoreId;
use std::path::PathBuf;

/// Whose files they are.
#[derive(Debug, Clone)]
pub struct CaskIdent {
    /// Store.
    pub store: StoreId,
    /// Shard.
    pub shard: u8,
    /// Directory of the shard.
    pub dir: PathBuf,
    /// Data files are read in memory, through the page cache.
    pub map: bool,
}
