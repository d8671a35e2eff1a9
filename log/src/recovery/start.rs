//! The first writes of an opened log.

use crate::commit::Commit;
use crate::error::{LogError, Result};
use crate::files::Files;
use crate::gather::{Gather, Place};
use crate::manifest::{MANIFEST_SPARE, Manifest};
use crate::recovery::opening::{Opening, manifest_size};
use crate::recovery::scan::{Pending, ScanEnd};
use crate::segments::{Maintenance, Prepared};
use crate::shard::{Chain, Locked, ShardLog, Writer};
use parking_lot::Mutex;
use slotcask_format::file_name::ShardFile;
use slotcask_format::flush::{FLUSH_RESTART, FlushHeader};
use slotcask_format::mutants;
use slotcask_format::record;
use slotcask_format::segment::SEGMENT_DATA_OFFSET;
use slotcask_io::{AlignedBuf, IoErrorKind};
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64};
use std::sync::{Arc, OnceLock};

/// Told of records that are written again: state, record, generation, offset.
pub type Moved<'a, S> = dyn FnMut(&mut S, &record::Record<'_>, u64, u64) + 'a;

impl Opening {
    /// Writes what an opening writes and gives the log, with `state` behind its lock. After this everything that the scan
    /// accepted is durable.
    ///
    /// # Errors
    /// When the disk fails. What was found stays as it was: opening again does the same again.
    ///
    /// # Panics
    /// When the log was not scanned.
    pub fn start<S>(self, state: S) -> Result<ShardLog<S>> {
        self.start_with(state, &mut |_, _, _, _| {})
    }

    /// As [`Opening::start`]; `moved` gets the state and every record that is written again, with the segment and the offset in it
    /// where it stands from now on.
    ///
    /// # Errors
    /// As [`Opening::start`].
    ///
    /// # Panics
    /// As [`Opening::start`].
    pub fn start_with<S>(mut self, state: S, moved: &mut Moved<'_, S>) -> Result<ShardLog<S>> {
        let mut end = self.end.take().expect("the log is scanned before it is started");
        self.leave_out_empty_tail(&mut end);
        self.sync_restart()?;
        // What nothing needs goes first: the disk may be full.
        self.complete_replacement()?;
        self.remove(&self.leftovers)?;
        let mut maintenance = self.fresh_manifest()?;
        self.collect(&mut maintenance)?;
        let first = maintenance
            .make_segment(&self.env, &self.ident, self.config.segment_size)
            .map_err(|(error, _)| error)?;
        let redo = maintenance.state.redo_sequence;
        let log = self.assemble(state, &end, maintenance, &first);
        log.write_restart(&end, moved)?;
        tracing::debug!(shard = log.ident.shard, last = end.last_sequence, redo, "log started");
        Ok(log)
    }

    /// Takes the newest segment out of the log if no record was accepted in it: what an opening began and nobody has written to. Its
    /// space serves this opening, so that openings that are killed one after the other need no more than the first of them.
    ///
    /// What its flushes say stays known by the manifest. They voided flushes that were not whole when they were written, which are
    /// not whole now, and flushes without records: the log stands where it stood before that opening, and this one does it again.
    fn leave_out_empty_tail(&mut self, end: &mut ScanEnd) {
        let Some(&(generation, first)) = end.placed.last() else { return };
        let holds_none = first > end.last_sequence && end.ends.contains_key(&generation);
        if !holds_none || !end.pending.is_empty() {
            return;
        }
        for segment in self.segments.iter_mut().filter(|found| found.generation == generation) {
            segment.first_sequence = None;
        }
        end.placed.pop();
        end.ends.remove(&generation);
        // Durable when the first flush of the segment was written.
        end.previous = end.before_newest;
        end.empty_tail = None;
        let state = &mut self.manifest.state;
        state.durable_sequence = state.durable_sequence.max(end.watermark);
        state.time_floor_ms = state.time_floor_ms.max(end.time_floor_ms);
        state.epoch = state.epoch.max(end.epoch);
    }

    /// Does what a process that was killed while it replaced its manifest did not come to: the one before becomes the spare, which the
    /// next one is made from.
    fn complete_replacement(&mut self) -> Result<()> {
        let mut older = std::mem::take(&mut self.manifest.older);
        older.sort_unstable();
        let Some(last) = older.pop() else { return Ok(()) };
        let (disk, dir) = (&self.env.disk, &self.ident.dir);
        // The name of the newest may not be durable yet.
        disk.sync_dir(dir)?;
        self.remove(&older)?;
        disk.rename(&last, &dir.join(MANIFEST_SPARE))?;
        // It is written to only under its new name.
        Ok(disk.sync_dir(dir)?)
    }

