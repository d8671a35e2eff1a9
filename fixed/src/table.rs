//! One fixed table on one shard: allocator, slots, dirty pages.
//!
//! Invariants
//!  1. A slot below `high_water` is live, or in the free list, or handed out by `reserve` and not yet put.
//!  2. Every page below the end of use was written by the last checkpoint, or is dirty, or is in the hands of the
//!     checkpoint that runs. A page is dirty from the moment that its first slot is handed out, so a checkpoint
//!     leaves no holes.
//!  3. No slot is handed out on a page for which the files have no room: no checkpoint fails for want of space.
//!  4. `reserve`, the append to the log, and `put` happen under one holding of the shard's lock, so that a checkpoint
//!     that begins sees all of a write or nothing of it.

use crate::budget::SlotBudget;
use crate::double_write::Area;
use crate::error::{FixedError, Result};
use crate::files::{Files, Place};
use crate::grow::{GrowPlan, Grown};
use crate::map::PageMap;
use crate::options::{FixedOptions, ShardIdent};
use crate::page_set::PageSet;
use slotcask_format::manifest::TableCheckpoint;
use slotcask_format::schema::TableSchema;
use slotcask_format::slot::{SlotKind, SlotLayout};
use slotcask_index::{SlotMeta, SlotReader, SlotWriter, TableOptions, slot_table};
use slotcask_io::{AlignedBuf, Env};
use slotcask_ordered::Order;
use std::collections::VecDeque;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// How much room a table has on its shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Slots that were used and are free again.
    pub free_slots: u64,
    /// Pages for which the files have room.
    pub allocated_pages: u32,
    /// Pages of which at least one slot was handed out.
    pub used_pages: u32,
}

/// One table on one shard. Owned by whoever holds the shard's lock; readers use [`FixedTable::reader`] without it.
pub struct FixedTable {
    pub(crate) place: Arc<Place>,
    /// None in a table that was opened for reading.
    pub(crate) files: Option<Arc<Files>>,
    pub(crate) area: Option<Arc<Area>>,
    pub(crate) schema: TableSchema,
    pub(crate) options: FixedOptions,
    pub(crate) budget: SlotBudget,
    pub(crate) writer: SlotWriter,
    /// Free slots below `high_water`, longest free first.
    pub(crate) free: VecDeque<u32>,
    /// Slots handed out so far.
    pub(crate) high_water: u32,
    /// Slots that the budget granted.
    pub(crate) granted: u32,
    pub(crate) allocated_pages: u32,
    pub(crate) dirty: PageSet,
    /// An empty set, ready to take the place of `dirty`.
    pub(crate) spare: PageSet,
    /// None while a checkpoint has it.
    pub(crate) map: Option<PageMap>,
    pub(crate) buf: Option<AlignedBuf>,
    /// Counts clears, so that a checkpoint notices one.
    pub(crate) life: u64,
    /// The life that the last committed checkpoint holds.
    pub(crate) committed_life: u64,
    pub(crate) clear_sequence: u64,
    /// Counts committed checkpoints since opening.
    pub(crate) checkpoints: u64,
    /// A checkpoint that failed left pages that were written and not synced.
    pub(crate) unsynced: bool,
    pub(crate) key: Vec<u8>,
    /// The order of the keys, in a table that has one.
    pub(crate) order: Option<Arc<Order>>,
}

/// The memory of a table.
pub(crate) fn memory(
    schema: &TableSchema,
    layout: SlotLayout,
    options: &FixedOptions,
) -> Result<SlotWriter> {
    let options = TableOptions { slot_max: schema.slot_count_max, huge_pages: options.huge_pages };
    Ok(slot_table(layout, options)?)
}

/// The empty order of an ordered table.
pub(crate) fn order(schema: &TableSchema) -> Option<Arc<Order>> {
    schema.ordered.then(|| Arc::new(Order::new(schema.key_len as usize, true)))
}

impl fmt::Debug for FixedTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FixedTable")
            .field("table", &self.place.table)
            .field("shard", &self.place.ident.shard)
            .field("keys", &self.len())
            .field("high_water", &self.high_water)
            .field("dirty_pages", &self.dirty.len())
            .finish_non_exhaustive()
    }
}

impl FixedTable {
    /// Makes an empty table: both files, with headers, synced. The caller syncs the directory. Files of the same name are
    /// what a crash left of an earlier attempt; they go.
    ///
    /// # Errors
    /// [`FixedError::Io`] and [`FixedError::Memory`].
    pub fn create(
        env: &Env,
        dir: &Path,
        ident: ShardIdent,
        table: u32,
        schema: &TableSchema,
        budget: SlotBudget,
        options: FixedOptions,
    ) -> Result<Self> {
        let layout = SlotLayout::of(schema);
        let writer = memory(schema, layout, &options)?;
        let place = Place::new(dir, ident, table, layout);
        let area = Area::prepare(env, dir, ident, &layout, &options)?;
        let files = Files::create(env, &place)?;
        Ok(Self {
            place: Arc::new(place),
            files: Some(Arc::new(files)),
            area,
            schema: schema.clone(),
            options,
            budget,
            writer,
            free: VecDeque::new(),
            high_water: 0,
            granted: 0,
            allocated_pages: 0,
            dirty: PageSet::default(),
            spare: PageSet::default(),
            map: Some(PageMap::default()),
            buf: None,
            life: 0,
            committed_life: 0,
            clear_sequence: 0,
            checkpoints: 0,
            unsynced: false,
            key: vec![0; layout.key_len],
            order: order(schema),
        })
    }

