//! How a store, a table, a write are asked to behave.

use crate::error::{Error, Result};
use crate::store::Store;
use slotcask_format::BLOCK_SIZE;
use slotcask_format::schema::{Placement, TableKind, TableSchema};
use slotcask_format::slot::SlotLayout;
use slotcask_format::superblock::{
    SEGMENT_COUNT_MIN, SEGMENT_SIZE_MAX, SEGMENT_SIZE_MIN, SHARD_COUNT_MAX,
};
use slotcask_io::{Env, OsDisk, OsEntropy, OsOptions, SystemClock};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// When a write is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// When it is durable: it survives a crash of the process and a power failure.
    #[default]
    Sync,
    /// When it is in memory. It is flushed and synced within `flush_interval`; a crash of the process or a power failure may
    /// lose what was written since the last flush, always a suffix of each shard's writes.
    Buffered,
}

/// Options of a store. What is recorded at creation (shards, prefix bits, log size, torn page protection) is not compared
/// when an existing store is opened, except where it was set explicitly and differs: then opening is refused.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    pub(crate) shards: Option<u32>,
    pub(crate) shard_prefix_bits: Option<u32>,
    pub(crate) durability: Durability,
    pub(crate) flush_interval: Duration,
    pub(crate) log_size: Option<u64>,
    pub(crate) segment_size: Option<u64>,
    pub(crate) create: bool,
    pub(crate) read_only: bool,
    pub(crate) lock_timeout: Duration,
    pub(crate) torn_page_protection: Option<bool>,
    pub(crate) huge_pages: bool,
    pub(crate) background: bool,
    pub(crate) batch_threads: bool,
    pub(crate) adopt_copy: bool,
    pub(crate) direct_io: bool,
    pub(crate) io_uring: bool,
    pub(crate) checkpoint_batch: usize,
    pub(crate) value_cache: u64,
    pub(crate) merge_rate: Option<u64>,
    pub(crate) map_data: bool,
    pub(crate) scrub_rate: u64,
}

/// Bytes of log of a store, unless told otherwise.
pub const LOG_SIZE_DEFAULT: u64 = 256 << 20;

/// Bytes that the scrub of a store reads in a second, unless told otherwise.
pub const SCRUB_RATE_DEFAULT: u64 = 4 << 20;

/// Longest wait for the lock of a store, unless told otherwise.
pub const LOCK_TIMEOUT_DEFAULT: Duration = Duration::from_secs(1);

impl Default for Options {
    fn default() -> Self {
        Self {
            shards: None,
            shard_prefix_bits: None,
            durability: Durability::Sync,
            flush_interval: Duration::from_millis(100),
            log_size: None,
            segment_size: None,
            create: true,
            read_only: false,
            lock_timeout: LOCK_TIMEOUT_DEFAULT,
            torn_page_protection: None,
            huge_pages: true,
            background: true,
            batch_threads: true,
            adopt_copy: false,
            direct_io: true,
            io_uring: true,
            checkpoint_batch: 1 << 20,
            value_cache: VALUE_CACHE_DEFAULT,
            merge_rate: None,
            map_data: false,
            scrub_rate: SCRUB_RATE_DEFAULT,
        }
    }
}

impl Options {
    /// The defaults: `Sync` durability, as many shards as cores but at most 4, 256 MiB of log.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of shards, 1 to 255. Recorded at creation. Default: the number of cores, at most 4.
    #[must_use]
    pub fn shards(mut self, count: u32) -> Self {
        self.shards = Some(count);
        self
    }

    /// Bits of a key's front that choose its shard; 0, the default, for the whole key. Recorded at creation.
    #[must_use]
    pub fn shard_prefix_bits(mut self, bits: u32) -> Self {
        self.shard_prefix_bits = Some(bits);
        self
    }

    /// Durability of writes that do not say otherwise. Default: [`Durability::Sync`].
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Longest time that a buffered write stays in memory only. Default: 100 ms.
    #[must_use]
    pub fn flush_interval(mut self, interval: Duration) -> Self {
        self.flush_interval = interval;
        self
    }

    /// Bytes of log of the whole store, split evenly over the shards. Recorded at creation. Default: 256 MiB.
    #[must_use]
    pub fn log_size(mut self, bytes: u64) -> Self {
        self.log_size = Some(bytes);
        self
    }

    /// Bytes of a log segment, whole blocks of 4096. Default: an eighth of a shard's log, at most 64 MiB.
    #[must_use]
    pub fn segment_size(mut self, bytes: u64) -> Self {
        self.segment_size = Some(bytes);
        self
    }

    /// Whether to create a store where there is none. Default: true.
    #[must_use]
    pub fn create(mut self, yes: bool) -> Self {
        self.create = yes;
        self
    }

