//! One phase: threads that do the same operation until the time is over, and what it took.

use crate::errors::Failure;
use crate::signals::Interrupt;
use hdrhistogram::Histogram;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Latencies from 1 ns to 60 s, in nanoseconds, to three digits.
pub type Latencies = Histogram<u64>;

const LATENCY_MAX_NS: u64 = 60_000_000_000;

/// An empty histogram.
pub fn latencies() -> Latencies {
    Histogram::new_with_bounds(1, LATENCY_MAX_NS, 3)
        .expect("the bounds are constants that it takes")
}

/// What a phase measured.
#[derive(Debug, Clone)]
pub struct Phase {
    /// What was done.
    pub name: &'static str,
    /// By how many threads.
    pub threads: usize,
    /// When an operation counted as done.
    pub durability: &'static str,
    /// From the first operation's begin to the last one's end.
    pub elapsed: Duration,
    /// Time of each operation, in nanoseconds; empty where operations were not timed one by one.
    pub latencies: Latencies,
    /// Number of operations.
    pub operations: u64,
}

/// How long and how wide a phase is.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// What is done.
    pub name: &'static str,
    /// By how many threads.
    pub threads: usize,
    /// When an operation counts as done.
    pub durability: &'static str,
    /// For how long.
    pub duration: Duration,
}

/// Runs `operation(thread)` on each thread again and again until the time is over.
///
/// # Errors
/// The first failure of any thread.
pub fn measure<State>(
    plan: Plan,
    interrupt: &Interrupt,
    begin: impl Fn(u64) -> State + Sync,
    operation: impl Fn(&mut State) -> Result<(), Failure> + Sync,
) -> Result<Phase, Failure> {
    let failed: Mutex<Option<Failure>> = Mutex::new(None);
    let stop = AtomicBool::new(false);
    let total = Mutex::new(latencies());
    let start = Instant::now();
    let work = |thread: u64| {
        let mut state = begin(thread);
        let mut mine = latencies();
        let mut before = Instant::now();
        // A thread that begins late has an operation to tell of all the same.
        loop {
            if let Err(failure) = operation(&mut state) {
                stop.store(true, Ordering::Relaxed);
                lock(&failed).get_or_insert(failure);
                break;
            }
            let now = Instant::now();
            mine.saturating_record(u64::try_from((now - before).as_nanos()).unwrap_or(u64::MAX));
            before = now;
            if interrupt.is_requested() {
                stop.store(true, Ordering::Relaxed);
            }
            if stop.load(Ordering::Relaxed) || now - start >= plan.duration {
                break;
            }
        }
        lock(&total).add(mine).expect("both histograms have the same bounds");
    };
    std::thread::scope(|scope| {
        for thread in 0..plan.threads as u64 {
            let work = &work;
            scope.spawn(move || work(thread));
        }
    });
    let elapsed = start.elapsed();
    if let Some(failure) = lock(&failed).take() {
        return Err(failure);
    }
    let latencies = lock(&total).clone();
    Ok(Phase {
        name: plan.name,
        threads: plan.threads,
        durability: plan.durability,
        elapsed,
        operations: latencies.len(),
        latencies,
    })
}

/// A panic of another thread has been said already; what it left behind is counters.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
