//! The page map of a table in memory, and how it is read and written.
//!
//! Invariants
//!  1. Each block has at most one committed copy. A checkpoint writes the other one; only when its manifest record is
//!     durable does that one become the committed copy. So a crash never destroys the witness.
//!  2. A block without a committed copy is written to copy 0. As every block that comes into use is written by the
//!     checkpoint that first covers it, a copy 1 that an earlier life of the table left there is always older.
//!  3. A copy with a number above the committed checkpoint was written by a checkpoint that a crash cut short. Its
//!     number is given again to the next checkpoint, so that checkpoint overwrites it, changed or not.

use crate::error::{Corruption, FixedError, Result};
use crate::files::Place;
use crate::page_set::PageSet;
use slotcask_format::manifest::TableCheckpoint;
use slotcask_format::mutants;
use slotcask_format::page_map::{
    MAP_ENTRIES, decode_map_block, encode_map_block, map_block_offset, map_seed,
};
use slotcask_format::{BLOCK_SIZE, Reason, Seed};
use slotcask_io::{AlignedBuf, File, Write};

/// Blocks read or written at once.
const BLOCKS_AT_ONCE: u32 = 64;

#[derive(Debug, Clone, Copy)]
struct Block {
    /// The committed copy; 1 when there is none yet.
    copy: u32,
    /// Checksum of the committed copy.
    checksum: u64,
    /// The other copy was written by a checkpoint that a crash cut short.
    stale: bool,
    /// Checksum of the other copy, while a checkpoint that wrote it is not committed.
    next: Option<u64>,
}

const NO_COPY: Block = Block { copy: 1, checksum: 0, stale: false, next: None };

/// Checksums of all pages, and which copy of each block is committed.
#[derive(Debug, Default)]
pub(crate) struct PageMap {
    entries: Vec<u64>,
    blocks: Vec<Block>,
    changed: PageSet,
}

impl PageMap {
    /// Reads the map as `checkpoint`, number `number`, left it. A map that does not fit is a finding; its pages then have
    /// no entry.
    pub(crate) fn load(
        place: &Place,
        file: &dyn File,
        number: u64,
        checkpoint: TableCheckpoint,
        findings: &mut Vec<Corruption>,
    ) -> Result<Self> {
        let mut map = Self::default();
        let count = block_count(checkpoint.pages);
        if file.size()? < map_block_offset(count, 0) {
            findings.push(place.bad_map("file", 0u64, "it is shorter than the checkpoint needs"));
            return Ok(map);
        }
        let seed = seed_of(place);
        let mut buf = AlignedBuf::zeroed(count.min(BLOCKS_AT_ONCE) as usize * 2 * BLOCK_SIZE);
        let mut first = 0;
        while first < count {
            let blocks = BLOCKS_AT_ONCE.min(count - first);
            buf.set_len(blocks as usize * 2 * BLOCK_SIZE);
            file.read_at(map_block_offset(first, 0), &mut buf)?;
            for (copies, block) in buf.chunks_exact(2 * BLOCK_SIZE).zip(first..) {
                if let Err(reason) = map.take_block(seed, number, checkpoint.pages, block, copies) {
                    if let Reason::Version { .. } = reason {
                        let (path, reason) = (place.map_path.clone(), reason.to_string());
                        return Err(FixedError::Newer { path, reason });
                    }
                    findings.push(place.bad_map("map block", block, reason));
                    return Ok(Self::default());
                }
            }
            first += blocks;
        }
        let root = map.root(place, checkpoint.pages);
        if checkpoint.pages > 0 && root != checkpoint.map_root {
            let (expected, found) = (checkpoint.map_root, root);
            let reason = Reason::Mismatch { what: "root of the map", expected, found };
            findings.push(place.bad_map("page map", 0u64, reason));
            return Ok(Self::default());
        }
        Ok(map)
    }

    /// Takes in the newest copy of a block that is not newer than the committed checkpoint.
    fn take_block(
        &mut self,
        seed: Seed,
        number: u64,
        pages: u32,
        block: u32,
        copies: &[u8],
    ) -> std::result::Result<(), Reason> {
        let expected = (pages as usize - self.entries.len()).min(MAP_ENTRIES);
        let mut best: Option<(u64, Block, Vec<u64>)> = None;
        let mut stale = false;
        let mut bad = Reason::Mismatch { what: "committed copies", expected: 1, found: 0 };
        for (copy, bytes) in copies.chunks_exact(BLOCK_SIZE).enumerate() {
            let (header, entries) = match decode_map_block(seed, block, bytes) {
                Ok(decoded) => decoded,
                Err(reason @ Reason::Version { .. }) => return Err(reason),
                Err(reason) => {
                    // A copy that never was written is no reason to complain about.
                    if bytes.iter().any(|byte| *byte != 0) {
                        bad = reason;
                    }
                    continue;
                }
            };
            let written_by = header.checkpoint.get();
            if written_by > number {
                stale = true;
            } else if best.as_ref().is_none_or(|(newest, ..)| *newest < written_by) {
                let checksum = header.checksum.get();
                best = Some((
                    written_by,
                    Block { copy: copy as u32, checksum, stale: false, next: None },
                    entries,
                ));
            }
        }
        let Some((_, found, entries)) = best else { return Err(bad) };
        if entries.len() < expected {
            let (expected, found) = (expected as u64, entries.len() as u64);
            return Err(Reason::Mismatch { what: "checksums in the block", expected, found });
        }
        self.blocks.push(Block { stale, ..found });
        self.entries.extend_from_slice(&entries[..expected]);
        Ok(())
    }

