//! Ordered tables of both kinds are as a map of the standard library: scans both ways, pages, range deletes; across checkpoints,
//! merges, reopenings and crashes. What a range delete removed stays away, whatever is merged in which order.

mod common;

use common::{ROOT, crash, tiny};
use slotcask::{CaskOptions, CaskTable, Error, FixedMap, Store, Table, TableOptions, WriteOptions};
use slotcask_io::sim::{SimClock, env_of};
use slotcask_io::{Env, SimDisk, SimOptions};
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

type Map = BTreeMap<Vec<u8>, Vec<u8>>;

/// Reproducible numbers.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}

/// A table of either kind.
enum Any {
    Fixed(Table),
    Cask(CaskTable),
}

macro_rules! on_any {
    ($self:expr, $table:ident => $call:expr) => {
        match $self {
            Any::Fixed($table) => $call,
            Any::Cask($table) => $call,
        }
    };
}

impl Any {
    fn create(store: &Store, is_cask: bool) -> Self {
        if is_cask {
            Self::Cask(store.create_cask("t", &CaskOptions::new().ordered(true)).unwrap())
        } else {
            let options = TableOptions::fixed(6, 24).deadlines(true).ordered(true);
            Self::Fixed(store.create_table("t", options).unwrap())
        }
    }

    fn open(store: &Store, is_cask: bool) -> Self {
        if is_cask {
            Self::Cask(store.open_cask("t").unwrap())
        } else {
            Self::Fixed(store.open_table("t").unwrap())
        }
    }

    /// Asserts that every way of reading agrees with the model.
    fn agree(&self, model: &Map, state: &mut u64) {
        let pairs: Vec<_> = model.clone().into_iter().collect();
        let mut back = pairs.clone();
        back.reverse();
        on_any!(self, table => {
            let all = |range: slotcask::Result<slotcask::Range<_>>| -> Vec<_> {
                range.unwrap().map(Result::unwrap).collect()
            };
            assert_eq!(all(table.scan()), pairs);
            assert_eq!(all(table.scan().map(slotcask::Range::descending)), back);
            assert_eq!(table.first().unwrap(), pairs.first().cloned());
            assert_eq!(table.last().unwrap(), pairs.last().cloned());
            let keys: Vec<_> = table.scan().unwrap().keys().map(Result::unwrap).collect();
            assert!(keys.iter().eq(model.keys()));
            for (key, value) in model {
                assert_eq!(table.get(key).unwrap().as_ref(), Some(value));
            }
            let (low, high) = bounds(state);
            let within: Vec<_> =
                pairs.iter().filter(|(key, _)| low <= *key && *key < high).cloned().collect();
            assert_eq!(all(table.range(low.as_slice()..high.as_slice())), within);
            let within: Vec<_> =
                pairs.iter().filter(|(key, _)| low < *key && *key <= high).cloned().collect();
            let bounds = (Bound::Excluded(low.as_slice()), Bound::Included(high.as_slice()));
            let mut found = all(table.range::<&[u8]>(bounds).map(slotcask::Range::descending));
            found.reverse();
            assert_eq!(found, within);
            let prefix = &low[..low.len() / 2];
            let within: Vec<_> =
                pairs.iter().filter(|(key, _)| key.starts_with(prefix)).cloned().collect();
            assert_eq!(all(table.prefix(prefix)), within);
            // In pages, backwards.
            let mut paged = Vec::new();
            let mut after = None;
            loop {
                let mut range = table.scan().unwrap().descending();
                if let Some(after) = &after {
                    range = range.after(after);
                }
                let page = range.page(7).unwrap();
                assert!(page.pairs.len() <= 7);
                paged.extend(page.pairs);
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
            assert_eq!(paged, back);
        });
    }
}

fn key(number: u64) -> Vec<u8> {
    format!("{:06}", number % 1_000_000).into_bytes()
}

fn bounds(state: &mut u64) -> (Vec<u8>, Vec<u8>) {
    let (a, b) = (next(state) % 400, next(state) % 60);
    (key(a), key(a + b))
}

struct World {
    disk: SimDisk,
    clock: Arc<SimClock>,
    shards: u32,
}

impl World {
    fn new(shards: u32) -> Self {
        let disk = SimDisk::new(SimOptions::default());
        Self { disk, clock: Arc::new(SimClock::new()), shards }
    }

