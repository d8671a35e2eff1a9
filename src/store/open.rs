//! Opening a store.

use crate::cask::CaskShared;
use crate::error::{Error, Result};
use crate::options::Options;
use crate::report::RecoveryReport;
use crate::shard::{Shard, ShardOptions, Timer, Upkeep, Worker};
use crate::store::catalogue::{Catalogue, Names, TableShared};
use crate::store::complete::complete_ddl_in_memory;
use crate::store::create::{self, Found, look, look_before_lock};
use crate::store::epoch::{EpochState, read_history};
use crate::store::lock::{guarded, lock, lock_to_read, poison_when_lost};
use crate::store::recover::{Budgets, OpenedShard, ShardContext, read_shard, start_shard};
use crate::store::{Store, StoreInner, witness};
use parking_lot::{Mutex, RwLock};
use slotcask_format::StoreId;
use slotcask_format::file_name::MERGE_RESERVE;
use slotcask_format::history::{EpochKind, History};
use slotcask_format::schema::TableKind;
use slotcask_format::superblock::{FEATURE_TORN_PAGE_PROTECTION, Superblock};
use slotcask_io::{Env, FileLock};
use slotcask_log::LogConfig;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

impl Store {
    pub(crate) fn open_with(env: Env, root: &Path, options: Options) -> Result<Self> {
        // Names are used for as long as the store is open, whatever the working directory is by then.
        let root = &*env.disk.absolute(root)?;
        match look_before_lock(&env, root)? {
            // No new one is made: it would look like the one of a copy.
            Some(Found::Store(..)) if !options.may_adopt() => {
                return Err(Error::LockMissing { path: root.to_owned() });
            }
            Some(found) if !options.may_create() => drop(found.store(root)?),
            Some(Found::Nothing) => create::make_root(&env, root)?,
            _ => {}
        }
        let file_lock = if options.read_only {
            lock_to_read(&env, root, options.lock_timeout)?
        } else {
            Some(lock(&env, root, options.lock_timeout)?)
        };
        Self::open_locked(env, root, options, file_lock)
    }

    /// Opens the store whose directory is locked by `file_lock`; without one for reading only, and only if nobody writes to it meanwhile.
    pub(crate) fn open_locked(
        env: Env,
        root: &Path,
        options: Options,
        file_lock: Option<Box<dyn FileLock>>,
    ) -> Result<Self> {
        if file_lock.is_some() {
            return Self::open_held(env, root, options, file_lock);
        }
        let of_store = env.clone();
        witness::undisturbed(&env, root, || Self::open_held(of_store, root, options, None))
    }

    fn open_held(
        env: Env,
        root: &Path,
        options: Options,
        file_lock: Option<Box<dyn FileLock>>,
    ) -> Result<Self> {
        let (env, guard) = match file_lock.as_deref() {
            Some(lock) => {
                let (env, disk) = guarded(env, lock);
                (env, Some(disk))
            }
            None => (env, None),
        };
        // What counts is found under the lock: somebody may have created or adopted it meanwhile.
        let mut report = RecoveryReport::default();
        let found = look(&env, root)?;
        let is_vacant = !matches!(found, Found::Store(..));
        let mut superblock = if is_vacant && options.may_create() {
            create::sweep(&env, root)?;
            report.created = true;
            create::create(&env, root, &options)?
        } else {
            let (superblock, damage) = found.store(root)?;
            if let Some(reason) = damage {
                report.warnings.push(format!(
                    "one copy of the superblock is damaged ({reason}); the other was used"
                ));
            }
            *superblock
        };
        options.compare(&superblock)?;
        let adopted = adopt(&env, root, &options, &mut superblock)?;
        if !options.read_only && !slotcask_format::mutants::active("trust_found_names") {
            // A process that was killed may have renamed superblock or history and not synced the directory. What is built on them
            // now must not outlive them.
            env.disk.sync_dir(root)?;
        }
        let store = Self::recover(env, root, options, &superblock, file_lock, report, adopted)?;
        if let Some(disk) = guard {
            poison_when_lost(&disk, &store.inner.shards);
        }
        if store.inner.options.background && !store.inner.read_only {
            let mut workers = store.inner.workers.lock();
            for shard in &store.inner.shards {
                workers.push(Worker::start(shard, store.inner.options.batch_threads)?);
            }
        }
        Ok(store)
    }

