//! One operation in the middle of another: at every call of the disk that an operation makes, a second thread does a whole one.
//!
//! Real threads meet in windows of microseconds only by luck; here every window that holds a call of the disk is met. At most one of the
//! two operations changes what the store holds, so that the model knows what has to be found. Where the second has to wait for a lock of
//! the first, the first goes on.

use crate::contents::contents;
use crate::cuts::{Cut, cuts_of, end_of};
use crate::life::Life;
use crate::model::{Model, State};
use crate::op::{ALL, CASK_ALL, Op};
use crate::random::Random;
use crate::script::{self, EXHAUSTIVE, Script};
use crate::verdict::judge;
use slotcask::Error;
use slotcask_io::SimDisk;
use slotcask_io::sim::{CrashPlan, Profile};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

/// What was tried.
#[derive(Debug, Default, Clone)]
pub struct Tally {
    /// Pairs of operations after some life.
    pub trials: u64,
    /// Places in which the second operation began.
    pub places: u64,
    /// Of them, those where it had to wait until the first gave way.
    pub waited: u64,
    /// Openings after a power loss.
    pub judged: u64,
    /// The first violation.
    pub violation: Option<String>,
}

/// Operations that leave what the store holds as it is.
const QUIET: [Op; 6] = [Op::Checkpoint, Op::Rotate, Op::Seal, Op::Merge, Op::Poll, Op::Sync];
/// Lives after which a checkpoint, or a merge, has the most to do, each with a pair.
const DIRECTED: [(&[Op], First, Op); 13] = {
    use First::{Does, Reads};
    use Op::{
        CaskBatch, CaskFill, CaskOverwrite, CaskPut, Checkpoint, Grow, Merge, Poll, Put, Rotate,
        Seal,
    };
    [
        // One segment leaves the log; the one that is written to would be next, if another begins meanwhile.
        (&[CaskPut, Rotate, CaskPut, Poll], Does(Checkpoint), Rotate),
        (&[CaskFill, Checkpoint], Does(Checkpoint), CaskFill),
        (&[CaskFill, Rotate, CaskFill, Rotate, Checkpoint], Does(Checkpoint), Checkpoint),
        (&[CaskFill, Seal, CaskOverwrite, CaskFill, Seal], Does(Merge), CaskOverwrite),
        (&[CaskFill, Seal, CaskOverwrite, CaskFill, Seal], Does(Merge), Seal),
        (&[CaskFill, Seal, CaskOverwrite, CaskFill, Seal], Does(Merge), Merge),
        (&[CaskFill, Seal, CaskOverwrite, CaskFill, Seal], Reads, Merge),
        (&[CaskFill, CaskPut, Rotate, Checkpoint], Reads, Seal),
        // A flush without records is put behind one that is being written.
        (&[CaskPut, Checkpoint], Does(CaskBatch), Poll),
        (&[CaskFill, Rotate, Grow], Does(Checkpoint), Grow),
        (&[CaskFill, Rotate, CaskFill], Does(CaskFill), Checkpoint),
        // Another segment begins while pages are written, behind records that are not in them.
        (&[Put, CaskFill, CaskFill, Poll], Does(Checkpoint), CaskFill),
        // What leaves the log is moved, and written meanwhile.
        (&[Put, CaskFill, Rotate, Poll], Does(Checkpoint), CaskFill),
    ]
};
/// How long the second operation is waited for before it counts as waiting for a lock.
const PATIENCE: Duration = Duration::from_millis(10);

/// What goes on while the second operation comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum First {
    /// An operation.
    Does(Op),
    /// Everything is read.
    Reads,
}

/// Two operations, and the life before them.
struct Trial {
    number: u64,
    script: Script,
    first: First,
    second: Op,
}

fn trial(number: u64) -> Trial {
    if let Some((ops, first, second)) = DIRECTED.get(number as usize) {
        let script = Script { seed: number, ops: ops.to_vec(), cask: true };
        return Trial { number, script, first: *first, second: *second };
    }
    let mut random = Random(number);
    let pick = |random: &mut Random, ops: &[Op]| ops[random.below(ops.len() as u64) as usize];
    let changes: Vec<Op> = ALL
        .into_iter()
        .chain(CASK_ALL)
        .filter(|op| !QUIET.contains(op) && !matches!(op, Op::Reopen | Op::Kill))
        .collect();
    let (first, second) = match random.below(8) {
        0 => (First::Reads, pick(&mut random, &QUIET)),
        1 => (First::Does(pick(&mut random, &QUIET)), pick(&mut random, &QUIET)),
        2 | 3 => (First::Does(pick(&mut random, &changes)), pick(&mut random, &QUIET)),
        _ => (First::Does(pick(&mut random, &QUIET)), pick(&mut random, &changes)),
    };
    let directed = script::DIRECTED.len() as u64;
    let script = match random.below(3) {
        0 => Script {
            seed: number,
            ops: script::DIRECTED[random.below(directed) as usize].to_vec(),
            cask: true,
        },
        _ => script::script(EXHAUSTIVE + random.below(1 << 20), true),
    };
    Trial { number, script, first, second }
}

