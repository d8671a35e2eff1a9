//! Sorting by bits of hashes, which are spread evenly: each item is put where its first bits ask for, and next to none has to
//! be moved then (Dobosiewicz, "Sorting by distributive partitioning", 1978); in place, as in McIlroy, Bostic and McIlroy,
//! "Engineering radix sort", 1993.

/// Room to work in, kept from one sort to the next.
#[derive(Debug, Default)]
pub(crate) struct Sorting {
    nexts: Vec<u32>,
    ends: Vec<u32>,
}

impl Sorting {
    /// Sorts `items` by their `rank`. `bits` ascend with it, and are those of a hash: with others this is still right, and
    /// as slow as sorting by comparisons.
    ///
    /// # Panics
    /// With 2^32 items or more.
    pub(crate) fn sort<T: Copy, K: Ord>(
        &mut self,
        items: &mut [T],
        bits: impl Fn(&T) -> u64,
        rank: impl Fn(&T) -> K + Copy,
    ) {
        assert!(u32::try_from(items.len()).is_ok(), "fewer items than numbers");
        let first = items.len().max(2).ilog2();
        let home = |item: &T| (bits(item) >> (u64::BITS - first)) as usize;
        self.ends.clear();
        self.ends.resize(1 << first, 0);
        for item in &*items {
            self.ends[home(item)] += 1;
        }
        self.nexts.clear();
        let mut sum = 0;
        for end in &mut self.ends {
            self.nexts.push(sum);
            sum += *end;
            *end = sum;
        }
        for bucket in 0..self.ends.len() {
            // What stands here goes where it belongs, until what comes back belongs here.
            while self.nexts[bucket] < self.ends[bucket] {
                let at = self.nexts[bucket] as usize;
                let belongs = home(&items[at]);
                let next = self.nexts[belongs];
                self.nexts[belongs] += 1;
                items.swap(at, next as usize);
            }
        }
        let mut start = 0;
        for end in &self.ends {
            let end = *end as usize;
            match end - start {
                0 | 1 => {}
                2 if rank(&items[start]) <= rank(&items[start + 1]) => {}
                2 => items.swap(start, start + 1),
                // More than a few are one key that was written often.
                _ => items[start..end].sort_unstable_by_key(rank),
            }
            start = end;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn items_are_sorted_whatever_their_bits(
            words in prop::collection::vec((any::<u64>(), 0..4_u8, 0..5_u64), 0..400),
        ) {
            let items: Vec<(u64, u64, usize)> = words
                .into_iter()
                .enumerate()
                .map(|(number, (word, crowd, age))| {
                    // Spread, crowded at either end, and equal.
                    let bits = match crowd {
                        0 => word,
                        1 => word >> 50,
                        2 => !(word >> 50),
                        _ => 7,
                    };
                    (bits, age, number)
                })
                .collect();
            let (mut ranked, mut sorting) = (items.clone(), Sorting::default());
            sorting.sort(&mut [(3, 0, 0), (1, 0, 0), (2, 0, 0)], |item| item.0, |item| item.0);
            sorting.sort(&mut ranked, |item| item.0, |item| (item.0, item.1));
            prop_assert!(ranked.is_sorted_by_key(|item| (item.0, item.1)));
            ranked.sort_unstable_by_key(|item| item.2);
            prop_assert_eq!(ranked, items);
        }
    }
}
