//! The keys of a range over all shards of a table: each shard's in their order, merged.

use slotcask_cask::Keydir;
use slotcask_format::mutants;
use slotcask_ordered::{Chunk, Direction, Order};
use std::ops::Bound;
use std::sync::Arc;

/// Keys copied from a shard at first, and at most: copying a leaf costs little more than finding it.
const CHUNK_FIRST: usize = 64;
const CHUNK_MAX: usize = 512;
/// Keys merged at first, and at most. A short scan does not pay for a long one.
const MERGED_FIRST: usize = 8;
const MERGED_MAX: usize = 256;

/// The order of a table on one shard.
#[derive(Debug, Clone)]
pub enum Source {
    /// Of a fixed table.
    Fixed(Arc<Order>),
    /// Of a cask table: beside its keydir.
    Cask(Arc<Keydir>),
}

impl Source {
    fn order(&self) -> Option<&Order> {
        match self {
            Self::Fixed(order) => Some(order),
            Self::Cask(keydir) => keydir.order(),
        }
    }
}

/// One shard's keys, some of them at a time.
#[derive(Debug)]
struct Stream {
    shard: usize,
    source: Source,
    /// The keys from `low` to `high` are still to be merged.
    chunk: Chunk,
    low: usize,
    high: usize,
    /// Keys to copy the next time; 0 when there are no more.
    next: usize,
}

/// A key of the scan.
#[derive(Debug, Clone, Copy)]
pub struct Hit<'a> {
    pub shard: usize,
    pub key: &'a [u8],
    /// Slot in a fixed table.
    pub slot: Option<u32>,
    /// Its value may vanish; known of cask tables.
    pub mark: bool,
}

/// Where a scan stands.
#[derive(Debug)]
pub(crate) struct Cursor {
    streams: Vec<Stream>,
    from: Bound<Vec<u8>>,
    to: Bound<Vec<u8>>,
    direction: Direction,
    /// The next keys of all streams in their order: numbers of the stream and of the key in its chunk.
    merged: Vec<(u32, u32)>,
    /// One more than the number, in `merged`, of the key that the scan stands at.
    at: usize,
    /// Keys to merge the next time.
    next: usize,
    /// The words by which the streams' next keys are compared; room that is kept.
    words: Vec<u64>,
}

impl Cursor {
    pub(crate) fn new(
        sources: Vec<(usize, Source)>,
        from: Bound<Vec<u8>>,
        to: Bound<Vec<u8>>,
    ) -> Self {
        let stream = |(shard, source): (usize, Source)| {
            let chunk = source.order().map(Order::chunk).unwrap_or_default();
            Stream { shard, source, chunk, low: 0, high: 0, next: CHUNK_FIRST }
        };
        Self {
            streams: sources.into_iter().map(stream).collect(),
            from,
            to,
            direction: Direction::Ascending,
            merged: Vec::new(),
            at: 0,
            next: MERGED_FIRST,
            words: Vec::new(),
        }
    }

    /// Begins anew, at the other end.
    pub(crate) fn turn(&mut self) {
        self.direction = match self.direction {
            Direction::Ascending => Direction::Descending,
            Direction::Descending => Direction::Ascending,
        };
        self.restart();
    }

    /// Begins anew, behind `key` in the direction of the scan.
    pub(crate) fn skip_to(&mut self, key: &[u8]) {
        let is_inside = match self.direction {
            Direction::Ascending => self.from.as_ref().map(|from| from.as_slice() <= key),
            Direction::Descending => self.to.as_ref().map(|to| to.as_slice() >= key),
        };
        // A key before the range does not make it longer.
        if let Bound::Included(false) | Bound::Excluded(false) = is_inside {
            return;
        }
        let behind = Bound::Excluded(key.to_vec());
        match self.direction {
            Direction::Ascending => self.from = behind,
            Direction::Descending => self.to = behind,
        }
        self.restart();
    }

