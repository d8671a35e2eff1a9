//! A part of a cache: slots by hash, the records in two rings, and what goes first when there is no more room.
//!
//! The policy is S3-FIFO (Yang et al., "FIFO queues are all you need for cache eviction", SOSP 2023): what is new goes into a small ring, and goes
//! when it comes to its end without having been read meanwhile; what was read goes on to the main ring, and there goes round again for each time that
//! it was read, up to three. Of what went from the small ring a mark stays behind: it comes back into the main ring. As long as the main ring has
//! room, everything goes on to it.
//!
//! Invariants
//!  - a slot stands at the home of its tag or behind it, and no slot between is empty;
//!  - a slot points to an entry of its ring; an entry to which no slot points is dead.

use super::ring::{Header, Ring, size_of_entry};
use crate::location::Location;
use crate::record::{CachedRecord, RecordImage};
use slotcask_format::record::Record;
use slotcask_io::PageBuf;
use std::sync::atomic::{AtomicU32, Ordering};

/// In the lowest bits of a tag: how often it was read, and which ring it is in. The rest are of the hash.
const READS: u32 = 0b011;
const IN_MAIN: u32 = 0b100;
const NOTES: u32 = READS | IN_MAIN;
/// Share of the small ring, in percent of both.
const SMALL_PERCENT: usize = 10;
/// One of so many bytes is for slots and marks.
const SLOTS_SHARE: usize = 8;
const SLOTS_MIN: usize = 16;
/// Records for each 5 slots before there are more slots.
const FULL: usize = 4;
/// Records that go round again in the main ring before one that was read goes all the same: nobody waits longer.
const ROUNDS_MAX: usize = 64;
/// Rings that were used that far take huge pages.
const HUGE_FROM: usize = 512 << 10;
/// Bytes of a record that are asked for ahead of a read; more come as they are read.
const AHEAD: usize = 256;

#[derive(Debug, Default)]
pub(super) struct Slot {
    tag: AtomicU32,
    /// One more than the offset of its entry, in units of 8 bytes; 0 for an empty slot.
    entry: u32,
}

#[derive(Debug, Default)]
pub(super) struct Part {
    capacity: usize,
    /// None until something is kept.
    buf: Option<PageBuf>,
    /// Takes huge pages when it is worth it; false once it did.
    may_be_huge: bool,
    slots: Vec<Slot>,
    len: usize,
    small: Ring,
    main: Ring,
    /// Hashes that left the small ring, each by some of its bits in one place; 0 for none.
    left: Vec<u32>,
}

/// What is to be kept.
#[derive(Clone, Copy)]
enum Image<'a> {
    Bytes(&'a [u8]),
    Written(&'a Record<'a>),
}

/// Where in so many places a tag belongs.
#[inline]
fn home(tag: u32, places: usize) -> usize {
    ((u64::from(tag & !NOTES) * places as u64) >> 32) as usize
}

/// Where in so many slots a search for a hash begins.
#[inline]
pub(super) fn home_of(hash: u64, slots: usize) -> usize {
    home(tag_of(hash), slots)
}

/// The bits of a hash that decide where it belongs.
#[inline]
fn tag_of(hash: u64) -> u32 {
    (hash >> 32) as u32 & !NOTES
}

/// The bits of a hash that a mark keeps.
fn mark(hash: u64) -> u32 {
    hash as u32 | 1
}

impl Slot {
    #[inline]
    fn tag(&self) -> u32 {
        self.tag.load(Ordering::Relaxed)
    }

    #[inline]
    fn offset(&self) -> Option<usize> {
        Some((self.entry.checked_sub(1)? as usize) * 8)
    }

    fn point_to(&mut self, offset: usize) {
        self.entry = (offset / 8) as u32 + 1;
    }
}

impl Image<'_> {
    fn len(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Written(record) => RecordImage::len_of(record),
        }
    }

    fn write(&self, to: &mut [u8]) {
        match self {
            Self::Bytes(bytes) => to.copy_from_slice(bytes),
            Self::Written(record) => RecordImage::write(record, to),
        }
    }
}

impl Part {
    pub(super) fn new(capacity: u64, huge_pages: bool) -> Self {
        // Offsets count 8 bytes in 32 bits.
        let capacity = usize::try_from(capacity).unwrap_or(usize::MAX).min(16 << 30);
        Self { capacity, may_be_huge: huge_pages, ..Self::default() }
    }

