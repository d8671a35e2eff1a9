//! Building keydirs from the hints of all data files.

use crate::CaskIdent;
use crate::data::{Frames, walk};
use crate::error::Result;
use crate::hash::{KeyHash, STRIPES};
use crate::hints::{open_data, read_hint, rebuild_hint};
use crate::keydir::Keydir;
use crate::location::Location;
use slotcask_format::hint::{HintEntry, HintTables};
use slotcask_format::manifest::DataFileState;
use slotcask_format::mutants;
use slotcask_format::record::{Record, RecordKind, deadline_of};
use slotcask_io::{Env, File};
use slotcask_ordered::Keys;
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
            figures.bytes += place(generation, entry).map_or(0, |at| at.size_max() as u64);
            figures.tombstones += u64::from(entry.kind != RecordKind::Put as u8);
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
    for state in data {
        let file = open_data(env, ident, state)?;
        // What history had voided when the file was made is not in its hint; a later epoch may have voided more.
        let whole = history(state.epoch_max, state.sequence_max);
        let hint = if whole { read_hint(env, ident, state)? } else { None };
        let hint = match hint {
            Some(hint) => hint,
            None => {
                let frames = Frames { generation: state.generation, end: state.end, file: &*file };
                let holds = |record: &Record<'_>| {
                    tables.contains_key(&record.table) && history(record.epoch, record.sequence)
                };
                let (_, hint) = rebuild_hint(ident, frames, state.origin, hash_seed, holds)?;
                if whole {
                    loaded.rebuilt.push((*state, hint.clone()));
                }
                hint
            }
        };
        loaded.records += state.records;
        loaded.sequence_max = loaded.sequence_max.max(state.sequence_max);
        let figures = FileFigures::of(state.generation, &hint);
        loaded.files.insert(state.generation, (file, figures));
        hints.push((state.generation, hint));
    }
    for (table, known) in tables {
        let keydir = Keydir::new(known.ordered);
        let runs: Vec<(u64, &[HintEntry])> = hints
            .iter()
            .filter_map(|(generation, hint)| {
                let (_, entries) = hint.iter().find(|(found, _)| found == table)?;
                Some((*generation, entries.as_slice()))
            })
            .collect();
        load_table(&keydir, runs, known.void_until, &mut loaded);
        loaded.keydirs.insert(*table, keydir);
    }
    if tables.values().any(|known| known.ordered) && !mutants::active("order_not_loaded") {
        load_orders(ident, data, &hints, hash_seed, &loaded)?;
    }
    Ok(loaded)
}

fn place(generation: u64, entry: &HintEntry) -> Option<Location> {
    Location::with_code(generation, u64::from(entry.offset_8.get()) * 8, entry.size_code)
}

fn load_table(
    keydir: &Keydir,
    mut runs: Vec<(u64, &[HintEntry])>,
    void_until: u64,
    loaded: &mut Loaded,
) {
    let mut gathered: Vec<(u64, &HintEntry, Location)> = Vec::new();
    let mut sorted: Vec<(u64, Location)> = Vec::new();
    for stripe in 0..STRIPES as u16 {
        gathered.clear();
        for (generation, rest) in &mut runs {
            let count = rest.partition_point(|entry| entry.stripe.get() <= stripe);
            let (here, later) = rest.split_at(count);
            *rest = later;
            gathered.extend(here.iter().filter_map(|entry| {
                let at = place(*generation, entry)?;
                (entry.sequence.get() > void_until).then_some((entry.stored.get(), entry, at))
            }));
        }
        if mutants::active("load_lowest_sequence") {
            gathered.sort_unstable_by_key(|(stored, entry, _)| (*stored, entry.sequence.get()));
        } else {
            gathered.sort_unstable_by_key(|(stored, entry, _)| (*stored, !entry.sequence.get()));
        }
        gathered.dedup_by_key(|(stored, ..)| *stored);
        sorted.clear();
        for (stored, entry, at) in &gathered {
            if entry.kind != RecordKind::Put as u8 {
                continue;
            }
            sorted.push((*stored, *at));
            if entry.deadline_ms.get() != HintEntry::NO_DEADLINE {
                loaded.deadlines.push((entry.deadline_ms.get(), *at));
            }
            if let Some((_, figures)) = loaded.files.get_mut(&at.generation()) {
                figures.live_records += 1;
                figures.live_bytes += at.size_max() as u64;
            }
        }
        keydir.load_stripe(stripe, &sorted);
    }
}

/// Keys of a table as they were found, and whether their values vanish.
struct Found {
    keys: Keys,
    vanish: Vec<bool>,
}

/// Sorts the keys of ordered tables. Hints have no keys: files that hold live records of such tables are read whole.
fn load_orders(
    ident: &CaskIdent,
    data: &[DataFileState],
    hints: &[(u64, HintTables)],
    hash_seed: u64,
    loaded: &Loaded,
) -> Result<()> {
    let ordered = |table: &u32| loaded.keydirs.get(table).filter(|keydir| keydir.order().is_some());
    let mut found: BTreeMap<u32, Found> = BTreeMap::new();
    for (state, (generation, hint)) in data.iter().zip(hints) {
        let Some((file, figures)) = loaded.files.get(generation) else { continue };
        let holds_ordered = hint.iter().any(|(table, _)| ordered(table).is_some());
        if figures.live_records == 0 || !holds_ordered {
            continue;
        }
        let frames = Frames { generation: *generation, end: state.end, file: &**file };
        walk(ident, frames, |record, offset, bytes| {
            let Some(keydir) = ordered(&record.table) else { return Ok(()) };
            let at = Location::new(*generation, offset, bytes.len());
            if record.kind == RecordKind::Put
                && keydir.get(KeyHash::of(hash_seed, record.key)) == at
            {
                let new = || Found { keys: Keys::new(0), vanish: Vec::new() };
                let found = found.entry(record.table).or_insert_with(new);
                found.keys.push(record.key);
                found.vanish.push(!matches!(deadline_of(record.extension), Ok(None)));
            }
            Ok(())
        })?;
    }
    for (table, Found { keys, vanish }) in found {
        let Some(order) = ordered(&table).and_then(Keydir::order) else { continue };
        let mut places: Vec<u32> = (0..vanish.len() as u32).collect();
        places.sort_unstable_by(|a, b| keys.get(*a as usize).cmp(keys.get(*b as usize)));
        order.load(places.iter().map(|at| (keys.get(*at as usize), 0, vanish[*at as usize])));
    }
    Ok(())
}
