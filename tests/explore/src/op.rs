//! Operations of lives.

/// What a life is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// A new key, buffered.
    Put,
    /// An old key, buffered.
    Overwrite,
    /// A delete, buffered.
    Delete,
    /// An atomic batch over both tables, durable when acknowledged.
    Batch,
    /// A key of table `a` whose deadline passes, is set, or is cleared.
    Expire,
    /// A range of keys of table `b`, durable when acknowledged.
    RangeDelete,
    /// A range of keys of table `c`, durable when acknowledged.
    CaskRangeDelete,
    /// Everything durable.
    Sync,
    /// A checkpoint.
    Checkpoint,
    /// A fresh log segment.
    Rotate,
    /// So many new keys that the slot file has to grow.
    Grow,
    /// Table `b` is dropped and created again.
    Drop,
    /// Table `b` is emptied.
    Clear,
    /// The idle work of the shard's thread.
    Poll,
    /// Closed and opened.
    Reopen,
    /// Killed and opened.
    Kill,
    /// A new key of table `c`, buffered.
    CaskPut,
    /// An old key of table `c`, buffered.
    CaskOverwrite,
    /// A delete in table `c`, buffered.
    CaskDelete,
    /// Large values in table `c`, enough to fill a third of a segment.
    CaskFill,
    /// So many of them that a checkpoint is due, and the log not yet at its limit. In directed strings alone.
    CaskFlood,
    /// An atomic batch over tables `a` and `c`, durable when acknowledged.
    CaskBatch,
    /// A key of table `c` whose deadline passes, is set, or is cleared.
    CaskExpire,
    /// A fresh segment, and what is in the others leaves the log: it becomes data files, or is evacuated.
    Seal,
    /// All data files merged.
    Merge,
    /// Table `c` is dropped and created again.
    CaskDrop,
    /// Table `c` is emptied.
    CaskClear,
}

/// The operations of exhaustive lives with a cask table.
pub const CASK_OPS: [Op; 11] = [
    Op::CaskPut,
    Op::CaskOverwrite,
    Op::CaskDelete,
    Op::CaskRangeDelete,
    Op::CaskFill,
    Op::CaskBatch,
    Op::Sync,
    Op::Checkpoint,
    Op::Seal,
    Op::Merge,
    Op::Reopen,
];
/// All of them, for random lives with a cask table.
pub const CASK_ALL: [Op; 24] = [
    Op::Seal,
    Op::CaskPut,
    Op::CaskOverwrite,
    Op::CaskDelete,
    Op::CaskRangeDelete,
    Op::RangeDelete,
    Op::CaskFill,
    Op::CaskFill,
    Op::CaskBatch,
    Op::CaskExpire,
    Op::Merge,
    Op::CaskDrop,
    Op::CaskClear,
    Op::Put,
    Op::Overwrite,
    Op::Grow,
    Op::Sync,
    Op::Checkpoint,
    Op::Checkpoint,
    Op::Rotate,
    Op::Rotate,
    Op::Poll,
    Op::Reopen,
    Op::Kill,
];
/// The operations of exhaustive lives.
pub const OPS: [Op; 11] = [
    Op::Put,
    Op::Overwrite,
    Op::Delete,
    Op::RangeDelete,
    Op::Batch,
    Op::Sync,
    Op::Checkpoint,
    Op::Rotate,
    Op::Grow,
    Op::Drop,
    Op::Reopen,
];
/// All of them, for random lives.
pub const ALL: [Op; 15] = [
    Op::Put,
    Op::Overwrite,
    Op::Delete,
    Op::RangeDelete,
    Op::Expire,
    Op::Batch,
    Op::Sync,
    Op::Checkpoint,
    Op::Rotate,
    Op::Grow,
    Op::Drop,
    Op::Clear,
    Op::Poll,
    Op::Reopen,
    Op::Kill,
];
