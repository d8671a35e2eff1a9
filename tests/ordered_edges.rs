//! Ordered tables at their edges: bounds that hold nothing, keys of 0xFF, positions of keys that are gone, long common prefixes, every
//! way of writing, stores that are read only; and scans beside writers of all kinds.

#![expect(clippy::disallowed_methods, reason = "one test runs for a second of real time")]

mod common;

use common::{ROOT, store, tiny, world};
use proptest::prelude::*;
use slotcask::{
    CaskOptions, CaskTable, Error, Expiry, Options, Range, Table, TableOptions, WriteOptions,
};
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

type Map = BTreeMap<Vec<u8>, Vec<u8>>;

fn cask_options() -> CaskOptions {
    CaskOptions::new().ordered(true)
}

fn all<T: slotcask::OrderedTable>(range: slotcask::Result<Range<T>>) -> Vec<(Vec<u8>, Vec<u8>)> {
    range.unwrap().map(Result::unwrap).collect()
}

/// Keys that share long prefixes, that end in 0xFF or in zeros, and empty ones.
fn key() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        proptest::collection::vec(prop_oneof![Just(0_u8), Just(1), Just(254), Just(255)], 0..5),
        (0_u16..300).prop_map(|number| format!("a prefix of many bytes:{number:03}").into_bytes()),
        (0_usize..12).prop_map(|len| vec![255; len]),
        (0_usize..12).prop_map(|len| [b"equal so far".as_slice(), &vec![0; len]].concat()),
    ]
}

fn bound() -> impl Strategy<Value = Bound<Vec<u8>>> {
    prop_oneof![
        Just(Bound::Unbounded),
        key().prop_map(Bound::Included),
        key().prop_map(Bound::Excluded)
    ]
}