    fn remove(&self, paths: &[PathBuf]) -> Result<()> {
        for path in paths {
            match self.env.disk.remove(path) {
                // What was written before the log has taken the place of what was left.
                Err(error) if error.kind != IoErrorKind::NotFound => return Err(error.into()),
                _ => {}
            }
        }
        Ok(())
    }

    /// Syncs the newest segment. A process that was killed in its opening may not have synced its restart, which voids what stands in
    /// other segments: before they leave the log it has to be durable.
    fn sync_restart(&self) -> Result<()> {
        if self.manifest.state.clean.is_some() || mutants::active("trust_found_restart") {
            return Ok(());
        }
        let newest = self.segments.iter().rfind(|segment| segment.first_sequence.is_some());
        Ok(newest.map_or(Ok(()), |segment| segment.file.sync())?)
    }

    /// A manifest of the next generation, with the state that was found and no mark of a clean close.
    fn fresh_manifest(&self) -> Result<Maintenance> {
        let mut state = self.manifest.state.clone();
        state.clean = None;
        state.generation_last = state.generation_last.max(self.generation_highest);
        // Segments without a flush that counts are no part of the log any more: made ready and never used, or void.
        state.segments = self
            .segments
            .iter()
            .filter(|segment| segment.first_sequence.is_some())
            .map(|segment| segment.generation)
            .collect();
        let manifest = Manifest::create(
            &self.env,
            &self.ident,
            self.manifest.generation + 1,
            self.manifest.sequence + 1,
            &state,
            manifest_size(&self.config),
        )?;
        let spare_next =
            self.spares.iter().max().map_or(1, |last| last + 1).max(state.generation_last + 1);
        let spares = self.spares.clone();
        Ok(Maintenance { manifest, state, spares, spare_next, refused: None, stays: None })
    }

    /// Removes what the manifest names no more, and makes spares of segments that are no part of the log.
    fn collect(&self, maintenance: &mut Maintenance) -> Result<()> {
        let disk = &self.env.disk;
        self.remove(&self.forgotten)?;
        let old = self.ident.dir.join(ShardFile::Manifest(self.manifest.generation).name());
        disk.rename(&old, &self.ident.dir.join(MANIFEST_SPARE))?;
        for (generation, is_whole) in &self.stale {
            let path = self.ident.dir.join(ShardFile::Segment(*generation).name());
            // Without another spare the opening needs its space.
            if *is_whole && maintenance.spares.is_empty() {
                let number = maintenance.spare_number(*generation);
                disk.rename(&path, &self.ident.dir.join(ShardFile::Spare(number).name()))?;
                maintenance.spares.push(number);
            } else {
                disk.remove(&path)?;
            }
        }
        // Segments that were ready and not used, or hold nothing that counts: spares again.
        for unused in self.segments.iter().filter(|segment| segment.first_sequence.is_none()) {
            let number = maintenance.spare_number(unused.generation);
            let spare = ShardFile::Spare(number);
            disk.rename(&unused.path, &self.ident.dir.join(spare.name()))?;
            maintenance.spares.push(number);
        }
        // This opening needs one of them.
        while maintenance.files() >= u64::from(self.config.segment_count)
            && maintenance.spares.len() > 1
        {
            let Some(number) = maintenance.spares.pop() else { break };
            disk.remove(&self.ident.dir.join(ShardFile::Spare(number).name()))?;
        }
        Ok(())
    }

