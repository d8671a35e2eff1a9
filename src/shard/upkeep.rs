//! Upkeep: segments made ready, files grown, checkpoints when they are due. Done by the shard's thread, and by a writer that
//! cannot go on without.

use crate::error::{Error, Result};
use crate::shard::{MergeRefused, Shard, Upkeep};
use parking_lot::MutexGuard;
use slotcask_format::flush::FLUSH_IDLE;
use slotcask_log::{LogError, PACE_FROM_PERMILLE, Preparation};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// A checkpoint begins when at least this share of the log was written since the last one began, in thousandths of what writers may
/// fill.
const CHECKPOINT_PERMILLE_MIN: u64 = 80;
/// How often a writer that waits for somebody else's upkeep looks whether that has made a segment ready.
const LOOK_INTERVAL: Duration = Duration::from_millis(1);
/// Longest pause of a writer.
const PAUSE_MAX: Duration = Duration::from_micros(1800);
/// The same while pauses are owed for one flush's worth of log when the next is full: where a few large records fill one.
const PAUSE_LATE_MAX: Duration = Duration::from_millis(10);
/// What writers pause together for a flush's worth of log when the log is full.
const PAUSES_MAX: Duration = Duration::from_millis(150);
/// How long the shard's thread does not try again, at first and at most, what failed: a checkpoint, a merge, or one that found no room.
const RETRY_MIN: Duration = Duration::from_millis(500);
const RETRY_MAX: Duration = Duration::from_secs(30);

impl Shard {
    /// Makes segments ready, as far as the log's limit allows.
    pub(crate) fn prepare(&self) -> std::result::Result<bool, LogError> {
        let mut made = false;
        loop {
            match self.log.prepare()? {
                Preparation::Made => made = true,
                Preparation::Enough => return Ok(made),
                Preparation::AtLimit => return Ok(made),
            }
        }
    }

    /// True when a checkpoint is due.
    ///
    /// The log is kept from the last checkpoint, in whole segments: before the next one ends, the log holds what was written between
    /// their beginnings, what is written meanwhile, and up to one segment more. Writers are not to be slowed down yet by then.
    fn checkpoint_is_due(&self, upkeep: &Upkeep) -> bool {
        let config = self.log.config();
        let capacity = config.capacity_of_writes();
        let goal = capacity * u64::from(PACE_FROM_PERMILLE) / 1000;
        let guard = self.lock();
        let since = guard.position().saturating_sub(upkeep.checkpoint_position);
        // What an opening found counts as soon as something is written.
        let found = if guard.state_ref().epoch_open { upkeep.found_bytes } else { 0 };
        let since = since + found;
        // As much as was written during the last checkpoint will be written during the next one.
        let interval = goal.saturating_sub(config.segment_size + upkeep.checkpoint_meanwhile);
        since > interval.max(capacity * CHECKPOINT_PERMILLE_MIN / 1000)
    }

    /// Makes room in the log for a writer that found none: a segment, if need be after checkpoints.
    ///
    /// # Errors
    /// [`Error::DiskFull`] when space is wanting and none can be freed, [`Error::TimedOut`] when somebody else's upkeep took
    /// longer than allowed.
    pub(crate) fn make_room(
        &self,
        prepared_before: usize,
        deadline: Option<Duration>,
    ) -> Result<()> {
        // A checkpoint that runs makes segments ready in between, long before it ends.
        let is_made = || self.lock().prepared() > prepared_before;
        let Some(mut upkeep) = self.upkeep_unless(is_made, deadline)? else { return Ok(()) };
        // The store may belong to somebody else by now.
        self.check_open()?;
        // Somebody else may have made room meanwhile.
        if self.lock().prepared() > prepared_before {
            return Ok(());
        }
        // While there is no room for segments, what others give back is for theirs.
        if !self.log.is_refused() {
            self.keep_reserve();
        }
        let mut refused = None;
        // What a checkpoint frees, somebody else may take.
        for _ in 0..2 {
            match self.log.prepare() {
                Ok(Preparation::Made | Preparation::Enough) => return Ok(()),
                Ok(Preparation::AtLimit) => {}
                Err(error) if error.is_out_of_resources() => refused = Some(error),
                Err(error) => return Err(Error::of_log(error, self.id())),
            }
            if refused.is_some()
                && upkeep.checkpoints_idle >= 1
                && !self.checkpoint_would_free(&upkeep)
            {
                break;
            }
            self.checkpoint(&mut upkeep, &mut || self.between())?;
        }
        match self.log.prepare() {
            Ok(Preparation::Made | Preparation::Enough) => Ok(()),
            Ok(Preparation::AtLimit) => match refused {
                Some(error) => Err(Error::of_log(error, self.id())),
                None => Ok(()),
            },
            // Deletes wait only when none is prepared.
            Err(error)
                if error.is_out_of_resources()
                    && self.reclaim_segment(&mut upkeep, prepared_before == 0, deadline)? =>
            {
                Ok(())
            }
            Err(error) => Err(Error::of_log(error, self.id())),
        }
    }

