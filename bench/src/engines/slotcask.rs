//! slotcask: one fixed table, all options at their defaults but the durability that the row names.

use crate::engine::{Engine, Mode, Outcome, Reader};
use crate::workload::{Key, Random, Value, key, value};
use slotcask::{Durability, Error, FixedMap, Options, Store, Ticket, WriteOptions};
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Name of the table.
const TABLE: &str = "bench";
/// Bytes of log of a store with default options.
pub const LOG_SIZE: u64 = slotcask::LOG_SIZE_DEFAULT;

/// Longest wait for a store that another process has open.
const LOCKED_MAX: Duration = Duration::from_secs(10);
/// Pause between two attempts to open such a store.
const LOCKED_PAUSE: Duration = Duration::from_millis(1);

/// Opens a store. It stays locked until the kernel has ended the writes of the process that had it open, which may be
/// moments after that process is gone. The wait is part of opening and is measured with it.
pub(super) fn open_waiting(options: &Options, dir: &Path) -> Outcome<Store> {
    let start = Instant::now();
    loop {
        match options.clone().open(dir) {
            Err(Error::Locked { .. }) if start.elapsed() < LOCKED_MAX => sleep(LOCKED_PAUSE),
            opened => return Ok(opened?),
        }
    }
}

/// One store with one table.
pub struct Slotcask {
    store: Store,
    map: FixedMap<Key, Value>,
}

impl Reader for &Slotcask {
    #[inline(always)]
    fn get(&self, key: &Key) -> Outcome<Option<Value>> {
        Ok(self.map.get(key)?)
    }
}

impl Slotcask {
    /// The table.
    #[must_use]
    pub const fn map(&self) -> &FixedMap<Key, Value> {
        &self.map
    }

    /// The store.
    #[must_use]
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// Loads `keys` keys without waiting for the device, whatever durability the store was opened with.
    ///
    /// # Errors
    /// The engine's.
    pub fn load_buffered(&self, keys: u64) -> Outcome<()> {
        let buffered = WriteOptions::default().durability(Durability::Buffered);
        for number in 0..keys {
            self.map.put_with(&key(number), &value(number, 0), &buffered)?;
        }
        self.settle()
    }

    /// Starts a put.
    ///
    /// # Errors
    /// The engine's.
    #[inline]
    pub fn write(&self, key: &Key, value: &Value) -> Outcome<Ticket> {
        Ok(self.map.write(key, value)?)
    }

    /// How full the fullest shard's log is (0 to 1), and how many checkpoints all shards have made.
    fn log_fill(&self) -> (f64, u64) {
        let stats = self.store.stats().expect("not called from inside an update");
        let fill = |used: u64, capacity: u64| used as f64 / capacity.max(1) as f64;
        (
            stats
                .shards
                .iter()
                .map(|shard| fill(shard.log_bytes, shard.log_capacity))
                .fold(0.0, f64::max),
            stats.shards.iter().map(|shard| shard.checkpoints).sum(),
        )
    }
}

impl Engine for Slotcask {
    const NAME: &'static str = "slotcask";
    type Reader<'a> = &'a Self;

    fn open(dir: &Path, mode: Mode) -> Outcome<Self> {
        let durability = match mode {
            Mode::Buffered => Durability::Buffered,
            Mode::Sync => Durability::Sync,
        };
        let store = open_waiting(&Options::new().durability(durability), dir)?;
        let map = store.fixed_map(TABLE)?;
        Ok(Self { store, map })
    }

    fn reader(&self) -> Outcome<&Self> {
        Ok(self)
    }

    #[inline]
    fn put(&self, key: &Key, value: &Value) -> Outcome<()> {
        Ok(self.map.put(key, value)?)
    }

    fn settle(&self) -> Outcome<()> {
        self.store.sync()?;
        Ok(self.store.checkpoint()?)
    }

    fn close(self) -> Outcome<()> {
        Ok(self.store.close()?)
    }

    /// Updates until the log is as full as it gets: the fill is watched over some checkpoints, then reached again.
    fn make_dirty(&self, keys: u64, seed: u64) -> Outcome<()> {
        let mut random = Random::new(seed);
        let mut peak = 0.0_f64;
        let checkpoints_before = self.log_fill().1;
        let wanted = 3 * u64::from(self.store.shard_count());
        // A record of this workload takes 120 bytes of log; twelve logs full of them are more than enough to see it.
        let updates_max = 12 * LOG_SIZE / 120;
        for update in 0..updates_max {
            let number = random.below(keys);
            self.put(&key(number), &value(number, update))?;
            if update.is_multiple_of(4096) {
                let (fill, checkpoints) = self.log_fill();
                if checkpoints >= checkpoints_before + wanted && fill >= 0.95 * peak {
                    return Ok(self.store.sync()?);
                }
                peak = peak.max(fill);
            }
        }
        Ok(self.store.sync()?)
    }
}
