//! Pages are copied out, checksummed, read into another table, adopted and indexed: the other table answers like the first.
//! A second live slot with the same key is reported.

mod common;

use common::{gone, hash, live};
use slotcask_format::slot::{SlotKind, SlotLayout};
use slotcask_index::{SlotWriter, TableOptions, adopt_slot, slot_table};

const SLOTS: u32 = 20_011;

fn key(number: u32) -> [u8; 11] {
    let mut key = [7; 11];
    key[..4].copy_from_slice(&number.to_le_bytes());
    key
}

fn filled(layout: SlotLayout) -> SlotWriter {
    let options = TableOptions { slot_max: SLOTS + 500, huge_pages: true };
    let mut writer = slot_table(layout, options).expect("there is memory");
    writer.extend(SLOTS).expect("they fit");
    for slot in 0..SLOTS {
        let key = key(slot);
        if slot % 7 == 3 {
            writer.write(slot, gone(u64::from(slot), SlotKind::Tombstone), &key, &[]);
        } else if slot % 7 != 5 {
            writer.write(slot, live(u64::from(slot) + 1), &key, &[slot as u8; 50]);
            writer.insert(hash(&key), slot);
        }
    }
    writer
}

fn reloaded(from: &SlotWriter, layout: SlotLayout) -> SlotWriter {
    let options = TableOptions { slot_max: SLOTS + 500, huge_pages: true };
    let mut writer = slot_table(layout, options).expect("there is memory");
    let pages = layout.page_of(SLOTS - 1) + 1;
    for page in 0..pages {
        let bytes = writer.load_pages(page, 1);
        assert_eq!(bytes.as_ptr() as usize % 4096, 0);
        from.copy_page(page, bytes);
        for slot in bytes.chunks_exact_mut(layout.slot_size) {
            // What a checksum leaves there must not matter.
            slot[..8].fill(0xff);
            adopt_slot(slot);
        }
    }
    writer.finish_load(SLOTS);
    writer
}

#[test]
fn a_loaded_table_answers_like_the_one_that_was_copied() {
    let layout = SlotLayout::new(11, 50, false);
    let first = filled(layout);
    let mut second = reloaded(&first, layout);
    let mut duplicates = Vec::new();
    second.index_all(hash, &mut duplicates);
    assert_eq!(duplicates, []);
    assert_eq!(second.reader().len(), first.reader().len());
    let (mut one, mut two) = ([0; 50], [0; 50]);
    for slot in 0..SLOTS {
        let key = key(slot);
        let found = second.reader().get(hash(&key), &key, &mut two);
        assert_eq!(found, first.reader().get(hash(&key), &key, &mut one));
        if found.is_some() {
            assert_eq!(one, two);
        }
    }
    // It goes on growing from there.
    second.extend(SLOTS + 500).expect("they fit");
    for slot in SLOTS..SLOTS + 500 {
        assert_eq!(second.meta(slot).sequence, 0);
        second.write(slot, live(1), &key(slot), &[0; 50]);
        second.insert(hash(&key(slot)), slot);
    }
    for slot in SLOTS..SLOTS + 500 {
        assert_eq!(second.find(hash(&key(slot)), &key(slot)).map(|(at, _)| at), Some(slot));
    }
}

#[test]
fn the_same_key_in_two_slots_is_reported() {
    let layout = SlotLayout::new(11, 50, false);
    let mut first = filled(layout);
    first.write(4000, live(9), &key(28), &[1; 50]);
    first.write(14, live(9), &key(15), &[1; 50]);
    let mut second = reloaded(&first, layout);
    let mut duplicates = Vec::new();
    second.index_all(hash, &mut duplicates);
    assert_eq!(duplicates, [(14, 15), (28, 4000)]);
}

#[test]
#[should_panic(expected = "nobody reads")]
fn a_table_with_readers_is_not_loaded_into() {
    let options = TableOptions { slot_max: 100, huge_pages: false };
    let mut writer = slot_table(SlotLayout::new(8, 8, false), options).expect("there is memory");
    let _reader = writer.reader().clone();
    writer.load_pages(0, 1);
}
