//! Segments and spares: made ahead of use, recycled after checkpoints, committed by the manifest.
//!
//! A spare is zeroed and synced under its own name. To become a segment it is renamed, the directory is synced, and only
//! then is the first byte written: its header, synced too; then the manifest lists it; only then may a flush go there.
//! So a segment that the manifest lists is there, or somebody removed it.

use crate::config::LogIdent;
use crate::error::{LogError, Result};
use crate::manifest::Manifest;
use crate::shard::{LeavingSegment, ShardLog, Writer};
use slotcask_format::file_name::{MERGE_RESERVE, ShardFile};
use slotcask_format::manifest::{CleanEnd, ManifestState};
use slotcask_format::mutants;
use slotcask_format::segment::SegmentHeader;
use slotcask_format::{BLOCK_SIZE, flush::FLUSH_CLOSE};
use slotcask_io::{AlignedBuf, Env, File, OpenMode};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use zerocopy::IntoBytes;

/// Segments kept ready: one to go on with, one in reserve for what gives space back.
const PREPARED_TARGET: usize = 2;

/// Spares that no writer is given.
const SPARES_OF_OPENING: usize = 1;

/// A segment that is ready to be written.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub generation: u64,
    pub file: Arc<dyn File>,
}

/// Manifest and files of a log. One at a time works on them.
#[derive(Debug)]
pub(crate) struct Maintenance {
    pub manifest: Manifest,
    pub state: ManifestState,
    pub spares: Vec<u64>,
    pub spare_next: u64,
    pub refused: Option<LogError>,
    /// The first segment that the checkpoint under way leaves in the log, and its first sequence: as [`ShardLog::leaving`] told.
    pub stays: Option<(u64, u64)>,
}

/// What [`ShardLog::prepare`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preparation {
    /// Enough segments are ready.
    Enough,
    /// One was made ready.
    Made,
    /// The log has all the segments that it may have: a checkpoint has to free some.
    AtLimit,
}

impl Maintenance {
    /// Segment files on disk, spares included.
    pub(crate) fn files(&self) -> u64 {
        (self.state.segments.len() + self.spares.len()) as u64
    }

    /// Makes a segment of the next generation and lists it in the manifest. The flag tells whether the failure has
    /// touched anything that counts: if so the shard has to be poisoned.
    pub(crate) fn make_segment(
        &mut self,
        env: &Env,
        ident: &LogIdent,
        segment_size: u64,
    ) -> std::result::Result<Prepared, (LogError, bool)> {
        let harmless = |error: LogError| (error, false);
        let grave = |error: LogError| (error, true);
        let generation = self.state.generation_last + 1;
        let mut state = self.state.clone();
        state.generation_last = generation;
        state.segments.push(generation);
        if self.manifest.is_full_for(&state) {
            // The state is written again under a new name: nothing is lost if that fails.
            self.manifest.replace(env, ident, &self.state, &state)?;
        }
        let (number, file) = match self.spares.pop() {
            Some(number) => {
                let path = ident.dir.join(ShardFile::Spare(number).name());
                match env.disk.open(&path, OpenMode::ReadWrite) {
                    Ok(file) => (number, file),
                    Err(error) => {
                        self.spares.push(number);
                        return Err(harmless(error.into()));
                    }
                }
            }
            // An opening of a full disk.
            None => lending(env, ident, segment_size, || self.make_spare(env, ident, segment_size))
                .map_err(harmless)?,
        };
        let spare = ident.dir.join(ShardFile::Spare(number).name());
        let path = ident.dir.join(ShardFile::Segment(generation).name());
        if let Err(error) = env.disk.rename(&spare, &path) {
            self.spares.push(number);
            return Err(harmless(error.into()));
        }
        if !mutants::active("skip_directory_sync") {
            env.disk.sync_dir(&ident.dir).map_err(|error| grave(error.into()))?;
        }
        let header = SegmentHeader::new(
            ident.store,
            ident.shard,
            generation,
            segment_size,
            self.manifest.sequence,
        );
        let mut block = AlignedBuf::zeroed(BLOCK_SIZE);
        block[..SegmentHeader::SIZE].copy_from_slice(header.as_bytes());
        file.write_at(0, &block).and_then(|()| file.sync()).map_err(|error| grave(error.into()))?;
        self.manifest.append(&state).map_err(grave)?;
        self.state = state;
        Ok(Prepared { generation, file })
    }

