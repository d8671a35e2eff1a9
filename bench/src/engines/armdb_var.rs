//! armdb 0.15 with values of any length: `VarMap` and `VarTree` over its bitcask; `balanced()` and 4 shards.

use crate::cask::{CaskEngine, CaskReader, Setup};
use crate::engine::{Mode, Outcome};
use crate::ordered::RangeReader;
use crate::workload::Key;
use armdb::{CacheConfig, Config, VarMap, VarTree};
use std::ops::Bound;
use std::path::Path;

const SHARDS: usize = 4;

/// `enable_fsync` does nothing here; a sync batch of one write syncs each before it returns. A cache that is asked for is
/// given to blocks and to values alike, as values go through one of the two by their length.
fn config(setup: Setup) -> Config {
    let cache = |item: u64| {
        let bytes = setup.cache.unwrap_or(0);
        CacheConfig { max_size: bytes, estimated_items: (bytes / item).max(1000) as usize }
    };
    Config::balanced()
        .shard_count(SHARDS)
        .sync_batch_size(u32::from(setup.mode == Mode::Sync))
        .block_cache(cache(4 << 10))
        .value_cache(cache(16 << 10))
        .build()
}

macro_rules! var_engine {
    ($(#[$doc:meta])* $engine:ident, $table:ident, $name:literal) => {
        $(#[$doc])*
        pub struct $engine($table<Key>);

        impl CaskReader for &$engine {
            #[inline]
            fn get_with<T>(&self, key: &Key, f: impl FnOnce(&[u8]) -> T) -> Outcome<Option<T>> {
                Ok(self.0.get(key).map(|found| f(&found)))
            }
        }

        impl CaskEngine for $engine {
            const NAME: &'static str = $name;
            type Reader<'a> = &'a Self;

            fn open(dir: &Path, setup: Setup) -> Outcome<Self> {
                Ok(Self($table::<Key>::open(dir, config(setup))?))
            }

            fn reader(&self) -> Outcome<&Self> {
                Ok(self)
            }

            #[inline]
            fn put(&self, key: &Key, value: &[u8]) -> Outcome<()> {
                self.0.put(key, value)?;
                Ok(())
            }

            fn settle(&self) -> Outcome<()> {
                Ok(self.0.flush_buffers()?)
            }

            fn give_space_back(&self) -> Outcome<()> {
                self.0.compact()?;
                Ok(())
            }

            fn close(self) -> Outcome<()> {
                Ok(self.0.close()?)
            }
        }
    };
}

var_engine!(
    /// Hash index.
    ArmdbVarMap, VarMap, "armdb-varmap"
);
var_engine!(
    /// Ordered index.
    ArmdbVarTree, VarTree, "armdb-vartree"
);

// Its iterators read values, wanted or not.
impl RangeReader for &ArmdbVarTree {
    #[inline]
    fn keys(&self, from: &Key, to: &Key, mut each: impl FnMut(&[u8])) -> Outcome<()> {
        self.pairs(from, to, |key, _| each(key))
    }

    #[inline]
    fn pairs(&self, from: &Key, to: &Key, mut each: impl FnMut(&[u8], &[u8])) -> Outcome<()> {
        for (key, value) in self.0.range_bounds(Bound::Included(from), Bound::Included(to)) {
            each(&key, &value);
        }
        Ok(())
    }
}
