//! Opening one shard: manifest, slot files, redo from the log, the first writes.

use crate::cask::{CaskRedo, Shelf};
use crate::error::{Error, Result};
use crate::report::ShardRecovery;
use crate::shard::{CatalogueEntry, Deadlines, ShardState};
use crate::stats::ShardStats;
use crate::store::ManifestWitness;
use parking_lot::Mutex;
use slotcask_cask::{Cache, CaskIdent, Keydir, Location};
use slotcask_fixed::{
    FixedOptions, FixedTable, GrowthOptions, Loading, ShardIdent, SlotBudget, SlotReader,
};
use slotcask_format::StoreId;
use slotcask_format::file_name::{HISTORY, ShardFile};
use slotcask_format::hint::HintTables;
use slotcask_format::history::History;
use slotcask_format::manifest::{DataFileState, TableState};
use slotcask_format::mutants;
use slotcask_format::record::{Record, RecordKind};
use slotcask_format::schema::{Ddl, DdlAction, Placement, TableKind, TableSchema};
use slotcask_io::{Env, File};
use slotcask_log::recovery::{LogVisitor, Opening, ScanReport};
use slotcask_log::{Files, LogConfig, LogError, LogIdent, ShardLog};
use slotcask_ordered::Order;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// What all shards of a store share while they are opened.
#[derive(Debug)]
pub(crate) struct ShardContext {
    pub env: Env,
    pub root: PathBuf,
    pub store: StoreId,
    pub log: LogConfig,
    pub history: History,
    pub hash_seed: u64,
    pub torn_page_protection: bool,
    pub huge_pages: bool,
    pub checkpoint_batch: usize,
    pub map_data: bool,
    /// Bytes of values in memory, a shard.
    pub value_cache: u64,
    pub read_only: bool,
    /// A store of tests: files grow by little.
    pub small: bool,
    pub budgets: Budgets,
}

/// The slot budgets of the tables, shared by all shards.
#[derive(Debug, Default)]
pub(crate) struct Budgets(Mutex<HashMap<u32, SlotBudget>>);

impl Budgets {
    pub(crate) fn of(&self, table: u32, schema: &TableSchema) -> SlotBudget {
        self.0.lock().entry(table).or_insert_with(|| SlotBudget::new(schema)).clone()
    }
}

/// A shard that was opened.
pub(crate) struct OpenedShard {
    /// None when the store is open for reading only.
    pub log: Option<ShardLog<ShardState>>,
    pub readers: HashMap<u32, Arc<SlotReader>>,
    pub orders: HashMap<u32, Arc<Order>>,
    pub keydirs: BTreeMap<u32, Arc<Keydir>>,
    pub shelf: Arc<Shelf>,
    pub time_floor_ms: u64,
    pub schemas: BTreeMap<u32, TableSchema>,
    pub ddl: Option<Ddl>,
    pub table_last: u32,
    pub clean: bool,
    pub report: ShardRecovery,
    /// Figures of a shard that is open for reading only.
    pub found: Option<ShardStats>,
}

impl ShardContext {
    pub(crate) fn fixed_options(&self) -> FixedOptions {
        let growth = if self.small {
            GrowthOptions { min_bytes: 16 << 10, fraction: 16 }
        } else {
            GrowthOptions::default()
        };
        FixedOptions {
            huge_pages: self.huge_pages,
            torn_page_protection: self.torn_page_protection,
            growth,
            batch_bytes: self.checkpoint_batch,
        }
    }

    pub(crate) fn cask_ident(&self, shard: u8) -> CaskIdent {
        let ident = self.ident(shard);
        CaskIdent { store: ident.store, shard, dir: ident.dir, map: self.map_data }
    }

    /// Refuses what is of an epoch that the history does not have. An epoch is in the history before anything of it is
    /// written, so the history is an older one: what is missing there cannot be told from what it has cut off.
    fn known_epoch(&self, epoch: u32, what: impl FnOnce() -> String) -> Result<()> {
        let last = self.history.last();
        if epoch <= last {
            return Ok(());
        }
        let reason = format!(
            "{} is of epoch {epoch}, and the history ends at epoch {last}: this history file is older than the shards, put \
             back the one that belongs to them",
            what()
        );
        Err(Error::corrupt(&self.root.join(HISTORY), 0, reason))
    }