    fn open(&self) -> Store {
        let env = Env { clock: self.clock.clone(), ..env_of(1, &self.disk) };
        tiny(self.shards).open_in(env, ROOT).unwrap()
    }
}

fn a_long_life(is_cask: bool, shards: u32) {
    let mut world = World::new(shards);
    let mut store = world.open();
    let mut table = Any::create(&store, is_cask);
    let mut model = Map::new();
    let mut state = 11 + u64::from(shards);
    let value = |round: u64, state: &mut u64| {
        vec![round as u8; if is_cask { (next(state) % 500) as usize } else { 24 }]
    };
    for round in 0..2500_u64 {
        let at = key(next(&mut state) % 400);
        match next(&mut state) % 100 {
            0..55 => {
                let value = value(round, &mut state);
                on_any!(&table, table => table.put(&at, &value).unwrap());
                model.insert(at, value);
            }
            55..70 => {
                let was_there = on_any!(&table, table => table.delete(&at).unwrap());
                assert_eq!(was_there, model.remove(&at).is_some());
            }
            70..78 => {
                let value = value(round, &mut state);
                let ttl = WriteOptions::new().ttl(Duration::from_secs(5));
                on_any!(&table, table => table.put_with(&at, &value, &ttl).unwrap());
                world.clock.advance(Duration::from_secs(6));
                model.remove(&at);
            }
            78..88 => {
                let (low, high) = bounds(&mut state);
                let count = on_any!(&table, table => table.delete_range(low.as_slice()..high.as_slice()).unwrap());
                let before = model.len();
                model.retain(|key, _| *key < low || *key >= high);
                assert!(count >= (before - model.len()) as u64);
            }
            88..90 => {
                let prefix = at[..5].to_vec();
                on_any!(&table, table => table.delete_prefix(&prefix).unwrap());
                model.retain(|key, _| !key.starts_with(&prefix));
            }
            90..94 => {
                store.poll().unwrap();
            }
            94..96 => store.checkpoint().unwrap(),
            96 => {
                store.rotate().unwrap();
                store.checkpoint().unwrap();
                store.checkpoint().unwrap();
                store.merge().unwrap();
            }
            97 => {
                store.sync().unwrap();
                let disk = crash(&world.disk);
                drop((store, table));
                world.disk = disk;
                store = world.open();
                table = Any::open(&store, is_cask);
                table.agree(&model, &mut state);
            }
            98 => {
                store.close().unwrap();
                store = world.open();
                table = Any::open(&store, is_cask);
            }
            _ => table.agree(&model, &mut state),
        }
    }
    table.agree(&model, &mut state);
}

#[test]
fn fixed_tables_are_as_a_map() {
    a_long_life(false, 1);
    a_long_life(false, 3);
}

#[test]
fn cask_tables_are_as_a_map() {
    a_long_life(true, 1);
    a_long_life(true, 3);
}

#[test]
fn nothing_comes_back_in_any_order_of_steps() {
    // Every string of up to five of these steps, then a reopening: after a close with hints and without, and after a power failure.
    const STEPS: u64 = 6;
    for is_cask in [true, false] {
        let strings: u64 = (1..=5).map(|len| STEPS.pow(len)).sum();
        // All strings up to three steps, a sample of the longer ones.
        for string in (0..strings).filter(|string| *string < 258 || string % 11 == 0) {
            let mut rest = string;
            let mut len = 1;
            while rest >= STEPS.pow(len) {
                rest -= STEPS.pow(len);
                len += 1;
            }
            let world = World::new(1);
            let store = world.open();
            let table = Any::create(&store, is_cask);
            let mut model = Map::new();
            let mut steps = Vec::new();
            for number in 0..len {
                let step = rest % STEPS;
                rest /= STEPS;
                steps.push(step);
                let value = vec![number as u8 + 1; 24];
                match step {
                    0 => {
                        for at in [key(1), key(5)] {
                            on_any!(&table, table => table.put(&at, &value).unwrap());
                            model.insert(at, value.clone());
                        }
                    }
                    1 => {
                        on_any!(&table, table => table.delete(key(1)).unwrap());
                        model.remove(&key(1));
                    }
                    2 => {
                        on_any!(&table, table => table.delete_range(key(0)..key(3)).unwrap());
                        model.remove(&key(1));
                    }
                    3 => {
                        let ttl = WriteOptions::new().ttl(Duration::from_secs(1));
                        on_any!(&table, table => table.put_with(key(1), &value, &ttl).unwrap());
                        model.remove(&key(1));
                        world.clock.advance(Duration::from_secs(2));
                    }
                    4 => {
                        store.rotate().unwrap();
                        store.checkpoint().unwrap();
                        store.checkpoint().unwrap();
                    }
                    _ => {
                        store.merge().unwrap();
                    }
                }
            }
            let judge = |disk: SimDisk| {
                let again = World { disk, clock: world.clock.clone(), shards: 1 };
                let store = again.open();
                let found: Map = on_any!(Any::open(&store, is_cask), table => {
                    table.scan().unwrap().map(Result::unwrap).collect()
                });
                assert_eq!(found, model, "steps {steps:?}, cask {is_cask}");
                for at in [key(1), key(5)] {
                    let found = on_any!(Any::open(&store, is_cask), table => table.get(&at));
                    assert_eq!(found.unwrap().as_ref(), model.get(&at), "steps {steps:?}");
                }
            };
            judge(crash(&world.disk));
            store.close().unwrap();
            judge(world.disk.fork());
            let hints: Vec<_> = world.disk.files().into_iter().map(|(path, _)| path).collect();
            let hints =
                hints.iter().filter(|path| path.extension().is_some_and(|end| end == "hint"));
            for path in hints {
                world.disk.delete_file(path);
            }
            judge(world.disk.fork());
        }
    }
}

#[test]
fn tables_without_an_order_say_what_to_do() {
    let world = World::new(1);
    let store = world.open();
    let fixed = store.create_table("f", TableOptions::fixed(4, 4)).unwrap();
    let cask = store.create_cask("c", &CaskOptions::new()).unwrap();
    let before = world.disk.image_hash();
    for error in [
        fixed.scan().map(drop).unwrap_err(),
        cask.first().map(drop).unwrap_err(),
        fixed.delete_range([1]..[2]).map(drop).unwrap_err(),
        cask.delete_prefix("a").map(drop).unwrap_err(),
    ] {
        assert!(matches!(error, Error::NotOrdered { .. }), "{error}");
        common::assert_says(&error, &["ordered", "create"]);
    }
    assert_eq!(before, world.disk.image_hash());
    let info = store.tables().unwrap();
    assert!(info.iter().all(|info| !info.ordered));
}

#[test]
fn a_range_that_one_record_cannot_name_is_refused_whole() {
    let world = World::new(1);
    let store = world.open();
    let cask = store.create_cask("c", &CaskOptions::new().ordered(true)).unwrap();
    let pairs: Vec<_> = (0..3000_u64).map(|number| (key(number), [])).collect();
    cask.put_many(&pairs).unwrap();
    let error = cask.delete_prefix("").unwrap_err();
    let Error::RangeTooLarge { max, .. } = error else { panic!("{error}") };
    assert_eq!(cask.len(), 3000);
    let part = max as u64 - 2;
    for from in (0..3000).step_by(part as usize) {
        let removed = cask.delete_range(key(from)..key(from + part)).unwrap();
        assert_eq!(removed, part.min(3000 - from));
    }
    assert!(cask.is_empty() && cask.first().unwrap().is_none());
    let error = cask.delete_range(vec![1; 70_000]..).unwrap_err();
    assert!(matches!(error, Error::KeyTooLong { .. }), "{error}");
}

#[test]
fn typed_maps_have_ranges() {
    let world = World::new(2);
    let store = world.open();
    type Number = zerocopy::big_endian::U64;
    let options = TableOptions::fixed(8, 8).ordered(true);
    let map = FixedMap::<Number, u64>::of(store.create_table("m", options).unwrap()).unwrap();
    for number in 0..500_u64 {
        map.put(&Number::new(number), &(number * 2)).unwrap();
    }
    let within: Vec<_> = map.range(Number::new(250)..Number::new(260)).unwrap().collect();
    let within: Vec<_> = within.into_iter().map(|pair| pair.unwrap().0.get()).collect();
    assert_eq!(within, (250..260).collect::<Vec<_>>());
    assert_eq!(map.last().unwrap(), Some((Number::new(499), 998)));
    assert_eq!(map.delete_range(Number::new(100)..).unwrap(), 400);
    assert_eq!(map.last().unwrap(), Some((Number::new(99), 198)));
    assert_eq!(map.first().unwrap(), Some((Number::new(0), 0)));
}

#[test]
fn a_scan_goes_on_while_the_table_changes() {
    let world = World::new(1);
    let store = world.open();
    for is_cask in [false, true] {
        let table = Any::create(&store, is_cask);
        on_any!(&table, table => {
            let value = [7; 24];
            for number in 0..1000_u64 {
                table.put(key(number), value).unwrap();
            }
            let mut scan = table.scan().unwrap();
            let mut seen = Vec::new();
            while let Some((at, _)) = scan.next_ref().unwrap() {
                let at = at.to_vec();
                let number: u64 = std::str::from_utf8(&at).unwrap().parse().unwrap();
                seen.push(at);
                // What lies far ahead goes, one of a hundred comes back.
                if number.is_multiple_of(10) && number < 500 {
                    table.delete_range(key(number + 400)..key(number + 409)).unwrap();
                }
            }
            assert!(seen.is_sorted_by(|a, b| a < b));
            assert!(seen.len() < 1000 && seen.len() >= 1000 - 50 * 9, "{}", seen.len());
            drop(scan);
        });
        store.drop_table("t").unwrap();
    }
}
