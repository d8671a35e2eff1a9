//! The simulated disk as a [`Disk`].

use super::event::OpKind;
use super::fault::{Fault, OpFilter};
use super::locks::Holders;
use super::names::{FileId, Names, Node, normal};
use super::state::{POWER_LOSS, SimOptions, State, Verdict, Watcher};
use crate::disk::{DirEntry, Disk, File, FileLock, LockedName, OpenMode, Stat};
use crate::error::{IoError, IoErrorKind, Result};
use crate::retry::{BLOCK, RawFile, RetryFile, uninterrupted};
use parking_lot::{Mutex, MutexGuard};
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A simulated disk; see [`crate::sim`]. Cloning gives another handle of the same disk, [`Self::fork`] another disk.
/// Thread-safe; deterministic when used by one thread at a time.
#[derive(Clone)]
pub struct SimDisk {
    shared: Arc<Shared>,
}

/// What all handles of a disk share.
struct Shared {
    state: Mutex<State>,
    /// How many calls there were.
    calls: AtomicU64,
    /// The call before which `pause` runs; `NO_CALL` without one.
    pause_at: AtomicU64,
    pause: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

const NO_CALL: u64 = u64::MAX;

impl Shared {
    /// A call of the disk begins.
    fn enter(&self) -> MutexGuard<'_, State> {
        if self.calls.fetch_add(1, Ordering::Relaxed) == self.pause_at.load(Ordering::Relaxed) {
            // Taken out before it runs: it may call the disk itself.
            let pause = self.pause.lock().take();
            if let Some(pause) = pause {
                pause();
            }
        }
        self.state.lock()
    }
}

impl fmt::Debug for SimDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimDisk").finish_non_exhaustive()
    }
}

/// True for the errors of a disk whose power is off ([`SimDisk::stop_after`]).
#[must_use]
pub fn is_power_loss(error: &IoError) -> bool {
    error.kind == IoErrorKind::Other && error.message == POWER_LOSS
}

impl SimDisk {
    /// An empty disk: the root directory alone. Paths are taken with or without a slash in front.
    ///
    /// Every method that takes a path panics when it contains `..`.
    #[must_use]
    pub fn new(options: SimOptions) -> Self {
        Self::of_state(State::new(options, Arc::new(Names::new()), Vec::new()))
    }

    pub(super) fn of_state(state: State) -> Self {
        Self {
            shared: Arc::new(Shared {
                state: Mutex::new(state),
                calls: AtomicU64::new(0),
                pause_at: AtomicU64::new(NO_CALL),
                pause: Mutex::new(None),
            }),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock()
    }

    /// An independent copy with the same pending state, faults and counters, without handles and locks. Content is
    /// shared until one of the two writes it.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self::of_state(self.state().fork())
    }

    /// The disk as the next process finds it when this one was killed where [`SimDisk::stop_after`] said, and the power stays: all
    /// that was written is there, and what was not synced can still go with the power.
    #[must_use]
    pub fn after_kill(&self) -> Self {
        let mut state = self.state().fork();
        state.dead = false;
        state.stop_at = None;
        Self::of_state(state)
    }

    /// Runs `f` while the power is off: calls of the disk fail, nothing changes and nothing is counted. A process that is dropped meanwhile
    /// leaves what it would leave if it were killed.
    pub fn without_power<T>(&self, f: impl FnOnce() -> T) -> T {
        let dead = std::mem::replace(&mut self.state().dead, true);
        let result = f();
        self.state().dead = dead;
        result
    }

    /// How many events there were: calls that change the disk or what a crash may do to it ([`OpKind::is_event`]).
    #[must_use]
    pub fn io_count(&self) -> u64 {
        self.state().next_event
    }

    /// How many calls of a kind there were.
    #[must_use]
    pub fn op_count(&self, filter: OpFilter) -> u64 {
        self.state().op_count(filter)
    }

    /// Cuts the power right before event number `io_index`: it and every call after it fails with an error that
    /// [`is_power_loss`] knows, and nothing changes any more.
    pub fn stop_after(&self, io_index: u64) {
        self.state().stop_at = Some(io_index);
    }

    /// Gives `watcher` a fork of the disk before every event from now on: the disk as [`SimDisk::stop_after`] would leave it
    /// there. So one run gives all the places where it could have been cut. The watcher replaces an earlier one.
    ///
    /// The disk itself is busy meanwhile: a watcher that calls it waits for ever.
    pub fn watch(&self, watcher: impl FnMut(Self) + Send + 'static) {
        self.state().set_watcher(Some(Watcher(Box::new(watcher))));
    }

    /// Ends [`SimDisk::watch`].
    pub fn unwatch(&self) {
        self.state().set_watcher(None);
    }

