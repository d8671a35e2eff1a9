//! Work of the cask rows that needs a process of its own: memory is read before and after, opening starts with nothing in
//! memory. `compare` starts itself again with [`CASK_CHILD`] as the first argument.

use crate::bars::OURS;
use crate::cask::{CaskEngine, Setup};
use crate::child::say;
use crate::engine::{Mode, Outcome};
use crate::engines::slotcask_cask::SlotcaskCask;
use crate::machine;
use crate::rows::cask::data::{get, load};
use crate::values::with_value;
use crate::workload::{Key, Random, key, mix};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// First argument of a child.
pub const CASK_CHILD: &str = "__cask-child";
/// Keys that a child reads after opening, to see that they are there.
const KEYS_CHECKED: u64 = 1000;
/// Longest key of slotcask's memory rows.
const KEY_LEN_MAX: usize = 64;
/// Time to live in the rows that have one: longer than they take.
const TTL: Duration = Duration::from_secs(24 * 60 * 60);

/// What a child does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CaskWork {
    /// Loads a table, reports memory and disk, closes it cleanly.
    Load,
    /// As `Load`; then overwrites a quarter of the keys, and reports the larger memory.
    LoadAndChurn,
    /// As `LoadAndChurn`, every value with a time to live.
    LoadAndChurnTtl,
    /// Opens a table, reports how long that took until the first get was answered, closes it.
    Open,
}

impl CaskWork {
    const ALL: [(Self, &'static str); 4] = [
        (Self::Load, "load"),
        (Self::LoadAndChurn, "load-and-churn"),
        (Self::LoadAndChurnTtl, "load-and-churn-ttl"),
        (Self::Open, "open"),
    ];
}

/// A child's orders.
#[derive(Debug, Clone)]
pub struct CaskTask {
    /// What to do.
    pub work: CaskWork,
    /// Engine, by name.
    pub engine: String,
    /// Directory of the store.
    pub dir: PathBuf,
    /// Keys in the table.
    pub keys: u64,
    /// Bytes of a key: 16, or up to 64 where the engine is slotcask and the work is churn.
    pub key_len: usize,
    /// Bytes of a value.
    pub value_len: usize,
    /// Seed.
    pub seed: u64,
}

impl CaskTask {
    /// Reads the arguments behind [`CASK_CHILD`].
    ///
    /// # Errors
    /// When they are not what [`CaskTask::run`] writes.
    pub fn parse(mut arguments: impl Iterator<Item = String>) -> Outcome<Self> {
        let mut next = || arguments.next().ok_or("a child of the cask rows wants seven arguments");
        let name = next()?;
        let work = CaskWork::ALL.into_iter().find(|(_, other)| *other == name);
        Ok(Self {
            work: work.ok_or("unknown work of a child")?.0,
            engine: next()?,
            dir: next()?.into(),
            keys: next()?.parse()?,
            key_len: next()?.parse()?,
            value_len: next()?.parse()?,
            seed: next()?.parse()?,
        })
    }

    /// Starts a child and waits for what it says.
    ///
    /// # Errors
    /// When the child fails.
    pub fn run(&self) -> Outcome<Value> {
        let name = CaskWork::ALL.into_iter().find(|(work, _)| *work == self.work);
        let name = name.map_or("", |(_, name)| name);
        let numbers = [self.keys, self.key_len as u64, self.value_len as u64, self.seed];
        let output = Command::new(std::env::current_exe()?)
            .arg(CASK_CHILD)
            .args([name, &self.engine])
            .arg(&self.dir)
            .args(numbers.map(|number| number.to_string()))
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()?;
        if !output.status.success() {
            return Err(format!("{name} of {} ended with {}", self.engine, output.status).into());
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// Does the work, in the child, and says what came of it.
    ///
    /// # Errors
    /// The engine's.
    pub fn perform<E: CaskEngine>(&self) -> Outcome<()> {
        match self.work {
            CaskWork::Open => self.open::<E>(),
            CaskWork::LoadAndChurn | CaskWork::LoadAndChurnTtl if E::NAME == OURS => self.churn(),
            _ => self.load::<E>(),
        }
    }

    fn load<E: CaskEngine>(&self) -> Outcome<()> {
        let before = machine::memory().0;
        let engine = E::open(&self.dir, Setup::of(Mode::Buffered))?;
        load(&engine, self.keys, self.value_len)?;
        engine.settle()?;
        let memory = machine::memory().0.saturating_sub(before);
        engine.close()?;
        say(&json!({ "memory": memory }))
    }

    /// A key of the wanted length.
    fn key(&self, number: u64) -> [u8; KEY_LEN_MAX] {
        let mut long = [0; KEY_LEN_MAX];
        for (part, bytes) in long.chunks_exact_mut(size_of::<Key>()).enumerate() {
            let of = if part == 0 { number } else { mix(number) ^ part as u64 };
            bytes.copy_from_slice(&key(of));
        }
        long
    }

    fn churn(&self) -> Outcome<()> {
        if self.key_len > KEY_LEN_MAX || self.key_len < size_of::<Key>() {
            return Err("keys of the memory rows have 16 to 64 bytes".into());
        }
        let ttl = (self.work == CaskWork::LoadAndChurnTtl).then_some(TTL);
        let before = machine::memory().0;
        let engine = SlotcaskCask::open(&self.dir, Setup::of(Mode::Buffered))?;
        let put = |number, writing| {
            let key = self.key(number);
            with_value(number, writing, self.value_len, |value| {
                engine.put_buffered(&key[..self.key_len], value, ttl)
            })
        };
        (0..self.keys).try_for_each(|number| put(number, 0))?;
        engine.settle()?;
        let loaded = machine::memory().0;
        let mut random = Random::new(self.seed);
        (0..self.keys / 4).try_for_each(|_| put(random.below(self.keys), 1))?;
        let churned = machine::memory().0;
        let keydir = engine.table().info().memory_bytes;
        let shards = engine.store().stats()?.shards;
        let expiry: u64 = shards.iter().map(|shard| shard.expiry_bytes).sum();
        engine.close()?;
        say(&json!({
            "memory": loaded.max(churned).saturating_sub(before),
            "keydir": keydir,
            "expiry": expiry,
        }))
    }

    fn open<E: CaskEngine>(&self) -> Outcome<()> {
        let start = Instant::now();
        let engine = E::open(&self.dir, Setup::of(Mode::Buffered))?;
        let reader = engine.reader()?;
        get(&reader, 0, self.value_len)?;
        let seconds = start.elapsed().as_secs_f64();
        let mut random = Random::new(self.seed);
        for _ in 0..KEYS_CHECKED {
            get(&reader, random.below(self.keys), self.value_len)?;
        }
        drop(reader);
        let from_log = engine.records_recovered();
        engine.close()?;
        say(&json!({ "open_s": seconds, "from_log": from_log }))
    }
}
