//! Reads of cask tables.

use crate::cask::shared::{CaskRoute, CaskTable};
#[cfg(doc)]
use crate::error::Error;
use crate::error::Result;
use slotcask_cask::{CacheKey, CachedRecord, KeyHash, Location, RecordImage};
use slotcask_format::mutants;
use std::cell::Cell;

/// Bytes of the buffer that a thread keeps for values.
const VALUE_KEPT: usize = 64 << 10;

thread_local! {
    /// The value that a thread lends.
    static VALUE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Where a value is that was found.
enum Lent {
    /// In the buffer that was given.
    Copied,
    /// In a record that was read.
    Record(CachedRecord),
}

/// A live record of a key, and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub at: Location,
    pub record: CachedRecord,
}

impl CaskTable {
    /// The value of `key`.
    ///
    /// # Errors
    /// [`Error::KeyTooLong`], [`Error::TableDropped`], [`Error::Closed`], [`Error::Reentered`]; [`Error::Corrupt`] when the record on
    /// disk is damaged; [`Error::Io`] when it cannot be read. [`Error::Locked`] when a store that is open for reading could not be locked, and
    /// somebody who writes to it has used the record's place again.
    pub fn get(&self, key: impl AsRef<[u8]>) -> Result<Option<Vec<u8>>> {
        let key = key.as_ref();
        self.check_key(key)?;
        self.check_readable()?;
        let mut value = Vec::new();
        Ok(self.copy_to(self.route(key), key, &mut value)?.then_some(value))
    }

    /// Lends the value of `key` to `f`: no allocation where it is cached.
    ///
    /// # Errors
    /// As [`CaskTable::get`].
    pub fn get_with<T>(
        &self,
        key: impl AsRef<[u8]>,
        f: impl FnOnce(&[u8]) -> T,
    ) -> Result<Option<T>> {
        let key = key.as_ref();
        self.check_key(key)?;
        self.check_readable()?;
        // `f` may read as well: then that one finds no buffer here, and makes one.
        let mut value = VALUE.take();
        let lent = self.lend(self.route(key), key, &mut value);
        let found = lent.map(|lent| match lent {
            None => None,
            Some(Lent::Copied) => Some(f(&value)),
            Some(Lent::Record(record)) => Some(f(record.value())),
        });
        if value.capacity() <= VALUE_KEPT {
            VALUE.set(value);
        }
        found
    }

    /// True when there is a value for `key`. Reads the record, as [`CaskTable::get`] does: the key has to be compared.
    ///
    /// # Errors
    /// As [`CaskTable::get`].
    pub fn contains(&self, key: impl AsRef<[u8]>) -> Result<bool> {
        self.get_with(key, |_| ()).map(|found| found.is_some())
    }

    /// The value of `key`, once it is durable: what this answers no crash undoes. A key that is missing is missing durably.
    ///
    /// A value whose deadline has passed is missing as well, and of the time the store knows over restarts what it has recorded: each flush and each
    /// checkpoint notes how late it is. Where nothing was written since the deadline and the process is killed, or the power fails, an opening by a clock that was set back
    /// finds the value again. Any durable write after the read rules that out.
    ///
    /// # Errors
    /// As [`CaskTable::get`], and [`Error::Poisoned`] when the shard failed before what was seen was durable.
    pub fn get_durable(&self, key: impl AsRef<[u8]>) -> Result<Option<Vec<u8>>> {
        let key = key.as_ref();
        self.check_key(key)?;
        self.check_readable()?;
        crate::store::refuse_in_update()?;
        let route = self.route(key);
        let found = self.find(route, key)?;
        if let Some(shard) = self.store.shards.get(route.shard) {
            let sequence = match &found {
                Some(found) => found.record.sequence(),
                None => shard.lock().last_sequence(),
            };
            shard.wait_durable(sequence, None)?;
        }
        Ok(found.map(|found| found.record.value().to_vec()))
    }

