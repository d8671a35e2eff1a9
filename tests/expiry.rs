//! Values that vanish, in tables of both kinds: invisible from their deadline on, taken out by logged records, exact across
//! reopenings, crashes and clocks that are set. Deadlines are read, moved and cleared.

mod common;

use common::{ROOT, crash, tiny};
use slotcask::{CaskOptions, CaskTable, Error, Expiry, Options, Result, Store, Table};
use slotcask::{FixedMap, TableOptions, WriteOptions};
use slotcask_io::sim::{SimClock, env_of};
use slotcask_io::{Clock, Env, SimDisk, SimOptions, SystemClock};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A table of either kind, with keys and values of four bytes.
#[derive(Clone)]
enum Any {
    Fixed(Table),
    Cask(CaskTable),
}

macro_rules! on_any {
    ($self:ident, $table:ident => $call:expr) => {
        match &$self {
            Any::Fixed($table) => $call,
            Any::Cask($table) => $call,
        }
    };
}

impl Any {
    fn put(&self, key: u32, value: &[u8; 4], options: &WriteOptions) -> Result<()> {
        on_any!(self, table => table.put_with(key.to_le_bytes(), value, options))
    }
    fn get(&self, key: u32) -> Option<Vec<u8>> {
        on_any!(self, table => table.get(key.to_le_bytes()).unwrap())
    }
    fn expiry(&self, key: u32) -> Option<Expiry> {
        on_any!(self, table => table.expiry(key.to_le_bytes()).unwrap())
    }
    fn expire_in(&self, key: u32, ttl: Duration) -> Result<Option<Expiry>> {
        on_any!(self, table => table.expire_in(key.to_le_bytes(), ttl))
    }
    fn expire_at(&self, key: u32, deadline_ms: u64) -> Result<Option<Expiry>> {
        on_any!(self, table => table.expire_at(key.to_le_bytes(), deadline_ms))
    }
    fn persist(&self, key: u32) -> Option<Expiry> {
        on_any!(self, table => table.persist(key.to_le_bytes()).unwrap())
    }
    fn delete(&self, key: u32) -> bool {
        on_any!(self, table => table.delete(key.to_le_bytes()).unwrap())
    }
    fn len(&self) -> u64 {
        on_any!(self, table => table.len())
    }
    /// Asserts that no read and no conditional finds the key.
    fn assert_gone(&self, key: u32) {
        let bytes = key.to_le_bytes();
        assert_eq!(self.get(key), None);
        assert_eq!(self.expiry(key), None);
        assert_eq!(self.persist(key), None);
        assert_eq!(self.expire_in(key, Duration::from_secs(1)).unwrap(), None);
        assert!(!self.delete(key));
        on_any!(self, table => {
            assert!(!table.contains(bytes).unwrap());
            assert_eq!(table.get_many(&[bytes]).unwrap(), [None]);
            assert_eq!(table.get_durable(bytes).unwrap(), None);
            assert!(table.iter().all(|pair| pair.unwrap().0 != bytes));
            let swapped = table.compare_and_swap(bytes, Some(b"none"), Some(b"some")).unwrap();
            assert_eq!(swapped, Err(None));
            assert_eq!(table.compare_and_swap(bytes, None, None).unwrap(), Ok(()));
            let updated = table.update(bytes, |value| {
                assert_eq!(value, None);
                None
            });
            assert_eq!(updated.unwrap(), None);
        });
    }
}

/// A store with a clock that is set, and a table of each kind.
struct World {
    disk: SimDisk,
    clock: Arc<SimClock>,
    store: Store,
}

impl World {
    fn new() -> Self {
        let disk = SimDisk::new(SimOptions::default());
        let clock = Arc::new(SimClock::new());
        let store = open(&disk, &clock);
        store.create_table("f", TableOptions::fixed(4, 4).deadlines(true)).unwrap();
        store.create_cask("c", &CaskOptions::new()).unwrap();
        Self { disk, clock, store }
    }
    fn tables(&self) -> [Any; 2] {
        let (fixed, cask) = (self.store.open_table("f"), self.store.open_cask("c"));
        [Any::Fixed(fixed.unwrap()), Any::Cask(cask.unwrap())]
    }
    fn reopen(self) -> Self {
        self.store.close().unwrap();
        let store = open(&self.disk, &self.clock);
        Self { store, ..self }
    }
    /// The power fails, and nothing is left but what was synced.
    fn crash(self) -> Self {
        let disk = crash(&self.disk);
        let store = open(&disk, &self.clock);
        Self { disk, clock: self.clock, store }
    }
    fn settle(&self) {
        while self.store.poll().unwrap() {}
    }
    fn expired(&self) -> u64 {
        self.store.stats().unwrap().shards[0].expired
    }
    fn advance(&self, ms: u64) {
        self.clock.advance(Duration::from_millis(ms));
    }
}