    fn recover(
        env: Env,
        root: &Path,
        options: Options,
        superblock: &Superblock,
        file_lock: Option<Box<dyn FileLock>>,
        mut report: RecoveryReport,
        adopted: bool,
    ) -> Result<Self> {
        let id = StoreId(superblock.store);
        let shard_count = superblock.shard_count.get();
        let history = read_history(&env, root, id, shard_count as u8)?;
        let context = context(&env, root, &options, superblock, &history);
        // The new identity of a copy comes first of all writes.
        let opened = open_shards(&context, shard_count, || {
            if adopted { create::write_superblock(&env, root, superblock) } else { Ok(()) }
        })?;
        if file_lock.is_none() {
            report.warnings.push(
                "the lock file could not be used, for want of the right to write: that nobody wrote to the store while it was \
                 read was verified"
                    .to_owned(),
            );
        }
        report.clean = report.created || opened.iter().all(|shard| shard.clean);
        report.epoch = history.last();
        for shard in &opened {
            report.shards.push(shard.report.clone());
        }
        report.warnings.extend(env.disk.fallbacks());
        let kind = if history.epochs.is_empty() {
            EpochKind::Created
        } else if adopted {
            EpochKind::Restored
        } else if report.clean {
            EpochKind::Reopened
        } else {
            EpochKind::Recovered
        };
        let timer = Arc::new(Timer {
            base_ms: time_of(&context, opened.iter().map(|shard| shard.time_floor_ms)),
            opened: env.clock.monotonic(),
        });
        let shelves = opened.iter().map(|shard| shard.shelf.clone()).collect();
        let found = opened.iter().filter_map(|shard| shard.found.clone()).collect();
        let (catalogue, names, shards) = assemble(&env, &options, &context, opened, &timer);
        let mut inner = StoreInner {
            root: root.to_owned(),
            id,
            shard_count,
            shard_prefix_bits: superblock.shard_prefix_bits.get(),
            route_mask: match superblock.shard_prefix_bits.get() {
                0 if shard_count.is_power_of_two() => shard_count - 1,
                _ => u32::MAX,
            },
            torn_page_protection: context.torn_page_protection,
            durability: options.durability,
            read_only: options.read_only,
            hash_seed: context.hash_seed,
            batch_len_max: context.log.batch_len_max(),
            timer,
            shelves,
            shards,
            found,
            catalogue: Mutex::new(catalogue),
            names: RwLock::new(names),
            epoch: Mutex::new(EpochState { history, pending: Some(kind) }),
            recovery: report,
            workers: Mutex::new(Vec::new()),
            file_lock: Mutex::new(file_lock),
            closed: AtomicBool::new(false),
            closed_well: Mutex::new(false),
            options,
            env,
        };
        let created = inner.recovery.created;
        for shard in &inner.shards {
            inner.recovery.warnings.extend(settle_log(shard, created)?);
        }
        let completed = inner.complete_ddl()?;
        if !completed.is_empty() {
            inner.refresh_readers();
            for shard in completed {
                inner.recovery.shards[shard as usize].ddl_completed += 1;
            }
        }
        Ok(Self { inner: Arc::new(inner) })
    }
}

/// Brings the log of an opened shard below its limit, and makes sure of a segment for the next opening before anything is written: this
/// process may be killed on a full disk as well. Says what was not possible for want of room.
fn settle_log(shard: &Shard, created: bool) -> Result<Vec<String>> {
    let number = shard.number;
    let mut warnings = Vec::new();
    match shard.trim_log() {
        Err(error) if error.is_out_of_resources() => warnings.push(format!(
            "the log of shard {number} is at its limit and could not be shortened: {error}"
        )),
        result => result?,
    }
    let ident = shard.log.ident();
    let held = slotcask_io::held_bytes(&*shard.env.disk, &ident.dir.join(MERGE_RESERVE))?;
    // What is held for merges serves as well. The first segments of a new store can wait for its first write.
    if created || shard.log.has_spare() || held >= shard.log.config().segment_size {
        return Ok(warnings);
    }
    match shard.keep_opening_spare(&mut shard.upkeep.lock()) {
        Err(error) if !error.is_out_of_resources() => return Err(error),
        _ if shard.log.has_spare() => {}
        _ => warnings.push(format!(
            "shard {number} has no room for the log segment that the next opening needs if this process is killed"
        )),
    }
    Ok(warnings)
}

