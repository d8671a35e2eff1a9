//! The content of one file at one moment.

use super::block::{self, BlockRef};
use super::rng::mix;
use crate::retry::BLOCK;
use std::sync::atomic::{AtomicU64, Ordering};

const B: u64 = BLOCK as u64;

/// Blocks and a length. Bytes of the last block beyond the length are zero.
#[derive(Debug, Default)]
pub(super) struct Content {
    blocks: Vec<BlockRef>,
    len: u64,
    /// Worked out when first asked for; 0 when not known.
    hash: AtomicU64,
}

impl Clone for Content {
    fn clone(&self) -> Self {
        // Whoever clones is about to change it, so the hash stays behind.
        Self { blocks: self.blocks.clone(), len: self.len, hash: AtomicU64::new(0) }
    }
}

/// `value` as an index of this machine; simulated files are small.
fn index(value: u64) -> usize {
    usize::try_from(value).expect("a simulated file fits in memory")
}

impl Content {
    pub(super) const fn len(&self) -> u64 {
        self.len
    }

    /// Cuts or grows (with zeros) to `len` bytes.
    pub(super) fn resize(&mut self, len: u64) {
        *self.hash.get_mut() = 0;
        let blocks = index(len.div_ceil(B));
        self.blocks.resize(blocks, None);
        if len < self.len
            && let tail = index(len % B)
            && tail != 0
            && let Some(last @ Some(_)) = self.blocks.last_mut()
        {
            block::bytes_mut(last)[tail..].fill(0);
        }
        self.len = len;
    }

    /// Grows to at least `len` bytes.
    pub(super) fn grow(&mut self, len: u64) {
        if len > self.len {
            self.resize(len);
        }
    }

    /// Replaces the sectors of block `at` that `mask` names, growing if needed.
    pub(super) fn merge(&mut self, at: u64, source: &BlockRef, mask: u8) {
        if mask != 0 {
            *self.hash.get_mut() = 0;
            self.grow((at + 1) * B);
            block::merge(&mut self.blocks[index(at)], source, mask);
        }
    }

    /// Copies from `offset` into `buf`; returns how many bytes there were.
    pub(super) fn read(&self, offset: u64, buf: &mut [u8]) -> usize {
        let wanted = index(self.len.saturating_sub(offset).min(buf.len() as u64));
        let mut done = 0;
        while done < wanted {
            let at = offset + done as u64;
            let start = index(at % B);
            let len = (BLOCK - start).min(wanted - done);
            let target = &mut buf[done..done + len];
            match &self.blocks[index(at / B)] {
                Some(block) => target.copy_from_slice(&block.bytes()[start..start + len]),
                None => target.fill(0),
            }
            done += len;
        }
        wanted
    }

    /// Overwrites bytes in place, at any offset, growing if needed.
    pub(super) fn write(&mut self, offset: u64, bytes: &[u8]) {
        *self.hash.get_mut() = 0;
        self.grow(offset + bytes.len() as u64);
        let mut done = 0;
        while done < bytes.len() {
            let at = offset + done as u64;
            let start = index(at % B);
            let len = (BLOCK - start).min(bytes.len() - done);
            block::bytes_mut(&mut self.blocks[index(at / B)])[start..start + len]
                .copy_from_slice(&bytes[done..done + len]);
            done += len;
        }
    }

    /// A hash of length and bytes. Content and blocks remember theirs, so asking again is cheap.
    pub(super) fn hash(&self) -> u64 {
        let known = self.hash.load(Ordering::Relaxed);
        if known != 0 {
            return known;
        }
        let mut hash = mix(self.len ^ 0x5EED);
        for (at, block) in self.blocks.iter().enumerate() {
            if let Some(block) = block
                && let content = block.hash()
                && content != block::ZEROS
            {
                hash = hash.wrapping_add(mix(content ^ mix(at as u64 + 1)));
            }
        }
        let hash = mix(hash).max(1);
        self.hash.store(hash, Ordering::Relaxed);
        hash
    }
}
