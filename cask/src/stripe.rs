//! A part of a keydir: an ordered hash table (Amble and Knuth, "Ordered hash tables", 1974).
//!
//! Invariants
//!  - entries ascend by their stored bits over the whole array, empty places left out;
//!  - an entry stands at its home or behind it, and no place between is empty.
//!
//! The home of an entry ascends with its stored bits, so both hold together; a search ends at the first larger
//! entry, and rebuilding is one pass.

use crate::hash::STRIPES;
use crate::location::Location;
use slotcask_io::{STEP_WORDS, Words};
use std::sync::atomic::{AtomicU64, Ordering};

/// One key: 64 bits of its hash, and where its record stands; 0 for an empty place.
#[derive(Debug, Clone, Copy, Default)]
struct Entry {
    stored: u64,
    place: u64,
}

/// Entries for each 16 homes before the stripe grows.
const FULL: usize = 14;
/// The same where that would be a step for all stripes: the few that have more keys than others wait for them.
const FULL_ALONE: usize = 15;
/// What both are of.
const FULL_OF: usize = 16;
/// Homes are multiplied by nine eighths then: what is left free costs memory for good, entries moved cost time once.
const GROWTH: (usize, usize) = (9, 8);
const HOMES_MIN: usize = 8;
/// Places behind the last home.
const SLACK: usize = 32;
/// The same of a stripe that is less than a piece.
const SLACK_SMALL: usize = 16;
/// Words of an entry.
const WORDS: usize = 2;
/// Words of a cache line.
const LINE_WORDS: usize = 8;
/// Cache lines that a put of a new key is given ahead: a stripe that is nearly full moves some tens of entries.
const LINES_AHEAD: usize = 4;
/// The same of a search, which looks at five entries where a stripe is as full as it may be.
const LINES_OF_SEARCH: usize = 2;
/// Words of a piece, 2 KiB: a stripe's part of a step.
const PIECE_WORDS: usize = STEP_WORDS / STRIPES;
/// Entries of a piece.
const PIECE: usize = PIECE_WORDS / WORDS;

/// Where the stripes of one keydir have their pieces. Stripes grow at the same time, as hashes are spread evenly: piece *n* of all of them lies
/// in step *n*, each at its own place, so that nothing has to be looked up to find one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room<'a> {
    pub words: &'a Words,
    /// Number of the stripe.
    pub stripe: usize,
}

/// Its lock orders all access: words are atomic because those of [`Words`] are.
#[derive(Debug, Default)]
pub(crate) struct Stripe {
    /// All entries, while they need less than a piece; with none here they are in pieces.
    small: Box<[AtomicU64]>,
    homes: u32,
    len: u32,
}

impl Entry {
    #[inline]
    fn load(words: &[AtomicU64]) -> Self {
        let (stored, place) = (&words[0], &words[1]);
        Self { stored: stored.load(Ordering::Relaxed), place: place.load(Ordering::Relaxed) }
    }

    #[inline]
    fn store(self, words: &[AtomicU64]) {
        words[0].store(self.stored, Ordering::Relaxed);
        words[1].store(self.place, Ordering::Relaxed);
    }
}

impl Room<'_> {
    #[inline]
    fn piece(&self, number: usize) -> &[AtomicU64] {
        let from = self.stripe * PIECE_WORDS;
        self.words.step(number).get(from..from + PIECE_WORDS).unwrap_or_default()
    }
}

impl Stripe {
    #[inline]
    fn home(&self, stored: u64) -> usize {
        home(stored, self.homes as usize)
    }

