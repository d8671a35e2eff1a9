//! Memory, and opening with and without hints: each store is made and opened by processes of their own.

use super::CaskRunner;
use crate::args::Args;
use crate::bars::{OURS, RAW};
use crate::cask::{MEDIUM, SMALL, Size};
use crate::cask_child::{CaskTask, CaskWork};
use crate::child::number;
use crate::engine::Outcome;
use crate::raw::read::{ReadFile, SEQUENTIAL_THREADS};
use crate::report::Report;
use crate::rows::Place;
use crate::workload::Key;
use std::path::Path;

/// Keys of the memory rows, as parts of `--cask-keys` in hundredths: some just above a power of two for every shard count,
/// some just below.
const MEMORY_KEYS: [(&str, u64); 4] = [("3 M", 60), ("3.7 M", 74), ("5 M", 100), ("8 M", 160)];
/// Bytes of the raw sequential read for each key of `--cask-keys`.
const RAW_BYTES_A_KEY: u64 = 200;

fn task(args: &Args, place: &Place, engine: &str, work: CaskWork, keys: u64) -> CaskTask {
    CaskTask {
        work,
        engine: engine.to_owned(),
        dir: place.store(),
        keys,
        key_len: size_of::<Key>(),
        value_len: SMALL.len,
        seed: args.seed,
    }
}

fn place_of(args: &Args, engine: &str) -> Outcome<Place> {
    let place = Place::new(args, engine)?;
    std::fs::create_dir_all(place.store())?;
    Ok(place)
}

/// Memory at four numbers of keys, two lengths of keys, and with a time to live; of the peers at the first. Each once: the
/// sizes are the rounds.
///
/// # Errors
/// The engines', or when a child fails.
pub fn memory_rows(
    args: &Args,
    runners: &[Box<dyn CaskRunner>],
    report: &mut Report,
) -> Outcome<()> {
    for runner in runners {
        if runner.name() == OURS {
            for (name, part) in MEMORY_KEYS {
                our_memory(args, name, (args.cask_keys * part / 100).max(1), report)?;
            }
        } else {
            let (name, part) = MEMORY_KEYS[0];
            let keys = runner.keys(args.cask_keys * part / 100);
            let place = place_of(args, runner.name())?;
            let said = task(args, &place, runner.name(), CaskWork::Load, keys).run()?;
            let id = format!("cask memory {name}, 16 B keys");
            report.add(&id, runner.name(), number(&said, "memory")? / keys as f64);
        }
    }
    Ok(())
}

fn our_memory(args: &Args, name: &str, keys: u64, report: &mut Report) -> Outcome<()> {
    let measure = |work, key_len| -> Outcome<(f64, f64)> {
        let place = place_of(args, OURS)?;
        let said = CaskTask { key_len, ..task(args, &place, OURS, work, keys) }.run()?;
        Ok((number(&said, "memory")? / keys as f64, number(&said, "keydir")? / keys as f64))
    };
    let (short, keydir) = measure(CaskWork::LoadAndChurn, 16)?;
    let (long, _) = measure(CaskWork::LoadAndChurn, 64)?;
    let (with_ttl, _) = measure(CaskWork::LoadAndChurnTtl, 16)?;
    report.add(&format!("cask memory {name}, 16 B keys"), OURS, short);
    report.add(&format!("cask memory {name}, 64 B keys"), OURS, long);
    report.add(&format!("cask memory {name}, TTL adds"), OURS, with_ttl - short);
    report.add(&format!("cask memory {name}, keydir"), OURS, keydir);
    Ok(())
}

/// Opening after a clean close, with the hints that slotcask left, and after they were deleted.
///
/// # Errors
/// The engines', or when a child fails.
pub fn open_rows(args: &Args, runners: &[Box<dyn CaskRunner>], report: &mut Report) -> Outcome<()> {
    for runner in runners {
        let ours = runner.name() == OURS;
        for size in [SMALL, MEDIUM] {
            if size == SMALL || ours {
                open_of(args, &**runner, size, report)?;
            }
        }
    }
    let place = place_of(args, "raw")?;
    let file = ReadFile::create(&place.file("raw"), args.cask_keys * RAW_BYTES_A_KEY)?;
    for _ in 0..args.rounds {
        report.add("cask open 1 KiB, no hints", RAW, file.sequential(SEQUENTIAL_THREADS)? / 1e9);
    }
    Ok(())
}

fn open_of(args: &Args, runner: &dyn CaskRunner, size: Size, report: &mut Report) -> Outcome<()> {
    let (engine, name) = (runner.name(), size.name);
    // The larger values get fewer keys: their row is about bytes.
    let part = if size == SMALL { 1 } else { 4 };
    let keys = runner.keys(args.cask_keys / part).max(64);
    let place = place_of(args, engine)?;
    let of_size = |work| CaskTask { value_len: size.len, ..task(args, &place, engine, work, keys) };
    of_size(CaskWork::Load).run()?;
    for _ in 0..args.rounds {
        let said = of_size(CaskWork::Open).run()?;
        let seconds = number(&said, "open_s")?;
        report.add(&format!("cask open {name}, hints"), engine, keys as f64 / seconds / 1e6);
        report.add(&format!("cask open {name}, hints, time"), engine, seconds);
        if engine == OURS {
            let id = format!("cask open {name}, from the log");
            report.add(&id, engine, number(&said, "from_log")? / 1e6);
        }
    }
    for _ in 0..if engine == OURS { args.rounds } else { 0 } {
        delete_hints(&place.store())?;
        let seconds = number(&of_size(CaskWork::Open).run()?, "open_s")?;
        let figure = if size == SMALL {
            keys as f64 / seconds / 1e6
        } else {
            size.live_bytes(keys) as f64 / seconds / 1e9
        };
        report.add(&format!("cask open {name}, no hints"), engine, figure);
    }
    Ok(())
}

/// Removes the hints of all shards of a store; it makes them anew when it is opened.
fn delete_hints(store: &Path) -> Outcome<()> {
    for entry in std::fs::read_dir(store)? {
        let path = entry?.path();
        if path.is_dir() {
            delete_hints(&path)?;
        } else if path.extension().is_some_and(|extension| extension == "hint") {
            std::fs::remove_file(path)?;
        }
    }
    Ok(())
}
