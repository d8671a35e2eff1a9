//! Power loss at every I/O call, with every legal remainder, and again inside the recovery.

use crate::cuts::{Cut, cuts_of, end_of, play};
use crate::model::Model;
use crate::random::Random;
pub use crate::script::{EXHAUSTIVE, Script, directed, script};
use crate::verdict::{self, Opened, judge};
use slotcask_io::SimDisk;
use slotcask_io::sim::{CrashPlan, NamePlan, Profile, SizePlan, WritePlan};
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

/// The ways in which a power loss now can end.
pub(crate) fn plans(disk: &SimDisk, random: &mut Random, profile: Profile) -> Vec<CrashPlan> {
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

/// The ends of all strings of up to three operations, and of the directed ones: every one is played whole and
/// judged by what is left when the power goes then.
/// The first violation ends it.
#[must_use]
pub fn ends(budget: &Budget) -> Option<String> {
    let strings = (0..EXHAUSTIVE).map(|number| script(number, budget.cask));
    for script in directed(budget.cask).chain(strings) {
        let (Cut { disk, model }, _life) = match end_of(&script, budget.profile, budget.protected) {
            Ok(end) => end,
            Err(error) => {
                return Some(describe(&script, 0, "no fault", &error.to_string(), budget));
            }
        };
        for mut plan in [CrashPlan::keep_all(), CrashPlan::keep_none()] {
            if let Err(what) = judge(&disk.crash(&mut plan), budget.protected, &model) {
                return Some(describe(&script, disk.io_count(), "end of the life", &what, budget));
            }
        }
    }
    None
}

/// Explores the directed strings whole: the power goes at every call. The first violation ends it.
#[must_use]
pub fn directed_whole(budget: &Budget) -> Tally {
    let started = Instant::now();
    let mut explorer = Explorer::new(budget);
    // What a killed process leaves in the double-write area is what protects its pages.
    explorer.kills = budget.protected;
    for script in directed(budget.cask) {
        if started.elapsed() < budget.time && explorer.tally.violations.is_empty() {
            explorer.script(&script, None);
        }
    }
    explorer.tally
}

/// Explores this part of the scripts until the budget is used up.
#[must_use]
pub fn explore(budget: &Budget, mut progress: impl FnMut(&Tally)) -> Tally {
    let started = Instant::now();
    let mut explorer = Explorer::new(budget);
    let (part, parts) = budget.part;
    let mut number = part;
    while (number < EXHAUSTIVE || explorer.tally.states < budget.states / parts)
        && started.elapsed() < budget.time
        && explorer.tally.violations.len() < 3
    {
        let seed =
            if number < EXHAUSTIVE { number } else { number.wrapping_add(budget.seed << 20) };
        explorer.script(&script(seed, budget.cask), None);
        number += parts;
        progress(&explorer.tally);
    }
    explorer.tally
}

/// Explores one script, or one stop of it: that with all that can be done there.
#[must_use]
pub fn reproduce(number: u64, stop: Option<u64>, budget: &Budget) -> Tally {
    let mut explorer = Explorer::new(budget);
    explorer.script(&script(number, budget.cask), stop);
    explorer.tally
}

/// One in so many first crashes is followed by crashes inside its recovery.
const SECOND: u64 = 16;
/// At one stop in so many the process is killed before the power goes.
const KILL: u64 = 8;
/// One in so many recovered stores is closed and opened again.
const CLOSE: u64 = 8;

struct Explorer<'a> {
    budget: &'a Budget,
    seen: HashSet<(u64, usize, usize)>,
    tally: Tally,
    /// The process is killed at every stop.
    kills: bool,
}

impl<'a> Explorer<'a> {
    fn new(budget: &'a Budget) -> Self {
        Self { budget, seen: HashSet::new(), tally: Tally::default(), kills: false }
    }

    /// Whether this state was not met before.
    fn is_new(&mut self, image: &SimDisk, model: &Model) -> bool {
        let (durable, accepted) = model.position();
        let is_new = self.seen.insert((image.image_hash(), durable, accepted));
        self.tally.states += u64::from(is_new);
        is_new
    }

    fn violation(&mut self, script: &Script, stop: u64, plan: &str, what: &str) {
        self.tally.violations.push(describe(script, stop, plan, what, self.budget));
    }

