//! A store is created in one process while another opens it: there is no store yet, or it is locked. It is not called damaged, nor its
//! creation interrupted, while the creator is at work.

mod common;

use common::{ROOT, b, table, tiny, world};
use slotcask::{Error, Options, Store, tools};
use slotcask_io::SimDisk;
use slotcask_io::sim::env_of;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

type Visit = fn(&SimDisk) -> Result<(), Error>;

/// What somebody does who makes no store.
const VISITS: [Visit; 4] = [
    |disk| at_once().create(false).open_in(env_of(7, disk), ROOT).map(drop),
    |disk| at_once().read_only(true).open_in(env_of(7, disk), ROOT).map(drop),
    |disk| tools::check(&env_of(7, disk), Path::new(ROOT), &mut |_, _| {}).map(drop),
    |disk| tools::repair(&env_of(7, disk), Path::new(ROOT), true).map(drop),
];

fn at_once() -> Options {
    tiny(2).lock_timeout(Duration::ZERO)
}

/// True for the answers to somebody who comes while a store is being made.
fn is_fair(answer: &Result<(), Error>) -> bool {
    matches!(answer, Err(Error::NotAStore { .. } | Error::Locked { .. }))
}

#[test]
fn a_creation_that_is_under_way_is_locked() {
    let (env, disk) = world(1);
    drop(tiny(2).open_in(env, ROOT).unwrap());
    let (calls, mut locked) = (disk.calls(), 0);
    for call in 0..calls {
        let (env, disk) = world(1);
        let answers = Arc::new(Mutex::new(Vec::new()));
        let (kept, visited) = (answers.clone(), disk.clone());
        disk.pause_at(call, move || {
            *kept.lock().unwrap() = VISITS.map(|visit| visit(&visited)).into()
        });
        let store = tiny(2).open_in(env, ROOT).unwrap();
        table(&store, "t").put(b(1), b(1)).unwrap();
        for answer in answers.lock().unwrap().drain(..) {
            assert!(is_fair(&answer), "call {call} of {calls}: {answer:?}");
            locked += u64::from(matches!(answer, Err(Error::Locked { .. })));
        }
    }
    assert!(locked > calls, "{locked} of {calls} calls");
}

#[test]
fn a_creation_that_overtakes_an_opening_is_no_damage() {
    for visit in VISITS {
        for call in 0..20 {
            let (env, disk) = world(2);
            let made: Arc<Mutex<Option<Store>>> = Arc::default();
            let kept = made.clone();
            disk.pause_at(call, move || *kept.lock().unwrap() = at_once().open_in(env, ROOT).ok());
            let answer = visit(&disk);
            assert!(is_fair(&answer), "call {call}: {answer:?}");
            assert!(disk.unpause() || made.lock().unwrap().is_some());
        }
    }
}

#[test]
fn who_makes_nothing_makes_no_lock_file() {
    let (_, disk) = world(3);
    assert!(VISITS.iter().all(|visit| is_fair(&visit(&disk))));
    assert!(disk.files().is_empty());
}

#[test]
fn a_lock_file_alone_is_no_interrupted_creation() {
    let (env, disk) = world(4);
    // Whoever comes between the making of the lock file and its locking has the lock.
    disk.put_file(&Path::new(ROOT).join("LOCK"), b"");
    for visit in VISITS {
        let answer = visit(&disk);
        assert!(matches!(answer, Err(Error::NotAStore { .. })), "{answer:?}");
    }
    tiny(2).open_in(env, ROOT).unwrap().close().unwrap();
}
