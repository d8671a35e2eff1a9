//! armdb 0.15: `ConstMap` over its bitcask, `FixedMap` and `FixedTree` over its fixed slots; `balanced()` and 4 shards.

use crate::engine::{Engine, Mode, Outcome, Reader};
use crate::ordered::RangeReader;
use crate::workload::{Key, Value};
use armdb::{Config, ConstMap, FixedConfig, FixedMap, FixedTree};
use std::ops::Bound;
use std::path::Path;

const SHARDS: usize = 4;

/// `ConstMap` over the bitcask. Its `enable_fsync` does nothing, so it has no sync rows.
pub struct ArmdbConst(ConstMap<Key, 64>);

impl Reader for &ArmdbConst {
    #[inline(always)]
    fn get(&self, key: &Key) -> Outcome<Option<Value>> {
        Ok(self.0.get(key))
    }
}

impl Engine for ArmdbConst {
    const NAME: &'static str = "armdb-const";
    const SYNCS: bool = false;
    type Reader<'a> = &'a Self;

    fn open(dir: &Path, _mode: Mode) -> Outcome<Self> {
        Ok(Self(ConstMap::<Key, 64>::open(dir, Config::balanced().shard_count(SHARDS).build())?))
    }

    fn reader(&self) -> Outcome<&Self> {
        Ok(self)
    }

    #[inline]
    fn put(&self, key: &Key, value: &Value) -> Outcome<()> {
        self.0.put(key, value)?;
        Ok(())
    }

    fn settle(&self) -> Outcome<()> {
        Ok(self.0.flush_buffers()?)
    }

    fn close(self) -> Outcome<()> {
        Ok(self.0.close()?)
    }
}

macro_rules! fixed_engine {
    ($(#[$doc:meta])* $engine:ident, $table:ident, $name:literal) => {
        $(#[$doc])*
        pub struct $engine($table<Key, 64>);

        impl Reader for &$engine {
            #[inline(always)]
            fn get(&self, key: &Key) -> Outcome<Option<Value>> {
                Ok(self.0.get(key))
            }
        }

        impl Engine for $engine {
            const NAME: &'static str = $name;
            type Reader<'a> = &'a Self;

            fn open(dir: &Path, mode: Mode) -> Outcome<Self> {
                let sync = mode == Mode::Sync;
                let config =
                    FixedConfig::balanced().shard_count(SHARDS).enable_fsync(sync).build();
                Ok(Self($table::<Key, 64>::open(dir, config)?))
            }

            fn reader(&self) -> Outcome<&Self> {
                Ok(self)
            }

            #[inline]
            fn put(&self, key: &Key, value: &Value) -> Outcome<()> {
                self.0.put(key, value)?;
                Ok(())
            }

            fn settle(&self) -> Outcome<()> {
                Ok(self.0.flush()?)
            }

            fn close(self) -> Outcome<()> {
                Ok(self.0.close()?)
            }
        }
    };
}

fixed_engine!(
    /// `FixedMap`: fixed slots, written in place. Sync rows set `enable_fsync`.
    ArmdbFixed, FixedMap, "armdb-fixed"
);
fixed_engine!(
    /// `FixedTree`: the same with an ordered index, whose nodes hold the values.
    ArmdbFixedTree, FixedTree, "armdb-fixedtree"
);

// Its iterators copy values, wanted or not.
impl RangeReader for &ArmdbFixedTree {
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
