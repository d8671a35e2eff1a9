//! A process is killed, the next one recovers, and then the power goes: what the first had written and not synced can go with it.

mod common;

use common::{ROOT, b, tiny};
use slotcask::{Durability, Store, TableOptions};
use slotcask_io::sim::{CrashPlan, env_of};
use slotcask_io::{SimDisk, SimOptions};

/// Puts, an idle flush and a close, until the disk stops. Gives what was acknowledged as durable.
fn live(disk: &SimDisk) -> u64 {
    let mut durable = 0;
    let mut life = || -> slotcask::Result<()> {
        let store = tiny(1).durability(Durability::Buffered).open_in(env_of(1, disk), ROOT)?;
        let t = store.create_table("t", TableOptions::fixed(8, 8))?;
        for key in 1..4 {
            t.put(b(key), b(key))?;
            store.sync()?;
            durable = key;
            store.poll()?;
        }
        store.close()
    };
    let _ = life();
    durable
}

fn open(disk: &SimDisk) -> slotcask::Result<Store> {
    tiny(1).open_in(env_of(2, disk), ROOT)
}

/// The last flush is the first of its segment, and nothing proves it: the next opening writes its record again. That one is killed too,
/// and the power goes in the one after it.
#[test]
fn a_record_that_a_killed_opening_wrote_again_is_kept() {
    let disk = SimDisk::new(SimOptions::default());
    let store = tiny(1).durability(Durability::Buffered).open_in(env_of(1, &disk), ROOT).unwrap();
    let t = store.create_table("t", TableOptions::fixed(8, 8)).unwrap();
    t.put(b(1), b(1)).unwrap();
    store.sync().unwrap();
    store.rotate().unwrap();
    t.put(b(2), b(2)).unwrap();
    store.sync().unwrap();
    disk.without_power(|| drop((t, store)));
    for first in 0.. {
        let killed = disk.fork();
        killed.stop_after(disk.io_count() + first);
        let ended = open(&killed).is_ok();
        for second in 0..30 {
            let cut = killed.after_kill();
            cut.stop_after(killed.io_count() + second);
            let _ = open(&cut);
            for mut plan in [CrashPlan::keep_all(), CrashPlan::keep_none()] {
                let store = open(&cut.crash(&mut plan)).unwrap();
                let t = store.open_table("t").unwrap();
                for key in [1, 2] {
                    let found = t.get(b(key)).unwrap();
                    assert_eq!(found.as_deref(), Some(&b(key)[..]), "{first}, {second}, {plan:?}");
                }
            }
            for write in 0..cut.pending_summary().writes.len() {
                let image = cut.crash(&mut CrashPlan::drop_only(write));
                let found = open(&image).unwrap().open_table("t").unwrap().get(b(2)).unwrap();
                assert_eq!(found.as_deref(), Some(&b(2)[..]), "{first}, {second}, without {write}");
            }
        }
        if ended {
            break;
        }
    }
}

#[test]
fn nothing_acknowledged_goes_with_the_power_and_the_store_opens() {
    let events = {
        let disk = SimDisk::new(SimOptions::default());
        live(&disk);
        disk.io_count()
    };
    let mut opened = 0;
    for stop in 0..events {
        let disk = SimDisk::new(SimOptions::default());
        disk.stop_after(stop);
        let durable = live(&disk);
        let killed = disk.after_kill();
        let begun = killed.io_count();
        for event in 0.. {
            let disk = killed.after_kill();
            disk.stop_after(begun + event);
            let ended = open(&disk).is_ok();
            let mut plans = vec![CrashPlan::keep_all(), CrashPlan::keep_none()];
            for write in 0..disk.pending_summary().writes.len() {
                plans.extend([CrashPlan::keep_only(write), CrashPlan::drop_only(write)]);
            }
            for mut plan in plans {
                let store = open(&disk.crash(&mut plan))
                    .unwrap_or_else(|error| panic!("{stop}, {event}, {plan:?}: {error}"));
                opened += 1;
                for key in 1..=durable {
                    let found = store.open_table("t").unwrap().get(b(key)).unwrap();
                    assert_eq!(found.as_deref(), Some(&b(key)[..]), "{stop}, {event}, {plan:?}");
                }
            }
            if ended {
                break;
            }
        }
    }
    assert!(opened > 1000, "{opened}");
}
