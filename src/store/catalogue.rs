//! The catalogue: which tables there are, and the logged changes of it.
//!
//! A change is a record in every shard's log with one number. It is acknowledged when it is durable on all shards; an opening
//! that finds it on some shards completes it on the others before the store serves.

use crate::cask::{CaskShared, EXTENSION_ROOM};
use crate::error::{Error, Result};
use crate::shard::{CatalogueEntry, Shard};
use crate::stats::TableInfo;
use crate::store::StoreInner;
use crate::store::recover::is_on_shard;
use slotcask_cask::Keydir;
use slotcask_fixed::{FixedOptions, FixedTable, GrowthOptions, ShardIdent, SlotBudget, SlotReader};
use slotcask_format::mutants;
use slotcask_format::record::{RecordKind, SLOT_NONE, record_size};
use slotcask_format::schema::{Ddl, DdlAction, Placement, TableKind, TableSchema};
use slotcask_format::slot::SlotLayout;
use slotcask_log::{Append, Urgency};
use slotcask_ordered::Order;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

/// The tables that can be opened. Whoever changes them holds the lock of [`Catalogue`] over the whole change, and that of the names for as long
/// as it takes to note what has come of it: readers do not wait for the change.
#[derive(Debug, Default)]
pub(crate) struct Names {
    pub tables: BTreeMap<String, Arc<TableShared>>,
    pub casks: BTreeMap<String, Arc<CaskShared>>,
}

/// How far changes of the catalogue have come.
#[derive(Debug, Default)]
pub(crate) struct Catalogue {
    pub table_last: u32,
    pub ddl_last: u64,
    /// A change failed on the way: no more of them until the next opening.
    pub interrupted: Option<String>,
}

/// What all handles of a table share.
#[derive(Debug)]
pub(crate) struct TableShared {
    pub id: u32,
    pub schema: TableSchema,
    pub layout: SlotLayout,
    pub budget: SlotBudget,
    /// By shard; None where the table has no slots.
    pub readers: Vec<Option<Arc<SlotReader>>>,
    /// By shard, in an ordered table.
    pub orders: Vec<Option<Arc<Order>>>,
    /// Of no use any more: dropped, or cleared on some shards only.
    pub dropped: AtomicBool,
    /// What interrupted a clear.
    pub interrupted: OnceLock<String>,
}

impl TableShared {
    pub(crate) fn new(
        id: u32,
        schema: TableSchema,
        budget: SlotBudget,
        readers: Vec<Option<Arc<SlotReader>>>,
        orders: Vec<Option<Arc<Order>>>,
    ) -> Self {
        let layout = SlotLayout::of(&schema);
        let (dropped, interrupted) = (AtomicBool::new(false), OnceLock::new());
        Self { id, layout, budget, readers, orders, dropped, interrupted, schema }
    }

    pub(crate) fn len(&self) -> u64 {
        self.readers.iter().flatten().map(|reader| reader.len()).sum()
    }

    pub(crate) fn info(&self) -> TableInfo {
        let slots: u64 = self.readers.iter().flatten().map(|reader| reader.memory_bytes()).sum();
        let orders: u64 = self.orders.iter().flatten().map(|order| order.memory_bytes()).sum();
        TableInfo {
            id: self.id,
            name: self.schema.name.clone(),
            kind: self.schema.kind,
            placement: self.schema.placement,
            key_len: self.schema.key_len as usize,
            value_len: self.schema.value_len as usize,
            deadlines: self.schema.deadlines,
            ordered: self.schema.ordered,
            slot_count_max: self.schema.slot_count_max,
            slot_size: self.layout.slot_size,
            len: self.len(),
            memory_bytes: slots + orders,
            compression: None,
        }
    }
}

impl StoreInner {
    /// All tables, by name.
    pub(crate) fn table_infos(&self) -> Vec<TableInfo> {
        let (tables, casks): (Vec<_>, Vec<_>) = {
            let names = self.names.read();
            (names.tables.values().cloned().collect(), names.casks.values().cloned().collect())
        };
        // Looking at the memory of a table takes locks of its own.
        let fixed = tables.iter().map(|shared| shared.info());
        let mut infos: Vec<TableInfo> =
            fixed.chain(casks.iter().map(|shared| shared.info())).collect();
        infos.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        infos
    }