    fn restart(&mut self) {
        self.merged.clear();
        (self.at, self.next) = (0, MERGED_FIRST);
        for stream in &mut self.streams {
            stream.chunk.clear();
            (stream.low, stream.high, stream.next) = (0, 0, CHUNK_FIRST);
        }
    }

    /// Goes to the next key; false when there is none.
    #[inline]
    pub(crate) fn advance(&mut self) -> bool {
        if self.at == self.merged.len() {
            self.merge();
            if self.merged.is_empty() {
                return false;
            }
        }
        self.at += 1;
        true
    }

    /// The key that the scan stands at.
    ///
    /// # Panics
    /// When it stands at none.
    #[inline]
    pub(crate) fn hit(&self) -> Hit<'_> {
        self.hit_of(self.at - 1)
    }

    /// The key that the scan stands at, without what belongs to it.
    ///
    /// # Panics
    /// When it stands at none.
    #[inline]
    pub(crate) fn key(&self) -> &[u8] {
        let (stream, at) = self.merged[self.at - 1];
        self.streams[stream as usize].chunk.keys.get(at as usize)
    }

    /// Number of the key that the scan stands at, among those that were merged together.
    #[inline]
    pub(crate) fn number(&self) -> usize {
        self.at - 1
    }

    /// A key some steps ahead, if the scan knows it already.
    #[inline]
    pub(crate) fn ahead(&self, steps: usize) -> Option<Hit<'_>> {
        let at = self.at + steps - 1;
        (at < self.merged.len()).then(|| self.hit_of(at))
    }

    /// True at the first of the keys that were merged together: none of them has been seen by `ahead`.
    #[inline]
    pub(crate) fn is_fresh(&self) -> bool {
        self.at == 1
    }

    #[inline]
    fn hit_of(&self, at: usize) -> Hit<'_> {
        let (stream, at) = self.merged[at];
        let Stream { shard, chunk, .. } = &self.streams[stream as usize];
        let at = at as usize;
        let slot = chunk.slots.get(at).copied();
        Hit { shard: *shard, key: chunk.keys.get(at), slot, mark: chunk.is_marked(at) }
    }

    /// Merges some keys of the streams; none when there are none.
    fn merge(&mut self) {
        self.merged.clear();
        self.at = 0;
        for number in 0..self.streams.len() {
            self.fill(number);
        }
        let max = self.next;
        self.next = (max * 4).min(MERGED_MAX);
        let Self { streams, merged, words, direction, .. } = self;
        match streams.as_mut_slice() {
            [] => return,
            [stream] => {
                for _ in 0..max.min(stream.high - stream.low) {
                    merged.push((0, stream.take(*direction)));
                }
                return;
            }
            _ => {}
        }
        // What all keys begin with decides nothing: the word behind it is compared first.
        let same = same_len(streams);
        words.clear();
        words.extend(streams.iter().map(|stream| stream.word(*direction, same)));
        while merged.len() < max {
            let Some(best) = first_of(streams, words, *direction) else { return };
            let stream = &mut streams[best];
            merged.push((best as u32, stream.take(*direction)));
            words[best] = stream.word(*direction, same);
            // The next key of a stream that is to be filled again is not known.
            if stream.low == stream.high && stream.next > 0 {
                return;
            }
        }
    }

    /// Copies the keys behind those that a stream has, if all of them were merged.
    fn fill(&mut self, number: usize) {
        let stream = &mut self.streams[number];
        if stream.low < stream.high || stream.next == 0 {
            return;
        }
        let Some(order) = stream.source.order() else { return };
        let last = match self.direction {
            Direction::Ascending => stream.chunk.len().checked_sub(1),
            Direction::Descending => (!stream.chunk.is_empty()).then_some(0),
        };
        let last = last.map(|last| stream.chunk.keys.get(last).to_vec());
        let (mut from, mut to) = (borrowed(&self.from), borrowed(&self.to));
        if let Some(last) = &last {
            match self.direction {
                Direction::Ascending => from = Bound::Excluded(last),
                Direction::Descending => to = Bound::Excluded(last),
            }
        }
        stream.chunk.clear();
        order.read(from, to, self.direction, stream.next, &mut stream.chunk);
        (stream.low, stream.high) = (0, stream.chunk.len());
        if last.is_some() && stream.high > 0 && mutants::active("scan_skips_a_key") {
            stream.low = 1;
        }
        stream.next = match stream.chunk.len() {
            len if len < stream.next => 0,
            len => (len * 4).min(CHUNK_MAX),
        };
    }
}

