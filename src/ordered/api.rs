//! What ordered tables have beside what all tables have; the same for both kinds.

use crate::cask::CaskTable;
use crate::error::Result;
use crate::options::WriteOptions;
use crate::ordered::delete::{RangeOf, delete_range};
use crate::ordered::range::{Pair, Range};
use crate::table::Table;
use std::ops::RangeBounds;

macro_rules! ordered {
    ($table:ty) => {
        impl $table {
            /// All pairs, by their keys. Only ordered tables have it and what follows.
            ///
            /// # Errors
            /// [`crate::Error::NotOrdered`], [`crate::Error::TableDropped`], [`crate::Error::Closed`].
            pub fn scan(&self) -> Result<Range<Self>> {
                self.prefix([])
            }

            /// The pairs whose keys lie within `bounds`, by their keys. The bounds of a fixed table may have any length. A
            /// range that ends before it begins has no keys.
            ///
            /// # Errors
            /// As `scan`.
            pub fn range<K: AsRef<[u8]>>(
                &self,
                bounds: impl RangeBounds<K>,
            ) -> Result<Range<Self>> {
                Range::new(self, bounds)
            }

            /// The pairs whose keys begin with `prefix`, by their keys.
            ///
            /// # Errors
            /// As `scan`.
            pub fn prefix(&self, prefix: impl AsRef<[u8]>) -> Result<Range<Self>> {
                Range::of_prefix(self, prefix.as_ref())
            }

            /// The pair with the lowest key.
            ///
            /// # Errors
            /// As `scan`, and as `get`.
            pub fn first(&self) -> Result<Option<Pair>> {
                self.scan()?.next().transpose()
            }

            /// The pair with the highest key.
            ///
            /// # Errors
            /// As `scan`, and as `get`.
            pub fn last(&self) -> Result<Option<Pair>> {
                self.scan()?.descending().next().transpose()
            }

            /// Removes all keys within `bounds`: on each shard by one record of the log, so that after a crash all of them are gone
            /// from the shard or none is. Gives the number of keys removed, those included whose value had vanished and that were
            /// not reclaimed yet. Holds the lock of a shard in proportion to the keys that it removes there. After an error the range
            /// may be gone from some shards.
            ///
            /// # Errors
            /// As `delete`; [`crate::Error::NotOrdered`]; [`crate::Error::RangeTooLarge`] when a shard has more keys of the range than
            /// a record can name (1.6 million in a cask table, 4 million in a fixed one, fewer where segments of the log are small), or keys of a
            /// gibibyte together;
            /// [`crate::Error::KeyTooLong`] when a bound is longer than any key can be.
            pub fn delete_range<K: AsRef<[u8]>>(&self, bounds: impl RangeBounds<K>) -> Result<u64> {
                delete_range(
                    self,
                    &RangeOf::new(self.name(), self.store.batch_len_max, bounds)?,
                    &WriteOptions::default(),
                )
            }

            /// As `delete_range`, with options.
            ///
            /// # Errors
            /// As `delete_range`, and [`crate::Error::TimedOut`].
            pub fn delete_range_with<K: AsRef<[u8]>>(
                &self,
                bounds: impl RangeBounds<K>,
                options: &WriteOptions,
            ) -> Result<u64> {
                delete_range(
                    self,
                    &RangeOf::new(self.name(), self.store.batch_len_max, bounds)?,
                    options,
                )
            }

            /// Removes all keys that begin with `prefix`; otherwise as `delete_range`.
            ///
            /// # Errors
            /// As `delete_range`.
            pub fn delete_prefix(&self, prefix: impl AsRef<[u8]>) -> Result<u64> {
                let range =
                    RangeOf::prefix(self.name(), self.store.batch_len_max, prefix.as_ref())?;
                delete_range(self, &range, &WriteOptions::default())
            }
        }
    };
}

ordered!(Table);
ordered!(CaskTable);
