//! A set of page (or slot) numbers: one bit each, growing with the highest number put in.

/// A set of numbers. Memory: one bit for each number up to the highest.
#[derive(Debug, Default, Clone)]
pub(crate) struct PageSet {
    words: Vec<u64>,
    count: u64,
}

impl PageSet {
    /// Puts `page` in.
    #[inline]
    pub(crate) fn insert(&mut self, page: u32) {
        let at = page as usize / 64;
        if at >= self.words.len() {
            self.words.resize(at + 1, 0);
        }
        let bit = 1 << (page % 64);
        let word = &mut self.words[at];
        self.count += u64::from(*word & bit == 0);
        *word |= bit;
    }

    /// Takes `page` out; true when it was in.
    pub(crate) fn remove(&mut self, page: u32) -> bool {
        let bit = 1 << (page % 64);
        let Some(word) = self.words.get_mut(page as usize / 64) else { return false };
        let was = *word & bit != 0;
        *word &= !bit;
        self.count -= u64::from(was);
        was
    }

    /// True when `page` is in.
    pub(crate) fn contains(&self, page: u32) -> bool {
        self.words.get(page as usize / 64).is_some_and(|word| word & (1 << (page % 64)) != 0)
    }

    /// How many are in.
    pub(crate) fn len(&self) -> u64 {
        self.count
    }

    /// True when none is in.
    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Takes all out; keeps the memory.
    pub(crate) fn clear(&mut self) {
        if self.count > 0 {
            self.words.fill(0);
            self.count = 0;
        }
    }

    /// The lowest number in the set that is at least `from`.
    pub(crate) fn next(&self, from: u32) -> Option<u32> {
        let mut at = from as usize / 64;
        let mut word = self.words.get(at)? & (u64::MAX << (from % 64));
        while word == 0 {
            at += 1;
            word = *self.words.get(at)?;
        }
        Some(at as u32 * 64 + word.trailing_zeros())
    }

    /// All numbers, ascending.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> {
        let mut from = Some(0);
        std::iter::from_fn(move || {
            let page = self.next(from?)?;
            from = page.checked_add(1);
            Some(page)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_a_list() {
        let mut set = PageSet::default();
        let pages = [0, 1, 63, 64, 65, 127, 128, 1000, 4096];
        for page in pages {
            set.insert(page);
            set.insert(page);
        }
        assert_eq!(set.iter().collect::<Vec<_>>(), pages);
        assert_eq!(set.len(), pages.len() as u64);
        assert!(set.contains(64) && !set.contains(66) && !set.contains(1 << 30));
        assert!(set.remove(64) && !set.remove(64) && !set.remove(1 << 30));
        assert_eq!(set.next(64), Some(65));
        assert_eq!(set.next(4097), None);
        set.clear();
        assert!(set.is_empty());
        assert_eq!(set.next(0), None);
    }
}