    /// The words of a piece, or of what is less than one; none behind the last.
    #[inline]
    fn piece<'a>(&'a self, room: &'a Room<'_>, number: usize) -> &'a [AtomicU64] {
        match (self.small.is_empty(), number) {
            (true, _) => room.piece(number),
            (false, 0) => &self.small,
            (false, _) => &[],
        }
    }

    /// The words of an entry.
    #[inline]
    fn words<'a>(&'a self, room: &'a Room<'_>, at: usize) -> Option<&'a [AtomicU64]> {
        let within = at % PIECE * WORDS;
        self.piece(room, at / PIECE).get(within..within + WORDS)
    }

    #[inline]
    fn entry(&self, room: &Room<'_>, at: usize) -> Option<Entry> {
        self.words(room, at).map(Entry::load)
    }

    fn set(&self, room: &Room<'_>, at: usize, entry: Entry) {
        entry.store(self.words(room, at).expect("there is room"));
    }

    /// Where `stored` stands and what it points to, or where it would have to be inserted.
    #[inline]
    fn search(&self, room: &Room<'_>, stored: u64) -> Result<(usize, u64), usize> {
        let mut at = self.home(stored);
        let (mut piece, mut within) = (at / PIECE, at % PIECE);
        loop {
            let words = self.piece(room, piece);
            let Some(rest @ [_, ..]) = words.get(within * WORDS..) else { return Err(at) };
            for words in rest.chunks_exact(WORDS) {
                let entry = Entry::load(words);
                if entry.place == 0 || entry.stored > stored {
                    return Err(at);
                }
                if entry.stored == stored {
                    return Ok((at, entry.place));
                }
                at += 1;
            }
            (piece, within) = (piece + 1, 0);
        }
    }

    #[inline]
    pub(crate) fn get(&self, room: &Room<'_>, stored: u64) -> Option<Location> {
        let (_, place) = self.search(room, stored).ok()?;
        Location::from_bits(place)
    }

    /// Asks for the memory that a search most likely looks at: where it begins, and what lies behind that.
    #[inline]
    pub(crate) fn prefetch(&self, room: &Room<'_>, stored: u64) {
        let home = self.home(stored);
        let words = self.piece(room, home / PIECE).get(home % PIECE * WORDS..).unwrap_or_default();
        for line in words.chunks(LINE_WORDS).take(LINES_OF_SEARCH) {
            slotcask_io::prefetch(&line[0]);
        }
    }

    /// As [`Stripe::prefetch`], of what a put of a new key moves as well.
    #[inline]
    pub(crate) fn prefetch_put(&self, room: &Room<'_>, stored: u64) {
        let home = self.home(stored);
        let within = home % PIECE * WORDS;
        let words = self.piece(room, home / PIECE).get(within..).unwrap_or_default();
        for line in words.chunks(LINE_WORDS).take(LINES_AHEAD) {
            slotcask_io::prefetch(&line[0]);
        }
    }

    /// Points to `to`; gives what was pointed to before.
    pub(crate) fn put(&mut self, room: &Room<'_>, stored: u64, to: Location) -> Option<Location> {
        let entry = Entry { stored, place: to.bits() };
        match self.search(room, stored) {
            Ok((at, old)) => {
                self.set(room, at, entry);
                Location::from_bits(old)
            }
            Err(at) => {
                self.insert(room, at, entry);
                None
            }
        }
    }

    fn insert(&mut self, room: &Room<'_>, mut at: usize, entry: Entry) {
        let filled = (self.len as usize + 1) * FULL_OF;
        let homes = self.homes as usize;
        if filled > homes * FULL && (filled > homes * FULL_ALONE || self.has_room_to_grow(room)) {
            self.grow(room);
            at = self.search(room, entry.stored).map_or_else(|at| at, |(at, _)| at);
        }
        // What stands from there on moves by one, up to the first empty place.
        let mut carried = entry;
        'room: loop {
            if self.words(room, at).is_none() {
                self.extend_to(room, at + 1);
            }
            for words in self.piece(room, at / PIECE)[at % PIECE * WORDS..].chunks_exact(WORDS) {
                let here = Entry::load(words);
                carried.store(words);
                if here.place == 0 {
                    break 'room;
                }
                carried = here;
                at += 1;
            }
        }
        self.len += 1;
    }

    pub(crate) fn remove(&mut self, room: &Room<'_>, stored: u64) -> Option<Location> {
        let (mut at, old) = self.search(room, stored).ok()?;
        // What stands behind it, away from its home, moves back by one.
        while let Some(next) = self.entry(room, at + 1)
            && next.place != 0
            && self.home(next.stored) <= at
        {
            self.set(room, at, next);
            at += 1;
        }
        self.set(room, at, Entry::default());
        self.len -= 1;
        Location::from_bits(old)
    }

    /// Makes room for `places` entries, and for more where a piece holds them.
    fn extend_to(&mut self, room: &Room<'_>, places: usize) {
        let is_small = !self.small.is_empty() || self.homes == 0;
        if is_small && places <= PIECE {
            let mut words = std::mem::take(&mut self.small).into_vec();
            words.reserve_exact((places * WORDS).saturating_sub(words.len()));
            words.resize_with(words.len().max(places * WORDS), AtomicU64::default);
            self.small = words.into_boxed_slice();
            return;
        }
        room.words.extend_to(places.div_ceil(PIECE));
        let small = std::mem::take(&mut self.small);
        for (from, to) in small.iter().zip(room.piece(0)) {
            to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }

    /// More homes, so many that whole pieces are used.
    fn grow(&mut self, room: &Room<'_>) {
        self.spread(room, self.homes_grown());
    }

    fn homes_grown(&self) -> usize {
        let (times, over) = GROWTH;
        let homes = self.homes as usize;
        let pieces = (homes + SLACK) / PIECE;
        match pieces {
            0 => homes_of_whole_pieces((homes * times / over).max(homes + HOMES_MIN)),
            // The stripe that grows first takes a step for all of them: no more than that.
            _ => (pieces * times / over).max(pieces + 1) * PIECE - SLACK,
        }
    }

    /// True when more homes take no step that is not there.
    fn has_room_to_grow(&self, room: &Room<'_>) -> bool {
        let homes = self.homes_grown();
        let places = homes + slack_of(homes);
        places <= PIECE && !self.small.is_empty() || places / PIECE <= room.words.steps()
    }

    /// Gives all entries the places that `homes` homes ask for.
    fn spread(&mut self, room: &Room<'_>, homes: usize) {
        let mut live = Vec::with_capacity(self.len());
        for number in 0..self.pieces(room) {
            for words in self.piece(room, number).chunks_exact(WORDS) {
                let entry = Entry::load(words);
                if entry.place != 0 {
                    live.push(entry);
                }
            }
        }
        self.extend_to(room, homes + slack_of(homes));
        self.set_homes(homes);
        let end = self.place_all(room, live.into_iter());
        self.erase(room, end);
    }

    fn set_homes(&mut self, homes: usize) {
        self.homes = u32::try_from(homes).expect("a stripe has less than 2^32 homes");
    }

    /// Puts entries that ascend at their homes or as near behind as they can stand, in place of whatever stood there; gives the place behind
    /// the last.
    fn place_all(&mut self, room: &Room<'_>, ascending: impl Iterator<Item = Entry>) -> usize {
        let homes = self.homes as usize;
        let mut ascending = ascending.map(|entry| (home(entry.stored, homes), entry));
        let mut next = ascending.next();
        let mut at = 0;
        while next.is_some() {
            if self.words(room, at).is_none() {
                self.extend_to(room, at + 1);
            }
            for words in self.piece(room, at / PIECE)[at % PIECE * WORDS..].chunks_exact(WORDS) {
                match next {
                    Some((home, entry)) if home <= at => {
                        entry.store(words);
                        next = ascending.next();
                    }
                    Some(_) => Entry::default().store(words),
                    None => break,
                }
                at += 1;
            }
        }
        at
    }

    /// Replaces everything by what ascends by stored bits, each of them once.
    pub(crate) fn load(&mut self, room: &Room<'_>, sorted: &[(u64, Location)]) {
        debug_assert!(sorted.is_sorted_by(|a, b| a.0 < b.0));
        self.erase(room, 0);
        self.forget();
        if sorted.is_empty() {
            return;
        }
        let homes = homes_of_whole_pieces(sorted.len() * FULL_OF / FULL + 1);
        self.extend_to(room, homes + slack_of(homes));
        self.set_homes(homes);
        self.len = sorted.len() as u32;
        let entry =
            |(stored, place): &(u64, Location)| Entry { stored: *stored, place: place.bits() };
        self.place_all(room, sorted.iter().map(entry));
    }

    /// Makes zeros of all entries from the place `from` on.
    fn erase(&self, room: &Room<'_>, from: usize) {
        let first = from / PIECE;
        for number in first..self.pieces(room) {
            let words = self.piece(room, number);
            let words = if number == first { &words[from % PIECE * WORDS..] } else { words };
            // What is zeros already may never have been touched.
            for word in words.iter().filter(|word| word.load(Ordering::Relaxed) != 0) {
                word.store(0, Ordering::Relaxed);
            }
        }
    }

    /// Is empty from now on; the words of the room are zeros by the time anybody looks.
    pub(crate) fn forget(&mut self) {
        *self = Self::default();
    }

    pub(crate) fn len(&self) -> usize {
        self.len as usize
    }

    /// Bytes of memory, without pieces.
    pub(crate) fn small_bytes(&self) -> usize {
        size_of_val(&*self.small)
    }

    /// Pieces that may hold anything.
    fn pieces(&self, room: &Room<'_>) -> usize {
        match (self.small.is_empty(), self.homes) {
            (false, _) => 1,
            (true, 0) => 0,
            (true, _) => room.words.steps(),
        }
    }

    fn all_words<'a>(&'a self, room: &'a Room<'_>) -> impl Iterator<Item = &'a [AtomicU64]> {
        let pieces = 0..self.pieces(room);
        pieces.flat_map(|number| self.piece(room, number).chunks_exact(WORDS))
    }

    fn entries<'a>(&'a self, room: &'a Room<'_>) -> impl Iterator<Item = Entry> + 'a {
        self.all_words(room).map(Entry::load).filter(|entry| entry.place != 0)
    }

    pub(crate) fn places<'a>(
        &'a self,
        room: &'a Room<'_>,
    ) -> impl Iterator<Item = (u64, Location)> + 'a {
        self.entries(room)
            .filter_map(|entry| Some((entry.stored, Location::from_bits(entry.place)?)))
    }

    #[cfg(test)]
    fn check(&self, room: &Room<'_>) {
        let mut last = None;
        let entries: Vec<Entry> = self.all_words(room).map(Entry::load).collect();
        for (at, entry) in entries.iter().enumerate().filter(|(_, entry)| entry.place != 0) {
            assert!(last < Some(entry.stored), "ascending");
            last = Some(entry.stored);
            let home = self.home(entry.stored);
            assert!(home <= at && entries[home..at].iter().all(|entry| entry.place != 0));
        }
        assert!(self.small.len() <= PIECE_WORDS);
        assert_eq!(self.places(room).count(), self.len());
    }
}

