//! Measuring a machine and directory.

mod directory;
mod keys;
mod phase;
mod report;
mod run;

pub use run::run;
