//! How long single buffered puts take while merges run without a pause, and how long they take without any.
//!
//! Without: keys that were not there before, so that nothing dies and nothing is merged. With: overwrites of keys that are
//! there, at the same rate, while one thread asks for merge after merge. A raw probe syncs a file of its own all the time.

use super::data::load;
use crate::args::Args;
use crate::bars::{OURS, RAW};
use crate::cask::{CaskEngine, MEDIUM, SMALL, Setup, Size};
use crate::engine::{Mode, Outcome};
use crate::engines::slotcask_cask::SlotcaskCask;
use crate::measure::rate_by_threads;
use crate::raw::disk::RawFile;
use crate::report::Report;
use crate::rows::Place;
use crate::rows::stalls::{PACE, PACED_SLICES, PROBE_SIZE, SUSTAINED_SLICES, beside_probe, paced};
use crate::values::with_value;
use crate::workload::key;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Pause between two merges: a moment for others to take the lock of a shard's upkeep.
const PAUSE: Duration = Duration::from_millis(1);

/// All rounds.
///
/// # Errors
/// The engine's, or those of the raw file.
pub fn run(args: &Args, report: &mut Report) -> Outcome<()> {
    [SMALL, MEDIUM].iter().try_for_each(|size| of_size(args, *size, report))
}

fn of_size(args: &Args, size: Size, report: &mut Report) -> Outcome<()> {
    let (keys, len, name) = (size.keys(args.keys), size.len, size.name);
    let place = Place::new(args, "slotcask-merge")?;
    let probe = RawFile::create(&place.file("probe"), PROBE_SIZE)?;
    let engine: SlotcaskCask = place.open_cask(Setup::of(Mode::Buffered))?;
    load(&engine, keys, len)?;
    engine.settle()?;
    let put =
        |number, writing| with_value(number, writing, len, |value| engine.put(&key(number), value));

    // The first slices run into an empty log; only what follows is sustained.
    let mut sustained = f64::MAX;
    for part in 1..=2 {
        let time = args.slice * SUSTAINED_SLICES / 2;
        let full_speed = || {
            rate_by_threads(1, args.seed ^ part << 40, time, |_, random| {
                put(random.below(keys), part)
            })
        };
        sustained = sustained.min(merging(&engine, full_speed)?.0);
    }
    report.add(&format!("cask {name} sustained"), OURS, sustained / 1e3);
    let (rate, time) = (sustained * PACE, args.slice * PACED_SLICES);
    let mut fresh = keys;
    for round in 0..args.rounds {
        while engine.store().merge()? {}
        let seed = args.seed + round;
        let alone = || {
            paced(seed, rate, time, |_, writing| {
                fresh += 1;
                put(fresh, writing)
            })
        };
        let (without, sync) = beside_probe(&probe, alone)?;
        add(report, name, "no merge", &without.calls, sync);

        let overwriting =
            || paced(seed, rate, time, |random, writing| put(random.below(keys), writing));
        let ((with, merged), sync) = beside_probe(&probe, || merging(&engine, overwriting))?;
        add(report, name, "merge", &with.calls, sync);
        report.add(&format!("cask {name} merged meanwhile"), OURS, merged / 1e6);
    }
    engine.close()
}

fn add(
    report: &mut Report,
    name: &str,
    with: &str,
    calls: &hdrhistogram::Histogram<u64>,
    sync: Duration,
) {
    let us = |nanos: u64| nanos as f64 / 1e3;
    let quantile = |quantile| us(calls.value_at_quantile(quantile));
    report.add(&format!("cask {name} p50, {with}"), OURS, quantile(0.5));
    report.add(&format!("cask {name} p99.9, {with}"), OURS, quantile(0.999));
    report.add(&format!("cask {name} longest, {with}"), OURS, us(calls.max()));
    report.add(&format!("cask {name} longest, {with}"), RAW, sync.as_secs_f64() * 1e6);
}

/// Runs `work` while one thread merges whatever there is to merge; returns what came of it and the bytes that all merges
/// read and wrote a second.
fn merging<T>(engine: &SlotcaskCask, work: impl FnOnce() -> Outcome<T>) -> Outcome<(T, f64)> {
    let stop = AtomicBool::new(false);
    let moved = || -> Outcome<u64> {
        let shards = engine.store().stats()?.shards;
        Ok(shards.iter().map(|shard| shard.merge_bytes_read + shard.merge_bytes_written).sum())
    };
    let (before, start) = (moved()?, Instant::now());
    std::thread::scope(|scope| {
        let merges = scope.spawn(|| -> Outcome<()> {
            while !stop.load(Ordering::Relaxed) {
                engine.store().merge()?;
                std::thread::sleep(PAUSE);
            }
            Ok(())
        });
        let result = work();
        let rate = moved().map(|after| (after - before) as f64 / start.elapsed().as_secs_f64());
        stop.store(true, Ordering::Relaxed);
        merges.join().map_err(|_| "the merging thread panicked")??;
        Ok((result?, rate?))
    })
}
