//! The log of a shard and the state that its lock protects.

use crate::commit::{Commit, WaitError};
use crate::config::{LogConfig, LogIdent};
use crate::error::{Cause, LogError, Result};
use crate::files::Files;
use crate::gather::{Flight, Gather, Place};
use crate::guard::Guard;
use crate::segments::{Maintenance, Prepared};
use parking_lot::{Mutex, MutexGuard};
use slotcask_format::checksum::Seed;
use slotcask_format::manifest::ManifestState;
use slotcask_io::{AlignedBuf, Env};
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Waker;
use std::time::Duration;

/// Looks at a shard lock that is held, before the thread sleeps: some microseconds.
const LOCK_SPINS: u32 = 100;

/// Has the shard's thread look for work.
type Kick = Box<dyn Fn() + Send + Sync>;

/// Says what time it is, milliseconds since 1970.
type Time = Box<dyn Fn() -> u64 + Send + Sync>;

/// The log of one shard with the shard lock and the state `S` behind it. All methods may be called from any thread.
pub struct ShardLog<S> {
    pub(crate) env: Env,
    pub(crate) ident: LogIdent,
    pub(crate) config: LogConfig,
    pub(crate) record_seed: Seed,
    pub(crate) locked: Mutex<Locked<S>>,
    pub(crate) commit: Commit,
    pub(crate) chain: Mutex<Chain>,
    pub(crate) written: Mutex<Written>,
    pub(crate) maintenance: Mutex<Maintenance>,
    /// Highest manifest record known to be durable: what flush headers carry.
    pub(crate) manifest_sequence: AtomicU64,
    /// Share of the log's capacity that is in use, in thousandths.
    pub(crate) fill: AtomicU32,
    /// How far something else than the log is behind its writers, in thousandths of what it may be.
    pub(crate) behind: AtomicU32,
    /// Set once for each flush's worth of log that is placed while the log is rather full, or something else behind.
    pub(crate) pace_due: AtomicBool,
    /// `pace_due` was set for another flush's worth of log, not for what is owed for one before.
    pub(crate) pace_anew: AtomicBool,
    pub(crate) kick: OnceLock<Kick>,
    pub(crate) time: OnceLock<Time>,
    pub(crate) files: Arc<Files>,
}

/// What the shard lock protects.
pub(crate) struct Locked<S> {
    pub state: S,
    pub writer: Writer,
}

/// The end of the log where records are appended.
pub(crate) struct Writer {
    pub next_sequence: u64,
    pub epoch: u32,
    pub gather: Option<Gather>,
    pub queue: VecDeque<Gather>,
    pub queued_bytes: usize,
    /// The flush that is being written; after a failure it stays.
    pub in_flight: Option<Arc<Flight>>,
    /// Where the next flush goes.
    pub place: Place,
    pub prepared: VecDeque<Prepared>,
    /// Segments that hold flushes, oldest first, with the first sequence of each.
    pub placed: VecDeque<(u64, u64)>,
    /// Where the last flush of each of them ends, except the one that is being written to.
    pub ends: BTreeMap<u64, u64>,
    pub buffers: Vec<AlignedBuf>,
    /// Bytes of log ever placed; position of checkpoints.
    pub position: u64,
    /// Last sequence that some flush in the log, or in its queue, was followed by another flush for.
    pub proven: u64,
    pub kicked: bool,
}

/// What the next flush header needs of the one before. Held only by the flush role.
#[derive(Debug)]
pub(crate) struct Chain {
    pub previous: u64,
    pub time_floor_ms: u64,
}

/// What was flushed since the opening.
#[derive(Debug, Default)]
pub(crate) struct Written {
    pub flushes: u64,
    pub bytes: u64,
    /// By segment, where its last flush ends, and the checksum of that one's header.
    pub lasts: BTreeMap<u64, (u64, u64)>,
}

/// A segment that a checkpoint takes out of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeavingSegment {
    /// Its generation.
    pub generation: u64,
    /// Offset where its last flush ends.
    pub end: u64,
    /// Checksum of the header of that flush; none when it was written before the opening.
    pub checksum: Option<u64>,
}

