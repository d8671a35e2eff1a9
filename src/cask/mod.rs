//! Cask tables: keys and values of any length, in the log and in data files.

mod batch;
mod choice;
mod conditional;
mod expiry;
mod iter;
mod many;
mod merge;
mod options;
mod read;
mod reclaim;
mod recover;
mod removal;
mod shared;
mod shelf;
mod ttl;
mod usage;
mod write;

pub use iter::CaskIter;
pub use options::{CaskOptions, Compression};
pub use shared::CaskTable;

pub(crate) use batch::CaskOperation;
pub(crate) use recover::{CaskRedo, apply, forget};
pub(crate) use removal::Removals;
pub(crate) use shared::{CaskRoute, CaskShared, EXTENSION_ROOM};
pub(crate) use shelf::Shelf;
pub(crate) use usage::Usage;
pub(crate) use write::{place, reserve};
