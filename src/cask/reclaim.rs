//! Getting space back where the disk has none: merges whose output goes to space that was held for it.
//!
//! Each shard with cask tables holds the space of one data file (`merge-reserve.tmp`). On a full disk a merge of files of which less is
//! live than that is written there, cut to what it needs, and committed. The largest of its inputs holds the space for the next merge, so
//! that nobody else can take it in between; the others are removed.

use crate::cask::choice::size_on_disk;
use crate::cask::merge::Room;
use crate::error::{Error, Result};
use crate::shard::{Shard, Upkeep};
use slotcask_format::BLOCK_SIZE;
use slotcask_format::file_name::MERGE_RESERVE;
use slotcask_format::manifest::DataFileState;
use slotcask_io::{held_bytes, hold, lend};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Files that one merge of this kind takes at most.
const INPUTS_MAX: usize = 16;
/// Least gain of a merge for writers that can do without, as a part of a segment.
const GAIN_PART: u64 = 8;
/// The same for deletes: so little that they go on while anything worth the while can be had.
const GAIN_PART_URGENT: u64 = 256;
/// Bytes of a data file beside its records: a header, and what fills its last frame up to whole blocks.
const OVERHEAD: u64 = 8 << 10;
/// What fills up other frames and stands in their headers, at most, as a part of the bytes of records.
const OVERHEAD_PART: u64 = 32;

/// Held beyond the largest data file and a segment, for the first output that takes deletes over.
const AHEAD: u64 = 2 * OVERHEAD;

/// A data file as reclaiming sees it.
struct Candidate {
    generation: u64,
    /// Bytes on disk.
    size: u64,
    /// Most bytes of records that a merge of it writes.
    copied: u64,
    /// Bytes of puts that are dead, and of flushes that were filled up to whole blocks.
    gain: u64,
    tombstone_bytes: u64,
}

impl Shard {
    fn reserve_path(&self) -> PathBuf {
        self.log.ident().dir.join(MERGE_RESERVE)
    }

    /// Bytes that are held for a merge on a full disk.
    fn reserve_bytes(&self) -> u64 {
        held_bytes(&*self.env.disk, &self.reserve_path()).unwrap_or(0)
    }

    /// Bytes that have to be held, so that any one data file can be merged.
    fn reserve_wanted(&self) -> u64 {
        if self.lock().state_ref().casks.is_empty() {
            return 0;
        }
        let manifest = self.log.manifest_state();
        let largest = manifest.data.iter().map(|file| file.end).max().unwrap_or(0);
        largest.max(self.log.config().segment_size)
    }

    /// Holds the space for a merge on a full disk, as far as there is any, and what lets the first of them give a whole segment back. The
    /// upkeep lock is held.
    pub(crate) fn keep_reserve(&self) {
        let wanted = match self.reserve_wanted() {
            0 => 0,
            bytes => bytes + self.reserve_ahead(),
        };
        let beyond = self.reserve_bytes().saturating_sub(wanted);
        if wanted > 0 && beyond > wanted / 4 {
            // Data files have become smaller; whoever holds the upkeep lock may give some of it up.
            if let Err(error) = lend(&*self.env.disk, &self.reserve_path(), beyond) {
                tracing::warn!(%error, "space that is held for merges could not be given back");
            }
            return;
        }
        self.keep_reserve_of(wanted);
    }

    /// Bytes that are held for deletes, which need a segment before they give back any.
    fn reserve_ahead(&self) -> u64 {
        self.log.config().segment_size + AHEAD
    }

    fn keep_reserve_of(&self, wanted: u64) {
        let held = self.reserve_bytes();
        let (disk, path) = (&*self.env.disk, self.reserve_path());
        let done = if wanted == 0 && held > 0 {
            disk.remove(&path)
        } else if held < wanted {
            hold(disk, &path, wanted).and_then(|()| disk.sync_dir(&self.log.ident().dir))
        } else {
            return;
        };
        match done {
            Err(error) if !error.is_out_of_resources() => {
                tracing::warn!(%error, "the space for merges on a full disk is not held");
            }
            _ => {}
        }
    }

