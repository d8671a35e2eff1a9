//! A table on a simulated disk, with a log that is a list, a manifest that is a struct, and the model to compare with.
#![allow(dead_code, reason = "each test uses a part")]

use slotcask_fixed::{
    Checkpoint, FixedError, FixedOptions, FixedTable, GrowthOptions, LoadReport, Loading, Result,
    ShardIdent, SlotBudget, SlotMeta, restore_double_write,
};
use slotcask_format::StoreId;
use slotcask_format::file_name::ShardFile;
use slotcask_format::manifest::{TableCheckpoint, TableState};
use slotcask_format::record::{Record, RecordKind, deadline_extension};
use slotcask_format::schema::{Placement, TableKind, TableSchema};
use slotcask_format::slot::{SlotKind, SlotLayout};
use slotcask_format::slot_file::SLOT_FILE_DATA_OFFSET;
use slotcask_io::Env;
use slotcask_io::sim::{Profile, SimDisk, SimOptions, env_of, sim_env};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub const TABLE: u32 = 7;
pub const IDENT: ShardIdent = ShardIdent { store: StoreId([9; 16]), shard: 3 };

pub fn schema(key_len: u32, value_len: u32, slot_count_max: u32) -> TableSchema {
    TableSchema {
        name: "things".to_owned(),
        kind: TableKind::Fixed,
        placement: Placement::Hashed,
        key_len,
        value_len,
        deadlines: key_len % 2 == 1,
        ordered: false,
        slot_count_max,
        compression: None,
    }
}

pub fn options() -> FixedOptions {
    FixedOptions {
        huge_pages: false,
        torn_page_protection: false,
        growth: GrowthOptions { min_bytes: 16 << 10, fraction: 16 },
        batch_bytes: 16 << 10,
    }
}