    /// Refuses a log that is ahead of the history, be it by flushes without records, of which no visitor is told: the next
    /// epoch would not be a new one there.
    pub(crate) fn known_log(&self, shard: u8, scan: &ScanReport) -> Result<()> {
        self.known_epoch(scan.epoch, || format!("the log of shard {shard}"))
    }

    /// A record of the log was written again at another place.
    fn moved(&self, shard: u8, state: &mut ShardState, record: &Record<'_>, place: (u64, u64)) {
        let Some(keydir) = state.casks.get(&record.table) else { return };
        let cleared = state.catalogue.get(&record.table).map_or(0, |entry| entry.clear_sequence);
        if !is_of_keys(record.kind)
            || record.sequence <= cleared
            || !self.history.holds(shard, record.epoch, record.sequence)
        {
            return;
        }
        let ShardState { usage, expiry, .. } = state;
        let vanishes = &mut |deadline_ms, at| expiry.add(deadline_ms, at);
        if let Err(error) =
            crate::cask::apply(keydir, usage, vanishes, self.hash_seed, record, place)
        {
            tracing::error!(%error, "a record cannot be pointed to where it stands now");
        }
    }

    pub(crate) fn ident(&self, shard: u8) -> LogIdent {
        LogIdent::new(&self.root, self.store, shard)
    }
}

/// True for records that put or remove keys of a table.
fn is_of_keys(kind: RecordKind) -> bool {
    use RecordKind::{Delete, Expire, Put, RangeDelete};
    matches!(kind, Put | Delete | RangeDelete | Expire)
}

/// Hash of a key in the index of its shard.
#[inline]
pub(crate) fn index_hash(seed: u64, key: &[u8]) -> u64 {
    xxh3_64_with_seed(key, seed)
}

/// True when a table has slots on `shard`.
pub(crate) fn is_on_shard(schema: &TableSchema, shard: u8) -> bool {
    match schema.placement {
        Placement::Hashed => true,
        Placement::Pinned(pinned) => pinned == shard,
    }
}

/// A shard that was read and found to be whole. Nothing of what counts on disk has changed so far.
pub(crate) struct ReadShard {
    pub number: u8,
    opening: Opening,
    pub state: ShardState,
    clean: bool,
    pub report: ShardRecovery,
    pub time_floor_ms: u64,
    data: Vec<(DataFileState, Arc<dyn File>)>,
    rebuilt: Vec<(DataFileState, HintTables)>,
    /// When records of cask tables vanish.
    deadlines: Vec<(u64, Location)>,
}

/// Reads one shard and decides whether it can be taken.
pub(crate) fn read_shard(context: &ShardContext, number: u8) -> Result<ReadShard> {
    let shard = u32::from(number);
    let of_log = |error| Error::of_log(error, shard);
    let ident = context.ident(number);
    let mut opening = Opening::read(&context.env, &ident, &context.log).map_err(of_log)?;
    let clean = opening.state().clean.is_some();
    let mut report = ShardRecovery {
        shard,
        manifest_truncated: opening.manifest().torn,
        ..ShardRecovery::default()
    };
    let mut redo = Redo::load(context, number, &opening)?;
    let scan = opening.scan(redo.scan_from, &mut redo)?;
    context.known_log(number, &scan)?;
    if let Some(cut) =
        context.history.epochs.last().and_then(|epoch| epoch.cuts.get(usize::from(number)))
        && scan.last_sequence < *cut
    {
        let reason = format!(
            "the log ends at sequence {}, before {cut}, where the last epoch began",
            scan.last_sequence
        );
        return Err(Error::corrupt(&ident.dir, 0, reason));
    }
    fill_report(&mut report, &scan);
    report.void_slots += redo.void_records;
    let data = std::mem::take(&mut redo.cask.files);
    let rebuilt = std::mem::take(&mut redo.cask.rebuilt);
    let deadlines = std::mem::take(&mut redo.cask.deadlines);
    report.hints_rebuilt = rebuilt.len() as u64;
    let state = redo.finish(&scan, &mut report)?;
    let time_floor_ms = scan.time_floor_ms;
    Ok(ReadShard { number, opening, state, clean, report, time_floor_ms, data, rebuilt, deadlines })
}