    /// Gives up some of the space that is held for merges, for what the store cannot go on without. False when there is none, or somebody
    /// may be merging into it and this `waits` for nobody.
    pub(crate) fn lend_reserve(&self, bytes: u64, waits: bool) -> bool {
        let upkeep = if waits { Some(self.upkeep.lock()) } else { self.upkeep.try_lock() };
        let Some(_upkeep) = upkeep else { return false };
        lend(&*self.env.disk, &self.reserve_path(), bytes).unwrap_or(false)
    }

    /// Makes sure of a segment for the next opening, if need be by a checkpoint and merges.
    pub(crate) fn keep_opening_spare(&self, upkeep: &mut Upkeep) -> Result<()> {
        let kept = || self.log.keep_spare().map_err(|error| Error::of_log(error, self.id()));
        if kept()? {
            return Ok(());
        }
        self.checkpoint(upkeep, &mut || {})?;
        while !kept()? && self.reclaim(upkeep, true)? {}
        Ok(())
    }

    /// Makes a segment for a writer ready by merges on a full disk. `urgent`: deletes wait for it too. False when nothing is left to be won.
    pub(crate) fn reclaim_segment(
        &self,
        upkeep: &mut Upkeep,
        urgent: bool,
        deadline: Option<Duration>,
    ) -> Result<bool> {
        while self.reclaim(upkeep, urgent)? {
            match self.log.prepare() {
                Err(error) if error.is_out_of_resources() => {}
                Err(error) => return Err(Error::of_log(error, self.id())),
                Ok(_) => return Ok(true),
            }
            if deadline.is_some_and(|deadline| self.env.clock.monotonic() >= deadline) {
                return Err(Error::TimedOut { accepted: false });
            }
        }
        // The segment that is full is written to until there is another one: only then it leaves the log, and gives back what it can.
        let segment_size = self.log.config().segment_size;
        let more = urgent && self.reserve_bytes() >= self.reserve_wanted() + segment_size;
        if more && lend(&*self.env.disk, &self.reserve_path(), segment_size).unwrap_or(false) {
            return Ok(self.log.prepare().is_ok());
        }
        Ok(false)
    }

    /// Merges what gives back most, in the space that is held for it. False when nothing is worth it, or there is no space even so.
    pub(crate) fn reclaim(&self, upkeep: &mut Upkeep, urgent: bool) -> Result<bool> {
        loop {
            if let Some(won) = self.reclaim_once(upkeep, urgent)? {
                return Ok(won);
            }
        }
    }

