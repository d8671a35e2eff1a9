//! A life of a store on the simulated disk: a string of operations, run until it ends or the power fails.

use crate::contents::contents;
use crate::model::{Model, State, value};
use crate::op::Op;
use crate::random::Random;
use slotcask::{
    CaskOptions, CaskTable, Compression, Durability, Error, Options, Result, Store, Table,
    TableOptions, WriteOptions,
};
use slotcask_io::sim::{SimClock, env_of};
use slotcask_io::{Env, SimDisk};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Options of every store that is explored: one shard, a tiny log, no threads.
#[must_use]
pub fn options(protected: bool) -> Options {
    let options = Options::new()
        .shards(1)
        .segment_size(32 << 10)
        .log_size(192 << 10)
        .background(false)
        .huge_pages(false)
        .durability(Durability::Buffered)
        .checkpoint_batch(8192);
    if protected { options.torn_page_protection(true) } else { options }
}

/// The path of the store on the simulated disk.
pub const ROOT: &str = "/s";
const A_VALUE: usize = 16;
const B_VALUE: usize = 300;

/// A running store and what it should hold.
pub struct Life {
    /// The store, until it is closed.
    pub store: Option<Store>,
    disk: SimDisk,
    protected: bool,
    next: u64,
    cask_drops: u32,
    clock: Arc<SimClock>,
}

impl Life {
    /// Opens the store on `disk`, or creates it.
    ///
    /// # Errors
    /// The store's.
    pub fn open(disk: &SimDisk, protected: bool, seed: u64) -> Result<Self> {
        Self::open_at(disk, protected, seed, Arc::new(SimClock::new()))
    }

    fn open_at(disk: &SimDisk, protected: bool, seed: u64, clock: Arc<SimClock>) -> Result<Self> {
        let env = Env { clock: clock.clone(), ..env_of(seed, disk) };
        let store = options(protected).open_in(env, ROOT)?;
        let next = seed % 1000 + 1;
        Ok(Self { store: Some(store), disk: disk.clone(), protected, next, cask_drops: 0, clock })
    }

    /// The same store once more, for another thread: it may be used while this one is, as long as one of the two changes nothing.
    #[must_use]
    pub fn twin(&self) -> Self {
        Self {
            store: self.store.clone(),
            disk: self.disk.clone(),
            protected: self.protected,
            next: self.next,
            cask_drops: self.cask_drops,
            clock: self.clock.clone(),
        }
    }

    fn store(&self) -> Result<&Store> {
        self.store.as_ref().ok_or(Error::Closed)
    }

    /// Makes both tables and a few keys, durable.
    ///
    /// # Errors
    /// The store's.
    pub fn furnish(&mut self, model: &mut Model, cask: bool) -> Result<()> {
        model.accept(|state| state.a = Some(BTreeMap::new()));
        self.store()?.create_table("a", TableOptions::fixed(8, A_VALUE).deadlines(true))?;
        model.acknowledge();
        model.accept(|state| state.b = Some(BTreeMap::new()));
        self.store()?.create_table("b", TableOptions::fixed(5, B_VALUE).ordered(true))?;
        model.acknowledge();
        for key in 0..3 {
            self.put(model, "a", key)?;
            self.put(model, "b", key)?;
        }
        if cask {
            self.create_cask(model)?;
            for key in 0..3 {
                self.cask_put(model, key)?;
            }
        }
        self.sync(model)
    }

    fn create_cask(&mut self, model: &mut Model) -> Result<()> {
        model.accept(|state| state.c = Some(BTreeMap::new()));
        // The first one is ordered and compresses; of those that follow a drop, every other one.
        let is_first = self.cask_drops.is_multiple_of(2);
        let compression = if is_first { Compression::Lz4 } else { Compression::None };
        let options = CaskOptions::new().ordered(is_first).compression(compression);
        self.store()?.create_cask("c", &options)?;
        model.acknowledge();
        Ok(())
    }

    fn cask_put(&mut self, model: &mut Model, key: u64) -> Result<()> {
        let n = self.number();
        let table = self.store()?.open_cask("c")?;
        model.accept(|state| {
            map(state, "c").insert(key, n);
        });
        let written = table.write(cask_key(key), cask_value(n));
        written.map(drop).inspect_err(|_| model.refuse())
    }

