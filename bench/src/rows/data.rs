//! Load, gets and updates of one engine. Every figure is of the same keys; a slow engine gets fewer of them, which
//! favours it, and a loop that takes too long ends early.

use super::Place;
use crate::args::Args;
use crate::bars::OURS;
use crate::engine::{Engine, Mode, Outcome};
use crate::measure::{get_hits, get_misses, gets_by_threads, ns_each, ns_per_op};
use crate::report::Report;
use crate::workload::{Order, key, value};
use std::time::Instant;

/// One round.
///
/// # Errors
/// The engine's.
pub fn round<E: Engine>(args: &Args, round: u64, report: &mut Report) -> Outcome<()> {
    let keys = (args.keys / E::SHARE).max(1);
    let order = Order::new(keys, args.seed + round);
    let place = Place::new(args, E::NAME)?;
    let engine: E = place.open(Mode::Buffered)?;

    let start = Instant::now();
    for number in 0..keys {
        engine.put(&key(number), &value(number, 0))?;
    }
    report.add("load", E::NAME, ns_per_op(start.elapsed(), keys));
    engine.settle()?;

    let time_max = args.time_max();
    // Readers may be snapshots: they are dropped before anything is written again.
    {
        let reader = engine.reader()?;
        let one = get_hits(&reader, order.numbers(), time_max)?;
        report.add("get hit, 1 thread", E::NAME, one);
        let two = gets_by_threads(|| engine.reader(), &order.parts(2), time_max)?;
        report.add("get hit, 2 threads", E::NAME, two / 1e3);
        if E::NAME != OURS {
            report.add("gain of 2 threads", E::NAME, two * one / 1e9);
        }
        report.add("get miss", E::NAME, get_misses(&reader, order.numbers(), time_max)?);
    }

    let update = ns_each(order.numbers(), time_max, |number| {
        engine.put(&key(number), &value(number, round + 1))
    })?;
    report.add("update", E::NAME, update);
    engine.close()
}
