//! The files of a fixed table, loaded: slot file, page map and double-write area, against what a manifest says of them.

use crate::packed::{Files, pack, repack, unpack};
use crate::place::{SHARD, STORE, TABLE, kind_seed, seal_front};
use crate::target::Outcome;
use slotcask_fixed::{
    FixedOptions, FixedTable, GrowthOptions, Loading, ShardIdent, SlotBudget, SlotMeta,
};
use slotcask_format::file_name::ShardFile;
use slotcask_format::manifest::{TableCheckpoint, TableState};
use slotcask_format::page_map::{
    MAP_BLOCK_MAGIC, MAP_ENTRIES, MapBlockHeader, map_block_offset, map_seed,
};
use slotcask_format::schema::{Placement, TableKind, TableSchema};
use slotcask_format::slot::{SlotKind, SlotLayout, seal_slot, slot_seed};
use slotcask_format::slot_file::{
    MAP_FILE_MAGIC, SLOT_FILE_DATA_OFFSET, SLOT_FILE_MAGIC, SlotFileHeader,
};
use slotcask_format::{BLOCK_SIZE, checksum::StoreId};
use slotcask_io::sim::env_of;
use slotcask_io::{SimDisk, SimOptions, sim_env};
use std::path::Path;
use zerocopy::FromBytes;

/// Numbers of the files in an input.
const SLOTS: u8 = 0;
const MAP: u8 = 1;
const DOUBLE_WRITE: u8 = 2;
/// What an input says of the manifest: pages, root, checkpoint, end of the log, clear sequence.
const MANIFEST: u8 = 3;
const DIR: &str = "/shard";

fn ident() -> ShardIdent {
    ShardIdent { store: StoreId(STORE.0), shard: SHARD }
}

fn schema() -> TableSchema {
    TableSchema {
        name: "things".to_owned(),
        kind: TableKind::Fixed,
        placement: Placement::Hashed,
        key_len: 8,
        value_len: 20,
        deadlines: true,
        ordered: false,
        slot_count_max: 1000,
        compression: None,
    }
}

fn options() -> FixedOptions {
    FixedOptions {
        huge_pages: false,
        torn_page_protection: true,
        growth: GrowthOptions { min_bytes: 16 << 10, fraction: 16 },
        batch_bytes: 16 << 10,
    }
}