/// Refuses a copied directory, or gives `superblock` an identity of its own, to be written when the rest of the store is found
/// to be whole. Returns whether it did.
fn adopt(env: &Env, root: &Path, options: &Options, superblock: &mut Superblock) -> Result<bool> {
    let Some(identity) = create::lock_identity(env, root)? else {
        return Err(Error::LockMissing { path: root.to_owned() });
    };
    if superblock.lock_identity.get() == identity {
        return Ok(false);
    }
    if !options.may_adopt() {
        return Err(Error::CopiedDirectory { path: root.to_owned() });
    }
    env.entropy.fill(&mut superblock.node);
    superblock.lock_identity = identity.into();
    superblock.seal();
    Ok(true)
}

pub(crate) fn context(
    env: &Env,
    root: &Path,
    options: &Options,
    superblock: &Superblock,
    history: &History,
) -> ShardContext {
    let secret: [u8; 8] = std::array::from_fn(|at| superblock.secret[at]);
    ShardContext {
        env: env.clone(),
        root: root.to_owned(),
        store: StoreId(superblock.store),
        log: LogConfig::new(superblock.segment_size.get(), superblock.segment_count.get()),
        history: history.clone(),
        hash_seed: u64::from_le_bytes(secret),
        torn_page_protection: superblock.features_required.get() & FEATURE_TORN_PAGE_PROTECTION
            != 0,
        huge_pages: options.huge_pages,
        checkpoint_batch: options.checkpoint_batch,
        map_data: options.map_data,
        value_cache: options.value_cache / u64::from(superblock.shard_count.get().max(1)),
        read_only: options.read_only,
        small: superblock.segment_size.get() < 1 << 20,
        budgets: Budgets::default(),
    }
}

/// Opens all shards, side by side where threads may be used. All are read before the first is written to: a store that is refused
/// stays as it is. `taken` is called between, when it is clear that the store is not refused.
fn open_shards(
    context: &ShardContext,
    count: u32,
    taken: impl FnOnce() -> Result<()>,
) -> Result<Vec<OpenedShard>> {
    let numbers: Vec<u8> = (0..count as u8).collect();
    let mut read = on_each(context, numbers, read_shard)?;
    taken()?;
    if context.read_only {
        complete_ddl_in_memory(context, &mut read)?;
    }
    let now_ms = time_of(context, read.iter().map(|shard| shard.time_floor_ms));
    on_each(context, read, |context, shard| start_shard(context, shard, now_ms))
}

/// Time goes on from the latest that any shard has seen.
fn time_of(context: &ShardContext, floors: impl Iterator<Item = u64>) -> u64 {
    floors.fold(context.env.clock.wall_ms(), u64::max)
}

