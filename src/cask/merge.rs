//! When cask records move: segments that leave the log become data files or are evacuated, data files are merged.

use crate::cask::choice::{INPUTS_MAX, size_on_disk};
use crate::cask::usage::{FileUse, Usage};
use crate::error::{Error, Result};
use crate::shard::{Shard, ShardState, Upkeep};
use slotcask_cask::{
    CacheKey, CaskIdent, Input, KeyHash, Keydir, Limits, Listing, Location, Merged, View,
};
use slotcask_format::history::History;
use slotcask_format::manifest::{DataFileState, DataOrigin, ManifestState};
use slotcask_format::mutants;
use slotcask_format::record::Record;
use slotcask_log::LeavingSegment;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// A segment stays as it is when at least this share of it is live, in thousandths.
const KEEP_PERMILLE: u64 = 500;
/// Time after which a merge tries again to take a checkpoint when one failed.
const RETRY: Duration = Duration::from_secs(1);
/// A merge writes files of this part of what is live, within bounds.
const FILE_PART: u64 = 32;
/// Bytes of a data file that a merge writes, unless a segment has more.
const DATA_FILE_SIZE_MAX: u64 = 256 << 20;
/// The same of one that is written in one piece to space that was held for it.
const RESERVED_FILE_SIZE_MAX: u64 = 1 << 30;
/// Changes of the keydir under one holding of the shard lock.
const MOVES_PER_HOLD: usize = 64;
/// How long a merge that goes slowly sleeps at once.
const SLEEP_MAX: Duration = Duration::from_millis(10);
/// What a merge that goes slowly makes up for at most when it was kept from its work, but for checkpoints.
const CATCH_UP: Duration = Duration::from_secs(1);
/// What it makes up for of one checkpoint at most: the machine may have slept in it.
const CHECKPOINT_CATCH_UP: Duration = Duration::from_secs(60);
/// Changes ahead of one for which memory is asked for.
const MOVES_AHEAD: usize = 8;

/// When the work of a merge is due that keeps to a rate.
#[derive(Debug, Clone, Copy)]
struct Due {
    /// By when what was done so far was due.
    at: Duration,
    /// Time of checkpoints that the merge has not made up for.
    kept: Duration,
}

impl Due {
    /// `bytes` more are done `now`, of a `rate` in bytes per second. Of a time in which nothing was done only the last [`CATCH_UP`] counts, and that of
    /// checkpoints: a machine that slept does not make up for it.
    fn note_done(&mut self, now: Duration, bytes: u64, rate: u64) {
        let takes =
            Duration::try_from_secs_f64(bytes as f64 / rate as f64).unwrap_or(Duration::MAX);
        let from = now.saturating_sub(CATCH_UP + self.kept);
        self.at = self.at.max(from).saturating_add(takes);
        self.kept = self.kept.min(now.saturating_sub(self.at));
    }

    /// A checkpoint took so long.
    fn note_checkpoint(&mut self, took: Duration) {
        self.kept = self.kept.saturating_add(took.min(CHECKPOINT_CATCH_UP));
    }
}

/// What happens to segments that leave the log.
#[derive(Debug, Default)]
pub(crate) struct Leaving {
    /// Data files that come to be.
    data: Vec<DataFileState>,
    merged: Merged,
    /// Files whose records are all elsewhere or dead.
    gone: Vec<u64>,
}

/// Where the output of a merge goes.
pub(super) enum Room<'a> {
    /// To new files; checkpoints and room for fixed tables go on in its middle.
    Free(&'a mut Upkeep),
    /// To new files, where the disk is full and no space is held.
    None,
    /// To the space that is held for it.
    Reserve,
}

/// The shard as a merge sees it.
struct ShardView<'a> {
    shard: &'a Shard,
    keydirs: BTreeMap<u32, (Arc<Keydir>, u64)>,
    history: History,
    due: Cell<Due>,
    /// When buffered writes were last flushed from here.
    served: Cell<Duration>,
    /// It keeps to the rate of merges. Evacuations do not, nor merges on a full disk: writers wait for them.
    is_slow: bool,
    /// Of a merge that may checkpoint in its middle.
    upkeep: RefCell<Option<&'a mut Upkeep>>,
    /// It takes none before.
    checkpoint_from: Cell<Duration>,
    /// After a failure, when writers may be served again.
    serve_from: Cell<Duration>,
    /// When a segment that could not be made is tried again.
    prepare_from: Cell<Duration>,
}

