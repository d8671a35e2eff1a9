//! The lock of a store's directory: one process at a time has the store open for writing, or several have it open for reading or read its files
//! with the tools.

use crate::error::{Error, Result};
use crate::shard::Shard;
use crate::store::{look_before_lock, undisturbed};
use slotcask_format::file_name::LOCK;
use slotcask_io::{Env, FileLock, GuardedDisk, IoErrorKind, LockedName};
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// Time between two attempts.
const ATTEMPT_EVERY: Duration = Duration::from_millis(10);

/// Locks the directory `root`. While somebody else has it, tries again for `timeout`: the lock of a killed process is held
/// until the kernel has done the last of its writes.
pub(crate) fn lock(env: &Env, root: &Path, timeout: Duration) -> Result<Box<dyn FileLock>> {
    attempts(env, root, timeout, |path| env.disk.lock(path))
}

fn attempts(
    env: &Env,
    root: &Path,
    timeout: Duration,
    lock: impl Fn(&Path) -> slotcask_io::Result<Box<dyn FileLock>>,
) -> Result<Box<dyn FileLock>> {
    let path = root.join(LOCK);
    let started = env.clock.monotonic();
    loop {
        match lock(&path) {
            Ok(lock) => return Ok(lock),
            Err(error) if error.kind == IoErrorKind::Locked => {}
            Err(error) => return Err(Error::Io(error)),
        }
        let now = env.clock.monotonic();
        let left = timeout.saturating_sub(now.saturating_sub(started));
        let pause = left.min(ATTEMPT_EVERY);
        std::thread::sleep(pause);
        // Where sleeping takes no time somebody sets the clock, and nobody gives the lock back meanwhile.
        if left.is_zero() || env.clock.monotonic().saturating_sub(now) < pause / 2 {
            return Err(Error::Locked { path: root.to_owned() });
        }
    }
}

/// As [`lock`], for somebody who writes nothing, and together with others of that kind: None where there is no lock file, or it cannot be used because nothing may be
/// written there.
pub(crate) fn lock_to_read(
    env: &Env,
    root: &Path,
    timeout: Duration,
) -> Result<Option<Box<dyn FileLock>>> {
    use IoErrorKind::{NotFound, PermissionDenied, ReadOnly};
    match attempts(env, root, timeout, |path| env.disk.lock_shared(path)) {
        Ok(lock) => Ok(Some(lock)),
        Err(Error::Io(error)) if matches!(error.kind, NotFound | ReadOnly | PermissionDenied) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Does `read` while the store is kept closed, or where it cannot be, while nobody writes to it: files that change while they are
/// read look damaged.
///
/// # Errors
/// [`Error::Locked`], at once, when the store is open for writing, or is written to meanwhile.
pub(crate) fn kept_closed<T>(
    env: &Env,
    root: &Path,
    read: impl FnOnce() -> Result<T>,
) -> Result<T> {
    match keep_closed(env, root)? {
        Some(_lock) => read(),
        None => undisturbed(env, root, read),
    }
}

/// As [`lock_to_read`], at once, for a tool.
///
/// # Errors
/// Where there is no store; [`Error::Locked`].
pub(crate) fn keep_closed(env: &Env, root: &Path) -> Result<Option<Box<dyn FileLock>>> {
    match look_before_lock(env, root)? {
        Some(found) => found.store(root).map(|_| None),
        None => lock_to_read(env, root, Duration::ZERO),
    }
}

/// A lock that several hold together.
#[derive(Debug, Clone)]
pub(crate) struct SharedLock(Arc<dyn FileLock>);

impl SharedLock {
    pub(crate) fn new(lock: Box<dyn FileLock>) -> Self {
        Self(Arc::from(lock))
    }
}

impl FileLock for SharedLock {
    fn name(&self) -> Arc<dyn LockedName> {
        self.0.name()
    }
}

/// The world in which names lead to the directory that is locked, or nowhere; and its disk.
pub(crate) fn guarded(env: Env, lock: &dyn FileLock) -> (Env, Arc<GuardedDisk>) {
    let disk = Arc::new(GuardedDisk::new(Arc::clone(&env.disk), lock));
    (Env { disk: disk.clone(), ..env }, disk)
}

/// Has all shards of an open store stop writing when its directory is lost, each by its log: open files are its own, but the
/// next segment would be somebody else's.
pub(crate) fn poison_when_lost(disk: &GuardedDisk, shards: &[Arc<Shard>]) {
    // Weak: shards hold the disk. Not the store: whoever dropped its last handle here would close it in the middle of a call.
    let shards: Vec<Weak<Shard>> = shards.iter().map(Arc::downgrade).collect();
    disk.when_lost(move |error| {
        for shard in shards.iter().filter_map(Weak::upgrade) {
            if shard.log.poison_cause().is_none() {
                shard.log.poison(error.to_string());
            }
        }
    });
}
