//! Planted bugs. A build with `--cfg slotcask_mutants` holds all of them, one is picked by name at run time, and the
//! explorer has to catch each. In every other build [`active`] is `false` at compile time.

/// Planted bugs of the durable core, the fixed tables and the order of keys, each with what it breaks.
pub const CORE: &[(&str, &str)] = &[
    ("ack_before_sync", "a flush is acknowledged before its sync"),
    ("skip_log_sync", "the log is never synced"),
    ("skip_directory_sync", "a prepared segment's name is not made durable"),
    ("believe_torn_body", "a flush whose body does not match its checksum is accepted"),
    // That a flush names the checksum of the one before is no mutant: seeds by generation and offset, places that are
    // written once, and dense sequences leave nothing that it alone would tell.
    (
        "append_to_found_segment",
        "recovery accepts what is above the watermark without rewriting it",
    ),
    ("trust_empty_tail", "an opening goes on from a flush without records that may not be synced"),
    (
        "trust_found_restart",
        "an opening drops what a restart voids, which a killed process did not sync",
    ),
    ("trust_found_names", "an opening builds on names that a killed process did not sync"),
    ("ignore_watermark", "a log that ends below its watermark is accepted"),
    ("ignore_flush_beyond", "a valid flush beyond the end of the chain is not looked for"),
    ("truncate_silently", "a truncated tail is not reported"),
    ("ignore_missing_segment", "a segment that the manifest lists may be missing"),
    ("tail_forgets_manifest", "the durable sequence that the manifest names proves nothing"),
    ("recycle_too_early", "segments leave the log before the checkpoint record is durable"),
    ("recycle_past_redo", "segments leave the log that recovery redoes"),
    ("floor_at_commit", "a checkpoint takes out segments that it did not tell of"),
    ("leave_with_idle_flush", "segments leave the log before their last flush is written"),
    ("redo_from_too_late", "recovery redoes from one record too late"),
    ("checkpoint_without_log", "a page is written before its log is durable"),
    ("checkpoint_without_page_sync", "the slot file is not synced before the checkpoint record"),
    ("checkpoint_skips_last_page", "a checkpoint forgets its last page"),
    // That redo compares sequences is no mutant: it goes in order, so the newest record would win all the same.
    ("redo_forgets_deletes", "redo passes over deletes"),
    ("redo_forgets_range_deletes", "redo passes over range deletes"),
    ("redo_forgets_deadlines", "redo lets values stay that were to vanish"),
    ("deadline_not_cleared", "clearing a deadline writes nothing"),
    ("expired_is_visible", "a value whose deadline has passed is read until it is taken out"),
    ("accept_bad_slot", "a slot with a bad checksum counts as free, its page as good"),
    ("ignore_page_map", "pages are not compared with the page map"),
    ("map_in_place", "a map block overwrites its committed copy"),
    ("split_batch", "a batch may be split over two flushes"),
    ("reissue_sequence", "a sequence is given twice after a recovery"),
    ("skip_double_write", "torn page protection writes in place only"),
    (
        "trust_found_pages",
        "the double-write area is wiped before the pages that it protects are synced",
    ),
    ("poison_forgets", "a failed flush does not poison the shard"),
    ("retry_failed_sync", "a failed sync is tried again and believed"),
    ("spend_the_reserve", "puts take the segment that is kept for deletes"),
    ("drop_not_logged", "a drop is not written to the log"),
    ("delete_without_tombstone", "a delete leaves the slot on disk as it was"),
    ("forget_ddl_on_shard", "a catalogue change found on one shard is not completed on the others"),
    ("clear_keeps_slots", "recovery takes slots from before a clear"),
    ("range_includes_end", "a range delete removes the first key behind its range"),
    ("scan_skips_a_key", "a scan that copies more keys passes over one"),
];

/// Planted bugs of cask tables.
pub const CASK: &[(&str, &str)] = &[
    ("believe_hint", "a hint whose body does not match its checksum is accepted"),
    ("drop_tombstone_early", "a merge drops deletes that older files still need"),
    ("merge_copies_dead", "a merge copies records that nothing points to, and points to them"),
    ("merge_skips_sync", "the output of a merge is not synced"),
    (
        "merge_forgets_checkpoint",
        "a merge commits the list of data files that it began with, without those of a checkpoint in its middle",
    ),
    ("merge_before_log", "a merge commits before the log that made its leavings dead is durable"),
    ("expired_vanishes", "a merge leaves no expiry for an expired record"),
    ("relocate_blindly", "a merge points keys to its copies although they were written meanwhile"),
    ("load_lowest_sequence", "the oldest record of a key wins at the opening"),
    // That keydirs are told of records that an opening wrote again is no mutant: the segment where they stood was synced before, so a key
    // that points there is served as well.
    ("clear_keeps_keys", "recovery takes keys of cask tables from before a clear"),
    ("hint_of_another_file", "a hint is not compared with its data file"),
    ("cask_redo_forgets_deletes", "redo passes over deletes of cask tables"),
    ("cask_redo_forgets_range_deletes", "redo passes over range deletes of cask tables"),
    ("hint_omits_range_deletes", "a hint lists no range deletes"),
    (
        "listing_omits_deletes",
        "deletes are not noted for the hint of the segment that they are written to",
    ),
    (
        "believe_part_of_listing",
        "what was noted of a segment is taken for all that it holds where records were written again by the opening",
    ),
    ("merge_drops_range_deletes", "a merge drops range deletes that older files still need"),
    ("merge_shortens_range_deletes", "a merge keeps a range delete for one of its keys only"),
    ("order_not_loaded", "an opening does not sort the keys that stand in data files"),
    ("compression_not_flagged", "a compressed value with a deadline is not marked as compressed"),
    (
        "believe_compressed_length",
        "a block that gives fewer bytes than its header says is accepted",
    ),
    ("cask_expired_is_visible", "a value whose deadline has passed is read until it is taken out"),
    ("cask_deadline_not_cleared", "clearing a deadline writes nothing"),
    ("expire_blindly", "what takes expired values out takes the key that was put meanwhile too"),
    (
        "evacuation_ignores_new_files",
        "deletes are dropped that a file needs which comes to be beside them",
    ),
    ("evacuation_drops_tombstones", "a segment without values leaves the log with its deletes"),
    ("merge_removes_too_early", "the inputs of a merge go before its commit"),
    ("merge_skips_directory_sync", "the names of the outputs of a merge are not made durable"),
    ("trust_found_end", "a data file is made of a segment with a flush that may not be synced"),
];

/// All of them.
pub fn all() -> impl Iterator<Item = (&'static str, &'static str)> {
    CORE.iter().chain(CASK).copied()
}

#[cfg(slotcask_mutants)]
static PICKED: std::sync::Mutex<Option<String>> = std::sync::Mutex::new(None);

/// Picks the planted bug with this name, or none. Only builds with `--cfg slotcask_mutants` have it.
#[cfg(slotcask_mutants)]
pub fn pick(name: Option<&str>) {
    *PICKED.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = name.map(str::to_owned);
}

/// True when the planted bug `name` was picked.
#[cfg(slotcask_mutants)]
#[must_use]
pub fn active(name: &str) -> bool {
    debug_assert!(all().any(|(known, _)| known == name), "unknown mutant {name}");
    PICKED.lock().unwrap_or_else(std::sync::PoisonError::into_inner).as_deref() == Some(name)
}

/// True when the planted bug `name` was picked: never, in this build.
#[cfg(not(slotcask_mutants))]
#[must_use]
#[inline(always)]
pub const fn active(_name: &str) -> bool {
    false
}