impl Leaving {
    /// Bytes of files that were read or listed for it.
    pub(crate) fn bytes(&self) -> u64 {
        self.data.iter().map(|file| file.end).sum::<u64>() + self.merged.bytes_read
    }
}

impl ShardView<'_> {
    /// Takes a checkpoint that is due, and makes room in fixed tables. The merge goes on for as long as the last one took before there is
    /// another: where writers are faster than checkpoints, one is due all the time, and space would not come back.
    fn checkpoint(&self, now: Duration) {
        let mut borrowed = self.upkeep.borrow_mut();
        let Some(upkeep) = borrowed.as_deref_mut() else { return };
        if now < self.serve_from.get() || self.shard.log.is_refused() || self.is_over() {
            return;
        }
        let may = now >= self.checkpoint_from.get();
        match self.shard.serve_tables(upkeep, may) {
            Ok(false) => {}
            Ok(true) => {
                let end = self.shard.env.clock.monotonic();
                let took = end.saturating_sub(now);
                self.checkpoint_from.set(end + took);
                let mut due = self.due.get();
                due.note_checkpoint(took);
                self.due.set(due);
            }
            Err(error) => {
                self.serve_from.set(now + RETRY);
                tracing::warn!(shard = self.shard.number, %error, "a checkpoint in the middle of a merge failed");
            }
        }
    }

    /// As [`View::holds`], of all records that are listed; false where that is not known.
    fn holds_all(&self, listing: &Listing) -> bool {
        let state = listing.state();
        let known = |table: u32| {
            let known = self.keydirs.get(&table);
            known.is_some_and(|(_, void_until)| state.sequence_min > *void_until)
        };
        listing.tables().all(known)
            && self.history.holds(self.shard.number, state.epoch_max, state.sequence_max)
    }

    fn is_over(&self) -> bool {
        self.shard.stopping.load(Ordering::Relaxed) || self.shard.log.poison_cause().is_some()
    }
}

impl View for ShardView<'_> {
    fn location(&self, table: u32, hash: KeyHash) -> Option<Location> {
        self.keydirs.get(&table)?.0.get(hash)
    }

    fn prefetch(&self, table: u32, hash: KeyHash) {
        if let Some((keydir, _)) = self.keydirs.get(&table) {
            keydir.prefetch(hash);
        }
    }

    fn holds(&self, record: &Record<'_>) -> bool {
        let known = self.keydirs.get(&record.table);
        known.is_some_and(|(_, void_until)| record.sequence > *void_until)
            && self.history.holds(self.shard.number, record.epoch, record.sequence)
    }

    fn now_ms(&self) -> u64 {
        self.shard.timer.now_ms(&self.shard.env)
    }

    fn hash_seed(&self) -> u64 {
        self.shard.hash_seed
    }

    fn generation(&self) -> u64 {
        self.shard.log.give_generation()
    }

    fn pause(&self, bytes: u64) -> bool {
        self.note_done(bytes);
        let mut goes_on = self.serve();
        while let Some(early) = self.early()
            && goes_on
        {
            std::thread::sleep(early.min(SLEEP_MAX));
            goes_on = self.serve();
        }
        goes_on
    }
}

