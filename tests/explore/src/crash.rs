//! Power loss at every I/O call, with every legal remainder, and again inside the recovery.

use crate::life::{ALL, CASK_ALL, CASK_OPS, Life, OPS, Op};
use crate::model::{Model, State};
use crate::random::Random;
use crate::verdict::judge;
use slotcask_io::sim::{CrashPlan, NamePlan, Profile, SizePlan, WritePlan};
use slotcask_io::{SimDisk, SimOptions};
use std::collections::{BTreeSet, HashSet};
use std::time::{Duration, Instant};

/// How much to explore.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    /// Distinct states at least, unless time runs out.
    pub states: u64,
    /// Longest time.
    pub time: Duration,
    /// First seed of random lives.
    pub seed: u64,
    /// What the medium writes as a whole.
    pub profile: Profile,
    /// Whether the store has torn page protection.
    pub protected: bool,
    /// Which part of the work this thread does, of how many.
    pub part: (u64, u64),
    /// Lives with a cask table.
    pub cask: bool,
}

/// What was explored.
#[derive(Debug, Default, Clone)]
pub struct Tally {
    /// Distinct states recovered from.
    pub states: u64,
    /// Of them, by a second crash inside the recovery.
    pub second: u64,
    /// Lives.
    pub lives: u64,
    /// Rows of the recovery table that were hit.
    pub rows: BTreeSet<&'static str>,
    /// Violations, each with what reproduces it.
    pub violations: Vec<String>,
    /// Hash over all traces, in order.
    pub trace: u64,
}

impl Tally {
    /// Adds what another thread found.
    pub fn merge(&mut self, other: Self) {
        self.states += other.states;
        self.second += other.second;
        self.lives += other.lives;
        self.rows.extend(other.rows);
        self.violations.extend(other.violations);
        self.trace ^= other.trace;
    }
}

/// A string of operations with the seed of its choices.
#[derive(Debug, Clone)]
pub struct Script {
    /// Seed.
    pub seed: u64,
    /// Operations.
    pub ops: Vec<Op>,
    /// Whether there is a cask table.
    pub cask: bool,
}

/// The scripts: all strings up to length 3, then random ones without end. A script is known by its number.
#[must_use]
pub fn script(number: u64, cask: bool) -> Script {
    let strings: &[Op] = if cask { &CASK_OPS } else { &OPS };
    let all: &[Op] = if cask { &CASK_ALL } else { &ALL };
    let base = strings.len() as u64;
    let mut rest = number;
    for len in 0..=3_u32 {
        let count = base.pow(len);
        if rest < count {
            let mut ops = Vec::new();
            for _ in 0..len {
                ops.push(strings[(rest % base) as usize]);
                rest /= base;
            }
            return Script { seed: number, ops, cask };
        }
        rest -= count;
    }
    let mut random = Random(number);
    let len = 4 + random.below(if cask { 24 } else { 14 });
    let ops = (0..len).map(|_| all[random.below(all.len() as u64) as usize]).collect();
    Script { seed: number, ops, cask }
}

/// Scripts that are all strings up to length 3.
pub const EXHAUSTIVE: u64 = 1 + 10 + 100 + 1000;

/// Runs a script on a fresh disk until it ends or event `stop`.
#[must_use]
pub fn play(script: &Script, stop: u64, budget: &Budget) -> (SimDisk, Model) {
    let disk = SimDisk::new(SimOptions {
        profile: budget.profile,
        seed: script.seed,
        ..SimOptions::default()
    });
    disk.stop_after(stop);
    let mut model = Model::new(State::default());
    let _ = live(&disk, script, &mut model, budget.protected);
    (disk, model)
}

fn live(
    disk: &SimDisk,
    script: &Script,
    model: &mut Model,
    protected: bool,
) -> slotcask::Result<()> {
    let mut life = Life::open(disk, protected, script.seed)?;
    life.furnish(model, script.cask)?;
    for op in &script.ops {
        life.run(*op, model)?;
    }
    Ok(())
}

