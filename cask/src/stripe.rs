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
/// Homes are multiplied by nine eighths then: what is left free costs memory for good, entries moved cost time once.
const GROWTH: (usize, usize) = (9, 8);
const HOMES_MIN: usize = 8;
/// Places behind the last home.
const SLACK: usize = 16;
/// Entries of a chunk, 2 KiB. Stripes of one table grow at the same time, each by chunks: nothing is freed that is too small for what
/// comes next, as it would be if each were one array.
const CHUNK: usize = 128;

#[derive(Debug, Default)]
pub(crate) struct Stripe {
    /// All of [`CHUNK`] entries, but for the first of a stripe that has no other.
    chunks: Vec<Box<[Entry]>>,
    homes: usize,
    len: usize,
}

impl Stripe {
    #[inline]
    fn home(&self, stored: u64) -> usize {
        home(stored, self.homes)
    }

    #[inline]
    fn entry(&self, at: usize) -> Option<&Entry> {
        self.chunks.get(at / CHUNK)?.get(at % CHUNK)
    }

    #[inline]
    fn entry_mut(&mut self, at: usize) -> &mut Entry {
        &mut self.chunks[at / CHUNK][at % CHUNK]
    }

    #[inline]
    fn places_count(&self) -> usize {
        match &self.chunks[..] {
            [only] => only.len(),
            chunks => chunks.len() * CHUNK,
        }
    }

    /// Where `stored` stands, or where it would have to be inserted.
    #[inline]
    fn search(&self, stored: u64) -> Result<usize, usize> {
        let mut at = self.home(stored);
        let (mut chunk, mut within) = (at / CHUNK, at % CHUNK);
        while let Some(entries) = self.chunks.get(chunk) {
            for entry in entries.get(within..).unwrap_or_default() {
                if entry.place == 0 || entry.stored > stored {
                    return Err(at);
                }
                if entry.stored == stored {
                    return Ok(at);
                }
                at += 1;
            }
            (chunk, within) = (chunk + 1, 0);
        }
        Err(at)
    }

    #[inline]
    pub(crate) fn get(&self, stored: u64) -> Option<Location> {
        let at = self.search(stored).ok()?;
        Location::from_bits(self.entry(at)?.place)
    }

    /// Asks for the memory where a search begins.
    #[inline]
    pub(crate) fn prefetch(&self, stored: u64) {
        if let Some(entry) = self.entry(self.home(stored)) {
            slotcask_io::prefetch(entry);
        }
    }

    /// Points to `to`; gives what was pointed to before.
    pub(crate) fn put(&mut self, stored: u64, to: Location) -> Option<Location> {
        match self.search(stored) {
            Ok(at) => {
                let old = std::mem::replace(&mut self.entry_mut(at).place, to.bits());
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
            self.grow();
            at = self.search(entry.stored).unwrap_or_else(|at| at);
        }
        // What stands from there on moves by one, up to the first empty place.
        let mut carried = entry;
        while carried.place != 0 {
            if self.entry(at).is_none() {
                self.extend_to(at + 1);
            }
            let here = &mut self.chunks[at / CHUNK][at % CHUNK..];
            let empty = here.iter().position(|entry| entry.place == 0);
            let last = empty.unwrap_or(here.len() - 1);
            let next = here[last];
            here.copy_within(..last, 1);
            here[0] = carried;
            carried = next;
            at += last + 1;
        }
        self.len += 1;
    }

    pub(crate) fn remove(&mut self, stored: u64) -> Option<Location> {
        let mut at = self.search(stored).ok()?;
        let old = self.entry(at)?.place;
        // What stands behind it, away from its home, moves back by one.
        while let Some(next) = self.entry(at + 1).copied()
            && next.place != 0
            && self.home(next.stored) <= at
        {
            *self.entry_mut(at) = next;
            at += 1;
        }
        *self.entry_mut(at) = Entry::default();
        self.len -= 1;
        Location::from_bits(old)
    }

    /// Makes room for `places` entries, and for more where a chunk holds them.
    fn extend_to(&mut self, places: usize) {
        if places <= CHUNK && self.chunks.len() < 2 {
            let mut entries = std::mem::take(&mut self.chunks).pop().unwrap_or_default().into_vec();
            entries.reserve_exact(places.saturating_sub(entries.len()));
            entries.resize(places.max(entries.len()), Entry::default());
            self.chunks = vec![entries.into_boxed_slice()];
            return;
        }
        if let [first] = &mut self.chunks[..]
            && first.len() < CHUNK
        {
            let mut entries = std::mem::take(first).into_vec();
            entries.reserve_exact(CHUNK - entries.len());
            entries.resize(CHUNK, Entry::default());
            *first = entries.into_boxed_slice();
        }
        let chunks = places.div_ceil(CHUNK);
        self.chunks.reserve_exact(chunks.saturating_sub(self.chunks.len()));
        while self.chunks.len() < chunks {
            self.chunks.push(vec![Entry::default(); CHUNK].into_boxed_slice());
        }
    }

    /// More homes, so many that whole chunks are used.
    fn grow(&mut self) {
        let (times, over) = GROWTH;
        let homes = (self.homes * times / over).max(self.homes + HOMES_MIN);
        self.spread(homes_of_whole_chunks(homes));
    }

    /// Gives all entries the places that `homes` homes ask for.
    fn spread(&mut self, homes: usize) {
        let mut live = Vec::with_capacity(self.len);
        for chunk in &mut self.chunks {
            live.extend(chunk.iter().filter(|entry| entry.place != 0));
            chunk.fill(Entry::default());
        }
        self.homes = homes;
        self.extend_to(homes + SLACK);
        self.place_all(live.into_iter());
    }

    /// Puts entries that ascend at their homes or as near behind as they can stand; nothing stands there yet.
    fn place_all(&mut self, ascending: impl Iterator<Item = Entry>) {
        let mut next = 0;
        for entry in ascending {
            next = self.home(entry.stored).max(next);
            if self.entry(next).is_none() {
                self.extend_to(next + 1);
            }
            *self.entry_mut(next) = entry;
            next += 1;
        }
    }

    /// Replaces everything by what ascends by stored bits, each of them once.
    pub(crate) fn load(&mut self, sorted: &[(u64, Location)]) {
        debug_assert!(sorted.is_sorted_by(|a, b| a.0 < b.0));
        *self = Self::default();
        if sorted.is_empty() {
            return;
        }
        self.homes = homes_of_whole_chunks(sorted.len() * 8 / FULL + 1);
        self.len = sorted.len();
        self.extend_to(self.homes + SLACK);
        let entry =
            |(stored, place): &(u64, Location)| Entry { stored: *stored, place: place.bits() };
        self.place_all(sorted.iter().map(entry));
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.places_count() * size_of::<Entry>()
            + self.chunks.capacity() * size_of::<Box<[Entry]>>()
    }

    pub(crate) fn places(&self) -> impl Iterator<Item = (u64, Location)> + '_ {
        self.chunks
            .iter()
            .flatten()
            .filter_map(|entry| Some((entry.stored, Location::from_bits(entry.place)?)))
    }