    /// True when `record`, to which the keydir points, has the value of `key`, and its deadline has not passed.
    #[inline]
    fn is_visible(
        &self,
        route: CaskRoute,
        key: &[u8],
        at: Location,
        record: RecordImage<'_>,
    ) -> Result<bool> {
        if record.table() != self.shared.id || record.key() != key {
            // Two keys with one hash are next to impossible, and then the other one is not there. Anything else is not
            // what was written to this place.
            let hash = KeyHash::of(self.store.hash_seed, record.key());
            if record.table() == self.shared.id && hash == route.hash {
                return Ok(false);
            }
            return Err(self.store.shelves[route.shard].misplaced(at));
        }
        let deadline = record.deadline_ms();
        Ok(deadline.is_none_or(|deadline| deadline > self.store.now_ms())
            || mutants::active("cask_expired_is_visible"))
    }

    /// Copies the value of `key`; false when there is none.
    pub(crate) fn copy_to(
        &self,
        route: CaskRoute,
        key: &[u8],
        value: &mut Vec<u8>,
    ) -> Result<bool> {
        match self.lend(route, key, value)? {
            None => return Ok(false),
            Some(Lent::Copied) => {}
            Some(Lent::Record(record)) => {
                value.clear();
                value.extend_from_slice(record.value());
            }
        }
        Ok(true)
    }

    /// The value of `key`, in `value` or in the record that was read. As [`CaskTable::find`], with less to do where the record is cached.
    fn lend(&self, route: CaskRoute, key: &[u8], value: &mut Vec<u8>) -> Result<Option<Lent>> {
        crate::store::refuse_in_update()?;
        let cache_key = CacheKey::new(self.shared.id, route.hash);
        self.store.shelves[route.shard].cache.prefetch(cache_key);
        let Some(at) = self.keydir(route.shard).get(route.hash) else { return Ok(None) };
        if let Some(is_visible) = self.copy_cached(route, key, at, value)? {
            return Ok(is_visible.then_some(Lent::Copied));
        }
        Ok(self.find(route, key)?.map(|found| Lent::Record(found.record)))
    }

    /// Copies the value of `key`, whose record stands or stood at `at`, if that is cached; false when it has vanished.
    #[inline]
    pub(crate) fn copy_cached(
        &self,
        route: CaskRoute,
        key: &[u8],
        at: Location,
        value: &mut Vec<u8>,
    ) -> Result<Option<bool>> {
        let cache_key = CacheKey::new(self.shared.id, route.hash);
        let copied = self.store.shelves[route.shard].cache.get_with(cache_key, at, |record| {
            let is_visible = self.is_visible(route, key, at, record)?;
            if is_visible {
                value.clear();
                value.extend_from_slice(record.value());
            }
            Ok(is_visible)
        });
        copied.transpose()
    }

    /// The live record of `key`. Takes no shard lock while it reads the disk, but for a moment where the record may not be
    /// there yet; so not inside an `update`, which holds one.
    pub(crate) fn find(&self, route: CaskRoute, key: &[u8]) -> Result<Option<Found>> {
        crate::store::refuse_in_update()?;
        let keydir = self.keydir(route.shard);
        let shelf = &self.store.shelves[route.shard];
        let log = self.store.shards.get(route.shard).map(|shard| &shard.log);
        let cache_key = CacheKey::new(self.shared.id, route.hash);
        shelf.cache.prefetch(cache_key);
        let mut at = keydir.get(route.hash);
        while let Some(place) = at {
            if let Some(record) = shelf.read(log, cache_key, place)? {
                let is_visible = self.is_visible(route, key, place, record.image())?;
                return Ok(is_visible.then_some(Found { at: place, record }));
            }
            // The keydir is told of the new place of a record before the old file goes.
            at = keydir.get(route.hash);
            if at == Some(place) && shelf.files.get(place.generation()).is_none() {
                return Err(shelf.absent(place));
            }
        }
        Ok(None)
    }
}