fn within(map: &Map, from: &Bound<Vec<u8>>, to: &Bound<Vec<u8>>) -> Vec<(Vec<u8>, Vec<u8>)> {
    let low = |key: &Vec<u8>| match from {
        Bound::Unbounded => true,
        Bound::Included(from) => key >= from,
        Bound::Excluded(from) => key > from,
    };
    let high = |key: &Vec<u8>| match to {
        Bound::Unbounded => true,
        Bound::Included(to) => key <= to,
        Bound::Excluded(to) => key < to,
    };
    let inside = map.iter().filter(|(key, _)| low(key) && high(key));
    inside.map(|(key, value)| (key.clone(), value.clone())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn ranges_of_any_bounds_are_those_of_a_map(
        keys in proptest::collection::vec(key(), 0..400),
        steps in proptest::collection::vec((bound(), bound(), key(), 1_usize..9, any::<bool>()), 1..12),
        shards in 1_u32..4,
    ) {
        let (store, _disk) = store(5, shards);
        let table = store.create_cask("c", &cask_options()).unwrap();
        let mut map = Map::new();
        for (number, key) in keys.into_iter().enumerate() {
            let value = vec![number as u8; number % 7];
            table.put(&key, &value).unwrap();
            map.insert(key, value);
        }
        for (from, to, key, limit, delete) in steps {
            // From above to: nothing, and no panic.
            let range = || table.range::<Vec<u8>>((from.clone(), to.clone()));
            let expected = within(&map, &from, &to);
            prop_assert_eq!(all(range()), expected.clone());
            let mut down = all(range().map(Range::descending));
            down.reverse();
            prop_assert_eq!(&down, &expected);
            let prefixed: Vec<_> =
                map.clone().into_iter().filter(|(other, _)| other.starts_with(&key)).collect();
            prop_assert_eq!(all(table.prefix(&key)), prefixed);
            // Behind a key that may not be there, nor within the range.
            let behind: Vec<_> = expected.iter().filter(|(other, _)| *other > key).cloned().collect();
            prop_assert_eq!(all(range().map(|range| range.after(&key))), behind);
            let before: Vec<_> =
                expected.iter().rev().filter(|(other, _)| *other < key).cloned().collect();
            prop_assert_eq!(all(range().map(|range| range.descending().after(&key))), before);
            // In pages whose last key is deleted before the next page is asked for.
            let mut paged = Vec::new();
            let mut next: Option<Vec<u8>> = None;
            loop {
                let mut from_here = range().unwrap();
                if let Some(next) = &next {
                    from_here = from_here.after(next);
                }
                let page = from_here.page(limit).unwrap();
                paged.extend(page.pairs);
                let Some(last) = page.next else { break };
                if delete {
                    prop_assert!(table.delete(&last).unwrap());
                    map.remove(&last);
                }
                next = Some(last);
            }
            prop_assert_eq!(paged, expected);
            let gone = within(&map, &from, &to);
            let deleted = table.delete_range::<Vec<u8>>((from, to)).unwrap();
            prop_assert_eq!(deleted, gone.len() as u64);
            for (key, value) in gone.iter().step_by(2) {
                table.put(key, value).unwrap();
            }
            for (key, _) in gone.iter().skip(1).step_by(2) {
                map.remove(key);
            }
            let pairs: Vec<_> = map.clone().into_iter().collect();
            prop_assert_eq!(all(table.scan()), pairs);
        }
    }
}

#[test]
fn every_way_of_writing_keeps_the_order() {
    let (store, _disk) = store(6, 2);
    let options = TableOptions::fixed(4, 4).deadlines(true).ordered(true);
    let fixed = store.create_table("f", options).unwrap();
    let cask = store.create_cask("c", &cask_options()).unwrap();
    let ttl = WriteOptions::new().ttl(Duration::from_secs(3600));
    let mut map = Map::new();
    for number in 0..400_u32 {
        let key = number.wrapping_mul(0x9e37_79b1).to_le_bytes();
        let value = number.to_le_bytes();
        match number % 7 {
            0 => {
                assert!(fixed.put_if_absent(key, value).unwrap());
                assert!(cask.put_if_absent(key, value).unwrap());
            }
            1 => {
                fixed.put_many(&[(key, value)]).unwrap();
                cask.put_many(&[(key, value)]).unwrap();
            }
            2 => {
                let mut batch = store.batch();
                batch.put(&fixed, key, value).unwrap().put(&cask, key, value).unwrap();
                batch.commit().unwrap();
            }
            3 => {
                fixed.write(key, value).unwrap().wait().unwrap();
                cask.write(key, value).unwrap().wait().unwrap();
            }
            4 => {
                fixed.put_with(key, value, &ttl).unwrap();
                cask.put_with(key, value, &ttl).unwrap();
            }
            5 => {
                // Comes, goes, and comes again.
                for _ in 0..2 {
                    fixed.put(key, value).unwrap();
                    cask.put(key, value).unwrap();
                    assert!(fixed.delete(key).unwrap() && cask.delete(key).unwrap());
                }
                fixed.put(key, value).unwrap();
                cask.put(key, value).unwrap();
            }
            _ => {
                fixed.put(key, [9; 4]).unwrap();
                cask.put(key, [9; 4]).unwrap();
                let nines = Some(&[9; 4][..]);
                fixed.compare_and_swap(key, nines, Some(&value)).unwrap().unwrap();
                cask.compare_and_swap(key, nines, Some(&value)).unwrap().unwrap();
                // Away by an update that gives nothing, and back by one that gives something.
                for new in [None, Some(value.to_vec())] {
                    fixed.update(key, |_| new.clone()).unwrap();
                    cask.update(key, |_| new.clone()).unwrap();
                }
            }
        }
        map.insert(key.to_vec(), value.to_vec());
    }
    let pairs: Vec<_> = map.into_iter().collect();
    assert_eq!(all(fixed.scan()), pairs);
    assert_eq!(all(cask.scan()), pairs);
    store.clear_table("f").unwrap();
    store.clear_table("c").unwrap();
    assert!(all(fixed.scan()).is_empty() && all(cask.scan()).is_empty());
    fixed.put([1; 4], [2; 4]).unwrap();
    cask.put([1; 4], [2; 4]).unwrap();
    assert_eq!(all(fixed.scan()), all(cask.scan()));
    let (mut of_fixed, mut of_cask) = (fixed.scan().unwrap(), cask.scan().unwrap());
    store.drop_table("f").unwrap();
    store.drop_table("c").unwrap();
    assert!(matches!(of_fixed.next(), Some(Err(Error::TableDropped { .. }))));
    assert!(matches!(of_cask.next(), Some(Err(Error::TableDropped { .. }))));
    assert!(matches!(fixed.first(), Err(Error::TableDropped { .. })));
}

#[test]
fn a_scan_that_is_at_its_end_stays_there() {
    let (store, _disk) = store(7, 3);
    let table = store.create_cask("c", &cask_options()).unwrap();
    let mut empty = table.scan().unwrap();
    assert!(empty.next_ref().unwrap().is_none());
    for number in 0..200_u8 {
        table.put([number], [number]).unwrap();
    }
    let mut scan = table.range([10]..[20]).unwrap();
    assert_eq!(scan.by_ref().count(), 10);
    table.put([15, 1], [0]).unwrap();
    table.put([19, 1], [0]).unwrap();
    assert!(scan.next().is_none() && scan.next().is_none());
    let page = table.range([10]..[12]).unwrap().page(2).unwrap();
    assert_eq!(page.next.as_deref(), Some(&[11][..]), "whether more follows is not looked for");
    let page = table.range([10]..[12]).unwrap().after([11]).page(2).unwrap();
    assert!(page.pairs.is_empty() && page.next.is_none());
    assert!(table.scan().unwrap().page(0).unwrap().pairs.is_empty());
}

#[test]
fn a_store_that_is_read_only_has_its_order() {
    let (env, _disk) = world(8);
    let store = tiny(2).open_in(env.clone(), ROOT).unwrap();
    let fixed = store.create_table("f", TableOptions::fixed(2, 2).ordered(true)).unwrap();
    let cask = store.create_cask("c", &cask_options()).unwrap();
    for number in 0..500_u16 {
        let key = number.swap_bytes().to_le_bytes();
        fixed.put(key, key).unwrap();
        cask.put(key, key).unwrap();
    }
    assert_eq!(fixed.delete_range([0, 100]..[0, 200]).unwrap(), 100);
    assert_eq!(cask.delete_range([0, 100]..[0, 200]).unwrap(), 100);
    store.close().unwrap();
    let store = tiny(2).read_only(true).open_in(env, ROOT).unwrap();
    let (fixed, cask) = (store.open_table("f").unwrap(), store.open_cask("c").unwrap());
    assert_eq!(all(fixed.scan()).len(), 400);
    assert_eq!(all(fixed.scan()), all(cask.scan()));
    assert_eq!(all(cask.range([0, 99]..[0, 201])).len(), 2);
    assert!(matches!(fixed.delete_prefix([0]), Err(Error::ReadOnly { .. })));
    assert!(matches!(cask.delete_range([0]..), Err(Error::ReadOnly { .. })));
}

/// What every scan has to show, whatever goes on: keys that ascend, the ones that nobody touches all there, each with its value.
fn judge<T: slotcask::OrderedTable>(range: Range<T>, down: bool) {
    let mut range = if down { range.descending() } else { range };
    let mut last: Option<Vec<u8>> = None;
    let mut settled = 0;
    while let Some((key, value)) = range.next_ref().unwrap() {
        if let Some(last) = &last {
            assert_eq!(last.as_slice() < key, !down, "{last:?} before {key:?}");
        }
        assert_eq!(key, &value[..4], "a value of another key");
        settled += u32::from(key[3].is_multiple_of(4));
        last = Some(key.to_vec());
    }
    assert_eq!(settled, 16 * 64, "a key is missing that was there all the time");
}

fn write(number: u64, fixed: &Table, cask: &CaskTable) {
    let ttl = WriteOptions::new().ttl(Duration::from_millis(20));
    let high = (number % 16) as u8;
    // Never a multiple of four at the end: those stay.
    let key = [0, 0, high, (number / 16 % 64) as u8 * 4 + 1 + (number % 3) as u8];
    let mut value = [0; 12];
    value[..4].copy_from_slice(&key);
    value[4..].copy_from_slice(&number.to_le_bytes());
    match number / 7 % 6 {
        0 | 1 => {
            fixed.put(key, value).unwrap();
            cask.put(key, value).unwrap();
        }
        2 => {
            fixed.delete(key).unwrap();
            cask.delete(key).unwrap();
        }
        3 => {
            fixed.put_with(key, value, &ttl).unwrap();
            cask.put_with(key, value, &ttl).unwrap();
        }
        4 => {
            // The three keys between two that stay.
            let from = [0, 0, high, key[3] / 4 * 4 + 1];
            let to = [0, 0, high, from[3] + 2];
            fixed.delete_range(from..=to).unwrap();
            cask.delete_range(from..=to).unwrap();
        }
        _ => {
            fixed.put_if_absent(key, value).unwrap();
            cask.put_if_absent(key, value).unwrap();
        }
    }
}

#[test]
fn scans_beside_writers_show_what_stays() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options::new()
        .shards(2)
        .segment_size(256 << 10)
        .log_size(4 << 20)
        .huge_pages(false)
        .durability(slotcask::Durability::Buffered);
    let store = options.open(dir.path()).unwrap();
    let shape = TableOptions::fixed(4, 12).deadlines(true).ordered(true);
    let fixed = store.create_table("f", shape).unwrap();
    let cask = store.create_cask("c", &cask_options()).unwrap();
    for high in 0..16 {
        for low in 0..64 {
            let key = [0, 0, high, low * 4];
            let value = [0, 0, high, low * 4, 1, 1, 1, 1, 1, 1, 1, 1];
            fixed.put(key, value).unwrap();
            cask.put(key, value).unwrap();
        }
    }
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for writer in 0..2_u64 {
            let (fixed, cask, stop) = (&fixed, &cask, &stop);
            scope.spawn(move || {
                let mut number = writer << 32;
                while !stop.load(Ordering::Relaxed) {
                    number += 1;
                    write(number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20, fixed, cask);
                }
            });
        }
        for down in [false, true] {
            let (fixed, cask, stop) = (&fixed, &cask, &stop);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    judge(fixed.scan().unwrap(), down);
                    judge(cask.scan().unwrap(), down);
                }
            });
        }
        for _ in 0..100 {
            store.checkpoint().unwrap();
            store.merge().unwrap();
        }
        stop.store(true, Ordering::Relaxed);
    });
    // What is there now, by the order and by the index, once nothing is left that vanishes meanwhile.
    let start = Instant::now();
    let vanishes = |expiry: Option<Expiry>| !matches!(expiry, None | Some(Expiry::Never));
    while all(fixed.scan()).iter().any(|(key, _)| vanishes(fixed.expiry(key).unwrap()))
        || all(cask.scan()).iter().any(|(key, _)| vanishes(cask.expiry(key).unwrap()))
    {
        assert!(start.elapsed() < Duration::from_secs(60), "values do not vanish");
    }
    let sorted = |mut pairs: Vec<(Vec<u8>, Vec<u8>)>| {
        pairs.sort();
        pairs
    };
    let of_fixed = all(fixed.scan());
    assert_eq!(of_fixed, sorted(fixed.iter().map(Result::unwrap).collect()));
    let of_cask = all(cask.scan());
    assert_eq!(of_cask, sorted(cask.iter().map(Result::unwrap).collect()));
    store.close().unwrap();
}

/// A range delete is one record: ends that do not fit one are refused by name.
#[test]
fn ends_of_a_range_fit_a_record() {
    let (store, _disk) = store(1, 1);
    let cask = store.create_cask("c", &cask_options()).unwrap();
    let fixed = store.create_table("f", TableOptions::fixed(8, 8).ordered(true)).unwrap();
    cask.put(b"key", b"value").unwrap();
    fixed.put(b"12345678", b"12345678").unwrap();
    for len in (0..65_535).step_by(1013) {
        let (from, to) = (vec![b'a'; len], vec![b'z'; len.max(1)]);
        for deleted in [cask.delete_range(from.clone()..to.clone()), fixed.delete_range(from..to)] {
            match deleted {
                Ok(_) => assert!(len < 30_000, "{len}"),
                Err(Error::KeyTooLong { max, found, .. }) => assert!(max < found, "{max} {found}"),
                Err(error) => panic!("{len}: {error}"),
            }
        }
        cask.put(b"key", b"value").unwrap();
    }
}
