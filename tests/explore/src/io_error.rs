//! The Nth call to the disk fails, once or for ever; whatever was acknowledged is there when the disk works again.

use crate::crash::{EXHAUSTIVE, Script, script};
use crate::cuts::{Cut, cuts_of};
use crate::life::Life;
use crate::model::{Model, State};
use crate::op::Op;
use crate::verdict::{self, judge};
use slotcask::Error;
use slotcask_io::sim::{CrashPlan, Fault, FaultError, OpFilter, OpKind};
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

/// Deletes that have to be accepted on a full disk.
const DELETES: u64 = 20;

/// Lives of a script in which syncs fail.
const DECIMATIONS: usize = 4;

const ERRORS: [FaultError; 4] =
    [FaultError::Eio, FaultError::Enospc, FaultError::Eintr, FaultError::Short];

/// Lives that fill the log, with no room from some call on: what gives space back is accepted all the same.
fn full_disk(tally: &mut Tally) {
    let script = Script { seed: 1 << 42, ops: vec![Op::Grow; 8], cask: false };
    let calls = {
        let (disk, ..) = play(&script, None, false);
        disk.op_count(OpFilter::Any)
    };
    for at in (0..calls).step_by(4) {
        try_one(&script, at, FaultError::Enospc, true, tally);
        if !tally.violations.is_empty() {
            return;
        }
    }
}

/// Lives in which each sync fails once, and the process is killed then: the kernel calls what it threw away clean, so the next process
/// reads it, and no sync makes it durable.
fn dead_syncs(tally: &mut Tally, cask: bool) {
    use Op::{CaskFill, CaskPut, Checkpoint, Poll, Put, Reopen, Rotate, Sync};
    let lives: [&[Op]; 3] = if cask {
        [
            &[CaskPut, Sync, Poll, CaskPut, Sync],
            // More than half of the segment is needed, so that it becomes a data file.
            &[Rotate, CaskFill, Sync, Poll],
            &[Rotate, CaskFill, Sync, CaskPut, Sync],
        ]
    } else {
        [&[Put, Sync, Poll, Put, Sync], &[Put, Rotate, Put, Sync], &[Reopen, Put, Checkpoint]]
    };
    // What a failed sync loses is up to chance.
    let lives = lives.into_iter().flat_map(|ops| [ops; DECIMATIONS]);
    for (seed, ops) in (1 << 43..).zip(lives) {
        let script = Script { seed, ops: ops.to_vec(), cask };
        let (disk, ..) = play(&script, None, false);
        for at in 0..disk.op_count(OpFilter::Kind(OpKind::Sync)) {
            let fault = Fault::once(OpFilter::Kind(OpKind::Sync), at, FaultError::Eio);
            let (disk, model, ..) = play(&script, Some(fault), false);
            disk.clear_faults();
            tally.lives += 1;
            if let Err(what) = after_dead_sync(&disk.after_kill(), &model, cask) {
                let what = format!("{ops:?}, sync {at} failed, killed then: {what}");
                tally.violations.push(what);
                return;
            }
        }
    }
}

/// The power goes at each call of the next process's opening, and right behind it; with cask tables also when it has made data files of what
/// it found in the log, which are merged after that.
fn after_dead_sync(disk: &SimDisk, model: &Model, cask: bool) -> Result<(), String> {
    let (mut cuts, opened) = cuts_of(disk, model, || verdict::open(disk, false));
    cuts.push(Cut { disk: disk.fork(), model: model.clone() });
    if let (true, Ok(opened)) = (cask, &opened) {
        let store = &opened.store;
        let sealed = store.rotate().and_then(|()| store.checkpoint());
        sealed.map_err(|error| format!("the log could not leave: {error}"))?;
        cuts.push(Cut { disk: disk.fork(), model: model.clone() });
    }
    drop(opened);
    for (stop, cut) in cuts.iter().enumerate() {
        let at = |what: String| format!("at {stop} of the recovery: {what}");
        let image = cut.disk.crash(&mut CrashPlan::keep_none());
        let opened = judge(&image, false, model).map_err(at)?;
        if cask {
            opened.store.merge().map_err(|error| at(format!("no merge: {error}")))?;
        }
    }
    Ok(())
}

/// Tries every `step`th script with every call failing in turn, after lives that fill the log and lives whose syncs fail.
#[must_use]
pub fn run(scripts: u64, lives_max: u64, cask: bool) -> Tally {
    let mut tally = Tally::default();
    dead_syncs(&mut tally, cask);
    if !cask {
        full_disk(&mut tally);
    }
    if !tally.violations.is_empty() {
        return tally;
    }
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
                if let Ok(table) = store.open_table("b") {
                    // Some of those that are there, so that each is written.
                    let keys =
                        model.last().b.iter().flatten().map(|(key, _)| *key).collect::<Vec<_>>();
                    let deleted = keys
                        .iter()
                        .take(DELETES as usize)
                        .try_for_each(|key| table.write_delete(&key.to_le_bytes()[..5]).map(drop));
                    let refused = match deleted {
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