    /// The first writes of a table that was read: the files of one whose creation was replayed, room for what redo reached, the
    /// double-write area. The caller syncs the directory.
    ///
    /// # Errors
    /// [`FixedError::Io`].
    pub fn begin_writing(&mut self, env: &Env) -> Result<()> {
        let files = match self.files.take() {
            Some(files) => files,
            None => Arc::new(Files::create(env, &self.place)?),
        };
        let used_pages = self.used_pages();
        if self.allocated_pages < used_pages {
            files.allocate(&self.place, used_pages)?;
            self.allocated_pages = used_pages;
        }
        self.files = Some(files);
        let dir = self.place.slots_path.parent().unwrap_or(Path::new(""));
        self.area = Area::prepare(env, dir, self.place.ident, &self.place.layout, &self.options)?;
        Ok(())
    }

    /// Lock-free readers share this.
    #[must_use]
    pub fn reader(&self) -> Arc<SlotReader> {
        Arc::clone(self.writer.reader())
    }

    /// The order of the keys with their slots, in an ordered table.
    #[must_use]
    pub fn order(&self) -> Option<&Arc<Order>> {
        self.order.as_ref()
    }

    /// Id of the table.
    #[must_use]
    pub fn table(&self) -> u32 {
        self.place.table
    }

    /// What the table is.
    #[must_use]
    pub fn schema(&self) -> &TableSchema {
        &self.schema
    }

