//! The operating system's disk.

mod calls;
mod disk;
mod file;
mod lock;
mod mapping;
mod pieces;
mod ring;

pub use disk::{OsDisk, OsOptions};
