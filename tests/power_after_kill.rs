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
