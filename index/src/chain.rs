//! The one writer: entries of the index.
//!
//! A chain is a bucket and the overflow buckets behind it. Invariants, between two calls:
//!  - all buckets of a chain but the last are full (11 entries and a link);
//!  - the last overflow bucket holds at least two entries, else they would have a place in front of it.

use crate::bucket::{Bucket, LINK_PLACE, PLACES, tag_of};
use crate::copy;
use crate::sync::Ordering;
use crate::writer::SlotWriter;

impl SlotWriter {
    /// Adds an entry for a slot, whose key the caller knows not to be in the index. Work is bounded: one bucket, and
    /// at most two buckets are split.
    ///
    /// # Panics
    /// When the slot was not handed out.
    pub fn insert(&mut self, hash: u64, slot: u32) {
        self.slot(slot).remember(&self.shared.geometry, hash);
        self.add_entry(hash, slot);
        self.grow();
    }

    /// Adds an entry, without growth.
    pub(crate) fn add_entry(&mut self, hash: u64, slot: u32) {
        let number = self.bucket_number(hash);
        self.bucket(number).begin();
        self.push(number, tag_of(hash), slot);
        self.bucket(number).end();
        let len = &self.shared.counters.len;
        len.store(len.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    /// As [`add_entry`](Self::add_entry), unless the index has the key: then the slot that it has for it. Nobody reads meanwhile.
    #[inline]
    pub(crate) fn add_unless_known(&mut self, hash: u64, slot: u32, key: &[u8]) -> Option<u32> {
        let (number, tag) = (self.bucket_number(hash), tag_of(hash));
        let mut at = None;
        let place = loop {
            let bucket = self.at(number, at);
            let tags = bucket.tags();
            for place in tags.places_of(tag) {
                let other = bucket.slot(place);
                let words = self.slot(other).words;
                if copy::is_equal(&words[self.shared.geometry.key_word..], key) {
                    return Some(other);
                }
            }
            match bucket.link() {
                Some(link) => at = Some(link),
                None => break tags.free_place(),
            }
        };
        let head = self.bucket(number);
        head.begin();
        match place {
            Some(place) => self.at(number, at).set(place, tag, slot),
            None => self.push(number, tag, slot),
        }
        self.bucket(number).end();
        let len = &self.shared.counters.len;
        len.store(len.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        None
    }

    /// Removes the entry for a slot. False when there was none.
    pub fn remove(&mut self, hash: u64, slot: u32) -> bool {
        let number = self.bucket_number(hash);
        let Some((at, place)) = self.locate(number, tag_of(hash), slot) else { return false };
        self.bucket(number).begin();
        self.take(number, at, place);
        self.bucket(number).end();
        let len = &self.shared.counters.len;
        len.store(len.load(Ordering::Relaxed) - 1, Ordering::Relaxed);
        true
    }

    fn bucket_number(&self, hash: u64) -> u32 {
        self.shared.bucket_count.extent(Ordering::Relaxed).bucket_of(hash)
    }

    pub(crate) fn bucket(&self, number: u32) -> &Bucket {
        &self.shared.memory.buckets()[number as usize]
    }

    pub(crate) fn overflow(&self, number: u32) -> &Bucket {
        &self.shared.memory.overflow()[number as usize]
    }

    /// The bucket behind `at` in the chain of bucket `head`.
    fn at(&self, head: u32, at: Option<u32>) -> &Bucket {
        at.map_or_else(|| self.bucket(head), |number| self.overflow(number))
    }

    /// Where an entry is: in an overflow bucket or the head, and in which place.
    fn locate(&self, head: u32, tag: u8, slot: u32) -> Option<(Option<u32>, usize)> {
        let mut at = None;
        loop {
            let bucket = self.at(head, at);
            for place in bucket.tags().places_of(tag) {
                if bucket.slot(place) == slot {
                    return Some((at, place));
                }
            }
            at = Some(bucket.link()?);
        }
    }

    /// Adds an entry to a chain that is in change.
    pub(crate) fn push(&mut self, head: u32, tag: u8, slot: u32) {
        let mut at = None;
        loop {
            let bucket = self.at(head, at);
            if let Some(place) = bucket.free_place() {
                bucket.set(place, tag, slot);
                return;
            }
            if let Some(link) = bucket.link() {
                at = Some(link);
                continue;
            }
            let number = self.new_overflow();
            let (bucket, overflow) = (self.at(head, at), self.overflow(number));
            overflow.clear();
            overflow.set(0, bucket.tags().tag(LINK_PLACE), bucket.slot(LINK_PLACE));
            overflow.set(1, tag, slot);
            bucket.set_link(number);
            return;
        }
    }

    /// Takes an entry out of a chain that is in change, and fills the hole from the chain's last bucket.
    fn take(&mut self, head: u32, at: Option<u32>, place: usize) {
        let (mut parent, mut last) = (None, None);
        while let Some(link) = self.at(head, last).link() {
            (parent, last) = (last, Some(link));
        }
        let last_bucket = self.at(head, last);
        if at == last {
            last_bucket.clear_place(place);
        } else {
            let tags = last_bucket.tags();
            let from = tags.entries().next().expect("an overflow bucket is not empty");
            self.at(head, at).set(place, tags.tag(from), last_bucket.slot(from));
            last_bucket.clear_place(from);
        }
        let Some(overflow) = last else { return };
        let tags = last_bucket.tags();
        let mut entries = tags.entries();
        let (first, second) = (entries.next(), entries.next());
        if second.is_some() {
            return;
        }
        let parent_bucket = self.at(head, parent);
        let first = first.expect("an overflow bucket had two entries or more");
        parent_bucket.set(LINK_PLACE, tags.tag(first), last_bucket.slot(first));
        self.overflow_free.push(overflow);
    }

    fn new_overflow(&mut self) -> u32 {
        if let Some(number) = self.overflow_free.pop() {
            return number;
        }
        let number = self.overflow_next;
        self.overflow_next += 1;
        let touched = &self.shared.counters.overflow_touched;
        if self.overflow_next > touched.load(Ordering::Relaxed) {
            touched.store(self.overflow_next, Ordering::Relaxed);
            self.shared.advise_overflow();
        }
        number
    }

    /// Moves all entries of a chain into `out`, and its overflow buckets to the free ones. The head is in change, and empty then.
    pub(crate) fn drain(&mut self, head: u32, out: &mut Vec<(u8, u32)>) {
        let mut at = None;
        loop {
            let bucket = self.at(head, at);
            let tags = bucket.tags();
            out.extend(tags.entries().map(|place| (tags.tag(place), bucket.slot(place))));
            let link = bucket.link();
            if let Some(number) = at {
                self.overflow_free.push(number);
            }
            match link {
                Some(_) => at = link,
                None => break,
            }
        }
        self.bucket(head).clear();
    }

    /// Counts the entries of a chain, and checks its invariants.
    #[cfg(all(test, not(loom)))]
    pub(crate) fn check_chain(&self, head: u32) -> usize {
        let (mut at, mut count) = (None, 0);
        loop {
            let bucket = self.at(head, at);
            let entries = bucket.tags().entries().count();
            count += entries;
            match bucket.link() {
                Some(link) => {
                    assert_eq!(entries, PLACES - 1);
                    at = Some(link);
                }
                None => {
                    assert!(at.is_none() || entries >= 2);
                    return count;
                }
            }
        }
    }
}

const _: () = assert!(PLACES == LINK_PLACE + 1);