    /// Live keys.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.writer.reader().len()
    }

    /// True without live keys.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Sequence of the last clear, 0 for none. Belongs in the manifest's [`slotcask_format::manifest::TableState`].
    #[must_use]
    pub fn clear_sequence(&self) -> u64 {
        self.clear_sequence
    }

    /// The slot of `key`, and what it says besides the value.
    #[must_use]
    pub fn find(&self, hash: u64, key: &[u8]) -> Option<(u32, SlotMeta)> {
        self.writer.find(hash, key)
    }

    /// Copies the value of a slot.
    pub fn value_of(&self, slot: u32, out: &mut [u8]) {
        self.writer.value_of(slot, out);
    }

    /// The writer side of the memory, for prefetching and bulk reading under the lock.
    #[must_use]
    pub fn writer(&self) -> &SlotWriter {
        &self.writer
    }

    /// A slot for a new key: the one that has been free for longest, else a fresh one. Follow with [`FixedTable::put`] or
    /// [`FixedTable::unreserve`] under the same holding of the lock.
    ///
    /// # Errors
    /// [`FixedError::SlotsExhausted`]; [`FixedError::NoRoom`] when the files must grow first; [`FixedError::Memory`]. Then
    /// nothing has changed.
    pub fn reserve(&mut self) -> Result<u32> {
        if let Some(slot) = self.free.pop_front() {
            return Ok(slot);
        }
        let slot = self.high_water;
        let page = self.place.layout.page_of(slot);
        if page >= self.allocated_pages && slot < self.schema.slot_count_max {
            let needed = self.place.page_offset(page + 1);
            return Err(FixedError::NoRoom { table: self.place.table, needed });
        }
        if slot == self.granted {
            let grant = self.budget.take();
            if grant == 0 {
                return Err(FixedError::SlotsExhausted {
                    table: self.place.table,
                    slot_count_max: self.schema.slot_count_max,
                });
            }
            self.granted += grant;
        }
        if slot >= self.writer.reader().slot_count() {
            // The whole page, so that nothing of a life before the last clear is left in any page in use.
            let end = u64::from(page + 1) * self.place.layout.slots_per_page as u64;
            self.writer.extend(end.min(u64::from(self.schema.slot_count_max)) as u32)?;
        }
        if (slot as usize).is_multiple_of(self.place.layout.slots_per_page) {
            self.dirty.insert(page);
        }
        self.high_water = slot + 1;
        Ok(slot)
    }

    /// Gives back a slot that [`FixedTable::reserve`] gave and that was not put.
    pub fn unreserve(&mut self, slot: u32) {
        debug_assert!(slot < self.high_water);
        self.free.push_front(slot);
    }

    /// Writes a slot: the one that `key` has (`existed`), or one from [`FixedTable::reserve`].
    ///
    /// # Panics
    /// When the lengths are not those of the schema or the slot was never handed out.
    pub fn put(
        &mut self,
        hash: u64,
        slot: u32,
        existed: bool,
        meta: SlotMeta,
        key: &[u8],
        value: &[u8],
    ) {
        assert!(slot < self.high_water, "slot {slot} was never handed out");
        debug_assert_eq!(meta.kind, SlotKind::Live);
        self.writer.write(slot, meta, key, value);
        if !existed {
            self.writer.insert(hash, slot);
            if let Some(order) = &self.order {
                order.insert(key, slot, false);
            }
        }
        self.dirty.insert(self.place.layout.page_of(slot));
    }

    /// Makes a tombstone of the live slot `slot`, whose key has this hash. `meta` says which record did it; its kind is not
    /// looked at.
    ///
    /// # Panics
    /// When the slot is not indexed under `hash`.
    pub fn delete(&mut self, hash: u64, slot: u32, meta: SlotMeta) {
        let mut key = std::mem::take(&mut self.key);
        self.writer.key_of(slot, &mut key);
        let was_there = self.writer.remove(hash, slot);
        assert!(was_there, "slot {slot} is not indexed under the hash of its key");
        if let Some(order) = &self.order {
            order.remove(&key);
        }
        let meta = SlotMeta { kind: SlotKind::Tombstone, ..meta };
        self.writer.write(slot, meta, &key, &[]);
        self.key = key;
        self.free.push_back(slot);
        if !slotcask_format::mutants::active("delete_without_tombstone") {
            self.dirty.insert(self.place.layout.page_of(slot));
        }
    }

    /// Empties the table: all slots are free, those on the disk up to `sequence` are void, allocation starts over. A
    /// checkpoint that runs meanwhile notices it. The table needs a checkpoint afterwards
    /// ([`FixedTable::has_dirty`]), and recovery must replay the clear until one is committed.
    pub fn clear(&mut self, sequence: u64) {
        self.writer.clear();
        if let Some(order) = &self.order {
            order.clear();
        }
        self.free.clear();
        self.budget.give_back(self.granted);
        self.high_water = 0;
        self.granted = 0;
        self.dirty.clear();
        self.life += 1;
        self.clear_sequence = sequence;
        if let Some(map) = &mut self.map {
            map.forget_pages();
        }
    }

    /// Pages of which at least one slot was handed out.
    pub(crate) fn used_pages(&self) -> u32 {
        self.high_water.div_ceil(self.place.layout.slots_per_page as u32)
    }

    /// How much room there is.
    #[must_use]
    pub fn room(&self) -> Room {
        Room {
            free_slots: self.free.len() as u64,
            allocated_pages: self.allocated_pages,
            used_pages: self.used_pages(),
        }
    }

    /// How the files should grow, when less than half a step of room is left. `None` when there is room enough, or none to be
    /// had because of `slot_count_max`. Cheap: ask after every new key.
    #[must_use]
    pub fn grow_plan(&self) -> Option<GrowPlan> {
        let files = self.files.as_ref()?;
        let layout = &self.place.layout;
        let pages_max = self.schema.slot_count_max.div_ceil(layout.slots_per_page as u32);
        if self.allocated_pages >= pages_max {
            return None;
        }
        let page_size = layout.page_size as u64;
        let growth = self.options.growth;
        let step = growth.min_bytes / page_size;
        let step = step.max(u64::from(self.allocated_pages) / growth.fraction.max(1)).max(1);
        let left = u64::from(self.allocated_pages.saturating_sub(self.used_pages()));
        if 2 * left >= step {
            return None;
        }
        let pages = (u64::from(self.allocated_pages) + step).min(u64::from(pages_max)) as u32;
        Some(GrowPlan {
            place: Arc::clone(&self.place),
            files: Arc::clone(files),
            reader: self.reader(),
            pages,
        })
    }

    /// Gives memory back that was made ready for new keys, where none came since the last call.
    pub fn trim_memory(&mut self) {
        self.writer.trim();
    }

    /// Takes the room that a plan made into use.
    pub fn grown(&mut self, grown: Grown) {
        self.allocated_pages = self.allocated_pages.max(grown.pages);
    }

    /// True when the next checkpoint has something to do for this table. While it is true, a manifest record that moves the
    /// start of redo must not be written without a checkpoint of this table.
    #[must_use]
    pub fn has_dirty(&self) -> bool {
        !self.dirty.is_empty()
            || self.life != self.committed_life
            || self.map.as_ref().is_some_and(PageMap::has_stale)
    }

    /// Pages that the next checkpoint would write.
    #[must_use]
    pub fn dirty_pages(&self) -> u64 {
        self.dirty.len()
    }

    /// Has the next checkpoint write a page again, as it is in memory.
    ///
    /// # Panics
    /// When no slot of the page was ever handed out.
    pub fn mark_dirty(&mut self, page: u32) {
        assert!(page < self.used_pages(), "page {page} is not in use");
        self.dirty.insert(page);
    }

    /// What the table looks like to a manifest that has no checkpoint of it yet.
    #[must_use]
    pub fn no_checkpoint() -> TableCheckpoint {
        TableCheckpoint::default()
    }
}
