//! Opening waits for a store that is open elsewhere, as long as it is told to.

mod common;

use common::{ROOT, b, table, tiny, world};
use slotcask::tools;
use slotcask::{Error, Store};
use slotcask_io::sim::{OpFilter, OpKind, env_of};
use slotcask_io::{Env, SimDisk, SystemClock};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A simulated disk in the time of this machine.
fn open_store() -> (Store, SimDisk, Env) {
    let (mut env, disk) = world(1);
    env.clock = Arc::new(SystemClock::new());
    let store = tiny(1).open_in(env.clone(), ROOT).unwrap();
    table(&store, "t").put(b(1), b(1)).unwrap();
    (store, disk, env)
}

fn attempts(disk: &SimDisk) -> u64 {
    disk.op_count(OpFilter::Kind(OpKind::Lock))
}

#[test]
fn a_store_that_is_closed_in_time_is_opened() {
    let (store, disk, env) = open_store();
    let before = attempts(&disk);
    std::thread::scope(|scope| {
        let opener = scope
            .spawn(|| tiny(1).lock_timeout(Duration::from_secs(3600)).open_in(env.clone(), ROOT));
        while attempts(&disk) == before {
            std::thread::yield_now();
        }
        store.close().unwrap();
        let second = opener.join().unwrap().unwrap();
        assert_eq!(second.open_table("t").unwrap().get(b(1)).unwrap().unwrap(), b(1));
    });
}

#[test]
fn without_a_timeout_it_is_refused_at_the_first_attempt() {
    let (_store, disk, env) = open_store();
    for options in [tiny(1), tiny(1).read_only(true)] {
        let before = attempts(&disk);
        let answer = options.lock_timeout(Duration::ZERO).open_in(env.clone(), ROOT);
        assert!(matches!(answer, Err(Error::Locked { .. })));
        assert_eq!(attempts(&disk), before + 1);
    }
}

#[test]
fn a_timeout_ends() {
    let (_store, disk, env) = open_store();
    let before = attempts(&disk);
    let answer = tiny(1).lock_timeout(Duration::from_millis(300)).open_in(env, ROOT);
    assert!(matches!(answer, Err(Error::Locked { .. })));
    assert!(attempts(&disk) > before + 1);
}

#[test]
fn a_clock_that_stands_still_is_not_waited_for() {
    let (_store, disk, _env) = open_store();
    let answer = tiny(1).lock_timeout(Duration::MAX).open_in(env_of(5, &disk), ROOT);
    assert!(matches!(answer, Err(Error::Locked { .. })));
}

#[test]
fn tools_refuse_a_store_that_is_open_and_keep_one_closed() {
    let (store, disk, env) = open_store();
    let root = Path::new(ROOT);
    let before = common::picture(&disk);
    let refused = |answer: slotcask::Result<()>| {
        assert!(matches!(answer, Err(Error::Locked { .. })), "{answer:?}");
    };
    refused(tools::check(&env, root, &mut |_, _| {}).map(drop));
    refused(tools::dump_log(&env, root, None, &mut |_| panic!("a line of an open store")));
    refused(tools::dump_manifest(&env, root, None, &mut |_| panic!("a line of an open store")));
    refused(tools::dump_slots(&env, root, "t", &mut |_| panic!("a line of an open store")));
    refused(tools::repair(&env, root, true).map(drop));
    refused(tools::repair(&env, root, false).map(drop));
    assert!(before == common::picture(&disk));
    store.close().unwrap();
    let mut tried = 0;
    let mut open = || {
        refused(tiny(1).open_in(env_of(6, &disk), ROOT).map(drop));
        tried += 1;
    };
    tools::check(&env, root, &mut |_, _| open()).unwrap();
    tools::dump_slots(&env, root, "t", &mut |_| open()).unwrap();
    assert!(tried >= 2);
    let crashed = common::crash(&disk);
    drop(tiny(1).open_in(env_of(6, &crashed), ROOT).unwrap());
}

#[test]
fn a_repair_holds_the_lock_from_its_first_look() {
    let (_store, disk, _env) = open_store();
    let image = common::crash(&disk);
    let superblock = Path::new(ROOT).join("store");
    image.flip_bit(&superblock, 8 * 40);
    let env = env_of(7, &image);
    let plan = tools::repair(&env, Path::new(ROOT), true).unwrap();
    assert_eq!((plan.actions.len(), plan.beyond_repair.len()), (2, 0), "{plan:?}");
    let before = attempts(&image);
    assert_eq!(tools::repair(&env, Path::new(ROOT), false).unwrap().actions, plan.actions);
    assert_eq!(attempts(&image), before + 1, "locked once, for all of it");
    assert!(tools::repair(&env, Path::new(ROOT), true).unwrap().actions.is_empty());
    // The lock was given back.
    drop(tiny(1).open_in(env, ROOT).unwrap());
}

#[test]
fn readers_are_together_and_writers_alone() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("db");
    let (env, disk) = world(3);
    let real = || slotcask::Options::new().shards(1).log_size(4 << 20).lock_timeout(Duration::ZERO);
    let simulated = || tiny(1).lock_timeout(Duration::ZERO);
    type Open<'a> = &'a dyn Fn(bool) -> slotcask::Result<Store>;
    let opens: [(Open<'_>, Env, &Path); 2] = [
        (
            &|read| real().read_only(read).open(&dir),
            Env::system(slotcask_io::OsOptions::default()),
            &dir,
        ),
        (&|read| simulated().read_only(read).open_in(env_of(4, &disk), ROOT), env, Path::new(ROOT)),
    ];
    let refused = |answer: slotcask::Result<()>| {
        assert!(matches!(answer, Err(Error::Locked { .. })), "{answer:?}");
    };
    for (open, env, root) in opens {
        let writer = open(false).unwrap();
        table(&writer, "t").put(b(1), b(1)).unwrap();
        refused(open(true).map(drop));
        writer.close().unwrap();
        let (first, second) = (open(true).unwrap(), open(true).unwrap());
        assert!(tools::check(&env, root, &mut |_, _| {}).unwrap().is_sound());
        for reader in [first, second] {
            assert_eq!(reader.open_table("t").unwrap().get(b(1)).unwrap().unwrap(), b(1));
            refused(open(false).map(drop));
            refused(tools::repair(&env, root, false).map(drop));
            reader.close().unwrap();
        }
        open(false).unwrap().close().unwrap();
    }
}
