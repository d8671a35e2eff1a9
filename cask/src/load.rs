//! Building keydirs from the hints of all data files.

use crate::CaskIdent;
use crate::data::{frames_of, walk, walk_buffer};
use crate::error::Result;
use crate::hash::{KeyHash, STRIPES};
use crate::hints::{open_data, read_hint, rebuild_hint};
use crate::keydir::Keydir;
use crate::location::Location;
use crate::sorting::Sorting;
use slotcask_format::hint::{HintEntry, HintTables};
use slotcask_format::manifest::DataFileState;
use slotcask_format::mutants;
use slotcask_format::record::{Record, RecordKind, deadline_of};
use slotcask_io::{AlignedBuf, Env, File};
use slotcask_ordered::{CHUNK_BYTES_MAX, Keys, compare};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What a data file holds. Bytes are those of [`Location::size_max`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FileFigures {
    /// Bytes of all records.
    pub bytes: u64,
    /// Bytes of the records that keydirs point to.
    pub live_bytes: u64,
    /// Records.
    pub records: u64,
    /// Records that keydirs point to.
    pub live_records: u64,
    /// Deletes and expiries.
    pub tombstones: u64,
    /// Bytes of them.
    pub tombstone_bytes: u64,
}

/// What was loaded.
#[derive(Debug, Default)]
pub struct Loaded {
    /// By table.
    pub keydirs: BTreeMap<u32, Keydir>,
    /// The open data files and what they hold, by generation.
    pub files: BTreeMap<u64, (Arc<dyn File>, FileFigures)>,
    /// Hints that had to be made anew; they are not written yet.
    pub rebuilt: Vec<(DataFileState, HintTables)>,
    /// Records listed.
    pub records: u64,
    /// Highest sequence of them.
    pub sequence_max: u64,
    /// Deadlines of live records.
    pub deadlines: Vec<(u64, Location)>,
}

/// What an opening knows of a table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TableToLoad {
    /// Records up to this sequence are void.
    pub void_until: u64,
    /// The table knows the order of its keys.
    pub ordered: bool,
    /// Its keydir asks for huge pages.
    pub huge_pages: bool,
}

impl FileFigures {
    /// What a hint tells of its file; nothing of it is taken to be live.
    #[must_use]
    pub fn of(generation: u64, hint: &HintTables) -> Self {
        let mut figures = Self::default();
        // A range delete is listed once for each key.
        let mut ranges = BTreeSet::new();
        for entry in hint.iter().flat_map(|(_, entries)| entries) {
            if entry.kind == RecordKind::RangeDelete as u8 && !ranges.insert(entry.offset_8.get()) {
                continue;
            }
            figures.records += 1;
            let size = place(generation, entry).map_or(0, |at| at.size_max() as u64);
            figures.bytes += size;
            if entry.kind != RecordKind::Put as u8 {
                figures.tombstones += 1;
                figures.tombstone_bytes += size;
            }
        }
        figures
    }
}

/// Loads the cask tables that are keys of `tables`. `history` says
/// whether a record is part of the store; a file in which some are not is read whole.
///
/// # Errors
/// [`crate::CaskError::Corrupt`] when a data file is missing, or has no hint and is damaged; errors of the disk.
pub fn load(
    env: &Env,
    ident: &CaskIdent,
    data: &[DataFileState],
    tables: &BTreeMap<u32, TableToLoad>,
    hash_seed: u64,
    history: &dyn Fn(u32, u64) -> bool,
) -> Result<Loaded> {
    let mut loaded = Loaded::default();
    let mut hints: Vec<(u64, HintTables)> = Vec::with_capacity(data.len());
    let mut figures: Vec<FileFigures> = Vec::with_capacity(data.len());
    let mut files = Vec::with_capacity(data.len());
    let mut rebuilt: BTreeSet<u64> = BTreeSet::new();
    let mut buf = walk_buffer();
    for state in data {
        let file = open_data(env, ident, state)?;
        // What history had voided when the file was made is not in its hint; a later epoch may have voided more.
        let whole = history(state.epoch_max, state.sequence_max);
        let hint = if whole { read_hint(env, ident, state)? } else { None };
        let hint = match hint {
            Some(hint) => hint,
            None => {
                let frames = frames_of(state, &*file);
                let holds = |record: &Record<'_>| {
                    tables.contains_key(&record.table) && history(record.epoch, record.sequence)
                };
                let (_, hint) = rebuild_hint(ident, frames, &mut buf, hash_seed, holds)?;
                if whole {
                    rebuilt.insert(state.generation);
                }
                hint
            }
        };
        loaded.records += state.records;
        loaded.sequence_max = loaded.sequence_max.max(state.sequence_max);
        figures.push(FileFigures::of(state.generation, &hint));
        files.push(file);
        hints.push((state.generation, hint));
    }
    for (table, known) in tables {
        let keydir = Keydir::new(known.ordered, known.huge_pages);
        let runs: Vec<Run<'_>> = hints
            .iter()
            .enumerate()
            .filter_map(|(file, (generation, hint))| {
                let (_, entries) = hint.iter().find(|(found, _)| found == table)?;
                Some(Run { file, generation: *generation, rest: entries })
            })
            .collect();
        load_table(&keydir, runs, known.void_until, &mut figures, &mut loaded.deadlines);
        loaded.keydirs.insert(*table, keydir);
    }
    let files = files.into_iter().zip(figures);
    loaded.files = data.iter().map(|state| state.generation).zip(files).collect();
    if tables.values().any(|known| known.ordered) && !mutants::active("order_not_loaded") {
        load_orders(ident, data, &hints, hash_seed, &loaded, &mut buf)?;
    }
    let listed = data.iter().zip(hints).filter(|(state, _)| rebuilt.contains(&state.generation));
    loaded.rebuilt = listed.map(|(state, (_, hint))| (*state, hint)).collect();
    Ok(loaded)
}

