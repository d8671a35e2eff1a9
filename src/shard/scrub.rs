//! The scrub: pages of fixed tables read back from their files while nobody needs them, and compared with the page map. What is
//! in memory is right, so a page that differs is written again at once.

use crate::error::Result;
use crate::shard::{Shard, Upkeep};
use slotcask_fixed::Verdict;
use std::time::Duration;

/// Bytes that are read under one holding of the upkeep lock: checkpoints wait that long.
const CHUNK: u64 = 1 << 20;

/// Where the next look begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ScrubCursor {
    table: u32,
    page: u32,
    /// Bytes of the rate that were saved up and not used.
    credit: u64,
}

/// What a scrub read, see [`crate::Store::scrub`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScrubReport {
    /// Pages read.
    pub pages: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Pages that were not what the last checkpoint wrote, or could not be read. They were written again from memory.
    pub damaged: u64,
}

impl ScrubReport {
    pub(crate) fn add(&mut self, other: Self) {
        self.pages += other.pages;
        self.bytes += other.bytes;
        self.damaged += other.damaged;
    }
}

impl Shard {
    /// Reads all pages of the shard.
    ///
    /// # Errors
    /// When a damaged page cannot be written again.
    pub(crate) fn scrub_all(&self) -> Result<ScrubReport> {
        let mut report = ScrubReport::default();
        let mut cursor = ScrubCursor::default();
        loop {
            let mut upkeep = self.upkeep.lock();
            self.check_open()?;
            let (part, ended) = self.scrub_from(&mut upkeep, &mut cursor, CHUNK)?;
            report.add(part);
            if ended {
                return Ok(report);
            }
        }
    }

    /// What the shard's thread reads in `passed` at the rate of the options.
    ///
    /// # Errors
    /// As [`Shard::scrub_all`].
    pub(crate) fn scrub_slowly(&self, passed: Duration) -> Result<()> {
        let rate = self.options.scrub_rate;
        if rate == 0 {
            return Ok(());
        }
        // Upkeep that is under way goes first.
        let Some(mut upkeep) = self.upkeep.try_lock() else { return Ok(()) };
        if self.check_open().is_err() || self.log.poison_cause().is_some() {
            return Ok(());
        }
        let mut cursor = upkeep.scrub;
        let share = (u128::from(rate) * passed.as_micros() / 1_000_000).min(u128::from(CHUNK));
        cursor.credit = (cursor.credit + share as u64).min(CHUNK);
        let credit = cursor.credit;
        let (part, _) = self.scrub_from(&mut upkeep, &mut cursor, credit)?;
        cursor.credit = credit.saturating_sub(part.bytes);
        upkeep.scrub = cursor;
        Ok(())
    }

    /// Reads at most `bytes` from `cursor` on, whole pages; true when the last page of the last table was read.
    fn scrub_from(
        &self,
        upkeep: &mut Upkeep,
        cursor: &mut ScrubCursor,
        bytes: u64,
    ) -> Result<(ScrubReport, bool)> {
        let mut report = ScrubReport::default();
        let ended = loop {
            // No checkpoint runs: the upkeep lock is held.
            let found = {
                let mut guard = self.lock();
                let tables = guard.state().tables.iter().flatten();
                let mut left = tables.filter(|table| table.table() >= cursor.table);
                left.find_map(|table| Some((table.table(), table.page_reader()?)))
            };
            let Some((table, reader)) = found else {
                *cursor = ScrubCursor { credit: cursor.credit, ..ScrubCursor::default() };
                break true;
            };
            if table != cursor.table {
                (cursor.table, cursor.page) = (table, 0);
            }
            if cursor.page >= reader.pages {
                (cursor.table, cursor.page) = (table + 1, 0);
                continue;
            }
            let mut buf = reader.buffer();
            let size = buf.len() as u64;
            // A page may be larger than what is read at once.
            let fits = |read: u64| read + size <= bytes || (read == 0 && bytes >= CHUNK);
            if !fits(report.bytes) {
                break false;
            }
            while cursor.page < reader.pages && fits(report.bytes) {
                let page = cursor.page;
                cursor.page += 1;
                report.pages += 1;
                report.bytes += size;
                let read = reader.read(page, &mut buf);
                let mut guard = self.lock();
                let Some(state) = guard.state().table(table) else { break };
                let verdict = match &read {
                    Ok(()) => state.verify_page(&reader, page, &buf),
                    Err(_) if page < state.room().used_pages => Verdict::Damaged,
                    Err(_) => Verdict::Unknown,
                };
                if verdict == Verdict::Damaged {
                    state.mark_dirty(page);
                    drop(guard);
                    report.damaged += 1;
                    let error = read.err().map(|error| error.to_string());
                    tracing::error!(
                        shard = self.number,
                        table,
                        page,
                        error,
                        "a page rotted on its disk; it is written again from memory"
                    );
                }
            }
        };
        {
            let mut figures = self.figures.lock();
            figures.scrub_pages += report.pages;
            figures.scrub_damaged += report.damaged;
            figures.scrub_passes += u64::from(ended);
        }
        metrics::counter!("slotcask_scrub_pages_total").increment(report.pages);
        if report.damaged > 0 {
            metrics::counter!("slotcask_scrub_damaged_total").increment(report.damaged);
            // Until it is written again a crash would leave the damage to the next opening, which refuses it.
            self.checkpoint(upkeep, &mut || self.between())?;
        }
        Ok((report, ended))
    }
}
