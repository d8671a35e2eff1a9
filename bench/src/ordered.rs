//! What the rows of ordered tables need of an engine's reader, beside what the rows of other tables do.

use crate::engine::Outcome;
use crate::workload::Key;

/// Keys of one range.
pub const RANGE: usize = 100;

/// What one thread scans through. The order of a scan is the engine's own: the one that costs it least.
pub trait RangeReader {
    /// Lends each key from `from` to `to`, both included, in the cheapest way that the engine has.
    ///
    /// # Errors
    /// The engine's.
    fn keys(&self, from: &Key, to: &Key, each: impl FnMut(&[u8])) -> Outcome<()>;

    /// Lends each key with its value.
    ///
    /// # Errors
    /// The engine's.
    fn pairs(&self, from: &Key, to: &Key, each: impl FnMut(&[u8], &[u8])) -> Outcome<()>;
}