impl ShardView<'_> {
    fn note_done(&self, bytes: u64) {
        if let Some(rate) = self.shard.options.merge_rate {
            let mut due = self.due.get();
            due.note_done(self.shard.env.clock.monotonic(), bytes, rate);
            self.due.set(due);
        }
    }

    /// How long a merge that was told to go slowly has to wait. Not where the log has no room: writers wait for the end of the merge then.
    fn early(&self) -> Option<Duration> {
        let is_slow = self.shard.options.merge_rate.is_some() && self.is_slow;
        if !is_slow || self.shard.log.is_refused() {
            return None;
        }
        let early = self.due.get().at.checked_sub(self.shard.env.clock.monotonic())?;
        Some(early).filter(|early| !early.is_zero())
    }

    /// Where a segment could not be made, tries again now and then while writers have none: want of descriptors passes, and so may that of room.
    fn prepare_again(&self, now: Duration) {
        let shard = self.shard;
        let may = self.is_slow && now >= self.prepare_from.get();
        if may && shard.log.is_refused() && shard.lock().prepared() == 0 {
            self.prepare_from.set(now + RETRY);
            // The next one is as good as this one; the merge's own writes say what is wrong.
            let _ = shard.prepare();
        }
    }

    /// Does what cannot wait for the end of a merge; false when the merge has to end.
    fn serve(&self) -> bool {
        let now = self.shard.env.clock.monotonic();
        let interval_passed =
            now.saturating_sub(self.served.get()) >= self.shard.options.flush_interval;
        if interval_passed {
            self.served.set(now);
        }
        self.shard.serve(interval_passed);
        self.prepare_again(now);
        self.checkpoint(now);
        if interval_passed && let Some(upkeep) = self.upkeep.borrow_mut().as_deref_mut() {
            // What fails is the next round's.
            let _ = self.shard.expire_due(upkeep);
        }
        !self.is_over()
    }
}

impl Shard {
    fn view<'a>(&'a self, upkeep: Option<&'a mut Upkeep>) -> ShardView<'a> {
        let guard = self.lock();
        let state = guard.state_ref();
        let keydirs = state
            .casks
            .iter()
            .filter_map(|(table, keydir)| {
                let entry = state.catalogue.get(table)?;
                Some((*table, (keydir.clone(), entry.clear_sequence)))
            })
            .collect();
        drop(guard);
        let started = self.env.clock.monotonic();
        ShardView {
            shard: self,
            keydirs,
            history: self.history.lock().clone(),
            due: Cell::new(Due { at: started, kept: Duration::ZERO }),
            served: Cell::new(started),
            is_slow: upkeep.is_some() && self.options.background,
            upkeep: RefCell::new(upkeep),
            checkpoint_from: Cell::new(Duration::ZERO),
            serve_from: Cell::new(Duration::ZERO),
            prepare_from: Cell::new(started + RETRY),
        }
    }

    pub(super) fn cask_ident(&self) -> CaskIdent {
        let ident = self.log.ident();
        let (store, shard, dir) = (ident.store, ident.shard, ident.dir.clone());
        CaskIdent { store, shard, dir, map: self.options.map_data }
    }

    /// Decides about the segments that the checkpoint under way, which begins at `redo`, takes out of the log, and writes what has to be written before
    /// it is committed. The upkeep lock is held.
    pub(crate) fn leave_log(&self, redo: u64) -> Result<Leaving> {
        let mut leaving = Leaving::default();
        let mut inputs = Vec::new();
        for segment in self.log.leaving(redo).map_err(|error| Error::of_log(error, self.id()))? {
            let LeavingSegment { generation, end, checksum } = segment;
            let Some(file) = self.log.files().get(generation) else { continue };
            let used = self.lock().state_ref().usage.of(generation);
            let drops = mutants::active("evacuation_drops_tombstones") && used.live_records == 0;
            if used.records == 0 || drops {
                leaving.gone.push(generation);
                continue;
            }
            let input = Input { generation, origin: DataOrigin::Sealed, end, file };
            if used.live_bytes * 1000 >= end * KEEP_PERMILLE {
                leaving.data.push(self.seal(&input, checksum)?);
            } else {
                inputs.push((input, checksum));
            }
        }
        if inputs.is_empty() {
            return Ok(leaving);
        }
        let made = match mutants::active("evacuation_ignores_new_files") {
            true => &[],
            false => leaving.data.as_slice(),
        };
        let others: Vec<DataFileState> =
            self.log.manifest_state().data.iter().chain(made).copied().collect();
        let (inputs, checksums): (Vec<Input>, Vec<Option<u64>>) = inputs.into_iter().unzip();
        match self.run_merge(&inputs, &others, self.limits(), None) {
            Ok(merged) => {
                leaving.gone.extend(inputs.iter().map(|input| input.generation));
                leaving.data.extend(merged.outputs.iter().map(|output| output.state));
                leaving.merged = merged;
            }
            // No room for copies: the segments stay as they are, which needs none.
            Err(error) if error.is_out_of_resources() || matches!(error, Error::Closed) => {
                for (input, checksum) in inputs.iter().zip(checksums) {
                    leaving.data.push(self.seal(input, checksum)?);
                }
            }
            Err(error) => return Err(error),
        }
        leaving.data.sort_unstable_by_key(|file| file.generation);
        Ok(leaving)
    }