/// Lists what vanishes when, at the time of the store: by a clock that is behind, all deadlines would be far ahead, and looked at as rarely.
fn list_deadlines(state: &mut ShardState, deadlines: Vec<(u64, Location)>, now_ms: u64) {
    state.expiry = Deadlines::new(now_ms);
    for (deadline_ms, at) in deadlines {
        state.expiry.add(deadline_ms, at);
    }
    state.expiry_kept = state.expiry.len();
    state.slot_expiry = Deadlines::new(now_ms);
    let tables: Vec<u32> = state.tables.iter().flatten().map(|table| table.table()).collect();
    for table in tables {
        state.list_deadlines(table);
    }
}

/// Does the first writes of a shard, once all shards of the store are known to be whole. It is `now_ms` by the time of the store.
pub(crate) fn start_shard(
    context: &ShardContext,
    read: ReadShard,
    now_ms: u64,
) -> Result<OpenedShard> {
    let ReadShard { number, opening, mut state, clean, mut report, .. } = read;
    let ReadShard { time_floor_ms, data, rebuilt, deadlines, .. } = read;
    let of_log = |error| Error::of_log(error, u32::from(number));
    if !context.read_only {
        list_deadlines(&mut state, deadlines, now_ms);
        let of_fixed = |error| Error::of_fixed(error, u32::from(number), "");
        if context.torn_page_protection {
            let ident = ShardIdent { store: context.store, shard: number };
            let dir = context.ident(number).dir;
            let fixed = |table: &&TableState| table.schema.kind == TableKind::Fixed;
            let tables: Vec<_> = opening.state().tables.iter().filter(fixed).cloned().collect();
            let restored = slotcask_fixed::restore_double_write(&context.env, &dir, ident, &tables)
                .map_err(of_fixed)?;
            report.pages_restored = u64::from(restored.pages_restored);
        }
        for table in state.tables.iter_mut().flatten() {
            table.begin_writing(&context.env).map_err(of_fixed)?;
        }
    }
    let readers =
        state.tables.iter().flatten().map(|table| (table.table(), table.reader())).collect();
    let tables = state.tables.iter().flatten();
    let orders = tables.filter_map(|table| Some((table.table(), table.order()?.clone()))).collect();
    let schemas = state.catalogue.iter().map(|(id, entry)| (*id, entry.schema.clone())).collect();
    let (ddl, table_last) = (state.ddl.clone(), state.table_last);
    let keydirs = state.casks.clone();
    let ident = context.ident(number);
    let mut files = Arc::new(Files::default());
    let witness = context.read_only.then(|| ManifestWitness::of(context, number, &opening));
    let found = context.read_only.then(|| figures_of(context, &opening, &state, &report));
    let log = if context.read_only {
        for (generation, file, first) in opening.segment_files() {
            files.insert(generation, file, first..=report.last_sequence);
        }
        None
    } else {
        let keep: BTreeSet<u32> =
            state.tables.iter().flatten().map(|table| table.table()).collect();
        let log = opening
            .start_with(state, &mut |state, record, generation, offset| {
                context.moved(number, state, record, (generation, offset));
            })
            .map_err(of_log)?;
        sweep_tables(context, &log, &keep)?;
        files = log.files().clone();
        let cask_ident = context.cask_ident(number);
        for (state, hint) in &rebuilt {
            if let Err(error) = slotcask_cask::write_hint(&context.env, &cask_ident, state, hint) {
                // Derived: the next opening makes it anew.
                tracing::warn!(%error, "a hint could not be written");
            }
        }
        let listed = rebuilt.iter().map(|(state, _)| state.end).sum();
        drop(rebuilt);
        slotcask_io::give_back(listed);
        Some(log)
    };
    for (state, file) in data {
        files.insert(state.generation, file, state.sequence_min..=state.sequence_max);
    }
    let shelf = Arc::new(Shelf {
        shard: u32::from(number),
        seed: ident.record_seed(),
        dir: ident.dir,
        disk: context.env.disk.clone(),
        files,
        cache: Cache::new(context.value_cache, context.huge_pages),
        witness,
    });
    Ok(OpenedShard {
        log,
        readers,
        orders,
        keydirs,
        shelf,
        time_floor_ms,
        schemas,
        ddl,
        table_last,
        clean,
        report,
        found,
    })
}

