//! Synced puts by 1, 16 and 64 threads. slotcask takes turns with the raw loop; each peer follows in the same round.

use super::{Place, SYNC_THREADS, in_turns, warm_up};
use crate::args::Args;
use crate::bars::{OURS, RAW};
use crate::engine::{Engine, Mode, Outcome};
use crate::engines::slotcask::Slotcask;
use crate::measure::{puts_by_threads, rate_by_threads};
use crate::raw::disk::{FILE_SIZE, RawFile, sync_loop};
use crate::raw::group_commit::{GroupCommit, RECORD_SIZE};
use crate::report::Report;
use std::time::Duration;

/// Keys of the table, at most: the rows are about the log, so that the table stays small.
const KEYS_MAX: u64 = 100_000;
/// How often slotcask and the raw loop take turns in a round.
const TURNS: u32 = 4;

/// One round of one engine, beside nothing.
///
/// # Errors
/// The engine's.
pub fn round<E: Engine>(args: &Args, round: u64, report: &mut Report) -> Outcome<()> {
    let keys = args.keys.min(KEYS_MAX);
    let place = Place::new(args, E::NAME)?;
    let engine: E = place.open(Mode::Sync)?;
    puts_by_threads(&engine, keys, 1, args.seed, warm_up(args))?;
    for (threads, id) in SYNC_THREADS {
        let rate = puts_by_threads(&engine, keys, threads, args.seed + round, args.slice)?;
        report.add(id, E::NAME, rate / 1e3);
    }
    engine.close()
}

/// One round of slotcask and the raw loops in turns.
///
/// # Errors
/// The engine's, or those of the raw file.
pub fn round_beside_raw(args: &Args, round: u64, report: &mut Report) -> Outcome<()> {
    let keys = args.keys.min(KEYS_MAX);
    let place = Place::new(args, "slotcask-and-raw")?;
    let file = RawFile::create(&place.file("raw"), FILE_SIZE)?;
    let engine: Slotcask = place.open(Mode::Sync)?;
    puts_by_threads(&engine, keys, 1, args.seed, warm_up(args))?;
    raw_rate(&file, 1, warm_up(args))?;
    for (threads, id) in SYNC_THREADS {
        let time = args.slice / TURNS * 2;
        let (ours, raw) = in_turns(
            TURNS,
            |turn| {
                let seed = args.seed + round * 100 + u64::from(turn);
                puts_by_threads(&engine, keys, threads, seed, time)
            },
            |_| raw_rate(&file, threads, time),
        )?;
        report.add(id, OURS, ours / 1e3);
        report.add(id, RAW, raw / 1e3);
    }
    engine.close()
}

/// Synced writes a second of a loop without an engine: alone, or in a bare group commit.
///
/// # Errors
/// As the operating system says.
pub fn raw_rate(file: &RawFile, threads: u64, time: Duration) -> Outcome<f64> {
    if threads == 1 {
        return sync_loop(file, time);
    }
    let log = GroupCommit::new(file);
    rate_by_threads(threads, 0, time, |thread, random| {
        let mut record = [thread as u8; RECORD_SIZE];
        record[0] = random.below(256) as u8;
        log.append(&record)
    })
}
