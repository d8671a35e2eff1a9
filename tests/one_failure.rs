//! One call of the disk fails, whichever it is, and then the power does: nothing that was acknowledged is lost, before or after
//! the failure, and the store opens.

mod common;

use common::{ROOT, b, tiny, world};
use slotcask::TableOptions;
use slotcask_io::sim::{CrashPlan, Fault, FaultError, OpFilter, env_of};

const KEYS: u64 = 12;

fn run(at: u64, error: FaultError) -> bool {
    let (env, disk) = world(1);
    let store = tiny(1).open_in(env, ROOT).unwrap();
    let t = store.create_table("t", TableOptions::fixed(8, 500)).unwrap();
    disk.inject(Fault::once(OpFilter::Events, at, error));
    let mut acknowledged = [0_u16; KEYS as usize];
    let mut tried = acknowledged;
    for n in 0..260_u16 {
        let key = u64::from(n) % KEYS;
        tried[key as usize] = n;
        if t.put(b(key), [n.to_le_bytes(); 250].concat()).is_ok() {
            acknowledged[key as usize] = n;
        }
        if n % 90 == 60 {
            let _ = store.checkpoint();
        }
        if n % 40 == 7 {
            let _ = store.poll();
        }
    }
    let fired = disk.faults_fired() > 0;
    let mut images: Vec<_> = [CrashPlan::keep_none(), CrashPlan::keep_all(), CrashPlan::random(at)]
        .into_iter()
        .map(|mut plan| disk.crash(&mut plan))
        .collect();
    let closed = store.close();
    if closed.is_ok() {
        images.push(disk.crash(&mut CrashPlan::keep_none()));
    }
    for (number, image) in images.iter().enumerate() {
        let store = tiny(1).open_in(env_of(2, image), ROOT);
        let store = store.unwrap_or_else(|found| panic!("{error:?} at {at}, {number}: {found}"));
        let t = store.open_table("t").unwrap();
        for key in 0..KEYS {
            let (least, most) = (acknowledged[key as usize], tried[key as usize]);
            let seen = t.get(b(key)).unwrap().map(|v| u16::from_le_bytes([v[0], v[1]]));
            let seen = match seen {
                Some(seen) => seen,
                None if least == 0 => continue,
                None => panic!("{error:?} at {at}, {number}: key {key} is gone"),
            };
            assert!((least..=most).contains(&seen), "{error:?} at {at}, {number}: {seen} of {key}");
        }
    }
    fired
}

#[test]
fn a_failing_device_takes_nothing_back() {
    assert!((0..5000).step_by(3).any(|at| !run(at, FaultError::Eio)));
}

#[test]
fn want_of_room_at_any_call_takes_nothing_back() {
    assert!((0..5000).step_by(3).any(|at| !run(at, FaultError::Enospc)));
}