/// What is known of a shard that nothing is written to.
fn figures_of(
    context: &ShardContext,
    opening: &Opening,
    state: &ShardState,
    report: &ShardRecovery,
) -> ShardStats {
    let cask = state.usage.bytes(&opening.state().data);
    ShardStats {
        shard: report.shard,
        last_sequence: report.last_sequence,
        durable_sequence: report.watermark,
        epoch: context.history.last(),
        log_bytes: opening.log_bytes(),
        log_capacity: context.log.capacity(),
        segment_files: opening.segment_file_count(),
        checkpoint_number: opening.state().checkpoint,
        cask_files: cask.files,
        cask_live_bytes: cask.live,
        cask_dead_bytes: cask.dead,
        cask_pinned_bytes: cask.pinned,
        ..ShardStats::default()
    }
}

fn fill_report(report: &mut ShardRecovery, scan: &ScanReport) {
    report.last_sequence = scan.last_sequence;
    report.watermark = scan.watermark;
    report.records_read = scan.records;
    report.truncated_flushes = scan.truncated_flushes;
    report.truncated_bytes = scan.truncated_bytes;
    let mut rows = scan.passed.clone();
    rows.sort_unstable();
    rows.dedup();
    rows.push(scan.row.name);
    report.rows = rows;
}

/// Removes the files of tables that are no more: dropped, or never logged. The manifest forgets them first.
fn sweep_tables(
    context: &ShardContext,
    log: &ShardLog<ShardState>,
    keep: &BTreeSet<u32>,
) -> Result<()> {
    let dir = &log.ident().dir;
    let mut gone = BTreeSet::new();
    for entry in context.env.disk.list(dir)? {
        if let Some(ShardFile::Slots(table) | ShardFile::Map(table)) = ShardFile::parse(&entry.name)
            && !keep.contains(&table)
        {
            gone.insert(table);
        }
    }
    if gone.is_empty() {
        return Ok(());
    }
    let shard = u32::from(log.ident().shard);
    let kept: BTreeSet<u32> = log.lock().state().catalogue.keys().copied().collect();
    log.commit_state(|manifest| manifest.tables.retain(|table| kept.contains(&table.table)))
        .map_err(|error| Error::of_log(error, shard))?;
    for table in gone {
        slotcask_fixed::remove_files(&context.env, dir, table)
            .map_err(|error| Error::of_fixed(error, shard, ""))?;
    }
    context.env.disk.sync_dir(dir)?;
    Ok(())
}

/// Redo of the log onto tables that were loaded.
pub(crate) struct Redo<'a> {
    context: &'a ShardContext,
    ident: LogIdent,
    pub redo_sequence: u64,
    /// First sequence that the scan has to give: cask tables need all of the log.
    pub scan_from: u64,
    cask: CaskRedo,
    loadings: BTreeMap<u32, Loading>,
    catalogue: BTreeMap<u32, CatalogueEntry>,
    ddl: Option<Ddl>,
    table_last: u32,
    void_records: u64,
}