    /// Ends the active segment of the log.
    ///
    /// # Errors
    /// As [`Shard::make_room`]; [`Error::Poisoned`].
    pub(crate) fn rotate(&self) -> Result<()> {
        let active = self.log.segment();
        // Whoever writes meanwhile may take the room that is made here, but ends the segment then.
        while self.log.segment() == active {
            if let Some(cause) = self.log.poison_cause() {
                return Err(self.poisoned(&cause));
            }
            let prepared = {
                let mut guard = self.lock();
                if guard.rotate() {
                    break;
                }
                guard.prepared()
            };
            self.make_room(prepared, None)?;
            if self.lock().prepared() <= prepared
                && self.log.segment() == active
                && self.log.is_at_limit()
            {
                let cause = "every segment of its log is in use".to_owned();
                return Err(Error::DiskFull { what: "a new log segment", shard: self.id(), cause });
            }
        }
        Ok(())
    }

    /// Brings the log below its limit: every opening adds a segment, and one that is never written to takes no checkpoint.
    /// With a thread of its own the shard serves meanwhile; unless openings that were cut short have left it over its limit, so that
    /// no number of them makes it longer and longer.
    pub(crate) fn trim_log(&self) -> Result<()> {
        let mut upkeep = self.upkeep.lock();
        if self.options.background && !self.log.is_over_limit() {
            upkeep.trim_due = true;
            return Ok(());
        }
        self.trim_log_held(&mut upkeep, &mut || {})
    }

    /// As [`Shard::trim_log`], with the upkeep lock held, and at once. `between` as in [`Shard::checkpoint`].
    pub(crate) fn trim_log_held(
        &self,
        upkeep: &mut Upkeep,
        between: &mut dyn FnMut(),
    ) -> Result<()> {
        if self.log.is_at_limit() {
            self.checkpoint_or_wait(upkeep, between)?;
        }
        Ok(())
    }

    /// True when something was appended since the last checkpoint.
    pub(crate) fn checkpoint_would_free(&self, upkeep: &Upkeep) -> bool {
        self.lock().position() != upkeep.checkpoint_position
    }

    /// After a write, without the shard lock: slows the writer down if it is its turn. `cask`: it wrote to a cask table.
    #[inline]
    pub(crate) fn pace_if_due(&self, cask: bool) {
        if self.log.take_pace() {
            self.pace(cask);
        }
    }

    /// Slows a writer down when the log fills faster than checkpoints empty it, so that nobody is stopped at once when it is
    /// full; and one that writes to cask tables when merges fall behind, so that space stays within its bound. Called once for every
    /// flush's worth of log, and again by the writers after that while pauses are owed.
    #[cold]
    fn pace(&self, cask: bool) {
        let fill = self.log.fill_permille();
        let behind = self.log.behind_permille().min(1000);
        if fill <= PACE_FROM_PERMILLE && behind > 0 && !cask {
            // For somebody else.
            self.log.owe_pace();
            return;
        }
        if (fill <= PACE_FROM_PERMILLE && behind == 0) || !self.options.background {
            self.pause_owed_us.store(0, Ordering::Relaxed);
            return;
        }
        let rest = 1000 - PACE_FROM_PERMILLE;
        let over = fill.saturating_sub(PACE_FROM_PERMILLE).min(rest);
        let behind = if cask { behind } else { 0 };
        let share = (f64::from(over) / f64::from(rest)).max(f64::from(behind) / 1000.0);
        let anew = self.log.take_pace_anew();
        let (owed, late) = match self.pause_owed_us.swap(0, Ordering::Relaxed) {
            0 => (PAUSES_MAX.mul_f64(share * share), false),
            left => (Duration::from_micros(left), anew || self.pause_late.load(Ordering::Relaxed)),
        };
        self.pause_late.store(late, Ordering::Relaxed);
        let pause = owed.min(if late { PAUSE_LATE_MAX } else { PAUSE_MAX });
        let left = owed.saturating_sub(pause).as_micros() as u64;
        if left > 0 {
            self.pause_owed_us.store(left, Ordering::Relaxed);
            self.log.owe_pace();
        }
        metrics::histogram!("slotcask_write_pause_seconds").record(pause.as_secs_f64());
        std::thread::sleep(pause);
    }