fn open(disk: &SimDisk, clock: &Arc<SimClock>) -> Store {
    let env = Env { clock: clock.clone(), ..env_of(1, disk) };
    tiny(1).open_in(env, ROOT).unwrap()
}

fn ttl(ms: u64) -> WriteOptions {
    WriteOptions::new().ttl(Duration::from_millis(ms))
}

fn stay() -> WriteOptions {
    WriteOptions::new()
}

#[test]
fn a_value_is_there_until_its_deadline_and_for_nobody_after_it() {
    let world = World::new();
    for table in world.tables() {
        for key in 0..20 {
            table.put(key, b"soon", &ttl(10_000)).unwrap();
        }
        table.put(20, b"stay", &stay()).unwrap();
        table.put(21, b"soon", &ttl(10_000)).unwrap();
        table.put(21, b"stay", &stay()).unwrap();
        world.advance(9_990);
        assert_eq!(table.get(7).as_deref(), Some(&b"soon"[..]));
        let left = table.expiry(7).unwrap().left().unwrap();
        assert!(left <= Duration::from_millis(10) && left > Duration::ZERO, "{left:?}");
        world.advance(11);
        for key in 0..20 {
            table.assert_gone(key);
        }
        assert_eq!(table.len(), 22, "counted until they are reclaimed");
        for key in [20, 21] {
            assert_eq!(table.get(key).as_deref(), Some(&b"stay"[..]), "a plain put clears it");
            assert_eq!(table.expiry(key), Some(Expiry::Never));
        }
        // What vanished is no obstacle, and its slot is used again.
        on_any!(table, table => {
            assert!(table.put_if_absent(0_u32.to_le_bytes(), b"more").unwrap());
            assert_eq!(table.compare_and_swap(1_u32.to_le_bytes(), None, Some(b"more")).unwrap(), Ok(()));
            assert_eq!(table.update(2_u32.to_le_bytes(), |_| Some(b"more".to_vec())).unwrap(), Some(b"more".to_vec()));
        });
        world.advance(2_000);
        world.settle();
        assert_eq!(table.len(), 5);
    }
    assert_eq!(world.expired(), 34);
    let world = world.crash();
    for table in world.tables() {
        assert_eq!(table.len(), 5);
        for key in [0, 1, 2, 20, 21] {
            assert!(table.get(key).is_some());
        }
        table.assert_gone(3);
    }
}

#[test]
fn deadlines_are_read_moved_and_cleared() {
    let world = World::new();
    for table in world.tables() {
        assert_eq!(table.expiry(1), None);
        assert_eq!(table.expire_in(1, Duration::from_secs(1)).unwrap(), None);
        assert_eq!(table.get(1), None);
        table.put(1, b"some", &stay()).unwrap();
        let sequence = || world.store.stats().unwrap().shards[0].last_sequence;
        let before = sequence();
        assert_eq!(table.persist(1), Some(Expiry::Never));
        assert_eq!(sequence(), before, "nothing to write");
        assert_eq!(table.expire_in(1, Duration::from_secs(10)).unwrap(), Some(Expiry::Never));
        let deadline_ms = table.expiry(1).unwrap().deadline_ms().unwrap();
        assert_eq!(sequence(), before + 1, "one record");
        // Later, then earlier, then never, then soon.
        let moved = table.expire_at(1, deadline_ms + 50_000).unwrap().unwrap();
        assert_eq!(moved.deadline_ms(), Some(deadline_ms));
        world.advance(20_000);
        world.settle();
        assert_eq!(table.get(1).as_deref(), Some(&b"some"[..]));
        table.expire_in(1, Duration::from_secs(5)).unwrap().unwrap();
        assert!(table.persist(1).unwrap().left().unwrap() <= Duration::from_secs(5));
        world.advance(90_000);
        world.settle();
        assert_eq!(table.expiry(1), Some(Expiry::Never));
        table.expire_in(1, Duration::from_secs(1)).unwrap().unwrap();
        world.advance(1_001);
        table.assert_gone(1);
        world.advance(2_000);
        world.settle();
        assert_eq!(table.len(), 0);
        for (name, wrong) in [
            ("zero", table.expire_in(1, Duration::ZERO)),
            ("past", table.expire_at(1, deadline_ms)),
            ("beyond", table.expire_in(1, Duration::MAX)),
            ("the last", table.expire_at(1, u64::MAX)),
            ("zero", table.put(1, b"none", &ttl(0)).map(|()| None)),
        ] {
            let error = wrong.unwrap_err();
            assert!(matches!(error, Error::Deadline { .. }), "{name}: {error}");
        }
        assert_eq!(table.get(1), None);
    }
}

