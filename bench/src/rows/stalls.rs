//! How long single buffered puts take while checkpoints run: a large table, one writer at 80 % of the rate that this
//! run sustains, and a raw probe that syncs a file of its own now and then to say what the device does meanwhile.

use super::Place;
use crate::args::Args;
use crate::bars::OURS;
use crate::engine::{Engine, Failure, Mode, Outcome};
use crate::engines::slotcask::Slotcask;
use crate::measure::rate_by_threads;
use crate::raw::disk::{RawFile, longest_sync};
use crate::report::Report;
use crate::workload::{Random, key, value};
use hdrhistogram::Histogram;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Part of the sustained rate that the paced writer asks for.
pub const PACE: f64 = 0.8;
/// Bytes of the probe's file.
pub const PROBE_SIZE: u64 = 4 << 20;
/// Slices in which the sustained rate is found: long enough for several checkpoints at full speed.
pub const SUSTAINED_SLICES: u32 = 15;
/// Slices of one paced round.
pub const PACED_SLICES: u32 = 8;

/// What one paced round saw.
#[derive(Debug)]
pub struct Paced {
    /// Time of each call, nanoseconds.
    pub calls: Histogram<u64>,
    /// Time from when each call was due to when it returned, nanoseconds.
    pub due: Histogram<u64>,
}

/// All rounds.
///
/// # Errors
/// The engine's, or those of the raw file.
pub fn run(args: &Args, report: &mut Report) -> Outcome<()> {
    let keys = args.stall_keys;
    let place = Place::new(args, "slotcask-stalls")?;
    let probe = RawFile::create(&place.file("probe"), PROBE_SIZE)?;
    let engine: Slotcask = place.open(Mode::Buffered)?;
    engine.load_buffered(keys)?;
    // The first slices run into an empty log; only what follows is sustained.
    let fill = beside_probe(&probe, || full_speed(&engine, args, 1))?.0;
    let (sustained, _) = beside_probe(&probe, || full_speed(&engine, args, 2))?;
    report.add("sustained updates", OURS, sustained.min(fill) / 1e3);
    for round in 0..args.rounds {
        let rate = sustained.min(fill) * PACE;
        let time = args.slice * PACED_SLICES;
        let put = |random: &mut Random, writing| {
            let number = random.below(keys);
            engine.put(&key(number), &value(number, writing))
        };
        let (paced, longest) = beside_probe(&probe, || paced(args.seed + round, rate, time, put))?;
        let us = |nanos: u64| nanos as f64 / 1e3;
        report.add("stalls, p99.9", OURS, us(paced.calls.value_at_quantile(0.999)));
        report.add("stalls, p99.99", OURS, us(paced.calls.value_at_quantile(0.9999)));
        report.add("stalls, longest", OURS, us(paced.calls.max()));
        report.add("stalls, longest", crate::bars::RAW, longest.as_secs_f64() * 1e6);
        report.add(
            "longest by longest raw sync",
            OURS,
            us(paced.calls.max()) / (longest.as_secs_f64() * 1e6),
        );
        report.add("behind schedule, p99.9", OURS, us(paced.due.value_at_quantile(0.999)));
    }
    engine.close()
}

fn full_speed(engine: &Slotcask, args: &Args, writing: u64) -> Outcome<f64> {
    let time = args.slice * SUSTAINED_SLICES;
    rate_by_threads(1, args.seed ^ writing << 40, time, |_, random| {
        let number = random.below(args.stall_keys);
        engine.put(&key(number), &value(number, writing))
    })
}

/// Runs `work` while the probe syncs; returns what came of it and the longest sync.
///
/// # Errors
/// Those of `work`, or of the raw file.
pub fn beside_probe<T>(
    probe: &RawFile,
    work: impl FnOnce() -> Outcome<T>,
) -> Outcome<(T, Duration)> {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let probing = scope.spawn(|| longest_sync(probe, &stop));
        let result = work();
        stop.store(true, Ordering::Relaxed);
        let (longest, _) = probing.join().map_err(|_| Failure::from("the probe panicked"))??;
        Ok((result?, longest))
    })
}

/// Calls `operation`, with random numbers and how many calls there were before, `rate` times a second for `time`. A put that is
/// late is made at once, and those after it stay due when they were.
///
/// # Errors
/// The first of `operation`.
pub fn paced(
    seed: u64,
    rate: f64,
    time: Duration,
    mut operation: impl FnMut(&mut Random, u64) -> Outcome<()>,
) -> Outcome<Paced> {
    let mut seen = Paced { calls: Histogram::new(3)?, due: Histogram::new(3)? };
    let mut random = Random::new(seed);
    let start = Instant::now();
    let puts = (rate * time.as_secs_f64()) as u64;
    for put in 0..puts {
        let due = Duration::from_secs_f64(put as f64 / rate);
        let mut before = start.elapsed();
        while before < due {
            std::hint::spin_loop();
            before = start.elapsed();
        }
        operation(&mut random, put)?;
        let after = start.elapsed();
        seen.calls.record((after - before).as_nanos() as u64)?;
        seen.due.record((after - due).as_nanos() as u64)?;
        // A writer that cannot keep the pace ends with the time, not with the count.
        if after > time * 2 {
            break;
        }
    }
    Ok(seen)
}