    /// Makes room in the file of a table for a writer that found none in `pages` pages. What is free now says nothing: a batch may
    /// need more than one slot.
    ///
    /// # Errors
    /// What says that there is none to be had; [`Error::TimedOut`] when somebody else's upkeep took longer than allowed.
    pub(crate) fn grow(&self, table: u32, pages: u32, deadline: Option<Duration>) -> Result<()> {
        let has_grown = || {
            let mut guard = self.lock();
            guard.state().table(table).is_none_or(|table| table.room().allocated_pages > pages)
        };
        // A merge grows tables in between.
        let Some(_upkeep) = self.upkeep_unless(has_grown, deadline)? else { return Ok(()) };
        self.check_open()?;
        if has_grown() {
            return Ok(());
        }
        self.grow_tables(|id| id == table).map(drop)
    }

    /// Grows the files of all tables that are short of room; with the upkeep lock held. Returns whether something was done.
    fn grow_held(&self) -> Result<bool> {
        self.lock().state().inserts = 0;
        self.grow_tables(|_| true)
    }

    /// One that cannot grow keeps none of the others from it.
    fn grow_tables(&self, which: impl Fn(u32) -> bool) -> Result<bool> {
        let plans: Vec<_> = {
            let guard = self.lock();
            let tables = guard.state_ref().tables.iter().flatten();
            let tables = tables.filter(|table| which(table.table()));
            tables.filter_map(|table| Some((table.table(), table.grow_plan()?))).collect()
        };
        let (mut done, mut first) = (false, Ok(()));
        for (id, plan) in plans {
            match plan.execute().map_err(|error| Error::of_fixed(error, self.id(), "")) {
                Ok(grown) => {
                    if let Some(table) = self.lock().state().table(id) {
                        table.grown(grown);
                    }
                    done = true;
                }
                Err(error) => first = first.and(Err(error)),
            }
        }
        first.map(|()| done)
    }

