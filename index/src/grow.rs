//! The one writer: more buckets, and none.

use crate::mapping::{BUCKETS_MIN, bucket_of, is_growth_due, parent_of};
use crate::prefetch;
use crate::sync::Ordering;
use crate::writer::SlotWriter;

/// Buckets that one insert splits at most. One split makes room for almost six entries.
const SPLITS_MAX: usize = 2;

impl SlotWriter {
    /// Splits buckets as far as it is due.
    pub(crate) fn grow(&mut self) {
        for _ in 0..SPLITS_MAX {
            let count = self.shared.bucket_count.load(Ordering::Relaxed);
            let entries = self.shared.counters.len.load(Ordering::Relaxed);
            if !is_growth_due(entries, count) {
                self.prefetch_split(count);
                return;
            }
            self.split(count);
        }
    }

    /// Adds bucket number `count`, and moves entries to it from the only bucket that has any for it.
    ///
    /// Both are in change until the new count is public: a reader with the old count finds its bucket's version changed, or, if
    /// it came late, that the count leads elsewhere; one with the new count waits for the new bucket.
    fn split(&mut self, count: u32) {
        let parent = parent_of(count);
        let mut entries = std::mem::take(&mut self.split);
        let geometry = self.shared.geometry;
        self.touch_bucket(count);
        self.bucket(parent).begin();
        self.bucket(count).begin();
        self.drain(parent, &mut entries);
        self.bucket(count).clear();
        let bit = 1 << count.ilog2();
        for (tag, slot) in entries.drain(..) {
            let place = self.shared.slot(slot).place(&geometry);
            let to = if place & bit == 0 { parent } else { count };
            self.push(to, tag, slot);
        }
        self.shared.bucket_count.store(count + 1, Ordering::Release);
        self.bucket(count).end();
        self.bucket(parent).end();
        self.split = entries;
        prefetch::line(self.bucket(parent_of(count + 1)));
    }

    /// Asks for the slots whose hashes the next split needs, some inserts before it comes.
    #[inline]
    fn prefetch_split(&mut self, count: u32) {
        if self.split_prefetched == count {
            return;
        }
        self.split_prefetched = count;
        let bucket = self.bucket(parent_of(count));
        for place in bucket.tags().entries() {
            prefetch::line(&self.shared.slot(bucket.slot(place)).words[0]);
        }
    }

    /// Notes that a bucket is used.
    pub(crate) fn touch_bucket(&self, number: u32) {
        let touched = &self.shared.counters.buckets_touched;
        if number >= touched.load(Ordering::Relaxed) {
            touched.store(number + 1, Ordering::Relaxed);
            self.shared.advise_buckets();
        }
    }

    /// Empties the index, and takes all slots back: [`extend`](SlotWriter::extend) hands them out again from 0, wiped. It
    /// takes the same short time for any number of keys: what is left in buckets and slots is out of reach, and is overwritten when its turn comes.
    pub fn clear(&mut self) {
        let shared = &*self.shared;
        // The first buckets are in change while the count falls, so that who reads them sees all or nothing.
        for number in 0..BUCKETS_MIN {
            self.bucket(number).begin();
            self.bucket(number).clear();
        }
        shared.bucket_count.store(BUCKETS_MIN, Ordering::Release);
        shared.counters.slot_count.store(0, Ordering::Release);
        shared.counters.len.store(0, Ordering::Relaxed);
        for number in 0..BUCKETS_MIN {
            self.bucket(number).end();
        }
        self.overflow_free.clear();
        self.overflow_next = 0;
        self.split_prefetched = 0;
    }

    /// Starts an empty index with this many buckets.
    pub(crate) fn presize(&mut self, bucket_count: u32) {
        let shared = &*self.shared;
        assert!(shared.counters.len.load(Ordering::Relaxed) == 0);
        let before = shared.bucket_count.load(Ordering::Relaxed);
        let touched = shared.counters.buckets_touched.load(Ordering::Relaxed);
        // Buckets of a life before `clear`. They are out of reach until the count is public.
        for number in before..bucket_count.min(touched) {
            self.bucket(number).begin();
            self.bucket(number).clear();
            self.bucket(number).end();
        }
        if bucket_count > before {
            self.touch_bucket(bucket_count - 1);
            shared.bucket_count.store(bucket_count, Ordering::Release);
        }
        debug_assert!(bucket_of(u64::MAX, bucket_count) < bucket_count);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use crate::{SlotMeta, TableOptions, slot_table};
    use slotcask_format::slot::{SlotKind, SlotLayout};

    const META: SlotMeta = SlotMeta { sequence: 1, epoch: 1, kind: SlotKind::Live, deadline_ms: 0 };

    /// Hashes of which many fall into few buckets, so that chains grow long, shrink and are split.
    fn clustered(key: u32) -> u64 {
        let mixed = u64::from(key).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        if key.is_multiple_of(3) { mixed } else { mixed & !0xff_ff00 }
    }

    #[test]
    fn chains_keep_their_invariants() {
        const SLOTS: u32 = 3000;
        let layout = SlotLayout::new(4, 0, false);
        let options = TableOptions { slot_max: SLOTS, huge_pages: false };
        let mut writer = slot_table(layout, options).expect("there is memory");
        writer.extend(SLOTS).expect("the table holds as many");
        let mut is_in = vec![false; SLOTS as usize];
        let mut state = 3_u64;
        for step in 0..40_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let slot = (state >> 33) as u32 % SLOTS;
            let hash = clustered(slot);
            let entry = &mut is_in[slot as usize];
            // Fills for a while, then empties for a while.
            let is_filling = step / 8000 % 2 == 0;
            if *entry && (!is_filling || state.is_multiple_of(5)) {
                assert!(writer.remove(hash, slot));
                *entry = false;
            } else if !*entry && is_filling {
                assert!(!writer.remove(hash, slot));
                writer.write(slot, META, &slot.to_le_bytes(), &[]);
                writer.insert(hash, slot);
                *entry = true;
            }
            if step % 500 == 0 {
                let expected = is_in.iter().filter(|&&is_in| is_in).count();
                let count = writer.shared.bucket_count.load(crate::sync::Ordering::Relaxed);
                let found: usize = (0..count).map(|head| writer.check_chain(head)).sum();
                assert_eq!((found, writer.shared.len()), (expected, expected as u64));
                for slot in 0..SLOTS {
                    let found = writer.find(clustered(slot), &slot.to_le_bytes());
                    assert_eq!(found.map(|(at, _)| at), is_in[slot as usize].then_some(slot));
                }
            }
        }
    }
}
