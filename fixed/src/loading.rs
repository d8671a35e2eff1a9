//! Opening a table that a manifest names: files, page map, pages, all verified. Redo (`redo`) and the verdict (`settle`)
//! follow.

use crate::budget::SlotBudget;
use crate::double_write::Overlay;
use crate::error::{Corruption, Result};
use crate::files::{Files, Place};
use crate::map::{PageMap, seed_of};
use crate::options::{FixedOptions, ShardIdent};
use crate::page_set::PageSet;
use crate::recovery::{SlotCase, SlotDecision, decide_slot};
use crate::table::memory;
use slotcask_format::manifest::TableState;
use slotcask_format::mutants;
use slotcask_format::schema::TableSchema;
use slotcask_format::slot::{SlotHeader, SlotKind, SlotLayout, decode_slot, slot_seed};
use slotcask_format::{Reason, Seed};
use slotcask_index::{SlotWriter, adopt_slot};
use slotcask_io::Env;
use std::fmt;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// Bytes read at once: large for the device, small enough to be verified from the cache.
const READ_LEN: usize = 1 << 20;
/// Reasons that are kept word for word. A torn page has a few; a rotten file needs no more.
const REASONS_MAX: usize = 64;

/// What loading a table found and did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// Live keys.
    pub keys: u64,
    /// Pages read.
    pub pages_read: u64,
    /// Header copies that were damaged, of four.
    pub headers_damaged: u32,
    /// Slots that did not match their checksums, whatever became of them.
    pub slots_damaged: u64,
    /// Pages that were not as the checkpoint wrote them, whatever became of them.
    pub pages_unexpected: u64,
    /// Pages taken from the double-write area, in an opening for reading.
    pub pages_overlaid: u32,
    /// Records written to their slots.
    pub records_redone: u64,
    /// Records whose slots had them, or what came after them.
    pub records_known: u64,
    /// Slots that the history of epochs has cut off.
    pub slots_void: u64,
}

/// A table on its way from the disk to memory: [`Loading::open`] (or one of its kin), then [`Loading::apply`] and
/// [`Loading::clear`] in order of sequence, then [`Loading::finish`] or [`Loading::check`].
pub struct Loading {
    pub(crate) env: Env,
    pub(crate) dir: PathBuf,
    pub(crate) place: Place,
    pub(crate) files: Option<Files>,
    pub(crate) writable: bool,
    pub(crate) schema: TableSchema,
    pub(crate) options: FixedOptions,
    pub(crate) budget: SlotBudget,
    pub(crate) writer: SlotWriter,
    pub(crate) map: PageMap,
    /// Pages that the committed checkpoint wrote, in the present life of the table.
    pub(crate) written_pages: u32,
    pub(crate) seen: Seen,
    /// Pages that a record touched, and others that memory has changed.
    pub(crate) dirty: PageSet,
    pub(crate) clear_sequence: u64,
    /// A clear was replayed, or found when slots were read.
    pub(crate) cleared: bool,
    pub(crate) findings: Vec<Corruption>,
    pub(crate) report: LoadReport,
    /// No checkpoint was writing pages when the store stopped.
    pub(crate) at_rest: bool,
    /// Newest epoch of the history.
    pub(crate) epoch_last: u32,
}

/// What verification saw.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Damaged slots that nothing has explained yet.
    pub(crate) bad: PageSet,
    pub(crate) reasons: Vec<(u32, Reason)>,
    /// Pages unlike the map that nothing has explained yet.
    pub(crate) suspects: PageSet,
    /// Highest sequence by epoch.
    pub(crate) epochs: Vec<(u32, u64)>,
    pub(crate) live: u64,
    /// Behind the last slot that is live or a tombstone.
    pub(crate) high_water: u32,
    /// Slots that were freed by the clear.
    pub(crate) cleared: u64,
}

impl fmt::Debug for Loading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, report, findings, .. } = self;
        f.debug_struct("Loading")
            .field("table", &place.table)
            .field("report", report)
            .field("findings", findings)
            .finish()
    }
}

