//! Models of the protocol under every interleaving (with at most a few preemptions) that the memory model allows. Run with
//! `RUSTFLAGS="--cfg loom" cargo test --release -p slotcask-index --test loom`.
#![cfg(loom)]

use loom::thread;
use slotcask_format::slot::{SlotKind, SlotLayout};
use slotcask_index::{SlotMeta, SlotReader, SlotWriter, TableOptions, slot_table};
use std::sync::Arc;

const KEY: [u8; 8] = [1; 8];
const OTHER: [u8; 8] = [2; 8];
const THIRD: [u8; 8] = [3; 8];

/// Hashes that agree in their tags, so that a reader probes slots of other keys; `OTHER` goes to another bucket when there are two.
fn hash(key: &[u8; 8]) -> u64 {
    0x4200_0000_0000_0000 | (u64::from(key[0] == 2) << 8)
}

fn meta(kind: SlotKind) -> SlotMeta {
    SlotMeta { sequence: 1, epoch: 1, kind, deadline_ms: 0 }
}

fn value(key: &[u8; 8], count: u8) -> [u8; 16] {
    let mut value = [count; 16];
    value[0] = key[0];
    value[8] = key[0];
    value
}

fn table() -> SlotWriter {
    let layout = SlotLayout::new(8, 16, false);
    let mut writer = slot_table(layout, TableOptions { slot_max: 4, huge_pages: false })
        .expect("a model has memory");
    writer.extend(3).expect("three fit");
    writer
}

fn put(writer: &mut SlotWriter, slot: u32, key: &[u8; 8], count: u8) {
    writer.write(slot, meta(SlotKind::Live), key, &value(key, count));
    writer.insert(hash(key), slot);
}

fn delete(writer: &mut SlotWriter, slot: u32, key: &[u8; 8]) {
    assert!(writer.remove(hash(key), slot));
    writer.write(slot, meta(SlotKind::Tombstone), key, &[]);
}

/// Looks a key up, checks that what it gets is whole, and gives the count in it.
fn get(reader: &Arc<SlotReader>, key: &[u8; 8]) -> Option<u8> {
    let mut found = [0; 16];
    reader.get(hash(key), key, &mut found)?;
    let count = found[1];
    assert_eq!(found, value(key, count), "torn, or of another key");
    Some(count)
}

fn model(preemptions: usize, run: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 10_000;
    builder.check(run);
}

#[test]
fn an_overwrite_is_never_torn_and_never_missed() {
    model(3, || {
        let mut writer = table();
        put(&mut writer, 0, &KEY, 1);
        let reader = writer.reader().clone();
        let thread = thread::spawn(move || {
            let first = get(&reader, &KEY).expect("the key is there all the time");
            let second = get(&reader, &KEY).expect("the key is there all the time");
            assert!(first <= second);
        });
        writer.write(0, meta(SlotKind::Live), &KEY, &value(&KEY, 2));
        thread.join().expect("the reader did not fail");
    });
}

#[test]
fn a_split_hides_no_key() {
    for key in [KEY, OTHER] {
        model(3, move || {
            let mut writer = table();
            put(&mut writer, 0, &key, 1);
            let reader = writer.reader().clone();
            let thread = thread::spawn(move || {
                assert_eq!(get(&reader, &key), Some(1));
            });
            // The second entry splits the only bucket; `OTHER` moves.
            put(&mut writer, 1, &THIRD, 9);
            thread.join().expect("the reader did not fail");
            assert_eq!(get(writer.reader(), &key), Some(1));
            assert_eq!(get(writer.reader(), &THIRD), Some(9));
        });
    }
}

#[test]
fn a_slot_that_another_key_takes_over_is_never_mistaken() {
    model(3, || {
        let mut writer = table();
        put(&mut writer, 0, &KEY, 1);
        let reader = writer.reader().clone();
        let thread = thread::spawn(move || {
            if let Some(count) = get(&reader, &KEY) {
                assert_eq!(count, 1);
            }
            if let Some(count) = get(&reader, &THIRD) {
                assert_eq!(count, 2);
                assert_eq!(get(&reader, &KEY), None, "one was gone before the other came");
            }
        });
        delete(&mut writer, 0, &KEY);
        put(&mut writer, 0, &THIRD, 2);
        thread.join().expect("the reader did not fail");
    });
}

#[test]
fn a_key_that_moves_to_another_slot_is_seen_in_order() {
    model(3, || {
        let mut writer = table();
        put(&mut writer, 0, &KEY, 1);
        let reader = writer.reader().clone();
        let thread = thread::spawn(move || {
            // What is seen: 1, nothing, 2, in this order; each may be left out.
            let place = |seen: Option<u8>| seen.map_or(1, |count| if count == 1 { 0 } else { 2 });
            let first = place(get(&reader, &KEY));
            let second = place(get(&reader, &KEY));
            assert!(first <= second, "{first} and then {second}");
        });
        delete(&mut writer, 0, &KEY);
        put(&mut writer, 1, &KEY, 2);
        thread.join().expect("the reader did not fail");
    });
}

#[test]
fn a_key_that_comes_back_to_its_slot_is_seen_in_order() {
    model(3, || {
        let mut writer = table();
        put(&mut writer, 0, &KEY, 1);
        let reader = writer.reader().clone();
        let thread = thread::spawn(move || {
            let place = |seen: Option<u8>| seen.map_or(1, |count| if count == 1 { 0 } else { 2 });
            let first = place(get(&reader, &KEY));
            let second = place(get(&reader, &KEY));
            assert!(first <= second, "{first} and then {second}");
        });
        delete(&mut writer, 0, &KEY);
        put(&mut writer, 0, &KEY, 2);
        thread.join().expect("the reader did not fail");
    });
}

#[test]
fn nothing_from_before_clear_is_seen_by_who_saw_it_done() {
    model(3, || {
        let mut writer = table();
        put(&mut writer, 0, &OTHER, 1);
        put(&mut writer, 1, &KEY, 1);
        let reader = writer.reader().clone();
        let thread = thread::spawn(move || {
            let first = get(&reader, &OTHER);
            let second = get(&reader, &OTHER);
            // 1, nothing, 2.
            let place = |seen: Option<u8>| seen.map_or(1, |count| if count == 1 { 0 } else { 2 });
            assert!(place(first) <= place(second), "{first:?} and then {second:?}");
        });
        writer.clear();
        writer.extend(1).expect("one fits");
        put(&mut writer, 0, &OTHER, 2);
        thread.join().expect("the reader did not fail");
    });
}

#[test]
fn a_scan_reads_whole_slots() {
    model(3, || {
        let mut writer = table();
        put(&mut writer, 0, &KEY, 1);
        let reader = writer.reader().clone();
        let thread = thread::spawn(move || {
            let (mut key, mut found) = ([0; 8], [0; 16]);
            let meta = reader.read_slot(0, &mut key, &mut found).expect("slot 0 was handed out");
            match meta.kind {
                SlotKind::Live => assert_eq!(found, value(&key, found[1])),
                _ => assert_eq!((key, found), (KEY, [0; 16])),
            }
        });
        delete(&mut writer, 0, &KEY);
        put(&mut writer, 0, &THIRD, 2);
        thread.join().expect("the reader did not fail");
    });
}
