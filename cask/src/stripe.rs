//! A part of a keydir: an ordered hash table (Amble and Knuth, "Ordered hash tables", 1974).
//!
//! Invariants
//!  - entries ascend by their stored bits over the whole array, empty places left out;
//!  - an entry stands at its home or behind it, and no place between is empty.
//!
//! The home of an entry ascends with its stored bits, so both hold together; a search ends at the first larger
//! entry, and rebuilding is one pass.

use crate::location::Location;

/// One key: 64 bits of its hash, and where its record stands; 0 for an empty place.
#[derive(Debug, Clone, Copy, Default)]
struct Entry {
    stored: u64,
    place: u64,
}

/// Entries for each 8 homes before the stripe grows.
const FULL: usize = 7;
/// Homes are multiplied by five quarters then.
const GROWTH: (usize, usize) = (5, 4);
const HOMES_MIN: usize = 8;
/// Places behind the last home.
const SLACK: usize = 16;

#[derive(Debug, Default)]
pub(crate) struct Stripe {
    entries: Vec<Entry>,
    homes: usize,
    len: usize,
}

impl Stripe {
    #[inline]
    fn home(&self, stored: u64) -> usize {
        home(stored, self.homes)
    }

    /// Where `stored` stands, or where it would have to be inserted.
    #[inline]
    fn search(&self, stored: u64) -> Result<usize, usize> {
        let mut at = self.home(stored);
        while let Some(entry) = self.entries.get(at) {
            if entry.place == 0 || entry.stored > stored {
                return Err(at);
            }
            if entry.stored == stored {
                return Ok(at);
            }
            at += 1;
        }
        Err(at)
    }

    #[inline]
    pub(crate) fn get(&self, stored: u64) -> Option<Location> {
        let at = self.search(stored).ok()?;
        Location::from_bits(self.entries[at].place)
    }

    /// Asks for the memory where a search begins.
    #[inline]
    pub(crate) fn prefetch(&self, stored: u64) {
        if let Some(entry) = self.entries.get(self.home(stored)) {
            slotcask_io::prefetch(entry);
        }
    }

    /// Points to `to`; gives what was pointed to before.
    pub(crate) fn put(&mut self, stored: u64, to: Location) -> Option<Location> {
        match self.search(stored) {
            Ok(at) => {
                let old = std::mem::replace(&mut self.entries[at].place, to.bits());
                Location::from_bits(old)
            }
            Err(at) => {
                self.insert(at, Entry { stored, place: to.bits() });
                None
            }
        }
    }

    fn insert(&mut self, mut at: usize, entry: Entry) {
        if (self.len + 1) * 8 > self.homes * FULL {
            let (times, over) = GROWTH;
            self.rebuild((self.homes * times / over).max(self.homes + HOMES_MIN));
            at = self.search(entry.stored).unwrap_or_else(|at| at);
        }
        let mut empty = at;
        while self.entries.get(empty).is_some_and(|entry| entry.place != 0) {
            empty += 1;
        }
        if empty == self.entries.len() {
            self.entries.push(Entry::default());
        }
        self.entries.copy_within(at..empty, at + 1);
        self.entries[at] = entry;
        self.len += 1;
    }

    pub(crate) fn remove(&mut self, stored: u64) -> Option<Location> {
        let at = self.search(stored).ok()?;
        let old = self.entries[at].place;
        let mut end = at + 1;
        while self
            .entries
            .get(end)
            .is_some_and(|entry| entry.place != 0 && self.home(entry.stored) < end)
        {
            end += 1;
        }
        self.entries.copy_within(at + 1..end, at);
        self.entries[end - 1] = Entry::default();
        self.len -= 1;
        Location::from_bits(old)
    }

    fn rebuild(&mut self, homes: usize) {
        let old = std::mem::take(&mut self.entries);
        let live = old.iter().filter(|entry| entry.place != 0).copied();
        self.fill(homes, live);
    }

    /// Takes entries that ascend.
    fn fill(&mut self, homes: usize, sorted: impl Iterator<Item = Entry>) {
        self.homes = homes;
        self.len = 0;
        let mut entries = Vec::new();
        entries.reserve_exact(homes + SLACK);
        entries.resize(homes, Entry::default());
        let mut next = 0;
        for entry in sorted {
            let at = home(entry.stored, homes).max(next);
            if at >= entries.len() {
                entries.resize(at + 1, Entry::default());
            }
            entries[at] = entry;
            next = at + 1;
            self.len += 1;
        }
        self.entries = entries;
    }

    /// Replaces everything by what ascends by stored bits, each of them once.
    pub(crate) fn load(&mut self, sorted: &[(u64, Location)]) {
        debug_assert!(sorted.is_sorted_by(|a, b| a.0 < b.0));
        let homes = (sorted.len() * 5 / 4 + 1).next_multiple_of(HOMES_MIN);
        let entries =
            sorted.iter().map(|(stored, place)| Entry { stored: *stored, place: place.bits() });
        if sorted.is_empty() {
            *self = Self::default();
        } else {
            self.fill(homes, entries);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.entries.capacity() * size_of::<Entry>()
    }

    pub(crate) fn places(&self) -> impl Iterator<Item = (u64, Location)> + '_ {
        self.entries
            .iter()
            .filter_map(|entry| Some((entry.stored, Location::from_bits(entry.place)?)))
    }

    #[cfg(test)]
    fn check(&self) {
        let mut last = None;
        for (at, entry) in self.entries.iter().enumerate().filter(|(_, entry)| entry.place != 0) {
            assert!(last < Some(entry.stored), "ascending");
            last = Some(entry.stored);
            let home = self.home(entry.stored);
            assert!(home <= at && self.entries[home..at].iter().all(|entry| entry.place != 0));
        }
        assert_eq!(self.places().count(), self.len);
    }
}

#[inline]
fn home(stored: u64, homes: usize) -> usize {
    ((u128::from(stored) * homes as u128) >> 64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn place(number: u64) -> Location {
        Location::new(1 + number, 4096, 64).expect("it fits")
    }

    proptest! {
        #[test]
        fn answers_like_a_map(steps in prop::collection::vec((0..3_u8, 0..80_u64, any::<bool>()), 0..600)) {
            let mut stripe = Stripe::default();
            let mut model = BTreeMap::new();
            for (number, (kind, key, high)) in steps.into_iter().enumerate() {
                // Many keys share a home; some stand at the very end.
                let stored = if high { u64::MAX - key } else { key << 56 };
                let to = place(number as u64);
                match kind {
                    0 => prop_assert_eq!(stripe.remove(stored), model.remove(&stored)),
                    _ => prop_assert_eq!(stripe.put(stored, to), model.insert(stored, to)),
                }
                stripe.check();
                prop_assert_eq!(stripe.get(stored), model.get(&stored).copied());
            }
            let all: Vec<_> = model.into_iter().collect();
            prop_assert_eq!(stripe.places().collect::<Vec<_>>(), all.clone());
            let mut loaded = Stripe::default();
            loaded.load(&all);
            loaded.check();
            prop_assert_eq!(loaded.places().collect::<Vec<_>>(), all);
        }
    }
}
