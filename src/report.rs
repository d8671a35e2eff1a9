//! What an opening found and did.

/// What recovery found and did on one shard.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShardRecovery {
    /// Shard.
    pub shard: u32,
    /// Last sequence of the log.
    pub last_sequence: u64,
    /// Highest sequence that was known to be durable before the recovery.
    pub watermark: u64,
    /// Records read from the log.
    pub records_read: u64,
    /// Records written to their slots again.
    pub records_redone: u64,
    /// Flushes at the end of the log that did not become whole and were dropped. They were never acknowledged as durable.
    pub truncated_flushes: u64,
    /// Bytes in which they left traces.
    pub truncated_bytes: u64,
    /// True when the last manifest record had not become whole and was dropped.
    pub manifest_truncated: bool,
    /// Slots that the history of epochs has cut off.
    pub void_slots: u64,
    /// Slots whose bytes were damaged and that the log wrote again.
    pub slots_mended: u64,
    /// Pages that were not as the last checkpoint wrote them, and that the log explains.
    pub pages_unexpected: u64,
    /// Pages restored from the double-write area.
    pub pages_restored: u64,
    /// Copies of file headers that were damaged; the other copy was used.
    pub headers_damaged: u64,
    /// Hints of data files that were missing or damaged and were made anew.
    pub hints_rebuilt: u64,
    /// Changes of the catalogue that were found on another shard and completed here.
    pub ddl_completed: u64,
    /// Rows of the recovery table, the deciding one last (see `docs/RECOVERY.md`).
    pub rows: Vec<&'static str>,
}

/// What an opening found and did. Nothing is dropped without being counted here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecoveryReport {
    /// True when the store was created by this opening.
    pub created: bool,
    /// True when every shard had been closed cleanly, or this opening created the store: nothing had to be recovered.
    pub clean: bool,
    /// Newest epoch in the history.
    pub epoch: u32,
    /// What was found on each shard.
    pub shards: Vec<ShardRecovery>,
    /// What somebody should look at: damaged copies that were not needed, features that this machine lacks.
    pub warnings: Vec<String>,
}

impl RecoveryReport {
    /// Flushes dropped over all shards.
    #[must_use]
    pub fn truncated_flushes(&self) -> u64 {
        self.shards.iter().map(|shard| shard.truncated_flushes).sum()
    }
}