    /// As [`Shard::reclaim`]; `None` when a file could not be read and the others are to be tried without it.
    fn reclaim_once(&self, upkeep: &mut Upkeep, urgent: bool) -> Result<Option<bool>> {
        let part = if urgent { GAIN_PART_URGENT } else { GAIN_PART };
        let gain_min = self.log.config().segment_size / part + OVERHEAD / 2;
        let manifest = self.log.manifest_state();
        let mut candidates = self.candidates(&manifest.data);
        candidates.sort_by_key(|file| std::cmp::Reverse(file.gain));
        // Puts do not spend what is held for deletes.
        let wanted = self.reserve_wanted() + if urgent { 0 } else { self.reserve_ahead() };
        self.keep_reserve_of(wanted);
        let room = self.reserve_bytes();
        let room_of_one = if room == 0 { wanted } else { room };
        // More than one are packed into no more than a segment: what is held has to be as large as the largest file.
        let fits = (room_of_one, room_of_one.min(self.log.config().segment_size));
        let (mut many, gain) = pack(&candidates, fits, true);
        let certain = gain >= gain_min;
        let position = self.lock().position();
        if !certain {
            // What deletes may be left behind shows only when it is tried; once for what stands there now.
            if upkeep.reclaimed_position == Some(position) {
                return Ok(Some(false));
            }
            upkeep.reclaimed_position = Some(position);
            candidates.retain(|file| file.tombstone_bytes > 0);
            candidates.sort_by_key(|file| std::cmp::Reverse(file.tombstone_bytes));
            many = pack(&candidates, fits, false).0;
        }
        let one: BTreeSet<u64> = candidates.iter().take(1).map(|file| file.generation).collect();
        for chosen in [many, one] {
            let inputs = candidates.iter().filter(|file| chosen.contains(&file.generation));
            let before: u64 = inputs.map(|file| file.size).sum();
            if chosen.is_empty() {
                continue;
            }
            // An attempt that could not be committed has given up what was held.
            let to = if self.reserve_bytes() > 0 { Room::Reserve } else { Room::None };
            match self.merge_files(&manifest, &chosen, to) {
                // Others may give back as much without it.
                Err(error) if self.leave_out(&manifest.data, &chosen, &error) => {
                    upkeep.reclaimed_position = None;
                    return Ok(None);
                }
                Ok(Some(written)) => {
                    self.keep_reserve_of(wanted);
                    return Ok(Some(before.saturating_sub(written) >= gain_min));
                }
                Ok(None) => return Ok(Some(false)),
                Err(error) if error.is_out_of_resources() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Some(false))
    }

    fn candidates(&self, data: &[DataFileState]) -> Vec<Candidate> {
        let segment_size = self.log.config().segment_size;
        let guard = self.lock();
        let usage = &guard.state_ref().usage;
        let candidate = |file: &DataFileState| {
            let used = usage.of(file.generation);
            let size = size_on_disk(file, segment_size);
            let copied = used.live_bytes + used.tombstone_bytes;
            let copied = copied + copied / OVERHEAD_PART;
            Candidate {
                generation: file.generation,
                size,
                copied,
                gain: size.saturating_sub(copied),
                tombstone_bytes: used.tombstone_bytes,
            }
        };
        let readable = data.iter().filter(|file| !usage.is_unreadable(file.generation));
        readable.map(candidate).collect()
    }

    /// What is done with a file that a merge in the reserve took over: the first holds the space for the next one, others are
    /// removed. One that somebody still reads from keeps its bytes.
    pub(crate) fn give_back_input(&self, input: &DataFileState) -> slotcask_cask::Result<()> {
        let (generation, ident) = (input.generation, self.cask_ident());
        // Out of the map first: whoever reads from it now has it already.
        let file = self.log.files().remove(generation);
        let is_read = file.is_some_and(|file| Arc::strong_count(&file) > 1);
        let path = self.reserve_path();
        if !is_read && held_bytes(&*self.env.disk, &path)? == 0 {
            slotcask_cask::remove_hint(&self.env, &ident, generation)?;
            let name = slotcask_cask::name_of(generation, input.origin).name();
            self.env.disk.rename(&ident.dir.join(name), &path)?;
        } else {
            slotcask_cask::remove_data(&self.env, &ident, input)?;
        }
        Ok(())
    }
}

/// The first of `files`, and as many more as one output takes over for sure; with what that gives back.
/// `fits`: bytes of the output for one of them, and for more.
fn pack(files: &[Candidate], fits: (u64, u64), certain: bool) -> (BTreeSet<u64>, u64) {
    let mut chosen = BTreeSet::new();
    let (mut written, mut size) = (OVERHEAD, 0);
    for file in files {
        let gains = !certain || file.gain >= BLOCK_SIZE as u64;
        let room = if chosen.is_empty() { fits.0 } else { fits.1 };
        if gains && written + file.copied <= room {
            chosen.insert(file.generation);
            written += file.copied;
            size += file.size;
        }
        if chosen.len() == INPUTS_MAX {
            break;
        }
    }
    let written = if written == OVERHEAD { 0 } else { written };
    (chosen, size.saturating_sub(written))
}
