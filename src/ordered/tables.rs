//! What scans ask of the two kinds of tables.

use crate::cask::{CaskRoute, CaskTable};
use crate::error::{Error, Result};
use crate::ordered::cursor::{Hit, Source};
use crate::table::Table;
use slotcask_cask::{CacheKey, KeyHash, Location};
use std::fmt::Debug;

mod sealed {
    use super::{Debug, Hit, Result, Source};

    pub trait Sealed: Clone {
        /// The orders of the shards that have keys of the table.
        fn sources(&self) -> Result<Vec<(usize, Source)>>;
        fn check_readable(&self) -> Result<()>;
        /// What is known of a key before its value is fetched.
        type Prepared: Copy + Debug;
        /// Asks for memory that `fetch` of this key will read.
        fn prepare(&self, hit: Hit<'_>) -> Self::Prepared;
        /// Asks for what can be found only once that is there, some keys later.
        fn prepare_more(&self, _hit: Hit<'_>, _known: &mut Self::Prepared) {}
        /// Copies the value of a key; false when there is none any more.
        fn fetch(
            &self,
            hit: Hit<'_>,
            known: Option<Self::Prepared>,
            value: &mut Vec<u8>,
        ) -> Result<bool>;
        /// Finds out whether a key has a value.
        fn is_there(&self, hit: Hit<'_>) -> Result<bool>;
    }
}

/// A table that may know the order of its keys: [`Table`] or [`CaskTable`].
pub trait OrderedTable: sealed::Sealed {}

impl OrderedTable for Table {}
impl OrderedTable for CaskTable {}

impl sealed::Sealed for Table {
    fn sources(&self) -> Result<Vec<(usize, Source)>> {
        if !self.shared.schema.ordered {
            return Err(Error::NotOrdered { table: self.name().to_owned() });
        }
        self.check_readable()?;
        let orders = self.shared.orders.iter().enumerate();
        let there = orders.filter_map(|(shard, order)| Some((shard, order.clone()?)));
        Ok(there.map(|(shard, order)| (shard, Source::Fixed(order))).collect())
    }

    fn check_readable(&self) -> Result<()> {
        Self::check_readable(self)
    }

    type Prepared = ();

    #[inline]
    fn prepare(&self, hit: Hit<'_>) {
        if let Some(slot) = hit.slot {
            self.reader(hit.shard).prefetch_in(slot);
        }
    }

    #[inline]
    fn fetch(&self, hit: Hit<'_>, _: Option<()>, value: &mut Vec<u8>) -> Result<bool> {
        value.resize(self.shared.layout.value_len, 0);
        let reader = self.reader(hit.shard);
        if let Some(meta) = hit.slot.and_then(|slot| reader.get_in(slot, hit.key, value)) {
            return Ok(!self.is_over(&meta));
        }
        // The key was deleted since it was copied, and may have come back in another slot; or it is being written.
        let route = self.route(hit.key);
        let again = reader.get(route.hash, hit.key, value);
        Ok(again.is_some_and(|(_, meta)| !self.is_over(&meta)))
    }

    #[inline]
    fn is_there(&self, hit: Hit<'_>) -> Result<bool> {
        if !self.shared.schema.deadlines {
            return Ok(true);
        }
        let route = self.route(hit.key);
        let meta = self.reader(hit.shard).contains(route.hash, hit.key);
        Ok(meta.is_some_and(|meta| !self.is_over(&meta)))
    }
}

/// What a scan knows of a key before it fetches the value.
#[derive(Debug, Clone, Copy)]
pub struct Sought {
    hash: KeyHash,
    /// The place of its record, once it was looked for.
    at: Option<Location>,
    /// [`slotcask_cask::Keydir::changes`] at that time.
    changes: u64,
}

impl sealed::Sealed for CaskTable {
    fn sources(&self) -> Result<Vec<(usize, Source)>> {
        if !self.shared.schema.ordered {
            return Err(Error::NotOrdered { table: self.name().to_owned() });
        }
        self.check_readable()?;
        let keydirs = self.shared.keydirs.iter().enumerate();
        let there = keydirs.filter_map(|(shard, keydir)| Some((shard, keydir.clone()?)));
        Ok(there.map(|(shard, keydir)| (shard, Source::Cask(keydir))).collect())
    }

    fn check_readable(&self) -> Result<()> {
        Self::check_readable(self)
    }

    type Prepared = Sought;

    #[inline]
    fn prepare(&self, hit: Hit<'_>) -> Self::Prepared {
        let hash = KeyHash::of(self.store.hash_seed, hit.key);
        self.prefetch(CaskRoute { shard: hit.shard, hash });
        Sought { hash, at: None, changes: 0 }
    }

    #[inline]
    fn prepare_more(&self, hit: Hit<'_>, known: &mut Self::Prepared) {
        let keydir = self.keydir(hit.shard);
        known.changes = keydir.changes();
        known.at = keydir.get(known.hash);
        let cache_key = CacheKey::new(self.shared.id, known.hash);
        self.store.shelves[hit.shard].cache.prefetch_record(cache_key);
    }

    #[inline]
    fn fetch(
        &self,
        hit: Hit<'_>,
        known: Option<Self::Prepared>,
        value: &mut Vec<u8>,
    ) -> Result<bool> {
        crate::store::refuse_in_update()?;
        let hash_of = || KeyHash::of(self.store.hash_seed, hit.key);
        let known = known.unwrap_or_else(|| Sought { hash: hash_of(), at: None, changes: 0 });
        let Sought { hash, at, changes } = known;
        debug_assert_eq!(hash, hash_of(), "what is known is of this key");
        let route = CaskRoute { shard: hit.shard, hash };
        let keydir = self.keydir(hit.shard);
        if let Some(at) = at
            && (keydir.changes() == changes || keydir.get(hash) == Some(at))
            // Where that one has vanished the key may have another by now.
            && self.copy_cached(route, hit.key, at, value)? == Some(true)
        {
            return Ok(true);
        }
        self.copy_to(route, hit.key, value)
    }

    fn is_there(&self, hit: Hit<'_>) -> Result<bool> {
        if !hit.mark {
            return Ok(true);
        }
        let hash = KeyHash::of(self.store.hash_seed, hit.key);
        Ok(self.find(CaskRoute { shard: hit.shard, hash }, hit.key)?.is_some())
    }
}