fn hash(key: &[u8]) -> u64 {
    key.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// What the manifest says.
#[derive(Debug, Clone, Copy)]
struct Claim {
    pages: u32,
    root: u64,
    checkpoint: u64,
    log_end: u64,
    clear_sequence: u64,
}

impl Claim {
    fn read(files: &Files) -> Self {
        let bytes = files.get(&MANIFEST).map_or(&[][..], Vec::as_slice);
        let word = |at: usize| {
            let word = bytes.get(8 * at..8 * at + 8).and_then(|word| word.try_into().ok());
            u64::from_le_bytes(word.unwrap_or_default())
        };
        Self {
            pages: word(0) as u32,
            root: word(1),
            checkpoint: word(2),
            log_end: word(3),
            clear_sequence: word(4),
        }
    }

    fn write(self) -> Vec<u8> {
        let words =
            [u64::from(self.pages), self.root, self.checkpoint, self.log_end, self.clear_sequence];
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    fn state(self) -> TableState {
        TableState {
            table: TABLE,
            schema: schema(),
            clear_sequence: self.clear_sequence,
            checkpoint: TableCheckpoint { pages: self.pages, map_root: self.root },
        }
    }
}

fn name(number: u8) -> Option<ShardFile> {
    match number {
        SLOTS => Some(ShardFile::Slots(TABLE)),
        MAP => Some(ShardFile::Map(TABLE)),
        DOUBLE_WRITE => Some(ShardFile::DoubleWrite),
        _ => None,
    }
}

/// Loads the table of an input for writing; `None` when it is refused.
pub fn load(data: &[u8]) -> Option<FixedTable> {
    let files = unpack(data);
    let claim = Claim::read(&files);
    let disk = SimDisk::new(SimOptions::default());
    for (number, bytes) in &files {
        if let Some(name) = name(*number) {
            disk.put_file(&Path::new(DIR).join(name.name()), bytes);
        }
    }
    let open = |writable| {
        let budget = SlotBudget::new(&schema());
        Loading::open(
            &env_of(1, &disk),
            Path::new(DIR),
            ident(),
            &claim.state(),
            claim.checkpoint,
            budget,
            options(),
            writable,
        )
    };
    let valid = |epoch: u32, _: u64| epoch < 100;
    let (findings, report) = open(false).ok()?.check(claim.log_end, &valid, hash);
    let loaded = open(true).ok()?.finish_reading(claim.log_end, &valid, hash);
    assert_eq!(loaded.is_ok(), findings.is_empty(), "loading and checking differ: {findings:?}");
    let (mut table, again) = loaded.ok()?;
    assert_eq!(report, again);
    assert_eq!(table.len(), report.keys);
    table.begin_writing(&env_of(2, &disk)).expect("a simulated disk has room");
    Some(table)
}

/// What is loaded is found under its keys, and takes new ones.
pub fn target(data: &[u8]) -> Outcome {
    let Some(mut table) = load(data) else { return Outcome::Rejected };
    let reader = table.reader();
    let (mut key, mut value) = ([0; 8], [0; 20]);
    let mut live = 0;
    for slot in 0..reader.slot_count() {
        let meta = reader.read_slot(slot, &mut key, &mut value);
        if meta.is_some_and(|meta| meta.kind == SlotKind::Live) {
            live += 1;
            let (found, _) = reader.get(hash(&key), &key, &mut value).expect("its key is live");
            assert_eq!(found, slot);
        }
    }
    assert_eq!(live, reader.len());
    let new = [0xee; 8];
    if reader.contains(hash(&new), &new).is_none()
        && let Ok(slot) = table.reserve()
    {
        table.put(hash(&new), slot, false, meta(u64::MAX >> 1), &new, &[1; 20]);
        assert_eq!(reader.len(), live + 1);
    }
    Outcome::Accepted
}

fn meta(sequence: u64) -> SlotMeta {
    SlotMeta { sequence, epoch: 1, kind: SlotKind::Live, deadline_ms: 0 }
}

/// Repairs slots, the page map that the manifest's checkpoint means, and what the manifest says of it.
pub fn reseal(data: &mut [u8]) {
    let mut files = unpack(data);
    let claim = Claim::read(&files);
    let layout = SlotLayout::of(&schema());
    let mut sums = Vec::new();
    if let Some(slots) = files.get_mut(&SLOTS) {
        seal_headers(slots, SLOT_FILE_MAGIC);
        let seed = slot_seed(STORE, SHARD, TABLE);
        let pages = slots.get_mut(SLOT_FILE_DATA_OFFSET as usize..).unwrap_or_default();
        for (page, bytes) in pages.chunks_exact_mut(layout.page_size).enumerate() {
            let first = (page * layout.slots_per_page) as u32;
            let slots = bytes.chunks_exact_mut(layout.slot_size).take(layout.slots_per_page);
            for (slot, number) in slots.zip(first..) {
                if slot.iter().any(|byte| *byte != 0) {
                    seal_slot(seed, number, slot);
                }
            }
            sums.push(map_seed(STORE, SHARD, TABLE).at(page as u64).checksum(bytes));
        }
    }
    if let Some(map) = files.get_mut(&MAP) {
        seal_headers(map, MAP_FILE_MAGIC);
        if let Some(root) = reseal_map(map, &sums, claim)
            && let Some(claim) = files.get_mut(&MANIFEST).and_then(|bytes| bytes.get_mut(8..16))
        {
            claim.copy_from_slice(&root.to_le_bytes());
        }
    }
    repack(data, &files);
}

fn seal_headers(file: &mut [u8], magic: u32) {
    for block in file.chunks_mut(BLOCK_SIZE).take(2) {
        seal_front(kind_seed(magic), block, SlotFileHeader::SIZE);
    }
}

/// Gives the root of the first block of the map; inputs hold no more pages than it has entries for.
fn reseal_map(map: &mut [u8], sums: &[u64], claim: Claim) -> Option<u64> {
    let seed = map_seed(STORE, SHARD, TABLE);
    let range = |copy: u32| {
        let at = map_block_offset(0, copy) as usize;
        at..at + BLOCK_SIZE
    };
    let header = |map: &[u8], copy: u32| {
        let (header, _) = MapBlockHeader::read_from_prefix(map.get(range(copy))?).ok()?;
        (header.magic.get() == MAP_BLOCK_MAGIC).then_some(header)
    };
    let meant = (0..2)
        .filter_map(|copy| Some((header(map, copy)?.checkpoint.get(), copy)))
        .filter(|(written_by, _)| *written_by <= claim.checkpoint)
        .max_by_key(|(written_by, _)| *written_by);
    let mut root = None;
    for copy in 0..2 {
        let Some(header) = header(map, copy) else { continue };
        let is_meant = meant.is_some_and(|(_, meant)| meant == copy);
        let block = map.get_mut(range(copy))?;
        if is_meant {
            let used = (header.entries.get() as usize).min(MAP_ENTRIES);
            let entries = block[MapBlockHeader::SIZE..].chunks_exact_mut(8).take(used);
            for (entry, sum) in entries.zip(sums) {
                entry.copy_from_slice(&sum.to_le_bytes());
            }
        }
        let checksum = seed.at(0).checksum(&block[8..]);
        block[..8].copy_from_slice(&checksum.to_le_bytes());
        if is_meant {
            root = Some(seed.checksum(&checksum.to_le_bytes()));
        }
    }
    root
}

/// A table after its first checkpoint, and after its second.
pub fn seeds() -> Vec<Vec<u8>> {
    let (env, disk) = sim_env(1, SimOptions::default());
    env.disk.create_dir(Path::new(DIR)).expect("a simulated disk has room");
    let (schema, budget) = (schema(), SlotBudget::new(&schema()));
    let dir = Path::new(DIR);
    let table = FixedTable::create(&env, dir, ident(), TABLE, &schema, budget, options());
    let mut table = table.expect("a simulated disk has room");
    let mut seeds = Vec::new();
    for (checkpoint, keys) in [(1, 0..5_u64), (2, 3..90)] {
        for number in keys {
            let (key, sequence) = (number.to_le_bytes(), 100 * checkpoint + number);
            let found = table.find(hash(&key), &key).map(|(slot, _)| slot);
            while let Some(plan) = table.grow_plan() {
                table.grown(plan.execute().expect("a simulated disk has room"));
            }
            let slot = found.unwrap_or_else(|| table.reserve().expect("there is room"));
            let existed = found.is_some();
            table.put(hash(&key), slot, existed, meta(sequence), &key, &[number as u8; 20]);
        }
        let mut running = table.checkpoint_begin(checkpoint);
        while running.copy_batch(&table, 64) {}
        running.seal_copied();
        running.seal_batch();
        running.write_batch().expect("a simulated disk has room");
        let finished = running.finish().expect("a simulated disk works");
        let claim = Claim {
            pages: finished.checkpoint.pages,
            root: finished.checkpoint.map_root,
            checkpoint,
            log_end: 1000,
            clear_sequence: 0,
        };
        table.checkpoint_done(finished);
        let mut files = Files::from([(MANIFEST, claim.write())]);
        for number in [SLOTS, MAP, DOUBLE_WRITE] {
            let path = name(number).map(|name| dir.join(name.name()));
            let bytes = path.map(|path| disk.read_all(&path).expect("it was written"));
            files.insert(number, bytes.unwrap_or_default());
        }
        seeds.extend(pack(&files));
    }
    seeds
}