#[test]
fn reopenings_and_crashes_keep_deadlines() {
    let mut world = World::new();
    for table in world.tables() {
        table.put(1, b"slot", &ttl(100_000)).unwrap();
        table.put(2, b"slot", &ttl(10_000)).unwrap();
    }
    world.store.checkpoint().unwrap();
    for table in world.tables() {
        table.put(3, b"log ", &ttl(100_000)).unwrap();
        table.put(4, b"log ", &ttl(10_000)).unwrap();
        table.expire_in(1, Duration::from_secs(200)).unwrap();
    }
    let before: Vec<_> = world.tables().iter().map(|table| table.expiry(1)).collect();
    let deadlines = |world: &World| -> Vec<_> {
        world.tables().iter().map(|table| table.expiry(1).unwrap().deadline_ms()).collect()
    };
    for round in 0..4 {
        world = if round % 2 == 0 { world.crash() } else { world.reopen() };
        let expected: Vec<_> = before.iter().map(|expiry| expiry.unwrap().deadline_ms()).collect();
        assert_eq!(deadlines(&world), expected);
        for table in world.tables() {
            assert!(table.get(2).is_some() && table.get(4).is_some());
        }
    }
    world.advance(12_000);
    // Expiry goes on after an opening, with the first write.
    for table in world.tables() {
        table.assert_gone(2);
        table.assert_gone(4);
        table.put(9, b"here", &stay()).unwrap();
    }
    world.settle();
    assert_eq!(world.expired(), 4);
    for table in world.tables() {
        assert_eq!(table.len(), 3);
    }
}

#[test]
fn a_clock_that_is_set_moves_no_deadline_and_brings_nothing_back() {
    let mut world = World::new();
    let start = world.clock.wall_ms();
    for table in world.tables() {
        table.put(1, b"soon", &ttl(10_000)).unwrap();
        table.put(2, b"late", &ttl(1_000_000)).unwrap();
    }
    // Set back and forth while the store is open: time goes on by the monotonic clock.
    world.clock.set_wall_ms(start - 86_400_000);
    world.advance(9_000);
    world.clock.set_wall_ms(start + 86_400_000);
    for table in world.tables() {
        assert!(table.get(1).is_some());
        table.put(3, b"soon", &ttl(500)).unwrap();
    }
    world.store.checkpoint().unwrap();
    world.clock.set_wall_ms(start - 86_400_000);
    world.advance(1_001);
    for table in world.tables() {
        table.assert_gone(1);
        table.assert_gone(3);
        // Its record says how late it is.
        table.put(4, b"stay", &stay()).unwrap();
    }
    for round in 0..4 {
        // Not taken out yet, and the wall clock is a day behind; the jump ahead left nothing either.
        world = if round % 2 == 0 { world.crash() } else { world.reopen() };
        for table in world.tables() {
            table.assert_gone(1);
            table.assert_gone(3);
            assert!(table.expiry(2).unwrap().left().unwrap() > Duration::from_secs(900));
        }
    }
}

/// Lists are made by the store's time, not by the clock of the opening: shards that had nothing to write know it from the others.
#[test]
fn what_vanishes_is_taken_out_soon_after_an_opening_whose_clock_is_behind() {
    for killed in [false, true] {
        let disk = SimDisk::new(SimOptions::default());
        let clock = Arc::new(SimClock::new());
        let open = |disk: &SimDisk| {
            let env = Env { clock: clock.clone(), ..env_of(1, disk) };
            tiny(2).open_in(env, ROOT).unwrap()
        };
        let store = open(&disk);
        let pinned = TableOptions::fixed(4, 4).deadlines(true).pinned(0);
        let tables = [
            Any::Fixed(store.create_table("f", pinned).unwrap()),
            Any::Cask(store.create_cask("c", &CaskOptions::new().pinned(0)).unwrap()),
        ];
        for (table, key) in tables.iter().flat_map(|table| (0..10).map(move |key| (table, key))) {
            table.put(key, b"soon", &ttl(86_460_000)).unwrap();
        }
        drop(tables);
        // A day goes by, of which the other shard alone has a record.
        clock.advance(Duration::from_secs(86_400));
        let other = store.create_cask("o", &CaskOptions::new().pinned(1)).unwrap();
        other.put("k", "v").unwrap();
        drop(other);
        let disk = if killed {
            disk.after_kill()
        } else {
            store.close().unwrap();
            disk
        };
        drop(store);
        clock.set_wall_ms(1_000);
        let store = open(&disk);
        store.open_cask("c").unwrap().put("other", "x").unwrap();
        clock.advance(Duration::from_secs(65));
        while store.poll().unwrap() {}
        assert_eq!(store.stats().unwrap().shards[0].expired, 20, "killed {killed}");
    }
}