impl<'a> Redo<'a> {
    /// Loads the tables that the manifest lists.
    pub(crate) fn load(context: &'a ShardContext, number: u8, opening: &Opening) -> Result<Self> {
        let manifest = opening.state();
        context.known_epoch(manifest.epoch, || format!("the manifest of shard {number}"))?;
        for file in &manifest.data {
            context.known_epoch(file.epoch_max, || {
                format!("data file {} of shard {number}", file.generation)
            })?;
        }
        let ident = context.ident(number);
        let fixed_ident = ShardIdent { store: context.store, shard: number };
        let on_shard: Vec<TableState> = manifest
            .tables
            .iter()
            .filter(|table| {
                table.schema.kind == TableKind::Fixed && is_on_shard(&table.schema, number)
            })
            .cloned()
            .collect();
        let on_shard_ids: BTreeSet<u32> = manifest
            .tables
            .iter()
            .filter(|table| is_on_shard(&table.schema, number))
            .map(|table| table.table)
            .collect();
        let cask = CaskRedo::load(
            &context.env,
            &context.cask_ident(number),
            manifest,
            context.hash_seed,
            &|epoch, sequence| context.history.holds(number, epoch, sequence),
            &|table| on_shard_ids.contains(&table),
            context.huge_pages,
        )?;
        let mut redo = Self {
            context,
            scan_from: if cask.keydirs.is_empty() {
                manifest.redo_sequence
            } else {
                manifest.floor_sequence.min(manifest.redo_sequence)
            },
            cask,
            redo_sequence: manifest.redo_sequence,
            loadings: BTreeMap::new(),
            catalogue: BTreeMap::new(),
            ddl: manifest.ddl.clone(),
            table_last: manifest.table_last,
            void_records: 0,
            ident,
        };
        for table in &manifest.tables {
            let entry = CatalogueEntry {
                schema: table.schema.clone(),
                clear_sequence: table.clear_sequence,
                checkpoint: table.checkpoint,
            };
            redo.catalogue.insert(table.table, entry);
        }
        for table in &on_shard {
            let mut loading = Loading::open(
                &context.env,
                &redo.ident.dir,
                fixed_ident,
                table,
                manifest.checkpoint,
                context.budgets.of(table.table, &table.schema),
                context.fixed_options(),
                !context.read_only,
            )
            .map_err(|error| Error::of_fixed(error, u32::from(number), &table.schema.name))?;
            loading.set_at_rest(manifest.checkpoint_begun <= manifest.checkpoint);
            loading.set_epoch_last(context.history.last());
            redo.loadings.insert(table.table, loading);
        }
        Ok(redo)
    }

    fn shard(&self) -> u32 {
        u32::from(self.ident.shard)
    }

    fn known_record(&self, record: &Record<'_>) -> Result<()> {
        self.context.known_epoch(record.epoch, || {
            format!("record {} of shard {}", record.sequence, self.ident.shard)
        })
    }

    fn ddl(&mut self, record: &Record<'_>) -> Result<()> {
        let ddl = Ddl::decode(record.value).map_err(|reason| {
            Error::corrupt(&self.ident.dir, record.sequence, format!("catalogue record: {reason}"))
        })?;
        // What the manifest knows already is in its catalogue.
        if self.ddl.as_ref().is_some_and(|known| known.number >= ddl.number) {
            return Ok(());
        }
        match &ddl.action {
            DdlAction::Create(schema) => {
                self.table_last = self.table_last.max(ddl.table);
                if schema.kind == TableKind::Cask {
                    if is_on_shard(schema, self.ident.shard) {
                        let keydir = Keydir::new(schema.ordered, self.context.huge_pages);
                        self.cask.keydirs.insert(ddl.table, Arc::new(keydir));
                    }
                } else if is_on_shard(schema, self.ident.shard) {
                    let loading = Loading::create_missing(
                        &self.context.env,
                        &self.ident.dir,
                        ShardIdent { store: self.context.store, shard: self.ident.shard },
                        ddl.table,
                        schema,
                        self.context.budgets.of(ddl.table, schema),
                        self.context.fixed_options(),
                        !self.context.read_only,
                    )
                    .map_err(|error| Error::of_fixed(error, self.shard(), &schema.name))?;
                    self.loadings.insert(ddl.table, loading);
                }
                let entry = CatalogueEntry {
                    schema: schema.clone(),
                    clear_sequence: 0,
                    checkpoint: FixedTable::no_checkpoint(),
                };
                self.catalogue.insert(ddl.table, entry);
            }
            DdlAction::Drop => {
                self.loadings.remove(&ddl.table);
                self.cask.clear(ddl.table);
                self.cask.keydirs.remove(&ddl.table);
                self.catalogue.remove(&ddl.table);
            }
            DdlAction::Clear => {
                if let Some(entry) = self.catalogue.get_mut(&ddl.table) {
                    entry.clear_sequence = record.sequence;
                }
                if !mutants::active("clear_keeps_keys") {
                    self.cask.clear(ddl.table);
                }
                if let Some(loading) = self.loadings.get_mut(&ddl.table)
                    && !mutants::active("clear_keeps_slots")
                {
                    loading.clear(record.sequence);
                }
            }
        }
        self.ddl = Some(ddl);
        Ok(())
    }