    /// Longest time to wait for a store that is open elsewhere; 0 for not at all. The lock of a killed process is held until
    /// the kernel has done the last of its writes, some milliseconds. Default: 1 s.
    #[must_use]
    pub fn lock_timeout(mut self, timeout: Duration) -> Self {
        self.lock_timeout = timeout;
        self
    }

    /// Opens for reading only: nothing is written. A store that was not closed cleanly is recovered in memory, by the same rules and
    /// with the same report as an opening for writing; what that would write again, because nothing proves it to be durable, is served
    /// as it stands. Several may have it open for reading at once; they keep writers out. Also where one may not write at all: there it is not kept closed
    /// for writers, only what they do while it is opened is noticed, or when it makes a get fail. Default: false.
    #[must_use]
    pub fn read_only(mut self, yes: bool) -> Self {
        self.read_only = yes;
        self
    }

    /// Writes slot pages twice, for devices that may destroy a block that is in flight at power loss (see `docs/MEDIA.md`).
    /// Recorded at creation. Default: false.
    #[must_use]
    pub fn torn_page_protection(mut self, yes: bool) -> Self {
        self.torn_page_protection = Some(yes);
        self
    }

    /// Asks the kernel for huge pages for slots, index, keydirs and cached values. Default: true.
    #[must_use]
    pub fn huge_pages(mut self, yes: bool) -> Self {
        self.huge_pages = yes;
        self
    }

    /// Runs a thread per shard. Without, the caller drives [`Store::poll`]; writers do themselves what they need. Default: true.
    #[must_use]
    pub fn background(mut self, yes: bool) -> Self {
        self.background = yes;
        self
    }

    /// Has these threads scheduled as batch work (SCHED_BATCH), so that they do not interrupt writers when they wake. Turn it off where
    /// a seccomp filter kills who calls `sched_setscheduler`, as systemd's `SystemCallFilter=~@resources` does; and where all processors are busy
    /// and futures wait for tickets, which these threads flush. Default: true.
    #[must_use]
    pub fn batch_threads(mut self, yes: bool) -> Self {
        self.batch_threads = yes;
        self
    }

    /// Takes over a copied directory, or one whose lock file was lost: it gets a node id of its own, and its next epoch is `restored`. No process may
    /// have the directory open: a lock file that is gone keeps nobody out. Default: false.
    #[must_use]
    pub fn adopt_copy(mut self, yes: bool) -> Self {
        self.adopt_copy = yes;
        self
    }

    /// Bypasses the page cache where the file system can. Default: true.
    #[must_use]
    pub fn direct_io(mut self, yes: bool) -> Self {
        self.direct_io = yes;
        self
    }

    /// Uses io_uring where the kernel offers it. Default: true.
    #[must_use]
    pub fn io_uring(mut self, yes: bool) -> Self {
        self.io_uring = yes;
        self
    }

    /// Bytes of pages that a checkpoint copies before it writes them. Default: 1 MiB.
    #[must_use]
    pub fn checkpoint_batch(mut self, bytes: usize) -> Self {
        self.checkpoint_batch = bytes;
        self
    }

    /// Bytes of memory for values of cask tables that were read, over all shards; 0 for none. A value larger than 1.5 MiB, or than a third of a
    /// shard's share where that is less than 4 MiB, is not kept; one of a tenth of that or more when it is read for the second time. Default: 64 MiB.
    #[must_use]
    pub fn value_cache(mut self, bytes: u64) -> Self {
        self.value_cache = bytes;
        self
    }

    /// Bytes of pages of fixed tables that the store's threads read back in a second, to find pages that rotted while memory can
    /// still mend them; 0 for none. Reads go past the page cache where the file system can. Default: 4 MiB, over all shards.
    #[must_use]
    pub fn scrub_rate(mut self, bytes_per_second: u64) -> Self {
        self.scrub_rate = bytes_per_second;
        self
    }

    /// Most bytes that the merge of a shard reads in a second. Default: no limit, and writers are slowed down when merges fall behind, so that space
    /// has a bound. With a limit they are not, and space grows for as long as more is overwritten than is merged. A merge makes up for
    /// the checkpoints in its middle, of up to a minute each; of any other time in which it was kept from reading (by a machine that slept), for one second.
    #[must_use]
    pub fn merge_rate(mut self, bytes_per_second: u64) -> Self {
        self.merge_rate = Some(bytes_per_second.max(1));
        self
    }

    /// Has data files of cask tables read in memory (mmap), through the page cache, where they are read past it otherwise. For values that are
    /// read more often than the value cache holds them, on a machine with memory to spare. Checksums are compared all the same; but where
    /// the device cannot read a page of a mapped file, or another process has made the file shorter since, the system ends the process (SIGBUS),
    /// where a plain read is an error. Default: false.
    #[must_use]
    pub fn map_data_files(mut self, yes: bool) -> Self {
        self.map_data = yes;
        self
    }

