//! Time, medians, and the loops that rows are measured with.

use crate::engine::{Engine, Outcome, Reader};
use crate::workload::{Random, absent_key, key, value};
use std::hint::black_box;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Operations between two looks at the clock in loops that end by time.
const OPS_A_LOOK: usize = 256;

/// The middle value; the mean of the two in the middle for an even count; NaN for none.
#[must_use]
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        len if len % 2 == 1 => sorted[len / 2],
        len => (sorted[len / 2 - 1] + sorted[len / 2]) / 2.0,
    }
}

/// Nanoseconds an operation.
#[must_use]
pub fn ns_per_op(time: Duration, ops: u64) -> f64 {
    time.as_secs_f64() * 1e9 / ops.max(1) as f64
}

/// Does `operation` for each number until all are done or `time_max` has passed; returns nanoseconds an operation.
///
/// # Errors
/// The first error of `operation`.
#[inline]
pub fn ns_each<F>(numbers: &[u32], time_max: Duration, mut operation: F) -> Outcome<f64>
where
    F: FnMut(u64) -> Outcome<()>,
{
    let start = Instant::now();
    let mut done: u64 = 0;
    for chunk in numbers.chunks(OPS_A_LOOK) {
        for &number in chunk {
            operation(number.into())?;
        }
        done += chunk.len() as u64;
        if start.elapsed() >= time_max {
            break;
        }
    }
    Ok(ns_per_op(start.elapsed(), done))
}

/// Gets of keys that are there; nanoseconds a get.
///
/// # Errors
/// The reader's; and when a key is missing or has another key's value.
pub fn get_hits<R: Reader>(reader: &R, numbers: &[u32], time_max: Duration) -> Outcome<f64> {
    ns_each(numbers, time_max, |number| match reader.get(&key(number))? {
        Some(found) if found[..8] == number.to_le_bytes() => Ok(()),
        Some(_) => Err(format!("key {number} has the value of another key").into()),
        None => Err(format!("key {number} is missing").into()),
    })
}

/// Gets of keys that are not there; nanoseconds a get.
///
/// # Errors
/// The reader's; and when such a key is there.
pub fn get_misses<R: Reader>(reader: &R, numbers: &[u32], time_max: Duration) -> Outcome<f64> {
    ns_each(numbers, time_max, |number| match black_box(reader.get(&absent_key(number))?) {
        None => Ok(()),
        Some(_) => Err(format!("key {number} is there without having been put").into()),
    })
}

/// Gets by as many threads as there are parts, each through its own reader; gets a second of all together.
///
/// # Errors
/// As [`get_hits`].
pub fn gets_by_threads<R: Reader>(
    readers: impl Fn() -> Outcome<R> + Sync,
    parts: &[&[u32]],
    time_max: Duration,
) -> Outcome<f64> {
    let barrier = Barrier::new(parts.len());
    std::thread::scope(|scope| {
        let threads: Vec<_> = parts
            .iter()
            .map(|part| {
                let (barrier, readers) = (&barrier, &readers);
                scope.spawn(move || {
                    let reader = readers();
                    barrier.wait();
                    get_hits(&reader?, part, time_max)
                })
            })
            .collect();
        let mut rate = 0.0;
        for thread in threads {
            rate += 1e9 / thread.join().map_err(|_| "a reading thread panicked")??;
        }
        Ok(rate)
    })
}

/// Calls `operation` with a thread's number and random numbers from `threads` threads for `time`; calls a second.
///
/// # Errors
/// The first error of `operation`; the other threads stop at it.
pub fn rate_by_threads<F>(threads: u64, seed: u64, time: Duration, operation: F) -> Outcome<f64>
where
    F: Fn(u64, &mut Random) -> Outcome<()> + Sync,
{
    let stop = AtomicBool::new(false);
    let barrier = Barrier::new(threads as usize + 1);
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads)
            .map(|thread| {
                let (stop, barrier, operation) = (&stop, &barrier, &operation);
                scope.spawn(move || {
                    let mut random = Random::new(seed ^ thread << 32);
                    let mut done: u64 = 0;
                    barrier.wait();
                    while !stop.load(Ordering::Relaxed) {
                        if let Err(error) = operation(thread, &mut random) {
                            stop.store(true, Ordering::Relaxed);
                            return Err(error);
                        }
                        done += 1;
                    }
                    Ok(done)
                })
            })
            .collect();
        barrier.wait();
        let start = Instant::now();
        while !stop.load(Ordering::Relaxed) && start.elapsed() < time {
            std::thread::sleep(time.saturating_sub(start.elapsed()).min(Duration::from_millis(50)));
        }
        stop.store(true, Ordering::Relaxed);
        let mut done = 0;
        for thread in running {
            done += thread.join().map_err(|_| "a writing thread panicked")??;
        }
        Ok(done as f64 / start.elapsed().as_secs_f64())
    })
}

/// Puts over the first `keys` keys in random order by `threads` threads for `time`; puts a second.
///
/// # Errors
/// The engine's.
pub fn puts_by_threads<E: Engine>(
    engine: &E,
    keys: u64,
    threads: u64,
    seed: u64,
    time: Duration,
) -> Outcome<f64> {
    rate_by_threads(threads, seed, time, |thread, random| {
        let number = random.below(keys);
        engine.put(&key(number), &value(number, thread))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert!(median(&[]).is_nan());
        assert!((median(&[3.0, 1.0, 2.0]) - 2.0).abs() < 1e-9);
        assert!((median(&[4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < 1e-9);
    }

    #[test]
    fn an_error_stops_all_threads() {
        let result = rate_by_threads(3, 1, Duration::from_secs(600), |thread, _| {
            if thread == 1 { Err("no".into()) } else { Ok(()) }
        });
        assert_eq!(result.unwrap_err().to_string(), "no");
    }
}
