//! Every call of a cask table with what is too long, with the empty key, with a value that vanishes, and while another one reads the disk.

mod common;

use common::{ROOT, b, tiny};
use slotcask::{
    Batch, CaskOptions, CaskTable, Durability, Error, Expiry, Options, Result, Store, TableOptions,
    WriteOptions,
};
use slotcask_io::sim::{SimClock, env_of};
use slotcask_io::{Env, SimDisk, SimOptions};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

struct World {
    disk: SimDisk,
    clock: Arc<SimClock>,
}

impl World {
    fn new() -> Self {
        Self { disk: SimDisk::new(SimOptions::default()), clock: Arc::new(SimClock::new()) }
    }

    fn open(&self, options: &Options) -> Store {
        let env = Env { clock: self.clock.clone(), ..env_of(1, &self.disk) };
        options.clone().open_in(env, ROOT).unwrap()
    }
}

fn buffered() -> Options {
    tiny(1).durability(Durability::Buffered)
}

/// Everything in data files.
fn settle(store: &Store) {
    for _ in 0..2 {
        store.rotate().unwrap();
        store.checkpoint().unwrap();
    }
    while store.merge().unwrap() {}
}

type Call = fn(&Store, &CaskTable, &[u8], &[u8]) -> Result<()>;

fn batch(store: &Store, fill: impl FnOnce(&mut Batch) -> Result<()>) -> Result<()> {
    let mut batch = store.batch();
    fill(&mut batch)?;
    batch.commit()
}

#[test]
fn every_call_refuses_what_is_too_long_and_changes_nothing() {
    let world = World::new();
    let store = world.open(&buffered());
    let limits = CaskOptions::new().key_len_max(10).value_len_max(100).ordered(true);
    let table = store.create_cask("c", &limits).unwrap();
    let puts: [(&str, Call); 9] = [
        ("put", |_, table, key, value| table.put(key, value)),
        ("put_with", |_, table, key, value| {
            table.put_with(key, value, &WriteOptions::new().ttl(Duration::from_secs(9)))
        }),
        ("write", |_, table, key, value| table.write(key, value)?.wait()),
        ("try_write", |_, table, key, value| table.try_write(key, value)?.wait()),
        ("put_many", |_, table, key, value| {
            table.put_many(&[(&b"ok"[..], &b"ok"[..]), (key, value)])
        }),
        ("put_if_absent", |_, table, key, value| table.put_if_absent(key, value).map(drop)),
        ("compare_and_swap", |_, table, key, value| {
            table.compare_and_swap(key, None, Some(value)).map(drop)
        }),
        ("update", |_, table, key, value| table.update(key, |_| Some(value.to_vec())).map(drop)),
        ("batch", |store, table, key, value| {
            batch(store, |batch| {
                batch.put(table, b"ok", b"ok")?;
                batch.put(table, key, value).map(drop)
            })
        }),
    ];
    let others: [(&str, Call); 12] = [
        ("get", |_, table, key, _| table.get(key).map(drop)),
        ("get_durable", |_, table, key, _| table.get_durable(key).map(drop)),
        ("get_many", |_, table, key, _| table.get_many(&[&b"ok"[..], key]).map(drop)),
        ("contains", |_, table, key, _| table.contains(key).map(drop)),
        ("delete", |_, table, key, _| table.delete(key).map(drop)),
        ("write_delete", |_, table, key, _| table.write_delete(key).map(drop)),
        ("update of nothing", |_, table, key, _| table.update(key, |_| None).map(drop)),
        ("expiry", |_, table, key, _| table.expiry(key).map(drop)),
        ("expire_in", |_, table, key, _| table.expire_in(key, Duration::from_secs(9)).map(drop)),
        ("expire_at", |_, table, key, _| table.expire_at(key, u64::MAX / 2).map(drop)),
        ("persist", |_, table, key, _| table.persist(key).map(drop)),
        ("delete in a batch", |store, table, key, _| {
            batch(store, |batch| batch.delete(table, key).map(drop))
        }),
    ];
    let before = world.disk.image_hash();
    for (name, call) in puts.iter().chain(&others) {
        let error = call(&store, &table, &[1; 11], b"v").unwrap_err();
        let is_named = matches!(error, Error::KeyTooLong { max: 10, found: 11, .. });
        assert!(is_named, "{name}: {error}");
    }
    for (name, call) in &puts {
        let error = call(&store, &table, b"k", &[1; 101]).unwrap_err();
        let is_named = matches!(error, Error::ValueTooLong { max: 100, found: 101, .. });
        assert!(is_named, "{name}: {error}");
    }
    store.sync().unwrap();
    assert!(table.is_empty());
    assert_eq!(world.disk.image_hash(), before);
    for (name, call) in puts.iter().chain(&others) {
        // A store without threads prepares room when it is asked to.
        store.poll().unwrap();
        call(&store, &table, &[1; 10], &[1; 100]).unwrap_or_else(|e| panic!("{name}: {e}"));
    }
}

