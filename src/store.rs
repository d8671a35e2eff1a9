//! A store: shards, catalogue, history of epochs.

mod catalogue;
mod complete;
mod create;
mod epoch;
mod lock;
mod open;
mod recover;
mod witness;

pub(crate) use catalogue::TableShared;
pub(crate) use create::{Found, look, look_before_lock, write_superblock};
pub(crate) use epoch::read_history;
pub(crate) use lock::{SharedLock, keep_closed, kept_closed, lock};
pub(crate) use open::context as open_context;
pub(crate) use recover::{Redo, ShardContext, index_hash, is_on_shard};
pub(crate) use witness::{ManifestWitness, undisturbed};

use crate::cask::Shelf;
use crate::error::{Error, Result};
use crate::options::{Durability, Options, TableOptions, WriteOptions};
use crate::report::RecoveryReport;
use crate::shard::{ScrubReport, Shard, Timer, Worker};
use crate::stats::{ShardStats, Stats, TableInfo};
use crate::table::Table;
use catalogue::{Catalogue, Names};
use epoch::EpochState;
use parking_lot::{Mutex, RwLock};
use slotcask_format::StoreId;
use slotcask_io::{Env, FileLock};
use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// An open store. Cheap to clone; the last handle closes it when it is dropped. Tables, maps, batches and iterators hold one too;
/// tickets do not: closing flushes, so that a ticket of a closed store has its answer.
///
/// All methods may be called from any thread.
#[derive(Debug, Clone)]
pub struct Store {
    pub(crate) inner: Arc<StoreInner>,
}

#[derive(Debug)]
pub(crate) struct StoreInner {
    pub env: Env,
    pub root: PathBuf,
    pub id: StoreId,
    pub shard_count: u32,
    pub shard_prefix_bits: u32,
    /// Bits of the hash of a whole key that are its shard; all ones when that is no power of two, or a prefix is hashed.
    pub route_mask: u32,
    pub torn_page_protection: bool,
    pub durability: Durability,
    pub read_only: bool,
    /// Seed of the in-memory hashes: secret, so that nobody can choose keys that collide.
    pub hash_seed: u64,
    /// Most bytes of one record, or of one batch.
    pub batch_len_max: usize,
    pub timer: Arc<Timer>,
    /// Where the records of cask tables are read, by shard.
    pub shelves: Vec<Arc<Shelf>>,
    /// None of them in a store that is open for reading only.
    pub shards: Vec<Arc<Shard>>,
    /// What was found of each shard, in a store that is open for reading only.
    pub found: Vec<ShardStats>,
    /// Held over a change of the catalogue.
    pub catalogue: Mutex<Catalogue>,
    /// Held for moments, and while no other lock is taken.
    pub names: RwLock<Names>,
    pub epoch: Mutex<EpochState>,
    pub recovery: RecoveryReport,
    pub workers: Mutex<Vec<Worker>>,
    pub file_lock: Mutex<Option<Box<dyn FileLock>>>,
    pub closed: AtomicBool,
    /// Held while the store is being closed: whether that succeeded.
    pub closed_well: Mutex<bool>,
    pub options: Options,
}

thread_local! {
    /// Set while this thread runs the closure of an `update`, which holds a shard lock.
    static IN_UPDATE: Cell<bool> = const { Cell::new(false) };
}

/// Refuses, inside an `update` closure, what takes the shard lock that the closure runs under, or waits for who does.
#[inline]
pub(crate) fn refuse_in_update() -> Result<()> {
    if IN_UPDATE.with(Cell::get) { Err(Error::Reentered) } else { Ok(()) }
}

/// Marks this thread as running an `update` closure until it is dropped, panics included.
pub(crate) struct UpdateMark;

impl UpdateMark {
    pub(crate) fn set() -> Self {
        IN_UPDATE.with(|mark| mark.set(true));
        Self
    }
}

impl Drop for UpdateMark {
    fn drop(&mut self) {
        IN_UPDATE.with(|mark| mark.set(false));
    }
}