/// The ways in which a power loss now can end.
fn plans(disk: &SimDisk, random: &mut Random, profile: Profile) -> Vec<CrashPlan> {
    let pending = disk.pending_summary();
    let mut plans = vec![CrashPlan::keep_none(), CrashPlan::keep_all()];
    for names in 0..pending.names.len() {
        plans.push(CrashPlan::new(WritePlan::All, NamePlan::Only(names), SizePlan::Current, 0));
        plans.push(CrashPlan::new(WritePlan::All, NamePlan::Except(names), SizePlan::Durable, 0));
    }
    for (index, write) in pending.writes.iter().enumerate() {
        if pending.writes.len() > 1 {
            plans.push(CrashPlan::keep_only(index));
            plans.push(CrashPlan::drop_only(index));
        }
        let step = (write.units / 24).max(1);
        for units in (1..write.units).step_by(step) {
            plans.push(CrashPlan::tear_write(index, units));
            plans.push(CrashPlan::tear_suffix(index, units));
        }
        if profile == Profile::Block4k {
            for unit in (0..write.units).step_by(step) {
                plans.push(CrashPlan::garbage_unit(index, unit, random.word()));
            }
        }
    }
    if !pending.writes.is_empty() || !pending.names.is_empty() {
        for _ in 0..6 {
            plans.push(CrashPlan::random(random.word()));
        }
    }
    plans
}

/// The ends of all strings of up to three operations: every one is played whole and judged by what is left when the power goes then.
/// The first violation ends it.
#[must_use]
pub fn ends(budget: &Budget) -> Option<String> {
    for number in 0..EXHAUSTIVE {
        let script = script(number, budget.cask);
        let options =
            SimOptions { profile: budget.profile, seed: script.seed, ..SimOptions::default() };
        let disk = SimDisk::new(options);
        let mut model = Model::new(State::default());
        // Kept until the images are taken: a store that is dropped is closed.
        let mut life = Life::open(&disk, budget.protected, script.seed).ok()?;
        let played = life
            .furnish(&mut model, script.cask)
            .and_then(|()| script.ops.iter().try_for_each(|op| life.run(*op, &mut model)));
        if let Err(error) = played {
            return Some(describe(
                &script,
                disk.io_count(),
                "no fault",
                &error.to_string(),
                budget,
            ));
        }
        for mut plan in [CrashPlan::keep_all(), CrashPlan::keep_none()] {
            if let Err(what) = judge(&disk.crash(&mut plan), budget.protected, &model) {
                return Some(describe(&script, disk.io_count(), "end of the life", &what, budget));
            }
        }
    }
    None
}

/// Explores this part of the scripts until the budget is used up.
#[must_use]
pub fn explore(budget: &Budget, mut progress: impl FnMut(&Tally)) -> Tally {
    let started = Instant::now();
    let mut tally = Tally::default();
    let mut seen = HashSet::new();
    let (part, parts) = budget.part;
    let mut number = part;
    while (number < EXHAUSTIVE || tally.states < budget.states / parts)
        && started.elapsed() < budget.time
        && tally.violations.len() < 3
    {
        let seed =
            if number < EXHAUSTIVE { number } else { number.wrapping_add(budget.seed << 20) };
        explore_script(&script(seed, budget.cask), budget, &mut seen, &mut tally, None);
        number += parts;
        progress(&tally);
    }
    tally
}