    fn cask_fill(&mut self, model: &mut Model) -> Result<()> {
        (0..5).try_for_each(|at| {
            // Numbers whose values are large.
            self.next = self.next.next_multiple_of(5) + 4;
            self.cask_put(model, 100 + at)
        })
    }

    fn cask_delete(&mut self, model: &mut Model, key: u64) -> Result<()> {
        let table = self.store()?.open_cask("c")?;
        model.accept(|state| {
            map(state, "c").remove(&key);
        });
        table.write_delete(cask_key(key)).map(drop).inspect_err(|_| model.refuse())
    }

    /// Key 2, and all others but 0 and 1 whose lowest byte is not high: slots of many pages.
    fn range_delete(&mut self, model: &mut Model) -> Result<()> {
        let table = self.store()?.open_table("b")?;
        let (from, to) = ([2], [200]);
        model.accept(|state| {
            map(state, "b").retain(|key, _| {
                let bytes = key.to_le_bytes();
                bytes[..5] < from[..] || bytes[..5] >= to[..]
            });
        });
        self.removed(table.delete_range_with(from..to, &durable()), model)
    }

    /// All keys whose text begins with a 1: key 1, and those of large values. Key 2 is the first behind the range.
    fn cask_range_delete(&mut self, model: &mut Model) -> Result<()> {
        let table = self.store()?.open_cask("c")?;
        if !table.info().ordered {
            return Ok(());
        }
        model.accept(|state| {
            map(state, "c").retain(|key, _| !cask_key(*key).starts_with(b"1"));
        });
        self.removed(table.delete_range_with(&b"1"[..]..&cask_key(2), &durable()), model)
    }

