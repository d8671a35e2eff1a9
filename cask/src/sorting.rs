//! Sorting by bits of hashes, which are spread evenly: each item is put where its first bits ask for, and next to none has to
//! be moved then (Dobosiewicz, "Sorting by distributive partitioning", 1978).

/// Room to work in, kept from one sort to the next.
#[derive(Debug, Default)]
pub(crate) struct Sorting {
    ends: Vec<usize>,
}

impl Sorting {
    /// Fills `ranked` with `items` by their `rank`. `bits` ascend with it, and are those of a hash: with others this is still right, and
    /// as slow as sorting by comparisons.
    pub(crate) fn sort<T: Copy, K: Ord>(
        &mut self,
        items: &[T],
        ranked: &mut Vec<T>,
        bits: impl Fn(&T) -> u64,
        rank: impl Fn(&T) -> K + Copy,
    ) {
        let first = items.len().max(2).ilog2();
        let home = |item: &T| (bits(item) >> (u64::BITS - first)) as usize;
        self.ends.clear();
        self.ends.resize(1 << first, 0);
        for item in items {
            self.ends[home(item)] += 1;
        }
        let mut sum = 0;
        for end in &mut self.ends {
            sum += std::mem::replace(end, sum);
        }
        ranked.clear();
        ranked.extend_from_slice(items);
        for item in items {
            // Where the next one with these bits goes; when all are placed, where they end.
            let at = &mut self.ends[home(item)];
            ranked[*at] = *item;
            *at += 1;
        }
        let mut start = 0;
        for end in &self.ends {
            match *end - start {
                0 | 1 => {}
                2 if rank(&ranked[start]) <= rank(&ranked[start + 1]) => {}
                2 => ranked.swap(start, start + 1),
                // More than a few are one key that was written often.
                _ => ranked[start..*end].sort_unstable_by_key(rank),
            }
            start = *end;
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
            let (mut ranked, mut sorting) = (vec![], Sorting { ends: vec![5; 3] });
            sorting.sort(&items, &mut ranked, |item| item.0, |item| (item.0, item.1));
            prop_assert!(ranked.is_sorted_by_key(|item| (item.0, item.1)));
            ranked.sort_unstable_by_key(|item| item.2);
            prop_assert_eq!(ranked, items);
        }
    }
}