    fn fixed_options(&self) -> FixedOptions {
        let small = self.shards[0].log.config().segment_size < 1 << 20;
        let growth = if small {
            GrowthOptions { min_bytes: 16 << 10, fraction: 16 }
        } else {
            GrowthOptions::default()
        };
        FixedOptions {
            huge_pages: self.options.huge_pages,
            torn_page_protection: self.torn_page_protection,
            growth,
            batch_bytes: self.options.checkpoint_batch,
        }
    }

    pub(crate) fn create_table(&self, schema: TableSchema) -> Result<Arc<TableShared>> {
        let mut catalogue = self.catalogue.lock();
        self.check_open()?;
        catalogue.check()?;
        self.check_new(&schema)?;
        let id = catalogue.table_last + 1;
        let budget = SlotBudget::new(&schema);
        let ddl = Ddl {
            number: catalogue.ddl_last + 1,
            table: id,
            action: DdlAction::Create(schema.clone()),
        };
        // Files come first: a creation that fails here has left nothing but files that the next opening removes.
        let mut readers = Vec::with_capacity(self.shards.len());
        let mut orders = Vec::with_capacity(self.shards.len());
        let mut tables = Vec::with_capacity(self.shards.len());
        for shard in &self.shards {
            let table = self.new_table(shard, id, &schema, &budget)?;
            readers.push(table.as_ref().map(FixedTable::reader));
            orders.push(table.as_ref().and_then(FixedTable::order).cloned());
            tables.push(table);
        }
        // An id is never used twice, even if the change below is interrupted.
        catalogue.table_last = id;
        let mut tables = tables.into_iter();
        self.change(&mut catalogue, &ddl, |shard, state_of| {
            let table = tables.next().flatten();
            state_of.apply_create(shard, &ddl, &schema, New::Fixed(table.map(Box::new)));
        })?;
        let shared = Arc::new(TableShared::new(id, schema, budget, readers, orders));
        self.names.write().tables.insert(shared.schema.name.clone(), shared.clone());
        Ok(shared)
    }

    /// The lock of the catalogue is held.
    fn check_new(&self, schema: &TableSchema) -> Result<()> {
        let name = &schema.name;
        if self.names.read().id_of(name).is_ok() {
            return Err(Error::TableExists { table: name.clone() });
        }
        if let Placement::Pinned(shard) = schema.placement
            && u32::from(shard) >= self.shard_count
        {
            let reason = format!(
                "it is pinned to shard {shard}, and the store has {} shards",
                self.shard_count
            );
            return Err(Error::Schema { table: name.clone(), reason });
        }
        // Pairs of a cask table are looked at one by one.
        if schema.kind != TableKind::Cask {
            let extension = if schema.deadlines { EXTENSION_ROOM } else { 0 };
            let size = record_size(extension, schema.key_len as usize, schema.value_len as usize);
            if size > self.batch_len_max {
                let max = self.batch_len_max;
                let reason = format!(
                    "a record of it takes {size} bytes, and one segment of this store's log holds {max}; create the store with a larger \
                     log, or with fewer shards"
                );
                return Err(Error::Schema { table: name.clone(), reason });
            }
        }
        Ok(())
    }

    pub(crate) fn create_cask(&self, schema: TableSchema) -> Result<Arc<CaskShared>> {
        let mut catalogue = self.catalogue.lock();
        self.check_open()?;
        catalogue.check()?;
        self.check_new(&schema)?;
        let id = catalogue.table_last + 1;
        let ddl = Ddl {
            number: catalogue.ddl_last + 1,
            table: id,
            action: DdlAction::Create(schema.clone()),
        };
        let keydirs: Vec<Option<Arc<Keydir>>> = self
            .shards
            .iter()
            .map(|shard| {
                let new = || Arc::new(Keydir::new(schema.ordered, self.options.huge_pages));
                is_on_shard(&schema, shard.number).then(new)
            })
            .collect();
        // An id is never used twice, even if the change below is interrupted.
        catalogue.table_last = id;
        let mut new = keydirs.iter().cloned();
        self.change(&mut catalogue, &ddl, |shard, state_of| {
            let keydir = new.next().flatten();
            state_of.apply_create(shard, &ddl, &schema, New::Cask(keydir));
        })?;
        let shared = Arc::new(CaskShared::new(id, schema, keydirs));
        self.names.write().casks.insert(shared.schema.name.clone(), shared.clone());
        Ok(shared)
    }

