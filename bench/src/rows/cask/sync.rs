//! Synced puts by 64 threads. All engines sync each put before it returns; those that can let one sync serve many.

use crate::args::Args;
use crate::cask::{CaskEngine, SIZES, Setup};
use crate::engine::{Mode, Outcome};
use crate::measure::rate_by_threads;
use crate::report::Report;
use crate::rows::{Place, warm_up};
use crate::values::{Spread, Zipf, with_value};
use crate::workload::key;

/// Threads.
const THREADS: u64 = 64;
/// Keys of the table, at most: the rows are about the log.
const KEYS_MAX: u64 = 100_000;

/// One round of one engine.
///
/// # Errors
/// The engine's.
pub fn round<E: CaskEngine>(args: &Args, round: u64, report: &mut Report) -> Outcome<()> {
    for size in SIZES {
        let keys = size.keys(args.keys).min(KEYS_MAX);
        let zipf = Zipf::new(keys);
        let place = Place::new(args, E::NAME)?;
        let engine: E = place.open_cask(Setup::of(Mode::Sync))?;
        for (warm, spread) in
            [(true, Spread::Uniform)].into_iter().chain(Spread::ALL.map(|spread| (false, spread)))
        {
            let time = if warm { warm_up(args) } else { args.slice };
            let rate = rate_by_threads(THREADS, args.seed + round, time, |thread, random| {
                let number = match spread {
                    Spread::Uniform => random.below(keys),
                    Spread::Zipf => zipf.draw(random),
                };
                with_value(number, thread, size.len, |value| engine.put(&key(number), value))
            })?;
            if !warm {
                let id = format!("cask sync {THREADS} x {}, {}", size.name, spread.name());
                report.add(&id, E::NAME, rate / 1e3);
            }
        }
        engine.close()?;
    }
    Ok(())
}
