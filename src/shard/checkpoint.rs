//! Checkpoints: slots to their files, so that the log behind them can be used again.

use crate::error::{Error, Result};
use crate::shard::{Shard, Upkeep};
use slotcask_fixed::{Checkpoint, Finished};
use slotcask_format::mutants;

/// Pages copied under one holding of the shard lock: about a microsecond, so that writers spin and need not sleep.
const PAGES_PER_HOLD: usize = 2;

impl Shard {
    /// Takes a checkpoint. `between` is called between batches, without the shard lock, to flush and prepare segments.
    ///
    /// # Errors
    /// A failed write or sync of pages poisons the shard. Want of room for a new manifest does not.
    pub(crate) fn checkpoint(&self, upkeep: &mut Upkeep, between: &mut dyn FnMut()) -> Result<()> {
        if let Some(cause) = self.log.poison_cause() {
            return Err(self.poisoned(&cause));
        }
        let started = self.env.clock.monotonic();
        let number = self.log.manifest_state().checkpoint + 1;
        let (redo, position, mut checkpoints) = {
            let mut guard = self.lock();
            let redo = guard.next_sequence();
            let position = guard.position();
            // Gives something back at the end, if no key came meanwhile.
            guard.state().tables.iter_mut().flatten().for_each(|table| table.trim_memory());
            let tables = guard.state().tables.iter_mut().flatten();
            let begun: Vec<(u32, Checkpoint)> = tables
                .filter(|table| table.has_dirty())
                .map(|table| (table.table(), table.checkpoint_begin(number)))
                .collect();
            (redo, position, begun)
        };
        if !checkpoints.is_empty() {
            // From here on pages may be newer than the page map says, and recovery has to know.
            if let Err(error) = self.log.commit_state(|state| state.checkpoint_begun = number) {
                let mut guard = self.lock();
                for (table, checkpoint) in checkpoints {
                    if let Some(table) = guard.state().table(table) {
                        table.checkpoint_failed(checkpoint);
                    }
                }
                return Err(Error::of_log(error, self.id()));
            }
        }
        let redo = if mutants::active("redo_from_too_late") { redo + 1 } else { redo };
        let mut finished: Vec<(u32, Finished)> = Vec::with_capacity(checkpoints.len());
        let written: Result<()> = checkpoints.iter_mut().try_for_each(|(table, checkpoint)| {
            self.write_pages(*table, checkpoint, between)?;
            let result =
                checkpoint.finish().map_err(|error| Error::of_fixed(error, self.id(), ""))?;
            let mut figures = self.figures.lock();
            figures.pages_written += result.pages_written;
            figures.page_bytes_written += result.bytes_written;
            finished.push((*table, result));
            Ok(())
        });
        if let Err(error) = written {
            // What is on the slot file now is unknown: nothing may be built on it.
            self.log.poison(error.to_string());
            let mut guard = self.lock();
            for (table, checkpoint) in checkpoints {
                if let Some(table) = guard.state().table(table) {
                    table.checkpoint_failed(checkpoint);
                }
            }
            return Err(error);
        }
        // Everything that the pages hold is in the log durably; so is everything before the redo point, which may leave it.
        let last = self.lock().last_sequence();
        self.wait_durable(last.min(redo - 1), None)?;
        // Records of cask tables in the segments that leave the log find another place first.
        let leaving = match self.leave_log(redo) {
            Ok(leaving) => leaving,
            Err(error) => {
                let mut guard = self.lock();
                for (table, result) in finished {
                    if let Some(table) = guard.state().table(table) {
                        table.checkpoint_failed(result);
                    }
                }
                return Err(error);
            }
        };
        let (states, ddl, table_last) = {
            let mut guard = self.lock();
            let state = guard.state();
            for (table, result) in &finished {
                if let Some(entry) = state.catalogue.get_mut(table) {
                    entry.checkpoint = result.checkpoint;
                }
            }
            (state.table_states(), state.ddl.clone(), state.table_last)
        };
        let committed = self.log.commit_checkpoint_with(
            redo,
            |state| {
                state.tables = states;
                state.ddl = ddl;
                state.table_last = table_last;
                self.list_leaving(&leaving, state);
            },
            || self.left_log(&leaving),
        );
        if committed.is_err() {
            self.leave_failed(&leaving);
        }
        let mut guard = self.lock();
        match committed {
            Ok(()) => {
                for (table, result) in finished {
                    if let Some(table) = guard.state().table(table) {
                        table.checkpoint_done(result);
                    }
                }
            }
            Err(error) => {
                for (table, result) in finished {
                    if let Some(table) = guard.state().table(table) {
                        table.checkpoint_failed(result);
                    }
                }
                return Err(Error::of_log(error, self.id()));
            }
        }
        guard.state().tables.iter_mut().flatten().for_each(|table| table.trim_memory());
        drop(guard);
        let bytes = leaving.bytes();
        drop(leaving);
        slotcask_io::give_back(bytes);
        upkeep.checkpoints_idle =
            if upkeep.checkpoint_position == position { upkeep.checkpoints_idle + 1 } else { 0 };
        upkeep.checkpoint_position = position;
        upkeep.found_bytes = 0;
        upkeep.checkpoint_failed = None;
        let meanwhile = self.lock().position().saturating_sub(position);
        // A device that was slow once may be so again: that is forgotten over some checkpoints, not at once.
        upkeep.checkpoint_meanwhile = meanwhile.max(upkeep.checkpoint_meanwhile / 8 * 7);
        self.figures.lock().checkpoints += 1;
        if bytes > 0 {
            self.note_behind();
        }
        let elapsed = self.env.clock.monotonic().saturating_sub(started);
        metrics::histogram!("slotcask_checkpoint_seconds").record(elapsed.as_secs_f64());
        Ok(())
    }

    fn write_pages(
        &self,
        table: u32,
        checkpoint: &mut Checkpoint,
        between: &mut dyn FnMut(),
    ) -> Result<()> {
        loop {
            let mut more = true;
            while more && !checkpoint.batch_is_full() {
                let guard = self.lock();
                let Some(table) = guard.state_ref().table_ref(table) else { return Ok(()) };
                more = checkpoint.copy_batch(table, PAGES_PER_HOLD);
                drop(guard);
                checkpoint.seal_copied();
            }
            let highest = checkpoint.seal_batch();
            // The write-ahead rule: a page goes to disk only when the log is durable through all that it holds.
            if !mutants::active("checkpoint_without_log") {
                self.wait_durable(highest, None)?;
            }
            checkpoint.write_batch().map_err(|error| Error::of_fixed(error, self.id(), ""))?;
            if !more {
                return Ok(());
            }
            between();
        }
    }
}