#[test]
fn the_empty_key_is_a_key_like_any_other() {
    let world = World::new();
    let options = buffered();
    let mut store = world.open(&options);
    let schema = CaskOptions::new().ordered(true);
    let mut table = store.create_cask("c", &schema).unwrap();
    let next_life = |store: Store, keep_hints: bool| {
        settle(&store);
        store.close().unwrap();
        if !keep_hints {
            for hint in common::files_named(&world.disk, 0, ".hint") {
                world.disk.delete_file(&hint);
            }
        }
        let store = world.open(&options);
        let table = store.open_cask("c").unwrap();
        (store, table)
    };
    let ends = |table: &CaskTable| table.first().unwrap().map(|pair| pair.0);
    for keep_hints in [true, false] {
        for key in 1..50_u8 {
            table.put([key], [key; 60]).unwrap();
        }
        assert!(table.put_if_absent("", "absent").unwrap());
        assert!(!table.put_if_absent("", "present").unwrap());
        assert_eq!(ends(&table), Some(Vec::new()));
        (store, table) = next_life(store, keep_hints);
        assert_eq!(table.get("").unwrap().as_deref(), Some(&b"absent"[..]));
        assert_eq!(table.compare_and_swap("", Some(b"absent"), Some(b"swapped")).unwrap(), Ok(()));
        let updated = table.update("", |old| Some([old.unwrap(), b"!"].concat())).unwrap();
        assert_eq!(updated.as_deref(), Some(&b"swapped!"[..]));
        assert!(table.expire_in("", Duration::from_secs(60)).unwrap().is_some());
        (store, table) = next_life(store, keep_hints);
        assert_eq!(table.get_many(&["", "none"]).unwrap(), [Some(b"swapped!".to_vec()), None]);
        let page = table.scan().unwrap().page(1).unwrap();
        assert_eq!((page.pairs[0].0.as_slice(), page.next.as_deref()), (&b""[..], Some(&b""[..])));
        let behind = table.scan().unwrap().after(page.next.unwrap()).page(1).unwrap();
        assert_eq!(behind.pairs[0].0, [1]);
        assert_eq!(table.prefix("").unwrap().count(), 50);
        world.clock.advance(Duration::from_secs(61));
        assert_eq!(table.get("").unwrap(), None);
        // A store that nothing was written to takes nothing out.
        table.put([1], "written").unwrap();
        while store.poll().unwrap() {}
        assert_eq!((ends(&table), table.len()), (Some(vec![1]), 49));
        (store, table) = next_life(store, keep_hints);
        assert!(!table.contains("").unwrap());
        let mut batch = store.batch();
        batch.put(&table, "", "batch").unwrap().put(&table, [7], "seven").unwrap();
        batch.commit().unwrap();
        assert!(table.delete("").unwrap() && !table.delete("").unwrap());
        table.put("", "ranged").unwrap();
        assert_eq!(table.delete_range::<&[u8]>(..=&[][..]).unwrap(), 1);
        (store, table) = next_life(store, keep_hints);
        assert_eq!((table.get("").unwrap(), table.len()), (None, 49));
    }
}

#[test]
fn conditional_writes_clear_a_deadline_as_puts_do() {
    let world = World::new();
    let store = world.open(&tiny(1));
    let cask = store.create_cask("c", &CaskOptions::new()).unwrap();
    let fixed = store.create_table("f", TableOptions::fixed(4, 4).deadlines(true)).unwrap();
    let soon = WriteOptions::new().ttl(Duration::from_secs(10));
    for key in [*b"upda", *b"swap", *b"same", *b"none"] {
        cask.put_with(key, b"old.", &soon).unwrap();
        fixed.put_with(key, b"old.", &soon).unwrap();
    }
    cask.update(b"upda", |old| old.map(<[u8]>::to_vec)).unwrap();
    fixed.update(b"upda", |old| old.map(<[u8]>::to_vec)).unwrap();
    assert_eq!(cask.compare_and_swap(b"swap", Some(b"old."), Some(b"new.")).unwrap(), Ok(()));
    assert_eq!(fixed.compare_and_swap(b"swap", Some(b"old."), Some(b"new.")).unwrap(), Ok(()));
    // These change nothing.
    assert!(!cask.put_if_absent(b"same", b"new.").unwrap());
    assert!(!fixed.put_if_absent(b"same", b"new.").unwrap());
    assert!(cask.compare_and_swap(b"none", None, Some(b"new.")).unwrap().is_err());
    assert!(fixed.compare_and_swap(b"none", None, Some(b"new.")).unwrap().is_err());
    for key in [b"upda", b"swap"] {
        assert_eq!(cask.expiry(key).unwrap(), Some(Expiry::Never));
        assert_eq!(fixed.expiry(key).unwrap(), Some(Expiry::Never));
    }
    world.clock.advance(Duration::from_secs(20));
    while store.poll().unwrap() {}
    for key in [*b"upda", *b"swap", *b"same", *b"none"] {
        let stays = key == *b"upda" || key == *b"swap";
        assert_eq!((cask.contains(key).unwrap(), fixed.contains(key).unwrap()), (stays, stays));
    }
}

