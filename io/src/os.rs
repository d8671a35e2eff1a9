//! The operating system's disk.

mod background;
mod calls;
mod dirs;
mod disk;
mod file;
mod lock;
mod mapping;
mod pieces;
mod ring;

pub use background::work_in_background;
pub use disk::{OsDisk, OsOptions};