impl Store {
    /// Opens the store in the directory `path` with the default [`Options`], or creates it.
    ///
    /// # Errors
    /// [`Error`]; see [`Options::open`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Options::new().open(path)
    }

    /// What the opening found and did.
    #[must_use]
    pub fn recovery(&self) -> &RecoveryReport {
        &self.inner.recovery
    }

    /// Id of the store, given at creation.
    #[must_use]
    pub fn id(&self) -> StoreId {
        self.inner.id
    }

    /// Directory of the store.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.inner.root
    }

    /// Number of shards.
    #[must_use]
    pub fn shard_count(&self) -> u32 {
        self.inner.shard_count
    }

    /// Shard of a key in a hashed table.
    #[must_use]
    pub fn shard_of(&self, key: &[u8]) -> u32 {
        self.inner.route(key)
    }

    /// Creates a table. Durable when this returns.
    ///
    /// # Errors
    /// [`Error::TableExists`], [`Error::Schema`], [`Error::ReadOnly`], or what the disk says.
    pub fn create_table(&self, name: &str, options: TableOptions) -> Result<Table> {
        self.inner.check_writable("create a table")?;
        let schema = options.schema(name, self.inner.shard_count)?;
        let created = self.inner.create_table(schema);
        let shared = created.map_err(|error| error.refusing("a new table"))?;
        Ok(Table::new(self.inner.clone(), shared))
    }

    /// Opens a table. Does not wait for a change of the catalogue that is under way: a table that is being created is not there yet, one that is being
    /// dropped may be.
    ///
    /// # Errors
    /// [`Error::NoSuchTable`], [`Error::Closed`], [`Error::Reentered`].
    pub fn open_table(&self, name: &str) -> Result<Table> {
        refuse_in_update()?;
        self.inner.check_open()?;
        let names = self.inner.names.read();
        match names.tables.get(name).cloned() {
            Some(shared) => Ok(Table::new(self.inner.clone(), shared)),
            None if names.casks.contains_key(name) => {
                Err(Error::TableKind { table: name.to_owned(), expected: "fixed", found: "cask" })
            }
            None => Err(Error::NoSuchTable { table: name.to_owned() }),
        }
    }

    /// All tables, by name. Does not wait for a change of the catalogue that is under way, as [`Store::open_table`].
    ///
    /// # Errors
    /// [`Error::Closed`], [`Error::Reentered`].
    pub fn tables(&self) -> Result<Vec<TableInfo>> {
        refuse_in_update()?;
        self.inner.check_open()?;
        Ok(self.inner.table_infos())
    }

    /// Drops a table and gives its space back. Durable when this returns; handles to it answer [`Error::TableDropped`].
    ///
    /// # Errors
    /// [`Error::NoSuchTable`], [`Error::ReadOnly`], or what the disk says. A failure after a shard has logged the drop is completed by the
    /// next opening; until then the table is gone already.
    pub fn drop_table(&self, name: &str) -> Result<()> {
        self.inner.check_writable("drop a table")?;
        self.inner.drop_table(name).map_err(|error| error.refusing("to drop a table"))
    }

    /// Removes all keys of a table. Durable when this returns. Takes time in proportion to the table, during which its
    /// shards accept no writes. Slot files do not shrink.
    ///
    /// # Errors
    /// [`Error::NoSuchTable`], [`Error::ReadOnly`], or what the disk says. A failure after a shard has logged it is completed by the
    /// next opening; until then every call of the table answers [`Error::CatalogueInterrupted`], so that nothing is written that would go as well.
    pub fn clear_table(&self, name: &str) -> Result<()> {
        self.inner.check_writable("clear a table")?;
        self.inner.clear_table(name).map_err(|error| error.refusing("to clear a table"))
    }

    /// Makes everything durable that was written before the call.
    ///
    /// # Errors
    /// [`Error::Poisoned`] when a shard failed; [`Error::Closed`], [`Error::Reentered`].
    pub fn sync(&self) -> Result<()> {
        refuse_in_update()?;
        self.inner.check_open()?;
        // All of them, whatever one says.
        let mut first = Ok(());
        for shard in &self.inner.shards {
            let synced = shard.log.sync().map_err(|error| Error::of_log(error, shard.id()));
            first = first.and(synced);
        }
        first
    }

    /// Writes all changed slots to their files, so that the next opening has little to redo. Done by the store itself as the
    /// log fills.
    ///
    /// # Errors
    /// [`Error::Poisoned`] when a shard failed.
    pub fn checkpoint(&self) -> Result<()> {
        self.inner.check_writable("checkpoint")?;
        for shard in &self.inner.shards {
            let mut upkeep = shard.upkeep.lock();
            shard.check_open()?;
            shard
                .checkpoint(&mut upkeep, &mut || shard.between())
                .map_err(|error| error.refusing("a checkpoint"))?;
        }
        Ok(())
    }

    /// Merges all data files of cask tables that hold anything dead, now. Done by the store itself as they fill with it.
    ///
    /// # Errors
    /// The first failure, when all shards were tried. [`Error::DiskFull`] when there is no room for the copies and the space that is held for merges on a full disk won
    /// nothing either; files that were merged before stay so. Where that space did win something the answer is `Ok`, and [`crate::ShardStats::cask_dead_bytes`] says what is left. [`Error::Corrupt`] and [`Error::Io`] name a data
    /// file that could not be read; the others of its shard are merged by then. [`Error::Poisoned`].
    pub fn merge(&self) -> Result<bool> {
        self.inner.check_writable("merge")?;
        // All shards, whatever one says.
        let (mut done, mut first) = (false, Ok(()));
        for shard in &self.inner.shards {
            let mut upkeep = shard.upkeep.lock();
            shard.check_open()?;
            match shard.merge_all(&mut upkeep) {
                Ok(merged) => done |= merged,
                Err(error) => first = first.and(Err(error.refusing("a merge"))),
            }
        }
        first.map(|()| done)
    }

    /// Reads every page of every fixed table back from its file and compares it with what the last checkpoint wrote; pages that
    /// differ are written again from memory. Done slowly by the store's threads too, see [`Options::scrub_rate`]. Nothing in a store
    /// that is open for reading only.
    ///
    /// # Errors
    /// [`Error::Closed`], [`Error::Reentered`]; what says that a damaged page could not be written again.
    pub fn scrub(&self) -> Result<ScrubReport> {
        refuse_in_update()?;
        self.inner.check_open()?;
        let mut report = ScrubReport::default();
        for shard in &self.inner.shards {
            report.add(shard.scrub_all()?);
        }
        Ok(report)
    }

    /// Ends the active log segment of every shard: what is written next goes to a fresh one. A segment that holds nothing
    /// yet is left.
    ///
    /// # Errors
    /// [`Error::DiskFull`] when no segment can be made, [`Error::Poisoned`]; shards of lower numbers have gone on to the next
    /// segment by then.
    pub fn rotate(&self) -> Result<()> {
        self.inner.check_writable("rotate the log")?;
        let refused = |error: Error| error.refusing("a new log segment");
        self.inner.shards.iter().try_for_each(|shard| shard.rotate()).map_err(refused)
    }

    /// One round of the work that a store without threads (`background(false)`) leaves to its caller: flush, segments,
    /// checkpoints. Returns true when something was done.
    ///
    /// # Errors
    /// What failed.
    pub fn poll(&self) -> Result<bool> {
        refuse_in_update()?;
        self.inner.check_open()?;
        // All shards, whatever one says.
        let (mut done, mut first) = (false, Ok(()));
        for shard in &self.inner.shards {
            match shard.round(true) {
                Ok(did) => done |= did,
                Err(error) => first = first.and(Err(error)),
            }
        }
        first.map(|()| done)
    }

    /// Figures of shards and tables. Takes each shard's lock for a moment, and waits for a log segment that is being made and for a manifest that is being
    /// written; not for merges, checkpoints or changes of the catalogue.
    ///
    /// # Errors
    /// [`Error::Closed`], [`Error::Reentered`].
    pub fn stats(&self) -> Result<Stats> {
        refuse_in_update()?;
        self.inner.check_open()?;
        Ok(Stats::of(&self.inner))
    }

    /// Flushes, checkpoints, marks the store as cleanly closed and releases its lock. Every later call that can fail answers
    /// [`Error::Closed`], but for this one; tickets have their answers. Done by dropping the last handle too, where an error can only be logged. A second call waits for the first.
    ///
    /// # Errors
    /// The first failure; then the next opening recovers, and a second call answers [`Error::Closed`]. [`Error::Reentered`] inside a waker of a ticket; the last
    /// handle may be dropped there, and another thread closes the store then.
    pub fn close(&self) -> Result<()> {
        refuse_in_update()?;
        self.inner.close()
    }
}