#[test]
fn slots_that_vanished_are_used_again_and_many_are_taken_out_in_a_few_rounds() {
    let world = World::new();
    let [fixed, _] = world.tables();
    let Any::Fixed(table) = &fixed else { unreachable!("the first is fixed") };
    for round in 0..5_u32 {
        for chunk in 0..20_u32 {
            let pairs: Vec<_> = (0..500)
                .map(|at| ((round * 10_000 + chunk * 500 + at).to_le_bytes(), *b"soon"))
                .collect();
            table.put_many_with(&pairs, &ttl(1000)).unwrap();
        }
        world.advance(5000);
        world.settle();
        assert_eq!(table.len(), 0);
        assert_eq!(world.expired(), u64::from(round + 1) * 10_000);
    }
    let stats = world.store.stats().unwrap();
    assert_eq!(stats.shards[0].expiry_bytes, 0);
    assert!(table.info().memory_bytes < 1 << 20, "slots were used again");
}

#[test]
fn clearing_and_dropping_tables_leaves_deadlines_of_nothing() {
    let world = World::new();
    let [fixed, cask] = world.tables();
    for key in 0..100 {
        fixed.put(key, b"soon", &ttl(1000)).unwrap();
        cask.put(key, b"soon", &ttl(1000)).unwrap();
    }
    world.store.clear_table("f").unwrap();
    world.store.drop_table("c").unwrap();
    fixed.put(5, b"stay", &stay()).unwrap();
    fixed.put(6, b"late", &ttl(60_000)).unwrap();
    world.advance(5000);
    world.settle();
    assert_eq!((fixed.len(), world.expired()), (2, 0));
    assert!(world.store.stats().unwrap().shards[0].expiry_bytes > 0);
}

#[test]
fn memory_of_deadlines_is_bounded_however_often_values_are_put() {
    let (env, _disk) = common::world(1);
    let options = Options::new().shards(1).segment_size(256 << 10).log_size(2 << 20);
    let options = options.background(false).huge_pages(false);
    let store = options.durability(slotcask::Durability::Buffered).open_in(env, ROOT).unwrap();
    let fixed = store.create_table("f", TableOptions::fixed(4, 4).deadlines(true)).unwrap();
    let cask = store.create_cask("c", &CaskOptions::new()).unwrap();
    for table in [Any::Fixed(fixed), Any::Cask(cask)] {
        for round in 0..300_000 {
            table.put(round % 10, b"late", &ttl(3_600_000)).unwrap();
            table.put(round % 10, b"stay", &stay()).unwrap();
            if round % 10_000 == 0 {
                store.poll().unwrap();
            }
        }
        store.poll().unwrap();
    }
    let bytes = store.stats().unwrap().shards[0].expiry_bytes;
    assert!(bytes <= 2 << 20, "{bytes} bytes where 600,000 places of 8 bytes were listed");
}

#[test]
fn a_table_without_deadlines_says_so_and_answers_never() {
    let world = World::new();
    let table = world.store.create_table("plain", TableOptions::fixed(4, 4)).unwrap();
    let key = 1_u32.to_le_bytes();
    table.put(key, b"stay").unwrap();
    let pairs = [(key, *b"soon")];
    for refused in [
        table.put_with(key, b"soon", &ttl(10)),
        table.put_many_with(&pairs, &ttl(10)),
        table.expire_in(key, Duration::from_secs(1)).map(drop),
        table.expire_at(key, u64::MAX / 2).map(drop),
    ] {
        let error = refused.unwrap_err();
        assert!(matches!(error, Error::Options { option: "ttl", .. }), "{error}");
        common::assert_says(&error, &["plain", "deadlines"]);
    }
    assert_eq!(table.expiry(key).unwrap(), Some(Expiry::Never));
    assert_eq!(table.persist(key).unwrap(), Some(Expiry::Never));
    assert_eq!(table.get(key).unwrap().as_deref(), Some(&b"stay"[..]));
}

