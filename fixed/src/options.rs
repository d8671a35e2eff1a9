//! What the facade decides for the tables of a shard.

use slotcask_format::StoreId;

/// The shard that a table lies on. Every checksum is seeded with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShardIdent {
    /// Store.
    pub store: StoreId,
    /// Shard.
    pub shard: u8,
}

/// How slot files grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GrowthOptions {
    /// Least growth, bytes.
    pub min_bytes: u64,
    /// Growth as a part of what is allocated: one `fraction`-th.
    pub fraction: u64,
}

impl Default for GrowthOptions {
    fn default() -> Self {
        Self { min_bytes: 2 << 20, fraction: 16 }
    }
}

/// How a table uses memory and disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FixedOptions {
    /// Ask for huge pages.
    pub huge_pages: bool,
    /// Write pages to the double-write area before they are written in place. Then at most one checkpoint may run
    /// on a shard at a time, whichever table it is of: the tables of a shard share one area.
    pub torn_page_protection: bool,
    /// How slot files grow.
    pub growth: GrowthOptions,
    /// Pages copied and written at once by a checkpoint, bytes. At least one page is taken.
    pub batch_bytes: usize,
}

impl Default for FixedOptions {
    fn default() -> Self {
        Self {
            huge_pages: true,
            torn_page_protection: false,
            growth: GrowthOptions::default(),
            batch_bytes: 1 << 20,
        }
    }
}
