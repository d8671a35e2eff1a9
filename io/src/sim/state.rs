//! Everything that a simulated disk knows.

use super::block::{self, BlockRef};
use super::content::Content;
use super::disk::SimDisk;
use super::event::{KINDS, OpKind};
use super::fault::{FaultError, Faults, OpFilter};
use super::file::{FileState, Pending, WriteOp};
use super::locks::Locks;
use super::names::{FileId, NameOp, Names, Node, split};
use super::rng::{Rng, mix};
use crate::retry::BLOCK;
use std::fmt;
use std::io;
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64;

const B: u64 = BLOCK as u64;

/// What the medium writes as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Profile {
    /// 512-byte sectors, each old or new after a power loss.
    #[default]
    Sector512,
    /// 4096-byte units, each old, new or garbage when it was in flight.
    Block4k,
}

/// How a simulated disk behaves.
#[derive(Debug, Clone, Default)]
pub struct SimOptions {
    /// What the medium writes as a whole.
    pub profile: Profile,
    /// Decides what failed writes and syncs leave behind.
    pub seed: u64,
    /// Keep a line of text for every event.
    pub trace: bool,
    /// Space for the content of all files together, bytes; without limit when `None`.
    pub capacity_bytes: Option<u64>,
}

/// What is to become of a call.
pub(super) enum Verdict {
    Go,
    Short,
    Fail(io::Error),
}

/// Words of every error after the simulated power loss.
pub(super) const POWER_LOSS: &str = "simulated power loss";

/// A file in the table.
#[derive(Debug, Clone)]
pub(super) struct Slot {
    pub(super) state: Arc<FileState>,
    /// Open handles.
    pub(super) handles: u32,
    /// Has a name now.
    pub(super) linked: bool,
    /// Has no name now, and none that a crash could bring back.
    gone: bool,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) options: SimOptions,
    pub(super) rng: Rng,
    pub(super) live: Arc<Names>,
    pub(super) durable: Arc<Names>,
    pub(super) pending_names: Vec<NameOp>,
    pub(super) files: Vec<Option<Slot>>,
    pub(super) next_event: u64,
    pub(super) stop_at: Option<u64>,
    pub(super) dead: bool,
    pub(super) trace: Vec<String>,
    pub(super) trace_hash: u64,
    pub(super) faults: Faults,
    op_counts: [u64; KINDS],
    pub(super) locks: Locks,
    /// Bytes in blocks of files that have a name.
    used: u64,
    watcher: Option<Watcher>,
}

/// Who is given a fork of the disk before every event.
pub(super) struct Watcher(pub(super) Box<dyn FnMut(SimDisk) + Send>);

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watcher")
    }
}

fn os(code: i32) -> io::Error {
    io::Error::from_raw_os_error(code)
}

/// Bytes in blocks of a file of `len` bytes.
const fn space(len: u64) -> u64 {
    len.next_multiple_of(B)
}

impl State {
    pub(super) fn new(options: SimOptions, names: Arc<Names>, files: Vec<Option<Slot>>) -> Self {
        let used = files.iter().flatten().map(|slot| space(slot.state.live.len())).sum();
        Self {
            rng: Rng::new(mix(options.seed)),
            options,
            live: Arc::clone(&names),
            durable: names,
            pending_names: Vec::new(),
            files,
            next_event: 0,
            stop_at: None,
            dead: false,
            trace: Vec::new(),
            trace_hash: 0,
            faults: Faults::default(),
            op_counts: [0; KINDS],
            locks: Locks::default(),
            used,
            watcher: None,
        }
    }

    /// Sets who is given a fork before every event.
    pub(super) fn set_watcher(&mut self, watcher: Option<Watcher>) {
        self.watcher = watcher;
    }

    /// The same disk once more: pending writes, names, faults and counters too; no handles and no locks, hence no files that
    /// only handles kept.
    pub(super) fn fork(&self) -> Self {
        let fork = |slot: &Slot| (!slot.gone).then(|| Slot { handles: 0, ..slot.clone() });
        let files = self.files.iter().map(|slot| slot.as_ref().and_then(fork)).collect();
        Self {
            options: self.options.clone(),
            rng: self.rng.clone(),
            live: Arc::clone(&self.live),
            durable: Arc::clone(&self.durable),
            pending_names: self.pending_names.clone(),
            files,
            trace: self.trace.clone(),
            faults: self.faults.clone(),
            locks: Locks::default(),
            watcher: None,
            ..*self
        }
    }