    /// Makes spares until there are `count`.
    fn stock(
        &mut self,
        env: &Env,
        ident: &LogIdent,
        segment_size: u64,
        count: usize,
    ) -> Result<()> {
        while self.spares.len() < count {
            let (number, _) = self.make_spare(env, ident, segment_size)?;
            self.spares.push(number);
        }
        Ok(())
    }

    /// Makes a zeroed spare. What a failure leaves behind is removed.
    fn make_spare(
        &mut self,
        env: &Env,
        ident: &LogIdent,
        segment_size: u64,
    ) -> Result<(u64, Arc<dyn File>)> {
        let number = self.spare_next;
        let path = ident.dir.join(ShardFile::Spare(number).name());
        let file = env.disk.open(&path, OpenMode::Create)?;
        // Written, not only allocated: a sync into unwritten extents costs several times more.
        let zeroed = || -> Result<()> {
            file.allocate(segment_size)?;
            let zeros = AlignedBuf::zeroed(segment_size.min(1 << 20) as usize);
            let mut offset = 0;
            while offset < segment_size {
                let len = (segment_size - offset).min(zeros.len() as u64) as usize;
                file.write_at(offset, &zeros[..len])?;
                offset += len as u64;
            }
            Ok(file.sync()?)
        };
        if let Err(error) = zeroed() {
            if let Err(left) = env.disk.remove(&path) {
                tracing::warn!(%left, "a spare that could not be made could not be removed either");
                self.spare_next += 1;
            }
            return Err(error);
        }
        self.spare_next += 1;
        Ok((number, file))
    }

    /// A number for the spare that a segment becomes. A process that died between making a spare and using it leaves one whose number a
    /// segment is given later: that number is taken.
    pub(crate) fn spare_number(&mut self, generation: u64) -> u64 {
        let taken = self.spares.contains(&generation);
        let number = if taken { self.spare_next } else { generation };
        self.spare_next = self.spare_next.max(number + 1);
        number
    }

    /// Appends `state` to the manifest, whose place is taken by a new one when it is full.
    fn commit(
        &mut self,
        env: &Env,
        ident: &LogIdent,
        state: ManifestState,
    ) -> std::result::Result<(), (LogError, bool)> {
        if self.manifest.is_full_for(&state) {
            self.manifest.replace(env, ident, &self.state, &state)?;
        }
        self.manifest.append(&state).map_err(|error| (error, true))?;
        self.state = state;
        Ok(())
    }

    /// Turns a segment that left the log into a spare, or removes it when there are enough files.
    /// One that somebody still reads from is removed too: its bytes must stay what they are.
    fn recycle(
        &mut self,
        env: &Env,
        ident: &LogIdent,
        generation: u64,
        segment_count: u32,
        is_read: bool,
    ) {
        let from = ident.dir.join(ShardFile::Segment(generation).name());
        let result = if is_read || self.files() >= u64::from(segment_count) {
            env.disk.remove(&from)
        } else {
            let number = self.spare_number(generation);
            let to = ident.dir.join(ShardFile::Spare(number).name());
            env.disk.rename(&from, &to).inspect(|()| self.spares.push(number))
        };
        if let Err(error) = result {
            // It lies below the log's floor: the next opening collects it.
            tracing::warn!(%error, "a log segment could not be recycled");
        }
    }
}

