//! Ranges of typed maps.

use crate::error::Result;
use crate::fixed_map::{FixedKey, FixedMap, FixedValue};
use crate::ordered::range::Range;
use crate::table::Table;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Bound, RangeBounds};

/// The pairs of a range of a typed map; see [`Range`].
pub struct MapRange<K, V> {
    range: Range<Table>,
    types: PhantomData<fn() -> (K, V)>,
}

impl<K, V> fmt::Debug for MapRange<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.range.fmt(f)
    }
}

impl<K: FixedKey, V: FixedValue> FixedMap<K, V> {
    /// The pairs whose keys lie within `bounds`, in the order of the bytes of the keys: of integers that is their own only if they are
    /// big endian (`zerocopy::big_endian`). Only ordered tables have it: see [`crate::TableOptions::ordered`].
    ///
    /// # Errors
    /// [`crate::Error::NotOrdered`], [`crate::Error::TableDropped`], [`crate::Error::Closed`].
    pub fn range(&self, bounds: impl RangeBounds<K>) -> Result<MapRange<K, V>> {
        let bytes = |bound: Bound<&K>| bound.map(|key| key.as_bytes().to_vec());
        let bounds = (bytes(bounds.start_bound()), bytes(bounds.end_bound()));
        Ok(MapRange { range: self.table().range(bounds)?, types: PhantomData })
    }

    /// The pair with the lowest key.
    ///
    /// # Errors
    /// As [`FixedMap::range`].
    pub fn first(&self) -> Result<Option<(K, V)>> {
        self.range(..)?.next().transpose()
    }

    /// The pair with the highest key.
    ///
    /// # Errors
    /// As [`FixedMap::range`].
    pub fn last(&self) -> Result<Option<(K, V)>> {
        self.range(..)?.descending().next().transpose()
    }

    /// Removes all keys within `bounds`; see [`Table::delete_range`].
    ///
    /// # Errors
    /// As [`Table::delete_range`].
    pub fn delete_range(&self, bounds: impl RangeBounds<K>) -> Result<u64> {
        let bytes = |bound: Bound<&K>| bound.map(|key| key.as_bytes().to_vec());
        self.table().delete_range((bytes(bounds.start_bound()), bytes(bounds.end_bound())))
    }
}

impl<K: FixedKey, V: FixedValue> MapRange<K, V> {
    /// From the other end: the highest key first.
    #[must_use]
    pub fn descending(mut self) -> Self {
        self.range = self.range.descending();
        self
    }

    /// Behind `key`, in the direction of the scan; so say the direction first. The key need not be there.
    #[must_use]
    pub fn after(mut self, key: &K) -> Self {
        self.range = self.range.after(key.as_bytes());
        self
    }
}

impl<K: FixedKey, V: FixedValue> Iterator for MapRange<K, V> {
    type Item = Result<(K, V)>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.range.next_ref();
        let pair = |(key, value): (&[u8], &[u8])| {
            let key = K::read_from_bytes(key).expect("keys have the length of their type");
            let value = V::read_from_bytes(value).expect("values too");
            (key, value)
        };
        let next = next.map(|next| next.map(pair));
        self.range.ended.item(next)
    }
}