    fn removed(&self, removed: Result<u64>, model: &mut Model) -> Result<()> {
        match removed {
            Ok(_) => model.acknowledge(),
            Err(error) if error.is_out_of_resources() => {
                model.refuse();
                return Err(error);
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// A value of key 1 that vanishes, or would have. Verdicts are made when its time has come, so that the model never sees it.
    fn expire(&mut self, model: &mut Model, name: &str) -> Result<()> {
        let n = self.number();
        let table = Expiring::open(self.store()?, name)?;
        let ttl = |ms| WriteOptions::new().ttl(Duration::from_millis(ms));
        match n % 3 {
            0 => {
                model.accept(|state| {
                    map(state, name).remove(&1);
                });
                let written = table.put(n, &ttl(1));
                self.clock.advance(Duration::from_secs(5));
                written.inspect_err(|_| model.refuse())
            }
            1 => {
                model.accept(|state| {
                    map(state, name).insert(1, n);
                });
                table.put(n, &WriteOptions::new()).inspect_err(|_| model.refuse())?;
                model.accept(|state| {
                    map(state, name).remove(&1);
                });
                let written = table.expire_in(Duration::from_millis(1));
                self.clock.advance(Duration::from_secs(5));
                written.inspect_err(|_| model.refuse())
            }
            _ => {
                // A power loss between the two leaves a value that vanishes.
                model.accept(|state| {
                    map(state, name).remove(&1);
                });
                table.put(n, &ttl(1000)).inspect_err(|_| model.refuse())?;
                model.accept(|state| {
                    map(state, name).insert(1, n);
                });
                let written = table.persist();
                self.clock.advance(Duration::from_secs(5));
                written.inspect_err(|_| model.refuse())
            }
        }
    }

    fn cask_batch(&mut self, model: &mut Model, key: u64) -> Result<()> {
        let n = self.number();
        let (a, c) = (self.store()?.open_table("a")?, self.store()?.open_cask("c")?);
        let mut batch = self.store()?.batch();
        model.accept(|state| {
            map(state, "a").insert(key, n);
            map(state, "c").insert(key, n);
            map(state, "c").insert(1, n);
            map(state, "c").remove(&0);
        });
        batch.put(&a, key_bytes(&a, key), value(n, A_VALUE))?;
        batch.put(&c, cask_key(key), cask_value(n))?;
        batch.put(&c, cask_key(1), cask_value(n))?;
        batch.delete(&c, cask_key(0))?;
        self.commit(batch, model)
    }

    fn commit(&self, batch: slotcask::Batch, model: &mut Model) -> Result<()> {
        match batch.commit_with(&durable()) {
            Ok(()) => model.acknowledge(),
            // Refused before it was accepted. After a poisoning it is unknown.
            Err(error) if error.is_out_of_resources() => {
                model.refuse();
                return Err(error);
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn cask_drop(&mut self, model: &mut Model) -> Result<()> {
        model.accept(|state| state.c = None);
        self.store()?.drop_table("c")?;
        self.cask_drops += 1;
        model.acknowledge();
        self.create_cask(model)?;
        self.cask_put(model, 2)
    }

    /// Does one operation.
    ///
    /// # Errors
    /// The store's; then the life is over, except after a refusal that changed nothing.
    pub fn run(&mut self, op: Op, model: &mut Model) -> Result<()> {
        let fresh = 1000 + self.next;
        match op {
            Op::Put => {
                self.put(model, "a", fresh)?;
                self.put(model, "b", fresh)
            }
            Op::Overwrite => {
                self.put(model, "a", 1)?;
                self.put(model, "b", 1)
            }
            Op::Delete => self.delete(model, "b", 2).and_then(|()| self.delete(model, "a", 0)),
            Op::RangeDelete => self.range_delete(model),
            Op::CaskRangeDelete => self.cask_range_delete(model),
            Op::Batch => self.batch(model, fresh),
            Op::Sync => self.sync(model),
            Op::Checkpoint => {
                self.store()?.checkpoint()?;
                model.acknowledge();
                Ok(())
            }
            Op::Rotate => self.store()?.rotate(),
            Op::Grow => (0..52).try_for_each(|at| self.put(model, "b", 10_000 + fresh * 100 + at)),
            Op::Drop => self.drop_table(model),
            Op::Clear => {
                model.accept(|state| state.b = Some(BTreeMap::new()));
                self.store()?.clear_table("b")?;
                model.acknowledge();
                Ok(())
            }
            Op::CaskPut => self.cask_put(model, fresh),
            Op::CaskOverwrite => self.cask_put(model, 1),
            Op::CaskDelete => self.cask_delete(model, 2),
            Op::CaskFill => self.cask_fill(model),
            Op::CaskFlood => (0..8).try_for_each(|_| self.cask_fill(model)),
            Op::CaskBatch => self.cask_batch(model, fresh),
            Op::CaskExpire => self.expire(model, "c"),
            Op::Expire => self.expire(model, "a"),
            Op::Seal => {
                self.store()?.rotate()?;
                for _ in 0..2 {
                    self.store()?.checkpoint()?;
                    model.acknowledge();
                }
                Ok(())
            }
            Op::Merge => self.store()?.merge().map(drop),
            Op::CaskDrop => self.cask_drop(model),
            Op::CaskClear => {
                model.accept(|state| state.c = Some(BTreeMap::new()));
                self.store()?.clear_table("c")?;
                model.acknowledge();
                Ok(())
            }
            Op::Poll => {
                self.store()?.poll()?;
                model.acknowledge();
                Ok(())
            }
            Op::Reopen => {
                if let Some(store) = self.store.take() {
                    store.close()?;
                    model.acknowledge();
                }
                self.reopen()
            }
            Op::Kill => {
                let killed = self.store.take();
                self.disk.without_power(|| drop(killed));
                self.reopen()?;
                match contents(self.store()?) {
                    Ok(found) => model.recovered(&found),
                    Err(refused) => model.contradict(format!("after a kill: {refused:?}")),
                }
                Ok(())
            }
        }
    }

    fn reopen(&mut self) -> Result<()> {
        let (next, drops, clock) = (self.next, self.cask_drops, self.clock.clone());
        *self = Self::open_at(&self.disk.clone(), self.protected, next, clock)?;
        (self.next, self.cask_drops) = (next, drops);
        Ok(())
    }

    /// Compares what the running store serves with the newest state.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub fn compare(&self, model: &Model) -> Result<()> {
        match contents(self.store()?) {
            Ok(found) => model.served(&found),
            Err(refused) => model.contradict(format!("the running store: {refused:?}")),
        }
        Ok(())
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn put(&mut self, model: &mut Model, name: &str, key: u64) -> Result<()> {
        let n = self.number();
        let table = self.store()?.open_table(name)?;
        model.accept(|state| {
            map(state, name).insert(key, n);
        });
        match table.write(key_bytes(&table, key), value(n, table.info().value_len)) {
            Ok(_) => Ok(()),
            Err(error) => {
                model.refuse();
                Err(error)
            }
        }
    }

    fn delete(&mut self, model: &mut Model, name: &str, key: u64) -> Result<()> {
        let table = self.store()?.open_table(name)?;
        model.accept(|state| {
            map(state, name).remove(&key);
        });
        match table.write_delete(key_bytes(&table, key)) {
            Ok(_) => Ok(()),
            Err(error) => {
                model.refuse();
                Err(error)
            }
        }
    }

    fn batch(&mut self, model: &mut Model, key: u64) -> Result<()> {
        let n = self.number();
        let (a, b) = (self.store()?.open_table("a")?, self.store()?.open_table("b")?);
        let mut batch = self.store()?.batch();
        model.accept(|state| {
            map(state, "a").insert(key, n);
            map(state, "a").insert(1, n);
            map(state, "b").insert(key, n);
            map(state, "b").remove(&0);
        });
        batch.put(&a, key_bytes(&a, key), value(n, A_VALUE))?;
        batch.put(&a, key_bytes(&a, 1), value(n, A_VALUE))?;
        batch.put(&b, key_bytes(&b, key), value(n, B_VALUE))?;
        batch.delete(&b, key_bytes(&b, 0))?;
        self.commit(batch, model)
    }

    fn sync(&mut self, model: &mut Model) -> Result<()> {
        self.store()?.sync()?;
        model.acknowledge();
        Ok(())
    }

    fn drop_table(&mut self, model: &mut Model) -> Result<()> {
        model.accept(|state| state.b = None);
        self.store()?.drop_table("b")?;
        model.acknowledge();
        model.accept(|state| state.b = Some(BTreeMap::new()));
        self.store()?.create_table("b", TableOptions::fixed(5, B_VALUE).ordered(true))?;
        model.acknowledge();
        self.put(model, "b", 5)
    }
}

/// Key 1 of a table whose values can vanish.
enum Expiring {
    Fixed(Table),
    Cask(CaskTable),
}

impl Expiring {
    fn open(store: &Store, name: &str) -> Result<Self> {
        match name {
            "c" => store.open_cask(name).map(Self::Cask),
            _ => store.open_table(name).map(Self::Fixed),
        }
    }

    fn put(&self, n: u64, options: &WriteOptions) -> Result<()> {
        match self {
            Self::Fixed(table) => {
                let bytes = value(n, table.info().value_len);
                table.put_with(key_bytes(table, 1), bytes, options)
            }
            Self::Cask(table) => table.put_with(cask_key(1), cask_value(n), options),
        }
    }

    fn expire_in(&self, ttl: Duration) -> Result<()> {
        match self {
            Self::Fixed(table) => table.expire_in(key_bytes(table, 1), ttl).map(drop),
            Self::Cask(table) => table.expire_in(cask_key(1), ttl).map(drop),
        }
    }

    fn persist(&self) -> Result<()> {
        match self {
            Self::Fixed(table) => table.persist(key_bytes(table, 1)).map(drop),
            Self::Cask(table) => table.persist(cask_key(1)).map(drop),
        }
    }
}

fn durable() -> WriteOptions {
    WriteOptions::new().durability(Durability::Sync)
}

fn map<'a>(state: &'a mut State, name: &str) -> &'a mut BTreeMap<u64, u64> {
    let table = match name {
        "a" => &mut state.a,
        "b" => &mut state.b,
        _ => &mut state.c,
    };
    table.get_or_insert_default()
}

fn key_bytes(table: &Table, key: u64) -> Vec<u8> {
    key.to_le_bytes()[..table.info().key_len].to_vec()
}

/// The key of table `c` that stands for a number.
pub(crate) fn cask_key(key: u64) -> Vec<u8> {
    format!("{key}{}", "-".repeat(key as usize % 9)).into_bytes()
}

/// The value of table `c` that stands for a number: of some length, and most of them shorter when they are compressed. Large
/// ones are noise, so that they fill segments in any case.
pub(crate) fn cask_value(n: u64) -> Vec<u8> {
    if !n.is_multiple_of(5) {
        return value(n, 24 + (n as usize * 37) % 200);
    }
    let mut noise = Random(n);
    let words = std::iter::once(n).chain((1..250).map(|_| noise.word()));
    words.flat_map(u64::to_le_bytes).collect()
}
