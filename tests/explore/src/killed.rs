//! Processes die one after the other while the power stays, and then it goes: what one of them wrote and did not sync the next one
//! must not build on.
//!
//! A process dies at every call of a short life, the next one at every call of its recovery. The power goes at every call of either
//! recovery, and after the last process went on for a while.

use crate::contents::contents;
use crate::crash::plans;
use crate::cuts::{Cut, cuts_of, play};
use crate::life::Life;
use crate::model::Model;
use crate::op::Op;
use crate::random::Random;
use crate::script::Script;
use crate::verdict::{self, judge};
use slotcask_io::SimDisk;
use slotcask_io::sim::{CrashPlan, Profile};
use std::collections::HashSet;

/// What was tried.
#[derive(Debug, Default, Clone)]
pub struct Tally {
    /// Processes that died.
    pub killed: u64,
    /// Distinct states that were judged.
    pub states: u64,
    /// The first violation.
    pub violation: Option<String>,
}

/// Lives at whose end something is written and not synced, each in its own way.
const LIVES: [&[Op]; 9] = [
    // The founding, from its first call on.
    &[],
    // A second process, whose restart voids a segment.
    &[Op::Poll, Op::Grow, Op::Clear, Op::Kill, Op::Delete, Op::Rotate],
    &[Op::Put, Op::Sync],
    &[Op::Put, Op::Sync, Op::Poll],
    &[Op::Rotate, Op::Put, Op::Sync],
    &[Op::Reopen, Op::Put, Op::Sync],
    &[Op::Clear],
    &[Op::Grow, Op::Checkpoint],
    &[Op::Seal, Op::Put, Op::Sync],
];
/// The same with a cask table.
const CASK_LIVES: [&[Op]; 4] = [
    &[Op::CaskPut, Op::Sync],
    &[Op::CaskFill, Op::Seal],
    &[Op::Seal, Op::CaskOverwrite, Op::CaskDelete, Op::Seal, Op::Merge],
    &[Op::CaskDelete, Op::CaskDrop],
];
/// What the last process does: the log is emptied and written to.
const GOES_ON: [Op; 5] = [Op::Overwrite, Op::Seal, Op::Put, Op::Sync, Op::Merge];

/// Explores all lives of a component: the whole founding, and of each life the last `calls` calls.
#[must_use]
pub fn run(cask: bool, calls: usize) -> Tally {
    let mut hunt = Hunt::default();
    let lives: &[&[Op]] = if cask { &CASK_LIVES } else { &LIVES };
    for (seed, ops) in (1 << 41..).zip(lives) {
        let script = Script { seed, ops: ops.to_vec(), cask };
        let played = play(&script, Profile::Sector512, false);
        let last = played.cuts.len().saturating_sub(calls).max(played.founding as usize);
        let first = if ops.is_empty() { 0 } else { last };
        for (stop, cut) in played.cuts.iter().enumerate().skip(first) {
            if let Err(what) = hunt.first(cut) {
                hunt.tally.violation = Some(format!("{ops:?}, killed at event {stop}: {what}"));
                return hunt.tally;
            }
        }
    }
    hunt.tally
}

#[derive(Default)]
struct Hunt {
    tally: Tally,
    seen: HashSet<(u64, usize, usize)>,
}

/// The power goes at each call of an opening, and right behind it.
fn cuts_of_opening(disk: &SimDisk, model: &Model) -> Vec<Cut> {
    let (mut cuts, opened) = cuts_of(disk, model, || verdict::open(disk, false));
    cuts.push(Cut { disk: disk.fork(), model: model.clone() });
    drop(opened);
    cuts
}

impl Hunt {
    fn judge(&mut self, image: &SimDisk, model: &Model) -> Result<(), String> {
        let (durable, accepted) = model.position();
        if !self.seen.insert((image.image_hash(), durable, accepted)) {
            return Ok(());
        }
        self.tally.states += 1;
        judge(image, false, model).map(drop)
    }

    fn first(&mut self, cut: &Cut) -> Result<(), String> {
        self.tally.killed += 1;
        let mut random = Random(cut.disk.io_count());
        for (stop, next) in cuts_of_opening(&cut.disk.after_kill(), &cut.model).iter().enumerate() {
            let told = |what: String| format!("at {stop} of the recovery: {what}");
            for mut plan in plans(&next.disk, &mut random, Profile::Sector512) {
                self.judge(&next.disk.crash(&mut plan), &cut.model)
                    .map_err(|what| told(format!("{plan:?}: {what}")))?;
            }
            self.second(next).map_err(|what| told(format!("killed again: {what}")))?;
        }
        Ok(())
    }

    fn second(&mut self, cut: &Cut) -> Result<(), String> {
        self.tally.killed += 1;
        for (stop, next) in cuts_of_opening(&cut.disk.after_kill(), &cut.model).iter().enumerate() {
            self.judge(&next.disk.crash(&mut CrashPlan::keep_none()), &cut.model)
                .map_err(|what| format!("at {stop} of the third recovery: {what}"))?;
        }
        self.goes_on(cut).map_err(|what| format!("the third process goes on: {what}"))
    }

    fn goes_on(&mut self, cut: &Cut) -> Result<(), String> {
        let disk = cut.disk.after_kill();
        let mut model = cut.model.snapshot();
        let text = |error: slotcask::Error| error.to_string();
        // Its numbers are not those of the life before.
        let mut life = Life::open(&disk, false, 900).map_err(text)?;
        let found = contents(life.store.as_ref().expect("it is open"));
        model.recovered(&found.map_err(|refused| format!("{refused:?}"))?);
        for op in GOES_ON {
            // Without tables there is nothing to write to.
            if model.last().b.is_some() {
                life.run(op, &mut model).map_err(text)?;
            }
        }
        let none = disk.crash(&mut CrashPlan::keep_none());
        let store = life.store.take();
        disk.without_power(|| drop(store));
        self.judge(&none, &model)
    }
}
