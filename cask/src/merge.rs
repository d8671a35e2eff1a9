//! Copying what is still of use out of some files into new ones: merge of data files, evacuation of log segments.
//!
//! Of the records of the inputs
//!  - a put to which the keydir points is copied; past its deadline it becomes an expiry;
//!  - any other put is left behind. What made it so must be durable before the inputs go: the caller sees to that;
//!  - a delete or expiry is copied as long as some file outside the merge lists an older record with its hash,
//!    which would come to life without it;
//!  - a range delete is as many deletes, one for each key that it removed; it is copied with those that are still needed.

use crate::CaskIdent;
use crate::data::{Frames, frames_of, small_walk_buffer, walk_ahead};
use crate::error::{CaskError, Result};
use crate::hash::KeyHash;
use crate::hints::{open_data, read_hint, rebuild_hint, remove_data};
use crate::location::Location;
use crate::moves::{Move, Moves};
use crate::writer::{DataWriter, Output};
use slotcask_format::hint::HintTables;
use slotcask_format::manifest::{DataFileState, DataOrigin};
use slotcask_format::mutants;
use slotcask_format::range_delete::{KeyMark, RangeDelete, Removed};
use slotcask_format::record::{Record, RecordKind, deadline_of, record_seed};
use slotcask_io::{Env, File};
use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::sync::Arc;

/// Bytes after which a merge may be ended.
const PAUSE_BYTES: u64 = 1 << 20;

/// A file whose records are taken over.
#[derive(Debug, Clone)]
pub struct Input {
    /// Generation.
    pub generation: u64,
    /// Where it came from; a segment that leaves the log is sealed.
    pub origin: DataOrigin,
    /// Offset behind its last frame.
    pub end: u64,
    /// The file.
    pub file: Arc<dyn File>,
}

/// What a merge asks its caller.
pub trait View {
    /// Where the live record of a key stands.
    fn location(&self, table: u32, hash: KeyHash) -> Option<Location>;
    /// Asks for the memory that [`View::location`] will read. A hint.
    fn prefetch(&self, table: u32, hash: KeyHash);
    /// True when the record is one of a cask table that is there, and not void by a clear or by history.
    fn holds(&self, record: &Record<'_>) -> bool;
    /// Now, milliseconds since 1970.
    fn now_ms(&self) -> u64;
    /// Seed of the hashes of keys.
    fn hash_seed(&self) -> u64;
    /// A generation for an output.
    fn generation(&self) -> u64;
    /// Called before each file that is read and each hint, and after so many bytes; false ends the merge before long.
    fn pause(&self, bytes: u64) -> bool;
}

/// How much a merge does at most.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes after which the next output begins.
    pub file_size: u64,
    /// The first output is written in the space that the shard holds for merges on a full disk.
    pub in_reserve: bool,
}

/// A record that became an expiry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vanished {
    /// Table.
    pub table: u32,
    /// Hash of its key.
    pub hash: KeyHash,
    /// Its key.
    pub key: Box<[u8]>,
    /// Where it stood.
    pub from: Location,
}

/// What a merge came to. Nothing counts until the manifest says so.
#[derive(Debug, Default)]
pub struct Merged {
    /// New files.
    pub outputs: Vec<Output>,
    /// What the keydirs have to be told.
    pub moves: Moves,
    /// As well, of what vanished.
    pub vanished: Vec<Vanished>,
    /// Deletes and expiries that were copied.
    pub tombstones_kept: u64,
    /// Deletes and expiries that were left behind.
    pub tombstones_dropped: u64,
    /// Highest sequence of them: what was deleted up to here may be unknown.
    pub dropped_sequence: u64,
    /// Bytes read.
    pub bytes_read: u64,
    /// Bytes written.
    pub bytes_written: u64,
}

/// A delete or expiry whose fate is open, or one key of a range delete.
struct Tombstone {
    table: u32,
    hash: KeyHash,
    sequence: u64,
    record: Remover,
}

/// The record that removed a key.
enum Remover {
    /// Its bytes.
    One(Vec<u8>),
    /// A range delete, by its number among those that were met.
    Range(usize),
}