impl StoreInner {
    pub(crate) fn check_open(&self) -> Result<()> {
        if self.closed.load(Ordering::Acquire) { Err(Error::Closed) } else { Ok(()) }
    }

    #[inline]
    pub(crate) fn check_writable(&self, what: &'static str) -> Result<()> {
        if self.closed.load(Ordering::Relaxed) {
            return Err(Error::Closed);
        }
        if self.read_only {
            return Err(Error::ReadOnly { what });
        }
        refuse_in_update()
    }

    /// Now, milliseconds since 1970: the time by which records vanish.
    #[inline]
    pub(crate) fn now_ms(&self) -> u64 {
        self.timer.now_ms(&self.env)
    }

    /// When a call with these options has to be over, in the time of the store's clock. A timeout may be without an end.
    #[inline]
    pub(crate) fn deadline(&self, options: &WriteOptions) -> Option<Duration> {
        options.timeout.map(|timeout| self.env.clock.monotonic().saturating_add(timeout))
    }

    /// Shard of a key in a hashed table.
    #[inline]
    pub(crate) fn route(&self, key: &[u8]) -> u32 {
        if self.route_mask != u32::MAX {
            return slotcask_format::checksum::route_hash(key) as u32 & self.route_mask;
        }
        self.route_slowly(key)
    }

