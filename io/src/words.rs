//! Zeroed words on huge pages, as many as are asked for: for tables of many small parts that are looked up at random.
//!
//! What the allocator hands out lies on small pages: a lookup of something that was not looked at for long then waits for the page table
//! and after that for the memory. Words never move. They are atomic, so that no proof is asked of their users: two who use the same by
//! mistake see each other's words, and nothing worse.

use crate::pages::{Pages, STEP};
use parking_lot::Mutex;
use std::alloc::{Layout, handle_alloc_error};
use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Words of a step, as many as a huge page has. The first block has one step, each block twice as many as the one before.
pub const STEP_WORDS: usize = STEP / size_of::<AtomicU64>();
/// 8 PiB of them.
const BLOCKS: usize = 32;

/// Words in steps of [`STEP_WORDS`]. May be shared by threads.
pub struct Words {
    huge_pages: bool,
    blocks: [OnceLock<Block>; BLOCKS],
    steps: AtomicUsize,
    growing: Mutex<()>,
}

/// A part of the words.
struct Block(Pages);

impl Words {
    /// No words yet. With `huge_pages` false the system decides about pages.
    #[must_use]
    pub fn new(huge_pages: bool) -> Self {
        Self {
            huge_pages,
            blocks: [const { OnceLock::new() }; BLOCKS],
            steps: AtomicUsize::new(0),
            growing: Mutex::new(()),
        }
    }

    /// The words of a step; none of one that is not there.
    #[must_use]
    #[inline]
    pub fn step(&self, number: usize) -> &[AtomicU64] {
        if number >= self.steps() {
            return &[];
        }
        let at = number + 1;
        let block = at.ilog2() as usize;
        let from = (at - (1 << block)) * STEP_WORDS;
        let words = self.blocks.get(block).and_then(OnceLock::get).map(Block::words);
        words.and_then(|words| words.get(from..from + STEP_WORDS)).unwrap_or_default()
    }

    /// Has at least `steps` steps; those that come are zeros, and take memory as they are touched. Where the system has none the process
    /// ends, as it does when a vector grows.
    ///
    /// # Panics
    /// When that is more than there is address space.
    pub fn extend_to(&self, steps: usize) {
        if self.steps() >= steps {
            return;
        }
        let _growing = self.growing.lock();
        for block in 0..=steps.ilog2() as usize {
            self.blocks[block].get_or_init(|| Block::new(STEP << block, self.huge_pages));
        }
        // Whoever sees the number finds the blocks.
        self.steps.fetch_max(steps, Ordering::Release);
    }

    /// Steps that were asked for.
    #[must_use]
    #[inline]
    pub fn steps(&self) -> usize {
        self.steps.load(Ordering::Acquire)
    }

    /// Makes zeros of all words and gives their memory back. Nobody may use them meanwhile who minds that.
    pub fn clear(&self) {
        let _growing = self.growing.lock();
        self.blocks.iter().filter_map(OnceLock::get).for_each(Block::clear);
        self.steps.store(0, Ordering::Relaxed);
    }

    /// Bytes of memory, if all steps were touched.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.steps() * STEP
    }
}

impl fmt::Debug for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Words").field("steps", &self.steps()).finish_non_exhaustive()
    }
}

impl Block {
    fn new(len: usize, huge_pages: bool) -> Self {
        let Some(pages) = Pages::map(len) else {
            handle_alloc_error(Layout::from_size_align(len, STEP).unwrap_or(Layout::new::<u8>()))
        };
        if huge_pages {
            pages.advise_huge();
        }
        Self(pages)
    }

    #[inline]
    fn words(&self) -> &[AtomicU64] {
        self.0.words()
    }

    /// Makes zeros of all words and gives their memory back.
    fn clear(&self) {
        if !self.0.give_back() {
            self.words().iter().for_each(|word| word.store(0, Ordering::Relaxed));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_apart_zero_and_zero_again() {
        let words = Words::new(true);
        assert!(words.step(0).is_empty() && words.step(usize::MAX).is_empty());
        for round in 0..2 {
            // Blocks of 1, 2 and 4 steps.
            words.extend_to(2);
            words.extend_to(5);
            assert_eq!((words.steps(), words.memory_bytes()), (5, 10 << 20), "{round}");
            assert!(words.step(5).is_empty());
            for step in 0..5 {
                assert_eq!(words.step(step).len(), STEP_WORDS);
                assert!(words.step(step).as_ptr().addr().is_multiple_of(STEP));
                for (at, word) in words.step(step).iter().enumerate() {
                    assert_eq!(
                        word.swap((step * STEP_WORDS + at + 1) as u64, Ordering::Relaxed),
                        0
                    );
                }
            }
            for step in 0..5 {
                let here = |(at, word): (usize, &AtomicU64)| {
                    word.load(Ordering::Relaxed) == (step * STEP_WORDS + at + 1) as u64
                };
                assert!(words.step(step).iter().enumerate().all(here));
            }
            words.clear();
            assert_eq!(words.steps(), 0);
        }
    }
}
