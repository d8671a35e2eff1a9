//! The operating system's disk.

mod background;
mod calls;
mod dirs;
mod disk;
mod file;
mod lock;
mod mapping;
mod pieces;
mod pool;
mod pooled;
mod ring;

pub use background::{raise_descriptor_limit, work_in_background};
pub use disk::{OsDisk, OsOptions};