    /// Bytes in use.
    pub(super) fn bytes(&self) -> u64 {
        let slots = self.slots.len() * size_of::<Slot>() + self.left.len() * size_of::<u32>();
        (self.small.used() + self.main.used() + slots) as u64
    }

    #[inline]
    fn next(&self, at: usize) -> usize {
        if at + 1 == self.slots.len() { 0 } else { at + 1 }
    }

    /// The slot of a hash, with its entry.
    #[inline]
    fn find(&self, hash: u64) -> Option<(usize, usize, Header)> {
        let buf = self.buf.as_deref()?;
        let tag = tag_of(hash);
        let mut at = home(tag, self.slots.len());
        // Empty slots are left, so that this ends.
        while let Some(offset) = self.slots.get(at)?.offset() {
            if (self.slots[at].tag() ^ tag) & !NOTES == 0 {
                let header = Header::read(buf, offset);
                if header.hash == hash {
                    return Some((at, offset, header));
                }
            }
            at = self.next(at);
        }
        None
    }

    pub(super) fn slots(&self) -> &[Slot] {
        &self.slots
    }

    #[inline]
    pub(super) fn prefetch_record(&self, hash: u64) {
        let tag = tag_of(hash);
        let mut at = home(tag, self.slots.len());
        while let Some(slot) = self.slots.get(at)
            && let Some(offset) = slot.offset()
        {
            if (slot.tag() ^ tag) & !NOTES == 0 {
                let buf = self.buf.as_deref().unwrap_or_default();
                let end = (offset + AHEAD).min(buf.len());
                buf[offset..end].chunks(64).for_each(|line| slotcask_io::prefetch(&line[0]));
                return;
            }
            at = self.next(at);
        }
    }

