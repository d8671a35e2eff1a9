//! Load, puts and gets of cached values of one engine. A slow engine gets fewer keys, which favours it, and a loop that
//! takes too long ends early.

use crate::args::Args;
use crate::cask::{CaskEngine, CaskReader, SIZES, Setup, Size};
use crate::engine::{Mode, Outcome};
use crate::measure::{ns_each, ns_per_op};
use crate::report::Report;
use crate::rows::Place;
use crate::values::{Spread, is_value_of, with_value};
use crate::workload::key;
use std::time::{Duration, Instant};

/// Bytes of cache that an engine needs for one value of the table at most, beside the value.
const OVERHEAD: u64 = 256;
/// Threads that fill an engine's cache.
const WARMING: u64 = 16;

/// One round.
///
/// # Errors
/// The engine's.
pub fn round<E: CaskEngine>(args: &Args, round: u64, report: &mut Report) -> Outcome<()> {
    SIZES.iter().try_for_each(|size| of_size::<E>(args, *size, round, report))
}

fn of_size<E: CaskEngine>(args: &Args, size: Size, round: u64, report: &mut Report) -> Outcome<()> {
    let keys = (size.keys(args.keys) / E::SHARE).max(64);
    let (len, name) = (size.len, size.name);
    let seed = args.seed + round;
    let visits = Spread::ALL.map(|spread| (spread, spread.visits(keys, seed)));
    let cache = 2 * keys * (len as u64 + OVERHEAD) + (64 << 20);
    let place = Place::new(args, E::NAME)?;
    let engine: E = place.open_cask(Setup::cached(Mode::Buffered, cache))?;

    let start = Instant::now();
    load(&engine, keys, len)?;
    report.add(&format!("cask load {name}"), E::NAME, ns_per_op(start.elapsed(), keys));

    let time_max = args.time_max();
    for (spread, visits) in &visits {
        let put = ns_each(visits, time_max, |number| {
            with_value(number, round + 1, len, |value| engine.put(&key(number), value))
        })?;
        report.add(&format!("cask put {name}, {}", spread.name()), E::NAME, put);
    }
    engine.settle()?;
    // Readers may be snapshots: they are dropped before the engine is closed.
    {
        warm(&engine, keys, len)?;
        let reader = engine.reader()?;
        for (spread, visits) in &visits {
            let get = gets(&reader, visits, len, time_max)?;
            report.add(&format!("cask get {name}, {}", spread.name()), E::NAME, get);
        }
    }
    engine.close()
}

/// Puts all keys, in the order of their numbers.
///
/// # Errors
/// The engine's.
pub fn load<E: CaskEngine>(engine: &E, keys: u64, len: usize) -> Outcome<()> {
    for number in 0..keys {
        with_value(number, 0, len, |value| engine.put(&key(number), value))?;
    }
    Ok(())
}

/// Gets every key once, so that an engine has in its cache what it keeps there. Many threads: one would wait for the device.
///
/// # Errors
/// As [`gets`].
pub fn warm<E: CaskEngine>(engine: &E, keys: u64, len: usize) -> Outcome<()> {
    std::thread::scope(|scope| {
        let part = |at: u64| keys * at / WARMING;
        let warming: Vec<_> = (0..WARMING)
            .map(|at| {
                scope.spawn(move || {
                    let reader = engine.reader()?;
                    (part(at)..part(at + 1)).try_for_each(|number| get(&reader, number, len))
                })
            })
            .collect();
        for thread in warming {
            thread.join().map_err(|_| "a reading thread panicked")??;
        }
        Ok(())
    })
}

/// Gets of keys that are there; nanoseconds a get.
///
/// # Errors
/// The reader's; and when a key is missing or has another value.
pub fn gets<R: CaskReader>(
    reader: &R,
    numbers: &[u32],
    len: usize,
    time_max: Duration,
) -> Outcome<f64> {
    ns_each(numbers, time_max, |number| get(reader, number, len))
}

/// One get of a key that is there.
///
/// # Errors
/// The reader's; and when the key is missing or has another value.
#[inline]
pub fn get<R: CaskReader>(reader: &R, number: u64, len: usize) -> Outcome<()> {
    match reader.get_with(&key(number), |found| is_value_of(found, number, len))? {
        Some(true) => Ok(()),
        Some(false) => Err(format!("key {number} has another value").into()),
        None => Err(format!("key {number} is missing").into()),
    }
}
