//! Gets of values that no cache holds, in turns with raw random O_DIRECT reads of that size by as many threads.

use super::data::{get, load};
use crate::args::Args;
use crate::bars::{OURS, RAW};
use crate::cask::{CaskEngine, SIZES, Setup};
use crate::engine::{Mode, Outcome};
use crate::engines::slotcask_cask::SlotcaskCask;
use crate::measure::rate_by_threads;
use crate::raw::read::ReadFile;
use crate::report::Report;
use crate::rows::{Place, in_turns, warm_up};

/// Bytes of the cache of values: next to nothing of a table.
const CACHE: u64 = 1 << 20;
/// Reads in flight: as many threads, each with one.
const DEPTHS: [u64; 2] = [1, 16];
/// How often slotcask and the raw reads take turns in a round.
const TURNS: u32 = 4;

/// One round.
///
/// # Errors
/// The engine's, or those of the raw file.
pub fn round_beside_raw(args: &Args, round: u64, report: &mut Report) -> Outcome<()> {
    for size in SIZES {
        let keys = size.keys(args.keys);
        let place = Place::new(args, "slotcask-and-raw")?;
        let file = ReadFile::create(&place.file("raw"), size.live_bytes(keys))?;
        let engine: SlotcaskCask = place.open_cask(Setup::cached(Mode::Buffered, CACHE))?;
        load(&engine, keys, size.len)?;
        engine.settle()?;
        let ours = |depth, seed, time| {
            rate_by_threads(depth, seed, time, |_, random| {
                get(&&engine, random.below(keys), size.len)
            })
        };
        ours(1, args.seed, warm_up(args))?;
        for depth in DEPTHS {
            let time = args.slice / TURNS * 2;
            let seed = |turn: u32| args.seed + round * 100 + u64::from(turn);
            let (ours, raw) = in_turns(
                TURNS,
                |turn| ours(depth, seed(turn), time),
                |turn| file.rate(depth, size.len, seed(turn), time),
            )?;
            let id = format!("cask disk get {}, depth {depth}", size.name);
            report.add(&id, OURS, ours / 1e3);
            report.add(&id, RAW, raw / 1e3);
        }
        engine.close()?;
    }
    Ok(())
}