    #[inline(never)]
    fn route_slowly(&self, key: &[u8]) -> u32 {
        let hash = slotcask_format::checksum::route_hash_prefix(key, self.shard_prefix_bits);
        if self.shard_count.is_power_of_two() {
            hash as u32 & (self.shard_count - 1)
        } else {
            (hash % u64::from(self.shard_count)) as u32
        }
    }

    fn close(&self) -> Result<()> {
        if slotcask_log::is_waking() {
            return Err(Error::Reentered);
        }
        self.close_now()
    }

    /// As [`Store::close`], wherever it is called.
    fn close_now(&self) -> Result<()> {
        // Who comes second waits, and hears whether all is well.
        let mut closed_well = self.closed_well.lock();
        if self.closed.swap(true, Ordering::AcqRel) {
            return if *closed_well { Ok(()) } else { Err(Error::Closed) };
        }
        stop_merges(&self.shards);
        // Changes of the catalogue and the beginning of an epoch that are under way come to their end first; writers that
        // looked at `closed` before it was set find it again under the shard lock.
        let _catalogue = self.catalogue.lock();
        {
            let _epoch = self.epoch.lock();
            refuse_writers(&self.shards);
        }
        let first = end(&self.shards, &mut self.workers.lock(), &mut self.file_lock.lock());
        *closed_well = first.is_ok();
        first
    }
}

/// What would keep a closing waiting.
fn stop_merges(shards: &[Arc<Shard>]) {
    for shard in shards {
        shard.stopping.store(true, Ordering::Relaxed);
    }
}

fn refuse_writers(shards: &[Arc<Shard>]) {
    for shard in shards {
        shard.lock().state().closed = true;
    }
}

/// Ends the threads and then the logs of a store to which nobody writes any more, and gives its directory free.
fn end(
    shards: &[Arc<Shard>],
    workers: &mut [Worker],
    file_lock: &mut Option<Box<dyn FileLock>>,
) -> Result<()> {
    for worker in workers {
        worker.stop();
    }
    let mut first = Ok(());
    for shard in shards {
        let result = shard.close();
        if first.is_ok() {
            first = result;
        }
    }
    *file_lock = None;
    first
}

