//! Where the words of a slot are.

use slotcask_format::slot::SlotLayout;

/// Words of the header: version, sequence, epoch with kind.
pub(crate) const HEADER_WORDS: usize = 3;

/// A [`SlotLayout`] in words, made for the hot path.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Geometry {
    pub(crate) key_len: usize,
    pub(crate) value_len: usize,
    pub(crate) key_word: usize,
    pub(crate) value_word: usize,
    pub(crate) slot_words: usize,
    pub(crate) page_words: usize,
    pub(crate) slots_per_page: u32,
    pub(crate) slot_max: u32,
    has_deadline: bool,
    /// 2^63 / slots_per_page, rounded up.
    page_factor: u64,
    /// Low bits of a version word that are the version. The others remember the hash.
    pub(crate) version_mask: u64,
}

impl Geometry {
    /// The geometry of `slot_max` slots whose hashes are told apart by at most `bucket_max` buckets.
    pub(crate) const fn new(layout: &SlotLayout, slot_max: u32, bucket_max: u32) -> Self {
        assert!(layout.slot_size.is_multiple_of(8) && layout.page_size.is_multiple_of(8));
        assert!(layout.key_offset.is_multiple_of(8) && layout.value_offset.is_multiple_of(8));
        let slots_per_page = layout.slots_per_page as u64;
        // What the fields of a slot rely on.
        assert!(layout.slot_size >= 8 * HEADER_WORDS);
        assert!(layout.key_offset + layout.key_len <= layout.slot_size);
        assert!(layout.value_offset + layout.value_len <= layout.slot_size);
        assert!(slots_per_page < 1 << 31);
        Self {
            key_len: layout.key_len,
            value_len: layout.value_len,
            key_word: layout.key_offset / 8,
            value_word: layout.value_offset / 8,
            slot_words: layout.slot_size / 8,
            page_words: layout.page_size / 8,
            slots_per_page: layout.slots_per_page as u32,
            slot_max,
            has_deadline: layout.deadline_offset.is_some(),
            page_factor: (1_u64 << 63).div_ceil(slots_per_page),
            version_mask: u64::MAX >> (u32::BITS - bucket_max.leading_zeros()),
        }
    }

    /// Page of a slot: slot / slots_per_page by a multiplication, which is exact because the factor is too large by less than
    /// one part in 2^63 / slots_per_page, and slot and slots_per_page together have less than 63 bits
    /// (D. Lemire, O. Kaser, N. Kurz, Faster Remainder by Direct Computation, 2019).
    #[inline(always)]
    pub(crate) const fn page_of(&self, slot: u32) -> u32 {
        ((self.page_factor as u128 * (slot as u128 * 2)) >> 64) as u32
    }

    /// First word of a slot, counted from the start of the arena.
    #[inline(always)]
    pub(crate) const fn word_of(&self, slot: u32) -> usize {
        let page = self.page_of(slot);
        let within = slot - page * self.slots_per_page;
        page as usize * self.page_words + within as usize * self.slot_words
    }

    /// Pages that `slot_count` slots take.
    pub(crate) const fn pages_for(&self, slot_count: u32) -> u32 {
        slot_count.div_ceil(self.slots_per_page)
    }

    /// The word that is the deadline, if slots have one.
    #[inline(always)]
    pub(crate) const fn deadline_word(&self) -> Option<usize> {
        if self.has_deadline { Some(HEADER_WORDS) } else { None }
    }

    /// The bits of a version word that remember a hash.
    #[inline]
    pub(crate) const fn hash_bits(&self, hash: u64) -> u64 {
        (crate::mapping::place_of(hash) as u64).wrapping_shl(self.version_mask.count_ones())
    }

    /// What [`hash_bits`](Self::hash_bits) remembered: the low bits of the hash's place.
    #[inline]
    pub(crate) const fn place_in(&self, version_word: u64) -> u32 {
        (version_word >> self.version_mask.count_ones()) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_layout() {
        for (key_len, value_len, deadlines) in [
            (16, 64, false),
            (1, 0, false),
            (8, 8, true),
            (33, 200, true),
            (8, 4096, false),
            (16, 9000, true),
        ] {
            let layout = SlotLayout::new(key_len, value_len, deadlines);
            let geometry = Geometry::new(&layout, u32::MAX, 1 << 29);
            for slot in (0..10_000).chain(u32::MAX - 10_000..u32::MAX) {
                assert_eq!(geometry.page_of(slot), layout.page_of(slot));
                assert_eq!(geometry.word_of(slot) * 8, layout.offset_of(slot));
            }
            assert_eq!(geometry.deadline_word().map(|word| word * 8), layout.deadline_offset);
        }
    }

    #[test]
    fn the_version_word_remembers_enough_of_a_hash() {
        let layout = SlotLayout::new(8, 8, false);
        for bucket_max in [1, 10, 1 << 20, (1 << 20) - 1, u32::MAX / 5] {
            let geometry = Geometry::new(&layout, 100, bucket_max);
            let hash = 0x1234_5678_9abc_def0;
            let word = geometry.hash_bits(hash) | 2;
            let mask = u32::MAX >> bucket_max.leading_zeros();
            assert_eq!(geometry.place_in(word) & mask, crate::mapping::place_of(hash) & mask);
            assert_eq!(word & geometry.version_mask, 2);
        }
    }
}