    pub(crate) fn drop_table(&self, name: &str) -> Result<()> {
        let mut catalogue = self.catalogue.lock();
        self.check_open()?;
        catalogue.check()?;
        let id = self.names.read().id_of(name)?;
        let ddl = Ddl { number: catalogue.ddl_last + 1, table: id, action: DdlAction::Drop };
        let changed = self.change(&mut catalogue, &ddl, |_, state_of| state_of.apply_drop(&ddl));
        if changed.is_ok() || catalogue.interrupted.is_some() {
            // Refused before any shard logged it, the table stays as it was.
            let (table, cask) = {
                let mut names = self.names.write();
                (names.tables.remove(name), names.casks.remove(name))
            };
            if let Some(shared) = table {
                shared.dropped.store(true, Ordering::Release);
            }
            if let Some(shared) = cask {
                shared.dropped.store(true, Ordering::Release);
            }
        }
        changed?;
        for shard in &self.shards {
            if let Err(error) = shard.forget_table(id) {
                tracing::warn!(
                    shard = shard.id(),
                    table = name,
                    %error,
                    "the files of a table that was dropped could not be removed; the next opening does"
                );
            }
        }
        Ok(())
    }

    pub(crate) fn clear_table(&self, name: &str) -> Result<()> {
        let mut catalogue = self.catalogue.lock();
        self.check_open()?;
        catalogue.check()?;
        let id = self.names.read().id_of(name)?;
        let ddl = Ddl { number: catalogue.ddl_last + 1, table: id, action: DdlAction::Clear };
        let changed = self.change(&mut catalogue, &ddl, |_, state_of| state_of.apply_clear(&ddl));
        if let Some(cause) = &catalogue.interrupted {
            // It stays in the catalogue, and every handle says why it is of no use.
            let names = self.names.read();
            if let Some(shared) = names.tables.get(name) {
                let _ = shared.interrupted.set(cause.clone());
                shared.dropped.store(true, Ordering::Release);
            }
            if let Some(shared) = names.casks.get(name) {
                let _ = shared.interrupted.set(cause.clone());
                shared.dropped.store(true, Ordering::Release);
            }
        }
        changed
    }

    fn new_table(
        &self,
        shard: &Shard,
        id: u32,
        schema: &TableSchema,
        budget: &SlotBudget,
    ) -> Result<Option<FixedTable>> {
        if !is_on_shard(schema, shard.number) {
            return Ok(None);
        }
        let ident = ShardIdent { store: self.id, shard: shard.number };
        let dir = &shard.log.ident().dir;
        let table = FixedTable::create(
            &self.env,
            dir,
            ident,
            id,
            schema,
            budget.clone(),
            self.fixed_options(),
        )
        .map_err(|error| Error::of_fixed(error, shard.id(), &schema.name))?;
        self.env.disk.sync_dir(dir).map_err(|error| Error::of_io(error, shard.id()))?;
        Ok(Some(table))
    }

