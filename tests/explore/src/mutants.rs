//! Planted bugs: each has to be caught by the ordinary exploration.

use crate::crash::{self, Budget};
use crate::{damage, io_error};
use slotcask_format::mutants::MUTANTS;
use slotcask_io::sim::Profile;
use std::time::{Duration, Instant};

/// What became of one planted bug.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Its name.
    pub name: &'static str,
    /// What caught it; `None` when nothing did.
    pub caught_by: Option<String>,
    /// How long that took.
    pub elapsed: Duration,
}

/// A part of the exploration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Crash,
    CrashCask,
    CrashProtected,
    Bitflip,
    Misplace,
    IoError,
    IoErrorCask,
    Catalogue,
    Manifest,
    Race,
}

use Part::{
    Bitflip, Catalogue, Crash, CrashCask, CrashProtected, IoError, IoErrorCask, Manifest, Misplace,
    Race,
};

const PARTS: [Part; 10] = [
    Crash,
    CrashCask,
    Bitflip,
    Misplace,
    IoError,
    IoErrorCask,
    Catalogue,
    CrashProtected,
    Manifest,
    Race,
];

/// Where a bug is most likely caught: only the order of the hunt depends on it.
fn likely(name: &str) -> Part {
    match name {
        "believe_torn_body"
        | "ignore_flush_chain"
        | "truncate_silently"
        | "accept_bad_slot"
        | "ignore_flush_beyond"
        | "believe_hint" => Bitflip,
        "ignore_watermark"
        | "ignore_missing_segment"
        | "ignore_page_map"
        | "hint_of_another_file" => Misplace,
        "poison_forgets" | "retry_failed_sync" | "disk_full_after_acceptance" => IoError,
        "skip_double_write" | "trust_found_pages" => CrashProtected,
        "forget_ddl_on_shard" => Catalogue,
        "ignore_short_manifest" => Manifest,
        "relocate_blindly" => Race,
        "drop_tombstone_early"
        | "merge_copies_dead"
        | "merge_skips_sync"
        | "merge_before_log"
        | "expired_vanishes"
        | "load_lowest_sequence"
        | "clear_keeps_keys" => CrashCask,
        _ => Crash,
    }
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

/// Explores with each planted bug whose number is a multiple of `every`, or the one named `only`. `show` gets each outcome as it comes.
#[must_use]
pub fn run(
    every: usize,
    only: Option<&str>,
    seconds: u64,
    mut show: impl FnMut(&Outcome),
) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for (at, (name, _)) in MUTANTS.iter().enumerate() {
        if !at.is_multiple_of(every.max(1)) || only.is_some_and(|only| only != *name) {
            continue;
        }
        let started = Instant::now();
        let _ = pick(Some(name));
        let first = likely(name);
        let others = PARTS.into_iter().filter(|part| *part != first);
        let caught_by = std::iter::once(first).chain(others).find_map(|part| {
            std::panic::catch_unwind(|| hunt(part, seconds))
                .unwrap_or_else(|_| Some("a panic".to_owned()))
                .map(|what| format!("{part:?}: {what}"))
        });
        let _ = pick(None);
        let outcome = Outcome { name, caught_by, elapsed: started.elapsed() };
        show(&outcome);
        outcomes.push(outcome);
    }
    outcomes
}

fn hunt(part: Part, seconds: u64) -> Option<String> {
    let crash = |profile, protected, cask| {
        // Short strings first, then long random lives: each finds bugs that the other does not.
        let strings = Budget {
            states: 1,
            time: Duration::from_secs(seconds / 2),
            seed: 1,
            profile,
            protected,
            part: (7, 41),
            cask,
        };
        let random = Budget {
            states: u64::MAX,
            time: Duration::from_secs(seconds / 2),
            part: (crash::EXHAUSTIVE, 1),
            ..strings
        };
        let founding = Budget { part: (0, crash::EXHAUSTIVE), ..strings };
        let first = |budget: &Budget| crash::explore(budget, |_| {}).violations.into_iter().next();
        crash::ends(&strings)
            .or_else(|| first(&founding))
            .or_else(|| first(&strings))
            .or_else(|| first(&random))
    };
    match part {
        Crash => crash(Profile::Sector512, false, false),
        CrashCask => crash(Profile::Sector512, false, true),
        CrashProtected => crash(Profile::Block4k, true, false),
        Bitflip => damage::run(6000, 11, false).silent.into_iter().next(),
        Misplace => damage::run(12_000, 12, true).silent.into_iter().next(),
        IoError => io_error::run(6, 8_000, false).violations.into_iter().next(),
        IoErrorCask => io_error::run(8, 8_000, true).violations.into_iter().next(),
        Catalogue => crate::catalogue::run().1,
        Manifest => crate::manifest::run(30, 4, 13).violation,
        Race => (1..=8).find_map(|seed| crate::race::run(20_000, seed).1),
    }
}