fn on_each<T: Send, U: Send>(
    context: &ShardContext,
    shards: Vec<T>,
    open: impl Fn(&ShardContext, T) -> Result<U> + Sync,
) -> Result<Vec<U>> {
    if shards.len() == 1 || context.small {
        return shards.into_iter().map(|shard| open(context, shard)).collect();
    }
    let open = &open;
    std::thread::scope(|scope| {
        let threads: Vec<_> =
            shards.into_iter().map(|shard| scope.spawn(move || open(context, shard))).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}

fn assemble(
    env: &Env,
    options: &Options,
    context: &ShardContext,
    opened: Vec<OpenedShard>,
    timer: &Arc<Timer>,
) -> (Catalogue, Names, Vec<Arc<Shard>>) {
    let (mut catalogue, mut names) = (Catalogue::default(), Names::default());
    for shard in &opened {
        catalogue.table_last = catalogue.table_last.max(shard.table_last);
        let ddl = shard.ddl.as_ref().map_or(0, |ddl| ddl.number);
        catalogue.ddl_last = catalogue.ddl_last.max(ddl);
    }
    // A change that not all shards have is completed before the store serves; the shards that have it decide.
    let newest = opened.iter().max_by_key(|shard| shard.ddl.as_ref().map_or(0, |ddl| ddl.number));
    for (id, schema) in newest.map(|shard| shard.schemas.clone()).unwrap_or_default() {
        if schema.kind == TableKind::Cask {
            let keydirs = opened.iter().map(|shard| shard.keydirs.get(&id).cloned()).collect();
            let name = schema.name.clone();
            names.casks.insert(name, Arc::new(CaskShared::new(id, schema, keydirs)));
            continue;
        }
        let readers = opened.iter().map(|shard| shard.readers.get(&id).cloned()).collect();
        let orders = opened.iter().map(|shard| shard.orders.get(&id).cloned()).collect();
        let budget = context.budgets.of(id, &schema);
        let name = schema.name.clone();
        let shared = TableShared::new(id, schema, budget, readers, orders);
        names.tables.insert(name, Arc::new(shared));
    }
    let scrub_rate = options.scrub_rate.div_ceil(opened.len().max(1) as u64);
    let shards = opened
        .into_iter()
        .enumerate()
        .filter_map(|(number, shard)| {
            let log = shard.log?;
            let (clock, time) = (env.clone(), timer.clone());
            log.set_time(move || time.now_ms(&clock));
            let status = log.status();
            let found_bytes = status.used_bytes.saturating_sub(status.position);
            Some(Arc::new(Shard {
                number: number as u8,
                env: env.clone(),
                log,
                options: ShardOptions {
                    flush_interval: options.flush_interval,
                    background: options.background,
                    merge_rate: options.merge_rate,
                    map_data: options.map_data,
                    scrub_rate,
                },
                upkeep: Mutex::new(Upkeep { found_bytes, ..Upkeep::default() }),
                figures: Mutex::default(),
                removals: Mutex::default(),
                pause_owed_us: AtomicU64::new(0),
                pause_late: AtomicBool::new(false),
                bell: Arc::default(),
                flush_asked: AtomicBool::new(false),
                served_us: AtomicU64::new(0),
                expire_more: AtomicBool::new(false),
                closed: AtomicBool::new(false),
                stopping: AtomicBool::new(false),
                shelf: shard.shelf,
                timer: timer.clone(),
                hash_seed: context.hash_seed,
                history: Mutex::new(context.history.clone()),
            }))
        })
        .collect();
    (catalogue, names, shards)
}

impl Options {
    fn may_create(&self) -> bool {
        self.create && !self.read_only
    }

    fn may_adopt(&self) -> bool {
        self.adopt_copy && !self.read_only
    }

    /// Refuses an existing store that was created with other values than the ones asked for.
    fn compare(&self, superblock: &Superblock) -> Result<()> {
        let mismatch = |option, asked: u64, has: u64| {
            let reason = format!(
                "the store was created with {has}, not {asked}; leave the option out to open it as it is"
            );
            Err(Error::Options { option, reason })
        };
        let shards = superblock.shard_count.get();
        if let Some(asked) = self.shards.filter(|asked| *asked != shards) {
            return mismatch("shards", u64::from(asked), u64::from(shards));
        }
        let bits = superblock.shard_prefix_bits.get();
        if let Some(asked) = self.shard_prefix_bits.filter(|asked| *asked != bits) {
            return mismatch("shard_prefix_bits", u64::from(asked), u64::from(bits));
        }
        let protected = superblock.features_required.get() & FEATURE_TORN_PAGE_PROTECTION != 0;
        if let Some(asked) = self.torn_page_protection.filter(|asked| *asked != protected) {
            return mismatch("torn_page_protection", u64::from(asked), u64::from(protected));
        }
        let (segment, count) = (superblock.segment_size.get(), superblock.segment_count.get());
        if let Some(asked) = self.segment_size.filter(|asked| *asked != segment) {
            return mismatch("segment_size", asked, segment);
        }
        let count_of = |log_size: u64| log_size / u64::from(shards) / segment;
        if let Some(asked) = self.log_size.filter(|asked| count_of(*asked) != u64::from(count)) {
            return mismatch("log_size", asked, segment * u64::from(count) * u64::from(shards));
        }
        Ok(())
    }
}
