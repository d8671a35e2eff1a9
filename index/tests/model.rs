//! A table and a `HashMap` are told the same; they must answer the same, for several layouts, through growth, deletion,
//! reuse of slots and `clear`.

mod common;

use common::{Random, gone, hash, live};
use slotcask_format::slot::{SlotKind, SlotLayout};
use slotcask_index::{SlotMeta, SlotWriter, TableOptions, slot_table};
use std::collections::HashMap;

const SLOT_MAX: u32 = 6000;

struct Model {
    writer: SlotWriter,
    layout: SlotLayout,
    expected: HashMap<Vec<u8>, (u32, SlotMeta, Vec<u8>)>,
    free: Vec<u32>,
    random: Random,
    sequence: u64,
}

impl Model {
    fn new(layout: SlotLayout, seed: u64) -> Self {
        let options = TableOptions { slot_max: SLOT_MAX, huge_pages: false };
        Self {
            writer: slot_table(layout, options).expect("there is memory"),
            layout,
            expected: HashMap::new(),
            free: Vec::new(),
            random: Random(seed),
            sequence: 0,
        }
    }

    fn key(&mut self) -> Vec<u8> {
        let number = self.random.below(u64::from(SLOT_MAX) * 2);
        let mut key = vec![0xa5; self.layout.key_len];
        let len = key.len().min(8);
        key[..len].copy_from_slice(&number.to_le_bytes()[..len]);
        key
    }

    fn value(&mut self) -> Vec<u8> {
        (0..self.layout.value_len).map(|_| self.random.next() as u8).collect()
    }

    fn put(&mut self) {
        let (key, value) = (self.key(), self.value());
        let hash = hash(&key);
        self.sequence += 1;
        let deadline_ms = if self.layout.deadline_offset.is_some() { self.sequence * 3 } else { 0 };
        let meta = SlotMeta { deadline_ms, ..live(self.sequence) };
        let slot = match self.writer.find(hash, &key) {
            Some((slot, _)) => {
                self.writer.write(slot, meta, &key, &value);
                slot
            }
            None => {
                let slot = self.free.pop().unwrap_or_else(|| self.writer.reader().slot_count());
                if slot == SLOT_MAX {
                    return;
                }
                self.writer.extend(slot + 1).expect("it was asked for at most slot_max");
                self.writer.write(slot, meta, &key, &value);
                self.writer.insert(hash, slot);
                slot
            }
        };
        self.expected.insert(key, (slot, meta, value));
    }

    fn delete(&mut self) {
        let key = self.key();
        let hash = hash(&key);
        let found = self.writer.find(hash, &key).map(|(slot, _)| slot);
        assert_eq!(found, self.expected.remove(&key).map(|(slot, ..)| slot));
        let Some(slot) = found else { return };
        self.sequence += 1;
        assert!(self.writer.remove(hash, slot));
        let kind =
            if self.sequence.is_multiple_of(2) { SlotKind::Free } else { SlotKind::Tombstone };
        self.writer.write(slot, gone(self.sequence, kind), &key, &[]);
        assert_eq!(self.writer.meta(slot).kind, kind);
        self.free.push(slot);
    }

    fn clear(&mut self) {
        self.writer.clear();
        self.expected.clear();
        self.free.clear();
        assert_eq!((self.writer.reader().slot_count(), self.writer.reader().len()), (0, 0));
    }

    fn check_one(&mut self) {
        let key = self.key();
        let mut value = vec![0; self.layout.value_len];
        let found = self.writer.reader().get(hash(&key), &key, &mut value);
        let expected = self.expected.get(&key);
        assert_eq!(found, expected.map(|(slot, meta, _)| (*slot, *meta)));
        if let Some((_, _, expected)) = expected {
            assert_eq!(&value, expected);
        }
        assert_eq!(
            self.writer.reader().contains(hash(&key), &key),
            expected.map(|(_, meta, _)| *meta)
        );
    }