    /// The upkeep, unless somebody who has it makes what is asked for first.
    ///
    /// # Errors
    /// [`Error::TimedOut`].
    fn upkeep_unless(
        &self,
        is_made: impl Fn() -> bool,
        deadline: Option<Duration>,
    ) -> Result<Option<MutexGuard<'_, Upkeep>>> {
        loop {
            let left = deadline.map(|deadline| deadline.saturating_sub(self.env.clock.monotonic()));
            let wait = left.map_or(LOOK_INTERVAL, |left| left.min(LOOK_INTERVAL));
            if let Some(upkeep) = self.upkeep.try_lock_for(wait) {
                return Ok(Some(upkeep));
            }
            if is_made() {
                return Ok(None);
            }
            if left.is_some_and(|left| left.is_zero()) {
                return Err(Error::TimedOut { accepted: false });
            }
        }
    }

    /// The upkeep for the shard's thread, which does not let buffered writes wait for who has it.
    fn upkeep_of_round(&self) -> Result<MutexGuard<'_, Upkeep>> {
        if !self.options.background {
            return Ok(self.upkeep.lock());
        }
        loop {
            if let Some(upkeep) = self.upkeep.try_lock_for(self.options.flush_interval) {
                return Ok(upkeep);
            }
            if !self.closed.load(Ordering::Acquire) && self.flush_is_due(true) {
                self.flush()?;
            }
        }
    }

    /// One round of upkeep: what the shard's thread does each time it wakes. `idle` says that the flush interval has passed
    /// since the last round that was called so.
    pub(crate) fn round(&self, idle: bool) -> Result<bool> {
        self.bell.rung.store(false, Ordering::Relaxed);
        let mut upkeep = self.upkeep_of_round()?;
        if self.closed.load(Ordering::Acquire) {
            return Ok(false);
        }
        // While there is no room for segments, what others give back is for theirs.
        if idle && !self.log.is_refused() {
            self.keep_reserve();
        }
        // What fails here keeps nothing else from being done, flushes above all.
        let (mut done, mut first) = (false, Ok(()));
        match self.prepare() {
            Ok(made) => done |= made,
            // Writers that need the segment get this answer; reads and deletes go on.
            Err(error) if error.is_out_of_resources() => {}
            Err(error) => first = Err(Error::of_log(error, self.id())),
        }
        match self.grow_held() {
            Ok(grown) => done |= grown,
            Err(error) if error.is_out_of_resources() => {}
            Err(error) => first = first.and(Err(error)),
        }
        let mut between = || self.between();
        if upkeep.trim_due {
            match self.trim_log_held(&mut upkeep, &mut between) {
                // A later round tries again.
                Err(error) if !error.is_out_of_resources() => first = first.and(Err(error)),
                _ => {}
            }
            upkeep.trim_due = upkeep.checkpoint_failed.is_some();
            done |= !upkeep.trim_due;
        }
        if self.flush_is_due(idle) {
            self.flush()?;
            done = true;
        }
        if idle && self.lock().append_idle_flush(FLUSH_IDLE) {
            self.log.flush_background();
            done = true;
        }
        if self.checkpoint_is_due(&upkeep) {
            done |= self.checkpoint_or_wait(&mut upkeep, &mut between)?;
        }
        let mut expired = Ok(false);
        if self.expire_more.swap(false, Ordering::Relaxed) || idle {
            expired = self.expire_due(&mut upkeep);
        }
        if idle {
            let mut guard = self.lock();
            guard.state().tables.iter_mut().flatten().for_each(|table| table.trim_memory());
        }
        done |= idle && self.remove_left();
        done |= self.merge_or_reclaim(&mut upkeep)?;
        drop(upkeep);
        match self.log.poison_cause() {
            Some(cause) => Err(self.poisoned(&cause)),
            None => first.and(expired).map(|some| done | some),
        }
    }

    /// Takes a checkpoint, unless one failed a short while ago: it writes all that changed before it finds that it cannot be committed. Writers
    /// that cannot go on without one try it themselves.
    fn checkpoint_or_wait(&self, upkeep: &mut Upkeep, between: &mut dyn FnMut()) -> Result<bool> {
        let now = self.env.clock.monotonic();
        let mut wait = RETRY_MIN;
        if let Some((at, before)) = upkeep.checkpoint_failed {
            if now < at + before {
                return Ok(false);
            }
            wait = (before * 2).min(RETRY_MAX);
        }
        upkeep.checkpoint_failed = Some((now, wait));
        self.checkpoint(upkeep, between)?;
        // Segments came free.
        let _ = self.prepare();
        Ok(true)
    }

    /// Merges if that is due, on a full disk what gives back much. What found no room is tried again when something was written, or after a
    /// while, which grows; what failed otherwise, after a while.
    fn merge_or_reclaim(&self, upkeep: &mut Upkeep) -> Result<bool> {
        let (now, position) = (self.env.clock.monotonic(), self.lock().position());
        if let Some(refused) = upkeep.merge_refused
            && refused.position.is_none_or(|before| before == position)
            && now < refused.at + refused.wait
        {
            // Who writes meanwhile waits for nothing.
            self.log.set_behind(0);
            return Ok(false);
        }
        let wait = upkeep.merge_refused.map_or(RETRY_MIN, |refused| refused.wait * 2);
        let refused = MergeRefused { position: None, at: now, wait: wait.min(RETRY_MAX) };
        upkeep.merge_refused = Some(refused);
        match self.merge_if_due(upkeep) {
            Ok(merged) => {
                upkeep.merge_refused = None;
                self.figures.lock().merge_refused = false;
                return Ok(merged);
            }
            Err(error) if error.is_out_of_resources() => {
                // Said once, until there is room again.
                if !std::mem::replace(&mut self.figures.lock().merge_refused, true) {
                    tracing::warn!(shard = self.number, %error, "merges of cask tables have no room: space does not come back until there is some");
                }
            }
            Err(error) => {
                // It is not for want of room.
                self.figures.lock().merge_refused = false;
                return Err(error);
            }
        }
        let urgent = self.lock().prepared() == 0;
        let won = self.reclaim(upkeep, urgent)?;
        let again = MergeRefused { position: Some(position), ..refused };
        upkeep.merge_refused = (!won).then_some(again);
        Ok(won)
    }

    /// Flushes what somebody waits for. Who flushes already may have taken less than that.
    fn flush(&self) -> Result<()> {
        if self.log.flush_background() {
            return Ok(());
        }
        self.log.sync().map_err(|error| Error::of_log(error, self.id()))
    }

    /// Between two steps of a checkpoint: segments for who waits for one, and flushes. Buffered writes wait no longer than
    /// at other times.
    pub(crate) fn between(&self) {
        let _ = self.prepare();
        let now = self.env.clock.monotonic();
        let before = Duration::from_micros(self.served_us.load(Ordering::Relaxed));
        let interval_passed = now.saturating_sub(before) >= self.options.flush_interval;
        if interval_passed {
            self.served_us.store(now.as_micros() as u64, Ordering::Relaxed);
        }
        if !self.flush_awaited(interval_passed) && self.log.has_queued() {
            // Or somebody else does.
            self.log.flush_background();
        }
    }

    /// Flushes if somebody asked for it or buffered writes have waited long enough; tells whether.
    fn flush_awaited(&self, interval_passed: bool) -> bool {
        let asked = self.flush_asked.swap(false, Ordering::Relaxed);
        let is_due = (asked || interval_passed) && self.log.has_unflushed();
        if is_due {
            // A failure poisons the shard, which ends whatever this is in the middle of.
            let _ = self.flush();
        }
        is_due
    }

    /// In the middle of a merge, which holds the upkeep lock: segments for who waits for one, and a flush if somebody asked for it or
    /// buffered writes have waited long enough. Not of every flush that is full: who fills the queue flushes it, and both at
    /// once were measured to take twice the time in some runs.
    pub(crate) fn serve(&self, interval_passed: bool) {
        // What is done here may need the room.
        if !self.log.is_refused() {
            let _ = self.prepare();
        }
        self.flush_awaited(interval_passed);
    }

    /// In the middle of a long merge too: room in fixed tables, and a checkpoint if it is due and `may` be, so that writers need not wait for the
    /// end. Returns whether there was a checkpoint.
    pub(crate) fn serve_tables(&self, upkeep: &mut Upkeep, may: bool) -> Result<bool> {
        match self.grow_held() {
            Err(error) if !error.is_out_of_resources() => return Err(error),
            _ => {}
        }
        if !may || !self.checkpoint_is_due(upkeep) {
            return Ok(false);
        }
        self.checkpoint_or_wait(upkeep, &mut || self.between())
    }

    fn flush_is_due(&self, idle: bool) -> bool {
        let asked = self.flush_asked.swap(false, Ordering::Relaxed);
        if idle || asked { self.log.has_unflushed() } else { self.log.has_queued() }
    }

    /// Asked with the upkeep lock held, before the directory is touched.
    ///
    /// # Errors
    /// [`Error::Closed`]: once the closing has had the upkeep lock, another process may have opened the store.
    pub(crate) fn check_open(&self) -> Result<()> {
        if self.closed.load(Ordering::Acquire) { Err(Error::Closed) } else { Ok(()) }
    }

    /// Flushes, checkpoints and marks the end of the log.
    pub(crate) fn close(&self) -> Result<()> {
        if self.closed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        let mut upkeep = self.upkeep.lock();
        self.remove_all_left();
        self.log.sync().map_err(|error| Error::of_log(error, self.id()))?;
        let epoch_open = self.lock().state().epoch_open;
        if epoch_open || self.lock().state().tables.iter().flatten().any(|table| table.has_dirty())
        {
            self.checkpoint(&mut upkeep, &mut || {})?;
        }
        self.keep_opening_spare(&mut upkeep)?;
        self.log.close().map_err(|error| Error::of_log(error, self.id()))
    }
}
