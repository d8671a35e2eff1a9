//! The Nth call to the disk fails, once or for ever; whatever was acknowledged is there when the disk works again.

use crate::crash::{EXHAUSTIVE, Script, script};
use crate::life::Life;
use crate::model::{Model, State};
use crate::verdict::judge;
use slotcask::Error;
use slotcask_io::sim::{CrashPlan, Fault, FaultError, OpFilter};
use slotcask_io::{SimDisk, SimOptions};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What was tried.
#[derive(Debug, Default, Clone)]
pub struct Tally {
    /// Lives with a fault.
    pub lives: u64,
    /// Faults that some call met.
    pub fired: u64,
    /// Lives in which a shard was poisoned.
    pub poisoned: u64,
    /// Lives in which a write was refused and nothing was lost.
    pub refused: u64,
    /// Violations, each described.
    pub violations: Vec<String>,
}

const ERRORS: [FaultError; 4] =
    [FaultError::Eio, FaultError::Enospc, FaultError::Eintr, FaultError::Short];

/// Tries every `step`th script with every call failing in turn.
#[must_use]
pub fn run(scripts: u64, lives_max: u64, cask: bool) -> Tally {
    let mut tally = Tally::default();
    let step = (EXHAUSTIVE / scripts.max(1)).max(1);
    'all: for number in (0..EXHAUSTIVE).rev().step_by(step as usize) {
        let script = script(number, cask);
        let calls = {
            let (disk, ..) = play(&script, None, false);
            disk.op_count(OpFilter::Any)
        };
        for at in 0..calls {
            for error in ERRORS {
                for forever in [false, true] {
                    try_one(&script, at, error, forever, &mut tally);
                    if tally.violations.len() >= 3 || tally.lives >= lives_max {
                        break 'all;
                    }
                }
            }
        }
    }
    tally
}

/// Plays a script; after a refusal for want of space `probe` tries a delete. The flag tells whether it did.
fn play(
    script: &Script,
    fault: Option<Fault>,
    probe: bool,
) -> (SimDisk, Model, slotcask::Result<()>, bool) {
    let disk = SimDisk::new(SimOptions { seed: script.seed, ..SimOptions::default() });
    if let Some(fault) = fault {
        disk.inject(fault);
    }
    let mut model = Model::new(State::default());
    let end;
    match Life::open(&disk, false, script.seed) {
        Err(error) => end = Err(error),
        Ok(mut life) => {
            let furnished = life.furnish(&mut model, script.cask);
            let ops = script.ops.iter().copied();
            end = furnished.and_then(|()| {
                for op in ops {
                    life.run(op, &mut model)?;
                }
                Ok(())
            });
            if let (Err(Error::DiskFull { .. }), Some(store), true) = (&end, &life.store, probe) {
                // What gives space back is accepted all the same. The model does not know of it: this life is not judged further.
                if let Ok(table) = store.open_table("a") {
                    let refused = match table.write_delete(1_u64.to_le_bytes()) {
                        Err(Error::DiskFull { shard, cause, what }) => Err(Error::DiskFull {
                            shard,
                            cause: format!("a delete: {cause}"),
                            what,
                        }),
                        _ => end.clone(),
                    };
                    return (disk, model, refused, true);
                }
            }
            if let (Err(Error::Poisoned { .. }), Some(store)) = (&end, &life.store) {
                // Poison holds: no write is accepted any more.
                if let Ok(table) = store.open_table("a") {
                    assert!(
                        table.write(1_u64.to_le_bytes(), [0; 16]).is_err(),
                        "a poisoned shard accepted a write"
                    );
                }
            }
        }
    }
    (disk, model, end, false)
}

fn try_one(script: &Script, at: u64, error: FaultError, forever: bool, tally: &mut Tally) {
    let fault = if forever {
        Fault::forever(OpFilter::Any, at, error)
    } else {
        Fault::once(OpFilter::Any, at, error)
    };
    let name =
        format!("script {} {:?}, call {at}, {error:?}, forever {forever}", script.seed, script.ops);
    tally.lives += 1;
    let probe = forever && at.is_multiple_of(4);
    let played = catch_unwind(AssertUnwindSafe(|| play(script, Some(fault), probe)));
    let Ok((disk, model, end, probed)) = played else {
        tally.violations.push(format!("{name}: panicked"));
        return;
    };
    if probed {
        if let Err(error @ Error::DiskFull { cause, .. }) = &end
            && cause.contains("a delete")
        {
            tally.violations.push(format!("{name}: a delete was refused on a full disk: {error}"));
        }
        tally.refused += 1;
        return;
    }
    tally.fired += u64::from(disk.faults_fired() > 0);
    match &end {
        Ok(()) => {}
        Err(found) if matches!(error, FaultError::Eintr | FaultError::Short) => {
            tally.violations.push(format!("{name}: a caller noticed: {found}"));
            return;
        }
        Err(Error::Poisoned { .. }) => tally.poisoned += 1,
        Err(_) => tally.refused += 1,
    }
    disk.clear_faults();
    for mut plan in [CrashPlan::keep_none(), CrashPlan::keep_all(), CrashPlan::random(at)] {
        let image = disk.crash(&mut plan);
        if let Err(what) = judge(&image, false, &model) {
            tally.violations.push(format!("{name}: after the end {end:?}: {plan:?}: {what}"));
            return;
        }
    }
}
