//! armdb 0.15: `ConstMap` over its bitcask and `FixedMap` over its fixed slots; `balanced()` and 4 shards.

use crate::engine::{Engine, Mode, Outcome, Reader};
use crate::workload::{Key, Value};
use armdb::{Config, ConstMap, FixedConfig, FixedMap};
use std::path::Path;

const SHARDS: usize = 4;

/// `ConstMap` over the bitcask. Its `enable_fsync` does nothing, so it has no sync rows.
pub struct ArmdbConst(ConstMap<Key, 64>);

impl Reader for &ArmdbConst {
    #[inline]
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

/// `FixedMap`: fixed slots, written in place. Sync rows set `enable_fsync`.
pub struct ArmdbFixed(FixedMap<Key, 64>);

impl Reader for &ArmdbFixed {
    #[inline]
    fn get(&self, key: &Key) -> Outcome<Option<Value>> {
        Ok(self.0.get(key))
    }
}

impl Engine for ArmdbFixed {
    const NAME: &'static str = "armdb-fixed";
    type Reader<'a> = &'a Self;

    fn open(dir: &Path, mode: Mode) -> Outcome<Self> {
        let config =
            FixedConfig::balanced().shard_count(SHARDS).enable_fsync(mode == Mode::Sync).build();
        Ok(Self(FixedMap::<Key, 64>::open(dir, config)?))
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