/// Runs trials `from..`, of which every `step`th, until there were `places` places; or place `only` of trial `from`.
#[must_use]
pub fn run(from: u64, step: u64, places: u64, only: Option<u64>) -> Tally {
    let mut tally = Tally::default();
    let mut number = from;
    while tally.places < places && tally.violation.is_none() {
        let trial = trial(number);
        tally.trials += 1;
        let range = match only {
            Some(place) => place..place + 1,
            None => 0..calls_of(&trial),
        };
        for place in range {
            tally.places += 1;
            if let Err(what) = interleave(&trial, place, &mut tally) {
                tally.violation = Some(format!(
                    "{:?} in the middle of {:?} after {:?}: {what}; interleave --reproduce {}:{place}",
                    trial.second, trial.first, trial.script.ops, trial.number
                ));
                break;
            }
        }
        if only.is_some() {
            break;
        }
        number += step;
    }
    tally
}

fn begin(trial: &Trial) -> Result<(Cut, Life), String> {
    end_of(&trial.script, Profile::Sector512, false)
        .map_err(|error| format!("the life before was refused: {error}"))
}

/// How many calls of the disk the first operation makes when it is alone.
fn calls_of(trial: &Trial) -> u64 {
    let Ok((cut, mut life)) = begin(trial) else { return 1 };
    let before = cut.disk.calls();
    let _ = first(&mut life, trial.first, &mut cut.model.clone());
    cut.disk.calls() - before
}

fn first(life: &mut Life, first: First, model: &mut Model) -> Result<(), String> {
    match first {
        First::Does(op) => bear(op, life.run(op, model)),
        First::Reads => {
            let Some(store) = &life.store else { return Ok(()) };
            let found = contents(store).map_err(|refused| format!("while read: {refused:?}"))?;
            model.served(&found);
            Ok(())
        }
    }
}

/// Refusals for want of room are no violations: the logs here are tiny.
fn bear(op: Op, done: Result<(), Error>) -> Result<(), String> {
    match done {
        Err(error) if !error.is_out_of_resources() => Err(format!("{op:?} failed: {error}")),
        _ => Ok(()),
    }
}

/// Does a quiet operation; most acknowledge what was there when they began. A poll leaves flushing to whoever flushes already.
fn quietly(life: &mut Life, op: Op, model: &Model, states: usize) -> Result<(), String> {
    // What it would acknowledge at its end has come meanwhile.
    let mut apart = Model::new(State::default());
    let done = life.run(op, &mut apart);
    if done.is_ok() && !matches!(op, Op::Rotate | Op::Merge | Op::Poll) {
        model.acknowledge_first(states);
    }
    bear(op, done)
}

fn interleave(trial: &Trial, place: u64, tally: &mut Tally) -> Result<(), String> {
    let (Cut { disk, model }, mut life) = begin(trial)?;
    let quiet = |op| QUIET.contains(&op);
    let states = model.position().1;
    let (sender, joined) = mpsc::channel::<JoinHandle<Result<(), String>>>();
    let waited = Arc::new(AtomicBool::new(false));
    let mut twin = life.twin();
    let (second, other, waits) = (trial.second, model.clone(), Arc::clone(&waited));
    disk.pause_at(disk.calls() + place, move || {
        let (done, end) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let result = match quiet(second) {
                true => quietly(&mut twin, second, &other, states),
                false => bear(second, twin.run(second, &mut other.clone())),
            };
            // Nobody listens any more when this took long.
            let _ = done.send(());
            result
        });
        waits.store(end.recv_timeout(PATIENCE).is_err(), Ordering::Relaxed);
        let _ = sender.send(thread);
    });
    let mut random = Random(trial.number ^ place << 32);
    let (cuts, ended) = cuts_of(&disk, &model, || {
        let done = match trial.first {
            First::Does(op) if quiet(op) => quietly(&mut life, op, &model, states),
            other => first(&mut life, other, &mut model.clone()),
        };
        // The first may have made fewer calls than alone; then there was no second.
        disk.unpause();
        let joined = joined.try_recv().map_or(Ok(()), |thread| {
            thread.join().map_err(|_| format!("{second:?} panicked")).and_then(|result| result)
        });
        done.and(joined)
    });
    tally.waited += u64::from(waited.load(Ordering::Relaxed));
    ended?;
    let compare = |life: &Life, when: &str| {
        life.compare(&model).map_err(|error| format!("{when}: {error}"))?;
        model.judge(&model.last()).map_err(|what| format!("{when}: {what}"))
    };
    compare(&life, "then")?;
    // The power goes in the middle of it, and at the end.
    for _ in 0..2.min(cuts.len()) {
        let cut = &cuts[random.below(cuts.len() as u64) as usize];
        lose(&cut.disk, &cut.model, &mut random, tally)?;
    }
    lose(&disk, &model, &mut random, tally)?;
    // What went wrong may show later: when the log is emptied, files are merged and the store is opened again.
    let mut after = model.clone();
    for op in [Op::Seal, Op::Merge, Op::Reopen] {
        bear(op, life.run(op, &mut after))?;
        compare(&life, "later")?;
    }
    Ok(())
}

/// The power goes: with everything that is pending, nothing of it, or some.
fn lose(
    disk: &SimDisk,
    model: &Model,
    random: &mut Random,
    tally: &mut Tally,
) -> Result<(), String> {
    for mut plan in
        [CrashPlan::keep_all(), CrashPlan::keep_none(), CrashPlan::random(random.word())]
    {
        tally.judged += 1;
        judge(&disk.crash(&mut plan), false, model)?;
    }
    Ok(())
}