    /// Lists what a segment holds, for it to be a data file from now on: as it was noted when that was written, or by reading it. `checksum` is
    /// that of its last frame's header, if it is known.
    fn seal(&self, input: &Input, checksum: Option<u64>) -> Result<DataFileState> {
        let view = self.view(None);
        let ident = self.cask_ident();
        let listing = self.lock().state().usage.take_listing(input.generation);
        let noted = listing.filter(|listing| view.holds_all(listing)).zip(checksum);
        let (state, hint) = match noted {
            Some((listing, checksum)) => listing.finish(input.end, checksum),
            None => {
                let (mut buf, seed) = (slotcask_cask::small_walk_buffer(), self.hash_seed);
                let holds = |record: &Record<'_>| view.holds(record);
                slotcask_cask::rebuild_hint(&ident, input.frames(), &mut buf, seed, holds)
                    .map_err(|error| Error::of_cask(error, self.id()))?
            }
        };
        if let Err(error) = slotcask_cask::write_hint(&self.env, &ident, &state, &hint) {
            // Derived: the next opening makes it anew.
            tracing::warn!(%error, "a hint could not be written");
        }
        Ok(state)
    }

    fn run_merge(
        &self,
        inputs: &[Input],
        others: &[DataFileState],
        limits: Limits,
        upkeep: Option<&mut Upkeep>,
    ) -> Result<Merged> {
        let merged = slotcask_cask::merge(
            &self.env,
            &self.cask_ident(),
            inputs,
            others,
            &self.view(upkeep),
            limits,
        )
        .map_err(|error| Error::of_cask(error, self.id()))?;
        // What was left behind as dead must not come to be the newest by a crash.
        if !mutants::active("merge_before_log") {
            let last = self.lock().last_sequence();
            self.wait_durable(last, None)?;
        }
        Ok(merged)
    }

    /// Where outputs go while there is space: files of four segments, but not more than a small part of what is live, for as much is held for
    /// a merge on a full disk.
    fn limits(&self) -> Limits {
        let segment_size = self.log.config().segment_size;
        let live: u64 = self.lock().state_ref().usage.all().map(|(_, file)| file.live_bytes).sum();
        let largest = (segment_size * 4).min(DATA_FILE_SIZE_MAX).max(segment_size);
        Limits { file_size: (live / FILE_PART).clamp(segment_size, largest), in_reserve: false }
    }

    /// What the manifest is told about segments that leave.
    pub(crate) fn list_leaving(&self, leaving: &Leaving, manifest: &mut ManifestState) {
        manifest.data.extend(leaving.data.iter().copied());
        manifest.data.sort_unstable_by_key(|file| file.generation);
    }

    /// Points the keydirs to where records stand now; the manifest is durable.
    pub(crate) fn left_log(&self, leaving: &Leaving) {
        self.take_over(&leaving.merged);
        self.note_merged(&leaving.merged);
        for file in leaving.data.iter().filter(|file| file.origin == DataOrigin::Sealed) {
            // A segment keeps its descriptor; there is no end of data files.
            match slotcask_cask::open_data(&self.env, &self.cask_ident(), file) {
                Ok(open) => self.log.files().replace(file.generation, open),
                Err(error) => {
                    tracing::warn!(%error, "a data file is read as before, by the descriptor of its segment");
                }
            }
        }
        let mut guard = self.lock();
        let usage = &mut guard.state().usage;
        leaving.gone.iter().for_each(|generation| usage.forget(*generation));
        judge(usage, &leaving.merged);
    }

    /// Removes what was written for segments that stay in the log after all.
    pub(crate) fn leave_failed(&self, leaving: &Leaving) {
        if self.log.poison_cause().is_some() {
            // The manifest may have it after all.
            return;
        }
        for output in &leaving.merged.outputs {
            if let Err(error) =
                slotcask_cask::remove_data(&self.env, &self.cask_ident(), &output.state)
            {
                tracing::warn!(%error, "the output of a merge could not be removed; the next opening does");
            }
        }
        // Segments that were to become data files have their hints already.
        for file in leaving.data.iter().filter(|file| file.origin == DataOrigin::Sealed) {
            let ident = self.cask_ident();
            if let Err(error) = slotcask_cask::remove_hint(&self.env, &ident, file.generation) {
                tracing::warn!(%error, "the hint of a segment could not be removed; the next opening does");
            }
        }
    }