pub fn hash(key: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    for byte in key {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash ^ (hash >> 29)
}

/// Small numbers from a seed (splitmix64 by S. Vigna).
pub struct Rng(pub u64);

impl Rng {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub sequence: u64,
    pub epoch: u32,
    /// `None` for a clear.
    pub kind: Option<RecordKind>,
    pub slot: u32,
    pub key: Vec<u8>,
    pub value: Vec<u8>,
    pub deadline_ms: u64,
}

/// What a key has: value and deadline.
pub type Model = BTreeMap<Vec<u8>, (Vec<u8>, u64)>;

pub struct Rig {
    pub env: Env,
    pub disk: SimDisk,
    pub dir: PathBuf,
    pub schema: TableSchema,
    pub options: FixedOptions,
    pub table: FixedTable,
    pub budget: SlotBudget,
    pub log: Vec<Entry>,
    /// The log is durable through this sequence.
    pub durable: u64,
    pub epoch: u32,
    /// The manifest.
    pub state: TableState,
    pub number: u64,
    pub redo: u64,
}

/// What survives a crash beside the disk.
pub struct Wreck {
    pub disk: SimDisk,
    pub schema: TableSchema,
    pub options: FixedOptions,
    pub log: Vec<Entry>,
    pub epoch: u32,
    pub state: TableState,
    pub number: u64,
    pub redo: u64,
}

impl Rig {
    pub fn new(profile: Profile, schema: TableSchema, options: FixedOptions) -> Self {
        let (env, disk) = sim_env(1, SimOptions { profile, ..SimOptions::default() });
        let dir = PathBuf::from("/shard");
        env.disk.create_dir(&dir).unwrap();
        env.disk.sync_dir(Path::new("/")).unwrap();
        let budget = SlotBudget::new(&schema);
        let table =
            FixedTable::create(&env, &dir, IDENT, TABLE, &schema, budget.clone(), options).unwrap();
        env.disk.sync_dir(&dir).unwrap();
        let state = TableState {
            table: TABLE,
            schema: schema.clone(),
            clear_sequence: 0,
            checkpoint: TableCheckpoint::default(),
        };
        Self {
            env,
            disk,
            dir,
            schema,
            options,
            table,
            budget,
            log: Vec::new(),
            durable: 0,
            epoch: 1,
            state,
            number: 0,
            redo: 1,
        }
    }

    pub fn small() -> Self {
        Self::new(Profile::Sector512, schema(16, 64, 100_000), options())
    }

    pub fn layout(&self) -> SlotLayout {
        SlotLayout::of(&self.schema)
    }

    pub fn slots_path(&self) -> PathBuf {
        self.dir.join(ShardFile::Slots(TABLE).name())
    }

    pub fn map_path(&self) -> PathBuf {
        self.dir.join(ShardFile::Map(TABLE).name())
    }

    /// Offset of a slot in the slot file.
    pub fn slot_at(&self, slot: u32) -> u64 {
        SLOT_FILE_DATA_OFFSET + self.layout().offset_of(slot) as u64
    }

    pub fn last(&self) -> u64 {
        self.log.last().map_or(0, |entry| entry.sequence)
    }

    pub fn key(&self, number: u64) -> Vec<u8> {
        let mut key = vec![0xa5; self.schema.key_len as usize];
        let bytes = number.to_le_bytes();
        let len = key.len().min(8);
        key[..len].copy_from_slice(&bytes[..len]);
        key
    }

    pub fn value(&self, number: u64) -> Vec<u8> {
        let mut value = vec![0; self.schema.value_len as usize];
        for (at, byte) in value.iter_mut().enumerate() {
            *byte = (number as u8).wrapping_mul(31).wrapping_add(at as u8);
        }
        value
    }

    fn log(
        &mut self,
        kind: Option<RecordKind>,
        slot: u32,
        key: &[u8],
        value: &[u8],
        deadline_ms: u64,
    ) {
        let sequence = self.last() + 1;
        let epoch = self.epoch;
        let (key, value) = (key.to_vec(), value.to_vec());
        self.log.push(Entry { sequence, epoch, kind, slot, key, value, deadline_ms });
    }

    /// A slot for a new key, growing the files when they must.
    pub fn reserve(&mut self) -> Result<u32> {
        loop {
            match self.table.reserve() {
                Err(FixedError::NoRoom { .. }) => {
                    let plan =
                        self.table.grow_plan().expect("there is a plan when there is no room");
                    let grown = plan.execute()?;
                    self.table.grown(grown);
                }
                other => return other,
            }
        }
    }

    pub fn put(&mut self, number: u64, value: u64) -> Result<u32> {
        let (key, value_bytes) = (self.key(number), self.value(value));
        let hash = hash(&key);
        let found = self.table.find(hash, &key);
        let slot = match found {
            Some((slot, _)) => slot,
            None => self.reserve()?,
        };
        let deadline_ms = if self.schema.deadlines { value } else { 0 };
        self.log(Some(RecordKind::Put), slot, &key, &value_bytes, deadline_ms);
        let meta = SlotMeta {
            sequence: self.last(),
            epoch: self.epoch,
            kind: SlotKind::Live,
            deadline_ms,
        };
        self.table.put(hash, slot, found.is_some(), meta, &key, &value_bytes);
        Ok(slot)
    }

    pub fn delete(&mut self, number: u64) -> bool {
        let key = self.key(number);
        let hash = hash(&key);
        let Some((slot, _)) = self.table.find(hash, &key) else { return false };
        self.log(Some(RecordKind::Delete), slot, &key, &[], 0);
        let meta = SlotMeta {
            sequence: self.last(),
            epoch: self.epoch,
            kind: SlotKind::Tombstone,
            deadline_ms: 0,
        };
        self.table.delete(hash, slot, meta);
        true
    }

    pub fn clear(&mut self) {
        self.log(None, 0, &[], &[], 0);
        let sequence = self.last();
        self.table.clear(sequence);
    }

    pub fn begin(&mut self) -> (Checkpoint, u64) {
        let redo = self.last() + 1;
        (self.table.checkpoint_begin(self.number + 1), redo)
    }

    /// Copies and writes one batch, log first. False when nothing is left.
    pub fn batch(&mut self, checkpoint: &mut Checkpoint) -> Result<bool> {
        let mut more = true;
        while more && !checkpoint.batch_is_full() {
            more = checkpoint.copy_batch(&self.table, 2);
        }
        let through = checkpoint.seal_batch();
        self.durable = self.durable.max(through);
        checkpoint.write_batch()?;
        Ok(more)
    }

    /// Finishes and commits.
    pub fn commit(&mut self, checkpoint: &mut Checkpoint, redo: u64) -> Result<()> {
        let finished = checkpoint.finish()?;
        self.durable = self.durable.max(finished.clear_sequence);
        self.state.checkpoint = finished.checkpoint;
        self.state.clear_sequence = finished.clear_sequence;
        self.number += 1;
        self.redo = redo;
        self.table.checkpoint_done(finished);
        Ok(())
    }

    pub fn checkpoint(&mut self) -> Result<()> {
        let (mut checkpoint, redo) = self.begin();
        while self.batch(&mut checkpoint)? {}
        self.commit(&mut checkpoint, redo)
    }

    /// Ends the process: what is left is a disk and a log of which `log_end` sequences survive.
    pub fn wreck(self, disk: SimDisk, log_end: u64) -> Wreck {
        assert!(log_end >= self.durable && log_end <= self.last());
        let mut log = self.log;
        log.truncate(log_end as usize);
        Wreck {
            disk,
            schema: self.schema,
            options: self.options,
            log,
            epoch: self.epoch,
            state: self.state,
            number: self.number,
            redo: self.redo,
        }
    }

    /// Ends the process without loss.
    pub fn close(self) -> Wreck {
        let (disk, last) = (self.disk.clone(), self.last());
        self.wreck(disk, last)
    }

    /// What the table holds, read through the index for every key of the model, and counted.
    pub fn assert_holds(&self, model: &Model, context: &str) {
        assert_eq!(self.table.len(), model.len() as u64, "keys; {context}");
        let reader = self.table.reader();
        let mut value = vec![0; self.schema.value_len as usize];
        for (key, (expected, deadline)) in model {
            let (_, meta) = reader
                .get(hash(key), key, &mut value)
                .unwrap_or_else(|| panic!("key {key:?} is missing; {context}"));
            assert_eq!(&value, expected, "value of {key:?}; {context}");
            assert_eq!(meta.deadline_ms, *deadline, "deadline of {key:?}; {context}");
        }
    }

    pub fn model(&self) -> Model {
        model(&self.log)
    }
}

pub fn model(log: &[Entry]) -> Model {
    let mut model = Model::new();
    for entry in log {
        match entry.kind {
            Some(RecordKind::Put) => {
                model.insert(entry.key.clone(), (entry.value.clone(), entry.deadline_ms));
            }
            Some(_) => {
                model.remove(&entry.key);
            }
            None => model.clear(),
        }
    }
    model
}

impl Wreck {
    pub fn log_end(&self) -> u64 {
        self.log.last().map_or(0, |entry| entry.sequence)
    }

    pub fn dir(&self) -> PathBuf {
        PathBuf::from("/shard")
    }

    /// Opens the files and replays the redo range.
    pub fn loading(&self, writable: bool) -> Result<(Env, SlotBudget, Loading)> {
        let env = env_of(2, &self.disk);
        if writable {
            restore_double_write(&env, &self.dir(), IDENT, std::slice::from_ref(&self.state))?;
        }
        let budget = SlotBudget::new(&self.schema);
        let mut loading = Loading::open(
            &env,
            &self.dir(),
            IDENT,
            &self.state,
            self.number,
            budget.clone(),
            self.options,
            writable,
        )?;
        for entry in self.log.iter().filter(|entry| entry.sequence >= self.redo) {
            let Some(kind) = entry.kind else {
                loading.clear(entry.sequence);
                continue;
            };
            let extension = deadline_extension(entry.deadline_ms);
            loading.apply(&Record {
                sequence: entry.sequence,
                epoch: entry.epoch,
                table: TABLE,
                slot: entry.slot,
                kind,
                flags: 0,
                extension: if entry.deadline_ms == 0 { &[] } else { &extension },
                key: &entry.key,
                value: &entry.value,
            })?;
        }
        Ok((env, budget, loading))
    }

    pub fn open(self) -> Result<(Rig, LoadReport)> {
        let (env, budget, loading) = self.loading(true)?;
        let (table, report) = loading.finish(self.log_end(), &|_, _| true, hash)?;
        let durable = self.log_end();
        let dir = self.dir();
        let rig = Rig {
            env,
            disk: self.disk,
            dir,
            schema: self.schema,
            options: self.options,
            table,
            budget,
            log: self.log,
            durable,
            epoch: self.epoch + 1,
            state: self.state,
            number: self.number,
            redo: self.redo,
        };
        Ok((rig, report))
    }

    /// Opens; what the table holds must be what the log says.
    pub fn open_and_compare(self, context: &str) -> (Rig, LoadReport) {
        let model = model(&self.log);
        let (rig, report) = self.open().unwrap_or_else(|error| panic!("{error}; {context}"));
        assert_eq!(report.keys, model.len() as u64, "keys reported; {context}");
        rig.assert_holds(&model, context);
        (rig, report)
    }

    /// The corruption that opening reports.
    pub fn corruption(self) -> slotcask_fixed::Corruption {
        match self.open() {
            Err(FixedError::Corrupt(corruption)) => corruption,
            Err(other) => panic!("not a corruption: {other}"),
            Ok(_) => panic!("the damage was not seen"),
        }
    }
}
