//! What all handles of a cask table share, and the handle.

use crate::error::{Error, Result};
use crate::options::WriteOptions;
use crate::shard::{Shard, ShardState};
use crate::stats::TableInfo;
use crate::store::StoreInner;
use crate::write::Obstacle;
use slotcask_cask::{CacheKey, KeyHash, Keydir};
use slotcask_format::record::record_size;
use slotcask_format::schema::{Placement, TableSchema};
use slotcask_log::Guard;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// What all handles of a table share.
#[derive(Debug)]
pub(crate) struct CaskShared {
    pub id: u32,
    pub schema: TableSchema,
    /// By shard; None where the table has no keys.
    pub keydirs: Vec<Option<Arc<Keydir>>>,
    /// Of no use any more: dropped, or cleared on some shards only.
    pub dropped: AtomicBool,
    /// What interrupted a clear.
    pub interrupted: OnceLock<String>,
}

impl CaskShared {
    pub(crate) fn new(id: u32, schema: TableSchema, keydirs: Vec<Option<Arc<Keydir>>>) -> Self {
        Self { id, schema, keydirs, dropped: AtomicBool::new(false), interrupted: OnceLock::new() }
    }
}

/// A cask table: keys and values of any length up to the table's maxima. Cheap to clone; keeps its store open.
///
/// Values live on disk, a bounded number of them in a cache; for each key 16 bytes or a little more are kept in memory, however long it
/// is. A plain read may see what a crash undoes, when it was written `Buffered` or is not yet flushed; [`CaskTable::get_durable`]
/// does not. All methods may be called from any thread.
#[derive(Debug, Clone)]
pub struct CaskTable {
    pub(crate) store: Arc<StoreInner>,
    pub(crate) shared: Arc<CaskShared>,
}

/// Where a key lives.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CaskRoute {
    pub shard: usize,
    pub hash: KeyHash,
}

impl CaskShared {
    pub(crate) fn len(&self) -> u64 {
        self.keydirs.iter().flatten().map(|keydir| keydir.len()).sum()
    }

    pub(crate) fn info(&self) -> TableInfo {
        TableInfo {
            id: self.id,
            name: self.schema.name.clone(),
            kind: self.schema.kind,
            placement: self.schema.placement,
            key_len: self.schema.key_len as usize,
            value_len: self.schema.value_len as usize,
            deadlines: true,
            ordered: self.schema.ordered,
            slot_count_max: 0,
            slot_size: 0,
            len: self.len(),
            memory_bytes: self.keydirs.iter().flatten().map(|keydir| keydir.memory_bytes()).sum(),
            compression: self.schema.compression.clone(),
        }
    }
}

impl CaskTable {
    pub(crate) fn new(store: Arc<StoreInner>, shared: Arc<CaskShared>) -> Self {
        Self { store, shared }
    }

    /// Name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.shared.schema.name
    }

    /// What the table is, and how much it holds.
    #[must_use]
    pub fn info(&self) -> TableInfo {
        self.shared.info()
    }

    /// Number of keys, those included whose deadline has passed and that were not reclaimed yet. Exact when nobody writes.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.shared.len()
    }

    /// True when there is no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    #[inline]
    pub(crate) fn route(&self, key: &[u8]) -> CaskRoute {
        let shard = match self.shared.schema.placement {
            Placement::Hashed => self.store.route(key) as usize,
            Placement::Pinned(shard) => usize::from(shard),
        };
        CaskRoute { shard, hash: KeyHash::of(self.store.hash_seed, key) }
    }

    #[inline]
    pub(crate) fn keydir(&self, shard: usize) -> &Keydir {
        self.shared.keydirs[shard].as_ref().expect("a key is routed to a shard that has its table")
    }

    /// Asks for the memory in which a key is looked up, in keydir and cache. A hint.
    #[inline]
    pub(crate) fn prefetch(&self, route: CaskRoute) {
        self.keydir(route.shard).prefetch(route.hash);
        let cache_key = CacheKey::new(self.shared.id, route.hash);
        self.store.shelves[route.shard].cache.prefetch(cache_key);
    }

    /// Asks for the memory that a put of a key uses, in keydir and cache. A hint.
    #[inline]
    pub(crate) fn prefetch_put(&self, route: CaskRoute) {
        self.keydir(route.shard).prefetch_put(route.hash);
        let cache_key = CacheKey::new(self.shared.id, route.hash);
        self.store.shelves[route.shard].cache.prefetch(cache_key);
    }

    #[inline]
    pub(crate) fn check_key(&self, key: &[u8]) -> Result<()> {
        let max = self.shared.schema.key_len as usize;
        if key.len() <= max {
            return Ok(());
        }
        Err(Error::KeyTooLong { table: self.name().to_owned(), max, found: key.len() })
    }

    /// Checks that a pair could be put, for its lengths; writes nothing. A pair fits the table, and a segment of the log.
    ///
    /// # Errors
    /// [`Error::KeyTooLong`], [`Error::ValueTooLong`].
    #[inline]
    pub fn check_pair(&self, key: &[u8], value: &[u8]) -> Result<()> {
        self.check_key(key)?;
        let max = self.shared.schema.value_len as usize;
        let size = record_size(EXTENSION_ROOM, key.len(), value.len());
        if value.len() <= max && size <= self.store.batch_len_max {
            return Ok(());
        }
        // Records are whole words long.
        let log_max = self.store.batch_len_max / 8 * 8;
        let table = self.name().to_owned();
        match log_max.checked_sub(record_size(EXTENSION_ROOM, 0, 0) + key.len()) {
            Some(room) => {
                Err(Error::ValueTooLong { table, max: max.min(room), found: value.len() })
            }
            None => {
                let max = log_max - record_size(EXTENSION_ROOM, 0, 0);
                Err(Error::KeyTooLong { table, max, found: key.len() })
            }
        }
    }

    /// `value` as it is stored, when the table compresses and that makes it shorter. Not under a lock where it can be helped.
    #[inline]
    pub(crate) fn pack(&self, value: &[u8]) -> Option<Vec<u8>> {
        // Tables with a compression that this build does not have are not opened.
        self.shared.schema.compression.as_ref()?;
        slotcask_cask::compress(value)
    }

    #[inline]
    pub(crate) fn check_readable(&self) -> Result<()> {
        if self.shared.dropped.load(Ordering::Relaxed) {
            return Err(self.dropped());
        }
        self.store.check_open()
    }

    #[cold]
    pub(crate) fn dropped(&self) -> Error {
        match self.shared.interrupted.get() {
            Some(cause) => Error::CatalogueInterrupted { cause: cause.clone() },
            None => Error::TableDropped { table: self.name().to_owned() },
        }
    }

    /// The keydir behind the lock, if writes may go there.
    #[inline]
    pub(crate) fn check_locked(
        &self,
        guard: &mut Guard<'_, ShardState>,
    ) -> std::result::Result<(), Obstacle> {
        let state = guard.state();
        if state.closed {
            return Err(Obstacle::Error(Error::Closed));
        }
        if !state.epoch_open {
            return Err(Obstacle::Epoch);
        }
        if state.casks.contains_key(&self.shared.id) && state.interrupted != self.shared.id {
            Ok(())
        } else {
            Err(Obstacle::Error(self.dropped()))
        }
    }

    pub(crate) fn deadline(&self, options: &WriteOptions) -> Option<Duration> {
        self.store.deadline(options)
    }

    #[inline]
    pub(crate) fn shard(&self, at: usize) -> &Arc<Shard> {
        &self.store.shards[at]
    }
}

/// Room for the extension of a record: a deadline.
pub(crate) const EXTENSION_ROOM: usize = 16;