    /// Pages that have an entry.
    pub(crate) fn len(&self) -> u32 {
        self.entries.len() as u32
    }

    /// Checksum of a page as the last checkpoint wrote it, if it wrote it.
    pub(crate) fn entry(&self, page: u32) -> Option<u64> {
        self.entries.get(page as usize).copied()
    }

    /// Notes the checksum of a page that this checkpoint writes.
    pub(crate) fn set(&mut self, page: u32, checksum: u64) {
        let at = page as usize;
        if at >= self.entries.len() {
            self.entries.resize(at + 1, 0);
        }
        self.entries[at] = checksum;
        self.changed.insert(page / MAP_ENTRIES as u32);
    }

    /// True when the next checkpoint must write blocks whether or not pages changed (invariant 3).
    pub(crate) fn has_stale(&self) -> bool {
        self.blocks.iter().any(|block| block.stale)
    }

    /// Writes the blocks of the first `pages` pages that changed, as checkpoint `number`. Returns bytes written. The
    /// caller syncs.
    pub(crate) fn write(
        &mut self,
        place: &Place,
        file: &dyn File,
        number: u64,
        pages: u32,
    ) -> Result<u64> {
        assert!(self.entries.len() >= pages as usize, "a page below the end was never written");
        let count = block_count(pages);
        self.blocks.resize(self.blocks.len().max(count as usize), NO_COPY);
        let seed = seed_of(place);
        let todo: Vec<u32> = (0..count)
            .filter(|block| self.blocks[*block as usize].stale || self.changed.contains(*block))
            .collect();
        let mut buf = AlignedBuf::zeroed(todo.len().min(BLOCKS_AT_ONCE as usize) * BLOCK_SIZE);
        for blocks in todo.chunks(BLOCKS_AT_ONCE as usize) {
            for (block, out) in blocks.iter().zip(buf.chunks_exact_mut(BLOCK_SIZE)) {
                let from = *block as usize * MAP_ENTRIES;
                let to = (from + MAP_ENTRIES).min(pages as usize);
                let checksum = encode_map_block(seed, *block, number, &self.entries[from..to], out);
                self.blocks[*block as usize].next = Some(checksum);
            }
            let writes: Vec<Write<'_>> = blocks
                .iter()
                .zip(buf.chunks_exact(BLOCK_SIZE))
                .map(|(block, data)| {
                    let committed = self.blocks[*block as usize].copy;
                    let copy =
                        if mutants::active("map_in_place") { committed } else { 1 - committed };
                    Write { offset: map_block_offset(*block, copy), data }
                })
                .collect();
            file.write_many(&writes)?;
        }
        Ok((todo.len() * BLOCK_SIZE) as u64)
    }

    /// Checksum over the checksums of the blocks of the first `pages` pages; 0 for none.
    pub(crate) fn root(&self, place: &Place, pages: u32) -> u64 {
        if pages == 0 {
            return 0;
        }
        let mut bytes = Vec::with_capacity(8 * block_count(pages) as usize);
        for block in &self.blocks[..block_count(pages) as usize] {
            bytes.extend_from_slice(&block.next.unwrap_or(block.checksum).to_le_bytes());
        }
        seed_of(place).checksum(&bytes)
    }

    /// What was written is committed and covers `pages` pages.
    pub(crate) fn commit(&mut self, pages: u32) {
        self.blocks.truncate(block_count(pages) as usize);
        for block in &mut self.blocks {
            if let Some(checksum) = block.next.take() {
                *block = Block { copy: 1 - block.copy, checksum, stale: false, next: None };
            }
        }
        self.changed.clear();
    }

    /// What was written is not committed. The pages are dirty again, so the next checkpoint writes these blocks again.
    pub(crate) fn abort(&mut self) {
        for block in &mut self.blocks {
            block.stale |= block.next.take().is_some();
        }
    }

    /// Forgets all pages; which copies are committed stays known.
    pub(crate) fn forget_pages(&mut self) {
        self.entries.clear();
        self.changed.clear();
    }
}

fn block_count(pages: u32) -> u32 {
    pages.div_ceil(MAP_ENTRIES as u32)
}

pub(crate) fn seed_of(place: &Place) -> Seed {
    map_seed(place.ident.store, place.ident.shard, place.table)
}
