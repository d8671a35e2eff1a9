//! Random work, checkpoints in all stages, power lost at any call, any subset of the unsynced sectors kept: after each
//! recovery the table holds exactly what the surviving log says, and goes on.

mod common;

use common::{Rig, Rng, Wreck, options, schema};
use slotcask_fixed::{Checkpoint, FixedError, FixedOptions, Result};
use slotcask_format::schema::TableSchema;
use slotcask_io::sim::{CrashPlan, NamePlan, Profile, SizePlan, WritePlan};

struct Work {
    rig: Rig,
    running: Option<(Checkpoint, u64, bool)>,
}

impl Work {
    fn step(&mut self, rng: &mut Rng, keys: u64) -> Result<()> {
        let rig = &mut self.rig;
        match rng.below(200) {
            0..90 => match rig.put(rng.below(keys), rng.next()) {
                Err(FixedError::SlotsExhausted { .. }) => {
                    rig.delete(rng.below(keys));
                }
                other => {
                    other?;
                }
            },
            90..140 => {
                rig.delete(rng.below(keys));
            }
            140 => rig.clear(),
            141..144 => {
                let mut slots = Vec::new();
                for _ in 0..rng.below(40) {
                    match rig.reserve() {
                        Ok(slot) => slots.push(slot),
                        Err(FixedError::SlotsExhausted { .. }) => break,
                        Err(other) => return Err(other),
                    }
                }
                slots.into_iter().for_each(|slot| rig.table.unreserve(slot));
            }
            144..150 => rig.durable = rig.last(),
            _ => match self.running.take() {
                None => {
                    let (checkpoint, redo) = rig.begin();
                    self.running = Some((checkpoint, redo, true));
                }
                Some((checkpoint, redo, more)) if more && rng.below(50) == 0 => {
                    let _ = redo;
                    rig.table.checkpoint_failed(checkpoint);
                }
                Some((mut checkpoint, redo, more)) => {
                    if more {
                        let more = rig.batch(&mut checkpoint)?;
                        self.running = Some((checkpoint, redo, more));
                    } else {
                        rig.commit(&mut checkpoint, redo)?;
                        assert!(rig.table.page_reader().is_some());
                    }
                }
            },
        }
        Ok(())
    }
}

fn plan(rng: &mut Rng) -> CrashPlan {
    let seed = rng.next();
    match rng.below(8) {
        0 => CrashPlan::keep_none(),
        1 => CrashPlan::keep_all(),
        2 => CrashPlan::new(WritePlan::All, NamePlan::All, SizePlan::Current, seed),
        _ => CrashPlan::random(seed),
    }
}

fn crash(rig: Rig, rng: &mut Rng) -> Wreck {
    let (durable, last) = (rig.durable, rig.last());
    let log_end = durable + rng.below(last - durable + 1);
    let disk = rig.disk.crash(&mut plan(rng));
    rig.wreck(disk, log_end)
}

fn explore(seed: u64, profile: Profile, schema: TableSchema, options: FixedOptions, keys: u64) {
    let mut rng = Rng(seed);
    let mut work = Work { rig: Rig::new(profile, schema, options), running: None };
    for life in 0..6 {
        let context = format!("seed {seed}, life {life}");
        let steps = 20 + rng.below(300);
        if rng.below(2) == 0 {
            let events = work.rig.disk.io_count();
            work.rig.disk.stop_after(events + rng.below(60));
        }
        for _ in 0..steps {
            if work.step(&mut rng, keys).is_err() {
                break;
            }
        }
        let Work { rig, .. } = work;
        let mut wreck = crash(rig, &mut rng);
        // Opening may lose power too, any number of times.
        while rng.below(3) == 0 {
            let events = wreck.disk.io_count();
            wreck.disk.stop_after(events + rng.below(6));
            let again = wreck.loading(true).map(|(_, _, loading)| {
                loading.finish(wreck.log_end(), &|_, _| true, common::hash).map(|_| ())
            });
            if let Ok(Err(FixedError::Corrupt(corruption))) | Err(FixedError::Corrupt(corruption)) =
                again
            {
                panic!("{corruption}; {context}");
            }
            wreck.disk = wreck.disk.crash(&mut plan(&mut rng));
        }
        let read_only = wreck.loading(false).unwrap().2;
        let (findings, _) = read_only.check(wreck.log_end(), &|_, _| true, common::hash);
        assert!(findings.is_empty(), "{findings:?}; {context}");
        work = Work { rig: wreck.open_and_compare(&context).0, running: None };
    }
}

fn seeds() -> u64 {
    std::env::var("SLOTCASK_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(60)
}

#[test]
fn small_slots() {
    for seed in 0..seeds() {
        explore(seed, Profile::Sector512, schema(16, 64, 2000), options(), 150);
    }
}

#[test]
fn slots_that_straddle_sectors() {
    for seed in 0..seeds() {
        explore(seed, Profile::Sector512, schema(5, 900, 400), options(), 40);
    }
}

#[test]
fn slots_of_several_blocks_without_values_and_odd_keys() {
    for seed in 0..seeds() / 3 {
        explore(seed, Profile::Sector512, schema(16, 9000, 60), options(), 20);
        explore(seed, Profile::Sector512, schema(13, 0, 3000), options(), 400);
        explore(seed, Profile::Sector512, schema(1, 1, 50), options(), 80);
    }
}

#[test]
fn protected_against_torn_pages() {
    // One page a batch, so that most checkpoints use the area several times.
    let options = FixedOptions { torn_page_protection: true, batch_bytes: 4096, ..options() };
    for seed in 0..seeds() {
        explore(seed, Profile::Block4k, schema(16, 64, 2000), options, 150);
        explore(seed, Profile::Block4k, schema(16, 9000, 60), options, 20);
    }
}

/// The canary: without protection the same disk does lose pages, and that is seen.
#[test]
fn unprotected_blocks_are_lost_and_it_is_said() {
    let refused = (0..20).filter(|seed| {
        let run = || explore(*seed, Profile::Block4k, schema(16, 64, 2000), options(), 150);
        std::panic::catch_unwind(run).is_err()
    });
    assert!(refused.count() > 0);
}