    fn script(&mut self, script: &Script, only: Option<u64>) {
        let played = play(script, self.budget.profile, self.budget.protected);
        let end = played.end();
        let events = end.disk.io_count();
        self.tally.lives += 1;
        self.tally.trace ^= end.disk.trace_hash().rotate_left((script.seed % 63) as u32);
        if let Some(error) = &played.refused {
            return self.violation(script, events, "no fault", &error.to_string());
        }
        let image = end.disk.crash(&mut CrashPlan::keep_all());
        if let Err(what) = judge(&image, self.budget.protected, &end.model) {
            return self.violation(script, events, "end of the life", &what);
        }
        // The founding of the store is the same in every life: the first script covers it.
        let first = if script.ops.is_empty() { 0 } else { played.founding };
        for (stop, cut) in (0..).zip(&played.cuts) {
            let is_wanted = only.map_or(stop >= first, |only| only == stop);
            if is_wanted && let Err((plan, what)) = self.stop(script, stop, cut, only.is_some()) {
                return self.violation(script, stop, &plan, &what);
            }
        }
    }

    /// All ways in which the power can go here. The choices depend on script and stop alone, so that they can be made again.
    fn stop(
        &mut self,
        script: &Script,
        stop: u64,
        cut: &Cut,
        thorough: bool,
    ) -> Result<(), (String, String)> {
        let mut random = Random(script.seed ^ stop << 40 ^ 0xc0ff_ee00);
        // The process dies here and the power stays: what was written and not synced is there for the recovery, and can go
        // with the power after it.
        let kill = random.below(KILL) == 0 || self.kills;
        let mut second = Random(random.word());
        if kill || thorough {
            let killed = cut.disk.after_kill();
            self.second_crash(&killed, &cut.model, &mut second).map_err(|what| {
                ("killed".to_owned(), format!("power loss after a kill: {what}"))
            })?;
        }
        for mut plan in plans(&cut.disk, &mut random, self.budget.profile) {
            let again = random.below(SECOND) == 0 || thorough;
            let close = random.below(CLOSE) == 0;
            let mut second = Random(random.word());
            let image = cut.disk.crash(&mut plan);
            if !self.is_new(&image, &cut.model) {
                continue;
            }
            let before = again.then(|| image.fork());
            self.first_crash(&image, &cut.model, close)
                .map_err(|what| (format!("{plan:?}"), what))?;
            if let Some(before) = before {
                self.second_crash(&before, &cut.model, &mut second)
                    .map_err(|what| (format!("{plan:?}"), format!("second crash: {what}")))?;
            }
        }
        Ok(())
    }

    fn first_crash(&mut self, image: &SimDisk, model: &Model, close: bool) -> Result<(), String> {
        let opened = judge(image, self.budget.protected, model)?;
        for shard in &opened.report.shards {
            self.tally.rows.extend(shard.rows.iter().copied());
        }
        goes_on(image, opened, self.budget.protected, close)
    }

    /// Crashes inside the recovery of `before`, at each of its I/O calls.
    fn second_crash(
        &mut self,
        before: &SimDisk,
        model: &Model,
        random: &mut Random,
    ) -> Result<(), String> {
        let disk = before.fork();
        // The store is not closed: the last cut is right behind the opening.
        let (mut cuts, opened) =
            cuts_of(&disk, model, || verdict::open(&disk, self.budget.protected));
        cuts.push(Cut { disk: disk.fork(), model: model.clone() });
        drop(opened);
        for (stop, cut) in cuts.iter().enumerate() {
            for mut plan in plans(&cut.disk, random, self.budget.profile) {
                let image = cut.disk.crash(&mut plan);
                if !self.is_new(&image, model) {
                    continue;
                }
                self.tally.second += 1;
                judge(&image, self.budget.protected, model)
                    .map_err(|what| format!("at {stop} of the recovery, {plan:?}: {what}"))?;
            }
        }
        Ok(())
    }
}

/// The store accepts a durable write after recovery, and keeps it and all that it served; when `close` also after it was closed.
fn goes_on(disk: &SimDisk, opened: Opened, protected: bool, close: bool) -> Result<(), String> {
    let Ok(table) = opened.store.open_table("a") else { return Ok(()) };
    let key = 77_u64;
    let written =
        table.write(key.to_le_bytes(), crate::model::value(7, 16)).and_then(slotcask::Ticket::wait);
    written.map_err(|error| format!("a write after recovery failed: {error}"))?;
    let mut expected = opened.state.clone();
    expected.a.get_or_insert_default().insert(key, 7);
    if close {
        let closed = opened.store.close();
        closed.map_err(|error| format!("closing after recovery failed: {error}"))?;
    }
    let model = Model::new(expected);
    let image = disk.crash(&mut CrashPlan::keep_none());
    judge(&image, protected, &model)
        .map(|_| ())
        .map_err(|what| format!("after a write behind the recovery: {what}"))
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
