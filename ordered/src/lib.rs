//! The order of the keys of one table on one shard: a B+tree in memory, beside the index or keydir that finds single keys.
//!
//! [`Order`] holds keys, packed in leaves of 1 to 2 KiB, for each the slot of a fixed table or nothing, and a mark. It knows no
//! files: it is built from slots, or from keys in data files, when a store is opened. Writers hold their shard's lock;
//! readers copy some keys out under a lock of a few microseconds and go on without it.

#![forbid(unsafe_code)]

mod keys;
mod leaf;
mod load;
mod order;
mod scan;
mod tree;

pub use keys::{Keys, compare};
pub use order::Order;
pub use scan::{CHUNK_BYTES_MAX, Chunk, Direction};