    /// Opens the store in the directory `path`, or creates it.
    ///
    /// # Errors
    /// [`Error`]; nothing changes on disk when the options are wrong, the store is locked, foreign, newer or corrupt.
    pub fn open(self, path: impl AsRef<Path>) -> Result<Store> {
        let disk = OsDisk::new(OsOptions { direct: self.direct_io, uring: self.io_uring });
        let env = Env {
            disk: Arc::new(disk),
            clock: Arc::new(SystemClock::new()),
            entropy: Arc::new(OsEntropy),
        };
        self.open_in(env, path)
    }

    /// As [`Options::open`], in a world of the caller's: a simulated disk, a clock that is set.
    ///
    /// # Errors
    /// As [`Options::open`].
    pub fn open_in(self, env: Env, path: impl AsRef<Path>) -> Result<Store> {
        self.validate()?;
        Store::open_with(env, path.as_ref(), self)
    }

    fn validate(&self) -> Result<()> {
        let bad = |option, reason: String| Err(Error::Options { option, reason });
        if let Some(shards) = self.shards
            && (shards == 0 || shards > SHARD_COUNT_MAX)
        {
            return bad("shards", format!("{shards} is not between 1 and {SHARD_COUNT_MAX}"));
        }
        if let Some(bits) = self.shard_prefix_bits
            && bits > 64
        {
            return bad("shard_prefix_bits", format!("{bits} is over the maximum of 64"));
        }
        if self.flush_interval < Duration::from_millis(1)
            || self.flush_interval > Duration::from_secs(60)
        {
            return bad(
                "flush_interval",
                format!("{:?} is not between 1 ms and 60 s", self.flush_interval),
            );
        }
        if self.checkpoint_batch < BLOCK_SIZE || self.checkpoint_batch > 64 << 20 {
            return bad(
                "checkpoint_batch",
                format!("{} is not between 4 KiB and 64 MiB", self.checkpoint_batch),
            );
        }
        self.log_geometry(self.shards.unwrap_or(1)).map(|_| ())
    }

    /// Segment size and number of segments per shard.
    pub(crate) fn log_geometry(&self, shards: u32) -> Result<(u64, u32)> {
        let bad = |option, reason: String| Err(Error::Options { option, reason });
        let block = BLOCK_SIZE as u64;
        let log = self.log_size.unwrap_or(LOG_SIZE_DEFAULT) / u64::from(shards);
        let segment = match self.segment_size {
            Some(size) => size,
            None => (log / 8 / block * block).clamp(SEGMENT_SIZE_MIN, 64 << 20),
        };
        if segment % block != 0 || !(SEGMENT_SIZE_MIN..=SEGMENT_SIZE_MAX).contains(&segment) {
            return bad(
                "segment_size",
                format!(
                    "{segment} is not a multiple of {block} between {SEGMENT_SIZE_MIN} and {SEGMENT_SIZE_MAX}"
                ),
            );
        }
        let count = log / segment;
        if count < u64::from(SEGMENT_COUNT_MIN) {
            let least = u64::from(SEGMENT_COUNT_MIN) * segment * u64::from(shards);
            return bad("log_size", format!("at least {least} bytes are needed, shards: {shards}"));
        }
        match u32::try_from(count) {
            Ok(count) => Ok((segment, count)),
            Err(_) => bad(
                "log_size",
                format!("{count} segments a shard are too many; raise segment_size"),
            ),
        }
    }
}

/// Options of a table.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TableOptions {
    pub(crate) key_len: usize,
    pub(crate) value_len: usize,
    pub(crate) placement: Placement,
    pub(crate) deadlines: bool,
    pub(crate) slot_count_max: Option<u32>,
    pub(crate) ordered: bool,
}

/// Bytes of values in memory, unless told otherwise.
pub const VALUE_CACHE_DEFAULT: u64 = 64 << 20;

/// Most slots of a table, unless told otherwise, or its slots are so large that [`ADDRESS_SPACE_DEFAULT`] has no room for as many.
pub const SLOT_COUNT_MAX_DEFAULT: u32 = 1 << 28;

/// Most address space that a table reserves over all shards, bytes, unless told how many slots it may have. A process has some 128 TiB.
pub const ADDRESS_SPACE_DEFAULT: u64 = 16 << 40;

impl TableOptions {
    /// A table of keys and values of fixed length, in bytes: keys 1 to 4096, values 0 to 1 MiB.
    #[must_use]
    pub const fn fixed(key_len: usize, value_len: usize) -> Self {
        Self {
            key_len,
            value_len,
            placement: Placement::Hashed,
            deadlines: false,
            slot_count_max: None,
            ordered: false,
        }
    }

    /// Puts all keys on one shard, so that batches may hold any of them.
    #[must_use]
    pub const fn pinned(mut self, shard: u8) -> Self {
        self.placement = Placement::Pinned(shard);
        self
    }

