//! A row of byte strings in one piece of memory.

use slotcask_io::prefetch;
use std::cmp::Ordering;
use std::ops::Range;

/// Keys one behind the other. Where all have one length no offsets are kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keys {
    bytes: Vec<u8>,
    /// Where each key ends; empty where all have one length.
    ends: Vec<u32>,
    /// Length of every key; 0 where they differ.
    width: u32,
}

/// Order of two keys: that of their bytes.
#[must_use]
#[inline]
pub fn compare(a: &[u8], b: &[u8]) -> Ordering {
    // Most comparisons are decided by the first word, without a call.
    if let (Some(a), Some(b)) = (a.first_chunk(), b.first_chunk()) {
        let word = |bytes: &[u8; 8]| u64::from_le_bytes(*bytes).swap_bytes();
        let (a, b) = (word(a), word(b));
        if a != b {
            return a.cmp(&b);
        }
    }
    a.cmp(b)
}

impl Keys {
    /// No keys. All will have `width` bytes, or any number of them if it is 0.
    #[must_use]
    pub const fn new(width: usize) -> Self {
        Self { bytes: Vec::new(), ends: Vec::new(), width: width as u32 }
    }

    /// Number of keys.
    #[must_use]
    #[inline]
    pub const fn len(&self) -> usize {
        if self.width == 0 { self.ends.len() } else { self.bytes.len() / self.width as usize }
    }

    /// True without keys.
    #[must_use]
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Key number `at`.
    ///
    /// # Panics
    /// When there are not so many.
    #[must_use]
    #[inline]
    pub fn get(&self, at: usize) -> &[u8] {
        let (start, end) = (self.start(at), self.start(at + 1));
        &self.bytes[start..end]
    }

    /// Where key number `at` begins; the end of all for the number behind the last.
    #[inline]
    fn start(&self, at: usize) -> usize {
        match (self.width, at) {
            (0, 0) => 0,
            (0, at) => self.ends[at - 1] as usize,
            (width, at) => width as usize * at,
        }
    }

    /// All keys.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len()).map(|at| self.get(at))
    }

    /// Asks for the memory of all keys at once: a search would wait for one piece after the other.
    #[inline]
    pub(crate) fn prefetch(&self) {
        prefetch_all(&self.bytes);
        prefetch_all(&self.ends);
    }

    /// Makes room for some keys, if all have one length.
    pub(crate) fn reserve(&mut self, count: usize) {
        self.bytes.reserve(count * self.width as usize);
    }

    /// Appends a key. All keys together may have 4 GiB.
    ///
    /// # Panics
    /// When they have more.
    pub fn push(&mut self, key: &[u8]) {
        debug_assert!(self.width == 0 || key.len() == self.width as usize);
        self.bytes.extend_from_slice(key);
        if self.width == 0 {
            self.ends.push(u32::try_from(self.bytes.len()).expect("keys of 4 GiB at most"));
        }
    }

    /// Takes all keys out.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    /// Puts a key at `at`, before the one that stands there.
    pub(crate) fn insert(&mut self, at: usize, key: &[u8]) {
        debug_assert!(self.width == 0 || key.len() == self.width as usize);
        let (start, old_len) = (self.start(at), self.bytes.len());
        grow(&mut self.bytes, key.len());
        self.bytes.resize(old_len + key.len(), 0);
        self.bytes.copy_within(start..old_len, start + key.len());
        self.bytes[start..start + key.len()].copy_from_slice(key);
        if self.width == 0 {
            grow(&mut self.ends, 1);
            self.ends.insert(at, start as u32);
            for end in &mut self.ends[at..] {
                *end += key.len() as u32;
            }
        }
    }

    pub(crate) fn remove(&mut self, at: usize) {
        let (start, end) = (self.start(at), self.start(at + 1));
        self.bytes.drain(start..end);
        if self.width == 0 {
            self.ends.remove(at);
            for later in &mut self.ends[at..] {
                *later -= (end - start) as u32;
            }
        }
        shrink(&mut self.bytes);
        shrink(&mut self.ends);
    }

    /// Takes out the keys from `at` on.
    pub(crate) fn split_off(&mut self, at: usize) -> Self {
        let start = self.start(at);
        let bytes = self.bytes.split_off(start);
        let mut ends = Vec::new();
        if self.width == 0 {
            ends = self.ends.split_off(at);
            for end in &mut ends {
                *end -= start as u32;
            }
        }
        shrink(&mut self.bytes);
        shrink(&mut self.ends);
        Self { bytes, ends, width: self.width }
    }

    /// Appends the keys `range` of `other`, which have the same width.
    pub(crate) fn append(&mut self, other: &Self, range: Range<usize>) {
        debug_assert_eq!(self.width, other.width);
        let (first, last) = (other.start(range.start), other.start(range.end));
        let here = self.bytes.len() as u32;
        self.bytes.extend_from_slice(&other.bytes[first..last]);
        if self.width == 0 {
            let shifted = |end: &u32| end - first as u32 + here;
            self.ends.extend(other.ends[range].iter().map(shifted));
        }
    }

    /// Makes room for the keys of `other`, and no more.
    pub(crate) fn reserve_exact(&mut self, other: &Self) {
        self.bytes.reserve_exact(other.bytes.len());
        self.ends.reserve_exact(other.ends.len());
    }

    /// How many keys, from the first on, are less than `key`, or not greater if `inclusive`. The keys ascend.
    #[inline]
    pub(crate) fn rank(&self, key: &[u8], inclusive: bool) -> usize {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = usize::midpoint(low, high);
            match compare(self.get(middle), key) {
                Ordering::Less => low = middle + 1,
                Ordering::Equal if inclusive => low = middle + 1,
                _ => high = middle,
            }
        }
        low
    }

    /// Bytes of all keys.
    #[must_use]
    pub const fn bytes_len(&self) -> usize {
        self.bytes.len()
    }

    /// Bytes of memory beside the struct.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.bytes.capacity() + self.ends.capacity() * size_of::<u32>()
    }

    pub(crate) fn shrink(&mut self) {
        self.bytes.shrink_to_fit();
        self.ends.shrink_to_fit();
    }
}

/// Asks for the cache lines of some items, up to 2 KiB of them.
#[inline]
pub(crate) fn prefetch_all<T>(items: &[T]) {
    const { assert!(size_of::<T>() <= 64) };
    for line in items.chunks(64 / size_of::<T>()).take(32) {
        prefetch(&line[0]);
    }
}

/// Room for `count` more, an eighth of what is there at a time: leaves are many, and doubling would waste a quarter of them.
pub(crate) fn grow<T>(items: &mut Vec<T>, count: usize) {
    if items.capacity() - items.len() < count {
        items.reserve_exact(count.max(items.len() / 8));
    }
}

/// Gives memory back when a third of it is unused.
pub(crate) fn shrink<T>(items: &mut Vec<T>) {
    if items.capacity() > items.len() + items.len() / 2 + 16 {
        items.shrink_to(items.len() + items.len() / 8);
    }
}

/// The shortest key that is greater than `below` and not greater than `at`, which is greater than `below`.
pub(crate) fn separator<'a>(below: &[u8], at: &'a [u8]) -> &'a [u8] {
    let same = below.iter().zip(at).take_while(|(a, b)| a == b).count();
    &at[..(same + 1).min(at.len())]
}