impl Input {
    /// What is read of it.
    #[must_use]
    pub fn frames(&self) -> Frames<'_> {
        let Self { generation, origin, end, .. } = *self;
        Frames { generation, origin, end, file: &*self.file }
    }
}

/// Copies what is of use in `inputs` into new files. `others` are all data files that are no inputs.
///
/// # Errors
/// [`CaskError::Interrupted`] when the view said so, corruption, errors of the disk. Then nothing has changed, and what was written is removed.
pub fn merge(
    env: &Env,
    ident: &CaskIdent,
    inputs: &[Input],
    others: &[DataFileState],
    view: &dyn View,
    limits: Limits,
) -> Result<Merged> {
    let mut work = Work {
        env,
        ident,
        view,
        limits,
        merged: Merged::default(),
        writer: None,
        tombstones: Vec::new(),
        ranges: Vec::new(),
    };
    let result = work.run(inputs, others);
    match result {
        Ok(()) => Ok(work.merged),
        Err(error) => {
            if let Some(writer) = work.writer.take() {
                writer.discard();
            }
            for output in &work.merged.outputs {
                if let Err(left) = remove_data(env, ident, &output.state) {
                    tracing::warn!(%left, "the output of a merge could not be removed; the next opening does");
                }
            }
            Err(error)
        }
    }
}

struct Work<'a> {
    env: &'a Env,
    ident: &'a CaskIdent,
    view: &'a dyn View,
    limits: Limits,
    merged: Merged,
    writer: Option<DataWriter<'a>>,
    tombstones: Vec<Tombstone>,
    /// The bytes of range deletes.
    ranges: Vec<Vec<u8>>,
}