    /// How many calls of every kind there were on this handle and its clones; a fork begins at none.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.shared.calls.load(Ordering::Relaxed)
    }

    /// Runs `pause` once, right before call number `call` of [`Self::calls`], in the thread that makes it: what another thread does in
    /// the middle of an operation. The disk is free meanwhile, locks of the caller are not. It replaces an earlier one.
    pub fn pause_at(&self, call: u64, pause: impl FnOnce() + Send + 'static) {
        *self.shared.pause.lock() = Some(Box::new(pause));
        self.shared.pause_at.store(call, Ordering::Relaxed);
    }

    /// Takes back what [`Self::pause_at`] asked for; false when it has run.
    pub fn unpause(&self) -> bool {
        self.shared.pause_at.store(NO_CALL, Ordering::Relaxed);
        self.shared.pause.lock().take().is_some()
    }

    /// One line for every event so far; empty unless [`SimOptions::trace`].
    #[must_use]
    pub fn trace(&self) -> Vec<String> {
        self.state().trace.clone()
    }

    /// A hash over all events so far: kind, path, offset, length, content, injected fault.
    #[must_use]
    pub fn trace_hash(&self) -> u64 {
        self.state().trace_hash
    }

    /// Adds a fault. Its count of matching calls starts now.
    pub fn inject(&self, fault: Fault) {
        self.state().faults.add(fault);
    }

    /// Takes back all faults.
    pub fn clear_faults(&self) {
        self.state().faults.clear();
    }

    /// How many calls were hit by a fault.
    #[must_use]
    pub fn faults_fired(&self) -> u64 {
        self.state().faults.fired()
    }

    /// Repeats `call` while it is interrupted, and dresses its error.
    fn run<T>(
        &self,
        op: &'static str,
        path: &Path,
        mut call: impl FnMut(&mut State, &Arc<str>) -> io::Result<T>,
    ) -> Result<T> {
        let normal = normal(path);
        uninterrupted(|| call(&mut self.shared.enter(), &normal))
            .map_err(|error| IoError::from_os(op, path, &error))
    }
}

impl SimDisk {
    fn held(&self, path: &Path, locked: Option<(Arc<str>, FileId)>) -> Result<Box<dyn FileLock>> {
        match locked {
            Some((path, file)) => {
                Ok(Box::new(SimLock { shared: Arc::clone(&self.shared), path, file }))
            }
            None => {
                let message = "another open holds the lock of this file";
                Err(IoError::new("lock", path, IoErrorKind::Locked, message))
            }
        }
    }
}

fn stat_of(state: &State, node: Node) -> Stat {
    match node {
        // Identities start at 1, as inodes do; directories share one that no file has.
        Node::File(file) => Stat {
            len: state.slot(file).state.live.len(),
            is_dir: false,
            identity: file as u64 + 1,
        },
        Node::Dir => Stat { len: 0, is_dir: true, identity: u64::MAX },
    }
}

impl Disk for SimDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> Result<Arc<dyn File>> {
        let (file, normal) = self.run("open", path, |state, normal| {
            let file = if mode == OpenMode::Create {
                state.begin_whole(OpKind::Create, normal, 0)?;
                state.create(normal)?
            } else {
                state.begin_whole(OpKind::Open, normal, 0)?;
                state.find(normal)?
            };
            state.hold(file, normal);
            Ok((file, Arc::clone(normal)))
        })?;
        let raw = SimRaw {
            shared: Arc::clone(&self.shared),
            file,
            path: normal,
            writable: matches!(mode, OpenMode::ReadWrite | OpenMode::Create),
        };
        Ok(Arc::new(RetryFile::new(raw, path)))
    }

    fn list(&self, dir: &Path) -> Result<Vec<DirEntry>> {
        self.run("list", dir, |state, normal| {
            state.begin_whole(OpKind::List, normal, 0)?;
            let Some(names) = state.live.dir(normal) else {
                let is_file = state.live.get(normal).is_some();
                let code = if is_file { libc::ENOTDIR } else { libc::ENOENT };
                return Err(io::Error::from_raw_os_error(code));
            };
            let entry = |(name, node): (&Arc<str>, &Node)| DirEntry {
                name: name.to_string(),
                stat: stat_of(state, *node),
            };
            Ok(names.iter().map(entry).collect())
        })
    }

    fn stat(&self, path: &Path) -> Result<Option<Stat>> {
        self.run("stat", path, |state, normal| {
            state.begin_whole(OpKind::Stat, normal, 0)?;
            Ok(state.live.get(normal).map(|node| stat_of(state, node)))
        })
    }

    fn create_dir(&self, dir: &Path) -> Result<()> {
        self.run("create directory", dir, |state, normal| {
            state.begin_whole(OpKind::CreateDir, normal, 0)?;
            state.create_dir(normal)
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        let target = normal(to);
        self.run("rename", from, |state, normal| {
            state.begin_whole(OpKind::Rename, &format!("{normal} -> {target}"), 0)?;
            state.rename(normal, &target)
        })
    }

    fn remove(&self, path: &Path) -> Result<()> {
        self.run("remove", path, |state, normal| {
            state.begin_whole(OpKind::Remove, normal, 0)?;
            state.remove(normal)
        })
    }

    fn sync_dir(&self, dir: &Path) -> Result<()> {
        self.run("sync directory", dir, |state, normal| {
            state.begin_whole(OpKind::SyncDir, normal, 0)?;
            state.sync_dir(normal)
        })
    }

    fn lock(&self, path: &Path) -> Result<Box<dyn FileLock>> {
        let locked = self.run("lock", path, |state, normal| {
            state.begin_whole(OpKind::Lock, normal, 0)?;
            if state.live.get(normal).is_none() {
                state.create(normal)?;
            }
            let file = state.find(normal)?;
            Ok(state.locks.hold(normal, Holders::Alone).then(|| (Arc::clone(normal), file)))
        })?;
        self.held(path, locked)
    }

    fn lock_shared(&self, path: &Path) -> Result<Box<dyn FileLock>> {
        let locked = self.run("lock", path, |state, normal| {
            state.begin_whole(OpKind::Lock, normal, 0)?;
            let file = state.find(normal)?;
            Ok(state.locks.hold(normal, Holders::Sharing(1)).then(|| (Arc::clone(normal), file)))
        })?;
        self.held(path, locked)
    }

    fn free_bytes(&self, _dir: &Path) -> Option<u64> {
        self.state().free_bytes()
    }

    fn fallbacks(&self) -> Vec<String> {
        Vec::new()
    }
}

/// A held lock.
struct SimLock {
    shared: Arc<Shared>,
    path: Arc<str>,
    file: FileId,
}

impl fmt::Debug for SimLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimLock").field("path", &self.path).finish_non_exhaustive()
    }
}