    fn check_all(&mut self) {
        let reader = self.writer.reader();
        assert_eq!(reader.len(), self.expected.len() as u64);
        let mut count = 0;
        let (mut key, mut value) = (vec![0; self.layout.key_len], vec![0; self.layout.value_len]);
        for slot in 0..reader.slot_count() {
            let meta = reader.read_slot(slot, &mut key, &mut value).expect("it was handed out");
            if meta.kind == SlotKind::Live {
                count += 1;
                assert_eq!(self.expected[&key], (slot, meta, value.clone()));
            } else {
                assert!(value.iter().all(|&byte| byte == 0));
            }
        }
        assert_eq!(count, self.expected.len());
        assert_eq!(reader.read_slot(reader.slot_count(), &mut key, &mut value), None);
        self.check_many();
    }

    fn check_many(&mut self) {
        let keys: Vec<Vec<u8>> = (0..77).map(|_| self.key()).collect();
        let hashes: Vec<u64> = keys.iter().map(|key| hash(key)).collect();
        let mut values = vec![0; 77 * self.layout.value_len];
        let mut found = vec![None; 77];
        self.writer.reader().get_many(&hashes, &keys.concat(), &mut values, &mut found);
        for (at, key) in keys.iter().enumerate() {
            let expected = self.expected.get(key);
            assert_eq!(found[at], expected.map(|(_, meta, _)| *meta));
            if let Some((_, _, value)) = expected {
                assert_eq!(&values[at * self.layout.value_len..][..value.len()], value);
            }
        }
    }

    fn check_pages(&self) {
        let layout = &self.layout;
        let mut page = vec![0xff; layout.page_size];
        for number in 0..self.writer.reader().slot_count().div_ceil(layout.slots_per_page as u32) {
            self.writer.copy_page(number, &mut page);
            for within in 0..layout.slots_per_page {
                let slot = number * layout.slots_per_page as u32 + within as u32;
                if slot >= self.writer.reader().slot_count() {
                    break;
                }
                let bytes = &page[within * layout.slot_size..][..layout.slot_size];
                let meta = self.writer.meta(slot);
                assert_eq!(bytes[..8], [0; 8]);
                assert_eq!(bytes[8..16], meta.sequence.to_le_bytes());
                assert_eq!(bytes[16..20], meta.epoch.to_le_bytes());
                if meta.sequence != 0 {
                    assert_eq!(bytes[20], meta.kind as u8);
                }
                let mut key = vec![0; layout.key_len];
                self.writer.key_of(slot, &mut key);
                assert_eq!(bytes[layout.key_offset..][..layout.key_len], key);
                let mut value = vec![0; layout.value_len];
                self.writer.value_of(slot, &mut value);
                assert_eq!(bytes[layout.value_offset..][..layout.value_len], value);
            }
        }
    }

    fn run(&mut self, steps: u32) {
        for step in 0..steps {
            // Deletes win in every third stretch.
            let puts_of_ten = if step / 4000 % 3 == 2 { 3 } else { 7 };
            if self.random.below(10) < puts_of_ten {
                self.put()
            } else {
                self.delete()
            }
            self.check_one();
            if step % 5000 == 4999 {
                self.check_all();
                self.check_pages();
            }
            if step == steps / 2 {
                self.clear();
                self.check_all();
            }
        }
        self.check_all();
    }
}

#[test]
fn answers_like_a_map() {
    for (seed, layout) in [
        SlotLayout::new(16, 64, false),
        SlotLayout::new(3, 0, false),
        SlotLayout::new(13, 27, true),
        SlotLayout::new(8, 5000, false),
    ]
    .into_iter()
    .enumerate()
    {
        Model::new(layout, seed as u64 + 1).run(40_000);
    }
}

#[test]
fn a_full_table_refuses_by_name() {
    let options = TableOptions { slot_max: 10, huge_pages: true };
    let mut writer = slot_table(SlotLayout::new(8, 8, false), options).expect("there is memory");
    writer.extend(10).expect("ten fit");
    let error = writer.extend(11).expect_err("eleven do not").to_string();
    assert!(error.contains("slot_count_max"), "{error}");
}

#[test]
fn too_much_address_space_is_an_error_that_says_what_to_do() {
    let options = TableOptions { slot_max: u32::MAX, huge_pages: false };
    let Err(error) = slot_table(SlotLayout::new(8, 1 << 30, false), options) else {
        panic!("2^62 bytes cannot be reserved");
    };
    assert!(error.to_string().contains("lower slot_count_max"), "{error}");
}