    /// Reserves a deadline in each slot (8 bytes), for values that vanish: [`WriteOptions::ttl`]. Default: false.
    #[must_use]
    pub const fn deadlines(mut self, yes: bool) -> Self {
        self.deadlines = yes;
        self
    }

    /// Has the table know the order of its keys: ranges, prefixes, first and last, range deletes. Costs up to 40 bytes of memory more for a key of
    /// 16 bytes, and time in puts of new keys and in deletes. Default: false.
    #[must_use]
    pub const fn ordered(mut self, yes: bool) -> Self {
        self.ordered = yes;
        self
    }

    /// Most slots over all shards; bounds memory and disk. Shards are granted slots some at a time: one may be refused while another has slots left that it
    /// was granted. Each shard reserves address space for all of them. Default: 2^28 ([`SLOT_COUNT_MAX_DEFAULT`]), or as many as 16 TiB of address space
    /// ([`ADDRESS_SPACE_DEFAULT`]) have room for, which is fewer where slots over all shards take more than 64 KiB.
    #[must_use]
    pub const fn slot_count_max(mut self, count: u32) -> Self {
        self.slot_count_max = Some(count);
        self
    }

    /// The schema of such a table in a store of so many shards.
    pub(crate) fn schema(&self, name: &str, shards: u32) -> Result<TableSchema> {
        let len = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
        let mut schema = TableSchema {
            name: name.to_owned(),
            kind: TableKind::Fixed,
            placement: self.placement,
            key_len: len(self.key_len),
            value_len: len(self.value_len),
            deadlines: self.deadlines,
            slot_count_max: self.slot_count_max.unwrap_or(SLOT_COUNT_MAX_DEFAULT),
            compression: None,
            ordered: self.ordered,
        };
        let invalid = schema.invalid();
        if invalid.is_none() && self.slot_count_max.is_none() {
            let holders = if matches!(self.placement, Placement::Hashed) { shards } else { 1 };
            let each = ADDRESS_SPACE_DEFAULT / u64::from(holders.max(1));
            let fit = each / SlotLayout::of(&schema).slot_size as u64;
            schema.slot_count_max = SLOT_COUNT_MAX_DEFAULT.min(fit.try_into().unwrap_or(u32::MAX));
        }
        match invalid {
            Some(reason) => {
                Err(Error::Schema { table: name.to_owned(), reason: reason.to_string() })
            }
            None => Ok(schema),
        }
    }
}

/// Options of a write.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct WriteOptions {
    pub(crate) durability: Option<Durability>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) vanish: Option<Vanish>,
}

/// When a value vanishes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Vanish {
    /// So long after it is written.
    After(Duration),
    /// At this time, milliseconds since 1970.
    At(u64),
}

impl WriteOptions {
    /// The store's durability, and no time limit.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Durability of this write.
    #[must_use]
    pub const fn durability(mut self, durability: Durability) -> Self {
        self.durability = Some(durability);
        self
    }

    /// Has the value vanish so long after it is written, in whole milliseconds. At once, for every read; its space is given back
    /// later. A put without this lets the value stay. For cask tables, and fixed tables that were created with
    /// [`TableOptions::deadlines`].
    ///
    /// How far time has come is recorded with every flush and checkpoint, and never goes back behind that. Where the power fails after a
    /// deadline, nothing was flushed since, and the wall clock is set back, the value is seen again until its time comes once more.
    #[must_use]
    pub const fn ttl(mut self, ttl: Duration) -> Self {
        self.vanish = Some(Vanish::After(ttl));
        self
    }

    /// Has the value vanish at this time, in milliseconds since 1970; otherwise as [`WriteOptions::ttl`].
    #[must_use]
    pub const fn deadline_ms(mut self, deadline_ms: u64) -> Self {
        self.vanish = Some(Vanish::At(deadline_ms));
        self
    }

    /// When a value that is written now with these options vanishes.
    pub(crate) fn vanishes_at(&self, now_ms: impl FnOnce() -> u64) -> Result<Option<u64>> {
        let Some(vanish) = self.vanish else { return Ok(None) };
        let now = now_ms();
        let deadline = match vanish {
            Vanish::At(deadline) => Some(deadline),
            Vanish::After(ttl) => u64::try_from(ttl.as_millis())
                .ok()
                .filter(|ttl| *ttl > 0)
                .and_then(|ttl| now.checked_add(ttl)),
        };
        match deadline {
            Some(deadline) if deadline > now && deadline < u64::MAX => Ok(Some(deadline)),
            _ => Err(Error::Deadline { deadline_ms: deadline, now_ms: now }),
        }
    }

    /// Longest time to wait, for room in the log and for durability together. It is not looked at in the middle of a checkpoint that the writer takes
    /// itself, as it does where a store has no threads of its own.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}
