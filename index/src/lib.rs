//! The slots of one fixed table on one shard, in memory: a hash index over an arena, one writer, lock-free readers.
//!
//! [`slot_table`] gives the writer; [`SlotWriter::reader`] gives what any number of threads read through.
//! A slot stands in memory byte for byte as on disk, except that its first word is not a checksum but the
//! slot's *version word*.
//!
//! Protocol, in full in [`reader`](crate::SlotReader) and [`writer`](crate::SlotWriter):
//!  1. There is one writer; whoever holds the shard lock holds the `&mut SlotWriter`.
//!  2. All that a reader touches is an atomic word in memory that stays mapped until the last reader is gone.
//!  3. A version is odd while its bucket chain or slot is being changed, and never runs backwards.
//!  4. A reader answers only from a bucket whose version, and whose place for this hash, did not change from
//!     before its first load to after its last; else it starts over. So a miss is never guessed.
//!  5. Slots and buckets never move and are never given back, so that a reader that is late reads old
//!     words, which its checks refuse, and never foreign memory.

#[cfg(not(all(target_pointer_width = "64", target_endian = "little")))]
compile_error!("slotcask needs a 64-bit little-endian target: slots are read and written as words");

mod bucket;
mod chain;
mod copy;
mod error;
mod geometry;
mod grow;
mod load;
mod mapping;
#[cfg(not(loom))]
mod memory;
#[cfg(loom)]
#[path = "memory_model.rs"]
mod memory;
mod populate;
mod prefetch;
mod reader;
mod reader_many;
mod slot;
mod sync;
mod table;
mod writer;

pub use error::IndexError;
pub use load::adopt_slot;
pub use reader::SlotReader;
pub use slot::SlotMeta;
pub use table::{TableOptions, slot_table};
pub use writer::SlotWriter;
