//! The loop: pick an input, change it, repair its checksums, run the target, keep what was accepted.

use crate::mutate::mutate;
use crate::panics::catch;
use crate::rng::Rng;
use crate::target::{Outcome, Target};
use std::time::{Duration, Instant};

/// Inputs in the pool beside the seeds: accepted ones, so that changes add up.
const POOL: usize = 64;
/// Different failures that are kept.
const FAILURES: usize = 8;

/// When to stop.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Most executions.
    pub executions: u64,
    /// Most time.
    pub time: Duration,
    /// Stop at the first failure.
    pub stop_at_failure: bool,
}

/// An input that made a target panic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Number of the execution, from 1.
    pub execution: u64,
    /// Message and place of the panic.
    pub message: String,
    /// The input.
    pub input: Vec<u8>,
}

/// What a run did.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Executions.
    pub executions: u64,
    /// Inputs that were decoded as a whole.
    pub accepted: u64,
    /// Executions that panicked.
    pub crashes: u64,
    /// Time.
    pub time: Duration,
    /// The first failure at each place.
    pub failures: Vec<Failure>,
}

/// Fuzzes one target. The same seed gives the same inputs.
#[must_use]
pub fn fuzz(target: &Target, seed: u64, limits: Limits) -> Report {
    let start = Instant::now();
    let mut rng = Rng::new(seed);
    let mut pool = (target.seeds)();
    assert!(!pool.is_empty(), "{} has no seeds", target.name);
    let seeds = pool.len();
    let mut report = Report::default();
    let mut input = Vec::new();
    while report.executions < limits.executions {
        if report.executions.is_multiple_of(1024) && start.elapsed() >= limits.time {
            break;
        }
        report.executions += 1;
        input.clear();
        input.extend_from_slice(&pool[rng.below(pool.len())]);
        let other = rng.below(pool.len());
        mutate(&mut rng, &mut input, &pool[other], target.layout.as_ref());
        if let Some(reseal) = target.reseal
            && rng.next() & 7 != 0
        {
            reseal(&mut input);
        }
        match catch(target.run, &input) {
            Ok(Outcome::Rejected) => {}
            Ok(Outcome::Accepted) => {
                report.accepted += 1;
                if rng.next() & 15 == 0 {
                    keep(&mut rng, &mut pool, seeds, &input);
                }
            }
            Err(message) => {
                report.crashes += 1;
                // One place is one finding, whatever values its message holds.
                let known = report
                    .failures
                    .iter()
                    .any(|failure| place(&failure.message) == place(&message));
                if !known && report.failures.len() < FAILURES {
                    let input = input.clone();
                    let execution = report.executions;
                    report.failures.push(Failure { execution, message, input });
                }
                if limits.stop_at_failure {
                    break;
                }
            }
        }
    }
    report.time = start.elapsed();
    report
}

/// Runs one input, for reproduction.
///
/// # Errors
/// Message and place of the panic.
pub fn replay(target: &Target, input: &[u8]) -> Result<Outcome, String> {
    catch(target.run, input)
}

/// File and line of a panic, which its message begins with.
fn place(message: &str) -> &str {
    message.split(": ").next().unwrap_or(message)
}

/// Adds an accepted input to the pool, or replaces one there. Seeds stay.
fn keep(rng: &mut Rng, pool: &mut Vec<Vec<u8>>, seeds: usize, input: &[u8]) {
    if pool.len() < seeds + POOL {
        pool.push(input.to_vec());
    } else {
        let at = seeds + rng.below(POOL);
        pool[at].clear();
        pool[at].extend_from_slice(input);
    }
}