    pub(super) fn op_count(&self, filter: OpFilter) -> u64 {
        ALL_KINDS
            .iter()
            .filter(|kind| filter.matches(**kind))
            .map(|kind| self.op_counts[*kind as usize])
            .sum()
    }

    /// Counts a call, and says what is to become of it.
    pub(super) fn begin(
        &mut self,
        op: OpKind,
        path: &str,
        [a, b, content]: [u64; 3],
    ) -> io::Result<Verdict> {
        if op.is_event() && self.stop_at.is_some_and(|stop| self.next_event >= stop) {
            self.dead = true;
        }
        if self.dead {
            return Err(io::Error::other(POWER_LOSS));
        }
        if op.is_event()
            && let Some(mut watcher) = self.watcher.take()
        {
            watcher.0(SimDisk::of_state(self.fork()));
            self.watcher = Some(watcher);
        }
        self.op_counts[op as usize] += 1;
        let fault = self.faults.check(op, path);
        if op.is_event() {
            let outcome = fault.map_or(0, |fault| fault as u64 + 1);
            for part in [op as u64, xxh3_64(path.as_bytes()), a, b, content, outcome] {
                self.trace_hash = mix(self.trace_hash ^ part).wrapping_add(0x9E37_79B9);
            }
            if self.options.trace {
                let outcome = fault.map(|fault| format!(" -> {fault:?}")).unwrap_or_default();
                let line = format!(
                    "{} {} {path} {a} {b} {content:016x}{outcome}",
                    self.next_event,
                    op.name()
                );
                self.trace.push(line);
            }
            self.next_event += 1;
        }
        Ok(match fault {
            None => Verdict::Go,
            Some(FaultError::Short) => Verdict::Short,
            Some(fault) => Verdict::Fail(fault.to_os()),
        })
    }

    /// As `begin`, for calls that either happen or fail.
    pub(super) fn begin_whole(&mut self, op: OpKind, path: &str, a: u64) -> io::Result<()> {
        match self.begin(op, path, [a, 0, 0])? {
            Verdict::Go | Verdict::Short => Ok(()),
            Verdict::Fail(error) => Err(error),
        }
    }

    pub(super) fn slot(&self, file: FileId) -> &Slot {
        self.files[file].as_ref().expect("a file stays while it has a name or a handle")
    }

    fn slot_mut(&mut self, file: FileId) -> &mut Slot {
        self.files[file].as_mut().expect("a file stays while it has a name or a handle")
    }

    pub(super) fn file_mut(&mut self, file: FileId) -> &mut FileState {
        Arc::make_mut(&mut self.slot_mut(file).state)
    }

    /// The file that `path` names.
    pub(super) fn find(&self, path: &str) -> io::Result<FileId> {
        match self.live.get(path) {
            Some(Node::File(file)) => Ok(file),
            Some(Node::Dir) => Err(os(libc::EISDIR)),
            None => Err(os(libc::ENOENT)),
        }
    }

    /// Adds a file without a name to the table.
    pub(super) fn add_file(&mut self, state: FileState) -> FileId {
        self.files.push(Some(Slot {
            state: Arc::new(state),
            handles: 0,
            linked: true,
            gone: false,
        }));
        self.files.len() - 1
    }

    pub(super) fn create(&mut self, path: &Arc<str>) -> io::Result<FileId> {
        if self.live.get(path).is_some() {
            return Err(os(libc::EEXIST));
        }
        if self.live.dir(split(path).0).is_none() {
            return Err(os(libc::ENOENT));
        }
        let file = self.add_file(FileState::new(Arc::clone(path)));
        self.change_names(NameOp::Create { path: Arc::clone(path), file });
        Ok(file)
    }

    /// Does a change of names now, and leaves it pending.
    fn change_names(&mut self, op: NameOp) {
        Arc::make_mut(&mut self.live).apply(&op);
        if let NameOp::CreateDir { path } = &op {
            Arc::make_mut(&mut self.durable).ensure_dir(path);
        }
        // A rename over directories that was half durable at a crash leaves a file with two names.
        if let Some(file) = op.unlinks()
            && !self.live.file_ids().any(|named| named == file)
        {
            let slot = self.slot_mut(file);
            slot.linked = false;
            let freed = space(slot.state.live.len());
            self.used -= freed;
        }
        self.pending_names.push(op);
    }

    pub(super) fn create_dir(&mut self, path: &Arc<str>) -> io::Result<()> {
        if self.live.get(path).is_some() {
            return Err(os(libc::EEXIST));
        }
        if self.live.dir(split(path).0).is_none() {
            return Err(os(libc::ENOENT));
        }
        self.change_names(NameOp::CreateDir { path: Arc::clone(path) });
        Ok(())
    }

