//! Opening a log: what is found, what it means, and the first writes.
//!
//! [`Opening::read`] lists the directory and reads the manifest. [`Opening::scan`] walks the chain of flushes, gives every
//! record to the rooms above and decides by the table in [`rows`] whether the log ends where it should.
//! [`Opening::start`] writes: a new manifest, a new segment, and in it, again, what was accepted above the watermark.
//! Nothing is ever appended to a file that was found.

mod opening;
pub mod rows;
mod scan;
mod start;

pub use opening::{FIRST_MANIFEST, Opening};
pub use rows::{Decision, Facts, ROWS, Row};
pub use scan::{LogVisitor, ScanReport};
