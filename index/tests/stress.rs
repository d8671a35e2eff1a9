//! Readers and one writer, real threads, random operations through growth, reuse of slots and `clear`.
//!
//! Each value says which key it belongs to and at what count of its writes it was written, twice. A reader checks that a value
//! is whole and of the right key, that no key runs backwards, and that keys which are always there are never missed.

mod common;

use common::{Random, gone, hash, live};
use slotcask_format::slot::{SlotKind, SlotLayout};
use slotcask_index::{SlotReader, TableOptions, slot_table};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Keys that are written first and never deleted.
const STEADY: u64 = 200;
/// All keys.
const KEYS: u64 = 4000;
const VALUE_LEN: usize = 40;

fn value_of(key: u64, count: u64) -> [u8; VALUE_LEN] {
    let mut value = [0; VALUE_LEN];
    for (word, number) in
        value.as_chunks_mut::<8>().0.iter_mut().zip([key, count, !count, !key, key ^ count])
    {
        *word = number.to_le_bytes();
    }
    value
}

/// Checks a value, and gives the count at which it was written.
fn check(key: u64, value: &[u8]) -> u64 {
    let count = u64::from_le_bytes(*value[8..].first_chunk().expect("a value has 40 bytes"));
    assert_eq!(value, value_of(key, count), "torn, or of another key");
    count
}

fn read(reader: &SlotReader, newest: &AtomicU64, seed: u64, done: &AtomicBool) -> u64 {
    let mut random = Random(seed);
    let mut last = vec![0; KEYS as usize];
    let mut value = [0; VALUE_LEN];
    let mut hits = 0;
    // At least once around, however quick the writer was.
    loop {
        for _ in 0..64 {
            let key = if random.below(3) == 0 { random.below(STEADY) } else { random.below(KEYS) };
            let bytes = key.to_le_bytes();
            // What was answered to the writer before this call must be visible to it.
            let floor = newest.load(Ordering::Acquire);
            let found = reader.get(hash(&bytes), &bytes, &mut value);
            assert!(found.is_some() || key >= STEADY, "key {key} was there all the time");
            if found.is_some() {
                let count = check(key, &value);
                assert!(count >= last[key as usize], "key {key} ran backwards");
                last[key as usize] = count;
                if key == 0 {
                    assert!(count >= floor, "an old value of key 0: {count}, not {floor}");
                }
                hits += 1;
            }
        }
        let keys: Vec<u64> = (0..40).map(|_| random.below(KEYS)).collect();
        let bytes: Vec<[u8; 8]> = keys.iter().map(|key| key.to_le_bytes()).collect();
        let hashes: Vec<u64> = bytes.iter().map(|bytes| hash(bytes)).collect();
        let mut values = [0; 40 * VALUE_LEN];
        let mut found = [None; 40];
        reader.get_many(&hashes, bytes.as_flattened(), &mut values, &mut found);
        for (at, &key) in keys.iter().enumerate() {
            assert!(found[at].is_some() || key >= STEADY);
            if found[at].is_some() {
                check(key, &values[at * VALUE_LEN..][..VALUE_LEN]);
            }
        }
        let mut key = [0; 8];
        let slot = random.below(KEYS) as u32;
        if let Some(meta) = reader.read_slot(slot, &mut key, &mut value)
            && meta.kind == SlotKind::Live
        {
            assert_eq!(meta.sequence, check(u64::from_le_bytes(key), &value));
        }
        reader.populate_ahead();
        if done.load(Ordering::Relaxed) {
            return hits;
        }
    }
}