    fn take_over(&self, merged: &Merged) {
        for output in &merged.outputs {
            let state = &output.state;
            let sequences = state.sequence_min..=state.sequence_max;
            self.log.files().insert(state.generation, output.file.clone(), sequences);
        }
        for output in &merged.outputs {
            let figures = &output.figures;
            // What is live in it is counted as the keydirs are told.
            let used = FileUse {
                bytes: figures.bytes,
                records: figures.records,
                tombstones: figures.tombstones,
                tombstone_bytes: figures.tombstone_bytes,
                ..Default::default()
            };
            self.lock().state().usage.set(output.state.generation, used);
        }
        let mut ahead = merged.moves.iter().skip(MOVES_AHEAD);
        let mut moves = merged.moves.iter().peekable();
        while moves.peek().is_some() {
            let mut guard = self.lock();
            let state = guard.state();
            for moved in moves.by_ref().take(MOVES_PER_HOLD) {
                if let Some(soon) = ahead.next()
                    && let Some(keydir) = state.casks.get(&soon.table)
                {
                    keydir.prefetch(soon.hash);
                    self.shelf.cache.prefetch(CacheKey::new(soon.table, soon.hash));
                }
                let Some(keydir) = state.casks.get(&moved.table) else { continue };
                if keydir.relocate(moved.hash, moved.from, moved.to) {
                    state.usage.moved(moved.from, moved.to);
                    let cache_key = CacheKey::new(moved.table, moved.hash);
                    self.shelf.cache.follow(cache_key, moved.from, moved.to, None);
                    if let Some(deadline_ms) = moved.deadline_ms {
                        state.expiry.add(deadline_ms.get(), moved.to);
                    }
                }
            }
        }
        for vanished in merged.vanished.chunks(MOVES_PER_HOLD) {
            let mut guard = self.lock();
            let state = guard.state();
            for gone in vanished {
                let Some(keydir) = state.casks.get(&gone.table) else { continue };
                if keydir.remove_if(gone.hash, gone.from) {
                    keydir.note_removed(&gone.key);
                    state.usage.dead(gone.from);
                    state.counters.expired += 1;
                }
            }
        }
    }

    /// Merges data files if there is enough to win. The upkeep lock is held. Returns whether it did.
    pub(crate) fn merge_if_due(&self, upkeep: &mut Upkeep) -> Result<bool> {
        let manifest = self.log.manifest_state();
        let chosen = self.choose(&manifest.data);
        if chosen.is_empty() {
            self.log.set_behind(0);
            return Ok(false);
        }
        let merged = self.merge_files(&manifest, &chosen, Room::Free(upkeep));
        match &merged {
            Ok(Some(_)) => {
                self.note_behind();
                // There may be more to win.
                self.bell.ring();
            }
            // The others are merged next.
            Err(error) if self.leave_out(&manifest.data, &chosen, error) => self.note_behind(),
            // They do not catch up, however slowly is written.
            _ => self.log.set_behind(0),
        }
        Ok(merged?.is_some())
    }

    /// Has the one of the chosen files that `error` is about left out of merges, so that it does not keep the others from being merged.
    /// False when it is about none of them.
    pub(super) fn leave_out(
        &self,
        data: &[DataFileState],
        chosen: &BTreeSet<u64>,
        error: &Error,
    ) -> bool {
        let path = match error {
            // Want of descriptors passes.
            error if error.is_out_of_resources() => return false,
            Error::Corrupt { path, .. } | Error::NewerFormat { path, .. } => path,
            Error::Io(error) => &error.path,
            _ => return false,
        };
        let dir = &self.log.ident().dir;
        let is_meant = |file: &&DataFileState| {
            let name = slotcask_cask::name_of(file.generation, file.origin).name();
            chosen.contains(&file.generation) && *path == dir.join(name)
        };
        let Some(file) = data.iter().find(is_meant) else { return false };
        tracing::error!(
            shard = self.number,
            %error,
            "a data file cannot be read and is left out of merges until the next opening"
        );
        self.lock().state().usage.set_unreadable(file.generation);
        true
    }