impl<'a> Work<'a> {
    fn run(&mut self, inputs: &[Input], others: &[DataFileState]) -> Result<()> {
        let mut paused = 0;
        let mut buf = small_walk_buffer();
        for input in inputs {
            let frames = input.frames();
            let (ident, view) = (self.ident, self.view);
            view.pause(std::mem::take(&mut paused));
            let prepare = |record: &Record<'_>| {
                // Segments that leave the log hold records of fixed tables too.
                let hash = view.holds(record).then(|| KeyHash::of(view.hash_seed(), record.key))?;
                if record.kind == RecordKind::Put {
                    view.prefetch(record.table, hash);
                }
                Some(hash)
            };
            let visit = |record: &Record<'_>, offset, bytes: &[u8], hash| {
                paused += bytes.len() as u64;
                if paused >= PAUSE_BYTES && !view.pause(std::mem::take(&mut paused)) {
                    return Err(CaskError::Interrupted);
                }
                match hash {
                    Some(hash) => self.record(input, record, hash, offset, bytes),
                    None => Ok(()),
                }
            };
            let walked = walk_ahead(ident, frames, &mut buf, prepare, visit)?;
            self.merged.bytes_read += walked.bytes;
        }
        self.settle_tombstones(others)?;
        if let Some(writer) = self.writer.take() {
            self.finish(writer)?;
        }
        if !self.merged.outputs.is_empty() && !mutants::active("merge_skips_directory_sync") {
            self.env.disk.sync_dir(&self.ident.dir)?;
        }
        Ok(())
    }

    fn record(
        &mut self,
        input: &Input,
        record: &Record<'_>,
        hash: KeyHash,
        offset: u64,
        bytes: &[u8],
    ) -> Result<()> {
        match record.kind {
            RecordKind::Put => self.put(input, record, hash, offset, bytes),
            RecordKind::Delete | RecordKind::Expire => {
                let (table, sequence) = (record.table, record.sequence);
                let record = Remover::One(bytes.to_vec());
                self.tombstones.push(Tombstone { table, hash, sequence, record });
                Ok(())
            }
            RecordKind::RangeDelete => {
                let path = crate::data::path_of(self.ident, input.generation, input.origin);
                let removed = KeyHash::removed_by(record)
                    .map_err(|reason| CaskError::corrupt(&path, offset, reason))?;
                let Some(removed) = removed else { return Ok(()) };
                let number = self.ranges.len();
                self.ranges.push(bytes.to_vec());
                let (table, sequence) = (record.table, record.sequence);
                self.tombstones.extend(removed.map(|hash| {
                    let record = Remover::Range(number);
                    Tombstone { table, hash, sequence, record }
                }));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn put(
        &mut self,
        input: &Input,
        record: &Record<'_>,
        hash: KeyHash,
        offset: u64,
        bytes: &[u8],
    ) -> Result<()> {
        let from = Location::new(input.generation, offset, bytes.len());
        let Some(from) = from.filter(|from| {
            self.view.location(record.table, hash) == Some(*from)
                || mutants::active("merge_copies_dead")
        }) else {
            return Ok(());
        };
        let deadline_ms = deadline_of(record.extension).map_err(|reason| {
            let path = crate::data::path_of(self.ident, input.generation, input.origin);
            CaskError::corrupt(&path, offset, reason)
        })?;
        let table = record.table;
        if deadline_ms.is_some_and(|deadline| deadline <= self.view.now_ms()) {
            let key = record.key.into();
            self.merged.vanished.push(Vanished { table, hash, key, from });
            if mutants::active("expired_vanishes") {
                return Ok(());
            }
            let expire = Record {
                kind: RecordKind::Expire,
                flags: 0,
                extension: &[],
                value: &[],
                ..*record
            };
            let mut bytes = vec![0; expire.size()];
            expire.encode(record_seed(self.ident.store, self.ident.shard), &mut bytes);
            let (sequence, record) = (record.sequence, Remover::One(bytes));
            self.tombstones.push(Tombstone { table, hash, sequence, record });
            return Ok(());
        }
        let to = self.append(record, bytes)?;
        // A deadline of zero has passed, so that it is none of those that are left.
        let deadline_ms = deadline_ms.and_then(NonZeroU64::new);
        self.merged.moves.push(&Move { table, hash, from, to, deadline_ms });
        Ok(())
    }

    fn append(&mut self, record: &Record<'_>, bytes: &[u8]) -> Result<Location> {
        if let Some(writer) =
            self.writer.take_if(|writer| writer.len() + bytes.len() as u64 > self.limits.file_size)
        {
            self.finish(writer)?;
        }
        let writer = match &mut self.writer {
            Some(writer) => writer,
            empty => {
                let reserved = self.limits.in_reserve && self.merged.outputs.is_empty();
                let make = if reserved { DataWriter::in_reserve } else { DataWriter::create };
                let (generation, seed) = (self.view.generation(), self.view.hash_seed());
                empty.insert(make(self.env, self.ident, generation, seed)?)
            }
        };
        writer.append(record, bytes)
    }

    fn finish(&mut self, writer: DataWriter<'a>) -> Result<()> {
        let output = writer.finish()?;
        self.merged.bytes_written += output.state.end;
        self.merged.outputs.push(output);
        Ok(())
    }

    /// Copies the tombstones that some file outside the merge still needs.
    fn settle_tombstones(&mut self, others: &[DataFileState]) -> Result<()> {
        let mut open = std::mem::take(&mut self.tombstones);
        open.sort_unstable_by_key(|tombstone| {
            (tombstone.table, tombstone.hash, tombstone.sequence)
        });
        let mut needed = vec![false; open.len()];
        let newest = open.iter().map(|tombstone| tombstone.sequence).max().unwrap_or(0);
        for other in others.iter().filter(|other| other.sequence_min < newest) {
            if needed.iter().all(|needed| *needed) || mutants::active("drop_tombstone_early") {
                break;
            }
            // What was worked on for a while already is given up for a close.
            if !self.view.pause(0) && self.merged.bytes_read >= PAUSE_BYTES {
                return Err(CaskError::Interrupted);
            }
            let listed = match self.listed(other) {
                Err(error) if error.is_out_of_resources() => return Err(error),
                listed => listed.inspect_err(|error| {
                    tracing::error!(%error, "a data file cannot be read: deletes of what it may hold are kept");
                }),
            };
            for (tombstone, needed) in open.iter().zip(&mut needed) {
                *needed = *needed
                    || match &listed {
                        Ok(listed) => lists_older(listed, tombstone),
                        Err(_) => other.sequence_min < tombstone.sequence,
                    };
            }
        }
        // Of one key the newest does what all of them do: else they pile up, as long as the record that they remove lies elsewhere.
        for at in 1..open.len() {
            if (open[at - 1].table, open[at - 1].hash) == (open[at].table, open[at].hash) {
                needed[at] |= needed[at - 1];
                needed[at - 1] = false;
            }
        }
        // By range delete, the keys that it is still needed for.
        let mut ranges: Vec<Vec<KeyHash>> = vec![Vec::new(); self.ranges.len()];
        for (tombstone, needed) in open.iter().zip(needed) {
            if !needed {
                self.merged.tombstones_dropped += 1;
                self.merged.dropped_sequence = self.merged.dropped_sequence.max(tombstone.sequence);
                continue;
            }
            self.merged.tombstones_kept += 1;
            match &tombstone.record {
                Remover::One(bytes) => self.append_bytes(bytes, &[])?,
                Remover::Range(_) if mutants::active("merge_drops_range_deletes") => {}
                Remover::Range(number) => ranges[*number].push(tombstone.hash),
            }
        }
        let met = std::mem::take(&mut self.ranges);
        for (bytes, mut keys) in met.iter().zip(ranges).filter(|(_, keys)| !keys.is_empty()) {
            keys.sort_unstable();
            if mutants::active("merge_shortens_range_deletes") {
                keys.truncate(1);
            }
            self.append_bytes(bytes, &keys)?;
        }
        Ok(())
    }

    /// Copies a tombstone; a range delete with these of its keys only.
    fn append_bytes(&mut self, bytes: &[u8], keys: &[KeyHash]) -> Result<()> {
        let seed = record_seed(self.ident.store, self.ident.shard);
        let corrupt = |reason| CaskError::corrupt(&self.ident.dir, 0, reason);
        let (record, _) = slotcask_format::record::decode(seed, bytes).map_err(corrupt)?;
        if record.kind != RecordKind::RangeDelete {
            self.append(&record, bytes)?;
            return Ok(());
        }
        let marks: Vec<KeyMark> = keys.iter().map(|hash| hash.mark()).collect();
        let end = RangeDelete::decode(record.value).map_err(corrupt)?.end;
        let value = RangeDelete { end, removed: Removed::Keys(&marks) }.encode();
        let record = Record { flags: 0, value: &value, ..record };
        let mut bytes = vec![0; record.size()];
        record.encode(seed, &mut bytes);
        self.append(&record, &bytes)?;
        Ok(())
    }

    /// What a file outside the merge lists.
    fn listed(&self, other: &DataFileState) -> Result<HintTables> {
        if let Some(hint) = read_hint(self.env, self.ident, other)? {
            return Ok(hint);
        }
        let file = open_data(self.env, self.ident, other)?;
        let frames = frames_of(other, &*file);
        let seed = self.view.hash_seed();
        let (_, hint) = rebuild_hint(self.ident, frames, &mut small_walk_buffer(), seed, |_| true)?;
        Ok(hint)
    }
}

fn lists_older(listed: &HintTables, tombstone: &Tombstone) -> bool {
    let Some((_, entries)) = listed.iter().find(|(table, _)| *table == tombstone.table) else {
        return false;
    };
    let key = (tombstone.hash.stripe, tombstone.hash.stored);
    let first = entries.partition_point(|entry| (entry.stripe.get(), entry.stored.get()) < key);
    entries.get(first).is_some_and(|entry| {
        (entry.stripe.get(), entry.stored.get()) == key && entry.sequence.get() < tombstone.sequence
    })
}

/// Outputs by generation.
impl Merged {
    /// The open outputs, by generation.
    #[must_use]
    pub fn files(&self) -> BTreeMap<u64, Arc<dyn File>> {
        self.outputs.iter().map(|output| (output.state.generation, output.file.clone())).collect()
    }
}
