//! One file: what is durable, what is read, what is in between.

use super::block::BlockRef;
use super::content::Content;
use super::rng::Rng;
use crate::retry::BLOCK;
use std::sync::Arc;

/// A write that is not durable yet.
#[derive(Debug)]
pub(super) struct WriteOp {
    /// Number of its event; orders all writes of a disk.
    pub(super) event: u64,
    /// First block.
    pub(super) first: u64,
    pub(super) blocks: Vec<BlockRef>,
}

/// A pending write, and which of its sectors can still reach the disk.
#[derive(Debug, Clone)]
pub(super) struct Pending {
    pub(super) op: Arc<WriteOp>,
    /// One byte a block, one bit a sector; `None` when all can.
    pub(super) alive: Option<Arc<[u8]>>,
}

impl Pending {
    pub(super) fn mask(&self, block: usize) -> u8 {
        self.alive.as_ref().map_or(u8::MAX, |alive| alive[block])
    }

    /// Takes out the blocks from `end` on; false when none is left.
    fn cut(&mut self, end: u64) -> bool {
        let kept = usize::try_from(end.saturating_sub(self.op.first)).unwrap_or(usize::MAX);
        if kept < self.op.blocks.len() {
            let blocks = self.op.blocks[..kept].to_vec();
            self.alive = self.alive.as_ref().map(|alive| alive[..kept].into());
            self.op = Arc::new(WriteOp { event: self.op.event, first: self.op.first, blocks });
        }
        kept > 0
    }

    /// Applies the sectors that are alive.
    pub(super) fn apply(&self, content: &mut Content) {
        for (at, block) in self.op.blocks.iter().enumerate() {
            content.merge(self.op.first + at as u64, block, self.mask(at));
        }
    }

    /// Loses units by chance: all of them, none, or each on its own. `whole_blocks` when a unit is a block.
    pub(super) fn decimate(&mut self, rng: &mut Rng, whole_blocks: bool) {
        let style = rng.below(4);
        let alive = (0..self.op.blocks.len()).map(|block| {
            let kept = match style {
                0 => 0,
                1 => u8::MAX,
                _ if whole_blocks => {
                    if rng.coin() {
                        u8::MAX
                    } else {
                        0
                    }
                }
                _ => rng.next() as u8,
            };
            self.mask(block) & kept
        });
        self.alive = Some(alive.collect());
    }
}

/// A file. Cloning shares its content.
#[derive(Debug, Clone)]
pub(super) struct FileState {
    /// What is on the medium for certain.
    pub(super) durable: Arc<Content>,
    /// What reads return.
    pub(super) live: Arc<Content>,
    /// In order of time.
    pub(super) pending: Vec<Pending>,
    /// True after a failed sync or write: `live` shows bytes that no sync makes durable any more.
    pub(super) diverged: bool,
    /// The name that it had last.
    pub(super) path: Arc<str>,
}

impl FileState {
    pub(super) fn new(path: Arc<str>) -> Self {
        Self::settled(Arc::default(), path)
    }

    /// A file with nothing pending.
    pub(super) fn settled(content: Arc<Content>, path: Arc<str>) -> Self {
        Self {
            durable: Arc::clone(&content),
            live: content,
            pending: Vec::new(),
            diverged: false,
            path,
        }
    }

    /// True when a crash can do nothing to it.
    pub(super) fn is_settled(&self) -> bool {
        self.pending.is_empty() && !self.diverged && self.durable.len() == self.live.len()
    }

    pub(super) fn write(&mut self, pending: Pending) {
        pending.apply(Arc::make_mut(&mut self.live));
        self.pending.push(pending);
    }

    /// Cuts what is read, what is durable and what is pending to `len` bytes, which are whole blocks.
    pub(super) fn truncate(&mut self, len: u64) {
        for content in [&mut self.live, &mut self.durable] {
            if content.len() > len {
                Arc::make_mut(content).resize(len);
            }
        }
        let end = len / BLOCK as u64;
        self.pending.retain_mut(|pending| pending.cut(end));
    }

    pub(super) fn sync(&mut self) {
        if self.diverged {
            let durable = Arc::make_mut(&mut self.durable);
            durable.resize(self.live.len());
            for pending in &self.pending {
                pending.apply(durable);
            }
        } else {
            self.durable = Arc::clone(&self.live);
        }
        self.pending.clear();
    }

    /// A sync that failed: the kernel has thrown away some of what was dirty and calls the rest clean.
    pub(super) fn sync_failed(&mut self, rng: &mut Rng, whole_blocks: bool) {
        for pending in &mut self.pending {
            pending.decimate(rng, whole_blocks);
        }
        self.diverged = true;
    }
}