#[test]
fn readers_see_whole_values_and_miss_nothing() {
    const ROUNDS: u32 = 30;
    let options = TableOptions { slot_max: 2 * KEYS as u32, huge_pages: true };
    let layout = SlotLayout::new(8, VALUE_LEN, false);
    for round in 0..ROUNDS {
        let mut writer = slot_table(layout, options).expect("there is memory");
        let (done, newest) = (AtomicBool::new(false), AtomicU64::new(0));
        let mut slots: Vec<Option<u32>> = vec![None; KEYS as usize];
        let mut free = Vec::new();
        let mut count = 0;
        let mut random = Random(u64::from(round) + 1);
        let mut put = |writer: &mut slotcask_index::SlotWriter,
                       slots: &mut [Option<u32>],
                       free: &mut Vec<u32>,
                       key: u64| {
            count += 1;
            let bytes = key.to_le_bytes();
            let old = slots[key as usize];
            let slot = old.or_else(|| free.pop()).unwrap_or_else(|| writer.reader().slot_count());
            writer.extend(slot + 1).expect("there are more slots than keys");
            writer.write(slot, live(count), &bytes, &value_of(key, count));
            if old.is_none() {
                writer.insert(hash(&bytes), slot);
                slots[key as usize] = Some(slot);
            }
            if key == 0 {
                newest.store(count, Ordering::Release);
            }
        };
        for key in 0..STEADY {
            put(&mut writer, &mut slots, &mut free, key);
        }
        let reader = writer.reader().clone();
        std::thread::scope(|scope| {
            let readers: Vec<_> = (0..3)
                .map(|seed| {
                    let (reader, newest, done) = (&reader, &newest, &done);
                    scope.spawn(move || read(reader, newest, seed + 10, done))
                })
                .collect();
            for step in 0..30_000_u32 {
                let key = random.below(KEYS);
                if key < STEADY || step / 8000 % 2 == 0 || random.below(3) == 0 {
                    put(&mut writer, &mut slots, &mut free, key);
                } else if let Some(slot) = slots[key as usize].take() {
                    let bytes = key.to_le_bytes();
                    let is_removed_first = random.below(2) == 0;
                    if is_removed_first {
                        assert!(writer.remove(hash(&bytes), slot));
                    }
                    let kind = if step % 2 == 0 { SlotKind::Free } else { SlotKind::Tombstone };
                    writer.write(slot, gone(0, kind), &bytes, &[]);
                    if !is_removed_first {
                        assert!(writer.remove(hash(&bytes), slot));
                    }
                    free.push(slot);
                }
            }
            done.store(true, Ordering::Relaxed);
            let hits: u64 =
                readers.into_iter().map(|reader| reader.join().expect("no reader failed")).sum();
            assert!(hits > 0);
        });
    }
}

#[test]
fn readers_survive_clear() {
    let options = TableOptions { slot_max: 2 * KEYS as u32, huge_pages: false };
    let layout = SlotLayout::new(8, VALUE_LEN, false);
    let mut writer = slot_table(layout, options).expect("there is memory");
    let reader = writer.reader().clone();
    let done = AtomicBool::new(false);
    // Of each life of the table, by its number, whether it is over: then nothing of it may be seen by who begins later.
    let life = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for seed in 0..2 {
            let (reader, done, life) = (&reader, &done, &life);
            scope.spawn(move || {
                let mut random = Random(seed + 77);
                let mut value = [0; VALUE_LEN];
                while !done.load(Ordering::Relaxed) {
                    let key = random.below(KEYS);
                    let floor = life.load(Ordering::Acquire);
                    let bytes = key.to_le_bytes();
                    if reader.get(hash(&bytes), &bytes, &mut value).is_some() {
                        assert!(check(key, &value) >= floor, "a value from before `clear`");
                    }
                }
            });
        }
        let mut random = Random(5);
        for number in 1..400 {
            let count = random.below(KEYS) as u32;
            for slot in 0..count {
                // Another slot for each key in each life.
                let key = (u64::from(slot) * 7 + number) % KEYS;
                let bytes = key.to_le_bytes();
                writer.extend(slot + 1).expect("there are more slots than keys");
                if writer.find(hash(&bytes), &bytes).is_none() {
                    writer.write(slot, live(number), &bytes, &value_of(key, number));
                    writer.insert(hash(&bytes), slot);
                }
            }
            writer.clear();
            life.store(number + 1, Ordering::Release);
        }
        done.store(true, Ordering::Relaxed);
    });
}