    /// Logs `ddl` on every shard, applies it there, and waits until it is durable everywhere.
    fn change(
        &self,
        catalogue: &mut Catalogue,
        ddl: &Ddl,
        mut apply: impl FnMut(&Shard, &mut Applying<'_>),
    ) -> Result<()> {
        self.begin_epoch()?;
        let mut sequences = Vec::with_capacity(self.shards.len());
        let mut logged = || -> Result<()> {
            for shard in &self.shards {
                sequences.push(shard.log_ddl(ddl, &mut |state| apply(shard, state))?);
            }
            for (shard, sequence) in self.shards.iter().zip(&sequences) {
                shard.wait_durable(*sequence, None)?;
            }
            Ok(())
        };
        if let Err(error) = logged() {
            if !sequences.is_empty() {
                catalogue.interrupted = Some(error.to_string());
                for shard in &self.shards {
                    shard.lock().state().interrupted = ddl.table;
                }
            }
            return Err(error);
        }
        catalogue.ddl_last = ddl.number;
        Ok(())
    }

    /// Completes a change of the catalogue that an interrupted call left on some shards only; gives the shards that lacked it.
    pub(crate) fn complete_ddl(&self) -> Result<Vec<u32>> {
        if self.read_only || mutants::active("forget_ddl_on_shard") {
            return Ok(Vec::new());
        }
        let known: Vec<Option<Ddl>> =
            self.shards.iter().map(|shard| shard.lock().state().ddl.clone()).collect();
        let number_of = |ddl: &Option<Ddl>| ddl.as_ref().map_or(0, |ddl| ddl.number);
        let Some(newest) = known.iter().max_by_key(|ddl| number_of(ddl)).cloned().flatten() else {
            return Ok(Vec::new());
        };
        let behind: Vec<&Arc<Shard>> = self
            .shards
            .iter()
            .zip(&known)
            .filter(|(_, ddl)| number_of(ddl) < newest.number)
            .map(|(shard, _)| shard)
            .collect();
        if behind.is_empty() {
            return Ok(Vec::new());
        }
        self.begin_epoch()?;
        for shard in &behind {
            let mut table = match &newest.action {
                DdlAction::Create(schema) if schema.kind == TableKind::Cask => {
                    let new = || Arc::new(Keydir::new(schema.ordered, self.options.huge_pages));
                    New::Cask(is_on_shard(schema, shard.number).then(new))
                }
                DdlAction::Create(schema) => {
                    let budget = self.budget_of(newest.table, schema);
                    New::Fixed(self.new_table(shard, newest.table, schema, &budget)?.map(Box::new))
                }
                DdlAction::Drop | DdlAction::Clear => New::Fixed(None),
            };
            let sequence = shard.log_ddl(&newest, &mut |state| match &newest.action {
                DdlAction::Create(schema) => {
                    state.apply_create(shard, &newest, schema, table.take())
                }
                DdlAction::Drop => state.apply_drop(&newest),
                DdlAction::Clear => state.apply_clear(&newest),
            })?;
            shard.wait_durable(sequence, None)?;
            if newest.action == DdlAction::Drop {
                shard.forget_table(newest.table)?;
            }
        }
        Ok(behind.iter().map(|shard| shard.id()).collect())
    }

    fn budget_of(&self, table: u32, schema: &TableSchema) -> SlotBudget {
        let names = self.names.read();
        let known = names.tables.values().find(|shared| shared.id == table);
        known.map_or_else(|| SlotBudget::new(schema), |shared| shared.budget.clone())
    }

    /// The readers of a table as the shards have them now; after a completion the catalogue's may be short of some.
    pub(crate) fn refresh_readers(&mut self) {
        let names = self.names.get_mut();
        for shared in names.tables.values_mut() {
            let readers = self
                .shards
                .iter()
                .map(|shard| shard.lock().state_ref().table_ref(shared.id).map(FixedTable::reader))
                .collect();
            let orders = self.shards.iter().map(|shard| {
                let guard = shard.lock();
                guard.state_ref().table_ref(shared.id).and_then(FixedTable::order).cloned()
            });
            let (schema, budget) = (shared.schema.clone(), shared.budget.clone());
            let fresh = TableShared::new(shared.id, schema, budget, readers, orders.collect());
            *shared = Arc::new(fresh);
        }
        for shared in names.casks.values_mut() {
            let (id, schema) = (shared.id, shared.schema.clone());
            let keydirs = self
                .shards
                .iter()
                .map(|shard| shard.lock().state_ref().casks.get(&id).cloned())
                .collect();
            *shared = Arc::new(CaskShared::new(id, schema, keydirs));
        }
    }
}

impl Names {
    fn id_of(&self, name: &str) -> Result<u32> {
        let fixed = self.tables.get(name).map(|shared| shared.id);
        fixed
            .or_else(|| self.casks.get(name).map(|shared| shared.id))
            .ok_or_else(|| Error::NoSuchTable { table: name.to_owned() })
    }
}

impl Catalogue {
    fn check(&self) -> Result<()> {
        match &self.interrupted {
            None => Ok(()),
            Some(cause) => Err(Error::CatalogueInterrupted { cause: cause.clone() }),
        }
    }
}

/// What a new table has on a shard.
pub(crate) enum New {
    /// Slots, if keys lie on the shard.
    Fixed(Option<Box<FixedTable>>),
    /// A keydir, if keys lie on the shard.
    Cask(Option<Arc<Keydir>>),
}

impl New {
    fn take(&mut self) -> Self {
        match self {
            Self::Fixed(table) => Self::Fixed(table.take()),
            Self::Cask(keydir) => Self::Cask(keydir.take()),
        }
    }
}

/// The state of a shard while a change of the catalogue is applied to it, under its lock.
pub(crate) struct Applying<'a> {
    state: &'a mut crate::shard::ShardState,
    sequence: u64,
}

