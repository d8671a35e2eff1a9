//! What the store takes on the device for what is live in it, after every key was overwritten three times on average.

use super::data::load;
use crate::args::Args;
use crate::bars::OURS;
use crate::cask::{CaskEngine, MEDIUM, SMALL, Setup, Size};
use crate::engine::{Mode, Outcome};
use crate::engines::slotcask_cask::SlotcaskCask;
use crate::machine::disk_used;
use crate::report::Report;
use crate::rows::Place;
use crate::values::with_value;
use crate::workload::{Random, key};
use slotcask::Stats;
use std::time::Instant;

/// Overwrites a key, on average.
const OVERWRITES: u64 = 3;
/// How often the directory is measured, and an engine that has to be told gives space back.
const LOOKS: u64 = 32;
/// Slices in which depth-1 Sync overwrites.
const SYNC_SLICES: u32 = 20;
/// Segments a shard that the bar allows beside live data.
const SEGMENTS_ALLOWED: f64 = 3.0;

/// One round of one engine.
///
/// # Errors
/// The engine's.
pub fn round<E: CaskEngine>(args: &Args, round: u64, report: &mut Report) -> Outcome<()> {
    for size in [SMALL, MEDIUM] {
        let keys = (size.keys(args.keys) / E::SHARE).max(64);
        let live = size.live_bytes(keys) as f64;
        let (place, name) = (Place::new(args, E::NAME)?, size.name);
        let engine: E = place.open_cask(Setup::of(Mode::Buffered))?;
        load(&engine, keys, size.len)?;
        let (mut random, mut peak) = (Random::new(args.seed + round), 0);
        for look in 0..LOOKS {
            for _ in 0..(keys * OVERWRITES / LOOKS).max(1) {
                let number = random.below(keys);
                with_value(number, look, size.len, |value| engine.put(&key(number), value))?;
            }
            engine.give_space_back()?;
            if look >= LOOKS / 2 {
                peak = peak.max(disk_used(&place.store())?);
            }
        }
        if E::NAME != OURS {
            // What an engine has only in memory so far would flatter it.
            engine.settle()?;
            peak = peak.max(disk_used(&place.store())?);
        }
        let used = disk_used(&place.store())? as f64;
        report.add(&format!("cask space {name}"), E::NAME, used / live);
        report.add(&format!("cask space {name}, peak"), E::NAME, peak as f64 / live);
        engine.close()?;
        if E::NAME == OURS {
            ours(args, size, round, report)?;
        }
    }
    Ok(())
}

/// slotcask once more, with its own figures: the same overwrites, then what is left of them; then those of depth-1 Sync.
fn ours(args: &Args, size: Size, round: u64, report: &mut Report) -> Outcome<()> {
    let (keys, name) = (size.keys(args.keys), size.name);
    let live = size.live_bytes(keys) as f64;
    let place = Place::new(args, "slotcask-space")?;
    let engine: SlotcaskCask = place.open_cask(Setup::of(Mode::Buffered))?;
    load(&engine, keys, size.len)?;
    let mut random = Random::new(args.seed + round);
    for writing in 0..keys * OVERWRITES {
        let number = random.below(keys);
        with_value(number, writing, size.len, |value| engine.put(&key(number), value))?;
    }
    let stats = engine.store().stats()?;
    let used = disk_used(&place.store())? as f64;
    let allowed = SEGMENTS_ALLOWED * segment_size(&stats) * stats.shards.len() as f64;
    report.add(&format!("cask space {name}, less 3 seg."), OURS, (used - allowed) / live);
    let sum = |of: fn(&slotcask::ShardStats) -> u64| stats.shards.iter().map(of).sum::<u64>();
    let written = sum(|shard| shard.flushed_bytes + shard.merge_bytes_written) as f64;
    let put = live * (1 + OVERWRITES) as f64;
    report.add(&format!("cask space {name}, written"), OURS, written / put);
    report.add(&format!("cask space {name}, segments"), OURS, sum(|s| s.segment_files) as f64);
    engine.close()?;
    if size == MEDIUM { sync(args, size, round, report) } else { Ok(()) }
}

/// Each put is a flush of its own, which takes whole blocks.
fn sync(args: &Args, size: Size, round: u64, report: &mut Report) -> Outcome<()> {
    let keys = (size.keys(args.keys) / 4).max(64);
    let place = Place::new(args, "slotcask-space")?;
    let engine: SlotcaskCask = place.open_cask(Setup::of(Mode::Sync))?;
    for number in 0..keys {
        with_value(number, 0, size.len, |value| engine.put_buffered(&key(number), value, None))?;
    }
    let (mut random, start) = (Random::new(args.seed + round), Instant::now());
    while start.elapsed() < args.slice * SYNC_SLICES {
        let number = random.below(keys);
        with_value(number, 1, size.len, |value| engine.put(&key(number), value))?;
    }
    let used = disk_used(&place.store())? as f64;
    report.add("cask space 1 KiB, sync", OURS, used / size.live_bytes(keys) as f64);
    let segments: u64 =
        engine.store().stats()?.shards.iter().map(|shard| shard.segment_files).sum();
    report.add("cask space 1 KiB, sync, segments", OURS, segments as f64);
    engine.close()
}

/// Bytes of a log segment of a store with default options: an eighth of a shard's log.
fn segment_size(stats: &Stats) -> f64 {
    slotcask::LOG_SIZE_DEFAULT as f64 / stats.shards.len() as f64 / 8.0
}
