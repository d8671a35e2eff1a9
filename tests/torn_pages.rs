//! A store that writes its slot pages twice, on a medium that may destroy a block in flight: it loses nothing, whichever write
//! the power failure meets.

mod common;

use common::{ROOT, b, tiny};
use slotcask::TableOptions;
use slotcask_io::sim::{CrashPlan, Profile, env_of};
use slotcask_io::{SimOptions, sim_env};

#[test]
fn destroyed_blocks_are_restored() {
    let mut restored = 0;
    for stop in (0..260).step_by(3) {
        let options = SimOptions { profile: Profile::Block4k, ..SimOptions::default() };
        let (env, disk) = sim_env(1, options);
        let open = |env| tiny(1).torn_page_protection(true).open_in(env, ROOT);
        let store = open(env).unwrap();
        let t = store.create_table("t", TableOptions::fixed(8, 1000)).unwrap();
        for n in 0..40 {
            t.put(b(n), [1; 1000]).unwrap();
        }
        store.checkpoint().unwrap();
        disk.stop_after(disk.io_count() + stop);
        let mut acknowledged = [1_u8; 40];
        let mut tried = acknowledged;
        'rounds: for round in 2..5_u8 {
            for n in 0..40 {
                tried[n] = round;
                if t.put(b(n as u64), [round; 1000]).is_err() {
                    break 'rounds;
                }
                acknowledged[n] = round;
            }
            if store.checkpoint().is_err() {
                break;
            }
        }
        let pending = disk.pending_summary().writes.len();
        let mut plans = vec![CrashPlan::keep_none(), CrashPlan::keep_all()];
        plans.extend((0..4).map(|seed| CrashPlan::random(stop + seed)));
        plans.extend((0..pending).map(|index| CrashPlan::garbage_unit(index, 0, stop)));
        for mut plan in plans {
            let image = disk.crash(&mut plan);
            let store = open(env_of(2, &image));
            let store = store.unwrap_or_else(|error| panic!("stop {stop}: {error}"));
            restored += store.recovery().shards[0].pages_restored;
            let t = store.open_table("t").unwrap();
            for n in 0..40 {
                let value = t.get(b(n as u64)).unwrap().unwrap();
                assert!(value.iter().all(|byte| *byte == value[0]));
                assert!(
                    value[0] == acknowledged[n] || value[0] == tried[n],
                    "stop {stop}, key {n}: {}",
                    value[0]
                );
            }
        }
    }
    assert!(restored > 0, "no crash met a page in flight");
}