#[test]
fn typed_maps_have_deadlines_too() {
    let world = World::new();
    let map: FixedMap<u32, u32> = FixedMap::of(world.store.open_table("f").unwrap()).unwrap();
    map.put_with(&1, &10, &ttl(1000)).unwrap();
    map.put(&2, &20).unwrap();
    assert_eq!(map.expire_in(&2, Duration::from_secs(1)).unwrap(), Some(Expiry::Never));
    assert!(map.persist(&2).unwrap().unwrap().left().is_some());
    let far = world.clock.wall_ms() + 100_000;
    assert_eq!(map.expire_at(&2, far).unwrap(), Some(Expiry::Never));
    world.advance(1001);
    assert_eq!((map.get(&1).unwrap(), map.get(&2).unwrap()), (None, Some(20)));
    assert_eq!((map.get_durable(&1).unwrap(), map.contains(&1).unwrap()), (None, false));
    assert_eq!(map.get_many(&[1, 2]).unwrap(), [None, Some(20)]);
    assert_eq!(map.iter().map(|pair| pair.unwrap()).collect::<Vec<_>>(), [(2, 20)]);
    assert_eq!(map.expiry(&2).unwrap().unwrap().deadline_ms(), Some(far));
}

#[test]
fn on_a_real_disk_with_threads_what_vanished_is_taken_out_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let options = || Options::new().shards(2).flush_interval(Duration::from_millis(5));
    let store = options().open(dir.path().join("db")).unwrap();
    let fixed = store.create_table("f", TableOptions::fixed(4, 4).deadlines(true)).unwrap();
    let cask = store.create_cask("c", &CaskOptions::new()).unwrap();
    let tables = [Any::Fixed(fixed), Any::Cask(cask)];
    for table in &tables {
        for key in 0..50 {
            table.put(key, b"soon", &ttl(200)).unwrap();
        }
        table.put(50, b"late", &ttl(3_600_000)).unwrap();
    }
    let clock = SystemClock::new();
    while tables.iter().any(|table| table.len() > 1) && clock.monotonic() < Duration::from_secs(60)
    {
        std::thread::yield_now();
    }
    for table in &tables {
        assert_eq!(table.len(), 1);
        table.assert_gone(3);
    }
    drop(tables);
    store.close().unwrap();
    let store = options().open(dir.path().join("db")).unwrap();
    assert!(
        store
            .open_table("f")
            .unwrap()
            .expiry(50_u32.to_le_bytes())
            .unwrap()
            .unwrap()
            .left()
            .is_some()
    );
    assert!(
        store
            .open_cask("c")
            .unwrap()
            .expiry(50_u32.to_le_bytes())
            .unwrap()
            .unwrap()
            .left()
            .is_some()
    );
}

#[test]
fn deadlines_move_atomically_beside_other_writers() {
    // Writers count up by CAS while deadlines move: no count is lost, and merges go on below.
    let dir = tempfile::tempdir().unwrap();
    let options = Options::new().shards(1).durability(slotcask::Durability::Buffered);
    let store = options.open(dir.path().join("db")).unwrap();
    let fixed = store.create_table("f", TableOptions::fixed(4, 4).deadlines(true)).unwrap();
    let cask = store.create_cask("c", &CaskOptions::new()).unwrap();
    for table in [Any::Fixed(fixed), Any::Cask(cask)] {
        table.put(1, &0_u32.to_le_bytes(), &stay()).unwrap();
        let (done, table) = (AtomicBool::new(false), &table);
        std::thread::scope(|scope| {
            let writers: Vec<_> = (0..3)
                .map(|_| {
                    scope.spawn(|| {
                        for _ in 0..500 {
                            on_any!(table, table => table.update(1_u32.to_le_bytes(), |value| {
                                let count = u32::from_le_bytes(value?.try_into().ok()?);
                                Some((count + 1).to_le_bytes().to_vec())
                            }))
                            .unwrap();
                        }
                    })
                })
                .collect();
            for number in 0..2 {
                let (done, store) = (&done, &store);
                scope.spawn(move || {
                    while !done.load(Ordering::Relaxed) {
                        if number == 0 {
                            table.expire_in(1, Duration::from_secs(600)).unwrap().unwrap();
                        } else {
                            table.persist(1).unwrap();
                            store.rotate().unwrap();
                            store.merge().unwrap();
                        }
                    }
                });
            }
            for writer in writers {
                writer.join().unwrap();
            }
            done.store(true, Ordering::Relaxed);
        });
        assert_eq!(table.get(1), Some(1500_u32.to_le_bytes().to_vec()));
    }
}