    pub(super) fn remove(&mut self, path: &Arc<str>) -> io::Result<()> {
        let file = self.find(path)?;
        self.change_names(NameOp::Remove { path: Arc::clone(path), file });
        Ok(())
    }

    pub(super) fn rename(&mut self, from: &Arc<str>, to: &Arc<str>) -> io::Result<()> {
        let file = self.find(from)?;
        if self.live.dir(split(to).0).is_none() {
            return Err(os(libc::ENOENT));
        }
        let replaced = match self.live.get(to) {
            Some(Node::Dir) => return Err(os(libc::EISDIR)),
            Some(Node::File(same)) if same == file => return Ok(()),
            Some(Node::File(other)) => Some(other),
            None => None,
        };
        self.file_mut(file).path = Arc::clone(to);
        let (from, to) = (Arc::clone(from), Arc::clone(to));
        self.change_names(NameOp::Rename { from, to, file, replaced });
        Ok(())
    }

    pub(super) fn sync_dir(&mut self, dir: &str) -> io::Result<()> {
        if self.live.dir(dir).is_none() {
            return Err(os(libc::ENOENT));
        }
        let mut unlinked = Vec::new();
        let mut rest = Vec::new();
        let durable = Arc::make_mut(&mut self.durable);
        for op in self.pending_names.drain(..) {
            let unlinks = op.unlinks();
            match op.commit(dir, durable) {
                None => unlinked.extend(unlinks),
                Some(op) => rest.push(op),
            }
        }
        self.pending_names = rest;
        if self.pending_names.is_empty() {
            // The same by now; sharing makes forks and crash images cheap.
            self.durable = Arc::clone(&self.live);
        }
        for file in unlinked {
            let comes_back = self.pending_names.iter().any(|op| op.concerns(file))
                || self.durable.file_ids().any(|named| named == file);
            if let Some(slot) = &mut self.files[file] {
                slot.gone = !slot.linked && !comes_back;
                if slot.gone && slot.handles == 0 {
                    self.files[file] = None;
                }
            }
        }
        Ok(())
    }

    /// A new handle of a file, opened as `path`.
    pub(super) fn hold(&mut self, file: FileId, path: &Arc<str>) {
        self.slot_mut(file).handles += 1;
        if self.slot(file).state.path != *path {
            self.file_mut(file).path = Arc::clone(path);
        }
    }

    /// A handle is gone.
    pub(super) fn release(&mut self, file: FileId) {
        let slot = self.slot_mut(file);
        slot.handles -= 1;
        if slot.gone && slot.handles == 0 {
            self.files[file] = None;
        }
    }

    /// Bytes that files may still take, if there is a limit.
    pub(super) fn free_bytes(&self) -> Option<u64> {
        Some(self.options.capacity_bytes?.saturating_sub(self.used))
    }

    /// True when a named file may grow to `len`.
    fn has_room(&self, file: FileId, len: u64) -> bool {
        let now = space(self.slot(file).state.live.len());
        let more = space(len).saturating_sub(now);
        more == 0 || self.options.capacity_bytes.is_none_or(|capacity| self.used + more <= capacity)
    }

    /// Does something to the live content of a file and keeps account of space.
    fn change_content(&mut self, file: FileId, change: impl FnOnce(&mut FileState)) {
        let slot = self.slot_mut(file);
        let before = space(slot.state.live.len());
        change(Arc::make_mut(&mut slot.state));
        let after = space(slot.state.live.len());
        if slot.linked {
            self.used = self.used - before + after;
        }
    }

    fn pending_write(&self, offset: u64, blocks: Vec<BlockRef>) -> Pending {
        let event = self.next_event - 1;
        Pending { op: Arc::new(WriteOp { event, first: offset / B, blocks }), alive: None }
    }