    fn finish(self, scan: &ScanReport, report: &mut ShardRecovery) -> Result<ShardState> {
        let shard = self.ident.shard;
        let mut state = ShardState {
            catalogue: self.catalogue,
            ddl: self.ddl,
            table_last: self.table_last,
            casks: self.cask.keydirs,
            usage: self.cask.usage,
            ..ShardState::default()
        };
        let seed = self.context.hash_seed;
        let history = &self.context.history;
        for (id, loading) in self.loadings {
            let valid = |epoch: u32, sequence: u64| history.holds(shard, epoch, sequence);
            let (table, found) = loading
                .finish_reading(scan.last_sequence, &valid, |key| index_hash(seed, key))
                .map_err(|error| Error::of_fixed(error, u32::from(shard), ""))?;
            report.records_redone += found.records_redone;
            report.void_slots += found.slots_void;
            report.slots_mended += found.slots_damaged;
            report.pages_unexpected += found.pages_unexpected;
            report.pages_restored += u64::from(found.pages_overlaid);
            report.headers_damaged += u64::from(found.headers_damaged);
            state.set_table(id, Some(table));
        }
        Ok(state)
    }

    /// Keys of cask tables.
    pub(crate) fn cask_keys(&self) -> u64 {
        self.cask.keydirs.values().map(|keydir| keydir.len()).sum()
    }

    /// The data files of cask tables, open.
    pub(crate) fn data_files(&self) -> &[(DataFileState, Arc<dyn File>)] {
        &self.cask.files
    }

    /// What checking found wrong, for [`crate::tools::check`].
    pub(crate) fn into_loadings(self) -> BTreeMap<u32, Loading> {
        self.loadings
    }
}

impl From<LogError> for Error {
    fn from(error: LogError) -> Self {
        Self::of_log(error, 0)
    }
}

impl LogVisitor for Redo<'_> {
    type Error = Error;

    fn expect(&mut self, record: &Record<'_>) {
        if let Some(loading) = self.loadings.get(&record.table) {
            loading.expect(record.slot);
        }
    }

    fn record_at(&mut self, record: &Record<'_>, generation: u64, offset: u64) -> Result<()> {
        let cask = self.cask.keydirs.contains_key(&record.table) && is_of_keys(record.kind);
        if !cask {
            return self.record(record);
        }
        self.known_record(record)?;
        let cleared = self.catalogue.get(&record.table).map_or(0, |entry| entry.clear_sequence);
        if record.sequence <= cleared {
            return Ok(());
        }
        if !self.context.history.holds(self.ident.shard, record.epoch, record.sequence) {
            // Counted, as every record is.
            return self.record(record);
        }
        self.cask.apply(record, generation, offset)
    }

    fn record(&mut self, record: &Record<'_>) -> Result<()> {
        self.known_record(record)?;
        if record.sequence < self.redo_sequence {
            return Ok(());
        }
        if !self.context.history.holds(self.ident.shard, record.epoch, record.sequence) {
            self.void_records += 1;
            return Ok(());
        }
        match record.kind {
            kind if is_of_keys(kind) => {
                let shard = self.shard();
                match self.loadings.get_mut(&record.table) {
                    Some(loading) => {
                        loading.apply(record).map_err(|error| Error::of_fixed(error, shard, ""))
                    }
                    // The table was dropped later, and the manifest knows; or it has no keys on this shard.
                    None if record.table <= self.table_last
                        && !self.catalogue.contains_key(&record.table) =>
                    {
                        Ok(())
                    }
                    None => {
                        let reason = format!(
                            "record {} is of table {}, which is not there",
                            record.sequence, record.table
                        );
                        Err(Error::corrupt(&self.ident.dir, 0, reason))
                    }
                }
            }
            RecordKind::CreateTable | RecordKind::DropTable | RecordKind::ClearTable => {
                self.ddl(record)
            }
            kind => {
                let reason = format!(
                    "record {} is of kind {kind:?}, which this build does not redo",
                    record.sequence
                );
                Err(Error::NewerFormat { path: self.ident.dir.clone(), reason })
            }
        }
    }
}