    fn assemble<S>(
        &self,
        state: S,
        end: &ScanEnd,
        maintenance: Maintenance,
        first: &Prepared,
    ) -> ShardLog<S> {
        let mut placed: VecDeque<(u64, u64)> = end.placed.iter().copied().collect();
        let begin = if mutants::active("append_to_found_segment") {
            end.last_sequence
        } else {
            end.watermark
        };
        placed.push_back((first.generation, begin + 1));
        // What the last process wrote and did not sync may go with the power. The chain goes on from the flush before, where the
        // segment ends for whoever takes it out of the log: the records stand in the restart as well.
        let unproven = match (end.pending.first(), &end.empty_tail) {
            (Some(pending), _) if begin == end.watermark => Some(&pending.header),
            (None, Some(tail))
                if self.manifest.state.clean.is_none() && !mutants::active("trust_empty_tail") =>
            {
                Some(tail)
            }
            _ => None,
        };
        let previous = unproven.map_or(end.previous, |flush| flush.previous.get());
        let mut ends = end.ends.clone();
        if let Some(flush) = unproven
            && !mutants::active("trust_found_end")
        {
            ends.insert(flush.generation.get(), flush.offset.get());
        }
        let writer = Writer {
            next_sequence: begin + 1,
            epoch: end.epoch,
            gather: None,
            queue: VecDeque::new(),
            queued_bytes: 0,
            in_flight: None,
            place: Place {
                generation: first.generation,
                file: first.file.clone(),
                offset: SEGMENT_DATA_OFFSET,
                room: (self.config.segment_size - SEGMENT_DATA_OFFSET) as usize,
            },
            prepared: VecDeque::new(),
            placed,
            ends,
            buffers: Vec::new(),
            position: 0,
            proven: begin,
            kicked: false,
        };
        let files = Files::default();
        for segment in &self.segments {
            if let Some(first) = segment.first_sequence {
                files.insert(segment.generation, segment.file.clone(), first..=end.last_sequence);
            }
        }
        files.insert(first.generation, first.file.clone(), begin + 1..=u64::MAX);
        files.set_flushed(first.generation, SEGMENT_DATA_OFFSET);
        let log = ShardLog {
            record_seed: self.ident.record_seed(),
            env: self.env.clone(),
            ident: self.ident.clone(),
            config: self.config.clone(),
            commit: Commit::new(begin),
            chain: Mutex::new(Chain { previous, time_floor_ms: end.time_floor_ms }),
            written: Mutex::default(),
            manifest_sequence: AtomicU64::new(maintenance.manifest.sequence),
            maintenance: Mutex::new(maintenance),
            locked: Mutex::new(Locked { state, writer }),
            fill: AtomicU32::new(0),
            behind: AtomicU32::new(0),
            pace_due: AtomicBool::new(false),
            pace_anew: AtomicBool::new(false),
            kick: OnceLock::new(),
            time: OnceLock::new(),
            files: Arc::new(files),
        };
        log.note_fill(&log.locked.lock().writer);
        log
    }
}

impl<S> ShardLog<S> {
    /// The first flush of an opening: what was accepted above the watermark, again, or nothing.
    fn write_restart(&self, end: &ScanEnd, moved: &mut Moved<'_, S>) -> Result<()> {
        let records = pending_records(&end.pending)?;
        {
            let mut locked = self.locked.lock();
            let Locked { writer, state } = &mut *locked;
            let size = (FlushHeader::SIZE + records.len()).max(self.config.gather_size);
            let buf = AlignedBuf::with_capacity(size);
            let mut gather = Gather::begin(buf, &writer.place, writer.next_sequence, writer.epoch);
            gather.flags = FLUSH_RESTART;
            if !mutants::active("append_to_found_segment") && !records.is_empty() {
                if !gather.fits_grown(records.len()) {
                    let path = self.ident.dir.clone();
                    return Err(crate::error::LogError::corrupt(
                        &path,
                        0,
                        "more than one flush stands above the watermark",
                    ));
                }
                let mut rest = &records[..];
                while !rest.is_empty() {
                    let (record, size) =
                        record::decode(self.record_seed, rest).map_err(|reason| {
                            crate::error::LogError::corrupt(&self.ident.dir, 0, reason.to_string())
                        })?;
                    debug_assert_eq!(record.sequence, writer.next_sequence);
                    moved(state, &record, gather.generation, gather.end_offset());
                    gather.append_encoded(&rest[..size]);
                    writer.next_sequence += 1;
                    rest = &rest[size..];
                }
            }
            writer.gather = Some(gather);
            writer.close_gather();
        }
        while self.has_unflushed() && self.poison_cause().is_none() {
            self.flush_background();
        }
        match self.poison_cause() {
            Some(cause) => Err(LogError::Poisoned { cause }),
            None => Ok(()),
        }
    }
}

/// The records of the flushes that nothing proves to be durable, as bytes.
fn pending_records(pending: &[Pending]) -> Result<Vec<u8>> {
    let mut records = Vec::new();
    for pending in pending {
        let mut bytes = AlignedBuf::zeroed(pending.header.size());
        pending.file.read_at(pending.header.offset.get(), &mut bytes)?;
        let len = pending.header.length.get() as usize;
        records.extend_from_slice(&bytes[FlushHeader::SIZE..FlushHeader::SIZE + len]);
    }
    Ok(records)
}