    pub(super) fn write(
        &mut self,
        file: FileId,
        path: &str,
        offset: u64,
        data: &[u8],
    ) -> io::Result<usize> {
        assert!(
            offset.is_multiple_of(B) && data.len().is_multiple_of(BLOCK),
            "a direct write of pieces of blocks"
        );
        let mut blocks: Vec<BlockRef> = data.chunks(BLOCK).map(block::of_bytes).collect();
        // Blocks remember their hash: a crash image needs it again.
        let content = blocks.iter().fold(0, |hash, written| mix(hash ^ block::hash(written)));
        let verdict = self.begin(OpKind::Write, path, [offset, data.len() as u64, content])?;
        let end = |blocks: &[BlockRef]| offset + (blocks.len() * BLOCK) as u64;
        let count = match verdict {
            Verdict::Go => data.len(),
            Verdict::Short => {
                // Reports a piece of a block beyond the whole blocks that it does; the caller must do that block again.
                blocks.truncate(blocks.len() / 2);
                blocks.len() * BLOCK + block::SECTOR
            }
            Verdict::Fail(error) => {
                if error.kind() != io::ErrorKind::Interrupted && self.has_room(file, end(&blocks)) {
                    // Nobody knows what of it reached the medium.
                    let mut pending = self.pending_write(offset, blocks);
                    let whole_blocks = self.options.profile == Profile::Block4k;
                    pending.decimate(&mut self.rng, whole_blocks);
                    self.change_content(file, |state| state.write(pending));
                }
                return Err(error);
            }
        };
        if !self.has_room(file, end(&blocks)) {
            return Err(os(libc::ENOSPC));
        }
        if !blocks.is_empty() {
            let pending = self.pending_write(offset, blocks);
            self.change_content(file, |state| state.write(pending));
        }
        Ok(count)
    }

    pub(super) fn allocate(&mut self, file: FileId, path: &str, size: u64) -> io::Result<()> {
        self.begin_whole(OpKind::Allocate, path, size)?;
        if !self.has_room(file, size) {
            return Err(os(libc::ENOSPC));
        }
        if size > self.slot(file).state.live.len() {
            self.change_content(file, |state| Arc::make_mut(&mut state.live).grow(size));
        }
        Ok(())
    }

    /// Cuts a file, at once for good: whoever cuts one must be content with a longer file after a crash, which no choice gives here.
    pub(super) fn truncate(&mut self, file: FileId, path: &str, size: u64) -> io::Result<()> {
        self.begin_whole(OpKind::Truncate, path, size)?;
        if size < self.slot(file).state.live.len() {
            self.change_content(file, |state| state.truncate(size));
        }
        Ok(())
    }

    pub(super) fn sync(&mut self, file: FileId, path: &str) -> io::Result<()> {
        match self.begin(OpKind::Sync, path, [0, 0, 0])? {
            Verdict::Go | Verdict::Short => {
                if !self.slot(file).state.is_settled() {
                    self.file_mut(file).sync();
                }
                Ok(())
            }
            Verdict::Fail(error) => {
                if error.kind() != io::ErrorKind::Interrupted {
                    let whole_blocks = self.options.profile == Profile::Block4k;
                    let mut rng = self.rng.clone();
                    self.file_mut(file).sync_failed(&mut rng, whole_blocks);
                    self.rng = rng;
                }
                Err(error)
            }
        }
    }

    /// Does something to what is durable and to what is read alike: a fault of the medium.
    pub(super) fn damage(&mut self, file: FileId, change: impl Fn(&mut Content)) {
        self.change_content(file, |state| {
            if Arc::ptr_eq(&state.durable, &state.live) {
                let mut content = Content::clone(&state.live);
                change(&mut content);
                state.live = Arc::new(content);
                state.durable = Arc::clone(&state.live);
            } else {
                change(Arc::make_mut(&mut state.durable));
                change(Arc::make_mut(&mut state.live));
            }
        });
    }

    /// Names a file, or takes its name, at once and for good.
    pub(super) fn damage_names(&mut self, change: impl Fn(&mut Names)) {
        change(Arc::make_mut(&mut self.live));
        change(Arc::make_mut(&mut self.durable));
        for slot in self.files.iter_mut().flatten() {
            slot.linked = false;
        }
        self.used = 0;
        let live = Arc::clone(&self.live);
        for file in live.file_ids() {
            let slot = self.slot_mut(file);
            if !std::mem::replace(&mut slot.linked, true) {
                let taken = space(slot.state.live.len());
                self.used += taken;
            }
        }
    }
}

/// Every kind of call.
const ALL_KINDS: [OpKind; KINDS] = [
    OpKind::Open,
    OpKind::Create,
    OpKind::Read,
    OpKind::Write,
    OpKind::Sync,
    OpKind::Size,
    OpKind::Allocate,
    OpKind::List,
    OpKind::Stat,
    OpKind::CreateDir,
    OpKind::Rename,
    OpKind::Remove,
    OpKind::SyncDir,
    OpKind::Lock,
    OpKind::Truncate,
];

impl Slot {
    /// A file of a crash image.
    pub(super) const fn of_image(state: Arc<FileState>) -> Self {
        Self { state, handles: 0, linked: true, gone: false }
    }
}
