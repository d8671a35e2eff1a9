//! An iteration of a cask table begins, however fast others write: records that have moved to files that came after it looked are looked up again,
//! and not all of them. Each key comes exactly once.

mod common;

use common::{ROOT, tiny, world};
use slotcask::{CaskTable, Durability};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

/// Keys that stay as they are.
const KEYS: u32 = 50_000;
/// Keys that are overwritten all the time, or that come and go.
const HOT: u32 = 100;
const ITERATIONS: usize = 3;

struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn key(number: u32) -> [u8; 4] {
    number.to_le_bytes()
}

fn write(table: &CaskTable, over: &AtomicBool) {
    for number in 0_u32.. {
        table.put(key(KEYS + number % HOT), [1; 1000]).unwrap();
        let brief = key(KEYS + HOT + number % HOT);
        if (number / HOT).is_multiple_of(2) {
            table.put(brief, [2; 100]).unwrap();
        } else {
            table.delete(brief).unwrap();
        }
        if over.load(Ordering::Relaxed) {
            return;
        }
    }
}

#[test]
fn an_iteration_begins_while_somebody_writes() {
    let (env, _disk) = world(73);
    let store = tiny(1).durability(Durability::Buffered).open_in(env, ROOT).unwrap();
    let table = store.cask("c").unwrap();
    for number in 0..KEYS + HOT {
        table.put(key(number), [0; 8]).unwrap();
    }
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| write(&table, &over));
        // However this ends: the writer writes until then.
        let _stop = Stop(&over);
        for _ in 0..ITERATIONS {
            let mut found: BTreeMap<Vec<u8>, u32> = BTreeMap::new();
            for pair in table.iter() {
                *found.entry(pair.unwrap().0).or_default() += 1;
            }
            assert!(found.values().all(|times| *times == 1), "a key came twice");
            let stay = (0..KEYS + HOT).filter(|number| !found.contains_key(&key(*number)[..]));
            assert_eq!(stay.count(), 0, "keys that are there did not come");
        }
    });
}
