//! The raw arena probe: the memory accesses of a get and nothing else.
//!
//! A hash index of 8-byte cells and an arena of page-packed slots, both on huge pages where the kernel gives them. A get
//! hashes the key, probes cells until the tag matches, compares the key in the slot and copies the value out. There is
//! no version word, no lock, no shard, no statistics.

use crate::engine::{Outcome, Reader};
use crate::workload::{Key, Value, key, value};
use memmap2::{Advice, MmapMut, MmapOptions};
use slotcask_format::slot::SlotLayout;
use xxhash_rust::xxh3::xxh3_64;

/// Sizes of a slot of the workload, the same as in slotcask's tables.
pub const LAYOUT: SlotLayout = SlotLayout::new(size_of::<Key>(), size_of::<Value>(), false);

/// Cells and slots of a loaded table.
pub struct Arena {
    cells: MmapMut,
    slots: MmapMut,
    mask: usize,
}

fn huge(bytes: usize) -> Outcome<MmapMut> {
    let map = MmapOptions::new().len(bytes).map_anon()?;
    // Without transparent huge pages the probe is slower, which is the machine's doing: the report says which it was.
    let _ = map.advise(Advice::HugePage);
    Ok(map)
}

impl Arena {
    /// An arena that holds the first `keys` keys of the workload in the order of their numbers.
    ///
    /// # Errors
    /// When memory cannot be had.
    pub fn load(keys: u64) -> Outcome<Self> {
        let count = (keys as usize * 4 / 3).next_power_of_two();
        let pages = (keys as usize).div_ceil(LAYOUT.slots_per_page);
        let mut arena = Self {
            cells: huge(count * 8)?,
            slots: huge(pages.max(1) * LAYOUT.page_size)?,
            mask: count - 1,
        };
        for number in 0..keys {
            arena.insert(number);
        }
        Ok(arena)
    }

    fn insert(&mut self, number: u64) {
        let key = key(number);
        let hash = xxh3_64(&key);
        let mut cell = hash as usize & self.mask;
        while self.cell(cell) != 0 {
            cell = (cell + 1) & self.mask;
        }
        let entry = (hash >> 32 << 32) | (number + 1);
        self.cells[cell * 8..cell * 8 + 8].copy_from_slice(&entry.to_le_bytes());
        let at = LAYOUT.offset_of(number as u32);
        let slot = &mut self.slots[at..at + LAYOUT.slot_size];
        slot[LAYOUT.key_offset..][..size_of::<Key>()].copy_from_slice(&key);
        slot[LAYOUT.value_offset..][..size_of::<Value>()].copy_from_slice(&value(number, 0));
    }

    #[inline]
    fn cell(&self, cell: usize) -> u64 {
        let bytes = &self.cells[cell * 8..cell * 8 + 8];
        u64::from_le_bytes(bytes.try_into().expect("a cell has 8 bytes"))
    }

    #[inline]
    fn probe(&self, key: &Key) -> Option<Value> {
        let hash = xxh3_64(key);
        let mut cell = hash as usize & self.mask;
        loop {
            let entry = self.cell(cell);
            if entry == 0 {
                return None;
            }
            if entry >> 32 == hash >> 32 {
                let at = LAYOUT.offset_of(entry as u32 - 1);
                let slot = &self.slots[at..at + LAYOUT.slot_size];
                if slot[LAYOUT.key_offset..][..size_of::<Key>()] == *key {
                    let bytes = &slot[LAYOUT.value_offset..][..size_of::<Value>()];
                    return Some(bytes.try_into().expect("a value has 64 bytes"));
                }
            }
            cell = (cell + 1) & self.mask;
        }
    }
}

impl Reader for &Arena {
    #[inline(always)]
    fn get(&self, key: &Key) -> Outcome<Option<Value>> {
        Ok(self.probe(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::absent_key;

    #[test]
    fn the_probe_finds_what_was_loaded_and_nothing_else() {
        let arena = Arena::load(5000).unwrap();
        for number in 0..5000 {
            assert_eq!(arena.probe(&key(number)), Some(value(number, 0)));
            assert_eq!(arena.probe(&absent_key(number)), None);
        }
    }
}
