//! What scans ask of the two kinds of tables.

use crate::cask::{CaskRoute, CaskTable};
use crate::error::{Error, Result};
use crate::ordered::cursor::{Hit, Source};
use crate::table::Table;
use slotcask_cask::KeyHash;

mod sealed {
    use super::{Hit, Result, Source};

    pub trait Sealed: Clone {
        /// The orders of the shards that have keys of the table.
        fn sources(&self) -> Result<Vec<(usize, Source)>>;
        fn check_readable(&self) -> Result<()>;
        /// Asks for memory that `fetch` of this key with its value will read. A hint.
        fn prepare(&self, hit: Hit<'_>);
        /// Copies the value of a key, or, where none is asked for, finds out whether there is one.
        fn fetch(&self, hit: Hit<'_>, value: Option<&mut Vec<u8>>) -> Result<bool>;
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

    #[inline]
    fn prepare(&self, hit: Hit<'_>) {
        if let Some(slot) = hit.slot {
            self.reader(hit.shard).prefetch_in(slot);
        }
    }

    #[inline]
    fn fetch(&self, hit: Hit<'_>, value: Option<&mut Vec<u8>>) -> Result<bool> {
        let Some(value) = value else {
            if !self.shared.schema.deadlines {
                return Ok(true);
            }
            let route = self.route(hit.key);
            let meta = self.reader(hit.shard).contains(route.hash, hit.key);
            return Ok(meta.is_some_and(|meta| !self.is_over(&meta)));
        };
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

    #[inline]
    fn prepare(&self, hit: Hit<'_>) {
        let hash = KeyHash::of(self.store.hash_seed, hit.key);
        self.keydir(hit.shard).prefetch(hash);
    }

    fn fetch(&self, hit: Hit<'_>, value: Option<&mut Vec<u8>>) -> Result<bool> {
        if value.is_none() && !hit.mark {
            return Ok(true);
        }
        let hash = KeyHash::of(self.store.hash_seed, hit.key);
        let route = CaskRoute { shard: hit.shard, hash };
        let Some(found) = self.find(route, hit.key)? else { return Ok(false) };
        if let Some(value) = value {
            value.clear();
            value.extend_from_slice(found.record.value());
        }
        Ok(true)
    }
}
