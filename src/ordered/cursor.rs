//! The keys of a range over all shards of a table: each shard's in their order, merged.

use slotcask_cask::Keydir;
use slotcask_format::mutants;
use slotcask_ordered::{Chunk, Direction, Order, compare};
use std::cmp::Ordering;
use std::ops::Bound;
use std::sync::Arc;

/// Keys copied from a shard at first, and at most. A short scan does not pay for a long one.
const CHUNK_FIRST: usize = 16;
const CHUNK_MAX: usize = 256;

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
    chunk: Chunk,
    at: usize,
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
    /// The stream whose key was given last.
    given: Option<usize>,
}

impl Cursor {
    pub(crate) fn new(
        sources: Vec<(usize, Source)>,
        from: Bound<Vec<u8>>,
        to: Bound<Vec<u8>>,
    ) -> Self {
        let stream = |(shard, source): (usize, Source)| {
            let chunk = source.order().map(Order::chunk).unwrap_or_default();
            Stream { shard, source, chunk, at: 0, next: CHUNK_FIRST }
        };
        let streams = sources.into_iter().map(stream).collect();
        Self { streams, from, to, direction: Direction::Ascending, given: None }
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
        self.given = None;
        for stream in &mut self.streams {
            stream.chunk.clear();
            (stream.at, stream.next) = (0, CHUNK_FIRST);
        }
    }

    /// The next key.
    pub(crate) fn next(&mut self) -> Option<Hit<'_>> {
        match self.given.take() {
            Some(given) => {
                self.streams[given].at += 1;
                self.fill(given);
            }
            None => (0..self.streams.len()).for_each(|stream| self.fill(stream)),
        }
        let mut best: Option<(usize, &[u8])> = None;
        let wanted = match self.direction {
            Direction::Ascending => Ordering::Less,
            Direction::Descending => Ordering::Greater,
        };
        for (number, stream) in self.streams.iter().enumerate() {
            let Some(key) = stream.head() else { continue };
            if best.is_none_or(|(_, best)| compare(key, best) == wanted) {
                best = Some((number, key));
            }
        }
        let (number, _) = best?;
        self.given = Some(number);
        let Stream { shard, chunk, at, .. } = &self.streams[number];
        let slot = chunk.slots.get(*at).copied();
        Some(Hit { shard: *shard, key: chunk.keys.get(*at), slot, mark: chunk.marks[*at] })
    }

    /// Copies more keys if a stream has none left.
    fn fill(&mut self, number: usize) {
        let stream = &mut self.streams[number];
        if stream.at < stream.chunk.len() || stream.next == 0 {
            return;
        }
        let Some(order) = stream.source.order() else { return };
        let last = stream.chunk.len().checked_sub(1);
        let last = last.map(|last| stream.chunk.keys.get(last).to_vec());
        let (mut from, mut to) = (borrowed(&self.from), borrowed(&self.to));
        if let Some(last) = &last {
            match self.direction {
                Direction::Ascending => from = Bound::Excluded(last),
                Direction::Descending => to = Bound::Excluded(last),
            }
        }
        stream.chunk.clear();
        stream.at = 0;
        order.read(from, to, self.direction, stream.next, &mut stream.chunk);
        if last.is_some() && mutants::active("scan_skips_a_key") {
            stream.at = 1;
        }
        stream.next = match stream.chunk.len() {
            len if len < stream.next => 0,
            len => (len * 4).min(CHUNK_MAX),
        };
    }
}

impl Stream {
    fn head(&self) -> Option<&[u8]> {
        (self.at < self.chunk.len()).then(|| self.chunk.keys.get(self.at))
    }
}

fn borrowed(bound: &Bound<Vec<u8>>) -> Bound<&[u8]> {
    bound.as_ref().map(Vec::as_slice)
}
