//! Bytes only: every on-disk layout of slotcask, its file names, its versions.
//!
//! This room knows no file, no clock and no thread. Writers and readers import its constants and its
//! structs, so that a layout is stated once; `docs/FORMAT.md` is rendered from [`layout::tables`].
//!
//! Two rules hold everywhere. Bytes from a disk never panic and never allocate by their own claim:
//! each header has `invalid()`, which gives the first [`Reason`] why it cannot be what it claims to be.
//! And a checksum is seeded with where the bytes belong, so that good bytes in a wrong place are bad bytes.

#![forbid(unsafe_code)]

pub mod block;
pub mod bytes;
pub mod checksum;
pub mod compressed;
pub mod double_write;
pub mod file_name;
pub mod flush;
pub mod hint;
pub mod history;
pub mod layout;
pub mod manifest;
pub mod mutants;
pub mod page_map;
pub mod range_delete;
pub mod reason;
pub mod record;
pub mod schema;
pub mod segment;
pub mod slot;
pub mod slot_file;
pub mod superblock;

pub use block::{BLOCK_SIZE, round_up};
pub use checksum::{Seed, StoreId};
pub use reason::Reason;

/// Version of every layout in this crate. A file with a higher version is refused by name.
pub const FORMAT_VERSION: u16 = 1;