#[test]
fn an_iteration_tells_how_much_time_is_left_by_the_time_of_the_store() {
    let world = World::new();
    let store = world.open(&tiny(1));
    let table = store.create_cask("c", &CaskOptions::new()).unwrap();
    table.put_with("soon", "v", &WriteOptions::new().ttl(Duration::from_secs(10))).unwrap();
    table.put("stays", "v").unwrap();
    world.clock.advance(Duration::from_secs(4));
    // Somebody sets the system's clock back: the store's time goes on.
    world.clock.set_wall_ms(1);
    let mut records = table.iter();
    let mut left = Vec::new();
    while let Some(record) = records.next_record().unwrap() {
        left.push((record.key().to_vec(), records.expiry(&record).left()));
    }
    left.sort();
    assert_eq!(left, [(b"soon".to_vec(), Some(Duration::from_secs(6))), (b"stays".to_vec(), None)]);
}

type Conditional = fn(&CaskTable);

/// What runs while another thread reads the disk for a write that depends on what is there.
#[test]
fn nobody_waits_for_reads_of_a_conditional_write() {
    let calls: [(&str, Conditional); 5] = [
        ("update", |table| drop(table.update(b(1), |old| Some(old.unwrap().to_vec())).unwrap())),
        ("compare_and_swap", |table| {
            assert!(table.compare_and_swap(b(1), Some(b"other"), Some(b"new")).unwrap().is_err());
        }),
        ("put_if_absent", |table| assert!(!table.put_if_absent(b(1), b"new").unwrap())),
        ("delete", |table| assert!(table.delete(b(1)).unwrap())),
        ("persist", |table| assert!(table.persist(b(1)).unwrap().is_some())),
    ];
    for (name, call) in calls {
        let world = World::new();
        let store = world.open(&buffered().value_cache(0));
        let table = store.create_cask("c", &CaskOptions::new()).unwrap();
        let vanishing = WriteOptions::new().ttl(Duration::from_secs(3600));
        for key in 0..100 {
            table.put_with(b(key), [1; 300], &vanishing).unwrap();
        }
        settle(&store);
        let (other, (sender, finished)) = (table.clone(), mpsc::channel());
        world.disk.pause_at(world.disk.calls(), move || {
            let (done, is_done) = mpsc::channel();
            #[expect(clippy::disallowed_methods, reason = "a test may start threads")]
            std::thread::spawn(move || {
                other.put(b(2), [2; 300]).unwrap();
                let _ = done.send(());
            });
            let _ = sender.send(is_done.recv_timeout(Duration::from_secs(20)).is_ok());
        });
        call(&table);
        assert!(!world.disk.unpause(), "{name} did not read the disk");
        assert!(finished.recv().unwrap(), "{name}: a put waited for its read");
        assert_eq!(table.get(b(2)).unwrap(), Some(vec![2; 300]));
    }
}

#[test]
fn caches_of_all_shards_are_bounded_together() {
    let world = World::new();
    let store = world.open(&tiny(3).durability(Durability::Buffered).value_cache(1 << 20));
    let table = store.create_cask("c", &CaskOptions::new()).unwrap();
    for key in 0..2000 {
        table.put(b(key), [1; 2000]).unwrap();
        store.poll().unwrap();
    }
    settle(&store);
    for key in (0..2000).chain(0..2000) {
        assert!(table.contains(b(key)).unwrap());
    }
    let cached: u64 = store.stats().unwrap().shards.iter().map(|shard| shard.cache_bytes).sum();
    assert!((512 << 10..=1 << 20).contains(&cached), "{cached}");
}