impl Loading {
    /// Opens the files of a table and reads what the checkpoint `number` of the manifest left there, with destroyed pages as the
    /// double-write area has them. A shard that is opened for writing goes through [`crate::restore_double_write`] before its
    /// tables are written to. Findings do not stop it: they are told at the end,
    /// for redo may explain them.
    ///
    /// # Errors
    /// [`crate::FixedError::Io`], [`crate::FixedError::Memory`], [`crate::FixedError::Foreign`],
    /// [`crate::FixedError::Newer`]; [`crate::FixedError::Corrupt`] when a file is missing or has no header.
    #[expect(clippy::too_many_arguments, reason = "each is another thing, and there is one caller")]
    pub fn open(
        env: &Env,
        dir: &Path,
        ident: ShardIdent,
        state: &TableState,
        number: u64,
        budget: SlotBudget,
        options: FixedOptions,
        writable: bool,
    ) -> Result<Self> {
        let (table, schema) = (state.table, &state.schema);
        let mut loading = Self::empty(env, dir, ident, table, schema, budget, options, writable)?;
        loading.clear_sequence = state.clear_sequence;
        let (files, headers_damaged) = Files::open(env, &loading.place, writable)?;
        loading.report.headers_damaged = headers_damaged;
        loading.map = PageMap::load(
            &loading.place,
            &*files.map,
            number,
            state.checkpoint,
            &mut loading.findings,
        )?;
        loading.read_pages(&files, state.checkpoint.pages)?;
        loading.files = Some(files);
        Ok(loading)
    }

    /// Says that no checkpoint had begun to write pages since the one that was committed: then every page must be as the map
    /// says, also where records have changed its slots since, for those changes were in memory only.
    pub fn set_at_rest(&mut self, at_rest: bool) {
        self.at_rest = at_rest;
    }

    /// Says which epoch of the history is the newest: no slot can be of a later one.
    pub fn set_epoch_last(&mut self, epoch_last: u32) {
        self.epoch_last = epoch_last;
    }

    /// A table whose creation is replayed from the log: no checkpoint has it. Files of its name are what a crash left, and
    /// are made anew by [`FixedTable::begin_writing`](crate::FixedTable::begin_writing).
    ///
    /// # Errors
    /// [`crate::FixedError::Memory`].
    #[expect(clippy::too_many_arguments, reason = "each is another thing, and there is one caller")]
    pub fn create_missing(
        env: &Env,
        dir: &Path,
        ident: ShardIdent,
        table: u32,
        schema: &TableSchema,
        budget: SlotBudget,
        options: FixedOptions,
        writable: bool,
    ) -> Result<Self> {
        Self::empty(env, dir, ident, table, schema, budget, options, writable)
    }

    #[expect(clippy::too_many_arguments, reason = "each is another thing")]
    fn empty(
        env: &Env,
        dir: &Path,
        ident: ShardIdent,
        table: u32,
        schema: &TableSchema,
        budget: SlotBudget,
        options: FixedOptions,
        writable: bool,
    ) -> Result<Self> {
        let layout = SlotLayout::of(schema);
        Ok(Self {
            env: env.clone(),
            dir: dir.to_owned(),
            place: Place::new(dir, ident, table, layout),
            files: None,
            writable,
            schema: schema.clone(),
            options,
            budget,
            writer: memory(schema, layout, &options)?,
            map: PageMap::default(),
            written_pages: 0,
            seen: Seen::default(),
            dirty: PageSet::default(),
            clear_sequence: 0,
            cleared: false,
            findings: Vec::new(),
            at_rest: false,
            epoch_last: u32::MAX,
            report: LoadReport::default(),
        })
    }

    /// What is bad so far. Damaged slots and pages are not among them before [`Loading::check`]: redo may explain them.
    #[must_use]
    pub fn findings(&self) -> &[Corruption] {
        &self.findings
    }

    /// Id of the table.
    #[must_use]
    pub fn table(&self) -> u32 {
        self.place.table
    }

