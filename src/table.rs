//! A handle to a table of keys and values whose lengths are known at run time.

use crate::error::{Error, Result};
use crate::iter::Iter;
use crate::stats::TableInfo;
use crate::store::{StoreInner, TableShared, refuse_in_update};
use slotcask_fixed::{SlotMeta, SlotReader};
use slotcask_format::schema::Placement;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// A fixed table: keys of one length, values of one length. Cheap to clone; keeps its store open.
///
/// Reads take no lock and never wait for writers. A plain read may see what a crash undoes, when it was written `Buffered` or is
/// not yet flushed; [`Table::get_durable`] does not. All methods may be called from any thread.
#[derive(Debug, Clone)]
pub struct Table {
    pub(crate) store: Arc<StoreInner>,
    pub(crate) shared: Arc<TableShared>,
}

/// Where a key lives.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Route {
    pub shard: usize,
    pub hash: u64,
}

impl Table {
    pub(crate) fn new(store: Arc<StoreInner>, shared: Arc<TableShared>) -> Self {
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
    pub(crate) fn route(&self, key: &[u8]) -> Route {
        let shard = match self.shared.schema.placement {
            Placement::Hashed => self.store.route(key) as usize,
            Placement::Pinned(shard) => usize::from(shard),
        };
        Route { shard, hash: xxh3_64_with_seed(key, self.store.hash_seed) }
    }

    #[inline]
    pub(crate) fn reader(&self, shard: usize) -> &SlotReader {
        self.shared.readers[shard].as_ref().expect("a key is routed to a shard that has its table")
    }

    #[inline]
    pub(crate) fn check_key(&self, key: &[u8]) -> Result<()> {
        if key.len() == self.shared.layout.key_len {
            Ok(())
        } else {
            Err(self.key_length(key.len()))
        }
    }

    #[inline]
    pub(crate) fn check_value(&self, value: &[u8]) -> Result<()> {
        if value.len() == self.shared.layout.value_len {
            Ok(())
        } else {
            Err(self.value_length(value.len()))
        }
    }

    #[cold]
    fn key_length(&self, found: usize) -> Error {
        Error::KeyLength {
            table: self.name().to_owned(),
            expected: self.shared.layout.key_len,
            found,
        }
    }

    #[cold]
    fn value_length(&self, found: usize) -> Error {
        Error::ValueLength {
            table: self.name().to_owned(),
            expected: self.shared.layout.value_len,
            found,
        }
    }

    #[inline]
    pub(crate) fn check_readable(&self) -> Result<()> {
        if self.shared.dropped.load(Ordering::Relaxed) || self.store.closed.load(Ordering::Acquire)
        {
            return Err(self.unreadable());
        }
        Ok(())
    }

    #[cold]
    fn unreadable(&self) -> Error {
        if self.shared.dropped.load(Ordering::Relaxed) { self.dropped() } else { Error::Closed }
    }

    #[cold]
    pub(crate) fn dropped(&self) -> Error {
        match self.shared.interrupted.get() {
            Some(cause) => Error::CatalogueInterrupted { cause: cause.clone() },
            None => Error::TableDropped { table: self.name().to_owned() },
        }
    }

    /// The value of `key`.
    ///
    /// # Errors
    /// [`Error::KeyLength`], [`Error::TableDropped`], [`Error::Closed`].
    pub fn get(&self, key: impl AsRef<[u8]>) -> Result<Option<Vec<u8>>> {
        let mut value = vec![0; self.shared.layout.value_len];
        Ok(self.get_into(key, &mut value)?.then_some(value))
    }

    /// Copies the value of `key` into `out`, which is as long as the table's values; false when there is none.
    ///
    /// # Errors
    /// As [`Table::get`], and [`Error::ValueLength`].
    #[inline]
    pub fn get_into(&self, key: impl AsRef<[u8]>, out: &mut [u8]) -> Result<bool> {
        let key = key.as_ref();
        self.check_key(key)?;
        self.check_value(out)?;
        self.check_readable()?;
        let route = self.route(key);
        let found = self.reader(route.shard).get(route.hash, key, out);
        Ok(found.is_some_and(|(_, meta)| !self.is_over(&meta)))
    }

    /// The value of `key`, once it is durable: what this answers no crash undoes. A key that is missing is missing durably.
    ///
    /// A value whose deadline has passed is missing as well, and of the time the store knows over restarts what it has recorded: each flush and each
    /// checkpoint notes how late it is. Where nothing was written since the deadline and the process is killed, or the power fails, an opening by a clock that was set back
    /// finds the value again. Any durable write after the read rules that out.
    ///
    /// # Errors
    /// As [`Table::get`], and [`Error::Poisoned`] when the shard failed before what was seen was durable.
    pub fn get_durable(&self, key: impl AsRef<[u8]>) -> Result<Option<Vec<u8>>> {
        let key = key.as_ref();
        let mut value = vec![0; self.shared.layout.value_len];
        self.check_key(key)?;
        self.check_readable()?;
        let route = self.route(key);
        let seen = self.reader(route.shard).get(route.hash, key, &mut value);
        let seen = seen.filter(|(_, meta)| !self.is_over(meta));
        self.wait_for_seen(route.shard, seen.map(|(_, meta)| meta))?;
        Ok(seen.map(|_| value))
    }

    /// Waits until what was seen is durable: the record that wrote the slot, or, for a missing key, everything so far.
    pub(crate) fn wait_for_seen(&self, shard: usize, seen: Option<SlotMeta>) -> Result<()> {
        let Some(shard) = self.store.shards.get(shard) else { return Ok(()) };
        refuse_in_update()?;
        let sequence = match seen {
            Some(meta) => meta.sequence,
            None => shard.lock().last_sequence(),
        };
        shard.wait_durable(sequence, None)
    }

    /// The values of `keys`, in their order. Faster than as many single gets: memory is fetched ahead.
    ///
    /// # Errors
    /// As [`Table::get`]; one key of a wrong length fails the call.
    pub fn get_many<K: AsRef<[u8]>>(&self, keys: &[K]) -> Result<Vec<Option<Vec<u8>>>> {
        for key in keys {
            self.check_key(key.as_ref())?;
        }
        self.check_readable()?;
        let routes: Vec<Route> = keys.iter().map(|key| self.route(key.as_ref())).collect();
        let mut values = Vec::with_capacity(keys.len());
        for (keys, routes) in keys.chunks(GROUP).zip(routes.chunks(GROUP)) {
            self.prefetch(routes);
            for (key, route) in keys.iter().zip(routes) {
                let mut value = vec![0; self.shared.layout.value_len];
                let found = self.reader(route.shard).get(route.hash, key.as_ref(), &mut value);
                let live = found.is_some_and(|(_, meta)| !self.is_over(&meta));
                values.push(live.then_some(value));
            }
        }
        Ok(values)
    }

    /// Fetches buckets, then slots, of a group of keys into the cache.
    #[inline]
    pub(crate) fn prefetch(&self, routes: &[Route]) {
        for route in routes {
            self.reader(route.shard).prefetch(route.hash);
        }
        for route in routes {
            self.reader(route.shard).prefetch_slot(route.hash);
        }
    }

    /// True when `key` is there.
    ///
    /// # Errors
    /// As [`Table::get`].
    pub fn contains(&self, key: impl AsRef<[u8]>) -> Result<bool> {
        let key = key.as_ref();
        self.check_key(key)?;
        self.check_readable()?;
        let route = self.route(key);
        let found = self.reader(route.shard).contains(route.hash, key);
        Ok(found.is_some_and(|meta| !self.is_over(&meta)))
    }

    /// All keys and values, shard by shard, in no order. Weakly consistent: each pair was there at some moment of the iteration;
    /// a key that is deleted and put again meanwhile may come twice or not at all; others come exactly once.
    #[must_use]
    pub fn iter(&self) -> Iter {
        Iter::new(self.clone())
    }
}

/// Keys whose memory is fetched together.
pub(crate) const GROUP: usize = 32;