    #[cfg(test)]
    fn check(&self) {
        let mut last = None;
        let entries: Vec<Entry> = self.chunks.iter().flatten().copied().collect();
        for (at, entry) in entries.iter().enumerate().filter(|(_, entry)| entry.place != 0) {
            assert!(last < Some(entry.stored), "ascending");
            last = Some(entry.stored);
            let home = self.home(entry.stored);
            assert!(home <= at && entries[home..at].iter().all(|entry| entry.place != 0));
        }
        let (all_but_first, first) = (self.chunks.iter().skip(1), self.chunks.first());
        assert!(all_but_first.clone().all(|chunk| chunk.len() == CHUNK));
        assert!(first.is_none_or(|first| first.len() == CHUNK || self.chunks.len() == 1));
        assert_eq!(self.places().count(), self.len);
    }
}

/// At least `homes`, and as many as fit beside [`SLACK`] in the chunks that they take.
fn homes_of_whole_chunks(homes: usize) -> usize {
    let places = homes + SLACK;
    let unit = if places <= CHUNK { HOMES_MIN } else { CHUNK };
    places.next_multiple_of(unit) - SLACK
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

    #[test]
    fn many_chunks_hold_what_was_put_and_little_more() {
        let mut stripe = Stripe::default();
        let mut model = BTreeMap::new();
        let mut bits = 1_u64;
        for number in 0..20_000 {
            // Half of them crowd at the end, behind all homes.
            bits = bits.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (bits >> 29);
            let stored = if number % 2 == 0 { bits } else { bits | 0xffff_ffff_ff00_0000 };
            assert_eq!(stripe.put(stored, place(number)), model.insert(stored, place(number)));
            if number % 3 == 0 {
                let (gone, _) = model.pop_first().unwrap();
                assert!(stripe.remove(gone).is_some());
            }
        }
        stripe.check();
        assert_eq!(stripe.places().collect::<Vec<_>>(), model.into_iter().collect::<Vec<_>>());

        let mut even = Stripe::default();
        for number in 0..3_000_u64 {
            even.put(number.wrapping_mul(0x9e37_79b9_7f4a_7c15), place(number));
            let most = (number as usize + 1) * 22 + 3 * CHUNK * size_of::<Entry>();
            assert!(even.memory_bytes() <= most, "{} of {most} at {number}", even.memory_bytes());
        }
        even.check();
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
            loaded.put(7, place(7));
            loaded.load(&all);
            loaded.check();
            prop_assert_eq!(loaded.places().collect::<Vec<_>>(), all);
        }
    }
}