impl<S> ShardLog<S> {
    /// Makes one more segment ready if fewer than two are.
    ///
    /// # Errors
    /// Out of space, quota, descriptors: nothing is lost, writes are refused until a later call succeeds. A failure that
    /// touched the manifest or a segment's name has poisoned the shard.
    pub fn prepare(&self) -> Result<Preparation> {
        let mut maintenance = self.maintenance.lock();
        if let Some(cause) = self.poison_cause() {
            return Err(LogError::Poisoned { cause });
        }
        if self.lock().prepared() >= PREPARED_TARGET {
            return Ok(Preparation::Enough);
        }
        // One segment stays free for the next opening.
        if maintenance.state.segments.len() as u32 + 1 >= self.config.segment_count {
            return Ok(Preparation::AtLimit);
        }
        // One more spare than is used now: the next opening needs a segment, and may find the disk full.
        let size = self.config.segment_size;
        if let Err(error) = maintenance.stock(&self.env, &self.ident, size, SPARES_OF_OPENING + 1) {
            maintenance.refused = Some(error.clone());
            return Err(error);
        }
        match maintenance.make_segment(&self.env, &self.ident, size) {
            Ok(prepared) => {
                maintenance.refused = None;
                self.manifest_sequence.store(maintenance.manifest.sequence, Ordering::Release);
                // Nothing stands in it: what it held in an earlier life must not be taken for records.
                #[allow(clippy::reversed_empty_ranges)]
                self.files.insert(prepared.generation, prepared.file.clone(), 1..=0);
                self.lock().locked.writer.prepared.push_back(prepared);
                Ok(Preparation::Made)
            }
            Err((error, grave)) => {
                if grave {
                    self.poison(error.to_string());
                }
                maintenance.refused = Some(error.clone());
                Err(error)
            }
        }
    }

    /// True when there is a segment for the next opening.
    #[must_use]
    pub fn has_spare(&self) -> bool {
        self.maintenance.lock().spares.len() >= SPARES_OF_OPENING
    }