    /// Merges all data files that hold anything dead, on a full disk as far as that goes. Those that cannot be read are left, and answered
    /// with in the end.
    pub(crate) fn merge_all(&self, upkeep: &mut Upkeep) -> Result<bool> {
        let manifest = self.log.manifest_state();
        let mut done = false;
        let mut left: Vec<u64> = {
            let guard = self.lock();
            let ShardState { usage, expiry, .. } = guard.state_ref();
            // A store that nothing was written to since its opening takes no expired value out.
            let now = self.timer.now_ms(&self.env);
            let vanished: BTreeSet<u64> = expiry.due(now).map(|at| at.generation()).collect();
            let wasteful = manifest.data.iter().filter(|file| {
                let used = usage.of(file.generation);
                used.live_records < used.records
                    || used.records < file.records
                    || vanished.contains(&file.generation)
            });
            wasteful.map(|file| file.generation).collect()
        };
        let mut unreadable = None;
        while !left.is_empty() {
            let rest = left.split_off(left.len().min(INPUTS_MAX));
            let chosen: BTreeSet<u64> = left.into_iter().collect();
            let manifest = self.log.manifest_state();
            match self.merge_files(&manifest, &chosen, Room::Free(upkeep)) {
                Ok(merged) => done |= merged.is_some(),
                Err(error) if self.leave_out(&manifest.data, &chosen, &error) => {
                    unreadable.get_or_insert(error);
                    left = rest;
                    let guard = self.lock();
                    let usage = &guard.state_ref().usage;
                    left.extend(chosen.iter().filter(|file| !usage.is_unreadable(**file)));
                    continue;
                }
                Err(error) if error.is_out_of_resources() => {
                    let mut reclaimed = false;
                    while self.reclaim(upkeep, true)? {
                        reclaimed = true;
                    }
                    return match unreadable {
                        Some(unreadable) => Err(unreadable),
                        None if reclaimed => Ok(true),
                        None => Err(error),
                    };
                }
                Err(error) => return Err(error),
            }
            left = rest;
        }
        if unreadable.is_none() {
            // There was room.
            upkeep.merge_refused = None;
            self.figures.lock().merge_refused = false;
        }
        unreadable.map_or(Ok(done), Err)
    }

    /// Merges data files; gives the bytes that were written, or None when it was ended early. The upkeep lock is held.
    pub(super) fn merge_files(
        &self,
        manifest: &ManifestState,
        chosen: &BTreeSet<u64>,
        room: Room<'_>,
    ) -> Result<Option<u64>> {
        let started = self.env.clock.monotonic();
        let (mut inputs, others): (Vec<DataFileState>, Vec<DataFileState>) =
            manifest.data.iter().partition(|file| chosen.contains(&file.generation));
        let files = self.log.files();
        let inputs_open: Vec<Input> = inputs
            .iter()
            .filter_map(|file| {
                let open = files.get(file.generation)?;
                let (generation, origin, end) = (file.generation, file.origin, file.end);
                Some(Input { generation, origin, end, file: open })
            })
            .collect();
        if inputs_open.len() < inputs.len() {
            return Err(Error::corrupt(
                &self.log.ident().dir,
                0,
                "a data file is not open".to_owned(),
            ));
        }
        let (full, limits, upkeep) = match room {
            Room::Free(upkeep) => (false, self.limits(), Some(upkeep)),
            Room::None => (true, self.limits(), None),
            Room::Reserve => {
                (true, Limits { file_size: RESERVED_FILE_SIZE_MAX, in_reserve: true }, None)
            }
        };
        let merged = match self.run_merge(&inputs_open, &others, limits, upkeep) {
            Ok(merged) => merged,
            Err(Error::Closed) => {
                let poisoned = self.log.poison_cause().map(|cause| self.poisoned(&cause));
                return poisoned.map_or(Ok(None), Err);
            }
            Err(error) => return Err(error),
        };
        drop(inputs_open);
        for input in inputs.iter().filter(|_| mutants::active("merge_removes_too_early")) {
            let _ = slotcask_cask::remove_data(&self.env, &self.cask_ident(), input);
        }
        let committed = self.log.commit_state(|state| {
            if mutants::active("merge_forgets_checkpoint") {
                state.data.clone_from(&manifest.data);
            }
            state.data.retain(|file| !chosen.contains(&file.generation));
            state.data.extend(merged.outputs.iter().map(|output| output.state));
            state.data.sort_unstable_by_key(|file| file.generation);
        });
        if let Err(error) = committed {
            self.leave_failed(&Leaving { merged, ..Leaving::default() });
            return Err(Error::of_log(error, self.id()));
        }
        self.take_over(&merged);
        // The largest first: it may come to hold the space for the next merge.
        let segment_size = self.log.config().segment_size;
        inputs.sort_by_key(|file| std::cmp::Reverse(size_on_disk(file, segment_size)));
        for input in &inputs {
            self.lock().state().usage.forget(input.generation);
            let gone = if full {
                self.give_back_input(input)
            } else {
                files.remove(input.generation);
                slotcask_cask::remove_data(&self.env, &self.cask_ident(), input)
            };
            if let Err(error) = gone {
                // The manifest has forgotten it.
                tracing::warn!(%error, "a merged data file could not be removed; it is tried again");
                self.remove_later(input);
            }
        }
        judge(&mut self.lock().state().usage, &merged);
        self.note_merged(&merged);
        self.figures.lock().merges += 1;
        let (read, written) = (merged.bytes_read, merged.bytes_written);
        drop(merged);
        slotcask_io::give_back(read);
        let elapsed = self.env.clock.monotonic().saturating_sub(started);
        metrics::histogram!("slotcask_merge_seconds").record(elapsed.as_secs_f64());
        Ok(Some(written))
    }