fn say_unclean(result: Result<()>) {
    // A failure of an earlier call was answered there.
    if let Err(error) = result
        && !matches!(error, Error::Closed)
    {
        tracing::error!(%error, "a store could not be closed cleanly; the next opening recovers it");
    }
}

impl StoreInner {
    /// Has another thread close the store: this one is in the middle of a flush, for which a closing waits.
    fn close_elsewhere(&mut self) {
        if *self.closed.get_mut() {
            return;
        }
        if self.shards.is_empty() {
            // Open for reading only: there is nothing to wait for.
            say_unclean(self.close_now());
            return;
        }
        // It must not go with a closure that no thread took.
        let left = Arc::new(Mutex::new(Some(self.let_go())));
        let theirs = Arc::clone(&left);
        let thread = std::thread::Builder::new().name("slotcask-close".to_owned());
        let closing = thread.spawn(move || {
            let left = theirs.lock().take();
            if let Some(left) = left {
                left.close();
            }
        });
        if let Err(error) = closing
            && let Some(left) = left.lock().take()
        {
            left.abandon();
            // Last: what listens to it may panic as well.
            tracing::error!(%error, "a store could not be closed: its directory stays locked until this process ends");
        }
    }
}

impl StoreInner {
    /// What has to be ended, which dropping the store does not do any more.
    fn let_go(&mut self) -> Left {
        *self.closed.get_mut() = true;
        Left {
            shards: self.shards.clone(),
            workers: std::mem::take(self.workers.get_mut()),
            file_lock: self.file_lock.get_mut().take(),
        }
    }
}

/// A store without a handle that has still to be closed.
struct Left {
    shards: Vec<Arc<Shard>>,
    workers: Vec<Worker>,
    file_lock: Option<Box<dyn FileLock>>,
}

impl Left {
    fn close(mut self) {
        stop_merges(&self.shards);
        refuse_writers(&self.shards);
        say_unclean(end(&self.shards, &mut self.workers, &mut self.file_lock));
    }

    /// Ends the store where nobody can wait for its threads: they stop by themselves, nothing more is acknowledged, and as they may be in the middle
    /// of a write the directory is not given free.
    fn abandon(self) {
        // First: whatever may panic below, nobody else gets the directory.
        std::mem::forget(self.file_lock);
        stop_merges(&self.shards);
        for shard in &self.shards {
            let cause =
                "the store was dropped by a waker, and no thread could be started to close it";
            shard.log.poison(cause);
        }
        self.workers.into_iter().for_each(Worker::stop_alone);
    }
}

impl Drop for StoreInner {
    fn drop(&mut self) {
        match slotcask_log::is_waking() {
            true => self.close_elsewhere(),
            false => say_unclean(self.close()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use slotcask_io::sim::{SimOptions, env_of};
    use slotcask_io::{Clock, SimDisk};

    const ROOT: &str = "/store";

    fn options() -> Options {
        Options::new().shards(2).segment_size(16 << 10).log_size(128 << 10)
    }

    #[test]
    fn a_store_that_nobody_can_close_keeps_its_directory() {
        let disk = SimDisk::new(SimOptions::default());
        let mut store = options().background(true).open_in(env_of(1, &disk), ROOT).unwrap();
        let table = store.create_table("t", TableOptions::fixed(1, 1)).unwrap();
        table.put([1], [1]).unwrap();
        drop(table);
        let inner = Arc::get_mut(&mut store.inner).unwrap();
        let left = inner.let_go();
        let shards = left.shards.clone();
        left.abandon();
        assert!(shards.iter().all(|shard| shard.log.poison_cause().is_some()));
        drop(store);
        let again = options().open_in(env_of(2, &disk), ROOT);
        assert!(matches!(again, Err(Error::Locked { .. })), "{again:?}");
        // Its threads end, each with its handle.
        let clock = slotcask_io::SystemClock::new();
        while shards.iter().any(|shard| Arc::strong_count(shard) > 1) {
            assert!(clock.monotonic() < Duration::from_secs(60), "the threads go on");
            std::thread::yield_now();
        }
    }
}
