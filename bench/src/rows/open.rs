//! Opening after a clean close and after kill -9, memory and disk: each store is made and opened by processes of
//! their own.

use super::{Place, Runner};
use crate::args::Args;
use crate::bars::{OURS, RAW, SLOT_PACKED, disk_allowed};
use crate::child::{Task, Work, number};
use crate::engine::Outcome;
use crate::raw::read::{ReadFile, SEQUENTIAL_THREADS};
use crate::report::Report;

/// Engines that take part in every round; the others are measured once, because their figures only explain.
const EVERY_ROUND: [&str; 2] = [OURS, "armdb-fixed"];

fn task(args: &Args, place: &Place, runner: &dyn Runner, work: Work, keys: u64) -> Task {
    Task { work, engine: runner.name().to_owned(), dir: place.store(), keys, seed: args.seed }
}

/// Opening after close and after kill.
///
/// # Errors
/// The engines', or when a child fails.
pub fn open_rows(args: &Args, runners: &[Box<dyn Runner>], report: &mut Report) -> Outcome<()> {
    let raw_place = Place::new(args, RAW)?;
    let slots = (SLOT_PACKED * args.keys as f64) as u64;
    let raw = ReadFile::create(&raw_place.file("slots"), slots)?;
    let read_slots = || Outcome::Ok(slots as f64 / raw.sequential(SEQUENTIAL_THREADS)?);
    for runner in runners {
        let keys = runner.keys(args.keys);
        let place = Place::new(args, runner.name())?;
        std::fs::create_dir_all(place.store())?;
        task(args, &place, &**runner, Work::LoadAndChurn, keys).run()?;
        let every = EVERY_ROUND.contains(&runner.name());
        for _ in 0..if every { args.rounds } else { 1 } {
            let said = task(args, &place, &**runner, Work::Open, keys).run()?;
            report.add("open after close", runner.name(), number(&said, "open_s")?);
            if runner.name() == OURS {
                report.add("open after close", RAW, read_slots()?);
            }
        }
    }
    for _ in 0..args.rounds {
        for runner in runners.iter().filter(|runner| EVERY_ROUND.contains(&runner.name())) {
            let keys = runner.keys(args.keys);
            let place = Place::new(args, runner.name())?;
            std::fs::create_dir_all(place.store())?;
            task(args, &place, &**runner, Work::LoadAndWait, keys).run()?;
            let said = task(args, &place, &**runner, Work::Open, keys).run()?;
            report.add("open after kill -9", runner.name(), number(&said, "open_s")?);
            if runner.name() == OURS {
                report.add("open after kill -9", RAW, read_slots()?);
            }
        }
    }
    Ok(())
}

/// Memory at the workload's keys and at 1.55 times as many (which no power of two favours), and disk.
///
/// # Errors
/// The engines', or when a child fails.
pub fn memory_rows(args: &Args, runners: &[Box<dyn Runner>], report: &mut Report) -> Outcome<()> {
    for runner in runners {
        let ours = runner.name() == OURS;
        let mut sizes = vec![("memory, 2 M keys", runner.keys(args.keys))];
        if ours {
            sizes.push(("memory, 3.1 M keys", args.keys * 31 / 20));
        }
        for (id, keys) in sizes {
            for _ in 0..if ours { args.rounds } else { 1 } {
                let place = Place::new(args, runner.name())?;
                std::fs::create_dir_all(place.store())?;
                let work = if ours { Work::LoadAndChurn } else { Work::Load };
                let said = task(args, &place, &**runner, work, keys).run()?;
                report.add(id, runner.name(), number(&said, "memory")? / keys as f64);
                if ours && id.contains("2 M") {
                    let disk = number(&said, "disk")? / disk_allowed(keys);
                    report.add("disk, part of 1.1 slots + log", OURS, disk);
                }
            }
        }
    }
    Ok(())
}
