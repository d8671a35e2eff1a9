//! What a hint and the manifest say about a data file, gathered record by record.

use crate::error::{CaskError, Result};
use crate::hash::{KeyHash, STRIPE_BITS};
use crate::location::Location;
use crate::sorting::Sorting;
use slotcask_format::hint::{HintEntry, HintTables};
use slotcask_format::manifest::{DataFileState, DataOrigin};
use slotcask_format::mutants;
use slotcask_format::record::{Record, RecordKind, deadline_of};
use std::collections::BTreeMap;

/// A record, as far as it is listed.
#[derive(Debug, Clone, Copy)]
pub struct Listed<'a> {
    /// Table.
    pub table: u32,
    /// Put, delete, expire or range delete.
    pub kind: RecordKind,
    /// Sequence.
    pub sequence: u64,
    /// Epoch.
    pub epoch: u32,
    /// Hash of its key; those of the keys that a range delete removed.
    pub hashes: &'a [KeyHash],
    /// When a put vanishes, if it does.
    pub deadline_ms: Option<u64>,
    /// Its place.
    pub at: Location,
}

/// Parts in which entries are gathered, by the first bits of their hash: each is sorted in the processor's own cache.
const PARTS: usize = 1 << PART_BITS;
const PART_BITS: u32 = 5;

/// Gathers what a hint and a manifest say about a data file.
#[derive(Debug)]
pub struct Listing {
    state: DataFileState,
    tables: BTreeMap<u32, [Vec<HintEntry>; PARTS]>,
    entries: usize,
}

impl Listing {
    /// Of a file in which nothing is listed yet.
    #[must_use]
    pub fn new(generation: u64, origin: DataOrigin) -> Self {
        let state = DataFileState {
            generation,
            origin,
            end: 0,
            frame_checksum: 0,
            records: 0,
            sequence_min: u64::MAX,
            sequence_max: 0,
            epoch_min: u32::MAX,
            epoch_max: 0,
        };
        Self { state, tables: BTreeMap::new(), entries: 0 }
    }

    /// Lists a record that was read.
    pub(crate) fn add(
        &mut self,
        record: &Record<'_>,
        offset: u64,
        size: usize,
        hash_seed: u64,
    ) -> Result<()> {
        let generation = self.state.generation;
        let at = Location::new(generation, offset, size).ok_or(CaskError::Place {
            generation,
            offset,
            size,
        })?;
        let corrupt = |reason| CaskError::corrupt(std::path::Path::new(""), offset, reason);
        let one = [KeyHash::of(hash_seed, record.key)];
        let many: Vec<KeyHash>;
        let hashes = match record.kind {
            RecordKind::Put | RecordKind::Delete | RecordKind::Expire => &one[..],
            RecordKind::RangeDelete => match KeyHash::removed_by(record).map_err(corrupt)? {
                Some(removed) => {
                    many = removed.collect();
                    &many
                }
                None => return Ok(()),
            },
            _ => return Ok(()),
        };
        let deadline_ms = deadline_of(record.extension).map_err(corrupt)?;
        let Record { table, kind, sequence, epoch, .. } = *record;
        self.list(&Listed { table, kind, sequence, epoch, hashes, deadline_ms, at });
        Ok(())
    }

    /// Lists a record.
    pub fn list(&mut self, listed: &Listed<'_>) {
        let Listed { table, kind, sequence, epoch, hashes, deadline_ms, at } = *listed;
        if kind == RecordKind::RangeDelete && mutants::active("hint_omits_range_deletes") {
            return;
        }
        let state = &mut self.state;
        state.records += 1;
        state.sequence_min = state.sequence_min.min(sequence);
        state.sequence_max = state.sequence_max.max(sequence);
        state.epoch_min = state.epoch_min.min(epoch);
        state.epoch_max = state.epoch_max.max(epoch);
        self.entries += hashes.len();
        let parts = self.tables.entry(table).or_default();
        for hash in hashes {
            parts[usize::from(hash.stripe >> (STRIPE_BITS - PART_BITS)) % PARTS].push(HintEntry {
                stored: hash.stored.into(),
                sequence: sequence.into(),
                deadline_ms: deadline_ms.unwrap_or(HintEntry::NO_DEADLINE).into(),
                offset_8: ((at.offset() / 8) as u32).into(),
                stripe: hash.stripe.into(),
                kind: kind as u8,
                size_code: at.code(),
            });
        }
    }

    /// Bytes of the hint with one more record.
    #[must_use]
    pub fn bytes_with(&self, listed: &Listed<'_>) -> usize {
        (self.entries + listed.hashes.len()) * HintEntry::SIZE
    }

    /// What the manifest is told so far.
    #[must_use]
    pub fn state(&self) -> &DataFileState {
        &self.state
    }

    /// Tables that have records.
    pub fn tables(&self) -> impl Iterator<Item = u32> + '_ {
        self.tables.keys().copied()
    }

    /// What the manifest and the hint say of the file, whose last frame ends at `end` and has this checksum.
    #[must_use]
    pub fn finish(mut self, end: u64, frame_checksum: u64) -> (DataFileState, HintTables) {
        self.state.end = end;
        self.state.frame_checksum = frame_checksum;
        if self.state.records == 0 {
            self.state.sequence_min = 0;
            self.state.epoch_min = 0;
        }
        let mut sorting = Sorting::default();
        let bits = |entry: &HintEntry| {
            // Those by which the parts differ are known.
            u64::from(entry.stripe.get()) << (u64::BITS - STRIPE_BITS + PART_BITS)
                | entry.stored.get() >> (STRIPE_BITS - PART_BITS)
        };
        let sorted = self.tables.into_iter().map(|(table, parts)| {
            let mut entries = Vec::with_capacity(parts.iter().map(Vec::len).sum());
            for mut part in parts {
                sorting.sort(&mut part, bits, HintEntry::rank);
                entries.append(&mut part);
            }
            (table, entries)
        });
        (self.state, sorted.collect())
    }
}