impl Applying<'_> {
    fn apply_create(&mut self, shard: &Shard, ddl: &Ddl, schema: &TableSchema, new: New) {
        let there = match &new {
            New::Fixed(table) => table.is_some(),
            New::Cask(keydir) => keydir.is_some(),
        };
        debug_assert_eq!(there, is_on_shard(schema, shard.number));
        let entry = CatalogueEntry {
            schema: schema.clone(),
            clear_sequence: 0,
            checkpoint: FixedTable::no_checkpoint(),
        };
        self.state.catalogue.insert(ddl.table, entry);
        self.state.table_last = self.state.table_last.max(ddl.table);
        match new {
            New::Fixed(table) => self.state.set_table(ddl.table, table.map(|table| *table)),
            New::Cask(Some(keydir)) => {
                self.state.casks.insert(ddl.table, keydir);
            }
            New::Cask(None) => {}
        }
        self.state.ddl = Some(ddl.clone());
    }

    fn apply_drop(&mut self, ddl: &Ddl) {
        self.state.catalogue.remove(&ddl.table);
        self.state.set_table(ddl.table, None);
        if let Some(keydir) = self.state.casks.remove(&ddl.table) {
            crate::cask::forget(&keydir, &mut self.state.usage);
        }
        self.state.ddl = Some(ddl.clone());
    }

    fn apply_clear(&mut self, ddl: &Ddl) {
        let sequence = self.sequence;
        if let Some(entry) = self.state.catalogue.get_mut(&ddl.table) {
            entry.clear_sequence = sequence;
        }
        if let Some(table) = self.state.table(ddl.table) {
            table.clear(sequence);
        }
        if let Some(keydir) = self.state.casks.get(&ddl.table).cloned() {
            crate::cask::forget(&keydir, &mut self.state.usage);
        }
        self.state.ddl = Some(ddl.clone());
    }
}

impl Shard {
    /// Appends the record of `ddl` and applies it, while no checkpoint runs. Gives its sequence.
    fn log_ddl(&self, ddl: &Ddl, apply: &mut dyn FnMut(&mut Applying<'_>)) -> Result<u64> {
        let value = ddl.encode();
        let (kind, urgency) = match ddl.action {
            DdlAction::Create(_) => (RecordKind::CreateTable, Urgency::Normal),
            DdlAction::Drop => (RecordKind::DropTable, Urgency::Reserve),
            DdlAction::Clear => (RecordKind::ClearTable, Urgency::Reserve),
        };
        loop {
            let (refusal, prepared) = {
                let upkeep = self.upkeep.lock();
                let mut guard = self.lock();
                if guard.state().closed {
                    return Err(Error::Closed);
                }
                match guard.reserve(record_size(0, 0, value.len()), urgency) {
                    Ok(()) => {
                        let append = Append {
                            table: ddl.table,
                            slot: SLOT_NONE,
                            kind,
                            flags: 0,
                            extension: &[],
                            key: &[],
                            value: &value,
                        };
                        let dropped =
                            ddl.action == DdlAction::Drop && mutants::active("drop_not_logged");
                        let sequence =
                            if dropped { guard.last_sequence() } else { guard.append(append) };
                        apply(&mut Applying { state: guard.state(), sequence });
                        drop(guard);
                        drop(upkeep);
                        return Ok(sequence);
                    }
                    Err(refusal) => (refusal, guard.prepared()),
                }
            };
            self.relieve(refusal, prepared, None)?;
        }
    }

    /// Takes a dropped table out of the manifest, then removes its files.
    fn forget_table(&self, table: u32) -> Result<()> {
        let _upkeep = self.upkeep.lock();
        self.log
            .commit_state(|manifest| manifest.tables.retain(|state| state.table != table))
            .map_err(|error| Error::of_log(error, self.id()))?;
        slotcask_fixed::remove_files(&self.env, &self.log.ident().dir, table)
            .map_err(|error| Error::of_fixed(error, self.id(), ""))?;
        self.env
            .disk
            .sync_dir(&self.log.ident().dir)
            .map_err(|error| Error::of_io(error, self.id()))?;
        Ok(())
    }
}
