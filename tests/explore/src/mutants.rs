//! Planted bugs: each has to be caught by the ordinary exploration.

use crate::crash::{self, Budget};
use crate::{catalogue, damage, interleave, io_error, killed, lengths, manifest, race, resurrect};
use slotcask_format::mutants::all;
use slotcask_io::sim::Profile;
use std::time::{Duration, Instant};

/// What became of one planted bug.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Its name.
    pub name: &'static str,
    /// Whether it is one of cask tables.
    pub cask: bool,
    /// What caught it; `None` when nothing did.
    pub caught_by: Option<String>,
    /// How long that took.
    pub elapsed: Duration,
}

/// A part of the exploration, in the order in which bugs are hunted that nothing is known of: what takes long comes last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The ends of all short lives.
    Ends,
    /// The same with a cask table, and of directed ones.
    EndsCask,
    /// Lengths of compressed values that lie.
    Lengths,
    /// Changes of the catalogue over two shards.
    Catalogue,
    /// Every order of up to three steps on one key.
    Resurrect,
    /// Processes that die one after the other.
    Killed,
    /// The same with a cask table.
    KilledCask,
    /// Flipped bits.
    Bitflip,
    /// Sectors and files in the wrong place.
    Misplace,
    /// Calls that fail.
    IoError,
    /// The same with a cask table.
    IoErrorCask,
    /// Power loss at every call.
    Crash,
    /// The same with a cask table, directed lives first.
    CrashCask,
    /// Power loss where blocks become garbage, with torn page protection.
    CrashProtected,
    /// Manifests cut short.
    Manifest,
    /// A writer beside merges.
    Race,
    /// One operation in the middle of another.
    Interleave,
}

use Part::{
    Bitflip, Catalogue, Crash, CrashCask, CrashProtected, Ends, EndsCask, Interleave, IoError,
    IoErrorCask, Killed, KilledCask, Lengths, Manifest, Misplace, Race, Resurrect,
};

const PARTS: [Part; 17] = [
    Ends,
    EndsCask,
    Lengths,
    Catalogue,
    Resurrect,
    Killed,
    KilledCask,
    Bitflip,
    Misplace,
    IoError,
    IoErrorCask,
    Crash,
    CrashCask,
    CrashProtected,
    Manifest,
    Race,
    Interleave,
];

impl Part {
    /// The command that explores the same, and more of it.
    #[must_use]
    pub const fn command(self) -> &'static str {
        match self {
            Ends | Crash => "crash",
            EndsCask | CrashCask => "crash --component cask",
            CrashProtected => "crash --profile 4k --protected",
            Lengths => "lengths",
            Catalogue => "catalogue",
            Resurrect => "resurrect",
            Killed => "killed",
            KilledCask => "killed --component cask",
            Bitflip => "bitflip",
            Misplace => "misplace",
            IoError => "io-error",
            IoErrorCask => "io-error --component cask",
            Manifest => "manifest",
            Race => "race",
            Interleave => "interleave",
        }
    }
}