/// Where a log stands.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct LogStatus {
    /// Last sequence appended.
    pub last_sequence: u64,
    /// Highest durable sequence.
    pub durable_sequence: u64,
    /// Newest epoch.
    pub epoch: u32,
    /// Generation of the segment that the next flush goes to.
    pub segment: u64,
    /// Bytes of log in use: what recovery would read.
    pub used_bytes: u64,
    /// Bytes that may be in use before writers stop.
    pub capacity_bytes: u64,
    /// Segment files on disk, spares included.
    pub segment_files: u64,
    /// Bytes of log ever placed.
    pub position: u64,
    /// Flushes since the opening.
    pub flushes: u64,
    /// Bytes flushed since the opening.
    pub flushed_bytes: u64,
    /// Number of the newest checkpoint.
    pub checkpoint: u64,
    /// Why the shard is poisoned, if it is.
    pub poisoned: Option<Cause>,
    /// Why no segment could be made, if none could.
    pub refused: Option<LogError>,
}

impl<S> ShardLog<S> {
    /// Takes the shard lock.
    #[inline]
    pub fn lock(&self) -> Guard<'_, S> {
        let locked = self.locked.try_lock().unwrap_or_else(|| self.lock_patiently());
        Guard { log: self, locked }
    }

    /// Most holdings are shorter than what it costs to sleep and be woken.
    #[cold]
    fn lock_patiently(&self) -> MutexGuard<'_, Locked<S>> {
        for _ in 0..LOCK_SPINS {
            std::hint::spin_loop();
            if !self.locked.is_locked()
                && let Some(locked) = self.locked.try_lock()
            {
                return locked;
            }
        }
        self.locked.lock()
    }

    /// Whose log it is.
    #[must_use]
    pub fn ident(&self) -> &LogIdent {
        &self.ident
    }

    /// Its sizes.
    #[must_use]
    pub fn config(&self) -> &LogConfig {
        &self.config
    }

    /// Highest durable sequence.
    #[inline]
    #[must_use]
    pub fn durable(&self) -> u64 {
        self.commit.durable()
    }

    /// The failure that poisoned the shard, if one did.
    #[must_use]
    pub fn poison_cause(&self) -> Option<Cause> {
        self.commit.poison_cause()
    }

    /// Fails the shard: writers get `cause` from now on, tickets beyond the durable cursor too.
    pub fn poison(&self, cause: impl Into<Cause>) {
        let cause = cause.into();
        if !slotcask_format::mutants::active("poison_forgets") {
            self.commit.poison(&cause);
            // Last: what listens to it may panic.
            tracing::error!(shard = self.ident.shard, %cause, "shard poisoned: reopen the store after mending the cause");
        }
    }

    /// Waits until `sequence` is durable, flushing if nobody else does. `deadline` is in the time of the environment's clock.
    ///
    /// # Errors
    /// [`LogError::Poisoned`] when the log failed before, [`LogError::TimedOut`] when time ran out.
    pub fn wait_durable(&self, sequence: u64, deadline: Option<Duration>) -> Result<()> {
        let now = || self.env.clock.monotonic();
        self.commit.wait(sequence, deadline, now, || self.flush_once()).map_err(|error| match error
        {
            WaitError::Poisoned(cause) => LogError::Poisoned { cause },
            WaitError::TimedOut => LogError::TimedOut,
        })
    }

    /// Has `waker` called when `sequence` is durable or the log fails; false when either is so already.
    #[must_use]
    pub fn register(&self, sequence: u64, waker: &Waker) -> bool {
        let pending = self.commit.register(sequence, waker);
        if pending {
            self.kick();
        }
        pending
    }

    /// Makes everything durable that is appended now.
    ///
    /// # Errors
    /// [`LogError::Poisoned`].
    pub fn sync(&self) -> Result<()> {
        let last = self.lock().last_sequence();
        self.wait_durable(last, None)
    }

    /// Sets what has the shard's thread look for work. Once.
    pub fn set_kick(&self, kick: impl Fn() + Send + Sync + 'static) {
        let _ = self.kick.set(Box::new(kick));
    }

    /// Sets the time by which values vanish, milliseconds since 1970: flushes and checkpoints record how far it has come. Once;
    /// until then it is the wall clock, which may jump.
    pub fn set_time(&self, now_ms: impl Fn() -> u64 + Send + Sync + 'static) {
        let _ = self.time.set(Box::new(now_ms));
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.time.get().map_or_else(|| self.env.clock.wall_ms(), |now_ms| now_ms())
    }

    /// Has the shard's thread look for work.
    pub fn kick(&self) {
        if let Some(kick) = self.kick.get() {
            kick();
        }
    }

    /// Share of the log's capacity that is in use, in thousandths.
    #[inline]
    #[must_use]
    pub fn fill_permille(&self) -> u32 {
        self.fill.load(Ordering::Relaxed)
    }

    /// How far something else than the log is behind, as it was told last, in thousandths.
    #[inline]
    #[must_use]
    pub fn behind_permille(&self) -> u32 {
        self.behind.load(Ordering::Relaxed)
    }

    /// Says how far something else than the log is behind its writers. While it is, [`ShardLog::take_pace`] has them slow down
    /// as in a log that is rather full.
    pub fn set_behind(&self, permille: u32) {
        self.behind.store(permille, Ordering::Relaxed);
    }

    /// The files that records can be read from.
    #[must_use]
    pub fn files(&self) -> &Arc<Files> {
        &self.files
    }

    /// Appends to `out` up to `len` bytes that stand at `offset` of a segment, from the flushes that are not on disk yet.
    /// False when they are on disk, or not there.
    pub fn read_unflushed(
        &self,
        generation: u64,
        offset: u64,
        len: usize,
        out: &mut Vec<u8>,
    ) -> bool {
        if self.files.is_flushed(generation, offset) {
            return false;
        }
        let flight = {
            let locked = self.locked.lock();
            let writer = &locked.writer;
            let waiting = writer.queue.iter().chain(&writer.gather);
            for gather in waiting {
                if let Some(bytes) = gather.bytes_at(generation, offset, len) {
                    out.extend_from_slice(bytes);
                    return true;
                }
            }
            writer.in_flight.clone()
        };
        flight.is_some_and(|flight| flight.copy_at(generation, offset, len, out))
    }

    /// True once for each flush's worth of log that was placed while more than 85 % of what writers may fill was full, or something else
    /// was behind: the writer that gets it slows down.
    #[inline]
    pub fn take_pace(&self) -> bool {
        self.pace_due.load(Ordering::Relaxed) && self.pace_due.swap(false, Ordering::Relaxed)
    }

    /// True when a flush's worth of log was placed since the last call while that was so.
    pub fn take_pace_anew(&self) -> bool {
        self.pace_anew.swap(false, Ordering::Relaxed)
    }

    /// Has the next writer get true from [`ShardLog::take_pace`].
    pub fn owe_pace(&self) {
        self.pace_due.store(true, Ordering::Relaxed);
    }

    /// Generation of the segment that the next flush goes to.
    #[must_use]
    pub fn segment(&self) -> u64 {
        self.locked.lock().writer.place.generation
    }

    /// Where the log stands.
    #[must_use]
    pub fn status(&self) -> LogStatus {
        let (checkpoint, segment_files, refused) = {
            let maintenance = self.maintenance.lock();
            (maintenance.state.checkpoint, maintenance.files(), maintenance.refused.clone())
        };
        let (flushes, flushed_bytes) = {
            let written = self.written.lock();
            (written.flushes, written.bytes)
        };
        let guard = self.locked.lock();
        LogStatus {
            last_sequence: guard.writer.next_sequence - 1,
            durable_sequence: self.durable(),
            epoch: guard.writer.epoch,
            segment: guard.writer.place.generation,
            used_bytes: guard.writer.used_bytes(self.config.segment_size),
            capacity_bytes: self.config.capacity(),
            segment_files,
            position: guard.writer.position,
            flushes,
            flushed_bytes,
            checkpoint,
            poisoned: self.poison_cause(),
            refused,
        }
    }

    /// A copy of the manifest's state.
    #[must_use]
    pub fn manifest_state(&self) -> ManifestState {
        self.maintenance.lock().state.clone()
    }
}

impl Writer {
    /// Bytes of the log from its oldest segment to the place of the next flush.
    pub(crate) fn used_bytes(&self, segment_size: u64) -> u64 {
        let full = self.placed.len().saturating_sub(1) as u64 * segment_size;
        full + self.place.offset
    }
}

impl<S> fmt::Debug for ShardLog<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShardLog").field("ident", &self.ident).finish_non_exhaustive()
    }
}