/// Explores one script; `only` names one stop, for reproduction.
pub fn explore_script(
    script: &Script,
    budget: &Budget,
    seen: &mut HashSet<(u64, usize, usize)>,
    tally: &mut Tally,
    only: Option<u64>,
) {
    let (whole, model) = play(script, u64::MAX, budget);
    tally.lives += 1;
    tally.trace ^= whole.trace_hash().rotate_left((script.seed % 63) as u32);
    if let Err(what) = judge(&whole.crash(&mut CrashPlan::keep_all()), budget.protected, &model) {
        tally.violations.push(describe(script, whole.io_count(), "end of the life", &what, budget));
        return;
    }
    // The founding of the store is the same in every life: the first scripts cover it.
    let founded = if script.ops.is_empty() || only.is_some() {
        0
    } else {
        let empty = Script { seed: script.seed, ops: Vec::new(), cask: script.cask };
        play(&empty, u64::MAX, budget).0.io_count()
    };
    let mut random = Random(script.seed ^ 0xc0ff_ee00);
    for stop in founded..=whole.io_count() {
        if only.is_some_and(|only| only != stop) {
            continue;
        }
        let (disk, model) = play(script, stop, budget);
        // The process dies here and the power stays: what was written and not synced is there for the recovery, and can go
        // with the power after it.
        if only.is_some() || script.ops.is_empty() || random.below(8) == 0 {
            let killed = disk.after_kill();
            let what = second_crash(&killed, &model, budget, &mut random, seen, tally);
            if let Err(what) = what {
                let what = format!("power loss after a kill: {what}");
                tally.violations.push(describe(script, stop, "killed", &what, budget));
                return;
            }
        }
        for mut plan in plans(&disk, &mut random, budget.profile) {
            let image = disk.crash(&mut plan);
            let (durable, accepted) = model.position();
            if !seen.insert((image.image_hash(), durable, accepted)) {
                continue;
            }
            tally.states += 1;
            let nested = random.below(16) == 0;
            let before = nested.then(|| image.fork());
            let what = match judge(&image, budget.protected, &model) {
                Ok(opened) => {
                    for shard in &opened.report.shards {
                        tally.rows.extend(shard.rows.iter().copied());
                    }
                    goes_on(&image, opened, budget.protected).err()
                }
                Err(what) => Some(what),
            };
            if let Some(what) = what {
                tally.violations.push(describe(script, stop, &format!("{plan:?}"), &what, budget));
                return;
            }
            let again = before
                .map(|before| second_crash(&before, &model, budget, &mut random, seen, tally));
            if let Some(Err(what)) = again {
                let what = format!("second crash: {what}");
                tally.violations.push(describe(script, stop, &format!("{plan:?}"), &what, budget));
                return;
            }
        }
    }
}

/// The store accepts a durable write after recovery, and keeps it and all that it served.
fn goes_on(disk: &SimDisk, opened: crate::verdict::Opened, protected: bool) -> Result<(), String> {
    let Ok(table) = opened.store.open_table("a") else { return Ok(()) };
    let key = 77_u64;
    let written =
        table.write(key.to_le_bytes(), crate::model::value(7, 16)).and_then(slotcask::Ticket::wait);
    written.map_err(|error| format!("a write after recovery failed: {error}"))?;
    let mut expected = opened.state.clone();
    expected.a.get_or_insert_default().insert(key, 7);
    let model = Model::new(expected);
    let image = disk.crash(&mut CrashPlan::keep_none());
    judge(&image, protected, &model)
        .map(|_| ())
        .map_err(|what| format!("after a write behind the recovery: {what}"))
}

/// Crashes inside the recovery of `before`, at each of its I/O calls.
fn second_crash(
    before: &SimDisk,
    model: &Model,
    budget: &Budget,
    random: &mut Random,
    seen: &mut HashSet<(u64, usize, usize)>,
    tally: &mut Tally,
) -> Result<(), String> {
    let begun = before.io_count();
    for stop in 0..1000 {
        let disk = before.fork();
        disk.stop_after(begun + stop);
        let ended = crate::verdict::open(&disk, budget.protected).is_ok();
        for mut plan in plans(&disk, random, budget.profile) {
            let image = disk.crash(&mut plan);
            let (durable, accepted) = model.position();
            if !seen.insert((image.image_hash(), durable, accepted)) {
                continue;
            }
            tally.states += 1;
            tally.second += 1;
            judge(&image, budget.protected, model)
                .map_err(|what| format!("at {stop} of the recovery, {plan:?}: {what}"))?;
        }
        if ended {
            break;
        }
    }
    Ok(())
}

fn describe(script: &Script, stop: u64, plan: &str, what: &str, budget: &Budget) -> String {
    let profile = if budget.profile == Profile::Sector512 { "512" } else { "4k" };
    let protected = if budget.protected { " --protected" } else { "" };
    let component = if budget.cask { " --component cask" } else { "" };
    format!(
        "--profile {profile}{protected}{component} --reproduce {}:{stop}  script {:?}, cut at event {stop}, {plan}: {what}",
        script.seed, script.ops
    )
}