impl Stream {
    /// Number of the key that comes next, of which there is one.
    #[inline]
    fn head(&self, direction: Direction) -> usize {
        match direction {
            Direction::Ascending => self.low,
            Direction::Descending => self.high - 1,
        }
    }

    /// Leaves the next key behind; gives its number.
    #[inline]
    fn take(&mut self, direction: Direction) -> u32 {
        let at = self.head(direction);
        match direction {
            Direction::Ascending => self.low += 1,
            Direction::Descending => self.high -= 1,
        }
        at as u32
    }

    /// What the next key is compared by: the less, the sooner it comes. The greatest when there is none.
    #[inline]
    fn word(&self, direction: Direction, same: usize) -> u64 {
        if self.low == self.high {
            return u64::MAX;
        }
        let word = word_of(&self.chunk.keys.get(self.head(direction))[same..]);
        match direction {
            Direction::Ascending => word,
            Direction::Descending => !word,
        }
    }
}

/// The stream whose key comes next; none when all have come.
#[inline]
fn first_of(streams: &[Stream], words: &[u64], direction: Direction) -> Option<usize> {
    let (mut best, mut least, mut ties) = (0, words[0], false);
    for (number, word) in words.iter().enumerate().skip(1) {
        // Without branches: which stream is next cannot be foreseen.
        ties = (ties & (*word >= least)) | (*word == least);
        best = if *word < least { number } else { best };
        least = least.min(*word);
    }
    if ties || least == u64::MAX {
        first_of_equals(streams, words, least, direction)
    } else {
        Some(best)
    }
}

#[cold]
fn first_of_equals(
    streams: &[Stream],
    words: &[u64],
    least: u64,
    direction: Direction,
) -> Option<usize> {
    let key = |number: &usize| {
        let stream = &streams[*number];
        stream.chunk.keys.get(stream.head(direction))
    };
    let equals = (0..streams.len())
        .filter(|number| words[*number] == least && streams[*number].low < streams[*number].high);
    match direction {
        Direction::Ascending => equals.min_by(|a, b| key(a).cmp(key(b))),
        Direction::Descending => equals.max_by(|a, b| key(a).cmp(key(b))),
    }
}

/// Bytes that all keys still to be merged begin with.
fn same_len(streams: &[Stream]) -> usize {
    let mut first: Option<&[u8]> = None;
    let mut same = usize::MAX;
    for stream in streams {
        let keys = &stream.chunk.keys;
        if stream.low == stream.high {
            continue;
        }
        for key in [keys.get(stream.low), keys.get(stream.high - 1)] {
            let first = *first.get_or_insert(key);
            same = same.min(first.iter().zip(key).take_while(|(a, b)| a == b).count());
        }
    }
    if first.is_some() { same } else { 0 }
}

/// The first eight bytes as a number of the same order; zeros stand for what is not there.
#[inline]
fn word_of(bytes: &[u8]) -> u64 {
    let word = |bytes: &[u8; 8]| u64::from_le_bytes(*bytes).swap_bytes();
    match bytes.first_chunk() {
        Some(bytes) => word(bytes),
        None => {
            let mut padded = [0; 8];
            padded[..bytes.len()].copy_from_slice(bytes);
            word(&padded)
        }
    }
}

fn borrowed(bound: &Bound<Vec<u8>>) -> Bound<&[u8]> {
    bound.as_ref().map(Vec::as_slice)
}