    /// Reads and verifies the pages that the checkpoint wrote.
    fn read_pages(&mut self, files: &Files, pages: u32) -> Result<()> {
        let layout = self.place.layout;
        let pages_max = self.schema.slot_count_max.div_ceil(layout.slots_per_page as u32);
        let held =
            files.slots.size()?.saturating_sub(self.place.page_offset(0)) / layout.page_size as u64;
        let (claimed, possible) = (u64::from(pages), held.min(u64::from(pages_max)));
        if claimed > possible {
            let reason =
                Reason::Range { what: "pages of the checkpoint", found: claimed, max: possible };
            self.findings.push(self.place.bad_slots("file", 0u64, reason));
        }
        let pages = claimed.min(possible) as u32;
        // What destroyed pages held is read from the area; nothing is written before all of the store was read.
        let overlay = if !self.options.torn_page_protection {
            Overlay::default()
        } else {
            Overlay::read(&self.env, &self.dir, &self.place)?
        };
        let ident = self.place.ident;
        let slot_seed = slot_seed(ident.store, ident.shard, self.place.table);
        let verify = Verify {
            layout: &layout,
            slot_seed,
            page_seed: seed_of(&self.place),
            map: &self.map,
            clear_sequence: self.clear_sequence,
        };
        let run_len = (READ_LEN / layout.page_size).max(1) * layout.page_size;
        let (place, seen, overlaid) =
            (&self.place, &mut self.seen, &mut self.report.pages_overlaid);
        let mut first = 0;
        let mut verify_run = |arrived: &mut [u8]| {
            let run = &mut arrived[first as usize * layout.page_size..];
            *overlaid += overlay.apply(place, first, run);
            for bytes in run.chunks_exact_mut(layout.page_size) {
                verify.page(first, bytes, seen);
                first += 1;
            }
            ControlFlow::Continue(())
        };
        // The next runs are read while one is verified.
        let all = self.writer.load_pages(0, pages);
        files.slots.read_in_pieces(place.page_offset(0), all, run_len, &mut verify_run)?;
        self.seen.high_water = self.seen.high_water.min(self.schema.slot_count_max);
        self.writer.finish_load(self.seen.high_water);
        self.cleared = self.seen.cleared > 0;
        // Where slots of an older life are left on the disk, the next checkpoint writes all pages, so that none is
        // left for a torn write to mix with a newer one.
        self.written_pages = if self.cleared { 0 } else { pages };
        self.report.pages_read = u64::from(pages);
        self.report.slots_damaged = self.seen.bad.len();
        self.report.pages_unexpected = self.seen.suspects.len();
        Ok(())
    }
}

struct Verify<'a> {
    layout: &'a SlotLayout,
    slot_seed: Seed,
    page_seed: Seed,
    map: &'a PageMap,
    clear_sequence: u64,
}

impl Verify<'_> {
    /// Verifies one page and makes it one of memory. Slots that hold nothing, or cannot be believed, become zeros.
    #[inline]
    fn page(&self, page: u32, bytes: &mut [u8], seen: &mut Seen) {
        let checksum = self.page_seed.at(u64::from(page)).checksum(bytes);
        // Without an entry the map itself is a finding already.
        if self.map.entry(page).is_some_and(|entry| entry != checksum)
            && !mutants::active("ignore_page_map")
        {
            seen.suspects.insert(page);
        }
        let (slot_size, slots_per_page) = (self.layout.slot_size, self.layout.slots_per_page);
        let (slots, tail) = bytes.split_at_mut(slot_size * slots_per_page);
        let first = page * slots_per_page as u32;
        for (slot, number) in slots.chunks_exact_mut(slot_size).zip(first..) {
            match decode_slot(self.slot_seed, number, slot) {
                Ok((header, kind)) => self.good(number, &header, kind, slot, seen),
                Err(reason) => {
                    slot.fill(0);
                    if mutants::active("accept_bad_slot") {
                        seen.suspects.remove(page);
                        continue;
                    }
                    seen.bad.insert(number);
                    if seen.reasons.len() < REASONS_MAX {
                        seen.reasons.push((number, reason));
                    }
                }
            }
            adopt_slot(slot);
        }
        tail.fill(0);
    }

    #[inline]
    fn good(
        &self,
        number: u32,
        header: &SlotHeader,
        kind: SlotKind,
        slot: &mut [u8],
        seen: &mut Seen,
    ) {
        if kind == SlotKind::Free {
            return;
        }
        let sequence = header.sequence.get();
        if sequence <= self.clear_sequence {
            let case = SlotCase { cleared: true, ..SlotCase::CHECKPOINTED };
            assert_eq!(decide_slot(case), SlotDecision::Free);
            slot.fill(0);
            seen.cleared += 1;
            return;
        }
        seen.live += u64::from(kind == SlotKind::Live);
        seen.high_water = number + 1;
        seen.note_epoch(header.epoch.get(), sequence);
    }
}

impl Seen {
    /// Most slots have the epoch of the slot before, which is kept in front.
    #[inline]
    fn note_epoch(&mut self, epoch: u32, sequence: u64) {
        match self.epochs.first_mut() {
            Some((last, highest)) if *last == epoch => *highest = sequence.max(*highest),
            _ => self.note_other_epoch(epoch, sequence),
        }
    }

    #[cold]
    fn note_other_epoch(&mut self, epoch: u32, sequence: u64) {
        match self.epochs.iter().position(|(known, _)| *known == epoch) {
            Some(at) => {
                self.epochs.swap(0, at);
                self.epochs[0].1 = self.epochs[0].1.max(sequence);
            }
            None => {
                self.epochs.push((epoch, sequence));
                let last = self.epochs.len() - 1;
                self.epochs.swap(0, last);
            }
        }
    }
}
