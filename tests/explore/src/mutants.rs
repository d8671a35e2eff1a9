//! Planted bugs: each has to be caught by the ordinary exploration.

use crate::crash::{self, Budget};
use crate::{damage, io_error};
use slotcask_format::mutants::MUTANTS;
use slotcask_io::sim::Profile;
use std::time::Duration;

/// What became of one planted bug.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Its name.
    pub name: &'static str,
    /// What caught it; `None` when nothing did.
    pub caught_by: Option<String>,
}

/// Picks a planted bug; false in a build that has none.
#[must_use]
pub fn pick(name: Option<&str>) -> bool {
    #[cfg(slotcask_mutants)]
    {
        slotcask_format::mutants::pick(name);
        true
    }
    #[cfg(not(slotcask_mutants))]
    {
        let _ = name;
        false
    }
}

/// Explores with each planted bug whose number is a multiple of `every`, or the one named `only`.
#[must_use]
pub fn run(every: usize, only: Option<&str>, seconds: u64) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for (at, (name, _)) in MUTANTS.iter().enumerate() {
        if at % every.max(1) != 0 || only.is_some_and(|only| only != *name) {
            continue;
        }
        let _ = pick(Some(name));
        let caught_by = std::panic::catch_unwind(|| hunt(seconds))
            .unwrap_or_else(|_| Some("a panic".to_owned()));
        let _ = pick(None);
        outcomes.push(Outcome { name, caught_by });
    }
    outcomes
}

fn hunt(seconds: u64) -> Option<String> {
    let budget = |profile, protected| Budget {
        states: 40_000,
        time: Duration::from_secs(seconds),
        seed: 1,
        profile,
        protected,
        part: (7, 61),
        cask: false,
    };
    let explored = crash::explore(&budget(Profile::Sector512, false), |_| {});
    if let Some(first) = explored.violations.first() {
        return Some(format!("crash: {first}"));
    }
    if let Some(first) = damage::run(3000, 11, false).silent.first() {
        return Some(format!("bitflip: {first}"));
    }
    if let Some(first) = damage::run(6000, 12, true).silent.first() {
        return Some(format!("misplace: {first}"));
    }
    if let Some(first) = io_error::run(12, 12_000, false).violations.first() {
        return Some(format!("io-error: {first}"));
    }
    let explored = crash::explore(&budget(Profile::Block4k, true), |_| {});
    explored.violations.first().map(|first| format!("crash 4k: {first}"))
}
