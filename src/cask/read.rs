//! Reads of cask tables.

use crate::cask::shared::{CaskRoute, CaskTable};
use crate::error::{Error, Result};
use slotcask_cask::{CachedRecord, KeyHash, Location};
use slotcask_format::mutants;

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
    /// disk is damaged; [`Error::Io`] when it cannot be read.
    pub fn get(&self, key: impl AsRef<[u8]>) -> Result<Option<Vec<u8>>> {
        let key = key.as_ref();
        self.check_key(key)?;
        self.check_readable()?;
        let found = self.find(self.route(key), key)?;
        Ok(found.map(|found| found.record.value().to_vec()))
    }

    /// Lends the value of `key` to `f`, without a copy where it is cached.
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
        let found = self.find(self.route(key), key)?;
        Ok(found.map(|found| f(found.record.value())))
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

    /// The live record of `key`. Takes no shard lock while it reads the disk, but for a moment where the record may not be
    /// there yet; so not inside an `update`, which holds one.
    pub(crate) fn find(&self, route: CaskRoute, key: &[u8]) -> Result<Option<Found>> {
        crate::store::refuse_in_update()?;
        let keydir = self.keydir(route.shard);
        let shelf = &self.store.shelves[route.shard];
        let log = self.store.shards.get(route.shard).map(|shard| &shard.log);
        let mut at = keydir.get(route.hash);
        while let Some(place) = at {
            if let Some(record) = shelf.read(log, place)? {
                if record.table() != self.shared.id || record.key() != key {
                    // Two keys with one hash are next to impossible, and then the other one is not there. Anything else is not
                    // what was written to this place.
                    let hash = KeyHash::of(self.store.hash_seed, record.key());
                    if record.table() == self.shared.id && hash == route.hash {
                        return Ok(None);
                    }
                    return Err(shelf.misplaced(place));
                }
                if record.deadline_ms().is_some_and(|deadline| deadline <= self.store.now_ms())
                    && !mutants::active("cask_expired_is_visible")
                {
                    return Ok(None);
                }
                return Ok(Some(Found { at: place, record }));
            }
            // The keydir is told of the new place of a record before the old file goes.
            at = keydir.get(route.hash);
            if at == Some(place) && shelf.files.get(place.generation()).is_none() {
                return Err(Error::corrupt(
                    &shelf.path(place),
                    place.offset(),
                    "the file is not there".to_owned(),
                ));
            }
        }
        Ok(None)
    }
}
