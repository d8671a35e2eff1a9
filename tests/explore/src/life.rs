//! A life of a store on the simulated disk: a string of operations, run until it ends or the power fails.

use crate::model::{Model, State, value};
use slotcask::{Durability, Error, Options, Result, Store, Table, TableOptions};
use slotcask_io::SimDisk;
use slotcask_io::sim::env_of;
use std::collections::BTreeMap;

/// What a life is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// A new key, buffered.
    Put,
    /// An old key, buffered.
    Overwrite,
    /// A delete, buffered.
    Delete,
    /// An atomic batch over both tables, durable when acknowledged.
    Batch,
    /// Everything durable.
    Sync,
    /// A checkpoint.
    Checkpoint,
    /// A fresh log segment.
    Rotate,
    /// So many new keys that the slot file has to grow.
    Grow,
    /// Table `b` is dropped and created again.
    Drop,
    /// Table `b` is emptied.
    Clear,
    /// The idle work of the shard's thread.
    Poll,
    /// Closed and opened.
    Reopen,
}

/// The operations of exhaustive lives.
pub const OPS: [Op; 10] = [
    Op::Put,
    Op::Overwrite,
    Op::Delete,
    Op::Batch,
    Op::Sync,
    Op::Checkpoint,
    Op::Rotate,
    Op::Grow,
    Op::Drop,
    Op::Reopen,
];
/// All of them, for random lives.
pub const ALL: [Op; 12] = [
    Op::Put,
    Op::Overwrite,
    Op::Delete,
    Op::Batch,
    Op::Sync,
    Op::Checkpoint,
    Op::Rotate,
    Op::Grow,
    Op::Drop,
    Op::Clear,
    Op::Poll,
    Op::Reopen,
];

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
}

impl Life {
    /// Opens the store on `disk`, or creates it.
    ///
    /// # Errors
    /// The store's.
    pub fn open(disk: &SimDisk, protected: bool, seed: u64) -> Result<Self> {
        let store = options(protected).open_in(env_of(seed, disk), ROOT)?;
        Ok(Self { store: Some(store), disk: disk.clone(), protected, next: seed % 1000 + 1 })
    }

    fn store(&self) -> Result<&Store> {
        self.store.as_ref().ok_or(Error::Closed)
    }

    /// Makes both tables and a few keys, durable.
    ///
    /// # Errors
    /// The store's.
    pub fn furnish(&mut self, model: &mut Model) -> Result<()> {
        model.accept(|state| state.a = Some(BTreeMap::new()));
        self.store()?.create_table("a", TableOptions::fixed(8, A_VALUE))?;
        model.acknowledge();
        model.accept(|state| state.b = Some(BTreeMap::new()));
        self.store()?.create_table("b", TableOptions::fixed(5, B_VALUE))?;
        model.acknowledge();
        for key in 0..3 {
            self.put(model, "a", key)?;
            self.put(model, "b", key)?;
        }
        self.sync(model)
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
                let next = self.next;
                *self = Self::open(&self.disk.clone(), self.protected, next)?;
                self.next = next;
                Ok(())
            }
        }
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
        let options = slotcask::WriteOptions::new().durability(Durability::Sync);
        match batch.commit_with(&options) {
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
        self.store()?.create_table("b", TableOptions::fixed(5, B_VALUE))?;
        model.acknowledge();
        self.put(model, "b", 5)
    }
}

fn map<'a>(state: &'a mut State, name: &str) -> &'a mut BTreeMap<u64, u64> {
    let table = if name == "a" { &mut state.a } else { &mut state.b };
    table.get_or_insert_default()
}

fn key_bytes(table: &Table, key: u64) -> Vec<u8> {
    key.to_le_bytes()[..table.info().key_len].to_vec()
}

/// What a store holds, read by iteration and by single gets.
///
/// # Errors
/// Says what contradicts itself.
pub fn contents(store: &Store) -> std::result::Result<State, String> {
    let mut state = State::default();
    for info in store.tables() {
        let table = store.open_table(&info.name).map_err(|error| error.to_string())?;
        let mut found = BTreeMap::new();
        for pair in table.iter() {
            let (key, bytes) = pair.map_err(|error| error.to_string())?;
            let mut wide = [0; 8];
            wide[..key.len()].copy_from_slice(&key);
            let number = u64::from_le_bytes(bytes[..8].try_into().expect("values have 8 bytes"));
            if bytes != value(number, info.value_len) {
                return Err(format!("a torn value under {key:?} in table {}", info.name));
            }
            if table.get(&key).map_err(|error| error.to_string())?.as_deref() != Some(&bytes[..]) {
                return Err(format!("get and iteration differ for {key:?} in table {}", info.name));
            }
            if found.insert(u64::from_le_bytes(wide), number).is_some() {
                return Err(format!("key {key:?} stands twice in table {}", info.name));
            }
        }
        if found.len() as u64 != table.len() {
            return Err(format!(
                "len of table {} is {}, {} keys are there",
                info.name,
                table.len(),
                found.len()
            ));
        }
        *(if info.name == "a" { &mut state.a } else { &mut state.b }) = Some(found);
    }
    Ok(state)
}