    /// The record of a hash, if it is the one at this place.
    #[inline]
    pub(super) fn get(&self, hash: u64, at: Location) -> Option<RecordImage<'_>> {
        let (slot, offset, header) = self.find(hash)?;
        if header.at != at.bits() {
            return None;
        }
        let tag = &self.slots[slot].tag;
        let noted = tag.load(Ordering::Relaxed);
        if noted & READS < READS {
            // Others may read it at this moment: then one of the two is not counted.
            tag.store(noted + 1, Ordering::Relaxed);
        }
        let start = offset + Header::SIZE;
        Some(RecordImage::new(&self.buf.as_deref()?[start..start + header.len as usize]))
    }

    pub(super) fn insert(&mut self, hash: u64, at: Location, record: &CachedRecord) {
        self.keep(hash, at, Image::Bytes(record.image().bytes()));
    }

    /// The record of a hash that stood at `from` stands at `to`; with `written` it is that one from now on.
    pub(super) fn follow(
        &mut self,
        hash: u64,
        from: Location,
        to: Location,
        written: Option<&Record<'_>>,
    ) {
        let Some((_, offset, header)) = self.find(hash) else { return };
        if header.at != from.bits() {
            return;
        }
        match written {
            None => {
                if let Some(buf) = &mut self.buf {
                    Header { at: to.bits(), ..header }.write(buf, offset);
                }
            }
            Some(record) => self.keep(hash, to, Image::Written(record)),
        }
    }

    fn keep(&mut self, hash: u64, at: Location, image: Image<'_>) {
        let size = size_of_entry(image.len());
        if let Some((slot, offset, header)) = self.find(hash) {
            if header.len as usize == image.len() {
                let Some(buf) = &mut self.buf else { return };
                Header { at: at.bits(), ..header }.write(buf, offset);
                let start = offset + Header::SIZE;
                image.write(&mut buf[start..start + image.len()]);
                return;
            }
            let notes = self.slots[slot].tag() & NOTES;
            self.empty(slot);
            let notes = if self.small.can_hold(size) { notes } else { notes | IN_MAIN };
            self.admit(hash, at, image, notes);
            return;
        }
        if !self.is_ready() || !self.main.can_hold(size) || !self.make_slot() {
            return;
        }
        let marks = self.left.len();
        let is_back = match self.left.get_mut(home(tag_of(hash), marks)) {
            Some(known) if *known == mark(hash) => {
                *known = 0;
                true
            }
            // What the small ring cannot hold is kept when it is read for the second time.
            Some(known) if !self.small.can_hold(size) => {
                *known = mark(hash);
                return;
            }
            _ => false,
        };
        self.admit(hash, at, image, if is_back { IN_MAIN } else { 0 });
    }

    /// Makes the buffer, at the first call; false where there is none to be had.
    fn is_ready(&mut self) -> bool {
        if self.buf.is_none() {
            let size = (self.capacity - self.capacity / SLOTS_SHARE) / 8 * 8;
            let small = size * SMALL_PERCENT / 100 / 8 * 8;
            self.buf = if size == 0 { None } else { PageBuf::new(size) };
            self.small = Ring::new(0, small);
            self.main = Ring::new(small, size - small);
        }
        self.buf.is_some()
    }

    /// Puts a record in for which there is a slot, if a ring can hold it.
    fn admit(&mut self, hash: u64, at: Location, image: Image<'_>, notes: u32) {
        let size = size_of_entry(image.len());
        if !self.make_room(notes, size) {
            return;
        }
        let header = Header::new(hash, at.bits(), image.len() as u32);
        let ring = if notes & IN_MAIN == 0 { &mut self.small } else { &mut self.main };
        let Some(buf) = &mut self.buf else { return };
        let offset = ring.push(buf, header);
        let start = offset + Header::SIZE;
        image.write(&mut buf[start..start + image.len()]);
        let mut slot = Slot { tag: AtomicU32::new(tag_of(hash) | notes), entry: 0 };
        slot.point_to(offset);
        self.place(slot);
        self.len += 1;
        let touched = self.small.touched() + self.main.touched();
        if self.may_be_huge && touched >= HUGE_FROM {
            self.may_be_huge = false;
            let used = self.small.size() + self.main.touched();
            if let Some(buf) = &mut self.buf {
                buf.use_huge_pages(used);
            }
        }
    }

    /// Sees to a free slot.
    fn make_slot(&mut self) -> bool {
        if (self.len + 1) * 5 <= self.slots.len() * FULL {
            return true;
        }
        let count = (self.slots.len() / 4 * 5).max(self.slots.len() + SLOTS_MIN);
        let bytes = count * (size_of::<Slot>() + size_of::<u32>());
        if bytes > (self.capacity / SLOTS_SHARE).max(SLOTS_MIN * 12) {
            // As many records as there may be: one has to go, whatever room the rings have.
            let before = self.len;
            for round in 0.. {
                let share = (self.small.used() + self.main.used()) * SMALL_PERCENT / 100;
                let small_first = self.small.used() > share;
                let went = match small_first && self.leave_small(false) {
                    true => true,
                    false => self.leave_main(round < ROUNDS_MAX) || self.leave_small(false),
                };
                if self.len < before || !went {
                    break;
                }
            }
            return self.len < before;
        }
        let mut more = Vec::new();
        more.reserve_exact(count);
        more.resize_with(count, Slot::default);
        for slot in std::mem::replace(&mut self.slots, more) {
            if slot.entry != 0 {
                self.place(slot);
            }
        }
        let marks = std::mem::replace(&mut self.left, vec![0; count]);
        // A mark does not know the bits that decide about places: it goes where it would most likely be.
        for (at, mark) in marks.iter().enumerate().filter(|(_, mark)| **mark != 0) {
            self.left[at * count / marks.len()] = *mark;
        }
        true
    }

    /// Puts a slot where it belongs; there is room.
    fn place(&mut self, slot: Slot) {
        let mut at = home(slot.tag(), self.slots.len());
        while self.slots[at].entry != 0 {
            at = self.next(at);
        }
        self.slots[at] = slot;
    }

    /// Empties a slot; what stands behind it, away from its home, moves up.
    fn empty(&mut self, mut at: usize) {
        self.slots[at] = Slot::default();
        self.len -= 1;
        let count = self.slots.len();
        let mut next = self.next(at);
        while self.slots[next].entry != 0 {
            let from = home(self.slots[next].tag(), count);
            // Whether its home is not behind `at`, going round from there.
            if (next + count - from) % count >= (next + count - at) % count {
                self.slots.swap(at, next);
                at = next;
            }
            next = self.next(next);
        }
    }

    /// Makes room in a ring; false when it can never hold as much.
    fn make_room(&mut self, notes: u32, size: usize) -> bool {
        let in_main = notes & IN_MAIN != 0;
        let can_hold = if in_main { self.main.can_hold(size) } else { self.small.can_hold(size) };
        for round in 0.. {
            let ring = if in_main { &self.main } else { &self.small };
            if !can_hold || ring.has_room(size) {
                break;
            }
            let went =
                if in_main { self.leave_main(round < ROUNDS_MAX) } else { self.leave_small(true) };
            if !went {
                break;
            }
        }
        can_hold && if in_main { &self.main } else { &self.small }.has_room(size)
    }

    /// The slot that points to an entry.
    fn slot_of(&self, offset: usize, header: &Header) -> Option<usize> {
        let found = self.find(header.hash).filter(|(_, found, _)| *found == offset);
        found.map(|(slot, ..)| slot)
    }

    /// Takes the oldest entry out of the small ring; false when there is none. It goes on to the main ring if it was read, or if there is room
    /// and `may_go_on`.
    fn leave_small(&mut self, may_go_on: bool) -> bool {
        let popped = self.buf.as_deref().and_then(|buf| self.small.pop(buf));
        let Some((offset, header)) = popped else { return false };
        let Some(slot) = self.slot_of(offset, &header) else { return true };
        let was_read = self.slots[slot].tag() & READS > 0;
        let goes_on = may_go_on && self.main.has_room(header.size())
            || was_read && self.make_room(IN_MAIN, header.size());
        // Others may have moved up meanwhile.
        let slot = self.slot_of(offset, &header);
        let (Some(slot), Some(buf)) = (slot, &mut self.buf) else { return true };
        if goes_on {
            let to = self.main.push(buf, header);
            let start = offset + Header::SIZE;
            buf.copy_within(start..start + header.len as usize, to + Header::SIZE);
            let slot = &mut self.slots[slot];
            slot.tag.store(tag_of(header.hash) | IN_MAIN, Ordering::Relaxed);
            slot.point_to(to);
            return true;
        }
        self.empty(slot);
        let marks = self.left.len();
        if let Some(place) = self.left.get_mut(home(tag_of(header.hash), marks)) {
            *place = mark(header.hash);
        }
        true
    }

    /// Takes the oldest entry out of the main ring, or has it go round again if it was read and `may_stay`; false when there is none.
    fn leave_main(&mut self, may_stay: bool) -> bool {
        let popped = self.buf.as_deref().and_then(|buf| self.main.pop(buf));
        let Some((offset, header)) = popped else { return false };
        let Some(slot) = self.slot_of(offset, &header) else { return true };
        let Some(buf) = &mut self.buf else { return false };
        let tag = self.slots[slot].tag();
        // It may have to go to the ring's beginning, for which there is room only when more went out.
        if may_stay && tag & READS > 0 && self.main.has_room(header.size()) {
            // What goes in lies before what came out, or at the ring's beginning: the header does not touch the bytes.
            let to = self.main.push(buf, header);
            let start = offset + Header::SIZE;
            buf.copy_within(start..start + header.len as usize, to + Header::SIZE);
            let slot = &mut self.slots[slot];
            slot.tag.store(tag - 1, Ordering::Relaxed);
            slot.point_to(to);
            return true;
        }
        self.empty(slot);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use slotcask_format::record::{RecordKind, SLOT_NONE};
    use std::collections::BTreeMap;

    impl Part {
        fn check(&self) {
            let Some(buf) = self.buf.as_deref() else { return };
            let mut live = 0;
            for (ring, in_main) in [(&self.small, 0), (&self.main, IN_MAIN)] {
                for (offset, header) in ring.entries(buf) {
                    if let Some(slot) = self.slot_of(offset, &header) {
                        live += 1;
                        assert_eq!(self.slots[slot].tag() & IN_MAIN, in_main);
                    }
                }
                assert!(ring.used() <= ring.size());
            }
            assert_eq!(live, self.len);
            assert_eq!(self.slots.iter().filter(|slot| slot.entry != 0).count(), live);
            assert!(self.bytes() <= self.capacity as u64 + 200);
        }

        fn keeps(&mut self, hash: u64, at: Location, number: u64, len: usize) {
            self.insert(hash, at, &made(number, len));
        }
    }

    fn with<T>(number: u64, len: usize, f: impl FnOnce(&Record<'_>) -> T) -> T {
        let value = vec![number as u8; len];
        f(&Record {
            sequence: number,
            epoch: 0,
            table: 1,
            slot: SLOT_NONE,
            kind: RecordKind::Put,
            flags: 0,
            extension: &[],
            key: b"key",
            value: &value,
        })
    }

    fn made(number: u64, len: usize) -> CachedRecord {
        with(number, len, |record| {
            let mut image = vec![0; RecordImage::len_of(record)];
            RecordImage::write(record, &mut image);
            CachedRecord::of_image(RecordImage::new(&image))
        })
    }

    fn place(number: u64) -> Location {
        Location::new(1 + number, 4096, 64).expect("it fits")
    }

    fn spread(number: u64) -> u64 {
        (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    proptest! {
        #[test]
        fn what_is_found_is_what_was_kept_last(
            capacity in 200..60_000_u64,
            steps in prop::collection::vec(
                (0..5_u8, 0..60_u64, 0..4_u8, prop_oneof![9 => 0..300_usize, 1 => 4000..9000_usize]),
                0..800,
            ),
        ) {
            let mut part = Part::new(capacity, true);
            let mut model = BTreeMap::new();
            for (number, (kind, key, crowd, len)) in steps.into_iter().enumerate() {
                // Spread, crowded at the end so that slots go round, and alike in all that a slot keeps.
                let hash = match crowd {
                    0 => u64::MAX - (key << 35),
                    1 => u64::MAX - key,
                    _ => spread(key),
                };
                let number = number as u64;
                let to = place(number);
                let record = made(number, len);
                match kind {
                    0 | 1 => {
                        part.insert(hash, to, &record);
                        model.insert(hash, (to, record));
                    }
                    2 => {
                        let from = model.get(&hash).map_or(to, |(at, _)| *at);
                        let changes = crowd > 1;
                        with(number, len, |new| part.follow(hash, from, to, changes.then_some(new)));
                        if let Some((at, held)) = model.get_mut(&hash) {
                            *at = to;
                            *held = if changes { record } else { held.clone() };
                        }
                    }
                    _ => {
                        if let Some((at, held)) = model.get(&hash) {
                            let found = part.get(hash, *at);
                            prop_assert!(found.is_none_or(|found| found == held.image()));
                        }
                        prop_assert!(part.get(hash, to).is_none());
                    }
                }
                part.check();
            }
        }
    }

    #[test]
    fn what_fits_stays() {
        for len in [100, 3000, 6000] {
            let mut part = Part::new(1000 * (len as u64 + 100) * 8 / 7, true);
            for number in 0..900 {
                part.keeps(spread(number), place(number), number, len);
            }
            for number in 0..900 {
                let found = part.get(spread(number), place(number)).map(CachedRecord::of_image);
                assert_eq!(found, Some(made(number, len)), "{number} of {len}");
            }
            part.check();
        }
    }

    #[test]
    fn what_is_read_once_does_not_drive_out_what_is_read_often() {
        // Of short records slots run out before the rings do.
        for len in [4, 16, 32, 100, 2000] {
            let mut part = Part::new(400 << 10, true);
            let mut read = |number: u64| {
                let is_there = part.get(spread(number), place(number)).is_some();
                if !is_there {
                    part.keeps(spread(number), place(number), number, len);
                }
                is_there
            };
            let hot = (100 << 10) / (len as u64 + 100);
            for _ in 0..4 {
                for number in 0..hot {
                    read(number);
                }
            }
            let mut missed = 0;
            for round in 1..5 {
                // Three times as much as there is room for.
                let cold = 12 * hot;
                for number in 0..cold {
                    read(round * 1_000_000 + number);
                }
                missed += (0..hot).filter(|number| !read(*number)).count() as u64;
                for number in 0..hot {
                    read(number);
                }
            }
            part.check();
            assert!(missed <= hot, "{missed} of {} with values of {len}", 4 * hot);
        }
    }

    #[test]
    fn a_record_that_no_ring_holds_drives_nothing_out() {
        let mut part = Part::new(64 << 10, true);
        for number in 0..100 {
            part.keeps(spread(number), place(number), number, 100);
        }
        part.keeps(spread(0), place(500), 500, 60 << 10);
        part.keeps(spread(777), place(501), 501, 60 << 10);
        part.check();
        assert!(part.get(spread(0), place(500)).is_none());
        assert!((1..100).all(|number| part.get(spread(number), place(number)).is_some()));
        // What only the main ring holds is kept when it is read again.
        part.keeps(spread(777), place(502), 502, 20 << 10);
        assert!(part.get(spread(777), place(502)).is_none());
        part.keeps(spread(777), place(502), 502, 20 << 10);
        assert!(part.get(spread(777), place(502)).is_some());
        part.check();
    }

    #[test]
    fn pages_become_huge_under_what_is_kept() {
        let mut part = Part::new(8 << 20, true);
        for number in 0..20_000 {
            part.keeps(spread(number), place(number), number, 100);
        }
        assert!(!part.may_be_huge);
        for number in 0..20_000 {
            let found = part.get(spread(number), place(number)).map(CachedRecord::of_image);
            assert_eq!(found, Some(made(number, 100)));
        }
    }
}
