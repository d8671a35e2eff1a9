//! What scans ask of the two kinds of tables.

use crate::cask::CaskTable;
use crate::error::{Error, Result};
use crate::ordered::cursor::{Hit, Source};
use crate::table::Table;
use slotcask_format::slot::SlotKind;

mod sealed {
    use super::{Hit, Result, Source};

    pub trait Sealed: Clone {
        /// The orders of the shards that have keys of the table.
        fn sources(&self) -> Result<Vec<(usize, Source)>>;
        fn check_readable(&self) -> Result<()>;
        /// Copies the value of a key, or, where none is asked for, finds out whether there is one.
        fn fetch(
            &self,
            hit: Hit<'_>,
            found: &mut Vec<u8>,
            value: Option<&mut Vec<u8>>,
        ) -> Result<bool>;
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

    fn fetch(
        &self,
        hit: Hit<'_>,
        found: &mut Vec<u8>,
        value: Option<&mut Vec<u8>>,
    ) -> Result<bool> {
        let Some(value) = value else {
            if !self.shared.schema.deadlines {
                return Ok(true);
            }
            let route = self.route(hit.key);
            let meta = self.reader(hit.shard).contains(route.hash, hit.key);
            return Ok(meta.is_some_and(|meta| !self.is_over(&meta)));
        };
        let layout = &self.shared.layout;
        found.resize(layout.key_len, 0);
        value.resize(layout.value_len, 0);
        let reader = self.reader(hit.shard);
        let meta = hit.slot.and_then(|slot| reader.read_slot(slot, found, value));
        if let Some(meta) = meta
            && meta.kind == SlotKind::Live
            && found == hit.key
        {
            return Ok(!self.is_over(&meta));
        }
        // The key was deleted since it was copied; it may have come back in another slot.
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

    fn fetch(
        &self,
        hit: Hit<'_>,
        _found: &mut Vec<u8>,
        value: Option<&mut Vec<u8>>,
    ) -> Result<bool> {
        if value.is_none() && !hit.mark {
            return Ok(true);
        }
        let Some(found) = self.find(self.route(hit.key), hit.key)? else { return Ok(false) };
        if let Some(value) = value {
            value.clear();
            value.extend_from_slice(found.record.value());
        }
        Ok(true)
    }
}