    /// Counts what a merge, or the evacuation of segments, took.
    fn note_merged(&self, merged: &Merged) {
        if merged.bytes_read == 0 {
            return;
        }
        let mut figures = self.figures.lock();
        figures.merge_bytes_read += merged.bytes_read;
        figures.merge_bytes_written += merged.bytes_written;
        figures.tombstones_dropped += merged.tombstones_dropped;
        drop(figures);
        metrics::counter!("slotcask_merge_bytes_read_total").increment(merged.bytes_read);
        metrics::counter!("slotcask_merge_bytes_written_total").increment(merged.bytes_written);
    }
}

/// Outputs hold the deletes that are needed beside all files that the inputs have left.
fn judge(usage: &mut Usage, merged: &Merged) {
    merged.outputs.iter().for_each(|output| usage.judge(output.state.generation));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_merge_keeps_to_its_rate_and_makes_up_for_a_second_at_most() {
        let (rate, second) = (1 << 20, Duration::from_secs);
        let mut due = Due { at: second(10), kept: Duration::ZERO };
        due.note_done(second(10), 3 << 20, rate);
        assert_eq!(due.at, second(13));
        // Late by half a second: made up for.
        let mut late = due;
        late.note_done(second(13) + Duration::from_millis(500), 1 << 20, rate);
        assert_eq!(late.at, second(14));
        // The machine slept for an hour.
        let mut slept = due;
        slept.note_done(second(3613), 2 << 20, rate);
        assert_eq!(slept.at, second(3614));
        due.note_done(second(13), u64::MAX, 1);
        assert_eq!(due.at, Duration::MAX);
    }

    #[test]
    fn a_merge_makes_up_for_all_of_a_checkpoint() {
        let (rate, second) = (1 << 20, Duration::from_secs);
        let mut due = Due { at: second(10), kept: Duration::ZERO };
        due.note_checkpoint(second(8));
        // Eight seconds' work, done at once and in small parts.
        for part in 0..64 {
            due.note_done(second(18) + Duration::from_millis(part), 128 << 10, rate);
        }
        assert_eq!(due.at, second(18));
        // What was made up for does not count twice.
        due.note_done(second(30), 1 << 20, rate);
        assert!(due.at < second(31), "{due:?}");
        // A machine that slept in a checkpoint: a minute counts.
        due.note_checkpoint(second(3600));
        due.note_done(second(3700), 1 << 20, rate);
        assert!(due.at >= second(3639), "{due:?}");
    }
}