fn place(generation: u64, entry: &HintEntry) -> Option<Location> {
    Location::with_code(generation, u64::from(entry.offset_8.get()) * 8, entry.size_code)
}

/// What a file lists of one table.
struct Run<'h> {
    /// Number of the file among those that are loaded.
    file: usize,
    generation: u64,
    /// What was not gathered yet.
    rest: &'h [HintEntry],
}

/// An entry among those of one stripe.
#[derive(Clone, Copy)]
struct Candidate<'h> {
    stored: u64,
    /// The complement of the sequence: the newest comes first.
    age: u64,
    run: usize,
    entry: &'h HintEntry,
}

fn load_table(
    keydir: &Keydir,
    mut runs: Vec<Run<'_>>,
    void_until: u64,
    figures: &mut [FileFigures],
    deadlines: &mut Vec<(u64, Location)>,
) {
    let mut gathered: Vec<Candidate<'_>> = Vec::new();
    let mut sorting = Sorting::default();
    let mut sorted: Vec<(u64, Location)> = Vec::new();
    for stripe in 0..STRIPES as u16 {
        gathered.clear();
        for (run, listed) in runs.iter_mut().enumerate() {
            let here = listed.rest.iter().take_while(|entry| entry.stripe.get() <= stripe);
            let mut count = 0;
            gathered.extend(here.inspect(|_| count += 1).map(|entry| {
                let (stored, sequence) = (entry.stored.get(), entry.sequence.get());
                let oldest_first = mutants::active("load_lowest_sequence");
                let age = if oldest_first { sequence } else { !sequence };
                Candidate { stored, age, run, entry }
            }));
            listed.rest = &listed.rest[count..];
        }
        if void_until > 0 {
            gathered.retain(|candidate| candidate.entry.sequence.get() > void_until);
        }
        let rank = |candidate: &Candidate<'_>| (candidate.stored, candidate.age);
        sorting.sort(&mut gathered, |candidate| candidate.stored, rank);
        sorted.clear();
        let mut last = None;
        for candidate in &gathered {
            if last.replace(candidate.stored) == Some(candidate.stored) {
                continue;
            }
            let (entry, run) = (candidate.entry, &runs[candidate.run]);
            if entry.kind != RecordKind::Put as u8 {
                continue;
            }
            let Some(at) = place(run.generation, entry) else { continue };
            sorted.push((candidate.stored, at));
            if entry.deadline_ms.get() != HintEntry::NO_DEADLINE {
                deadlines.push((entry.deadline_ms.get(), at));
            }
            figures[run.file].live_records += 1;
            figures[run.file].live_bytes += at.size_max() as u64;
        }
        keydir.load_stripe(stripe, &sorted);
    }
}

/// Keys of a table as they were found, and whether their values vanish.
#[derive(Default)]
struct Found {
    /// Each has a gibibyte and a key at most: one cannot have as much as a table.
    blocks: Vec<Keys>,
    places: Vec<Place>,
}

/// Where a key stands among those that were found.
struct Place {
    block: u32,
    at: u32,
    vanishes: bool,
}

impl Found {
    fn push(&mut self, key: &[u8], vanishes: bool) {
        if self.blocks.last().is_none_or(|block| block.bytes_len() >= CHUNK_BYTES_MAX) {
            self.blocks.push(Keys::new(0));
        }
        let block = self.blocks.len() - 1;
        let at = self.blocks[block].len() as u32;
        self.blocks[block].push(key);
        self.places.push(Place { block: block as u32, at, vanishes });
    }

    fn key(&self, place: &Place) -> &[u8] {
        self.blocks[place.block as usize].get(place.at as usize)
    }
}

/// Sorts the keys of ordered tables. Hints have no keys: files that hold live records of such tables are read whole.
fn load_orders(
    ident: &CaskIdent,
    data: &[DataFileState],
    hints: &[(u64, HintTables)],
    hash_seed: u64,
    loaded: &Loaded,
    buf: &mut AlignedBuf,
) -> Result<()> {
    let ordered = |table: &u32| loaded.keydirs.get(table).filter(|keydir| keydir.order().is_some());
    let mut found: BTreeMap<u32, Found> = BTreeMap::new();
    for (state, (generation, hint)) in data.iter().zip(hints) {
        let Some((file, figures)) = loaded.files.get(generation) else { continue };
        let holds_ordered = hint.iter().any(|(table, _)| ordered(table).is_some());
        if figures.live_records == 0 || !holds_ordered {
            continue;
        }
        walk(ident, frames_of(state, &**file), buf, |record, offset, bytes| {
            let Some(keydir) = ordered(&record.table) else { return Ok(()) };
            let at = Location::new(*generation, offset, bytes.len());
            if record.kind == RecordKind::Put
                && keydir.get(KeyHash::of(hash_seed, record.key)) == at
            {
                let vanishes = !matches!(deadline_of(record.extension), Ok(None));
                found.entry(record.table).or_default().push(record.key, vanishes);
            }
            Ok(())
        })?;
    }
    for (table, mut found) in found {
        let Some(order) = ordered(&table).and_then(Keydir::order) else { continue };
        let mut places = std::mem::take(&mut found.places);
        places.sort_unstable_by(|a, b| compare(found.key(a), found.key(b)));
        order.load(places.iter().map(|place| (found.key(place), 0, place.vanishes)));
    }
    Ok(())
}