impl FileLock for SimLock {
    fn name(&self) -> Arc<dyn LockedName> {
        let (shared, path) = (Arc::clone(&self.shared), Arc::clone(&self.path));
        Arc::new(SimLockedName { shared, path, file: self.file })
    }
}

/// The name of a lock file, and which file that was.
struct SimLockedName {
    shared: Arc<Shared>,
    path: Arc<str>,
    file: FileId,
}

impl fmt::Debug for SimLockedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimLockedName").field("path", &self.path).finish_non_exhaustive()
    }
}

impl LockedName for SimLockedName {
    /// No call of its own: a look at what the next call finds.
    fn verify(&self) -> Result<()> {
        let state = self.shared.state.lock();
        match state.live.get(&self.path) {
            // Without power the call that follows says so.
            _ if state.dead => Ok(()),
            Some(Node::File(file)) if file == self.file => Ok(()),
            _ => Err(IoError::moved(Path::new(&*self.path))),
        }
    }
}

impl Drop for SimLock {
    fn drop(&mut self) {
        self.shared.state.lock().locks.leave(&self.path);
    }
}

/// An open file of a simulated disk.
struct SimRaw {
    shared: Arc<Shared>,
    file: FileId,
    path: Arc<str>,
    writable: bool,
}

impl fmt::Debug for SimRaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimRaw").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Drop for SimRaw {
    fn drop(&mut self) {
        self.shared.state.lock().release(self.file);
    }
}

impl SimRaw {
    fn check_writable(&self) -> io::Result<()> {
        if self.writable { Ok(()) } else { Err(io::Error::from_raw_os_error(libc::EBADF)) }
    }
}

impl RawFile for SimRaw {
    fn pread(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        assert!(offset.is_multiple_of(BLOCK as u64), "a direct read of pieces of blocks");
        let mut state = self.shared.enter();
        let verdict = state.begin(OpKind::Read, &self.path, [0, 0, 0])?;
        let len = match verdict {
            Verdict::Go => buf.len(),
            // Ends in the middle of a block, which the caller must read again.
            Verdict::Short => buf.len() / BLOCK / 2 * BLOCK + super::block::SECTOR,
            Verdict::Fail(error) => return Err(error),
        };
        Ok(state.slot(self.file).state.live.read(offset, &mut buf[..len]))
    }

    fn pwrite(&self, offset: u64, data: &[u8]) -> io::Result<usize> {
        self.check_writable()?;
        self.shared.enter().write(self.file, &self.path, offset, data)
    }

    fn fdatasync(&self) -> io::Result<()> {
        self.shared.enter().sync(self.file, &self.path)
    }

    fn len(&self) -> io::Result<u64> {
        let mut state = self.shared.enter();
        state.begin_whole(OpKind::Size, &self.path, 0)?;
        Ok(state.slot(self.file).state.live.len())
    }

    fn allocate(&self, size: u64) -> io::Result<()> {
        self.check_writable()?;
        self.shared.enter().allocate(self.file, &self.path, size)
    }

    fn truncate(&self, size: u64) -> io::Result<()> {
        self.check_writable()?;
        self.shared.enter().truncate(self.file, &self.path, size)
    }

    fn is_direct(&self) -> bool {
        true
    }
}