    /// Makes sure of a segment for the next opening. False when there is none and no room for one.
    ///
    /// # Errors
    /// As [`ShardLog::prepare`], but for want of room.
    pub fn keep_spare(&self) -> Result<bool> {
        let mut maintenance = self.maintenance.lock();
        let size = self.config.segment_size;
        match maintenance.stock(&self.env, &self.ident, size, SPARES_OF_OPENING) {
            Ok(()) => Ok(true),
            Err(error) if error.is_out_of_resources() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// True when the log has all the segments that it may have: a checkpoint has to free some before one can be made.
    #[must_use]
    pub fn is_at_limit(&self) -> bool {
        self.maintenance.lock().state.segments.len() as u32 + 1 >= self.config.segment_count
    }

    /// True when openings have added more segments than the limit has room for.
    #[must_use]
    pub fn is_over_limit(&self) -> bool {
        self.maintenance.lock().state.segments.len() as u32 > self.config.segment_count
    }

    /// Why the last attempt to make a segment failed, if it did.
    #[must_use]
    pub fn refusal(&self) -> Option<LogError> {
        self.maintenance.lock().refused.clone()
    }

    /// Commits a checkpoint: everything before `redo_sequence` is in the slots. `edit` changes what else the state holds.
    /// Then recycles the segments that lie before that.
    ///
    /// # Errors
    /// A failure of the manifest poisons the shard, except when there was no room for a new manifest: then nothing changed.
    pub fn commit_checkpoint(
        &self,
        redo_sequence: u64,
        edit: impl FnOnce(&mut ManifestState),
    ) -> Result<()> {
        self.commit_checkpoint_with(redo_sequence, edit, || {})
    }

    /// As [`ShardLog::commit_checkpoint`]; a segment that `edit` lists among the data files stays under its name. `committed` is called when
    /// the manifest is durable and no segment has been touched yet.
    ///
    /// # Errors
    /// As [`ShardLog::commit_checkpoint`].
    pub fn commit_checkpoint_with(
        &self,
        redo_sequence: u64,
        edit: impl FnOnce(&mut ManifestState),
        committed: impl FnOnce(),
    ) -> Result<()> {
        let mut maintenance = self.maintenance.lock();
        if let Some(cause) = self.poison_cause() {
            return Err(LogError::Poisoned { cause });
        }
        let mut state = maintenance.state.clone();
        edit(&mut state);
        assert!(redo_sequence >= state.redo_sequence);
        state.redo_sequence = redo_sequence;
        state.checkpoint += 1;
        state.durable_sequence = self.durable();
        state.time_floor_ms = state.time_floor_ms.max(self.now_ms());
        let (floor, first) = {
            let guard = self.lock();
            state.epoch = guard.epoch();
            let floor = guard.locked.writer.floor_for(redo_sequence);
            // A segment that began since the checkpoint's redo point was taken may begin there as well; what lies before it was not
            // told to leave.
            let told = maintenance.stays.take().filter(|_| !mutants::active("floor_at_commit"));
            told.map_or(floor, |told| told.min(floor))
        };
        let gone: Vec<u64> =
            state.segments.iter().copied().filter(|generation| *generation < floor).collect();
        state.segments.retain(|generation| *generation >= floor);
        state.floor_sequence = first;
        if mutants::active("recycle_too_early") {
            for generation in &gone {
                self.recycle(&mut maintenance, *generation);
            }
        }
        let kept: Vec<u64> = state.data.iter().map(|file| file.generation).collect();
        self.finish_commit(&mut maintenance, state)?;
        committed();
        {
            let mut guard = self.lock();
            guard.locked.writer.placed.retain(|(generation, _)| *generation >= floor);
            guard.locked.writer.ends.retain(|generation, _| *generation >= floor);
            self.written.lock().lasts.retain(|generation, _| *generation >= floor);
            self.note_fill(&guard.locked.writer);
        }
        if !mutants::active("recycle_too_early") {
            for generation in gone.into_iter().filter(|generation| !kept.contains(generation)) {
                self.recycle(&mut maintenance, generation);
            }
        }
        Ok(())
    }

    /// The segments that the next checkpoint will take out of the log when it is committed with `redo_sequence`, oldest first.
    /// It takes out no others, whatever is written until then. All their flushes are on disk.
    ///
    /// # Errors
    /// [`LogError::Poisoned`].
    pub fn leaving(&self, redo_sequence: u64) -> Result<Vec<LeavingSegment>> {
        let mut leaving: Vec<LeavingSegment> = {
            let mut maintenance = self.maintenance.lock();
            let guard = self.lock();
            let writer = &guard.locked.writer;
            let (floor, first) = writer.floor_for(redo_sequence);
            maintenance.stays = Some((floor, first));
            let before =
                maintenance.state.segments.iter().filter(|generation| **generation < floor);
            before
                .filter_map(|generation| {
                    let end = *writer.ends.get(generation)?;
                    Some(LeavingSegment { generation: *generation, end, checksum: None })
                })
                .collect()
        };
        // Their records are durable. A flush without records, which nobody waits for, may still stand in the queue.
        if let Some(last) = leaving.last()
            && !mutants::active("leave_with_idle_flush")
        {
            self.flush_through(last.generation, last.end)?;
        }
        let written = self.written.lock();
        for segment in &mut leaving {
            let last =
                written.lasts.get(&segment.generation).filter(|(end, _)| *end == segment.end);
            segment.checksum = last.map(|(_, checksum)| *checksum);
        }
        Ok(leaving)
    }

    /// Flushes until everything below `end` of a segment is on disk.
    fn flush_through(&self, generation: u64, end: u64) -> Result<()> {
        while !self.files.is_flushed(generation, end - 1) {
            if let Some(cause) = self.poison_cause() {
                return Err(LogError::Poisoned { cause });
            }
            let mut empty = false;
            let led = self.commit.try_lead(|| {
                empty = !self.has_unflushed();
                self.flush_once();
            });
            match led {
                true if empty => break,
                true => {}
                // Whoever flushes takes the oldest flush first, and ends soon.
                false => std::thread::yield_now(),
            }
        }
        Ok(())
    }

    /// A generation for a file that is none of the log's segments; never given twice. Of a poisoned shard too: what is made there is not
    /// committed, but the next opening may find it.
    #[must_use]
    pub fn give_generation(&self) -> u64 {
        let mut maintenance = self.maintenance.lock();
        maintenance.state.generation_last += 1;
        maintenance.state.generation_last
    }

    fn recycle(&self, maintenance: &mut Maintenance, generation: u64) {
        // Out of the map first: whoever reads from it now has it already.
        let is_read =
            self.files.remove(generation).is_some_and(|file| Arc::strong_count(&file) > 1);
        let segment_count = self.config.segment_count;
        maintenance.recycle(&self.env, &self.ident, generation, segment_count, is_read);
    }

    /// True when there was no room for a segment, and none has been made since.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.maintenance.lock().refused.is_some()
    }

    /// Changes what the manifest says, without a checkpoint.
    ///
    /// # Errors
    /// As [`ShardLog::commit_checkpoint`].
    pub fn commit_state(&self, edit: impl FnOnce(&mut ManifestState)) -> Result<()> {
        let mut maintenance = self.maintenance.lock();
        if let Some(cause) = self.poison_cause() {
            return Err(LogError::Poisoned { cause });
        }
        let mut state = maintenance.state.clone();
        edit(&mut state);
        state.durable_sequence = state.durable_sequence.max(self.durable());
        self.finish_commit(&mut maintenance, state)
    }

    fn finish_commit(&self, maintenance: &mut Maintenance, state: ManifestState) -> Result<()> {
        match maintenance.commit(&self.env, &self.ident, state) {
            Ok(()) => {
                self.manifest_sequence.store(maintenance.manifest.sequence, Ordering::Release);
                Ok(())
            }
            Err((error, grave)) => {
                if grave {
                    self.poison(error.to_string());
                }
                Err(error)
            }
        }
    }

    /// Ends the log cleanly: everything is flushed, the last flush says so, and the manifest names the end.
    ///
    /// # Errors
    /// When the log is poisoned or fails now; then the next opening recovers.
    pub fn close(&self) -> Result<()> {
        self.sync()?;
        loop {
            match self.prepare() {
                Ok(Preparation::Made) => {}
                Ok(Preparation::Enough | Preparation::AtLimit) => break,
                // The mark may find room where the log stands.
                Err(error) if error.is_out_of_resources() => break,
                Err(error) => return Err(error),
            }
        }
        let marked = self.lock().append_idle_flush(FLUSH_CLOSE);
        if !marked {
            // No room for the mark: the next opening takes it for an unclean stop, and loses nothing.
            return Ok(());
        }
        let mut previous = 0;
        // With the flush role in hand: a flush that somebody else has taken from the queue is written before the end is named.
        while !self.commit.try_lead(|| {
            while self.has_unflushed() && !self.commit.is_poisoned() {
                self.flush_once();
            }
            previous = self.chain.lock().previous;
        }) {
            std::thread::yield_now();
        }
        if let Some(cause) = self.poison_cause() {
            return Err(LogError::Poisoned { cause });
        }
        let end = {
            let guard = self.lock();
            let writer = &guard.locked.writer;
            CleanEnd {
                generation: writer.place.generation,
                offset: writer.place.offset,
                sequence: writer.next_sequence - 1,
                flush_checksum: previous,
            }
        };
        self.commit_state(|state| state.clean = Some(end))
    }
}

/// Does what needs `bytes` of space, and when there is none does it again in what the shard holds for merges.
pub(crate) fn lending<T>(
    env: &Env,
    ident: &LogIdent,
    bytes: u64,
    mut work: impl FnMut() -> Result<T>,
) -> Result<T> {
    match work() {
        Err(error)
            if error.is_out_of_resources()
                && slotcask_io::lend(&*env.disk, &ident.dir.join(MERGE_RESERVE), bytes)? =>
        {
            work()
        }
        result => result,
    }
}

impl Writer {
    /// The newest segment that begins at or before `keep`, and its first sequence.
    fn floor_for(&self, keep: u64) -> (u64, u64) {
        let keep = if mutants::active("recycle_past_redo") { u64::MAX } else { keep };
        let found = self.placed.iter().rev().find(|(_, first)| *first <= keep);
        found.or(self.placed.front()).copied().unwrap_or((0, 1))
    }
}