/// What catches a bug: the hunt begins there. `docs/TESTING.md` says the same.
#[must_use]
pub fn catcher(name: &str) -> Part {
    match name {
        "trust_found_restart" | "trust_found_names" => Killed,
        "believe_torn_body"
        | "ignore_flush_chain"
        | "truncate_silently"
        | "accept_bad_slot"
        | "ignore_flush_beyond"
        | "tail_forgets_manifest"
        | "believe_hint" => Bitflip,
        "ignore_watermark"
        | "ignore_missing_segment"
        | "ignore_page_map"
        | "hint_of_another_file" => Misplace,
        "append_to_found_segment"
        | "trust_empty_tail"
        | "poison_forgets"
        | "retry_failed_sync"
        | "spend_the_reserve" => IoError,
        "trust_found_end" => IoErrorCask,
        "skip_double_write" | "trust_found_pages" => CrashProtected,
        "forget_ddl_on_shard" => Catalogue,
        "relocate_blindly" | "floor_at_commit" | "recycle_past_redo" | "leave_with_idle_flush" => {
            Interleave
        }
        "believe_compressed_length" => Lengths,
        "drop_tombstone_early"
        | "hint_omits_range_deletes"
        | "listing_omits_deletes"
        | "merge_drops_range_deletes"
        | "merge_shortens_range_deletes" => Resurrect,
        "cask_redo_forgets_deletes"
        | "cask_redo_forgets_range_deletes"
        | "cask_expired_is_visible"
        | "cask_deadline_not_cleared"
        | "compression_not_flagged"
        | "expire_blindly"
        | "expired_vanishes"
        | "believe_part_of_listing"
        | "evacuation_drops_tombstones"
        | "evacuation_ignores_new_files"
        | "load_lowest_sequence"
        | "merge_copies_dead"
        | "merge_forgets_checkpoint"
        | "clear_keeps_keys"
        | "order_not_loaded"
        | "range_includes_end" => EndsCask,
        "merge_skips_sync"
        | "merge_before_log"
        | "merge_removes_too_early"
        | "merge_skips_directory_sync" => CrashCask,
        "recycle_too_early"
        | "checkpoint_without_log"
        | "checkpoint_without_page_sync"
        | "map_in_place"
        | "split_batch"
        | "drop_not_logged"
        | "clear_keeps_slots"
        | "skip_directory_sync" => Crash,
        _ => Ends,
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
    for (at, (name, _)) in all().enumerate() {
        if !at.is_multiple_of(every.max(1)) || only.is_some_and(|only| only != name) {
            continue;
        }
        let started = Instant::now();
        let _ = pick(Some(name));
        let first = catcher(name);
        let others = PARTS.into_iter().filter(|part| *part != first);
        let caught_by = std::iter::once(first).chain(others).find_map(|part| {
            std::panic::catch_unwind(|| hunt(part, seconds))
                .unwrap_or_else(|_| Some("a panic".to_owned()))
                .map(|what| format!("{part:?}: {what}"))
        });
        let _ = pick(None);
        let cask = slotcask_format::mutants::CASK.iter().any(|(known, _)| *known == name);
        let outcome = Outcome { name, cask, caught_by, elapsed: started.elapsed() };
        show(&outcome);
        outcomes.push(outcome);
    }
    outcomes
}

fn hunt(part: Part, seconds: u64) -> Option<String> {
    let strings = |profile, protected, cask| Budget {
        states: 1,
        time: Duration::from_secs(seconds / 2),
        seed: 1,
        profile,
        protected,
        part: (7, 41),
        cask,
    };
    let first = |tally: crash::Tally| tally.violations.into_iter().next();
    let crash = |profile, protected, cask| {
        // Short strings first, then long random lives: each finds bugs that the other does not.
        let strings = strings(profile, protected, cask);
        let random = Budget { states: u64::MAX, part: (crash::EXHAUSTIVE, 1), ..strings };
        let directed = Budget { time: Duration::from_secs(seconds), ..strings };
        let founding = Budget { part: (0, crash::EXHAUSTIVE), ..strings };
        let explored = |budget: &Budget| first(crash::explore(budget, |_| {}));
        explored(&founding)
            .or_else(|| first(crash::directed_whole(&directed)))
            .or_else(|| explored(&strings))
            .or_else(|| explored(&random))
    };
    match part {
        Ends => crash::ends(&strings(Profile::Sector512, false, false)),
        EndsCask => crash::ends(&strings(Profile::Sector512, false, true)),
        Lengths => lengths::run().1,
        Catalogue => catalogue::run().1,
        Resurrect => resurrect::run(3, 1, None).2.into_iter().next(),
        Killed => killed::run(false, 25).violation,
        KilledCask => killed::run(true, 25).violation,
        Bitflip => damage::run(6000, 11, false).silent.into_iter().next(),
        Misplace => damage::run(12_000, 12, true).silent.into_iter().next(),
        IoError => io_error::run(6, 8_000, false).violations.into_iter().next(),
        IoErrorCask => io_error::run(8, 8_000, true).violations.into_iter().next(),
        Crash => crash(Profile::Sector512, false, false),
        CrashCask => crash(Profile::Sector512, false, true),
        CrashProtected => crash(Profile::Block4k, true, false),
        Manifest => manifest::run(30, 4, 13).violation,
        Interleave => interleave::run(0, 1, 400, None).violation,
        Race => (1..=8).find_map(|seed| race::run(20_000, seed).1),
    }
}