/// Places behind so many homes.
fn slack_of(homes: usize) -> usize {
    if homes + SLACK_SMALL <= PIECE { SLACK_SMALL } else { SLACK }
}

/// At least `homes`, and as many as fit beside the places behind them in the pieces that they take.
fn homes_of_whole_pieces(homes: usize) -> usize {
    let slack = slack_of(homes);
    let places = homes + slack;
    let unit = if places <= PIECE { HOMES_MIN } else { PIECE };
    places.next_multiple_of(unit) - slack
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
    fn many_pieces_hold_what_was_put_and_little_more() {
        let words = Words::new(false);
        let room = &Room { words: &words, stripe: 3 };
        let mut stripe = Stripe::default();
        let mut model = BTreeMap::new();
        let mut bits = 1_u64;
        for number in 0..20_000 {
            // Half of them crowd at the end, behind all homes.
            bits = bits.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (bits >> 29);
            let stored = if number % 2 == 0 { bits } else { bits | 0xffff_ffff_ff00_0000 };
            assert_eq!(
                stripe.put(room, stored, place(number)),
                model.insert(stored, place(number))
            );
            if number % 3 == 0 {
                let (gone, _) = model.pop_first().unwrap();
                assert!(stripe.remove(room, gone).is_some());
            }
        }
        stripe.check(room);
        assert_eq!(stripe.places(room).collect::<Vec<_>>(), model.into_iter().collect::<Vec<_>>());

        let words = Words::new(false);
        let room = &Room { words: &words, stripe: 7 };
        let mut even = Stripe::default();
        for number in 0..3_000_u64 {
            even.put(room, number.wrapping_mul(0x9e37_79b9_7f4a_7c15), place(number));
            let most = (number as usize + 1) * 22 + 3 * PIECE * size_of::<Entry>();
            let bytes = even.small_bytes() + words.memory_bytes() / STRIPES;
            assert!(bytes <= most, "{bytes} of {most} at {number}");
        }
        even.check(room);
    }

    proptest! {
        #[test]
        fn answers_like_a_map(steps in prop::collection::vec((0..3_u8, 0..80_u64, any::<bool>()), 0..600)) {
            let words = Words::new(false);
        let room = &Room { words: &words, stripe: 3 };
            let mut stripe = Stripe::default();
            let mut model = BTreeMap::new();
            for (number, (kind, key, high)) in steps.into_iter().enumerate() {
                // Many keys share a home; some stand at the very end.
                let stored = if high { u64::MAX - key } else { key << 56 };
                let to = place(number as u64);
                match kind {
                    0 => prop_assert_eq!(stripe.remove(room, stored), model.remove(&stored)),
                    _ => prop_assert_eq!(stripe.put(room, stored, to), model.insert(stored, to)),
                }
                stripe.check(room);
                prop_assert_eq!(stripe.get(room, stored), model.get(&stored).copied());
            }
            let all: Vec<_> = model.into_iter().collect();
            prop_assert_eq!(stripe.places(room).collect::<Vec<_>>(), all.clone());
            let room = &Room { stripe: 4, ..*room };
            let mut loaded = Stripe::default();
            loaded.put(room, 7, place(7));
            loaded.load(room, &all);
            loaded.check(room);
            prop_assert_eq!(loaded.places(room).collect::<Vec<_>>(), all);
        }
    }
}
